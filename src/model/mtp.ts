// Multi-token prediction (DeepSeek-V3 report §2.2): module k takes a row's state and the embedding of the token k places ahead
// through one more layer and predicts the token after that. Here are the module, its training loss and the program that drafts
// tokens when serving; whether drafts are kept is the engine's decision. Embedding and output head are the main model's (a
// checkpoint's copies under the module's name are the same values).
import type { ModelConfig } from "../checkpoint/config.ts";
import { concatColumns, gatherRows } from "../tensor/ops/columns.ts";
import { add, dot, scale } from "../tensor/ops/elementwise.ts";
import { linear } from "../tensor/ops/linear.ts";
import { logprob } from "../tensor/ops/loss.ts";
import { rmsNorm } from "../tensor/ops/norm.ts";
import { dim, ProgramError, type Tensor } from "../tensor/program.ts";
import type { ModelContext } from "./context.ts";
import { latentLayer } from "./families/deepseek-v3.ts";
import { sparseLayer } from "./families/deepseek-v32.ts";
import { type InferenceOptions, type InferenceProgram, servingContext } from "./inference.ts";
import { embed, headWeight, transformerLayer } from "./transformer.ts";

/** The state of a module's rows, as the next module takes it, and what the output head reads. */
export interface Ahead {
  /** [T, d], before the module's own final norm. */
  state: Tensor;
  /** [T, d], after it. */
  normed: Tensor;
}

/**
 * Module `index` over `state` [T, d] (of module 0: the main model after its final norm, as published engines feed it) and the token
 * ids [T] one place further ahead. Weights `model.layers.{numHiddenLayers + index}.…`; eh_proj takes the embedding first.
 * Throws a ProgramError for a configuration without this module.
 */
function predictAhead(ctx: ModelContext, index: number, state: Tensor, ids: Tensor): Ahead {
  const { config } = ctx;
  const { hiddenSize: d, rmsNormEps: eps, numNextnPredictLayers: modules } = config;
  if (config.attention.kind !== "latent" || index >= modules)
    throw new ProgramError(
      `${config.family} with ${modules} prediction modules has no module ${index} that Weir computes`,
    );
  const layer = config.numHiddenLayers + index;
  const at = `model.layers.${layer}`;
  const norm = (x: Tensor, name: string): Tensor => rmsNorm(x, ctx.weight(`${at}.${name}.weight`, [d]), eps);
  const joined = concatColumns(norm(embed(ctx, ids), "enorm"), norm(state, "hnorm"));
  const attend = config.attention.indexer ? sparseLayer : latentLayer;
  const type = config.moe ? "moe" : "dense";
  const out = transformerLayer(ctx, ctx.linear(joined, `${at}.eh_proj`, d), layer, attend, type);
  return { state: out, normed: norm(out, "shared_head.norm") };
}

/**
 * The training loss of all modules, Σ_k −Σ_t weights·logp / D (V3 report eq. 24–25 without λ), from the main model's rows after the
 * final norm. Declares the inputs `mtp.K.ids`, `mtp.K.targets` i32 [T] and `mtp.K.weights` f32 [T] that fillAhead writes.
 */
export function aheadLoss(ctx: ModelContext, normed: Tensor): Tensor {
  const { program, config } = ctx;
  const row = [dim(ctx.rows)];
  let loss: Tensor | null = null;
  let state = normed;
  for (let k = 0; k < config.numNextnPredictLayers; k++) {
    const index = (name: string): Tensor =>
      program.input(`mtp.${k}.${name}`, "i32", row, { min: 0, max: config.vocabSize });
    const ahead = predictAhead(ctx, k, state, index("ids"));
    const { logp } = logprob(ahead.normed, headWeight(ctx), index("targets"), 1);
    const one = scale(dot(logp, program.input(`mtp.${k}.weights`, "f32", row)), -1 / config.numNextnPredictLayers);
    loss = loss ? add(loss, one) : one;
    state = ahead.state;
  }
  if (!loss)
    throw new ProgramError(`${config.family}: num_nextn_predict_layers is 0, there is nothing to predict ahead with`);
  return loss;
}

/** What module k reads for every row: the token k + 1 places ahead, the one after it, and its weight; 0 at the ends of documents. */
export function aheadRows(
  k: number,
  rows: { ids: ArrayLike<number>; starts: ArrayLike<number>; targets: ArrayLike<number>; weights: ArrayLike<number> },
): { ids: Int32Array; targets: Int32Array; weights: Float64Array } {
  const { length } = rows.ids;
  const out = { ids: new Int32Array(length), targets: new Int32Array(length), weights: new Float64Array(length) };
  for (let t = 0; t + k + 1 < length; t++) {
    const from = t + k + 1;
    if (rows.starts[from] !== rows.starts[t]) continue;
    out.ids[t] = rows.ids[from];
    out.targets[t] = rows.targets[from];
    out.weights[t] = rows.weights[from];
  }
  return out;
}

/**
 * The program that drafts with module 0 beside a serving program of the same sizes. Registers T and R and the inputs `positions`,
 * `sequences`, `slots`, `pageTable`, `sampledRows` as there; `ids` [T] is for each row the token AFTER its own, `hidden` f32 [T, d] the
 * main program's output of that name (or this program's `next`, to draft further ahead). Outputs `logits` [R, V] of the token after
 * that and `next` [R, d]. Its keys lie in a cache state of its own under the same pages: the rows of a prompt must run too.
 */
export function buildDraft(config: ModelConfig, options: InferenceOptions): InferenceProgram {
  const { context, sampledRows } = servingContext(`draft-${config.family}`, config, options);
  const { program, rows, inputs } = context;
  const hidden = program.input("hidden", "f32", [dim(rows), config.hiddenSize]);
  const { state, normed } = predictAhead(context, 0, hidden, inputs.ids);
  program.output(linear(gatherRows(normed, sampledRows), headWeight(context)), "logits");
  program.output(gatherRows(state, sampledRows), "next");
  return { program, context, options };
}
