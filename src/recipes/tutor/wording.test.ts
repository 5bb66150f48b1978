// Wordings: alternatives, slots, the held-out share, and that every family has enough of them.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as core from "./phrases.ts";
import * as school from "./phrases-school.ts";
import * as search from "./phrases-search.ts";
import * as university from "./phrases-university.ts";
import { random } from "./random.ts";
import { STORIES_EN } from "./stories-en.ts";
import { STORIES_ZH } from "./stories-zh.ts";
import { countWordings, fill, isHeldOut, word } from "./wording.ts";

const { ask: _ask, typed: _typed, fullWidth: _fullWidth, IN_WORDS, ...plain } = core;
const { PERCENT, ...more } = school;
const families: [string, core.Templates][] = Object.entries({
  ...plain,
  ...IN_WORDS,
  ...more,
  ...PERCENT,
  ...search,
  ...university,
});

test("every family has at least forty wordings in each language", () => {
  assert.ok(families.length > 40);
  for (const [name, templates] of families)
    for (const language of ["zh", "en"] as const) {
      const count = countWordings(templates[language]);
      assert.ok(count >= 40, `${name} ${language}: ${count}`);
    }
});

test("there are at least a hundred stories in each language, in three lengths", () => {
  for (const stories of [STORIES_ZH, STORIES_EN]) {
    const all = ([1, 2, 3] as const).flatMap((steps) => stories[steps]);
    assert.ok(all.length >= 100 && new Set(all).size === all.length, `${all.length}`);
    for (const line of all) assert.match(line, /^.+=>[a-z0-9()+\-*/]+$/);
  }
});

test("alternatives and slots are chosen by the seed; reserved wordings are held out", () => {
  const templates = ["[compute|find] {e}[.|]", "#reserved {e}"];
  const seen = new Set<string>();
  const rng = random(1);
  for (let i = 0; i < 200; i++) {
    const w = word(rng, templates, { e: "1+1" });
    seen.add(w.text);
    if (w.id.startsWith("reserved")) assert.ok(w.heldOut);
    else assert.equal(w.heldOut, isHeldOut(w.id));
  }
  assert.deepEqual([...seen].sort(), ["compute 1+1", "compute 1+1.", "find 1+1", "find 1+1.", "reserved 1+1"]);
  assert.equal(countWordings(templates), 5);
  assert.throws(() => fill("{nobody}", {}), /no value for {nobody}/);
});

test("about one wording in twelve is held out", () => {
  let held = 0;
  for (let i = 0; i < 12_000; i++) if (isHeldOut(`wording ${i}`)) held++;
  assert.ok(held > 850 && held < 1150, `${held}`);
});
