// Choosing and compressing what sparse attention sees (DeepSeek-V3.2 report §2, DeepSeek-V4 report §2.3).
//   hadamard(x)                                            the orthonormal Walsh–Hadamard transform of every row
//   selectTopK(q, w, k, { first, count }, …)               lightning indexer over flat rows → row numbers for gatherAttention
//   pagedSelectTopK(q, w, keys, { … }, …)                  the same over a paged cache → positions for pagedAttention
//   compressWindows(kv, gate, ape, sources, …)             softmax-gated pooling of windows of tokens (CSA, HCA), differentiable
// Index score of key s for row t: scale · Σ_j w[t,j] · ReLU(q[t,j] · k[s]). Of equal scores the lower position wins; lists come
// out in ascending order, −1 after the last. A selection has no gradient.
import { defineOp, type Value } from "../op.ts";
import { expectDtype, expectRank, expectShape, maxDim, ProgramError, type Tensor } from "../program.ts";
import { cacheColumns, readCacheRow } from "./cache.ts";
import { floats } from "./elementwise.ts";
import { expectIndices, fixedDim } from "./indices.ts";
import { padded, SLOTS } from "./scratch.ts";

const HADAMARD = defineOp({
  name: "hadamard",
  ints: [],
  floats: [],
  inPlace: 0,
  reference: ({ inputs, outputs }) => {
    const y = floats(outputs[0]);
    const { shape } = inputs[0] as Value;
    const width = shape[shape.length - 1];
    y.set(floats(inputs[0]));
    for (let row = 0; row < y.length; row += width) {
      for (let step = 1; step < width; step *= 2) {
        for (let i = 0; i < width; i++) {
          if (i & step) continue;
          const [a, b] = [y[row + i], y[row + i + step]];
          y[row + i] = a + b;
          y[row + i + step] = a - b;
        }
      }
      for (let i = 0; i < width; i++) y[row + i] *= width ** -0.5;
    }
  },
  backward: ({ gradOf, give }) => {
    const gradient = gradOf(0);
    if (gradient) give(0, hadamard(gradient));
  },
});

/** Every row of x [..., D] (f32, D a power of two) times the Hadamard matrix · D^−½. Its own inverse and its own gradient. */
export function hadamard(x: Tensor): Tensor {
  expectDtype("hadamard", "x", x, "f32");
  const width = fixedDim("hadamard", "the row width", x.shape[x.shape.length - 1]);
  if ((width & (width - 1)) !== 0) throw new ProgramError(`hadamard: the row width of ${x} must be a power of two`);
  const y = x.program.temp("f32", x.shape);
  x.program.emit(HADAMARD, [x], [y]);
  return y;
}

/** Scores of keys `from … from+count−1` (by `keyAt`), and the best topK of them in ascending order into `out`. */
function selectRow(
  q: ArrayLike<number>,
  w: ArrayLike<number>,
  count: number,
  keyAt: (s: number) => ArrayLike<number>,
  scale: number,
  width: number,
  out: { data: Int32Array; at: number; topK: number },
  from: number,
): void {
  const scores = Array.from({ length: Math.max(0, count) }, (_, s) => {
    const key = keyAt(s);
    let total = 0;
    for (let j = 0; j < w.length; j++) {
      let dot = 0;
      for (let i = 0; i < width; i++) dot += q[j * width + i] * key[i];
      total += w[j] * Math.max(dot, 0);
    }
    return total * scale;
  });
  const best = scores
    .map((_, s) => s)
    .sort((a, b) => scores[b] - scores[a] || a - b)
    .slice(0, out.topK)
    .sort((a, b) => a - b);
  for (let i = 0; i < out.topK; i++) out.data[out.at + i] = i < best.length ? from + best[i] : -1;
}

const SELECT_TOP_K = defineOp({
  name: "select_top_k",
  ints: [],
  floats: ["scale"],
  reference: ({ inputs, outputs, floats: [scale] }) => {
    const [q, w, k, first, count] = inputs as Value[];
    const [rows, heads, width] = q.shape;
    const topK = outputs[0].shape[1];
    for (let t = 0; t < rows; t++) {
      selectRow(
        floats(q).subarray(t * heads * width, (t + 1) * heads * width),
        floats(w).subarray(t * heads, (t + 1) * heads),
        Math.min(count.data[t], k.shape[0] - first.data[t]),
        (s) => floats(k).subarray((first.data[t] + s) * width, (first.data[t] + s + 1) * width),
        scale,
        width,
        { data: outputs[0].data as Int32Array, at: t * topK, topK },
        first.data[t],
      );
    }
  },
});

function checkIndexer(op: string, q: Tensor, w: Tensor): { heads: number; width: number } {
  expectDtype(op, "q", q, "f32");
  expectRank(op, "q", q, 3);
  const heads = fixedDim(op, "the indexer's heads", q.shape[1]);
  expectDtype(op, "w", w, "f32");
  expectShape(op, "w", w, [q.shape[0], heads]);
  return { heads, width: fixedDim(op, "the indexer's head width", q.shape[2]) };
}

/** Keys per product, and rows of scores that the kernels hold at a time; kernels/select.c says the same. */
const SCORE_STEP = 24;
const SCORE_ROWS = 8;

/** Scores, transposed queries and working memory of the selecting kernels, in the order they take them. */
function selectScratch(q: Tensor, capacity: number): Tensor[] {
  const [heads, width] = q.shape.slice(1) as number[];
  const f32 = (rows: number, columns: number): Tensor => q.program.temp("f32", [rows, columns]);
  return [
    f32(SCORE_ROWS, capacity),
    f32(SCORE_ROWS, width * padded(heads)),
    f32(SLOTS, SCORE_STEP * (padded(width) + padded(heads))),
  ];
}

/**
 * For every row t the topK best rows among first[t] … first[t]+count[t]−1 of k f32 [N, Di], as row numbers of k: i32 [T, topK].
 * q f32 [T, Hi, Di], w f32 [T, Hi]; first and count i32 [T], inputs with ranges within 0..N−1 and 0..N.
 */
export function selectTopK(
  q: Tensor,
  w: Tensor,
  k: Tensor,
  rows: { first: Tensor; count: Tensor },
  { topK, scale }: { topK: number; scale: number },
): Tensor {
  const op = "select_top_k";
  const { width } = checkIndexer(op, q, w);
  expectDtype(op, "k", k, "f32");
  expectShape(op, "k", k, [k.shape[0], width]);
  expectIndices(op, "first", rows.first, [q.shape[0]], k.shape[0]);
  expectIndices(op, "count", rows.count, [q.shape[0]], maxDim(k.shape[0]) + 1);
  if (!Number.isInteger(topK) || topK < 1) throw new ProgramError(`${op}: topK must be a whole number above 0`);
  const out = q.program.temp("i32", [q.shape[0], topK]);
  q.program.emit(SELECT_TOP_K, [q, w, k, rows.first, rows.count], [out, ...selectScratch(q, maxDim(k.shape[0]))], {
    scale,
  });
  return out;
}

const PAGED_SELECT_TOP_K = defineOp({
  name: "paged_select_top_k",
  ints: ["pageSize"],
  floats: ["scale"],
  reference: ({ inputs, outputs, ints: [pageSize], floats: [scale] }) => {
    const [q, w, keys, pageTable, rowSeq, rowPos] = inputs as Value[];
    const [rows, heads, width] = q.shape;
    const topK = outputs[0].shape[1];
    const pages = pageTable.shape[1];
    for (let t = 0; t < rows; t++) {
      const at = (p: number): number =>
        pageTable.data[rowSeq.data[t] * pages + Math.floor(p / pageSize)] * pageSize + (p % pageSize);
      selectRow(
        floats(q).subarray(t * heads * width, (t + 1) * heads * width),
        floats(w).subarray(t * heads, (t + 1) * heads),
        rowPos.data[t] + 1,
        (s) => readCacheRow(keys, at(s), width),
        scale,
        width,
        { data: outputs[0].data as Int32Array, at: t * topK, topK },
        0,
      );
    }
  },
});

/**
 * For every row t the topK best positions among 0 … rowPos[t] of its sequence, whose indexer keys lie in the cache `keys` (rows of
 * Di values, f32, bf16 or i8): i32 [T, topK]. q f32 [T, Hi, Di], w f32 [T, Hi]; pageTable, rowSeq, rowPos as in pagedAttention.
 */
export function pagedSelectTopK(
  q: Tensor,
  w: Tensor,
  keys: Tensor,
  { pageTable, rowSeq, rowPos }: { pageTable: Tensor; rowSeq: Tensor; rowPos: Tensor },
  { topK, scale, pageSize }: { topK: number; scale: number; pageSize: number },
): Tensor {
  const op = "paged_select_top_k";
  const { width } = checkIndexer(op, q, w);
  expectDtype(op, "the key cache", keys, "f32", "bf16", "i8");
  const cacheRows = fixedDim(op, "the rows of the key cache", keys.shape[0]);
  expectShape(op, "the key cache", keys, [cacheRows, cacheColumns(keys.dtype as "f32" | "bf16" | "i8", width)]);
  if (!Number.isInteger(pageSize) || pageSize < 1 || cacheRows % pageSize !== 0)
    throw new ProgramError(`${op}: ${keys} is no whole number of pages of ${pageSize}`);
  if (!Number.isInteger(topK) || topK < 1) throw new ProgramError(`${op}: topK must be a whole number above 0`);
  expectRank(op, "pageTable", pageTable, 2);
  const pages = fixedDim(op, "the pages per sequence", pageTable.shape[1]);
  expectIndices(op, "pageTable", pageTable, [pageTable.shape[0], pages], cacheRows / pageSize);
  expectIndices(op, "rowSeq", rowSeq, [q.shape[0]], pageTable.shape[0]);
  expectIndices(op, "rowPos", rowPos, [q.shape[0]], pages * pageSize, -1);
  const out = q.program.temp("i32", [q.shape[0], topK]);
  q.program.emit(
    PAGED_SELECT_TOP_K,
    [q, w, keys, pageTable, rowSeq, rowPos],
    [out, ...selectScratch(q, pages * pageSize)],
    { pageSize, scale },
  );
  return out;
}

/** Where slot j of a window lies: a row of the chunk, a row of the state (code −2 − row), or nowhere (−1). */
const sourceOf = (code: number, chunk: Value | null, state: Value | null): { from: Value; row: number } | null => {
  if (code === -1) return null;
  return code >= 0 ? { from: chunk as Value, row: code } : { from: state as Value, row: -2 - code };
};

/** Softmax weights of the slots of window `w` at column `i`, by slot. */
function slotWeights(inputs: readonly (Value | null)[], w: number, i: number, width: number): number[] {
  const [, gate, ape, sources, , stateGate] = inputs;
  const [ratio, columns] = (ape as Value).shape;
  const slots = (sources as Value).shape[1];
  const logits = Array.from({ length: slots }, (_, j) => {
    const source = sourceOf((sources as Value).data[w * slots + j], gate, stateGate);
    const column = columnOf(j, ratio, width) + i;
    if (!source) return -Infinity;
    return floats(source.from)[source.row * columns + column] + floats(ape)[(j % ratio) * columns + column];
  });
  const top = Math.max(...logits);
  const weights = logits.map((x) => (top === -Infinity ? 0 : Math.exp(x - top)));
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((x) => (total > 0 ? x / total : 0));
}

/** First column of the slice that slot j reads: the previous window's first slice, the current window's last. */
const columnOf = (j: number, ratio: number, width: number): number => (j < ratio ? 0 : width);

const COMPRESS = defineOp({
  name: "compress_windows",
  ints: [],
  floats: [],
  reference: ({ inputs, outputs: [out] }) => {
    const [kv, , ape, sources, stateKv] = inputs;
    const [ratio, columns] = (ape as Value).shape;
    const [windows, width] = out.shape;
    const slots = (sources as Value).shape[1];
    for (let w = 0; w < windows; w++) {
      for (let i = 0; i < width; i++) {
        const weights = slotWeights(inputs, w, i, width);
        let sum = 0;
        for (let j = 0; j < slots; j++) {
          const source = sourceOf((sources as Value).data[w * slots + j], kv, stateKv);
          if (source) sum += weights[j] * floats(source.from)[source.row * columns + columnOf(j, ratio, width) + i];
        }
        floats(out)[w * width + i] = sum;
      }
    }
  },
  backward: ({ inputs, outputs, gradOf, needs, accumulator }) => {
    const gradient = gradOf(0);
    if (!gradient) return;
    if (inputs[4]) throw new ProgramError("compress_windows: windows that reach into a state have no gradient");
    const { program } = outputs[0];
    const into = [0, 1, 2].map((i) => (needs(i) ? accumulator(i) : program.temp("f32", (inputs[i] as Tensor).shape)));
    program.emit(COMPRESS_BACKWARD, [...inputs.slice(0, 4), outputs[0], gradient], into);
  },
});

const COMPRESS_BACKWARD = defineOp({
  name: "compress_windows_backward",
  ints: [],
  floats: [],
  inout: [0, 1, 2],
  reference: ({ inputs, outputs }) => {
    const [kv, , ape, sources, out, dout] = inputs as Value[];
    const [dkv, dgate, dape] = outputs.map(floats);
    const [ratio, columns] = ape.shape;
    const [windows, width] = out.shape;
    const slots = sources.shape[1];
    for (let i = 0; i < width; i++) {
      for (let w = 0; w < windows; w++) {
        const weights = slotWeights([...inputs.slice(0, 4), null, null], w, i, width);
        const g = floats(dout)[w * width + i];
        for (let j = 0; j < slots; j++) {
          const row = sources.data[w * slots + j];
          if (row < 0) continue;
          const column = columnOf(j, ratio, width) + i;
          const dlogit = weights[j] * g * (floats(kv)[row * columns + column] - floats(out)[w * width + i]);
          dkv[row * columns + column] += weights[j] * g;
          dgate[row * columns + column] += dlogit;
          dape[(j % ratio) * columns + column] += dlogit;
        }
      }
    }
  },
});

/**
 * Pools windows of tokens into one row each (DeepSeek-V4 report §2.3.1–2.3.2): out[w, i] = Σ_j softmax_j(gate + ape)[i] · kv[i] over
 * the window's slots, column by column. kv and gate f32 [T, C·D], ape f32 [ratio, C·D], sources i32 [W, C·ratio] → [W, D].
 * C = 1 (HCA): slot j is token j of the window. C = 2 (CSA, overlapping): slots 0 … ratio−1 are the previous window's tokens, of
 * which columns 0 … D−1 are read, slots ratio … 2·ratio−1 the window's own, columns D … 2·D−1.
 * sources: the row of each slot in kv, −1 for none (before the first window), or −2 − r for row r of the state, where tokens of
 * earlier calls lie (f32 [rows, C·D] each, written by cacheWrite). Differentiable in kv, gate and ape when no state is given.
 */
export function compressWindows(
  kv: Tensor,
  gate: Tensor,
  ape: Tensor,
  sources: Tensor,
  state?: { kv: Tensor; gate: Tensor },
): Tensor {
  const op = "compress_windows";
  for (const [what, tensor] of Object.entries({ kv, gate, ape })) {
    expectDtype(op, what, tensor, "f32");
    expectRank(op, what, tensor, 2);
  }
  expectShape(op, "gate", gate, kv.shape);
  const columns = fixedDim(op, "the width of kv", kv.shape[1]);
  const ratio = fixedDim(op, "the window", ape.shape[0]);
  expectShape(op, "ape", ape, [ratio, columns]);
  expectRank(op, "sources", sources, 2);
  const slots = fixedDim(op, "the slots of a window", sources.shape[1]);
  const slices = slots / ratio;
  if ((slices !== 1 && slices !== 2) || columns % slices !== 0)
    throw new ProgramError(
      `${op}: ${sources} must list ${ratio} or ${2 * ratio} slots per window for ${kv} and ${ape}`,
    );
  let below = -1;
  if (state) {
    const rows = fixedDim(op, "the rows of the state", state.kv.shape[0]);
    for (const tensor of [state.kv, state.gate]) {
      expectDtype(op, "the state", tensor, "f32");
      expectShape(op, "the state", tensor, [rows, columns]);
    }
    below = -1 - rows;
  }
  expectIndices(op, "sources", sources, [sources.shape[0], slots], kv.shape[0], below);
  const out = kv.program.temp("f32", [sources.shape[0], columns / slices]);
  kv.program.emit(COMPRESS, [kv, gate, ape, sources, state?.kv ?? null, state?.gate ?? null], [out]);
  return out;
}
