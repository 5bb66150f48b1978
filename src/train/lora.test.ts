// Adapters: nothing changes before training, only A and B learn, merging and unmerging are exact, A's and B's
// gradients are those of the loss.
import assert from "node:assert/strict";
import { test } from "node:test";
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
