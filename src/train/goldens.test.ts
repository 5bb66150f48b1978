// Twenty AdamW steps against PyTorch's on the goldens that have them.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseConfigText } from "../checkpoint/config.ts";
import { openCheckpoint } from "../checkpoint/model-directory.ts";
import { openSafetensors, readTensor } from "../checkpoint/safetensors.ts";
import { NativeDevice } from "../tensor/native.ts";
import { packBatch } from "./batch.ts";
import { Trainer } from "./trainer.ts";

const root = "../shared/goldens";
const names = ["qwen2", "deepseek-v2-lite", "deepseek-v3"].filter((name) =>
  existsSync(join(root, name, "train20.json")),
);
if (names.length === 0) console.log(`${root} is absent: the twenty training steps are not compared`);

for (const name of names) {
  test(`twenty steps of ${name}`, () => {
    const folder = join(root, name);
    const { steps } = JSON.parse(readFileSync(join(folder, "train20.json"), "utf8")) as {
      steps: { loss: number; grad_norm: number }[];
    };
    const ids = openSafetensors(join(folder, "golden.safetensors")).tensors.get("input_ids")!;
    const length = ids.shape[1];
    const values = Array.from(new BigInt64Array(readTensor(ids).slice().buffer), Number);
    const config = parseConfigText(readFileSync(join(folder, "config.json"), "utf8"));
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
      new NativeDevice(),
      config,
      { maxTokens: length, maxPositions: length, optimizer },
      { source: openCheckpoint(folder) },
    );
    steps.forEach((wanted, s) => {
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
  });
}
