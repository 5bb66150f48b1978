// The disk tier of the prefix cache: key/value pages in blocks of tokens, one file each, found by the hash of everything that decides
// their content: the weights, the machine's kernels, the tokens from the beginning. A file is used only when its length, key and
// checksum are right; any other is deleted. When to read and write is the scheduler's decision.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from "node:fs";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { sweepTemporaries, temporaryName } from "../checkpoint/atomic.ts";
import type { ServedModel } from "./model.ts";

export interface DiskCacheOptions {
  /** Made if absent; may be shared by models and processes. */
  directory: string;
  /** Most bytes of all files together; the longest unused go first. Default 4 GiB. */
  maxBytes?: number;
}

/** Pages per file. */
export const BLOCK_PAGES = 4;
const MAGIC = Buffer.from("WEIRKV1\n");
const SUFFIX = ".kv";
/** Bytes that may wait to be written; beyond them blocks are not saved. */
const MOST_PENDING = 256 << 20;

const digest = (...parts: (string | Uint8Array)[]): Buffer => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

export class DiskCache {
  /** Blocks used, files refused because they were not what they should be, and blocks that could not be written. */
  loaded = 0;
  discarded = 0;
  failedWrites = 0;
  private readonly model: ServedModel;
  private readonly directory: string;
  private readonly maxBytes: number;
  /** The key before the first block. */
  private readonly identity: Buffer;
  /** Bytes of every file by key, the longest unused first. */
  private readonly files = new Map<string, number>();
  private bytes = 0;
  private readonly pending = new Map<string, Promise<void>>();
  private pendingBytes = 0;

  /** `identity` names all that the pages' content depends on besides tokens. Throws where the directory cannot be made or read. */
  constructor(model: ServedModel, identity: string, { directory, maxBytes = 4 * 2 ** 30 }: DiskCacheOptions) {
    this.model = model;
    this.directory = directory;
    this.maxBytes = maxBytes;
    this.identity = digest(identity, JSON.stringify(model.caches.map((name) => [name, this.pageBytes(name)])));
    mkdirSync(directory, { recursive: true });
    this.scan();
  }

  /** What lies in the directory, by time of use. */
  private scan(): void {
    this.files.clear();
    this.bytes = 0;
    sweepTemporaries(this.directory);
    const found: { key: string; bytes: number; used: number }[] = [];
    for (const name of readdirSync(this.directory)) {
      if (!name.endsWith(SUFFIX)) continue;
      try {
        const { size, mtimeMs } = statSync(join(this.directory, name));
        found.push({ key: name.slice(0, -SUFFIX.length), bytes: size, used: mtimeMs });
      } catch {
        // Deleted meanwhile by another process.
      }
    }
    found.sort((a, b) => a.used - b.used);
    for (const { key, bytes } of found) {
      this.files.set(key, bytes);
      this.bytes += bytes;
    }
    this.trim();
  }

  private trim(): void {
    for (const [key] of this.files) {
      if (this.bytes <= this.maxBytes) return;
      this.remove(key);
    }
  }

  private remove(key: string): void {
    this.bytes -= this.files.get(key) ?? 0;
    this.files.delete(key);
    rmSync(this.path(key), { force: true });
  }

  private path(key: string): string {
    return join(this.directory, key + SUFFIX);
  }

  private pageBytes(name: string): number {
    return this.model.run.buffer(name).view().byteLength / this.model.options.pages;
  }

  /** The bytes of a page in every cache, in place. */
  private *parts(page: number): Generator<Uint8Array> {
    for (const name of this.model.caches) {
      const view = this.model.run.buffer(name).view();
      const bytes = view.byteLength / this.model.options.pages;
      yield new Uint8Array(view.buffer, view.byteOffset + page * bytes, bytes);
    }
  }

  /** Keys of the whole blocks of `tokens`, each naming everything from the beginning. `variant` tells adapters apart. */
  keys(tokens: Int32Array, variant = ""): string[] {
    const span = BLOCK_PAGES * this.model.options.pageSize;
    const keys: string[] = [];
    let key = digest(this.identity, variant);
    for (let at = 0; at + span <= tokens.length; at += span) {
      const part = tokens.subarray(at, at + span);
      key = digest(key, new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
      keys.push(key.toString("hex"));
    }
    return keys;
  }

  has(key: string): boolean {
    return this.files.has(key);
  }

  /** The block's bytes, undefined where it is not there or not intact. */
  load(key: string): Uint8Array | undefined {
    if (!this.files.has(key)) return undefined;
    let file: Buffer;
    try {
      file = readFileSync(this.path(key));
    } catch {
      this.remove(key);
      return undefined;
    }
    const payload = this.contentOf(key, file);
    if (!payload) {
      this.discarded++;
      this.remove(key);
      return undefined;
    }
    this.loaded++;
    this.files.delete(key);
    this.files.set(key, file.length);
    try {
      const now = new Date();
      utimesSync(this.path(key), now, now);
    } catch {
      // Only the order of eviction after a restart depends on it.
    }
    return payload;
  }

  private contentOf(key: string, file: Buffer): Uint8Array | undefined {
    const size = BLOCK_PAGES * this.model.caches.reduce((sum, name) => sum + this.pageBytes(name), 0);
    const head = MAGIC.length + 32;
    if (file.length !== head + size + 32) return undefined;
    if (!file.subarray(0, head).equals(Buffer.concat([MAGIC, Buffer.from(key, "hex")]))) return undefined;
    if (!digest(file.subarray(0, head + size)).equals(file.subarray(head + size))) return undefined;
    return file.subarray(head, head + size);
  }

  /** Writes page `index` of a loaded block into a page of the cache. */
  fill(payload: Uint8Array, index: number, page: number): void {
    let at = (index * payload.length) / BLOCK_PAGES;
    for (const part of this.parts(page)) {
      part.set(payload.subarray(at, at + part.length));
      at += part.length;
    }
  }

  /** Saves a block; the file appears later, whole or not at all. A full disk only means that nothing is saved. */
  save(key: string, pages: readonly number[]): void {
    if (this.files.has(key) || this.pending.has(key)) return;
    const body = Buffer.concat([MAGIC, Buffer.from(key, "hex"), ...pages.flatMap((page) => [...this.parts(page)])]);
    const file = Buffer.concat([body, digest(body)]);
    if (file.length > this.maxBytes || this.pendingBytes + file.length > MOST_PENDING) return;
    this.pendingBytes += file.length;
    this.pending.set(
      key,
      this.write(key, file).finally(() => {
        this.pending.delete(key);
        this.pendingBytes -= file.length;
      }),
    );
  }

  private async write(key: string, file: Buffer): Promise<void> {
    const temporary = temporaryName(this.path(key));
    try {
      await writeFile(temporary, file);
      await rename(temporary, this.path(key));
      this.files.set(key, file.length);
      this.bytes += file.length;
      this.trim();
    } catch {
      this.failedWrites++;
      await rm(temporary, { force: true }).catch(() => {});
    }
  }

  /** Waits for what is being written. */
  async settled(): Promise<void> {
    await Promise.all(this.pending.values());
  }
}
