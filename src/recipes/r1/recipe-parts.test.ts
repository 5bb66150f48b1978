// The recipe's pure parts: documents as the chat format serves them, schedules under a time limit, paired intervals, figures, the choice of tasks.
import assert from "node:assert/strict";
import { test } from "node:test";
import { r1Format } from "../../text/chat/v3.ts";
import { mixture } from "../tutor/mixture.ts";
import { pairedDifference } from "./compare.ts";
import { answerText, promptText, toDocument, tokenizerFrom, trainTokenizer } from "./corpus.ts";
import { distillWeights } from "./distill.ts";
import { barFigure, lineFigure } from "./figures.ts";
import { forwardFlops, workOf } from "./flops.ts";
import { factorAt, shareDone } from "./learn.ts";
import { SHAPES, shapeConfig } from "./presets.ts";
import { chooseKinds } from "./recipe.ts";

const tokenizer = tokenizerFrom(trainTokenizer(512, 1, 300));

test("a document is the prompt that serving makes, and the answer after it", () => {
  assert.equal(promptText("1+1"), r1Format.render({ messages: [{ role: "user", content: "1+1" }] }).text);
  const earlier = [
    { role: "user" as const, content: "1+1" },
    { role: "assistant" as const, content: "\\boxed{2}" },
  ];
  const messages = [
    ...earlier,
    { role: "user" as const, content: "2+2" },
    { role: "assistant" as const, reasoningContent: "2+2=4", content: "\\boxed{4}" },
  ];
  const { ids, weights } = toDocument(tokenizer, { messages }, 0);
  const prompt = r1Format.render({ messages: messages.slice(0, -1) }).text;
  assert.equal(tokenizer.decode(ids, { skipSpecial: false }), prompt + answerText("2+2=4", "\\boxed{4}"));
  const learnt = Array.from(ids).filter((_, t) => t > 0 && weights![t - 1] === 1);
  assert.equal(tokenizer.decode(Int32Array.from(learnt), { skipSpecial: false }), answerText("2+2=4", "\\boxed{4}"));
  assert.throws(
    () => toDocument(tokenizer, { messages: earlier.slice(0, 1) }, 0),
    /ends with an answer, not with user/,
  );
});

test("whatever the corpus emits becomes a document", () => {
  const stream = mixture({ retry: 0.2, earlierTurns: 0.5 }, 3);
  let longer = 0;
  for (let i = 0; i < 200; i++) {
    const conversation = stream.next().value;
    if (conversation.messages.length > 2) longer++;
    const { ids } = toDocument(tokenizer, conversation, 0.1);
    assert.ok(ids.length > 8);
  }
  assert.ok(longer > 40, `${longer} conversations had earlier turns`);
});

test("a bound on time shortens a stage and its schedule together", () => {
  const schedule = { kind: "linear" as const, warmupSteps: 2, floor: 0 };
  assert.equal(shareDone(10, 100, 30, undefined), 0.1);
  assert.equal(shareDone(10, 100, 30, 60), 0.5);
  assert.equal(shareDone(10, 100, 61, 60) >= 1, true);
  const free = factorAt(schedule, 50, 100, 0.5);
  const hurried = factorAt(schedule, 50, 100, 0.9);
  assert.ok(Math.abs(free - 0.5) < 0.02, `${free}`);
  assert.ok(hurried < 0.12, `at nine tenths of the time the rate is ${hurried}`);
});

test("paired differences: an effect is found, none is not claimed", () => {
  const n = 400;
  const base = Array.from({ length: n }, (_, i) => (i % 2 === 0 ? 1 : 0));
  const better = base.map((v, i) => (i % 10 === 1 ? 1 : v));
  const found = pairedDifference("x", [better, better, better], [base, base, base]);
  assert.ok(Math.abs(found.difference - 0.1) < 1e-9);
  assert.ok(found.overProblems[0] > 0.06 && found.overProblems[1] < 0.14);
  const swapped = base.map((v, i) => (i % 40 === 0 ? 0 : i % 40 === 1 ? 1 : v));
  const none = pairedDifference("x", [swapped], [base]);
  assert.ok(none.overProblems[0] < 0 && none.overProblems[1] > 0);
  assert.equal(none.overSeeds, undefined);
  const seeds = pairedDifference("x", [better, base, base], [base, base, base]);
  assert.ok(seeds.overSeeds![0] < 0, "one seed of three does not make an effect");
  assert.throws(() => pairedDifference("x", [[1]], [[1, 0]]), /cannot be paired/);
});

test("the dense twin costs the same per token", () => {
  for (const shape of Object.values(SHAPES)) {
    const work = workOf([200, 150]);
    const sparse = forwardFlops(shapeConfig(shape), work);
    const dense = forwardFlops(shapeConfig(shape, true), work);
    assert.ok(Math.abs(dense / sparse - 1) < 0.02, `${dense} against ${sparse}`);
  }
});

test("kinds for reinforcement are neither solved nor hopeless, the core only in need", () => {
  const hard = ["countdown3@1", "countdown4@1", "points24@1", "sum-product@1", "puzzle@1", "gcd@1", "lcm@1", "ratio@1"];
  const rates = Object.fromEntries([...hard.map((name) => [name, 0.4]), ["add@1", 0.5], ["units@1", 0.95]]);
  assert.deepEqual(
    chooseKinds(rates)
      .map(({ skill }) => skill)
      .sort(),
    hard.map((name) => name.split("@")[0]).sort(),
  );
  assert.deepEqual(chooseKinds({ "add@1": 0.8 }), [{ skill: "add", level: 1 }]);
  assert.throws(() => chooseKinds({ "add@1": 1, "units@1": 0 }), /pretrain longer/);
});

test("distillation pulls every token toward the teacher's probability", () => {
  const { weights, kl } = distillWeights(
    [{ logp: Float32Array.from([-1, -2, -0.5]), mask: Float32Array.from([1, 1, 0]) }],
    [[-0.5, -30, -9]],
  );
  assert.equal(weights[0][0], 0.25);
  assert.equal(weights[0][1], -2, "no token weighs more than four nats");
  assert.equal(Math.abs(weights[0][2]), 0, "a token that was forced teaches nothing");
  assert.equal(kl, (-0.5 + 28) / 2);
});

test("figures are whole SVG with the words made harmless", () => {
  const line = lineFigure("a < b", "step", [
    {
      name: "x&y",
      points: [
        [0, 1],
        [1, Number.NaN],
        [2, 3],
      ],
    },
    { name: "z", points: [[0, 0]] },
  ]);
  assert.match(line, /^<svg [\s\S]*<\/svg>\n$/);
  assert.match(line, /a &lt; b/);
  assert.match(line, /x&amp;y/);
  assert.doesNotMatch(line, /NaN/);
  assert.throws(() => lineFigure("none", "step", []), RangeError);
  const bars = barFigure("t", ["A", "B"], [{ name: "s", bars: [{ value: 0.5, interval: [0.4, 0.6] }, undefined] }]);
  assert.equal(bars.match(/<rect/g)?.length, 2);
});
