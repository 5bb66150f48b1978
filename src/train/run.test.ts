// What a run does when the numbers go bad: a batch left out, the last checkpoint brought back, an end with a reason; and nothing to do.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Checkpoints } from "./checkpoints.ts";
import { RunError, runSupervised, type SupervisedStep } from "./run.ts";
import { DocumentStream } from "./stream.ts";
import { tinyTrainer } from "./tiny.fixture.ts";

const root = mkdtempSync(join(tmpdir(), "weir-run-"));
after(() => rmSync(root, { recursive: true, force: true }));
const stream = (): DocumentStream =>
  new DocumentStream(
    [{ weight: 1, count: 20, documents: (i) => [{ ids: Int32Array.from({ length: 30 }, (_, t) => (i + t) % 16) }] }],
    { seed: 1, room: 128, longest: 64 },
  );
const options = { lr: 1e-3, schedule: { kind: "constant", warmupSteps: 0 } as const, accumulation: 1, saveEvery: 5 };

test("weights that turn into no numbers: the last checkpoint comes back and the run ends well", () => {
  const trainer = tinyTrainer();
  const checkpoints = new Checkpoints(join(root, "poison"), 3);
  const steps: SupervisedStep[] = [];
  let poisoned = false;
  runSupervised(trainer, stream(), checkpoints, { ...options, steps: 12 }, (step) => {
    steps.push(step);
    if (step.step === 7 && !poisoned) {
      poisoned = true;
      (trainer.parameters["model.norm.weight"].view() as Float32Array).fill(Number.NaN);
    }
  });
  const failures = steps.flatMap(({ failure }) => failure ?? []);
  assert.equal(failures.length, 3);
  assert.match(failures[0], /the batch was left out/);
  assert.match(failures[2], /back to step 5/);
  assert.equal(steps.at(-1)?.step, 12);
  assert.ok(Number.isFinite(steps.at(-1)?.loss));
});

test("numbers that stay bad end the run with the reason, checkpoints untouched", () => {
  const trainer = tinyTrainer();
  const checkpoints = new Checkpoints(join(root, "lost"), 3);
  assert.throws(
    () =>
      runSupervised(trainer, stream(), checkpoints, { ...options, steps: 12 }, ({ step }) => {
        if (step >= 5) (trainer.parameters["model.norm.weight"].view() as Float32Array).fill(Number.NaN);
      }),
    (error: Error) => error instanceof RunError && /3 times in a row and after going back 2 times/.test(error.message),
  );
  assert.deepEqual(checkpoints.steps(), [5]);
  assert.equal(checkpoints.resume(tinyTrainer())?.step, 5);
});

test("gradients that are not finite cost their batch and leave the weights alone", () => {
  const trainer = tinyTrainer();
  trainer.accumulate({ ...batch(), weights: new Float32Array(30).fill(Number.NaN) }, 1);
  assert.equal(trainer.gradientsFinite(), false);
  trainer.discard();
  assert.equal(trainer.gradientsFinite(), true);
  const { gradNorm } = trainer.applyUpdate(0);
  assert.equal(gradNorm, 0);
});

const batch = () => ({
  tokens: 30,
  ids: new Int32Array(30),
  positions: Int32Array.from({ length: 30 }, (_, i) => i),
  starts: new Int32Array(30),
  targets: new Int32Array(30),
  weights: new Float32Array(30),
});

test("zero steps is an error", () => {
  const checkpoints = new Checkpoints(join(root, "zero"), 1);
  assert.throws(
    () => runSupervised(tinyTrainer(), stream(), checkpoints, { ...options, steps: 0 }, () => {}),
    RunError,
  );
});

test("a checkpoint of another shape is refused by name", () => {
  const checkpoints = new Checkpoints(join(root, "poison"), 3);
  const other = tinyTrainer({
    optimizer: { kind: "muon", lr: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0, maxGradNorm: 1 },
  });
  assert.throws(() => checkpoints.resume(other), /momentum\..* is missing; the state is of another model or optimiser/);
});
