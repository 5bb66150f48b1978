// The paged cache: what is written is read, attention over pages agrees with the reference on every device and cache type, and a
// query's bits depend on nothing but its position and the cache.
import assert from "node:assert/strict";
import test from "node:test";
import { dim, Program, ProgramError } from "../program.ts";
import { ReferenceDevice } from "../reference.ts";
import {
  checkOp,
  compare,
  fastDevices,
  integers,
  type OpCase,
  type Results,
  runOn,
  sameBits,
  uniform,
} from "../testing.ts";
import { type CacheDtype, cacheColumns, cacheWrite, pagedAttention } from "./cache.ts";

test("an int8 row of V3's latent takes 592 bytes", () => {
  assert.equal(cacheColumns("i8", 576), 592);
  assert.equal(cacheColumns("i8", 40), 64);
  assert.equal(cacheColumns("bf16", 576), 576);
});

for (const dtype of ["f32", "bf16", "i8"] as const) {
  for (const [rows, x, y, slots] of [
    [0, 4, 0, 3],
    [1, 1, 0, 1],
    [5, 37, 0, 9],
    [6, 32, 11, 7],
  ]) {
    test(`cache write ${dtype}: ${rows} rows of ${x}+${y}`, async () => {
      const order = integers(3, 100, 1000);
      const free = Array.from({ length: slots }, (_, i) => i).sort((a, b) => order[a] - order[b]);
      const at = Int32Array.from({ length: rows }, (_, t) => (t === 2 ? -1 : free[t]));
      const values = uniform(1, rows * x, 3);
      const second = uniform(2, rows * y, 100);
      if (rows > 4) values.fill(0, 3 * x, 4 * x);
      const one: OpCase = {
        build: (program) => {
          const t = program.register("T", Math.max(1, rows));
          const a = program.input("x", "f32", [dim(t), x]);
          const parts = y > 0 ? ([a, program.input("y", "f32", [dim(t), y])] as const) : ([a] as const);
          const cache = program.state("cache", dtype, [slots, cacheColumns(dtype, x + y)]);
          cacheWrite(parts, cache, program.input("slots", "i32", [dim(t)], { min: -1, max: slots }));
        },
        registers: { T: rows },
        inputs: { x: values, ...(y > 0 ? { y: second } : {}), slots: at },
        tolerance: 1e-6,
      };
      if (dtype !== "i8") {
        await checkOp(one);
        return;
      }
      // float64 may round to another byte than float32: every device's row must be within half a step of what was written.
      const devices = (await fastDevices()).map(({ open }) => open(2));
      for (const device of [new ReferenceDevice("f64"), ...(await Promise.all(devices))]) {
        const bytes = (await runOn(device, one)).get("cache")!.bits;
        const columns = cacheColumns("i8", x + y);
        const view = new DataView(bytes.buffer);
        for (let slot = 0; slot < slots; slot++) {
          const row = at.indexOf(slot);
          if (row < 0) {
            assert.ok(bytes.subarray(slot * columns, (slot + 1) * columns).every((byte) => byte === 0));
            continue;
          }
          for (let i = 0; i < x + y; i++) {
            const part = i < x ? values.subarray(row * x, (row + 1) * x) : second.subarray(row * y, (row + 1) * y);
            const top = part.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
            const scale = view.getFloat32((slot + 1) * columns - 16 + (i < x ? 0 : 4), true);
            const off = Math.abs(view.getInt8(slot * columns + i) * scale - part[i < x ? i : i - x]);
            assert.ok(off <= (top / 127) * 0.50001, `${device.description}: value ${i} of row ${row} is off by ${off}`);
          }
        }
        device.close();
      }
    });
  }
}

interface Paged {
  /** Positions of the queries, by sequence; the cache holds everything up to the last. */
  queries: number[][];
  heads: number;
  kvHeads: number;
  dk: number;
  dv: number;
  /** Whether values have their own cache. */
  values: boolean;
  dtype: CacheDtype;
  pageSize: number;
  window?: number;
  /** Width of the part of q that comes from elsewhere. */
  tail?: number;
  /** How many positions each row lists. */
  selected?: number;
  sinks?: boolean;
}

const sizesOf = ({ queries, pageSize }: Paged) => {
  const longest = Math.max(1, ...queries.flat().map((p) => p + 1));
  const pages = Math.ceil(longest / pageSize) + 1;
  return { rows: queries.flat().length, pages, slots: pages * queries.length * pageSize, sequences: queries.length };
};

/** One program: fill the caches, then attend. Pages are scattered; inputs are the same for the same sequence and position. */
function pagedCase(shape: Paged): OpCase {
  const { queries, heads, kvHeads, dk, dv, dtype, pageSize, tail = 0 } = shape;
  const { rows, pages, slots, sequences } = sizesOf(shape);
  const order = integers(11, pages * sequences, 1 << 30);
  const table = Int32Array.from([...order.keys()].sort((a, b) => order[a] - order[b]));
  const vector = (seed: number, seq: number, position: number, width: number): Float32Array =>
    uniform(seed * 100000 + seq * 10000 + position, width, 1.5);
  const keys = new Float32Array(slots * kvHeads * dk);
  const values = new Float32Array(slots * kvHeads * dv);
  const write = new Int32Array(slots).fill(-1);
  let at = 0;
  for (let seq = 0; seq < sequences; seq++) {
    for (let p = 0; p < (pages - 1) * pageSize; p++, at++) {
      keys.set(vector(1, seq, p, kvHeads * dk), at * kvHeads * dk);
      values.set(vector(2, seq, p, kvHeads * dv), at * kvHeads * dv);
      write[at] = table[seq * pages + Math.floor(p / pageSize)] * pageSize + (p % pageSize);
    }
  }
  const rowSeq = Int32Array.from(queries.flatMap((positions, seq) => positions.map(() => seq)));
  const rowPos = Int32Array.from(queries.flat());
  const each = <T>(make: (seq: number, position: number) => ArrayLike<T>): T[] =>
    [...rowSeq].flatMap((seq, t) => Array.from(make(seq, rowPos[t])));
  const head = dk - tail;
  const list = (seq: number, position: number): number[] => {
    const wanted = Math.min(shape.selected ?? 0, position + 1);
    const ranks = integers(seq + 31 * position + 5, position + 1, 1 << 30);
    const taken = [...ranks.keys()].sort((a, b) => ranks[a] - ranks[b]).slice(0, wanted);
    return [...taken.sort((a, b) => a - b), ...Array(shape.selected! - wanted).fill(-1)];
  };
  return {
    build: (program) => {
      const t = program.register("T", Math.max(1, rows));
      const slot = program.input("write", "i32", [slots], { min: -1, max: slots });
      const cache = (name: string, width: number) => {
        const filled = program.state(`${name}.cache`, dtype, [slots, cacheColumns(dtype, width)]);
        if (shape.values || dk === dv) cacheWrite([program.input(name, "f32", [slots, width])], filled, slot);
        else {
          const parts = [dv, dk - dv].map((w, i) => program.input(`${name}.${i}`, "f32", [slots, w]));
          cacheWrite([parts[0], parts[1]], filled, slot);
        }
        return filled;
      };
      const keyCache = cache("keys", kvHeads * dk);
      const { out, lse } = pagedAttention(
        {
          q: program.input("q", "f32", [dim(t), heads, head]),
          qTail: tail ? program.input("qTail", "f32", [dim(t), heads, tail + 3]) : undefined,
          keys: keyCache,
          values: shape.values ? cache("values", kvHeads * dv) : undefined,
          pageTable: program.input("table", "i32", [sequences, pages], { min: 0, max: sequences * pages }),
          rowSeq: program.input("rowSeq", "i32", [dim(t)], { min: 0, max: sequences }),
          rowPos: program.input("rowPos", "i32", [dim(t)], { min: -1, max: pages * pageSize }),
          selected: shape.selected
            ? program.input("selected", "i32", [dim(t), shape.selected], { min: -1, max: pages * pageSize })
            : undefined,
        },
        {
          kvHeads,
          keyWidth: dk,
          valueWidth: dv,
          pageSize,
          scale: dk ** -0.5,
          window: shape.window,
          sinks: shape.sinks ? program.param("sinks", "f32", [heads]) : undefined,
        },
      );
      program.output(out, "out");
      program.output(lse, "lse");
    },
    registers: { T: rows },
    inputs: {
      q: Float32Array.from(each((seq, p) => vector(3, seq, p + 1, heads * head))),
      ...(tail ? { qTail: Float32Array.from(each((seq, p) => vector(4, seq, p + 1, heads * (tail + 3)))) } : {}),
      ...(shape.values || dk === dv
        ? { keys }
        : Object.fromEntries(
            [
              [0, dv],
              [dv, dk],
            ].map(([from, to], i) => [
              `keys.${i}`,
              Float32Array.from({ length: slots * (to - from) }, (_, j) => {
                return keys[Math.floor(j / (to - from)) * dk + from + (j % (to - from))];
              }),
            ]),
          )),
      ...(shape.values ? { values } : {}),
      write,
      table,
      rowSeq,
      rowPos,
      ...(shape.selected ? { selected: Int32Array.from(each(list)) } : {}),
      ...(shape.sinks ? { sinks: uniform(6, heads) } : {}),
    },
    finite: false,
  };
}

const only = (results: Results, ...names: string[]): Results =>
  new Map([...results].filter(([name]) => names.includes(name)));

const run = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

const shapes: Record<string, Paged> = {
  "MLA decode": {
    queries: [[0], [70], [519]],
    heads: 5,
    kvHeads: 1,
    dk: 48,
    dv: 32,
    tail: 16,
    values: false,
    dtype: "f32",
    pageSize: 16,
  },
  "MLA prefill over several splits": {
    queries: [run(250, 281), run(0, 20)],
    heads: 3,
    kvHeads: 1,
    dk: 40,
    dv: 32,
    values: false,
    dtype: "f32",
    pageSize: 16,
    sinks: true,
  },
  "MLA of an odd width": {
    queries: [[3, 4, 5], [65]],
    heads: 2,
    kvHeads: 1,
    dk: 13,
    dv: 9,
    values: false,
    dtype: "f32",
    pageSize: 5,
  },
  "grouped heads": {
    queries: [[1], [9, 10], [300]],
    heads: 6,
    kvHeads: 2,
    dk: 16,
    dv: 24,
    values: true,
    dtype: "f32",
    pageSize: 32,
  },
  "odd value width": {
    queries: [[70, 71]],
    heads: 2,
    kvHeads: 2,
    dk: 9,
    dv: 5,
    values: true,
    dtype: "f32",
    pageSize: 7,
  },
  "a window": {
    queries: [run(280, 300), [3], [600]],
    heads: 4,
    kvHeads: 1,
    dk: 16,
    dv: 16,
    values: false,
    dtype: "f32",
    pageSize: 16,
    window: 37,
  },
  "rows that see nothing": {
    queries: [[-1, 0, 5], [-1]],
    heads: 2,
    kvHeads: 1,
    dk: 16,
    dv: 16,
    values: false,
    dtype: "f32",
    pageSize: 4,
  },
  "selected positions": {
    queries: [[0, 40, 400], [600]],
    heads: 3,
    kvHeads: 1,
    dk: 24,
    dv: 16,
    values: false,
    dtype: "f32",
    pageSize: 16,
    selected: 270,
  },
  "no rows": {
    queries: [[]],
    heads: 2,
    kvHeads: 1,
    dk: 8,
    dv: 8,
    values: false,
    dtype: "f32",
    pageSize: 4,
  },
};

for (const [name, shape] of Object.entries(shapes)) {
  for (const dtype of ["f32", "bf16", "i8"] as const) {
    test(`paged attention: ${name}, ${dtype}`, async () => {
      const one = pagedCase({ ...shape, dtype });
      // An int8 cache may be rounded differently by float64: compare the cache loosely, the result within its step.
      const loose = dtype === "i8" ? { out: 4e-3, lse: 4e-3, "keys.cache": 300, "values.cache": 300 } : 2e-5;
      await checkOp({ ...one, tolerance: loose });
    });
  }
}

test("paged attention: the same bits alone or in a batch, whole or in chunks, by any number of threads", async () => {
  const mla: Paged = { ...shapes["MLA decode"], heads: 8, queries: [] };
  const positions = [run(500, 560), run(0, 10), [259], [767]];
  const variants: Paged[] = [
    mla,
    { ...mla, dtype: "i8" },
    { ...shapes["grouped heads"], queries: [] },
    { ...mla, window: 100 },
  ];
  for (const variant of variants) {
    for (const { name, open } of await fastDevices()) {
      const one = await open(1);
      const whole = only(await runOn(one, pagedCase({ ...variant, queries: positions })), "out", "lse");
      const width = { out: variant.heads * variant.dv, lse: variant.heads };
      for (const threads of [2, 3]) {
        const device = await open(threads);
        sameBits(
          `${name}, ${threads} threads`,
          only(await runOn(device, pagedCase({ ...variant, queries: positions })), "out", "lse"),
          whole,
        );
        // Every second row alone in its batch: other rows are dropped, which changes tiles and splits among threads.
        for (const [seq, row, position] of [
          [0, 0, 500],
          [0, 37, 537],
          [0, 59, 559],
          [1, 60 + 3, 3],
          [2, 70, 259],
          [3, 71, 767],
        ]) {
          const queries = positions.map((_, s) => (s === seq ? [position] : []));
          const alone = await runOn(device, pagedCase({ ...variant, queries: keepPages(queries, positions) }));
          for (const output of ["out", "lse"] as const) {
            const all = whole.get(output)!.values;
            const wanted = all.slice(row * width[output], (row + 1) * width[output]);
            const got = alone.get(output)!.values.slice(0, width[output]);
            got.forEach((value, i) =>
              assert.ok(
                Object.is(value, wanted[i]),
                `${name}: ${output} of ${seq}:${position} is ${value}, not ${wanted[i]}`,
              ),
            );
          }
        }
        device.close();
      }
      one.close();
    }
  }
});

/** The same page table as for `like`: a last row is added to the last sequence so that the longest position is the same. */
function keepPages(queries: number[][], like: number[][]): number[][] {
  const last = like.length - 1;
  const longest = Math.max(...like.flat());
  return queries.map((positions, seq) => (seq === last ? [...positions, longest] : positions));
}

test("paged attention: an int8 cache costs little accuracy", async () => {
  const shape: Paged = { ...shapes["MLA decode"], queries: [[600], [31]] };
  const exact = await checkOp(pagedCase(shape));
  const coarse = await checkOp({ ...pagedCase({ ...shape, dtype: "i8" }), tolerance: 300 });
  compare("int8 against float32", only(coarse, "out"), only(exact, "out"), { ...pagedCase(shape), tolerance: 0.05 });
});

test("paged attention refuses what does not fit", () => {
  const program = new Program("wrong");
  const f = (name: string, ...s: number[]) => program.input(name, "f32", s);
  const i = (name: string, max: number, ...s: number[]) => program.input(name, "i32", s, { min: 0, max });
  const keys = program.state("keys", "f32", [32, 8]);
  const inputs = {
    q: f("q", 2, 4, 8),
    keys,
    pageTable: i("table", 8, 3, 8),
    rowSeq: i("seq", 3, 2),
    rowPos: i("pos", 32, 2),
  };
  const options = { kvHeads: 1, keyWidth: 8, valueWidth: 8, pageSize: 4, scale: 1 };
  pagedAttention(inputs, options);
  const refuse = (call: () => unknown, message: RegExp): void =>
    assert.throws(call, (error) => error instanceof ProgramError && message.test(error.message));
  refuse(() => pagedAttention(inputs, { ...options, pageSize: 5 }), /whole number of pages/);
  refuse(() => pagedAttention(inputs, { ...options, keyWidth: 9 }), /keys of width 9/);
  refuse(() => pagedAttention(inputs, { ...options, kvHeads: 3 }), /no multiple/);
  refuse(() => pagedAttention(inputs, { ...options, valueWidth: 9 }), /no wider than the key/);
  refuse(() => pagedAttention({ ...inputs, rowPos: i("far", 33, 2) }, options), /range within/);
  refuse(() => pagedAttention({ ...inputs, pageTable: i("wide", 9, 3, 8) }, options), /range within/);
  refuse(() => cacheWrite([f("x", 2, 8)], f("c", 32, 8), i("slots", 32, 2)), /must be a state/);
  refuse(() => cacheWrite([f("y", 2, 7)], keys, i("slots2", 32, 2)), /rows of 7 values/);
});
