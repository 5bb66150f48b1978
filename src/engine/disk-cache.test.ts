// Prefixes on disk: found after a restart with the same bits, never believed when damaged, never more than allowed.
import assert from "node:assert/strict";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { LocalEngine } from "./local-engine.ts";
import { bitsOf, randomEngine } from "./random-model.fixture.ts";
import type { EngineEvent, GenerateRequest } from "./types.ts";

const prompt = (from: number, length: number): number[] => Array.from({ length }, (_, i) => 3 + ((from + i * i) % 29));
const request = (from: number, length = 150): GenerateRequest => ({
  prompt: prompt(from, length),
  maxTokens: 8,
  ignoreEos: true,
  sampling: { seed: 7 },
});
const cachedOf = (events: readonly EngineEvent[]): number => {
  const last = events.at(-1);
  assert.ok(last?.type === "usage");
  return last.usage.cachedTokens;
};
const open = (directory: string, maxBytes?: number, cacheDtype: "f32" | "i8" = "f32", seed = 1): LocalEngine =>
  randomEngine({ diskCache: { directory, maxBytes }, cacheDtype, seed, weightsHash: `w${seed}` });

test("a prefix survives a restart; damaged files are discarded; other weights and types find nothing", async () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-prefix-"));
  try {
    const files = (): string[] => readdirSync(directory).sort();
    const first = open(directory);
    const [wanted] = first.generateAll([request(0)]);
    assert.equal(cachedOf(wanted), 0);
    await first.close();
    // 157 tokens computed: two whole blocks of 64.
    assert.equal(files().length, 2);
    assert.ok(files().every((name) => name.endsWith(".kv")));

    const second = open(directory);
    const [again, shorter, other] = second.generateAll([request(0), request(0, 70), request(1)]);
    assert.equal(bitsOf(again), bitsOf(wanted), "bits with the prefix from disk");
    assert.equal(cachedOf(again), 128);
    assert.equal(cachedOf(shorter), 64);
    assert.equal(cachedOf(other), 0);
    assert.equal(second.stats().cacheTokens, 0);
    await second.close();

    for (const stranger of [open(directory, undefined, "f32", 2), open(directory, undefined, "i8")]) {
      assert.equal(cachedOf(stranger.generateAll([request(0)])[0]), 0);
      await stranger.close();
    }

    const intact = new Map(files().map((name) => [name, readFileSync(join(directory, name))]));
    const damages: ((path: string) => void)[] = [
      (path) => truncateSync(path, statSync(path).size - 1),
      (path) => truncateSync(path, 0),
      (path) => {
        const bytes = readFileSync(path);
        bytes[bytes.length >> 1] ^= 1;
        writeFileSync(path, bytes);
      },
      // A sound file under another block's name.
      (path) => writeFileSync(path, [...intact.values()].find((bytes) => !bytes.equals(readFileSync(path)))!),
    ];
    for (const damage of damages) {
      for (const [name, bytes] of intact) writeFileSync(join(directory, name), bytes);
      for (const name of intact.keys()) damage(join(directory, name));
      const engine = open(directory);
      const [events] = engine.generateAll([request(0)]);
      assert.equal(bitsOf(events), bitsOf(wanted));
      assert.equal(cachedOf(events), 0);
      assert.equal(engine.scheduler.disk!.discarded, 1);
      await engine.close();
    }
    // What was discarded has been written anew, sound.
    const healed = open(directory);
    assert.ok(cachedOf(healed.generateAll([request(0)])[0]) >= 64);
    await healed.close();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test("the directory stays within its bound, the longest unused going first", async () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-prefix-"));
  try {
    const probe = open(directory);
    probe.generateAll([request(0)]);
    await probe.close();
    const size = statSync(join(directory, readdirSync(directory)[0])).size;
    const engine = open(directory, 5 * size);
    for (let i = 1; i < 6; i++) {
      engine.generateAll([request(i)]);
      await engine.scheduler.disk!.settled();
      const total = readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
      assert.ok(total <= 5 * size, `${total} bytes after ${i} prompts`);
    }
    await engine.close();
    assert.equal(readdirSync(directory).length, 5);
    const small = open(directory, 2 * size);
    assert.equal(readdirSync(directory).length, 2, "a smaller bound holds from the start");
    const [old, fresh] = ["old", "fresh"].map((name) => join(directory, `.${name}.partial`));
    for (const path of [old, fresh]) writeFileSync(path, "half");
    utimesSync(old, 0, 0);
    await open(directory).close();
    assert.deepEqual([existsSync(old), existsSync(fresh)], [false, true], "what a killed writer left is removed");
    assert.ok(cachedOf(small.generateAll([request(5)])[0]) >= 0);
    await small.close();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test("where nothing can be written the engine goes on", async () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-prefix-"));
  const engine = open(directory);
  rmSync(directory, { recursive: true });
  const [events] = engine.generateAll([request(0)]);
  await engine.scheduler.disk!.settled();
  assert.equal(engine.scheduler.disk!.failedWrites, 2);
  assert.equal(bitsOf(engine.generateAll([request(0)])[0]), bitsOf(events));
  await engine.close();
});
