// Every skill over many seeds: the reply verifies, a spoilt one does not, sizes stay in bounds, the same seed gives the same
// problem, and nothing held out enters the corpus.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { conversation, draw, mixture, problems, split } from "./mixture.ts";
import type { Problem } from "./problem.ts";
import { random } from "./random.ts";
import { SKILLS } from "./registry.ts";
import { checkSteps } from "./steps.ts";
import { sameAnswer, understand } from "./understand.ts";
import { needsBox, verify } from "./verify.ts";

const SEEDS = 500;

/** Longest trace by class, in characters (about as many tokens): docs/tutor-tasks.md has the distributions. */
const LONGEST = { A: 220, B: 360, C: 360, D: 640, manners: 360 } as const;

function* samples(id: string): Generator<Problem> {
  const s = SKILLS.find((k) => k.id === id)!;
  for (let i = 0; i < SEEDS; i++) yield s.generate(random(`${id} ${i}`), 1 + (i % s.levels));
}

for (const s of SKILLS) {
  test(`${s.id}: 500 problems are understood, their steps right, their replies verified; spoilt results are not`, () => {
    const languages = new Set<string>();
    for (const p of samples(s.id)) {
      languages.add(p.language);
      const verdict = verify(p, `${p.trace}</think>${p.reply}`);
      const { boxed: _, ...flags } = verdict;
      assert.deepEqual(
        flags,
        { correct: true, formatOk: true, languageOk: true, answerAgrees: true },
        JSON.stringify({ verdict, p }),
      );
      assert.ok(p.trace.length <= LONGEST[s.class], `${p.trace.length} characters: ${p.trace}`);
      assert.match(
        p.trace + p.reply,
        /^[\x20-\x7e\n\u3001\u3002\u4e00-\u9fff]+$/,
        "the character inventory of answers is small",
      );
      const marks = checkSteps(p.trace);
      assert.ok(
        marks.every((m) => m.ok),
        `${p.trace}\n${JSON.stringify(marks.find((m) => !m.ok))}`,
      );
      if (s.understood) {
        const u = understand(p.question);
        assert.ok(
          u && sameAnswer(u.answer, p.answer) && u.language === p.language,
          `${p.question} ${JSON.stringify(u)}`,
        );
      }
      if (!needsBox(p.answer)) continue;
      const spoilt = verify(p, `${p.trace}</think>${p.reply.replace(/\d+/, (n) => `${Number(n) + 1}`)}`);
      if (/\d/.test(p.reply)) assert.equal(spoilt.correct, false, `${p.question}: ${spoilt.boxed}`);
      assert.equal(verify(p, p.reply).formatOk, false, "a reply without its thinking is not well formed");
    }
    assert.deepEqual([...languages].sort(), ["en", "zh"]);
  });

  test(`${s.id}: the same seed gives the same problem`, () => {
    const again = samples(s.id);
    for (const p of samples(s.id)) assert.deepEqual(again.next().value, p);
  });

  test(`${s.id}: operands and wordings are held out, and stay out of training`, () => {
    const keys = new Set<string>();
    const wordings = new Set<string>();
    for (let i = 0; i < 60; i++) {
      const level = 1 + (i % s.levels);
      keys.add(draw(random(`o ${i}`), s.id, level, "operands").meta.key);
      wordings.add(draw(random(`p ${i}`), s.id, level, "phrasing").meta.phrasing);
    }
    for (let i = 0; i < 200; i++) {
      const p = draw(random(`t ${i}`), s.id, 1 + (i % s.levels), "train");
      assert.ok(!keys.has(p.meta.key) && !wordings.has(p.meta.phrasing), p.question);
    }
  });
}

test("the mixture is deterministic, draws from training only, and honours weights", () => {
  const first = mixture({ retry: 0.2 }, 7);
  const second = mixture({ retry: 0.2 }, 7);
  for (let i = 0; i < 200; i++) assert.deepEqual(first.next().value, second.next().value);
  const long = mixture({ earlierTurns: 0.5 }, 3);
  const lengths = new Set<number>();
  for (let i = 0; i < 100; i++) {
    const { messages } = long.next().value;
    lengths.add(messages.length);
    messages.forEach((m, j) => {
      assert.equal(m.role, j % 2 ? "assistant" : "user");
      assert.equal(m.reasoningContent !== undefined, j === messages.length - 1);
    });
  }
  assert.deepEqual([...lengths].sort(), [2, 4, 6, 8]);
  const stream = problems({ classes: { A: 1, B: 0, C: 0, D: 0, manners: 0 }, skills: { add: 0 } }, 1);
  for (let i = 0; i < 300; i++) {
    const p = stream.next().value;
    assert.equal(split(p), "train");
    assert.notEqual(p.skill, "add");
    assert.equal(SKILLS.find((s) => s.id === p.skill)!.class, "A");
    assert.equal(conversation(p).messages[1].reasoningContent, p.trace);
  }
  const easy = problems({ classes: { A: 1, B: 0, C: 0, D: 0, manners: 0 }, difficulty: 0, levels: { add: 3 } }, 2);
  for (let i = 0; i < 200; i++) {
    const p = easy.next().value;
    assert.ok(p.meta.level <= (p.skill === "add" ? 3 : 1));
  }
  assert.throws(() => problems({ skills: { nonsense: 1 } }).next(), /no skill "nonsense"/);
  assert.throws(() => problems({ skills: { add: -1 } }).next(), /weight -1/);
});

test("the document describes every skill, with an example", () => {
  const text = readFileSync(new URL("../../../docs/tutor-tasks.md", import.meta.url), "utf8");
  for (const s of SKILLS) {
    assert.match(text, new RegExp(`\\| ${s.class} \\| \`${s.id}\` \\| ${s.levels} \\| ${s.weight} \\|`), s.id);
    assert.ok(text.includes(`### \`${s.id}\` (${s.class})`), s.id);
  }
});
