// The two fixed test sets (operands never trained on; wordings never trained on), their fingerprints, and the summary of a
// model's answers to them. It asks no model.

import { createHash } from "node:crypto";
import { draw } from "./mixture.ts";
import { type Problem, SKILL_CLASSES, type SkillClass } from "./problem.ts";
import { random } from "./random.ts";
import { skill, skillsOf } from "./registry.ts";
import { type Completion, verify } from "./verify.ts";

export type TestSet = "operands" | "phrasing";

/** Problems per class in each test set. */
const PER_CLASS = 600;

/**
 * The problems of a class in a test set: all its skills and levels alike, no question twice. Sets of different sizes have
 * the same beginning per skill.
 */
export function testSet(name: TestSet, skillClass: SkillClass, size = PER_CLASS): Problem[] {
  const skills = skillsOf(skillClass);
  const streams = skills.map((s) => ({
    id: s.id,
    rng: random(`test ${name} ${s.id}`),
    drawn: 0,
    seen: new Set<string>(),
  }));
  const out: Problem[] = [];
  for (let i = 0; out.length < size; i++) {
    const stream = streams[i % streams.length];
    const level = 1 + (stream.drawn++ % skill(stream.id).levels);
    for (let tries = 0; ; tries++) {
      const problem = draw(stream.rng, stream.id, level, name);
      // Small skills may run out of different questions: then one comes twice.
      if (stream.seen.has(problem.question) && tries < 50) continue;
      stream.seen.add(problem.question);
      out.push(problem);
      break;
    }
  }
  return out;
}

/** SHA-256 over the questions and answers of a set, in hexadecimal. */
export function fingerprint(problems: readonly Problem[]): string {
  const sum = createHash("sha256");
  for (const p of problems) sum.update(`${JSON.stringify([p.skill, p.question, p.answer])}\n`);
  return sum.digest("hex");
}

export interface Tally {
  n: number;
  correct: number;
  formatOk: number;
  languageOk: number;
  answerAgrees: number;
  /** Of `correct/n`, 95 % (Wilson's score interval). */
  interval: [number, number];
}

/** Wilson, J. Am. Stat. Assoc. 22 (1927) 209: the 95 % interval of a proportion. */
export function wilson(successes: number, n: number): [number, number] {
  if (n === 0) return [0, 1];
  const z = 1.959964;
  const p = successes / n;
  const middle = p + (z * z) / (2 * n);
  const half = z * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  const scale = 1 + (z * z) / n;
  return [Math.max(0, (middle - half) / scale), Math.min(1, (middle + half) / scale)];
}

/** Counts by class and by skill (`B`, `B/gcd`). */
export function summarise(
  answers: readonly { problem: Problem; completion: string | Completion }[],
): Record<string, Tally> {
  const out: Record<string, Tally> = {};
  for (const { problem, completion } of answers) {
    const v = verify(problem, completion);
    const skillClass = skill(problem.skill).class;
    for (const name of [skillClass, `${skillClass}/${problem.skill}`]) {
      const t = (out[name] ??= { n: 0, correct: 0, formatOk: 0, languageOk: 0, answerAgrees: 0, interval: [0, 1] });
      t.n++;
      for (const key of ["correct", "formatOk", "languageOk", "answerAgrees"] as const) if (v[key]) t[key]++;
    }
  }
  for (const t of Object.values(out)) t.interval = wilson(t.correct, t.n);
  return out;
}

/** Both test sets of every class. */
export const allTestSets = (): { name: TestSet; skillClass: SkillClass; problems: Problem[] }[] =>
  (["operands", "phrasing"] as const).flatMap((name) =>
    SKILL_CLASSES.map((skillClass) => ({ name, skillClass, problems: testSet(name, skillClass) })),
  );
