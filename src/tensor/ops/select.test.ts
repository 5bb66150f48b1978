// Key selection, the Hadamard transform and window pooling: devices against the reference, ties, gradients, chunks.
import assert from "node:assert/strict";
import test from "node:test";
import { dim, Program, ProgramError } from "../program.ts";
import { checkGradients, checkOp, checkRows, integers, uniform } from "../testing.ts";
import { cacheColumns, cacheWrite } from "./cache.ts";
import { compressWindows, hadamard, pagedSelectTopK, selectTopK } from "./select.ts";

for (const [rows, width] of [
  [0, 4],
  [1, 1],
  [3, 2],
  [5, 128],
]) {
  test(`hadamard ${rows}x${width}: its own inverse and gradient`, async () => {
    const build = (program: Program) => {
      const t = program.register("T", Math.max(1, rows));
      const x = program.input("x", "f32", [dim(t), width]);
      x.requiresGrad = true;
      return hadamard(x);
    };
    const one = { registers: { T: rows }, inputs: { x: uniform(1, rows * width) } };
    const twice = await checkOp({ ...one, build: (p) => p.output(hadamard(build(p)), "y") });
    twice.get("y")!.values.forEach((value, i) => assert.ok(Math.abs(value - one.inputs.x[i]) < 1e-6));
    if (rows > 1) await checkRows({ ...one, build: (p) => p.output(build(p), "y"), register: "T" });
    if (rows > 0) await checkGradients({ ...one, build });
  });
}

interface Selection {
  rows: number;
  keys: number;
  heads: number;
  width: number;
  topK: number;
}

const selections: Selection[] = [
  { rows: 0, keys: 4, heads: 1, width: 4, topK: 2 },
  { rows: 1, keys: 1, heads: 1, width: 3, topK: 1 },
  { rows: 11, keys: 150, heads: 4, width: 32, topK: 12 },
  { rows: 5, keys: 61, heads: 19, width: 7, topK: 60 },
];

for (const { rows, keys, heads, width, topK } of selections) {
  test(`top ${topK} of ${keys} rows, ${heads} heads of ${width}`, async () => {
    const first = Int32Array.from({ length: rows }, (_, t) => (t % 3 === 2 ? Math.min(5, keys - 1) : 0));
    const count = Int32Array.from(integers(5, rows, keys + 1), (n, t) => Math.min(n, keys - first[t]));
    const results = await checkOp({
      build: (program) => {
        const t = program.register("T", Math.max(1, rows));
        const indices = selectTopK(
          program.input("q", "f32", [dim(t), heads, width]),
          program.input("w", "f32", [dim(t), heads]),
          program.input("k", "f32", [keys, width]),
          {
            first: program.input("first", "i32", [dim(t)], { min: 0, max: keys }),
            count: program.input("count", "i32", [dim(t)], { min: 0, max: keys + 1 }),
          },
          { topK, scale: width ** -0.5 },
        );
        program.output(indices, "indices");
      },
      registers: { T: rows },
      inputs: {
        q: uniform(1, rows * heads * width),
        w: uniform(2, rows * heads),
        k: uniform(3, keys * width),
        first,
        count,
      },
      tolerance: 0,
    });
    const list = results.get("indices")!.values;
    for (let t = 0; t < rows; t++) {
      const row = [...list.subarray(t * topK, (t + 1) * topK)];
      const taken = row.filter((s) => s >= 0);
      assert.equal(taken.length, Math.min(topK, count[t]));
      assert.ok(taken.every((s, i) => s >= first[t] && s < first[t] + count[t] && (i === 0 || s > taken[i - 1])));
    }
  });
}

test("of equal scores the lower position is taken, and -0 equals 0", async () => {
  // One head: score = w · ReLU(q · k). Keys with a negative product all score 0 or -0.
  const k = Float32Array.of(-1, 2, -1, 1, 2, -3, 2, 1);
  for (const [w, wanted] of [
    [1, [0, 1, 3, 4, 6, 7]],
    [-1, [0, 2, 3, 5, 7, -1].slice(0, 5)],
  ] as const) {
    const topK = wanted.length;
    const results = await checkOp({
      build: (program) => {
        const indices = selectTopK(
          program.input("q", "f32", [1, 1, 1]),
          program.input("w", "f32", [1, 1]),
          program.input("k", "f32", [8, 1]),
          {
            first: program.input("first", "i32", [1], { min: 0, max: 8 }),
            count: program.input("count", "i32", [1], { min: 0, max: 9 }),
          },
          { topK, scale: 1 },
        );
        program.output(indices, "indices");
      },
      inputs: { q: [1], w: [w], k, first: [0], count: [8] },
      tolerance: 0,
    });
    assert.deepEqual([...results.get("indices")!.values], [...wanted]);
  }
});

for (const dtype of ["f32", "bf16", "i8"] as const) {
  test(`top positions of a paged ${dtype} cache equal those over flat rows`, async () => {
    const [keys, heads, width, topK, pageSize, pages] = [90, 3, 16, 10, 8, 12];
    const table = Int32Array.from([5, 3, 11, 0, 7, 1, 2, 9, 10, 4, 8, 6]);
    const positions = Int32Array.from([-1, 0, 8, 9, 10, 55, 89]);
    // Values that every cache type holds exactly: whole numbers up to 127, one of them 127 in each row.
    const k = Float32Array.from(integers(3, keys * width, 255), (n, i) => (i % width === 0 ? 127 : n - 127));
    const inputs = {
      q: Float32Array.from(integers(1, positions.length * heads * width, 9), (n) => n - 4),
      w: Float32Array.from(integers(2, positions.length * heads, 5), (n) => n - 1),
      k,
    };
    const results = await checkOp({
      build: (program) => {
        const t = program.register("T", positions.length);
        const q = program.input("q", "f32", [dim(t), heads, width]);
        const w = program.input("w", "f32", [dim(t), heads]);
        const rows = program.input("k", "f32", [keys, width]);
        const cache = program.state("cache", dtype, [pages * pageSize, cacheColumns(dtype, width)]);
        cacheWrite([rows], cache, program.input("slots", "i32", [keys], { min: -1, max: pages * pageSize }));
        const rowPos = program.input("rowPos", "i32", [dim(t)], { min: -1, max: pages * pageSize });
        const paged = pagedSelectTopK(
          q,
          w,
          cache,
          {
            pageTable: program.input("table", "i32", [1, pages], { min: 0, max: pages }),
            rowSeq: program.input("rowSeq", "i32", [dim(t)], { min: 0, max: 1 }),
            rowPos,
          },
          { topK, scale: 0.25, pageSize },
        );
        const flat = selectTopK(
          q,
          w,
          rows,
          {
            first: program.input("first", "i32", [dim(t)], { min: 0, max: keys }),
            count: program.input("count", "i32", [dim(t)], { min: 0, max: keys + 1 }),
          },
          { topK, scale: 0.25 },
        );
        program.output(paged, "paged");
        program.output(flat, "flat");
      },
      registers: { T: positions.length },
      inputs: {
        ...inputs,
        slots: Int32Array.from({ length: keys }, (_, p) => table[Math.floor(p / pageSize)] * pageSize + (p % pageSize)),
        table,
        rowSeq: new Int32Array(positions.length),
        rowPos: positions,
        first: new Int32Array(positions.length),
        count: positions.map((p) => p + 1),
      },
      tolerance: { cache: 1e-6, paged: 0, flat: 0 },
    });
    assert.deepEqual([...results.get("paged")!.values], [...results.get("flat")!.values]);
  });
}

interface Windows {
  rows: number;
  ratio: number;
  slices: number;
  width: number;
  sources: number[];
}

/** Sources of every finished window of documents of these lengths. */
function windowSources(documents: number[], ratio: number, slices: number): number[] {
  const sources: number[] = [];
  let first = 0;
  for (const length of documents) {
    for (let w = 0; (w + 1) * ratio <= length; w++)
      for (let j = 0; j < slices * ratio; j++) {
        const token = (w + 1 - slices) * ratio + j;
        sources.push(token < 0 ? -1 : first + token);
      }
    first += length;
  }
  return sources;
}

const windows: Record<string, Windows> = {
  "no window": { rows: 3, ratio: 4, slices: 2, width: 8, sources: [] },
  "one window of one": { rows: 1, ratio: 1, slices: 1, width: 1, sources: [0] },
  "overlapping, two documents": { rows: 30, ratio: 4, slices: 2, width: 70, sources: windowSources([17, 13], 4, 2) },
  "heavily compressed": { rows: 70, ratio: 32, slices: 1, width: 5, sources: windowSources([70], 32, 1) },
};

for (const [name, { rows, ratio, slices, width, sources }] of Object.entries(windows)) {
  test(`windows: ${name}`, async () => {
    const count = sources.length / (ratio * slices);
    const build = (program: Program) => {
      const t = program.register("T", rows);
      const w = program.register("W", Math.max(1, count));
      const kv = program.input("kv", "f32", [dim(t), slices * width]);
      const gate = program.input("gate", "f32", [dim(t), slices * width]);
      kv.requiresGrad = gate.requiresGrad = true;
      const ape = program.param("ape", "f32", [ratio, slices * width]);
      return compressWindows(
        kv,
        gate,
        ape,
        program.input("sources", "i32", [dim(w), slices * ratio], { min: -1, max: rows }),
      );
    };
    const one = {
      registers: { T: rows, W: count },
      inputs: {
        kv: uniform(1, rows * slices * width),
        gate: uniform(2, rows * slices * width, 3),
        ape: uniform(3, ratio * slices * width),
        sources: Int32Array.from(sources),
      },
    };
    await checkOp({ ...one, build: (p) => p.output(build(p), "y") });
    if (count > 0) await checkGradients({ ...one, build, tolerance: 5e-5 });
  });
}

test("windows that reach into a state give the same bits as whole rows, and huge gates stay finite", async () => {
  const [rows, ratio, width] = [12, 4, 9];
  const columns = 2 * width;
  const kv = uniform(1, rows * columns);
  const gate = uniform(2, rows * columns, 1e5);
  const ape = uniform(3, ratio * columns);
  const sources = Int32Array.from(windowSources([rows], ratio, 2));
  // The second run has rows 6 … 11; rows 0 … 5 lie in the state.
  const cut = 6;
  const results = await checkOp({
    build: (program) => {
      const f = (name: string, n: number) => program.input(name, "f32", [n, columns]);
      const index = (name: string, min: number, max: number) =>
        program.input(name, "i32", [sources.length / 8, 8], { min, max });
      const bias = program.param("ape", "f32", [ratio, columns]);
      const whole = compressWindows(f("kv", rows), f("gate", rows), bias, index("sources", -1, rows));
      const state = {
        kv: program.state("state.kv", "f32", [8, columns]),
        gate: program.state("state.gate", "f32", [8, columns]),
      };
      const slots = program.input("slots", "i32", [cut], { min: -1, max: 8 });
      cacheWrite([f("early.kv", cut)], state.kv, slots);
      cacheWrite([f("early.gate", cut)], state.gate, slots);
      const late = compressWindows(
        f("late.kv", rows - cut),
        f("late.gate", rows - cut),
        bias,
        index("pieces", -9, rows - cut),
        state,
      );
      program.output(whole, "whole");
      program.output(late, "late");
    },
    inputs: {
      kv,
      gate,
      ape,
      sources,
      slots: Int32Array.from({ length: cut }, (_, i) => (i * 3) % 8),
      "early.kv": kv.slice(0, cut * columns),
      "early.gate": gate.slice(0, cut * columns),
      "late.kv": kv.slice(cut * columns),
      "late.gate": gate.slice(cut * columns),
      pieces: sources.map((row) => (row < 0 ? -1 : row < cut ? -2 - ((row * 3) % 8) : row - cut)),
    },
  });
  assert.deepEqual([...results.get("whole")!.values], [...results.get("late")!.values]);
});

test("what does not fit is refused when the program is built", () => {
  const program = new Program("wrong");
  const f = (name: string, ...shape: number[]) => program.input(name, "f32", shape);
  const i = (name: string, min: number, max: number, ...shape: number[]) =>
    program.input(name, "i32", shape, { min, max });
  const refuse = (call: () => unknown, message: RegExp): void =>
    assert.throws(call, (error) => error instanceof ProgramError && message.test(error.message));
  refuse(() => hadamard(f("x", 2, 12)), /power of two/);
  const [q, w, k] = [f("q", 2, 3, 4), f("w", 2, 3), f("k", 9, 4)];
  const [first, count] = [i("first", 0, 9, 2), i("count", 0, 11, 2)];
  refuse(() => selectTopK(q, w, k, { first, count }, { topK: 2, scale: 1 }), /count/);
  refuse(() => selectTopK(q, w, f("k5", 9, 5), { first, count }, { topK: 2, scale: 1 }), /k must be/);
  const [kv, gate, ape] = [f("kv", 8, 6), f("gate", 8, 6), f("ape", 4, 6)];
  refuse(() => compressWindows(kv, gate, ape, i("three", -1, 8, 2, 12)), /4 or 8 slots/);
  refuse(() => compressWindows(kv, gate, ape, i("state", -3, 8, 2, 8)), /range within/);
});
