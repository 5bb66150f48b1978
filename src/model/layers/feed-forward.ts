// The second sub-layer: a dense SwiGLU MLP, or shared and routed experts (DeepSeekMoE, arXiv 2401.06066; V3 report §2.1.2).
import type { MlpType, MoeConfig } from "../../checkpoint/config.ts";
import { swiglu } from "../../tensor/ops/activation.ts";
import { takesQuantized } from "../../tensor/ops/activations.ts";
import { add } from "../../tensor/ops/elementwise.ts";
import { groupedLinear, groupedLinearQuantized, groupedSwiglu } from "../../tensor/ops/grouped.ts";
import { linearQuantized } from "../../tensor/ops/linear.ts";
import { combine, dispatch, gatherTokens, hashRoutes, router } from "../../tensor/ops/router.ts";
import type { Tensor } from "../../tensor/program.ts";
import type { ModelContext } from "../context.ts";

/** How a family spells its MLP's three matrices. */
export interface MlpNames {
  gate: string;
  up: string;
  down: string;
}
const CLASSIC: MlpNames = { gate: "gate_proj", up: "up_proj", down: "down_proj" };
export const V4: MlpNames = { gate: "w1", up: "w3", down: "w2" };

/** down(swiglu(gate(x), up(x))) + residual, all of width `width`. */
export function mlp(
  ctx: ModelContext,
  x: Tensor,
  at: string,
  width: number,
  options: { names?: MlpNames; bias?: boolean; residual?: Tensor; limit?: number } = {},
): Tensor {
  const { names = CLASSIC, bias = false, residual, limit = 0 } = options;
  const d = ctx.config.hiddenSize;
  const [gate, up] = [names.gate, names.up].map((name) => ctx.weight(`${at}.${name}.weight`, [width, d]));
  const down = ctx.weight(`${at}.${names.down}.weight`, [d, width]);
  if (!bias && [gate, up, down].every(takesQuantized) && width % 32 === 0) {
    return linearQuantized(groupedSwiglu(ctx.quantize(x), gate, up, { limit }), down, { residual });
  }
  const h = swiglu(
    ctx.linear(x, `${at}.${names.gate}`, width, { bias }),
    ctx.linear(x, `${at}.${names.up}`, width, { bias }),
    limit,
  );
  return ctx.linear(h, `${at}.${names.down}`, d, { bias, residual });
}

/** Routed plus shared experts over x [T, d], added to `residual`. Records the choice in ctx.routes. */
export function experts(
  ctx: ModelContext,
  x: Tensor,
  at: string,
  layer: number,
  moe: MoeConfig,
  options: { names?: MlpNames; type?: MlpType; residual?: Tensor; limit?: number; biasName?: string } = {},
): Tensor {
  const { names = CLASSIC, type = "moe", residual, limit = 0, biasName = "e_score_correction_bias" } = options;
  const { nRoutedExperts: count, moeIntermediateSize: width } = moe;
  const d = ctx.config.hiddenSize;
  const logits = ctx.linear(x, `${at}.gate`, count);
  const corrected = moe.topkMethod === "noaux_tc" && type === "moe";
  const bias = corrected ? ctx.buffer(`${at}.gate.${biasName}`, "f32", [count]) : null;
  let given = ctx.givenRoutes.get(layer) ?? null;
  if (type === "hash") {
    const table = ctx.buffer(`${at}.gate.tid2eid`, "i32", [ctx.config.vocabSize, moe.numExpertsPerTok]);
    given ??= hashRoutes(table, ctx.inputs.ids);
  }
  const { ids, weights, scores } = router(
    logits,
    bias,
    {
      topK: moe.numExpertsPerTok,
      scoring: moe.scoringFunc,
      normalise: moe.normTopkProb,
      scale: moe.routedScalingFactor,
      groups: moe.topkMethod === "greedy" ? 1 : moe.nGroup,
      topGroups: moe.topkMethod === "greedy" ? 1 : moe.topkGroup,
      groupScore: moe.topkMethod === "noaux_tc" ? "top2" : "max",
    },
    given,
  );
  const sorted = dispatch(ids, count);
  ctx.routes.push({ layer, ids, scores, offsets: sorted.offsets });
  const stacked = (name: string, out: number, inner: number): Tensor =>
    ctx.weight(`${at}.experts.${name}.weight`, [count, out, inner]);
  const [gate, up, down] = [stacked(names.gate, width, d), stacked(names.up, width, d), stacked(names.down, d, width)];
  const { offsets, tokens } = sorted;
  let routed: Tensor;
  if ([gate, up, down].every(takesQuantized) && width % 32 === 0) {
    const h = groupedSwiglu(ctx.quantize(x), gate, up, { offsets, rows: tokens, limit });
    routed = groupedLinearQuantized(h, down, offsets);
  } else if (ctx.cache) {
    const h = swiglu(
      groupedLinear(x, gate, offsets, { rows: tokens }),
      groupedLinear(x, up, offsets, { rows: tokens }),
      limit,
    );
    routed = groupedLinear(h, down, offsets);
  } else {
    const gathered = gatherTokens(x, sorted);
    routed = groupedLinear(
      swiglu(groupedLinear(gathered, gate, offsets), groupedLinear(gathered, up, offsets), limit),
      down,
      offsets,
    );
  }
  let out = combine(routed, sorted, weights);
  if (residual) out = add(out, residual);
  if (moe.nSharedExperts === 0) return out;
  return mlp(ctx, x, `${at}.shared_experts`, moe.nSharedExperts * width, { names, residual: out, limit });
}
