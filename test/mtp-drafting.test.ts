// The whole way of a prediction module: trained beside its model, exported, loaded by the engine, its guesses mostly right and the answers
// the same to the bit as without it.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parseConfig } from "../src/checkpoint/config.ts";
import { openCheckpoint } from "../src/checkpoint/model-directory.ts";
import { smallConfigs } from "../src/checkpoint/models.fixture.ts";
import { LocalEngine } from "../src/engine/local-engine.ts";
import { ServedModel } from "../src/engine/model.ts";
import { MtpDrafter } from "../src/engine/mtp-drafter.ts";
import { bitsOf, guessAlways } from "../src/engine/random-model.fixture.ts";
import type { GenerateRequest } from "../src/engine/types.ts";
import { NativeDevice } from "../src/tensor/native.ts";
import { packBatch } from "../src/train/batch.ts";
import { exportModel } from "../src/train/export.ts";
import { Trainer } from "../src/train/trainer.ts";

const folder = mkdtempSync(join(tmpdir(), "weir-mtp-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("a trained prediction module guesses well and changes nothing", async () => {
  const config = parseConfig(smallConfigs.deepseek_v3);
  const device = new NativeDevice({ threads: 1 });
  const optimizer = {
    kind: "adamw",
    lr: 3e-3,
    beta1: 0.9,
    beta2: 0.95,
    eps: 1e-8,
    weightDecay: 0,
    maxGradNorm: 1,
  } as const;
  const trainer = new Trainer(
    device,
    config,
    { maxTokens: 96, maxPositions: 96, optimizer, mtpWeight: 0.3 },
    { seed: 1 },
  );
  const counting = (from: number, by: number, count: number): number[] =>
    Array.from({ length: count }, (_, t) => (from + by * t) % config.vocabSize);
  for (let step = 0; step < 60; step++)
    trainer.step([packBatch([{ ids: counting(step, 3, 48) }, { ids: counting(step, 7, 48) }])], 3e-3);
  const path = join(folder, "model");
  exportModel(path, config, trainer.parameters, { leaveOut: trainer.built.context.constants });
  trainer.free();

  const checkpoint = openCheckpoint(path);
  const sizes = { context: 96, cacheTokens: 384, maxRows: 64, maxSequences: 4 };
  const open = (draft: boolean): LocalEngine => {
    const served = new ServedModel(device, checkpoint.config, { checkpoint }, { ...sizes, draft });
    return new LocalEngine(served, { name: "counting", ...(draft && { drafters: [new MtpDrafter(served)] }) });
  };
  const request = (from: number, by: number, temperature: number): GenerateRequest => ({
    prompt: counting(from, by, 20),
    maxTokens: 40,
    ignoreEos: true,
    sampling: { temperature, seed: 9 },
  });
  const requests = [request(5, 3, 0), request(11, 7, 0), request(2, 3, 1)];
  const plain = open(false);
  const wanted = plain.generateAll(requests).map((events) => bitsOf(events));
  await plain.close();
  const engine = open(true);
  guessAlways(engine);
  assert.deepEqual(
    engine.generateAll(requests).map((events) => bitsOf(events)),
    wanted,
  );
  const { drafted, accepted } = engine.speculation as { drafted: number; accepted: number };
  assert.ok(drafted > 20 && accepted > 0.6 * drafted, `${accepted} of ${drafted} guesses were right`);
  assert.equal(engine.stats().cacheTokens, 0);
  await engine.close();
  const without = new ServedModel(device, checkpoint.config, { checkpoint }, sizes);
  assert.throws(() => new MtpDrafter(without), /without a prediction module/);
  without.free();
  checkpoint.close();
  device.close();
});
