// Retry rows: a trace in which one line goes wrong, is noticed, marked with `!`, and written again correctly. Training on some
// of them teaches a model to recover from its own slips (arXiv 2408.16293). The marked line stops where the slip is.

import type { Problem } from "./problem.ts";
import type { Random } from "./random.ts";

/** The problem with one line of its trace slipped and corrected; unchanged when no line ends in a number. */
export function withRetries(rng: Random, problem: Problem): Problem {
  if (problem.answer.kind === "refusal" || problem.answer.kind === "talk") return problem;
  const lines = problem.trace.split("\n");
  const candidates = lines.map((line, i) => (/[=~]\d+/.test(line.slice(1)) ? i : -1)).filter((i) => i >= 0);
  if (candidates.length === 0) return problem;
  const at = rng.pick(candidates);
  const slipped = slip(rng, lines[at]);
  if (slipped === undefined) return problem;
  lines.splice(at, 0, `${slipped}!`);
  return { ...problem, trace: lines.join("\n") };
}

/** The line up to one of its results, with that result wrong. */
export function slip(rng: Random, line: string): string | undefined {
  const results = [...line.matchAll(/[=~](\d+)/g)].filter((m) => m.index > 0);
  if (results.length === 0) return undefined;
  const m = rng.pick(results);
  const digits = m[1];
  // Most slips are off by one in one digit.
  const i = rng.int(0, digits.length - 1);
  const d = digits.charCodeAt(i) - 48;
  const wrong = rng.chance(0.7) ? (d + rng.pick([1, 9])) % 10 : (d + rng.int(1, 9)) % 10;
  return line.slice(0, m.index + 1) + digits.slice(0, i) + wrong + digits.slice(i + 1);
}
