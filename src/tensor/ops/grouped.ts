// Products of rows sorted by expert with that expert's weights (mixture of experts), their gradients, and the fused gate, up and
// SwiGLU of quantised experts. Which token goes to which expert is decided by router.ts and sorted by its dispatch.
import { defineOp, type Value } from "../op.ts";
import { expectDtype, expectShape, maxDim, ProgramError, type Tensor } from "../program.ts";
import {
  dequantizedRow,
  quantizedRow,
  quantizedWidth,
  quantizeRowInto,
  quantizeRows,
  refuseGradient,
  takesQuantized,
} from "./activations.ts";
import { weightRow } from "./blocks.ts";
import { floats } from "./elementwise.ts";
import {
  addOuterProducts,
  expectFloatWeights,
  expectQuantized,
  expectWeights,
  matrixOf,
  productRows,
  widthOf,
} from "./linear.ts";

/** Rows of each expert. */
function* groups(offsets: Value): Generator<[expert: number, rows: number[]]> {
  const bounds = offsets.data as Int32Array;
  for (let e = 0; e + 1 < bounds.length; e++)
    yield [e, Array.from({ length: bounds[e + 1] - bounds[e] }, (_, i) => bounds[e] + i)];
}

const sourceRow = (rows: Value | null): ((row: number) => number) =>
  rows ? (row) => (rows.data as Int32Array)[row] : (row) => row;

const GROUPED_LINEAR = defineOp({
  name: "grouped_linear",
  ints: [],
  floats: [],
  reference: ({ inputs: [x, w, offsets, rows], outputs: [y] }) => {
    const [, k] = matrixOf(x);
    const n = w.shape[1];
    const source = sourceRow(rows);
    floats(y).fill(0);
    const reader = (row: number): ArrayLike<number> => floats(x).subarray(source(row) * k, (source(row) + 1) * k);
    for (const [e, members] of groups(offsets)) productRows(members, reader, w, e * n, { data: y.data, width: n });
  },
  backward: ({ inputs, gradOf, needs, give, accumulator }) => {
    const dy = gradOf(0);
    if (!dy) return;
    const [x, w, offsets, rows] = inputs as Tensor[];
    if (rows && (needs(0) || needs(1)))
      throw new ProgramError("grouped_linear: no gradient with `rows`; gather the rows by an instruction of their own");
    if (needs(0)) {
      expectFloatWeights("grouped_linear_dx", w);
      const dx = dy.program.temp("f32", x.shape);
      dy.program.emit(GROUPED_LINEAR_DX, [dy, w, offsets], [dx]);
      give(0, dx);
    }
    if (needs(1)) dy.program.emit(GROUPED_LINEAR_DW, [dy, x, offsets], [accumulator(1)]);
  },
});

const GROUPED_LINEAR_Q = defineOp({
  name: "grouped_linear_q",
  ints: [],
  floats: [],
  reference: ({ inputs: [x, w, offsets, rows], outputs: [y] }) => {
    const [, n, k] = w.shape;
    const source = sourceRow(rows);
    floats(y).fill(0);
    const reader = (row: number): ArrayLike<number> => dequantizedRow(x, source(row), k);
    for (const [e, members] of groups(offsets)) productRows(members, reader, w, e * n, { data: y.data, width: n });
  },
  backward: refuseGradient("grouped_linear_q"),
});

const GROUPED_LINEAR_DX = defineOp({
  name: "grouped_linear_dx",
  ints: [],
  floats: [],
  reference: ({ inputs: [dy, w, offsets], outputs: [dx] }) => {
    const [, n, k] = w.shape;
    const [from, to] = [floats(dy), floats(dx)];
    to.fill(0);
    for (const [e, members] of groups(offsets)) {
      for (let j = 0; j < n; j++) {
        const weights = weightRow(w, e * n + j);
        for (const row of members) for (let c = 0; c < k; c++) to[row * k + c] += from[row * n + j] * weights[c];
      }
    }
  },
});

const GROUPED_LINEAR_DW = defineOp({
  name: "grouped_linear_dw",
  ints: [],
  floats: [],
  inout: [0],
  reference: ({ inputs: [dy, x, offsets], outputs: [dw] }) => {
    const [, n, k] = dw.shape;
    for (const [e, members] of groups(offsets))
      addOuterProducts(members, floats(dy), floats(x), n, k, floats(dw), e * n);
  },
});

/** silu(gate) · up with gate ≤ limit and up within ±limit where limit > 0 (DeepSeek-V4's clamp). */
const swigluOf = (gate: number, up: number, limit: number): number => {
  const g = limit > 0 ? Math.min(gate, limit) : gate;
  const u = limit > 0 ? Math.max(-limit, Math.min(limit, up)) : up;
  return (g / (1 + Math.exp(-g))) * u;
};

const GROUPED_SWIGLU_Q = defineOp({
  name: "grouped_swiglu_q",
  ints: ["width"],
  floats: ["limit"],
  reference: ({ inputs: [x, gate, up, offsets, rows], outputs: [h], ints: [n], floats: [limit] }) => {
    const k = gate.shape[gate.shape.length - 1];
    const total = h.shape[0];
    const source = sourceRow(rows);
    const [g, u] = [new Float64Array(total * n), new Float64Array(total * n)];
    const reader = (row: number): ArrayLike<number> => dequantizedRow(x, source(row), k);
    const all: [number, number[]][] = [[0, Array.from({ length: total }, (_, i) => i)]];
    for (const [e, members] of offsets ? groups(offsets) : all) {
      productRows(members, reader, gate, e * n, { data: g, width: n });
      productRows(members, reader, up, e * n, { data: u, width: n });
    }
    const values = g.map((value, i) => swigluOf(value, u[i], limit));
    for (let row = 0; row < total; row++) quantizeRowInto(values, row * n, quantizedRow(h.data as Uint8Array, row, n));
  },
  backward: refuseGradient("grouped_swiglu_q"),
});

const expectOffsets = (op: string, offsets: Tensor, experts: number): void => {
  expectDtype(op, "offsets", offsets, "i32");
  expectShape(op, "offsets", offsets, [experts + 1]);
};

function expectRows(op: string, rows: Tensor, x: Tensor): void {
  expectDtype(op, "rows", rows, "i32");
  if (rows.shape.length !== 1) throw new ProgramError(`${op}: rows must be i32 [P], but ${rows} was given`);
  if (rows.kind === "input" && (!rows.range || rows.range.min < 0 || rows.range.max > maxDim(x.shape[0])))
    throw new ProgramError(`${op}: ${rows} must be declared with a range within 0..${maxDim(x.shape[0])}`);
}

/**
 * y[p] = W[e]·x[p] for the rows offsets[e] ≤ p < offsets[e+1]: x [P, K] f32 sorted by expert, W [E, N, K] of any weight type,
 * offsets i32 [E+1] → [P, N]; rows from offsets[E] on are 0. With `rows` i32 [P], row p of the product reads x[rows[p]] (x then
 * [T, K]); this form has no gradient.
 */
export function groupedLinear(x: Tensor, w: Tensor, offsets: Tensor, options: { rows?: Tensor } = {}): Tensor {
  const width = widthOf("grouped_linear", x);
  if (takesQuantized(w)) {
    expectWeights("grouped_linear", "w", w, [null, null, width]);
    return groupedLinearQuantized(quantizeRows(x), w, offsets, options);
  }
  return emitGrouped(GROUPED_LINEAR, x, w, offsets, width, options.rows);
}

/** The same from rows that are quantised already: xq [P, K / 32 · 76] (or [T, …] with `rows`) → [P, N]. */
export function groupedLinearQuantized(
  xq: Tensor,
  w: Tensor,
  offsets: Tensor,
  options: { rows?: Tensor } = {},
): Tensor {
  expectWeights("grouped_linear_q", "w", w, [null, null, null]);
  if (!takesQuantized(w)) throw new ProgramError(`grouped_linear_q: ${w} takes f32 activations; use groupedLinear`);
  expectQuantized("grouped_linear_q", xq, w.shape[2]);
  return emitGrouped(GROUPED_LINEAR_Q, xq, w, offsets, w.shape[2] as number, options.rows);
}

function emitGrouped(
  op: typeof GROUPED_LINEAR,
  x: Tensor,
  w: Tensor,
  offsets: Tensor,
  width: number,
  rows?: Tensor,
): Tensor {
  expectWeights(op.name, "w", w, [null, null, width]);
  if (x.shape.length !== 2) throw new ProgramError(`${op.name}: x must have two dimensions, but ${x} was given`);
  expectOffsets(op.name, offsets, w.shape[0] as number);
  if (rows) expectRows(op.name, rows, x);
  const y = x.program.temp("f32", [rows ? rows.shape[0] : x.shape[0], w.shape[1]]);
  x.program.emit(op, [x, w, offsets, rows ?? null], [y]);
  return y;
}

/**
 * The first half of quantised experts in one pass: silu(Wg[e]·x) · (Wu[e]·x), quantised for the product that follows.
 * xq [P, K / 32 · 76] sorted by expert, or [T, …] with `rows` i32 [P]; gate and up [E, N, K], or [N, K] without `offsets` (a dense
 * MLP). → quantised rows [P, N / 32 · 76], for groupedLinearQuantized or linearQuantized. N must be a multiple of 32; `limit` as
 * in swiglu. No gradient.
 */
export function groupedSwiglu(
  xq: Tensor,
  gate: Tensor,
  up: Tensor,
  options: { offsets?: Tensor; rows?: Tensor; limit?: number } = {},
): Tensor {
  const { offsets, rows, limit = 0 } = options;
  expectWeights("grouped_swiglu_q", "gate", gate, offsets ? [null, null, null] : [null, null]);
  expectWeights("grouped_swiglu_q", "up", up, gate.shape as number[]);
  if (!takesQuantized(gate) || !takesQuantized(up))
    throw new ProgramError(`grouped_swiglu_q: gate and up must be quantised, but ${gate} and ${up} were given`);
  const [n, k] = gate.shape.slice(-2) as number[];
  expectQuantized("grouped_swiglu_q", xq, k);
  if (offsets) expectOffsets("grouped_swiglu_q", offsets, gate.shape[0] as number);
  if (rows) expectRows("grouped_swiglu_q", rows, xq);
  const h = xq.program.temp("i8", [rows ? rows.shape[0] : xq.shape[0], quantizedWidth("grouped_swiglu_q", n)]);
  xq.program.emit(GROUPED_SWIGLU_Q, [xq, gate, up, offsets ?? null, rows ?? null], [h], { width: n, limit });
  h.requiresGrad = xq.base.requiresGrad;
  return h;
}
