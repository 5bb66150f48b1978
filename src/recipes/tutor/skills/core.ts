// Class A: sums, differences, products, division by one digit, expressions of two operations, and the first equations.

import { bracketed, type Expression, node, type Operator, print, workOut } from "../expression.ts";
import { ask, EVALUATE, IN_WORDS, SOLVE, typed } from "../phrases.ts";
import type { Language, Skill } from "../problem.ts";
import type { Random } from "../random.ts";
import { Scratch } from "../scratch.ts";
import type { Wording } from "../wording.ts";
import { anyLanguage, finish, ofLength, upTo } from "./common.ts";

/** A single operation, asked as a formula or in words. */
function askOperation(rng: Random, op: Operator, a: number, b: number, language: Language): Wording {
  if (rng.chance(0.3) && a >= 0 && b >= 0) return ask(rng, IN_WORDS[op], language, { a: String(a), b: String(b) });
  return ask(rng, EVALUATE, language, { e: typed(rng, print(node(op, a, b)), language) });
}

/** One operation between two natural numbers, the first possibly the smaller. */
export function operation(
  id: string,
  skillClass: "A" | "B",
  op: Operator,
  levels: number,
  weight: number,
  draw: (rng: Random, level: number) => [number, number],
): Skill {
  return {
    id,
    class: skillClass,
    levels,
    weight,
    understood: true,
    generate(rng, level) {
      const [a, b] = draw(rng, level);
      const s = new Scratch();
      const result = String(workOut(s, node(op, a, b)));
      const wording = askOperation(rng, op, a, b, anyLanguage(rng));
      return finish({
        skill: id,
        level,
        key: `${a}${op}${b}`,
        wording,
        scratch: s,
        answer: { kind: "number", value: result },
        result,
      });
    },
  };
}

const addition = operation("add", "A", "+", 5, 3, (rng, level) => [upTo(rng, level + 1), upTo(rng, level + 1)]);

const subtraction = operation("subtract", "A", "-", 5, 3.5, (rng, level) => {
  const a = upTo(rng, level + 1);
  const b = upTo(rng, level + 1);
  // A quarter of the differences are negative.
  return a < b !== rng.chance(0.25) ? [b, a] : [a, b];
});

const MULTIPLY_LENGTHS: readonly (readonly [number, number])[][] = [
  [[1, 1]],
  [
    [2, 1],
    [1, 2],
  ],
  [
    [3, 1],
    [1, 3],
    [3, 1],
  ],
  [[2, 2]],
  [
    [3, 2],
    [3, 2],
    [2, 3],
  ],
];
const multiplication = operation("multiply", "A", "*", 5, 2.5, (rng, level) => {
  const [m, n] = rng.pick(MULTIPLY_LENGTHS[level - 1]);
  return [ofLength(rng, m), ofLength(rng, n)];
});

const divisionResult = (quotient: number, remainder: number) => (language: Language) =>
  remainder === 0
    ? `${quotient}`
    : language === "zh"
      ? `${quotient}余${remainder}`
      : `${quotient} remainder ${remainder}`;

/** Division by numbers of `digits` digits, with and without remainder. */
export function division(
  id: string,
  skillClass: "A" | "B",
  levels: number,
  weight: number,
  draw: (rng: Random, level: number) => [number, number],
): Skill {
  return {
    id,
    class: skillClass,
    levels,
    weight,
    understood: true,
    generate(rng, level) {
      const [a, b] = draw(rng, level);
      const s = new Scratch();
      const { quotient, remainder } = s.divide(a, b);
      s.head(`${a}/${b}`, 0);
      return finish({
        skill: id,
        level,
        key: `${a}/${b}`,
        wording: askOperation(rng, "/", a, b, anyLanguage(rng)),
        scratch: s,
        answer: remainder
          ? { kind: "division", quotient: String(quotient), remainder: String(remainder) }
          : { kind: "number", value: String(quotient) },
        result: divisionResult(quotient, remainder),
      });
    },
  };
}

const shortDivision = division("divide", "A", 4, 2, (rng, level) => {
  const b = rng.int(2, 9);
  let a = ofLength(rng, level + (level === 1 ? rng.int(0, 1) : 0));
  if (rng.chance(0.4)) a = Math.max(b, a - (a % b));
  return [a, b];
});

/** A random expression whose intermediate values stay whole, and within `limit`. */
export function randomExpression(rng: Random, operations: number, level: number, negatives: boolean): Expression {
  const limit = [99, 999, 9999, 9999, 9999][level - 1];
  for (;;) {
    const built = build(rng, operations, level, negatives);
    if (built && Math.abs(built.value) <= limit && (negatives || built.least >= 0)) return built.e;
  }
}

interface Built {
  e: Expression;
  value: number;
  /** The least value on the way. */
  least: number;
}

function build(rng: Random, operations: number, level: number, negatives: boolean): Built | undefined {
  if (operations === 0) {
    let n = upTo(rng, level <= 1 ? 1 + rng.int(0, 1) : level <= 3 ? 2 : 3);
    if (negatives && rng.chance(0.25)) n = -n;
    return { e: n, value: n, least: negatives ? 0 : n };
  }
  const onLeft = rng.chance(0.6) ? operations - 1 : rng.int(0, operations - 1);
  const left = build(rng, onLeft, level, negatives);
  if (!left) return undefined;
  const op = rng.pick<Operator>(["+", "-", "*", "/", "+", "-", "*"]);
  let right = build(rng, operations - 1 - onLeft, level, negatives);
  if (!right) return undefined;
  if (op === "/") {
    // Division must come out whole: choose a small divisor of the left value.
    const v = Math.abs(left.value);
    const divisors = [2, 3, 4, 5, 6, 7, 8, 9].filter((d) => v % d === 0 && v >= d);
    if (operations - 1 - onLeft > 0 || divisors.length === 0) return undefined;
    const d = rng.pick(divisors);
    right = { e: d, value: d, least: d };
  } else if (op === "*" && typeof right.e === "number" && Math.abs(right.value) > 9 && Math.abs(left.value) > 9) {
    const d = rng.int(2, 9);
    right = { e: d, value: d, least: d };
  }
  if (op === "*" && Math.min(Math.abs(left.value), Math.abs(right.value)) > 99) return undefined;
  const value =
    op === "+"
      ? left.value + right.value
      : op === "-"
        ? left.value - right.value
        : op === "*"
          ? left.value * right.value
          : left.value / right.value;
  if (Math.abs(value) > 99999) return undefined;
  const e = node(op, left.e, right.e);
  return { e, value, least: Math.min(left.least, right.least, value) };
}

export function expressionSkill(
  id: string,
  skillClass: "A" | "B",
  levels: number,
  weight: number,
  draw: (rng: Random, level: number) => Expression,
): Skill {
  return {
    id,
    class: skillClass,
    levels,
    weight,
    understood: true,
    generate(rng, level) {
      const e = draw(rng, level);
      const language = anyLanguage(rng);
      const text = print(e);
      const s = new Scratch();
      const result = String(workOut(s, e));
      const wording = ask(rng, EVALUATE, language, { e: typed(rng, text, language) });
      return finish({
        skill: id,
        level,
        key: text,
        wording,
        scratch: s,
        answer: { kind: "number", value: result },
        result,
      });
    },
  };
}

const twoOperations = expressionSkill("expression2", "A", 3, 2, (rng, level) => {
  const e = randomExpression(rng, 2, level, false);
  if (typeof e === "number" || !rng.chance(0.1) || typeof e.left === "number") return e;
  return { ...e, left: bracketed(e.left) };
});

/** `3x+5`, `x-4`, `-2x`: a linear form in the scratchpad's notation. */
export function linear(a: number, b: number, x = "x"): string {
  const head = a === 1 ? x : a === -1 ? `-${x}` : `${a}${x}`;
  return b === 0 ? head : b > 0 ? `${head}+${b}` : `${head}${b}`;
}

/** Writes `x=c/a` and its division when a is not 1, and `x=…`; c/a must be whole. */
export function divideBy(s: Scratch, a: number, c: number, x = "x"): number {
  let result = c;
  if (a === -1) result = -c || 0;
  else if (a !== 1) {
    s.say(`${x}=${c}/${a < 0 ? `(${a})` : a}`);
    result = s.divideExactly(c, a);
  }
  s.say(`${x}=${result}`);
  return result;
}

/** Moves b to the other side of `left = c` where left is something plus b: writes the step and its calculation. */
export function moveOver(s: Scratch, left: string, b: number, c: number): number {
  if (b === 0) return c;
  s.say(`${left}=${c}${b > 0 ? `-${b}` : `+${-b}`}`);
  return b > 0 ? s.subtract(c, b) : s.add(c, -b);
}

const letters = [..."xxxxxxxxyyyaanzztmkbp"];

function askEquation(rng: Random, equation: string, x: string): Wording {
  const language = anyLanguage(rng);
  // Some write 20=5+3x for 3x+5=20.
  let written = equation;
  if (rng.chance(0.1)) written = written.replace(/^(\d*[a-z])\+(\d+)=/, "$2+$1=");
  if (rng.chance(0.08)) written = written.replace(/^(.+)=(.+)$/, "$2=$1");
  let look = typed(rng, written, language, { slash: true });
  if (rng.chance(0.1)) look = look.replace(new RegExp(`(\\d) ?(?=${x})`), "$1*").replace(/(\d) ?(?=\()/, "$1*");
  return ask(rng, SOLVE, language, { e: look, x });
}

export interface EquationDraft {
  equation: string;
  x: string;
  scratch: Scratch;
  root: number;
}

export function equationSkill(
  id: string,
  skillClass: "A" | "B",
  levels: number,
  weight: number,
  draw: (rng: Random, level: number, x: string) => EquationDraft,
): Skill {
  return {
    id,
    class: skillClass,
    levels,
    weight,
    understood: true,
    generate(rng, level) {
      const d = draw(rng, level, rng.pick(letters));
      return finish({
        skill: id,
        level,
        key: d.equation.replaceAll(d.x, "x"),
        wording: askEquation(rng, d.equation, d.x),
        scratch: d.scratch,
        answer: { kind: "numbers", values: [String(d.root)], ordered: true, names: [d.x] },
        result: `${d.root}`,
      });
    },
  };
}

const signedOfLength = (rng: Random, most: number, negative: number): number => {
  const n = upTo(rng, most);
  return rng.chance(negative) ? -n : n;
};

const addEquation = equationSkill("equation-add", "A", 3, 1.3, (rng, level, x) => {
  const root = signedOfLength(rng, level, 0.15);
  const b = signedOfLength(rng, level, 0.5);
  const c = root + b;
  const s = new Scratch();
  // Written x+b=c, or b+x=c when b is positive.
  const equation = b > 0 && rng.chance(0.25) ? `${b}+${x}=${c}` : `${linear(1, b, x)}=${c}`;
  s.say(equation);
  moveOver(s, x, b, c);
  divideBy(s, 1, root, x);
  return { equation, x, scratch: s, root };
});

const linearEquation = equationSkill("equation-linear", "A", 3, 1.3, (rng, level, x) => {
  const root = level === 1 ? rng.int(1, 12) : signedOfLength(rng, 2, 0.2);
  const a = level === 3 ? rng.int(2, 12) : rng.int(2, 9);
  const b = rng.chance(0.08) ? 0 : level === 1 ? rng.int(1, 20) : signedOfLength(rng, 2, 0.4);
  const c = a * root + b;
  const s = new Scratch();
  const equation = `${linear(a, b, x)}=${c}`;
  s.say(equation);
  divideBy(s, a, moveOver(s, `${a}${x}`, b, c), x);
  return { equation, x, scratch: s, root };
});

const bracketEquation = equationSkill("equation-bracket", "A", 3, 1.3, (rng, level, x) => {
  const root = level === 1 ? rng.int(1, 12) : signedOfLength(rng, 2, 0.2);
  const a = rng.int(2, 9);
  const b = level === 1 ? rng.int(1, 12) : signedOfLength(rng, level === 2 ? 1 : 2, 0.4);
  const inner = root + b;
  const c = a * inner;
  const s = new Scratch();
  const equation = `${a}(${linear(1, b, x)})=${c}`;
  s.say(equation);
  s.say(`${linear(1, b, x)}=${c}/${a}`);
  s.divideExactly(c, a);
  moveOver(s, x, b, inner);
  divideBy(s, 1, root, x);
  return { equation, x, scratch: s, root };
});

export const CORE: readonly Skill[] = [
  addition,
  subtraction,
  multiplication,
  shortDivision,
  twoOperations,
  addEquation,
  linearEquation,
  bracketEquation,
];
