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

/**
 * Orthogonalised matrices, one result for each x [B, N, K] (every matrix of Frobenius norm at most 1): singular values near 1, the
 * same singular vectors. The steps of all of them run side by side, so that the team meets thrice a step and not thrice a matrix.
 */
export function orthogonalise(xs: readonly Tensor[], steps = NEWTON_SCHULZ): Tensor[] {
  let results = [...xs];
  // The Gram matrix is formed on the shorter side.
  const wide = xs.map(({ shape: [, rows, columns] }) => (rows as number) <= (columns as number));
  for (const [a, b, c] of steps) {
    const grams = results.map((x, i) => matmul(x, x, { transposeA: !wide[i], transposeB: wide[i], symmetric: true }));
    const polynomials = grams.map((gram) => matmul(gram, gram, { alpha: c, add: gram, beta: b, symmetric: true }));
    results = results.map((x, i) =>
      wide[i] ? matmul(polynomials[i], x, { add: x, beta: a }) : matmul(x, polynomials[i], { add: x, beta: a }),
    );
  }
  return results;
}

export interface MuonOptions {
  momentum: number;
  weightDecay: number;
  /** Newton–Schulz steps. Default: V4's ten; Jordan's five are half the work and enough at small size. */
  steps?: typeof NEWTON_SCHULZ;
  /** Root mean square of the update's elements before the learning rate (V4: 0.18). */
  rms: number;
}

/** B matrices [B, N, K] that Muon moves: three states of one shape. */
export interface MuonParameter {
  param: Tensor;
  grad: Tensor;
  /** The momentum. */
  buffer: Tensor;
}

/** Elements whose steps run side by side: enough for many threads, few enough to stay in a processor's last cache. */
const SIDE_BY_SIDE = 1 << 20;

/** Parameters in groups of at most SIDE_BY_SIDE elements, unless one alone is larger; equal shapes together. */
function waves(parameters: readonly MuonParameter[]): MuonParameter[][] {
  const key = ({ param }: MuonParameter): string => param.shape.slice(1).join();
  const order = new Map<string, MuonParameter[]>();
  for (const one of parameters) order.set(key(one), [...(order.get(key(one)) ?? []), one]);
  const found: MuonParameter[][] = [];
  let room = 0;
  for (const one of [...order.values()].flat()) {
    const size = (one.param.shape as number[]).reduce((product, d) => product * d, 1);
    if (size > room) {
      found.push([]);
      room = SIDE_BY_SIDE;
    }
    found[found.length - 1].push(one);
    room -= size;
  }
  return found;
}

/**
 * One Muon step on every parameter. `rates` [3]: the learning rate first; `scale` [2] from clipScale. An orthogonal [N, K] matrix
 * has elements of root mean square 1/√max(N, K).
 */
export function muon(
  parameters: readonly MuonParameter[],
  rates: Tensor,
  scale: Tensor,
  { momentum, weightDecay, rms, steps }: MuonOptions,
): void {
  for (const wave of waves(parameters)) {
    const groups = new Map<string, MuonParameter[]>();
    for (const one of wave) {
      const key = one.param.shape.slice(1).join();
      groups.set(key, [...(groups.get(key) ?? []), one]);
    }
    const together = [...groups.values()].map((members) => {
      let total = 0;
      const firsts = members.map(({ param }) => {
        total += param.shape[0] as number;
        return total - (param.shape[0] as number);
      });
      const update = scale.program.temp("f32", [total, ...members[0].param.shape.slice(1)]);
      members.forEach(({ buffer, grad }, i) => {
        muonMomentum(buffer, grad, scale, momentum, update, firsts[i]);
      });
      return { members, firsts, update };
    });
    const updates = orthogonalise(
      together.map(({ update }) => update),
      steps,
    );
    together.forEach(({ members, firsts }, g) => {
      members.forEach(({ param }, i) => {
        const [, rows, columns] = param.shape as number[];
        const factor = rms * Math.sqrt(Math.max(rows, columns));
        muonApply(param, updates[g], rates, { factor, weightDecay, first: firsts[i] });
      });
    });
  }
}
