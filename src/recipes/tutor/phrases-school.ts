// How the exercises of class B are asked. Same notation as phrases.ts; formulas come in as slots.

import type { Templates } from "./phrases.ts";

export const SIMPLIFY: Templates = {
  zh: [
    "[化简|约分|把|将][分数|]{e}[|化简|约分|化成最简分数]",
    "[化简|约分|化成最简分数|写成最简分数]:{e}",
    "{e}[约分后|化简后|化成最简分数|写成最简分数|化简][是多少|等于多少|得多少|是几][?|]",
    "[请|请你|帮我|麻烦你|老师,][把{e}约分|把{e}化简|化简{e}|约分{e}|把{e}化成最简分数][|。|,谢谢]",
    "{e}的最简[分数|形式][是什么|是多少|怎么写][?|]",
    "#{e}还能约分吗?约完是多少",
  ],
  en: [
    "[Simplify|simplify|Reduce|reduce|Please simplify|Please reduce] [the fraction |]{e}[|.]",
    "[Simplify|Reduce|Write|Express] {e} [to|in] [lowest terms|simplest form|its simplest form][.|]",
    "[What is|What's] {e} in [lowest terms|simplest form|its simplest form]?",
    "[Can you|Could you|Help me] [simplify|reduce] {e}[?|]",
    "[What is the simplest form of|What does|Find the simplest form of] {e}[?| reduce to?]",
    "#How far can {e} be cancelled down?",
  ],
};

export const FRACTION_OF: Templates = {
  zh: [
    "{n}的{e}[是多少|是几|等于多少|等于几|是][?|]",
    "[求|计算|算一下|请计算|请问|帮我算][一下|]{n}的{e}[|是多少|。|?]",
    "一个数的{e},这个数是{n},结果是多少?",
    "#{n}取它的{e},是多少?",
  ],
  en: [
    "[What is|What's|Find|Calculate|How much is|Work out|Compute] {e} of {n}[?|.|]",
    "{e} of {n}[|?| = ?| is what?]",
    "[Please|Can you|Could you|Help me] [find|calculate|compute|work out] {e} of {n}[|.|?]",
    "#Take {e} of {n}; what do you get?",
  ],
};

export const PERCENT: Readonly<
  Record<"of" | "more" | "less" | "reverse" | "undo-more" | "undo-less" | "what", Templates>
> = {
  of: {
    zh: [
      "{n}的{p}%[是多少|是几|等于多少|等于几|是][?|]",
      "[求|计算|算一下|请计算|请问|帮我算][一下|]{n}的{p}%[|是多少|。|?]",
      "{n}的百分之{p}[是多少|等于多少|是几][?|]",
      "{n}*{p}%[|=|=?|等于多少?]",
      "#{n}里面取百分之{p},得多少?",
    ],
    en: [
      "[What is|What's|Find|Calculate|How much is|Work out|Compute] {p}[%| percent|%] of {n}[?|.|]",
      "{p}[%| percent] of {n}[|?| = ?| is what?]",
      "[Please|Can you|Could you|Help me] [find|calculate|compute|work out] {p}[%| percent] of {n}[|.|?]",
      "{n} * {p}%[|=| = ?]",
      "#How big is a {p}% share of {n}?",
    ],
  },
  more: {
    zh: [
      "{n}[增加|提高|增长|上涨|多]{p}%[后|以后|之后|][是多少|等于多少|得多少|变成多少][?|]",
      "比{n}[多|增加|高]{p}%的数是[多少|几][?|]",
      "[原来是|原价|原来|价格]{n}[元|],[涨价|上涨|增加|提高]{p}%[后|,现在][是多少|多少][元|][?|]",
      "[求|计算]{n}增加{p}%[后的数|的结果|后的结果]",
      "#把{n}加上它的{p}%",
    ],
    en: [
      "[What is|What's|Find|Calculate|Work out] {n} [increased by|raised by] {p}[%| percent][?|.|]",
      "[Increase|increase|Raise|Please increase] {n} by {p}[%| percent][.|]",
      "[What number is|Find the number that is|How much is] {p}% more than {n}[?|]",
      "[A price of|A value of|A number] {n} [rises|goes up|increases|grows] by {p}%[. What is it now?|. What is the new value?|; find the new value.]",
      "#{n} grows by {p} percent: result?",
    ],
  },
  less: {
    zh: [
      "{n}[减少|降低|下降|下跌|少]{p}%[后|以后|之后|][是多少|等于多少|得多少|变成多少][?|]",
      "比{n}[少|低]{p}%的数是[多少|几][?|]",
      "[原来是|原价|原来|价格]{n}[元|],[降价|下降|减少|降低]{p}%[后|,现在][是多少|多少][元|][?|]",
      "[求|计算]{n}减少{p}%[后的数|的结果|后的结果]",
      "#从{n}里去掉它的{p}%",
    ],
    en: [
      "[What is|What's|Find|Calculate|Work out] {n} [decreased by|reduced by|lowered by] {p}[%| percent][?|.|]",
      "[Decrease|decrease|Reduce|Please reduce] {n} by {p}[%| percent][.|]",
      "[What number is|Find the number that is|How much is] {p}% less than {n}[?|]",
      "[A price of|A value of|A number] {n} [falls|goes down|decreases|drops] by {p}%[. What is it now?|. What is the new value?|; find the new value.]",
      "#{n} shrinks by {p} percent: result?",
    ],
  },
  reverse: {
    zh: [
      "[一个数的|某数的|什么数的|哪个数的]{p}%是{n}[,这个数是多少|,求这个数|,该数是多少][?|]",
      "{n}是[哪个数|什么数|多少|一个数]的{p}%[?|]",
      "[已知|如果]一个数的百分之{p}[是|等于]{n},[求这个数|这个数是多少?|那么这个数是几?]",
      "#什么数乘{p}%得到{n}?",
    ],
    en: [
      "{n} is {p}[%| percent] of [what|what number|which number]?",
      "{p}[%| percent] of [a number|some number|what number|which number] is {n}[. What is the number?|. Find the number.|; what is the number?]",
      "[If|Given that] {p}[%| percent] of a number is {n}, [what is the number?|find the number.|find it.]",
      "#Of which number does {n} make {p} percent?",
    ],
  },
  "undo-more": {
    zh: [
      "[一个数|某数|一个价格|某商品][增加|上涨|提高|增长]{p}%后是{n}[,原来是多少|,求原来的数|,原来的数是多少][?|]",
      "[涨价|上涨|增加]{p}%[后|以后][是|卖|变成]{n}[元|],[原价|原来]是多少[?|]",
      "{n}比[哪个数|什么数]多{p}%[?|]",
      "#加了{p}%变成{n},没加之前多少?",
    ],
    en: [
      "[A number|A price|Some number|A value] [increased by|raised by] {p}[%| percent] is {n}[. What was it before?|. Find the original.|. What is the original number?]",
      "After [an increase of|a rise of] {p}[%| percent] the [price|number|value] is {n}[. What was it before?|. Find the original.|; what was it?]",
      "{n} is {p}% more than [what|which] number?",
      "#It went up {p}% to {n}; where did it start?",
    ],
  },
  "undo-less": {
    zh: [
      "[一个数|某数|一个价格|某商品][减少|下降|降低|降价]{p}%后是{n}[,原来是多少|,求原来的数|,原来的数是多少][?|]",
      "[降价|下降|减少]{p}%[后|以后][是|卖|变成]{n}[元|],[原价|原来]是多少[?|]",
      "{n}比[哪个数|什么数]少{p}%[?|]",
      "#减了{p}%变成{n},没减之前多少?",
    ],
    en: [
      "[A number|A price|Some number|A value] [decreased by|reduced by] {p}[%| percent] is {n}[. What was it before?|. Find the original.|. What is the original number?]",
      "After [a decrease of|a drop of] {p}[%| percent] the [price|number|value] is {n}[. What was it before?|. Find the original.|; what was it?]",
      "{n} is {p}% less than [what|which] number?",
      "#It went down {p}% to {n}; where did it start?",
    ],
  },
  what: {
    zh: [
      "{m}是{n}的[百分之几|百分之多少|多少百分比][?|]",
      "[请问|你好,|老师,|]{m}占{n}的[百分之几|百分之多少|百分比是多少][?|]",
      "[求|计算]{m}[占|是]{n}的[百分比|百分之几][|。]",
      "#{n}当中的{m}合百分之几?",
    ],
    en: [
      "{m} is what [percent|percentage|%] of {n}?",
      "[What percent|What percentage|Which percentage|How many percent|what percent|what percentage] of {n} [is|are|does] {m}[?| make?| make up?]",
      "[Express|Write] {m} as a percentage of {n}[.|]",
      "[Find|Calculate|Work out] [the percentage of {n} that is {m}|what percent {m} is of {n}][.|]",
      "#How many percent of {n} are {m}?",
    ],
  },
};

export const GCD: Templates = {
  zh: [
    "[求|计算|算一下|请求|求出|找出|][{a}和{b}|{a}与{b}|{a}、{b}|{a},{b}]的最大公[因数|约数][|。|?|是多少?|是多少|是几?]",
    "[请问|请问,|你好,|老师,][{a}和{b}|{a}与{b}|{a}、{b}]的最大公[因数|约数][是多少|是几|等于多少][?|]",
    "最大公[因数|约数]:[{a}和{b}|{a},{b}]",
    "gcd({a},{b})[|=|=?|是多少?|等于多少]",
    "#能同时整除{a}和{b}的最大整数是几?",
  ],
  en: [
    "[Find|What is|What's|Calculate|Compute|Give|Work out|] [the |][greatest common divisor|greatest common factor|highest common factor|gcd|GCD|HCF|GCF] of {a} and {b}[?|.|]",
    "[gcd|GCD|hcf]({a}, {b})[|=| = ?|?]",
    "gcd({a},{b})[|=|=?]",
    "[What is|Find|Compute] [gcd|GCD]({a}, {b})[?|]",
    "[Please|Can you|Could you|Help me] find the [greatest common divisor|greatest common factor|gcd] of {a} and {b}[|.|?]",
    "#What is the largest number that divides both {a} and {b}?",
  ],
};

export const LCM: Templates = {
  zh: [
    "[求|计算|算一下|请求|求出|找出|][{a}和{b}|{a}与{b}|{a}、{b}|{a},{b}]的最小公倍数[|。|?|是多少?|是多少|是几?]",
    "[请问|请问,|你好,|老师,][{a}和{b}|{a}与{b}|{a}、{b}]的最小公倍数[是多少|是几|等于多少][?|]",
    "最小公倍数:[{a}和{b}|{a},{b}]",
    "lcm({a},{b})[|=|=?|是多少?|等于多少]",
    "#同时是{a}和{b}的倍数的最小正整数是几?",
  ],
  en: [
    "[Find|What is|What's|Calculate|Compute|Give|Work out|] [the |][least common multiple|lowest common multiple|smallest common multiple|lcm|LCM] of {a} and {b}[?|.|]",
    "[lcm|LCM]({a}, {b})[|=| = ?|?]",
    "lcm({a},{b})[|=|=?]",
    "[What is|Find|Compute] [lcm|LCM]({a}, {b})[?|]",
    "[Please|Can you|Could you|Help me] find the [least common multiple|lowest common multiple|lcm] of {a} and {b}[|.|?]",
    "#What is the smallest number that both {a} and {b} divide?",
  ],
};

export const SYSTEM: Templates = {
  zh: [
    "{e},{f}",
    "{e};{f}",
    "{e},{f},求x[和|,|、]y[|。|的值]",
    "[解方程组|求解方程组|解下面的方程组|解二元一次方程组|解][:| ]{e}[,|;|和]{f}[|。]",
    "[请|请你|帮我|麻烦你|老师,]解方程组[:|]{e},{f}[|。|,谢谢]",
    "[已知|如果|若|设]{e},{f},[求x和y|x和y各是多少?|求x、y的值|x,y分别是多少?]",
    "方程组{e},{f}的解是[什么|多少][?|]",
    "{e}[并且|且|同时]{f},[求x和y|x和y是多少?]",
    "[x和y满足|x、y满足]{e}[和|,]{f},[求x和y|它们各是几?|x和y各是多少?]",
    "#{e},{f},两个未知数各是几?",
  ],
  en: [
    "{e}, {f}",
    "{e}; {f}",
    "[Solve|solve|Solve the system|solve the system|Solve the equations|Please solve|Solve the simultaneous equations|Solve for x and y:][: | ]{e}[, | and |; ]{f}[|.]",
    "[Find|find|Determine|Work out|Calculate] x and y [if|when|given|given that|such that|from] {e}[ and |, ]{f}[|.]",
    "[If|Given|Given that|Suppose] {e} and {f}, [what are x and y?|find x and y.|find x and y|solve for x and y.]",
    "{e}[ and |, ]{f}[. What are x and y?|; find x and y.|, find x and y|, solve for x and y]",
    "[Can you|Could you] solve {e}[ and |, ]{f}?",
    "[What is the solution of|Find the solution of] the system {e}, {f}[?|]",
    "#Two equations: {e} and {f}. Which x and y fit?",
  ],
};

export const QUADRATIC: Templates = {
  zh: [
    "{e}",
    "[解方程|解|求解|解一元二次方程|解二次方程][:| |]{e}[|。]",
    "[请|请你|帮我|麻烦你|老师,]解方程{e}[|。|,谢谢]",
    "方程{e}的[解|根|两个根]是[什么|多少][?|]",
    "[求|求出|计算]方程{e}的[解|根|所有根|实数根|两个根][|。]",
    "{e},[求x|x是多少?|x=?|x等于多少?|求x的值]",
    "[已知|如果|若]{e},[求x|x等于多少?|求x的值]",
    "#哪些x满足{e}?",
  ],
  en: [
    "{e}",
    "[Solve|solve|Please solve|Solve the equation|Solve the quadratic|Solve the quadratic equation|Solve for x:] {e}[|.]",
    "[Find|find|Determine|Give] [the roots of|the solutions of|all solutions of|both roots of|x if|x when] {e}[|.]",
    "[What are|What're] the [roots|solutions] of {e}?",
    "[If|Given that] {e}, [what is x?|find x.|what are the values of x?]",
    "{e}, [x = ?|find x|solve for x|what is x?]",
    "[Can you|Could you] solve {e}[ for x|]?",
    "#Which numbers x satisfy {e}?",
  ],
};

export const AVERAGE: Templates = {
  zh: [
    "[求|计算|算一下|请计算|算出|帮我算]{l}的[平均数|平均值|平均]",
    "{l}的[平均数|平均值][是多少|是几|等于多少|是][?|]",
    "[请问|你好,|老师,]{l}的[平均数|平均值][是多少|是几|等于多少][?|]",
    "[有几个数|这些数|一组数|数据][:|是]{l},[求平均数|平均数是多少?|它们的平均数是多少?|平均值是多少?]",
    "[平均数|平均值][:|是多少:]{l}",
    "#{l}平均下来是多少?",
  ],
  en: [
    "[What is|What's|Find|Calculate|Compute|Work out|Give] the [average|mean|arithmetic mean] of {l}[?|.|]",
    "[Average|average|Mean|mean] of {l}[|?| = ?]",
    "[Please|Can you|Could you|Help me] [find|calculate|compute|work out] the [average|mean] of {l}[|.|?]",
    "[The numbers are|Here are some numbers:|Given the numbers|For the numbers] {l}[. What is the average?|. What is their mean?|, find the mean.|, what is the average?]",
    "#On average, how big are {l}?",
  ],
};

export const RATIO_SIMPLIFY: Templates = {
  zh: [
    "[化简|化简比|把|求][比|]{e}[|化成最简整数比|化简]",
    "{e}[化成最简整数比|化简|化成最简比][是多少|得多少|是几比几|][?|]",
    "[请|帮我|麻烦你]化简[比|]{e}[|。]",
    "{e}的最简整数比[是多少|是什么|怎么写][?|]",
    "#{e}用最小的整数怎么表示?",
  ],
  en: [
    "[Simplify|simplify|Reduce|Please simplify] [the ratio |]{e}[.|]",
    "[Write|Express] [the ratio |]{e} in [simplest form|lowest terms|its simplest form][.|]",
    "[What is|What's] [the ratio |]{e} in [simplest form|lowest terms]?",
    "[Can you|Could you] simplify the ratio {e}?",
    "#Smallest whole numbers with the ratio {e}?",
  ],
};

export const RATIO_SHARE: Templates = {
  zh: [
    "[把|将]{n}按{e}[分成两份|分配|的比分成两部分|分成两部分][,各是多少|,每份是多少|,两份各是多少|,分别是多少][?|]",
    "[把|将]{n}[元|个苹果|颗糖|本书]按{e}分给[甲、乙|甲和乙|两个人],[各得多少|每人得多少|各分到多少][?|]",
    "两个数的[和|总和]是{n},它们的比是{e},[求这两个数|这两个数各是多少?]",
    "#{n}照{e}来分,两边各多少?",
  ],
  en: [
    "[Divide|Share|Split|divide|share] {n} in the ratio {e}[.|. What are the two parts?|; what is each part?|]",
    "[If|When] {n} is [divided|shared|split] in the ratio {e}, [what are the parts?|what are the two parts?|how big is each part?]",
    "Two numbers [add up to|have the sum|sum to] {n} and are in the ratio {e}[. Find them.|. What are they?]",
    "[Share|Split] {n} [sweets|dollars|coins|apples] between [Ann and Ben|two people|two friends] in the ratio {e}[.|. How many does each get?]",
    "#{n} is cut into two pieces, {e}; give both.",
  ],
};

export const PROPORTION: Templates = {
  zh: [
    "{e}",
    "[解比例|求x|解|求解][:| ]{e}[|。]",
    "{e},[求x|x=?|x是多少?|x等于多少?|那么x是几?]",
    "[请|帮我|麻烦你|老师,|请你|你好,]解比例[:|]{e}[|,谢谢]",
    "[已知|如果|若|当]{e},[求x|x是多少?|x等于几?]",
    "#比例{e}里x填几?",
  ],
  en: [
    "{e}",
    "[Solve|solve|Please solve|Solve the proportion|Find x:|Solve for x:|Find x in] {e}[|.]",
    "{e}, [x = ?|find x|what is x?|solve for x]",
    "[If|Given|Given that] {e}, [what is x?|find x.]",
    "[What is|Find|Work out|Calculate] x [if|when|in] {e}[?|]",
    "#Which x makes the ratios equal: {e}?",
  ],
};

export const CONVERT: Templates = {
  zh: [
    "{q}[等于|是|=|合][多少|几]{u}[?|]",
    "{q}=[?|( )|多少]{u}",
    "[把|将]{q}[换算成|化成|换成|转换成|改写成]{u}[|。|是多少?|,是多少?]",
    "[请问|请问,|你好,|老师,]{q}[等于|是|有][多少|几]{u}[?|]",
    "[单位换算|换算][:| ]{q}=[?|( )]{u}",
    "{q}[换算成|化成|换成]{u}[是多少|等于多少][?|]",
    "{q}[有|里有]多少{u}[?|]",
    "#用{u}表示{q},是多少?",
  ],
  en: [
    "[Convert|convert|Change|Please convert] {q} [to|into] {u}[.|]",
    "[How many|how many] {u} [are there in|are in|is|are|make] {q}?",
    "{q} [in|to] {u}[|?|=?]",
    "{q} = ? {u}",
    "[What is|What's|How much is] {q} in {u}?",
    "{q} [is|equals] how many {u}?",
    "[Express|Write] {q} in {u}[.|]",
    "[Can you|Could you] convert {q} [to|into] {u}?",
    "#How would you say {q} using {u}?",
  ],
};
