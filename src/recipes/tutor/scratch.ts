// The scratchpad: the few written procedures from which every trace is composed. Each is local (one column, one carry, one
// digit product per step, least significant digit first), each column step is nine characters wide so that a small
// transformer finds its operands at fixed distances, and each is one line. It works on integers below 10^15.
//
//   458+067:8+7+0=15;5+6+1=12;4+0+1=05;=525      digit + digit + carry = carry and digit
//   523-067:13-7-0=6;11-6-1=4;05-0-1=4;=456      top (ten borrowed or not) - digit - borrow
//   347*6:7*6+0=42;4*6+4=28;3*6+2=20;=2082       digit * digit + carry
//   7385/4:07=4*1+3;33=4*8+1;18=4*4+2;25=4*6+1;=1846r1   remainder and next digit = divisor * digit + remainder

/** Whether a sum or difference is small enough to be said at once: numbers of two digits, and 100 with one of them. */
const atOnce = (a: number, b: number): boolean => (a < 100 && b < 100) || (a === 100 && b < 100);

export class Scratch {
  readonly lines: string[] = [];

  say(line: string): void {
    this.lines.push(line);
  }

  /** Says what is left, unless the last line said just that. */
  state(line: string): void {
    if (this.lines[this.lines.length - 1] !== line) this.lines.push(line);
  }

  /** Puts what is asked before the lines that started at `from`, unless the first of them says it: `7*8=56`. */
  head(line: string, from: number): void {
    if (!this.lines[from].startsWith(`${line}=`)) this.lines.splice(from, 0, line);
  }

  /** Characters so far, line ends included. */
  get length(): number {
    return this.lines.reduce((sum, line) => sum + line.length + 1, -1);
  }

  toString(): string {
    return this.lines.join("\n");
  }

  /** a + b of integers of any sign; the signs are the caller's to show. */
  add(a: number, b: number): number {
    if (a < 0 && b < 0) return -this.plus(-a, -b);
    if (a < 0) return this.subtract(b, -a);
    if (b < 0) return this.subtract(a, -b);
    return this.plus(a, b);
  }

  /** a - b of integers of any sign. */
  subtract(a: number, b: number): number {
    if (b < 0) return this.add(a, -b);
    if (a < 0) return -this.plus(-a, b);
    return a >= b ? this.minus(a, b) : -this.minus(b, a);
  }

  multiply(a: number, b: number): number {
    const value = this.times(Math.abs(a), Math.abs(b));
    return a < 0 !== b < 0 ? -value || 0 : value;
  }

  /** a / b where b divides a. */
  divideExactly(a: number, b: number): number {
    const { quotient } = this.divide(Math.abs(a), Math.abs(b));
    return a < 0 !== b < 0 ? -quotient || 0 : quotient;
  }

  private plus(a: number, b: number): number {
    const sum = a + b;
    if (atOnce(a, b) || a === 0 || b === 0) this.say(`${a}+${b}=${sum}`);
    else this.say(procedure("+", a, b)!);
    return sum;
  }

  private minus(a: number, b: number): number {
    const difference = a - b;
    if (atOnce(a, b) || b === 0 || difference === 0) this.say(`${a}-${b}=${difference}`);
    else this.say(procedure("-", a, b)!);
    return difference;
  }

  private times(a: number, b: number): number {
    const product = a * b;
    if (a < b && b >= 10) [a, b] = [b, a];
    if (a < 10 || b <= 1 || isPowerOfTen(b) || (product < 100 && b < 10)) {
      this.say(`${a}*${b}=${product}`);
      return product;
    }
    if (isPowerOfTen(a)) {
      this.say(`${b}*${a}=${product}`);
      return product;
    }
    // The factor with fewer digits that are not 0 goes below.
    if (significant(a) < significant(b)) [a, b] = [b, a];
    const digits = String(b);
    let sum = 0;
    let parts = 0;
    for (let i = digits.length - 1; i >= 0; i--) {
      const digit = digits.charCodeAt(i) - 48;
      if (digit === 0) continue;
      const part = this.timesDigit(a, digit, digits.length - 1 - i);
      sum = parts++ === 0 ? part : this.plus(part, sum);
    }
    if (parts > 1) this.say(`${a}*${b}=${product}`);
    return product;
  }

  /** a * digit * 10^zeros on one line. */
  private timesDigit(a: number, digit: number, zeros: number): number {
    const product = a * digit * 10 ** zeros;
    this.say(procedure("*", a, digit * 10 ** zeros)!);
    return product;
  }

  /** Quotient and remainder of a >= 0 by b > 0. */
  divide(a: number, b: number): { quotient: number; remainder: number } {
    const quotient = Math.floor(a / b);
    const remainder = a - quotient * b;
    const result = remainder ? `${quotient}r${remainder}` : `${quotient}`;
    const text = String(a);
    const known = b < 10 && quotient < 10;
    if (b === 1 || (isPowerOfTen(b) && remainder === 0) || known) this.say(`${a}/${b}=${result}`);
    else if (b < 10) {
      this.say(procedure("/", a, b)!);
    } else {
      this.longDivide(text, b);
      this.say(`${a}/${b}=${result}`);
    }
    return { quotient, remainder };
  }

  /** The remainder of a > 0 by b > 0 without a closing line; a divisor that fits once is taken away. */
  remainder(a: number, b: number): number {
    if (b < 10 || (isPowerOfTen(b) && a % b === 0)) return this.divide(a, b).remainder;
    if (a < 2 * b) return a < b ? a : this.minus(a, b);
    this.longDivide(String(a), b);
    return a % b;
  }

  /** Long division by two digits or more: for each quotient digit a trial `chunk/b~digit`, its product, its difference. */
  private longDivide(text: string, b: number): void {
    let chunk = 0;
    let started = false;
    for (let i = 0; i < text.length; i++) {
      chunk = chunk * 10 + (text.charCodeAt(i) - 48);
      if (chunk < b && !started && i < text.length - 1) continue;
      started = true;
      const digit = Math.floor(chunk / b);
      this.say(`${chunk}/${b}~${digit}`);
      if (digit > 0) chunk = this.minus(chunk, digit === 1 ? b : this.times(b, digit));
    }
  }
}

const two = (value: number): string => (value < 10 ? `0${value}` : `${value}`);
const isPowerOfTen = (value: number): boolean => value >= 10 && /^10+$/.test(String(value));
const significant = (value: number): number => String(value).replaceAll("0", "").length;

/**
 * The one-line procedure of an operation on natural numbers: sums, differences that are not negative, products with one digit
 * and zeros behind it, quotients by one digit. Undefined for other operands.
 */
export function procedure(op: "+" | "-" | "*" | "/", a: number, b: number): string | undefined {
  if (op === "+") return `${columns(a, b, "+")}=${a + b}`;
  if (op === "-") return a < b ? undefined : `${columns(a, b, "-")}=${a - b}`;
  if (op === "/") {
    if (b < 1 || b > 9) return undefined;
    let line = `${a}/${b}:`;
    let rest = 0;
    for (const c of String(a)) {
      const chunk = rest * 10 + (c.charCodeAt(0) - 48);
      const digit = Math.floor(chunk / b);
      rest = chunk - digit * b;
      line += `${two(chunk)}=${b}*${digit}+${rest};`;
    }
    return `${line}=${Math.floor(a / b)}${rest ? `r${rest}` : ""}`;
  }
  const factor = /^([1-9])0*$/.exec(String(b))?.[1];
  if (factor === undefined) return undefined;
  const digit = Number(factor);
  let line = `${a}*${b}:`;
  let carry = 0;
  const text = String(a);
  for (let i = text.length - 1; i >= 0; i--) {
    const d = text.charCodeAt(i) - 48;
    const value = d * digit + carry;
    line += `${d}*${digit}+${carry}=${two(value)};`;
    carry = Math.floor(value / 10);
  }
  return `${line}=${a * b}`;
}

/** Everything of an addition's or a subtraction's line before the result. */
function columns(a: number, b: number, sign: "+" | "-"): string {
  const width = Math.max(String(a).length, String(b).length);
  const top = String(a).padStart(width, "0");
  const bottom = String(b).padStart(width, "0");
  let line = `${top}${sign}${bottom}:`;
  let carry = 0;
  for (let i = width - 1; i >= 0; i--) {
    const x = top.charCodeAt(i) - 48;
    const y = bottom.charCodeAt(i) - 48;
    if (sign === "+") {
      line += `${x}+${y}+${carry}=${two(x + y + carry)};`;
      carry = x + y + carry > 9 ? 1 : 0;
    } else {
      const lent = x < y + carry ? 1 : 0;
      line += `${lent}${x}-${y}-${carry}=${lent * 10 + x - y - carry};`;
      carry = lent;
    }
  }
  return line;
}
