// Asks a model the tutor's problems and counts: the held-out test sets, pass rates by kind of task, pass@k. Which problems there are
// and how answers are judged is tutor's.
import type { SamplingParameters } from "../../engine/types.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import type { Sampler } from "../../train/sampler.ts";
import { passAt } from "../../train/statistics.ts";
import { fingerprint, summarise, type Tally, type TestSet, testSet, wilson } from "../tutor/evaluation.ts";
import { draw, type Split } from "../tutor/mixture.ts";
import { type Problem, SKILL_CLASSES } from "../tutor/problem.ts";
import { random } from "../tutor/random.ts";
import { type TaskKind, taskName } from "../tutor/rewards.ts";
import { type Verdict, verify } from "../tutor/verify.ts";
import { promptIds } from "./corpus.ts";
import { forwardFlops, workOf } from "./flops.ts";

export interface Answer {
  problem: Problem;
  /** Thinking, `</think>` and reply as the model wrote them. */
  text: string;
  tokens: number;
  /** False where the room ran out before the end. */
  ended: boolean;
  verdict: Verdict;
}

/** A model that can be asked: who samples from it, its tokenizer, and the longest answer. */
export interface Asked {
  sampler: Sampler;
  tokenizer: Tokenizer;
  maxTokens: number;
}

export interface Answers {
  /** `samples` answers per problem, problem after problem. */
  answers: Answer[];
  tokens: number;
  flops: number;
}

/** Answers and verdicts in the problems' order; one greedy answer each unless told otherwise. */
export async function ask(
  { sampler, tokenizer, maxTokens }: Asked,
  problems: readonly Problem[],
  options: { samples?: number; sampling?: SamplingParameters; seed?: number } = {},
): Promise<Answers> {
  const { samples = 1, sampling = { temperature: 0 }, seed = 0 } = options;
  const found = await sampler.rollouts(
    problems.map(({ question }, i) => ({ prompt: promptIds(tokenizer, question), seed: (seed + i * 7919) | 0 })),
    { samples, maxTokens, sampling, startsInThinking: true, routes: false },
    new Set(tokenizer.special.eot),
  );
  const answers = found.map(({ text, ids, ended }, i) => {
    const problem = problems[Math.floor(i / samples)];
    return { problem, text, tokens: ids.length, ended, verdict: verify(problem, text) };
  });
  const flops = forwardFlops(sampler.config, workOf(found.map(({ prompt, ids }) => prompt.length + ids.length)));
  return { answers, tokens: answers.reduce((sum, { tokens }) => sum + tokens, 0), flops };
}

/** A count among n with its 95 % interval. */
export interface Rate {
  k: number;
  n: number;
  interval: [number, number];
}

export const rate = (k: number, n: number): Rate => ({ k, n, interval: wilson(k, n) });

export interface Sample {
  skill: string;
  question: string;
  text: string;
  correct: boolean;
}

export interface Evaluation {
  /** By `set/class`: which problems, one digit per problem (1: right), counts by class and skill. */
  sets: Record<string, { fingerprint: string; right: string; tallies: Record<string, Tally> }>;
  /** Over everything asked. */
  formatOk: Rate;
  languageOk: Rate;
  answerAgrees: Rate;
  meanTokens: number;
  samples: Sample[];
  seconds: number;
  flops: number;
}

/** The first `size` test problems of every class in each of the sets, greedy. */
export async function evaluate(
  asked: Asked,
  sets: readonly TestSet[],
  size: number,
  report: (done: number, total: number) => void = () => {},
): Promise<Evaluation> {
  const began = performance.now();
  const found: Evaluation["sets"] = {};
  const all: Answer[] = [];
  const samples: Sample[] = [];
  let flops = 0;
  for (const set of sets) {
    for (const skillClass of SKILL_CLASSES) {
      const problems = testSet(set, skillClass, size);
      const { answers, flops: spent } = await ask(asked, problems);
      flops += spent;
      all.push(...answers);
      const right = answers.map(({ verdict }) => (verdict.correct ? "1" : "0")).join("");
      const tallies = summarise(answers.map(({ problem, text }) => ({ problem, completion: text })));
      found[`${set}/${skillClass}`] = { fingerprint: fingerprint(problems), right, tallies };
      for (const { problem, text, verdict } of answers.slice(0, 2))
        samples.push({ skill: problem.skill, question: problem.question, text, correct: verdict.correct });
      report(all.length, sets.length * SKILL_CLASSES.length * size);
    }
  }
  const share = (of: (verdict: Verdict) => boolean): Rate =>
    rate(all.filter(({ verdict }) => of(verdict)).length, all.length);
  return {
    sets: found,
    formatOk: share(({ formatOk }) => formatOk),
    languageOk: share(({ languageOk }) => languageOk),
    answerAgrees: share(({ answerAgrees }) => answerAgrees),
    meanTokens: all.reduce((sum, { tokens }) => sum + tokens, 0) / all.length,
    samples,
    seconds: (performance.now() - began) / 1000,
    flops,
  };
}

/** `count` problems of each kind, the same for the same seed. Kinds that have none of the split are left out. */
export function problemsOf(kinds: readonly TaskKind[], count: number, split: Split, seed: string): Problem[] {
  return kinds.flatMap((kind) => {
    const rng = random(`${seed} ${taskName(kind)}`);
    try {
      return Array.from({ length: count }, () => draw(rng, kind.skill, kind.level, split));
    } catch (error) {
      if (error instanceof RangeError) return [];
      throw error;
    }
  });
}

/** Share of right answers by kind, sampled at temperature 1 on training problems. */
export async function passRates(
  asked: Asked,
  kinds: readonly TaskKind[],
  options: { problems: number; samples: number; seed: number },
): Promise<{ rates: Record<string, number>; flops: number }> {
  const problems = problemsOf(kinds, options.problems, "train", `reach ${options.seed}`);
  const { answers, flops } = await ask(asked, problems, {
    samples: options.samples,
    sampling: { temperature: 1 },
    seed: options.seed,
  });
  const counts = new Map<string, { right: number; n: number }>();
  for (const { problem, verdict } of answers) {
    const name = taskName({ skill: problem.skill, level: problem.meta.level });
    const count = counts.get(name) ?? { right: 0, n: 0 };
    counts.set(name, { right: count.right + (verdict.correct ? 1 : 0), n: count.n + 1 });
  }
  return { rates: Object.fromEntries([...counts].map(([name, { right, n }]) => [name, right / n])), flops };
}

export interface PassAtK {
  problems: number;
  samples: number;
  /** Right answers of each problem's samples. */
  right: number[];
  /** Unbiased estimates by k. */
  passAt: Record<string, number>;
  flops: number;
}

/** pass@k on these problems at temperature 1, k doubling up to `samples`. */
export async function measurePassAtK(
  asked: Asked,
  problems: readonly Problem[],
  samples: number,
  seed: number,
): Promise<PassAtK> {
  const { answers, flops } = await ask(asked, problems, { samples, sampling: { temperature: 1 }, seed });
  const right = problems.map(
    (_, i) => answers.slice(i * samples, (i + 1) * samples).filter(({ verdict }) => verdict.correct).length,
  );
  const passes: Record<string, number> = {};
  for (let k = 1; k <= samples; k *= 2)
    passes[k] = right.reduce((sum, c) => sum + passAt(k, samples, c), 0) / problems.length;
  return { problems: problems.length, samples, right, passAt: passes, flops };
}
