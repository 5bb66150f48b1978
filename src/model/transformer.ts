// The pre-norm transformer that all families but V4 share: embedding, layers of attention and feed-forward around a residual
// stream, final norm. A family file chooses the attention and the feed-forward.
import { embedding } from "../tensor/ops/embedding.ts";
import { rmsNorm } from "../tensor/ops/norm.ts";
import type { Tensor } from "../tensor/program.ts";
import type { ModelContext } from "./context.ts";
import { experts, mlp } from "./layers/feed-forward.ts";

/** Adds the attention sub-layer of layer `layer` over normalised x to `residual`. */
export type AttentionLayer = (ctx: ModelContext, x: Tensor, at: string, layer: number, residual: Tensor) => Tensor;

/** One layer: attention, then feed-forward, each behind its norm and added to the stream h [T, d]. */
export function transformerLayer(
  ctx: ModelContext,
  h: Tensor,
  layer: number,
  attend: AttentionLayer,
  type = ctx.config.mlpTypes[layer],
): Tensor {
  const { config } = ctx;
  const at = `model.layers.${layer}`;
  const norm = (x: Tensor, name: string): Tensor =>
    rmsNorm(x, ctx.weight(`${at}.${name}.weight`, [config.hiddenSize]), config.rmsNormEps);
  const attended = attend(ctx, norm(h, "input_layernorm"), `${at}.self_attn`, layer, h);
  const x = norm(attended, "post_attention_layernorm");
  if (type === "dense" || config.moe === null) {
    return mlp(ctx, x, `${at}.mlp`, config.intermediateSize, { bias: config.mlpBias, residual: attended });
  }
  return experts(ctx, x, `${at}.mlp`, layer, config.moe, { residual: attended });
}

/** The embedding of token ids [T] as [T, d]. */
export const embed = (ctx: ModelContext, ids: Tensor): Tensor =>
  embedding(ctx.weight("model.embed_tokens.weight", [ctx.config.vocabSize, ctx.config.hiddenSize]), ids);

/** Token ids to the stream before the final norm, [T, d]. */
export function transformerTrunk(ctx: ModelContext, attend: AttentionLayer): Tensor {
  let h = embed(ctx, ctx.inputs.ids);
  ctx.hidden.push(h);
  for (let layer = 0; layer < ctx.config.numHiddenLayers; layer++) {
    h = transformerLayer(ctx, h, layer, attend);
    if (layer < ctx.config.numHiddenLayers - 1) ctx.hidden.push(h);
  }
  return h;
}

/** The final norm of the stream. */
export function finalNorm(ctx: ModelContext, h: Tensor): Tensor {
  const x = rmsNorm(h, ctx.weight("model.norm.weight", [ctx.config.hiddenSize]), ctx.config.rmsNormEps);
  ctx.hidden.push(x);
  return x;
}

/** The output head's weights [V, d]. */
export function headWeight(ctx: ModelContext): Tensor {
  const { vocabSize, hiddenSize, tieWordEmbeddings, family } = ctx.config;
  const name = tieWordEmbeddings
    ? "model.embed_tokens.weight"
    : family === "deepseek_v4"
      ? "head.weight"
      : "lm_head.weight";
  return ctx.weight(name, [vocabSize, hiddenSize]);
}
