// Training steps of a golden compared with PyTorch's: what its train20.json says of losses and gradient norms.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openCheckpoint } from "../checkpoint/model-directory.ts";
import { openSafetensors, readTensor } from "../checkpoint/safetensors.ts";
import type { Device } from "../tensor/device.ts";
import { packBatch } from "./batch.ts";
import { Trainer } from "./trainer.ts";

/** Takes the first `count` of the twenty steps of the golden in `folder` and holds losses within 1e-3 and norms within 1%. */
export function compareSteps(device: Device, folder: string, count = 20): void {
  const { steps } = JSON.parse(readFileSync(join(folder, "train20.json"), "utf8")) as {
    steps: { loss: number; grad_norm: number }[];
  };
  const ids = openSafetensors(join(folder, "golden.safetensors")).tensors.get("input_ids")!;
  const length = ids.shape[1];
  const values = Array.from(new BigInt64Array(readTensor(ids).slice().buffer), Number);
  const source = openCheckpoint(folder);
  const optimizer = {
    kind: "adamw",
    lr: 1e-3,
    beta1: 0.9,
    beta2: 0.95,
    eps: 1e-8,
    weightDecay: 0.1,
    maxGradNorm: 1,
  } as const;
  const trainer = new Trainer(
    device,
    source.config,
    { maxTokens: length, maxPositions: length, optimizer },
    { source },
  );
  steps.slice(0, count).forEach((wanted, s) => {
    const row = values.slice((s % 2) * length, (s % 2) * length + length);
    const shift = (3 * s) % length;
    const rolled = [...row.slice(shift), ...row.slice(0, shift)];
    const got = trainer.step([packBatch([{ ids: rolled }])], 1e-3 * Math.min(1, (s + 1) / 5));
    assert.ok(Math.abs(got.loss - wanted.loss) < 1e-3, `step ${s}: loss ${got.loss}, PyTorch's ${wanted.loss}`);
    assert.ok(
      Math.abs(got.gradNorm / wanted.grad_norm - 1) < 1e-2,
      `step ${s}: norm ${got.gradNorm}, PyTorch's ${wanted.grad_norm}`,
    );
  });
  trainer.free();
  source.close();
}
