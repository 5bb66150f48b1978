// A stage that is killed and started again ends with the weights and the curve of one that was not: supervised and reinforced.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openDevice } from "../../tensor/devices.ts";
import { SamplerPool } from "../../train/sampler.ts";
import { Trainer } from "../../train/trainer.ts";
import { mixture } from "../tutor/mixture.ts";
import { prompts } from "../tutor/rewards.ts";
import { tokenizerFrom, trainTokenizer } from "./corpus.ts";
import { learn } from "./learn.ts";
import { SHAPES, shapeConfig } from "./presets.ts";
import { reinforce } from "./reinforce.ts";

const directory = mkdtempSync(join(tmpdir(), "weir-r1-resume-"));
after(() => rmSync(directory, { recursive: true, force: true }));
const json = trainTokenizer(512, 1, 200);
const tokenizer = tokenizerFrom(json);
const config = shapeConfig({ ...SHAPES.xs, hidden: 48, layers: 2, heads: 2, positions: 256 });
const device = await openDevice({ threads: 1 });

const makeTrainer = (): Trainer =>
  new Trainer(
    device,
    config,
    {
      maxTokens: 768,
      maxPositions: 256,
      optimizer: { kind: "adamw", lr: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0, maxGradNorm: 1 },
    },
    { seed: 3 },
  );

const weights = (trainer: Trainer): number[] =>
  Object.values(trainer.parameters).flatMap((buffer) => Array.from((buffer.view() as Float32Array).slice(0, 50)));

class Killed extends Error {}

/** Runs a stage whole, and another time with a death after the step `at`; both must end alike. */
async function bothWays(
  name: string,
  at: number,
  run: (state: string, die: (step: number) => void) => Promise<[number[], unknown]>,
) {
  const whole = await run(join(directory, `${name}-whole.safetensors`), () => {});
  const state = join(directory, `${name}-killed.safetensors`);
  await assert.rejects(
    run(state, (step) => {
      if (step === at) throw new Killed();
    }),
    Killed,
  );
  const resumed = await run(state, () => {});
  assert.deepEqual(resumed, whole);
}

test("supervised learning goes on to the same bits", () =>
  bothWays("learn", 4, async (state, die) => {
    const trainer = makeTrainer();
    const schedule = { kind: "wsd" as const, warmupSteps: 2 };
    const options = { steps: 6, lr: 1e-3, schedule, promptWeight: 0.1, state, saveEvery: 2 };
    const learnt = learn(trainer, tokenizer, mixture({}, 5), options, ({ step }) => die(step));
    const found: [number[], unknown] = [weights(trainer), { ...learnt, seconds: 0 }];
    trainer.free();
    return found;
  }));

const model = { context: 256, cacheTokens: 4096, maxSequences: 16 };
const sampler = new SamplerPool(config, json, makeTrainer().parameters, { workers: 2, model });
after(() => sampler.close());

test("reinforcement goes on to the same bits, with two sampling threads", () =>
  bothWays("reinforce", 3, async (state, die) => {
    const trainer = makeTrainer();
    sampler.weightsChanged(trainer.parameters);
    const options = {
      steps: 4,
      prompts: 3,
      samples: 4,
      lr: 1e-3,
      temperature: 1,
      maxTokens: 24,
      seed: 7,
      minibatches: 2,
      // An untrained model earns nothing; coins make it move.
      randomReward: true,
      state,
      saveEvery: 2,
    };
    const stream = prompts([{ skill: "add", level: 1 }], 2);
    const done = await reinforce(trainer, sampler, tokenizer, stream, options, ({ step }) => die(step));
    assert.ok(done.curve.some(({ gradNorm }) => gradNorm > 0));
    const found: [number[], unknown] = [
      weights(trainer),
      { curve: done.curve, tokens: done.tokens, steps: done.steps },
    ];
    trainer.free();
    return found;
  }));
