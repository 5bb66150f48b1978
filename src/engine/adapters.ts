// LoRA adapters for serving: a PEFT directory becomes a second executable of the same program over the same caches and inputs, with
// merged copies W + (α/r)·B·A of the weights it adapts; all others are shared. So requests with and without adapters share steps,
// queue and pages, and those without run exactly what they ran before. Training adapters is src/train's.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseJson } from "../checkpoint/config.ts";
import { CheckpointError } from "../checkpoint/errors.ts";
import { quantize, type WritableType } from "../checkpoint/quantize.ts";
import { openSafetensors, readTensor, type StoredTensor } from "../checkpoint/safetensors.ts";
import { buildInference } from "../model/inference.ts";
import { expertNames, loadParameter, type TensorSource } from "../model/weights.ts";
import type { DeviceBuffer, Executable } from "../tensor/device.ts";
import { DTYPES, type Dtype, isPacked, unpackedDtype } from "../tensor/dtype.ts";
import type { ServedModel } from "./model.ts";
import { EngineError } from "./types.ts";

/** The base weights under their checkpoint names; `close` when the adapter is merged. */
export interface BaseWeights extends TensorSource {
  close?(): void;
}

export interface Adapter {
  name: string;
  /** Of the adapter's files: tells its cached prefixes from others'. */
  hash: string;
  run: Executable;
  /** Parent of its sequences' first pages. */
  root: number;
  /** Bytes of merged copies. */
  bytes: number;
  /** Unfinished completions that use it. */
  users: number;
  /** Unloaded: freed when the last user has finished. */
  retired: boolean;
  free(): void;
}

interface Factors {
  a: Float32Array;
  b: Float32Array;
  rank: number;
  out: number;
  inner: number;
}

const PREFIX = "base_model.model.";

const mismatch = (message: string): EngineError => new EngineError("adapter_mismatch", message, "adapter");

function floatsOf(tensor: StoredTensor): Float32Array {
  const bytes = readTensor(tensor).slice();
  if (tensor.dtype === "F32") return new Float32Array(bytes.buffer);
  if (tensor.dtype !== "BF16") throw mismatch(`${tensor.name} is ${tensor.dtype}; F32 and BF16 factors are read`);
  const halves = new Uint16Array(bytes.buffer);
  const bits = Uint32Array.from(halves, (half) => half << 16);
  return new Float32Array(bits.buffer);
}

/** The factor pairs of a PEFT directory by the weight they adapt, the scale, and the files' hash. */
function readFactors(directory: string): { factors: Map<string, Factors>; scale: number; hash: string } {
  const configPath = join(directory, "adapter_config.json");
  const path = join(directory, "adapter_model.safetensors");
  const configText = readFileSync(configPath, "utf8");
  const config = parseJson(configText, configPath) as Record<string, unknown>;
  const { r, lora_alpha: alpha, peft_type: type, use_rslora: rootScaled, use_dora: dora } = config ?? {};
  if (type !== "LORA" || dora === true) throw mismatch(`${configPath}: only plain LoRA adapters can be loaded`);
  if (typeof r !== "number" || !(r >= 1) || typeof alpha !== "number" || !Number.isFinite(alpha))
    throw mismatch(`${configPath}: r is ${r} and lora_alpha ${alpha}; positive numbers were expected`);
  const { tensors } = openSafetensors(path);
  const hash = createHash("sha256").update(configText);
  const factors = new Map<string, Factors>();
  for (const [name, tensor] of tensors) {
    hash.update(name).update(readTensor(tensor));
    const match = /^(?:base_model\.model\.)?(.*)\.lora_([AB])\.weight$/.exec(name);
    if (!match) throw mismatch(`${path}: ${name} is no factor of a linear layer`);
    if (match[2] === "B") continue;
    const other = tensors.get(name.replace(/lora_A\.weight$/, "lora_B.weight"));
    const [rank, inner] = tensor.shape;
    if (!other || tensor.shape.length !== 2 || other.shape.length !== 2 || rank !== r || other.shape[1] !== r)
      throw mismatch(`${path}: ${name} [${tensor.shape}] and its lora_B [${other?.shape}] are no pair of rank ${r}`);
    factors.set(`${match[1]}.weight`, { a: floatsOf(tensor), b: floatsOf(other), rank, out: other.shape[0], inner });
  }
  if (factors.size === 0) throw mismatch(`${path} holds no ${PREFIX}….lora_A.weight`);
  return { factors, scale: rootScaled === true ? alpha / Math.sqrt(r) : alpha / r, hash: hash.digest("hex") };
}

/** The checkpoint names that a program's parameter is made of. */
function sourcesOf(name: string, shape: readonly number[]): string[] {
  const split = /^(.*)\.[kv]_b_proj\.weight$/.exec(name);
  if (split && shape.length === 3) return [`${split[1]}.kv_b_proj.weight`];
  return (shape.length === 3 && expertNames(name, shape[0])) || [name];
}

/** Refuses factors whose second dimension is not the layer's input; the other follows from the number of values. */
function checkInner(source: string, name: string, shape: readonly number[], pair: Factors | undefined): void {
  const inner = /\.k_b_proj\.weight$/.test(name) && source !== name ? shape[1] : shape[shape.length - 1];
  if (pair && pair.inner !== inner)
    throw mismatch(`the adapter's ${source} is [${pair.out}, ${pair.inner}]; the model's has ${inner} columns`);
}

/** The base with the adapter added: W + scale · B·A, summed in the order of the rank. */
class Merged implements TensorSource {
  private readonly base: BaseWeights;
  private readonly factors: ReadonlyMap<string, Factors>;
  private readonly scale: number;

  constructor(base: BaseWeights, factors: ReadonlyMap<string, Factors>, scale: number) {
    this.base = base;
    this.factors = factors;
    this.scale = scale;
  }

  has(name: string): boolean {
    return this.base.has(name);
  }

  load(name: string): Float32Array {
    const pair = this.factors.get(name);
    if (!pair) return this.base.load(name);
    const values = this.base.load(name).slice();
    const { a, b, rank, out, inner } = pair;
    if (values.length !== out * inner)
      throw mismatch(`the adapter's ${name} is [${out}, ${inner}]; the model's has ${values.length} values`);
    for (let i = 0; i < out; i++) {
      for (let j = 0; j < rank; j++) {
        const factor = this.scale * b[i * rank + j];
        for (let k = 0; k < inner; k++) values[i * inner + k] += factor * a[j * inner + k];
      }
    }
    return values;
  }
}

/** Copies of block-quantised weights are Q8_0: merging needs them as numbers, and coarser types would round the adapter away. */
function copyDtype(dtype: Dtype): Dtype {
  const plain = unpackedDtype(dtype);
  if (DTYPES[plain].block === 1) return dtype;
  return isPacked(dtype) ? "packed:q8_0" : "q8_0";
}

/**
 * Loads a PEFT LoRA directory over a served model. @throws EngineError `adapter_mismatch` where its factors are not of this model's
 * layers or cannot be read.
 */
export function loadAdapter(
  served: ServedModel,
  base: BaseWeights,
  options: { name: string; directory: string; root: number },
): Adapter {
  const owned: DeviceBuffer[] = [];
  try {
    const { factors, scale, hash } = readFactors(options.directory);
    const touched = (name: string, shape: readonly number[]): boolean =>
      sourcesOf(name, shape).some((source) => factors.has(source));
    const { program, context } = buildInference(served.config, {
      ...served.options,
      dtypeOf: (name, shape) => {
        const { dtype } = served.run.buffer(name);
        return touched(name, shape) ? copyDtype(dtype) : dtype;
      },
    });
    const unknown = new Set(factors.keys());
    for (const [name, { shape }] of context.parameters)
      for (const source of sourcesOf(name, shape as number[])) unknown.delete(source);
    if (unknown.size > 0) throw mismatch(`the model has no linear layer ${[...unknown][0]}`);
    const merged = new Merged(base, factors, scale);
    const bindings: Record<string, DeviceBuffer> = {};
    let bytes = 0;
    for (const tensor of program.tensors) {
      const { name, kind } = tensor;
      if (kind === "temp" || tensor.viewOf) continue;
      const shape = tensor.shape as number[];
      if (kind !== "param" || context.constants.has(name) || !touched(name, shape)) {
        bindings[name] = served.run.buffer(name);
        continue;
      }
      for (const source of sourcesOf(name, shape)) checkInner(source, name, shape, factors.get(source));
      const values = loadParameter(merged, name, shape);
      const dtype = unpackedDtype(tensor.dtype);
      let buffer = served.device.buffer(
        dtype,
        shape,
        dtype === "f32" ? values : quantize(dtype.toUpperCase() as WritableType, values),
      );
      if (isPacked(tensor.dtype)) {
        const packed = served.device.pack(buffer);
        if (packed !== buffer) buffer.free();
        buffer = packed;
      }
      owned.push(buffer);
      bindings[name] = buffer;
      bytes += buffer.view().byteLength;
    }
    const run = served.device.compile(program, bindings);
    return {
      name: options.name,
      hash,
      run,
      root: options.root,
      bytes,
      users: 0,
      retired: false,
      free: () => {
        run.free();
        for (const buffer of owned) buffer.free();
      },
    };
  } catch (error) {
    for (const buffer of owned) buffer.free();
    if (error instanceof CheckpointError || (error as NodeJS.ErrnoException).code === "ENOENT")
      throw mismatch(`${options.directory} is no LoRA adapter: ${(error as Error).message}`);
    throw error;
  }
}
