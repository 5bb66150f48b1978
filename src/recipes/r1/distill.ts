// Distillation by logits: the student writes, the teacher says of every token how likely it would have been, and the student moves
// toward it (reverse KL on the student's own samples, one token ahead). Distillation by sequences is rejection sampling from the
// teacher and needs nothing of its own.
import { existsSync } from "node:fs";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { packBatch } from "../../train/batch.ts";
import { bestFit } from "../../train/packing.ts";
import { rowWeights } from "../../train/policy-loss.ts";
import type { Rollout } from "../../train/rollout.ts";
import type { Sampler } from "../../train/sampler.ts";
import type { Scorer } from "../../train/scorer.ts";
import { loadState, saveState } from "../../train/state.ts";
import type { Trainer } from "../../train/trainer.ts";
import type { Problem } from "../tutor/problem.ts";
import { verify } from "../tutor/verify.ts";
import { promptIds } from "./corpus.ts";
import { BACKWARD, forwardFlops, workOf } from "./flops.ts";
import { factorAt } from "./learn.ts";

/** A token that the teacher would never write says no more than this many nats. */
const MOST = 4;

export interface DistillOptions {
  /** The student's arithmetic, sampling and learning; the teacher's is counted apart. */
  flops: number;
  prompts: number;
  samples: number;
  lr: number;
  maxTokens: number;
  seed: number;
  state: string;
  saveEvery: number;
}

export interface Distilled {
  steps: number;
  tokens: number;
  flops: number;
  teacherFlops: number;
  seconds: number;
  /** Per step: KL(student ‖ teacher) in nats per token, and the share of right answers. */
  curve: { step: number; kl: number; accuracy: number }[];
}

/**
 * d/dlogp of −KL(student ‖ teacher) on the sampled tokens, over their number: (log teacher − log student) / tokens, held within
 * ±MOST, and the KL estimate itself. Tokens that were not the student's choice count for nothing.
 */
export function distillWeights(
  rollouts: readonly Pick<Rollout, "logp" | "mask">[],
  teacher: readonly ArrayLike<number>[],
): { weights: Float64Array[]; kl: number } {
  const tokens = rollouts.reduce((sum, { mask }) => sum + mask.reduce((a, b) => a + b, 0), 0);
  let kl = 0;
  const weights = rollouts.map(({ logp, mask }, i) =>
    Float64Array.from(logp, (own, t) => {
      const difference = teacher[i][t] - own;
      kl -= (mask[t] * difference) / tokens;
      return (mask[t] * Math.max(-MOST, Math.min(MOST, difference))) / tokens;
    }),
  );
  return { weights, kl };
}

/** Trains until the student's arithmetic is spent, from the saved state where there is one. Student and teacher share a tokenizer. */
export async function distillByLogits(
  trainer: Trainer,
  teacher: Scorer,
  sampler: Sampler,
  tokenizer: Tokenizer,
  stream: Iterator<Problem>,
  options: DistillOptions,
  report: (point: Distilled["curve"][number] & { share: number }) => void = () => {},
): Promise<Distilled> {
  let done: Distilled = { steps: 0, tokens: 0, flops: 0, teacherFlops: 0, seconds: 0, curve: [] };
  if (existsSync(options.state)) {
    done = loadState(options.state, trainer).distilled as Distilled;
    sampler.weightsChanged(trainer.parameters);
  }
  const next = (): Problem[] => Array.from({ length: options.prompts }, () => stream.next().value as Problem);
  for (let step = 0; step < done.steps; step++) next();
  const before = done.seconds;
  const began = performance.now();
  while (done.flops < options.flops) {
    const problems = next();
    const found = await sampler.rollouts(
      problems.map(({ question }, i) => ({
        prompt: promptIds(tokenizer, question),
        seed: (options.seed + (done.steps * options.prompts + i) * 7919) | 0,
      })),
      {
        samples: options.samples,
        maxTokens: options.maxTokens,
        sampling: { temperature: 1 },
        startsInThinking: true,
        routes: false,
      },
      new Set(tokenizer.special.eot),
    );
    const lengths = found.map(({ prompt, ids }) => prompt.length + ids.length);
    const bins = bestFit(lengths, trainer.options.maxTokens);
    const documentOf = (i: number, weights: ArrayLike<number>) => {
      const { prompt, ids } = found[i];
      return { ids: Int32Array.from([...prompt, ...ids]), weights: rowWeights(prompt.length, weights) };
    };
    const said: Float32Array[] = [];
    for (const bin of bins) {
      const { logp } = teacher.score(packBatch(bin.map((i) => documentOf(i, new Float32Array(found[i].ids.length)))));
      let start = 0;
      for (const i of bin) {
        const first = start + found[i].prompt.length - 1;
        said[i] = logp.slice(first, first + found[i].ids.length);
        start += lengths[i];
      }
    }
    const { weights, kl } = distillWeights(found, said);
    // rowWeights turns dloss/dlogp into the program's weights; the loss is the KL, its slope the negated weight.
    for (const bin of bins)
      trainer.accumulate(
        packBatch(
          bin.map((i) =>
            documentOf(
              i,
              weights[i].map((w) => -w),
            ),
          ),
        ),
        1,
      );
    const share = done.flops / options.flops;
    const rate = factorAt({ kind: "linear", warmupSteps: 2, floor: 0.1 }, done.steps, Number.MAX_SAFE_INTEGER, share);
    if (trainer.gradientsFinite()) trainer.applyUpdate(options.lr * rate);
    else trainer.discard();
    sampler.weightsChanged(trainer.parameters);
    const work = workOf(lengths);
    const right = found.filter(
      ({ text, ended }, i) => ended && verify(problems[Math.floor(i / options.samples)], text).correct,
    ).length;
    done.steps++;
    done.tokens += found.reduce((sum, { ids }) => sum + ids.length, 0);
    done.flops += (1 + BACKWARD) * forwardFlops(trainer.config, work);
    done.teacherFlops += forwardFlops(teacher.built.context.config, work);
    done.seconds = before + (performance.now() - began) / 1000;
    const point = { step: done.steps, kl, accuracy: right / found.length };
    done.curve.push(point);
    report({ ...point, share: Math.min(1, done.flops / options.flops) });
    if (done.steps % options.saveEvery === 0 || done.flops >= options.flops)
      saveState(options.state, trainer, { distilled: done });
  }
  return done;
}
