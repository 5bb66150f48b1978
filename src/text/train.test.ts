// Training: determinism, the digits option, what the written file says when it is read back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { smallTokenizer } from "./text.fixture.ts";
import { DEFAULT_SPECIALS, tokenizerJson, trainByteLevel } from "./train.ts";

test("the most frequent pairs are merged first, ties by the lower ids", () => {
  // Pieces: "aab" twice, " aab" once, "cd" three times; aa 3, ab 3, cd 3 -> aa (lowest ids) first,
  // then c d, whose ids are lower than those of aa and b.
  const { merges } = trainByteLevel(["aab", "aab aab", "cd", "cd", "cd"], { vocabSize: 16 + 256 + 4 });
  assert.deepEqual(merges.slice(0, 3), [
    ["a", "a"],
    ["c", "d"],
    ["aa", "b"],
  ]);
});

test("training is deterministic and stops where nothing repeats", () => {
  const texts = ["一二三 一二三 the weir the river", "x"];
  const one = trainByteLevel(texts, { vocabSize: 1000 });
  const two = trainByteLevel(texts, { vocabSize: 1000 });
  assert.deepEqual(tokenizerJson(one), tokenizerJson(two));
  assert.ok(one.tokens.length < 1000);
  assert.throws(() => trainByteLevel(texts, { vocabSize: 100 }), /100 is not possible/);
});

test("a trained vocabulary reads back with its special tokens and single digits", () => {
  const tokenizer = smallTokenizer();
  assert.equal(tokenizer.vocabSize, 500);
  assert.deepEqual(tokenizer.special.bos, 0);
  assert.deepEqual(tokenizer.special.eot, [1]);
  assert.equal(tokenizer.special.pad, 2);
  DEFAULT_SPECIALS.forEach((content, id) => {
    assert.deepEqual([...tokenizer.encode(content, { parseSpecial: true })], [id]);
    assert.ok(!tokenizer.encode(content).includes(id));
    assert.equal(tokenizer.tokenOf(id), content);
    assert.equal(tokenizer.idOf(content), id);
  });
  const digits = tokenizer.encode("12345");
  assert.equal(digits.length, 5);
  assert.deepEqual([...tokenizer.encode("12", { addSpecial: true })].length, 3);
  assert.ok(tokenizer.encode("the weir").length < 4);
});

test("control tokens in literal ranges stay text", () => {
  const tokenizer = smallTokenizer();
  const text = "<｜User｜><｜User｜> hi<｜Assistant｜>";
  const user = tokenizer.idOf("<｜User｜>")!;
  const hidden = tokenizer.encode(text, { parseSpecial: true, literal: [8, 19] });
  assert.equal(hidden.filter((id) => id === user).length, 1);
  assert.equal(hidden[hidden.length - 1], tokenizer.idOf("<｜Assistant｜>"));
  assert.equal(tokenizer.decode(hidden), text);
  // A mark that reaches into a literal range is not one either.
  const half = tokenizer.encode("<think>", { parseSpecial: true, literal: [3, 5] });
  assert.ok(half.length > 1);
});
