// Products grouped by expert, on every device; the checks are in ../testing.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Dtype } from "../dtype.ts";
import { dim, Program, type Tensor } from "../program.ts";
import { checkGradients, checkOp, type OpCase, toBf16, uniform } from "../testing.ts";
import { groupedLinear } from "./grouped.ts";

interface Options {
  sizes: number[];
  k: number;
  n: number;
  dtype?: Dtype;
  spare?: number;
}

/** Experts with `sizes` rows each, and `spare` rows of no expert after them. */
function grouped({
  sizes,
  k,
  n,
  dtype = "f32",
  spare = 0,
}: Options): Omit<OpCase, "build"> & { build(program: Program): Tensor } {
  const offsets = [0];
  for (const size of sizes) offsets.push(offsets[offsets.length - 1] + size);
  const rows = offsets[offsets.length - 1] + spare;
  const weights = uniform(2, sizes.length * n * k);
  return {
    build: (program) => {
      const p = program.register("P", rows + 3);
      const x = program.input("x", "f32", [dim(p), k]);
      x.requiresGrad = true;
      const w = program.param("w", dtype, [sizes.length, n, k]);
      return groupedLinear(x, w, program.input("offsets", "i32", [sizes.length + 1]));
    },
    registers: { P: rows },
    inputs: {
      x: uniform(1, rows * k),
      w: dtype.endsWith("bf16") ? toBf16(weights) : weights,
      offsets: Int32Array.from(offsets),
    },
  };
}

const CASES: Options[] = [
  { sizes: [1], k: 5, n: 3 },
  { sizes: [0, 2, 0, 7, 1, 0], k: 33, n: 17 },
  { sizes: [200, 0, 3], k: 20, n: 40, spare: 2 },
  { sizes: Array.from({ length: 13 }, (_, e) => e % 4), k: 300, n: 19 },
];

test("grouped products agree with the reference, with empty experts and rows of none", async () => {
  for (const options of CASES) {
    for (const dtype of ["f32", "bf16", "packed:f32", "packed:bf16"] as const) {
      const { build, ...rest } = grouped({ ...options, dtype });
      await checkOp({ ...rest, build: (program) => program.output(build(program), "y") });
    }
  }
});

test("gradients of rows and experts", async () => {
  for (const options of CASES) await checkGradients(grouped(options));
});

test("rows may be gathered on the way, without a gradient", async () => {
  const [tokens, k, n] = [5, 40, 18];
  const build = (program: Program): Tensor => {
    const x = program.input("x", "f32", [tokens, k]);
    const rows = program.input("rows", "i32", [8], { min: 0, max: tokens });
    const w = program.param("w", "f32", [3, n, k]);
    const offsets = program.input("offsets", "i32", [4]);
    return groupedLinear(x, w, offsets, { rows });
  };
  const inputs = {
    x: uniform(1, tokens * k),
    w: uniform(2, 3 * n * k),
    rows: Int32Array.of(4, 0, 2, 3, 1, 0, 4, 2),
    offsets: Int32Array.of(0, 3, 3, 8),
  };
  await checkOp({ build: (program) => program.output(build(program), "y"), inputs });
  await assert.rejects(checkGradients({ build, inputs }), /no gradient with `rows`/);
  assert.throws(() => {
    const program = new Program("p");
    const x = program.input("x", "f32", [2, 4]);
    const rows = program.input("rows", "i32", [8]);
    groupedLinear(x, program.param("w", "f32", [1, 2, 4]), program.input("o", "i32", [2]), { rows });
  }, /range within 0\.\.2/);
});
