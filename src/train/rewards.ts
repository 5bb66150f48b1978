// Rewards as named, weighted functions of a task and a completion: asking them with a time limit, adding them up, the random control.
// What a task's rewards are is the task's business; the general ones here need no task.

export interface Completion {
  text: string;
  ids: Int32Array;
  /** False where the room ran out. */
  ended: boolean;
}

export interface Reward<T> {
  name: string;
  weight: number;
  of(task: T, completion: Completion): number | Promise<number>;
}

/** A reward that threw, hung or gave no number; the model is as it was before the step. */
export class RewardError extends Error {
  constructor(name: string, what: string, cause?: unknown) {
    super(`reward ${name} ${what}; the step was not applied, fix the reward and resume`, { cause });
    this.name = "RewardError";
  }
}

/** One value from one reward. Throws RewardError. A synchronous function that never returns cannot be interrupted. */
async function ask<T>(reward: Reward<T>, task: T, completion: Completion, timeoutMs: number): Promise<number> {
  let timer: NodeJS.Timeout | undefined;
  try {
    const given = reward.of(task, completion);
    const value =
      typeof given === "number"
        ? given
        : await Promise.race([
            given,
            new Promise<never>((_, reject) => {
              timer = setTimeout(
                () => reject(new RewardError(reward.name, `gave no answer in ${timeoutMs / 1000} s`)),
                timeoutMs,
              );
            }),
          ]);
    if (!Number.isFinite(value)) throw new RewardError(reward.name, `gave ${value} instead of a number`);
    return value;
  } catch (error) {
    if (error instanceof RewardError) throw error;
    throw new RewardError(reward.name, `failed: ${error instanceof Error ? error.message : String(error)}`, error);
  } finally {
    clearTimeout(timer);
  }
}

/** Weighted sums, and each reward's own values by name, in the completions' order. */
export async function askRewards<T>(
  rewards: readonly Reward<T>[],
  asked: readonly { task: T; completion: Completion }[],
  timeoutMs: number,
): Promise<{ totals: Float64Array; parts: Map<string, Float64Array> }> {
  const totals = new Float64Array(asked.length);
  const parts = new Map<string, Float64Array>();
  for (const reward of rewards) {
    const values = new Float64Array(asked.length);
    for (const [i, { task, completion }] of asked.entries()) {
      values[i] = await ask(reward, task, completion, timeoutMs);
      totals[i] += reward.weight * values[i];
    }
    parts.set(reward.name, values);
  }
  return { totals, parts };
}

/** A number in [0, 1) from whole numbers (splitmix32 over each). */
export function uniform(...numbers: number[]): number {
  let h = 0x9e3779b9;
  for (const n of numbers) {
    h = (h ^ n) | 0;
    h = Math.imul(h ^ (h >>> 16), 0x21f0aaad);
    h = Math.imul(h ^ (h >>> 15), 0x735a2d97);
    h = (h ^ (h >>> 15)) + 0x9e3779b9;
  }
  return (h >>> 0) / 2 ** 32;
}

/** R1's format reward: exactly one closed thinking section, something after it, and an end. */
export const formatReward = ({ text, ended }: Completion): number =>
  ended &&
  /^(<think>)?(?:(?!<\/?think>)[\s\S])*<\/think>(?:(?!<\/?think>)[\s\S])*\S(?:(?!<\/?think>)[\s\S])*$/.test(text)
    ? 1
    : 0;

/**
 * R1's language-consistency reward: the share of words in the language asked for (R1, Nature supplement B.3); a Han character counts
 * as one word, digits and signs as none. A text without words is consistent.
 */
export function languageReward(language: "zh" | "en", text: string): number {
  const han = text.match(/\p{Script=Han}/gu)?.length ?? 0;
  const latin = text.match(/\p{Script=Latin}+/gu)?.length ?? 0;
  if (han + latin === 0) return 1;
  return (language === "zh" ? han : latin) / (han + latin);
}

/** What an answer comes to: the last \boxed{…}, else the text after the thinking, without spaces around it. */
export function finalAnswer(text: string): string {
  const after = text.includes("</think>") ? text.slice(text.lastIndexOf("</think>") + 8) : text;
  const at = after.lastIndexOf("\\boxed{");
  if (at < 0) return after.trim();
  let depth = 0;
  for (let i = at + 6; i < after.length; i++) {
    if (after[i] === "{") depth++;
    if (after[i] === "}" && --depth === 0) return after.slice(at + 7, i).trim();
  }
  return after.slice(at + 7).trim();
}

/** 1 where the final answer is that of the expected text (its box, where it has one), spaces aside. */
export const exactReward = (expected: string, text: string): number =>
  finalAnswer(text).replace(/\s+/g, "") === finalAnswer(expected).replace(/\s+/g, "") ? 1 : 0;
