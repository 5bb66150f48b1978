// Products of activations with weight matrices, y = x·Wᵀ, and their gradients. The family, and which instruction is for what:
//
//   linear         x [T, K] · W [N, K]ᵀ, with optional bias and residual; W f32, f16, bf16 (plain or packed): kernels/gemm.c.
//                  linear_dx, linear_dw, linear_db are its gradients.
//   linear_q       the same with block-quantised W (every GGUF type, plain or packed): kernels/quant.c. Its activations come from
//                  quantize_rows (activations.ts), once per tensor however many products read it; linear() emits both.
//   grouped_linear, grouped_linear_q, grouped_swiglu_q (grouped.ts): experts, rows sorted by expert. The last one is gate, up,
//                  SwiGLU and the quantisation for the down product in one pass; without offsets it is a dense MLP's.
//   head_linear, head_linear_q (head-linear.ts): one product per head, MLA's absorption.
//   matmul         batched f32 products of two activations (matmul.ts), for Muon.
//
// Bits: in the f32 family every output element is one chain of fused multiply-adds over k = 0, 1, 2 … starting from residual +
// bias (gradients: from what the accumulator holds), whatever the number of rows, threads or tiles, packed or plain. In the
// quantised family each block of 32 is summed exactly in 32-bit integers, then added in float, block after block. Weight
// gradients run over the rows in order. So a row's result depends on that row and the weights only.
// Packed weights (Device.pack) keep 8 or 16 rows side by side; decode and serving want them, training has no use for them.
import { unpackedDtype } from "../dtype.ts";
import { defineOp, type Value } from "../op.ts";
import { type Dim, expectShape, ProgramError, showShape, type Tensor } from "../program.ts";
import { dequantizedRow, quantizedWidth, quantizeRows, refuseGradient, rowsOf, takesQuantized } from "./activations.ts";
import { weightRow } from "./blocks.ts";
import { floats } from "./elementwise.ts";

/** Rows and last dimension of a value. */
export const matrixOf = (value: Value): [rows: number, width: number] => {
  const width = value.shape[value.shape.length - 1];
  return [value.shape.slice(0, -1).reduce((product, d) => product * d, 1), width];
};

/** out[row, n] = start(row, n) + Σ_k x(row)[k] · w[n0 + n, k] for the given rows; what every forward reference here does. */
export function productRows(
  rows: Iterable<number>,
  x: (row: number) => ArrayLike<number>,
  weights: Value,
  firstRow: number,
  out: { data: Value["data"]; width: number; at?: (row: number) => number },
  start: (row: number, n: number) => number = () => 0,
): void {
  const y = out.data as Float64Array;
  const matrix = Array.from({ length: out.width }, (_, n) => weightRow(weights, firstRow + n));
  for (const row of rows) {
    const from = x(row);
    const to = out.at ? out.at(row) : row * out.width;
    for (let n = 0; n < out.width; n++) {
      let sum = start(row, n);
      for (let k = 0; k < matrix[n].length; k++) sum += from[k] * matrix[n][k];
      y[to + n] = sum;
    }
  }
}

/** 0, 1 … n − 1. */
export const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

const rowReader = (value: Value): ((row: number) => ArrayLike<number>) => {
  const [, width] = matrixOf(value);
  return (row) => floats(value).subarray(row * width, (row + 1) * width);
};

const startOf = (bias: Value | null, residual: Value | null): ((row: number, n: number) => number) => {
  const [b, r] = [bias && floats(bias), residual && floats(residual)];
  const width = residual ? matrixOf(residual)[1] : 0;
  return (row, n) => (r ? r[row * width + n] : 0) + (b ? b[n] : 0);
};

const LINEAR = defineOp({
  name: "linear",
  ints: [],
  floats: [],
  inPlace: 3,
  reference: ({ inputs: [x, w, bias, residual], outputs: [y] }) => {
    const [rows, width] = matrixOf(y);
    productRows(count(rows), rowReader(x), w, 0, { data: y.data, width }, startOf(bias, residual));
  },
  backward: ({ inputs, gradOf, needs, give, accumulator }) => {
    const dy = gradOf(0);
    if (!dy) return;
    const [x, w] = inputs as Tensor[];
    if (needs(0)) give(0, linearDx(dy, w, x.shape));
    if (needs(1)) dy.program.emit(LINEAR_DW, [dy, x], [accumulator(1)]);
    if (needs(2)) dy.program.emit(LINEAR_DB, [dy], [accumulator(2)]);
    if (needs(3)) give(3, dy);
  },
});

const LINEAR_Q = defineOp({
  name: "linear_q",
  ints: [],
  floats: [],
  inPlace: 3,
  reference: ({ inputs: [x, w, bias, residual], outputs: [y] }) => {
    const [rows, width] = matrixOf(y);
    const k = matrixOf(w)[1];
    const reader = (row: number): ArrayLike<number> => dequantizedRow(x, row, k);
    productRows(count(rows), reader, w, 0, { data: y.data, width }, startOf(bias, residual));
  },
  backward: refuseGradient("linear_q"),
});

const LINEAR_DX = defineOp({
  name: "linear_dx",
  ints: [],
  floats: [],
  reference: ({ inputs: [dy, w], outputs: [dx] }) => {
    const [rows, width] = matrixOf(dx);
    const [from, to] = [floats(dy), floats(dx)];
    const [n] = matrixOf(w);
    to.fill(0);
    for (let j = 0; j < n; j++) {
      const weights = weightRow(w, j);
      for (let row = 0; row < rows; row++)
        for (let k = 0; k < width; k++) to[row * width + k] += from[row * n + j] * weights[k];
    }
  },
});

const LINEAR_DW = defineOp({
  name: "linear_dw",
  ints: [],
  floats: [],
  inout: [0],
  reference: ({ inputs: [dy, x], outputs: [dw] }) => {
    const [rows, n] = matrixOf(dy);
    addOuterProducts(count(rows), floats(dy), floats(x), n, matrixOf(x)[1], floats(dw), 0);
  },
});

/** dw[at + j, k] += Σ_rows dy[row, j] · x[row, k]. */
export function addOuterProducts(
  rows: Iterable<number>,
  dy: ArrayLike<number>,
  x: ArrayLike<number>,
  n: number,
  width: number,
  dw: Float32Array | Float64Array,
  at: number,
): void {
  for (const row of rows) {
    for (let j = 0; j < n; j++)
      for (let k = 0; k < width; k++) dw[(at + j) * width + k] += dy[row * n + j] * x[row * width + k];
  }
}

const LINEAR_DB = defineOp({
  name: "linear_db",
  ints: [],
  floats: [],
  inout: [0],
  reference: ({ inputs: [dy], outputs: [db] }) => {
    const [rows, n] = matrixOf(dy);
    const [from, to] = [floats(dy), floats(db)];
    for (let row = 0; row < rows; row++) for (let j = 0; j < n; j++) to[j] += from[row * n + j];
  },
});

/** dy [..., N] · W [N, K] → [..., K] of shape `shape`. Throws unless W is f32 or bf16, plain. */
function linearDx(dy: Tensor, w: Tensor, shape: readonly Dim[]): Tensor {
  expectFloatWeights("linear_dx", w);
  const dx = dy.program.temp("f32", shape);
  dy.program.emit(LINEAR_DX, [dy, w], [dx]);
  return dx;
}

/** Gradients to activations pass through plain f32 and bf16 weights only. */
export function expectFloatWeights(op: string, w: Tensor): void {
  if (w.dtype !== "f32" && w.dtype !== "bf16")
    throw new ProgramError(`${op}: a gradient passes through plain f32 or bf16 weights only, but ${w} was given`);
}

const WEIGHT_DTYPES = new Set(
  "f32 f16 bf16 q4_0 q4_1 q5_0 q5_1 q8_0 q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs mxfp4".split(" "),
);

/** Throws unless `w` has the dimensions (null: any) and a storage type the products read. */
export function expectWeights(op: string, what: string, w: Tensor, shape: readonly (number | null)[]): void {
  const fits = w.shape.length === shape.length && shape.every((d, i) => d === null || d === w.shape[i]);
  if (!fits || w.shape.some((d) => typeof d !== "number")) {
    const wanted = `[${shape.map((d) => d ?? "any").join(", ")}]`;
    throw new ProgramError(`${op}: ${what} must be ${wanted}, but ${w} was given`);
  }
  if (!WEIGHT_DTYPES.has(unpackedDtype(w.dtype)))
    throw new ProgramError(
      `${op}: no product reads ${w.dtype} weights (${w}); use f32, bf16, f16 or a GGUF block type`,
    );
}

/** The last dimension of an f32 activation as a number. */
export function widthOf(op: string, x: Tensor): number {
  const width = x.shape[x.shape.length - 1];
  if (x.dtype !== "f32" || typeof width !== "number" || x.shape.length < 2)
    throw new ProgramError(`${op}: x must be f32 [rows…, width] with a fixed width, but ${x} was given`);
  return width;
}

/**
 * y = x·Wᵀ + bias + residual: x [..., K] f32, W [N, K] of any weight type, bias [N], residual [..., N] → [..., N]. Rows are
 * quantised first where W is (K then a multiple of 32). Gradients to x (W f32 or bf16), W (f32), bias and residual.
 */
export function linear(x: Tensor, w: Tensor, options: { bias?: Tensor | null; residual?: Tensor | null } = {}): Tensor {
  const width = widthOf("linear", x);
  expectWeights("linear", "w", w, [null, width]);
  const shape = [...x.shape.slice(0, -1), w.shape[0]];
  const { bias = null, residual = null } = options;
  if (bias) expectShape("linear", "bias", bias, [w.shape[0]]);
  if (residual) expectShape("linear", "residual", residual, shape);
  for (const extra of [bias, residual])
    if (extra && extra.dtype !== "f32") throw new ProgramError(`linear: ${extra} must be f32`);
  const y = x.program.temp("f32", shape);
  if (takesQuantized(w)) x.program.emit(LINEAR_Q, [quantizeRows(x), w, bias, residual], [y]);
  else x.program.emit(LINEAR, [x, w, bias, residual], [y]);
  return y;
}

/** The same from rows that are quantised already: xq [T, K / 32 · 76] from quantizeRows or groupedSwiglu → [T, N]. */
export function linearQuantized(
  xq: Tensor,
  w: Tensor,
  options: { bias?: Tensor | null; residual?: Tensor | null } = {},
): Tensor {
  expectWeights("linear_q", "w", w, [null, null]);
  if (!takesQuantized(w)) throw new ProgramError(`linear_q: ${w} takes f32 activations; use linear`);
  expectQuantized("linear_q", xq, w.shape[1]);
  const y = xq.program.temp("f32", [rowsOf(xq), w.shape[0]]);
  const { bias = null, residual = null } = options;
  if (bias) expectShape("linear_q", "bias", bias, [w.shape[0]]);
  if (residual) expectShape("linear_q", "residual", residual, y.shape);
  xq.program.emit(LINEAR_Q, [xq, w, bias, residual], [y]);
  return y;
}

/** Throws unless `xq` holds quantised rows of `width` elements. */
export function expectQuantized(op: string, xq: Tensor, width: Dim): void {
  const bytes = quantizedWidth(op, width);
  if (xq.dtype !== "i8" || xq.shape.length !== 2 || xq.shape[1] !== bytes)
    throw new ProgramError(
      `${op}: x must be quantised rows i8 [T, ${bytes}] for weights of width ${showShape([width])}, but ${xq} was given`,
    );
}
