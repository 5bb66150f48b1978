// Marks the steps of a solution right or wrong: the tutor's own scratchpads, line by line and column by column, and what
// people write freely. Values are exact; a line that claims nothing (a heading, a list) counts as right. It changes no text
// and never throws on what it is given.

import { determinant, matrix } from "./matrix.ts";
import {
  type Assignment,
  antiderivative,
  derivative,
  equation,
  type Polynomial,
  polynomial,
  samePolynomial,
  solve,
  unknowns,
  valueAt,
} from "./polynomial.ts";
import type { Language } from "./problem.ts";
import { divide, equal, evaluate, formatDecimal, type Rational, rational, subtract } from "./rational.ts";
import { procedure } from "./scratch.ts";
import { UNITS } from "./skills/facts.ts";
import { normalise } from "./verify.ts";

export interface MarkedStep {
  /** The step as it was written. */
  text: string;
  /** The line of the whole text that it stands on, from 0. */
  line: number;
  ok: boolean;
  /** The writer took the step back (the line ends in `!`): not judged. */
  withdrawn?: boolean;
  /** What should stand there. */
  expected?: string;
  /** Why it is wrong. */
  explanation?: Readonly<Record<Language, string>>;
}

/** Texts with more steps than this are marked up to here. */
const MOST_STEPS = 200;

type Judgement = Omit<MarkedStep, "text" | "line">;
const RIGHT: Judgement = { ok: true };

const wrong = (expected: string, found: string): Judgement => ({
  ok: false,
  expected,
  explanation: { zh: `应该是 ${expected},不是 ${found}。`, en: `It should be ${expected}, not ${found}.` },
});

/** gcd(18,12), lcm(4,6), C(5,2), P(5,2) as numbers. */
function withoutFunctions(text: string): string {
  return text.replace(/(gcd|lcm|C|P|A)\((\d{1,9}),(\d{1,9})\)/g, (all, name: string, p: string, q: string) => {
    const [a, b] = [Number(p), Number(q)];
    const gcd = (x: number, y: number): number => (y === 0 ? x : gcd(y, x % y));
    if (name === "gcd") return `${gcd(a, b)}`;
    if (name === "lcm") return a * b === 0 ? "0" : `${(a / gcd(a, b)) * b}`;
    if (a > 60 || b > a) return all;
    let value = 1n;
    for (let i = 0; i < b; i++) value *= BigInt(a - i);
    if (name === "C") for (let i = 2; i <= b; i++) value /= BigInt(i);
    return `${value}`;
  });
}

/** The value of arithmetic; ratios count as quotients. */
const worth = (text: string): Rational | undefined => evaluate(text.replaceAll(":", "/"));

/** What is known while a solution is read from top to bottom. */
class Marker {
  /** The value that lines starting with `=` must keep. */
  private chain: Rational | undefined;
  private given: Polynomial[] = [];
  private solutions: readonly Assignment[] | undefined;
  private f: Polynomial | undefined;
  private upper: Rational | undefined;
  private target: Rational | undefined;
  private det: bigint | undefined;

  constructor(question: string | undefined) {
    if (question === undefined) return;
    // A system is given as several equations.
    const parts = question.includes("=") ? question.split(/[,;\n]/) : [question];
    for (const part of parts) this.judge(part.replace(/[=?\s]+$/, ""));
  }

  judge(line: string): Judgement {
    // A quotation claims nothing.
    if (line.trimStart().startsWith('"')) return RIGHT;
    const text = withoutFunctions(line.replace(/\s+/g, ""));
    return (
      this.procedure(text) ??
      this.trial(text) ??
      this.search(text) ??
      this.unit(text) ??
      this.determinant(text) ??
      this.function(text) ??
      this.proportion(text) ??
      this.list(text) ??
      this.comparison(text) ??
      this.equality(text) ??
      RIGHT
    );
  }

  private procedure(text: string): Judgement | undefined {
    const m = /^(\d{1,12})([-+*/])(\d{1,12}):(.*;.*)$/.exec(text);
    if (!m) return undefined;
    const due = procedure(m[2] as "+", Number(m[1]), Number(m[3]));
    if (due === undefined) return undefined;
    if (due === text) return RIGHT;
    const [head, tail] = due.split(":");
    if (head !== `${m[1]}${m[2]}${m[3]}`) return wrong(head, text.slice(0, text.indexOf(":")));
    const dueParts = tail.split(";");
    const parts = m[4].split(";");
    const at = dueParts.findIndex((p, i) => p !== parts[i]);
    const expected = at < 0 ? (dueParts.at(-1) ?? "") : dueParts[at];
    return wrong(expected, (at < 0 ? parts.at(-1) : parts[at]) || "\u2014");
  }

  /** `18<24`, `24=24` behind a value compare it with a goal. */
  private comparison(text: string): Judgement | undefined {
    const m = /^(.+)=(-?\d{1,12})([<>])(-?\d{1,12})$/.exec(text);
    if (!m || text.includes(";")) return undefined;
    const value = this.equality(`${m[1]}=${m[2]}`);
    if (value && !value.ok) return value;
    const [a, b] = [BigInt(m[2]), BigInt(m[4])];
    return (m[3] === "<" ? a < b : a > b) ? RIGHT : wrong(`${a}${a < b ? "<" : a > b ? ">" : "="}${b}`, text);
  }

  private trial(text: string): Judgement | undefined {
    const m = /^(\d{1,12})\/(\d{1,12})~(\d{1,12})$/.exec(text);
    if (!m || BigInt(m[2]) === 0n) return undefined;
    const due = BigInt(m[1]) / BigInt(m[2]);
    return due === BigInt(m[3]) ? RIGHT : wrong(`${m[1]}/${m[2]}~${due}`, text);
  }

  /** `3 8 5>18` sets a target; `3:15,21,6;8+5=13` says what the others must make, then what they make. */
  private search(text: string): Judgement | undefined {
    const goal = /^[\d ]*>(\d{1,9})$/.exec(text);
    if (goal) {
      this.target = rational(BigInt(goal[1]));
      return RIGHT;
    }
    const m = /^(\d{1,9}):([\d,]+);(.+)$/.exec(text);
    if (!m || this.target === undefined) return undefined;
    const c = BigInt(m[1]);
    const t = this.target.n;
    for (const need of m[2].split(",")) {
      const n = BigInt(need || "0");
      if (n + c === t || c - n === t || n - c === t || n * c === t || (c !== 0n && n === t * c)) continue;
      return wrong(`${t > c ? t - c : c - t},${t + c}`, need);
    }
    return this.list(m[3]) ?? this.equality(m[3]);
  }

  private unit(text: string): Judgement | undefined {
    const m = /^1([A-Za-z]+)=(\d{1,9})([A-Za-z]+)$/.exec(text);
    const known = m && UNITS.find(([large, small]) => large.short === m[1] && small.short === m[3]);
    if (!known) return undefined;
    return known[2] === Number(m[2]) ? RIGHT : wrong(`1${m[1]}=${known[2]}${m[3]}`, text);
  }

  private determinant(text: string): Judgement | undefined {
    const rows = matrix(text);
    if (rows) {
      this.det = determinant(rows);
      return RIGHT;
    }
    const m = /^det=(-?\d{1,15})$/.exec(text);
    if (!m || this.det === undefined) return undefined;
    return BigInt(m[1]) === this.det ? RIGHT : wrong(`det=${this.det}`, text);
  }

  /** f(x)=…, f'(x)=…, F(x)=…, and their values. */
  private function(text: string): Judgement | undefined {
    const m = /^([fF])('?)\((x|-?\d{1,6})\)=(.+)$/.exec(text);
    if (!m) return undefined;
    const said = polynomial(m[4]);
    if (!said) return undefined;
    if (m[1] === "f" && m[2] === "" && m[3] === "x") {
      this.f = said;
      return RIGHT;
    }
    if (!this.f) return RIGHT;
    const due = m[1] === "F" ? antiderivative(this.f) : m[2] === "'" ? derivative(this.f) : this.f;
    if (m[3] === "x") return samePolynomial(due, said) ? RIGHT : wrong(`${m[1]}${m[2]}(x)`, m[4]);
    const value = valueAt(due, { x: rational(BigInt(m[3])) })!;
    if (m[1] === "F") {
      // The integral is the first value less the second.
      if (this.upper) this.chain = subtract(this.upper, value);
      this.upper = value;
    }
    const found = valueAt(said, {});
    return found && equal(found, value) ? RIGHT : wrong(formatDecimal(value), m[4]);
  }

  /** x:10=2:4 as an equation. */
  private proportion(text: string): Judgement | undefined {
    const m = /^([\dx.]+):([\dx.]+)=([\dx.]+):([\dx.]+)$/.exec(text);
    return m && text.includes("x") ? this.equality(`${m[1]}*${m[4]}=${m[2]}*${m[3]}`) : undefined;
  }

  /** Several claims on one line. */
  private list(text: string): Judgement | undefined {
    const parts = text.split(/[;,]/);
    if (parts.length < 2 || !parts.some((p) => p.includes("="))) return undefined;
    return parts.map((p) => this.comparison(p) ?? this.equality(p) ?? RIGHT).find((j) => !j.ok) ?? RIGHT;
  }

  private equality(text: string): Judgement | undefined {
    const remainder = /^(\d{1,12})\/(\d{1,12})=(\d{1,12})(?:r(\d{1,12}))?$/.exec(text);
    if (remainder && (remainder[4] !== undefined || BigInt(remainder[2]) === 0n)) {
      const [a, b] = [BigInt(remainder[1]), BigInt(remainder[2])];
      if (b === 0n) return wrong("\u2014", text);
      const due = `${a / b}${a % b ? `r${a % b}` : ""}`;
      return due === `${remainder[3]}r${remainder[4]}` ? RIGHT : wrong(`${a}/${b}=${due}`, text);
    }
    const named = text.replace(/^(?:D|det)=/, "");
    if (!named.includes("=")) {
      const value = worth(named);
      if (value && named === text) this.chain = value;
      return value ? RIGHT : undefined;
    }
    const sides = named.split("=");
    const values = sides.map((side, i) => (i === 0 && side === "" ? this.chain : worth(side)));
    if (sides[0] === "" && values[0] === undefined) {
      // Nothing to compare with yet: this is where the chain starts.
      this.chain = values[1];
      return RIGHT;
    }
    if (values.every((v) => v !== undefined)) {
      const at = values.findIndex((v) => !equal(v, values[0]!));
      if (sides[0] === "") this.chain = values[0];
      if (at < 0) return RIGHT;
      const due = formatDecimal(values[0]!);
      return wrong(sides[0] === "" ? `=${due}` : `${sides[0]}=${due}`, sides[at]);
    }
    return this.equation(named);
  }

  /** An equation must keep the solution of what was given. */
  private equation(text: string): Judgement | undefined {
    const p = equation(text);
    if (!p) return undefined;
    const names = unknowns(p);
    if (names.length === 0) return p.size === 0 ? RIGHT : wrong("\u2014", text);
    if (!this.solutions) {
      this.given.push(p);
      this.solutions = solve(this.given);
      return RIGHT;
    }
    const known = this.solutions;
    if (names.some((n) => !Object.hasOwn(known[0], n))) return RIGHT;
    const holds = known.filter((s) => valueAt(p, s)?.n === 0n).length;
    // One root may be told alone; any other line must keep all of them.
    if (holds === known.length || (holds > 0 && /^[A-Za-z]=/.test(text))) return RIGHT;
    const single = /^([A-Za-z])=/.exec(text)?.[1];
    const m = /^(-?\d*)\*?([A-Za-z])=/.exec(text);
    if (m && single === undefined && known.length === 1 && names.length === 1) {
      const factor = evaluate(m[1] === "" ? "1" : m[1] === "-" ? "-1" : m[1]);
      const value = known[0][m[2]];
      if (factor && factor.n !== 0n)
        return wrong(`${m[1]}${m[2]}=${formatDecimal(divide(value, divide(rational(1), factor)))}`, text);
    }
    const all = known.map((s) => names.map((n) => `${n}=${formatDecimal(s[n])}`).join(",")).join(" / ");
    return wrong(single && known.length === 1 ? `${single}=${formatDecimal(known[0][single])}` : all, text);
  }
}

/** `1)`, `2. `, `第3步:`, `Step 4:` in front of a step; the marks `ok` and `wrong` behind it. */
const bare = (line: string): string =>
  line
    .replace(/^\s*(?:\u7b2c\s*\d+\s*\u6b65\s*[:.\u3001]?|step\s*\d+\s*[:.)]?|\d+\s*[)\u3001]|\d+\.\s+)\s*/i, "")
    .replace(/\s(?:ok|wrong)$/, "");

/** The text's steps with their lines: one per line; free text may also separate them by `;`, full stops or arrows. */
function splitSteps(text: string): { text: string; line: number }[] {
  const out: { text: string; line: number }[] = [];
  text.split("\n").forEach((whole, line) => {
    const separators = /[;\uff1b\u3002]|=>|\u2192|\u21d2/;
    const own = /^\s*\d+([-+*/]\d+)?:.*;/.test(whole);
    for (const part of own ? [whole] : whole.split(separators)) if (part.trim() !== "") out.push({ text: part, line });
  });
  return out.slice(0, MOST_STEPS);
}

/**
 * Marks each step of a solution. `question` is the bare exercise (an expression, an equation, or several separated by commas)
 * that the solution starts from, when the text does not state it itself.
 */
export function checkSteps(text: string, question?: string): MarkedStep[] {
  const marker = new Marker(question === undefined ? undefined : normalise(question));
  const out: MarkedStep[] = [];
  for (const step of splitSteps(text)) {
    if (!step.text.trimEnd().endsWith("!")) {
      out.push({ ...step, ...marker.judge(bare(normalise(step.text))) });
      continue;
    }
    // What is taken back includes the trial digit that led here.
    for (let i = out.length - 1; i >= Math.max(0, out.length - 2); i--)
      if (/^\d+\/\d+~\d+$/.test(out[i].text.trim()) && !out[i].ok) {
        for (let j = i; j < out.length; j++)
          out[j] = { text: out[j].text, line: out[j].line, ok: true, withdrawn: true };
        break;
      }
    out.push({ ...step, ok: true, withdrawn: true });
  }
  return out;
}
