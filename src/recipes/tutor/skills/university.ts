// Class C without the stories: derivatives and integrals of polynomials, determinants, matrix times vector, counting, probability.

import { type Expression, node, print, workOut } from "../expression.ts";
import { ask } from "../phrases.ts";
import {
  ARRANGE,
  CHOOSE,
  DERIVATIVE,
  DETERMINANT,
  INTEGRAL,
  MATRIX_VECTOR,
  ONE_BALL,
  ONE_DIE,
  TWO_BALLS,
  TWO_DICE,
} from "../phrases-university.ts";
import type { Language, Skill } from "../problem.ts";
import type { Random } from "../random.ts";
import type { Scratch } from "../scratch.ts";
import { dieEvents } from "./facts.ts";
import { cancel, greatest, make, number } from "./school.ts";

/** Coefficients by power, the constant first. */
type Polynomial = readonly number[];

function polynomialText(p: Polynomial, x = "x"): string {
  let text = "";
  for (let power = p.length - 1; power >= 0; power--) {
    const c = p[power];
    if (c === 0) continue;
    const size = Math.abs(c);
    const head = power === 0 ? `${size}` : `${size === 1 ? "" : size}${x}${power > 1 ? `^${power}` : ""}`;
    text += `${c < 0 ? "-" : text === "" ? "" : "+"}${head}`;
  }
  return text === "" ? "0" : text;
}

/** The value at x by Horner's scheme: `(24*2+4)*2-1`. */
function valueAt(p: Polynomial, x: number): Expression {
  let e: Expression = p[p.length - 1];
  for (let power = p.length - 2; power >= 0; power--) {
    e = e === 1 ? x : node("*", e, x);
    const c = p[power];
    if (c !== 0) e = node(c < 0 ? "-" : "+", e, Math.abs(c));
  }
  return e;
}

function evaluateAt(s: Scratch, p: Polynomial, x: number): number {
  const e = valueAt(p, x);
  if (typeof e === "number") return e;
  return workOut(s, e);
}

function drawPolynomial(rng: Random, level: number): number[] {
  const degree = level === 1 ? 2 : level === 2 ? rng.int(1, 3) : 3;
  const p: number[] = [];
  for (let i = 0; i <= degree; i++)
    p.push(i < degree && rng.chance(0.25) ? 0 : rng.int(1, level === 1 ? 5 : 9) * (rng.chance(0.3) ? -1 : 1));
  p[degree] = Math.abs(p[degree]);
  return p;
}

/** The polynomial as people type it. */
function typedPolynomial(rng: Random, p: Polynomial): string {
  let text = polynomialText(p);
  if (rng.chance(0.3)) text = text.replaceAll("^2", "\u00b2").replaceAll("^3", "\u00b3");
  if (rng.chance(0.3)) text = text.replace(/(?<=.)([+-])/g, " $1 ");
  return text;
}

const derivative = make("derivative", "C", 3, 1.5, (rng, level, s, language) => {
  const p = drawPolynomial(rng, level);
  const x = level === 1 ? rng.int(1, 5) : rng.int(-3, 6);
  const d = p.slice(1).map((c, i) => c * (i + 1));
  s.say(`f(x)=${polynomialText(p)}`);
  s.say(`f'(x)=${polynomialText(d)}`);
  const result = evaluateAt(s, d, x);
  s.say(`f'(${x})=${result}`);
  const wording = ask(rng, DERIVATIVE, language, { e: typedPolynomial(rng, p), a: `${x}` });
  return { key: `${polynomialText(p)} ${x}`, wording, answer: number(result), result: `${result}` };
});

/** `2x^3/3+10x^2/2`: each power raised and divided, nothing cancelled yet. */
function powerRule(p: Polynomial): string {
  let text = "";
  for (let power = p.length - 1; power >= 0; power--) {
    const c = p[power];
    if (c === 0) continue;
    const head = polynomialText([...Array<number>(power + 1).fill(0), c]);
    text += `${text !== "" && c > 0 ? "+" : ""}${head}${power > 0 ? `/${power + 1}` : ""}`;
  }
  return text;
}

const integral = make("integral", "C", 3, 2, (rng, level, s, language) => {
  const degree = level === 1 ? 1 : level === 2 ? rng.int(1, 2) : rng.int(2, 3);
  const p: number[] = [];
  for (let i = 0; i <= degree; i++) {
    const c = rng.int(1, 6) * (level > 1 && rng.chance(0.25) ? -1 : 1);
    // Mostly coefficients that the power rule divides evenly, sometimes any.
    p.push(i < degree && rng.chance(0.3) ? 0 : degree === 3 || rng.chance(0.75) ? c * (i + 1) : c);
  }
  p[degree] = Math.abs(p[degree]);
  const a = rng.chance(0.6) ? 0 : rng.int(level === 1 ? 1 : -2, 2);
  const b = a + rng.int(1, a === 0 || degree < 3 ? 3 : 2);
  s.say(`f(x)=${polynomialText(p)}`);
  // F over a common denominator, so that everything stays whole.
  let common = 1;
  p.forEach((c, i) => {
    const need = (i + 1) / greatest(c, i + 1);
    common = (common / greatest(common, need)) * need;
  });
  const big = [0, ...p.map((c, i) => (c * common) / (i + 1))];
  s.say(`F(x)=${powerRule(p)}`);
  s.say(`F(x)=${common === 1 ? polynomialText(big) : `(${polynomialText(big)})/${common}`}`);
  const over = common === 1 ? "" : `/${common}`;
  const at = (x: number): number => {
    const top = x === 0 ? 0 : evaluateAt(s, big, x);
    s.say(`F(${x})=${top}${top === 0 ? "" : over}`);
    return top;
  };
  const [upper, lower] = [at(b), at(a)];
  let result: string;
  const top = upper - lower;
  if (lower !== 0) {
    const difference = `${upper}-${lower < 0 ? `(${lower})` : lower}`;
    s.say(common === 1 ? difference : `(${difference})/${common}`);
    s.subtract(upper, lower);
  }
  if (common === 1) {
    s.say(`=${top}`);
    result = `${top}`;
  } else {
    s.say(`=${top}/${common}`);
    result = cancel(s, top, common);
  }
  const wording = ask(rng, INTEGRAL, language, { e: typedPolynomial(rng, p), a: `${a}`, b: `${b}`, i: `[${a},${b}]` });
  return { key: `${polynomialText(p)} ${a} ${b}`, wording, answer: number(result, { lowest: true }), result };
});

const bracketRows = (rows: readonly (readonly number[])[], gap: string): string =>
  `[${rows.map((r) => `[${r.join(gap)}]`).join(gap)}]`;

const typedMatrix = (rng: Random, rows: readonly (readonly number[])[]): string =>
  rng.chance(0.25) ? `[${rows.map((r) => r.join(" ")).join("; ")}]` : bracketRows(rows, rng.pick([",", ", "]));

/** ad-bc. */
const cross = (a: number, d: number, b: number, c: number): Expression => node("-", node("*", a, d), node("*", b, c));

const entry = (rng: Random, level: number): number =>
  (level === 1 ? rng.int(1, 9) : rng.int(0, 9) * (rng.chance(0.2) ? -1 : 1)) || 0;

/** `1*3-0*1=3-0=3`: products of single digits on one line, signs settled on the way; larger entries are worked out. */
function crossLine(s: Scratch, a: number, d: number, b: number, c: number): number {
  const e = cross(a, d, b, c);
  if ([a, b, c, d].some((n) => Math.abs(n) > 9)) return workOut(s, e);
  return sumLine(s, e, [a * d || 0, -b * c || 0], node("-", a * d || 0, b * c || 0));
}

/** The expression, its products, and the running sum of the terms, on one line. */
function sumLine(s: Scratch, e: Expression, terms: readonly number[], products?: Expression): number {
  const shown: string[] = [print(e)];
  if (products !== undefined) shown.push(print(products));
  const left = [...terms];
  while (left.length > 1) {
    const text = left.map((t, i) => (i > 0 && t >= 0 ? `+${t}` : `${t}`)).join("");
    // 5-(-3) is first written as 5+3.
    if (products === undefined || left[1] > 0) shown.push(text);
    left.splice(0, 2, left[0] + left[1]);
  }
  s.say([...new Set([...shown, `${left[0]}`])].join("="));
  return left[0];
}

const determinant2 = make("determinant2", "C", 3, 1, (rng, level, s, language) => {
  const e = (): number => (level === 3 ? entry(rng, 3) * rng.pick([1, 1, 2]) || rng.int(1, 12) : entry(rng, level));
  const [a, b, c, d] = [e(), e(), e(), e()];
  const rows = [
    [a, b],
    [c, d],
  ];
  s.say(bracketRows(rows, ","));
  const result = crossLine(s, a, d, b, c);
  const wording = ask(rng, DETERMINANT, language, { e: typedMatrix(rng, rows) });
  return { key: bracketRows(rows, ","), wording, answer: number(result), result: `${result}` };
});

const determinant3 = make("determinant3", "C", 2, 1.8, (rng, level, s, language) => {
  const small = (): number => (level === 1 ? rng.int(0, 4) : rng.int(0, 9) * (rng.chance(0.15) ? -1 : 1) || 0);
  const rows = [0, 1, 2].map(() => [small(), small(), small()]);
  const [[a, b, c], [d, e, f], [g, h, i]] = rows;
  s.say(bracketRows(rows, ","));
  // Along the first row; a minor is needed only where its entry is not 0.
  const terms: number[] = [];
  const minor = (factor: number, sign: number, m: readonly [number, number, number, number]): void => {
    if (factor === 0) return;
    const value = crossLine(s, ...m);
    const k = sign * factor;
    if (Math.abs(k) > 1 && Math.abs(k * value) > 99) s.multiply(k, value);
    s.say(`${k}*${value < 0 ? `(${value})` : value}=${k * value || 0}`);
    if (value !== 0) terms.push(k * value);
  };
  minor(a, 1, [e, i, f, h]);
  minor(b, -1, [d, i, f, g]);
  minor(c, 1, [d, h, e, g]);
  const total = terms.slice(1).reduce<Expression>((sum, t) => node("+", sum, t), terms[0] ?? 0);
  const result = typeof total === "number" ? total : workOut(s, total);
  s.say(`det=${result}`);
  const wording = ask(rng, DETERMINANT, language, { e: typedMatrix(rng, rows) });
  return { key: bracketRows(rows, ","), wording, answer: number(result), result: `${result}` };
});

const matrixVector = make("matrix-vector", "C", 3, 1, (rng, level, s, language) => {
  const n = level === 3 ? rng.pick([2, 3]) : 2;
  const rows = Array.from({ length: n }, () => Array.from({ length: n }, () => entry(rng, level)));
  const v = Array.from({ length: n }, () => entry(rng, level));
  s.say(`${bracketRows(rows, ",")}*(${v.join(",")})`);
  const result = rows.map((row) => {
    const products = row.map((c, i): Expression => node("*", c, v[i]));
    const e = products.slice(1).reduce<Expression>((sum, t) => node("+", sum, t), products[0]);
    if ([...row, ...v].some((c) => Math.abs(c) > 9)) return workOut(s, e);
    return sumLine(
      s,
      e,
      row.map((c, i) => c * v[i] || 0),
    );
  });
  s.say(`(${result.join(",")})`);
  const gap = rng.pick([",", ", "]);
  const vector = rng.pick([`(${v.join(gap)})`, `[${v.join(gap)}]`]);
  const wording = ask(rng, MATRIX_VECTOR, language, { e: typedMatrix(rng, rows), v: vector });
  return {
    key: `${bracketRows(rows, ",")} ${v.join(",")}`,
    wording,
    answer: { kind: "numbers", values: result.map(String), ordered: true },
    result: `(${result.join(", ")})`,
  };
});

/** n*(n-1)*… with k factors. */
const falling = (n: number, k: number): Expression =>
  Array.from({ length: k }, (_, i) => n - i)
    .slice(1)
    .reduce<Expression>((p, f) => node("*", p, f), n);

/** The value of an expression with its steps, and a closing state when there was nothing to work out. */
function worked(s: Scratch, e: Expression): number {
  const result = workOut(s, e);
  if (typeof e === "number") s.say(`=${result}`);
  return result;
}

const combinations = make("combinations", "C", 2, 1, (rng, level, s, language) => {
  const n = rng.int(3, level === 1 ? 8 : 12);
  const k = rng.int(1, Math.min(n - 1, level === 1 ? 3 : 4));
  if (rng.chance(0.3)) {
    const text = `P(${n},${k})`;
    s.say(text);
    const result = worked(s, falling(n, k));
    s.say(`${text}=${result}`);
    const wording = ask(rng, ARRANGE, language, { n: `${n}`, k: `${k}` });
    return { key: text, wording, answer: number(result), result: `${result}` };
  }
  const text = `C(${n},${k})`;
  s.say(text);
  // Dividing as soon as possible keeps every step whole: n/1*(n-1)/2*(n-2)/3…
  let e: Expression = n;
  for (let i = 1; i < k; i++) e = node("/", node("*", e, n - i), i + 1);
  const result = worked(s, e);
  s.say(`${text}=${result}`);
  const wording = ask(rng, CHOOSE, language, { n: `${n}`, k: `${k}` });
  return { key: text, wording, answer: number(result), result: `${result}` };
});

const COLOURS: Readonly<Record<Language, readonly string[]>> = {
  zh: ["红", "白", "红", "白", "黑", "蓝", "绿", "黄"],
  en: ["red", "white", "red", "white", "black", "blue", "green", "yellow"],
};

function distinctPair(rng: Random, names: readonly string[]): [string, string] {
  const first = rng.pick(names);
  return [first, rng.pick(names.filter((n) => n !== first))];
}

const probability = make("probability", "C", 3, 2.5, (rng, level, s, language) => {
  const kind =
    level === 1 ? rng.pick(["die", "ball"] as const) : level === 2 ? rng.pick(["dice", "ball"] as const) : "balls";
  if (kind === "die") {
    const event = rng.pick(dieEvents);
    s.say(`{${event.faces.join(",")}}`);
    s.say(`=${event.faces.length}/6`);
    const result = cancel(s, event.faces.length, 6);
    const wording = ask(rng, ONE_DIE, language, { w: event[language] });
    return { key: `die ${event.faces.join("")}`, wording, answer: number(result, { lowest: true }), result };
  }
  if (kind === "dice") {
    const k = rng.int(2, 12);
    const pairs: string[] = [];
    for (let i = 1; i <= 6; i++) if (k - i >= 1 && k - i <= 6) pairs.push(`${i}+${k - i}`);
    s.say(`{${pairs.join(",")}}`);
    s.say(`=${pairs.length}/36`);
    const result = cancel(s, pairs.length, 36);
    const wording = ask(rng, TWO_DICE, language, { k: `${k}` });
    return { key: `dice ${k}`, wording, answer: number(result, { lowest: true }), result };
  }
  const low = kind === "balls" ? 2 : 1;
  const [a, b] = [rng.int(low, level === 2 ? 12 : 8), rng.int(low, level === 2 ? 12 : 8)];
  const which = rng.int(0, 1);
  const c = which === 0 ? a : b;
  const [R, W] = distinctPair(rng, COLOURS[language]);
  const slots = { a: `${a}`, b: `${b}`, c: [R, W][which], R, W };
  const n = s.add(a, b);
  if (kind === "ball") {
    s.say(`=${c}/${n}`);
    const result = cancel(s, c, n);
    return {
      key: `ball ${a} ${b} ${which}`,
      wording: ask(rng, ONE_BALL, language, slots),
      answer: number(result, { lowest: true }),
      result,
    };
  }
  s.say(`(${c}*${c - 1})/(${n}*${n - 1})`);
  const top = s.multiply(c, c - 1);
  const bottom = s.multiply(n, n - 1);
  s.say(`=${top}/${bottom}`);
  const result = cancel(s, top, bottom);
  return {
    key: `balls ${a} ${b} ${which}`,
    wording: ask(rng, TWO_BALLS, language, slots),
    answer: number(result, { lowest: true }),
    result,
  };
});

export const UNIVERSITY: readonly Skill[] = [
  derivative,
  integral,
  determinant2,
  determinant3,
  matrixVector,
  combinations,
  probability,
];
