// The bugs of reinforcement learning that lie in how a step is put together: each is planted in the text of grpo.ts or trainer.ts, and
// the checks, which the real ones pass, must fail on the result. Those of the objective itself are in policy-loss.test.ts.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { registerHooks } from "node:module";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as real from "./grpo.ts";
import { OBJECTIVES } from "./policy-loss.ts";
import { copyPrompt, copyTask, tinyConfig, tinyTrainer } from "./tiny.fixture.ts";
import * as realTrainer from "./trainer.ts";

type Grpo = typeof real.Grpo;
type Options = Partial<real.GrpoOptions<number>>;
type Stats = real.GrpoStats;

async function steps(Class: Grpo, count: number, given: Options, lr = 1e-2, logitScale = 1): Promise<Stats[]> {
  const trainer = tinyTrainer({ logitScale });
  const grpo = copyTask(trainer, given, Class);
  const all: Stats[] = [];
  for (let step = 0; step < count; step++) all.push(await grpo.run(copyPrompt, lr));
  return all;
}
const noPull = { objective: OBJECTIVES["dr-grpo"] };
const onPolicy = (all: Stats[]): void => {
  for (const { ratioDeviation, step } of all)
    assert.ok(Number.isNaN(ratioDeviation) || ratioDeviation <= 1e-4, `step ${step}: ${ratioDeviation}`);
};

const checks: Record<string, (Class: Grpo) => Promise<void>> = {
  "ratios: 1 before the first update, not after it": async (Class) => {
    const all = await steps(Class, 3, { ...noPull, minibatches: 2 });
    onPolicy(all);
    assert.ok(all.some(({ laterRatioDeviation }) => laterRatioDeviation > 1e-3));
  },
  "temperature: one for sampler and trainer": async (Class) => {
    onPolicy(await steps(Class, 2, { ...noPull, temperature: 0.7 }, 1e-2, 1 / 0.7));
  },
  "truncation: its mask in the update": async (Class) => {
    const truncation = { topK: 6, topP: 0.7 };
    const trainer = tinyTrainer({ keptTokens: 8 });
    const rewards: Options["rewards"] = [{ name: "copy", weight: 1, of: (_, { ids }) => ids[0] % 2 }];
    const grpo = copyTask(trainer, { ...noPull, truncation, rewards }, Class);
    const all = [await grpo.run(copyPrompt, 1e-3), await grpo.run(copyPrompt, 1e-3)];
    assert.ok(all.every(({ updates }) => updates > 0));
    onPolicy(all);
  },
  "baseline: each prompt's own": async (Class) => {
    // Equal within every group, different between them: nothing to learn.
    const byPrompt: Options = { ...noPull, rewards: [{ name: "copy", weight: 1, of: (digit) => digit }] };
    const [{ updates, zeroVariance }] = await steps(Class, 1, byPrompt);
    assert.deepEqual([updates, zeroVariance], [0, 1]);
  },
  "reference: stays behind, and catches up when told": async (Class) => {
    const objective = { ...OBJECTIVES["r1-zero"], beta: 0.001 };
    const behind = await steps(Class, 3, { objective, refreshReference: 100 });
    assert.ok(behind[0].kl < 1e-6 && behind[2].kl > 1e-4, `${behind.map(({ kl }) => kl)}`);
    const fresh = await steps(Class, 3, { objective, refreshReference: 1 });
    assert.ok(
      fresh.every(({ kl }) => kl < 1e-6),
      `${fresh.map(({ kl }) => kl)}`,
    );
  },
  "dynamic sampling: no group of equal rewards is kept": async (Class) => {
    const same: Options = { ...noPull, resampleRounds: 2, rewards: [{ name: "copy", weight: 1, of: () => 1 }] };
    const [{ groups, zeroVariance }] = await steps(Class, 1, same);
    assert.deepEqual([groups, zeroVariance], [0, 1]);
  },
  "length: too long costs": async (Class) => {
    const [{ reward, parts }] = await steps(Class, 1, { ...noPull, overlong: { buffer: 2, weight: 0.5 } });
    assert.ok(parts.overlong < 0);
    assert.ok(Math.abs(reward - (parts.copy + 0.5 * parts.overlong)) < 1e-9);
  },
  "control: its rewards are a coin's": async (Class) => {
    const [{ reward, parts }] = await steps(Class, 1, { ...noPull, randomReward: true });
    assert.ok(Math.abs(reward - 0.5) < 0.2 && Math.abs(reward - parts.copy) > 0.1, `${reward} ${parts.copy}`);
  },
};

for (const [name, check] of Object.entries(checks)) test(name, () => check(real.Grpo));

const bugs: [string, string, string][] = [
  [
    "the sampling mask left out of the update",
    "of.forEach((ids, t) => void kept.set(ids, (first + t) * keptTokens));",
    "",
  ],
  ["the sampling mask one row late", "(first + t) * keptTokens", "(first + t + 1) * keptTokens"],
  ["old log-probabilities computed after the first update", "oldLogp: rollout.logp,", "oldLogp: now.get(i)!,"],
  ["stale rollouts treated as on-policy", "const onPolicy = result.updates === 0;", "const onPolicy = true;"],
  [
    "the engine keeps the weights of before",
    "if (updated.updates > 0) this.engine.weightsChanged",
    "if (updated.updates < 0) this.engine.weightsChanged",
  ],
  [
    "another temperature in the sampler",
    "sampling: { temperature: options.temperature, ...options.truncation }",
    "sampling: { temperature: 1 }",
  ],
  [
    "top-p in the sampler",
    "sampling: { temperature: options.temperature, ...options.truncation }",
    "sampling: { temperature: options.temperature, topP: 0.6 }",
  ],
  ["one baseline for all prompts", "mine.map(() => g))", "mine.map(() => 0))"],
  ["the policy as its own reference", "this.referenceScorer.score(batch).logp", "this.policy.score(batch).logp"],
  ["the reference refreshed at every step", "this.step % refreshReference === 0", "true"],
  ["the reference never refreshed", "if (buffer !== this.trainer.parameters[name]) copyInto", "if (false) copyInto"],
  ["groups of equal reward kept", "if (!(equal && rounds > 0)) kept.push", "kept.push"],
  ["long answers rewarded", "+= overlong.weight * penalty", "-= overlong.weight * penalty"],
  ["the control trains on the task's rewards", "if (randomReward)", "if (false)"],
];

/** Sources to change as they are loaded, by the query they are asked for with. */
const planted = new Map<string, [string, string]>();
const hooks = registerHooks({
  load(url, context, next) {
    const change = planted.get(new URL(url).search);
    const result = next(url, context);
    if (!change) return result;
    const source = Buffer.from(result.source as Uint8Array).toString();
    assert.ok(source.includes(change[0]), `${fileURLToPath(url)} no longer says ${change[0]}; plant the bug anew`);
    return { ...result, source: source.replace(change[0], change[1]) };
  },
});
after(() => hooks.deregister());

async function plant<M>(file: string, from: string, to: string): Promise<M> {
  const query = `?planted=${planted.size}`;
  planted.set(query, [from, to]);
  return (await import(`./${file}${query}`)) as M;
}

for (const [name, from, to] of bugs)
  test(`noticed: ${name}`, async () => {
    const { Grpo: broken } = await plant<typeof real>("grpo.ts", from, to);
    for (const check of Object.values(checks)) {
      try {
        await check(broken);
      } catch {
        return;
      }
    }
    assert.fail("no check notices this bug");
  });

/** After one step over tokens that favour some experts, the bias of the busy ones is lower and that of the idle ones higher. */
function biasMoves({ Trainer }: typeof realTrainer): void {
  const { device, options } = tinyTrainer({ biasSpeed: 1e-2 });
  const trainer = new Trainer(device, tinyConfig(), options, { seed: 5 });
  const ids = new Int32Array(60).map((_, t) => 3 + (t % 2));
  const rows = { ids, positions: ids.map((_, t) => t), starts: new Int32Array(60), targets: ids };
  const { load } = trainer.step([{ tokens: 60, ...rows, weights: new Float32Array(60).fill(1) }], 1e-3);
  const bias = trainer.parameters["model.layers.1.mlp.gate.e_score_correction_bias"].view();
  const counts = load.get(1)!;
  assert.ok(counts.some((n) => n !== 30));
  counts.forEach((n, e) => void assert.ok(Math.abs(bias[e] - 1e-2 * Math.sign(30 - n)) < 1e-7, `${n}: ${bias[e]}`));
}

test("selection bias: against the load, by γ", () => biasMoves(realTrainer));
for (const [name, from, to] of [
  ["a bias that never moves", "if (name && speed > 0)", "if (name && speed < 0)"],
  ["a bias that feeds the busy", "Math.sign(mean - counts[e])", "Math.sign(counts[e] - mean)"],
  ["loads that are never cleared", "      counts.fill(0);\n    }\n    return load;", "    }\n    return load;"],
] as const)
  test(`noticed: ${name}`, async () => {
    const broken = await plant<typeof realTrainer>("trainer.ts", from, to);
    assert.throws(() => {
      biasMoves(broken);
      twoSteps(broken);
    });
  });

/** The load of a step is that of the step. */
function twoSteps({ Trainer }: typeof realTrainer): void {
  const { device, options } = tinyTrainer();
  const trainer = new Trainer(device, tinyConfig(), options, { seed: 5 });
  const ids = new Int32Array(60).fill(4);
  const rows = { ids, positions: ids.map((_, t) => t), starts: new Int32Array(60), targets: ids };
  const batch = { tokens: 60, ...rows, weights: new Float32Array(60).fill(1) };
  for (let step = 0; step < 2; step++) {
    const { load } = trainer.step([batch], 1e-3);
    assert.equal(
      load.get(1)!.reduce((a, b) => a + b, 0),
      120,
    );
  }
}
test("expert load: of this step alone", () => twoSteps(realTrainer));

test("noticed: the selection bias folded into the gate weights", () => {
  const child = (from: string, to: string) =>
    spawnSync(
      process.execPath,
      [
        "--input-type=module",
        "--eval",
        `import { registerHooks } from "node:module";
        registerHooks({
          load(url, context, next) {
            const result = next(url, context);
            if (!url.endsWith("/ops/router.ts")) return result;
            const source = Buffer.from(result.source).toString();
            if (!source.includes(${JSON.stringify(from)})) throw new Error("the source changed; plant the bug anew");
            return { ...result, source: source.replace(${JSON.stringify(from)}, ${JSON.stringify(to)}) };
          },
        });
        const { biasOnlySelects } = await import(${JSON.stringify(new URL("./bias.fixture.ts", import.meta.url).href)});
        const { ReferenceDevice } = await import(${JSON.stringify(new URL("../tensor/reference.ts", import.meta.url).href)});
        biasOnlySelects(new ReferenceDevice());`,
      ],
      { encoding: "utf8" },
    );
  const text = "(normalise ? scores[at + e] / (sum";
  assert.equal(child(text, text).status, 0, "the reference router passes");
  assert.match(
    child(text, "(normalise ? (scores[at + e] + bias![e]) / (sum").stderr,
    /the bias is in the gate weights/,
  );
});
