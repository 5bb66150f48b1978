// The optimiser as a program over all parameters: which of them Muon moves and which AdamW, the clipping, the states they keep.

import { fill } from "../tensor/ops/elementwise.ts";
import { FIVE_STEPS, type MuonParameter, muon, NEWTON_SCHULZ } from "../tensor/ops/muon.ts";
import { type AdamWOptions, adamw, clipScale, sumSquares } from "../tensor/ops/optimizer.ts";
import { Program, type Tensor } from "../tensor/program.ts";

export interface OptimizerConfig {
  kind: "adamw" | "muon";
  /** Peak rate of AdamW's parameters. */
  lr: number;
  /** Peak rate of Muon's matrices, on updates of root mean square 0.18. Default: lr. */
  muonLr?: number;
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
  /** Muon's momentum. Default 0.95. */
  momentum?: number;
  /** Newton–Schulz steps of Muon: 10 as DeepSeek-V4, 5 as Jordan et al. Default 10. */
  newtonSchulz?: 5 | 10;
  /** Global gradient norm above which gradients are scaled down; 0: never. */
  maxGradNorm: number;
}

export const DEFAULT_OPTIMIZER: OptimizerConfig = {
  kind: "muon",
  lr: 3e-3,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  weightDecay: 0.1,
  maxGradNorm: 1,
};

/** Matrices inside layers go to Muon; embedding, head, router, norms and vectors to AdamW (V4 report §4.2). */
export const isMuonParameter = (name: string, shape: readonly number[]): boolean =>
  shape.length >= 2 && !/embed_tokens|lm_head|^head\.|\.gate\.weight$|hc_|ape$/.test(name);

/**
 * A program that turns the states `grad.NAME` into one update of the states NAME and leaves the gradients zero. Inputs `rates`
 * [3] (AdamW's rate, 1 − β1^t, 1 − β2^t), `muonRates` [3], `before` [1] (factor on the raw gradients); output `norm` [2]: the
 * scaled gradients' norm and the factor that was applied. States `m.NAME`, `v.NAME` or `momentum.NAME`.
 */
export function buildOptimizer(
  parameters: readonly { name: string; shape: number[] }[],
  config: OptimizerConfig,
): Program {
  const program = new Program("optimizer");
  const rates = program.input("rates", "f32", [3]);
  const muonRates = program.input("muonRates", "f32", [3]);
  const before = program.input("before", "f32", [1]);
  const grads = parameters.map(({ name, shape }) => program.state(`grad.${name}`, "f32", shape));
  const total = fill(program, [1], 0);
  sumSquares(grads, total);
  const scale = clipScale(total, before, config.maxGradNorm);
  const matrices: MuonParameter[] = [];
  parameters.forEach(({ name, shape }, i) => {
    const param = program.state(name, "f32", shape);
    if (config.kind === "muon" && isMuonParameter(name, shape)) {
      const batched = [shape.length === 3 ? shape[0] : 1, ...shape.slice(-2)];
      const buffer = program.state(`momentum.${name}`, "f32", shape);
      const as3 = (tensor: Tensor): Tensor => tensor.reshape(...batched);
      matrices.push({ param: as3(param), grad: as3(grads[i]), buffer: as3(buffer) });
      return;
    }
    const [m, v] = [program.state(`m.${name}`, "f32", shape), program.state(`v.${name}`, "f32", shape)];
    // Decay pulls matrices only: a norm's or a bias's size is its meaning.
    const options: AdamWOptions = { ...pick(config), weightDecay: shape.length >= 2 ? config.weightDecay : 0 };
    adamw(param, grads[i], m, v, rates, scale, options);
  });
  muon(matrices, muonRates, scale, {
    momentum: config.momentum ?? 0.95,
    weightDecay: config.weightDecay,
    rms: 0.18,
    steps: config.newtonSchulz === 5 ? FIVE_STEPS : NEWTON_SCHULZ,
  });
  program.output(scale, "norm");
  return program;
}

const pick = ({ beta1, beta2, eps }: OptimizerConfig): Omit<AdamWOptions, "weightDecay"> => ({ beta1, beta2, eps });
