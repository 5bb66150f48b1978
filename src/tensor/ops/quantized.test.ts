// Products with block-quantised weights of every type, plain and packed, against the reference, which decodes the blocks itself.
import assert from "node:assert/strict";
import { test } from "node:test";
import { gradients } from "../autodiff.ts";
import { DTYPES, type Dtype } from "../dtype.ts";
import { dim, Program, ProgramError, type Tensor } from "../program.ts";
import { ReferenceDevice } from "../reference.ts";
import { checkOp, checkRows, integers, type OpCase, runOn, toF16, uniform } from "../testing.ts";
import { quantizeRows } from "./activations.ts";
import { dot } from "./elementwise.ts";
import { embedding } from "./embedding.ts";
import { groupedLinear, groupedLinearQuantized, groupedSwiglu } from "./grouped.ts";
import { headLinear } from "./head-linear.ts";
import { linear, linearQuantized } from "./linear.ts";

/** Where the half-precision scales of a block are. */
const SCALES = {
  q8_0: [0],
  q4_0: [0],
  q4_1: [0, 2],
  q5_0: [0],
  q5_1: [0, 2],
  iq4_nl: [0],
  mxfp4: [],
  iq4_xs: [0],
  q2_k: [80, 82],
  q3_k: [108],
  q4_k: [0, 2],
  q5_k: [0, 2],
  q6_k: [208],
} as const;
type Quant = keyof typeof SCALES;
const QUANTS = Object.keys(SCALES) as Quant[];

/** Blocks of random bits with scales of a sensible size. */
function randomBlocks(seed: number, dtype: Quant, elements: number): Uint8Array {
  const { block, bytes } = DTYPES[dtype];
  const count = elements / block;
  const data = Uint8Array.from(integers(seed, count * bytes, 256));
  const scales = new Uint8Array(toF16(uniform(seed + 1, 2 * count, 0.1)).buffer);
  for (let b = 0; b < count; b++) {
    if (dtype === "mxfp4") data[b * bytes] = 118 + (data[b * bytes] % 10);
    SCALES[dtype].forEach((at, i) => data.set(scales.subarray(4 * b + 2 * i, 4 * b + 2 * i + 2), b * bytes + at));
  }
  return data;
}

interface Options {
  rows: number;
  k: number;
  n: number;
  dtype: Quant;
  packed?: boolean;
  extras?: boolean;
}

function product({ rows, k, n, dtype, packed, extras }: Options): OpCase {
  return {
    build: (program) => {
      const t = program.register("T", rows);
      const x = program.input("x", "f32", [dim(t), k]);
      const w = program.param("w", packed ? (`packed:${dtype}` as Dtype) : dtype, [n, k]);
      const bias = extras ? program.param("b", "f32", [n]) : null;
      const residual = extras ? program.input("r", "f32", [dim(t), n]) : null;
      program.output(linear(x, w, { bias, residual }), "y");
    },
    registers: { T: rows },
    inputs: {
      x: uniform(1, rows * k, 3),
      w: randomBlocks(2, dtype, n * k),
      ...(extras && { b: uniform(3, n), r: uniform(4, rows * n) }),
    },
    tolerance: 2e-5,
  };
}

for (const dtype of QUANTS) {
  test(`${dtype} products agree with the reference, plain and packed`, async () => {
    const { block } = DTYPES[dtype];
    for (const packed of [false, true]) {
      for (const [rows, k, n] of [
        [1, block, 1],
        [1, 3 * block, 21],
        [2, 256, 8],
        [3, 512, 40],
        [4, 256, 9],
        [7, 768, 17],
        [131, 256, 33],
      ])
        await checkOp(product({ rows, k, n, dtype, packed, extras: n % 2 === 1 }));
      await checkRows({ ...product({ rows: 9, k: 768, n: 24, dtype, packed }), register: "T" });
      await checkRows({ ...product({ rows: 4, k: 256, n: 17, dtype, packed }), register: "T" });
    }
  });
}

test("embeddings read rows of tables of every type, plain and packed", async () => {
  const [vocab, rows] = [21, 5];
  for (const dtype of [...QUANTS, "f32", "bf16", "f16"] as const) {
    const width = dtype in SCALES ? 3 * DTYPES[dtype].block : 19;
    const values = uniform(2, vocab * width);
    const table =
      dtype === "f32"
        ? values
        : dtype === "bf16"
          ? Uint16Array.from(new Uint32Array(Float32Array.from(values).buffer), (bits) => bits >>> 16)
          : dtype === "f16"
            ? toF16(values)
            : randomBlocks(2, dtype, vocab * width);
    for (const type of [dtype, `packed:${dtype}`] as const)
      await checkOp({
        build: (program) => {
          const t = program.register("T", rows);
          const ids = program.input("ids", "i32", [dim(t)], { min: 0, max: vocab });
          program.output(embedding(program.param("table", type, [vocab, width]), ids), "y");
        },
        registers: { T: rows },
        inputs: { table, ids: [20, 0, 7, 8, 16] },
        tolerance: 1e-6,
      });
  }
});

test("quantised rows have the reference's bytes, whatever their size", async () => {
  const k = 96;
  const x = uniform(1, 8 * k);
  x.fill(0, 0, 32);
  x.fill(1e-38, 32, 64);
  for (let i = 0; i < k; i++) x[k + i] *= 1e30;
  for (let i = 0; i < k; i++) x[2 * k + i] *= 1e-20;
  await checkOp({
    build: (program) => program.output(quantizeRows(program.input("x", "f32", [8, k])), "q"),
    inputs: { x },
    tolerance: 0,
  });
});

test("one tensor is quantised once, until it is written again", () => {
  const program = new Program("p");
  const x = program.input("x", "f32", [2, 32]);
  const w = program.param("w", "q8_0", [8, 32]);
  linear(x, w);
  linear(x, w);
  assert.equal(program.instructions.filter(({ op }) => op.name === "quantize_rows").length, 1);
});

test("experts of quantised weights, empty ones among them, rows gathered or sorted", async () => {
  const [tokens, k, n, sizes] = [6, 256, 40, [0, 3, 1, 0, 9]];
  const offsets = [0];
  for (const size of sizes) offsets.push(offsets[offsets.length - 1] + size);
  const total = offsets[offsets.length - 1];
  for (const dtype of ["q8_0", "q4_k", "q6_k", "q5_0"] as const) {
    for (const packed of [false, true]) {
      const type = packed ? (`packed:${dtype}` as Dtype) : dtype;
      await checkOp({
        build: (program) => {
          const x = program.input("x", "f32", [total + 2, k]);
          const y = program.input("y", "f32", [tokens, k]);
          const rows = program.input("rows", "i32", [total], { min: 0, max: tokens });
          const w = program.param("w", type, [sizes.length, n, k]);
          const bounds = program.input("offsets", "i32", [sizes.length + 1]);
          program.output(groupedLinear(x, w, bounds), "sorted");
          program.output(groupedLinear(y, w, bounds, { rows }), "gathered");
        },
        inputs: {
          x: uniform(1, (total + 2) * k),
          y: uniform(2, tokens * k),
          rows: integers(3, total, tokens),
          w: randomBlocks(4, dtype, sizes.length * n * k),
          offsets: Int32Array.from(offsets),
        },
      });
    }
  }
});

test("fused gate, up and SwiGLU of experts and of a dense MLP feed the down product", async () => {
  const [tokens, k, n, experts] = [5, 256, 96, 3];
  const offsets = Int32Array.of(0, 4, 4, 11);
  for (const packed of [false, true]) {
    for (const limit of [0, 0.7]) {
      const type = (dtype: Quant): Dtype => (packed ? `packed:${dtype}` : dtype) as Dtype;
      await checkOp({
        build: (program) => {
          const x = quantizeRows(program.input("x", "f32", [dim(program.register("T", tokens)), k]));
          const [gate, up] = [
            program.param("gate", type("q4_k"), [experts, n, k]),
            program.param("up", type("q8_0"), [experts, n, k]),
          ];
          const down = program.param("down", type("q8_0"), [experts, 24, n]);
          const bounds = program.input("offsets", "i32", [experts + 1]);
          const rows = program.input("rows", "i32", [13], { min: 0, max: tokens });
          const h = groupedSwiglu(x, gate, up, { offsets: bounds, rows, limit });
          program.output(groupedLinearQuantized(h, down, bounds), "experts");
          const dense = ["gate1", "up1", "down1"].map((name) =>
            program.param(name, type("q8_0"), name === "down1" ? [24, n] : [n, k]),
          );
          program.output(linearQuantized(groupedSwiglu(x, dense[0], dense[1], { limit }), dense[2]), "dense");
        },
        registers: { T: tokens },
        inputs: {
          x: uniform(1, tokens * k),
          gate: randomBlocks(2, "q4_k", experts * n * k).map((byte, i) => (i % 144 < 4 ? (i % 2 ? 8 : byte) : byte)),
          up: randomBlocks(3, "q8_0", experts * n * k),
          down: randomBlocks(4, "q8_0", experts * 24 * n),
          gate1: randomBlocks(5, "q8_0", n * k).map((byte, i) => (i % 34 === 1 ? 8 : byte)),
          up1: randomBlocks(6, "q8_0", n * k),
          down1: randomBlocks(7, "q8_0", 24 * n),
          offsets,
          rows: integers(8, 13, tokens),
        },
        // The values between are rounded to 15 bits; a rounding that falls the other way shows.
        tolerance: 2e-4,
      });
    }
  }
});

test("per-head products of quantised weights", async () => {
  for (const [rows, heads, a, b] of [
    [1, 5, 32, 96],
    [6, 3, 64, 20],
  ]) {
    for (const type of ["q8_0", "packed:q8_0", "packed:q5_0"] as const) {
      const test: OpCase = {
        build: (program) => {
          const x = program.input("x", "f32", [dim(program.register("T", rows)), heads, a]);
          program.output(headLinear(x, program.param("w", type, [heads, b, a])), "y");
        },
        registers: { T: rows },
        inputs: {
          x: uniform(1, rows * heads * a),
          w: randomBlocks(2, type.replace("packed:", "") as Quant, heads * b * a),
        },
      };
      await checkOp(test);
      await checkRows({ ...test, register: "T" });
    }
  }
});

test("the largest codes do not overflow", async () => {
  const k = 256;
  const w = new Uint8Array(DTYPES.q6_k.bytes * 8).fill(0);
  for (let r = 0; r < 8; r++) {
    w.fill(0x80, r * 210 + 192, r * 210 + 208); // scales of -128, codes of 0 - 32
    w.set(new Uint8Array(toF16([1]).buffer), r * 210 + 208);
  }
  for (const rows of [1, 6])
    for (const dtype of ["q6_k", "packed:q6_k"] as const)
      await checkOp({
        build: (program) => {
          const x = program.input("x", "f32", [rows, k]);
          program.output(linear(x, program.param("w", dtype, [8, k])), "y");
        },
        inputs: { x: new Float32Array(rows * k).fill(2), w },
      });
});

test("what is no number stays visible, in its own row", async () => {
  const base = product({ rows: 6, k: 64, n: 8, dtype: "q8_0", packed: true });
  const x = uniform(1, 6 * 64);
  x[70] = Number.NaN;
  const results = await runOn(new ReferenceDevice("f32"), { ...base, inputs: { ...base.inputs, x } });
  const values = results.get("y")?.values as Float64Array;
  values.forEach((value, i) => assert.equal(Number.isNaN(value), Math.floor(i / 8) === 1));
  await checkOp({ ...base, inputs: { ...base.inputs, x }, finite: false });
});

test("a gradient through quantised weights is refused", () => {
  const program = new Program("p");
  const x = program.input("x", "f32", [2, 32]);
  x.requiresGrad = true;
  const scale: Tensor = program.input("s", "f32", [2, 32]);
  scale.requiresGrad = true;
  const y = linear(x, program.param("w", "q8_0", [32, 32]));
  assert.throws(
    () => gradients(program, dot(y, scale)),
    (error: Error) =>
      error instanceof ProgramError && /linear_q: no gradient passes through quantised weights/.test(error.message),
  );
});
