// Products per head, on every device; the checks are in ../testing.ts.
import { test } from "node:test";
import type { Dtype } from "../dtype.ts";
import { dim, type Program, type Tensor } from "../program.ts";
import { checkGradients, checkOp, checkRows, type OpCase, toBf16, uniform } from "../testing.ts";
import { headLinear } from "./head-linear.ts";

type Shape = [rows: number, heads: number, a: number, b: number];
const SHAPES: Shape[] = [
  [1, 1, 1, 1],
  [1, 5, 32, 96],
  [7, 3, 17, 33],
  [50, 2, 40, 16],
];

function perHead(
  [rows, heads, a, b]: Shape,
  dtype: Dtype,
): Omit<OpCase, "build"> & { build(program: Program): Tensor } {
  const weights = uniform(2, heads * b * a);
  return {
    build: (program) => {
      const x = program.input("x", "f32", [dim(program.register("T", rows)), heads, a]);
      x.requiresGrad = true;
      return headLinear(x, program.param("w", dtype, [heads, b, a]));
    },
    registers: { T: rows },
    inputs: { x: uniform(1, rows * heads * a), w: dtype.endsWith("bf16") ? toBf16(weights) : weights },
  };
}

test("per-head products agree with the reference", async () => {
  for (const shape of SHAPES) {
    for (const dtype of ["f32", "packed:f32", "bf16"] as const) {
      const { build, ...rest } = perHead(shape, dtype);
      const whole = { ...rest, build: (program: Program) => program.output(build(program), "y") };
      await checkOp(whole);
      await checkRows({ ...whole, register: "T" });
    }
  }
});

test("gradients of x and w", async () => {
  for (const shape of SHAPES) await checkGradients(perHead(shape, "f32"));
});
