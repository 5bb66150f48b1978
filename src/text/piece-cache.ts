// Remembers which ids a piece of text became, in bounded memory and without allocating: chats are encoded again with every
// turn, and most words of any text have come before.

import type { IdSink } from "./tokenizer.ts";

/** Longer pieces (in UTF-16 units) are not remembered. */
export const LONGEST_PIECE = 64;
const SLOTS = 1 << 16;
/** Numbers in the ring. */
const RING = 1 << 20;
/** Positions grow with every piece; before they leave 31 bits everything is forgotten. */
const LAST_POSITION = 0x7fffffff - RING;
/** A record is hash, length << 8 | count, the units two by two, the ids. */
const HEAD = 2;
/** Ids per piece that `length << 8 | count` can hold. */
const MOST_IDS = 255;

/**
 * Records in a ring, found by a table of their positions. Positions count on without end, so a position that the ring has
 * overwritten since is known by its distance from the head.
 */
export class PieceCache {
  private readonly slots = new Int32Array(SLOTS).fill(-RING - 1);
  private readonly ring = new Int32Array(RING);
  private head = 0;
  /** The piece last looked up: its units two by two, their number, its hash and length. */
  private readonly key = new Int32Array(LONGEST_PIECE / 2);
  private words = 0;
  private hash = 0;
  private length = 0;

  /** Appends the ids of text[start, end), at most LONGEST_PIECE long, to the sink if they are known. */
  lookup(text: string, start: number, end: number, sink: IdSink): boolean {
    const { key } = this;
    let hash = end - start;
    let words = 0;
    let i = start;
    for (; i + 1 < end; i += 2) {
      const word = text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16);
      key[words++] = word;
      hash = Math.imul(hash ^ word, 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    if (i < end) {
      const word = text.charCodeAt(i);
      key[words++] = word;
      hash = Math.imul(hash ^ word, 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    this.hash = hash;
    this.length = end - start;
    this.words = words;
    const slot = hash & (SLOTS - 1);
    return this.copy(this.slots[slot], sink) || this.copy(this.slots[slot ^ 1], sink);
  }

  private copy(position: number, sink: IdSink): boolean {
    if (this.head - position > RING) return false;
    const { ring, key, words } = this;
    const at = position & (RING - 1);
    const sizes = ring[at + 1];
    if (ring[at] !== this.hash || sizes >>> 8 !== this.length) return false;
    for (let k = 0; k < words; k++) if (ring[at + HEAD + k] !== key[k]) return false;
    const count = sizes & 255;
    if (sink.count + count > sink.ids.length) sink.reserve(count);
    const out = sink.ids;
    const from = at + HEAD + words;
    const to = sink.count;
    for (let k = 0; k < count; k++) out[to + k] = ring[from + k];
    sink.count = to + count;
    return true;
  }

  /** Remembers the first `count` symbols as the ids of the piece last looked up. */
  store(symbols: Int32Array, count: number): void {
    if (count > MOST_IDS) return;
    const { ring, slots, key, words } = this;
    const size = HEAD + words + count;
    // A record does not wrap around; what is left at the end of the ring stays unused.
    if ((this.head & (RING - 1)) + size > RING) this.head += RING - (this.head & (RING - 1));
    if (this.head > LAST_POSITION) {
      slots.fill(-RING - 1);
      this.head = 0;
    }
    let at = this.head & (RING - 1);
    const slot = this.hash & (SLOTS - 1);
    // The older of the two slots is given up.
    slots[slots[slot] <= slots[slot ^ 1] ? slot : slot ^ 1] = this.head;
    this.head += size;
    ring[at++] = this.hash;
    ring[at++] = (this.length << 8) | count;
    for (let k = 0; k < words; k++) ring[at++] = key[k];
    for (let k = 0; k < count; k++) ring[at++] = symbols[k];
  }
}
