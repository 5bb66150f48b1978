// Batched f32 matrix products of two activations or states: what Muon's Newton–Schulz iteration is made of.
import { defineOp } from "../op.ts";
import { type Dim, expectShape, ProgramError, sameDim, type Tensor } from "../program.ts";
import { floats } from "./elementwise.ts";

const MATMUL = defineOp({
  name: "matmul",
  ints: ["transposeA", "transposeB", "symmetric"],
  floats: ["alpha", "beta"],
  reference: ({ inputs: [a, b, c], outputs: [y], ints: [ta, tb], floats: [alpha, beta] }) => {
    const [batch, m, n] = y.shape.length === 3 ? y.shape : [1, ...y.shape];
    const [rows, columns] = a.shape.slice(-2);
    const k = ta ? rows : columns;
    const [from, by, add, to] = [floats(a), floats(b), c && floats(c), floats(y)];
    for (let i = 0; i < batch; i++) {
      for (let row = 0; row < m; row++) {
        for (let column = 0; column < n; column++) {
          let sum = 0;
          for (let j = 0; j < k; j++) {
            const left = from[i * m * k + (ta ? j * m + row : row * k + j)];
            sum += left * by[i * k * n + (tb ? column * k + j : j * n + column)];
          }
          const at = (i * m + row) * n + column;
          to[at] = alpha * sum + (add ? beta * add[at] : 0);
        }
      }
    }
  },
  backward: ({ inputs, attributes, gradOf, needs, give }) => {
    const dy = gradOf(0);
    if (!dy) return;
    const [a, b, c] = inputs as Tensor[];
    if (c || (attributes.transposeA && attributes.transposeB))
      throw new ProgramError("matmul: no gradient with an addend or with both factors transposed");
    const { alpha, transposeA, transposeB } = attributes;
    if (needs(0)) {
      if (transposeA) give(0, matmul(b, dy, { transposeB: true, alpha }));
      else give(0, matmul(dy, b, { transposeB: !transposeB, alpha }));
    }
    if (needs(1)) {
      if (transposeB) give(1, matmul(dy, a, { transposeA: true, alpha }));
      else give(1, matmul(a, dy, { transposeA: !transposeA, alpha }));
    }
  },
});

/**
 * alpha · op(a)·op(b) + beta · add, for matrices [M, K]·[K, N] or batches [B, M, K]·[B, K, N] of f32; op is the transposition
 * where asked (not both). `symmetric` says that the result is known to be: half of it is computed and mirrored, which gives the same
 * bits. Gradients to a and b where there is no addend.
 */
export function matmul(
  a: Tensor,
  b: Tensor,
  options: {
    transposeA?: boolean;
    transposeB?: boolean;
    alpha?: number;
    beta?: number;
    add?: Tensor;
    symmetric?: boolean;
  } = {},
): Tensor {
  const { transposeA = false, transposeB = false, alpha = 1, beta = 1, add, symmetric = false } = options;
  const bad = (why: string): never => {
    throw new ProgramError(`matmul: ${why}: ${a}${transposeA ? "ᵀ" : ""} · ${b}${transposeB ? "ᵀ" : ""}`);
  };
  if (a.dtype !== "f32" || b.dtype !== "f32") bad("both factors must be f32");
  if (transposeA && transposeB) bad("at most one factor may be transposed");
  const rank = a.shape.length;
  if (rank !== b.shape.length || rank < 2 || rank > 3) bad("both must be matrices or batches of as many");
  if (rank === 3 && !sameDim(a.shape[0], b.shape[0])) bad("the batches differ");
  const [left, right] = [a.shape.slice(-2), b.shape.slice(-2)];
  const [m, k]: Dim[] = transposeA ? [left[1], left[0]] : left;
  const [k2, n]: Dim[] = transposeB ? [right[1], right[0]] : right;
  if (!sameDim(k, k2)) bad("the inner dimensions differ");
  if (symmetric && !sameDim(m, n)) bad("a symmetric result is square");
  const y = a.program.temp("f32", [...a.shape.slice(0, -2), m, n]);
  if (add) expectShape("matmul", "the addend", add, y.shape);
  a.program.emit(MATMUL, [a, b, add ?? null], [y], {
    transposeA: transposeA ? 1 : 0,
    transposeB: transposeB ? 1 : 0,
    symmetric: symmetric ? 1 : 0,
    alpha,
    beta,
  });
  return y;
}
