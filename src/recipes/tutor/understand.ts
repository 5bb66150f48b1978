// Recognises an exercise from how it is asked and computes its exact answer, so that answers to questions nobody generated can
// be verified too. It reads the same wordings the tutor is taught (turned into patterns), then bare formulas inside other
// words. What it does not recognise for certain is undefined: no guess.

import { value } from "./expression.ts";
import { determinant, matrix } from "./matrix.ts";
import { EVALUATE, IN_WORDS, SOLVE, type Templates } from "./phrases.ts";
import * as school from "./phrases-school.ts";
import * as hunts from "./phrases-search.ts";
import * as university from "./phrases-university.ts";
import { antiderivative, derivative, equation, polynomial, solve, unknowns, valueAt } from "./polynomial.ts";
import type { Answer, Language } from "./problem.ts";
import {
  add,
  divide,
  equal,
  evaluate,
  formatRational,
  multiply,
  type Rational,
  rational,
  subtract,
} from "./rational.ts";
import { languageOf } from "./skills/common.ts";
import { dieEvents, UNITS, type Unit } from "./skills/facts.ts";
import { formula } from "./skills/stories.ts";
import { checkSteps } from "./steps.ts";
import { STORIES_EN } from "./stories-en.ts";
import { STORIES_ZH } from "./stories-zh.ts";
import { normalise } from "./verify.ts";
import { compile } from "./wording.ts";

export interface Understood {
  /** What kind of exercise it is: the name of the wording family. */
  kind: string;
  language: Language;
  answer: Answer;
}

/** Longer questions are not looked at. */
const LONGEST_QUESTION = 600;

type Slots = Readonly<Record<string, string>>;
type Reader = (slots: Slots, language: Language) => Answer | undefined;

const whole = (text: string | undefined): bigint | undefined =>
  text !== undefined && /^ *-?\d{1,15} *$/.test(text) ? BigInt(text) : undefined;

const number = (r: Rational | undefined, extra: { lowest?: boolean; percent?: boolean } = {}): Answer | undefined =>
  r && { kind: "number", value: formatRational(r), ...extra };

const numbers = (values: readonly (Rational | bigint)[], ordered: boolean, names?: string[]): Answer => ({
  kind: "numbers",
  values: values.map((v) => (typeof v === "bigint" ? `${v}` : formatRational(v))),
  ordered,
  ...(names ? { names } : {}),
});

/** Arithmetic as people type it: `3/4 \u00f7 2/5` divides fractions, `10 \u00f7 2` numbers. */
function typedValue(text: string): Rational | undefined {
  const fractions = /\u00f7/.test(text) ? text.replace(/(\d+) *\/ *(\d+)/g, "($1/$2)") : text;
  return evaluate(normalise(fractions).trim());
}

const quotient = (a: bigint, b: bigint): Answer | undefined => {
  if (b <= 0n || a < 0n) return undefined;
  if (a % b === 0n) return { kind: "number", value: `${a / b}` };
  return { kind: "division", quotient: `${a / b}`, remainder: `${a % b}` };
};

const formulaOf: Reader = ({ e }) => {
  const plain = e.trim().replace(/[=?\s]+$/, "");
  const division = /^(\d{1,15}) *[/\u00f7] *(\d{1,15})$/.exec(plain);
  if (division) return quotient(BigInt(division[1]), BigInt(division[2]));
  // A number alone asks nothing.
  if (/^[-+]?[\d.\s]*$/.test(plain)) return undefined;
  return number(typedValue(plain), /\./.test(plain) ? {} : { lowest: true });
};

const solutionOf: Reader = ({ e }) => {
  const p = equation(normalise(e));
  if (!p) return undefined;
  const found = solve([p]);
  const [x] = unknowns(p);
  if (!found || unknowns(p).length !== 1) return undefined;
  return numbers(
    found.map((s) => s[x]),
    found.length === 1,
    found.map(() => x),
  );
};

const systemOf: Reader = ({ e, f }) => {
  const [p, q] = [equation(normalise(e)), equation(normalise(f))];
  const found = p && q && solve([p, q]);
  if (found?.length !== 1) return undefined;
  const names = Object.keys(found[0]);
  return names.length === 2
    ? numbers(
        names.map((n) => found[0][n]),
        true,
        names,
      )
    : undefined;
};

const binary =
  (op: "+" | "-" | "*" | "/"): Reader =>
  ({ a, b }) => {
    const [x, y] = [evaluate(a), evaluate(b)];
    if (!x || !y) return undefined;
    if (op === "/" && x.d === 1n && y.d === 1n) return quotient(x.n, y.n);
    if (op === "/") return y.n === 0n ? undefined : number(divide(x, y));
    return number(op === "+" ? add(x, y) : op === "-" ? subtract(x, y) : multiply(x, y));
  };

const percent =
  (kind: keyof typeof school.PERCENT): Reader =>
  ({ n, p, m }) => {
    const base = evaluate(n);
    const hundred = rational(100);
    if (!base) return undefined;
    if (kind === "what") {
      const part = evaluate(m);
      return part && base.n !== 0n ? number(divide(multiply(part, hundred), base), { percent: true }) : undefined;
    }
    const rate = evaluate(p);
    if (!rate) return undefined;
    const factor = kind.endsWith("more") ? add(hundred, rate) : kind.endsWith("less") ? subtract(hundred, rate) : rate;
    if (kind === "of" || kind === "more" || kind === "less") return number(divide(multiply(base, factor), hundred));
    return factor.n === 0n ? undefined : number(divide(multiply(base, hundred), factor));
  };

const gcd = (a: bigint, b: bigint): bigint => (b === 0n ? (a < 0n ? -a : a) : gcd(b, a % b));

const twoWhole =
  (read: (a: bigint, b: bigint) => Answer | undefined): Reader =>
  ({ a, b }) => {
    const [x, y] = [whole(a), whole(b)];
    return x !== undefined && y !== undefined && x > 0n && y > 0n ? read(x, y) : undefined;
  };

const list = (text: string): bigint[] | undefined => {
  const parts = text
    .replace(/^\[|\]$/g, "")
    .split(/\s*(?:,|\u3001|\band\b|\u548c)\s*|\s+/)
    .filter((p) => p !== "");
  return parts.length > 1 && parts.length <= 12 && parts.every((p) => /^\d{1,9}$/.test(p))
    ? parts.map(BigInt)
    : undefined;
};

const ratio = (text: string): [bigint, bigint] | undefined => {
  const m = /^\s*(\d{1,12})\s*:\s*(\d{1,12})\s*$/.exec(text);
  return m && BigInt(m[1]) > 0n && BigInt(m[2]) > 0n ? [BigInt(m[1]), BigInt(m[2])] : undefined;
};

function making(numbersText: string, target: bigint | undefined): Answer | undefined {
  const given = list(numbersText);
  if (!given || given.length > 6 || target === undefined) return undefined;
  return { kind: "make", numbers: given.map(Number), target: Number(target) };
}

const falling = (n: bigint, k: bigint): bigint => (k === 0n ? 1n : n * falling(n - 1n, k - 1n));

/** Units by everything they are called. */
const unitNames = new Map<string, Unit>();
for (const [large, small] of UNITS)
  for (const unit of [large, small])
    for (const name of [unit.zh, unit.en, unit.short, unit.en.replace(/s$/, "")])
      unitNames.set(name.toLowerCase(), unit);

const convert: Reader = ({ q, u }) => {
  const goal = unitNames.get(u.trim().toLowerCase());
  if (!goal) return undefined;
  let sum: Rational | undefined;
  const rest = q.replace(/(\d+(?:\.\d+)?) *([A-Za-z]+|[\u4e00-\u9fff]+)/g, (_, n: string, name: string) => {
    const unit = unitNames.get(name.toLowerCase());
    const factor = unit && factorBetween(unit.short, goal.short);
    const part = factor && multiply(evaluate(n)!, factor);
    if (part) sum = sum ? add(sum, part) : part;
    return part ? "" : "?";
  });
  return rest.trim() === "" ? number(sum) : undefined;
};

function factorBetween(from: string, to: string): Rational | undefined {
  if (from === to) return rational(1);
  for (const [large, small, factor] of UNITS) {
    if (large.short === from && small.short === to) return rational(factor);
    if (large.short === to && small.short === from) return rational(1, factor);
  }
  return undefined;
}

const vector = (text: string): bigint[] | undefined =>
  list(
    text
      .trim()
      .replace(/^[([]|[)\]]$/g, "")
      .replaceAll("-", "\u0000"),
  ) ?? signedList(text);
const signedList = (text: string): bigint[] | undefined => {
  const parts = text
    .trim()
    .replace(/^[([]|[)\]]$/g, "")
    .split(/\s*,\s*/);
  return parts.every((p) => /^-?\d{1,9}$/.test(p)) ? parts.map(BigInt) : undefined;
};

const balls =
  (drawn: 1 | 2): Reader =>
  ({ a, b, c, R, W }) => {
    const [red, white, first] = [whole(a), whole(b), c === R];
    if (red === undefined || white === undefined || (!first && c !== W)) return undefined;
    const [n, k] = [red + white, first ? red : white];
    if (n < 2n) return undefined;
    return number(drawn === 1 ? rational(k, n) : rational(k * (k - 1n), n * (n - 1n)), { lowest: true });
  };

const small = (text: string | undefined): bigint | undefined => {
  const n = whole(text);
  return n !== undefined && n >= 0n && n <= 1000n ? n : undefined;
};

/** Specific families first: a bare formula would swallow everything. */
const FAMILIES: readonly [string, Templates, Reader][] = [
  ["points24", hunts.TWENTY_FOUR, ({ l }) => making(l, 24n)],
  ["countdown", hunts.COUNTDOWN, ({ l, t }) => making(l, whole(t))],
  [
    "sum-product",
    hunts.SUM_PRODUCT,
    ({ s, p }) => {
      const [sum, product] = [whole(s), whole(p)];
      if (sum === undefined || product === undefined) return undefined;
      const found = solve([
        new Map([
          ["xx", rational(1)],
          ...(sum ? [["x", rational(-sum)] as const] : []),
          ...(product ? [["", rational(product)] as const] : []),
        ]),
      ]);
      if (!found) return undefined;
      return numbers([found[0].x, (found[1] ?? found[0]).x], false);
    },
  ],
  [
    "remainders",
    hunts.REMAINDERS,
    ({ a, r, b, s }) => {
      const [m, p, n, q] = [small(a), small(r), small(b), small(s)];
      if (!m || !n || p === undefined || q === undefined) return undefined;
      for (let x = 1n; x <= m * n; x++) if (x % m === p && x % n === q) return { kind: "number", value: `${x}` };
      return undefined;
    },
  ],
  [
    "reversed",
    hunts.REVERSED,
    ({ s, d }) => {
      for (let n = 10; n < 100; n++) {
        const [tens, ones] = [Math.floor(n / 10), n % 10];
        if (tens + ones === Number(s) && ones * 10 + tens - n === Number(d)) return { kind: "number", value: `${n}` };
      }
      return undefined;
    },
  ],
  [
    "consecutive",
    hunts.CONSECUTIVE,
    ({ p }) => {
      const product = whole(p);
      if (product === undefined || product < 1n || product > 10n ** 12n) return undefined;
      const n = BigInt(Math.floor(Math.sqrt(Number(product))));
      return n * (n + 1n) === product ? numbers([n, n + 1n], false) : undefined;
    },
  ],
  [
    "coins",
    hunts.COINS,
    ({ n, a, b, t }) => {
      const [count, x, y, total] = [whole(n), whole(a), whole(b), whole(t)];
      if (count === undefined || x === undefined || y === undefined || total === undefined || x === y) return undefined;
      const k = rational(total - count * x, y - x);
      return k.d === 1n && k.n >= 0n && k.n <= count ? numbers([count - k.n, k.n], true) : undefined;
    },
  ],
  [
    "operators",
    hunts.OPERATORS,
    ({ g }) => {
      const m = /^(\d+(?: *(?:_+|\?|\( *\)) *\d+)+) *= *(\d{1,9})$/.exec(g.trim());
      if (!m) return undefined;
      const given = m[1].match(/\d+/g)!.map(Number);
      return { kind: "make", numbers: given, target: Number(m[2]), inOrder: true };
    },
  ],
  [
    "derivative",
    university.DERIVATIVE,
    ({ e, a }) => {
      const p = polynomial(e);
      const at = evaluate(a);
      return p && at && unknowns(p).every((x) => x === "x") ? number(valueAt(derivative(p), { x: at })) : undefined;
    },
  ],
  [
    "integral",
    university.INTEGRAL,
    ({ e, a, b, i }) => {
      const p = polynomial(e);
      const bounds = i === undefined ? [a, b] : i.replace(/^\[|\]$/g, "").split(",");
      const [from, to] = [evaluate(bounds[0] ?? ""), evaluate(bounds[1] ?? "")];
      if (!p || !from || !to || unknowns(p).some((x) => x !== "x")) return undefined;
      const up = antiderivative(p);
      return number(subtract(valueAt(up, { x: to })!, valueAt(up, { x: from })!), { lowest: true });
    },
  ],
  [
    "matrix-vector",
    university.MATRIX_VECTOR,
    ({ e, v }) => {
      const [rows, x] = [matrix(e), vector(v)];
      if (!rows || !x || rows.length !== x.length) return undefined;
      return numbers(
        rows.map((row) => row.reduce((sum, c, i) => sum + c * x[i], 0n)),
        true,
      );
    },
  ],
  [
    "determinant",
    university.DETERMINANT,
    ({ e }) => {
      const rows = matrix(e);
      return rows && { kind: "number", value: `${determinant(rows)}` };
    },
  ],
  [
    "arrange",
    university.ARRANGE,
    ({ n, k }) => {
      const [x, y] = [small(n), small(k)];
      return x !== undefined && y !== undefined && y <= x && x <= 60n
        ? { kind: "number", value: `${falling(x, y)}` }
        : undefined;
    },
  ],
  [
    "choose",
    university.CHOOSE,
    ({ n, k }) => {
      const [x, y] = [small(n), small(k)];
      if (x === undefined || y === undefined || y > x || x > 60n) return undefined;
      return { kind: "number", value: `${falling(x, y) / falling(y, y)}` };
    },
  ],
  [
    "two dice",
    university.TWO_DICE,
    ({ k }) => {
      const n = Number(k);
      return n >= 2 && n <= 12 ? number(rational(6 - Math.abs(7 - n), 36), { lowest: true }) : undefined;
    },
  ],
  [
    "die",
    university.ONE_DIE,
    ({ w }, language) => {
      const event = dieEvents.find((d) => d[language] === w.trim().toLowerCase());
      return event && number(rational(event.faces.length, 6), { lowest: true });
    },
  ],
  ["two balls", university.TWO_BALLS, balls(2)],
  ["ball", university.ONE_BALL, balls(1)],
  ...(["undo-more", "undo-less", "reverse", "what", "more", "less", "of"] as const).map(
    (kind): [string, Templates, Reader] => [`percent ${kind}`, school.PERCENT[kind], percent(kind)],
  ),
  ["gcd", school.GCD, twoWhole((a, b) => ({ kind: "number", value: `${gcd(a, b)}` }))],
  ["lcm", school.LCM, twoWhole((a, b) => ({ kind: "number", value: `${(a / gcd(a, b)) * b}` }))],
  [
    "average",
    school.AVERAGE,
    ({ l }) => {
      const given = list(l);
      return (
        given &&
        number(
          rational(
            given.reduce((a, b) => a + b, 0n),
            given.length,
          ),
        )
      );
    },
  ],
  [
    "ratio",
    school.RATIO_SIMPLIFY,
    ({ e }) => {
      const r = ratio(e);
      return (
        r &&
        numbers(
          r.map((n) => n / gcd(r[0], r[1])),
          true,
        )
      );
    },
  ],
  [
    "share",
    school.RATIO_SHARE,
    ({ n, e }) => {
      const [r, total] = [ratio(e), whole(n)];
      if (!r || total === undefined) return undefined;
      return numbers(
        r.map((part) => rational(total * part, r[0] + r[1])),
        true,
      );
    },
  ],
  [
    "proportion",
    school.PROPORTION,
    ({ e }) => {
      const m = /^([\dx.]+) *: *([\dx.]+) *= *([\dx.]+) *: *([\dx.]+)$/.exec(e.trim());
      return m ? solutionOf({ e: `${m[1]}*${m[4]}=${m[2]}*${m[3]}` }, "en") : undefined;
    },
  ],
  ["units", school.CONVERT, convert],
  [
    "simplify",
    school.SIMPLIFY,
    ({ e }) => (/^\d+ *\/ *\d+$/.test(e.trim()) ? number(evaluate(e), { lowest: true }) : undefined),
  ],
  [
    "fraction of",
    school.FRACTION_OF,
    ({ n, e }) => {
      const [base, part] = [evaluate(n), /^\d+ *\/ *\d+$/.test(e.trim()) ? evaluate(e) : undefined];
      return base && part && number(multiply(base, part), { lowest: true });
    },
  ],
  ["system", school.SYSTEM, systemOf],
  ["sum", IN_WORDS["+"], binary("+")],
  ["difference", IN_WORDS["-"], binary("-")],
  ["product", IN_WORDS["*"], binary("*")],
  ["quotient", IN_WORDS["/"], binary("/")],
  ["equation", SOLVE, solutionOf],
  ["quadratic", school.QUADRATIC, solutionOf],
  ["expression", EVALUATE, formulaOf],
];

interface Pattern {
  kind: string;
  language: Language;
  regex: RegExp;
  /** A text that every match holds, blanks removed and in small letters: a quick way to say no. */
  literal: string;
  read: Reader;
}

const squeezed = (text: string): string => text.replace(/\s+/g, "").toLowerCase();

/** The longest piece of a template that stands outside slots and alternatives. */
function literalOf(template: string): string {
  const pieces = compile(template.replace(/^#/, "")).flatMap((p) => (typeof p === "string" ? p.split(/\{\w+\}/) : []));
  // The last mark may be missing in a question.
  const found = pieces.map((p) => squeezed(normalise(p)).replace(/[.?!\u3002]+$/, ""));
  return found.sort((a, b) => b.length - a.length)[0] ?? "";
}

const escapeText = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** What slots look like: single letters of amounts are numbers; formulas hold no words. */
function slotPattern(name: string): string {
  if (/^[xy]$/.test(name)) return "[A-Za-z]";
  if (/^[cRW]$/.test(name)) return "[a-z]{3,8}|[\\u4e00-\\u9fff]";
  if (/^[abdkmnprst]$/.test(name)) return "-?\\d+(?:\\.\\d+)?";
  if (name === "e" || name === "f") return "(?:(?![A-Za-z]{2})[^\u4e00-\u9fff])+?";
  if (name === "q") return "(?:\\d+(?:\\.\\d+)? *(?:[A-Za-z]+|[\\u4e00-\\u9fff]+?) *)+?";
  return name === "u" ? "[A-Za-z\u4e00-\u9fff]{1,12}?" : ".+?";
}

/** A wording as a pattern of whole questions. Blanks, capitals and the last punctuation do not matter. */
function pattern(template: string, slot: (name: string) => string): RegExp {
  const seen = new Set<string>();
  const part = (text: string): string =>
    normalise(text)
      .split(/(\{\w+\})/)
      .map((piece) => {
        const name = /^\{(\w+)\}$/.exec(piece)?.[1];
        if (name === undefined) return escapeText(piece).replace(/ +/g, " *");
        if (seen.has(name)) return `\\k<${name}>`;
        const body = slot(name);
        // Slots inside alternatives would repeat a group's name: they are matched, not kept.
        seen.add(name);
        return `(?<${name}>${body})`;
      })
      .join("");
  const body = compile(template.replace(/^#/, ""))
    .map((p) => (typeof p === "string" ? part(p) : `(?:${alternatives(p, part)})`))
    .join("");
  return new RegExp(`^ *${body} *[.?!\u3002]? *$`, "is");
}

function alternatives(list: readonly string[], part: (text: string) => string): string {
  return list
    .map((a) =>
      /\{\w+\}/.test(a)
        ? a
            .split(/\{\w+\}/)
            .map((t) => part(t))
            .join(".+?")
        : part(a),
    )
    .join("|");
}

function alternativesWithSlots(template: string): string[] {
  // `[{a}和{b}|{a}与{b}]`: unfold alternatives that hold slots into templates of their own.
  const m = /\[([^\]]*\{[^\]]*)\]/.exec(template);
  if (!m) return [template];
  return m[1]
    .split("|")
    .flatMap((a) => alternativesWithSlots(template.slice(0, m.index) + a + template.slice(m.index + m[0].length)));
}

let cache: Pattern[] | undefined;

function patterns(): Pattern[] {
  if (cache) return cache;
  const out: Pattern[] = [];
  for (const [kind, templates, read] of FAMILIES)
    for (const language of ["zh", "en"] as const)
      for (const template of templates[language])
        for (const unfolded of alternativesWithSlots(template))
          out.push({ kind, language, regex: pattern(unfolded, slotPattern), literal: literalOf(unfolded), read });
  const stories: Pattern[] = [];
  for (const [language, all] of [
    ["zh", STORIES_ZH],
    ["en", STORIES_EN],
  ] as const)
    for (const steps of [1, 2, 3] as const)
      for (const line of all[steps]) {
        const [text, expression] = line.split("=>");
        const build = formula(expression);
        const letters = [...new Set(expression.match(/[a-z]/g))];
        const read: Reader = (slots) => {
          const values: Record<string, number> = {};
          for (const l of letters) values[l] = Number(slots[l]);
          const v = value(build(values));
          return Number.isInteger(v) ? { kind: "number", value: `${v}` } : undefined;
        };
        for (const unfolded of alternativesWithSlots(text))
          stories.push({
            kind: "story",
            language,
            literal: literalOf(unfolded),
            regex: pattern(unfolded, (name) => (/^[a-z]$/.test(name) ? "\\d{1,6}" : ".{1,20}?")),
            read,
          });
      }
  cache = [...stories, ...out];
  return cache;
}

/**
 * The steps of a solution that someone wants checked, words and numbering removed, and the exercise where it stands before them
 * as a formula.
 */
function readSolution(text: string): { question?: string; steps: string[] } | undefined {
  const math: string[] = [];
  for (const segment of normalise(text).split(/[\n;,\u2192\u21d2]/)) {
    const bare = segment
      .replace(
        /\u7b2c *\d+ *\u6b65 *:?|\u6b65\u9aa4 *\d+ *:?|\bstep +\d+ *:?|^ *\(?\d+ *\) (?![-+*/])|^ *\d+ *\)|^ *\d+\. +|[\u2460-\u2473]/gi,
        " ",
      )
      .replace(/[\u4e00-\u9fff\u3000-\u303f]+|[A-Za-z']{2,}|\b[AI]\b(?=\s)|\ban? (?=[a-z]{2})/g, " ")
      .replace(/^[\s:,.?!]+|[\s:,.?!]+$/g, "")
      .replace(/^\(\d+\)\s+(?![-+*/])|^\d+ *\)|^\d+\.\s+/, "")
      .trim();
    // A formula has a sign and stands together; numbers of a story do neither.
    if (/\d/.test(bare) && /[-+*/=(]/.test(bare) && /^[-+*/=().\da-zA-Z\s^]+$/.test(bare) && !/\d\s+\d/.test(bare))
      math.push(bare.replace(/\s+/g, ""));
  }
  if (math.length === 0) return undefined;
  const given = !math[0].includes("=") || /[a-z]/.test(math[0]);
  if (!given) return { steps: math };
  return math.length < 2 ? undefined : { question: math[0], steps: math.slice(1) };
}

const CHECKING =
  /\u9519|\u6b63\u786e\u5417|\u6838\u5bf9|\u9a8c\u8bc1|\u5ba1\u67e5|\bwrong\b|\berror\b|\bmistakes\b|\bverify\b|\bcorrect\b|\bam i right\b|\bgo wrong\b|\bget this right\b|\breview\b|\bgrade\b|\bmark\b|\u68c0\u67e5|\u6279\u6539|\u505a\u5f97?\u5bf9|\u5bf9\u5417|\u5bf9\u4e0d\u5bf9|\u54ea\u4e00\u6b65|\u54ea\u91cc\u9519|\bcheck\b|mistake|is it right|is this right|solution right|do this right|mark this|which step/i;

const HINTING = /\u601d\u8def|\u7ebf\u7d22|\u63d0\u793a|\u63d0\u9192|\bhint\b|\bnudge\b/i;

function checking(text: string): Answer | undefined {
  if (!CHECKING.test(text)) return undefined;
  const solution = readSolution(text);
  if (!solution) return undefined;
  const marks = checkSteps(solution.steps.join("\n"), solution.question);
  return { kind: "verdict", step: marks.findIndex((m) => !m.ok) + 1 };
}

/** Recognises the exercise; undefined when it is not certain what is asked. */
export function understand(question: string): Understood | undefined {
  if (question.length > LONGEST_QUESTION || question.trim() === "") return undefined;
  const language = languageOf(question);
  // Who asks for a hint does not ask for the answer.
  if (HINTING.test(question)) return undefined;
  const check = checking(question);
  if (check) return { kind: "check", language, answer: check };
  // The division sign says which bars are fractions: the readers see it.
  const text = normalise(question.replaceAll("\u00f7", "\u0001"))
    .replaceAll("\u0001", "\u00f7")
    .replace(/(?<=[\d)]) x (?=[-(\d])/g, "*");
  const han = /[\u4e00-\u9fff]/.test(question);
  const plain = squeezed(text);
  for (const p of patterns()) {
    if ((han && p.language === "en") || !plain.includes(p.literal)) continue;
    const m = p.regex.exec(text);
    if (!m) continue;
    const answer = p.read(m.groups ?? {}, p.language);
    if (answer) return { kind: p.kind, language, answer };
  }
  return formulaInside(text, language);
}

/** One formula among other words, when there is exactly one: `so what about 3x+5=20 then`. */
function formulaInside(text: string, language: Language): Understood | undefined {
  const found =
    text.match(
      /(?<![A-Za-z\d])[-(]*(?:\d|[a-z](?![A-Za-z]))[-+*/\u00f7=().^\d\s]*(?:[a-z](?![A-Za-z])[-+*/\u00f7=().^\d\s]*)*/g,
    ) ?? [];
  const formulas = found
    .map((f) => f.replace(/[=\s.]+$/, "").trim())
    .filter((f) => /\d/.test(f) && /[-+*/\u00f7=]/.test(f));
  if (formulas.length !== 1 || (text.match(/\d+/g) ?? []).length !== (formulas[0].match(/\d+/g) ?? []).length)
    return undefined;
  const [e] = formulas;
  const answer = e.includes("=") ? solutionOf({ e }, language) : formulaOf({ e }, language);
  return answer && { kind: e.includes("=") ? "equation" : "expression", language, answer };
}

/** Whether two answers ask for the same thing. */
export function sameAnswer(a: Answer, b: Answer): boolean {
  if (a.kind !== b.kind) return false;
  if (a.kind === "number" && b.kind === "number") return equal(evaluate(a.value)!, evaluate(b.value)!);
  if (a.kind === "division" && b.kind === "division") return a.quotient === b.quotient && a.remainder === b.remainder;
  if (a.kind === "verdict" && b.kind === "verdict") return a.step === b.step;
  if (a.kind === "make" && b.kind === "make")
    return a.target === b.target && `${[...a.numbers].sort()}` === `${[...b.numbers].sort()}`;
  if (a.kind === "numbers" && b.kind === "numbers") {
    const key = (v: typeof a): string => (v.ordered && v.values.length > 1 ? v.values : [...v.values].sort()).join();
    return key(a) === key(b);
  }
  return true;
}
