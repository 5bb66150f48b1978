// The merges of a byte-pair vocabulary and their application: a hash table from pairs of token ids to the merged token,
// and the merging of one piece. Which pieces there are is decided in pretokenize.ts.

const NONE = 0x7fffffff;
/** Above this many symbols merging goes through a heap, so that a hostile piece of a megabyte stays n·log n. */
const LINEAR_LIMIT = 96;

/** Open-addressing table: (left id, right id) → (rank, merged id), four numbers a slot. */
export class PairTable {
  private slots: Int32Array;
  private mask: number;
  /** One bit per hash: most pairs that do not merge are told by this small table, which stays in the processor's cache. */
  private readonly filter: Int32Array;
  private readonly filterMask: number;
  size = 0;

  constructor(expected: number) {
    let capacity = 16;
    while (capacity < expected * 2) capacity *= 2;
    this.mask = capacity - 1;
    this.slots = new Int32Array(capacity * 4).fill(-1);
    this.filterMask = Math.min(capacity * 4, 1 << 20) - 1;
    this.filter = new Int32Array((this.filterMask + 1) >> 5);
  }

  /** Adds a pair unless it is there already: the first, better rank stays. */
  add(left: number, right: number, rank: number, merged: number): void {
    if ((this.size + 1) * 2 > this.mask + 1) this.grow();
    const h = hash(left, right);
    const bit = (h >>> 12) & this.filterMask;
    this.filter[bit >> 5] |= 1 << (bit & 31);
    let slot = h & this.mask;
    const { slots } = this;
    while (slots[slot * 4] !== -1) {
      if (slots[slot * 4] === left && slots[slot * 4 + 1] === right) return;
      slot = (slot + 1) & this.mask;
    }
    slots[slot * 4] = left;
    slots[slot * 4 + 1] = right;
    slots[slot * 4 + 2] = rank;
    slots[slot * 4 + 3] = merged;
    this.size++;
  }

  private grow(): void {
    const old = this.slots;
    this.mask = (this.mask + 1) * 2 - 1;
    this.slots = new Int32Array((this.mask + 1) * 4).fill(-1);
    this.size = 0;
    for (let i = 0; i < old.length; i += 4) if (old[i] !== -1) this.add(old[i], old[i + 1], old[i + 2], old[i + 3]);
  }

  /** Where the pair's rank stands in `data` (the merged id follows), or -1 when the two do not merge. */
  find(left: number, right: number): number {
    const h = hash(left, right);
    const bit = (h >>> 12) & this.filterMask;
    if ((this.filter[bit >> 5] & (1 << (bit & 31))) === 0) return -1;
    const { slots, mask } = this;
    let at = (h & mask) * 4;
    for (;;) {
      const here = slots[at];
      if (here === left && slots[at + 1] === right) return at + 2;
      if (here === -1) return -1;
      at = (at + 4) & (mask * 4 + 3);
    }
  }

  get data(): Int32Array {
    return this.slots;
  }

  /** Calls `visit` for every merge, in no particular order. */
  forEach(visit: (left: number, right: number, rank: number, merged: number) => void): void {
    const { slots } = this;
    for (let i = 0; i < slots.length; i += 4) {
      if (slots[i] !== -1) visit(slots[i], slots[i + 1], slots[i + 2], slots[i + 3]);
    }
  }

  /** All merges as [left, right, merged], by rank. */
  list(): [number, number, number][] {
    const found: [number, number, number, number][] = [];
    this.forEach((left, right, rank, merged) => found.push([left, right, merged, rank]));
    return found.sort((a, b) => a[3] - b[3]).map(([left, right, merged]) => [left, right, merged]);
  }
}

function hash(left: number, right: number): number {
  const h = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  return h ^ (h >>> 15);
}

/**
 * Merges symbols in place: always the adjacent pair of lowest rank, the leftmost of equals, until none merges. The symbols
 * are the token ids symbols[from, end); the result is the new end.
 */
export class Merger {
  private readonly pairs: PairTable;
  private readonly ranks = new Int32Array(LINEAR_LIMIT);
  private readonly merged = new Int32Array(LINEAR_LIMIT);

  constructor(pairs: PairTable) {
    this.pairs = pairs;
  }

  merge(symbols: Int32Array, from: number, end: number): number {
    const count = end - from;
    if (count < 2) return end;
    if (count === 2) {
      const at = this.pairs.find(symbols[from], symbols[from + 1]);
      if (at < 0) return end;
      symbols[from] = this.pairs.data[at + 1];
      return from + 1;
    }
    return count <= LINEAR_LIMIT ? this.mergeLinear(symbols, from, end) : this.mergeHeap(symbols, from, end);
  }

  /** Scans for the best pair again after each merge: the fastest way for words. At most LINEAR_LIMIT symbols. */
  mergeLinear(symbols: Int32Array, from: number, end: number): number {
    const { pairs, ranks, merged } = this;
    const data = pairs.data;
    let count = end - from;
    let best = -1;
    let bestRank = NONE;
    for (let i = 0; i + 1 < count; i++) {
      const at = pairs.find(symbols[from + i], symbols[from + i + 1]);
      if (at < 0) ranks[i] = NONE;
      else {
        const rank = data[at];
        ranks[i] = rank;
        merged[i] = data[at + 1];
        if (rank < bestRank) {
          bestRank = rank;
          best = i;
        }
      }
    }
    while (best >= 0) {
      symbols[from + best] = merged[best];
      count--;
      for (let i = best + 1; i < count; i++) {
        symbols[from + i] = symbols[from + i + 1];
        ranks[i] = ranks[i + 1];
        merged[i] = merged[i + 1];
      }
      if (best > 0) {
        const at = pairs.find(symbols[from + best - 1], symbols[from + best]);
        ranks[best - 1] = at < 0 ? NONE : data[at];
        if (at >= 0) merged[best - 1] = data[at + 1];
      }
      if (best + 1 < count) {
        const at = pairs.find(symbols[from + best], symbols[from + best + 1]);
        ranks[best] = at < 0 ? NONE : data[at];
        if (at >= 0) merged[best] = data[at + 1];
      }
      best = -1;
      bestRank = NONE;
      for (let i = 0; i + 1 < count; i++) {
        if (ranks[i] < bestRank) {
          bestRank = ranks[i];
          best = i;
        }
      }
    }
    return from + count;
  }

  /** The same through a binary heap of (rank, position) and a linked list of the symbols left. */
  mergeHeap(all: Int32Array, from: number, end: number): number {
    const { pairs } = this;
    const symbols = all.subarray(from, end);
    const count = end - from;
    const data = pairs.data;
    const next = new Int32Array(count);
    const previous = new Int32Array(count);
    const ranks = new Int32Array(count).fill(NONE);
    const merged = new Int32Array(count);
    // rank · 2^31 + position is exact below 2^53 for every rank under 2^22 (4 million merges).
    const heap: number[] = [];
    const push = (key: number) => {
      let i = heap.length;
      while (i > 0) {
        const up = (i - 1) >> 1;
        if (heap[up] <= key) break;
        heap[i] = heap[up];
        i = up;
      }
      heap[i] = key;
    };
    const pop = (): number => {
      const top = heap[0];
      const last = heap.pop()!;
      const size = heap.length;
      if (size > 0) {
        let i = 0;
        for (;;) {
          let child = 2 * i + 1;
          if (child >= size) break;
          if (child + 1 < size && heap[child + 1] < heap[child]) child++;
          if (heap[child] >= last) break;
          heap[i] = heap[child];
          i = child;
        }
        heap[i] = last;
      }
      return top;
    };
    const look = (i: number) => {
      const right = next[i];
      const at = right < count ? pairs.find(symbols[i], symbols[right]) : -1;
      ranks[i] = at < 0 ? NONE : data[at];
      if (at < 0) return;
      merged[i] = data[at + 1];
      push(ranks[i] * 2 ** 31 + i);
    };
    for (let i = 0; i < count; i++) {
      next[i] = i + 1;
      previous[i] = i - 1;
    }
    for (let i = 0; i + 1 < count; i++) look(i);
    while (heap.length > 0) {
      const key = pop();
      const i = key % 2 ** 31;
      if (ranks[i] !== Math.floor(key / 2 ** 31)) continue; // the pair has changed since
      const gone = next[i];
      symbols[i] = merged[i];
      ranks[gone] = NONE;
      next[i] = next[gone];
      if (next[i] < count) previous[next[i]] = i;
      look(i);
      if (previous[i] >= 0) look(previous[i]);
    }
    let left = 0;
    for (let i = 0; i < count; i = next[i]) symbols[left++] = symbols[i];
    return from + left;
  }
}
