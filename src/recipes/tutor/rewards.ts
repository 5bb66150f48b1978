// Rewards for reinforcement learning, as plain functions of a task and a completion, and the choice of prompts that are
// neither solved nor hopeless. It samples no completions and trains nothing.

import { draw } from "./mixture.ts";
import type { Problem } from "./problem.ts";
import { hash, type Random, random } from "./random.ts";
import { SKILLS } from "./registry.ts";
import { type Task, verify } from "./verify.ts";

/** `completion` is the model's raw text: thinking, `</think>`, reply. */
export type Reward = (task: Task, completion: string) => number;

export const REWARDS: Readonly<Record<"accuracy" | "format" | "language" | "agreement", Reward>> = {
  /** 1 when the result is right (for hints, refusals and talk: when the reply is of the right kind). */
  accuracy: (task, completion) => (verify(task, completion).correct ? 1 : 0),
  /** 1 when the thinking is closed and the reply has exactly the boxes it should. */
  format: (task, completion) => (verify(task, completion).formatOk ? 1 : 0),
  /** 1 when the reply is in the language of the question. */
  language: (task, completion) => (verify(task, completion).languageOk ? 1 : 0),
  /** 1 when the box holds what the thinking arrives at. */
  agreement: (task, completion) => (verify(task, completion).answerAgrees ? 1 : 0),
};

export type RewardName = keyof typeof REWARDS;

/** A weighted sum of rewards, divided by the sum of the weights: between 0 and 1. Verifies once. */
export function combined(weights: Readonly<Partial<Record<RewardName, number>>>): Reward {
  const entries = Object.entries(weights) as [RewardName, number][];
  const total = entries.reduce((sum, [, w]) => sum + w, 0);
  if (entries.some(([name, w]) => !Object.hasOwn(REWARDS, name) || !(w >= 0)) || !(total > 0))
    throw new RangeError(
      `reward weights ${JSON.stringify(weights)} must be 0 or more, by the names ${Object.keys(REWARDS).join(", ")}`,
    );
  return (task, completion) => {
    const v = verify(task, completion);
    const parts = { accuracy: v.correct, format: v.formatOk, language: v.languageOk, agreement: v.answerAgrees };
    return entries.reduce((sum, [name, w]) => sum + (parts[name] ? w : 0), 0) / total;
  };
}

/**
 * The control: a coin flip that knows nothing of the task. Deterministic in the seed, the completion and how often it was asked,
 * so that equal completions of one group do not always share a fate.
 */
export function coinFlip(seed: number, p = 0.5): Reward {
  let asked = 0;
  return (_task, completion) => (hash(`${seed} ${asked++} ${completion}`) / 2 ** 32 < p ? 1 : 0);
}

export interface TaskKind {
  skill: string;
  level: number;
}

export const taskName = (kind: TaskKind): string => `${kind.skill}@${kind.level}`;

/** Every skill at every level: what pass rates are measured for. */
export const TASK_KINDS: readonly TaskKind[] = SKILLS.flatMap((s) =>
  Array.from({ length: s.levels }, (_, i) => ({ skill: s.id, level: i + 1 })),
);

/**
 * The kinds whose measured pass@1 lies within [low, high]: below there is nothing to reinforce, above nothing to learn.
 * `passRates` goes by `taskName`; kinds without a rate are left out.
 */
export function withinReach(passRates: Readonly<Record<string, number>>, low = 0.1, high = 0.7): TaskKind[] {
  return TASK_KINDS.filter((kind) => {
    const rate = passRates[taskName(kind)];
    return rate !== undefined && rate >= low && rate <= high;
  });
}

/** An endless stream of training problems of the given kinds, each kind equally often. Throws RangeError for no kinds. */
export function* prompts(kinds: readonly TaskKind[], seed: number | string): Generator<Problem, never> {
  if (kinds.length === 0)
    throw new RangeError("no kinds of tasks to draw prompts from: measure pass rates first, or widen their band");
  const rng: Random = random(`prompts ${seed}`);
  for (;;) {
    const kind = rng.pick(kinds);
    yield draw(rng, kind.skill, kind.level, "train");
  }
}
