// Matrix products in their three forms, on every device.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NativeDevice } from "../native.ts";
import { Program, type Tensor } from "../program.ts";
import { checkGradients, checkOp, type OpCase, uniform } from "../testing.ts";
import { matmul } from "./matmul.ts";

interface Options {
  batch?: number;
  m: number;
  k: number;
  n: number;
  transposeA?: boolean;
  transposeB?: boolean;
  alpha?: number;
  beta?: number;
  addend?: boolean;
}

function product(options: Options): Omit<OpCase, "build"> & { build(program: Program): Tensor } {
  const { batch, m, k, n, transposeA, transposeB, alpha, beta, addend } = options;
  const lead = batch === undefined ? [] : [batch];
  const count = batch ?? 1;
  return {
    build: (program) => {
      const a = program.param("a", "f32", [...lead, ...(transposeA ? [k, m] : [m, k])]);
      const b = program.param("b", "f32", [...lead, ...(transposeB ? [n, k] : [k, n])]);
      const add = addend ? program.param("c", "f32", [...lead, m, n]) : undefined;
      return matmul(a, b, { transposeA, transposeB, alpha, beta, add });
    },
    inputs: {
      a: uniform(1, count * m * k),
      b: uniform(2, count * k * n),
      ...(addend && { c: uniform(3, count * m * n) }),
    },
  };
}

const FORMS = [{}, { transposeA: true }, { transposeB: true }];
const SHAPES = [
  { m: 1, k: 1, n: 1 },
  { m: 7, k: 13, n: 17 },
  { batch: 5, m: 20, k: 9, n: 20 },
  { batch: 2, m: 33, k: 260, n: 31 },
];

test("all three forms agree with the reference, with scaling and an addend", async () => {
  for (const shape of SHAPES) {
    for (const form of FORMS) {
      for (const extra of [{}, { alpha: -0.5 }, { alpha: 2, beta: -3, addend: true }]) {
        const { build, ...rest } = product({ ...shape, ...form, ...extra });
        await checkOp({ ...rest, build: (program) => program.output(build(program), "y") });
      }
    }
  }
});

test("gradients of both factors", async () => {
  for (const shape of SHAPES)
    for (const form of FORMS) await checkGradients({ ...product({ ...shape, ...form, alpha: 0.7 }) });
});

test("factors that do not fit are refused with both shapes", () => {
  const program = new Program("p");
  const [a, b] = [program.param("a", "f32", [2, 3]), program.param("b", "f32", [4, 5])];
  assert.throws(() => matmul(a, b), /the inner dimensions differ: a:f32\[2, 3\] · b:f32\[4, 5\]/);
  assert.throws(() => matmul(a, b, { transposeA: true, transposeB: true }), /at most one/);
});

test("a symmetric result is the same to the bit, half computed or whole", () => {
  const bits = (threads: number, n: number, k: number, transposeA: boolean, symmetric: boolean): number[] => {
    const device = new NativeDevice({ threads, grain: 0 });
    const program = new Program("gram");
    const x = program.param("x", "f32", [2, ...(transposeA ? [k, n] : [n, k])]);
    const gram = matmul(x, x, { transposeA, transposeB: !transposeA, symmetric });
    program.output(matmul(gram, gram, { alpha: 0.5, add: gram, beta: -2, symmetric }), "y");
    const run = device.compile(program);
    run
      .buffer("x")
      .view()
      .set(uniform(n, 2 * n * k));
    run.run();
    const result = [...new Int32Array((run.buffer("y").view() as Float32Array).slice().buffer)];
    device.close();
    return result;
  };
  for (const [n, k] of [
    [1, 3],
    [5, 7],
    [21, 40],
    [112, 160],
    [210, 33],
  ])
    for (const transposeA of [false, true]) {
      const whole = bits(1, n, k, transposeA, false);
      for (const threads of [1, 2, 5]) assert.deepEqual(bits(threads, n, k, transposeA, true), whole, `${n} x ${k}`);
    }
});
