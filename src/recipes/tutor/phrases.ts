// How exercises are asked in Chinese and English, by family, and how formulas look when people type them: signs of several
// kinds, spaces, full-width characters. Templates are wording.ts's; stories have their own files.

import type { Language } from "./problem.ts";
import type { Random } from "./random.ts";
import { type Wording, word } from "./wording.ts";

export type Templates = Readonly<Record<Language, readonly string[]>>;

/** The value of a formula {e} is asked. */
export const EVALUATE: Templates = {
  zh: [
    "[试算|试求|速算|心算|手算|简便计算|脱式计算|递等式计算|直接写得数|直接写出得数|用竖式计算|口算一下][:|]{e}",
    "{e}[的计算结果|的运算结果|的最后结果|的得数|的答案|的和差积商][|是|为|是多少|是什么][?|]",
    "{e},[结果|答案|得数][|是|为|等于][多少|几][?|]",
    "[告诉我|给我|写出|说出|给出][|一下]{e}[的结果|的得数|等于几|等于多少|的答案]",
    "[把|将]{e}[算出来|计算出来|算一算|算一下]",
    "[能|可以|能不能|可不可以][帮我|替我|给我][算|算算|计算|解一下]{e}[?|吗?]",
    "[我要算|我想算|想算|我需要算|要计算|需要计算][一下|]{e}",
    "{e}[会算吗|你会吗|你会算吗|该怎么算|如何计算|如何算][?|]",
    "[下列|下面这个|这个]算式[的值|的结果|]是多少:{e}",
    "[式子|算式|表达式]{e}[的值|的结果|][等于|是][多少|几][?|]",
    "[解|解答|解一下|做一下|算算看|做做看|看看][:|]{e}",
    "[先算|请列式|现在计算]{e}[|,得几?|,等于多少?]",
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
    "[Determine|Figure out|Get|Do|Give|Show|Answer|Obtain|determine|figure out|get|do][ |: ]{e}[|.|?]",
    "[What does|What would|what does][ ]{e}[ equal| make| come to| give| come out to| amount to| work out to][?|]",
    "[What is the result of|What is the total of|What's the answer for|What's the value of|Value of|Result of|Answer to|value of|result of][: | ]{e}[?|]",
    "{e}[. What is the result?|. What do you get?|; what is the answer?|, please| please|. Answer?| equals?| is equal to?| equals| is?]",
    "[I have to|I need to|I want to|I must|We have to|We need to|I'd like to][ calculate | compute | work out | solve | find | evaluate ]{e}[|.]",
    "[Can you tell me|Could you tell me|Do you know|Please tell me][ what ]{e}[ is| equals][|?|.]",
    "[Evaluate|Compute|Calculate|Work out|Simplify][ the expression: | the expression | the following: | this: | the following expression: ]{e}[|.]",
    "[Let us|Let's][ compute | calculate | work out | evaluate ]{e}[|.]",
    "[The expression is|Expression:|Calculation:|Arithmetic:][ ]{e}[|. Evaluate it.|. Work it out.|. What is it?]",
    "[Using|With][ the order of operations][, find | find | evaluate ]{e}[|.]",
    "[How much does|How much would][ ]{e}[ give| come to]?",
    "[Do the math: |Math: |calc |calc: |eval ]{e}",
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
      "{a}[与|和|跟]{b}[相加|加起来|合起来][是|得|等于][多少|几][?|]",
      "[求|]{a}、{b}[两个数的和|两数之和][|是多少?]",
      "把{a}和{b}[加起来|相加][|,得多少?|等于多少?]",
      "[在|]{a}[的基础上|上|上面]加[上|]{b}[是|等于|得]多少[?|]",
      "一个数是{a},另一个数是{b},[它们的和|和|两数之和][是多少|等于几][?|]",
      "加数是{a}和{b},和是[多少|几][?|]",
      "{a}增加{b}[是|得|等于]多少[?|]",
      "[|请问|计算|求|算一下]{a}加[|上]{b}[等于多少|是多少|得多少|等于几][?|]",
      "{a}[和|与]{b}的和是[多少|几][?|]",
      "[求|计算]{a}[与|和]{b}的和[。|]",
      "比{a}多{b}的数是[多少|几][?|]",
      "{a}加{b}[|等于|=|=?]",
      "#{a}再加{b}一共是多少?",
    ],
    en: [
      "[Find|What is|Compute|Give] the total of {a} and {b}[?|.|]",
      "[What is|What's] {b} more than {a}?",
      "{a} [and|added to|increased by|together with] {b} [is|equals|make][| what| how much][?|]",
      "[Sum|Sum up|Total|Combine] {a} and {b}[.|]",
      "[If|When] you add {b} to {a}, what [is the result|do you have|is the sum]?",
      "[What is|How much is|How much are] {a} and {b} together?",
      "[Increase|increase] {a} by {b}[.|]",
      "One number is {a} and the other is {b}. What is their sum?",
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
      "{a}[扣除|扣掉|去掉|减掉|拿掉]{b}[是|等于|得|剩|还剩]多少[?|]",
      "被减数是{a},减数是{b},差是[多少|几][?|]",
      "[用|]{a}减[去|]{b}[,得多少|,差是多少|的结果是多少|的得数是多少][?|]",
      "[从|]{a}中[减去|减掉|去掉|扣掉]{b}[|,结果是多少?|是多少?|等于几?]",
      "{a}减少{b}[是|得|等于]多少[?|]",
      "[求|]{a}与{b}的差[|。]",
      "[|请问|计算|求|算一下]{a}减[|去]{b}[等于多少|是多少|得多少|等于几][?|]",
      "{a}[和|与]{b}的差是[多少|几][?|]",
      "比{a}少{b}的数是[多少|几][?|]",
      "{a}减{b}[|等于|=|=?]",
      "[从|]{a}里[减去|去掉]{b}[还剩多少|是多少][?|]",
      "#{a}拿走{b}剩多少?",
    ],
    en: [
      "{a} [reduced by|decreased by|less|take away] {b} [is|equals|leaves][| what| how much][?|]",
      "[Remove|Deduct|remove|deduct] {b} from {a}[.|]",
      "[If|When] you subtract {b} from {a}, what [is the result|do you get]?",
      "[What is|Find] the result of {a} minus {b}[?|.]",
      "[Decrease|Reduce|reduce] {a} by {b}[.|]",
      "From {a} [subtract|take] {b}[.|]",
      "[What is|Find] the difference of {a} and {b}[?|.]",
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
      "{a}[与|和]{b}[相乘|乘起来][是|得|等于]多少[?|]",
      "[求|]{a}[与|和]{b}[之积|两数的积][|是多少?]",
      "[把|将]{a}扩大到[原来的|]{b}倍[是|得|后是]多少[?|]",
      "{a}个{b}[相加|加起来|的和][是|等于|得]多少[?|]",
      "因数是{a}和{b},积是[多少|几][?|]",
      "{a}[去|]乘[以|]{b},[得|积是|结果是]多少[?|]",
      "[|请问|计算|求|算一下]{a}乘[|以|上]{b}[等于多少|是多少|得多少|等于几][?|]",
      "{a}[和|与]{b}的[积|乘积]是[多少|几][?|]",
      "{a}的{b}倍是[多少|几][?|]",
      "{a}乘{b}[|等于|=|=?]",
      "{b}个{a}[是|等于|一共是]多少[?|]",
      "#把{a}乘{b}得到什么数?",
    ],
    en: [
      "{a} [lots of|groups of|sets of] {b} [is|equals|make][| what| how much][?|]",
      "[Multiply together|Multiply the numbers|Take the product of] {a} and {b}[.|]",
      "{a} multiplied by {b}[|?|=| is what?| equals?]",
      "[If|When] you multiply {a} by {b}, what [is the product|is the result]?",
      "[Product|The product] of {a} and {b}[|?]",
      "How many is {a} times {b}?",
      "[What is|Calculate] {a} x {b}[?|]",
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
      "{a}除以{b}的[商|结果|商和余数][是|为]多少[?|]",
      "[把|将]{a}[分成|平分成|等分成]{b}[份|等份],[每份|一份|每一份][是|有]多少[?|]",
      "被除数是{a},除数是{b},[商是多少|商是几|求商][?|,余数呢?]",
      "{a}里[面|]有[多少|几]个{b}[?|,还余多少?]",
      "{a}被{b}除[得|等于|是]多少[?|]",
      "{b}除{a}[等于|得|商是][多少|几][?|]",
      "[用|]{a}除以{b}[,商是多少|,得多少|,结果是多少][?|]",
      "[|请问|计算|求|算一下]{a}除以{b}[等于多少|是多少|得多少|等于几][?|]",
      "{a}除以{b}[|等于|=|=?]",
      "{a}除以{b}[,商和余数是多少|,商是多少?余数是多少|,求商和余数][?|]",
      "[把{a}平均分成{b}份,每份是多少|{a}里面有几个{b}][?|,还剩多少?]",
      "#用{b}去除{a},得多少?",
    ],
    en: [
      "[Share|share] {a} [equally among|equally between|among] {b}[.|]",
      "How many [times does {b} fit into|groups of {b} are in] {a}?",
      "{a} [over|shared by] {b}[|?| is what?]",
      "[If|When] you divide {a} by {b}, what [is the quotient|is the result|do you get]?",
      "[Compute|Work out|Find|Give] {a} divided by {b}[ with remainder| and the remainder|, with the remainder][.|]",
      "[Quotient of|The quotient of] {a} and {b}[?|]",
      "{b} into {a}[?| goes how many times?]",
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
    "[求解|解出|算出|求出|求]{x}:{e}",
    "{e}[,|,则|,那么|,所以]{x}[=|等于|是|为]?",
    "若{e},{x}[等于多少|=多少|为多少|是什么数][?|]",
    "求{x}的值:{e}",
    "[当|若|如果]{e}[时|成立|成立时],{x}[是|等于|为][多少|几][?|]",
    "使{e}成立的{x}[是|等于]多少[?|]",
    "{e}[中|里]{x}[是|等于|=]多少[?|]",
    "[帮我|请]把{x}[求出来|算出来|解出来]:{e}",
    "未知数{x}满足{e},[求{x}|{x}是多少?|{x}等于几?]",
    "[这个|下面的]方程怎么解[:|?]{e}",
    "[一元一次方程|方程]:{e},求[解|{x}|根]",
    "{e} [求{x}|解方程|解{x}|{x}=?]",
    "{x}是[几|多少]?{e}",
    "已知{e},[试求|计算|算出|写出]{x}[的值|]",
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
    "[What value of|which value of] {x} [solves|satisfies|works in|fits] {e}?",
    "[Find|Get|Compute|Calculate|Determine|find] [the value of |]{x}[: |, where | where | so that | for which ]{e}[.|]",
    "{e}[, so {x} = ?|, then {x} is what?|, what's {x}?|; {x} is?|. Find {x}.|. Solve for {x}.| {x}=?| find {x}| solve| what is {x}]",
    "[Let|Assume|Say|Suppose that|We know that|I know that] {e}. [Find {x}.|What is {x}?|What is the value of {x}?|Calculate {x}.|Solve for {x}.]",
    "[The equation is|Equation:|Given the equation|Consider the equation|Look at] {e}[. Find {x}.|, find {x}.|. What is {x}?|, solve for {x}.|. Solve it.]",
    "[Solve for|Isolate|solve for] {x}[: |, given | in | in the equation | if ]{e}[.|]",
    "[The unknown|The number] {x} [satisfies|fulfils] {e}[. What is it?|. Find it.|. Find {x}.]",
    "[What does|What must] {x} [equal|be] [if|when|so that|in] {e}?",
    "[Root of|Solution of|Equation to solve:] {e}",
    "{x} = ? [if|when|given] {e}",
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
  const times = rng.chance(0.03) ? "\u00b7" : rng.pick(["*", "*", "\u00d7", "\u00d7", "\u00d7"]);
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
