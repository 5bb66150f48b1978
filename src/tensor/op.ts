// What an instruction is: its name, its attributes, its obvious implementation and its gradient rule. The fast implementation is
// the C kernel of the same name in kernels/. One OpDefinition per instruction, grouped by family in ops/, each next to the
// builder function that checks shapes and emits it.
import type { Tensor } from "./program.ts";

/** A tensor's run-time value as the reference device sees it: floats are Float32Array or Float64Array, the rest as stored. */
export interface Value {
  /** f32 tensors: Float32Array or Float64Array; i32: Int32Array; every other dtype: Uint8Array of its bytes. */
  data: Float32Array | Float64Array | Int32Array | Uint8Array;
  shape: number[];
  dtype: Tensor["dtype"];
}

export interface ReferenceCall {
  /** null, despite the type, where an optional input is absent: ops with optional inputs test before use. */
  inputs: Value[];
  outputs: Value[];
  ints: number[];
  floats: number[];
}

/** What a gradient rule works with. */
export interface BackwardContext {
  inputs: readonly (Tensor | null)[];
  outputs: readonly Tensor[];
  /** Attributes by name. */
  attributes: Record<string, number>;
  /** Gradient that reached output i; null when none did (treat as zero). */
  gradOf(output: number): Tensor | null;
  /** Whether input i needs a gradient. */
  needs(input: number): boolean;
  /** Hands over a freshly computed gradient of input i (same shape as it). Contributions are summed. */
  give(input: number, gradient: Tensor): void;
  /**
   * A tensor of input i's shape into which an instruction ADDS its contribution (weights: the persistent gradient; others: a
   * zero-filled temp). For rules whose kernel accumulates, such as weight gradients and scatter-adds.
   */
  accumulator(input: number): Tensor;
}

export interface OpDefinition {
  /** Also the name of the C kernel. */
  name: string;
  /** Names of the whole-number attributes, in the order kernels read them. */
  ints: readonly string[];
  floats: readonly string[];
  /**
   * Outputs that are read before they are written (accumulators, caches, parameters updated in place): indices into outputs.
   */
  inout?: readonly number[];
  /**
   * Outputs of which every instruction of this op writes a part of its own: such instructions do not wait for each other over them.
   */
  parts?: readonly number[];
  /** Output 0 may share the bytes of input `inPlace` when that input dies here (element-wise ops). */
  inPlace?: number;
  /** The obvious implementation; float arrays may be 32 or 64 bits wide. */
  reference(call: ReferenceCall): void;
  /** Emits the instructions that compute the gradients of the inputs. Absent: not differentiable. */
  backward?(context: BackwardContext): void;
}

/** Declares an op and returns it; names must be unique. */
export function defineOp(definition: OpDefinition): OpDefinition {
  if (registry.has(definition.name)) throw new Error(`op ${definition.name} is defined twice`);
  registry.set(definition.name, definition);
  return definition;
}

const registry = new Map<string, OpDefinition>();

/** Every op whose family file has been imported, by name. */
export const ops: ReadonlyMap<string, OpDefinition> = registry;
