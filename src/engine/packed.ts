// Packed weights on disk: what a large model's weights became when they were rearranged for the machine, so that the next start maps
// that file instead of reading and rearranging again. Files lie in `packed/` of WEIR_HOME (~/.weir), are made once per model and
// never more than fit a limit; WEIR_PACKED=off does without, WEIR_PACKED_LEAST sets the
// bytes from which on a model gets one. A file whose table, length or samples
// are not what they should be is ignored and replaced; its gigabytes are not read for a checksum, which would cost what the file saves.
import { createHash } from "node:crypto";
import {
  closeSync,
  fsync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { sweepTemporaries, temporaryName } from "../checkpoint/atomic.ts";
import { MemorySource, openFile } from "../checkpoint/byte-source.ts";
import type { Checkpoint, Stretch } from "../checkpoint/checkpoint.ts";
import type { DeviceBuffer } from "../tensor/device.ts";
import { DTYPES, type Dtype, isPacked, unpackedDtype } from "../tensor/dtype.ts";
import { mapFile, type NativeDevice } from "../tensor/native.ts";
import type { Tensor } from "../tensor/program.ts";
import { hashSample } from "./weights-hash.ts";

/** Smaller models are packed faster than anyone notices. */
const LEAST_BYTES = 256 * 2 ** 20;
/** All files together. */
const MOST_BYTES = 32 * 2 ** 30;
const ALIGNMENT = 4096;
const MAGIC = "weirpac2";
const SUFFIX = ".weights";
/** Length of the table, its SHA-256, the magic word. */
const TAIL = 48;
/** Blocks of each tensor that are compared before the file is used. */
const SAMPLED_BLOCKS = 2;

interface Entry {
  name: string;
  dtype: Dtype;
  shape: number[];
  offset: number;
  bytes: number;
  /** Of SAMPLED_BLOCKS of its bytes. */
  sample: string;
}

function sampleOf(stretch: Stretch): string {
  const hash = createHash("sha256");
  hashSample(hash, stretch, SAMPLED_BLOCKS);
  return hash.digest("hex");
}

const folder = (): string => join(process.env.WEIR_HOME ?? join(homedir(), ".weir"), "packed");

/** What one small matrix of a type becomes: tells layouts apart without anyone having to count versions. */
function layoutOf(device: NativeDevice, dtype: keyof typeof DTYPES): Uint8Array {
  const { block, bytes } = DTYPES[dtype];
  const data = Uint8Array.from({ length: ((24 * 512) / block) * bytes }, (_, i) => (i * 131 + (i >> 7)) & 255);
  const plain = device.buffer(dtype, [24, 512], dtype === "f32" ? new Float32Array(data.buffer) : data);
  const packed = device.pack(plain);
  const view = packed.view();
  const seen = new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
  packed.free();
  plain.free();
  return seen;
}

function keyOf(device: NativeDevice, checkpoint: Checkpoint, tensors: readonly Tensor[]): string {
  const hash = createHash("sha256");
  for (const file of checkpoint.files) {
    const { size, mtimeMs, ino } = statSync(file);
    hash.update(`${file} ${size} ${mtimeMs} ${ino}\n`);
  }
  for (const { name, dtype, shape } of tensors) hash.update(`${name} ${dtype} ${shape}\n`);
  for (const dtype of new Set(tensors.map((tensor) => unpackedDtype(tensor.dtype))))
    hash.update(layoutOf(device, dtype));
  return hash.digest("hex").slice(0, 32);
}

/** The entries of a finished file, undefined where it is none or damaged. */
function entriesOf(path: string): Entry[] | undefined {
  const source = openFile(path);
  try {
    const at = source.size - TAIL;
    const tail = Buffer.from(source.read(at, TAIL));
    const length = Number(tail.readBigUInt64LE());
    if (tail.toString("latin1", TAIL - MAGIC.length) !== MAGIC) return undefined;
    const table = source.read(at - length, length);
    if (!createHash("sha256").update(table).digest().equals(tail.subarray(8, 40))) return undefined;
    const entries = JSON.parse(new TextDecoder().decode(table)) as Entry[];
    return entries.every((entry) => sampleOf({ source, ...entry }) === entry.sample) ? entries : undefined;
  } catch {
    return undefined; // ends too early for what it says of itself
  } finally {
    source.close();
  }
}

/** Removes the files that were not used for longest until `bytes` more fit, and what writers that were stopped have left. */
function makeRoom(bytes: number): boolean {
  mkdirSync(folder(), { recursive: true });
  sweepTemporaries(folder());
  const kept = readdirSync(folder()).flatMap((name) => {
    if (!name.endsWith(SUFFIX)) return [];
    const path = join(folder(), name);
    const { size, mtimeMs } = statSync(path);
    return [{ path, size, mtimeMs }];
  });
  kept.sort((a, b) => a.mtimeMs - b.mtimeMs);
  let held = kept.reduce((sum, { size }) => sum + size, 0);
  for (const { path, size } of kept) {
    if (held + bytes <= MOST_BYTES) break;
    rmSync(path, { force: true });
    held -= size;
  }
  const { bavail, bsize } = statfsSync(folder());
  return held + bytes <= MOST_BYTES && bavail * bsize > 3 * bytes;
}

/** The packed weights of one model: read from their file where there is one, else written to a new one as they are made. */
export class PackedWeights {
  private readonly device: NativeDevice;
  private readonly path: string;
  private readonly file: Uint8Array | undefined;
  private readonly entries = new Map<string, Entry>();
  private readonly temporary: string;
  private descriptor: number | undefined;
  private position = 0;

  /** undefined where the model is small, the disk is full or WEIR_PACKED says off. */
  static open(device: NativeDevice, checkpoint: Checkpoint, parameters: Iterable<Tensor>): PackedWeights | undefined {
    const tensors = [...parameters].filter(({ dtype }) => isPacked(dtype));
    const bytes = tensors.reduce((sum, { dtype, shape }) => {
      const { block, bytes } = DTYPES[unpackedDtype(dtype)];
      return sum + ((shape as number[]).reduce((product, d) => product * d, 1) / block) * bytes;
    }, 0);
    const least = Number(process.env.WEIR_PACKED_LEAST ?? LEAST_BYTES);
    if (process.env.WEIR_PACKED === "off" || bytes < least) return undefined;
    try {
      return new PackedWeights(device, join(folder(), `${keyOf(device, checkpoint, tensors)}${SUFFIX}`), bytes);
    } catch {
      return undefined; // a folder that cannot be written to: weights are packed at every start
    }
  }

  private constructor(device: NativeDevice, path: string, bytes: number) {
    this.device = device;
    this.path = path;
    this.temporary = temporaryName(path);
    let entries: Entry[] | undefined;
    try {
      entries = entriesOf(path);
      this.file = mapFile(path);
      const now = new Date();
      utimesSync(path, now, now);
    } catch {
      // There is none yet.
    }
    if (entries) for (const entry of entries) this.entries.set(entry.name, entry);
    else if (makeRoom(1.1 * bytes)) this.descriptor = openSync(this.temporary, "wx");
  }

  /** The tensor as it lies in the file, undefined where it must be packed. */
  take({ name, dtype, shape }: Tensor): DeviceBuffer | undefined {
    const entry = this.entries.get(name);
    if (!this.file || !entry || entry.dtype !== dtype || `${entry.shape}` !== `${shape}`) return undefined;
    try {
      return this.device.wrap(dtype, shape as number[], this.file.subarray(entry.offset, entry.offset + entry.bytes));
    } catch {
      return undefined;
    }
  }

  /** Writes what was packed. A disk that is full ends the writing, not the loading. */
  keep({ name, dtype, shape }: Tensor, buffer: DeviceBuffer): void {
    if (this.descriptor === undefined) return;
    const view = buffer.view();
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    this.entries.set(name, {
      name,
      dtype,
      shape: [...(shape as number[])],
      offset: this.position,
      bytes: bytes.length,
      sample: sampleOf({ source: new MemorySource(name, bytes), offset: 0, bytes: bytes.length }),
    });
    this.write(bytes);
    this.write(new Uint8Array((ALIGNMENT - (bytes.length % ALIGNMENT)) % ALIGNMENT));
  }

  private write(bytes: Uint8Array): void {
    try {
      for (let done = 0; done < bytes.length && this.descriptor !== undefined; )
        done += writeSync(this.descriptor, bytes, done, Math.min(bytes.length - done, 2 ** 30));
      this.position += bytes.length;
    } catch {
      this.abandon();
    }
  }

  private abandon(): void {
    if (this.descriptor === undefined) return;
    closeSync(this.descriptor);
    this.descriptor = undefined;
    rmSync(this.temporary, { force: true });
  }

  /** All are written: the file gets its name once the disk has it, without anyone waiting. */
  finish(): void {
    if (this.descriptor === undefined) return;
    const table = new TextEncoder().encode(JSON.stringify([...this.entries.values()]));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(table.length));
    this.write(table);
    this.write(Buffer.concat([length, createHash("sha256").update(table).digest(), Buffer.from(MAGIC)]));
    const { descriptor } = this;
    if (descriptor === undefined) return;
    fsync(descriptor, (error) => {
      if (error) return this.abandon();
      closeSync(descriptor);
      this.descriptor = undefined;
      renameSync(this.temporary, this.path);
    });
  }
}
