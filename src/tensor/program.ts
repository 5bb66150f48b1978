// A program: a flat list of tensor instructions, built once in TypeScript and run by a device many times. This file builds and
// checks; placing buffers is plan.ts, gradients are autodiff.ts, running is a device. It knows no model and no token.
import type { Dtype } from "./dtype.ts";
import type { OpDefinition } from "./op.ts";

/** A run-time size: set at each run, never above `max`, for which the buffers are planned. */
export interface Register {
  readonly name: string;
  readonly max: number;
}

/** A dimension: fixed, or a register times a fixed factor. */
export type Dim = number | { readonly register: Register; readonly factor: number };

/** The register as a dimension, times `factor`. */
export const dim = (register: Register, factor = 1): Dim => ({ register, factor });

/** `d` times a whole number. */
export const times = (d: Dim, factor: number): Dim =>
  typeof d === "number" ? d * factor : { register: d.register, factor: d.factor * factor };

export const sameDim = (a: Dim, b: Dim): boolean =>
  typeof a === "number" || typeof b === "number" ? a === b : a.register === b.register && a.factor === b.factor;

/** The largest value a dimension can take. */
export const maxDim = (d: Dim): number => (typeof d === "number" ? d : d.register.max * d.factor);

export const showDim = (d: Dim): string =>
  typeof d === "number" ? `${d}` : d.factor === 1 ? d.register.name : `${d.register.name}*${d.factor}`;

export const showShape = (shape: readonly Dim[]): string => `[${shape.map(showDim).join(", ")}]`;

/**
 * Where a tensor's bytes live:
 * `param` weights bound from outside · `input` written by the host before a run · `state` kept between runs (caches, optimiser
 * moments, gradients) · `output` read by the host after a run · `temp` planned by liveness, valid only inside a run.
 */
export type TensorKind = "param" | "input" | "state" | "output" | "temp";

export class Tensor {
  readonly program: Program;
  readonly id: number;
  readonly kind: TensorKind;
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly Dim[];
  /** Same bytes, other shape. */
  readonly viewOf: Tensor | undefined;
  /** Integer inputs: every value must satisfy min <= value < max; devices check before a kernel runs. */
  readonly range: { min: number; max: number } | undefined;
  /** Whether gradients() may be asked for it or must pass through it. */
  requiresGrad: boolean;

  constructor(fields: {
    program: Program;
    id: number;
    kind: TensorKind;
    name: string;
    dtype: Dtype;
    shape: readonly Dim[];
    viewOf?: Tensor;
    range?: { min: number; max: number };
    requiresGrad?: boolean;
  }) {
    this.program = fields.program;
    this.id = fields.id;
    this.kind = fields.kind;
    this.name = fields.name;
    this.dtype = fields.dtype;
    this.shape = fields.shape;
    this.viewOf = fields.viewOf;
    this.range = fields.range;
    this.requiresGrad = fields.requiresGrad ?? false;
  }

  /** The tensor whose bytes these are. */
  get base(): Tensor {
    let tensor: Tensor = this;
    while (tensor.viewOf) tensor = tensor.viewOf;
    return tensor;
  }

  /** The same elements under another shape; the element counts must agree. */
  reshape(...shape: Dim[]): Tensor {
    const count = (dims: readonly Dim[]): [number, string] => {
      let factor = 1;
      const registers: string[] = [];
      for (const d of dims) {
        if (typeof d === "number") factor *= d;
        else {
          factor *= d.factor;
          registers.push(d.register.name);
        }
      }
      return [factor, registers.sort().join("*")];
    };
    const [a, aRegisters] = count(this.shape);
    const [b, bRegisters] = count(shape);
    if (a !== b || aRegisters !== bRegisters) {
      throw new ProgramError(`reshape of ${this} to ${showShape(shape)}: the element counts differ`);
    }
    return this.program.addTensor({
      kind: this.kind,
      name: this.name,
      dtype: this.dtype,
      shape,
      viewOf: this,
      range: this.range,
      requiresGrad: this.requiresGrad,
    });
  }

  toString(): string {
    return `${this.name}:${this.dtype}${showShape(this.shape)}`;
  }
}

export interface Instruction {
  readonly op: OpDefinition;
  /** null where an optional input is absent. */
  readonly inputs: readonly (Tensor | null)[];
  readonly outputs: readonly Tensor[];
  /** In the order of op.ints and op.floats. */
  readonly ints: readonly number[];
  readonly floats: readonly number[];
}

/** A mistake in building a program: wrong shape, dtype or gradient. Names the instruction, the shapes and the fix. */
export class ProgramError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ProgramError";
  }
}

export class Program {
  readonly name: string;
  readonly registers: Register[] = [];
  readonly tensors: Tensor[] = [];
  readonly instructions: Instruction[] = [];

  constructor(name: string) {
    this.name = name;
  }

  /** Declares a run-time size of at most `max`. */
  register(name: string, max: number): Register {
    if (!Number.isInteger(max) || max < 1)
      throw new ProgramError(`register ${name}: its maximum must be a whole number above 0, not ${max}`);
    if (this.registers.some((register) => register.name === name))
      throw new ProgramError(`register ${name} is declared twice`);
    const register = { name, max };
    this.registers.push(register);
    return register;
  }

  addTensor(fields: Omit<ConstructorParameters<typeof Tensor>[0], "program" | "id">): Tensor {
    for (const d of fields.shape) {
      if (typeof d === "number" ? !Number.isInteger(d) || d < 0 : !this.registers.includes(d.register)) {
        throw new ProgramError(`tensor ${fields.name}: ${showDim(d)} is no dimension of program ${this.name}`);
      }
    }
    if (fields.shape.length > 4)
      throw new ProgramError(`tensor ${fields.name}: at most four dimensions, not ${fields.shape.length}`);
    const tensor = new Tensor({ ...fields, program: this, id: this.tensors.length });
    this.tensors.push(tensor);
    return tensor;
  }

  private named(
    kind: TensorKind,
    name: string,
    fields: Omit<ConstructorParameters<typeof Tensor>[0], "program" | "id" | "kind" | "name">,
  ): Tensor {
    if (this.tensors.some((tensor) => tensor.kind !== "temp" && !tensor.viewOf && tensor.name === name)) {
      throw new ProgramError(`program ${this.name} already has a tensor named ${name}`);
    }
    return this.addTensor({ kind, name, ...fields });
  }

  /** Weights, bound at compile time under this name. They require gradients when f32 unless told otherwise. */
  param(name: string, dtype: Dtype, shape: readonly number[], requiresGrad = dtype === "f32"): Tensor {
    return this.named("param", name, { dtype, shape, requiresGrad });
  }

  /** Written by the host before each run. Index inputs give the range their values must lie in. */
  input(name: string, dtype: Dtype, shape: readonly Dim[], range?: { min: number; max: number }): Tensor {
    return this.named("input", name, { dtype, shape, range });
  }

  /** Kept between runs; zero at first unless bound. */
  state(name: string, dtype: Dtype, shape: readonly Dim[]): Tensor {
    return this.named("state", name, { dtype, shape });
  }

  /** Read by the host after a run: copies or computes into it with ops whose destination can be given, or `markOutput`. */
  temp(dtype: Dtype, shape: readonly Dim[], name = ""): Tensor {
    return this.addTensor({ kind: "temp", name: name || `t${this.tensors.length}`, dtype, shape });
  }

  /** Appends an instruction; used by the builder functions in ops/, which check shapes first. */
  emit(
    op: OpDefinition,
    inputs: readonly (Tensor | null)[],
    outputs: readonly Tensor[],
    attributes: Record<string, number> = {},
  ): void {
    const value = (name: string): number => {
      const number = attributes[name];
      if (number === undefined || Number.isNaN(number))
        throw new ProgramError(`${op.name}: attribute ${name} is missing`);
      return number;
    };
    for (const tensor of [...inputs, ...outputs]) {
      if (tensor && tensor.program !== this)
        throw new ProgramError(`${op.name}: ${tensor} belongs to program ${tensor.program.name}, not ${this.name}`);
    }
    const ints = op.ints.map(value);
    ints.forEach((int, i) => {
      if (!Number.isInteger(int))
        throw new ProgramError(`${op.name}: ${op.ints[i]} must be a whole number, not ${int}`);
    });
    const known = new Set([...op.ints, ...op.floats]);
    for (const name of Object.keys(attributes))
      if (!known.has(name)) throw new ProgramError(`${op.name}: it has no attribute ${name}`);
    const needsGrad = op.backward !== undefined && inputs.some((tensor) => tensor?.base.requiresGrad);
    if (needsGrad) for (const output of outputs) if (output.dtype === "f32") output.base.requiresGrad = true;
    this.instructions.push({ op, inputs, outputs, ints, floats: op.floats.map(value) });
  }

  /** Makes a temp readable after a run (its bytes are then its own for good). Returns the tensor to read. */
  output(tensor: Tensor, name: string): Tensor {
    if (tensor.base.kind !== "temp")
      throw new ProgramError(`output ${name}: ${tensor} is a ${tensor.kind} and readable as it is`);
    const base = tensor.base as { kind: TensorKind; name: string };
    if (this.tensors.some((other) => other.kind !== "temp" && !other.viewOf && other.name === name)) {
      throw new ProgramError(`program ${this.name} already has a tensor named ${name}`);
    }
    base.kind = "output";
    base.name = name;
    return tensor.base;
  }
}

/** Throws a ProgramError that names op, tensor and expectation unless `shape` matches. */
export function expectShape(op: string, what: string, tensor: Tensor, shape: readonly Dim[]): void {
  if (tensor.shape.length !== shape.length || !tensor.shape.every((d, i) => sameDim(d, shape[i]))) {
    throw new ProgramError(`${op}: ${what} must be ${showShape(shape)}, but ${tensor} was given`);
  }
}

/** Throws a ProgramError unless the tensor has one of the dtypes. */
export function expectDtype(op: string, what: string, tensor: Tensor, ...dtypes: Dtype[]): void {
  if (!dtypes.includes(tensor.dtype))
    throw new ProgramError(`${op}: ${what} must be ${dtypes.join(" or ")}, but ${tensor} was given`);
}

/** Throws a ProgramError unless the tensor has so many dimensions. */
export function expectRank(op: string, what: string, tensor: Tensor, rank: number): void {
  if (tensor.shape.length !== rank)
    throw new ProgramError(`${op}: ${what} must have ${rank} dimensions, but ${tensor} was given`);
}
