// The engine on the goldens: greedy continuations, and answers that do not depend on company, chunking, caching or threads.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openCheckpoint } from "../checkpoint/model-directory.ts";
import { openSafetensors, readTensor } from "../checkpoint/safetensors.ts";
import { NativeDevice } from "../tensor/native.ts";
import { LocalEngine } from "./local-engine.ts";
import { type ModelOptions, ServedModel } from "./model.ts";
import { EngineError, type EngineEvent, type GenerateRequest } from "./types.ts";

const root = "../shared/goldens";
const names = ["llama", "qwen2", "deepseek-v2-lite", "deepseek-v2", "deepseek-v3", "deepseek-v3-flat"].filter((name) =>
  existsSync(join(root, name)),
);
if (names.length === 0) console.log(`${root} is absent: the engine is not compared with the goldens`);

function open(name: string, options: ModelOptions & { threads?: number } = {}): LocalEngine {
  const checkpoint = openCheckpoint(join(root, name));
  const device = new NativeDevice({ threads: options.threads ?? 2 });
  return new LocalEngine(new ServedModel(device, checkpoint.config, { checkpoint }, { context: 256, ...options }), {
    name,
  });
}

function golden(name: string, key: string): Int32Array {
  const tensor = openSafetensors(join(root, name, "golden.safetensors")).tensors.get(key)!;
  return Int32Array.from(new BigInt64Array(readTensor(tensor).slice().buffer), Number);
}

const idsOf = (events: EngineEvent[], index = 0): number[] =>
  events.flatMap((event) => (event.type === "token" && event.index === index ? [event.id] : []));
const bitsOf = (events: EngineEvent[]): string =>
  events.flatMap((event) => (event.type === "token" ? [`${event.id}:${event.logprob}`] : [])).join(" ");

for (const name of names) {
  test(`${name}: greedy continuation`, async () => {
    const engine = open(name);
    const wanted = Array.from(golden(name, "greedy"));
    const [events] = engine.generateAll([
      {
        prompt: golden(name, "input_ids").slice(0, 40),
        maxTokens: wanted.length,
        ignoreEos: true,
        sampling: { temperature: 0 },
      },
    ]);
    assert.deepEqual(idsOf(events), wanted);
    await engine.close();
  });
}

const family = names.includes("deepseek-v3") ? "deepseek-v3" : undefined;

test("the same bits alone or among others, chunked or whole, cached or not, one thread or two", {
  skip: family ? false : "the goldens are absent",
}, async () => {
  const ids = golden(family!, "input_ids");
  const request = (from: number, length: number): GenerateRequest => ({
    prompt: ids.slice(from, from + length),
    maxTokens: 12,
    ignoreEos: true,
    sampling: { temperature: 0.9, seed: 5 },
  });
  const alone = async (options: Parameters<typeof open>[1]): Promise<string> => {
    const engine = open(family!, options);
    const bits = bitsOf(engine.generateAll([request(3, 70)])[0]);
    await engine.close();
    return bits;
  };
  const wanted = await alone({});
  assert.equal(await alone({ threads: 1 }), wanted, "one thread");
  assert.equal(await alone({ maxRows: 7 }), wanted, "in chunks of 7");
  const engine = open(family!, { cacheTokens: 1024, maxRows: 64 });
  const many = engine.generateAll([request(40, 9), request(0, 90), request(3, 70), request(3, 69), request(10, 1)]);
  assert.equal(bitsOf(many[2]), wanted, "among others");
  const again = engine.generateAll([request(3, 70)])[0];
  assert.equal(bitsOf(again), wanted, "with its prefix cached");
  const usage = again.find((event) => event.type === "usage");
  assert.equal(usage?.type === "usage" && usage.usage.cachedTokens, 64);
  assert.equal(engine.stats().cacheTokens, 0, "pages leaked");
  await engine.close();
});

test("a pool too small for all makes sequences take turns, with the same results", {
  skip: family ? false : "the goldens are absent",
}, async () => {
  const ids = golden(family!, "input_ids");
  const requests = Array.from(
    { length: 5 },
    (_, i): GenerateRequest => ({
      prompt: ids.slice(i, i + 30),
      maxTokens: 60,
      ignoreEos: true,
      sampling: { seed: i },
    }),
  );
  const roomy = open(family!, { cacheTokens: 2048 });
  const tight = open(family!, { context: 96, cacheTokens: 160 });
  assert.deepEqual(tight.generateAll(requests).map(bitsOf), roomy.generateAll(requests).map(bitsOf));
  assert.equal(tight.stats().cacheTokens, 0);
  await roomy.close();
  await tight.close();
});

test("n completions share their prompt and differ; cancelling frees everything", {
  skip: family ? false : "the goldens are absent",
}, async () => {
  const engine = open(family!);
  const ids = golden(family!, "input_ids");
  const [events] = engine.generateAll([
    { prompt: ids.slice(0, 40), n: 3, maxTokens: 8, ignoreEos: true, sampling: { seed: 1 } },
  ]);
  const texts = [0, 1, 2].map((index) => idsOf(events, index).join());
  assert.equal(new Set(texts).size, 3);
  const abort = new AbortController();
  let seen = 0;
  let reason = "";
  for await (const event of engine.submit({
    prompt: ids.slice(0, 40),
    maxTokens: 200,
    ignoreEos: true,
    signal: abort.signal,
  })) {
    if (event.type === "token" && ++seen === 3) abort.abort();
    if (event.type === "finish") reason = event.reason;
  }
  assert.equal(reason, "cancelled");
  assert.ok(seen < 10);
  assert.equal(engine.stats().cacheTokens, 0);
  assert.equal(engine.stats().running, 0);
  await engine.close();
});

test("what cannot be done is refused with the field at fault", {
  skip: family ? false : "the goldens are absent",
}, async () => {
  const engine = open(family!);
  const refuses = (request: GenerateRequest, code: string, field?: string): void => {
    assert.throws(
      () => engine.submit(request),
      (error) => error instanceof EngineError && error.code === code && (field === undefined || error.field === field),
    );
  };
  refuses({ prompt: [] }, "invalid_parameter", "prompt");
  refuses({ prompt: [5, 9999] }, "invalid_parameter", "prompt");
  refuses({ prompt: new Array(256).fill(3) }, "context_length_exceeded", "prompt");
  refuses({ prompt: [1], sampling: { temperature: -1 } }, "invalid_parameter", "temperature");
  refuses({ prompt: [1], sampling: { topP: Number.NaN } }, "invalid_parameter", "topP");
  refuses({ prompt: [1], n: 0 }, "invalid_parameter", "n");
  refuses({ prompt: [1], adapter: "x" }, "unknown_adapter", "adapter");
  const vectors = await engine.embed([
    [1, 2, 3],
    [1, 2, 4],
  ]);
  assert.ok(Math.abs(vectors[0].reduce((sum, v) => sum + v * v, 0) - 1) < 1e-5);
  assert.notDeepEqual(vectors[0], vectors[1]);
  await engine.close();
  assert.throws(() => engine.submit({ prompt: [1] }), EngineError);
});
