// The loops of a run, supervised and by reinforcement: steps, schedule, checkpoints, what happens when the numbers go bad, and going on
// after a kill to the same bits. They report through callbacks and print nothing.
import { type Document, packBatch, totalWeight } from "./batch.ts";
import type { Checkpoints } from "./checkpoints.ts";
import type { Ema } from "./ema.ts";
import type { Grpo, GrpoStats, Prompt } from "./grpo.ts";
import type { Lora } from "./lora.ts";
import { rateFactor, type Schedule } from "./schedule.ts";
import type { Memory } from "./state.ts";
import type { DocumentStream, StreamPosition } from "./stream.ts";
import type { StepResult, Trainer } from "./trainer.ts";

/** A run that cannot go on; the checkpoints are as they were. */
export class RunError extends Error {}

export interface RunOptions {
  steps: number;
  lr: number;
  schedule: Omit<Schedule, "totalSteps">;
  saveEvery: number;
}

export interface SupervisedOptions extends RunOptions {
  /** Packs per update. */
  accumulation: number;
  /** Update this adapter of the trainer instead of its weights. */
  lora?: Lora;
  /** Keep this average of the weights up to date. */
  ema?: Ema;
  /** What is made of a pack before it is trained on. Default: nothing. */
  documents?: (pack: Document[]) => Document[];
  /** A loss above this multiple of its smoothed value is a failure. Default 3. */
  explosion?: number;
}

export interface SupervisedStep extends StepResult {
  step: number;
  lr: number;
  seconds: number;
  /** What went wrong and what was done about it; the update was left out where this is set. */
  failure?: string;
}

/** Failures in a row before the last checkpoint is read back, and times that is done before the run stops. */
const PATIENCE = 3;
const ROLLBACKS = 2;

/** Steps still to do from `done`. Throws RunError for none: a run that trains nothing must not look like one that did. */
function remaining(done: number, steps: number): void {
  if (!(steps > done))
    throw new RunError(
      done > 0
        ? `nothing to train: the checkpoint is at step ${done} and steps is ${steps}; raise steps or choose another directory`
        : `nothing to train: steps is ${steps}`,
    );
}

/**
 * Trains on packs of the stream from the latest checkpoint on. A loss or gradient that is not finite, or a loss that explodes, costs its
 * batch: the update is not made. Three in a row bring the last checkpoint back, with the data going on from where it is.
 */
export function runSupervised(
  trainer: Trainer,
  stream: DocumentStream,
  checkpoints: Checkpoints,
  options: SupervisedOptions,
  report: (step: SupervisedStep) => void,
): void {
  const { steps, lr, accumulation, saveEvery, lora, ema, explosion = 3, documents = (pack) => pack } = options;
  const extra = { ...lora?.states, ...ema?.states };
  const schedule: Schedule = { ...options.schedule, totalSteps: steps };
  const resume = (): Memory | undefined => {
    const memory = checkpoints.resume(trainer, extra);
    if (memory && lora) lora.restore(Number(memory.step));
    return memory;
  };
  const found = resume();
  let done = Number(found?.step ?? 0);
  let smooth = Number(found?.smooth ?? 0);
  if (found) stream.position = found.stream as StreamPosition;
  remaining(done, steps);
  let [failures, rollbacks] = [0, 0];
  while (done < steps) {
    const began = performance.now();
    const batches = Array.from({ length: accumulation }, () => packBatch(documents(stream.take())));
    const weight = batches.reduce((sum, batch) => sum + totalWeight(batch), 0);
    const rate = lr * rateFactor(schedule, done);
    let [loss, crossEntropy] = [0, 0];
    for (const batch of batches) {
      loss += trainer.accumulate(batch, weight > 0 ? 1 / weight : 0);
      crossEntropy += trainer.crossEntropy;
    }
    const tokens = batches.reduce((sum, batch) => sum + batch.tokens, 0);
    const bad = !Number.isFinite(loss)
      ? `the loss is ${loss}`
      : smooth > 0 && done >= 20 && loss > explosion * smooth + 0.5
        ? `the loss jumped to ${loss.toFixed(3)} from ${smooth.toFixed(3)}`
        : trainer.gradientsFinite()
          ? undefined
          : "a gradient is not finite";
    const seconds = (): number => (performance.now() - began) / 1000;
    if (bad === undefined) {
      failures = 0;
      smooth = smooth === 0 ? loss : 0.95 * smooth + 0.05 * loss;
      const { gradNorm, load } = (lora ?? trainer).applyUpdate(rate);
      done++;
      ema?.update(done);
      report({ step: done, lr: rate, loss, crossEntropy, gradNorm, tokens, load, seconds: seconds() });
      if (done % saveEvery === 0 || done === steps)
        checkpoints.save(done, trainer, { smooth, stream: stream.position }, extra);
      continue;
    }
    trainer.discard();
    failures++;
    const result = {
      step: done,
      lr: rate,
      loss,
      crossEntropy,
      gradNorm: Number.NaN,
      tokens,
      load: new Map(),
      seconds: seconds(),
    };
    if (failures < PATIENCE) {
      report({ ...result, failure: `${bad}; the batch was left out` });
      continue;
    }
    const back = rollbacks < ROLLBACKS ? resume() : undefined;
    if (!back)
      throw new RunError(
        `step ${done + 1}: ${bad}, ${failures} times in a row${rollbacks > 0 ? ` and after going back ${rollbacks} times` : ""}; lower the learning rate, or look for broken rows with weir data check`,
      );
    rollbacks++;
    failures = 0;
    done = Number(back.step);
    smooth = Number(back.smooth);
    report({ ...result, failure: `${bad}, ${PATIENCE} times in a row; back to step ${done}, on with other data` });
  }
}

/** GRPO from the latest checkpoint on. A step without an update counts: its prompts had nothing to teach. */
export async function runGrpo<T>(
  grpo: Grpo<T>,
  prompt: (index: number) => Prompt<T>,
  checkpoints: Checkpoints,
  options: RunOptions,
  report: (stats: GrpoStats & { lr: number }) => void,
): Promise<void> {
  const { steps, lr, saveEvery } = options;
  const schedule: Schedule = { ...options.schedule, totalSteps: steps };
  const { trainer } = grpo;
  const found = checkpoints.resume(trainer, grpo.states);
  if (found) grpo.restore(found.grpo as Record<string, unknown>);
  remaining(grpo.step, steps);
  let failures = 0;
  while (grpo.step < steps) {
    const rate = lr * rateFactor(schedule, grpo.step);
    const stats = await grpo.run(prompt, rate);
    report({ ...stats, lr: rate });
    failures = stats.skippedUpdates > 0 && stats.updates === 0 ? failures + 1 : 0;
    if (failures >= PATIENCE)
      throw new RunError(
        `step ${grpo.step}: gradients are not finite, ${failures} times in a row; lower the learning rate`,
      );
    if (grpo.step % saveEvery === 0 || grpo.step === steps)
      checkpoints.save(grpo.step, trainer, { grpo: grpo.memory }, grpo.states);
  }
}
