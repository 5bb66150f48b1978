// The choice among equal index scores that the reference models were made with. Index scores of V3.2 and V4 are exactly 0 for many
// keys at once, and then the choice decides the logits: Weir takes the lower position, PyTorch what its partial sort leaves in front.
// Used by tests that compare with the goldens.
import { type OpDefinition, ops, type Value } from "../tensor/op.ts";
import { readCacheRow } from "../tensor/ops/cache.ts";

/**
 * The k best of `scores` as PyTorch's CPU topk picks them among equals: libstdc++'s nth_element on (value, index) pairs by value
 * alone.
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
function chooseRow(
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

/** Runs `work` with the reference implementations of the selecting instructions replaced by `replacements`. */
function replaced<T>(replacements: Record<string, OpDefinition["reference"]>, work: () => T): T {
  const own = Object.keys(replacements).map((name) => {
    const op = ops.get(name) as { reference: OpDefinition["reference"] };
    const before = op.reference;
    op.reference = replacements[name];
    return () => {
      op.reference = before;
    };
  });
  try {
    return work();
  } finally {
    for (const restore of own) restore();
  }
}

/**
 * Runs `work` with the reference device choosing as PyTorch does: among `total` candidates a document in training programs, in
 * serving programs among the candidates that the last of the step's rows sees.
 */
export function withTorchTies<T>(total: number, work: () => T): T {
  const list = (out: Int32Array, at: number, topK: number, chosen: number[], first: number): void => {
    for (let i = 0; i < topK; i++) out[at + i] = i < chosen.length ? first + chosen[i] : -1;
  };
  return replaced(
    {
      select_top_k: ({ inputs, outputs }) => {
        const [q, w, keys, first, count] = inputs.map(({ data }) => data);
        const [rows, heads, width] = inputs[0].shape;
        const topK = outputs[0].shape[1];
        for (let t = 0; t < rows; t++) {
          const keyAt = (s: number): ArrayLike<number> =>
            keys.subarray((first[t] + s) * width, (first[t] + s + 1) * width);
          const chosen = chooseRow(q, w, { t, heads, width }, keyAt, { count: count[t], total, topK });
          list(outputs[0].data as Int32Array, t * topK, topK, chosen, first[t]);
        }
      },
      paged_select_top_k: ({ inputs, outputs, ints: [pageSize] }) => {
        const [q, w, keys, pageTable, rowSeq, rowPos] = inputs as Value[];
        const [rows, heads, width] = q.shape;
        const [topK, pages] = [outputs[0].shape[1], pageTable.shape[1]];
        const seen = Math.max(...rowPos.data) + 1;
        for (let t = 0; t < rows; t++) {
          const keyAt = (s: number): ArrayLike<number> => {
            const page = pageTable.data[rowSeq.data[t] * pages + Math.floor(s / pageSize)];
            return readCacheRow(keys, page * pageSize + (s % pageSize), width);
          };
          const sizes = { count: rowPos.data[t] + 1, total: seen, topK };
          const chosen = chooseRow(q.data, w.data, { t, heads, width }, keyAt, sizes);
          list(outputs[0].data as Int32Array, t * topK, topK, chosen, 0);
        }
      },
    },
    work,
  );
}
