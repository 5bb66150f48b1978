// The serving program against the training program, for every family: the whole prompt at once, in chunks, and token by token from
// the paged cache give the logits of the full forward pass. Serving attends in the absorbed form, training in the expanded one, so
// this also holds the two together. Sequences are longer than V3.2's top_k and V4's windows.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ModelConfig, parseConfig } from "../checkpoint/config.ts";
import { randomNumbers, shortWindowsV4, smallConfigs } from "../checkpoint/models.fixture.ts";
import type { Device, DeviceBuffer, Executable } from "../tensor/device.ts";
import { NativeDevice } from "../tensor/native.ts";
import type { Tensor } from "../tensor/program.ts";
import { ReferenceDevice } from "../tensor/reference.ts";
import type { ModelContext } from "./context.ts";
import { buildInference, type InferenceProgram } from "./inference.ts";
import { fillServingWindows } from "./serving-windows.ts";
import { buildTraining, fillRows } from "./training.ts";
import { loadParameter } from "./weights.ts";

const LENGTH = 72;
const PAGE = 16;
const configOf = (family: string): ModelConfig =>
  parseConfig(family === "deepseek_v4" ? shortWindowsV4 : smallConfigs[family]);

/** Random weights under the training program's names, spread as trained ones are. */
function randomWeights(context: ModelContext): Map<string, Float32Array> {
  const random = randomNumbers(7);
  const weights = new Map<string, Float32Array>();
  for (const [name, { shape, dtype }] of context.parameters) {
    if (context.constants.has(name)) continue;
    const size = (shape as number[]).reduce((a, b) => a * b, 1);
    const inner = shape.length > 1 ? (shape[shape.length - 1] as number) : 1;
    const norm = shape.length === 1 && /norm/.test(name) && name.endsWith("weight") ? 1 : 0;
    weights.set(
      name,
      Float32Array.from({ length: size }, () =>
        dtype === "i32" ? Math.floor(random() * 4) : norm + (random() - 0.5) * (norm ? 0.2 : 4 / Math.sqrt(inner)),
      ),
    );
  }
  return weights;
}

function bind(device: Device, context: ModelContext, weights: Map<string, Float32Array>): Record<string, DeviceBuffer> {
  const source = {
    has: (name: string) => weights.has(name),
    load: (name: string) => weights.get(name) as Float32Array,
  };
  const one = (name: string, { dtype, shape }: Tensor): DeviceBuffer =>
    device.buffer(
      dtype,
      shape as number[],
      context.constants.get(name) ?? loadParameter(source, name, shape as number[]),
    );
  return Object.fromEntries([...context.parameters].map(([name, tensor]) => [name, one(name, tensor)]));
}

/** Logits [rows · vocab] of tokens from…to−1 of two sequences side by side, the second half as far; each step adds a chunk to both. */
function serve(
  built: InferenceProgram,
  run: Executable,
  sequences: Int32Array[],
  chunk: (at: number) => number,
): Float32Array[] {
  const { config, cache } = built.context;
  const view = (name: string): Int32Array => run.buffer(name).view() as Int32Array;
  const width = built.options.maxPositions / PAGE;
  // Pages in disorder: the second sequence's lie between the first's.
  const pages = sequences.map((_, s) => Array.from({ length: width }, (_, i) => 2 * (width - 1 - i) + s));
  pages.forEach((list, s) => view("pageTable").set(list, s * width));
  const out = sequences.map(({ length }) => new Float32Array(length * config.vocabSize));
  const done = sequences.map(() => 0);
  while (done.some((at, s) => at < sequences[s].length)) {
    const chunks = sequences.flatMap((ids, slot) => {
      const count = Math.min(chunk(done[slot]), ids.length - done[slot]);
      return count > 0 ? [{ slot, from: done[slot], count, pages: pages[slot], cached: 0 }] : [];
    });
    let row = 0;
    const where: [number, number][] = [];
    for (const { slot, from, count } of chunks)
      for (let i = 0; i < count; i++, row++) {
        const at = from + i;
        view("ids")[row] = sequences[slot][at];
        view("positions")[row] = at;
        view("sequences")[row] = slot;
        view("slots")[row] = pages[slot][Math.floor(at / PAGE)] * PAGE + (at % PAGE);
        view("sampledRows")[row] = row;
        where.push([slot, at]);
      }
    run.run({ T: row, R: row, ...fillServingWindows(cache?.windows ?? new Map(), run, chunks) });
    const logits = run.buffer("logits").view() as Float32Array;
    where.forEach(([slot, at], r) =>
      out[slot].set(logits.subarray(r * config.vocabSize, (r + 1) * config.vocabSize), at * config.vocabSize),
    );
    for (const { slot, count } of chunks) done[slot] += count;
  }
  return out;
}

/** Largest difference over the standard deviation. */
function difference(got: ArrayLike<number>, wanted: ArrayLike<number>): number {
  const values = Array.from(wanted);
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length);
  assert.ok(deviation > 0.01, "logits that say nothing");
  return values.reduce((most, v, i) => Math.max(most, Math.abs(got[i] - v)), 0) / deviation;
}

const random = randomNumbers(3);
const ids = (length: number): Int32Array => Int32Array.from({ length }, () => Math.floor(random() * 40));
const sequences = [ids(LENGTH), ids(LENGTH / 2 + 1)];

for (const family of Object.keys(smallConfigs)) {
  test(`${family}: served whole, in chunks and token by token, it gives the full forward pass`, () => {
    const model = configOf(family);
    const total = sequences[0].length + sequences[1].length;
    const training = buildTraining(model, { maxTokens: total, maxPositions: 80, logits: true, backward: false });
    const weights = randomWeights(training.context);
    const oracle = new ReferenceDevice("f64");
    const full = oracle.compile(training.program, bind(oracle, training.context, weights));
    const rows = sequences.flatMap((list, s) => Array.from(list, (id, at) => ({ id, at, first: s * LENGTH })));
    const registers = fillRows(training, full, {
      ids: rows.map(({ id }) => id),
      positions: rows.map(({ at }) => at),
      starts: rows.map(({ first }) => first),
      targets: rows.map(() => 0),
      weights: rows.map(() => 0),
    });
    full.run(registers);
    const wanted = full.buffer("logits").view();
    const options = {
      maxRows: total,
      maxSampled: total,
      maxSequences: 2,
      maxPositions: 80,
      pageSize: PAGE,
      pages: 10,
      cacheDtype: "f32" as const,
      dtypeOf: () => "f32" as const,
    };
    const built = buildInference(model, options);
    const device = new NativeDevice({ threads: 2 });
    const run = device.compile(built.program, bind(device, built.context, weights));
    const ways: Record<string, (at: number) => number> = {
      whole: () => LENGTH,
      "chunks of 7": () => 7,
      "a prompt of 21, then token by token": (at) => (at === 0 ? 21 : 1),
    };
    const bits: Float32Array[][] = [];
    for (const [way, chunk] of Object.entries(ways)) {
      const got = serve(built, run, sequences, chunk);
      const flat = got.flatMap((logits) => Array.from(logits));
      assert.ok(difference(flat, wanted) < 1e-5, `${way}: ${difference(flat, wanted)}`);
      bits.push(got);
    }
    for (const other of bits.slice(1)) assert.deepEqual(other, bits[0], "the bits depend on the chunks");
    run.free();
    device.close();
  });
}
