// The program that trains: whole packed rows through the model, log-probabilities of targets, a weighted loss, gradients. What the
// weights of the loss are (cross-entropy, advantages, masks) is the trainer's business.
import type { ModelConfig } from "../checkpoint/config.ts";
import { gradients } from "../tensor/autodiff.ts";
import { add, dot, scale } from "../tensor/ops/elementwise.ts";
import { linear } from "../tensor/ops/linear.ts";
import { logprob } from "../tensor/ops/loss.ts";
import { balanceLoss, expertLoad } from "../tensor/ops/router.ts";
import { dim, Program, type Register, type Tensor } from "../tensor/program.ts";
import { ModelContext } from "./context.ts";
import { trunk } from "./forward.ts";
import { finalNorm, headWeight } from "./transformer.ts";

export interface TrainingOptions {
  /** Most rows (tokens) per run. */
  maxTokens: number;
  /** Most tokens per document. */
  maxPositions: number;
  /** Factor on the logits before the softmax: one over the temperature. Default 1. */
  logitScale?: number;
  /** Strength of the sequence-wise balance loss; 0 (default): none. */
  balanceAlpha?: number;
  /** Whether the gradients are computed too. Default true. */
  backward?: boolean;
  /** Keep every row's logits as the output `logits` [T, V] (small models and comparisons only). */
  logits?: boolean;
  /** Keep the hidden states as outputs `hidden.0` … `hidden.L`. */
  hidden?: boolean;
  /** Read the expert choice of every MoE layer from inputs `routes.LAYER` i32 [T, K] instead of making it. */
  givenRoutes?: boolean;
}

/**
 * Inputs `ids`, `positions`, `starts`, `targets` i32 [T] and `weights` f32 [T]; outputs `logp`, `entropy` f32 [T] and `loss` [1] =
 * −Σ weights·logp + balance losses; `routes.out.LAYER` i32 [T, K] the experts chosen; states `load.LAYER` i32 [E], to which
 * every run adds each expert's tokens. Gradients are the states `grad.NAME`, added
 * to at every run. Rows of one document follow each other; `starts` holds each row's first row of its document.
 */
export interface TrainingProgram {
  program: Program;
  rows: Register;
  context: ModelContext;
  loss: Tensor;
  /** Gradient state of every trained parameter. */
  gradients: Map<Tensor, Tensor>;
}

export function buildTraining(config: ModelConfig, options: TrainingOptions): TrainingProgram {
  const program = new Program(`train-${config.family}`);
  const rows = program.register("T", options.maxTokens);
  const row = [dim(rows)];
  const index = (name: string, max: number): Tensor => program.input(name, "i32", row, { min: 0, max });
  const inputs = {
    ids: index("ids", config.vocabSize),
    positions: index("positions", options.maxPositions),
    starts: index("starts", options.maxTokens),
  };
  const targets = index("targets", config.vocabSize);
  const weights = program.input("weights", "f32", row);
  const context = new ModelContext({ program, config, rows, inputs, cache: null, maxPositions: options.maxPositions });
  if (options.givenRoutes && config.moe) {
    const { numExpertsPerTok, nRoutedExperts } = config.moe;
    config.mlpTypes.forEach((type, layer) => {
      if (type === "dense") return;
      const given = program.input(`routes.${layer}`, "i32", [dim(rows), numExpertsPerTok], {
        min: 0,
        max: nRoutedExperts,
      });
      context.givenRoutes.set(layer, given);
    });
  }
  const x = finalNorm(context, trunk(context));
  const head = headWeight(context);
  const { logp, entropy } = logprob(x, head, targets, options.logitScale);
  let loss = scale(dot(logp, weights), -1);
  for (const { layer, ids, scores, offsets } of context.routes) {
    expertLoad({ offsets }, program.state(`load.${layer}`, "i32", [(offsets.shape[0] as number) - 1]));
    if (options.balanceAlpha) loss = add(loss, balanceLoss(scores, ids, inputs.starts, options.balanceAlpha));
  }
  if (options.logits) program.output(linear(x, head), "logits");
  if (options.hidden) context.hidden.forEach((hidden, i) => program.output(hidden, `hidden.${i}`));
  const found = (options.backward ?? true) ? gradients(program, loss) : new Map<Tensor, Tensor>();
  program.output(logp, "logp");
  program.output(entropy, "entropy");
  program.output(loss, "loss");
  for (const { layer, ids } of context.routes) program.output(ids, `routes.out.${layer}`);
  return { program, rows, context, loss, gradients: found };
}
