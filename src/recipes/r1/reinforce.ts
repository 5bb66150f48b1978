// Reinforcement learning of the recipe (reasoning RL, all-scenario RL): GRPO on a stream of problems with the tutor's verifier as
// reward, a curve, and a state file from which a killed run goes on. The algorithm is train/grpo.ts's.
import { existsSync } from "node:fs";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { Grpo } from "../../train/grpo.ts";
import { OBJECTIVES, type PolicyObjective } from "../../train/policy-loss.ts";
import type { Reward } from "../../train/rewards.ts";
import type { Sampler } from "../../train/sampler.ts";
import { loadState, saveState } from "../../train/state.ts";
import type { Trainer } from "../../train/trainer.ts";
import type { Problem } from "../tutor/problem.ts";
import { type Verdict, verify } from "../tutor/verify.ts";
import { promptIds } from "./corpus.ts";
import { BACKWARD, forwardFlops } from "./flops.ts";
import { factorAt, shareDone } from "./learn.ts";

/** Rule-based rewards as R1's: the verified answer, the format, the question's language. */
const judged = (name: string, weight: number, of: (verdict: Verdict) => boolean): Reward<Problem> => ({
  name,
  weight,
  of: (problem, { text, ended }) => (ended && of(verify(problem, text)) ? 1 : 0),
});

export const RECIPE_REWARDS: readonly Reward<Problem>[] = [
  judged("accuracy", 1, ({ correct }) => correct),
  judged("format", 0.2, ({ formatOk, answerAgrees }) => formatOk && answerAgrees),
  judged("language", 0.1, ({ languageOk }) => languageOk),
];

/**
 * DAPO's token-level loss and clip without a KL term; advantages are left undivided (Dr. GRPO), which keeps almost-solved problems
 * from weighing most.
 */
export const OBJECTIVE: PolicyObjective = { ...OBJECTIVES.dapo, divideByStd: false };

export interface ReinforceOptions {
  steps: number;
  seconds?: number;
  prompts: number;
  samples: number;
  lr: number;
  temperature: number;
  maxTokens: number;
  seed: number;
  minibatches: number;
  randomReward: boolean;
  state: string;
  saveEvery: number;
}

export interface ReinforcePoint {
  step: number;
  reward: number;
  /** Mean of each reward by its name. */
  parts: Record<string, number>;
  entropy: number;
  length: number;
  truncated: number;
  zeroVariance: number;
  gradNorm: number;
  ratioDeviation: number;
  clipShare: number;
}

export interface Reinforced {
  steps: number;
  /** Sampled tokens. */
  tokens: number;
  flops: number;
  seconds: number;
  /** Where the seconds went. */
  parts: { rollout: number; reward: number; update: number };
  curve: ReinforcePoint[];
  /** How often each alarm of GRPO was raised, by its text without the numbers. */
  alarms: Record<string, number>;
}

/** Trains on the stream's problems from the saved state where there is one. */
export async function reinforce(
  trainer: Trainer,
  sampler: Sampler,
  tokenizer: Tokenizer,
  stream: Iterator<Problem>,
  options: ReinforceOptions,
  report: (point: ReinforcePoint & { share: number; tokens: number }) => void = () => {},
): Promise<Reinforced> {
  const { steps, seconds: limit, state } = options;
  const grpo = new Grpo<Problem>(trainer, sampler, {
    objective: OBJECTIVE,
    rewards: RECIPE_REWARDS,
    prompts: options.prompts,
    samples: options.samples,
    maxTokens: options.maxTokens,
    temperature: options.temperature,
    seed: options.seed,
    minibatches: options.minibatches,
    randomReward: options.randomReward,
    startsInThinking: true,
    ratioTolerance: 1e-3,
    ends: tokenizer.special.eot,
  });
  let done: Reinforced = {
    steps: 0,
    tokens: 0,
    flops: 0,
    seconds: 0,
    parts: { rollout: 0, reward: 0, update: 0 },
    curve: [],
    alarms: {},
  };
  if (existsSync(state)) {
    const memory = loadState(state, trainer, grpo.states);
    done = memory.reinforced as Reinforced;
    grpo.restore(memory.grpo as Record<string, unknown>);
  }
  // The stream is read in order, also by a run that goes on.
  const drawn: Problem[] = [];
  const prompt = (index: number): { ids: Int32Array; task: Problem } => {
    while (drawn.length <= index) drawn.push(stream.next().value as Problem);
    return { ids: promptIds(tokenizer, drawn[index].question), task: drawn[index] };
  };
  const before = done.seconds;
  const began = performance.now();
  for (;;) {
    const share = shareDone(done.steps, steps, done.seconds, limit);
    if (share >= 1) break;
    const factor = factorAt({ kind: "linear", warmupSteps: 2, floor: 0.2 }, done.steps, steps, share);
    const stats = await grpo.run(prompt, options.lr * factor);
    // Context of an average token: half of prompt and completion; exact lengths would change the count by less than a percent.
    const work = (tokens: number): { tokens: number; attended: number } => ({
      tokens,
      attended: (tokens * (stats.meanLength + stats.promptTokens / options.prompts)) / 2,
    });
    done.flops +=
      forwardFlops(trainer.config, work(stats.tokens + stats.promptTokens)) +
      BACKWARD * forwardFlops(trainer.config, work(stats.updateTokens));
    done.steps++;
    done.tokens += stats.tokens;
    done.seconds = before + (performance.now() - began) / 1000;
    for (const part of ["rollout", "reward", "update"] as const) done.parts[part] += stats.seconds[part];
    for (const alarm of stats.alarms) {
      const kind = alarm.replace(/\d+(\.\d+)?(e[-+]?\d+)?/g, "…");
      done.alarms[kind] = (done.alarms[kind] ?? 0) + 1;
    }
    const point: ReinforcePoint = {
      step: stats.step,
      reward: stats.reward,
      parts: stats.parts,
      entropy: stats.entropy,
      length: stats.meanLength,
      truncated: stats.truncated,
      zeroVariance: stats.zeroVariance,
      gradNorm: stats.gradNorm,
      ratioDeviation: Number.isNaN(stats.ratioDeviation) ? 0 : stats.ratioDeviation,
      clipShare: stats.clipShare,
    };
    done.curve.push(point);
    const after = shareDone(done.steps, steps, done.seconds, limit);
    report({ ...point, share: after, tokens: stats.tokens });
    if (done.steps % options.saveEvery === 0 || after >= 1)
      saveState(state, trainer, { reinforced: done, grpo: grpo.memory }, grpo.states);
  }
  grpo.free();
  return done;
}
