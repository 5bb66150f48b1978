// Manifold-constrained hyper-connections (DeepSeek-V4 report §2): from one mixing row per token the gates that read the residual
// streams (pre), write them (post) and mix them (comb, made doubly stochastic by Sinkhorn iterations). The products with the streams
// are row_matmul (columns.ts).
import { defineOp } from "../op.ts";
import { expectDtype, expectShape, ProgramError, type Tensor } from "../program.ts";
import { floats } from "./elementwise.ts";

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** The Sinkhorn chain of one row: every intermediate matrix, the first being the row softmax + eps. comb[src][dst] row-major. */
function sinkhorn(logits: Float64Array, n: number, iterations: number, eps: number): Float64Array[] {
  const first = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    let max = -Infinity;
    for (let j = 0; j < n; j++) max = Math.max(max, logits[i * n + j]);
    let sum = 0;
    for (let j = 0; j < n; j++) sum += Math.exp(logits[i * n + j] - max);
    for (let j = 0; j < n; j++) first[i * n + j] = Math.exp(logits[i * n + j] - max) / sum + eps;
  }
  const chain = [first];
  // Columns once, then (rows, columns) iterations − 1 times.
  for (let step = 0; step < 2 * iterations - 1; step++) {
    const before = chain[chain.length - 1];
    const after = new Float64Array(n * n);
    const byColumn = step % 2 === 0;
    for (let a = 0; a < n; a++) {
      let sum = eps;
      for (let b = 0; b < n; b++) sum += before[byColumn ? b * n + a : a * n + b];
      for (let b = 0; b < n; b++) {
        const at = byColumn ? b * n + a : a * n + b;
        after[at] = before[at] / sum;
      }
    }
    chain.push(after);
  }
  return chain;
}

const HYPER_GATES = defineOp({
  name: "hyper_gates",
  ints: ["streams", "iterations"],
  floats: ["eps"],
  reference: ({ inputs, outputs, ints: [n, iterations], floats: [eps] }) => {
    const [mix, scale, base] = inputs.map(floats);
    const [pre, post, comb] = outputs.map(floats);
    const width = 2 * n + n * n;
    for (let row = 0; row * width < mix.length; row++) {
      for (let i = 0; i < n; i++) {
        pre[row * n + i] = sigmoid(mix[row * width + i] * scale[0] + base[i]) + eps;
        post[row * n + i] = 2 * sigmoid(mix[row * width + n + i] * scale[1] + base[n + i]);
      }
      const logits = new Float64Array(n * n);
      for (let i = 0; i < n * n; i++) logits[i] = mix[row * width + 2 * n + i] * scale[2] + base[2 * n + i];
      const chain = sinkhorn(logits, n, iterations, eps);
      comb.set(chain[chain.length - 1], row * n * n);
    }
  },
  backward: ({ inputs, attributes, outputs, gradOf, needs, give, accumulator }) => {
    const [mix, scale, base] = inputs as [Tensor, Tensor, Tensor];
    const { program } = mix;
    if (!outputs.some((_, i) => gradOf(i))) return;
    const dmix = program.temp("f32", mix.shape);
    program.emit(
      HYPER_GATES_BACKWARD,
      [gradOf(0), gradOf(1), gradOf(2), mix, scale, base],
      [dmix, accumulator(1), accumulator(2)],
      attributes,
    );
    if (needs(0)) give(0, dmix);
  },
});

const HYPER_GATES_BACKWARD = defineOp({
  name: "hyper_gates_backward",
  ints: ["streams", "iterations"],
  floats: ["eps"],
  inout: [1, 2],
  reference: ({ inputs, outputs, ints: [n, iterations], floats: [eps] }) => {
    const [dpre, dpost, dcomb] = inputs.slice(0, 3).map((value) => value && floats(value));
    const [mix, scale, base] = inputs.slice(3).map(floats);
    const [dmix, dscale, dbase] = outputs.map(floats);
    const width = 2 * n + n * n;
    const through = (row: number, i: number, part: number, d: number): void => {
      dmix[row * width + i] = d * scale[part];
      dscale[part] += d * mix[row * width + i];
      dbase[i] += d;
    };
    for (let row = 0; row * width < mix.length; row++) {
      for (let i = 0; i < n; i++) {
        const a = sigmoid(mix[row * width + i] * scale[0] + base[i]);
        through(row, i, 0, (dpre ? dpre[row * n + i] : 0) * a * (1 - a));
        const b = sigmoid(mix[row * width + n + i] * scale[1] + base[n + i]);
        through(row, n + i, 1, 2 * (dpost ? dpost[row * n + i] : 0) * b * (1 - b));
      }
      const logits = new Float64Array(n * n);
      for (let i = 0; i < n * n; i++) logits[i] = mix[row * width + 2 * n + i] * scale[2] + base[2 * n + i];
      const chain = sinkhorn(logits, n, iterations, eps);
      let d = new Float64Array(n * n);
      if (dcomb) for (let i = 0; i < n * n; i++) d[i] = dcomb[row * n * n + i];
      for (let step = chain.length - 2; step >= 0; step--) {
        const before = chain[step];
        const after = chain[step + 1];
        const byColumn = step % 2 === 0;
        const previous = new Float64Array(n * n);
        for (let a = 0; a < n; a++) {
          let sum = eps;
          let inner = 0;
          for (let b = 0; b < n; b++) {
            const at = byColumn ? b * n + a : a * n + b;
            sum += before[at];
            inner += d[at] * after[at];
          }
          for (let b = 0; b < n; b++) {
            const at = byColumn ? b * n + a : a * n + b;
            previous[at] = (d[at] - inner) / sum;
          }
        }
        d = previous;
      }
      for (let i = 0; i < n; i++) {
        let inner = 0;
        for (let j = 0; j < n; j++) inner += d[i * n + j] * (chain[0][i * n + j] - eps);
        for (let j = 0; j < n; j++)
          through(row, 2 * n + i * n + j, 2, (chain[0][i * n + j] - eps) * (d[i * n + j] - inner));
      }
    }
  },
});

/**
 * mix [T, 2n + n²] → pre [T, n], post [T, n], comb [T, n, n] (source, destination), with scale [3] and base [2n + n²]:
 * pre = σ(·)+eps, post = 2σ(·), comb = row softmax + eps, columns normalised, then rows and columns `iterations` − 1 times.
 */
export function hyperGates(
  mix: Tensor,
  scale: Tensor,
  base: Tensor,
  options: { streams: number; iterations: number; eps: number },
): { pre: Tensor; post: Tensor; comb: Tensor } {
  const n = options.streams;
  // Bounds of the kernels' stacks (kernels/hyper.c).
  if (n > 8 || 2 * options.iterations > 64)
    throw new ProgramError(`hyper_gates: at most 8 streams and 32 iterations, not ${n} and ${options.iterations}`);
  expectDtype("hyper_gates", "mix", mix, "f32");
  expectShape("hyper_gates", "mix", mix, [mix.shape[0], 2 * n + n * n]);
  expectShape("hyper_gates", "scale", scale, [3]);
  expectShape("hyper_gates", "base", base, [2 * n + n * n]);
  const { program } = mix;
  const rows = mix.shape[0];
  const [pre, post, comb] = [
    program.temp("f32", [rows, n]),
    program.temp("f32", [rows, n]),
    program.temp("f32", [rows, n, n]),
  ];
  program.emit(HYPER_GATES, [mix, scale, base], [pre, post, comb], options);
  return { pre, post, comb };
}

const AFFINE_SIGMOID = defineOp({
  name: "affine_sigmoid",
  ints: [],
  floats: ["eps"],
  reference: ({ inputs, outputs, floats: [eps] }) => {
    const [x, scale, base] = inputs.map(floats);
    const y = floats(outputs[0]);
    const width = base.length;
    for (let i = 0; i < y.length; i++) y[i] = sigmoid(x[i] * scale[0] + base[i % width]) + eps;
  },
  backward: ({ inputs, attributes, gradOf, give, accumulator }) => {
    const dy = gradOf(0);
    if (!dy) return;
    const x = inputs[0] as Tensor;
    const dx = x.program.temp("f32", x.shape);
    x.program.emit(AFFINE_SIGMOID_BACKWARD, [dy, ...inputs], [dx, accumulator(1), accumulator(2)], attributes);
    give(0, dx);
  },
});

const AFFINE_SIGMOID_BACKWARD = defineOp({
  name: "affine_sigmoid_backward",
  ints: [],
  floats: ["eps"],
  inout: [1, 2],
  reference: ({ inputs, outputs }) => {
    const [dy, x, scale, base] = inputs.map(floats);
    const [dx, dscale, dbase] = outputs.map(floats);
    const width = base.length;
    for (let i = 0; i < dx.length; i++) {
      const s = sigmoid(x[i] * scale[0] + base[i % width]);
      const d = dy[i] * s * (1 - s);
      dx[i] = d * scale[0];
      dscale[0] += d * x[i];
      dbase[i % width] += d;
    }
  },
});

/** σ(x · scale + base) + eps with x [T, n], scale [1], base [n]: the gates that collapse the streams before the final norm. */
export function affineSigmoid(x: Tensor, scale: Tensor, base: Tensor, eps: number): Tensor {
  expectDtype("affine_sigmoid", "x", x, "f32");
  expectShape("affine_sigmoid", "scale", scale, [1]);
  expectShape("affine_sigmoid", "base", base, [x.shape[1]]);
  const y = x.program.temp("f32", x.shape);
  x.program.emit(AFFINE_SIGMOID, [x, scale, base], [y], { eps });
  return y;
}
