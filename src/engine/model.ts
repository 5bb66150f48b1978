// A model ready to serve: its program compiled over weights on a device. Weights come from a checkpoint (quantised blocks executed
// as they are, others quantised on request) or from buffers that a trainer owns. Requests are the scheduler's business.
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import { quantize, type WritableType } from "../checkpoint/quantize.ts";
import { countParameters } from "../checkpoint/tensors.ts";
import { buildInference, buildSampler, type InferenceOptions } from "../model/inference.ts";
import { buildDraft } from "../model/mtp.ts";
import type { ServingWindows } from "../model/serving-windows.ts";
import { expertNames, loadParameter } from "../model/weights.ts";
import type { Device, DeviceBuffer, Executable } from "../tensor/device.ts";
import { DTYPES, type Dtype, isPacked, unpackedDtype } from "../tensor/dtype.ts";
import type { NativeDevice } from "../tensor/native.ts";
import type { CacheDtype } from "../tensor/ops/cache.ts";
import type { Tensor } from "../tensor/program.ts";
import { PackedWeights } from "./packed.ts";

export interface ModelOptions {
  /** Most tokens per sequence; default: the model's, at most 8,192. */
  context?: number;
  /** Tokens that the cache holds, over all sequences; default: 4 × context. */
  cacheTokens?: number;
  cacheDtype?: CacheDtype;
  /** Most rows per run; default 512. */
  maxRows?: number;
  /** Most sequences at once; default 64. */
  maxSequences?: number;
  /**
   * Whether weights that a trainer owns are kept a second time, packed for decoding: up to twice as fast, with the same bits, renewed by
   * `absorb` when they have changed. Default true.
   */
  packed?: boolean;
  /** How float weights are held: as float32 or as stored where that is faster ("f32", the default), or quantised at load. */
  weights?: "f32" | "q8_0" | "q4_0";
  /** Load the model's prediction module too, where the checkpoint has one: what mtp-drafter.ts guesses with. Default false. */
  draft?: boolean;
}

const PAGE_SIZE = 16;
/** Alternatives that the sampler reports; requests ask for at most so many. */
export const ALTERNATIVES = 20;

/** Weights that are held as float32: router, norms, hyper-connections, biases. */
const isSensitive = (name: string, shape: readonly number[]): boolean =>
  shape.length < 2 || /\.gate\.weight$|norm|hc_|ape$|sink|indexer\.weights_proj/.test(name);

type Plain = keyof typeof DTYPES;

/**
 * The checkpoint's tensors that hold exactly this parameter, in order, and their common type: one, or all experts of a stack.
 * undefined where it must be put together from something else, or is of a type that no kernel reads.
 */
function storedForm(
  checkpoint: Checkpoint,
  name: string,
  shape: readonly number[],
): { dtype: Plain; names: string[] } | undefined {
  const names = checkpoint.has(name) ? [name] : shape.length === 3 ? expertNames(name, shape[0]) : undefined;
  if (!names?.every((part) => checkpoint.has(part))) return undefined;
  const dtype = checkpoint.info(names[0]).dtype.toLowerCase();
  if (!(dtype in DTYPES) || names.some((part) => checkpoint.info(part).dtype.toLowerCase() !== dtype)) return undefined;
  return { dtype: dtype as Plain, names };
}

/** Weights that take more than this do not stay in the processor's caches from token to token. */
const LARGE_BYTES = 64 * 2 ** 20;

const FLOATS: readonly string[] = ["f32", "f16", "bf16"];
const fits = (dtype: Plain, shape: readonly number[]): boolean => shape[shape.length - 1] % DTYPES[dtype].block === 0;

/** Storage type of a weight: block-quantised ones as stored where the row fits, others as asked. */
function storageOf(
  checkpoint: Checkpoint,
  name: string,
  shape: readonly number[],
  weights: "f32" | "q8_0" | "q4_0",
  large: boolean,
): Dtype {
  if (isSensitive(name, shape)) return "f32";
  const stored = storedForm(checkpoint, name, shape)?.dtype;
  if (name === "model.embed_tokens.weight") {
    // Never quantised here, and its rows are read where they lie; as the head too, it is multiplied by and wants to be packed.
    const table = stored && (FLOATS.includes(stored) || DTYPES[stored].block > 1) ? stored : "f32";
    return checkpoint.config.tieWordEmbeddings ? `packed:${table}` : table;
  }
  if (stored && DTYPES[stored].block > 1 && fits(stored, shape)) return `packed:${stored}`;
  if (weights !== "f32" && fits(weights, shape)) return `packed:${weights}`;
  // Sixteen bits halve what decoding reads from memory; what stays in the processor's caches is faster as float32.
  return large && stored && FLOATS.includes(stored) ? `packed:${stored}` : "packed:f32";
}

/** What a device that works on memory of this process can do beside the rest. */
const inPlace = (device: Device): device is NativeDevice => device.name === "native";

/** Stored bytes as what a device takes: its elements where it counts in elements, the bytes themselves else. */
function elementsOf(dtype: Dtype, bytes: Uint8Array): Float32Array | Int32Array | Uint8Array {
  if (dtype !== "f32" && dtype !== "i32") return bytes;
  const own = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const [buffer, count] = [own.buffer as ArrayBuffer, own.byteLength / 4];
  return dtype === "f32"
    ? new Float32Array(buffer, own.byteOffset, count)
    : new Int32Array(buffer, own.byteOffset, count);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** A buffer of these values, where they lie if the device can use them there. */
function bufferOf(
  device: Device,
  dtype: Dtype,
  shape: number[],
  values: Float32Array | Int32Array | Uint8Array,
): DeviceBuffer {
  // loadParameter gives floats for i32 tensors too; those must be converted.
  const same = values instanceof Int32Array === (dtype === "i32");
  if (!inPlace(device) || !same) return device.buffer(dtype, shape, values);
  return device.wrap(dtype, shape, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}

/** A buffer with this parameter's values, in the dtype the program wants. Stored bytes are used where they lie. */
function loadWeight(device: Device, checkpoint: Checkpoint, tensor: Tensor): DeviceBuffer {
  const shape = tensor.shape as number[];
  const dtype = unpackedDtype(tensor.dtype);
  const packing = isPacked(tensor.dtype);
  const form = storedForm(checkpoint, tensor.name, shape);
  let plain: DeviceBuffer;
  if (form?.dtype === dtype) {
    const parts = form.names.map((name) => checkpoint.raw(name).read());
    plain = bufferOf(device, dtype, shape, elementsOf(dtype, parts.length === 1 ? parts[0] : joined(parts)));
  } else {
    const values = loadParameter(checkpoint, tensor.name, shape);
    const counted = dtype === "f32" || dtype === "i32";
    plain = bufferOf(device, dtype, shape, counted ? values : quantize(dtype.toUpperCase() as WritableType, values));
  }
  if (!packing) return plain;
  const packed = device.pack(plain);
  if (packed !== plain) plain.free();
  return packed;
}

const SAMPLER_BUFFERS = ["logits", "parameters", "counters", "mask", "tokens", "logp"];

const RELEASE_BYTES = 64 * 2 ** 20;

/** A program and its sampler over weights, caches and page table, with the sizes the scheduler must respect. */
export class ServedModel {
  readonly config: ModelConfig;
  readonly options: InferenceOptions;
  readonly run: Executable;
  readonly sampler: Executable;
  /** The sampler without alternatives, whose search costs more than the choice: over the same buffers, with the same choice. */
  readonly choiceOnly: Executable;
  /** The program of the prediction module over the same pages; undefined without one. */
  readonly draft: Executable | undefined;
  readonly device: Device;
  readonly weightBytes: number;
  readonly moeLayers: number[];
  /** V4's compressed windows, by tokens per entry; none elsewhere. */
  readonly windows: ReadonlyMap<number, ServingWindows>;
  /** Names of the states that hold the pages: each has the same number of rows per page for all pages. */
  readonly caches: string[];
  private readonly owned: DeviceBuffer[] = [];
  /** Names of a trainer's weights that are kept packed. */
  private readonly copied: string[] = [];

  constructor(
    device: Device,
    config: ModelConfig,
    source: { checkpoint: Checkpoint; release?: () => void } | { parameters: Record<string, DeviceBuffer> },
    given: ModelOptions = {},
  ) {
    this.device = device;
    this.config = config;
    const round = (tokens: number): number => Math.max(PAGE_SIZE, Math.ceil(tokens / PAGE_SIZE) * PAGE_SIZE);
    const context = round(given.context ?? Math.min(config.maxPositionEmbeddings, 8192));
    const maxSequences = given.maxSequences ?? 64;
    const { weights = "f32" } = given;
    const large = 4 * countParameters(config).total > LARGE_BYTES;
    const drafts =
      given.draft === true &&
      "checkpoint" in source &&
      source.checkpoint.has(`model.layers.${config.numHiddenLayers}.eh_proj.weight`);
    this.options = {
      hidden: drafts,
      maxRows: given.maxRows ?? 512,
      maxSampled: maxSequences,
      maxSequences,
      maxPositions: context,
      pageSize: PAGE_SIZE,
      pages: round(given.cacheTokens ?? 4 * context) / PAGE_SIZE,
      cacheDtype: given.cacheDtype ?? "f32",
      dtypeOf:
        "checkpoint" in source
          ? (name, shape) => storageOf(source.checkpoint, name, shape, weights, large)
          : (name, shape) => ((given.packed ?? true) && !isSensitive(name, shape) ? "packed:f32" : "f32"),
    };
    const { program, context: model } = buildInference(config, this.options);
    const bindings: Record<string, DeviceBuffer> = {};
    let bytes = 0;
    let released = 0;
    const packed =
      "checkpoint" in source && inPlace(device)
        ? PackedWeights.open(device, source.checkpoint, model.parameters.values())
        : undefined;
    for (const [name, tensor] of model.parameters) {
      const constant = model.constants.get(name);
      let buffer: DeviceBuffer;
      if (constant) buffer = device.buffer("f32", tensor.shape as number[], constant);
      else if ("checkpoint" in source) {
        const kept = packed?.take(tensor);
        buffer = kept ?? loadWeight(device, source.checkpoint, tensor);
        if (!kept && isPacked(buffer.dtype)) packed?.keep(tensor, buffer);
      } else {
        const shared = source.parameters[name];
        const plain = shared ?? device.buffer("f32", tensor.shape as number[]);
        bindings[name] = isPacked(tensor.dtype) ? device.pack(plain) : plain;
        if (bindings[name] !== shared) this.owned.push(bindings[name]);
        if (shared && bindings[name] !== shared) this.copied.push(name);
        if (!shared && bindings[name] !== plain) plain.free();
        continue;
      }
      this.owned.push(buffer);
      bindings[name] = buffer;
      bytes += buffer.view().byteLength;
      // What was read of mapped files need not stay in memory beside its packed form.
      if ("checkpoint" in source && bytes - released > RELEASE_BYTES) {
        source.release?.();
        released = bytes;
      }
    }
    packed?.finish();
    this.run = device.compile(program, bindings);
    if (drafts) {
      const draft = buildDraft(config, this.options);
      const own: Record<string, DeviceBuffer> = { pageTable: this.run.buffer("pageTable") };
      for (const [name, tensor] of draft.context.parameters) {
        own[name] = bindings[name] ?? loadWeight(device, source.checkpoint, tensor);
        if (name in bindings) continue;
        this.owned.push(own[name]);
        bytes += own[name].view().byteLength;
      }
      this.draft = device.compile(draft.program, own);
    }
    if ("checkpoint" in source) source.release?.();
    this.weightBytes = bytes;
    this.windows = model.cache?.windows ?? new Map();
    this.caches = program.tensors
      .filter(({ kind, viewOf, name }) => kind === "state" && !viewOf && name.startsWith("cache."))
      .map(({ name }) => name);
    this.moeLayers = model.routes.map(({ layer }) => layer);
    this.sampler = device.compile(buildSampler(config.vocabSize, maxSequences, ALTERNATIVES), {
      logits: this.run.buffer("logits"),
    });
    this.choiceOnly = device.compile(
      buildSampler(config.vocabSize, maxSequences, 0),
      Object.fromEntries(SAMPLER_BUFFERS.map((name) => [name, this.sampler.buffer(name)])),
    );
    if ("parameters" in source) this.absorb(source.parameters);
  }

  /** Recomputes what is derived from shared weights (MLA's split kv_b_proj, packed forms) after they have changed. */
  absorb(parameters: Record<string, DeviceBuffer>): void {
    const source = {
      has: (name: string) => name in parameters,
      load: (name: string) => parameters[name].view() as Float32Array,
    };
    for (const tensor of this.derived()) {
      const values = loadParameter(source, tensor.name, tensor.shape as number[]);
      const bound = this.run.buffer(tensor.name);
      if (isPacked(bound.dtype)) this.repack(this.device.buffer("f32", tensor.shape, values), bound, true);
      else (bound.view() as Float32Array).set(values);
    }
    for (const name of this.copied) this.repack(parameters[name], this.run.buffer(name));
  }

  /** `plain` once more into its packed form. */
  private repack(plain: DeviceBuffer, bound: DeviceBuffer, free = false): void {
    const packed = this.device.pack(plain);
    (bound.view() as Uint8Array).set(packed.view() as Uint8Array);
    if (packed !== plain) packed.free();
    if (free) plain.free();
  }

  private derived(): { name: string; shape: readonly number[] }[] {
    const a = this.config.attention;
    if (a.kind !== "latent") return [];
    return this.config.layerTypes.flatMap((_, layer) => {
      const at = `model.layers.${layer}.self_attn`;
      return [
        { name: `${at}.k_b_proj.weight`, shape: [a.heads, a.kvLoraRank, a.qkNopeHeadDim] },
        { name: `${at}.v_b_proj.weight`, shape: [a.heads, a.vHeadDim, a.kvLoraRank] },
      ];
    });
  }

  /** Bytes of cache per token, all layers. */
  get cacheBytesPerToken(): number {
    let bytes = 0;
    for (const name of this.caches) bytes += this.run.buffer(name).view().byteLength;
    return bytes / (this.options.pages * this.options.pageSize);
  }

  get parameters(): { total: number; active: number } {
    return countParameters(this.config);
  }

  free(): void {
    this.draft?.free();
    this.run.free();
    this.choiceOnly.free();
    this.sampler.free();
    for (const buffer of this.owned) buffer.free();
  }
}
