// Training with multi-token prediction: the module learns beside the main model and is exported as published checkpoints carry it.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { parseConfig } from "../checkpoint/config.ts";
import { openCheckpoint } from "../checkpoint/model-directory.ts";
import { inTemporaryFolder, smallConfigs } from "../checkpoint/models.fixture.ts";
import { tensorSpecs } from "../checkpoint/tensors.ts";
import { NativeDevice } from "../tensor/native.ts";
import { packBatch } from "./batch.ts";
import { exportModel } from "./export.ts";
import { Trainer } from "./trainer.ts";

test("a model trained with its prediction module predicts ahead and writes every tensor of the module", () => {
  const config = parseConfig(smallConfigs.deepseek_v3);
  const optimizer = {
    kind: "adamw",
    lr: 3e-3,
    beta1: 0.9,
    beta2: 0.95,
    eps: 1e-8,
    weightDecay: 0,
    maxGradNorm: 1,
  } as const;
  const device = new NativeDevice({ threads: 1 });
  const sizes = { maxTokens: 64, maxPositions: 64, optimizer, mtpWeight: 0.3 };
  const trainer = new Trainer(device, config, sizes, { seed: 1 });
  // Counting by threes: what comes two places ahead is as certain as what comes next.
  const ids = Array.from({ length: 64 }, (_, t) => (3 * t) % config.vocabSize);
  const ahead: number[] = [];
  for (let step = 0; step < 40; step++) {
    trainer.step([packBatch([{ ids }])], 3e-3);
    ahead.push(trainer.buffer("loss.mtp").view()[0]);
  }
  assert.ok(ahead[0] > 3 && ahead[39] < 0.3 * ahead[0], `${ahead[0]} became ${ahead[39]}`);
  inTemporaryFolder((folder) => {
    const path = join(folder, "model");
    exportModel(path, config, trainer.parameters, { leaveOut: trainer.built.context.constants });
    const found = openCheckpoint(path);
    const specs = tensorSpecs(config, { mtp: true });
    assert.deepEqual([...found.tensorNames].sort(), specs.map(({ name }) => name).sort());
    assert.deepEqual(found.load("model.layers.2.shared_head.head.weight"), found.load("lm_head.weight"));
    found.close();
  });
  trainer.free();
  device.close();
});
