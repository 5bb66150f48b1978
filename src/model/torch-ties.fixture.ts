// Makes the reference device choose among equal index scores as PyTorch does (torch-ties.ts), in training and serving programs alike,
// for tests that compare with the goldens.
import { type OpDefinition, ops, type Value } from "../tensor/op.ts";
import { readCacheRow } from "../tensor/ops/cache.ts";
import { chooseRow } from "./torch-ties.ts";

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
