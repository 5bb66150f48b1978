// GRPO end to end on a model of a few thousand parameters: it learns what it is rewarded for, the random control does not, sampler and
// trainer agree, and what breaks that agreement is noticed.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Grpo, GrpoStats } from "./grpo.ts";
import { OBJECTIVES } from "./policy-loss.ts";
import { RewardError } from "./rewards.ts";
import { copyPrompt, copyTask, tinyTrainer } from "./tiny.fixture.ts";

async function train(grpo: Grpo<number>, steps: number, lr = 1e-2): Promise<GrpoStats[]> {
  const all: GrpoStats[] = [];
  for (let step = 0; step < steps; step++) all.push(await grpo.run(copyPrompt, lr));
  return all;
}

const late = (stats: readonly GrpoStats[]): number =>
  stats.slice(-5).reduce((sum, { parts }) => sum + parts.copy, 0) / Math.min(5, stats.length);

test("learns from rewards; the random-reward control does not", async () => {
  const learnt = await train(copyTask(tinyTrainer()), 40, 6e-3);
  const control = await train(copyTask(tinyTrainer(), { randomReward: true }), 40, 6e-3);
  assert.ok(learnt[0].parts.copy < 0.3, `it starts at ${learnt[0].parts.copy}`);
  assert.ok(late(learnt) > 0.9, `it ends at ${late(learnt)}`);
  assert.ok(late(control) < 0.5, `the control ends at ${late(control)}`);
  for (const { ratioDeviation, step } of [...learnt, ...control])
    if (!Number.isNaN(ratioDeviation))
      assert.ok(ratioDeviation <= 1e-4, `step ${step}: ratio off by ${ratioDeviation}`);
});

for (const name of ["r1", "dapo", "dr-grpo", "v3.2"] as const) {
  test(`learns with the objective ${name}, two updates per rollout`, async () => {
    const trainer = tinyTrainer({ givenRoutes: name === "v3.2" });
    const stats = await train(
      copyTask(trainer, {
        objective: OBJECTIVES[name],
        minibatches: 2,
        resampleRounds: name === "dapo" ? 3 : 0,
        overlong: name === "dapo" ? { buffer: 2, weight: 0.1 } : undefined,
        maxTokens: name === "dapo" ? 4 : 2,
      }),
      45,
      name === "dapo" ? 6e-3 : 3e-3,
    );
    assert.ok(stats[0].parts.copy < 0.3, `it starts at ${stats[0].parts.copy}`);
    assert.ok(late(stats) > (name === "dapo" ? 0.6 : 0.8), `it ends at ${late(stats)}`);
    if (name === "dapo") assert.ok(stats.some(({ parts }) => parts.overlong < 0));
    assert.ok(stats.every(({ ratioDeviation }) => Number.isNaN(ratioDeviation) || ratioDeviation <= 1e-4));
    // Old log-probabilities are the sampler's: recomputed after the first update they would give ratios of 1 in the second.
    assert.ok(stats.some(({ laterRatioDeviation }) => laterRatioDeviation > 1e-3));
  });
}

test("temperature 0.7 in the sampler and the trainer alike", async () => {
  const [first] = await train(copyTask(tinyTrainer({ logitScale: 1 / 0.7 }), { temperature: 0.7 }), 1);
  assert.ok(first.ratioDeviation <= 1e-4, `${first.ratioDeviation}`);
  assert.throws(() => copyTask(tinyTrainer(), { temperature: 0.7 }), /logitScale is 1, but temperature 0.7 needs/);
});

test("stale weights in the engine raise the alarm", async () => {
  const trainer = tinyTrainer();
  const grpo = copyTask(trainer);
  await train(grpo, 1);
  // The engine's derived weights stay those of before.
  grpo.engine.weightsChanged = () => {};
  const stats = await train(grpo, 3);
  assert.ok(stats.some(({ alarms }) => alarms.some((text) => text.includes("differ from the sampler's"))));
});

test("equal rewards raise the alarm and change nothing without a reference", async () => {
  const trainer = tinyTrainer();
  const grpo = copyTask(trainer, {
    objective: { ...OBJECTIVES["dr-grpo"] },
    rewards: [{ name: "copy", weight: 1, of: () => 1 }],
  });
  const before = Object.values(trainer.parameters).map((buffer) => buffer.view().slice());
  const [{ zeroVariance, alarms, updates }] = await train(grpo, 1);
  assert.deepEqual([zeroVariance, updates], [1, 0]);
  assert.ok(alarms.some((text) => text.includes("equal rewards")));
  Object.values(trainer.parameters).forEach((buffer, i) => assert.deepEqual(buffer.view(), before[i]));
});

test("a reward that throws, hangs or gives no number stops the step, named, with nothing changed", async () => {
  const trainer = tinyTrainer();
  const bad = {
    throws: () => {
      throw new Error("no such column");
    },
    hangs: () => new Promise<number>(() => {}),
    nonsense: () => Number.NaN,
  };
  for (const [name, of] of Object.entries(bad)) {
    const grpo = copyTask(trainer, { rewards: [{ name, weight: 1, of }], rewardTimeout: 50 });
    await assert.rejects(
      train(grpo, 1),
      (error: Error) => error instanceof RewardError && error.message.includes(name),
    );
    assert.deepEqual([trainer.steps, grpo.step, grpo.drawn], [0, 0, 0]);
  }
});
