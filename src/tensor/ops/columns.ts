// Moving rows and columns: slices and joins of the last dimension, gathers of rows by index, and their gradients.
import { defineOp } from "../op.ts";
import { expectDtype, expectRank, ProgramError, type Tensor } from "../program.ts";
import { floats } from "./elementwise.ts";

const fixed = (op: string, x: Tensor): number => {
  expectRank(op, "x", x, 2);
  const width = x.shape[1];
  if (typeof width !== "number") throw new ProgramError(`${op}: the last dimension of ${x} must be fixed`);
  return width;
};

const SLICE_COLUMNS = defineOp({
  name: "slice_columns",
  ints: ["start"],
  floats: [],
  reference: ({ inputs, outputs, ints: [start] }) => {
    const [x, y] = [floats(inputs[0]), floats(outputs[0])];
    const [rows, width] = outputs[0].shape;
    const from = inputs[0].shape[1] as number;
    for (let row = 0; row < rows; row++) for (let i = 0; i < width; i++) y[row * width + i] = x[row * from + start + i];
  },
  backward: ({ inputs, attributes, gradOf, accumulator }) => {
    const dy = gradOf(0);
    if (dy) (inputs[0] as Tensor).program.emit(ADD_COLUMNS, [dy], [accumulator(0)], { start: attributes.start });
  },
});

const ADD_COLUMNS = defineOp({
  name: "add_columns",
  ints: ["start"],
  floats: [],
  inout: [0],
  reference: ({ inputs, outputs, ints: [start] }) => {
    const [x, y] = [floats(inputs[0]), floats(outputs[0])];
    const [rows, width] = inputs[0].shape as number[];
    const to = outputs[0].shape[1];
    for (let row = 0; row < rows; row++) for (let i = 0; i < width; i++) y[row * to + start + i] += x[row * width + i];
  },
});

/** Columns start … start+count−1 of x [T, D], as [T, count]. */
export function sliceColumns(x: Tensor, start: number, count: number): Tensor {
  expectDtype("slice_columns", "x", x, "f32");
  const width = fixed("slice_columns", x);
  if (start < 0 || count < 1 || start + count > width) {
    throw new ProgramError(`slice_columns: columns ${start}..${start + count - 1} are not all within ${x}`);
  }
  const y = x.program.temp("f32", [x.shape[0], count]);
  x.program.emit(SLICE_COLUMNS, [x], [y], { start });
  return y;
}

const CONCAT_COLUMNS = defineOp({
  name: "concat_columns",
  ints: [],
  floats: [],
  reference: ({ inputs, outputs }) => {
    const [a, b, y] = [floats(inputs[0]), floats(inputs[1]), floats(outputs[0])];
    const [wa, wb] = [inputs[0].shape[1] as number, inputs[1].shape[1] as number];
    const rows = outputs[0].shape[0];
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < wa; i++) y[row * (wa + wb) + i] = a[row * wa + i];
      for (let i = 0; i < wb; i++) y[row * (wa + wb) + wa + i] = b[row * wb + i];
    }
  },
  backward: ({ inputs, gradOf, needs, give }) => {
    const dy = gradOf(0);
    if (!dy) return;
    const [a, b] = inputs as [Tensor, Tensor];
    const wa = a.shape[1] as number;
    if (needs(0)) give(0, sliceColumns(dy, 0, wa));
    if (needs(1)) give(1, sliceColumns(dy, wa, b.shape[1] as number));
  },
});

/** [a | b]: [T, A] and [T, B] to [T, A+B]. */
export function concatColumns(a: Tensor, b: Tensor): Tensor {
  expectDtype("concat_columns", "a", a, "f32");
  expectDtype("concat_columns", "b", b, "f32");
  const y = a.program.temp("f32", [a.shape[0], fixed("concat_columns", a) + fixed("concat_columns", b)]);
  a.program.emit(CONCAT_COLUMNS, [a, b], [y]);
  return y;
}

const GATHER_ROWS = defineOp({
  name: "gather_rows",
  ints: [],
  floats: [],
  reference: ({ inputs, outputs }) => {
    const [x, y] = [floats(inputs[0]), floats(outputs[0])];
    const index = inputs[1].data as Int32Array;
    const width = outputs[0].shape[1];
    index.forEach((from, row) => {
      for (let i = 0; i < width; i++) y[row * width + i] = from < 0 ? 0 : x[from * width + i];
    });
  },
  backward: ({ inputs, gradOf, accumulator }) => {
    const dy = gradOf(0);
    if (dy) (inputs[0] as Tensor).program.emit(SCATTER_ADD_ROWS, [dy, inputs[1]], [accumulator(0)]);
  },
});

const SCATTER_ADD_ROWS = defineOp({
  name: "scatter_add_rows",
  ints: [],
  floats: [],
  inout: [0],
  reference: ({ inputs, outputs }) => {
    const [x, y] = [floats(inputs[0]), floats(outputs[0])];
    const index = inputs[1].data as Int32Array;
    const width = outputs[0].shape[1];
    index.forEach((to, row) => {
      if (to >= 0) for (let i = 0; i < width; i++) y[to * width + i] += x[row * width + i];
    });
  },
});

/** Rows x[index[r]] of x [N, D] as [R, D]; a negative index gives a zero row. */
export function gatherRows(x: Tensor, index: Tensor): Tensor {
  expectDtype("gather_rows", "x", x, "f32");
  expectDtype("gather_rows", "index", index, "i32");
  expectRank("gather_rows", "index", index, 1);
  const y = x.program.temp("f32", [index.shape[0], fixed("gather_rows", x)]);
  x.program.emit(GATHER_ROWS, [x, index], [y]);
  return y;
}

const ROW_MATMUL = defineOp({
  name: "row_matmul",
  ints: ["transposeA", "transposeB"],
  floats: [],
  reference: ({ inputs, outputs, ints: [transposeA, transposeB] }) => {
    const [a, b, y] = [floats(inputs[0]), floats(inputs[1]), floats(outputs[0])];
    const [rows, m, n] = outputs[0].shape;
    const k = inputs[0].shape[transposeA ? 1 : 2] as number;
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          let sum = 0;
          for (let l = 0; l < k; l++) {
            sum +=
              a[row * m * k + (transposeA ? l * m + i : i * k + l)] *
              b[row * k * n + (transposeB ? j * k + l : l * n + j)];
          }
          y[(row * m + i) * n + j] = sum;
        }
      }
    }
  },
  backward: ({ inputs, attributes, gradOf, needs, give }) => {
    const dy = gradOf(0);
    if (!dy) return;
    const [a, b] = inputs as [Tensor, Tensor];
    const [ta, tb] = [attributes.transposeA === 1, attributes.transposeB === 1];
    if (needs(0)) give(0, ta ? rowMatmul(b, dy, tb, true) : rowMatmul(dy, b, false, !tb));
    if (needs(1)) give(1, tb ? rowMatmul(dy, a, true, ta) : rowMatmul(a, dy, !ta, false));
  },
});

/** One small product per row: a [T, M, K] · b [T, K, N] → [T, M, N]; transposed flags read a as [T, K, M], b as [T, N, K]. */
export function rowMatmul(a: Tensor, b: Tensor, transposeA = false, transposeB = false): Tensor {
  expectDtype("row_matmul", "a", a, "f32");
  expectDtype("row_matmul", "b", b, "f32");
  expectRank("row_matmul", "a", a, 3);
  expectRank("row_matmul", "b", b, 3);
  const [m, k] = transposeA ? [a.shape[2], a.shape[1]] : [a.shape[1], a.shape[2]];
  const [k2, n] = transposeB ? [b.shape[2], b.shape[1]] : [b.shape[1], b.shape[2]];
  if (k !== k2 || typeof k !== "number")
    throw new ProgramError(`row_matmul: the inner dimensions of ${a} and ${b} must agree and be fixed`);
  const y = a.program.temp("f32", [a.shape[0], m, n]);
  a.program.emit(ROW_MATMUL, [a, b], [y], { transposeA: Number(transposeA), transposeB: Number(transposeB) });
  return y;
}
