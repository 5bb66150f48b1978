// Safetensors files, single and sharded: reading headers with every claim checked, reading tensors by position, writing. What the
// tensors mean (scales, names) is model-directory.ts's business. Format: the safetensors description (u64 header length, JSON
// header, data); limits as in its reference implementation.
import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { AtomicFile } from "./atomic.ts";
import { writeAtomically, writeTextAtomically } from "./atomic.ts";
import type { ByteSource, OpenSource } from "./byte-source.ts";
import { FileSource, openFile } from "./byte-source.ts";
import { parseJson } from "./config.ts";
import type { PlainType } from "./dtype.ts";
import { byteCount, isBlockType, isDType } from "./dtype.ts";
import { CheckpointError, show } from "./errors.ts";

export interface StoredTensor {
  name: string;
  dtype: PlainType;
  shape: number[];
  source: ByteSource;
  /** Absolute position of the first byte. */
  offset: number;
  bytes: number;
}

export interface SafetensorsHeader {
  tensors: Map<string, StoredTensor>;
  metadata: Record<string, string>;
}

/** The reference implementation refuses larger headers too. */
const largestHeader = 100_000_000;
const mostDimensions = 16;

function readEntry(source: ByteSource, name: string, value: unknown, dataStart: number): StoredTensor {
  const fail = (part: string, problem: string): never => {
    throw new CheckpointError(source.name, `${show(name)}${part}`, problem);
  };
  if (typeof value !== "object" || value === null || Array.isArray(value)) return fail("", "must be a JSON object");
  const { dtype, shape, data_offsets } = value as Record<string, unknown>;
  if (typeof dtype !== "string" || !isDType(dtype) || isBlockType(dtype))
    return fail(".dtype", `${show(dtype)} is no type Weir reads`);
  if (!Array.isArray(shape) || shape.length > mostDimensions || !shape.every((n) => Number.isSafeInteger(n) && n >= 0))
    return fail(".shape", "must be a short list of non-negative whole numbers");
  const bytes = byteCount(dtype, shape);
  if (!Number.isSafeInteger(bytes))
    return fail(".shape", `[${shape.join(", ")}] has more elements than can be counted`);
  if (!Array.isArray(data_offsets) || data_offsets.length !== 2 || !data_offsets.every((n) => Number.isSafeInteger(n)))
    return fail(".data_offsets", "must be two whole numbers");
  const [begin, end] = data_offsets as number[];
  if (begin < 0 || end < begin || dataStart + end > source.size)
    return fail(".data_offsets", `[${begin}, ${end}] leaves the ${source.size - dataStart} bytes of data`);
  if (end - begin !== bytes)
    return fail(".data_offsets", `spans ${end - begin} bytes; ${dtype} [${shape.join(", ")}] takes ${bytes}`);
  return { name, dtype: dtype as PlainType, shape, source, offset: dataStart + begin, bytes };
}

/** Reads and checks a header. Throws CheckpointError for anything that is not exactly a safetensors file. */
export function readSafetensorsHeader(source: ByteSource): SafetensorsHeader {
  if (source.size < 8)
    throw new CheckpointError(source.name, "header length", `the file has only ${source.size} bytes`);
  const first = source.read(0, 8);
  const length = Number(new DataView(first.buffer, first.byteOffset, 8).getBigUint64(0, true));
  if (length > Math.min(largestHeader, source.size - 8))
    throw new CheckpointError(
      source.name,
      "header length",
      `${length} bytes are claimed, the file has ${source.size} (at most ${largestHeader} are allowed)`,
    );
  const text = new TextDecoder().decode(source.read(8, length));
  const json = parseJson(text, source.name);
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new CheckpointError(source.name, "header", "must be a JSON object");
  const tensors = new Map<string, StoredTensor>();
  const metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(json)) {
    if (name === "__metadata__") {
      if (typeof value !== "object" || value === null)
        throw new CheckpointError(source.name, name, "must be an object");
      for (const [key, entry] of Object.entries(value)) if (typeof entry === "string") metadata[key] = entry;
    } else tensors.set(name, readEntry(source, name, value, 8 + length));
  }
  let position = 8 + length;
  for (const tensor of [...tensors.values()].sort((a, b) => a.offset - b.offset || a.bytes - b.bytes)) {
    if (tensor.offset !== position)
      throw new CheckpointError(
        source.name,
        `${show(tensor.name)}.data_offsets`,
        tensor.offset < position
          ? "overlaps another tensor"
          : `leaves ${tensor.offset - position} bytes unused before it`,
      );
    position += tensor.bytes;
  }
  if (position !== source.size)
    throw new CheckpointError(
      source.name,
      "data",
      `${source.size - position} bytes after the last tensor belong to none`,
    );
  return { tensors, metadata };
}

/** One file or the shards of an index, as one set of tensors. */
export interface SafetensorsSet extends SafetensorsHeader {
  files: string[];
  close(): void;
}

function openShards(indexPath: string, open: OpenSource): SafetensorsSet {
  const source = new FileSource(indexPath);
  let text: string;
  try {
    if (source.size > largestHeader) throw new CheckpointError(indexPath, "index", `has ${source.size} bytes`);
    text = new TextDecoder().decode(source.read(0, source.size));
  } finally {
    source.close();
  }
  const json = parseJson(text, indexPath) as { weight_map?: unknown } | null;
  const map = typeof json === "object" && json !== null ? json.weight_map : undefined;
  if (typeof map !== "object" || map === null || Array.isArray(map))
    throw new CheckpointError(indexPath, "weight_map", "must be a JSON object of tensor names and file names");
  const shards = new Map<string, SafetensorsHeader>();
  const sources: ByteSource[] = [];
  const close = () => {
    for (const shard of sources) shard.close();
  };
  try {
    const tensors = new Map<string, StoredTensor>();
    for (const [name, file] of Object.entries(map)) {
      if (typeof file !== "string" || !/^[\w][\w.-]*\.safetensors$/.test(file) || file.length > 255)
        throw new CheckpointError(
          indexPath,
          `weight_map.${show(name)}`,
          `${show(file)} is no plain name of a .safetensors file beside the index`,
        );
      let shard = shards.get(file);
      if (shard === undefined) {
        const opened = open(join(dirname(indexPath), file));
        sources.push(opened);
        shard = readSafetensorsHeader(opened);
        shards.set(file, shard);
      }
      const tensor = shard.tensors.get(name);
      if (tensor === undefined)
        throw new CheckpointError(indexPath, `weight_map.${show(name)}`, `${file} does not hold this tensor`);
      tensors.set(name, tensor);
    }
    return { tensors, metadata: {}, files: sources.map((shard) => shard.name), close };
  } catch (error) {
    close();
    throw error;
  }
}

/**
 * Opens a safetensors file of any name, a model.safetensors.index.json, or the one of both that a directory holds. Only headers are
 * read.
 */
export function openSafetensors(path: string, open: OpenSource = openFile): SafetensorsSet {
  if (path.endsWith(".json")) return openShards(path, open);
  if (path.endsWith(".safetensors") || statSync(path, { throwIfNoEntry: false })?.isFile()) {
    const source = open(path);
    try {
      return { ...readSafetensorsHeader(source), files: [path], close: () => source.close() };
    } catch (error) {
      source.close();
      throw error;
    }
  }
  for (const name of ["model.safetensors", "model.safetensors.index.json"])
    if (existsSync(join(path, name))) return openSafetensors(join(path, name), open);
  const others = existsSync(path) ? readdirSync(path).filter((name) => /\.(safetensors|bin|pt)$/.test(name)) : [];
  throw new CheckpointError(
    path,
    "model.safetensors",
    others.length === 0
      ? "is missing, and so is model.safetensors.index.json"
      : `and its index are missing; ${show(others[0])} alone cannot be opened`,
  );
}

/** The bytes of a tensor. */
export const readTensor = (tensor: StoredTensor): Uint8Array => tensor.source.read(tensor.offset, tensor.bytes);

/** A tensor about to be written; `read` is called once, when its turn comes. */
export interface TensorToWrite {
  name: string;
  dtype: PlainType;
  shape: readonly number[];
  read(): Uint8Array;
}

const elementBytes = (tensor: TensorToWrite): number => byteCount(tensor.dtype, [1]);

/** Writes one file, atomically. Throws CheckpointError where a tensor's bytes do not fit its shape. */
export function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata: Record<string, string> = { format: "pt" },
): void {
  // Wide types first, as the reference implementation writes them: every tensor is then aligned to its element.
  const ordered = [...tensors].sort((a, b) => elementBytes(b) - elementBytes(a));
  const header: Record<string, unknown> = { __metadata__: metadata };
  let position = 0;
  for (const { name, dtype, shape } of ordered) {
    if (Object.hasOwn(header, name)) throw new CheckpointError(path, show(name), "is written twice");
    const end = position + byteCount(dtype, shape);
    header[name] = { dtype, shape, data_offsets: [position, end] };
    position = end;
  }
  const json = JSON.stringify(header);
  const encoded = new TextEncoder().encode(json);
  const padded = new Uint8Array(Math.ceil(encoded.length / 8) * 8).fill(0x20);
  padded.set(encoded);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(padded.length), true);
  writeAtomically(path, (file) => {
    file.write(length);
    file.write(padded);
    for (const tensor of ordered) writeTensor(file, path, tensor);
  });
}

function writeTensor(file: AtomicFile, path: string, tensor: TensorToWrite): void {
  const bytes = tensor.read();
  if (bytes.byteLength !== byteCount(tensor.dtype, tensor.shape))
    throw new CheckpointError(
      path,
      show(tensor.name),
      `${bytes.byteLength} bytes do not fill ${tensor.dtype} [${tensor.shape.join(", ")}]`,
    );
  file.write(bytes);
}

/**
 * Writes model.safetensors, or shards of at most `shardBytes` with their index, into `directory`; returns the names of the files.
 * The index comes last, so a directory that has one is whole.
 */
export function writeSafetensorsSharded(
  directory: string,
  tensors: readonly TensorToWrite[],
  shardBytes = 5_000_000_000,
): string[] {
  const shards: TensorToWrite[][] = [[]];
  let size = 0;
  let total = 0;
  for (const tensor of tensors) {
    const bytes = byteCount(tensor.dtype, tensor.shape);
    if (size > 0 && size + bytes > shardBytes) {
      shards.push([]);
      size = 0;
    }
    shards[shards.length - 1].push(tensor);
    size += bytes;
    total += bytes;
  }
  if (shards.length === 1) {
    writeSafetensors(join(directory, "model.safetensors"), tensors);
    return ["model.safetensors"];
  }
  const number = (n: number) => String(n).padStart(5, "0");
  const map: Record<string, string> = {};
  const files = shards.map((shard, i) => {
    const file = `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    writeSafetensors(join(directory, file), shard);
    for (const { name } of shard) map[name] = file;
    return file;
  });
  const index = { metadata: { total_size: total }, weight_map: map };
  writeTextAtomically(join(directory, "model.safetensors.index.json"), `${JSON.stringify(index, null, 2)}\n`);
  return [...files, "model.safetensors.index.json"];
}
