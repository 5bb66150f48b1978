// How the exercises of class C other than stories are asked. Same notation as phrases.ts.

import type { Templates } from "./phrases.ts";

export const DERIVATIVE: Templates = {
  zh: [
    "[求|计算|求函数|求出|请求][f(x)={e}|函数f(x)={e}]在x={a}处的[导数|导数值]",
    "[已知|设|若|令]f(x)={e},[求f'({a})|则f'({a})等于多少?|求f'({a})的值|那么f'({a})=?]",
    "[函数|]f(x)={e}[,求|,|的导数]f'({a})[|=?|是多少?]",
    "{e}在x={a}[处|时]的导数[是多少|等于多少|是几|][?|]",
    "[对|把]{e}求导[,再|,然后|并][代入x={a}|求x={a}时的值]",
    "y={e}[,求|在]x={a}[处的导数|时的导数|处的切线斜率]",
    "#曲线y={e}在x={a}那一点有多陡(斜率)?",
  ],
  en: [
    "[Find|What is|Compute|Calculate|Evaluate|Work out] the derivative of {e} at x={a}[?|.|]",
    "[Find|What is|Compute|Calculate|Evaluate] the derivative of f(x)={e} at x={a}[?|.|]",
    "[If|Let|Given|For] f(x)={e}[, find f'({a}).|, what is f'({a})?|. Find f'({a}).|, compute f'({a})|. What is f'({a})?]",
    "f(x)={e}, f'({a}) = ?",
    "[Differentiate|differentiate] {e} and [evaluate at x={a}|put x={a}|find the value at x={a}][.|]",
    "[What is|Find] the slope of y={e} at x={a}[?|.]",
    "[Find|What is] f'({a}) [for|if|when] f(x)={e}[?|.|]",
    "#How steep is y={e} where x={a}?",
  ],
};

export const INTEGRAL: Templates = {
  zh: [
    "[求|计算|算一下|请计算|求出]{e}从{a}到{b}的[定积分|积分]",
    "[求|计算][定积分|积分][:| ]∫{i}({e})dx",
    "[求|计算|求出][函数|]{e}在[区间|]{i}上的[定积分|积分]",
    "{e}在{a}到{b}上的[定积分|积分][是多少|等于多少|是几|][?|]",
    "[计算|求]∫({e})dx,[x从{a}到{b}|从{a}到{b}|下限{a},上限{b}|积分区间是{a}到{b}]",
    "f(x)={e},[求f(x)从{a}到{b}的积分|求它在{a}到{b}上的定积分]",
    "#把{e}从x={a}积到x={b},得多少?",
  ],
  en: [
    "[Find|What is|Compute|Calculate|Evaluate|Work out] the [definite integral|integral] of {e} from {a} to {b}[?|.|]",
    "[Integrate|integrate|Please integrate] {e} from [x=|]{a} to [x=|]{b}[.|]",
    "[Compute|Evaluate|Calculate|] ∫ ({e}) dx from {a} to {b}[|.|=?]",
    "[Find|What is|Compute] the integral of f(x)={e} [from {a} to {b}|between {a} and {b}|over the interval from {a} to {b}][?|.|]",
    "[Find|What is] the definite integral of {e} [between {a} and {b}|between x={a} and x={b}][?|.]",
    "integral from {a} to {b} of ({e}) dx[|=?| = ?]",
    "#Sum up {e} continuously as x goes from {a} to {b}.",
  ],
};

export const DETERMINANT: Templates = {
  zh: [
    "[求|计算|算一下|请计算|求出][行列式{e}|矩阵{e}的行列式|{e}的行列式][|。|的值]",
    "[行列式|矩阵的行列式]{e}[等于多少|是多少|=?|的值是多少][?|]",
    "[请问|你好,|老师,]矩阵{e}的行列式[是多少|等于多少|是几][?|]",
    "[已知|设|若]A={e},[求det(A)|求A的行列式|det A等于多少?]",
    "det({e})[|=|=?|等于多少]",
    "det {e}[|=|=?]",
    "#{e}这个方阵的行列式值?",
  ],
  en: [
    "[Find|What is|Compute|Calculate|Evaluate|Work out] the determinant of [the matrix |]{e}[?|.|]",
    "det({e})[|=|=?| = ?]",
    "det {e}[|=|=?| = ?]",
    "[If|Let|Given] A={e}[, find det(A).|, what is det(A)?|. Find det A.|, compute the determinant.]",
    "[Please|Can you|Could you|Help me] [compute|find|calculate] the determinant of {e}[|.|?]",
    "[What is|Compute] det({e})[?|]",
    "#Which number is the determinant for rows {e}?",
  ],
};

export const MATRIX_VECTOR: Templates = {
  zh: [
    "[求|计算|算一下|请计算][矩阵|]{e}[乘|乘以|与]向量{v}[|的乘积|的积]",
    "{e}*{v}[|=|=?|等于多少?]",
    "[已知|设|若]A={e},[v|x]={v},[求它们的乘积|求乘积|求A乘这个向量]",
    "[矩阵|]{e}[乘|和]向量{v}[的积|][是多少|等于多少|得多少][?|]",
    "#用{e}作用在向量{v}上得到什么?",
  ],
  en: [
    "[Find|What is|Compute|Calculate|Evaluate|Work out] [the product of |][the matrix |]{e} [times|and|by] [the vector |]{v}[?|.|]",
    "[Multiply|multiply|Please multiply] [the matrix |]{e} [by|with|times] [the vector |]{v}[.|]",
    "{e} * {v}[|=| = ?]",
    "[If|Let|Given] A={e} and v={v}[, find Av.|, what is Av?|. Find A*v.|, compute Av.]",
    "[What is|Find] the matrix-vector product of {e} and {v}[?|.]",
    "#Apply {e} to the vector {v}.",
  ],
};

export const CHOOSE: Templates = {
  zh: [
    "[从|]{n}[个人|个球|本书|名学生|个不同的元素|件商品]中[选|选出|任选|取|挑选]{k}[个|][,有多少种选法|,有几种选法|,有多少种不同的选法|有多少种方法|,共有多少种组合][?|]",
    "[求|计算|求组合数|计算组合数]C({n},{k})[|的值|。]",
    "C({n},{k})[|=|=?|等于多少?|是多少?]",
    "组合数C({n},{k})[是多少|等于几|等于多少][?|]",
    "#{n}样东西里拿{k}样,不看顺序,有几种拿法?",
  ],
  en: [
    "[How many ways are there to|In how many ways can you|In how many ways can we] choose {k} [people|books|students|balls|items|things] [from|out of] {n}?",
    "[What is|Find|Compute|Calculate|Evaluate] C({n},{k})[?|.|]",
    "C({n}, {k})[|=| = ?]",
    "{n} choose {k}[|?| = ?]",
    "[What is|Compute|Calculate] {n} choose {k}[?|]",
    "[How many|Find the number of] [combinations of|ways to pick|different groups of] {k} [from|out of] {n}[?|]",
    "#{n} things, take {k}, order does not matter: how many ways?",
  ],
};

export const ARRANGE: Templates = {
  zh: [
    "[从|]{n}[个人|本书|名学生|个不同的元素]中[选|选出|取]{k}[个|][排成一排|排成一列|排队],[有多少种排法|有几种排法|有多少种不同的排法][?|]",
    "[求|计算|求排列数|计算排列数][P|A]({n},{k})[|的值|。]",
    "[P|A]({n},{k})[|=|=?|等于多少?]",
    "#{n}样东西拿{k}样,要看顺序,有几种?",
  ],
  en: [
    "[How many ways are there to|In how many ways can you|In how many ways can we] arrange {k} [people|books|students|items|things] [from|out of] {n} in a row?",
    "[What is|Find|Compute|Calculate] P({n},{k})[?|.|]",
    "P({n}, {k})[|=| = ?]",
    "[How many|Find the number of] permutations of {k} [from|out of] {n}[?|]",
    "#{n} things, take {k}, order matters: how many ways?",
  ],
};

export const TWO_DICE: Templates = {
  zh: [
    "[掷|投|扔|抛][两颗|两个|两枚|2个]骰子,[点数之和|点数和|两个点数的和][是|为|等于]{k}的概率[是多少|是几|][?|]",
    "[同时|一次]掷两[颗|个|枚]骰子,[和为|和是]{k}的概率[是多少|][?|]",
    "#两颗骰子加起来正好{k},可能性多大?",
  ],
  en: [
    "[Two dice are rolled|You roll two dice|Two fair dice are thrown|I throw two dice][. What is the probability that the sum is {k}?|. Find the probability of a sum of {k}.|; what is the probability of a sum of {k}?]",
    "[What is|Find|Give|Calculate] the probability [that two dice sum to|that two dice add up to|of rolling a sum of] {k}[ with two dice|][?|]",
    "#Chance of a total of {k} on two dice?",
  ],
};

export const ONE_DIE: Templates = {
  zh: [
    "[掷|投|扔|抛][一颗|一个|一枚]骰子,[点数|掷出的点数|得到的点数]{w}的概率[是多少|是几|][?|]",
    "[一颗|一个|一枚]骰子掷一次,点数{w}的概率[是多少|等于多少][?|]",
    "#扔个骰子,点数{w}的可能性多大?",
  ],
  en: [
    "[A die is rolled|You roll a die|A fair die is thrown|I roll one die][. What is the probability of|; find the probability of|. Find the probability of] {w}[?|]",
    "[What is|What's|Find|Give] the [probability|chance] of rolling {w} [with one die|with a fair die|on a die]?",
    "#Chance of {w} on a single die?",
  ],
};

export const ONE_BALL: Templates = {
  zh: [
    "[袋子|盒子|袋|箱子]里有{a}个{R}球[和|,|、]{b}个{W}球,[任取|随机取|任意摸出|摸出][一个|1个],是{c}球的概率[是多少|是几|][?|]",
    "[一个袋子|一个盒子]装有{a}个{R}球[、|和]{b}个{W}球,从中[任取|摸出]一个[球|],[摸到|取到]{c}球的概率[是多少|][?|]",
    "#{R}球{a}个{W}球{b}个混在一起,闭眼拿一个,拿到{c}球的可能性多大?",
  ],
  en: [
    "[A bag|A box|An urn] [contains|has|holds] {a} {R} [balls |]and {b} {W} balls[. One is drawn|. You draw one|. One ball is taken at random][. What is the probability that it is {c}?|; find the probability that it is {c}.]",
    "[There are|We have] {a} {R} and {b} {W} balls [in a bag|in a box][. What is the probability of drawing a {c} ball?|; what is the probability of drawing a {c} one?]",
    "#{a} {R}, {b} {W}, eyes closed, one ball: chance of {c}?",
  ],
};

export const TWO_BALLS: Templates = {
  zh: [
    "[袋子|盒子|袋|箱子]里有{a}个{R}球[和|,|、]{b}个{W}球,[任取|随机取|不放回地取|一次摸出][两个|2个],[都是|两个都是|全是]{c}球的概率[是多少|是几|][?|]",
    "[一个袋子|一个盒子]装有{a}个{R}球[、|和]{b}个{W}球,从中[任取|摸出][两个|2个][球|],都是{c}球的概率[是多少|][?|]",
    "#{R}球{a}个{W}球{b}个,闭眼拿两个,两个全是{c}球的可能性多大?",
  ],
  en: [
    "[A bag|A box|An urn] [contains|has|holds] {a} {R} [balls |]and {b} {W} balls[. Two are drawn without replacement|. You draw two|. Two balls are taken at random][. What is the probability that both are {c}?|; find the probability that both are {c}.]",
    "[There are|We have] {a} {R} and {b} {W} balls [in a bag|in a box][. What is the probability of drawing two {c} balls?|; what is the probability that two drawn balls are both {c}?]",
    "#{a} {R}, {b} {W}, eyes closed, two balls: chance that both are {c}?",
  ],
};
