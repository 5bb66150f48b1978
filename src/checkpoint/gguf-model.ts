// Opens GGUF files as a checkpoint: Hugging Face's names, shapes and row orders over GGUF's stacked experts, split kv_b and
// reordered rows. Quantised blocks stay reachable as they are.
import type { OpenSource } from "./byte-source.ts";
import { openFile } from "./byte-source.ts";
import type { Checkpoint, RawTensor, Stretch, TensorInfo } from "./checkpoint.ts";
import type { LatentAttention, ModelConfig } from "./config.ts";
import { blockSizes, byteCount, elementCount } from "./dtype.ts";
import { CheckpointError, show } from "./errors.ts";
import type { GgufSet, GgufTensor } from "./gguf.ts";
import { openGguf } from "./gguf.ts";
import { configFromGguf } from "./gguf-config.ts";
import { expertOf, ggufName, joinKvB, reorderedHeads, reorderRows } from "./gguf-names.ts";
import { dequantize } from "./quants.ts";
import { tensorSpecs } from "./tensors.ts";

/** How a Hugging Face tensor lies in the file: part of one tensor (rows perhaps reordered), or kv_b's two halves. */
type Placement =
  | { kind: "part"; tensor: GgufTensor; offset: number; shape: number[]; heads: number | undefined }
  | { kind: "kv_b"; kB: GgufTensor; vB: GgufTensor; attention: LatentAttention; shape: number[] };

const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((n, i) => n === b[i]);

function part(tensor: GgufTensor, shape: readonly number[], first = 0, heads?: number): Placement {
  const offset = tensor.offset + first * byteCount(tensor.dtype, shape);
  return { kind: "part", tensor, offset, shape: [...shape], heads };
}

/** Places one tensor that the configuration implies; undefined where the file lacks it. */
function place(set: GgufSet, config: ModelConfig, name: string, shape: number[]): Placement | undefined {
  const misfit = (tensor: GgufTensor): never => {
    throw new CheckpointError(
      tensor.source.name,
      show(tensor.name),
      `has shape [${tensor.shape}]; for ${name} the metadata implies [${shape}]`,
    );
  };
  const expert = expertOf(name);
  if (expert !== undefined) {
    const stackedName = ggufName(expert.stacked);
    const stacked = stackedName === undefined ? undefined : set.tensors.get(stackedName);
    if (stacked !== undefined) {
      if (!sameShape(stacked.shape, [config.moe!.nRoutedExperts, ...shape])) return misfit(stacked);
      return part(stacked, shape, expert.expert);
    }
    return placeFused(set, config, expert, shape, misfit);
  }
  const translated = ggufName(name);
  if (translated === undefined) return undefined;
  const tensor = set.tensors.get(translated);
  if (tensor !== undefined) {
    // Vectors of one element and [1, n] matrices may come with their leading ones dropped.
    const squeezed = (dims: readonly number[]) => dims.filter((n) => n !== 1);
    if (!sameShape(squeezed(tensor.shape), squeezed(shape))) return misfit(tensor);
    return part(tensor, shape, 0, reorderedHeads(name, config));
  }
  const a = config.attention;
  if (!name.endsWith(".self_attn.kv_b_proj.weight") || a.kind !== "latent") return undefined;
  const kB = set.tensors.get(translated.replace("attn_kv_b", "attn_k_b"));
  const vB = set.tensors.get(translated.replace("attn_kv_b", "attn_v_b"));
  if (kB === undefined || vB === undefined) return undefined;
  if (!sameShape(kB.shape, [a.heads, a.kvLoraRank, a.qkNopeHeadDim])) return misfit(kB);
  if (!sameShape(vB.shape, [a.heads, a.vHeadDim, a.kvLoraRank])) return misfit(vB);
  return { kind: "kv_b", kB, vB, attention: a, shape };
}

/** Some files stack gate and up of each expert in one tensor, gate first. */
function placeFused(
  set: GgufSet,
  config: ModelConfig,
  { stacked, expert }: { stacked: string; expert: number },
  shape: number[],
  misfit: (tensor: GgufTensor) => never,
): Placement | undefined {
  const which = /\.(gate_proj|w1)\.weight$/.test(stacked) ? 0 : /\.(up_proj|w3)\.weight$/.test(stacked) ? 1 : undefined;
  const fused = set.tensors.get(`blk.${/^model\.layers\.(\d+)/.exec(stacked)![1]}.ffn_gate_up_exps.weight`);
  if (which === undefined || fused === undefined) return undefined;
  if (!sameShape(fused.shape, [config.moe!.nRoutedExperts, 2 * shape[0], shape[1]])) return misfit(fused);
  return part(fused, shape, 2 * expert + which);
}

/** Raw-only names: stacked experts and the halves of kv_b. */
function placeRaw(set: GgufSet, name: string): Placement | undefined {
  if (!/\.experts\.(gate_proj|up_proj|down_proj|w1|w2|w3)\.weight$|\.self_attn\.[kv]_b_proj\.weight$/.test(name))
    return undefined;
  const translated = ggufName(name);
  const tensor = translated === undefined ? undefined : set.tensors.get(translated);
  return tensor === undefined ? undefined : part(tensor, tensor.shape);
}

const stretchesOf = (p: Placement): readonly Stretch[] =>
  p.kind === "part"
    ? [{ source: p.tensor.source, offset: p.offset, bytes: byteCount(p.tensor.dtype, p.shape) }]
    : [p.kB, p.vB];

function readTensor(tensor: GgufTensor): Float32Array {
  const out = new Float32Array(elementCount(tensor.shape));
  dequantize(tensor.dtype, tensor.source.read(tensor.offset, tensor.bytes), out);
  return out;
}

function readPart(p: Extract<Placement, { kind: "part" }>): Uint8Array {
  const bytes = p.tensor.source.read(p.offset, byteCount(p.tensor.dtype, p.shape));
  if (p.heads === undefined) return bytes;
  const rowBytes = p.shape.length === 1 ? blockSizes[p.tensor.dtype].bytes : bytes.byteLength / p.shape[0];
  return reorderRows(bytes, p.heads, rowBytes, false);
}

function loadPlacement(p: Placement, target: Float32Array): void {
  if (p.kind === "part") {
    dequantize(p.tensor.dtype, readPart(p), target);
    return;
  }
  const a = p.attention;
  joinKvB(readTensor(p.kB), readTensor(p.vB), a.heads, a.qkNopeHeadDim, a.vHeadDim, a.kvLoraRank, target);
}

/** The stored form; kv_b in the split layout has none under its old name, so its values come as F32. */
function rawPlacement(p: Placement): RawTensor {
  if (p.kind === "kv_b") {
    const read = () => {
      const values = new Float32Array(elementCount(p.shape));
      loadPlacement(p, values);
      return new Uint8Array(values.buffer);
    };
    return { dtype: "F32", shape: [...p.shape], bytes: 4 * elementCount(p.shape), read };
  }
  return {
    dtype: p.tensor.dtype,
    shape: [...p.shape],
    bytes: byteCount(p.tensor.dtype, p.shape),
    read: () => readPart(p),
  };
}

/** Opens a GGUF file, all parts of a split one. Only headers are read. */
export function openGgufModel(path: string, open: OpenSource = openFile): Checkpoint {
  const set = openGguf(path, open);
  try {
    return ggufCheckpoint(set, path);
  } catch (error) {
    set.close();
    throw error;
  }
}

/** The checkpoint that opened files are; closes them with itself. */
export function ggufCheckpoint(set: GgufSet, path: string): Checkpoint {
  const config = configFromGguf(set, path);
  const placements = new Map<string, Placement>();
  for (const { name, shape } of tensorSpecs(config, { mtp: true })) {
    const placement = place(set, config, name, shape);
    if (placement !== undefined) placements.set(name, placement);
  }
  const find = (name: string): Placement => {
    const placement = placements.get(name) ?? placeRaw(set, name);
    if (placement === undefined) throw new CheckpointError(path, show(name), "is not in this checkpoint");
    return placement;
  };
  const loadInto = (name: string, target: Float32Array): void => {
    const placement = find(name);
    if (target.length !== elementCount(placement.shape))
      throw new RangeError(`${name} has ${elementCount(placement.shape)} elements, the target ${target.length}`);
    loadPlacement(placement, target);
  };
  const info = (name: string): TensorInfo => {
    const p = find(name);
    // kv_b put together from its halves has no stored form of its own; its values are F32 (see rawPlacement).
    const dtype = p.kind === "part" ? p.tensor.dtype : "F32";
    const stored = stretchesOf(p);
    return { name, dtype, shape: [...p.shape], bytes: stored.reduce((sum, { bytes }) => sum + bytes, 0), stored };
  };
  const vocabulary = new Map<string, unknown>();
  for (const [key, entry] of set.metadata) if (key.startsWith("tokenizer.")) vocabulary.set(key, entry.value);
  const template = set.metadata.get("tokenizer.chat_template")?.value;
  return {
    kind: "gguf",
    path,
    files: set.files,
    config,
    tensorNames: [...placements.keys()],
    has: (name) => placements.has(name) || placeRaw(set, name) !== undefined,
    info,
    load(name) {
      const target = new Float32Array(elementCount(find(name).shape));
      loadInto(name, target);
      return target;
    },
    loadInto,
    raw: (name) => rawPlacement(find(name)),
    tokenizer: vocabulary.has("tokenizer.ggml.tokens") ? { kind: "gguf", path, vocabulary } : null,
    chatTemplate: typeof template === "string" ? template : null,
    generationConfig: null,
    close: () => set.close(),
  };
}
