// Judges a completion: is it well formed, in the right language, is the boxed answer right, does the thinking lead to it.
// All arithmetic is exact. It needs only the canonical answer, so it judges problems that `understand` recognised as well as
// generated ones. Completions are untrusted text: every question asked of them has an answer, never an exception.

import type { Answer, Language, Problem } from "./problem.ts";
import { equal, evaluate, type Rational, rational } from "./rational.ts";

/** What a completion is judged against. */
export type Task = Pick<Problem, "answer" | "language">;

export interface Completion {
  reasoningContent?: string;
  content: string;
}

export interface Verdict {
  /** The result is the right one (and for hints, refusals and talk: the reply is of the right kind). */
  correct: boolean;
  /** One thinking part, then a non-empty final text with exactly one box where a result is due, and none elsewhere. */
  formatOk: boolean;
  languageOk: boolean;
  /** The thinking's last result is the boxed one. True where no box is due. */
  answerAgrees: boolean;
  /** What the box holds. */
  boxed?: string;
}

/** Longest completion that is looked at; longer ones are not well formed. */
const LONGEST = 20_000;

/** Splits `<think>…</think>…`; the opening tag may be missing because chat formats put it into the prompt. */
export function splitCompletion(text: string): Completion & { wellFormed: boolean } {
  const open = text.startsWith("<think>") ? "<think>".length : 0;
  const close = text.indexOf("</think>");
  if (close < 0) return { content: text.slice(open), wellFormed: false };
  const reasoningContent = text.slice(open, close).trim();
  const content = text.slice(close + "</think>".length).trim();
  const wellFormed = !/<\/?think>|<\uff5c|<\|/.test(reasoningContent + content);
  return { reasoningContent, content, wellFormed };
}

/** The contents of every `\boxed{…}`, braces balanced; an unclosed one counts as malformed and gives undefined. */
export function boxes(text: string): string[] | undefined {
  const out: string[] = [];
  for (let at = text.indexOf("\\boxed{"); at >= 0; at = text.indexOf("\\boxed{", at + 1)) {
    let depth = 1;
    let end = at + 7;
    while (end < text.length && depth > 0) {
      if (text[end] === "{") depth++;
      else if (text[end] === "}") depth--;
      end++;
    }
    if (depth > 0) return undefined;
    out.push(text.slice(at + 7, end - 1));
  }
  return out;
}

/** Full-width and typographic characters to the scratchpad's ASCII; nothing else changes. For parsers, not for prompts. */
export function normalise(text: string): string {
  return text
    .replace(/[\uff01-\uff5e]/g, (c) => String.fromCharCode(c.charCodeAt(0) - 0xfee0))
    .replace(/[\u3000\u00a0]/g, " ")
    .replace(/[\u00d7\u2715\u2716\u22c5\u00b7]/g, "*")
    .replace(/\u00f7/g, "/")
    .replace(/[\u2212\u2013\u2014]/g, "-")
    .replace(/\u00b2/g, "^2")
    .replace(/\u00b3/g, "^3")
    .replace(/\u2236/g, ":");
}

const latex = (text: string): string =>
  text
    .replace(/\\d?frac\{([^{}]*)\}\{([^{}]*)\}/g, "($1)/($2)")
    .replaceAll("\\times", "*")
    .replaceAll("\\div", "/")
    .replace(/\\(text|mathrm)\{([^{}]*)\}/g, "$2")
    .replace(/\\[,;! ]|\$/g, "");

const clean = (text: string): string => latex(normalise(text)).replace(/\s+/g, " ").trim();

/** A written number: `-3`, `4.65`, `11/12`, `(3)/(4)`, `7%`; not an expression. */
function readNumber(text: string): Rational | undefined {
  const plain = text.replace(/[\s()]/g, "");
  if (!/^[-+]?\d{1,30}(\.\d{1,30})?(\/\d{1,30})?%?$/.test(plain)) return undefined;
  return evaluate(plain);
}

const withoutName = (text: string): string => text.replace(/^ *[A-Za-z]'?(_?\d)? *= */, "");

function readList(text: string): { name?: string; value: Rational }[] | undefined {
  const inner = text.replace(/^[([{]/, "").replace(/[)\]}]$/, "");
  const parts = inner.split(/\s*(?:,|;|\u3001|:|\bor\b|\band\b|\u6216|\u548c)\s*/).filter((p) => p !== "");
  const out: { name?: string; value: Rational }[] = [];
  for (const part of parts) {
    const name = /^([A-Za-z])(?:_?\d)? *=/.exec(part)?.[1];
    const value = readNumber(withoutName(part));
    if (!value) return undefined;
    out.push({ name, value });
  }
  return out;
}

const inLowestTerms = (text: string): boolean => {
  const m = /^\(?([-+]?\d+)\)?\/\(?(\d+)\)?$/.exec(text.replace(/\s/g, ""));
  if (!m) return true;
  const r = rational(BigInt(m[1]), BigInt(m[2]) || 1n);
  return r.d === BigInt(m[2]);
};

/** Whether the text of a box is the answer. */
export function matches(answer: Answer, box: string): boolean {
  if (box.length > 200) return false;
  const text = clean(box);
  switch (answer.kind) {
    case "number": {
      const given = withoutName(text);
      const value = readNumber(answer.percent ? given.replace(/ *%$/, "") : given);
      const due = evaluate(answer.value);
      return !!value && !!due && equal(value, due) && (!answer.lowest || inLowestTerms(given));
    }
    case "division": {
      const m = /^(\d+) *(?:\u4f59\u6570?|\.{3,6}|\u2026+|r|rem|remainder)[ :.]*(\d+)$/i.exec(
        text.replace(/[,;]/g, ""),
      );
      return !!m && BigInt(m[1]) === BigInt(answer.quotient) && BigInt(m[2]) === BigInt(answer.remainder);
    }
    case "numbers": {
      const given = readList(text);
      if (!given || given.length !== answer.values.length) return false;
      const due = answer.values.map((v) => evaluate(v)!);
      if (answer.names && given.length > 1 && given.every((g) => g.name))
        return answer.names.every((name, i) => given.some((g) => g.name === name && equal(g.value, due[i])));
      if (answer.ordered) return given.every((g, i) => equal(g.value, due[i]));
      const left = [...due];
      for (const g of given) {
        const i = left.findIndex((d) => equal(d, g.value));
        if (i < 0) return false;
        left.splice(i, 1);
      }
      return true;
    }
    case "make": {
      const expression = text.replace(new RegExp(`= *${answer.target}$`), "").trim();
      const used = (expression.match(/\d+/g) ?? []).map(Number);
      const due = [...answer.numbers];
      if (answer.inOrder) {
        if (/[()]/.test(expression)) return false;
      } else for (const numbers of [used, due]) numbers.sort((a, b) => a - b);
      if (used.length !== due.length || used.some((n, i) => n !== due[i]) || /[.^%]/.test(expression)) return false;
      const value = evaluate(expression);
      return !!value && equal(value, rational(answer.target));
    }
    case "verdict": {
      const m = /^(?:\u7b2c *)?(?:step *)?(\d+)(?: *\u6b65)?$/i.exec(text);
      if (m) return answer.step > 0 && Number(m[1]) === answer.step;
      return answer.step === 0 && /^(correct|right|\u6b63\u786e|\u5168\u5bf9|\u5bf9)$/i.test(text);
    }
    default:
      return false;
  }
}

export const needsBox = (answer: Answer): boolean =>
  answer.kind !== "hint" && answer.kind !== "refusal" && answer.kind !== "talk";

/** Words by which a refusal is known. */
const REFUSAL =
  /\u4e0d\u4f1a|\u4e0d\u80fd|\u505a\u4e0d\u4e86|\u53ea\u4f1a|\u53ea\u80fd|can't|cannot|can not|only (?:help|do)|not able|unable/i;

const replyOf = (text: string): string => text.replace(/\\boxed\{[^}]*\}/g, " ");

function languageFits(language: Language, reply: string): boolean {
  const rest = replyOf(reply);
  const han = /[\u4e00-\u9fff]/.test(rest);
  return language === "zh" ? han && !/[A-Za-z]{4,}/.test(rest) : !han && /[A-Za-z]{2,}/.test(rest);
}

/** Whether the result that the thinking ends with is the one in the box. */
export function agrees(answer: Answer, thinking: string, box: string): boolean {
  const text = clean(box);
  const tail = normalise(thinking);
  if (answer.kind === "number" || answer.kind === "division") {
    const last = tail.slice(tail.lastIndexOf("=") + 1).trim();
    const division = /^(\d+)r(\d+)$/.exec(last);
    if (division) return matches({ kind: "division", quotient: division[1], remainder: division[2] }, box);
    const said = readNumber(last);
    const given = readNumber(withoutName(text).replace(answer.kind === "number" && answer.percent ? /%$/ : /$^/, ""));
    return !!said && !!given && equal(said, given);
  }
  if (answer.kind === "make") {
    const bare = (t: string): string => t.replace(/\s/g, "");
    return bare(tail).includes(bare(text));
  }
  if (answer.kind === "verdict") {
    const step = /\d+/.exec(text)?.[0];
    const last = tail.slice(tail.lastIndexOf("\n") + 1);
    return step === undefined ? !/wrong|\u9519/.test(last) : new RegExp(`^${step}\\)`).test(last);
  }
  return (text.match(/\d+/g) ?? []).every((n) => new RegExp(`(?<!\\d)${n}(?!\\d)`).test(tail));
}

/** Judges a completion, given as the model's raw text (`thinking</think>reply`) or already taken apart. */
export function verify(task: Task, completion: string | Completion): Verdict {
  const parsed = typeof completion === "string" ? splitCompletion(completion) : { ...completion, wellFormed: true };
  const { content } = parsed;
  const thinking = parsed.reasoningContent ?? "";
  const found = content.length + thinking.length > LONGEST ? undefined : boxes(content);
  const due = needsBox(task.answer);
  const formatOk =
    parsed.wellFormed &&
    content.trim() !== "" &&
    found?.length === (due ? 1 : 0) &&
    (!due || thinking.trim() !== "") &&
    !/\\boxed|<think/.test(thinking);
  const box = found?.[0];
  const languageOk = languageFits(task.language, content);
  if (!due) {
    const refuses = REFUSAL.test(content);
    let correct = false;
    if (task.answer.kind === "refusal") correct = refuses && box === undefined;
    else if (task.answer.kind === "talk") correct = content.includes(task.answer.says) && box === undefined;
    else if (task.answer.kind === "hint") {
      const { secret } = task.answer;
      const told = new RegExp(`(?<![\\d.])${secret.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}(?![\\d.])`).test(content);
      correct = !refuses && !told && box === undefined && content.trim().length > 4;
    }
    return { correct, formatOk, languageOk, answerAgrees: true, boxed: box };
  }
  if (box === undefined) return { correct: false, formatOk, languageOk, answerAgrees: false };
  return {
    correct: matches(task.answer, box),
    formatOk,
    languageOk,
    answerAgrees: agrees(task.answer, thinking, box),
    boxed: box,
  };
}
