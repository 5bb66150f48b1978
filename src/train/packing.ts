// Which documents share a row of limited length: best-fit decreasing, which wastes least of what is simple.

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
