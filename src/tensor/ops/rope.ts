// Rotary position embedding (Su et al., RoFormer, arXiv 2104.09864 §3.2): part of each head is rotated pairwise by an angle that
// grows with the position.
//   rope(x, positions, table, { start, layout, inverse })   the table comes from rope-tables.ts
// Layouts: "pairs" rotates (0,1), (2,3), … as DeepSeek's MLA and V4 do; "half" rotates (i, i + R/2) as Llama, Qwen2 and V3.2's
// indexer do. `inverse` turns back by the same angle (V4 rotates attention outputs back).
import { defineOp, type Value } from "../op.ts";
import { expectDtype, maxDim, ProgramError, type Tensor } from "../program.ts";
import { floats } from "./elementwise.ts";
import { expectIndices, fixedDim } from "./indices.ts";

const ROPE = defineOp({
  name: "rope",
  ints: ["start", "half", "inverse"],
  floats: [],
  inPlace: 0,
  reference: ({ inputs, outputs, ints: [start, half, inverse] }) => {
    const [x, table, y] = [floats(inputs[0]), floats(inputs[2]), floats(outputs[0])];
    const positions = (inputs[1] as Value).data;
    const { shape } = inputs[0] as Value;
    const [count, pairs] = (inputs[2] as Value).shape.slice(1);
    const width = shape[shape.length - 1];
    const heads = shape.length === 3 ? shape[1] : 1;
    y.set(x);
    for (let row = 0; row < shape[0] * heads; row++) {
      const position = positions[Math.floor(row / heads)];
      for (let i = 0; i < pairs; i++) {
        const a = row * width + start + (half ? i : 2 * i);
        const b = half ? a + pairs : a + 1;
        const cos = table[position * pairs + i];
        const sin = table[(count + position) * pairs + i] * (inverse ? -1 : 1);
        const [u, v] = [x[a], x[b]];
        y[a] = u * cos - v * sin;
        y[b] = v * cos + u * sin;
      }
    }
  },
  backward: ({ inputs, outputs, attributes, gradOf, give }) => {
    const gradient = gradOf(0);
    if (!gradient) return;
    const [, positions, table] = inputs;
    const dx = gradient.program.temp("f32", outputs[0].shape);
    // The transpose of a rotation (times the attention factor) is the rotation back (times the same factor).
    gradient.program.emit(ROPE, [gradient, positions, table], [dx], {
      ...attributes,
      inverse: 1 - attributes.inverse,
    });
    give(0, dx);
  },
});

export interface RopeOptions {
  /** First rotated dimension of each head. Default 0. */
  start?: number;
  layout: "pairs" | "half";
  /** Turn back instead of forth. Default false. */
  inverse?: boolean;
}

/**
 * x [T, H, D] or [T, D] with dimensions start … start+R−1 of every head rotated; the others are copied. positions i32 [T] (an input
 * with a range within 0..P−1), table f32 [2, P, R/2]. Same shape out. Differentiable in x.
 */
export function rope(
  x: Tensor,
  positions: Tensor,
  table: Tensor,
  { start = 0, layout, inverse = false }: RopeOptions,
): Tensor {
  expectDtype("rope", "x", x, "f32");
  expectDtype("rope", "table", table, "f32");
  if (x.shape.length !== 2 && x.shape.length !== 3)
    throw new ProgramError(`rope: x must be [T, heads, D] or [T, D], but ${x} was given`);
  if (table.shape.length !== 3 || table.shape[0] !== 2)
    throw new ProgramError(`rope: the table must be [2, positions, R/2] from ropeTable, but ${table} was given`);
  expectIndices("rope", "positions", positions, [x.shape[0]], maxDim(table.shape[1]));
  const rotated = 2 * fixedDim("rope", "the rotated width", table.shape[2]);
  const width = fixedDim("rope", "the head width", x.shape[x.shape.length - 1]);
  if (!Number.isInteger(start) || start < 0 || start + rotated > width)
    throw new ProgramError(`rope: dimensions ${start}..${start + rotated - 1} are not all within a head of ${x}`);
  const y = x.program.temp("f32", x.shape);
  x.program.emit(ROPE, [x, positions, table], [y], {
    start,
    half: layout === "half" ? 1 : 0,
    inverse: inverse ? 1 : 0,
  });
  return y;
}
