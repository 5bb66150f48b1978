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

/** Two-sided 95 % quantiles of Student's t for 1, 2, … degrees of freedom; the normal's from there on. */
const STUDENT = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131,
];

/** Mean and half of Student's 95 % interval of it. Throws RangeError for less than two values. */
export function meanInterval(values: readonly number[]): [number, number] {
  const n = values.length;
  if (n < 2) throw new RangeError(`an interval needs at least two values, not ${n}`);
  const mean = values.reduce((a, b) => a + b, 0) / n;
  const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (n - 1);
  return [mean, (STUDENT[n - 2] ?? 1.96) * Math.sqrt(variance / n)];
}
