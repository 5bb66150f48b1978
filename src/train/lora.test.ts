// Adapters: nothing changes before training, only A and B learn, merging and unmerging are exact, A's and B's
// gradients are those of the loss.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openSafetensors } from "../checkpoint/safetensors.ts";
import { loadAdapter } from "../engine/adapters.ts";
import { ServedModel } from "../engine/model.ts";
import { saveParameter } from "../model/weights.ts";
import type { DeviceBuffer } from "../tensor/device.ts";
import { exportAdapter, importAdapter } from "./adapter.ts";
import { packBatch } from "./batch.ts";
import { Lora } from "./lora.ts";
import { tinyTrainer } from "./tiny.fixture.ts";

const optimizer = {
  kind: "adamw",
  lr: 1e-2,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  weightDecay: 0,
  maxGradNorm: 1,
} as const;

test("learns through A and B alone; merge and unmerge give exact bits", () => {
  const trainer = tinyTrainer();
  const bits = () => Object.fromEntries(Object.entries(trainer.parameters).map(([n, b]) => [n, b.view().slice()]));
  const before = bits();
  const lora = new Lora(trainer, { rank: 4, alpha: 8, seed: 2, optimizer });
  lora.merge();
  assert.deepEqual(bits(), before, "B is zero: nothing changes");
  const batch = packBatch([{ ids: Int32Array.from({ length: 40 }, (_, t) => (t * 5) % 16) }]);
  const losses: number[] = [];
  for (let step = 0; step < 40; step++) {
    losses.push(trainer.accumulate(batch, 1 / 39));
    lora.applyUpdate(1e-2);
  }
  assert.ok(losses[39] < 0.7 * losses[0], `from ${losses[0]} to ${losses[39]}`);
  const merged = bits();
  const changed = Object.keys(before).filter((name) => before[name].some((v, i) => v !== merged[name][i]));
  assert.ok(
    changed.some((name) => name.includes("experts")),
    "experts are adapted",
  );
  for (const name of changed) assert.ok(!/embed|lm_head|norm|gate\.weight|bias/.test(name), `${name} must stay`);
  lora.unmerge();
  assert.deepEqual(bits(), before);
  lora.merge();
  assert.deepEqual(bits(), merged);
});

test("gradients of A and B against central differences of the loss", () => {
  const trainer = tinyTrainer();
  const lora = new Lora(trainer, { rank: 4, alpha: 8, seed: 2, optimizer });
  const batch = packBatch([{ ids: Int32Array.from({ length: 40 }, (_, t) => (t * 5) % 16) }]);
  for (let step = 0; step < 3; step++) {
    trainer.accumulate(batch, 1 / 39);
    lora.applyUpdate(1e-2);
  }
  trainer.accumulate(batch, 1 / 39);
  lora.project();
  trainer.discard();
  for (const [name, gradient] of Object.entries(lora.gradients)) {
    // Routing may change with what comes before it: the last layer's output projections move the loss smoothly.
    if (!/layers\.1\..*(o_proj|shared_experts)/.test(name)) continue;
    const slopes = gradient.view() as Float32Array;
    const at = slopes.reduce((best, v, i) => (Math.abs(v) > Math.abs(slopes[best]) ? i : best), 0);
    const values = lora.states[name].view() as Float32Array;
    const kept = values[at];
    const lossAt = (value: number): number => {
      values[at] = value;
      lora.merge();
      const loss = trainer.accumulate(batch, 1 / 39);
      trainer.discard();
      return loss;
    };
    const slope = (lossAt(kept + 1e-2) - lossAt(kept - 1e-2)) / 2e-2;
    lossAt(kept);
    assert.ok(Math.abs(slope / slopes[at] - 1) < 0.05, `${name}: ${slopes[at]}, differences give ${slope}`);
  }
});

test("goes through a PEFT directory and comes back to the same bits; a frozen trainer keeps no optimiser", () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-lora-"));
  try {
    const make = () => {
      const trainer = tinyTrainer({ frozen: true });
      return { trainer, lora: new Lora(trainer, { rank: 4, alpha: 8, seed: 2, optimizer }) };
    };
    const { trainer, lora } = make();
    assert.equal(Object.keys(trainer.states).length, 0);
    assert.throws(() => trainer.applyUpdate(1e-2), /frozen/);
    const batch = packBatch([{ ids: Int32Array.from({ length: 40 }, (_, t) => (t * 5) % 16) }]);
    for (let step = 0; step < 3; step++) {
      trainer.accumulate(batch, 1 / 39);
      const { load } = lora.applyUpdate(1e-2);
      assert.equal(
        load.get(1)?.reduce((a, b) => a + b, 0),
        80,
      );
    }
    const path = join(directory, "adapter");
    exportAdapter(path, lora, "some/model");
    exportAdapter(path, lora, "some/model");
    const { tensors } = openSafetensors(join(path, "adapter_model.safetensors"));
    const stem = "base_model.model.model.layers.1.mlp.experts.3.down_proj";
    assert.deepEqual(tensors.get(`${stem}.lora_A.weight`)?.shape, [4, 32]);
    assert.deepEqual(tensors.get(`${stem}.lora_B.weight`)?.shape, [32, 4]);
    const other = make();
    importAdapter(path, other.lora);
    for (const [name, buffer] of Object.entries(trainer.parameters))
      assert.deepEqual(other.trainer.parameters[name].view(), buffer.view(), name);
    const wrong = new Lora(other.trainer, { rank: 2, alpha: 8, seed: 2, optimizer });
    assert.throws(() => importAdapter(path, wrong), /r is 4, not 2|: r/);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test("the engine serves what was trained", () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-lora-"));
  try {
    const trainer = tinyTrainer({ frozen: true });
    const base = new Map<string, Float32Array>();
    for (const [name, buffer] of Object.entries(trainer.parameters))
      for (const part of saveParameter(name, buffer.shape, buffer.view().slice() as Float32Array))
        base.set(part.name, part.values);
    const served = new ServedModel(trainer.device, trainer.config, { parameters: tinyTrainer().parameters });
    const lora = new Lora(trainer, { rank: 4, alpha: 8, seed: 2, optimizer });
    const batch = packBatch([{ ids: Int32Array.from({ length: 40 }, (_, t) => (t * 5) % 16) }]);
    for (let step = 0; step < 3; step++) {
      trainer.accumulate(batch, 1 / 39);
      lora.applyUpdate(1e-2);
    }
    exportAdapter(join(directory, "adapter"), lora, "base");
    const source = { has: (name: string) => base.has(name), load: (name: string) => base.get(name)! };
    const adapter = loadAdapter(served, source, { name: "a", directory: join(directory, "adapter"), root: -1 });
    // Packed for the machine, both alike.
    const floats = (buffer: DeviceBuffer): Float32Array => {
      const view = buffer.view();
      return new Float32Array(view.buffer, view.byteOffset, view.byteLength / 4);
    };
    let moved = 0;
    for (const name of ["model.layers.1.mlp.experts.up_proj.weight", "model.layers.0.self_attn.o_proj.weight"]) {
      const loaded = floats(adapter.run.buffer(name));
      const trained = floats(trainer.device.pack(trainer.parameters[name]));
      const before = floats(served.run.buffer(name));
      assert.equal(loaded.length, trained.length);
      loaded.forEach((value, i) => void assert.ok(Math.abs(value - trained[i]) < 1e-6, `${name}[${i}]`));
      moved += loaded.some((value, i) => value !== before[i]) ? 1 : 0;
    }
    assert.equal(moved, 2);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
