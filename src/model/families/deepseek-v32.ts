// DeepSeek-V3.2 (arXiv 2512.02556): V3 with sparse attention. A lightning indexer scores earlier tokens for each query and latent
// attention sees the best top_k of them only.
import type { IndexerConfig, LatentAttention } from "../../checkpoint/config.ts";
import { gatherAttention } from "../../tensor/ops/attention.ts";
import { layerNorm } from "../../tensor/ops/norm.ts";
import { pagedSelectTopK, selectTopK } from "../../tensor/ops/select.ts";
import type { Tensor } from "../../tensor/program.ts";
import type { CacheInputs, ModelContext } from "../context.ts";
import { attendCache, remember } from "../layers/cached-attention.ts";
import { absorb, expand, latentParts, unabsorb } from "../layers/latent-attention.ts";
import { rotary } from "../layers/rotary.ts";
import { type AttentionLayer, transformerTrunk } from "../transformer.ts";

/** The LayerNorm of the indexer's keys has an epsilon of its own, which no configuration states. */
const INDEXER_NORM_EPS = 1e-6;

/**
 * The rows (training) or positions (serving) that each query attends to, i32 [T, top_k]: index score Σ_j w_j · ReLU(q_j · k) over
 * the indexer's heads, whose first rope dimensions are rotated by halves, unlike the main attention's.
 */
function select(
  ctx: ModelContext,
  x: Tensor,
  compressedQuery: Tensor,
  at: string,
  layer: number,
  indexer: IndexerConfig,
): Tensor {
  const { heads, headDim, topK } = indexer;
  const rope = ctx.config.rope;
  const q = ctx.linear(compressedQuery, `${at}.wq_b`, heads * headDim).reshape(...ctx.shape(heads, headDim));
  const [norm, bias] = [ctx.weight(`${at}.k_norm.weight`, [headDim]), ctx.weight(`${at}.k_norm.bias`, [headDim])];
  const k = layerNorm(ctx.linear(x, `${at}.wk`, headDim), norm, bias, INDEXER_NORM_EPS);
  const turn = (tensor: Tensor): Tensor => rotary(ctx, tensor, rope, { interleaved: false });
  const w = ctx.linear(x, `${at}.weights_proj`, heads);
  const options = { topK, scale: (headDim * heads) ** -0.5 };
  if (!ctx.cache) {
    const { starts, visible } = ctx.inputs as { starts: Tensor; visible: Tensor };
    const parts = { q: turn(q), w, k: turn(k) };
    ctx.indexers.push({ layer, ...parts });
    return (
      ctx.givenSelections.get(layer) ??
      selectTopK(parts.q, parts.w, parts.k, { first: starts, count: visible }, options)
    );
  }
  const { pageTable, sequences, pageSize } = ctx.cache as CacheInputs;
  const keys = remember(ctx, at, turn(k));
  const rows = { pageTable, rowSeq: sequences, rowPos: ctx.inputs.positions };
  return pagedSelectTopK(turn(q), w, keys, rows, { ...options, pageSize });
}

function sparseLatentAttention(
  ctx: ModelContext,
  x: Tensor,
  at: string,
  layer: number,
  a: LatentAttention,
  residual: Tensor,
): Tensor {
  const { q, latent, kRope, compressedQuery, scale } = latentParts(ctx, x, at, a);
  const selected = select(ctx, x, compressedQuery, `${at}.indexer`, layer, a.indexer as IndexerConfig);
  ctx.selections.push({ layer, rows: selected });
  let out: Tensor;
  if (ctx.cache) {
    const keys = remember(ctx, `${at}.latent`, latent, kRope);
    const options = { kvHeads: 1, keyWidth: a.kvLoraRank + a.qkRopeHeadDim, valueWidth: a.kvLoraRank, scale };
    out = unabsorb(ctx, at, a, attendCache(ctx, { q: absorb(ctx, at, a, q), qTail: q, keys, selected }, options));
  } else {
    const { k, v } = expand(ctx, at, a, latent, kRope);
    out = gatherAttention(q, k, v, selected, { scale }).out;
  }
  return ctx.linear(out.reshape(...ctx.shape(a.heads * a.vHeadDim)), `${at}.o_proj`, ctx.config.hiddenSize, {
    bias: a.bias,
    residual,
  });
}

export const sparseLayer: AttentionLayer = (ctx, x, at, layer, residual) =>
  sparseLatentAttention(ctx, x, at, layer, ctx.config.attention as LatentAttention, residual);

export const deepseekV32Trunk = (ctx: ModelContext): Tensor => transformerTrunk(ctx, sparseLayer);
