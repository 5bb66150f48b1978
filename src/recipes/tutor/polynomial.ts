// Polynomials with exact coefficients, read from text, and the few kinds of equations the tutor can check: linear in one
// unknown, quadratic with rational roots, two linear ones in two unknowns.

import { add, divide, equal, multiply, type Rational, rational, readArithmetic, subtract } from "./rational.ts";

/** Coefficients by monomial: "" for the constant, "x", "xx", "xy". Zero coefficients are absent. */
export type Polynomial = ReadonlyMap<string, Rational>;

/** Products with more terms than this are not computed: nothing a pupil writes comes near. */
const MOST_TERMS = 40;

const combine = (a: Polynomial, b: Polynomial, op: typeof add): Polynomial => {
  const out = new Map(a);
  for (const [m, c] of b) {
    const sum = op(out.get(m) ?? rational(0), c);
    if (sum.n === 0n) out.delete(m);
    else out.set(m, sum);
  }
  return out;
};

const times = (a: Polynomial, b: Polynomial): Polynomial | undefined => {
  if (a.size * b.size > MOST_TERMS) return undefined;
  const out = new Map<string, Rational>();
  for (const [m, c] of a)
    for (const [n, d] of b) {
      const key = [...m, ...n].sort().join("");
      const sum = add(out.get(key) ?? rational(0), multiply(c, d));
      if (sum.n === 0n) out.delete(key);
      else out.set(key, sum);
    }
  return out;
};

const constantOf = (value: Rational): Polynomial => new Map(value.n === 0n ? [] : [["", value]]);

/** The polynomial that the text writes; undefined when it is none. Every letter is an unknown. */
export function polynomial(text: string): Polynomial | undefined {
  return readArithmetic<Polynomial>(text, {
    constant: constantOf,
    variable: (name) => new Map([[name, rational(1)]]),
    add: (a, b) => combine(a, b, add),
    subtract: (a, b) => combine(a, b, subtract),
    multiply: times,
    divide: (a, b) => {
      const by = b.get("");
      return by === undefined || b.size !== 1 ? undefined : times(a, constantOf(divide(rational(1), by)));
    },
  });
}

export type Assignment = Readonly<Record<string, Rational>>;

/** `left=right` as left - right; undefined without exactly one equals sign. */
export function equation(text: string): Polynomial | undefined {
  const sides = text.split("=");
  if (sides.length !== 2) return undefined;
  const left = polynomial(sides[0]);
  const right = polynomial(sides[1]);
  return left && right && combine(left, right, subtract);
}

export const unknowns = (p: Polynomial): string[] => [...new Set([...p.keys()].join(""))].sort();

export function valueAt(p: Polynomial, at: Assignment): Rational | undefined {
  let sum = rational(0);
  for (const [m, c] of p) {
    let term = c;
    for (const name of m) {
      if (!Object.hasOwn(at, name)) return undefined;
      term = multiply(term, at[name]);
    }
    sum = add(sum, term);
  }
  return sum;
}

export function samePolynomial(a: Polynomial, b: Polynomial): boolean {
  return a.size === b.size && [...a].every(([m, c]) => b.has(m) && equal(b.get(m)!, c));
}

/** The derivative, or (for `up`) the antiderivative without constant, in the one unknown x. */
export function derivative(p: Polynomial): Polynomial {
  const out = new Map<string, Rational>();
  for (const [m, c] of p) if (m.length > 0) out.set(m.slice(1), multiply(c, rational(m.length)));
  return out;
}

export function antiderivative(p: Polynomial, x = "x"): Polynomial {
  const out = new Map<string, Rational>();
  for (const [m, c] of p) out.set(m + x, divide(c, rational(m.length + 1)));
  return out;
}

/** The whole square root of n >= 0, when n is a square. */
function root(n: bigint): bigint | undefined {
  if (n < 0n) return undefined;
  let r = BigInt(Math.round(Math.sqrt(Number(n))));
  while (r * r > n) r--;
  while ((r + 1n) * (r + 1n) <= n) r++;
  return r * r === n ? r : undefined;
}

/** All solutions of the equations (each `= 0`); undefined when they are not of a kind solved here or have none or endless. */
export function solve(equations: readonly Polynomial[]): Assignment[] | undefined {
  const names = [...new Set(equations.flatMap(unknowns))].sort();
  const coefficient = (p: Polynomial, m: string): Rational => p.get(m) ?? rational(0);
  if (names.length === 1 && equations.length === 1) {
    const [p] = equations;
    const x = names[0];
    if ([...p.keys()].some((m) => m.length > 2)) return undefined;
    const [a, b, c] = [coefficient(p, x + x), coefficient(p, x), coefficient(p, "")];
    const minus = (r: Rational): Rational => subtract(rational(0), r);
    if (a.n === 0n) return [{ [x]: divide(minus(c), b) }];
    const d = subtract(multiply(b, b), multiply(rational(4), multiply(a, c)));
    const [top, bottom] = [root(d.n), root(d.d)];
    if (top === undefined || bottom === undefined) return undefined;
    const r = rational(top, bottom);
    const two = multiply(rational(2), a);
    const both = [subtract(minus(b), r), add(minus(b), r)].map((n) => ({ [x]: divide(n, two) }));
    return r.n === 0n ? [both[0]] : both;
  }
  if (names.length === 2 && equations.length === 2) {
    if (equations.some((p) => [...p.keys()].some((m) => m.length > 1))) return undefined;
    const [x, y] = names;
    const [[a, b, c], [d, e, f]] = equations.map((p) => [coefficient(p, x), coefficient(p, y), coefficient(p, "")]);
    const cross = (p: Rational, q: Rational, r: Rational, s: Rational): Rational =>
      subtract(multiply(p, s), multiply(q, r));
    const det = cross(a, b, d, e);
    if (det.n === 0n) return undefined;
    return [{ [x]: divide(cross(b, c, e, f), det), [y]: divide(cross(c, a, f, d), det) }];
  }
  return undefined;
}
