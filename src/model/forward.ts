// From a configuration to the stream before the final norm, whatever the family.
import type { Family } from "../checkpoint/config.ts";
import type { Tensor } from "../tensor/program.ts";
import type { ModelContext } from "./context.ts";
import { deepseekV3Trunk } from "./families/deepseek-v3.ts";
import { deepseekV4Trunk } from "./families/deepseek-v4.ts";
import { deepseekV32Trunk } from "./families/deepseek-v32.ts";
import { llamaTrunk } from "./families/llama.ts";

const trunks: Record<Family, (ctx: ModelContext) => Tensor> = {
  llama: llamaTrunk,
  qwen2: llamaTrunk,
  deepseek: llamaTrunk,
  deepseek_v2: deepseekV3Trunk,
  deepseek_v3: deepseekV3Trunk,
  deepseek_v32: deepseekV32Trunk,
  deepseek_v4: deepseekV4Trunk,
};

/** The residual stream after the last layer, [T, d]. */
export const trunk = (ctx: ModelContext): Tensor => trunks[ctx.config.family](ctx);
