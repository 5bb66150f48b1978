// From a configuration to the stream before the final norm, whatever the family.
import type { Family } from "../checkpoint/config.ts";
import type { Tensor } from "../tensor/program.ts";
import type { ModelContext } from "./context.ts";
import { deepseekV3Trunk } from "./families/deepseek-v3.ts";
import { llamaTrunk } from "./families/llama.ts";

const trunks: Partial<Record<Family, (ctx: ModelContext) => Tensor>> = {
  llama: llamaTrunk,
  qwen2: llamaTrunk,
  deepseek: llamaTrunk,
  deepseek_v2: deepseekV3Trunk,
  deepseek_v3: deepseekV3Trunk,
};

/** The residual stream after the last layer, [T, d]. */
export function trunk(ctx: ModelContext): Tensor {
  const build = trunks[ctx.config.family];
  if (!build) throw new TypeError(`the family ${ctx.config.family} has no forward pass`);
  return build(ctx);
}
