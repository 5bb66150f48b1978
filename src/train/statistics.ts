// The intervals and estimates that evaluations report.

/** Wilson's score interval for a share of k in n at 95 % (Wilson 1927). Throws RangeError for n = 0. */
export function wilson(k: number, n: number, z = 1.959964): [number, number] {
  if (n === 0) throw new RangeError("an interval needs at least one case");
  const p = k / n;
  const centre = p + (z * z) / (2 * n);
  const spread = z * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  const of = 1 + (z * z) / n;
  return [Math.max(0, (centre - spread) / of), Math.min(1, (centre + spread) / of)];
}

/** Unbiased pass@k from c right of n samples: 1 − C(n−c, k)/C(n, k) (Chen et al. 2021, eq. 1). */
export function passAt(k: number, n: number, c: number): number {
  if (k > n) throw new RangeError(`pass@${k} needs at least ${k} samples, not ${n}`);
  if (n - c < k) return 1;
  let miss = 1;
  for (let i = n - c + 1; i <= n; i++) miss *= 1 - k / i;
  return 1 - miss;
}
