// Word problems of one to three steps (class C). The trace starts with the expression read from the story and works it out.
// The stories are in stories-zh.ts and stories-en.ts.

import { type Expression, node, type Operator, workOut } from "../expression.ts";
import { ask } from "../phrases.ts";
import type { Language, Skill } from "../problem.ts";
import type { Random } from "../random.ts";
import { NAMES_EN, STORIES_EN, THINGS_EN } from "../stories-en.ts";
import { NAMES_ZH, STORIES_ZH, THINGS_ZH } from "../stories-zh.ts";
import { make, number } from "./school.ts";

const STORIES = { zh: STORIES_ZH, en: STORIES_EN } as const;

const parsed = new Map<string, (values: Readonly<Record<string, number>>) => Expression>();

/** Reads `(a+b)*k`: letters, whole numbers, + - * / and brackets. */
export function formula(text: string): (values: Readonly<Record<string, number>>) => Expression {
  const cached = parsed.get(text);
  if (cached) return cached;
  let at = 0;
  type Build = (v: Readonly<Record<string, number>>) => Expression;
  const atom = (): Build => {
    if (text[at] === "(") {
      at++;
      const inner = chain("+-");
      at++;
      return inner;
    }
    const word = /^(\d+|[a-z])/.exec(text.slice(at))?.[0];
    if (word === undefined) throw new SyntaxError(`"${text}" is no formula at "${text.slice(at)}"`);
    at += word.length;
    return /\d/.test(word) ? () => Number(word) : (v) => v[word];
  };
  const chain = (ops: string): Build => {
    const next = ops === "+-" ? () => chain("*/") : atom;
    let left = next();
    while (at < text.length && ops.includes(text[at])) {
      const op = text[at++] as Operator;
      const a = left;
      const b = next();
      left = (v) => node(op, a(v), b(v));
    }
    return left;
  };
  const build = chain("+-");
  if (at !== text.length) throw new SyntaxError(`"${text}" is no formula at "${text.slice(at)}"`);
  parsed.set(text, build);
  return build;
}

/** Whether everything on the way is a whole number from 1 to 99999. */
function sound(e: Expression): number | undefined {
  if (typeof e === "number") return e;
  const a = sound(e.left);
  const b = sound(e.right);
  if (a === undefined || b === undefined) return undefined;
  const v = e.op === "+" ? a + b : e.op === "-" ? a - b : e.op === "*" ? a * b : a / b;
  return Number.isInteger(v) && v >= 1 && v <= 99999 ? v : undefined;
}

function drawValues(rng: Random, letters: readonly string[], level: number): Record<string, number> {
  const values: Record<string, number> = {};
  const top = level === 1 ? 30 : level === 2 ? 100 : 400;
  for (const letter of letters) {
    if (letter === "p") values.p = rng.int(1, 18) * 5;
    else if (letter === "k" || letter === "m" || letter === "n")
      values[letter] = rng.int(2, level === 1 ? 6 : level === 2 ? 9 : 12);
    else values[letter] = rng.chance(0.3) ? rng.int(2, 20) : rng.int(2, top);
  }
  return values;
}

export interface Story {
  /** The wording's template and what fills it. */
  text: string;
  slots: Record<string, string>;
  e: Expression;
  key: string;
}

/** A story of so many steps with numbers that leave everything whole. */
export function drawStory(rng: Random, steps: 1 | 2 | 3, level: number, language: Language): Story {
  for (;;) {
    const [text, expression] = rng.pick(STORIES[language][steps]).split("=>");
    const letters = [...new Set(expression.match(/[a-z]/g))];
    const build = formula(expression);
    let e: Expression | undefined;
    let values: Record<string, number> = {};
    for (let tries = 0; tries < 300 && e === undefined; tries++) {
      values = drawValues(rng, letters, level);
      // Division asks for luck: help it by letting the first amount grow to fit.
      for (let grow = 0; grow < 12; grow++) {
        const candidate = build(values);
        if (sound(candidate) !== undefined) {
          e = candidate;
          break;
        }
        if (values.a === undefined || !expression.includes("/")) break;
        values.a += 1;
      }
    }
    if (e === undefined) continue;
    const slots: Record<string, string> = Object.fromEntries(letters.map((l) => [l, `${values[l]}`]));
    [slots.N, slots.M, slots.O] = rng.shuffle(language === "zh" ? NAMES_ZH : NAMES_EN);
    if (language === "zh") [slots.Q, slots.I] = rng.pick(THINGS_ZH);
    else slots.I = rng.pick(THINGS_EN);
    return { text, slots, e, key: `${expression} ${letters.map((l) => values[l]).join(" ")}` };
  }
}

const stories = (steps: 1 | 2 | 3, weight: number): Skill =>
  make(`story${steps}`, "C", 3, weight, (rng, level, s, language: Language) => {
    const { text, slots, e, key } = drawStory(rng, steps, level, language);
    const result = workOut(s, e);
    const wording = ask(rng, { zh: [text], en: [text] }, language, slots);
    return { key, wording, answer: number(result), result: `${result}` };
  });

export const WORD_PROBLEMS: readonly Skill[] = [stories(1, 3), stories(2, 4), stories(3, 4)];
