// Adapters per request: the answers of the merged model, in one batch with others whose answers do not change.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ALPHA, type Factor, factorsOf, RANK, type Shapes, writeAdapter } from "./adapter.fixture.ts";
import type { LocalEngine } from "./local-engine.ts";
import { bitsOf, randomEngine } from "./random-model.fixture.ts";
import { EngineError, type GenerateRequest } from "./types.ts";

/** Linear layers of the tiny shape: MLA's, the dense layer's, two experts', the shared expert's. */
const LAYERS: Shapes = {
  "model.layers.0.self_attn.q_proj": [48, 32],
  "model.layers.0.self_attn.kv_a_proj_with_mqa": [24, 32],
  "model.layers.0.self_attn.kv_b_proj": [64, 16],
  "model.layers.1.self_attn.o_proj": [32, 32],
  "model.layers.0.mlp.down_proj": [32, 64],
  "model.layers.1.mlp.experts.0.gate_proj": [32, 32],
  "model.layers.1.mlp.experts.3.down_proj": [32, 32],
  "model.layers.1.mlp.shared_experts.up_proj": [32, 32],
};
/** An engine whose base is W + (α/r)·B·A, computed here in the obvious way. */
function mergedEngine(factors: Factor[]): LocalEngine {
  return randomEngine({
    change: (name, values, shape) => {
      for (const { name: layer, out, inner, a, b } of factors) {
        const [, at, index, rest] = /^(.*\.experts)\.(\d+)\.(.*)$/.exec(layer) ?? [];
        const stacked = at !== undefined;
        if (name !== (stacked ? `${at}.${rest}.weight` : `${layer}.weight`)) continue;
        assert.deepEqual(shape.slice(-2), [out, inner]);
        const from = stacked ? Number(index) * out * inner : 0;
        for (let i = 0; i < out; i++)
          for (let j = 0; j < RANK; j++)
            for (let k = 0; k < inner; k++)
              values[from + i * inner + k] += (ALPHA / RANK) * b[i * RANK + j] * a[j * inner + k];
      }
    },
  });
}

const request = (seed: number, adapter?: string): GenerateRequest => ({
  prompt: Array.from({ length: 40 }, (_, i) => 3 + ((i * i) % 29)),
  maxTokens: 12,
  ignoreEos: true,
  sampling: { seed },
  ...(adapter && { adapter }),
});

test("adapters in one batch: each answers as its merged model, requests without one as before", async () => {
  const root = mkdtempSync(join(tmpdir(), "weir-adapter-"));
  try {
    const [red, blue] = [factorsOf(1, LAYERS), factorsOf(2, LAYERS)];
    const engine = randomEngine();
    const alone = [5, 6].map((seed) => bitsOf(engine.generateAll([request(seed)])[0]));
    await engine.loadAdapter("red", writeAdapter(join(root, "red"), red));
    await engine.loadAdapter("blue", writeAdapter(join(root, "blue"), blue));
    const batch = engine.generateAll([
      request(5),
      request(5, "red"),
      request(6),
      request(5, "blue"),
      request(6, "red"),
      request(5, "red"),
    ]);
    const bits = batch.map((events) => bitsOf(events));
    assert.deepEqual([bits[0], bits[2]], alone, "without adapter");
    const [redAlone, blueAlone] = [mergedEngine(red), mergedEngine(blue)];
    assert.equal(bits[1], bitsOf(redAlone.generateAll([request(5)])[0]));
    assert.equal(bits[4], bitsOf(redAlone.generateAll([request(6)])[0]));
    assert.equal(bits[3], bitsOf(blueAlone.generateAll([request(5)])[0]));
    assert.equal(bits[5], bits[1]);
    assert.notEqual(bits[1], bits[0]);
    assert.notEqual(bits[3], bits[1]);
    const usage = engine.generateAll([request(9, "red")])[0].at(-1);
    assert.ok(usage?.type === "usage" && usage.usage.cachedTokens === 32, "an adapter's prefix is cached for itself");
    assert.equal(usage.receipt.parameters.adapter, "red");
    const { adapterHash } = usage.receipt;
    const plain = engine.generateAll([request(9)])[0].at(-1);
    assert.ok(plain?.type === "usage" && plain.receipt.adapterHash === undefined);

    // Unloading does not disturb what runs, and what comes after is refused.
    const running = engine.submit(request(6, "red"))[Symbol.asyncIterator]();
    const events = [(await running.next()).value];
    await engine.unloadAdapter("red");
    for (let each = await running.next(); !each.done; each = await running.next()) events.push(each.value);
    assert.equal(bitsOf(events), bits[4]);
    const unknown = (error: unknown): boolean => error instanceof EngineError && error.code === "unknown_adapter";
    assert.throws(() => engine.submit(request(1, "red")), unknown);
    await assert.rejects(engine.unloadAdapter("red"), unknown);
    assert.equal(bitsOf(engine.generateAll([request(5, "blue")])[0]), bits[3]);
    // The name is free again; the old prefixes are not taken for the new adapter's.
    await engine.loadAdapter("red", join(root, "blue"));
    const renamed = engine.generateAll([request(5, "red")])[0];
    assert.equal(bitsOf(renamed), bits[3]);
    const last = renamed.at(-1);
    assert.ok(last?.type === "usage" && last.receipt.adapterHash !== adapterHash);
    // New weights under the same engine: adapters merged into the old ones are gone.
    const parameters = { none: engine.served.run.buffer("model.norm.weight") };
    engine.served.absorb = () => {};
    engine.weightsChanged(parameters);
    assert.throws(() => engine.submit(request(1, "blue")), unknown);
    assert.equal(engine.stats().cacheTokens, 0);
    for (const each of [engine, redAlone, blueAlone]) await each.close();
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

test("an adapter of another model and a damaged one are refused by name; the engine goes on", async () => {
  const root = mkdtempSync(join(tmpdir(), "weir-adapter-"));
  const engine = randomEngine();
  try {
    const before = bitsOf(engine.generateAll([request(5)])[0]);
    const refused = async (directory: string, message: RegExp): Promise<void> => {
      await assert.rejects(
        engine.loadAdapter("x", directory),
        (error) => error instanceof EngineError && error.code === "adapter_mismatch" && message.test(error.message),
      );
    };
    const at = (name: string): string => join(root, name);
    await refused(at("absent"), /absent/);
    await refused(
      writeAdapter(at("layer"), factorsOf(1, { "model.layers.7.self_attn.q_proj": [48, 32] })),
      /no linear layer model\.layers\.7\.self_attn\.q_proj\.weight/,
    );
    await refused(
      writeAdapter(at("size"), factorsOf(1, { "model.layers.0.self_attn.q_proj": [48, 64] })),
      /\[48, 64\]/,
    );
    await refused(writeAdapter(at("rank"), factorsOf(1, LAYERS), { r: 4 }), /rank 4/);
    await refused(writeAdapter(at("dora"), factorsOf(1, LAYERS), { use_dora: true }), /plain LoRA/);
    const cut = writeAdapter(at("cut"), factorsOf(1, LAYERS));
    writeFileSync(join(cut, "adapter_model.safetensors"), "no tensors");
    await refused(cut, /cut/);
    writeFileSync(join(cut, "adapter_config.json"), "{");
    await refused(cut, /cut/);
    await engine.loadAdapter("good", writeAdapter(at("good"), factorsOf(3, LAYERS)));
    await assert.rejects(engine.loadAdapter("good", at("good")), /loaded already/);
    assert.equal(bitsOf(engine.generateAll([request(5)])[0]), before);
  } finally {
    await engine.close();
    rmSync(root, { recursive: true, force: true });
  }
});
