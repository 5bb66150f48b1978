// Norms, activation, column moves, embeddings and per-row products on every device, and their gradients.
import { test } from "node:test";
import { dim, type Program, type Tensor } from "../program.ts";
import { checkGradients, checkOp, checkRows, integers, uniform } from "../testing.ts";
import { swiglu } from "./activation.ts";
import { concatColumns, gatherRows, rowMatmul, sliceColumns } from "./columns.ts";
import { embedding } from "./embedding.ts";
import { layerNorm, rmsNorm } from "./norm.ts";

type Build = (program: Program) => Tensor;

/** The case as a plain op (its result an output) and as a gradient case. */
async function everywhere(
  build: Build,
  rows: number,
  inputs: Record<string, ArrayLike<number>>,
  tolerance = 1e-5,
): Promise<void> {
  await checkOp({ build: (program) => program.output(build(program), "y"), registers: { T: rows }, inputs, tolerance });
  if (rows * 60 >= Object.values(inputs)[0].length) await checkGradients({ build, registers: { T: rows }, inputs });
}

const rowsInput =
  (rows: number, width: number, name = "x"): Build =>
  (program) => {
    const t = program.registers.find((register) => register.name === "T") ?? program.register("T", rows);
    const x = program.input(name, "f32", [dim(t), width]);
    x.requiresGrad = true;
    return x;
  };

// One element alone is left out: its norm is constant, so its gradient is rounding only.
for (const [rows, width] of [
  [1, 2],
  [3, 7],
  [5, 32],
  [2, 33],
  [17, 5],
  [67, 160],
]) {
  test(`rms_norm and layer_norm ${rows}x${width}`, async () => {
    const x = rowsInput(rows, width);
    const inputs = { x: uniform(1, rows * width), w: uniform(2, width), b: uniform(3, width) };
    const { x: values, w } = inputs;
    await everywhere((program) => rmsNorm(x(program), program.param("w", "f32", [width]), 1e-6), rows, {
      x: values,
      w,
    });
    await everywhere((program) => rmsNorm(x(program), null, 1e-6), rows, { x: values });
    if (width > 2) {
      const build: Build = (program) =>
        layerNorm(x(program), program.param("w", "f32", [width]), program.param("b", "f32", [width]), 1e-5);
      await everywhere(build, rows, inputs, 3e-5);
    }
  });

  test(`swiglu ${rows}x${width}`, async () => {
    for (const limit of [0, 0.5]) {
      const build: Build = (program) =>
        swiglu(rowsInput(rows, width)(program), rowsInput(rows, width, "u")(program), limit);
      await everywhere(build, rows, { x: uniform(1, rows * width, 3), u: uniform(2, rows * width, 3) });
    }
  });

  test(`columns ${rows}x${width}`, async () => {
    const inputs = { x: uniform(1, rows * width), u: uniform(2, rows * width) };
    const both: Build = (program) => {
      const joined = concatColumns(rowsInput(rows, width)(program), rowsInput(rows, width, "u")(program));
      return sliceColumns(joined, Math.floor(width / 2), width);
    };
    await everywhere(both, rows, inputs);
    const gathered: Build = (program) => {
      const x = rowsInput(rows, width)(program);
      const index = program.input("index", "i32", [2 * rows + 1], { min: -1, max: rows });
      return gatherRows(x, index);
    };
    await everywhere(gathered, rows, { x: inputs.x, index: integers(3, 2 * rows + 1, rows + 1).map((i) => i - 1) });
  });
}

test("embedding reads and adds to rows", async () => {
  for (const [rows, width, vocab] of [
    [1, 1, 1],
    [5, 7, 3],
    [70, 33, 11],
  ]) {
    const build: Build = (program) => {
      const t = program.register("T", rows);
      return embedding(
        program.param("table", "f32", [vocab, width]),
        program.input("ids", "i32", [dim(t)], { min: 0, max: vocab }),
      );
    };
    await everywhere(build, rows, { table: uniform(1, vocab * width), ids: integers(2, rows, vocab) });
  }
});

test("row_matmul in its four orientations", async () => {
  for (const [rows, m, k, n] of [
    [1, 1, 1, 1],
    [3, 4, 4, 5],
    [2, 1, 9, 17],
    [5, 4, 1, 33],
  ]) {
    for (const [ta, tb] of [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ]) {
      const build: Build = (program) => {
        const t = program.register("T", rows);
        const a = program.input("a", "f32", ta ? [dim(t), k, m] : [dim(t), m, k]);
        const b = program.input("b", "f32", tb ? [dim(t), n, k] : [dim(t), k, n]);
        a.requiresGrad = b.requiresGrad = true;
        return rowMatmul(a, b, ta, tb);
      };
      await everywhere(build, rows, { a: uniform(1, rows * m * k), b: uniform(2, rows * k * n) });
    }
  }
});

test("extreme rows stay finite", async () => {
  const extremes = [0, 1e-30, -1e-30, 1e18, -1e18, 88, -88, 1000, -1000, 3, 0, 0];
  const inputs = { x: extremes, u: extremes.map((v) => Math.sign(v)) };
  const build: Build = (program) =>
    rmsNorm(swiglu(rowsInput(2, 6)(program), rowsInput(2, 6, "u")(program)), null, 1e-6);
  await checkOp({
    build: (program) => program.output(build(program), "y"),
    registers: { T: 2 },
    inputs,
    tolerance: 1e-4,
  });
});

test("a row does not see its neighbours", async () => {
  await checkRows({
    build: (program) =>
      program.output(rmsNorm(swiglu(rowsInput(9, 37)(program), rowsInput(9, 37, "u")(program)), null, 1e-6), "y"),
    register: "T",
    registers: { T: 9 },
    inputs: { x: uniform(1, 9 * 37), u: uniform(2, 9 * 37) },
  });
});
