// Class D: exercises that are solved by searching: Countdown with three and four numbers, 24 points, two numbers from their
// sum and product, and small puzzles. How the search is written down is search.ts's affair.

import { type Expression, node, type Operator, print, value } from "../expression.ts";
import { ask, type Templates } from "../phrases.ts";
import {
  COINS,
  CONSECUTIVE,
  COUNTDOWN,
  OPERATORS,
  REMAINDERS,
  REVERSED,
  SUM_PRODUCT,
  TWENTY_FOUR,
} from "../phrases-search.ts";
import type { Language, Skill } from "../problem.ts";
import type { Random } from "../random.ts";
import type { Scratch } from "../scratch.ts";
import { item, searchFour, tryThree } from "../search.ts";
import { NAMES_EN } from "../stories-en.ts";
import { NAMES_ZH } from "../stories-zh.ts";
import type { Draft } from "./common.ts";
import { make, number } from "./school.ts";

type Drawn = Omit<Draft, "skill" | "level" | "scratch">;

function list(rng: Random, numbers: readonly number[], language: Language): string {
  if (language === "zh") {
    const gap = rng.pick(["\u3001", ",", "\uff0c", " ", ", "]);
    return rng.chance(0.2) ? `[${numbers.join(", ")}]` : numbers.join(gap);
  }
  const style = rng.next();
  if (style < 0.35) return `${numbers.slice(0, -1).join(", ")} and ${numbers[numbers.length - 1]}`;
  if (style < 0.55) return `[${numbers.join(", ")}]`;
  return numbers.join(rng.pick([", ", " ", ","]));
}

/** A target that the numbers can make: their random combination, whole and not negative on the way. */
function target(rng: Random, numbers: readonly number[]): number | undefined {
  let items: Expression[] = rng.shuffle(numbers);
  while (items.length > 1) {
    const [a, b, ...rest] = rng.shuffle(items);
    const e = node(rng.pick<Operator>(["+", "-", "*", "+", "-", "/"]), a, b);
    const v = value(e);
    if (!Number.isInteger(v) || v < 0 || v > 200) return undefined;
    items = [v, ...rest];
  }
  return items[0] as number;
}

/** The operations of an expression from the innermost outwards: `97-85=12`, `43-12=31`. */
function operationsOf(e: Expression): string[] {
  if (typeof e === "number") return [];
  const text = `${print(node(e.op, value(e.left), value(e.right)))}=${value(e)}`;
  return [...operationsOf(e.left), ...operationsOf(e.right), text];
}

/** Searches that need more branches than this are drawn again: their traces would not fit the context. */
const MOST_BRANCHES = 5;

function making(
  rng: Random,
  s: Scratch,
  language: Language,
  family: Templates,
  numbers: readonly number[],
  t: number,
): Drawn | undefined {
  const found = numbers.length === 3 ? tryThree(numbers.map(item), t) : searchFour(numbers, t, MOST_BRANCHES);
  if (!found?.solution) return undefined;
  for (const line of found.lines) s.say(line);
  const expression = print(found.solution);
  s.say(operationsOf(found.solution).join(";"));
  s.say(`${expression}=${t}`);
  const wording = ask(rng, family, language, { l: list(rng, numbers, language), t: `${t}` });
  const key = `${[...numbers].sort((a, b) => a - b).join(" ")}>${t}`;
  return { key, wording, answer: { kind: "make", numbers: [...numbers], target: t }, result: expression };
}

const countdown = (id: string, count: 3 | 4, weight: number): Skill =>
  make(id, "D", 3, weight, (rng, level, s, language) => {
    const top = level === 1 ? 10 : level === 2 ? 25 : 99;
    for (;;) {
      const numbers = Array.from({ length: count }, () => rng.int(1, top));
      const t = target(rng, numbers);
      if (t === undefined || t < 1 || t > 100 || numbers.includes(t)) continue;
      const drawn = making(rng, s, language, COUNTDOWN, numbers, t);
      if (drawn) return drawn;
    }
  });

const twentyFour = make("points24", "D", 2, 2.5, (rng, level, s, language) => {
  for (;;) {
    const numbers = Array.from({ length: 4 }, () => rng.int(1, level === 1 ? 10 : 13));
    const drawn = making(rng, s, language, TWENTY_FOUR, numbers, 24);
    if (drawn) return drawn;
  }
});

/** Sums up to here are searched from 1 on; above, the difference of the two numbers is computed. */
const SMALL_SUM = 24;

const sumProduct = make("sum-product", "D", 3, 1.2, (rng, level, s, language) => {
  const top = [9, 12, 20][level - 1];
  const [a, b] = [rng.int(1, top), rng.int(1, top)].sort((x, y) => x - y);
  const sum = a + b;
  const product = a * b;
  if (sum <= SMALL_SUM) {
    s.say(`${sum}>${product}`);
    const tries: string[] = [];
    for (let k = 1; k <= a; k++) tries.push(`${k}*${sum - k}=${compared(k * (sum - k), product)}`);
    s.say(tries.join(";"));
  } else {
    // (x-y)^2 = s^2-4p
    s.say(`${sum}*${sum}-4*${product}`);
    const square = s.multiply(sum, sum);
    const four = s.multiply(4, product);
    s.say(`=${square}-${four}`);
    const difference = s.subtract(square, four);
    s.say(`D=${difference}=${b - a}*${b - a}`);
    s.say(`x=(${sum}-${b - a})/2`);
    s.divide(s.subtract(sum, b - a), 2);
    s.say(`x=${a}`);
    s.say(`y=${sum}-${a}`);
    s.subtract(sum, a);
    s.say(`y=${b}`);
  }
  const wording = ask(rng, SUM_PRODUCT, language, { s: `${sum}`, p: `${product}` });
  const values = [`${a}`, `${b}`];
  return {
    key: `${sum} ${product}`,
    wording,
    answer: { kind: "numbers", values, ordered: false },
    result: values.join(", "),
  };
});

/** A value beside the goal, so that whether to stop can be seen at once: `18<24`, `24=24`. */
const compared = (value: number, goal: number): string =>
  `${value}${value < goal ? "<" : value > goal ? ">" : "="}${goal}`;

const puzzles: readonly ((rng: Random, level: number, s: Scratch, language: Language) => Drawn)[] = [
  // The smallest number with given remainders: go through the numbers that fit the larger divisor.
  (rng, level, s, language) => {
    const top = level === 1 ? 6 : level === 2 ? 8 : 9;
    let [a, b] = [rng.int(3, top), rng.int(3, top)];
    while (a === b || gcd(a, b) > 1) [a, b] = [rng.int(3, top), rng.int(3, top)];
    if (a > b) [a, b] = [b, a];
    const n = rng.int(b, a * b - 1);
    const [r, t] = [n % a, n % b];
    const tries: string[] = [];
    // A remainder of 0 on both sides asks for a positive number.
    let x = t === 0 ? b : t;
    for (; ; x += b) {
      const q = Math.floor(x / a);
      tries.push(`${x}/${a}=${x % a === 0 ? q : `${q}r${x % a}`}`);
      if (x % a === r) break;
    }
    s.say(`${a}r${r},${b}r${t}`);
    s.say(tries.join(";"));
    s.say(`=${x}`);
    const slots = { a: `${a}`, r: `${r}`, b: `${b}`, s: `${t}` };
    return {
      key: `remainders ${a} ${r} ${b} ${t}`,
      wording: ask(rng, REMAINDERS, language, slots),
      answer: number(x),
      result: `${x}`,
    };
  },
  // A two-digit number from its digit sum and what reversing adds.
  (rng, _level, s, language) => {
    const tens = rng.int(1, 8);
    const ones = rng.int(tens + 1, 9);
    const sum = tens + ones;
    const more = 9 * (ones - tens);
    const tries: string[] = [];
    for (let k = Math.max(1, sum - 9); k <= tens; k++)
      tries.push(`${sum - k}${k}-${k}${sum - k}=${compared(9 * (sum - 2 * k), more)}`);
    s.say(`${sum}>${more}`);
    s.say(tries.join(";"));
    const result = `${tens}${ones}`;
    s.say(`=${result}`);
    return {
      key: `reversed ${sum} ${more}`,
      wording: ask(rng, REVERSED, language, { s: `${sum}`, d: `${more}` }),
      answer: number(result),
      result,
    };
  },
  // Two consecutive numbers from their product: go up from the nearest ten below.
  (rng, level, s, language) => {
    const n = rng.int(2, [12, 30, 60][level - 1]);
    const product = n * (n + 1);
    s.say(`>${product}`);
    const tries: string[] = [];
    for (let k = n < 10 ? 1 : n - (n % 10); k <= n; k++) tries.push(`${k}*${k + 1}=${compared(k * (k + 1), product)}`);
    s.say(tries.join(";"));
    const values = [`${n}`, `${n + 1}`];
    return {
      key: `consecutive ${product}`,
      wording: ask(rng, CONSECUTIVE, language, { p: `${product}` }),
      answer: { kind: "numbers", values, ordered: false },
      result: values.join(", "),
    };
  },
  // Coins of two values: all of the first kind, then exchange one by one.
  (rng, level, s, language) => {
    const [a, b] = rng.pick([
      [1, 5],
      [1, 2],
      [2, 5],
      [5, 10],
      [1, 10],
      [10, 20],
    ] as const);
    const n = rng.int(3, [8, 12, 16][level - 1]);
    const k = rng.int(1, n - 1);
    const total = a * (n - k) + b * k;
    s.say(`${n}*${a}=${n * a}`);
    s.say(`${total}-${n * a}=${total - n * a}`);
    s.say(`${b}-${a}=${b - a}`);
    s.divide(total - n * a, b - a);
    s.say(`${n}-${k}=${n - k}`);
    s.say(`${n - k}*${a}+${k}*${b}=${total}`);
    const values = [`${n - k}`, `${k}`];
    const N = rng.pick(language === "zh" ? NAMES_ZH : NAMES_EN);
    const slots = { n: `${n}`, a: `${a}`, b: `${b}`, t: `${total}`, N };
    return {
      key: `coins ${n} ${a} ${b} ${total}`,
      wording: ask(rng, COINS, language, slots),
      answer: { kind: "numbers", values, ordered: true },
      result: values.join(", "),
    };
  },
  // Signs between given numbers.
  (rng, level, s, language) => {
    const count = level === 3 ? 4 : 3;
    const signs: readonly Operator[] = ["+", "-", "*"];
    for (;;) {
      const numbers = Array.from({ length: count }, () => rng.int(1, 9));
      const write = (ops: readonly Operator[]): Expression => {
        // Products first: fold them into the terms of a sum.
        let sum: Expression | undefined;
        let term: Expression = numbers[0];
        let pending: Operator = "+";
        ops.forEach((op, i) => {
          if (op === "*") term = node("*", term, numbers[i + 1]);
          else {
            sum = sum === undefined ? term : node(pending, sum, term);
            term = numbers[i + 1];
            pending = op;
          }
        });
        return sum === undefined ? term : node(pending, sum, term);
      };
      const all: Operator[][] = [[]];
      for (let i = 1; i < count; i++) all.splice(0, all.length, ...all.flatMap((o) => signs.map((x) => [...o, x])));
      const chosen = write(rng.pick(all));
      const t = value(chosen);
      if (t < 1 || t > 99) continue;
      const tries: string[] = [];
      let found = "";
      for (const ops of all) {
        const e = write(ops);
        tries.push(`${print(e)}=${compared(value(e), t)}`);
        if (value(e) === t) {
          found = print(e);
          break;
        }
      }
      if (tries.length > 14) continue;
      const gaps = rng.pick(["_", "_", "__", "?", "( )"]);
      const g = `${numbers.join(` ${gaps} `)} = ${t}`;
      s.say(`${numbers.join(" ")}>${t}`);
      s.say(tries.join(";"));
      return {
        key: `signs ${numbers.join(" ")} ${t}`,
        wording: ask(rng, OPERATORS, language, { g }),
        answer: { kind: "make", numbers, target: t, inOrder: true },
        result: found,
      };
    }
  },
];

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

const puzzle = make("puzzle", "D", 3, 2.5, (rng, level, s, language) => rng.pick(puzzles)(rng, level, s, language));

export const HUNTS: readonly Skill[] = [
  countdown("countdown3", 3, 2),
  countdown("countdown4", 4, 2.5),
  twentyFour,
  sumProduct,
  puzzle,
];
