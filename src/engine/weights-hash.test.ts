// What the hash of weights tells apart: every byte of small models, every tensor of large ones, and how little of those is read.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Checkpoint, TensorInfo } from "../checkpoint/checkpoint.ts";
import { parseConfig } from "../checkpoint/config.ts";
import { smallConfigs } from "../checkpoint/models.fixture.ts";
import { weightsHash } from "./weights-hash.ts";

const config = parseConfig(smallConfigs.deepseek_v3, "config.json");

type Fill = (target: Uint8Array, offset: number) => void;

/** A checkpoint of byte tensors of given sizes, zero but for what `fill` says, and how many bytes were read of it. */
function checkpointOf(sizes: number[], fill: Fill = () => {}, change: object = {}) {
  const counted = { read: 0 };
  const source = {
    name: "weights",
    size: sizes.reduce((sum, size) => sum + size, 0),
    read: (): never => assert.fail("reads copies only: a fault in a map reads its neighbourhood too"),
    readInto(offset: number, target: Uint8Array): void {
      assert.ok(offset >= 0 && offset + target.length <= this.size);
      counted.read += target.length;
      fill(target.fill(0), offset);
    },
    close: () => {},
  };
  const infos = new Map<string, TensorInfo>();
  let offset = 0;
  for (const [i, bytes] of sizes.entries()) {
    // The second half of each tensor stands for its scales.
    const [first, second] = [bytes >> 1, bytes - (bytes >> 1)];
    infos.set(`t${i}`, {
      name: `t${i}`,
      dtype: "I8",
      shape: [bytes],
      bytes,
      stored: [
        { source, offset, bytes: first },
        { source, offset: offset + first, bytes: second },
      ],
    });
    offset += bytes;
  }
  const checkpoint = {
    config: { ...config, ...change },
    tensorNames: [...infos.keys()],
    info: (name: string) => infos.get(name),
  } as unknown as Checkpoint;
  return { hash: weightsHash(checkpoint), read: counted.read };
}

test("of a small model every byte counts, and the architecture; what nothing computes with does not", () => {
  const sizes = [1, 300, 5000, 20_000];
  const total = 25_301;
  const plain = checkpointOf(sizes);
  assert.equal(plain.read, total);
  for (const changed of [0, 1, 150, 300, 301, 5300, 5301, 10_000, total - 1])
    assert.notEqual(
      checkpointOf(sizes, (target, offset) => {
        if (changed - offset < target.length) target[changed - offset] = 1;
      }).hash,
      plain.hash,
      `byte ${changed}`,
    );
  assert.notEqual(checkpointOf([300, 1, 5000, 20_000]).hash, plain.hash);
  assert.notEqual(checkpointOf(sizes, undefined, { rmsNormEps: 0.5 }).hash, plain.hash);
  assert.equal(checkpointOf(sizes, undefined, { extra: { note: "words" } }).hash, plain.hash);
});

test("of a large model every tensor counts and little is read", () => {
  const sizes = Array.from({ length: 2100 }, () => 40_000);
  const plain = checkpointOf(sizes);
  assert.equal(plain.read, 2100 * 2 * 4096);
  for (const tensor of [0, 1, 1500, 2099]) {
    for (const half of [0, 1]) {
      const changed: Fill = (target, offset) => {
        if (Math.floor(offset / 20_000) === 2 * tensor + half) target.fill(1);
      };
      assert.notEqual(checkpointOf(sizes, changed).hash, plain.hash, `tensor ${tensor}, ${half ? "scales" : "values"}`);
    }
  }
  assert.equal(checkpointOf([2 ** 28, 2 ** 30]).read, 2 * 2 * 4 * 4096, "four blocks where there are few tensors");
});
