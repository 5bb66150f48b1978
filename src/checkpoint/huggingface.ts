// Opens a Hugging Face model directory: config.json, safetensors, and the small files beside them. Scales are folded into the
// tensors they belong to, and V4's released names become the ones transformers writes.
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { OpenSource } from "./byte-source.ts";
import { openFile } from "./byte-source.ts";
import type { BlockScales, Checkpoint, RawTensor, TensorInfo, TokenizerSource } from "./checkpoint.ts";
import type { ModelConfig } from "./config.ts";
import { parseConfigText, parseJson } from "./config.ts";
import { elementCount } from "./dtype.ts";
import { CheckpointError, show } from "./errors.ts";
import { dequantize } from "./quants.ts";
import type { StoredTensor } from "./safetensors.ts";
import { openSafetensors, readTensor } from "./safetensors.ts";
import { dequantizeFp8, findBlocks, packMxfp4 } from "./scaled.ts";

const largestText = 64 * 2 ** 20;

/** A small text file of the directory; null where absent. */
function readText(directory: string, name: string): string | null {
  const path = join(directory, name);
  if (!existsSync(path)) return null;
  const { size } = statSync(path);
  if (size > largestText) throw new CheckpointError(path, "file", `has ${size} bytes; no such file is that large`);
  return readFileSync(path, "utf8");
}

/** An object-valued JSON file; null where absent. */
function readObject(directory: string, name: string): Record<string, unknown> | null {
  const text = readText(directory, name);
  if (text === null) return null;
  const json = parseJson(text, join(directory, name));
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new CheckpointError(join(directory, name), "content", "must be a JSON object");
  return json as Record<string, unknown>;
}

/** chat_template.jinja, or the template in tokenizer_config.json (the one named "default" of several). */
function readTemplate(directory: string): string | null {
  const file = readText(directory, "chat_template.jinja");
  if (file !== null) return file;
  const template = readObject(directory, "tokenizer_config.json")?.chat_template;
  if (typeof template === "string") return template;
  if (!Array.isArray(template)) return null;
  const named = template.find((entry) => entry?.name === "default") ?? template[0];
  return typeof named?.template === "string" ? named.template : null;
}

/** Released V4 names in transformers' spelling; all other names stay. */
function canonicalName(name: string): string {
  if (name === "embed.weight") return "model.embed_tokens.weight";
  if (name === "norm.weight") return "model.norm.weight";
  if (name.startsWith("hc_head_")) return `model.hc_head.hc_${name.slice(8)}`;
  if (/^(layers|mtp)\.\d+\./.test(name)) {
    const renamed = name.replace(".attn.kv_norm.", ".attn.norm.");
    return renamed.startsWith("layers.") ? `model.${renamed}` : renamed;
  }
  return name;
}

interface Entry {
  tensor: StoredTensor;
  kind: "plain" | "fp8" | "fp4";
  scale: StoredTensor | null;
  /** Block size of FP8 scales. */
  block: [number, number] | null;
  /** Logical shape. */
  shape: number[];
}

/** Where a tensor's scales may be: V3 appends `_scale_inv`, V4 replaces `.weight` by `.scale`. */
const scaleNames = (name: string): string[] => [
  `${name}_scale_inv`,
  ...(name.endsWith(".weight") ? [`${name.slice(0, -7)}.scale`] : []),
];

function pairWithScale(tensor: StoredTensor, scale: StoredTensor | undefined, config: ModelConfig): Entry {
  const { dtype, shape, source, name } = tensor;
  if (scale === undefined) return { tensor, kind: "plain", scale: null, block: null, shape };
  const misfit = (): never => {
    throw new CheckpointError(
      source.name,
      show(scale.name),
      `${scale.dtype} [${scale.shape}] cannot be the scales of ${show(name)}, ${dtype} [${shape}]`,
    );
  };
  if (dtype === "F8_E4M3" || dtype === "F8_E5M2") {
    const block = findBlocks(shape, scale.shape, config.quantization?.weightBlockSize ?? null);
    return block === undefined ? misfit() : { tensor, kind: "fp8", scale, block, shape };
  }
  if (dtype === "I8" || dtype === "U8") {
    const [rows, half] = shape;
    const fits =
      shape.length === 2 &&
      (scale.dtype === "F8_E8M0" || scale.dtype === "U8") &&
      scale.shape.length === 2 &&
      scale.shape[0] === rows &&
      scale.shape[1] * 16 === half;
    return fits ? { tensor, kind: "fp4", scale, block: null, shape: [rows, 2 * half] } : misfit();
  }
  return misfit();
}

function collect(tensors: Map<string, StoredTensor>, config: ModelConfig): Map<string, Entry> {
  const scales = new Map<string, StoredTensor>();
  for (const name of tensors.keys())
    for (const scaleName of scaleNames(name)) {
      const scale = tensors.get(scaleName);
      if (scale !== undefined) scales.set(name, scale);
    }
  const used = new Set([...scales.values()].map((scale) => scale.name));
  const entries = new Map<string, Entry>();
  for (const [name, tensor] of tensors) {
    if (used.has(name)) continue;
    const canonical = canonicalName(name);
    if (entries.has(canonical))
      throw new CheckpointError(tensor.source.name, show(name), `is ${canonical} a second time`);
    entries.set(canonical, pairWithScale(tensor, scales.get(name), config));
  }
  return entries;
}

function readScales(entry: Entry): BlockScales {
  const scale = entry.scale!;
  const values = new Float32Array(elementCount(scale.shape));
  dequantize(scale.dtype, readTensor(scale), values);
  return { rows: entry.block![0], columns: entry.block![1], values };
}

/** Layers in numerical order, whatever the order of the file. */
const collator = new Intl.Collator("en", { numeric: true });

/** Opens a directory that holds config.json and safetensors. Only headers and small files are read. */
export function openHuggingFace(directory: string, open: OpenSource = openFile): Checkpoint {
  const configText = readText(directory, "config.json");
  if (configText === null)
    throw new CheckpointError(directory, "config.json", "is missing; a model directory has one beside its safetensors");
  const config = parseConfigText(configText, join(directory, "config.json"));
  const generationConfig = readObject(directory, "generation_config.json");
  const chatTemplate = readTemplate(directory);
  const set = openSafetensors(directory, open);
  let entries: Map<string, Entry>;
  try {
    entries = collect(set.tensors, config);
  } catch (error) {
    set.close();
    throw error;
  }
  const find = (name: string): Entry => {
    const entry = entries.get(name);
    if (entry === undefined) throw new CheckpointError(directory, show(name), "is not in this checkpoint");
    return entry;
  };
  const tokenizerPath = join(directory, "tokenizer.json");
  const configPath = join(directory, "tokenizer_config.json");
  const tokenizer: TokenizerSource = existsSync(tokenizerPath)
    ? { kind: "tokenizer.json", path: tokenizerPath, configPath: existsSync(configPath) ? configPath : null }
    : null;

  const info = (name: string): TensorInfo => {
    const { tensor, scale, shape, kind } = find(name);
    const dtype = kind === "fp4" ? "MXFP4" : tensor.dtype;
    const stored = scale ? [tensor, scale] : [tensor];
    return { name, dtype, shape: [...shape], bytes: tensor.bytes + (scale?.bytes ?? 0), stored };
  };
  const raw = (name: string): RawTensor => {
    const entry = find(name);
    const { tensor, shape } = entry;
    if (entry.kind === "fp4") {
      const bytes = entry.scale!.bytes * 17;
      const read = () => packMxfp4(readTensor(tensor), readTensor(entry.scale!));
      return { dtype: "MXFP4", shape: [...shape], bytes, read };
    }
    const plain: RawTensor = {
      dtype: tensor.dtype,
      shape: [...shape],
      bytes: tensor.bytes,
      read: () => readTensor(tensor),
    };
    return entry.kind === "fp8" ? { ...plain, scales: readScales(entry) } : plain;
  };
  const loadInto = (name: string, target: Float32Array): void => {
    const entry = find(name);
    const { tensor, shape } = entry;
    if (target.length !== elementCount(shape))
      throw new RangeError(`${name} has ${elementCount(shape)} elements, the target ${target.length}`);
    if (entry.kind === "plain" && tensor.dtype === "F32")
      tensor.source.readInto(tensor.offset, new Uint8Array(target.buffer, target.byteOffset, target.byteLength));
    else if (entry.kind === "plain") dequantize(tensor.dtype, readTensor(tensor), target);
    else if (entry.kind === "fp4") dequantize("MXFP4", raw(name).read(), target);
    else if (tensor.dtype === "F8_E4M3" || tensor.dtype === "F8_E5M2")
      dequantizeFp8(tensor.dtype, readTensor(tensor), shape, readScales(entry), target);
  };
  return {
    kind: "huggingface",
    path: directory,
    files: set.files,
    config,
    tensorNames: [...entries.keys()].sort(collator.compare),
    has: (name) => entries.has(name),
    info,
    load(name) {
      const target = new Float32Array(elementCount(find(name).shape));
      loadInto(name, target);
      return target;
    },
    loadInto,
    raw,
    tokenizer,
    chatTemplate,
    generationConfig,
    close: () => set.close(),
  };
}
