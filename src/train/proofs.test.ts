// What a training run must keep over hundreds of steps: experts in balance by a bias that only selects, memory that does not grow,
// checkpoints that outlive a full disk, figures that can be compared.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { parseConfig } from "../checkpoint/config.ts";
import { smallConfigs } from "../checkpoint/models.fixture.ts";
import { buildTraining } from "../model/training.ts";
import { planMemory } from "../tensor/plan.ts";
import { packBatch } from "./batch.ts";
import { biasOnlySelects } from "./bias.fixture.ts";
import { Checkpoints, SaveError } from "./checkpoints.ts";
import { Ema } from "./ema.ts";
import { uniform } from "./rewards.ts";
import { runSupervised } from "./run.ts";
import { DocumentStream } from "./stream.ts";
import { copyPrompt, copyTask, tinyConfig, tinyTrainer } from "./tiny.fixture.ts";
import type { Trainer } from "./trainer.ts";

const BIAS = "model.layers.1.mlp.gate.e_score_correction_bias";
/** Skewed text: a few tokens make up most of it, so that a router left alone favours a few experts. */
const skewed = (salt: number) =>
  packBatch(
    Array.from({ length: 4 }, (_, d) => ({
      ids: Int32Array.from({ length: 32 }, (_, t) => Math.floor(uniform(salt, d, t) ** 3 * 16)),
    })),
  );

/** Share of the mean load that the least used expert has over the last 100 of 500 steps. */
function leastLoad(biasSpeed: number): number {
  const config = tinyConfig({ n_routed_experts: 12, num_experts_per_tok: 3, moe_intermediate_size: 16 });
  const trainer = tinyTrainer({ biasSpeed }, undefined, config);
  const sums = new Float64Array(12);
  for (let step = 0; step < 500; step++) {
    const { load } = trainer.step([skewed(step)], 1e-2);
    if (step >= 400) load.get(1)!.forEach((n, e) => void (sums[e] += n));
  }
  const bias = trainer.parameters[BIAS].view() as Float32Array;
  assert.equal(
    bias.some((b) => b !== 0),
    biasSpeed > 0,
    "the bias moves where it should",
  );
  trainer.free();
  return Math.min(...sums) / (sums.reduce((a, b) => a + b, 0) / 12);
}

test("500 steps with 12 experts: none below a fifth of the mean load, and some are without balancing", () => {
  const [balanced, alone] = [leastLoad(1e-2), leastLoad(0)];
  console.log(`least used expert: ${balanced.toFixed(2)} of the mean; without balancing ${alone.toFixed(2)}`);
  assert.ok(balanced > 0.2, `${balanced}`);
  assert.ok(alone < 0.2, `the proof proves nothing where the experts balance by themselves: ${alone}`);
});

test("the bias selects and does nothing else: gate weights do not contain it", () => biasOnlySelects());

const collect = (): (() => void) => {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
};
const held = (gc: () => void): number => {
  gc();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + external + arrayBuffers;
};

const stream = (): DocumentStream =>
  new DocumentStream(
    [{ weight: 1, count: 20, documents: (i) => [{ ids: Int32Array.from({ length: 30 }, (_, t) => (i + t) % 16) }] }],
    { seed: 1, room: 128, longest: 64 },
  );
const running = (trainer: Trainer, directory: string, steps: number, report: (step: number) => void): void =>
  runSupervised(
    trainer,
    stream(),
    new Checkpoints(directory, 1),
    { lr: 1e-3, schedule: { kind: "constant", warmupSteps: 0 }, accumulation: 1, saveEvery: 1000, steps },
    ({ step }) => report(step),
  );

test("memory is constant after step 2, supervised and by reinforcement", async () => {
  const gc = collect();
  const directory = mkdtempSync(join(tmpdir(), "weir-memory-"));
  const check = (what: string, at: Map<number, [number, number]>): void => {
    const [first, half, end] = [...at.values()];
    const [early, late] = [half[0] - first[0], end[0] - half[0]].map((bytes) => Math.round(bytes / 1024));
    const resident = Math.round((end[1] - first[1]) / 1024);
    console.log(`${what}: heap ${early}, then ${late} KiB, resident ${resident} KiB since step 2`);
    // Code is still being compiled in the first half; a batch or a set of rollouts kept each step would show 300 KiB in either.
    assert.ok(early < 1000 && late < 200, `${what}: the heap grew by ${early} and ${late} KiB`);
    assert.ok(resident < 48 * 1024, `${what}: the process grew by ${resident} KiB`);
  };
  try {
    const marks = new Map<number, [number, number]>();
    running(tinyTrainer(), directory, 202, (step) => {
      if ([2, 102, 202].includes(step)) marks.set(step, [held(gc), process.memoryUsage.rss()]);
    });
    check("supervised", marks);
    marks.clear();
    const grpo = copyTask(tinyTrainer());
    for (let step = 1; step <= 42; step++) {
      await grpo.run(copyPrompt, 1e-3);
      if ([2, 22, 42].includes(step)) marks.set(step, [held(gc), process.memoryUsage.rss()]);
    }
    check("GRPO", marks);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test("a full disk ends the run with a reason and leaves the last good checkpoint", () => {
  const root = mkdtempSync(join(tmpdir(), "weir-full-"));
  try {
    const trainer = tinyTrainer();
    const checkpoints = new Checkpoints(root, 2);
    checkpoints.save(4, trainer, {});
    // A process that may write no file above 24 KiB meets the same refusal as one on a full disk, half-way through the weights.
    const script = new URL("./resume.fixture.ts", import.meta.url).pathname;
    const limited = `trap '' XFSZ; ulimit -f 48; exec "$0" "$@"`;
    const found = spawnSync("sh", ["-c", limited, process.execPath, script, "pretrain", join(root, "run")], {
      encoding: "utf8",
    });
    assert.notEqual(found.status, 0);
    assert.match(found.stderr, /the checkpoint of step 4 could not be written/);
    assert.match(found.stderr, /no earlier one is there\. Make room and start again/);
    assert.deepEqual(readdirSync(join(root, "run")), [], "nothing half-written stays");
    const { write } = checkpoints;
    checkpoints.write = () => {
      throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    };
    assert.throws(
      () => checkpoints.save(8, trainer, {}),
      (error: Error) => error instanceof SaveError && /ENOSPC.*that of step 4 is whole/.test(error.message),
    );
    assert.deepEqual(checkpoints.steps(), [4]);
    checkpoints.write = write;
    assert.equal(checkpoints.resume(tinyTrainer())?.step, 4);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

test("the balance loss is told apart, so that runs with and without it can be compared", () => {
  const [plain, balanced] = [0, 0.1].map((balanceAlpha) => tinyTrainer({ balanceAlpha }).step([skewed(1)], 1e-3));
  assert.ok(Math.abs(plain.loss - plain.crossEntropy) < 1e-5 * plain.loss);
  assert.ok(balanced.loss > balanced.crossEntropy + 0.05, `${balanced.loss} and ${balanced.crossEntropy}`);
  assert.ok(Math.abs(balanced.crossEntropy - plain.crossEntropy) < 1e-5 * plain.loss);
});

test("the average follows its formula", () => {
  const trainer = tinyTrainer();
  const ema = new Ema(trainer, 0.6);
  const name = "model.layers.0.self_attn.o_proj.weight";
  let expected = Float64Array.from(trainer.parameters[name].view());
  for (let step = 1; step <= 12; step++) {
    trainer.step([skewed(step)], 1e-2);
    ema.update(step);
    const keep = Math.min(0.6, (1 + step) / (10 + step));
    const now = trainer.parameters[name].view();
    expected = expected.map((value, i) => keep * value + (1 - keep) * now[i]);
  }
  const got = ema.parameters[name].view();
  assert.ok(expected.every((value, i) => Math.abs(value - got[i]) < 1e-5));
  assert.ok(expected.some((value, i) => Math.abs(value - trainer.parameters[name].view()[i]) > 1e-3));
  assert.equal(ema.parameters[BIAS], trainer.parameters[BIAS]);
});

test("activations computed again: the same bits in every family, and a layer costs the memory of its input only", () => {
  for (const [name, json] of Object.entries(smallConfigs)) {
    const config = parseConfig(json);
    const [kept, again] = [false, true].map((recompute) => {
      const trainer = tinyTrainer(
        { recompute, maxTokens: 128, balanceAlpha: config.moe ? 0.01 : 0 },
        undefined,
        config,
      );
      const losses = [1, 2].map((step) => trainer.step([skewed(step)], 1e-2).loss);
      const weights = Object.values(trainer.parameters).map((buffer) => buffer.view().slice());
      trainer.free();
      return { losses, weights };
    });
    assert.ok(kept.losses.every(Number.isFinite), name);
    assert.deepEqual(again, kept, name);
  }
  const arena = (layers: number, recompute: boolean): number => {
    const sizes = { maxTokens: 256, maxPositions: 64, recompute };
    return planMemory(buildTraining(tinyConfig({ num_hidden_layers: layers }), sizes).program).arenaBytes;
  };
  const [kept, again] = [false, true].map((recompute) => (arena(12, recompute) - arena(6, recompute)) / 6);
  console.log(`activations of a layer: ${again} bytes instead of ${kept}`);
  assert.ok(again < 1.1 * 256 * 32 * 4 && kept > 10 * again, `${again} and ${kept}`);
});
