// What the tutor's tasks are made of: problems, their canonical answers, skills. It knows no generator and no model.

import type { Random } from "./random.ts";

export type Language = "zh" | "en";
export const SKILL_CLASSES = ["A", "B", "C", "D", "manners"] as const;
export type SkillClass = (typeof SKILL_CLASSES)[number];

/** Numbers are written exactly, as `rational.ts` reads and writes them: `-35`, `11/12`. */
export type Answer =
  /** `lowest`: a fraction must be in lowest terms to count. `percent`: so many percent, with or without the sign. */
  | { kind: "number"; value: string; lowest?: boolean; percent?: boolean }
  | { kind: "division"; quotient: string; remainder: string }
  /** Several numbers: named unknowns, a vector, a ratio (ordered), or roots and pairs (any order). */
  | { kind: "numbers"; values: string[]; ordered: boolean; names?: string[] }
  /** Any expression that uses each of `numbers` exactly once (`inOrder`: as given, without brackets) and has the value `target`. */
  | { kind: "make"; numbers: number[]; target: number; inOrder?: boolean }
  /** The first wrong step of a solution, counted from 1; 0 when every step is right. */
  | { kind: "verdict"; step: number }
  /** A hint: helps without telling `secret`. */
  | { kind: "hint"; secret: string }
  | { kind: "refusal" }
  /** Small talk: the reply contains `says`. */
  | { kind: "talk"; says: string };

export interface Problem {
  skill: string;
  language: Language;
  question: string;
  answer: Answer;
  /** The thinking: a scratchpad of steps, one procedure per line (docs/tutor-tasks.md has the notation). */
  trace: string;
  /** The final text, with the result as `\boxed{...}` where there is one. */
  reply: string;
  meta: {
    level: number;
    /** What is computed, without its wording: the same key means the same exercise. */
    key: string;
    /** How it is asked, without the numbers. */
    phrasing: string;
    /** The wording belongs to the held-out phrasings. */
    heldOutPhrasing: boolean;
  };
}

export interface Skill {
  id: string;
  class: SkillClass;
  /** Levels run from 1 (easiest) to `levels`. */
  levels: number;
  /** How often the skill is drawn, relative to the others; skills with more ground to cover have more. */
  weight: number;
  /** `understand` recognises every question of this skill. */
  understood: boolean;
  /** Pure and seeded: the same random state gives the same problem. */
  generate(rng: Random, level: number): Problem;
}
