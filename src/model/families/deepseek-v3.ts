// DeepSeek-V2 and V2-Lite (arXiv 2405.04434), V3, R1 and V3.1 (arXiv 2412.19437): latent attention and experts. How experts are
// scored, grouped and weighed differs between V2 and V3 and is said by the configuration.
import type { LatentAttention } from "../../checkpoint/config.ts";
import type { Tensor } from "../../tensor/program.ts";
import type { ModelContext } from "../context.ts";
import { latentAttention } from "../layers/latent-attention.ts";
import { type AttentionLayer, transformerTrunk } from "../transformer.ts";

export const latentLayer: AttentionLayer = (ctx, x, at, _layer, residual) =>
  latentAttention(ctx, x, at, ctx.config.attention as LatentAttention, residual);

export const deepseekV3Trunk = (ctx: ModelContext): Tensor => transformerTrunk(ctx, latentLayer);
