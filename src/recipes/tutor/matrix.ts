// Small integer matrices as people write them, `[[1,2],[3,4]]` or `[1 2; 3 4]`, and their determinants.

/** The rows of a square matrix of order 2 or 3; undefined when the text is none. */
export function matrix(text: string): bigint[][] | undefined {
  const plain = text.trim();
  if (plain.length > 200 || !/^\[.*\]$/.test(plain)) return undefined;
  const inner = plain.slice(1, -1).trim();
  const rows = inner.startsWith("[") ? inner.replace(/^\[|\]$/g, "").split(/\]\s*,?\s*\[/) : inner.split(";");
  if (!inner.startsWith("[") && rows.length < 2) return undefined;
  const out = rows.map((row) => row.trim().split(/\s*,\s*|\s+/));
  const size = out.length;
  if ((size !== 2 && size !== 3) || out.some((r) => r.length !== size || r.some((n) => !/^-?\d{1,12}$/.test(n))))
    return undefined;
  return out.map((r) => r.map(BigInt));
}

export function determinant(m: readonly (readonly bigint[])[]): bigint {
  if (m.length === 2) return m[0][0] * m[1][1] - m[0][1] * m[1][0];
  const minor = (j: number): bigint[][] => m.slice(1).map((row) => row.filter((_, k) => k !== j));
  return [0, 1, 2].reduce((sum, j) => sum + (j === 1 ? -1n : 1n) * m[0][j] * determinant(minor(j)), 0n);
}
