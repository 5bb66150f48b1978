// The key/value cache of inference: writing rows into it and attending over its pages.
//   cacheColumns(dtype, width)                      second dimension of a cache tensor [rows, columns]
//   cacheWrite([x, y?], cache, slots)               appends rows, converted to the cache's dtype
//   pagedAttention({ q, qTail, keys, values, pageTable, rowSeq, rowPos, selected }, { … })
// A cache is a state [pages·pageSize, columns] of f32, bf16 or i8. An i8 row is the values, zero-padded to a multiple of 16 bytes,
// then 16 bytes with one f32 scale per part that was written (V3's latent 512 + rotary 64: 576 + 16 = 592 bytes).
// MLA (DeepSeek-V2 §2.1): one row per token holds the normalised latent and the rotated key; with `values` left out the value is the
// first `valueWidth` columns of the key row, which is then read once for all heads.
// The bits of a query row depend on its position and on the cache's content alone: keys are taken in fixed blocks from position 0
// and partial results folded in order, whatever the chunk, the batch and the threads.
import { defineOp, type Value } from "../op.ts";
import { type Dim, expectDtype, expectRank, expectShape, ProgramError, sameDim, type Tensor } from "../program.ts";
import { type Attended, mergeAttention } from "./attention.ts";
import { floats } from "./elementwise.ts";
import { expectIndices, fixedDim } from "./indices.ts";
import { pagedScratch, partialsScratch, SLOTS } from "./scratch.ts";

export type CacheDtype = "f32" | "bf16" | "i8";

/** The second dimension of a cache of this dtype that holds rows of `width` values. */
export const cacheColumns = (dtype: CacheDtype, width: number): number =>
  dtype === "i8" ? Math.ceil(width / 16) * 16 + 16 : width;

const asF32 = new Float32Array(1);
const asU32 = new Uint32Array(asF32.buffer);

/** To the nearest bf16, ties to even. */
function toBf16(x: number): number {
  asF32[0] = x;
  const u = asU32[0];
  return Number.isNaN(x) ? (u >>> 16) | 64 : ((u + 0x7fff + ((u >>> 16) & 1)) >>> 16) & 0xffff;
}

const halfToEven = (x: number): number => {
  const down = Math.floor(x);
  const rest = x - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 !== 0) ? down + 1 : down;
};

/** Row `row` of a cache as numbers; an i8 row of two parts has `first` values in the first. */
export function readCacheRow(cache: Value, row: number, width: number, first = width): ArrayLike<number> {
  const columns = cache.shape[1];
  if (cache.dtype === "f32") return floats(cache).subarray(row * columns, row * columns + width);
  const bytes = cache.data as Uint8Array;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (cache.dtype === "bf16") {
    return Float64Array.from({ length: width }, (_, i) => {
      asU32[0] = view.getUint16(2 * (row * columns + i), true) << 16;
      return asF32[0];
    });
  }
  const scale = (part: number): number => view.getFloat32((row + 1) * columns - 16 + 4 * part, true);
  return Float64Array.from({ length: width }, (_, i) => view.getInt8(row * columns + i) * scale(i < first ? 0 : 1));
}

const CACHE_WRITE = defineOp({
  name: "cache_write",
  ints: [],
  floats: [],
  inout: [0],
  reference: ({ inputs, outputs: [cache] }) => {
    const [x, y, slots] = inputs;
    const columns = cache.shape[1];
    const parts = [x, y].filter((part) => part !== null) as Value[];
    (slots as Value).data.forEach((slot, t) => {
      if (slot < 0) return;
      const row = parts.flatMap((part) => [
        ...floats(part).subarray(t * part.shape[1], (t + 1) * part.shape[1]),
      ]) as number[];
      if (cache.dtype === "f32") return floats(cache).set(row, slot * columns);
      const bytes = cache.data as Uint8Array;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      if (cache.dtype === "bf16")
        return row.forEach((v, i) => view.setUint16(2 * (slot * columns + i), toBf16(v), true));
      bytes.fill(0, slot * columns, (slot + 1) * columns);
      let at = 0;
      parts.forEach((part, p) => {
        const values = row.slice(at, at + part.shape[1]);
        const top = values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
        const inverse = top > 0 ? Math.fround(127 / top) : 0;
        values.forEach((v, i) => {
          const q = Math.max(-127, Math.min(127, halfToEven(Math.fround(v * inverse))));
          view.setInt8(slot * columns + at + i, q);
        });
        view.setFloat32((slot + 1) * columns - 16 + 4 * p, Math.fround(top / 127), true);
        at += part.shape[1];
      });
    });
  },
});

/**
 * Writes row t of x [T, W] (or of [x | y], each part with its own scale in an i8 cache) into row slots[t] of `cache`
 * [rows, cacheColumns(dtype, W)]; slots i32 [T] with a range within −1..rows−1, −1 writes nothing, no slot twice. To nearest, ties
 * to even; i8 by the part's largest magnitude / 127.
 */
export function cacheWrite(parts: readonly [Tensor] | readonly [Tensor, Tensor], cache: Tensor, slots: Tensor): Tensor {
  const [x, y] = parts;
  let total = 0;
  for (const part of parts) {
    expectDtype("cache_write", "x", part, "f32");
    expectRank("cache_write", "x", part, 2);
    if (!sameDim(part.shape[0], x.shape[0]))
      throw new ProgramError(`cache_write: ${x} and ${part} must have the same rows`);
    total += fixedDim("cache_write", "the row width", part.shape[1]);
  }
  checkCache("cache_write", "the cache", cache, total);
  if (cache.base.kind !== "state") throw new ProgramError(`cache_write: ${cache} must be a state, kept between runs`);
  expectIndices("cache_write", "slots", slots, [x.shape[0]], cache.shape[0], -1);
  x.program.emit(CACHE_WRITE, [x, y ?? null, slots], [cache]);
  return cache;
}

function checkCache(op: string, what: string, cache: Tensor, width: number): CacheDtype {
  expectDtype(op, what, cache, "f32", "bf16", "i8");
  const dtype = cache.dtype as CacheDtype;
  expectShape(op, `${what} (rows of ${width} values)`, cache, [cache.shape[0], cacheColumns(dtype, width)]);
  fixedDim(op, `the rows of ${what}`, cache.shape[0]);
  return dtype;
}

const PAGED_ATTENTION = defineOp({
  name: "paged_attention",
  ints: ["kvHeads", "pageSize", "window", "tail"],
  floats: ["scale"],
  reference: ({ inputs, outputs, ints: [kvHeads, pageSize, window, tail], floats: [scale] }) => {
    const [q, qTail, keys, values, pageTable, rowSeq, rowPos, selected] = inputs;
    const [out, lse] = outputs;
    const [rows, heads, head] = (q as Value).shape;
    const [dk, dv] = [head + tail, out.shape[2]];
    const pages = (pageTable as Value).shape[1];
    for (let t = 0; t < rows; t++) {
      const [seq, last] = [(rowSeq as Value).data[t], (rowPos as Value).data[t]];
      const from = window > 0 ? Math.max(0, last - window + 1) : 0;
      const seen = selected
        ? [...(selected.data as Int32Array).subarray(t * selected.shape[1], (t + 1) * selected.shape[1])]
        : Array.from({ length: last + 1 - from }, (_, i) => from + i);
      const slots = seen
        .filter((position) => position >= 0)
        .map((p) => (pageTable as Value).data[seq * pages + Math.floor(p / pageSize)] * pageSize + (p % pageSize));
      const keyRows = slots.map((slot) => readCacheRow(keys as Value, slot, kvHeads * dk, values ? kvHeads * dk : dv));
      const valueRows = values ? slots.map((slot) => readCacheRow(values, slot, kvHeads * dv, kvHeads * dv)) : keyRows;
      for (let h = 0; h < heads; h++) {
        const kv = Math.floor((h * kvHeads) / heads);
        const query = [...floats(q).subarray((t * heads + h) * head, (t * heads + h + 1) * head)] as number[];
        if (qTail) {
          const end = (t * heads + h + 1) * qTail.shape[2];
          query.push(...floats(qTail).subarray(end - tail, end));
        }
        const scores = keyRows.map((key) => scale * query.reduce((sum, x, i) => sum + x * key[kv * dk + i], 0));
        const top = scores.reduce((a, b) => Math.max(a, b), -Infinity);
        const weights = scores.map((score) => Math.exp(score - top));
        const total = weights.reduce((a, b) => a + b, 0);
        for (let i = 0; i < dv; i++) {
          let sum = 0;
          valueRows.forEach((value, j) => (sum += weights[j] * value[kv * dv + i]));
          floats(out)[(t * heads + h) * dv + i] = slots.length ? sum / total : 0;
        }
        floats(lse)[t * heads + h] = slots.length ? top + Math.log(total) : -Infinity;
      }
    }
  },
});

export interface PagedInputs {
  /** f32 [T, H, D]: the queries, or for MLA their part against the latent (absorbed). */
  q: Tensor;
  /**
   * f32 [T, H, E]: where the rest of each query lies; its LAST Dk − D columns follow q's. Lets MLA pass its rotated queries [T, H, nope
   * + rope] as they are.
   */
  qTail?: Tensor;
  /** The cache of keys, rows of kvHeads·Dk. */
  keys: Tensor;
  /** The cache of values, rows of kvHeads·Dv. Absent: the value is the first `valueWidth` columns of the key row (kvHeads 1). */
  values?: Tensor;
  /** i32 [S, pages per sequence], range within the cache's pages: where each page of a sequence lies. */
  pageTable: Tensor;
  /** i32 [T], range within 0..S−1. Rows of one sequence that follow each other are computed together. */
  rowSeq: Tensor;
  /** i32 [T], the last position that a row sees (its own, or of the last finished window); −1: none. */
  rowPos: Tensor;
  /** i32 [T, M]: the positions a row sees instead of 0..rowPos; −1: none. */
  selected?: Tensor;
}

export interface PagedOptions {
  kvHeads: number;
  /** Dk, the width of a key head. */
  keyWidth: number;
  /** Dv, the width of a value head. */
  valueWidth: number;
  pageSize: number;
  scale: number;
  /** How many latest positions a row sees; 0 (default): all. Not with `selected`. */
  window?: number;
  /** Sink logits f32 [H]. */
  sinks?: Tensor;
}

/**
 * Attention over a paged cache. Row t sees positions max(0, rowPos − window + 1) … rowPos of its sequence, or those in `selected`.
 * Returns out [T, H, Dv] and lse [T, H] (zeros and −∞ for a row that sees nothing). Not differentiable.
 */
export function pagedAttention(inputs: PagedInputs, options: PagedOptions): Attended {
  const op = "paged_attention";
  const { q, qTail, keys, values, pageTable, rowSeq, rowPos, selected } = inputs;
  const { kvHeads, keyWidth, valueWidth, pageSize, scale, window = 0, sinks } = options;
  const { program } = q;
  expectDtype(op, "q", q, "f32");
  expectRank(op, "q", q, 3);
  const rows: Dim = q.shape[0];
  const heads = fixedDim(op, "the heads", q.shape[1]);
  const tail = keyWidth - fixedDim(op, "the width of q", q.shape[2]);
  if (heads % kvHeads !== 0) throw new ProgramError(`${op}: ${heads} heads are no multiple of ${kvHeads} key heads`);
  if (qTail ? tail < 1 : tail !== 0)
    throw new ProgramError(`${op}: q ${qTail ? "and its tail are" : "is"} ${q} for keys of width ${keyWidth}`);
  if (qTail) {
    expectDtype(op, "qTail", qTail, "f32");
    expectShape(op, "qTail", qTail, [rows, heads, qTail.shape[2]]);
    if (fixedDim(op, "the width of qTail", qTail.shape[2]) < tail)
      throw new ProgramError(`${op}: qTail must have at least ${tail} columns, but ${qTail} was given`);
  }
  checkCache(op, "the key cache", keys, kvHeads * keyWidth);
  if (values) {
    checkCache(op, "the value cache", values, kvHeads * valueWidth);
    if (!sameDim(values.shape[0], keys.shape[0]))
      throw new ProgramError(`${op}: ${keys} and ${values} must have the same rows`);
  } else if (kvHeads !== 1 || valueWidth > keyWidth) {
    throw new ProgramError(`${op}: without a value cache there is one key head and a value no wider than the key`);
  }
  const cacheRows = keys.shape[0] as number;
  if (!Number.isInteger(pageSize) || pageSize < 1 || cacheRows % pageSize !== 0)
    throw new ProgramError(`${op}: ${keys} is no whole number of pages of ${pageSize}`);
  expectRank(op, "pageTable", pageTable, 2);
  const pages = fixedDim(op, "the pages per sequence", pageTable.shape[1]);
  const positions = pages * pageSize;
  expectIndices(op, "pageTable", pageTable, [pageTable.shape[0], pages], cacheRows / pageSize);
  expectIndices(op, "rowSeq", rowSeq, [rows], pageTable.shape[0]);
  expectIndices(op, "rowPos", rowPos, [rows], positions, -1);
  let listed = positions;
  if (selected) {
    if (window) throw new ProgramError(`${op}: a window and selected positions exclude each other`);
    expectRank(op, "selected", selected, 2);
    listed = fixedDim(op, "the length of a row's list", selected.shape[1]);
    expectIndices(op, "selected", selected, [rows, listed], positions, -1);
  }
  const out = program.temp("f32", [rows, heads, valueWidth]);
  const lse = program.temp("f32", [rows, heads]);
  const scratch = program.temp("f32", [SLOTS, pagedScratch(heads / kvHeads, keyWidth, valueWidth)]);
  const partials = program.temp("f32", [partialsScratch(listed, heads, valueWidth)]);
  program.emit(
    PAGED_ATTENTION,
    [q, qTail ?? null, keys, values ?? null, pageTable, rowSeq, rowPos, selected ?? null],
    [out, lse, scratch, partials],
    { kvHeads, pageSize, window, tail, scale },
  );
  return sinks ? mergeAttention({ out, lse }, null, sinks) : { out, lse };
}
