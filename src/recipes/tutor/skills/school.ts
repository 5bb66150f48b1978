// Class B without the algebra: longer products and quotients, longer expressions, fractions, decimals, percentages, gcd and
// lcm, units, ratios, averages.

import { type Expression, node, print, value, workOut } from "../expression.ts";
import { ask, EVALUATE, IN_WORDS, typed } from "../phrases.ts";
import {
  AVERAGE,
  CONVERT,
  FRACTION_OF,
  GCD,
  LCM,
  PERCENT,
  PROPORTION,
  RATIO_SHARE,
  RATIO_SIMPLIFY,
  SIMPLIFY,
} from "../phrases-school.ts";
import type { Answer, Language, Skill } from "../problem.ts";
import type { Random } from "../random.ts";
import { divide, formatDecimal, formatRational, multiply, rational } from "../rational.ts";
import { Scratch } from "../scratch.ts";
import type { Wording } from "../wording.ts";
import { anyLanguage, type Draft, finish, ofLength, upTo } from "./common.ts";
import { division, expressionSkill, operation, randomExpression } from "./core.ts";
import { DAY, UNITS, type Unit, WEEK } from "./facts.ts";

export const greatest = (a: number, b: number): number => (b === 0 ? Math.abs(a) : greatest(b, a % b));

/** Longest trace, in characters; rare exercises that need more are drawn again. */
const LONGEST_TRACE: Readonly<Record<Skill["class"], number>> = { A: 360, B: 360, C: 360, D: 620, manners: 360 };

/** A skill of class B or C: `draw` makes everything but the name. */
export function make(
  id: string,
  skillClass: Skill["class"],
  levels: number,
  weight: number,
  draw: (rng: Random, level: number, s: Scratch, language: Language) => Omit<Draft, "skill" | "level" | "scratch">,
): Skill {
  return {
    id,
    class: skillClass,
    levels,
    weight,
    understood: true,
    generate(rng, level) {
      for (;;) {
        const scratch = new Scratch();
        const drawn = draw(rng, level, scratch, anyLanguage(rng));
        if (scratch.length <= LONGEST_TRACE[skillClass]) return finish({ ...drawn, skill: id, level, scratch });
      }
    },
  };
}

export const number = (result: string | number, extra: { lowest?: boolean; percent?: boolean } = {}): Answer => ({
  kind: "number",
  value: String(result),
  ...extra,
});

const LONG_LENGTHS: readonly (readonly [number, number])[][] = [
  [
    [4, 1],
    [5, 1],
  ],
  [
    [3, 2],
    [4, 2],
    [2, 4],
  ],
  [
    [3, 3],
    [4, 3],
    [3, 4],
    [3, 3],
  ],
];
const longMultiplication = operation("multiply-long", "B", "*", 3, 2.5, (rng, level) => {
  const [m, n] = rng.pick(LONG_LENGTHS[level - 1]);
  return [ofLength(rng, m), ofLength(rng, n)];
});

const longDivision = division("divide-long", "B", 4, 3, (rng, level) => {
  const b = rng.int(11, 99);
  const top = [9, 99, 99, 999][level - 1];
  const quotient = rng.int(level === 1 ? 2 : Math.ceil(top / 10), top);
  const remainder = rng.chance(0.5) ? 0 : rng.int(0, b - 1);
  return [Math.min(quotient * b + remainder, level === 3 ? 9999 : 99999), b];
});

const expression3 = expressionSkill("expression3", "B", 3, 1.5, (rng, level) => randomExpression(rng, 3, level, false));
const expression4 = expressionSkill("expression4", "B", 3, 2, (rng, level) => randomExpression(rng, 4, level, false));
const negatives = expressionSkill("negative", "B", 4, 2, (rng, level) => {
  for (;;) {
    const e = randomExpression(rng, level, level === 1 ? 2 : rng.int(1, 2), true);
    if (value(e) < 0 || /-/.test(print(e).replace(/\d-\d/g, ""))) return e;
  }
});

/** gcd(a, b) with its lines; 1 is recognised as soon as a remainder of 1 appears. */
function gcdLines(s: Scratch, a: number, b: number): number {
  if (a < b) [a, b] = [b, a];
  while (b > 1) [a, b] = [b, s.remainder(a, b)];
  return b === 1 ? 1 : a;
}

/** Ends a fraction's trace: `n/d` is the current state; cancels it and returns how it is written. */
export function cancel(s: Scratch, n: number, d: number): string {
  const top = Math.abs(n);
  const sign = n < 0 ? "-" : "";
  if (n === 0) {
    s.say("=0");
    return "0";
  }
  if (d === 1) {
    s.state(`=${n}`);
    return `${n}`;
  }
  const g = gcdLines(s, top, d);
  if (g === 1) {
    s.state(`=${n}/${d}`);
    return `${n}/${d}`;
  }
  // When d divides n, the first division was the answer already.
  const a = g === d ? top / d : s.divide(top, g).quotient;
  const b = g === d ? 1 : s.divide(d, g).quotient;
  const text = b === 1 ? `${sign}${a}` : `${sign}${a}/${b}`;
  s.state(`=${text}`);
  return text;
}

function drawFraction(rng: Random, level: number): [number, number] {
  const d = rng.int(2, level === 1 ? 9 : 12);
  let n = rng.int(1, level < 3 || rng.chance(0.7) ? d - 1 : 2 * d);
  while (greatest(n, d) > 1 && rng.chance(0.9)) n = rng.int(1, d - 1);
  return [n, d];
}

const least = (a: number, b: number): number => (a / greatest(a, b)) * b;

const fractionSum = make("fraction-add", "B", 3, 2.5, (rng, level, s, language) => {
  let [a, b] = drawFraction(rng, level);
  let [c, d] = drawFraction(rng, level);
  if (rng.chance(level === 1 ? 0.4 : 0.15)) [c, d] = [rng.int(1, b - 1), b];
  // Sometimes one of the two is a whole number.
  if (level > 1 && rng.chance(0.12)) [a, b] = [rng.int(1, 9), 1];
  else if (level > 1 && rng.chance(0.06)) [c, d] = [rng.int(1, 9), 1];
  const op = rng.pick(["+", "-"] as const);
  const write = (n: number, under: number): string => (under === 1 ? `${n}` : `${n}/${under}`);
  const text = `${write(a, b)}${op}${write(c, d)}`;
  s.say(text);
  const common = least(b, d);
  let [x, y] = [a, c];
  if (b !== d) {
    if (b > 1 && d > 1) s.say(`lcm(${b},${d})=${common}`);
    const [p, q] = [common / b, common / d];
    [x, y] = [a * p, c * q];
    if (p > 1) {
      if (b > 1) s.divide(common, b);
      s.multiply(a, p);
    }
    if (q > 1) {
      if (d > 1) s.divide(common, d);
      s.multiply(c, q);
    }
    s.say(`=${x}/${common}${op}${y}/${common}`);
  }
  const top = op === "+" ? s.add(x, y) : s.subtract(x, y);
  s.say(`=${top}/${common}`);
  const result = cancel(s, top, common);
  const wording = ask(rng, EVALUATE, language, { e: typed(rng, text, language, { slash: true }) });
  return { key: text, wording, answer: number(result, { lowest: true }), result };
});

const fractionProduct = make("fraction-multiply", "B", 3, 2, (rng, level, s, language) => {
  const [a, b] = drawFraction(rng, level);
  const [c, d] = rng.chance(0.12) ? [rng.int(2, 12), 1] : drawFraction(rng, level);
  const times = rng.chance(0.5);
  const second = d === 1 ? `${c}` : `${c}/${d}`;
  const text = times ? `${a}/${b}*${second}` : `${a}/${b}/${d === 1 ? second : `(${second})`}`;
  s.say(text);
  const [p, q] = times ? [c, d] : [d, c];
  s.say(q === 1 ? `=${a}*${p}/${b}` : p === 1 ? `=${a}/(${b}*${q})` : `=(${a}*${p})/(${b}*${q})`);
  const top = p === 1 ? a : s.multiply(a, p);
  const bottom = q === 1 ? b : s.multiply(b, q);
  s.say(`=${top}/${bottom}`);
  const result = cancel(s, top, bottom);
  let look = `${a}/${b} ${times ? rng.pick(["*", "\u00d7", "\u00d7"]) : "\u00f7"} ${second}`;
  if (rng.chance(0.5)) look = look.replaceAll(" ", "");
  if (rng.chance(0.15)) look = `(${a}/${b})${times ? "*" : "/"}(${second})`;
  return {
    key: text,
    wording: ask(rng, EVALUATE, language, { e: look }),
    answer: number(result, { lowest: true }),
    result,
  };
});

const simplify = make("fraction-simplify", "B", 3, 1.3, (rng, level, s, language) => {
  const g = rng.int(2, [9, 12, 25][level - 1]);
  const n = rng.int(1, [9, 12, 19][level - 1]);
  const d = rng.int(2, [9, 12, 19][level - 1]);
  const text = `${n * g}/${d * g}`;
  s.say(text);
  const result = cancel(s, n * g, d * g);
  return {
    key: text,
    wording: ask(rng, SIMPLIFY, language, { e: text }),
    answer: number(result, { lowest: true }),
    result,
  };
});

const fractionOf = make("fraction-of", "B", 2, 0.7, (rng, level, s, language) => {
  const d = rng.int(2, 9);
  const n = rng.int(1, d - 1);
  const whole = d * rng.int(2, level === 1 ? 20 : 120);
  s.say(`${whole}*${n}/${d}`);
  const part = s.divide(whole, d).quotient;
  let result = part;
  if (n > 1) {
    s.say(`=${part}*${n}`);
    result = s.multiply(part, n);
  }
  s.say(`=${result}`);
  const wording = ask(rng, FRACTION_OF, language, { n: String(whole), e: `${n}/${d}` });
  return { key: `${n}/${d} of ${whole}`, wording, answer: number(result), result: String(result) };
});

/** An integer scaled by 10^-places as an exact decimal: (425, 2) is `4.25`. */
export const decimal = (scaled: number, places: number): string =>
  formatDecimal(rational(BigInt(scaled), 10n ** BigInt(places)));

const places = (text: string): number => (text.includes(".") ? text.length - text.indexOf(".") - 1 : 0);
const unscaled = (text: string): number => Number(text.replace(".", ""));

/** Ends a decimal's trace: the state `n/10^k`, then the point put in. */
function point(s: Scratch, n: number, k: number): string {
  if (k > 0) s.say(`=${n}/${10 ** k}`);
  const result = decimal(n, k);
  s.say(`=${result}`);
  return result;
}

function drawDecimal(rng: Random, level: number): string {
  const k = level === 1 ? 1 : rng.int(0, 2);
  return decimal(ofLength(rng, rng.int(k === 0 ? 1 : k, level === 1 ? 2 : level === 2 ? 3 : 4)), k);
}

const decimalSum = make("decimal-add", "B", 3, 1.5, (rng, level, s, language) => {
  let a = drawDecimal(rng, level);
  let b = drawDecimal(rng, level);
  while (!a.includes(".") && !b.includes(".")) b = drawDecimal(rng, level);
  const op = rng.pick(["+", "-"] as const);
  if (op === "-" && Number(a) < Number(b) && rng.chance(0.8)) [a, b] = [b, a];
  const text = `${a}${op}${b}`;
  s.say(text);
  const k = Math.max(places(a), places(b));
  const x = unscaled(a) * 10 ** (k - places(a));
  const y = unscaled(b) * 10 ** (k - places(b));
  s.say(`=(${x}${op}${y})/${10 ** k}`);
  const result = point(s, op === "+" ? s.add(x, y) : s.subtract(x, y), k);
  return { key: text, wording: askDecimal(rng, op, a, b, language), answer: number(exact(result)), result };
});

const exact = (decimalText: string): string => {
  const k = places(decimalText);
  return formatRational(rational(BigInt(decimalText.replace(".", "")), 10n ** BigInt(k)));
};

function askDecimal(rng: Random, op: "+" | "-" | "*" | "/", a: string, b: string, language: Language): Wording {
  if (rng.chance(0.25)) return ask(rng, IN_WORDS_OF_DECIMALS[op], language, { a, b });
  return ask(rng, EVALUATE, language, { e: typed(rng, `${a}${op}${b}`, language) });
}

// "10 groups of 2.5" and remainders make no sense for decimals: those wordings stay with whole numbers.
const forDecimals = (t: (typeof IN_WORDS)["+"]): (typeof IN_WORDS)["+"] => {
  const keep = (list: readonly string[]): string[] =>
    list.filter((w) => !/\u4f59|\u4e2a|remainder|into|\u4efd|groups|[Ss]hare|\u6269\u5927|How many/.test(w));
  return { zh: keep(t.zh), en: keep(t.en) };
};
const IN_WORDS_OF_DECIMALS = {
  "+": forDecimals(IN_WORDS["+"]),
  "-": forDecimals(IN_WORDS["-"]),
  "*": forDecimals(IN_WORDS["*"]),
  "/": forDecimals(IN_WORDS["/"]),
};

const decimalProduct = make("decimal-multiply", "B", 3, 1.2, (rng, level, s, language) => {
  const a = drawDecimal(rng, Math.min(level, 2));
  let b = drawDecimal(rng, 1);
  while (!a.includes(".") && !b.includes(".")) b = drawDecimal(rng, 1);
  const text = `${a}*${b}`;
  s.say(text);
  const k = places(a) + places(b);
  s.say(`=${unscaled(a)}*${unscaled(b)}/${10 ** k}`);
  const result = point(s, s.multiply(unscaled(a), unscaled(b)), k);
  return { key: text, wording: askDecimal(rng, "*", a, b, language), answer: number(exact(result)), result };
});

const decimalQuotient = make("decimal-divide", "B", 3, 1.2, (rng, level, s, language) => {
  // The quotient has at most two places, so a hundred times the quotient is whole: work that out.
  for (;;) {
    const q = ofLength(rng, rng.int(1, level + 1));
    const k = rng.int(0, 2);
    const divisor = rng.int(2, level === 3 ? 25 : 9);
    const j = rng.int(0, 1);
    const b = decimal(divisor, j);
    const a = formatDecimal(rational(BigInt(q * divisor), 10n ** BigInt(k + j)));
    if (places(a) > 2 || (!a.includes(".") && !b.includes(".")) || divisor % 10 === 0) continue;
    const text = `${a}/${b}`;
    s.say(text);
    const scaled = unscaled(a) * 10 ** (2 - places(a) + j);
    s.say(`=${scaled}/${divisor}/100`);
    const result = point(s, s.divide(scaled, divisor).quotient, 2);
    return { key: text, wording: askDecimal(rng, "/", a, b, language), answer: number(exact(result)), result };
  }
});

type PercentKind = keyof typeof PERCENT;

/** Cancels equal zeros at the ends and writes the shorter state: `=3000/20` becomes `=300/2`. */
function dropZeros(s: Scratch, n: number, d: number): [number, number] {
  const from = n;
  while (n % 10 === 0 && d % 10 === 0) [n, d] = [n / 10, d / 10];
  if (n !== from) s.say(`=${n}/${d}`);
  return [n, d];
}

/** `n*p/100` worked out. */
function hundredth(s: Scratch, n: number, p: number): string {
  const product = s.multiply(n, p);
  s.say(`=${product}/100`);
  const result = formatDecimal(rational(product, 100));
  s.say(`=${result}`);
  return result;
}

const percentSkill = (id: string, kinds: readonly PercentKind[], weight: number): Skill =>
  make(id, "B", 3, weight, (rng, level, s, language) => {
    const kind = rng.pick(kinds);
    for (;;) {
      const p = level === 1 ? rng.int(1, 9) * 10 : level === 2 ? rng.int(1, 19) * 5 : rng.int(1, 99);
      const base = level === 1 ? rng.int(1, 30) * 10 : level === 2 ? rng.int(2, 50) * 10 : upTo(rng, 3);
      let result: string;
      let n = base;
      let m = 0;
      if (kind === "of") {
        s.say(`${n}*${p}/100`);
        result = hundredth(s, n, p);
      } else if (kind === "more" || kind === "less") {
        s.say(`${n}*(100${kind === "more" ? "+" : "-"}${p})/100`);
        const factor = kind === "more" ? s.add(100, p) : s.subtract(100, p);
        s.say(`=${n}*${factor}/100`);
        result = hundredth(s, n, factor);
      } else {
        const factor = kind === "undo-more" ? 100 + p : kind === "undo-less" ? 100 - p : p;
        if ((base * factor) % 100 !== 0) continue;
        if (kind === "what") {
          m = (base * p) / 100;
          s.say(`${m}*100/${base}`);
          s.multiply(m, 100);
          s.say(`=${m * 100}/${base}`);
          const [x, y] = dropZeros(s, m * 100, base);
          result = `${y === 1 ? x : s.divide(x, y).quotient}`;
          s.say(`=${result}`);
        } else {
          n = (base * factor) / 100;
          if (kind !== "reverse") {
            s.say(`${n}*100/(100${kind === "undo-more" ? "+" : "-"}${p})`);
            if (kind === "undo-more") s.add(100, p);
            else s.subtract(100, p);
          }
          s.say(`${kind === "reverse" ? "" : "="}${n}*100/${factor}`);
          s.multiply(n, 100);
          s.say(`=${n * 100}/${factor}`);
          const [x, y] = dropZeros(s, n * 100, factor);
          result = `${y === 1 ? x : s.divide(x, y).quotient}`;
          s.say(`=${result}`);
        }
      }
      const wording = ask(rng, PERCENT[kind], language, { n: String(n), p: String(p), m: String(m) });
      const key = `${kind} ${p} ${kind === "what" ? `${m} ${n}` : n}`;
      if (kind === "what") return { key, wording, answer: number(result, { percent: true }), result: `${result}%` };
      return { key, wording, answer: number(exact(result)), result };
    }
  });

const commonFactors = (rng: Random, level: number): [number, number] => {
  const g = rng.int(1, [9, 12, 24][level - 1]);
  const top = [9, 12, 15][level - 1];
  const a = g * rng.int(1, top);
  let b = g * rng.int(1, top);
  if (a === b) b += g;
  return [a, b];
};

const gcd = make("gcd", "B", 3, 1.2, (rng, level, s, language) => {
  const [a, b] = commonFactors(rng, level);
  s.say(`gcd(${a},${b})`);
  const result = gcdLines(s, a, b);
  s.say(`=${result}`);
  return {
    key: `${a} ${b}`,
    wording: ask(rng, GCD, language, { a: `${a}`, b: `${b}` }),
    answer: number(result),
    result: `${result}`,
  };
});

const lcm = make("lcm", "B", 3, 1.3, (rng, level, s, language) => {
  let [a, b] = commonFactors(rng, level);
  while (least(a, b) > 5000) [a, b] = commonFactors(rng, level);
  s.say(`lcm(${a},${b})`);
  const g = gcdLines(s, a, b);
  s.say(`=${a}/${g}*${b}`);
  const part = g === 1 ? a : s.divide(a, g).quotient;
  const result = s.multiply(part, b);
  s.say(`=${result}`);
  return {
    key: `${a} ${b}`,
    wording: ask(rng, LCM, language, { a: `${a}`, b: `${b}` }),
    answer: number(result),
    result: `${result}`,
  };
});

const average = make("average", "B", 3, 1, (rng, level, s, language) => {
  const count = rng.int(2, level === 1 ? 3 : 5);
  const numbers: number[] = [];
  for (let i = 0; i < count; i++) numbers.push(upTo(rng, level === 3 ? 3 : 2));
  const sum = numbers.reduce((a, b) => a + b, 0);
  // The mean must be whole: make up for the rest with the last number.
  numbers[count - 1] += (count - (sum % count)) % count;
  const e = numbers.slice(1).reduce<Expression>((a, b) => node("+", a, b), numbers[0]);
  const result = workOut(s, node("/", e, count));
  const separator = language === "zh" ? rng.pick(["\u3001", ",", "\uff0c", ", "]) : rng.pick([", ", ", ", ","]);
  let list = numbers.join(separator);
  if (language === "en" && rng.chance(0.5)) list = `${numbers.slice(0, -1).join(", ")} and ${numbers[count - 1]}`;
  if (language === "zh" && rng.chance(0.4)) list = `${numbers.slice(0, -1).join("\u3001")}\u548c${numbers[count - 1]}`;
  return {
    key: numbers.join(" "),
    wording: ask(rng, AVERAGE, language, { l: list }),
    answer: number(result),
    result: `${result}`,
  };
});

const colon = (rng: Random, a: number | string, b: number | string): string =>
  `${a}${rng.pick([":", ":", ":", " : ", "\uff1a", "\u2236"])}${b}`;

const ratio = make("ratio", "B", 3, 1.8, (rng, level, s, language) => {
  const kind = rng.pick(["simplify", "share", "proportion"] as const);
  if (kind === "simplify") {
    const g = rng.int(2, [9, 12, 20][level - 1]);
    const [x, y] = [rng.int(1, 12), rng.int(1, 12)];
    const [a, b] = [x * g, y * g];
    s.say(`${a}:${b}`);
    const d = gcdLines(s, a, b);
    const [p, q] = [a / d, b / d];
    if (d > 1) {
      s.divide(a, d);
      s.divide(b, d);
    }
    s.say(`=${p}:${q}`);
    const wording = ask(rng, RATIO_SIMPLIFY, language, { e: colon(rng, a, b) });
    return {
      key: `${a}:${b}`,
      wording,
      answer: { kind: "numbers", values: [`${p}`, `${q}`], ordered: true },
      result: `${p}:${q}`,
    };
  }
  if (kind === "share") {
    const [a, b] = [rng.int(1, 9), rng.int(1, 9)];
    const unit = rng.int(2, [12, 30, 90][level - 1]);
    const n = (a + b) * unit;
    s.say(`${n}/(${a}+${b})`);
    s.add(a, b);
    s.say(`=${n}/${a + b}`);
    s.divide(n, a + b);
    s.say(`=${unit}`);
    s.multiply(unit, a);
    s.multiply(unit, b);
    s.say(`${a * unit}:${b * unit}`);
    const wording = ask(rng, RATIO_SHARE, language, { n: `${n}`, e: colon(rng, a, b) });
    const values = [`${a * unit}`, `${b * unit}`];
    return {
      key: `${n} ${a}:${b}`,
      wording,
      answer: { kind: "numbers", values, ordered: true },
      result: values.join(", "),
    };
  }
  // a:b = c:d with one of the four unknown.
  const [p, q] = [rng.int(1, 9), rng.int(1, 9)];
  const [k, l] = [rng.int(1, [4, 9, 15][level - 1]), rng.int(2, [6, 9, 15][level - 1])];
  const four = [p * k, q * k, p * l, q * l];
  const at = rng.int(0, 3);
  const opposite = 3 - at;
  const [y, z] = [0, 1, 2, 3].filter((i) => i !== at && i !== opposite);
  const shown = four.map((n, i) => (i === at ? "x" : `${n}`));
  const text = `${shown[0]}:${shown[1]}=${shown[2]}:${shown[3]}`;
  s.say(text);
  s.say(`x=${four[y]}*${four[z]}/${four[opposite]}`);
  const product = s.multiply(four[y], four[z]);
  s.say(`x=${product}/${four[opposite]}`);
  s.divide(product, four[opposite]);
  s.say(`x=${four[at]}`);
  const look = text.replaceAll(":", rng.pick([":", ":", "\uff1a", " : "])).replace("=", rng.pick(["=", " = "]));
  return {
    key: text,
    wording: ask(rng, PROPORTION, language, { e: look }),
    answer: { kind: "numbers", values: [`${four[at]}`], ordered: true, names: ["x"] },
    result: `${four[at]}`,
  };
});

const nameOf = (rng: Random, u: Unit, language: Language): string =>
  language === "en"
    ? rng.chance(0.35) && u !== WEEK && u !== DAY
      ? u.short
      : u.en
    : rng.chance(0.2) && u.short.length <= 2 && u !== WEEK && u !== DAY
      ? u.short
      : u.zh;

const quantity = (n: string | number, unit: string, language: Language): string =>
  language === "zh" ? `${n}${unit}` : `${n} ${String(n) === "1" && unit.length > 4 ? unit.slice(0, -1) : unit}`;

/** Moves the point one place at a time, all on one line: `2.7*100=27*10=270`. */
function shift(s: Scratch, n: string, power: number, op: "*" | "/"): string {
  let line = `${n}${op}${power}`;
  let value = rational(BigInt(unscaled(n)), 10n ** BigInt(places(n)));
  for (let left = power / 10; left >= 1; left /= 10) {
    value = op === "*" ? multiply(value, rational(10)) : divide(value, rational(10));
    line += `=${formatDecimal(value)}${left > 1 ? op + left : ""}`;
  }
  s.say(line);
  return formatDecimal(value);
}

const units = make("units", "B", 3, 2.2, (rng, level, s, language) => {
  const [large, small, factor] = rng.pick(UNITS);
  const [a, b] = [nameOf(rng, large, language), nameOf(rng, small, language)];
  const rate = (): void => s.say(`1${large.short}=${factor}${small.short}`);
  const kind = level === 1 ? rng.pick(["down", "up"] as const) : rng.pick(["down", "up", "both"] as const);
  const decimalFactor = factor !== 60 && factor !== 24 && factor !== 7 && factor !== 3600;
  if (kind === "both") {
    const n = rng.int(1, level === 2 ? 9 : 30);
    const m = rng.int(1, factor - 1);
    s.say(`${n}${large.short}${m}${small.short}>${small.short}`);
    rate();
    s.say(`${n}*${factor}+${m}`);
    s.multiply(n, factor);
    s.say(`=${n * factor}+${m}`);
    const result = s.add(n * factor, m);
    s.say(`=${result}`);
    const q = quantity(n, a, language) + (language === "zh" ? "" : " ") + quantity(m, b, language);
    const wording = ask(rng, CONVERT, language, { q, u: b });
    return { key: `${n}${large.short}${m}${small.short}`, wording, answer: number(result), result: `${result}` };
  }
  if (kind === "down") {
    const n =
      decimalFactor && level > 1 && rng.chance(0.5)
        ? decimal(upTo(rng, 3), rng.int(1, factor === 10 ? 1 : 2))
        : `${upTo(rng, level)}`;
    s.say(`${n}${large.short}>${small.short}`);
    rate();
    let result: string;
    if (n.includes(".") || decimalFactor) result = shift(s, n, factor, "*");
    else {
      s.say(`${n}*${factor}`);
      result = `${s.multiply(Number(n), factor)}`;
      s.say(`=${result}`);
    }
    const wording = ask(rng, CONVERT, language, { q: quantity(n, a, language), u: b });
    return { key: `${n}${large.short} ${small.short}`, wording, answer: number(exact(result)), result };
  }
  const n = decimalFactor && level > 1 ? upTo(rng, 4) : upTo(rng, level === 1 ? 1 : 2) * factor;
  s.say(`${n}${small.short}>${large.short}`);
  rate();
  let result: string;
  if (decimalFactor) result = shift(s, `${n}`, factor, "/");
  else {
    s.say(`${n}/${factor}`);
    result = `${s.divide(n, factor).quotient}`;
    s.say(`=${result}`);
  }
  const wording = ask(rng, CONVERT, language, { q: quantity(n, b, language), u: a });
  return { key: `${n}${small.short} ${large.short}`, wording, answer: number(exact(result)), result };
});

export const SCHOOL: readonly Skill[] = [
  longMultiplication,
  longDivision,
  expression3,
  expression4,
  negatives,
  fractionSum,
  fractionProduct,
  simplify,
  fractionOf,
  decimalSum,
  decimalProduct,
  decimalQuotient,
  percentSkill("percent-of", ["of", "more", "less"], 2),
  percentSkill("percent-reverse", ["reverse", "undo-more", "undo-less", "what"], 2),
  gcd,
  lcm,
  average,
  ratio,
  units,
];
