// How the exercises of class D are asked. Same notation as phrases.ts.

import type { Templates } from "./phrases.ts";

export const COUNTDOWN: Templates = {
  zh: [
    "[把|将]{l}[用加减乘除|用四则运算|用+-*/][连起来|组合起来|组合]得到{t}",
    "[请用|利用|使用|只用][数字|]{l}[构造|写出|列出]一个等于{t}的[算式|式子|表达式]",
    "{l}[用加减乘除|怎么|怎样|如何][得|等于|算出|变成|凑成]{t}[?|]",
    "[用|]{l}[这几个数|]通过[加减乘除|四则运算][得到|算出|变成]{t}",
    "[使|让]{l}[经过运算|运算后|][等于|得到]{t}",
    "[数字游戏|凑数|倒计时]:[用|]{l}[得到|凑]{t}",
    "[写|给]出用{l}得到{t}的[算式|方法|式子]",
    "[每个数字|每个数|各数][只用一次|恰好用一次|用一次],用{l}[得到|算出|凑出]{t}",
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
    "[Find|Give|Write|Build|Construct|Create] [an expression|an equation|a formula|a way] [that uses|using|with|from] {l} [that equals|equal to|to get|that makes|to make|with value] {t}[.|]",
    "[With|Using|Given] {l}[, how do I make|, how can I get|, how can you reach|, obtain|, find] {t}[?|.|]",
    "[Use each of|Use all of|Use the numbers|Using only|Use each number once:] {l} to [make|get|reach|obtain] {t}[.|]",
    "[Given the numbers|Given|From] {l}[, reach the target|, make|, get|, the target is|, find a way to get] {t}[.|]",
    "{l} [to|->|=>|make|must make] {t}",
    "[Reach|Hit|Get to|Obtain|Form] [the target |]{t} [using|with|from] {l}[.|, each once.]",
    "[What expression with|Which expression with|Which calculation with|What combination of] {l} [gives|equals|makes] {t}?",
    "[Numbers game|Number game|Countdown game|Countdown puzzle]: [numbers |]{l}, [target |goal |make |get ]{t}",
    "[Write|Express] {t} using {l}[.|, each exactly once.]",
    "[Use|Apply] + - * / to {l} [so that the result is|to get|to make] {t}[.|]",
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
    "[把|将]{l}[用加减乘除|用四则运算|用+-*/][得到|变成|算成|凑成]24",
    "{l}[怎么得|如何得到|怎样得|能不能算出|能不能得到|可以凑成]24[点|][?|]",
    "[请用|利用|使用]{l}[通过加减乘除|]算[出|]24[点|]",
    "[二十四点|24点题|24点]:[用|]{l}",
    "{l},24点[?|怎么算?|]",
    "[玩|来][24点|二十四点|算24点]:{l}",
    "[用这四个数|四个数字|四张牌]{l}[算24|得24|凑24点|求24点][|。]",
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
    "[Find|Give|Write|Show] [a way|an expression|a solution] [to make|to get|for|that makes] 24 [with|using|from] {l}[.|]",
    "{l}[: make 24|, make 24|. Make 24.|; get 24|: 24?|, 24 game| -> 24]",
    "[Use all of|Use each of|Using the numbers|With the numbers|Use the numbers] {l}[ to make 24|, make 24| to reach 24| to obtain 24][.|]",
    "[Let's play 24|Play 24|24-game|twenty-four|Twenty-four game|Game of 24|Make twenty-four]: {l}",
    "[What makes|Which expression makes|What expression equals] 24 [from|with|using] {l}?",
    "[Obtain|Form|Build|Reach|Hit] 24 [from|with|using|by using] {l}[.|, each once.]",
    "[My numbers|I have the numbers|The four numbers|Given the numbers|The numbers] [are |]{l}[. How can I get 24?|. Find 24.|. Can you get 24?|, make 24.]",
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
    "两[个|]数相加[得|等于|是]{s},相乘[得|等于|是]{p},[这两个数是多少?|求这两个数|它们是几?]",
    "[已知|若|设]x+y={s},xy={p},[求x和y|求这两个数|x、y各是多少?]",
    "两[个|]数[的和|之和][是|为]{s},[它们的|]乘积[是|为]{p},[分别是多少|各是多少|是哪两个数][?|]",
    "[有|哪]两个数,和[是|为]{s}、积[是|为]{p}[?|,求这两个数|]",
    "[求|找]两个[整数|数],和[为|是]{s},[积|乘积][为|是]{p}",
    "[什么数|哪两个数]加起来[是|等于]{s},乘起来[是|等于]{p}?",
    "两个数的和是{s},积是{p},[求这两个数|这两个数是多少?|这两个数各是几?|它们是多少?]",
    "[已知|如果|若]两[个|]数[之和|的和][为|是|等于]{s},[之积|积|乘积][为|是|等于]{p},[求这两个数|求两数|这两个数各是多少?]",
    "[找出|求|找]两个数,[使它们的|它们的]和是{s},积是{p}[|。]",
    "哪两个数[相加得|的和是]{s},[相乘得|积是]{p}[?|]",
    "[和|和为|和是]{s},[积|积为|积是]{p}的两个数[是多少|是什么|是几和几][?|]",
    "#有两个数,加起来{s},乘起来{p},请问是哪两个?",
  ],
  en: [
    "[Find|Give|Name|What are] [the |]two numbers that [add to|add up to|sum to|total] {s} and [multiply to|have a product of|multiply to give|have product] {p}[.|?|]",
    "[If|When] two numbers [add up to|sum to|have a sum of] {s} and [multiply to|have a product of] {p}, what are they?",
    "x+y={s}[, | and ]xy={p}[. Find x and y.|. What are x and y?|]",
    "[Two integers|Two whole numbers|Two numbers] have [sum|a sum of] {s} and [product|a product of] {p}[. What are they?|. Find them.|. Which are they?]",
    "[The sum is|Sum:|sum] {s}[, | and ][the product is|product:|product] {p}[. What are the numbers?|. Find the two numbers.|. Find the numbers.]",
    "[What|Which] [pair of numbers|two integers|two whole numbers] [has|have] sum {s} and product {p}?",
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
    "[什么数|哪个数|最小的什么数]除以{a}余{r},除以{b}余{s}[?|]",
    "[某|有个]数[被{a}除余{r}|除以{a}余数是{r}],[被{b}除余{s}|除以{b}余数是{s}],[最小是多少|求最小值|它最小是几][?|]",
    "[求|找]一个[最小的|最小]数,除以{a}余{r},除以{b}余{s}",
    "[一个数|某数|有一个数]除以{a}余{r},除以{b}余{s},[这个数最小是多少|求最小的这样的数|这个数最小是几][?|]",
    "[求|找出|请找出]最小的正整数,[使它|它|要求它]除以{a}余{r},除以{b}余{s}[|。]",
    "[最小的|哪个最小的]正整数除以{a}余{r}、除以{b}余{s}[是多少|][?|]",
    "#{a}个{a}个数剩{r}个,{b}个{b}个数剩{s}个,最少有几个?",
  ],
  en: [
    "[Find|What is|Give] the [smallest|least|lowest] [positive |][number|integer] [with|that has|having] remainder {r} when divided by {a} and [remainder |]{s} when divided by {b}[.|?|]",
    "[Divided by|When divided by] {a} a number leaves {r}, [and divided by|divided by|and by] {b} it leaves {s}[. What is the smallest such number?|. Find the smallest one.|. What is the least such number?]",
    "[What|Which] is the [smallest|least] [number|positive number] [that leaves|leaving] {r} when divided by {a} and {s} when divided by {b}?",
    "[Find|What is|Give|Which is] the smallest positive [number|integer|whole number] that leaves remainder {r} when divided by {a} and remainder {s} when divided by {b}[.|?|]",
    "A number [leaves remainder|leaves a remainder of] {r} when divided by {a} and {s} when divided by {b}[. What is the smallest such positive number?|. Find the smallest one.|. How small can it be?|; find the smallest positive one.]",
    "[Which|What] smallest positive [number|integer] gives remainder {r} on division by {a} and remainder {s} on division by {b}?",
    "#Counting by {a} leaves {r}, counting by {b} leaves {s}: how few can there be?",
  ],
};

export const REVERSED: Templates = {
  zh: [
    "一个两位数[的|]个位[数字|]与十位[数字|][的和|之和]是{s},[交换|对调]两个数字后[,|][新数|得到的数]比原[来的|]数大{d},[求原来的数|原来的两位数是多少?|求原数]",
    "[有一个|某]两位数,数字[和|之和]为{s},个位十位[对调|交换|互换]后增加{d},[这个数是多少?|求这个数|原数是多少?]",
    "[两位数|一个两位数]数字[相加|加起来][得|是]{s},[反过来|颠倒][比原数|后]大{d},[求这个数|这个数是几?]",
    "一个两位数,[个位与十位数字之和|两个数字的和|数字之和]是{s},[把两个数字对调|交换个位和十位|数字对调]后[比原数大|大了|增加了]{d},[求原数|求这个两位数|原来的数是多少?|这个数是多少?]",
    "[某|有一个]两位数的数字[和|之和]是{s},[对调|交换]两个数字[得到的新数|后的数]比原数大{d},[原数是多少?|求原数|求这个数]",
    "#两位数,数字加起来{s},倒过来写多{d},它是几?",
  ],
  en: [
    "The sum of the digits of a two-digit number is {s}. [Reversing the digits|Swapping the digits|Interchanging the digits] [increases the number by|adds|makes it bigger by] {d}. [Find the number.|What is the number?|Find the original number.]",
    "[A|The] two-digit number [has digits that add up to|has digits adding to|has a digit sum of] {s}; [reversed|with its digits reversed|with digits swapped] it is {d} [more|larger|greater][. What is it?|. Find it.|. Which number is it?]",
    "[Find|What is] the two-digit number with digit sum {s} that [grows|increases] by {d} when its digits are [reversed|swapped|exchanged][.|?|]",
    "A two-digit number has digit sum {s}. [Reversing|Swapping|Exchanging] its digits [makes it larger by|gives a number larger by|increases it by] {d}. [What is the number?|Find the number.|What is it?]",
    "The digits of a two-digit number add up to {s}. [When the digits are reversed|If the digits are swapped], the number [grows|increases|gets larger] by {d}. [What is the number?|Find it.|What was it?]",
    "#Two digits, sum {s}; turned around it is {d} more. Which number?",
  ],
};

export const CONSECUTIVE: Templates = {
  zh: [
    "[两个|]相邻[的|]两个[自然数|整数|正整数][的积|的乘积|相乘][是|得|等于]{p},[求这两个数|它们是几?|这两个数是多少?]",
    "连续两个[自然数|整数|正整数]相乘[得|等于|是]{p},[求这两个数|这两个数是多少?|分别是几?]",
    "[求|找]两个连续[的|][自然数|整数|正整数],[使|它们的|]乘积[为|是|等于]{p}",
    "两个连续[自然数|正整数|整数]的[积|乘积]是{p},[求这两个数|这两个数是多少?|它们是多少?|这两个数各是几?]",
    "[哪两个|找出两个]相邻的[自然数|整数][相乘得|乘积是]{p}[?|]",
    "#挨着的两个数乘起来{p},是哪两个?",
  ],
  en: [
    "Two consecutive [positive integers|whole numbers|numbers|integers] [multiply to|have a product of|have the product] {p}. [What are they?|Find them.|Which are they?]",
    "[Which|What] two consecutive [positive integers|whole numbers|numbers|integers] multiply to {p}?",
    "[If|When] the product of two consecutive [whole numbers|positive integers|integers] is {p}, [what are they|what are the numbers|find them][?|]",
    "[Find|Name|What are] two [whole numbers|numbers|integers] in a row [with product|whose product is|that multiply to] {p}[.|?|]",
    "The product of two consecutive [positive integers|positive numbers|whole numbers] is {p}. [What are they?|Find them.|Find the numbers.]",
    "[Find|Which are the|Give|What are the] two consecutive [positive integers|whole numbers|numbers] [whose product is|with product] {p}[.|?|]",
    "#Two neighbours among the whole numbers multiply to {p}: which?",
  ],
};

export const COINS: Templates = {
  zh: [
    "[存钱罐|钱包|口袋]里有{a}元和{b}元的[硬币|纸币|钱]共{n}[枚|张],[一共|共|总共]{t}元,[两种各有几枚?|两种各多少?|{a}元和{b}元的各几张?]",
    "{n}[张|枚][钱|纸币|硬币]由{a}元和{b}元组成,[总额|总值|一共][是|]{t}元,[两种各多少?|各有几张?|各几枚?]",
    "[{N}有|有|一共有]{n}[枚|张][硬币|钱币|纸币],[只有|都是|全是]{a}元和{b}元的,[一共|共]{t}元,{a}元和{b}元的各有多少[枚|张][?|]",
    "{a}元和{b}元的[硬币|纸币]共{n}[枚|张],[总共|合计|一共]{t}元,[各有几枚?|各多少枚?|两种各有多少?]",
    "#{n}枚{a}元、{b}元的钱加在一起是{t}元,两种各几枚?",
  ],
  en: [
    "[A purse|A jar|A piggy bank|My wallet|A box] [has|holds|contains] {n} [coins|bills|notes] of {a} and {b} [dollars|cents|yuan], [worth|totalling|making] {t} [in total|altogether|in all|]. [How many of each are there?|How many of each?|Find the number of each.]",
    "[There are|I have] {n} [notes|bills|coins], some worth {a} and some worth {b}, [for a total of|together worth|totalling] {t}. [How many of each are there?|How many of each kind?|Find how many of each.]",
    "[{N} has|There are|I have|We have|Here are] {n} coins of {a} and {b} [dollars|cents|yuan], worth {t} in total. [How many of each are there?|How many of each?|Find how many of each there are.]",
    "{n} coins, each worth {a} or {b}, [make|are worth|add up to] {t}. How many of each [kind|value|] are there?",
    "#With {n} coins of {a} or {b} one pays {t}; how many of either?",
  ],
};

export const OPERATORS: Templates = {
  zh: [
    "[在|]{g}[中|里][填入|填|填写][运算符号|+、-、*|加减乘号][使等式成立|使它成立|]",
    "[把|将]运算符号填[入|进]{g}[,使等式成立|使等式成立|]",
    "{g}[中|里]应填[什么|哪些][运算符号|符号|运算][?|]",
    "[补全|完成][算式|等式]:{g}",
    "在{g}的[空格|横线|方框|空]里填上[运算符号|+、-或*|加减乘号],使等式成立[|。]",
    "[填运算符号|填上运算符|填+-*]:{g}",
    "[请|帮我|]在{g}中填上[合适的|]运算符号[,使等式成立|]",
    "{g},[横线上填什么运算符?|该填哪些运算符号?|填上运算符号|缺的符号是什么?]",
    "#要让{g}成立,应该填什么符号?",
  ],
  en: [
    "[Put|Place|Write|Fill] [the signs|operators|+, -, *|the operation signs] [in|into] [the gaps|the blanks|the spaces][: | of ]{g}",
    "[Fill in|Complete] the [blanks|gaps|missing signs|missing operators][: | with +, - or *: | in ]{g}",
    "[What signs|Which operations|What operations|Which symbols] [are missing in|belong in|make true] {g}[?|]",
    "[Missing operators|Missing signs|Operators]: {g}",
    "[Fill in|Insert|Put in] [the operators|the signs|+, - or *] [so that it is true|to make it true|so that the equation holds]: {g}",
    "[Which|What] [operators|signs] [make|go into] {g}[ true|]?",
    "{g}: [fill in the operators|which signs are missing?|insert +, - or *]",
    "[Complete|Solve] with +, - or *: {g}",
    "#The signs in {g} were rubbed out; put them back.",
  ],
};
