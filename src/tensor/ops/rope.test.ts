// Rotary embedding in its layouts: devices against the reference, gradients, and what a rotation must satisfy.
import assert from "node:assert/strict";
import test from "node:test";
import { dim, Program, ProgramError } from "../program.ts";
import { ropeTable } from "../rope-tables.ts";
import { checkGradients, checkOp, checkRows, integers, uniform } from "../testing.ts";
import { type RopeOptions, rope } from "./rope.ts";

const POSITIONS = 50;

const build =
  (rows: number, heads: number, width: number, rotated: number, options: RopeOptions) => (program: Program) => {
    const t = program.register("T", Math.max(1, rows));
    const x = program.input("x", "f32", heads ? [dim(t), heads, width] : [dim(t), width]);
    x.requiresGrad = true;
    const positions = program.input("positions", "i32", [dim(t)], { min: 0, max: POSITIONS });
    const table = program.param("table", "f32", [2, POSITIONS, rotated / 2], false);
    return rope(x, positions, table, options);
  };

const data = (rows: number, heads: number, width: number, rotated: number) => ({
  x: uniform(1, rows * Math.max(1, heads) * width),
  positions: integers(2, rows, POSITIONS),
  table: ropeTable({ theta: 100, dim: rotated, scaling: null }, POSITIONS),
});

const cases: [number, number, number, number, RopeOptions][] = [
  [0, 2, 8, 8, { layout: "pairs" }],
  [1, 0, 4, 4, { layout: "half" }],
  [7, 3, 24, 8, { layout: "pairs", start: 16 }],
  [13, 5, 37, 20, { layout: "half", start: 1 }],
  [13, 1, 20, 6, { layout: "pairs", start: 14, inverse: true }],
];

for (const [rows, heads, width, rotated, options] of cases) {
  test(`rope ${rows}x${heads}x${width}, ${rotated} rotated, ${JSON.stringify(options)}`, async () => {
    const inputs = data(rows, heads, width, rotated);
    const one = {
      build: (program: Program) => program.output(build(rows, heads, width, rotated, options)(program), "y"),
      registers: { T: rows },
      inputs,
    };
    const results = await checkOp(one);
    if (rows > 1) await checkRows({ ...one, register: "T" });
    if (rows > 0) await checkGradients({ ...one, build: build(rows, heads, width, rotated, options) });
    const y = results.get("y")?.values as Float64Array;
    const norm = (values: ArrayLike<number>): number => Array.from(values).reduce((sum, v) => sum + v * v, 0);
    assert.ok(Math.abs(norm(y) - norm(inputs.x)) < 1e-5 * (1 + norm(y)), "a rotation keeps lengths");
  });
}

test("there and back again is where it began", async () => {
  const [rows, heads, width, rotated] = [9, 2, 16, 8];
  const inputs = data(rows, heads, width, rotated);
  const results = await checkOp({
    build: (program) => {
      const there = build(rows, heads, width, rotated, { layout: "pairs", start: 4 })(program);
      const find = (name: string) => program.tensors.find((tensor) => tensor.name === name)!;
      const back = rope(there, find("positions"), find("table"), { layout: "pairs", start: 4, inverse: true });
      program.output(back, "y");
    },
    registers: { T: rows },
    inputs,
  });
  results.get("y")?.values.forEach((value, i) => assert.ok(Math.abs(value - inputs.x[i]) < 1e-6));
});

test("products of rotated vectors depend on the distance alone, in both layouts", async () => {
  for (const layout of ["pairs", "half"] as const) {
    const base = uniform(3, 16);
    const x = new Float32Array(4 * 8);
    for (const row of [0, 1, 2, 3]) x.set(base.subarray((row % 2) * 8, (row % 2) * 8 + 8), row * 8);
    const results = await checkOp({
      build: (program) => program.output(build(4, 1, 8, 8, { layout })(program), "y"),
      registers: { T: 4 },
      inputs: { ...data(4, 1, 8, 8), x, positions: Int32Array.of(9, 4, 35, 30) },
    });
    const y = results.get("y")?.values as Float64Array;
    const dot = (a: number, b: number): number =>
      Array.from({ length: 8 }, (_, i) => y[a * 8 + i] * y[b * 8 + i]).reduce((sum, v) => sum + v);
    assert.ok(Math.abs(dot(0, 1) - dot(2, 3)) < 1e-5);
  }
});

test("rope refuses what does not fit when the program is built", () => {
  const program = new Program("wrong");
  const x = program.input("x", "f32", [3, 2, 8]);
  const table = program.param("table", "f32", [2, 10, 3], false);
  const loose = program.input("loose", "i32", [3]);
  const far = program.input("far", "i32", [3], { min: 0, max: 11 });
  const good = program.input("good", "i32", [3], { min: 0, max: 10 });
  const refuse = (call: () => unknown, message: RegExp): void =>
    assert.throws(call, (error) => error instanceof ProgramError && message.test(error.message));
  refuse(() => rope(x, loose, table, { layout: "pairs" }), /range within 0\.\.9/);
  refuse(() => rope(x, far, table, { layout: "pairs" }), /range within 0\.\.9/);
  refuse(() => rope(x, good, table, { layout: "pairs", start: 3 }), /3\.\.8/);
  rope(x, good, table, { layout: "pairs", start: 2 });
});
