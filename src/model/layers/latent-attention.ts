// Multi-head latent attention (DeepSeek-V2 report §2.1; V3 report §2.1.1), two ways: expanded for training, where keys and values of
// every head are formed; absorbed for serving, where the cache holds the normalised latent and the rotary key only and the heads
// are rows of one product with it.
import type { LatentAttention } from "../../checkpoint/config.ts";
import { attention, mlaKeys } from "../../tensor/ops/attention.ts";
import { sliceColumns } from "../../tensor/ops/columns.ts";
import { headLinear } from "../../tensor/ops/head-linear.ts";
import { rmsNorm } from "../../tensor/ops/norm.ts";
import { type Tensor, times } from "../../tensor/program.ts";
import { ropeSoftmaxFactor } from "../../tensor/rope-tables.ts";
import type { ModelContext } from "../context.ts";
import { attendCache, remember } from "./cached-attention.ts";
import { rotary } from "./rotary.ts";

/** What the sub-layer computes before attending; V3.2's indexer reads `compressedQuery`. */
export interface LatentParts {
  /** [T, H, nope + rope], rope part last, rotated. */
  q: Tensor;
  /** [T, kv_lora_rank], normalised. */
  latent: Tensor;
  /** [T, rope], rotated. */
  kRope: Tensor;
  /** [T, q_lora_rank] after its norm; x itself where queries are not compressed. */
  compressedQuery: Tensor;
  scale: number;
}

export function latentParts(ctx: ModelContext, x: Tensor, at: string, a: LatentAttention): LatentParts {
  const { rope, rmsNormEps: eps } = ctx.config;
  const width = a.qkNopeHeadDim + a.qkRopeHeadDim;
  let compressedQuery = x;
  if (a.qLoraRank !== null) {
    const down = ctx.linear(x, `${at}.q_a_proj`, a.qLoraRank, { bias: a.bias });
    compressedQuery = rmsNorm(down, ctx.weight(`${at}.q_a_layernorm.weight`, [a.qLoraRank]), eps);
  }
  const qName = a.qLoraRank === null ? "q_proj" : "q_b_proj";
  const heads = ctx.linear(compressedQuery, `${at}.${qName}`, a.heads * width).reshape(...ctx.shape(a.heads, width));
  const q = rotary(ctx, heads, rope, { start: a.qkNopeHeadDim });
  const kv = ctx.linear(x, `${at}.kv_a_proj_with_mqa`, a.kvLoraRank + a.qkRopeHeadDim, { bias: a.bias });
  const latent = rmsNorm(
    sliceColumns(kv, 0, a.kvLoraRank),
    ctx.weight(`${at}.kv_a_layernorm.weight`, [a.kvLoraRank]),
    eps,
  );
  const kRope = rotary(ctx, sliceColumns(kv, a.kvLoraRank, a.qkRopeHeadDim), rope);
  return { q, latent, kRope, compressedQuery, scale: width ** -0.5 * ropeSoftmaxFactor(rope.scaling) };
}

/** Keys and values of every head from the latent, for training. */
export function expand(
  ctx: ModelContext,
  at: string,
  a: LatentAttention,
  latent: Tensor,
  kRope: Tensor,
): { k: Tensor; v: Tensor } {
  const kNopeV = ctx.linear(latent, `${at}.kv_b_proj`, a.heads * (a.qkNopeHeadDim + a.vHeadDim));
  return mlaKeys(kNopeV, kRope, { heads: a.heads, nope: a.qkNopeHeadDim, value: a.vHeadDim });
}

/** The queries against the latent, [T, H, kv_lora_rank]: W^UK folded into their unrotated part (V2 report, appendix C). */
export function absorb(ctx: ModelContext, at: string, a: LatentAttention, q: Tensor): Tensor {
  const width = a.qkNopeHeadDim + a.qkRopeHeadDim;
  const unrotated = sliceColumns(q.reshape(times(q.shape[0], a.heads), width), 0, a.qkNopeHeadDim);
  const wk = ctx.weight(`${at}.k_b_proj.weight`, [a.heads, a.kvLoraRank, a.qkNopeHeadDim]);
  return headLinear(unrotated.reshape(...ctx.shape(a.heads, a.qkNopeHeadDim)), wk);
}

/** The weighted latents [T, H, kv_lora_rank] to values [T, H, v]: W^UV applied after attending. */
export const unabsorb = (ctx: ModelContext, at: string, a: LatentAttention, weighted: Tensor): Tensor =>
  headLinear(weighted, ctx.weight(`${at}.v_b_proj.weight`, [a.heads, a.vHeadDim, a.kvLoraRank]));

/** The attention sub-layer over normalised x [T, d], added to `residual`. */
export function latentAttention(
  ctx: ModelContext,
  x: Tensor,
  at: string,
  a: LatentAttention,
  residual: Tensor,
): Tensor {
  const { q, latent, kRope, scale } = latentParts(ctx, x, at, a);
  let out: Tensor;
  if (ctx.cache) {
    const keys = remember(ctx, `${at}.latent`, latent, kRope);
    const options = { kvHeads: 1, keyWidth: a.kvLoraRank + a.qkRopeHeadDim, valueWidth: a.kvLoraRank, scale };
    out = unabsorb(ctx, at, a, attendCache(ctx, { q: absorb(ctx, at, a, q), qTail: q, keys }, options));
  } else {
    const { k, v } = expand(ctx, at, a, latent, kRope);
    out = attention(q, k, v, ctx.inputs.starts as Tensor, { scale }).out;
  }
  return ctx.linear(out.reshape(...ctx.shape(a.heads * a.vHeadDim)), `${at}.o_proj`, ctx.config.hiddenSize, {
    bias: a.bias,
    residual,
  });
}
