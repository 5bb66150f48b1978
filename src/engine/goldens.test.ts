// The engine on all eight goldens: greedy tokens through scheduler, paged caches and sampler. And V4's windows, whose state is not in
// pages: the same bits whatever the company, the chunks and the cached prefix.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseConfig } from "../checkpoint/config.ts";
import { openCheckpoint } from "../checkpoint/model-directory.ts";
import {
  inTemporaryFolder,
  randomNumbers,
  shortWindowsV4,
  smallConfigs,
  smallModel,
} from "../checkpoint/models.fixture.ts";
import { openSafetensors, readTensor } from "../checkpoint/safetensors.ts";
import { writeHuggingFace } from "../checkpoint/write-model.ts";
import { TAKE_BACK } from "../model/serving-windows.ts";
import { withTorchTies } from "../model/torch-ties.fixture.ts";
import type { Device } from "../tensor/device.ts";
import { NativeDevice } from "../tensor/native.ts";
import { ReferenceDevice } from "../tensor/reference.ts";
import { WasmDevice } from "../tensor/wasm.ts";
import { LocalEngine } from "./local-engine.ts";
import { type ModelOptions, ServedModel } from "./model.ts";
import { guessAlways } from "./random-model.fixture.ts";
import { type Drafter, MOST_AHEAD } from "./speculation.ts";
import type { EngineEvent, GenerateRequest } from "./types.ts";

const root = "../shared/goldens";
const names = ["llama", "qwen2", "deepseek-v2-lite", "deepseek-v2", "deepseek-v3", "deepseek-v3-flat", "deepseek-v4"];

function open(device: Device, folder: string, options: ModelOptions = {}): LocalEngine {
  const checkpoint = openCheckpoint(folder);
  const sizes = { context: 96, cacheTokens: 384, maxRows: 128, maxSequences: 4 };
  const engine = new LocalEngine(new ServedModel(device, checkpoint.config, { checkpoint }, { ...sizes, ...options }), {
    name: folder,
  });
  checkpoint.close();
  return engine;
}

const idsOf = (events: EngineEvent[]): number[] =>
  events.flatMap((event) => (event.type === "token" ? [event.id] : []));
const bitsOf = (events: EngineEvent[]): string =>
  events.flatMap((event) => (event.type === "token" ? [`${event.id}:${event.logprob}`] : [])).join(" ");

function golden(name: string, key: string): number[] {
  const tensor = openSafetensors(join(root, name, "golden.safetensors")).tensors.get(key)!;
  return Array.from(new BigInt64Array(readTensor(tensor).slice().buffer), Number);
}

const greedy = (prompt: number[], maxTokens: number): GenerateRequest => ({
  prompt,
  maxTokens,
  ignoreEos: true,
  sampling: { temperature: 0 },
});

if (!existsSync(root)) console.log(`${root} is absent: the engine is not compared with the goldens`);
else {
  for (const name of names) {
    test(`${name}: greedy tokens on native and wasm`, async () => {
      const wanted = golden(name, "greedy");
      for (const device of [new NativeDevice({ threads: 2 }), await WasmDevice.open({ threads: 1 })]) {
        const engine = open(device, join(root, name));
        const [events] = engine.generateAll([greedy(golden(name, "input_ids").slice(0, 40), wanted.length)]);
        assert.deepEqual(idsOf(events), wanted, device.name);
        await engine.close();
        device.close();
      }
    });
  }

  test("deepseek-v3.2: greedy tokens, every one from a whole prompt as the golden was made, among equal scores as PyTorch", async () => {
    const name = "deepseek-v3.2";
    const wanted = golden(name, "greedy");
    const engine = open(new ReferenceDevice("f64"), join(root, name));
    const tokens = golden(name, "input_ids").slice(0, 40);
    for (const _ of wanted) {
      engine.scheduler.pool.clear();
      const [events] = withTorchTies(0, () => engine.generateAll([greedy(tokens, 1)]));
      tokens.push(...idsOf(events));
    }
    assert.deepEqual(tokens.slice(40), wanted);
    await engine.close();
  });
}

/** A small model of this family in a folder, longer than V3.2's top_k and V4's windows. */
function inFolderOf(family: string, use: (folder: string) => void): void {
  const config = parseConfig(family === "deepseek_v4" ? shortWindowsV4 : smallConfigs[family]);
  inTemporaryFolder((folder) => {
    writeHuggingFace(join(folder, "model"), smallModel(family, 1, config));
    use(join(folder, "model"));
  });
}

for (const family of ["deepseek_v32", "deepseek_v4"]) {
  test(`${family}: the same bits alone or among others, chunked or whole, cached or not`, () =>
    inFolderOf(family, (folder) => {
      const random = randomNumbers(5);
      const ids = Array.from({ length: 90 }, () => Math.floor(random() * 40));
      const request = (from: number, length: number): GenerateRequest => ({
        prompt: ids.slice(from, from + length),
        maxTokens: 12,
        ignoreEos: true,
        sampling: { temperature: 0.9, seed: 5 },
      });
      const device = new NativeDevice({ threads: 2 });
      const alone = (options: ModelOptions = {}): string =>
        bitsOf(open(device, folder, options).generateAll([request(3, 70)])[0]);
      const wanted = alone();
      assert.equal(alone({ maxRows: 7 }), wanted, "in chunks of 7");
      const engine = open(device, folder, { cacheTokens: 288 });
      const many = engine.generateAll([request(40, 9), request(0, 80), request(3, 70), request(3, 69), request(10, 1)]);
      assert.equal(bitsOf(many[2]), wanted, "among others");
      const again = engine.generateAll([request(3, 70)])[0];
      assert.equal(bitsOf(again), wanted, "with its prefix cached");
      const usage = again.find((event) => event.type === "usage");
      // V4 computes the four tokens again that its next entry overlaps.
      const cached = family === "deepseek_v4" ? 60 : 64;
      assert.equal(usage?.type === "usage" && usage.usage.cachedTokens, cached);
      const short = engine.generateAll([request(3, 60)])[0];
      const fresh = open(device, folder).generateAll([request(3, 60)])[0];
      assert.equal(bitsOf(short), bitsOf(fresh), "a cached prefix that ends inside a heavily compressed window");
      device.close();
    }));
}

test("deepseek_v4: guesses, right and wrong ones, leave the tokens and the windows' state as they are", () => {
  assert.ok(MOST_AHEAD <= TAKE_BACK, "more guesses than a sequence can take back");
  inFolderOf("deepseek_v4", (folder) => {
    const random = randomNumbers(8);
    const prompt = Array.from({ length: 30 }, () => Math.floor(random() * 40));
    const request = { prompt, maxTokens: 60, ignoreEos: true, sampling: { temperature: 0.7, seed: 3 } };
    const device = new NativeDevice({ threads: 1 });
    const wanted = open(device, folder).generateAll([request])[0];
    const answer = idsOf(wanted);
    // Guesses what comes, with one mistake that moves: every length of a wrong guess occurs.
    let asked = 0;
    const drafter: Drafter = {
      source: "test",
      prior: 0.9,
      propose: (sequences, most) =>
        sequences.map(({ generated }, i) => {
          const guess = answer.slice(generated, generated + most[i]);
          const wrong = asked++ % (MOST_AHEAD + 1);
          return guess.map((id, k) => (k === wrong ? (id + 1) % 40 : id));
        }),
    };
    const checkpoint = openCheckpoint(folder);
    const sizes = { context: 96, cacheTokens: 384, maxRows: 128, maxSequences: 4 };
    const served = new ServedModel(device, checkpoint.config, { checkpoint }, sizes);
    const engine = new LocalEngine(served, { name: folder, drafters: [drafter] });
    guessAlways(engine);
    assert.equal(bitsOf(engine.generateAll([request])[0]), bitsOf(wanted));
    assert.ok(asked > 3 && asked < 50, `${asked} rounds of guesses`);
    checkpoint.close();
    device.close();
  });
});
