// The test sets stay what they are, apart from training, and are summarised rightly; rewards and prompt choice.

import assert from "node:assert/strict";
import { test } from "node:test";
import { allTestSets, fingerprint, summarise, testSet, wilson } from "./evaluation.ts";
import { FINGERPRINTS } from "./fingerprints.ts";
import { problems, split } from "./mixture.ts";
import { coinFlip, combined, prompts, REWARDS, TASK_KINDS, taskName, withinReach } from "./rewards.ts";

const SETS = allTestSets();

test("the test sets have not moved", () => {
  const found = Object.fromEntries(SETS.map((s) => [`${s.name} ${s.skillClass}`, fingerprint(s.problems)]));
  assert.deepEqual(
    found,
    FINGERPRINTS,
    "the test sets changed: results measured before cannot be compared with later ones. If that is meant, put the new fingerprints into fingerprints.ts and say so in the record.",
  );
});

test("no test problem is in the corpus, by operands or by wording", () => {
  const keys = new Set<string>();
  const wordings = new Set<string>();
  for (const s of SETS)
    for (const p of s.problems) {
      assert.equal(split(p), s.name);
      if (s.name === "operands") keys.add(`${p.skill} ${p.meta.key}`);
      else wordings.add(p.meta.phrasing);
    }
  const stream = problems({ retry: 0.2 }, "disjoint");
  for (let i = 0; i < 3000; i++) {
    const p = stream.next().value;
    assert.ok(!keys.has(`${p.skill} ${p.meta.key}`) && !wordings.has(p.meta.phrasing), p.question);
  }
});

test("summaries count, with Wilson's intervals", () => {
  const set = testSet("operands", "A", 40);
  const tally = summarise(
    set.map((problem, i) => ({ problem, completion: i % 4 ? `${problem.trace}</think>${problem.reply}` : "no idea" })),
  );
  assert.deepEqual(
    { ...tally.A, interval: undefined },
    { n: 40, correct: 30, formatOk: 30, languageOk: tally.A.languageOk, answerAgrees: 30, interval: undefined },
  );
  const [low, high] = wilson(30, 40);
  assert.ok(Math.abs(low - 0.5981) < 1e-3 && Math.abs(high - 0.8581) < 1e-3, `${low} ${high}`);
  assert.deepEqual(wilson(0, 0), [0, 1]);
});

test("rewards tell right from wrong; the coin does not", () => {
  const [p] = testSet("operands", "B", 1);
  const good = `${p.trace}</think>${p.reply}`;
  for (const [name, reward] of Object.entries(REWARDS)) assert.equal(reward(p, good), 1, name);
  for (const [name, reward] of Object.entries(REWARDS)) assert.equal(reward(p, "???"), 0, name);
  assert.equal(combined({ accuracy: 3, format: 1 })(p, good.replace("</think>", "")), 0.75);
  assert.throws(() => combined({}), /must be 0 or more/);
  const flip = coinFlip(1);
  let heads = 0;
  for (let i = 0; i < 2000; i++) heads += flip(p, i % 2 ? good : "???");
  assert.ok(heads > 900 && heads < 1100, `${heads}`);
});

test("prompts come from the kinds within reach, from training only", () => {
  const rates: Record<string, number> = {};
  for (const kind of TASK_KINDS) rates[taskName(kind)] = kind.skill === "countdown4" ? 0.4 : 0.95;
  const kinds = withinReach(rates);
  assert.deepEqual(
    kinds.map(taskName),
    [1, 2, 3].map((level) => `countdown4@${level}`),
  );
  const stream = prompts(kinds, 1);
  for (let i = 0; i < 30; i++) {
    const p = stream.next().value;
    assert.equal(p.skill, "countdown4");
    assert.equal(split(p), "train");
  }
  assert.throws(() => prompts([], 1).next(), /no kinds/);
});
