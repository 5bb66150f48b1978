// One optimiser step as instructions: global-norm clipping, AdamW (Loshchilov & Hutter 2019), the element-wise parts of Muon
// (muon.ts composes them with Newton–Schulz products) and the exponential moving average of weights. Every step updates in place
// and leaves the gradient zero for the next accumulation.
import { defineOp } from "../op.ts";
import { expectDtype, expectShape, ProgramError, type Tensor } from "../program.ts";
import { floats } from "./elementwise.ts";

const SUM_SQUARES = defineOp({
  name: "sum_squares",
  ints: [],
  floats: [],
  reference: ({ inputs, outputs }) => {
    const [x, parts] = [floats(inputs[0]), floats(outputs[0])];
    parts.fill(0);
    x.forEach((value, i) => (parts[Math.floor(i / SQUARES)] += value * value));
  },
});

const ADD_UP = defineOp({
  name: "add_up",
  ints: [],
  floats: [],
  inout: [0],
  reference: ({ inputs, outputs }) => {
    for (const value of floats(inputs[0])) floats(outputs[0])[0] += value;
  },
});

/** Elements whose squares one thread adds up, in order: BLOCK of kernels/optimizer.c. */
const SQUARES = 65536;

/** total [1] += Σ x² over all of `tensors`, which the team shares. */
export function sumSquares(tensors: readonly Tensor[], total: Tensor): void {
  expectShape("sum_squares", "total", total, [1]);
  const parts = tensors.map((x) => {
    expectDtype("sum_squares", "x", x, "f32");
    const count = Math.ceil((x.shape as number[]).reduce((product, d) => product * d, 1) / SQUARES);
    const part = x.program.temp("f32", [count]);
    x.program.emit(SUM_SQUARES, [x], [part]);
    return part;
  });
  for (const part of parts) total.program.emit(ADD_UP, [part], [total]);
}

const CLIP_SCALE = defineOp({
  name: "clip_scale",
  ints: [],
  floats: ["maxNorm"],
  reference: ({ inputs, outputs, floats: [maxNorm] }) => {
    const [sum, before] = [floats(inputs[0])[0], floats(inputs[1])[0]];
    const norm = Math.sqrt(sum) * before;
    const out = floats(outputs[0]);
    out[0] = norm;
    out[1] = before * (maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1);
  },
});

/**
 * From the sum of squares of the raw gradients and the factor `before` [1] they will be multiplied with (one over the number of
 * micro-batches, say): [norm of the scaled gradients, factor including clipping to maxNorm (0: none)] as [2]. PyTorch's
 * clip_grad_norm_: the factor is min(1, maxNorm / (norm + 1e-6)).
 */
export function clipScale(sumOfSquares: Tensor, before: Tensor, maxNorm: number): Tensor {
  expectShape("clip_scale", "the sum", sumOfSquares, [1]);
  expectShape("clip_scale", "before", before, [1]);
  const out = sumOfSquares.program.temp("f32", [2]);
  sumOfSquares.program.emit(CLIP_SCALE, [sumOfSquares, before], [out], { maxNorm });
  return out;
}

const ADAMW = defineOp({
  name: "adamw",
  ints: [],
  floats: ["beta1", "beta2", "eps", "weightDecay"],
  inout: [0, 1, 2, 3],
  reference: ({ inputs, outputs, floats: [beta1, beta2, eps, weightDecay] }) => {
    const [lr, correction1, correction2] = floats(inputs[0]);
    const factor = floats(inputs[1])[1];
    const [p, grad, m, v] = outputs.map(floats);
    for (let i = 0; i < p.length; i++) {
      const g = grad[i] * factor;
      m[i] = beta1 * m[i] + (1 - beta1) * g;
      v[i] = beta2 * v[i] + (1 - beta2) * g * g;
      const update = m[i] / correction1 / (Math.sqrt(v[i] / correction2) + eps);
      p[i] = p[i] * (1 - lr * weightDecay) - lr * update;
      grad[i] = 0;
    }
  },
});

export interface AdamWOptions {
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
}

/**
 * One AdamW step on `param` (a state) from `grad`, first and second moments m, v of the same shape. `rates` [3] holds the learning
 * rate, 1 − beta1^t and 1 − beta2^t; `scale` [2] is clipScale's result.
 */
export function adamw(
  param: Tensor,
  grad: Tensor,
  m: Tensor,
  v: Tensor,
  rates: Tensor,
  scale: Tensor,
  options: AdamWOptions,
): void {
  for (const tensor of [grad, m, v]) expectShape("adamw", tensor.name, tensor, param.shape);
  expectShape("adamw", "rates", rates, [3]);
  expectShape("adamw", "scale", scale, [2]);
  param.program.emit(ADAMW, [rates, scale], [param, grad, m, v], { ...options });
}

const MUON_MOMENTUM = defineOp({
  name: "muon_momentum",
  ints: ["first"],
  floats: ["momentum"],
  inout: [0, 1],
  parts: [2],
  reference: ({ inputs, outputs, ints: [first], floats: [momentum] }) => {
    const factor = floats(inputs[0])[1];
    const [matrices, rows, columns] = outputs[0].shape;
    const size = rows * columns;
    const [buffer, grad] = outputs.map(floats);
    const update = floats(outputs[2]).subarray(first * size, (first + matrices) * size);
    for (let b = 0; b < matrices; b++) {
      let square = 0;
      for (let i = b * size; i < (b + 1) * size; i++) {
        const g = grad[i] * factor;
        buffer[i] = momentum * buffer[i] + g;
        update[i] = g + momentum * buffer[i];
        square += update[i] ** 2;
        grad[i] = 0;
      }
      const norm = Math.sqrt(square) + 1e-7;
      for (let i = b * size; i < (b + 1) * size; i++) update[i] /= norm;
    }
  },
});

/** Throws unless `part` [B, N, K] fits into `whole` [more, N, K] from matrix `first` on. */
function expectPart(op: string, part: Tensor, whole: Tensor, first: number): void {
  const [count, ...size] = part.shape as number[];
  const [room, ...wanted] = whole.shape as number[];
  const fits = part.shape.length === 3 && size.every((d, i) => d === wanted[i]) && first >= 0 && first + count <= room;
  if (!fits) throw new ProgramError(`${op}: ${part} does not fit into ${whole} from matrix ${first} on`);
}

/**
 * Nesterov momentum and normalisation of B matrices [B, N, K]: buffer ← momentum·buffer + g; (g + momentum·buffer) divided by its
 * Frobenius norm goes to the matrices of `update` [more, N, K] from `first` on.
 */
export function muonMomentum(
  buffer: Tensor,
  grad: Tensor,
  scale: Tensor,
  momentum: number,
  update: Tensor,
  first = 0,
): void {
  expectShape("muon_momentum", "grad", grad, buffer.shape);
  expectShape("muon_momentum", "scale", scale, [2]);
  expectPart("muon_momentum", buffer, update, first);
  buffer.program.emit(MUON_MOMENTUM, [scale], [buffer, grad, update], { first, momentum });
}

const MUON_APPLY = defineOp({
  name: "muon_apply",
  ints: ["first"],
  floats: ["factor", "weightDecay"],
  inout: [0],
  reference: ({ inputs, outputs, ints: [first], floats: [factor, weightDecay] }) => {
    const [all, rates] = inputs.map(floats);
    const p = floats(outputs[0]);
    const [, rows, columns] = outputs[0].shape;
    const update = all.subarray(first * rows * columns);
    for (let i = 0; i < p.length; i++) p[i] = p[i] * (1 - rates[0] * weightDecay) - rates[0] * factor * update[i];
  },
});

/** param [B, N, K] ← param·(1 − lr·weightDecay) − lr·factor·update, lr = rates[0], update the matrices from `first` on. */
export function muonApply(
  param: Tensor,
  update: Tensor,
  rates: Tensor,
  { factor, weightDecay, first = 0 }: { factor: number; weightDecay: number; first?: number },
): void {
  expectPart("muon_apply", param, update, first);
  expectShape("muon_apply", "rates", rates, [3]);
  param.program.emit(MUON_APPLY, [update, rates], [param], { first, factor, weightDecay });
}

const LERP = defineOp({
  name: "lerp",
  ints: [],
  floats: ["weight"],
  inout: [0],
  reference: ({ inputs, outputs, floats: [weight] }) => {
    const [x, y] = [floats(inputs[0]), floats(outputs[0])];
    for (let i = 0; i < y.length; i++) y[i] += weight * (x[i] - y[i]);
  },
});

/** average ← average + weight·(x − average): an exponential moving average of weights. */
export function lerp(average: Tensor, x: Tensor, weight: number): void {
  expectShape("lerp", "x", x, average.shape);
  average.program.emit(LERP, [x], [average], { weight });
}
