// RMSNorm (Zhang & Sennrich 2019) and LayerNorm (Ba et al. 2016) over the last dimension, with or without weights; per head when the
// last dimension is the head's.
import { defineOp } from "../op.ts";
import { type Dim, expectDtype, expectShape, ProgramError, type Tensor } from "../program.ts";
import { floats } from "./elementwise.ts";

/** Rows of a tensor seen as [rows, last dimension], as shape dims without the last. */
const rowShape = (x: Tensor): Dim[] => (x.shape.length > 1 ? x.shape.slice(0, -1) : [1]);

const last = (op: string, x: Tensor): number => {
  const d = x.shape[x.shape.length - 1];
  if (typeof d !== "number") throw new ProgramError(`${op}: the last dimension of ${x} must be fixed`);
  return d;
};

const RMS_NORM = defineOp({
  name: "rms_norm",
  ints: [],
  floats: ["eps"],
  reference: ({ inputs, outputs, floats: [eps] }) => {
    const x = floats(inputs[0]);
    const w = inputs[1] && floats(inputs[1]);
    const [y, rstd] = [floats(outputs[0]), floats(outputs[1])];
    const width = outputs[0].shape[outputs[0].shape.length - 1];
    for (let row = 0; row * width < x.length; row++) {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += x[row * width + i] ** 2;
      rstd[row] = 1 / Math.sqrt(sum / width + eps);
      for (let i = 0; i < width; i++) y[row * width + i] = x[row * width + i] * rstd[row] * (w ? w[i] : 1);
    }
  },
  backward: ({ inputs, outputs, gradOf, needs, give, accumulator }) => {
    const dy = gradOf(0);
    if (!dy) return;
    const [x, w] = inputs as [Tensor, Tensor | null];
    const { program } = x;
    if (needs(0)) {
      const dx = program.temp("f32", x.shape);
      program.emit(RMS_NORM_DX, [dy, x, w, outputs[1]], [dx]);
      give(0, dx);
    }
    if (w && needs(1)) program.emit(RMS_NORM_DW, [dy, x, outputs[1]], [accumulator(1)]);
  },
});

const RMS_NORM_DX = defineOp({
  name: "rms_norm_dx",
  ints: [],
  floats: [],
  // dx = rstd · (g − x · rstd² · mean(g·x)) with g = dy·w.
  reference: ({ inputs, outputs }) => {
    const [dy, x, rstd] = [floats(inputs[0]), floats(inputs[1]), floats(inputs[3])];
    const w = inputs[2] && floats(inputs[2]);
    const dx = floats(outputs[0]);
    const width = outputs[0].shape[outputs[0].shape.length - 1];
    for (let row = 0; row * width < x.length; row++) {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += dy[row * width + i] * (w ? w[i] : 1) * x[row * width + i];
      const shift = (sum / width) * rstd[row] ** 2;
      for (let i = 0; i < width; i++) {
        dx[row * width + i] = rstd[row] * (dy[row * width + i] * (w ? w[i] : 1) - x[row * width + i] * shift);
      }
    }
  },
});

const RMS_NORM_DW = defineOp({
  name: "rms_norm_dw",
  ints: [],
  floats: [],
  inout: [0],
  reference: ({ inputs, outputs }) => {
    const [dy, x, rstd] = [floats(inputs[0]), floats(inputs[1]), floats(inputs[2])];
    const dw = floats(outputs[0]);
    const width = dw.length;
    for (let row = 0; row * width < x.length; row++) {
      for (let i = 0; i < width; i++) dw[i] += dy[row * width + i] * x[row * width + i] * rstd[row];
    }
  },
});

/** x / sqrt(mean(x²) + eps) · w over the last dimension; w [D] or null for none. */
export function rmsNorm(x: Tensor, w: Tensor | null, eps: number): Tensor {
  expectDtype("rms_norm", "x", x, "f32");
  const width = last("rms_norm", x);
  if (w) {
    expectDtype("rms_norm", "w", w, "f32");
    expectShape("rms_norm", "w", w, [width]);
  }
  const y = x.program.temp("f32", x.shape);
  const rstd = x.program.temp("f32", rowShape(x));
  x.program.emit(RMS_NORM, [x, w], [y, rstd], { eps });
  return y;
}

const LAYER_NORM = defineOp({
  name: "layer_norm",
  ints: [],
  floats: ["eps"],
  reference: ({ inputs, outputs, floats: [eps] }) => {
    const [x, w, b] = [floats(inputs[0]), floats(inputs[1]), floats(inputs[2])];
    const [y, mean, rstd] = outputs.map(floats);
    const width = w.length;
    for (let row = 0; row * width < x.length; row++) {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += x[row * width + i];
      mean[row] = sum / width;
      let square = 0;
      for (let i = 0; i < width; i++) square += (x[row * width + i] - mean[row]) ** 2;
      rstd[row] = 1 / Math.sqrt(square / width + eps);
      for (let i = 0; i < width; i++) y[row * width + i] = (x[row * width + i] - mean[row]) * rstd[row] * w[i] + b[i];
    }
  },
  backward: ({ inputs, outputs, gradOf, needs, give, accumulator }) => {
    const dy = gradOf(0);
    if (!dy) return;
    const [x, w] = inputs as [Tensor, Tensor];
    const { program } = x;
    if (needs(0)) {
      const dx = program.temp("f32", x.shape);
      program.emit(LAYER_NORM_DX, [dy, x, w, outputs[1], outputs[2]], [dx]);
      give(0, dx);
    }
    if (needs(1) || needs(2))
      program.emit(LAYER_NORM_DW, [dy, x, outputs[1], outputs[2]], [accumulator(1), accumulator(2)]);
  },
});

const LAYER_NORM_DX = defineOp({
  name: "layer_norm_dx",
  ints: [],
  floats: [],
  // dx = rstd · (g − mean(g) − x̂ · mean(g·x̂)) with g = dy·w.
  reference: ({ inputs, outputs }) => {
    const [dy, x, w, mean, rstd] = inputs.map(floats);
    const dx = floats(outputs[0]);
    const width = w.length;
    for (let row = 0; row * width < x.length; row++) {
      let sum = 0;
      let product = 0;
      for (let i = 0; i < width; i++) {
        const g = dy[row * width + i] * w[i];
        sum += g;
        product += g * (x[row * width + i] - mean[row]) * rstd[row];
      }
      for (let i = 0; i < width; i++) {
        const normalised = (x[row * width + i] - mean[row]) * rstd[row];
        dx[row * width + i] = rstd[row] * (dy[row * width + i] * w[i] - sum / width - (normalised * product) / width);
      }
    }
  },
});

const LAYER_NORM_DW = defineOp({
  name: "layer_norm_dw",
  ints: [],
  floats: [],
  inout: [0, 1],
  reference: ({ inputs, outputs }) => {
    const [dy, x, mean, rstd] = inputs.map(floats);
    const [dw, db] = outputs.map(floats);
    const width = dw.length;
    for (let row = 0; row * width < x.length; row++) {
      for (let i = 0; i < width; i++) {
        dw[i] += dy[row * width + i] * (x[row * width + i] - mean[row]) * rstd[row];
        db[i] += dy[row * width + i];
      }
    }
  },
});

/** (x − mean) / sqrt(var + eps) · w + b over the last dimension; w, b [D]. */
export function layerNorm(x: Tensor, w: Tensor, b: Tensor, eps: number): Tensor {
  expectDtype("layer_norm", "x", x, "f32");
  const width = last("layer_norm", x);
  for (const [what, tensor] of [
    ["w", w],
    ["b", b],
  ] as const) {
    expectDtype("layer_norm", what, tensor, "f32");
    expectShape("layer_norm", what, tensor, [width]);
  }
  const { program } = x;
  const y = program.temp("f32", x.shape);
  program.emit(LAYER_NORM, [x, w, b], [y, program.temp("f32", rowShape(x)), program.temp("f32", rowShape(x))], { eps });
  return y;
}
