// The step checker finds what is wrong, at the right place: in the tutor's own traces and in what pupils write.

import assert from "node:assert/strict";
import { test } from "node:test";
import { random } from "./random.ts";
import { SKILLS } from "./registry.ts";
import { slip, withRetries } from "./retry.ts";
import { checkSteps } from "./steps.ts";

const firstWrong = (text: string, question?: string): number => checkSteps(text, question).findIndex((m) => !m.ok);

test("a slip planted into a trace is found on its line", () => {
  const misses: string[] = [];
  let planted = 0;
  for (const s of SKILLS) {
    if (s.class === "manners") continue;
    const rng = random(`slips ${s.id}`);
    for (let i = 0; i < 100; i++) {
      const lines = s.generate(rng, 1 + (i % s.levels)).trace.split("\n");
      // What is given cannot be wrong: equations, functions and goals come first.
      const given = lines.findIndex((l) => !/[a-z]|>/.test(l) || /^(gcd|lcm|1[a-zA-Z]+=)/.test(l));
      const from = given < 0 ? lines.length : /^[a-z\d+\-*()^=:]*[xyan][^;]*=/.test(lines[0]) ? 1 : given;
      if (from >= lines.length) continue;
      const at = rng.int(from, lines.length - 1);
      const cut = slip(rng, lines[at]);
      if (cut === undefined) continue;
      const before = lines[at];
      lines[at] = cut + before.slice(cut.length);
      planted++;
      const found = checkSteps(lines.join("\n")).find((m) => !m.ok);
      if (found?.line !== at) misses.push(`${s.id}: line ${at} "${lines[at]}" (was "${before}"), found ${found?.line}`);
      else assert.ok(found.expected && found.explanation?.zh && found.explanation.en);
    }
  }
  assert.ok(planted > 2500, `${planted} planted`);
  assert.ok(
    misses.length <= planted * 0.01,
    `${misses.length} of ${planted} missed:\n${misses.slice(0, 20).join("\n")}`,
  );
});

test("retry rows are right apart from the lines that were taken back", () => {
  const rng = random("retries");
  let retried = 0;
  for (const s of SKILLS)
    for (let i = 0; i < 20; i++) {
      const p = s.generate(rng, 1);
      const again = withRetries(rng, p);
      assert.ok(checkSteps(again.trace).every((m) => m.ok));
      if (again.trace === p.trace) continue;
      retried++;
      // Without what was taken back, the trace is the old one.
      const back = checkSteps(again.trace).filter((m) => m.withdrawn);
      const lines = again.trace.split("\n").filter((_, i) => back.every((m) => m.line !== i));
      assert.equal(lines.join("\n"), p.trace);
    }
  assert.ok(retried > 300);
});

test("pupils' solutions: the first wrong step, and what should stand there", () => {
  assert.equal(firstWrong("3x=20-5\n3x=15\nx=15/3\nx=5", "3x+5=20"), -1);
  assert.equal(firstWrong("3x=20+5\n3x=25", "3x+5=20"), 0);
  const marks = checkSteps("3x=20-5\n3x=15\nx=6", "3x+5=20");
  assert.deepEqual(
    marks.map((m) => m.ok),
    [true, true, false],
  );
  assert.equal(marks[2].expected, "x=5");
  assert.equal(firstWrong("\u7b2c1\u6b65\uff1a12+7=19\n\u7b2c2\u6b65\uff1a19\u00d73=47", "(12+7)\u00d73"), 1);
  assert.equal(firstWrong("Step 1: 12+7=19; Step 2: 19*3=57"), -1);
  assert.equal(firstWrong("(12+7)*3=19*3=57"), -1);
  assert.equal(firstWrong("(12+7)*3\n=19*3\n=56"), 2);
  assert.equal(firstWrong("x=2\nx=3", "x^2-5x+6=0"), -1);
  assert.equal(firstWrong("x=2\nx=4", "x^2-5x+6=0"), 1);
  assert.equal(firstWrong("(x-2)(x-3)=0\nx=2", "x^2-5x+6=0"), -1);
  assert.equal(firstWrong("3x=13\nx=4", "2x+y=7,x-y=6"), 1);
  assert.equal(firstWrong("2/3+1/4=8/12+3/12=11/12"), -1);
  assert.equal(firstWrong("2/3+1/4=3/7"), 0);
  assert.equal(firstWrong("f(x)=3x^2+2x\nf'(x)=6x+3\nf'(1)=9"), 1);
  assert.equal(firstWrong("17/5=3r2\n17/5=3r1"), 1);
  assert.equal(firstWrong("gcd(18,12)=6\nlcm(4,6)=24"), 1);
  assert.equal(firstWrong("1km=100m"), 0);
});

test("columns are checked against the numbers they come from, not only in themselves", () => {
  // 5+6+1=12 is true, but the carry was lost: 5+6+1 should be there.
  const marks = checkSteps("458+367:8+7+0=15;5+6+0=11;4+3+1=08;=815");
  assert.equal(marks[0].ok, false);
  assert.equal(marks[0].expected, "5+6+1=12");
  assert.equal(firstWrong("73/23~3\n73/23~4"), 1);
});

test("anything may come in", () => {
  for (const text of [
    "",
    "\n\n",
    "hello",
    "=",
    "==",
    "x=",
    "=x",
    "1/0=1",
    "0/0~0",
    "f(x)=",
    "(((",
    "9".repeat(5000),
    "1:2;3",
    "\u4f60\u597d",
  ])
    assert.ok(checkSteps(text).every((m) => typeof m.ok === "boolean"));
  assert.equal(firstWrong("1/0=1"), 0);
  assert.equal(checkSteps("1+1=2\n".repeat(5000)).length, 200);
});
