// Byte-level byte-pair encoding of ordinary text: pieces from the pre-tokenizer, their bytes merged by rank, with a
// bounded cache of pieces seen. It works on UTF-16 units and typed arrays throughout and allocates nothing per piece.

import { Merger, type PairTable } from "./pairs.ts";
import type { PreTokenizer } from "./pretokenize.ts";
import type { IdSink, OrdinaryEncoder } from "./tokenizer.ts";

export interface BytePairModel {
  pairs: PairTable;
  /** The token of each byte, -1 where the vocabulary has none (then `unk`, or nothing, stands for it). */
  byteIds: Int32Array;
  unk?: number;
  /** Pieces that are tokens as they stand skip the merging (Llama 3's `ignore_merges`): UTF-8 bytes as Latin-1 → id. */
  whole?: Map<string, number>;
}

const CACHE_SLOTS = 1 << 17;
const CACHE_ENTRIES = CACHE_SLOTS >> 1;
const CACHE_UNITS = 1 << 20;
/** Longer pieces (in UTF-16 units) rarely come again. */
const CACHED_LENGTH = 24;

/** Piece → ids: open addressing over the units themselves; when an arena is full everything is forgotten. */
class PieceCache {
  private readonly slots = new Int32Array(CACHE_SLOTS);
  /** Per entry: hash, key offset, key length, ids offset, id count. */
  private readonly entries = new Int32Array(CACHE_ENTRIES * 5);
  private readonly keys = new Uint16Array(CACHE_UNITS);
  private readonly ids = new Int32Array(CACHE_UNITS);
  private entryCount = 0;
  private keyEnd = 0;
  private idEnd = 0;

  /** Copies the ids of text[start, end) to the sink if they are known. */
  lookup(text: string, start: number, end: number, hash: number, sink: IdSink): boolean {
    const { slots, entries, keys, ids } = this;
    const length = end - start;
    let slot = hash & (CACHE_SLOTS - 1);
    for (let entry = slots[slot]; entry !== 0; entry = slots[slot]) {
      const e = (entry - 1) * 5;
      if (entries[e] === hash && entries[e + 2] === length) {
        let at = entries[e + 1];
        let i = start;
        while (i < end && keys[at] === text.charCodeAt(i)) {
          at++;
          i++;
        }
        if (i === end) {
          const from = entries[e + 3];
          const count = entries[e + 4];
          if (sink.count + count > sink.ids.length) sink.reserve(count);
          const out = sink.ids;
          let o = sink.count;
          for (let k = from; k < from + count; k++) out[o++] = ids[k];
          sink.count = o;
          return true;
        }
      }
      slot = (slot + 1) & (CACHE_SLOTS - 1);
    }
    return false;
  }

  store(text: string, start: number, end: number, hash: number, symbols: Int32Array, count: number): void {
    const length = end - start;
    if (this.entryCount >= CACHE_ENTRIES || this.keyEnd + length > CACHE_UNITS || this.idEnd + count > CACHE_UNITS) {
      this.slots.fill(0);
      this.entryCount = this.keyEnd = this.idEnd = 0;
    }
    const e = this.entryCount++ * 5;
    this.entries[e] = hash;
    this.entries[e + 1] = this.keyEnd;
    this.entries[e + 2] = length;
    this.entries[e + 3] = this.idEnd;
    this.entries[e + 4] = count;
    for (let i = start; i < end; i++) this.keys[this.keyEnd++] = text.charCodeAt(i);
    for (let i = 0; i < count; i++) this.ids[this.idEnd++] = symbols[i];
    let slot = hash & (CACHE_SLOTS - 1);
    while (this.slots[slot] !== 0) slot = (slot + 1) & (CACHE_SLOTS - 1);
    this.slots[slot] = this.entryCount;
  }
}

export class BytePairEncoder implements OrdinaryEncoder {
  private readonly model: BytePairModel;
  private readonly pre: PreTokenizer;
  private readonly merger: Merger;
  private readonly cache = new PieceCache();
  private symbols = new Int32Array(512);
  private bytes = new Uint8Array(512);

  constructor(model: BytePairModel, pre: PreTokenizer) {
    this.model = model;
    this.pre = pre;
    this.merger = new Merger(model.pairs);
  }

  encode(text: string, sink: IdSink): void {
    if (this.pre.prefixSpace && !text.startsWith(" ")) text = ` ${text}`;
    const { scan } = this.pre;
    if (scan) {
      const end = text.length;
      for (let i = 0; i < end; ) {
        const stop = scan(text, i, end);
        this.piece(text, i, stop, sink);
        i = stop;
      }
      return;
    }
    const pieces = this.pre.split(text, [0, text.length]);
    for (let p = 0; p < pieces.length; p += 2) this.piece(text, pieces[p], pieces[p + 1], sink);
  }

  private piece(text: string, start: number, end: number, sink: IdSink): void {
    const cached = end - start <= CACHED_LENGTH;
    let hash = 0;
    if (cached) {
      hash = end - start;
      for (let i = start; i < end; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x9e3779b1);
      hash ^= hash >>> 15;
      if (this.cache.lookup(text, start, end, hash, sink)) return;
    }
    const count = this.mergePiece(text, start, end);
    const { symbols } = this;
    sink.reserve(count);
    for (let i = 0; i < count; i++) sink.ids[sink.count++] = symbols[i];
    if (cached) this.cache.store(text, start, end, hash, symbols, count);
  }

  /** Fills `symbols` with the ids of one piece and returns how many they are. */
  private mergePiece(text: string, start: number, end: number): number {
    const length = this.toUtf8(text, start, end);
    const { bytes, model } = this;
    if (model.whole !== undefined) {
      const id = model.whole.get(latin1(bytes, length));
      if (id !== undefined) {
        this.symbols[0] = id;
        return 1;
      }
    }
    if (this.symbols.length < length) this.symbols = new Int32Array(length * 2);
    const { symbols } = this;
    const { byteIds, unk } = model;
    let count = 0;
    for (let i = 0; i < length; i++) {
      const id = byteIds[bytes[i]];
      if (id >= 0) symbols[count++] = id;
      else if (unk !== undefined) symbols[count++] = unk;
    }
    return this.merger.merge(symbols, count);
  }

  /** UTF-8 of text[start, end) into `bytes`; a lone surrogate becomes U+FFFD, as TextEncoder does. */
  private toUtf8(text: string, start: number, end: number): number {
    if (this.bytes.length < (end - start) * 3) this.bytes = new Uint8Array((end - start) * 6);
    const { bytes } = this;
    let o = 0;
    for (let i = start; i < end; i++) {
      let unit = text.charCodeAt(i);
      if (unit < 0x80) {
        bytes[o++] = unit;
        continue;
      }
      if (unit < 0x800) {
        bytes[o++] = 0xc0 | (unit >> 6);
        bytes[o++] = 0x80 | (unit & 63);
        continue;
      }
      if (unit >= 0xd800 && unit <= 0xdfff) {
        const low = i + 1 < end ? text.charCodeAt(i + 1) : 0;
        if (unit <= 0xdbff && low >= 0xdc00 && low <= 0xdfff) {
          const point = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
          bytes[o++] = 0xf0 | (point >> 18);
          bytes[o++] = 0x80 | ((point >> 12) & 63);
          bytes[o++] = 0x80 | ((point >> 6) & 63);
          bytes[o++] = 0x80 | (point & 63);
          i++;
          continue;
        }
        unit = 0xfffd;
      }
      bytes[o++] = 0xe0 | (unit >> 12);
      bytes[o++] = 0x80 | ((unit >> 6) & 63);
      bytes[o++] = 0x80 | (unit & 63);
    }
    return o;
  }
}

/** Bytes as a string of as many characters, for use as a map's key. */
export function latin1(bytes: Uint8Array, length = bytes.length): string {
  let out = "";
  for (let i = 0; i < length; i++) out += String.fromCharCode(bytes[i]);
  return out;
}
