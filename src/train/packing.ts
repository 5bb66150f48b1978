// Which documents share a row of limited length: best-fit decreasing, which wastes least of what is simple.
import type { Document } from "./batch.ts";

/**
 * The documents one after the other, cut into pieces of at most `longest` tokens that know no seams: attention and positions go on
 * across them. Nothing is learnt at a seam, where one document's last token would have to guess the next one's first.
 */
export function joined(documents: readonly Document[], longest: number): Document[] {
  const total = documents.reduce((sum, { ids }) => sum + ids.length, 0);
  const ids = new Int32Array(total);
  const weights = new Float32Array(total);
  let at = 0;
  for (const document of documents) {
    ids.set(document.ids, at);
    for (let t = 0; t + 1 < document.ids.length; t++) weights[at + t] = document.weights ? document.weights[t] : 1;
    at += document.ids.length;
  }
  const pieces: Document[] = [];
  for (let from = 0; from < total; from += longest)
    pieces.push({ ids: ids.subarray(from, from + longest), weights: weights.subarray(from, from + longest) });
  return pieces;
}

/**
 * Bins of indices into `lengths`, no bin's sum above `room`: longest first, each into the fullest bin that still takes it. Ties go to
 * the earlier, so the result depends on the lengths only. Throws RangeError for a length above `room`.
 */
export function bestFit(lengths: ArrayLike<number>, room: number): number[][] {
  const order = Array.from({ length: lengths.length }, (_, i) => i).sort((a, b) => lengths[b] - lengths[a] || a - b);
  const bins: number[][] = [];
  const left: number[] = [];
  for (const i of order) {
    if (lengths[i] > room) throw new RangeError(`item ${i} has length ${lengths[i]}, more than the room of ${room}`);
    let best = -1;
    for (let b = 0; b < bins.length; b++) if (left[b] >= lengths[i] && (best < 0 || left[b] < left[best])) best = b;
    if (best < 0) {
      best = bins.length;
      bins.push([]);
      left.push(room);
    }
    bins[best].push(i);
    left[best] -= lengths[i];
  }
  return bins;
}
