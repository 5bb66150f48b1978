// One small product per attention head: MLA's absorption of the key and value projections into queries and outputs
// (DeepSeek-V2, arXiv 2405.04434, section 2.1.2).
import { defineOp } from "../op.ts";
import { ProgramError, type Tensor } from "../program.ts";
import { dequantizedRow, quantizeRows, refuseGradient, takesQuantized } from "./activations.ts";
import { weightRow } from "./blocks.ts";
import { floats } from "./elementwise.ts";
import { count, expectFloatWeights, expectWeights, productRows, widthOf } from "./linear.ts";

const HEAD_LINEAR = defineOp({
  name: "head_linear",
  ints: [],
  floats: [],
  reference: ({ inputs: [x, w], outputs: [y] }) => {
    const [rows, heads, a] = x.shape;
    const width = w.shape[1];
    for (let h = 0; h < heads; h++) {
      const reader = (t: number): ArrayLike<number> => floats(x).subarray((t * heads + h) * a, (t * heads + h + 1) * a);
      productRows(count(rows), reader, w, h * width, { data: y.data, width, at: (t) => (t * heads + h) * width });
    }
  },
  backward: ({ inputs, gradOf, needs, give, accumulator }) => {
    const dy = gradOf(0);
    if (!dy) return;
    const [x, w] = inputs as Tensor[];
    if (needs(0)) {
      expectFloatWeights("head_linear_dx", w);
      const dx = dy.program.temp("f32", x.shape);
      dy.program.emit(HEAD_LINEAR_DX, [dy, w], [dx]);
      give(0, dx);
    }
    if (needs(1)) dy.program.emit(HEAD_LINEAR_DW, [dy, x], [accumulator(1)]);
  },
});

const HEAD_LINEAR_Q = defineOp({
  name: "head_linear_q",
  ints: [],
  floats: [],
  reference: ({ inputs: [x, w], outputs: [y] }) => {
    const [rows, heads, width] = y.shape;
    const a = w.shape[2];
    for (let h = 0; h < heads; h++) {
      const reader = (t: number): ArrayLike<number> => dequantizedRow(x, t * heads + h, a);
      productRows(count(rows), reader, w, h * width, { data: y.data, width, at: (t) => (t * heads + h) * width });
    }
  },
  backward: refuseGradient("head_linear_q"),
});

const HEAD_LINEAR_DX = defineOp({
  name: "head_linear_dx",
  ints: [],
  floats: [],
  reference: ({ inputs: [dy, w], outputs: [dx] }) => {
    const [rows, heads, a] = dx.shape;
    const b = w.shape[1];
    const [from, to] = [floats(dy), floats(dx)];
    to.fill(0);
    for (let h = 0; h < heads; h++) {
      for (let j = 0; j < b; j++) {
        const weights = weightRow(w, h * b + j);
        for (let t = 0; t < rows; t++) {
          const [x, y] = [(t * heads + h) * a, (t * heads + h) * b];
          for (let i = 0; i < a; i++) to[x + i] += from[y + j] * weights[i];
        }
      }
    }
  },
});

const HEAD_LINEAR_DW = defineOp({
  name: "head_linear_dw",
  ints: [],
  floats: [],
  inout: [0],
  reference: ({ inputs: [dy, x], outputs: [dw] }) => {
    const [rows, heads, a] = x.shape;
    const b = dw.shape[1];
    const [dys, xs, to] = [floats(dy), floats(x), floats(dw)];
    for (let t = 0; t < rows; t++) {
      for (let h = 0; h < heads; h++) {
        for (let j = 0; j < b; j++)
          for (let i = 0; i < a; i++)
            to[(h * b + j) * a + i] += dys[(t * heads + h) * b + j] * xs[(t * heads + h) * a + i];
      }
    }
  },
});

/** y[t, h] = W[h]·x[t, h]: x [T, H, A] f32, W [H, B, A] of any weight type → [T, H, B]. Gradients as linear's. */
export function headLinear(x: Tensor, w: Tensor): Tensor {
  const width = widthOf("head_linear", x);
  if (x.shape.length !== 3 || typeof x.shape[1] !== "number")
    throw new ProgramError(`head_linear: x must be [T, H, A] with fixed H and A, but ${x} was given`);
  expectWeights("head_linear", "w", w, [x.shape[1], null, width]);
  const y = x.program.temp("f32", [x.shape[0], x.shape[1], w.shape[1]]);
  if (takesQuantized(w)) x.program.emit(HEAD_LINEAR_Q, [quantizeRows(x), w], [y]);
  else x.program.emit(HEAD_LINEAR, [x, w], [y]);
  return y;
}
