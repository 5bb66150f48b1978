// The check that a selection bias selects and does nothing else (V3 report §2.1.2), for the real router and for one with a bug in it.
import assert from "node:assert/strict";
import type { Device } from "../tensor/device.ts";
import { packBatch } from "./batch.ts";
import { uniform } from "./rewards.ts";
import { tinyTrainer } from "./tiny.fixture.ts";

/** Throws where the bias enters a gate weight, or does not decide who is chosen. */
export function biasOnlySelects(device?: Device): void {
  const trainer = tinyTrainer({ maxTokens: 32 }, device);
  const ids = Int32Array.from({ length: 32 }, (_, t) => Math.floor(uniform(1, t) * 16));
  const batch = packBatch([{ ids }]);
  const bias = trainer.parameters["model.layers.1.mlp.gate.e_score_correction_bias"].view() as Float32Array;
  const run = (): { loss: number; gradient: Float32Array; routes: Int32Array } => {
    const loss = trainer.accumulate(batch, 1 / 31);
    const gradient = (trainer.buffer("grad.model.layers.1.mlp.gate.weight").view() as Float32Array).slice();
    const routes = (trainer.buffer("routes.out.1").view() as Int32Array).slice(0, 2 * batch.tokens);
    trainer.discard();
    return { loss, gradient, routes };
  };
  const before = run();
  // The same for all: nobody's rank changes, and were it in the weights the loss would change.
  bias.fill(0.5);
  assert.deepEqual(run(), before, "the bias is in the gate weights");
  // Enough for expert 3 to be chosen always.
  bias[3] = 100;
  const { loss, routes } = run();
  assert.ok(
    routes.every((_, i) => i % 2 > 0 || routes[i] === 3 || routes[i + 1] === 3),
    "the bias decides who is chosen",
  );
  assert.notEqual(loss, before.loss);
  trainer.free();
}
