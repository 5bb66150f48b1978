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
export const negate = (a: Rational): Rational => ({ n: -a.n, d: a.d });
export const equal = (a: Rational, b: Rational): boolean => a.n === b.n && a.d === b.d;
export const isInteger = (a: Rational): boolean => a.d === 1n;

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

/** Longest arithmetic text that `evaluate` reads; longer input is answered with undefined, whatever it holds. */
export const LONGEST_EXPRESSION = 400;

/**
 * The exact value of arithmetic in ASCII: decimals, + - * / ^ %, brackets, and `2(3+4)` or `3x` as products. `variables`
 * gives values to letters. Undefined when the text is not such an expression, divides by 0, or takes a power outside 0..9.
 */
export function evaluate(text: string, variables: Readonly<Record<string, Rational>> = {}): Rational | undefined {
  if (text.length > LONGEST_EXPRESSION) return undefined;
  let at = 0;
  let depth = 0;
  const skip = (): void => {
    while (text[at] === " ") at++;
  };
  const atom = (): Rational | undefined => {
    skip();
    const c = text[at];
    if (c === "(") {
      if (++depth > 50) return undefined;
      at++;
      const inner = sum();
      skip();
      if (!inner || text[at] !== ")") return undefined;
      at++;
      depth--;
      return inner;
    }
    if (c >= "0" && c <= "9") {
      const from = at;
      while (text[at] >= "0" && text[at] <= "9") at++;
      let value = BigInt(text.slice(from, at));
      let scale = 1n;
      if (text[at] === "." && text[at + 1] >= "0" && text[at + 1] <= "9") {
        const point = ++at;
        while (text[at] >= "0" && text[at] <= "9") at++;
        scale = 10n ** BigInt(at - point);
        value = value * scale + BigInt(text.slice(point, at));
      }
      return rational(value, scale);
    }
    if (c !== undefined && Object.hasOwn(variables, c)) {
      at++;
      return variables[c];
    }
    return undefined;
  };
  const power = (): Rational | undefined => {
    let base = atom();
    skip();
    while (base && (text[at] === "%" || text[at] === "^" || text[at] === "²" || text[at] === "³")) {
      const mark = text[at++];
      if (mark === "%") base = rational(base.n, base.d * 100n);
      else {
        const exponent = mark === "²" ? rational(2) : mark === "³" ? rational(3) : atom();
        if (exponent?.d !== 1n || exponent.n < 0n || exponent.n > 9n) return undefined;
        base = rational(base.n ** exponent.n, base.d ** exponent.n);
      }
      skip();
    }
    return base;
  };
  const signed = (): Rational | undefined => {
    skip();
    if (text[at] === "-" || text[at] === "+") {
      if (++depth > 50) return undefined;
      const minus = text[at++] === "-";
      const value = signed();
      depth--;
      return value && (minus ? negate(value) : value);
    }
    return power();
  };
  const product = (): Rational | undefined => {
    let left = signed();
    for (;;) {
      skip();
      const c = text[at];
      if (!left) return undefined;
      if (c === "*" || c === "/") {
        at++;
        const right = signed();
        if (!right || (c === "/" && right.n === 0n)) return undefined;
        left = c === "*" ? multiply(left, right) : divide(left, right);
      } else if (c === "(" || (c !== undefined && Object.hasOwn(variables, c))) {
        const right = power();
        if (!right) return undefined;
        left = multiply(left, right);
      } else return left;
    }
  };
  const sum = (): Rational | undefined => {
    let left = product();
    for (;;) {
      skip();
      const c = text[at];
      if (!left || (c !== "+" && c !== "-")) return left;
      at++;
      const right = product();
      if (!right) return undefined;
      left = c === "+" ? add(left, right) : subtract(left, right);
    }
  };
  const value = sum();
  skip();
  return at === text.length ? value : undefined;
}
