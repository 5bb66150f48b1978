// GGUF files, version 2 and 3, single and split: metadata and tensor positions with every claim checked, and writing. Names and
// meanings are gguf-names.ts's and gguf-config.ts's business. Format: ggml's gguf.h and docs/gguf.md.
import { existsSync } from "node:fs";
import { writeAtomically } from "./atomic.ts";
import type { ByteSource, OpenSource } from "./byte-source.ts";
import { openFile } from "./byte-source.ts";
import type { DType } from "./dtype.ts";
import { blockSizes, byteCount } from "./dtype.ts";
import { CheckpointError, show } from "./errors.ts";

/** ids of ggml's types that Weir reads. */
export const ggmlTypes: ReadonlyMap<number, DType> = new Map<number, DType>([
  [0, "F32"],
  [1, "F16"],
  [2, "Q4_0"],
  [3, "Q4_1"],
  [6, "Q5_0"],
  [7, "Q5_1"],
  [8, "Q8_0"],
  [10, "Q2_K"],
  [11, "Q3_K"],
  [12, "Q4_K"],
  [13, "Q5_K"],
  [14, "Q6_K"],
  [20, "IQ4_NL"],
  [23, "IQ4_XS"],
  [24, "I8"],
  [25, "I16"],
  [26, "I32"],
  [27, "I64"],
  [28, "F64"],
  [30, "BF16"],
  [39, "MXFP4"],
]);
const ggmlIds = new Map([...ggmlTypes].map(([id, dtype]) => [dtype, id]));

/** Names of types that exist but that Weir does not read, for the message. */
const otherTypes: Record<number, string> = {
  9: "Q8_1",
  15: "Q8_K",
  16: "IQ2_XXS",
  17: "IQ2_XS",
  18: "IQ3_XXS",
  19: "IQ1_S",
  21: "IQ3_S",
  22: "IQ2_S",
  29: "IQ1_M",
  34: "TQ1_0",
  35: "TQ2_0",
  40: "NVFP4",
};

const valueTypes = [
  "u8",
  "i8",
  "u16",
  "i16",
  "u32",
  "i32",
  "f32",
  "bool",
  "string",
  "array",
  "u64",
  "i64",
  "f64",
] as const;
export type GgufType = (typeof valueTypes)[number];
type ScalarType = Exclude<GgufType, "string" | "array">;

const scalarBytes: Record<ScalarType, number> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  bool: 1,
  u64: 8,
  i64: 8,
  f64: 8,
};

/** One metadata value. 64-bit integers are numbers where exact, else bigints. Arrays hold `elementType`. */
export type GgufEntry =
  | { type: Exclude<GgufType, "array">; value: number | bigint | boolean | string }
  | { type: "array"; elementType: Exclude<GgufType, "array">; value: (number | bigint | boolean | string)[] };

export interface GgufTensor {
  name: string;
  dtype: DType;
  /** Slowest dimension first, as in Hugging Face: the reverse of the file's order. */
  shape: number[];
  source: ByteSource;
  /** Absolute position. */
  offset: number;
  bytes: number;
}

export interface GgufHeader {
  version: number;
  metadata: Map<string, GgufEntry>;
  tensors: Map<string, GgufTensor>;
  alignment: number;
}

const longestString = 64 * 2 ** 20;
const longestName = 256;

/** Reads little-endian values in order through a window, so that a header costs few system calls. */
class Cursor {
  readonly source: ByteSource;
  position = 0;
  #window: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #start = 0;
  readonly #text = new TextDecoder();

  constructor(source: ByteSource) {
    this.source = source;
  }

  fail(field: string, problem: string): never {
    throw new CheckpointError(this.source.name, field, problem);
  }

  /** Makes `count` bytes at the position available; returns their offset in the window. */
  #need(count: number, field: string): number {
    if (count > this.source.size - this.position)
      this.fail(field, `the file ends at byte ${this.source.size}, before this is complete`);
    let at = this.position - this.#start;
    if (at + count > this.#window.byteLength) {
      this.#start = this.position;
      this.#window = this.source.read(
        this.position,
        Math.min(Math.max(count, 2 ** 18), this.source.size - this.position),
      );
      this.#view = new DataView(this.#window.buffer, this.#window.byteOffset, this.#window.byteLength);
      at = 0;
    }
    this.position += count;
    return at;
  }

  scalar(type: ScalarType, field: string): number | bigint | boolean {
    const at = this.#need(scalarBytes[type], field);
    const view = this.#view;
    switch (type) {
      case "u8":
        return view.getUint8(at);
      case "i8":
        return view.getInt8(at);
      case "u16":
        return view.getUint16(at, true);
      case "i16":
        return view.getInt16(at, true);
      case "u32":
        return view.getUint32(at, true);
      case "i32":
        return view.getInt32(at, true);
      case "f32":
        return view.getFloat32(at, true);
      case "bool":
        return view.getUint8(at) !== 0;
      case "f64":
        return view.getFloat64(at, true);
      default: {
        const value = type === "u64" ? view.getBigUint64(at, true) : view.getBigInt64(at, true);
        return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
          ? Number(value)
          : value;
      }
    }
  }

  /** A u64 or u32 that must be a count of at most `most`. */
  count(type: "u32" | "u64", most: number, field: string): number {
    const value = this.scalar(type, field);
    if (typeof value !== "number" || value > most) this.fail(field, `${value} is more than the ${most} that can be`);
    return value;
  }

  string(most: number, field: string): string {
    const length = this.count("u64", Math.min(most, this.source.size - this.position), `${field} length`);
    const at = this.#need(length, field);
    return this.#text.decode(this.#window.subarray(at, at + length));
  }

  valueType(field: string): GgufType {
    const id = this.scalar("i32", field) as number;
    return valueTypes[id] ?? this.fail(field, `value type ${id} does not exist`);
  }
}

function readEntry(cursor: Cursor, key: string): GgufEntry {
  const type = cursor.valueType(key);
  if (type === "string") return { type, value: cursor.string(longestString, key) };
  if (type !== "array") return { type, value: cursor.scalar(type, key) };
  const elementType = cursor.valueType(`${key} element type`);
  if (elementType === "array") return cursor.fail(key, "is a list of lists, which GGUF does not have");
  const least = elementType === "string" ? 8 : scalarBytes[elementType];
  const count = cursor.count("u64", Math.floor((cursor.source.size - cursor.position) / least), `${key} count`);
  const value: (number | bigint | boolean | string)[] = [];
  for (let i = 0; i < count; i++)
    value.push(elementType === "string" ? cursor.string(longestString, key) : cursor.scalar(elementType, key));
  return { type, elementType, value };
}

function readTensorInfo(cursor: Cursor): { name: string; dtype: DType; shape: number[]; offset: number } {
  const name = cursor.string(longestName, "tensor name");
  const dimensions = cursor.count("u32", 4, `${show(name)} dimensions`);
  const shape: number[] = [];
  for (let i = 0; i < dimensions; i++) shape.unshift(cursor.count("u64", 2 ** 48, `${show(name)} size`));
  const id = cursor.scalar("u32", `${show(name)} type`) as number;
  const dtype =
    ggmlTypes.get(id) ??
    cursor.fail(
      `${show(name)} type`,
      `${id}${otherTypes[id] ? ` (${otherTypes[id]})` : ""} is not among the types Weir reads; convert the model from another file`,
    );
  if (!Number.isSafeInteger(byteCount(dtype, shape)))
    cursor.fail(`${show(name)} shape`, `[${shape}] does not fit blocks of ${blockSizes[dtype].elements} (${dtype})`);
  return { name, dtype, shape, offset: cursor.count("u64", Number.MAX_SAFE_INTEGER, `${show(name)} offset`) };
}

/** Reads and checks the header of one file. Throws CheckpointError for anything impossible, in time bounded by the file's size. */
export function readGgufHeader(source: ByteSource): GgufHeader {
  const cursor = new Cursor(source);
  if ((cursor.scalar("u32", "magic") as number) !== 0x46554747) cursor.fail("magic", "this is no GGUF file");
  const version = cursor.scalar("u32", "version") as number;
  if (version !== 2 && version !== 3)
    cursor.fail(
      "version",
      version > 0xffff ? "the file is big-endian; convert it again as little-endian" : `${version} is neither 2 nor 3`,
    );
  // The smallest tensor record takes 24 bytes, the smallest key 13.
  const tensorCount = cursor.count("u64", Math.floor(source.size / 24), "tensor count");
  const keyCount = cursor.count("u64", Math.floor(source.size / 13), "key count");
  const metadata = new Map<string, GgufEntry>();
  for (let i = 0; i < keyCount; i++) {
    const key = cursor.string(65_535, "key");
    if (metadata.has(key)) cursor.fail(show(key), "occurs twice");
    metadata.set(key, readEntry(cursor, show(key)));
  }
  const alignmentEntry = metadata.get("general.alignment");
  const alignment = alignmentEntry === undefined ? 32 : Number(alignmentEntry.value);
  if (!(alignment >= 1 && alignment <= 2 ** 24 && Number.isInteger(Math.log2(alignment))))
    cursor.fail("general.alignment", `${show(alignmentEntry?.value)} is no power of two`);
  const infos = Array.from({ length: tensorCount }, () => readTensorInfo(cursor));
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  const tensors = new Map<string, GgufTensor>();
  for (const { name, dtype, shape, offset } of infos) {
    const bytes = byteCount(dtype, shape);
    if (tensors.has(name)) cursor.fail(show(name), "occurs twice");
    if (offset % alignment !== 0) cursor.fail(`${show(name)} offset`, `${offset} is not a multiple of ${alignment}`);
    if (dataStart + offset + bytes > source.size)
      cursor.fail(
        show(name),
        `ends at byte ${dataStart + offset + bytes} of a file of ${source.size}; it is truncated`,
      );
    tensors.set(name, { name, dtype, shape, source, offset: dataStart + offset, bytes });
  }
  let end = 0;
  for (const tensor of [...tensors.values()].sort((a, b) => a.offset - b.offset || a.bytes - b.bytes)) {
    if (tensor.bytes > 0 && tensor.offset < end) cursor.fail(show(tensor.name), "overlaps another tensor");
    end = Math.max(end, tensor.offset + tensor.bytes);
  }
  return { version, metadata, tensors, alignment };
}

export interface GgufSet extends GgufHeader {
  files: string[];
  close(): void;
}

const splitName = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/;

/** Opens a file and, where its name says it is one of several, all of them; metadata is the first one's. */
export function openGguf(path: string, open: OpenSource = openFile): GgufSet {
  const match = splitName.exec(path);
  const count = match === null ? 1 : Number(match[3]);
  const name = (i: number) =>
    match === null ? path : `${match[1]}-${String(i + 1).padStart(5, "0")}-of-${match[3]}.gguf`;
  const sources: ByteSource[] = [];
  const close = () => {
    for (const source of sources) source.close();
  };
  try {
    let first: GgufHeader | undefined;
    const tensors = new Map<string, GgufTensor>();
    for (let i = 0; i < count; i++) {
      if (!existsSync(name(i)))
        throw new CheckpointError(name(i), "file", `is missing; the model is split in ${count}`);
      const source = open(name(i));
      sources.push(source);
      const header = readGgufHeader(source);
      const said = header.metadata.get("split.count")?.value ?? 1;
      if (said !== count && !(said === 0 && count === 1))
        throw new CheckpointError(name(i), "split.count", `is ${show(said)}, the file's name says ${count}`);
      const position = header.metadata.get("split.no")?.value ?? 0;
      if (position !== i)
        throw new CheckpointError(name(i), "split.no", `is ${show(position)}, the file's name says ${i}`);
      first ??= header;
      for (const [key, tensor] of header.tensors) {
        if (tensors.has(key)) throw new CheckpointError(name(i), show(key), "occurs in two of the files");
        tensors.set(key, tensor);
      }
    }
    const total = first!.metadata.get("split.tensors.count")?.value;
    if (count > 1 && total !== undefined && total !== tensors.size)
      throw new CheckpointError(path, "split.tensors.count", `is ${show(total)}, the files hold ${tensors.size}`);
    return { ...first!, tensors, files: sources.map((source) => source.name), close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Collects little-endian values. */
class Builder {
  #bytes = new Uint8Array(2 ** 16);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  #room(count: number): number {
    if (this.#length + count > this.#bytes.byteLength) {
      const grown = new Uint8Array(Math.max(2 * this.#bytes.byteLength, this.#length + count));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    const at = this.#length;
    this.#length += count;
    return at;
  }

  scalar(type: ScalarType, value: number | bigint | boolean): void {
    const at = this.#room(scalarBytes[type]);
    const view = this.#view;
    if (type === "u64") view.setBigUint64(at, BigInt(value), true);
    else if (type === "i64") view.setBigInt64(at, BigInt(value), true);
    else if (type === "f32") view.setFloat32(at, Number(value), true);
    else if (type === "f64") view.setFloat64(at, Number(value), true);
    else if (scalarBytes[type] === 4) view.setUint32(at, Number(value), true);
    else if (scalarBytes[type] === 2) view.setUint16(at, Number(value), true);
    else view.setUint8(at, Number(value));
  }

  string(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.scalar("u64", bytes.byteLength);
    const at = this.#room(bytes.byteLength);
    this.#bytes.set(bytes, at);
  }

  entry(entry: GgufEntry): void {
    this.scalar("i32", valueTypes.indexOf(entry.type));
    const put = (type: Exclude<GgufType, "array">, value: number | bigint | boolean | string) => {
      if (type === "string") this.string(String(value));
      else this.scalar(type, value as number | bigint | boolean);
    };
    if (entry.type !== "array") {
      put(entry.type, entry.value);
      return;
    }
    this.scalar("i32", valueTypes.indexOf(entry.elementType));
    this.scalar("u64", entry.value.length);
    for (const value of entry.value) put(entry.elementType, value);
  }

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

export interface GgufTensorToWrite {
  name: string;
  dtype: DType;
  /** Slowest dimension first. */
  shape: readonly number[];
  /** The bytes in pieces; called once, when its turn comes. */
  chunks(): Iterable<Uint8Array>;
}

/** Writes a version 3 file, atomically. `general.alignment` in the metadata is obeyed. */
export function writeGguf(
  path: string,
  metadata: ReadonlyMap<string, GgufEntry>,
  tensors: readonly GgufTensorToWrite[],
): void {
  const alignment = Number(metadata.get("general.alignment")?.value ?? 32);
  const header = new Builder();
  header.scalar("u32", 0x46554747);
  header.scalar("u32", 3);
  header.scalar("u64", tensors.length);
  header.scalar("u64", metadata.size);
  for (const [key, entry] of metadata) {
    header.string(key);
    header.entry(entry);
  }
  let offset = 0;
  for (const { name, dtype, shape } of tensors) {
    const id = ggmlIds.get(dtype);
    const bytes = byteCount(dtype, shape);
    if (id === undefined) throw new CheckpointError(path, show(name), `GGUF has no type ${dtype}`);
    if (!Number.isSafeInteger(bytes) || shape.length > 4)
      throw new CheckpointError(path, show(name), `shape [${shape}] does not fit ${dtype} in GGUF`);
    if (new TextEncoder().encode(name).length > 63)
      throw new CheckpointError(path, show(name), "is longer than the 63 bytes GGUF readers take");
    header.string(name);
    header.scalar("u32", shape.length);
    for (let i = shape.length - 1; i >= 0; i--) header.scalar("u64", shape[i]);
    header.scalar("u32", id);
    header.scalar("u64", offset);
    offset = Math.ceil((offset + bytes) / alignment) * alignment;
  }
  writeAtomically(path, (file) => {
    file.write(header.bytes);
    file.pad(alignment);
    for (const tensor of tensors) {
      const start = file.position;
      for (const bytes of tensor.chunks()) file.write(bytes);
      const written = file.position - start;
      if (written !== byteCount(tensor.dtype, tensor.shape))
        throw new CheckpointError(path, show(tensor.name), `${written} bytes do not fill [${tensor.shape}]`);
      file.pad(alignment);
    }
  });
}
