// How the exercises of class D are asked. Same notation as phrases.ts.

import type { Templates } from "./phrases.ts";

export const COUNTDOWN: Templates = {
  zh: [
    "用{l}[凑出|算出|得到|凑成|组成]{t}[|。]",
    "用[数字|这些数|这几个数|]{l}[列|写|列出|写出]一个[算式|式子],[使结果等于|结果是|得数是|使它等于]{t}[|。|,每个数用一次]",
    "[怎么|怎样|如何]用{l}[算出|得到|凑出]{t}[?|]",
    "{l},[每个数用一次|每个数只能用一次|加减乘除],[算出|凑出|得到]{t}",
    "[请|请你|帮我|老师,]用{l}[凑|算][出|成]{t}[|。|,每个数恰好用一次]",
    "[目标|目标数][是|:]{t},[数字|数][是|:]{l}",
    "[数字|给你]{l},[目标|要得到|怎么得到]{t}[?|]",
    "[用加减乘除|用+-*/|用四则运算][把|让]{l}[变成|得到|算成]{t}",
    "[从|]{l}[怎么得到|如何得到|能得到]{t}[?|吗?]",
    "#{l}这些数各用一次,你能变出{t}吗?",
  ],
  en: [
    "Use {l} to [make|get|reach|obtain] {t}[.|]",
    "[Using the numbers|With the numbers|Using|From the numbers] {l}, [make|reach|get|create an equation that equals|write an expression equal to|find an expression for] {t}[.|, using each number once.|]",
    "[How can you|How do you|How can I|How do I] [get|make|reach] {t} [from|with|using] {l}?",
    "[Make|make|Get|Reach|Build] {t} [from|with|using|out of] {l}[.|, using each number once.|]",
    "[Target|target|Target number][: | ]{t}[, |; |. ][numbers|Numbers][: | ]{l}",
    "[Numbers|numbers]: {l}[; |, |. ][target|Target]: {t}",
    "[Countdown|countdown]: {l} [to|->|for] {t}",
    "[Combine|combine] {l} with [+ - * /|plus, minus, times and divided by] to [get|make] {t}[.|]",
    "[Can you|Could you] [make|get|reach] {t} [with|from|using] {l}?",
    "#Each of {l} exactly once, and the result shall be {t}.",
  ],
};

export const TWENTY_FOUR: Templates = {
  zh: [
    "[用|]{l}[算|凑|怎么算|怎么凑]24[点|][|?|。]",
    "24点:{l}",
    "[24点游戏|算24点|二十四点|凑24点][:|,| ]{l}",
    "[怎么|怎样|如何]用{l}[算出|得到|凑出]24[点|][?|]",
    "[四张牌|四个数|数字][是|:]{l},[算24点|凑24|怎么得到24?|请算出24]",
    "[请|帮我|老师,]用{l}算24点[|。]",
    "[给你|]{l}[四个数|],[用加减乘除|每个数用一次][算出|得到|凑成]24",
    "#{l}能凑成24吗?",
  ],
  en: [
    "[Make|make|Get|Reach] 24 [from|with|using|out of] {l}[.|]",
    "[24 game|24 points|The 24 game|24 puzzle][: |, ]{l}",
    "[Use|Using] {l} [to make|make|to get|get] 24[.|]",
    "[How can you|How do you|How do I] [get|make] 24 [from|with|using] {l}?",
    "[Four cards|The cards|The numbers|My cards] are {l}[. Make 24.|; make 24.|. How do I get 24?]",
    "[Solve|Play] [the 24 game|24] [with|for] {l}[.|]",
    "[Can you|Could you] make 24 [with|from|using] {l}?",
    "#{l}: twenty-four, please.",
  ],
};

export const SUM_PRODUCT: Templates = {
  zh: [
    "两个数的和是{s},积是{p},[求这两个数|这两个数是多少?|这两个数各是几?|它们是多少?]",
    "[已知|如果|若]两[个|]数[之和|的和][为|是|等于]{s},[之积|积|乘积][为|是|等于]{p},[求这两个数|求两数|这两个数各是多少?]",
    "[找出|求|找]两个数,[使它们的|它们的]和是{s},积是{p}[|。]",
    "哪两个数[相加得|的和是]{s},[相乘得|积是]{p}[?|]",
    "[和|和为|和是]{s},[积|积为|积是]{p}的两个数[是多少|是什么|是几和几][?|]",
    "#有两个数,加起来{s},乘起来{p},请问是哪两个?",
  ],
  en: [
    "[Find|find|What are|Determine] two numbers [whose sum is|with sum|with the sum] {s} and [whose product is|product|the product] {p}[.|?|]",
    "Two numbers [add up to|have the sum|sum to] {s} and [multiply to|have the product|their product is] {p}[. What are they?|. Find them.|; find them.|]",
    "The sum of two numbers is {s} and their product is {p}. [What are they?|Find the numbers.|What are the numbers?|Find them.]",
    "[Which|What] two numbers [add to|add up to|sum to] {s} and multiply to {p}?",
    "[I am thinking of|Think of] two numbers[. Their sum is| with sum] {s} and [their |]product [is |]{p}. [What are they?|Which numbers are they?]",
    "#Sum {s}, product {p}: which pair is it?",
  ],
};

export const REMAINDERS: Templates = {
  zh: [
    "[一个数|某数|有一个数]除以{a}余{r},除以{b}余{s},[这个数最小是多少|求最小的这样的数|这个数最小是几][?|]",
    "[求|找出|请找出]最小的正整数,[使它|它|要求它]除以{a}余{r},除以{b}余{s}[|。]",
    "[最小的|哪个最小的]正整数除以{a}余{r}、除以{b}余{s}[是多少|][?|]",
    "#{a}个{a}个数剩{r}个,{b}个{b}个数剩{s}个,最少有几个?",
  ],
  en: [
    "[Find|What is|Give|Which is] the smallest positive [number|integer|whole number] that leaves remainder {r} when divided by {a} and remainder {s} when divided by {b}[.|?|]",
    "A number [leaves remainder|leaves a remainder of] {r} when divided by {a} and {s} when divided by {b}[. What is the smallest such positive number?|. Find the smallest one.|. How small can it be?|; find the smallest positive one.]",
    "[Which|What] smallest positive [number|integer] gives remainder {r} on division by {a} and remainder {s} on division by {b}?",
    "#Counting by {a} leaves {r}, counting by {b} leaves {s}: how few can there be?",
  ],
};

export const REVERSED: Templates = {
  zh: [
    "一个两位数,[个位与十位数字之和|两个数字的和|数字之和]是{s},[把两个数字对调|交换个位和十位|数字对调]后[比原数大|大了|增加了]{d},[求原数|求这个两位数|原来的数是多少?|这个数是多少?]",
    "[某|有一个]两位数的数字[和|之和]是{s},[对调|交换]两个数字[得到的新数|后的数]比原数大{d},[原数是多少?|求原数|求这个数]",
    "#两位数,数字加起来{s},倒过来写多{d},它是几?",
  ],
  en: [
    "A two-digit number has digit sum {s}. [Reversing|Swapping|Exchanging] its digits [makes it larger by|gives a number larger by|increases it by] {d}. [What is the number?|Find the number.|What is it?]",
    "The digits of a two-digit number add up to {s}. [When the digits are reversed|If the digits are swapped], the number [grows|increases|gets larger] by {d}. [What is the number?|Find it.|What was it?]",
    "#Two digits, sum {s}; turned around it is {d} more. Which number?",
  ],
};

export const CONSECUTIVE: Templates = {
  zh: [
    "两个连续[自然数|正整数|整数]的[积|乘积]是{p},[求这两个数|这两个数是多少?|它们是多少?|这两个数各是几?]",
    "[哪两个|找出两个]相邻的[自然数|整数][相乘得|乘积是]{p}[?|]",
    "#挨着的两个数乘起来{p},是哪两个?",
  ],
  en: [
    "The product of two consecutive [positive integers|positive numbers|whole numbers] is {p}. [What are they?|Find them.|Find the numbers.]",
    "[Find|Which are the|Give|What are the] two consecutive [positive integers|whole numbers|numbers] [whose product is|with product] {p}[.|?|]",
    "#Two neighbours among the whole numbers multiply to {p}: which?",
  ],
};

export const COINS: Templates = {
  zh: [
    "[{N}有|有|一共有]{n}[枚|张][硬币|钱币|纸币],[只有|都是|全是]{a}元和{b}元的,[一共|共]{t}元,{a}元和{b}元的各有多少[枚|张][?|]",
    "{a}元和{b}元的[硬币|纸币]共{n}[枚|张],[总共|合计|一共]{t}元,[各有几枚?|各多少枚?|两种各有多少?]",
    "#{n}枚{a}元、{b}元的钱加在一起是{t}元,两种各几枚?",
  ],
  en: [
    "[{N} has|There are|I have|We have|Here are] {n} coins of {a} and {b} [dollars|cents|yuan], worth {t} in total. [How many of each are there?|How many of each?|Find how many of each there are.]",
    "{n} coins, each worth {a} or {b}, [make|are worth|add up to] {t}. How many of each [kind|value|] are there?",
    "#With {n} coins of {a} or {b} one pays {t}; how many of either?",
  ],
};

export const OPERATORS: Templates = {
  zh: [
    "在{g}的[空格|横线|方框|空]里填上[运算符号|+、-或*|加减乘号],使等式成立[|。]",
    "[填运算符号|填上运算符|填+-*]:{g}",
    "[请|帮我|]在{g}中填上[合适的|]运算符号[,使等式成立|]",
    "{g},[横线上填什么运算符?|该填哪些运算符号?|填上运算符号|缺的符号是什么?]",
    "#要让{g}成立,应该填什么符号?",
  ],
  en: [
    "[Fill in|Insert|Put in] [the operators|the signs|+, - or *] [so that it is true|to make it true|so that the equation holds]: {g}",
    "[Which|What] [operators|signs] [make|go into] {g}[ true|]?",
    "{g}: [fill in the operators|which signs are missing?|insert +, - or *]",
    "[Complete|Solve] with +, - or *: {g}",
    "#The signs in {g} were rubbed out; put them back.",
  ],
};
