// How exercises are asked in Chinese and English, by family, and how formulas look when people type them: signs of several
// kinds, spaces, full-width characters. Templates are wording.ts's; stories have their own files.

import type { Language } from "./problem.ts";
import type { Random } from "./random.ts";
import { type Wording, word } from "./wording.ts";

export type Templates = Readonly<Record<Language, readonly string[]>>;

/** The value of a formula {e} is asked. */
export const EVALUATE: Templates = {
  zh: [
    "{e}",
    "{e}=",
    "{e}=?",
    "{e} = ?",
    "{e}=[?|多少|多少?|几?|( )]",
    "[计算|算|求|算一下|算出|求出|计算一下|口算|笔算|列竖式计算][:| |]{e}[|。|?]",
    "[请|请你|帮我|帮忙|麻烦你|能不能|可以帮我|老师,|请帮我][计算|算一下|算算|算出|算]{e}[|。|,谢谢|?]",
    "{e}[等于|是|得|结果是][多少|几][|?|呢?|啊?]",
    "{e}的[结果|值|得数|答案]是[多少|什么|几][?||?]",
    "[请问|请问,|你好,|你好,请问|我想知道|问一下,|老师,][|算式]{e}[等于多少|是多少|得多少|等于几|的结果是多少][?|]",
    "[求|计算|写出]{e}的[值|结果|得数][。||.]",
    "[计算|求|算]下面[的算式|式子|各式]:{e}",
    "[这道题怎么做|这题怎么算|这个怎么算][?|:]{e}",
    "{e}[怎么算|怎么做|要怎么算][|?]",
    "[题目|问题|练习]:{e}[|=|=?]",
    "#我不会算{e},帮帮我",
    "#作业里有一题:{e},答案多少?",
    "#快告诉我{e}得几",
  ],
  en: [
    "{e}",
    "{e}=",
    "{e} = ?",
    "{e}=?",
    "[What is|What's|what is|whats|How much is|how much is|What is the value of] {e}[?|]",
    "[Calculate|Compute|Evaluate|Work out|Find|Solve|calculate|compute|work out|solve][ |: ]{e}[|.|?]",
    "[Please|please|Please,][ ][calculate|compute|work out|evaluate|solve][ ]{e}[|.]",
    "[Can you|Could you|Can you please|Could you please|Would you][ ][calculate|compute|work out|tell me|solve|find][ ]{e}?",
    "[Find|Give|Tell me|Give me|State][ ][the value of|the result of|the answer to][ ]{e}[|.]",
    "[I need|I want to know|Help me with|Help me calculate|I need help with|Hi, what is|Hello, what is][ ]{e}[|.|?]",
    "{e} [equals what|is what|equals how much|= what][?|]",
    "[Problem|Question|Exercise|Homework][: ]{e}[|=| = ?]",
    "[How do I|How do you|How can I][ ][calculate|compute|work out|solve][ ]{e}?",
    "[What is the answer to|What's the result of|What do I get for|What do you get for][ ]{e}?",
    "#My homework says {e}, what do I write?",
    "#Quick one: {e}",
    "#Tell me how much {e} makes",
  ],
};

/** One operation said in words; {a} and {b} are its numbers. */
export const IN_WORDS: Readonly<Record<"+" | "-" | "*" | "/", Templates>> = {
  "+": {
    zh: [
      "[|请问|计算|求|算一下]{a}加[|上]{b}[等于多少|是多少|得多少|等于几][?|]",
      "{a}[和|与]{b}的和是[多少|几][?|]",
      "[求|计算]{a}[与|和]{b}的和[。|]",
      "比{a}多{b}的数是[多少|几][?|]",
      "{a}加{b}[|等于|=|=?]",
      "#{a}再加{b}一共是多少?",
    ],
    en: [
      "[What is|What's|How much is|Calculate|Work out|Find] {a} [plus|added to] {b}[?|]",
      "[What is|Find|Give] the sum of {a} and {b}[?|.|]",
      "[Add|add|Please add] {a} [and|to|plus] {b}[.|]",
      "{a} plus {b}[|?|=]",
      "What number is {b} more than {a}?",
      "#What do {a} and {b} add up to?",
    ],
  },
  "-": {
    zh: [
      "[|请问|计算|求|算一下]{a}减[|去]{b}[等于多少|是多少|得多少|等于几][?|]",
      "{a}[和|与]{b}的差是[多少|几][?|]",
      "比{a}少{b}的数是[多少|几][?|]",
      "{a}减{b}[|等于|=|=?]",
      "[从|]{a}里[减去|去掉]{b}[还剩多少|是多少][?|]",
      "#{a}拿走{b}剩多少?",
    ],
    en: [
      "[What is|What's|How much is|Calculate|Compute|Work out|Find|Tell me] {a} [minus|take away|less] {b}[?|]",
      "[Subtract|subtract|Take|Take away] {b} from {a}[.|]",
      "{a} minus {b}[|?|=]",
      "What number is {b} less than {a}?",
      "[What is|Find] the difference {a} minus {b}[?|.]",
      "#What is left when {b} is taken from {a}?",
    ],
  },
  "*": {
    zh: [
      "[|请问|计算|求|算一下]{a}乘[|以|上]{b}[等于多少|是多少|得多少|等于几][?|]",
      "{a}[和|与]{b}的[积|乘积]是[多少|几][?|]",
      "{a}的{b}倍是[多少|几][?|]",
      "{a}乘{b}[|等于|=|=?]",
      "{b}个{a}[是|等于|一共是]多少[?|]",
      "#把{a}乘{b}得到什么数?",
    ],
    en: [
      "[What is|What's|How much is|Calculate|Compute|Work out|Find|Tell me] {a} times {b}[?|]",
      "[What is|How much is|Calculate] {a} multiplied by {b}[?|]",
      "[What is|Find|Give] the product of {a} and {b}[?|.|]",
      "[Multiply|multiply|Please multiply] {a} by {b}[.|]",
      "{a} times {b}[|?|=]",
      "#What do you get when you multiply {a} and {b}?",
    ],
  },
  "/": {
    zh: [
      "[|请问|计算|求|算一下]{a}除以{b}[等于多少|是多少|得多少|等于几][?|]",
      "{a}除以{b}[|等于|=|=?]",
      "{a}除以{b}[,商和余数是多少|,商是多少?余数是多少|,求商和余数][?|]",
      "[把{a}平均分成{b}份,每份是多少|{a}里面有几个{b}][?|,还剩多少?]",
      "#用{b}去除{a},得多少?",
    ],
    en: [
      "[What is|What's|How much is|Calculate|Work out|Find] {a} divided by {b}[?|]",
      "[Divide|divide|Please divide] {a} by {b}[.|]",
      "{a} divided by {b}[|?|=]",
      "[What is|Find|Give] the quotient [and the remainder |and remainder |]of {a} [divided by|and] {b}[?|.]",
      "How many times does {b} go into {a}?",
      "#What do you get when you split {a} into {b} equal parts?",
    ],
  },
};

/** An equation {e} in {x} is to be solved. */
export const SOLVE: Templates = {
  zh: [
    "{e}",
    "{e},{x}=?",
    "{e},{x}是多少[?|]",
    "{e},求{x}[|。|的值]",
    "[解方程|解|求解|解一下|解下面的方程|解这个方程][:| |]{e}[|。]",
    "[请|请你|帮我|帮忙|麻烦你|老师,][解方程|解一下方程|解|求解]{e}[|。|,谢谢]",
    "[已知|如果|若|假如|设]{e},[求{x}|那么{x}等于多少?|{x}是多少?|{x}等于几?|则{x}=?|求{x}的值]",
    "方程{e}的[解|根]是[多少|什么|几][?|]",
    "{e},[那么|则|问|请问]{x}[等于|是][多少|几][?|]",
    "[求|算出|计算]方程{e}[的解|中{x}的值|中的{x}|里的{x}]",
    "{x}等于多少时,{e}[?|成立?]",
    "{e}[怎么解|怎么做|要怎么解|解出来是多少][?|]",
    "[题目|练习|问题]:[解方程|]{e}",
    "#帮我看看{x}应该是几:{e}",
    "#我有个方程{e},答案多少?",
  ],
  en: [
    "{e}",
    "{e}, {x}=?",
    "{e}, {x} = ?",
    "[Solve|solve|Solve for {x}:|Solve the equation|solve the equation|Solve this equation:|Please solve|please solve] {e}[|.]",
    "[Solve|solve|Please solve] {e} for {x}[|.]",
    "[Find|find|Determine|Work out|Calculate] {x} [if|when|given|given that|such that|from] {e}[|.]",
    "[If|if|Given|Given that|Suppose] {e}, [what is {x}?|find {x}.|what is the value of {x}?|then what is {x}?|{x} equals what?|find the value of {x}]",
    "[What is|What's|what is] {x} [if|when|given that|in] {e}?",
    "[Can you|Could you|Can you please] solve {e}[ for {x}|]?",
    "[What is the solution of|What is the solution to|Find the solution of|Give the solution of] {e}[?|]",
    "{e}[. What is {x}?|; find {x}.|, find {x}|, solve for {x}|, what is {x}?]",
    "[How do I|How do you|Help me|Help me to] solve {e}[?|]",
    "[For which|For what] {x} is {e}?",
    "[Problem|Exercise|Question]: [solve |]{e}",
    "#I have the equation {e}; which number is {x}?",
    "#Which value of {x} makes {e} true?",
  ],
};

const FULL: Readonly<Record<string, string>> = { "*": "\u00d7", "/": "\u00f7", " ": " " };

/** ASCII as Chinese input methods widen it: `１２＋３`. */
export const fullWidth = (text: string): string =>
  text.replace(/[0-9+\-=()*/ ]/g, (c) => FULL[c] ?? String.fromCharCode(c.charCodeAt(0) + 0xfee0));

/** One way in which people type the formula `text`, which is in the scratchpad's notation. */
export function typed(rng: Random, text: string, language: Language, options: { slash?: boolean } = {}): string {
  const style = rng.next();
  if (language === "zh" && style < 0.06) return fullWidth(text);
  const times = rng.pick(["*", "*", "\u00d7", "\u00d7", "\u00d7"]);
  const over = options.slash ? "/" : rng.pick(["/", "\u00f7", "\u00f7"]);
  let out = text.replaceAll("*", times).replaceAll("/", over);
  if (rng.chance(0.06)) out = out.replaceAll("-", "\u2212");
  if (style < 0.45) out = out.replace(/([^\s(=+\-\u2212*\u00d7/\u00f7])([+\-\u2212*\u00d7/\u00f7=])/g, "$1 $2 ");
  // Some type the letter x for the sign, between blanks.
  if (!options.slash && style > 0.45 && style < 0.49) out = out.replaceAll(times, " x ");
  if (language === "zh" && style > 0.9) out = out.replaceAll("(", "\uff08").replaceAll(")", "\uff09");
  return out;
}

const WIDE: Readonly<Record<string, string>> = {
  ",": "\uff0c",
  "?": "\uff1f",
  ":": "\uff1a",
  "!": "\uff01",
  ";": "\uff1b",
};

/** A formula {e} asked by one of the family's wordings; Chinese questions carry Chinese or Latin punctuation. */
export function ask(rng: Random, family: Templates, language: Language, slots: Record<string, string>): Wording {
  const wording = word(rng, family[language], slots);
  if (language === "en" || rng.chance(0.35) || !/[\u4e00-\u9fff]/.test(wording.text)) return wording;
  return { ...wording, text: wording.text.replace(/[,?:!;]/g, (c) => WIDE[c]) };
}
