// Manners: greeting, saying what it can do, hints instead of answers, checking a user's solution, and declining the rest.

import { type Expression, nextOperation, type Operator, operate, print, replace, size, value } from "../expression.ts";
import { anyHan, anyWord, noise, OUTSIDE } from "../outside.ts";
import { ask, fullWidth, type Templates } from "../phrases.ts";
import type { Language, Problem, Skill } from "../problem.ts";
import type { Random } from "../random.ts";
import { Scratch } from "../scratch.ts";
import { NAMES_EN } from "../stories-en.ts";
import { NAMES_ZH } from "../stories-zh.ts";
import { type Wording, word } from "../wording.ts";
import { ALGEBRA } from "./algebra.ts";
import { anyLanguage, finish, languageOf, ofLength } from "./common.ts";
import { CORE, linear, randomExpression } from "./core.ts";
import { HUNTS } from "./hunts.ts";
import { type make, SCHOOL } from "./school.ts";
import { drawStory, WORD_PROBLEMS } from "./stories.ts";
import { UNIVERSITY } from "./university.ts";

interface Talk {
  ask: Templates;
  mark: string;
  reply: Readonly<Record<Language, string>>;
  says: Readonly<Record<Language, string>>;
}

const TALKS: readonly Talk[] = [
  {
    mark: "hello",
    ask: {
      zh: [
        "[嘿|哈啰|喂|hello|Hi,你好|哈罗|晚安好|中午好|新年好][!|。|,|~|]你好[!|。|]",
        "[你好|您好|嗨|早上好|下午好|晚上好][,|!|][最近怎么样|好久不见|今天过得怎么样|我又来了|又见面了|初次见面|请多关照|我想学数学|我们开始吧|可以开始了吗][!|。|?|]",
        "[很高兴|高兴][认识你|遇到你|和你聊天][!|。|]",
        "[我是|我叫][小明|小红|李华|新同学|五年级的学生|你的学生][,你好|,请多指教|][!|。|]",
        "[老师|助教|小老师|同学][,|][你好|早|早上好|下午好|晚上好|好][!|。|呀|啊|]",
        "[开始上课|上课了|准备好了|我准备好了|我们开始吧|开始吧][!|。|]",
        "[你好|您好|你们好|嗨|哈喽|早上好|晚上好|下午好|早|大家好|老师好|助教好][|!|。|,|~|啊|呀]",
        "[你好|您好|嗨][,|!][老师|助教|小助手|很高兴认识你|在吗|我来学数学了|今天好吗|我是小明][|!|。|?]",
        "[在吗|你在吗|有人吗][?|]",
        "#见到你真高兴",
      ],
      en: [
        "[Hi|Hello|Hey|Hey there|Hiya|Yo|Good day|Morning|Evening|Hello again|Hi again][!|.|,|] [Nice to see you|Good to see you again|How is it going|How's it going|How do you do|I'm new here|I am a student|Pleased to meet you|Can we start|Let's start|Let's begin|Ready to start][!|.|?|]",
        "[Nice to meet you|Pleased to meet you|Glad to meet you|Good to meet you][!|.|, tutor|]",
        "[My name is|I am|I'm] [Tom|Anna|Ben|Lily|a student|new here|your new student][. Nice to meet you|. Hello|, hi|][!|.|]",
        "[How's it going|How is your day|How have you been|How do you do|You there|Anybody home][?|]",
        "[Hello|Hi|Hey|Good morning|Good afternoon] [everyone|teacher|Step Tutor|dear tutor|buddy|again|my friend][!|.|]",
        "[Let's start|Let us begin|I am ready|I'm ready|Ready][!|.|]",
        "[Hi|Hello|Hey|Good morning|Good evening|Good afternoon|hi|hello|hey|Hi there|Hello there|Greetings|Howdy][|!|.|,]",
        "[Hi|Hello|Hey][, | ][tutor|teacher|there, how are you?|nice to meet you|my name is Tom|how are you|friend][|!|.]",
        "[How are you|How are you doing|Are you there|Anyone there|What's up][?| today?]",
        "#It is good to see you",
      ],
    },
    reply: {
      zh: "你好!我是步骤数学助教。给我一道题,我会一步一步地算给你看。",
      en: "Hello! I am the Step Tutor. Give me an exercise and I will work it out step by step.",
    },
    says: { zh: "步骤数学助教", en: "Step Tutor" },
  },
  {
    mark: "skills",
    ask: {
      zh: [
        "[你|您][都|][会|能|可以][解决|回答|解答|算|做][哪些|什么|什么样的][题|题目|问题|数学题|][?|]",
        "[你会|你能|可以][解方程|做应用题|算分数|教我数学|辅导我|讲题|算24点|求导数|做数学题|批改作业][吗?|吗|么?]",
        "[怎么|如何][使用你|用你|向你提问|开始|提问][?|]",
        "[告诉我|说说|讲一下][你会什么|你能做什么|你的功能|你的能力|你是谁][|。]",
        "[你是|你是一个][什么|什么机器人|什么助手|老师吗|哪种助教|什么软件][?|]",
        "[功能|帮助|菜单|help|说明书|你会啥|你能干啥|会做什么][?|]",
        "[你|助教|请问你][会|能|可以][做什么|做些什么|干什么|帮我做什么|做哪些题|算什么|教我什么][?||呢?]",
        "[你|]有[什么|哪些][功能|本领|用处|能力][?|]",
        "[你|你的][是谁|是什么|叫什么名字|是干什么的|怎么用][?||啊?]",
        "[介绍|介绍一下|说说|讲讲]你自己[|吧|。]",
        "[我|我们][能|可以]问你什么[|问题|样的题][?|]",
        "[帮助|使用说明|怎么用|功能列表|说明][|?]",
        "#你擅长哪方面?",
      ],
      en: [
        "[Can you|Do you|Are you able to] [solve equations|do fractions|teach me maths|help with homework|explain steps|do word problems|check my work|give hints|solve math problems|help me with math][?|]",
        "[What|Which] [kind of|kinds of|sort of|types of] [problems|exercises|questions|maths|things] [can you do|can you solve|do you solve|do you know|can I give you|do you handle][?|]",
        "[Tell me|Please tell me|Explain] [what you can do|what you do|who you are|your skills|your features|how to use you][.|]",
        "[What's your purpose|What is your job|What are you for|What should I ask|What may I ask you|Who am I talking to|What kind of tutor are you][?|]",
        "[How can I|How do I|How should I] [use this|ask you something|start|ask questions|get started][?|]",
        "[commands|menu|features|instructions|capabilities|manual|what can you do][?|]",
        "[What can you do|What do you do|What are you able to do|What can I ask you|How can you help me|What are your skills][?| for me?]",
        "[Who are you|What are you|What is your name|What's your name][?|]",
        "[Help|help|Help!|Usage|How does this work?|How do I use you?|Tell me about yourself|Introduce yourself][|.]",
        "[Which|What] [exercises|problems|questions|topics] [can you solve|do you know|can I ask|can you do][?|]",
        "#What are you good at?",
      ],
    },
    reply: {
      zh: "我是步骤数学助教。我会四则运算、分数、小数、百分数、方程、应用题、24点,也会给提示和检查解答。例如:12*34,3x+5=20。",
      en: "I am the Step Tutor. I do arithmetic, fractions, decimals, percentages, equations, word problems and 24 points, give hints and check solutions. For example: 12*34, 3x+5=20.",
    },
    says: { zh: "我会四则运算", en: "I do arithmetic" },
  },
  {
    mark: "thanks",
    ask: {
      zh: [
        "[谢谢|感谢|多谢|太谢谢了|谢了|3q|非常谢谢][你的帮助|您的讲解|你教我|老师的帮助|帮忙|][!|。|~|]",
        "[你真棒|讲得真好|太好了|太棒了|厉害|真厉害|很清楚|说得很明白][!|。|,谢谢][|你|老师]",
        "[这下懂了|终于懂了|我明白了|我学会了|答案对了|题目做出来了][,|!|。][谢谢|多谢|感谢][|你][!|。|]",
        "[谢谢|多谢|谢谢你|谢谢您|非常感谢|太感谢了|谢谢老师|谢啦][|!|。|,我懂了|,讲得真清楚|,帮了大忙]",
        "[明白了|懂了|我会了|原来如此|好的],[谢谢|谢谢你|多谢][|!|。]",
        "#你帮了我大忙,感激不尽",
      ],
      en: [
        "[Thanks|Thank you|Thank you so much|Thanks so much|Cheers|Much appreciated|thx|ty|Many thanks][ for your help| for explaining| for the help| for that| tutor| teacher|][!|.|]",
        "[Great|Perfect|Awesome|Nice|Wonderful|Well done|Very good|Good job|Excellent|Cool][, | ][thanks|thank you|that helped|that was helpful|now I understand|you are great][!|.|]",
        "[I understand now|Now I get it|That makes sense|That helped|It is clear now|I got it right][, |. |! ][thanks|thank you|Thanks a lot|Thank you][!|.|]",
        "[Thanks|Thank you|Thank you very much|Thanks a lot|Many thanks|thanks|thank you|Thx][|!|.|, that was clear|, I get it now|, great help]",
        "[I see|Got it|I understand|OK|Great], [thanks|thank you][|!|.]",
        "#You helped me a great deal",
      ],
    },
    reply: { zh: "不客气!还有题就发给我。", en: "You are welcome! Send me the next exercise." },
    says: { zh: "不客气", en: "You are welcome" },
  },
  {
    mark: "bye",
    ask: {
      zh: [
        "[再见|拜拜|拜|回见|先走了|下线了|我要睡觉了|我去吃饭了|今天先到这|不聊了][!|。|~|,明天继续|,下次再来|,老师再见|]",
        "[下次|明天|改天|周末|晚点]再[聊|来|见|学|问你][!|。|吧|]",
        "[再见|拜拜|下次见|明天见|晚安|我走了|先这样|回头见][|!|。|,老师|,助教|~]",
        "#今天就学到这里",
      ],
      en: [
        "[Bye|Goodbye|Bye-bye|So long|Farewell|Cya|See ya|See you soon|Later|Talk to you later|Catch you later|Until next time|Good bye][!|.| for now| then|, teacher|]",
        "[I have to go|I must go|I am leaving|I need to go|Time to sleep|I'm done for today|Gotta go][!|.|, bye|, goodbye|. See you|. Bye]",
        "[Bye|Goodbye|See you|See you later|Good night|bye|goodbye|Bye bye|Take care][|!|.|, tutor| tomorrow]",
        "#That is all for today",
      ],
    },
    reply: { zh: "再见!下次再一起做题。", en: "Goodbye! See you at the next exercise." },
    says: { zh: "再见", en: "Goodbye" },
  },
];

const talk = manner("talk", 1.5, (rng, s, language) => {
  const t = rng.pick(TALKS);
  const wording = ask(rng, t.ask, language, {});
  s.say(t.mark);
  const due = languageOf(wording.text);
  return {
    key: wording.text,
    wording,
    answer: { kind: "talk", says: t.says[due] },
    result: "",
    reply: (l) => t.reply[l],
  };
});

const REFUSAL: Readonly<Record<Language, string>> = {
  zh: "抱歉,这个我不会。我只会做数学练习题,例如 12*34 或 3x+5=20。",
  en: "Sorry, I can't help with that. I only do maths exercises such as 12*34 or 3x+5=20.",
};

const refuse = manner("refuse", 3.5, (rng, s, language) => {
  let wording: Wording;
  if (rng.chance(0.12)) {
    const text = noise(rng);
    wording = { text, id: "noise", heldOut: false };
  } else {
    const slots = {
      n: `${rng.int(1, 99)}`,
      m: `${rng.int(1, 9)}`,
      big: `${ofLength(rng, rng.int(10, 14))}`,
      vast: `${ofLength(rng, rng.int(8, 14))}`,
      w: anyWord(rng),
      v: anyWord(rng),
      h: anyHan(rng),
      g: anyHan(rng),
      N: rng.pick(language === "zh" ? NAMES_ZH : NAMES_EN),
    };
    // The bars of |x-3| separate alternatives in templates.
    wording = ask(rng, OUTSIDE, language, slots);
    if (language === "zh" && rng.chance(0.03)) wording = { ...wording, text: fullWidth(wording.text) };
  }
  s.say("outside");
  return { key: wording.text, wording, answer: { kind: "refusal" }, result: "", reply: (l) => REFUSAL[l] };
});

const HINT: Templates = {
  zh: [
    "[我想要|我需要|来|求|可以给|能给我|麻烦给][一个|个|一点|点][提示|思路|线索][吗|][?|:|,|。]{q}",
    "{q}[,|。| ][我需要|来|求|想要|可以给我|告诉我][一个|个|一点|点][提示|思路|线索][吗?|。|]",
    "{q}[,|。][怎么入手|从哪里入手|第一步怎么做|先做什么|该怎么开始]?[只要提示|给个提示|不要答案,提示一下]",
    "[只给提示|只给思路|只提示|不要答案|别直接给答案,给提示][:|。|,]{q}",
    "[卡住了|我卡住了|想不出来],[给个提示|提示一下|给点思路和提示]:{q}",
    "[给我一个提示|给个提示|给我提示|提示一下|给点提示|请给我一个提示|能给个提示吗|只要提示][:|,|。|: ]{q}",
    "{q}[,| |。][给我一个提示|给个提示|给我提示|提示一下|只给提示|请给个提示|能提示一下吗][|。|?]",
    "[不要告诉我答案|别说答案|先别说答案|不要直接给答案],[给我一个提示|给个提示|提示我一下|只要提示][:|:]{q}",
    "{q}[,|。][不要告诉我答案|别说答案],[给个提示|只要一个提示|提示一下][|。]",
    "[这题|这道题][第一步|从哪里开始][怎么想|做|怎么做]?[给个提示|提示一下]:{q}",
    "#我想自己做,稍微提醒我一下:{q}",
  ],
  en: [
    "[I'd like|I would like|I want|Please give me|Could I get|May I have|Can I get|Could you give me|Show me][ ][a hint|one hint|a small hint|some hint|a hint only][: | for |. |; | on ]{q}",
    "{q}[. |; | - |, ][I only want a hint|Could I have a hint?|Can you hint?|Please hint|Any hint?|hint?|a small hint please|Please give a hint][|.]",
    "[I'm stuck|I am stuck|I don't know how to start|I can't begin][, |. |: ][give me a hint|a hint please|any hint?|hint please][: |; |. ]{q}",
    "{q}[. |; ][How do I start?|What should I do first?|Where do I begin?] [Only a hint.|Just a hint, please.|A hint will do.]",
    "[Without the answer|Without telling the result|Not the answer], [give me a hint|only a hint please|just hint][: |; ]{q}",
    "[Give me a hint|give me a hint|A hint please|Hint please|Just a hint|I need a hint|Can I have a hint|Can you give me a hint|Hint][: |, |. |; ]{q}",
    "{q}[ |. |, |; ][Give me a hint|give me a hint|just a hint please|hint please|only a hint|can I get a hint?|a hint, please][|.]",
    "[Do not tell me the answer|Don't tell me the answer|No answer please|Don't give the answer], [just a hint|give me a hint|only a hint][: |; ]{q}",
    "{q}[. |; ][Don't tell me the answer|Do not say the answer], [just give me a hint|only a hint][|.]",
    "[How should I start|What is the first step|Where do I begin]? [Give me a hint|A hint please][: |; ]{q}",
    "#I want to do it myself, nudge me a little: {q}",
  ],
};

/** What a hint says, by skill. `{f}` is the first step of the worked solution. */
const HINTS: Readonly<Record<string, Readonly<Record<Language, string>>>> = {
  add: {
    zh: "提示:把数位对齐,从个位加起,满十进一。",
    en: "Hint: line up the digits, add from the ones, and carry when a column reaches ten.",
  },
  subtract: {
    zh: "提示:把数位对齐,从个位减起,不够减就向前一位借十。",
    en: "Hint: line up the digits, subtract from the ones, and borrow ten when a digit is too small.",
  },
  multiply: {
    zh: "提示:用下面那个数的每一位分别去乘,再把结果加起来。",
    en: "Hint: multiply by each digit of the lower number and add the parts.",
  },
  divide: {
    zh: "提示:从最高位除起,余数和下一位合起来再除。",
    en: "Hint: divide from the highest digit and put each remainder before the next digit.",
  },
  expression2: {
    zh: "提示:先算括号里的,再算乘除,最后算加减。",
    en: "Hint: brackets first, then products and quotients, then sums and differences.",
  },
  "equation-add": {
    zh: "提示:把未知数留在左边,数移到右边。",
    en: "Hint: keep the unknown on the left and move the number to the right.",
  },
  "equation-linear": {
    zh: "提示:先把数移到右边,再除以未知数前面的数。",
    en: "Hint: first move the number to the right, then divide by the factor of the unknown.",
  },
  "equation-bracket": {
    zh: "提示:先两边除以括号前面的数。",
    en: "Hint: first divide both sides by the factor before the bracket.",
  },
  "equation-both": {
    zh: "提示:把含未知数的项都移到左边,数都移到右边。",
    en: "Hint: move the terms with the unknown to the left and the numbers to the right.",
  },
  quadratic: { zh: "提示:先算判别式 D=b*b-4*a*c。", en: "Hint: compute the discriminant D=b*b-4*a*c first." },
  system: {
    zh: "提示:让两个方程里 y 前面的数相同,再相加或相减消去 y。",
    en: "Hint: make y have the same factor in both equations, then add or subtract to remove y.",
  },
  "fraction-add": {
    zh: "提示:先通分,再把分子相加减。",
    en: "Hint: find a common denominator, then add or subtract the numerators.",
  },
  "fraction-multiply": {
    zh: "提示:乘法分子乘分子、分母乘分母;除以一个分数等于乘它的倒数。",
    en: "Hint: multiply numerators and denominators; to divide, multiply by the reciprocal.",
  },
  "percent-of": {
    zh: "提示:百分之几就是除以100的几份,先乘再除以100。",
    en: "Hint: percent means hundredths: multiply first, then divide by 100.",
  },
  gcd: {
    zh: "提示:用大数除以小数,再用除数除以余数,直到没有余数。",
    en: "Hint: divide the larger by the smaller, then the divisor by the remainder, until nothing remains.",
  },
  "decimal-multiply": {
    zh: "提示:先当成整数来算,最后再点小数点。",
    en: "Hint: work with whole numbers first and set the point at the end.",
  },
  "percent-reverse": {
    zh: "提示:想一想哪个数是百分之一百,再用除法。",
    en: "Hint: think which number is one hundred percent, then divide.",
  },
  "fraction-simplify": {
    zh: "提示:求分子和分母的最大公因数,再同时除以它。",
    en: "Hint: divide numerator and denominator by their greatest common divisor.",
  },
  lcm: {
    zh: "提示:先求最大公因数,再用两数的积除以它。",
    en: "Hint: find the greatest common divisor first and divide the product by it.",
  },
  units: { zh: "提示:先想两个单位之间的进率。", en: "Hint: think how many of the smaller unit make the larger one." },
  derivative: {
    zh: "提示:先逐项求导,再代入x的值。",
    en: "Hint: differentiate term by term, then put in the value of x.",
  },
  integral: {
    zh: "提示:先求原函数F(x),再用上限的值减下限的值。",
    en: "Hint: find the antiderivative F(x), then subtract its value at the lower end from that at the upper end.",
  },
  determinant2: {
    zh: "提示:主对角线的积减去另一条对角线的积。",
    en: "Hint: the product of the main diagonal minus the product of the other.",
  },
  story2: {
    zh: "提示:先找出已知的数和它们的关系,列出算式再算。",
    en: "Hint: find the given numbers and how they belong together, write the expression, then work it out.",
  },
  points24: {
    zh: "提示:先拿出一个数,想想剩下的数要凑成几。",
    en: "Hint: set one number aside and ask what the others must make.",
  },
  "fraction-of": {
    zh: "提示:先除以分母,再乘分子。",
    en: "Hint: divide by the denominator first, then multiply by the numerator.",
  },
  ratio: {
    zh: "提示:先求一共有几份,或者把前后两项同时除以它们的最大公因数。",
    en: "Hint: count the parts in all, or divide both sides by their greatest common divisor.",
  },
  "matrix-vector": {
    zh: "提示:每一行和向量对应相乘,再相加。",
    en: "Hint: multiply each row with the vector entry by entry and add.",
  },
  determinant3: {
    zh: "提示:按一行展开,每个数乘它的余子式,注意正负号。",
    en: "Hint: expand along a row, each entry times its minor, and mind the signs.",
  },
  combinations: {
    zh: "提示:先想一想顺序要不要紧,再写出连乘的式子。",
    en: "Hint: ask whether the order matters, then write the product of the choices.",
  },
  probability: {
    zh: "提示:先数一共有多少种情况,再数符合要求的有多少种。",
    en: "Hint: count all cases first, then the cases that fit.",
  },
  "sum-product": {
    zh: "提示:从小的数开始,试一试哪两个数的和对,再看它们的积。",
    en: "Hint: try pairs with the right sum, starting small, and look at their products.",
  },
  puzzle: {
    zh: "提示:按条件从小到大一个一个地试。",
    en: "Hint: try the candidates one after another, from small to large.",
  },
  average: {
    zh: "提示:先求总和,再除以个数。",
    en: "Hint: find the sum first, then divide by how many numbers there are.",
  },
};

/** Skills that share a hint with another. */
const LIKE: Readonly<Record<string, string>> = {
  "multiply-long": "multiply",
  "divide-long": "divide",
  expression3: "expression2",
  expression4: "expression2",
  negative: "expression2",
  "decimal-add": "add",
  "decimal-divide": "decimal-multiply",
  story1: "story2",
  story3: "story2",
  countdown3: "points24",
  countdown4: "points24",
};

const hintOf = (id: string): Readonly<Record<Language, string>> | undefined => HINTS[LIKE[id] ?? id];

const HINTED = [...CORE, ...SCHOOL, ...ALGEBRA, ...UNIVERSITY, ...WORD_PROBLEMS, ...HUNTS].filter(
  (k) => hintOf(k.id) !== undefined,
);

/** The number a hint must not tell. */
function secretOf(p: Problem): string {
  const a = p.answer;
  if (a.kind === "number") return a.value;
  if (a.kind === "division") return a.quotient;
  return a.kind === "numbers" ? a.values[0] : "";
}

const hint = manner("hint", 1.5, (rng, s, language) => {
  for (;;) {
    const k = rng.pick(HINTED);
    const p = k.generate(rng, rng.int(1, k.levels));
    // A bare formula takes the language of the words around it.
    if (p.language !== language && /[\u4e00-\u9fffA-Za-z]{2}/.test(p.question)) continue;
    const wording = ask(rng, HINT, language, { q: p.question });
    const due = languageOf(wording.text);
    const reply = hintOf(k.id)![due];
    const secret = secretOf(p);
    if (new RegExp(`(?<!\\d)${secret.replace("-", "-?")}(?!\\d)`).test(reply)) continue;
    s.say("hint");
    s.say(LIKE[k.id] ?? k.id);
    return {
      key: `hint ${p.skill} ${p.meta.key}`,
      wording: {
        ...wording,
        id: wording.id.replace("{q}", p.meta.phrasing),
        heldOut: wording.heldOut || p.meta.heldOutPhrasing,
      },
      answer: { kind: "hint", secret },
      result: "",
      reply: () => reply,
    };
  }
});

/** One step of a solution: what is right, what the pupil wrote, and the calculation that tells. */
interface Step {
  right: string;
  written: string;
  prove(s: Scratch): void;
}

/** What another operation would have given. */
function mistaken(rng: Random, op: Operator, a: number, b: number): number | undefined {
  const due = value({ op, left: a, right: b });
  const wrong = [a + b, a - b, a * b].filter((w) => w >= 0 && w < 10000 && w !== due);
  return wrong.length > 0 ? rng.pick(wrong) : undefined;
}

/** A number near `n`, as slips of the pen and of the head make it. */
function misreckon(rng: Random, n: number): number {
  const choices = [n + 1, n - 1, n + 10, n - 10, n + 2, n - 2].filter((w) => n < 0 || w >= 0);
  if (n > 9) choices.push(Number([...String(n)].reverse().join("")));
  return rng.pick(choices.filter((w) => w !== n));
}

/** Whether everything on the way is a whole number that is not negative. */
function whole(e: Expression): boolean {
  if (typeof e === "number") return e >= 0 && Number.isInteger(e);
  return whole(e.left) && whole(e.right) && whole(value(e));
}

/** A numeric solution; each step is the operation (`12+7=19`) or the shorter expression that is left (`=19*3`). */
function expressionSolution(rng: Random, e: Expression, states: boolean, wrongAt: number): Step[] {
  const steps: Step[] = [];
  let rest = e;
  while (typeof rest !== "number") {
    const next = nextOperation(rest);
    const [a, b] = [next.left as number, next.right as number];
    const v = value(next);
    const right = replace(rest, next, v);
    const show = (left: Expression, result: number): string =>
      states ? `=${print(left)}` : `${a}${next.op}${b < 0 ? `(${b})` : b}=${result}`;
    const prove = (s: Scratch): void => void operate(s, next.op, a, b);
    if (steps.length + 1 !== wrongAt) {
      steps.push({ right: show(right, v), written: show(right, v), prove });
      rest = right;
      continue;
    }
    const slip = (rng.chance(0.2) ? mistaken(rng, next.op, a, b) : undefined) ?? misreckon(rng, v);
    const wrong = replace(rest, next, slip);
    steps.push({ right: show(right, v), written: show(wrong, slip), prove });
    // The slip is carried on where that leaves whole numbers, or (a copied solution) it is not.
    rest = whole(wrong) && rng.chance(0.6) ? wrong : right;
    // What is left must really be worth something else (a later factor 0 could hide the slip).
    if (value(wrong) === value(right)) return [];
  }
  return steps;
}

/** The steps of ax+b=c; some pupils write only the results. */
function linearSolution(rng: Random, wrongAt: number, short: boolean): { equation: string; steps: Step[] } {
  const root = rng.int(1, 15);
  const a = rng.int(2, 9);
  const b = rng.int(1, 40) * (rng.chance(0.35) ? -1 : 1);
  const c = a * root + b;
  const size = Math.abs(b);
  const minus = b > 0 ? "-" : "+";
  const plus = b > 0 ? "+" : "-";
  const steps: Step[] = [];
  const nothing = (): void => {};
  const push = (right: string, wrong: () => string, prove: (s: Scratch) => void): void => {
    steps.push({ right, written: steps.length + 1 === wrongAt ? wrong() : right, prove });
  };
  if (!short) {
    const slip = (): string =>
      rng.chance(0.6) ? `${a}x=${c}${plus}${size}` : `${a}x=${misreckon(rng, c)}${minus}${size}`;
    push(`${a}x=${c}${minus}${size}`, slip, nothing);
  }
  const subtract = (s: Scratch): void => void (b > 0 ? s.subtract(c, b) : s.add(c, -b));
  let rest = a * root;
  push(
    `${a}x=${rest}`,
    () => {
      if (rng.chance(0.5)) return `${a}x=${misreckon(rng, rest)}`;
      // A slip that goes unnoticed because it still divides; the rest of the solution follows it.
      rest += root > 1 && rng.chance(0.5) ? -a : a;
      return `${a}x=${rest}`;
    },
    subtract,
  );
  const due = rest;
  if (!short)
    push(
      `x=${due}/${a}`,
      () => (rng.chance(0.5) && due - a !== due / a ? `x=${due}-${a}` : `x=${misreckon(rng, due)}/${a}`),
      nothing,
    );
  push(
    `x=${due / a}`,
    () => `x=${misreckon(rng, due / a)}`,
    (s) => void s.divideExactly(due, a),
  );
  return { equation: `${linear(a, b)}=${c}`, steps };
}

/** The steps of a(x+b)=c. */
function bracketSolution(rng: Random, wrongAt: number, short: boolean): { equation: string; steps: Step[] } {
  const a = rng.int(2, 9);
  const b = rng.int(1, 12) * (rng.chance(0.35) ? -1 : 1);
  const inner = rng.int(Math.max(1, b + 1), 20);
  const c = a * inner;
  const left = linear(1, b);
  const steps: Step[] = [];
  const push = (right: string, wrong: () => string, prove: (s: Scratch) => void = () => {}): void => {
    steps.push({ right, written: steps.length + 1 === wrongAt ? wrong() : right, prove });
  };
  const size = Math.abs(b);
  if (!short) push(`${left}=${c}/${a}`, () => `${left}=${rng.chance(0.5) ? `${c}-${a}` : `${misreckon(rng, c)}/${a}`}`);
  // A wrong quotient may be carried on.
  let quotient = inner;
  const divide = (s: Scratch): void => void s.divideExactly(c, a);
  push(`${left}=${inner}`, () => `${left}=${(quotient = misreckon(rng, inner))}`, divide);
  if (rng.chance(0.4)) quotient = inner;
  const root = quotient - b;
  const move = `x=${quotient}${b > 0 ? "-" : "+"}${size}`;
  if (!short) push(move, () => `x=${quotient}${b > 0 ? "+" : "-"}${size}`);
  push(
    `x=${root}`,
    () => `x=${misreckon(rng, root)}`,
    (s) => void (b > 0 ? s.subtract(quotient, b) : s.add(quotient, -b)),
  );
  return { equation: `${a}(${left})=${c}`, steps };
}

const CHECK: Templates = {
  zh: [
    "[找出错误|找出第一个错误的步骤|哪步错了|第几步错了|有没有错|找错|改错题|判断对错][:|?\n|\n]{q}{gap}{steps}",
    "{q}{gap}{steps}{gap}[有没有错?|错在哪里?|哪步错了?|第几步错了?|找出错误|这样做对吗?|这样算对吗?|正确吗?]",
    "[小明|我同学|有人|学生|我]这样[做|算|解]:{gap}{q}{gap}{steps}{gap}[对吗?|哪一步错了?|有错吗?|检查一下]",
    "[检查|核对|验证|审查|批改][这个|下面的|以下|一下][解答|解法|过程|步骤|计算][:|:\n]{q}{gap}{steps}",
    "[检查我的解答|检查一下我的解答|帮我检查|检查我的过程|看看我做得对不对|我做得对吗|帮我看看哪一步错了|请检查][:|:\n|。\n]{q}{gap}{steps}",
    "{q}{gap}{steps}{gap}[我做得对吗?|对不对?|哪一步错了?|检查一下|帮我检查|请检查我的解答]",
    "[题目|题]:{q}{gap}[我的解答|解|我的过程|解答]:{gap}{steps}{gap}[检查我的解答|对吗?|帮我检查|哪里错了?]",
    "#老师帮我批改一下:{q}{gap}{steps}",
  ],
  en: [
    "[Find the error|Find the first mistake|Find the wrong step|Spot the mistake|Where is the error|Is there a mistake|Which line is wrong|Verify this|Is this correct|Did I get this right][: |:\n|?\n]{q}{gap}{steps}",
    "{q}{gap}{steps}{gap}[Is this correct?|Find the error.|Where did I go wrong?|Spot the mistake.|Any mistakes?|Which line is wrong?|Is there an error?|Am I right?]",
    "[A student wrote|My friend solved it like this|Here is what I did|I did this|My steps|This is my solution|I solved]: {q}{gap}{steps}{gap}[Is it correct?|Check it.|Which step is wrong?|Find the mistake.|Is there a mistake?]",
    "[Check|Verify|Review|Mark|Grade] [this|the|the following|this student's] [solution|work|calculation|steps][: |:\n]{q}{gap}{steps}",
    "[Check my solution|check my solution|Please check my solution|Check my work|Check my steps|Is my solution right?|Did I do this right?|Find my mistake|Which step is wrong?][: |:\n| ]{q}{gap}{steps}",
    "{q}{gap}{steps}{gap}[Is this right?|Check my solution.|Which step is wrong?|Did I make a mistake?|Please check.|check my solution]",
    "[Problem|Exercise]: {q}{gap}[My solution|Solution|My work]:{gap}{steps}{gap}[Check my solution.|Is it right?|Please check.|Where is my mistake?]",
    "#Please mark this: {q}{gap}{steps}",
  ],
};

/** Only the steps are shown, without the exercise. */
const CHECK_STEPS: Templates = {
  zh: [
    "[找出错误|哪步错了|第几步错了|有没有错|判断对错][:|?\n]{steps}",
    "{steps}{gap}[有没有错?|哪步错了?|第几步错了?|这样算对吗?]",
    "[检查我的解答|检查一下我的解答|帮我检查|检查我的过程|看看我做得对不对|我做得对吗|帮我看看哪一步错了|请检查][:|:\n|:]{steps}",
    "{steps}{gap}[我做得对吗?|对不对?|哪一步错了?|检查一下|帮我检查|请检查我的解答]",
    "#我这样算对吗:{steps}",
  ],
  en: [
    "[Find the error|Find the wrong step|Spot the mistake|Is this correct|Verify this|Check these steps][: |:\n|?\n]{steps}",
    "{steps}{gap}[Is this correct?|Find the error.|Where did I go wrong?|Am I right?]",
    "[Check my solution|check my solution|Please check my solution|Check my work|Check my steps|Did I do this right?|Find my mistake|Which step is wrong?][: |:\n| ]{steps}",
    "{steps}{gap}[Is this right?|Check my solution.|Which step is wrong?|Did I make a mistake?|Please check.|check my solution]",
    "#Have a look whether I got this right, please check: {steps}",
  ],
};

const check = manner("check", 6, (rng, s, language) => {
  const kind = rng.pick([
    "operations",
    "operations",
    "states",
    "states",
    "equation",
    "equation",
    "equation",
    "bare",
    "story",
  ] as const);
  const wrongShare = rng.chance(0.3) ? undefined : rng.next();
  let question: string;
  let storyWording: Wording | undefined;
  let steps: Step[];
  let wrongAt = 0;
  if (kind === "equation") {
    const short = rng.chance(0.4);
    if (wrongShare !== undefined) wrongAt = 1 + Math.floor(wrongShare * (short ? 2 : 4));
    ({ equation: question, steps } = (rng.chance(0.7) ? linearSolution : bracketSolution)(rng, wrongAt, short));
  } else {
    let e = randomExpression(rng, rng.int(2, 3), rng.int(1, 2), false);
    if (kind === "story") {
      const story = drawStory(rng, rng.pick([2, 3]), rng.int(1, 2), language);
      e = story.e;
      storyWording = ask(rng, { zh: [story.text], en: [story.text] }, language, story.slots);
    }
    question = print(e);
    if (wrongShare !== undefined) wrongAt = 1 + Math.floor(wrongShare * size(e));
    steps = expressionSolution(rng, e, kind === "states", wrongAt);
  }
  if (steps.length === 0 || (wrongAt > 0 && steps[wrongAt - 1].written === steps[wrongAt - 1].right)) return undefined;
  if (kind !== "bare") s.say(question);
  for (let i = 0; i < (wrongAt || steps.length); i++) {
    // What was written and what is due stand close together, so that a difference can be seen.
    s.say(`${i + 1})"${steps[i].written}"`);
    steps[i].prove(s);
    s.say(`${i + 1})${steps[i].right} ${i + 1 === wrongAt ? "wrong" : "ok"}`);
  }
  if (wrongAt === 0) s.say("all ok");
  const number = rng.pick([
    (i: number) => `${i})`,
    (i: number) => `${i}. `,
    (i: number) => (language === "zh" ? `第${i}步:` : `Step ${i}: `),
    (i: number) => (language === "zh" ? `步骤${i}:` : `step ${i}: `),
    (i: number) => `(${i}) `,
    (i: number) => `${"\u2460\u2461\u2462\u2463\u2464\u2465\u2466\u2467"[i - 1] ?? ""}`,
    () => "",
    () => "",
  ]);
  const gap = rng.pick([
    "\n",
    "\n",
    "\n",
    "\n",
    " \u2192 ",
    language === "zh" ? ";" : "; ",
    kind === "bare" ? ", " : "\n",
  ]);
  const spaced = rng.chance(0.3);
  const look = (t: string): string =>
    (spaced ? t.replace(/(?<=[\dx)])([+\-*/=])/g, " $1 ") : t).replaceAll("*", times).replaceAll("/", over);
  const times = rng.pick(["*", "\u00d7"]);
  const over = rng.pick(["/", "\u00f7"]);
  const text = steps.map((step, i) => number(i + 1) + look(step.written)).join(gap);
  const templates = kind === "bare" ? CHECK_STEPS : CHECK;
  const shown = word(rng, templates[language], { q: storyWording?.text ?? look(question), steps: text, gap });
  const wording = storyWording
    ? { ...shown, id: shown.id.replace("{q}", storyWording.id), heldOut: shown.heldOut || storyWording.heldOut }
    : shown;
  const right = wrongAt === 0 ? "" : steps[wrongAt - 1].right;
  const reply = (l: Language): string =>
    wrongAt === 0
      ? l === "zh"
        ? "每一步都对:\\boxed{正确}。"
        : "Every step is right: \\boxed{correct}."
      : l === "zh"
        ? `\\boxed{第${wrongAt}步}有错,应该是 ${right}。`
        : `\\boxed{step ${wrongAt}} is wrong, it should be ${right}.`;
  return {
    key: `check ${question} ${steps.map((t) => t.written).join(" ")}`,
    wording,
    answer: { kind: "verdict", step: wrongAt },
    result: "",
    reply,
  };
});

type Drawn = ReturnType<Parameters<typeof make>[4]>;

function manner(
  id: string,
  weight: number,
  drawOne: (rng: Random, s: Scratch, language: Language) => Drawn | undefined,
): Skill {
  return {
    id,
    class: "manners",
    levels: 1,
    weight,
    understood: id === "check",
    generate(rng, level) {
      for (;;) {
        const scratch = new Scratch();
        const drawn = drawOne(rng, scratch, anyLanguage(rng));
        if (drawn) return finish({ ...drawn, skill: id, level, scratch });
      }
    },
  };
}

export const MANNERS: readonly Skill[] = [talk, refuse, hint, check];
