// Retry rows: a trace in which one line goes wrong, is noticed, marked with `!`, and written again correctly. Training on some
// of them teaches a model to recover from its own slips (arXiv 2408.16293). The marked line stops where the slip is; a wrong
// trial digit of a long division shows itself one line later, in its product or remainder.

import type { Problem } from "./problem.ts";
import type { Random } from "./random.ts";
import { Scratch } from "./scratch.ts";

/** The problem with one line of its trace slipped and corrected; unchanged when no line ends in a number. */
export function withRetries(rng: Random, problem: Problem): Problem {
  if (problem.answer.kind === "refusal" || problem.answer.kind === "talk") return problem;
  const lines = problem.trace.split("\n");
  const candidates = lines.map((line, i) => (/[=~]\d+/.test(line.slice(1)) ? i : -1)).filter((i) => i >= 0);
  // Trial digits are where slips really happen.
  const trials = candidates.filter((i) => lines[i].includes("~"));
  if (candidates.length === 0) return problem;
  const at = rng.pick(trials.length > 0 && rng.chance(0.5) ? trials : candidates);
  const detour = wrongTrial(rng, lines[at]) ?? [slip(rng, lines[at])];
  if (detour[0] === undefined) return problem;
  detour[detour.length - 1] += "!";
  lines.splice(at, 0, ...(detour as string[]));
  return { ...problem, trace: lines.join("\n") };
}

/** `73/23~4` and the product that is too big, or `73/23~2` and the remainder that is. */
function wrongTrial(rng: Random, line: string): string[] | undefined {
  const m = /^(\d+)\/(\d+)~(\d+)$/.exec(line);
  if (!m) return undefined;
  const [chunk, divisor, digit] = [Number(m[1]), Number(m[2]), Number(m[3])];
  const trial = digit === 0 ? 1 : digit === 9 ? 8 : digit + rng.pick([1, -1]);
  if (trial === 0) return [`${chunk}/${divisor}~0`];
  const s = new Scratch();
  s.say(`${chunk}/${divisor}~${trial}`);
  const product = trial === 1 ? divisor : s.multiply(divisor, trial);
  if (product <= chunk) s.subtract(chunk, product);
  return s.lines;
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
