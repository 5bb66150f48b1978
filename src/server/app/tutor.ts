// The tutor as the page needs it: skills with names for people, exercises by difficulty, and marks from the recipe's verifier.
import { random } from "../../recipes/tutor/random.ts";
import { SKILLS, skill as skillOf } from "../../recipes/tutor/registry.ts";
import { checkSteps } from "../../recipes/tutor/steps.ts";
import { understand } from "../../recipes/tutor/understand.ts";
import { boxes, matches } from "../../recipes/tutor/verify.ts";
import type { Tutor } from "./deps.ts";
import type { Language, TutorMarks, TutorStep } from "./protocol.ts";

/** Names for people: English, Chinese. A skill without one shows its id. */
const names: Record<string, [en: string, zh: string]> = {
  add: ["Addition", "加法"],
  subtract: ["Subtraction", "减法"],
  multiply: ["Multiplication", "乘法"],
  divide: ["Division with remainder", "带余除法"],
  expression2: ["Two operations", "两步运算"],
  "equation-add": ["Equation x + a = b", "方程 x + a = b"],
  "equation-linear": ["Equation ax + b = c", "方程 ax + b = c"],
  "equation-bracket": ["Equation a(x + b) = c", "方程 a(x + b) = c"],
  "multiply-long": ["Long multiplication", "多位数乘法"],
  "divide-long": ["Long division", "多位数除法"],
  expression3: ["Three operations", "三步运算"],
  expression4: ["Four operations", "四步运算"],
  negative: ["Negative numbers", "负数"],
  "fraction-add": ["Adding fractions", "分数加减"],
  "fraction-multiply": ["Multiplying fractions", "分数乘除"],
  "fraction-simplify": ["Simplifying fractions", "约分"],
  "fraction-of": ["Fraction of a number", "求一个数的几分之几"],
  "decimal-add": ["Adding decimals", "小数加减"],
  "decimal-multiply": ["Multiplying decimals", "小数乘法"],
  "decimal-divide": ["Dividing decimals", "小数除法"],
  "percent-of": ["Percentages", "百分数"],
  "percent-reverse": ["Reverse percentages", "百分数逆运算"],
  gcd: ["Greatest common divisor", "最大公约数"],
  lcm: ["Least common multiple", "最小公倍数"],
  average: ["Averages", "平均数"],
  ratio: ["Ratios", "比与比例"],
  units: ["Units", "单位换算"],
  "equation-both": ["Equation ax + b = cx + d", "方程 ax + b = cx + d"],
  system: ["Two unknowns", "二元一次方程组"],
  quadratic: ["Quadratic equations", "一元二次方程"],
  derivative: ["Derivatives", "导数"],
  integral: ["Definite integrals", "定积分"],
  determinant2: ["2 × 2 determinants", "二阶行列式"],
  determinant3: ["3 × 3 determinants", "三阶行列式"],
  "matrix-vector": ["Matrix times vector", "矩阵乘向量"],
  combinations: ["Combinations", "排列组合"],
  probability: ["Probability", "概率"],
  story1: ["Word problems, one step", "一步应用题"],
  story2: ["Word problems, two steps", "两步应用题"],
  story3: ["Word problems, three steps", "三步应用题"],
  countdown3: ["Countdown, three numbers", "三数凑目标"],
  countdown4: ["Countdown, four numbers", "四数凑目标"],
  points24: ["24 points", "24 点"],
  "sum-product": ["Sum and product", "和与积求数"],
  puzzle: ["Number puzzles", "数字谜题"],
};

/** What kind of answer an exercise has, as text; undefined where many are right. */
function expectedOf(answer: NonNullable<ReturnType<typeof understand>>["answer"]): string | undefined {
  if (answer.kind === "number") return answer.percent ? `${answer.value}%` : answer.value;
  if (answer.kind === "division")
    return answer.remainder === "0" ? answer.quotient : `${answer.quotient} … ${answer.remainder}`;
  if (answer.kind === "numbers")
    return answer.values.map((value, at) => (answer.names ? `${answer.names[at]} = ${value}` : value)).join(", ");
  return undefined;
}

function mark(question: string, solution: { working: string; answer: string }, language: Language): TutorMarks {
  const steps = checkSteps(solution.working).map(({ text, ok, withdrawn, explanation }): TutorStep => {
    // A line without a number claims nothing that could be checked.
    if (withdrawn || !/[0-9０-９]/.test(text)) return { text };
    return { text, right: ok, ...(explanation ? { explanation: explanation[language] } : {}) };
  });
  const understood = understand(question);
  if (!understood) return { steps };
  const expected = expectedOf(understood.answer);
  const told = expected === undefined ? {} : { expected };
  const right = (result: string): boolean => matches(understood.answer, result.trim());
  const boxed = boxes(solution.answer)?.at(-1);
  if (boxed !== undefined) return { steps, correct: right(boxed), ...told };
  const last = solution.working.trim().split("\n").at(-1)?.split("=").at(-1);
  if (solution.answer.trim() === "")
    return last === undefined || last.trim() === "" ? { steps } : { steps, correct: right(last), ...told };
  // A sentence without a box: which of its numbers is meant as the answer is a guess, good enough to praise and not to blame.
  const said = solution.answer.match(/-?\d+(?:[.,/]\d+)*%?/g)?.at(-1);
  return said !== undefined && right(said) ? { steps, correct: true, ...told } : { steps };
}

export function createTutor(): Tutor {
  return {
    skills: () =>
      SKILLS.filter((one) => one.class !== "manners").map((one) => {
        const [en, zh] = names[one.id] ?? [one.id, one.id];
        return { id: one.id, class: one.class, name: { en, zh } };
      }),
    exercise: (id, difficulty, language, seed) => {
      const skill = skillOf(id);
      const level = 1 + Math.round(((difficulty - 1) / 4) * (skill.levels - 1));
      const rng = random(seed);
      // Generators choose the language themselves.
      let problem = skill.generate(rng, level);
      for (let tries = 0; problem.language !== language && tries < 100; tries++) problem = skill.generate(rng, level);
      return { skill: id, difficulty, question: problem.question };
    },
    mark,
  };
}
