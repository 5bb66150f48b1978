// Muon (Jordan et al. 2024) with DeepSeek-V4's settings (V4 report §4.2): momentum, orthogonalisation by Newton–Schulz iterations on
// every matrix of a batch at once, an update of fixed root mean square.
import type { Tensor } from "../program.ts";
import { matmul } from "./matmul.ts";
import { muonApply, muonMomentum } from "./optimizer.ts";

/** Quintic coefficients a, b, c of X ← aX + (bA + cA²)X with A = XXᵀ: eight steps that spread singular values fast, two that settle them at 1. */
const FAST = [3.4445, -4.775, 2.0315] as const;
const SETTLE = [2, -1.5, 0.5] as const;
export const FIVE_STEPS = Array(5).fill(FAST) as (readonly [number, number, number])[];
export const NEWTON_SCHULZ = [...Array(8).fill(FAST), ...Array(2).fill(SETTLE)] as (readonly [
  number,
  number,
  number,
])[];

/** Orthogonalised x [B, N, K] (each matrix of Frobenius norm at most 1): singular values near 1, the same singular vectors. */
export function orthogonalise(x: Tensor, steps = NEWTON_SCHULZ): Tensor {
  const [, rows, columns] = x.shape as number[];
  // The Gram matrix is formed on the shorter side.
  const wide = rows <= columns;
  let result = x;
  for (const [a, b, c] of steps) {
    const gram = wide ? matmul(result, result, { transposeB: true }) : matmul(result, result, { transposeA: true });
    const polynomial = matmul(gram, gram, { alpha: c, add: gram, beta: b });
    result = wide
      ? matmul(polynomial, result, { add: result, beta: a })
      : matmul(result, polynomial, { add: result, beta: a });
  }
  return result;
}

export interface MuonOptions {
  momentum: number;
  weightDecay: number;
  /** Newton–Schulz steps. Default: V4's ten; Jordan's five are half the work and enough at small size. */
  steps?: typeof NEWTON_SCHULZ;
  /** Root mean square of the update's elements before the learning rate (V4: 0.18). */
  rms: number;
}

/**
 * One Muon step on B matrices `param` [B, N, K] (a state) with their gradient and momentum buffer. `rates` [3]: the learning rate
 * first; `scale` [2] from clipScale. An orthogonal [N, K] matrix has elements of root mean square 1/√max(N, K).
 */
export function muon(
  param: Tensor,
  grad: Tensor,
  buffer: Tensor,
  rates: Tensor,
  scale: Tensor,
  options: MuonOptions,
): void {
  const [, rows, columns] = param.shape as number[];
  const update = orthogonalise(muonMomentum(buffer, grad, scale, options.momentum), options.steps);
  muonApply(param, update, rates, options.rms * Math.sqrt(Math.max(rows, columns)), options.weightDecay);
}
