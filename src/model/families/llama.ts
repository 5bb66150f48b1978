// Llama (arXiv 2302.13971): DeepSeek-LLM, DeepSeek-Coder, R1-Distill-Llama. Qwen2 (arXiv 2407.10671; R1-Distill-Qwen) is the same
// with biases on queries, keys and values, and DeepSeekMoE-16B (arXiv 2401.06066) the same with experts; both are said by the
// configuration.
import type { GroupedAttention } from "../../checkpoint/config.ts";
import type { Tensor } from "../../tensor/program.ts";
import type { ModelContext } from "../context.ts";
import { groupedAttention } from "../layers/grouped-attention.ts";
import { transformerTrunk } from "../transformer.ts";

export const llamaTrunk = (ctx: ModelContext): Tensor =>
  transformerTrunk(ctx, (_, x, at, layer, residual) =>
    groupedAttention(ctx, x, at, ctx.config.attention as GroupedAttention, ctx.config.layerTypes[layer], residual),
  );
