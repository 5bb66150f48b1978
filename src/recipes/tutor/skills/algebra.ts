// The algebra of class B: unknowns on both sides, two equations in two unknowns, quadratics with integer roots.

import { node, workOut } from "../expression.ts";
import { ask, typed } from "../phrases.ts";
import { QUADRATIC, SYSTEM } from "../phrases-school.ts";
import type { Skill } from "../problem.ts";
import type { Random } from "../random.ts";
import { Scratch } from "../scratch.ts";
import { upTo } from "./common.ts";
import { divideBy, equationSkill, linear, moveOver } from "./core.ts";
import { greatest, make } from "./school.ts";

const signed = (rng: Random, n: number, negative: number): number => (rng.chance(negative) ? -n : n);

const bothSides = equationSkill("equation-both", "B", 3, 1.5, (rng, level, x) => {
  const root = level === 1 ? rng.int(1, 12) : signed(rng, upTo(rng, level === 3 ? 2 : 1), 0.25);
  const top = level === 3 ? 12 : 9;
  const a = rng.int(2, top);
  let c = level === 3 ? signed(rng, rng.int(1, top), 0.2) : rng.int(1, top);
  if (c === a) c = a - 1;
  const b = signed(rng, rng.int(1, level === 1 ? 20 : 60), 0.35);
  const d = a * root + b - c * root;
  const s = new Scratch();
  const equation = `${linear(a, b, x)}=${linear(c, d, x)}`;
  s.say(equation);
  const bare = (n: number): string => (n === 1 ? x : n === -1 ? `-${x}` : `${n}${x}`);
  const move = (n: number, text: string): string => (n > 0 ? `-${text}` : `+${text.replace("-", "")}`);
  const right = `${d}${b > 0 ? `-${b}` : `+${-b}`}`;
  s.say(`${bare(a)}${move(c, bare(c))}=${right}`);
  const k = s.subtract(a, c);
  const rest = b > 0 ? s.subtract(d, b) : s.add(d, -b);
  s.say(`${bare(k)}=${rest}`);
  if (k !== 1) divideBy(s, k, rest, x);
  return { equation, x, scratch: s, root };
});

/** `2x-3y=5`. */
function twoUnknowns(a: number, b: number, c: number): string {
  const y = b === 1 ? "+y" : b === -1 ? "-y" : b > 0 ? `+${b}y` : `${b}y`;
  return `${linear(a, 0)}${y}=${c}`;
}

const system = make("system", "B", 3, 3, (rng, level, s, language) => {
  const top = level === 1 ? 1 : level === 2 ? 4 : 7;
  const [x, y] = [
    signed(rng, rng.int(1, level === 1 ? 30 : 12), level === 3 ? 0.2 : 0),
    signed(rng, rng.int(1, 12), level === 3 ? 0.2 : 0),
  ];
  let [a, b, c, d] = [0, 0, 0, 0];
  do {
    a = rng.int(1, top);
    b = signed(rng, rng.int(1, top), 0.35);
    c = rng.int(1, level === 1 ? 3 : top);
    d = signed(rng, rng.int(1, level === 1 ? 2 : top), 0.5);
  } while (a * d === b * c);
  const p = a * x + b * y;
  const q = c * x + d * y;
  const first = twoUnknowns(a, b, p);
  const second = twoUnknowns(c, d, q);
  s.say(first);
  s.say(second);
  // Scale until y has the same number in both, then add or subtract so that y goes.
  const g = greatest(Math.abs(b), Math.abs(d));
  const scale = (m: number, k: number, l: number, r: number): [number, number] => {
    if (m === 1) return [k, r];
    s.say(`(${twoUnknowns(k, l, r)})*${m}`);
    const right = Math.abs(r * m) < 100 ? r * m : s.multiply(r, m);
    s.say(twoUnknowns(k * m, l * m, right));
    return [k * m, right];
  };
  const [a1, p1] = scale(Math.abs(d) / g, a, b, p);
  const [c1, q1] = scale(Math.abs(b) / g, c, d, q);
  const same = b > 0 === d > 0;
  // Subtract the equation with fewer x.
  const [m, n, u, v] = !same || a1 > c1 ? [a1, c1, p1, q1] : [c1, a1, q1, p1];
  const right = v < 0 ? `(${v})` : `${v}`;
  s.say(`${linear(m, 0)}${same ? "-" : "+"}${linear(n, 0)}=${u}${same ? "-" : "+"}${right}`);
  const k = same ? m - n : m + n;
  const rest = same ? s.subtract(u, v) : s.add(u, v);
  s.say(`${linear(k, 0)}=${rest}`);
  if (k !== 1) divideBy(s, k, rest);
  // Put x into the first equation.
  const put = a === 1 ? x : a * x;
  s.say(
    `${a === 1 ? "" : `${a}*`}${x < 0 && a !== 1 ? `(${x})` : x}${b > 0 ? "+" : "-"}${linear(Math.abs(b), 0, "y")}=${p}`,
  );
  if (a !== 1) s.multiply(a, x);
  const left = moveOver(s, linear(b, 0, "y"), put, p);
  if (b === 1) s.say(`y=${y}`);
  else {
    s.say(`${linear(b, 0, "y")}=${left}`);
    divideBy(s, b, left, "y");
  }
  const wording = ask(rng, SYSTEM, language, {
    e: typed(rng, first, language, { slash: true }),
    f: typed(rng, second, language, { slash: true }),
  });
  return {
    key: `${first} ${second}`,
    wording,
    answer: { kind: "numbers", values: [`${x}`, `${y}`], ordered: true, names: ["x", "y"] },
    result: `x=${x}, y=${y}`,
  };
});

/** `2x^2-3x+1=0` without the terms that are 0. */
function quadraticText(a: number, b: number, c: number): string {
  const square = a === 1 ? "x^2" : a === -1 ? "-x^2" : `${a}x^2`;
  const middle = b === 0 ? "" : b === 1 ? "+x" : b === -1 ? "-x" : b > 0 ? `+${b}x` : `${b}x`;
  return `${square}${middle}${c === 0 ? "" : c > 0 ? `+${c}` : c}=0`;
}

const quadratic = make("quadratic", "B", 3, 2, (rng, level, s, language) => {
  const top = level === 1 ? 9 : 12;
  const r1 = signed(rng, rng.int(level === 1 ? 1 : 0, top), level === 1 ? 0 : 0.45);
  const r2 = signed(rng, rng.int(1, top), level === 1 ? 0.2 : 0.45);
  const a = level === 3 ? rng.pick([1, 2, 3]) : 1;
  const b = -a * (r1 + r2) || 0;
  const c = a * r1 * r2 || 0;
  const text = quadraticText(a, b, c);
  s.say(text);
  if (a > 1) {
    // Divide by the leading coefficient first: the numbers stay small.
    if (b !== 0) s.divide(Math.abs(b), a);
    if (c !== 0) s.divide(Math.abs(c), a);
    s.say(quadraticText(1, b / a, c / a));
  }
  const m = Math.abs(b / a);
  const n = Math.abs(c / a);
  const square = node("*", m, m);
  const discriminant = workOut(s, n === 0 ? square : node(c > 0 ? "-" : "+", square, node("*", 4, n)));
  const root = Math.round(Math.sqrt(discriminant));
  s.say(`D=${discriminant}=${root}*${root}`);
  const minusB = -b / a || 0;
  const roots = new Set<number>();
  for (const sign of root === 0 ? [1] : [-1, 1]) {
    const top2 = minusB + sign * root || 0;
    s.say(`x=(${minusB}${sign < 0 ? "-" : "+"}${root})/2`);
    if (sign < 0) s.subtract(minusB, root);
    else s.add(minusB, root);
    const x = s.divideExactly(top2, 2);
    s.say(`x=${x}`);
    roots.add(x);
  }
  const values = [...roots].map(String);
  let look = text;
  if (rng.chance(0.12) && c !== 0) look = `${quadraticText(a, b, 0).replace("=0", "")}=${-c}`;
  if (rng.chance(0.35)) look = look.replace("^2", "\u00b2");
  const wording = ask(rng, QUADRATIC, language, { e: typed(rng, look, language, { slash: true }) });
  return {
    key: text,
    wording,
    answer: { kind: "numbers", values, ordered: false, names: values.map(() => "x") },
    result: values.join(", "),
  };
});

export const ALGEBRA: readonly Skill[] = [bothSides, system, quadratic];
