// The judge of completions: what counts as right, well formed, in the right language, in agreement; and hostile text.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Answer } from "./problem.ts";
import { boxes, matches, splitCompletion, verify } from "./verify.ts";

const number = (value: string, extra: object = {}): Answer => ({ kind: "number", value, ...extra });

test("numbers match by value, in every usual writing", () => {
  for (const box of ["408", " 408 ", "408.0", "+408", "\uff14\uff10\uff18", "x=408", "816/2"])
    assert.ok(matches(number("408"), box), box);
  for (const box of ["409", "", "12*34", "408 or 409", "four", "4 0 9", "408/0", "9".repeat(500)])
    assert.ok(!matches(number("408"), box), box);
  assert.ok(matches(number("11/12", { lowest: true }), "\\frac{11}{12}"));
  assert.ok(!matches(number("1/2", { lowest: true }), "2/4"));
  assert.ok(matches(number("1/2"), "2/4"));
  assert.ok(matches(number("93/20"), "4.65"));
  assert.ok(matches(number("25", { percent: true }), "25%"));
  assert.ok(matches(number("-35"), "\u221235"));
});

test("remainders, several numbers, verdicts", () => {
  const division: Answer = { kind: "division", quotient: "1846", remainder: "1" };
  for (const box of ["1846\u4f591", "1846 remainder 1", "1846 R 1", "1846r1", "1846......1"])
    assert.ok(matches(division, box), box);
  for (const box of ["1846", "1846\u4f592", "1 remainder 1846", "18461"]) assert.ok(!matches(division, box), box);
  const roots: Answer = { kind: "numbers", values: ["2", "3"], ordered: false };
  assert.ok(matches(roots, "x=3, x=2") && matches(roots, "2 or 3") && matches(roots, "x_1=2, x_2=3"));
  assert.ok(!matches(roots, "2, 2") && !matches(roots, "2") && !matches(roots, "2, 3, 4"));
  const pair: Answer = { kind: "numbers", values: ["3", "4"], ordered: true, names: ["x", "y"] };
  assert.ok(matches(pair, "y=4, x=3") && matches(pair, "(3, 4)") && !matches(pair, "x=4, y=3"));
  assert.ok(matches({ kind: "numbers", values: ["2", "3"], ordered: true }, "2:3"));
  assert.ok(matches({ kind: "verdict", step: 2 }, "\u7b2c2\u6b65") && matches({ kind: "verdict", step: 0 }, "correct"));
  assert.ok(!matches({ kind: "verdict", step: 2 }, "step 3") && !matches({ kind: "verdict", step: 0 }, "step 1"));
});

test("any right expression counts when a number is to be made, and only that", () => {
  const make: Answer = { kind: "make", numbers: [3, 8, 5, 6], target: 24 };
  for (const box of ["8*(6-5)*3", "(6-5)*3*8=24", "3\u00d78\u00d7(6\u22125)"]) assert.ok(matches(make, box), box);
  for (const box of ["8*3", "8*3*1", "24", "6*(8-5)+3+3", "8*3*(6-5)=25", "8*(6-5)*3+0", "86-5*3"])
    assert.ok(!matches(make, box), box);
  assert.ok(!matches({ kind: "make", numbers: [7, 2, 5], target: 10, inOrder: true }, "7+5-2"));
  assert.ok(matches({ kind: "make", numbers: [7, 2, 5], target: 10, inOrder: true }, "7-2+5"));
});

test("format: one closed thinking, one box, no remains of markup", () => {
  const task = { answer: number("408"), language: "en" as const };
  const good = "12*34=408</think>\n\nThe answer is \\boxed{408}.";
  assert.deepEqual(verify(task, good), {
    correct: true,
    formatOk: true,
    languageOk: true,
    answerAgrees: true,
    boxed: "408",
  });
  assert.ok(verify(task, `<think>${good}`).formatOk);
  for (const bad of [
    "The answer is \\boxed{408}.",
    "12*34=408</think>The answer is 408.",
    "12*34=408</think>\\boxed{408} or \\boxed{409}",
    "12*34=408</think>The answer is \\boxed{408",
    "12*34=408</think>The answer is \\boxed{408}.</think>",
    "12*34=408</think><think>\\boxed{408}",
    "</think>The answer is \\boxed{408}.",
    "12*34=408</think>",
    "12*34=\\boxed{408}</think>The answer is \\boxed{408}.",
    "12*34=408</think>The answer is \\boxed{408}.<\uff5cend\u2581of\u2581sentence\uff5c>",
    `${"1".repeat(30_000)}</think>The answer is \\boxed{408}.`,
  ])
    assert.equal(verify(task, bad).formatOk, false, bad.slice(0, 80));
  assert.equal(verify(task, "12*34=407</think>The answer is \\boxed{408}.").answerAgrees, false);
  assert.equal(verify(task, "12*34=408</think>\u7b54\u6848\u662f \\boxed{408}\u3002").languageOk, false);
  assert.equal(verify({ ...task, language: "zh" }, good).languageOk, false);
});

test("refusals, hints and talk are judged by what they say", () => {
  const refusal = { answer: { kind: "refusal" } as const, language: "en" as const };
  assert.ok(verify(refusal, "outside</think>Sorry, I can't help with that.").correct);
  assert.ok(!verify(refusal, "outside</think>Paris is the capital of France.").correct);
  assert.ok(!verify(refusal, "1+1=2</think>I can't say, but \\boxed{2}").correct);
  const hint = { answer: { kind: "hint", secret: "5" } as const, language: "en" as const };
  assert.ok(verify(hint, "hint</think>Hint: move the number to the right first, then divide by 15.").correct);
  assert.ok(!verify(hint, "hint</think>Hint: x is 5, of course.").correct);
});

test("nothing that comes in makes it throw", () => {
  const task = { answer: number("1/3"), language: "zh" as const };
  for (const text of [
    "",
    "</think>",
    "\\boxed{",
    "\\boxed{}",
    "}".repeat(9999),
    "\\boxed{".repeat(900),
    "\u0000",
    "1/0</think>\\boxed{1/0}",
  ])
    assert.equal(verify(task, text).correct, false);
  assert.equal(boxes("\\boxed{\\boxed{1}}")?.length, 2);
  assert.equal(splitCompletion("a</think>b</think>c").wellFormed, false);
});
