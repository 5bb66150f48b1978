// How the same question comes out of different hands: greetings and pleas around it, capitals, blanks, punctuation, slips of the
// finger, numbers in words. It changes nothing about what is asked. Only training questions are dressed; the test sets stay
// as they were written.

import type { Language, Problem } from "./problem.ts";
import type { Random } from "./random.ts";

const BEFORE: Readonly<Record<Language, readonly string[]>> = {
  zh: "请问,|请问|请问一下,|老师,|老师好,|你好,|您好!|嗨,|助教,|麻烦问一下,|打扰一下,|我想问,|想请教一下:|帮个忙,|急!|这道题不会:|这题我不会做:|我算不出来:|作业:|作业题:|练习:|例题:|考试题:|第一题:|第二题:|填空:|小测验:|问题:|数学题:|题目:|来一题:|再来一道:|下一题:|算一道题:|那么|那|好的,|嗯,|现在|孩子问我:|我女儿的作业:|课本上的题:|请一步一步地算:|请写出过程:|请详细解答:|请仔细算:|快帮我看看:|在线等,|同学问我:|我想知道,|试一试:|想一想:|考考你:|麻烦你看一下:".split(
    "|",
  ),
  en: "Hi, |Hello! |Hey, |Hi there, |Good morning! |Good evening, |Excuse me, |Please help: |Please: |Quick question: |Question: |Problem: |Exercise: |Homework: |Here is my homework: |Task: |Math problem: |Maths question: |Next one: |Another one: |One more: |Now |So, |OK, |Okay, |Well, |Teacher, |Tutor, |I'm stuck: |I am stuck on this: |I don't get this one: |Can you help me? |Could you help? |Help me with this: |Help! |Step by step please: |Show your work: |Show the steps: |Solve this: |Try this: |My son asks: |For school: |From my textbook: |I was wondering, |Just curious: |Let's see: |Test: |Answer this: |I can't do this: ".split(
    "|",
  ),
};

const BEHIND: Readonly<Record<Language, readonly string[]>> = {
  zh: "谢谢|谢谢!|谢谢老师|谢谢你|多谢|拜托了|麻烦了|请写出过程|写出步骤|要过程|要有步骤|请一步一步算|一步一步来|急|在线等|我不会|怎么做?|请解答|请回答|求解|答案是多少?|结果是多少?|帮我算算|帮帮我|给出答案|请给出答案|写出答案|请写出解题过程|说明理由".split(
    "|",
  ),
  en: "Thanks.|Thanks!|Thank you.|Please.|please|Please show your work.|Show your steps.|Show all steps.|Step by step, please.|Explain step by step.|I need the answer.|Give the answer.|Give me the answer.|What's the answer?|Help!|I'm stuck.|It's for homework.|thx|Cheers.|Write down the steps.|Explain your answer.|Please help me.|Take your time.".split(
    "|",
  ),
};

const ENDS = /[.?!\u3002\uff1f\uff01]$/;

function around(rng: Random, text: string, language: Language): string {
  let out = text;
  if (rng.chance(0.22)) {
    const before = rng.pick(BEFORE[language]);
    // After a comma the sentence goes on in small letters.
    if (/, $|Now $/.test(before) && rng.chance(0.6)) out = out.replace(/^[A-Z](?=[a-z])/, (c) => c.toLowerCase());
    out = before + out;
  }
  if (rng.chance(0.15)) {
    const behind = rng.pick(BEHIND[language]);
    if (language === "en") out += (ENDS.test(out) ? " " : rng.pick([". ", ". ", ", ", " - "])) + behind;
    else out += (ENDS.test(out) ? "" : rng.pick([",", "\uff0c", "\u3002", " "])) + behind;
  }
  return out;
}

/** One letter of one long word left out, doubled or exchanged with its neighbour. */
function misspell(rng: Random, text: string): string {
  const words = [...text.matchAll(/[A-Za-z]{5,}/g)];
  if (words.length === 0) return text;
  const m = rng.pick(words);
  const at = m.index + rng.int(1, m[0].length - 2);
  const middle = rng.pick(["", text[at] + text[at], text[at + 1] + text[at]]);
  return text.slice(0, at) + middle + text.slice(at + (middle.length === 2 && middle[0] !== middle[1] ? 2 : 1));
}

const SMALL =
  "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(
    " ",
  );
const TENS = "  twenty thirty forty fifty sixty seventy eighty ninety".split(" ");
const HAN = "\u96f6\u4e00\u4e8c\u4e09\u56db\u4e94\u516d\u4e03\u516b\u4e5d";

/** A number below 100 in words. */
export function inWords(n: number, language: Language): string {
  if (language === "en") {
    if (n < 20) return SMALL[n];
    return TENS[Math.floor(n / 10)] + (n % 10 ? `-${SMALL[n % 10]}` : "");
  }
  if (n < 10) return HAN[n];
  const tens = Math.floor(n / 10);
  return `${tens > 1 ? HAN[tens] : ""}\u5341${n % 10 ? HAN[n % 10] : ""}`;
}

/** Writes some whole numbers below 100 of a question without formulas in words. */
function wordNumbers(rng: Random, text: string, language: Language): string {
  if (/[-+*/=^[\](){}\u00d7\u00f7%:._]\d|\d[-+*/=^[\](){}\u00d7\u00f7%:_]/.test(text)) return text;
  return text.replace(/(?<![\d.,])\d{1,2}(?![\d.]|,\d)/g, (d) =>
    d[0] !== "0" && rng.chance(0.7) ? inWords(Number(d), language) : d,
  );
}

const SHARES: Readonly<Record<string, string>> = {
  "1/2": "half",
  "1/3": "a third",
  "1/4": "a quarter",
  "1/5": "a fifth",
  "2/3": "two thirds",
  "3/4": "three quarters",
  "2/5": "two fifths",
  "3/5": "three fifths",
};

/** `three quarters of 80`, `80\u7684\u56db\u5206\u4e4b\u4e09`. */
function wordShare(text: string, language: Language): string {
  return text.replace(/(\d{1,2}) ?\/ ?(\d{1,2})(?! ?\/)/, (fraction, n: string, d: string) =>
    language === "zh"
      ? `${inWords(Number(d), "zh")}\u5206\u4e4b${inWords(Number(n), "zh")}`
      : (SHARES[`${n}/${d}`] ?? fraction),
  );
}

/** 12,345 for 12345, where no other comma stands. */
const grouped = (text: string): string =>
  /[,.\uff0c]\d/.test(text) ? text : text.replace(/\d{4,6}(?!\d)/g, (n) => n.replace(/(\d)(\d{3})$/, "$1,$2"));

/** Capitals, blanks and marks as hurried people type them. */
function hurried(rng: Random, text: string, language: Language): string {
  let out = text;
  const mood = rng.next();
  if (mood < 0.08) out = out.replace(/[.?!\u3002\uff1f]$/, "");
  else if (mood < 0.11) out = out.replace(/[?\uff1f]$/, (c) => c + rng.pick([c, "!", c + c]));
  else if (mood < 0.13) out = `${out} `;
  else if (mood < 0.14) out = ` ${out}`;
  else if (mood < 0.15) out = `${out}\n`;
  if (language === "en") {
    const style = rng.next();
    if (style < 0.09) out = out.toLowerCase();
    else if (style < 0.1) out = out.toUpperCase().replace(/X/g, "x");
    else if (style < 0.14) out = out.replace(/^[A-Z](?=[a-z])/, (c) => c.toLowerCase());
    else if (style < 0.16) out = out.replace(/ (?=[A-Za-z])/, "  ");
    if (rng.chance(0.03)) out = misspell(rng, out);
  } else {
    const style = rng.next();
    if (style < 0.07) out = out.replace(/([\u4e00-\u9fff])(?=[\dA-Za-z])|([\dA-Za-z])(?=[\u4e00-\u9fff])/g, "$1$2 ");
    else if (style < 0.1) out = out.replaceAll(" ", "");
    else if (style < 0.13) out = out.replace(/[0-9]/g, (d) => String.fromCharCode(d.charCodeAt(0) + 0xfee0));
    else if (style < 0.16) out = out.replaceAll("\uff0c", ",").replaceAll("\uff1f", "?").replaceAll("\u3002", ".");
  }
  return out;
}

/** Skills whose questions hold no lists, so that a comma in a number cannot mislead. */
const SINGLE = /^(add|subtract|multiply|divide|expression|percent|story)/;

/** The problem as another hand would write it. Small talk stays as it is; hints and solutions keep their lines. */
export function dress(rng: Random, problem: Problem): Problem {
  const { skill, language } = problem;
  if (skill === "talk" || skill === "check" || problem.meta.phrasing === "noise") return problem;
  let question = problem.question;
  if (skill !== "refuse" && rng.chance(0.04)) question = wordNumbers(rng, question, language);
  if (skill === "fraction-of" && rng.chance(0.25)) question = wordShare(question, language);
  if (language === "en" && SINGLE.test(skill) && rng.chance(0.05)) question = grouped(question);
  if (/[*\u00d7+]/.test(question) && !question.includes("\n") && rng.chance(0.03))
    question = question.replace(/ ?([*\u00d7+]) ?/g, (_, sign: string) => rng.pick([sign, ` ${sign}`, `${sign} `]));
  if (skill !== "hint") question = around(rng, question, language);
  // Formulas with names of their own (f, A, C) keep their letters.
  if (!/[A-Za-z]\(|[A-Za-z]=\[|\bdet\b/.test(question)) question = hurried(rng, question, language);
  return { ...problem, question };
}
