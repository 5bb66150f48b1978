// The tutor's adapter: every skill has a name in both languages and an exercise at every difficulty; marks find the wrong step.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createTutor } from "./tutor.ts";

const tutor = createTutor();

test("every skill has its own name in both languages and gives exercises in the language asked for", () => {
  const skills = tutor.skills();
  assert.ok(skills.length >= 40, String(skills.length));
  for (const { id, name } of skills) {
    assert.notEqual(name.en, id, `${id} has no name`);
    for (const difficulty of [1, 3, 5]) {
      const { question } = tutor.exercise(id, difficulty, "zh", 7);
      assert.match(question, /[\u4e00-\u9fff\d]/, id);
      assert.equal(tutor.exercise(id, difficulty, "zh", 7).question, question, "the seed decides");
    }
  }
  const chinese = Array.from({ length: 20 }, (_, seed) => tutor.exercise("story1", 2, "zh", seed).question);
  assert.ok(chinese.every((question) => /[\u4e00-\u9fff]/.test(question)));
  const english = Array.from({ length: 20 }, (_, seed) => tutor.exercise("story1", 2, "en", seed).question);
  assert.ok(english.every((question) => !/[\u4e00-\u9fff]/.test(question)));
});

test("a wrong step is found and explained in the language asked for; the answer is judged", () => {
  const marks = tutor.mark("17 × 3 + 4 = ?", { working: "17*3=51\n51+4=56", answer: "\\boxed{56}" }, "en");
  assert.deepEqual(
    marks.steps.map((step) => step.right),
    [true, false],
  );
  assert.match(marks.steps[1].explanation!, /55/);
  assert.match(tutor.mark("1+1", { working: "1+1=3", answer: "" }, "zh").steps[0].explanation!, /应该/);
  assert.equal(marks.correct, false);
  assert.equal(marks.expected, "55");
  const right = tutor.mark("17 × 3 + 4 = ?", { working: "17*3=51\n51+4=55", answer: "" }, "en");
  assert.deepEqual([right.correct, right.steps.every((step) => step.right)], [true, true]);
});

test("an answer without a box is praised when its last number is right, and never called wrong", () => {
  const mark = (answer: string) => tutor.mark("17×3+4 等于多少？", { working: "17*3=51", answer }, "zh").correct;
  assert.equal(mark("答案是 **55**。"), true);
  assert.equal(mark("答案见上。"), undefined);
  assert.equal(mark("先得 51。"), undefined);
  assert.equal(mark("\\boxed{54}"), false);
});

test("hostile working is answered, never thrown at", () => {
  for (const working of ["", "((((((", "9".repeat(5000), "1/0=1", "\0\u2028", `${"1+".repeat(5000)}1=2`])
    assert.ok(tutor.mark(working, { working, answer: working }, "zh").steps.length >= 0);
});
