// Linear layers in every weight type, on every device, and what is refused when a program is built.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Dtype } from "../dtype.ts";
import { dim, Program, ProgramError, type Tensor } from "../program.ts";
import { checkGradients, checkOp, checkRows, type OpCase, toBf16, toF16, uniform } from "../testing.ts";
import { linear } from "./linear.ts";

/** Rows, width in, width out: one, primes, one above a tile, several blocks of k, more rows than a task takes. */
const SHAPES = [
  [1, 1, 1],
  [1, 300, 70],
  [3, 7, 5],
  [7, 257, 33],
  [5, 64, 16],
  [13, 31, 17],
  [40, 96, 49],
  [401, 20, 35],
] as const;

const encodings: Record<string, (values: Float32Array) => Float32Array | Uint16Array> = {
  f32: (values) => values,
  bf16: toBf16,
  f16: toF16,
};

interface Options {
  rows: number;
  k: number;
  n: number;
  dtype: Dtype;
  extras?: boolean;
}

function product({ rows, k, n, dtype, extras }: Options): Omit<OpCase, "build"> & { build(program: Program): Tensor } {
  const plain = dtype.replace("packed:", "");
  return {
    build: (program) => {
      const t = program.register("T", rows);
      const x = program.input("x", "f32", [dim(t), k]);
      x.requiresGrad = true;
      const w = program.param("w", dtype, [n, k]);
      const bias = extras ? program.param("b", "f32", [n]) : null;
      const residual = extras ? program.input("r", "f32", [dim(t), n]) : null;
      if (residual) residual.requiresGrad = true;
      return linear(x, w, { bias, residual });
    },
    registers: { T: rows },
    inputs: {
      x: uniform(1, rows * k),
      w: encodings[plain](uniform(2, n * k)),
      ...(extras && { b: uniform(3, n), r: uniform(4, rows * n) }),
    },
  };
}

const asOutput = (options: Options): OpCase => {
  const { build, ...rest } = product(options);
  return { ...rest, build: (program) => program.output(build(program), "y") };
};

test("products agree with the reference for float weights, plain and packed", async () => {
  for (const [rows, k, n] of SHAPES) {
    for (const dtype of ["f32", "bf16", "f16", "packed:f32", "packed:bf16", "packed:f16"] as const)
      await checkOp(asOutput({ rows, k, n, dtype, extras: n % 2 === 1 }));
  }
});

test("a row's bits depend on the row alone", async () => {
  for (const dtype of ["f32", "packed:f32", "bf16"] as const)
    for (const [rows, k, n] of [
      [9, 70, 83],
      [203, 33, 50],
    ])
      await checkRows({ ...asOutput({ rows, k, n, dtype }), register: "T" });
});

test("gradients of x, w, bias and residual", async () => {
  for (const [rows, k, n] of SHAPES) {
    if (rows < 100) await checkGradients(product({ rows, k, n, dtype: "f32", extras: true }));
  }
  await checkGradients(product({ rows: 5, k: 20, n: 7, dtype: "bf16" }));
});

test("infinite and huge inputs stay in their own row", async () => {
  const base = asOutput({ rows: 8, k: 20, n: 18, dtype: "f32" });
  const x = uniform(1, 160);
  x.fill(3e38, 20, 40);
  x[45] = Number.POSITIVE_INFINITY;
  const results = await checkOp({
    ...base,
    inputs: { ...base.inputs, x },
    finite: false,
    tolerance: Number.POSITIVE_INFINITY,
  });
  assert.ok(
    results
      .get("y")
      ?.values.subarray(3 * 18)
      .every(Number.isFinite),
  );
});

test("mistakes are named when the program is built", () => {
  const program = new Program("p");
  const x = program.input("x", "f32", [4, 8]);
  assert.throws(
    () => linear(x, program.param("w", "f32", [3, 9])),
    (error: Error) => error instanceof ProgramError && /w must be \[any, 8\], but w:f32\[3, 9\]/.test(error.message),
  );
  assert.throws(() => linear(x, program.param("i", "i32", [3, 8])), /no product reads i32 weights/);
  assert.throws(
    () => linear(x, program.param("v", "f32", [3, 8]), { bias: program.param("b", "f32", [4]) }),
    /bias must be \[3\]/,
  );
  assert.throws(() => linear(x, program.param("q", "q8_0", [3, 8])), /multiple of 32/);
});
