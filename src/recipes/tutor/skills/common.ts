// What every skill's generator needs: choosing a language, numbers of a given length, and putting a problem together.

import type { Answer, Language, Problem } from "../problem.ts";
import type { Random } from "../random.ts";
import type { Scratch } from "../scratch.ts";
import type { Wording } from "../wording.ts";

/**
 * The language an answer is given in: Chinese when the question holds a Chinese or full-width character, else English.
 * A bare formula in plain characters is therefore answered in English words.
 */
export const languageOf = (question: string): Language =>
  /[\u2e80-\u9fff\uf900-\ufaff\u3000-\u303f\uff01-\uff5e]/.test(question) ? "zh" : "en";

export const anyLanguage = (rng: Random): Language => (rng.chance(0.5) ? "zh" : "en");

/** A number of exactly `length` digits; some have many nines or zeros so that carries and borrows run through them. */
export function ofLength(rng: Random, length: number): number {
  if (length === 1) return rng.int(1, 9);
  const mood = rng.next();
  const digit = (): number =>
    mood < 0.12 ? rng.pick([9, 8, 9, rng.int(0, 9)]) : mood < 0.24 ? rng.pick([0, 0, 1, rng.int(0, 9)]) : rng.int(0, 9);
  let n = rng.int(1, 9);
  for (let i = 1; i < length; i++) n = n * 10 + digit();
  return n;
}

/** A number of 1 to `most` digits, long ones more often: there are more of them. */
export function upTo(rng: Random, most: number): number {
  const length = rng.chance(0.5) ? most : rng.int(1, most);
  return ofLength(rng, length);
}

/** The final text: one sentence with the result in a box. */
export const boxed = (language: Language, result: string): string =>
  language === "zh" ? `答案是 \\boxed{${result}}。` : `The answer is \\boxed{${result}}.`;

export interface Draft {
  skill: string;
  level: number;
  key: string;
  wording: Wording;
  scratch: Scratch;
  answer: Answer;
  /** What the box shows, by language; or the whole reply. */
  result: string | ((language: Language) => string);
  reply?: (language: Language) => string;
}

export function finish(d: Draft): Problem {
  const language = languageOf(d.wording.text);
  const result = typeof d.result === "string" ? d.result : d.result(language);
  return {
    skill: d.skill,
    language,
    question: d.wording.text,
    answer: d.answer,
    trace: d.scratch.toString(),
    reply: d.reply ? d.reply(language) : boxed(language, result),
    meta: { level: d.level, key: d.key, phrasing: d.wording.id, heldOutPhrasing: d.wording.heldOut },
  };
}
