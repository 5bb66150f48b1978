// Full attention, attention over lists, merging and MLA's keys: every device against the reference, gradients, bits.
import assert from "node:assert/strict";
import test from "node:test";
import { gradients } from "../autodiff.ts";
import { dim, type Program, ProgramError, type Register, type Tensor } from "../program.ts";
import { checkGradients, checkOp, fastDevices, integers, type OpCase, runOn, sameBits, uniform } from "../testing.ts";
import { attention, gatherAttention, mergeAttention, mlaKeys } from "./attention.ts";
import { copy, dot } from "./elementwise.ts";

interface Shape {
  rows: number;
  heads?: number;
  kvHeads?: number;
  dk?: number;
  dv?: number;
  window?: number;
  sinks?: boolean;
  /** Lengths of documents; default: one. */
  documents?: number[];
}

/** The `starts` of documents of these lengths. */
const startsOf = (documents: number[]): Int32Array => {
  let at = 0;
  const starts = documents.flatMap((length) => {
    at += length;
    return Array<number>(length).fill(at - length);
  });
  return Int32Array.from(starts);
};

const data = (
  { rows, heads = 2, kvHeads = heads, dk = 16, dv = dk, documents = [rows], sinks }: Shape,
  scale = 1,
): Record<string, Float32Array | Int32Array> => ({
  q: uniform(1, rows * heads * dk, 2 * scale),
  k: uniform(2, rows * kvHeads * dk, 2 * scale),
  v: uniform(3, rows * kvHeads * dv, scale),
  starts: startsOf(documents),
  ...(sinks ? { sinks: uniform(4, heads) } : {}),
});

function declare(program: Program, t: Register, { heads = 2, kvHeads = heads, dk = 16, dv = dk, sinks }: Shape) {
  const grad = (tensor: Tensor): Tensor => {
    tensor.requiresGrad = true;
    return tensor;
  };
  return {
    q: grad(program.input("q", "f32", [dim(t), heads, dk])),
    k: grad(program.input("k", "f32", [dim(t), kvHeads, dk])),
    v: grad(program.input("v", "f32", [dim(t), kvHeads, dv])),
    starts: program.input("starts", "i32", [dim(t)]),
    sinks: sinks ? program.param("sinks", "f32", [heads]) : undefined,
  };
}

const build = (shape: Shape) => (program: Program) => {
  const t = program.register("T", Math.max(1, shape.rows));
  const { q, k, v, starts, sinks } = declare(program, t, shape);
  return attention(q, k, v, starts, { scale: (shape.dk ?? 16) ** -0.5, window: shape.window, sinks });
};

const forward = (shape: Shape, scale = 1): OpCase => ({
  build: (program) => {
    const { out, lse } = build(shape)(program);
    program.output(out, "out");
    program.output(lse, "lse");
  },
  registers: { T: shape.rows },
  inputs: data(shape, scale),
  tolerance: 2e-5,
});

const shapes: Record<string, Shape> = {
  "one row": { rows: 1, heads: 1, dk: 8 },
  "no rows": { rows: 0 },
  "a prime number of rows and odd widths": { rows: 97, heads: 3, dk: 5, dv: 7 },
  "one above a tile": { rows: 193, heads: 2, dk: 16 },
  "documents of every length": { rows: 145, documents: [1, 2, 100, 3, 39], heads: 2, dk: 24, dv: 16 },
  "grouped heads": { rows: 40, heads: 6, kvHeads: 2, dk: 16 },
  "one key head": { rows: 101, heads: 4, kvHeads: 1, dk: 32 },
  "expanded MLA 96/64": { rows: 99, heads: 2, dk: 96, dv: 64 },
  "expanded MLA 48/32": { rows: 33, heads: 2, dk: 48, dv: 32 },
  "a window below a tile": { rows: 210, heads: 1, dk: 8, window: 5 },
  "a window above a tile": { rows: 310, heads: 1, dk: 8, window: 101, documents: [300, 10] },
  "a window of one": { rows: 9, heads: 2, dk: 8, window: 1 },
  sinks: { rows: 50, heads: 4, kvHeads: 2, dk: 16, window: 7, sinks: true, documents: [20, 30] },
};

for (const [name, shape] of Object.entries(shapes)) {
  test(`attention: ${name}`, async () => {
    await checkOp(forward(shape));
  });
}

for (const name of ["a prime number of rows and odd widths", "documents of every length", "one key head", "sinks"]) {
  test(`attention gradients: ${name}`, async () => {
    const shape = shapes[name];
    await checkGradients({
      build: (program) => {
        const { out, lse } = build(shape)(program);
        return [out, lse];
      },
      registers: { T: shape.rows },
      inputs: data(shape),
      tolerance: 5e-5,
    });
  });
}

for (const name of ["one above a tile", "a window above a tile", "a window below a tile", "grouped heads"]) {
  test(`attention gradients through the output alone: ${name}`, async () => {
    const shape = shapes[name];
    await checkGradients({
      build: (program) => build(shape)(program).out,
      registers: { T: shape.rows },
      inputs: data(shape),
      samples: 6,
      tolerance: 5e-5,
    });
  });
}

test("attention: huge scores stay finite", async () => {
  const results = await checkOp({ ...forward({ rows: 130, dk: 16, sinks: true }, 3000), tolerance: 2e-3 });
  assert.ok(results.get("out"));
});

test("attention: a document's bits, forward and backward, do not depend on what is packed around it", async () => {
  const [before, length, after] = [57, 131, 20];
  const shape: Shape = { rows: before + length + after, heads: 2, dk: 24, dv: 16, documents: [before, length, after] };
  /** Values per row, by name. */
  const widths = { q: 48, k: 48, v: 32, probe: 32, out: 32, lse: 2, dq: 48, dk: 48, dv: 32 };
  const all = { ...data(shape), probe: uniform(9, shape.rows * widths.probe) } as Record<string, Float32Array>;
  const within = <T extends Float32Array | Float64Array>(values: T, name: keyof typeof widths): T =>
    values.slice(before * widths[name], (before + length) * widths[name]) as T;
  const alone = {
    q: within(all.q, "q"),
    k: within(all.k, "k"),
    v: within(all.v, "v"),
    probe: within(all.probe, "probe"),
    starts: new Int32Array(length),
  };
  const one = (rows: number, inputs: Record<string, Float32Array | Int32Array>): OpCase => ({
    build: (program) => {
      const t = program.register("T", rows);
      const { q, k, v, starts } = declare(program, t, shape);
      const { out, lse } = attention(q, k, v, starts, { scale: 0.3, window: 100 });
      const probe = program.input("probe", "f32", [dim(t), 2, 16]);
      const found = gradients(program, dot(out, probe), { extra: [q, k, v] });
      [q, k, v].forEach((tensor) => program.output(copy(found.get(tensor)!), `d${tensor.name}`));
      program.output(copy(out), "out");
      program.output(copy(lse), "lse");
    },
    registers: { T: rows },
    inputs,
  });
  for (const { name, open } of await fastDevices()) {
    const device = await open(2);
    const packed = await runOn(device, one(shape.rows, all));
    const single = await runOn(device, one(length, alone));
    for (const output of ["out", "lse", "dq", "dk", "dv"] as const) {
      const as = (values: Float64Array) => new Map([[output, { values, bits: new Uint8Array(values.buffer) }]]);
      const wanted = single.get(output)!.values;
      sameBits(`${name}, packed and alone`, as(within(packed.get(output)!.values, output)), as(wanted));
    }
    device.close();
  }
});

test("attention: wrong shapes are named when the program is built", async () => {
  const { Program } = await import("../program.ts");
  const program = new Program("wrong");
  const f = (name: string, ...shape: number[]): Tensor => program.input(name, "f32", shape);
  const starts = program.input("starts", "i32", [4]);
  const [q, k, v] = [f("q", 4, 3, 8), f("k", 4, 2, 8), f("v", 4, 2, 8)];
  const one = f("one", 4, 1, 8);
  const other = f("other", 4, 1, 9);
  const wrong = (call: () => unknown, message: RegExp): void =>
    assert.throws(call, (error) => error instanceof ProgramError && message.test(error.message));
  wrong(() => attention(q, k, v, starts, { scale: 1 }), /multiple/);
  wrong(() => attention(q, other, other, starts, { scale: 1 }), /same width/);
  wrong(() => attention(q, one, v, starts, { scale: 1 }), /same rows and heads/);
  wrong(() => attention(q, one, one, starts, { scale: 1, window: -1 }), /window/);
  const loose = program.input("loose", "i32", [4, 2]);
  wrong(() => gatherAttention(q, one, one, loose, { scale: 1 }), /declared with a range/);
});

interface Gather {
  rows: number;
  keys: number;
  listed: number;
  heads: number;
  kvHeads: number;
  dk: number;
  dv: number;
  sinks?: boolean;
}

const gathers: Record<string, Gather> = {
  "one row, one key": { rows: 1, keys: 1, listed: 1, heads: 1, kvHeads: 1, dk: 8, dv: 8 },
  "no rows": { rows: 0, keys: 3, listed: 2, heads: 1, kvHeads: 1, dk: 8, dv: 8 },
  "more than a step of keys, odd widths": { rows: 7, keys: 150, listed: 131, heads: 4, kvHeads: 1, dk: 11, dv: 5 },
  "grouped heads": { rows: 23, keys: 37, listed: 12, heads: 6, kvHeads: 3, dk: 16, dv: 8, sinks: true },
};

const gatherCase = ({ rows, keys, listed, heads, kvHeads, dk, dv, sinks }: Gather) => {
  const indices = integers(7, rows * listed, keys);
  // Gaps, and a row that sees nothing.
  for (let i = 0; i < indices.length; i++)
    if (i % 5 === 3 || (rows > 2 && Math.floor(i / listed) === 2)) indices[i] = -1;
  return {
    build: (program: Program) => {
      const t = program.register("T", Math.max(1, rows));
      const q = program.input("q", "f32", [dim(t), heads, dk]);
      const k = program.input("k", "f32", [keys, kvHeads, dk]);
      const v = program.input("v", "f32", [keys, kvHeads, dv]);
      for (const tensor of [q, k, v]) tensor.requiresGrad = true;
      const list = program.input("list", "i32", [dim(t), listed], { min: -1, max: keys });
      return gatherAttention(q, k, v, list, {
        scale: 0.4,
        sinks: sinks ? program.param("sinks", "f32", [heads]) : undefined,
      });
    },
    registers: { T: rows },
    inputs: {
      q: uniform(1, rows * heads * dk, 2),
      k: uniform(2, keys * kvHeads * dk, 2),
      v: uniform(3, keys * kvHeads * dv),
      list: indices,
      ...(sinks ? { sinks: uniform(4, heads) } : {}),
    },
  };
};

for (const [name, shape] of Object.entries(gathers)) {
  test(`gather attention: ${name}`, async () => {
    const { build, ...rest } = gatherCase(shape);
    await checkOp({
      ...rest,
      build: (program) => {
        const { out, lse } = build(program);
        program.output(out, "out");
        program.output(lse, "lse");
      },
      tolerance: 2e-5,
      finite: false,
    });
    if (shape.rows > 0)
      await checkGradients({ ...rest, build: (program) => build(program).out, samples: 10, tolerance: 5e-5 });
  });
}

test("merged halves of the keys equal attention over all of them, with gradients", async () => {
  const [rows, keys, heads, d] = [9, 20, 2, 8];
  const list = (from: number, to: number): Int32Array =>
    Int32Array.from({ length: rows * keys }, (_, i) => (i % keys >= from && i % keys < to ? i % keys : -1));
  const program = (merged: boolean) => (p: Program) => {
    const q = p.input("q", "f32", [rows, heads, d]);
    const k = p.input("k", "f32", [keys, 1, d]);
    for (const tensor of [q, k]) tensor.requiresGrad = true;
    const sinks = p.param("sinks", "f32", [heads]);
    const lists = ["all", "first", "second"].map((name) => p.input(name, "i32", [rows, keys], { min: -1, max: keys }));
    const over = (i: number) => gatherAttention(q, k, k, lists[i], { scale: 0.5 });
    return merged ? mergeAttention(over(1), over(2), sinks) : mergeAttention(over(0), null, sinks);
  };
  const inputs = {
    q: uniform(1, rows * heads * d, 2),
    k: uniform(2, keys * d, 2),
    sinks: uniform(3, heads),
    all: list(0, keys),
    first: list(0, 7),
    second: list(7, keys),
  };
  const results = await Promise.all(
    [true, false].map((merged) =>
      checkOp({
        build: (p) => {
          const { out, lse } = program(merged)(p);
          p.output(out, "out");
          p.output(lse, "lse");
        },
        inputs,
      }),
    ),
  );
  for (const name of ["out", "lse"]) {
    const [a, b] = results.map((result) => result.get(name)?.values as Float64Array);
    a.forEach((value, i) => assert.ok(Math.abs(value - b[i]) < 1e-12));
  }
  await checkGradients({
    build: (p) => {
      const { out, lse } = program(true)(p);
      return [out, lse];
    },
    inputs,
    tolerance: 5e-5,
  });
});

test("mla keys: assembly and gradients", async () => {
  for (const [rows, heads, nope, rope, value] of [
    [1, 1, 2, 2, 2],
    [13, 3, 5, 4, 7],
  ]) {
    const declareParts = (program: Program) => {
      const parts = program.param("parts", "f32", [rows, heads * (nope + value)]);
      const rotary = program.param("rotary", "f32", [rows, rope]);
      return mlaKeys(parts, rotary, { heads, nope, value });
    };
    const inputs = { parts: uniform(1, rows * heads * (nope + value)), rotary: uniform(2, rows * rope) };
    const results = await checkOp({
      build: (program) => {
        const { k, v } = declareParts(program);
        program.output(k, "k");
        program.output(v, "v");
      },
      inputs,
    });
    const k = results.get("k")?.values as Float64Array;
    assert.equal(k[(nope + rope) * heads - 1], inputs.rotary[rope - 1]);
    await checkGradients({
      build: (program) => {
        const { k, v } = declareParts(program);
        return [k, v];
      },
      inputs,
    });
  }
});
