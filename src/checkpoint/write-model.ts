// Writes a whole model from anything that has a checkpoint's face: as a Hugging Face directory that transformers, vLLM and SGLang
// load, or as a GGUF file that llama.cpp loads. Both appear whole or not at all.
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { temporaryName, writeTextAtomically } from "./atomic.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { ModelConfig } from "./config.ts";
import { configToJson, pythonJson } from "./config-write.ts";
import type { DType, PlainType } from "./dtype.ts";
import { blockSizes, byteCount, elementCount, isBlockType } from "./dtype.ts";
import { CheckpointError, show } from "./errors.ts";
import type { GgufEntry, GgufTensorToWrite } from "./gguf.ts";
import { writeGguf } from "./gguf.ts";
import { configToGguf, llama3Factors } from "./gguf-config.ts";
import { expertOf, ggufName, reorderedHeads, reorderRows, splitKvB } from "./gguf-names.ts";
import { vocabularyToGguf, vocabularyToTokenizerJson } from "./gguf-vocabulary.ts";
import type { WritableType } from "./quantize.ts";
import { quantize, typeForRow } from "./quantize.ts";
import { writeSafetensorsSharded } from "./safetensors.ts";
import { tensorSpecs } from "./tensors.ts";

/** What writing needs of a checkpoint; a trainer hands over arrays in memory through `modelFromArrays`. */
export type ModelSource = Pick<
  Checkpoint,
  "config" | "tensorNames" | "has" | "info" | "load" | "raw" | "tokenizer" | "chatTemplate" | "generationConfig"
>;

/** A model in memory. `tensors`: Hugging Face names, row-major values. */
export function modelFromArrays(
  config: ModelConfig,
  tensors: ReadonlyMap<string, { shape: readonly number[]; values: Float32Array }>,
  rest: Partial<Pick<ModelSource, "tokenizer" | "chatTemplate" | "generationConfig">> = {},
): ModelSource {
  const find = (name: string) => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new CheckpointError("model in memory", show(name), "is not there");
    if (tensor.values.length !== elementCount(tensor.shape))
      throw new CheckpointError(
        "model in memory",
        show(name),
        `${tensor.values.length} values do not fill [${tensor.shape}]`,
      );
    return { shape: [...tensor.shape], values: tensor.values };
  };
  return {
    config,
    tensorNames: [...tensors.keys()],
    has: (name) => tensors.has(name),
    info: (name) => ({ name, dtype: "F32", shape: find(name).shape, bytes: 4 * find(name).values.length, stored: [] }),
    load: (name) => find(name).values,
    raw: (name) => {
      const { shape, values } = find(name);
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      return { dtype: "F32", shape, bytes: bytes.byteLength, read: () => bytes };
    },
    tokenizer: rest.tokenizer ?? null,
    chatTemplate: rest.chatTemplate ?? null,
    generationConfig: rest.generationConfig ?? null,
  };
}

/** Vectors of 16 bits would change the model: selection bias, mixing weights, sinks and position tables stay in 32. */
const alwaysF32 = (name: string): boolean =>
  /e_score_correction_bias$|\.gate\.bias$|hc_(attn_|ffn_|head_)?(fn|base|scale)$|attn_sink$|\.ape$/.test(name);
const isTable = (name: string): boolean => name.endsWith(".tid2eid");

/** Bytes of a tensor in another type. The stored bytes themselves where type and layout stay. */
function convert(model: ModelSource, name: string, to: WritableType): Uint8Array {
  const { dtype } = model.info(name);
  if (dtype === to) return model.raw(name).read();
  try {
    return quantize(to, model.load(name));
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new CheckpointError("model", show(name), cause.message, { cause });
  }
}

/** The token table, whatever it is stored as, in whole numbers of 4 or 8 bytes. */
function tableBytes(model: ModelSource, name: string, bytes: 4 | 8): Uint8Array {
  const values = model.load(name);
  const out = bytes === 4 ? Int32Array.from(values) : BigInt64Array.from(values, (value) => BigInt(value));
  return new Uint8Array(out.buffer);
}

const torchNames: Record<string, string> = { F32: "float32", F16: "float16", BF16: "bfloat16" };

/**
 * Fills `directory` through `fill` on a temporary neighbour that is then renamed. Throws CheckpointError where it exists with something
 * in it and `replace` is false.
 */
export function writeDirectory(directory: string, replace: boolean, fill: (temporary: string) => void): void {
  const occupied = existsSync(directory) && readdirSync(directory).length > 0;
  if (occupied && !replace) throw new CheckpointError(directory, "directory", "is not empty; name a new one");
  mkdirSync(dirname(directory), { recursive: true });
  const temporary = temporaryName(directory);
  mkdirSync(temporary);
  try {
    fill(temporary);
    const old = temporaryName(directory);
    if (existsSync(directory)) renameSync(directory, old);
    renameSync(temporary, directory);
    rmSync(old, { recursive: true, force: true });
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

function writeTokenizer(directory: string, model: ModelSource): void {
  const source = model.tokenizer;
  if (source?.kind === "tokenizer.json") {
    copyFileSync(source.path, join(directory, "tokenizer.json"));
    if (source.configPath !== null) copyFileSync(source.configPath, join(directory, "tokenizer_config.json"));
  } else if (source?.kind === "gguf") {
    const files = vocabularyToTokenizerJson(source.vocabulary, source.path);
    if (files === null) return;
    writeTextAtomically(join(directory, "tokenizer.json"), `${JSON.stringify(files.tokenizer)}\n`);
    writeTextAtomically(join(directory, "tokenizer_config.json"), pythonJson(files.config));
  }
}

export interface WriteHuggingFaceOptions {
  /** Type of all weights. Default: the stored one, BF16 where that is a quantised type. */
  dtype?: "F32" | "F16" | "BF16";
  shardBytes?: number;
  /** Put the new directory in the place of one that is there. */
  replace?: boolean;
}

/** Writes config.json, safetensors, tokenizer, chat template and generation config into a new directory. */
export function writeHuggingFace(directory: string, model: ModelSource, options: WriteHuggingFaceOptions = {}): void {
  // A model of quantised weights becomes BF16 throughout, whatever its few plain matrices are.
  const quantised = model.tensorNames.some(
    (name) => !["F32", "F16", "BF16", "I32", "I64"].includes(model.info(name).dtype),
  );
  const typeOf = (name: string): PlainType => {
    if (isTable(name)) return "I64";
    if (alwaysF32(name)) return "F32";
    const stored = model.info(name).dtype;
    return options.dtype ?? (!quantised && (stored === "F32" || stored === "F16") ? stored : "BF16");
  };
  const main = typeOf(model.tensorNames[0] ?? "");
  // The generation of config.json that is written; without a version transformers takes large vocabularies for a broken one of
  // Mistral's and warns.
  const extra = { transformers_version: "4.57.1", ...model.config.extra };
  const config: ModelConfig = { ...model.config, extra, quantization: null, dtype: torchNames[main] ?? null };
  writeDirectory(directory, options.replace ?? false, (temporary) => {
    writeTextAtomically(join(temporary, "config.json"), pythonJson(configToJson(config)));
    if (model.generationConfig !== null)
      writeTextAtomically(join(temporary, "generation_config.json"), pythonJson(model.generationConfig));
    writeTokenizer(temporary, model);
    if (model.chatTemplate !== null) writeTextAtomically(join(temporary, "chat_template.jinja"), model.chatTemplate);
    const tensors = model.tensorNames.map((name) => {
      const dtype = typeOf(name);
      const read = () => (isTable(name) ? tableBytes(model, name, 8) : convert(model, name, dtype as WritableType));
      return { name, dtype, shape: model.info(name).shape, read };
    });
    writeSafetensorsSharded(temporary, tensors, options.shardBytes);
  });
}

/** `general.file_type` of llama.cpp for the type most weights have. */
const fileTypes: Partial<Record<DType, number>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q8_0: 7,
  Q4_K: 15,
  Q6_K: 18,
  BF16: 32,
  MXFP4: 38,
};

/** The type a tensor gets in GGUF. llama.cpp wants vectors, routers and mixing weights in F32. */
function ggufType(name: string, shape: readonly number[], stored: DType, wish: WritableType | undefined): DType {
  if (isTable(name)) return "I32";
  if (shape.length < 2 || alwaysF32(name) || /\.(mlp|ffn)\.gate\.weight$/.test(name)) return "F32";
  if (wish === undefined) {
    if (isBlockType(stored) || stored === "F32" || stored === "F16" || stored === "BF16") return stored;
    return "BF16";
  }
  // As llama-quantize: embedding and head suffer most from four bits.
  const important = wish === "Q4_K" && /^(model\.embed_tokens|lm_head|head)\.weight$/.test(name);
  return typeForRow(important ? "Q6_K" : wish, shape[shape.length - 1]);
}

/** Bytes of one tensor as GGUF keeps it: converted, its rows reordered where llama.cpp rotates pairs. */
function ggufBytes(model: ModelSource, name: string, dtype: DType): Uint8Array {
  if (dtype === "I32") return tableBytes(model, name, 4);
  const bytes = model.info(name).dtype === dtype ? model.raw(name).read() : convert(model, name, dtype as WritableType);
  const heads = reorderedHeads(name, model.config);
  if (heads === undefined) return bytes;
  const { shape } = model.info(name);
  return reorderRows(bytes, heads, shape.length === 1 ? blockSizes[dtype].bytes : bytes.byteLength / shape[0], true);
}

function kvBTensors(model: ModelSource, name: string, wish: WritableType | undefined): GgufTensorToWrite[] {
  const a = model.config.attention;
  if (a.kind !== "latent") return [];
  const { heads, kvLoraRank, qkNopeHeadDim, vHeadDim } = a;
  const stored = model.info(name).dtype;
  // Splitting transposes half of the matrix, so blocks cannot be kept; eight bits lose the least.
  const fallback: WritableType | undefined = isBlockType(stored) ? "Q8_0" : undefined;
  const halves = () => splitKvB(model.load(name), heads, qkNopeHeadDim, vHeadDim, kvLoraRank);
  const tensor = (part: "kB" | "vB", shape: number[]): GgufTensorToWrite => {
    const target = name.replace("kv_b_proj", part === "kB" ? "k_b_proj" : "v_b_proj");
    if (wish === undefined && model.has(target)) {
      const { dtype, read } = model.raw(target);
      return { name: ggufName(target)!, dtype, shape, chunks: () => [read()] };
    }
    const dtype = ggufType(target, shape, stored, wish ?? fallback) as WritableType;
    return { name: ggufName(target)!, dtype, shape, chunks: () => [quantize(dtype, halves()[part])] };
  };
  return [tensor("kB", [heads, kvLoraRank, qkNopeHeadDim]), tensor("vB", [heads, vHeadDim, kvLoraRank])];
}

function ggufTensors(model: ModelSource, wish: WritableType | undefined, path: string): GgufTensorToWrite[] {
  const { config } = model;
  const present = new Set(model.tensorNames);
  const tensors: GgufTensorToWrite[] = [];
  const v4 = config.family === "deepseek_v4";
  for (const { name, shape, part } of tensorSpecs(config, { mtp: !v4 })) {
    if (!present.has(name)) {
      if (part === "mtp") continue;
      throw new CheckpointError(path, show(name), "is missing from the model to be written");
    }
    const expert = expertOf(name);
    if (expert === undefined && name.endsWith(".self_attn.kv_b_proj.weight")) {
      tensors.push(...kvBTensors(model, name, wish));
      continue;
    }
    if (expert !== undefined && expert.expert > 0) continue;
    const target = ggufName(expert?.stacked ?? name);
    if (target === undefined) throw new CheckpointError(path, show(name), "has no place in a GGUF file");
    const dtype = ggufType(name, shape, model.info(name).dtype, wish);
    if (expert === undefined) {
      tensors.push({ name: target, dtype, shape, chunks: () => [ggufBytes(model, name, dtype)] });
      continue;
    }
    const count = config.moe!.nRoutedExperts;
    const nth = (j: number) => name.replace(".experts.0.", `.experts.${j}.`);
    tensors.push({
      name: target,
      dtype,
      shape: [count, ...shape],
      *chunks() {
        for (let j = 0; j < count; j++) yield ggufBytes(model, nth(j), dtype);
      },
    });
  }
  const scaling = config.rope.scaling;
  if (scaling?.type === "llama3") {
    const factors = llama3Factors(config.rope.theta, config.rope.dim, scaling);
    const bytes = new Uint8Array(factors.buffer);
    tensors.push({ name: "rope_freqs.weight", dtype: "F32", shape: [factors.length], chunks: () => [bytes] });
  }
  return tensors;
}

export interface WriteGgufOptions {
  /** Type of all matrices, with llama-quantize's fallbacks for rows that fill no block. Default: the stored types. */
  dtype?: WritableType;
  /** `general.name`. */
  name?: string;
}

/**
 * Writes one GGUF file. V4's prediction modules have no place in it and are left out. Throws CheckpointError where GGUF cannot say what
 * the configuration or the tokenizer says.
 */
export function writeGgufModel(path: string, model: ModelSource, options: WriteGgufOptions = {}): void {
  const tensors = ggufTensors(model, options.dtype, path);
  const modules = new Set(
    tensors
      .map(({ name }) => /^blk\.(\d+)\.nextn\.eh_proj\.weight$/.exec(name)?.[1])
      .filter((layer) => layer !== undefined),
  ).size;
  const bytesByType = new Map<DType, number>();
  for (const { dtype, shape } of tensors)
    bytesByType.set(dtype, (bytesByType.get(dtype) ?? 0) + byteCount(dtype, shape));
  const most = [...bytesByType].sort((a, b) => b[1] - a[1])[0][0];
  const metadata = new Map<string, GgufEntry>([
    ...configToGguf(model.config, options.name ?? "model", modules),
    ["general.file_type", { type: "u32", value: fileTypes[most] ?? 0 }],
    ...vocabularyToGguf(model.tokenizer, model.config, model.chatTemplate),
  ]);
  mkdirSync(dirname(path), { recursive: true });
  writeGguf(path, metadata, tensors);
}
