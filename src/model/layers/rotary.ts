// Rotary position embedding as a configuration describes it: its table (made once per program) and its application.
import type { RopeConfig } from "../../checkpoint/config.ts";
import { rope } from "../../tensor/ops/rope.ts";
import type { Tensor } from "../../tensor/program.ts";
import { ropeTable } from "../../tensor/rope-tables.ts";
import type { ModelContext } from "../context.ts";

/** x [T, H, D] or [T, D] with config.dim dimensions of each head, from `start`, rotated by each row's position. */
export function rotary(
  ctx: ModelContext,
  x: Tensor,
  config: RopeConfig,
  options: { start?: number; inverse?: boolean; name?: string; interleaved?: boolean; positions?: Tensor } = {},
): Tensor {
  const {
    start = 0,
    inverse = false,
    name = "rope",
    interleaved = config.interleaved,
    positions = ctx.inputs.positions,
  } = options;
  const table = ctx.constant(`${name}.table`, [2, ctx.maxPositions, config.dim / 2], () =>
    ropeTable(config, ctx.maxPositions),
  );
  return rope(x, positions, table, { start, layout: interleaved ? "pairs" : "half", inverse });
}
