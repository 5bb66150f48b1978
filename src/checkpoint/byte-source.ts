// Bytes of a file by position, without reading the file whole. Formats read through this; a memory map can take its place.
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { CheckpointError } from "./errors.ts";

export interface ByteSource {
  /** For error messages. */
  readonly name: string;
  readonly size: number;
  /** The bytes [offset, offset + length); may be a view of shared memory, so treat it as read-only. Throws CheckpointError past the end. */
  read(offset: number, length: number): Uint8Array;
  /** Fills `target` from `offset` on. Throws CheckpointError past the end. */
  readInto(offset: number, target: Uint8Array): void;
  close(): void;
}

function checkRange(source: ByteSource, offset: number, length: number): void {
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0)
    throw new CheckpointError(source.name, "read", `impossible range ${offset}+${length}`);
  if (offset + length > source.size)
    throw new CheckpointError(
      source.name,
      "read",
      `bytes ${offset} to ${offset + length} asked for, the file ends at ${source.size}; it is truncated`,
    );
}

/** How a file becomes a source: `openFile`, or a memory map where the device offers one. */
export type OpenSource = (path: string) => ByteSource;

/** Positional reads of an open file. */
export class FileSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  #descriptor: number | null;

  constructor(path: string) {
    this.name = path;
    try {
      this.#descriptor = openSync(path, "r");
    } catch (cause) {
      throw new CheckpointError(path, "file", `cannot be opened (${(cause as NodeJS.ErrnoException).code})`, { cause });
    }
    const status = fstatSync(this.#descriptor);
    if (!status.isFile()) {
      this.close();
      throw new CheckpointError(path, "file", "is not a regular file");
    }
    this.size = status.size;
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    const bytes = new Uint8Array(length);
    this.readInto(offset, bytes);
    return bytes;
  }

  readInto(offset: number, target: Uint8Array): void {
    checkRange(this, offset, target.byteLength);
    if (this.#descriptor === null) throw new CheckpointError(this.name, "file", "was closed already");
    let done = 0;
    while (done < target.byteLength) {
      // One read call moves at most 2 GiB on Linux; 1 GiB pieces stay clear of it.
      const piece = Math.min(target.byteLength - done, 2 ** 30);
      const count = readSync(this.#descriptor, target, done, piece, offset + done);
      if (count === 0) throw new CheckpointError(this.name, "read", `ended at byte ${offset + done} while being read`);
      done += count;
    }
  }

  close(): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    this.#descriptor = null;
  }
}

/** Bytes already in memory (tests, embedded vocabularies, browser uploads). */
export class MemorySource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #bytes: Uint8Array;

  constructor(name: string, bytes: Uint8Array) {
    this.name = name;
    this.size = bytes.byteLength;
    this.#bytes = bytes;
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    return this.#bytes.subarray(offset, offset + length);
  }

  readInto(offset: number, target: Uint8Array): void {
    target.set(this.read(offset, target.byteLength));
  }

  close(): void {}
}

/** The default way to open a file. */
export const openFile: OpenSource = (path) => new FileSource(path);
