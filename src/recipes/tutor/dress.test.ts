// Dressed questions ask the same thing in the same language, and there are many of them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { dress, inWords } from "./dress.ts";
import { random } from "./random.ts";
import { SKILLS } from "./registry.ts";
import { languageOf } from "./skills/common.ts";

const digits = (text: string): string => text.normalize("NFKC").replace(/\D/g, "");

test("language, answer and numbers stay", () => {
  const rng = random("dress");
  let changed = 0;
  let words = 0;
  for (const s of SKILLS)
    for (let i = 0; i < 60; i++) {
      const p = s.generate(rng, 1 + (i % s.levels));
      const dressed = dress(rng, p);
      assert.deepEqual({ ...dressed, question: "" }, { ...p, question: "" });
      if (s.class !== "manners") assert.equal(languageOf(dressed.question), p.language, dressed.question);
      if (dressed.question !== p.question) changed++;
      if (digits(dressed.question) !== digits(p.question)) words++;
    }
  assert.ok(changed > 60 * SKILLS.length * 0.3, `${changed}`);
  assert.ok(words > 0 && words < 60 * SKILLS.length * 0.05, `${words}`);
});

test("numbers in words", () => {
  assert.deepEqual(
    [0, 7, 12, 20, 45, 99].map((n) => inWords(n, "en")),
    ["zero", "seven", "twelve", "twenty", "forty-five", "ninety-nine"],
  );
  assert.deepEqual(
    [0, 7, 10, 12, 20, 99].map((n) => inWords(n, "zh")),
    ["零", "七", "十", "十二", "二十", "九十九"],
  );
});
