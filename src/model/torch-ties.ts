// The choice among equal index scores that PyTorch makes. Index scores of V3.2 and V4 are exactly 0 for many keys at once, and then the
// choice decides the logits: Weir takes the lower position, PyTorch what its partial sort leaves in front. Whoever compares with
// logits that PyTorch made has to choose as it does; nobody else needs this.
import type { Executable } from "../tensor/device.ts";
import { fillRows, type TrainingProgram, type TrainingRows } from "./training.ts";
import { windowIndices } from "./windows.ts";

/**
 * The k best of `scores` as PyTorch's CPU topk picks them among equals: libstdc++'s nth_element on (value, index) pairs by value
 * alone. (For k·64 ≤ n PyTorch sorts partially instead; that is not imitated.)
 */
function torchTopK(scores: number[], k: number): number[] {
  const queue = scores.map((value, index) => ({ value, index }));
  const before = (a: number, b: number): boolean => queue[a].value > queue[b].value;
  const swap = (a: number, b: number): void => {
    [queue[a], queue[b]] = [queue[b], queue[a]];
  };
  let [first, last] = [0, queue.length];
  const nth = k - 1;
  while (last - first > 3) {
    const [a, b, c] = [first + 1, first + Math.floor((last - first) / 2), last - 1];
    const median = before(a, b) ? (before(b, c) ? b : before(a, c) ? c : a) : before(a, c) ? a : before(b, c) ? c : b;
    swap(first, median);
    let [low, high] = [first + 1, last];
    for (;;) {
      while (before(low, first)) low++;
      high--;
      while (before(first, high)) high--;
      if (!(low < high)) break;
      swap(low, high);
      low++;
    }
    if (low <= nth) first = low;
    else last = low;
  }
  const rest = queue.slice(first, last);
  for (let i = 1; i < rest.length; i++)
    for (let j = i; j > 0 && rest[j].value > rest[j - 1].value; j--) [rest[j], rest[j - 1]] = [rest[j - 1], rest[j]];
  return [...queue.slice(0, first), ...rest, ...queue.slice(last)].slice(0, k).map(({ index }) => index);
}

/** One row's list: positions among `count` seen of `total` candidates, by the scores of q [heads, width] and w [heads]. */
export function chooseRow(
  q: ArrayLike<number>,
  w: ArrayLike<number>,
  row: { t: number; heads: number; width: number },
  keyAt: (s: number) => ArrayLike<number>,
  sizes: { count: number; total: number; topK: number },
): number[] {
  const { t, heads, width } = row;
  const scores = Array.from({ length: sizes.total }, (_, s) => {
    if (s >= sizes.count) return Number.NEGATIVE_INFINITY;
    const key = keyAt(s);
    let sum = 0;
    for (let h = 0; h < heads; h++) {
      let dot = 0;
      for (let i = 0; i < width; i++) dot += q[(t * heads + h) * width + i] * key[i];
      sum += w[t * heads + h] * Math.max(0, dot);
    }
    return sum;
  });
  return torchTopK(scores, Math.min(sizes.topK, sizes.total)).filter((s) => s < sizes.count);
}

/**
 * What the indexers of a training program (built with `givenSelections`, without gradients) choose over documents of `length` rows as
 * PyTorch chooses, by layer: each run settles one more layer, whose queries and keys then no longer change. Rows that see at most
 * top_k have nothing to choose.
 */
export function chooseLikeTorch(
  built: TrainingProgram,
  run: Executable,
  rows: TrainingRows,
  length: number,
): Map<number, Int32Array> {
  const { context } = built;
  const a = context.config.attention;
  const ratio = a.kind === "compressed" ? a.sparseRate : 1;
  const { first, count } = ratio > 1 ? windowIndices(rows.positions, rows.starts, ratio, true) : plainRows(rows);
  const total = Math.floor(length / ratio);
  const registers = fillRows(built, run, rows);
  const settled = new Map<number, Int32Array>();
  for (const given of context.givenSelections.values()) (run.buffer(given).view() as Int32Array).fill(-1);
  for (const [layer, given] of context.givenSelections) {
    run.run(registers);
    const topK = given.shape[1] as number;
    const { q, w, k } = context.indexers.find(
      (indexer) => indexer.layer === layer,
    ) as (typeof context.indexers)[number];
    const [heads, width] = q.shape.slice(1) as number[];
    const [qs, ws, ks] = [q, w, k].map((tensor) => run.buffer(tensor).view());
    const chosen = run.buffer(given).view() as Int32Array;
    for (let t = 0; t < rows.ids.length; t++) {
      const keyAt = (s: number): ArrayLike<number> => ks.subarray((first[t] + s) * width, (first[t] + s + 1) * width);
      const list =
        count[t] <= topK
          ? Array.from({ length: count[t] }, (_, s) => s)
          : chooseRow(qs, ws, { t, heads, width }, keyAt, { count: count[t], total, topK });
      for (let i = 0; i < topK; i++) chosen[t * topK + i] = i < list.length ? first[t] + list[i] : -1;
    }
    settled.set(layer, chosen.slice());
  }
  return settled;
}

/** Which rows a row sees without compression: its document's up to itself. */
const plainRows = ({ starts, positions }: TrainingRows): { first: Int32Array; count: Int32Array } => ({
  first: Int32Array.from(starts),
  count: Int32Array.from(positions, (position) => position + 1),
});
