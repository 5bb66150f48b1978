// Exact rational numbers over bigint, and a reader of arithmetic written as text. The tutor's verifiers compute with
// nothing else; scratchpads (scratch.ts) use plain integers.

export interface Rational {
  readonly n: bigint;
  /** Positive, and coprime to `n`. */
  readonly d: bigint;
}

const gcdBig = (a: bigint, b: bigint): bigint => {
  if (a < 0n) a = -a;
  if (b < 0n) b = -b;
  while (b) [a, b] = [b, a % b];
  return a;
};

/** n/d in lowest terms. Throws RangeError when d is 0. */
export function rational(n: bigint | number, d: bigint | number = 1n): Rational {
  let top = BigInt(n);
  let bottom = BigInt(d);
  if (bottom === 0n) throw new RangeError(`${top}/0 is no number: the denominator must not be 0`);
  if (bottom < 0n) [top, bottom] = [-top, -bottom];
  const g = gcdBig(top, bottom);
  return g > 1n ? { n: top / g, d: bottom / g } : { n: top, d: bottom };
}

export const add = (a: Rational, b: Rational): Rational => rational(a.n * b.d + b.n * a.d, a.d * b.d);
export const subtract = (a: Rational, b: Rational): Rational => rational(a.n * b.d - b.n * a.d, a.d * b.d);
export const multiply = (a: Rational, b: Rational): Rational => rational(a.n * b.n, a.d * b.d);
export const divide = (a: Rational, b: Rational): Rational => rational(a.n * b.d, a.d * b.n);
export const equal = (a: Rational, b: Rational): boolean => a.n === b.n && a.d === b.d;

/** `7`, `-3/4`: lowest terms. */
export const formatRational = (a: Rational): string => (a.d === 1n ? `${a.n}` : `${a.n}/${a.d}`);

/** The exact decimal, or the fraction when the decimal does not end. */
export function formatDecimal(a: Rational): string {
  let d = a.d;
  let places = 0;
  while (d % 10n === 0n) {
    d /= 10n;
    places++;
  }
  const twos = (p: bigint): number => {
    let k = 0;
    while (d % p === 0n) {
      d /= p;
      k++;
    }
    return k;
  };
  places += Math.max(twos(2n), twos(5n));
  if (d !== 1n) return formatRational(a);
  const scaled = (a.n * 10n ** BigInt(places)) / a.d;
  const text = (scaled < 0n ? -scaled : scaled).toString().padStart(places + 1, "0");
  const sign = scaled < 0n ? "-" : "";
  return places === 0 ? sign + text : `${sign}${text.slice(0, -places)}.${text.slice(-places)}`;
}

/** Longest arithmetic text that is read; longer input is answered with undefined, whatever it holds. */
const LONGEST_EXPRESSION = 400;

/** What the reader of arithmetic computes with. An undefined result makes the whole text unreadable. */
export interface Arithmetic<T> {
  constant(value: Rational): T;
  /** The value of a letter, when it has one. */
  variable(name: string): T | undefined;
  add(a: T, b: T): T;
  subtract(a: T, b: T): T;
  multiply(a: T, b: T): T | undefined;
  divide(a: T, b: T): T | undefined;
}

/**
 * Reads arithmetic in ASCII: decimals, letters, + - * / ^ %, brackets, and `2(3+4)` or `3x` as products. Undefined when the
 * text is no such expression, nests deeper than 50, or takes a power outside 0..9.
 */
export function readArithmetic<T>(text: string, on: Arithmetic<T>): T | undefined {
  if (text.length > LONGEST_EXPRESSION) return undefined;
  let at = 0;
  let depth = 0;
  const skip = (): void => {
    while (text[at] === " ") at++;
  };
  const digit = (): boolean => text[at] >= "0" && text[at] <= "9";
  const digits = (): string => {
    const from = at;
    while (digit()) at++;
    return text.slice(from, at);
  };
  const letter = (): boolean => /^[A-Za-z]$/.test(text[at] ?? "") && on.variable(text[at]) !== undefined;
  const atom = (): T | undefined => {
    skip();
    if (text[at] === "(") {
      if (++depth > 50) return undefined;
      at++;
      const inner = sum();
      skip();
      if (inner === undefined || text[at] !== ")") return undefined;
      at++;
      depth--;
      return inner;
    }
    if (digit()) {
      const whole = digits();
      if (text[at] !== ".") return on.constant(rational(BigInt(whole)));
      at++;
      const part = digits();
      return part === "" ? undefined : on.constant(rational(BigInt(whole + part), 10n ** BigInt(part.length)));
    }
    return letter() ? on.variable(text[at++]) : undefined;
  };
  const power = (): T | undefined => {
    let base = atom();
    skip();
    while (base !== undefined && (text[at] === "%" || text[at] === "^")) {
      if (text[at++] === "%") base = on.multiply(base, on.constant(rational(1, 100)));
      else {
        skip();
        const exponent = /^\d(?!\d)/.exec(text.slice(at, at + 2));
        if (!exponent) return undefined;
        at++;
        const factor: T = base;
        base = on.constant(rational(1));
        for (let i = 0; i < Number(exponent[0]) && base !== undefined; i++) base = on.multiply(base, factor);
      }
      skip();
    }
    return base;
  };
  const signed = (): T | undefined => {
    skip();
    if (text[at] !== "-" && text[at] !== "+") return power();
    if (++depth > 50) return undefined;
    const minus = text[at++] === "-";
    const value = signed();
    depth--;
    return value === undefined || !minus ? value : on.subtract(on.constant(rational(0)), value);
  };
  const product = (): T | undefined => {
    let left = signed();
    for (;;) {
      skip();
      if (left === undefined) return undefined;
      const c = text[at];
      if (c === "*" || c === "/") {
        at++;
        const right = signed();
        if (right === undefined) return undefined;
        left = c === "*" ? on.multiply(left, right) : on.divide(left, right);
      } else if (c === "(" || letter()) {
        const right = power();
        if (right === undefined) return undefined;
        left = on.multiply(left, right);
      } else return left;
    }
  };
  const sum = (): T | undefined => {
    let left = product();
    for (;;) {
      skip();
      const c = text[at];
      if (left === undefined || (c !== "+" && c !== "-")) return left;
      at++;
      const right = product();
      if (right === undefined) return undefined;
      left = c === "+" ? on.add(left, right) : on.subtract(left, right);
    }
  };
  const value = sum();
  skip();
  return at === text.length ? value : undefined;
}

const NUMBERS: Arithmetic<Rational> = {
  constant: (value) => value,
  variable: () => undefined,
  add,
  subtract,
  multiply,
  divide: (a, b) => (b.n === 0n ? undefined : divide(a, b)),
};

/** The exact value of arithmetic without letters; undefined when the text is no such thing or divides by 0. */
export const evaluate = (text: string): Rational | undefined => readArithmetic(text, NUMBERS);
