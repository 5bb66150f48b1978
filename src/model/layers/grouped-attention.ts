// Multi-head attention with as many or fewer key/value heads (Ainslie et al. 2023): Llama, Qwen2, DeepSeekMoE-16B.
import type { GroupedAttention, LayerType } from "../../checkpoint/config.ts";
import { attention } from "../../tensor/ops/attention.ts";
import type { Tensor } from "../../tensor/program.ts";
import type { ModelContext } from "../context.ts";
import { attendCache, remember } from "./cached-attention.ts";
import { rotary } from "./rotary.ts";

/** The attention sub-layer over normalised x [T, d], added to `residual`. */
export function groupedAttention(
  ctx: ModelContext,
  x: Tensor,
  at: string,
  a: GroupedAttention,
  type: LayerType,
  residual: Tensor,
): Tensor {
  const heads = (name: string, count: number): Tensor =>
    ctx.linear(x, `${at}.${name}`, count * a.headDim, { bias: a.qkvBias }).reshape(...ctx.shape(count, a.headDim));
  const q = rotary(ctx, heads("q_proj", a.heads), ctx.config.rope);
  const k = rotary(ctx, heads("k_proj", a.kvHeads), ctx.config.rope);
  const v = heads("v_proj", a.kvHeads);
  const scale = a.headDim ** -0.5;
  const window = type === "sliding" ? (a.slidingWindow ?? 0) : 0;
  let out: Tensor;
  if (ctx.cache) {
    const [keys, values] = [remember(ctx, `${at}.keys`, k), remember(ctx, `${at}.values`, v)];
    const options = { kvHeads: a.kvHeads, keyWidth: a.headDim, valueWidth: a.headDim, scale, window };
    out = attendCache(ctx, { q, keys, values }, options);
  } else {
    out = attention(q, k, v, ctx.inputs.starts as Tensor, { scale, window }).out;
  }
  return ctx.linear(out.reshape(...ctx.shape(a.heads * a.headDim)), `${at}.o_proj`, ctx.config.hiddenSize, {
    bias: a.outputBias,
    residual,
  });
}
