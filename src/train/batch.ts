// Packed rows as a training program reads them: documents laid end to end, each attending to itself only, with a target and a
// weight per token. Where documents come from and how they are packed together is data's business.

export interface Document {
  /** Token ids; token t is asked to predict token t + 1. */
  ids: ArrayLike<number>;
  /** Weight of predicting token t + 1 from token t, for t < length − 1; absent: 1. */
  weights?: ArrayLike<number>;
}

export interface Batch {
  tokens: number;
  ids: Int32Array;
  positions: Int32Array;
  starts: Int32Array;
  targets: Int32Array;
  weights: Float32Array;
  /** Tokens that each row's distribution is restricted to, as TrainingRows has them. */
  kept?: Int32Array;
}

/**
 * Lays documents end to end. The last token of each has no target and weight 0. Weights are not normalised: `totalWeight` of all
 * micro-batches of a step divides them.
 */
export function packBatch(documents: readonly Document[]): Batch {
  const tokens = documents.reduce((sum, { ids }) => sum + ids.length, 0);
  const batch: Batch = {
    tokens,
    ids: new Int32Array(tokens),
    positions: new Int32Array(tokens),
    starts: new Int32Array(tokens),
    targets: new Int32Array(tokens),
    weights: new Float32Array(tokens),
  };
  let start = 0;
  for (const { ids, weights } of documents) {
    for (let t = 0; t < ids.length; t++) {
      const row = start + t;
      batch.ids[row] = ids[t];
      batch.positions[row] = t;
      batch.starts[row] = start;
      if (t + 1 < ids.length) {
        batch.targets[row] = ids[t + 1];
        batch.weights[row] = weights ? weights[t] : 1;
      }
    }
    start += ids.length;
  }
  return batch;
}

export const totalWeight = (batch: Batch): number => batch.weights.reduce((sum, w) => sum + w, 0);
