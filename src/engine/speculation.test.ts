// Guessing ahead changes nothing but the time: the same bits, the same distribution, and no slower where guesses fail.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seeded, smallTokenizer } from "../text/text.fixture.ts";
import { GrammarText, PromptLookup } from "./drafters.ts";
import { compileGrammar } from "./grammar/compile.ts";
import { bitsOf, guessAlways, idsOf, randomEngine } from "./random-model.fixture.ts";
import type { Sequence } from "./sequence.ts";
import { type Drafter, Speculation } from "./speculation.ts";
import type { EngineEvent, GenerateRequest } from "./types.ts";

/** Guesses by chance, some of them right on purpose: `oracle` knows the answer. */
class Guesser implements Drafter {
  readonly source = "test";
  readonly prior = 0.9;
  readonly oracle: number[];
  readonly random = seeded(3);
  longest = 0;

  constructor(oracle: number[]) {
    this.oracle = oracle;
  }

  propose(sequences: readonly Sequence[], most: readonly number[]): number[][] {
    return sequences.map((sequence, i) => {
      const count = Math.min(most[i], Math.floor(this.random() * 8));
      this.longest = Math.max(this.longest, count);
      return Array.from({ length: count }, (_, k) =>
        this.random() < 0.8 ? (this.oracle[sequence.generated + k] ?? 0) : Math.floor(this.random() * 32),
      );
    });
  }
}

const tokensOf = (events: readonly EngineEvent[], index: number): EngineEvent[] =>
  events.filter((event) => event.type === "token" && event.index === index);

const repetitive = Array.from({ length: 60 }, (_, i) => 3 + (i % 7));

test("guesses, right and wrong, leave the bits of every answer alone", async () => {
  const requests: GenerateRequest[] = [
    { prompt: repetitive, maxTokens: 50, ignoreEos: true, sampling: { temperature: 0 } },
    { prompt: repetitive.slice(3), maxTokens: 50, ignoreEos: true, sampling: { temperature: 1, seed: 4 } },
    {
      prompt: repetitive,
      maxTokens: 41,
      minTokens: 30,
      topLogprobs: 3,
      sampling: { seed: 5, topP: 0.8, frequencyPenalty: 0.3, repetitionPenalty: 1.1 },
    },
    { prompt: [5, 6, 7], n: 2, maxTokens: 30, ignoreEos: true, routes: true, sampling: { seed: 8, topK: 4 } },
  ];
  const plain = randomEngine();
  const wanted = plain.generateAll(requests);
  const strip = (events: unknown): unknown =>
    JSON.parse(JSON.stringify(events, (key, value) => (/Ms$|seed|prompt$/.test(key) ? undefined : value)));
  for (const drafters of [[new PromptLookup()], [new Guesser(idsOf(wanted[0]))]]) {
    for (const options of [{}, { cacheTokens: 256, maxRows: 24 }]) {
      const engine = randomEngine({ ...options, drafters });
      guessAlways(engine);
      const got = engine.generateAll(requests);
      got.forEach((events, i) => {
        assert.equal(bitsOf(events), bitsOf(wanted[i]), `request ${i}`);
        for (const index of [0, 1])
          assert.deepEqual(strip(tokensOf(events, index)), strip(tokensOf(wanted[i], index)), `request ${i}`);
      });
      assert.ok(engine.speculation!.drafted > 20, `only ${engine.speculation!.drafted} tokens were guessed`);
      assert.ok(engine.speculation!.accepted > 5, `only ${engine.speculation!.accepted} guesses were right`);
      assert.ok(engine.speculation!.accepted < engine.speculation!.drafted);
      assert.equal(engine.stats().cacheTokens, 0, "pages leaked");
      await engine.close();
    }
  }
  await plain.close();
});

test("right guesses save runs of the model", async () => {
  const request: GenerateRequest = { prompt: repetitive, maxTokens: 60, ignoreEos: true, sampling: { temperature: 0 } };
  const plain = randomEngine();
  const [wanted] = plain.generateAll([request]);
  await plain.close();
  const oracle: Drafter = {
    source: "oracle",
    prior: 0.9,
    propose: (sequences, most) =>
      sequences.map(({ generated }, i) => idsOf(wanted).slice(generated, generated + most[i])),
  };
  const engine = randomEngine({ drafters: [oracle] });
  guessAlways(engine);
  let runs = 0;
  const { run } = engine.served;
  const original = run.run.bind(run);
  run.run = (registers) => {
    runs++;
    original(registers);
  };
  assert.equal(bitsOf(engine.generateAll([request])[0]), bitsOf(wanted));
  assert.ok(runs <= 8, `${runs} runs for 60 tokens`);
  await engine.close();
});

/** 99.9 % point of chi-square (Wilson and Hilferty's approximation). */
const critical = (freedom: number): number =>
  freedom * (1 - 2 / (9 * freedom) + 3.09 * Math.sqrt(2 / (9 * freedom))) ** 3;

test("sampled answers have the model's own distribution: chi-square of the second token", async () => {
  const guess: Drafter = {
    source: "always",
    prior: 0.9,
    propose: (sequences, most) => sequences.map((_, i) => [7, 7].slice(0, most[i])),
  };
  const engine = randomEngine({ drafters: [guess], maxSequences: 64 });
  guessAlways(engine);
  const prompt = [4, 9, 3];
  const first = 7;
  const counts = new Map<number, number>();
  let total = 0;
  for (let round = 0; round < 48; round++) {
    const answers = engine.generateAll([
      {
        prompt,
        n: 32,
        maxTokens: 3,
        ignoreEos: true,
        sampling: { topK: 20, seed: round * 7919, logitBias: new Map([[first, 4]]) },
      },
    ])[0];
    for (let index = 0; index < 32; index++) {
      const ids = idsOf(answers, index);
      if (ids[0] !== first) continue;
      counts.set(ids[1], (counts.get(ids[1]) ?? 0) + 1);
      total++;
    }
  }
  // Exact: the distribution of what follows [prompt, 7], as the sampler states it.
  const [exact] = engine.generateAll([
    {
      prompt: [...prompt, first],
      maxTokens: 1,
      topLogprobs: 20,
      ignoreEos: true,
      sampling: { topK: 20, seed: 1, logitBias: new Map([[first, 4]]) },
    },
  ]);
  const token = exact.find((event) => event.type === "token");
  assert.ok(token?.type === "token" && token.topLogprobs);
  let statistic = 0;
  let freedom = -1;
  let rest = { expected: 0, seen: 0 };
  for (const { id, logprob } of token.topLogprobs) {
    const expected = total * Math.exp(logprob);
    const seen = counts.get(id) ?? 0;
    if (expected < 5) {
      rest = { expected: rest.expected + expected, seen: rest.seen + seen };
      continue;
    }
    statistic += (seen - expected) ** 2 / expected;
    freedom++;
  }
  if (rest.expected > 0) {
    statistic += (rest.seen - rest.expected) ** 2 / rest.expected;
    freedom++;
  }
  assert.ok(total > 300, `${total} samples`);
  assert.ok(
    engine.speculation!.accepted > 100,
    `the guess was right ${engine.speculation!.accepted} times of ${engine.speculation!.drafted}; total ${total}`,
  );
  assert.ok(freedom >= 3);
  assert.ok(statistic < critical(freedom), `chi-square ${statistic.toFixed(1)} with ${freedom} degrees of freedom`);
  await engine.close();
});

/** Time of generating with a simulated machine: a step of r rows takes cost(r), a guessed token is right with chance p. */
function simulate(cost: (rows: number) => number, p: number, sequences: number, drafting: boolean): number {
  const random = seeded(11);
  const drafter: Drafter = {
    source: "sim",
    prior: 0.6,
    propose: (list, most) => list.map((_, i) => new Array(most[i]).fill(1)),
  };
  const speculation = new Speculation(drafting ? [drafter] : []);
  const list = Array.from({ length: sequences }, () => ({}) as Sequence);
  let [time, tokens] = [0, 0];
  while (tokens < 2000 * sequences) {
    const drafts = speculation.choose(
      list,
      list.map(() => 100),
      64,
    );
    let rows = sequences;
    for (const draft of drafts.values()) rows += draft.tokens.length;
    const ms = cost(rows) * (0.9 + 0.2 * random()) * (random() < 0.005 ? 5 : 1);
    time += ms;
    speculation.measured(rows, ms);
    for (const sequence of list) {
      const draft = drafts.get(sequence);
      let right = 0;
      while (draft && right < draft.tokens.length && random() < p) right++;
      if (draft) speculation.learn(sequence, draft, right);
      tokens += 1 + right;
    }
  }
  return time / tokens;
}

test("guessing stops where it does not pay, and pays where it can", () => {
  const memoryBound = (rows: number): number => 10 + 0.1 * rows;
  const arithmeticBound = (rows: number): number => rows;
  const mixed = (rows: number): number => 1 + 0.5 * rows;
  for (const [name, cost] of Object.entries({ memoryBound, arithmeticBound, mixed })) {
    for (const p of [0, 0.3, 0.6, 0.95]) {
      for (const sequences of [1, 8]) {
        const ratio = simulate(cost, p, sequences, true) / simulate(cost, p, sequences, false);
        assert.ok(ratio < 1.045, `${name}, ${p} right, ${sequences} sequences: ${ratio.toFixed(3)} of the plain time`);
        if (cost === memoryBound && p === 0.95 && sequences === 1) assert.ok(ratio < 0.25, `only ${ratio.toFixed(3)}`);
        if (cost === memoryBound && p === 0.6) assert.ok(ratio < 0.75, `only ${ratio.toFixed(3)}`);
      }
    }
  }
});

const tokenizer = smallTokenizer();
const grammars: GenerateRequest["grammar"][] = [
  {
    type: "json_schema",
    schema: {
      type: "object",
      properties: {
        temperature: { type: "integer" },
        温度单位: { enum: ["摄氏", "华氏"] },
        ready: { type: "boolean" },
      },
      required: ["temperature", "温度单位", "ready"],
      additionalProperties: false,
    },
  },
  { type: "regex", pattern: "The answer to the question is (yes|no), and that is certain\\." },
];

test("forced stretches: fewer runs, the same bits, guesses or none", async () => {
  for (const grammar of grammars) {
    const request = (routes: boolean): GenerateRequest => ({
      prompt: Array.from(tokenizer.encode("What is it?")),
      grammar,
      routes,
      maxTokens: 80,
      sampling: { seed: 3 },
    });
    const options = { vocabSize: tokenizer.vocabSize, tokenizer, compileGrammar };
    // Routes are wanted of every token, so each is run: the answer to compare with.
    const results: { bits: string; text: string; runs: number; forced: number }[] = [];
    for (const [routes, drafters] of [
      [true, undefined],
      [false, undefined],
      [false, [new GrammarText(), new PromptLookup()]],
    ] as const) {
      const engine = randomEngine({ ...options, ...(drafters && { drafters }) });
      if (drafters) guessAlways(engine);
      let runs = 0;
      const { run } = engine.served;
      const original = run.run.bind(run);
      run.run = (registers) => {
        runs++;
        original(registers);
      };
      const [events] = engine.generateAll([request(routes)]);
      const tokens = events.flatMap((event) => (event.type === "token" ? [event] : []));
      results.push({
        bits: bitsOf(events),
        text: tokens.map(({ text }) => text).join(""),
        runs,
        forced: tokens.filter(({ forced }) => forced).length,
      });
      await engine.close();
    }
    const [each, forced, drafted] = results;
    assert.equal(forced.bits, each.bits);
    assert.equal(drafted.bits, each.bits);
    assert.equal(forced.forced, each.forced);
    assert.ok(each.forced > 0, "nothing was forced");
    assert.ok(forced.runs < each.runs, `${forced.runs} runs, ${each.runs} one by one`);
    assert.ok(drafted.runs <= forced.runs);
  }
});

test("a grammar that holds from the first token on is followed through the thinking too", async () => {
  const engine = randomEngine({ vocabSize: tokenizer.vocabSize, tokenizer, compileGrammar });
  const [events] = engine.generateAll([
    {
      prompt: [5, 6],
      startsInThinking: true,
      grammarAfterThinking: false,
      grammar: { type: "regex", pattern: "[ab]{3}" },
      maxTokens: 20,
      sampling: { seed: 2 },
    },
  ]);
  assert.match(
    tokensOf(events, 0)
      .map((event) => (event.type === "token" ? event.text : ""))
      .join(""),
    /^[ab]{3}$/,
  );
  await engine.close();
});

test("a thinking budget that is used up ends the thinking without a run of its own", async () => {
  const end = tokenizer.special.eos as number;
  const options = { vocabSize: tokenizer.vocabSize, tokenizer, endOfThinking: tokenizer.tokenOf(end) };
  const engine = randomEngine(options);
  const [events] = engine.generateAll([
    {
      prompt: [5, 6],
      startsInThinking: true,
      thinkingBudget: 4,
      ignoreEos: true,
      maxTokens: 12,
      sampling: { seed: 2 },
    },
  ]);
  const tokens = events.flatMap((event) => (event.type === "token" ? [event] : []));
  assert.equal(tokens[4].id, end);
  assert.equal(tokens[4].forced, true);
  assert.equal(tokens[4].logprob, 0);
  assert.equal(tokens.filter(({ forced }) => forced).length, 1);
  const usage = events.at(-1);
  assert.ok(usage?.type === "usage" && usage.usage.reasoningTokens === 4);
  await engine.close();
});

test("log-probabilities of the prompt are those of the same tokens when generated", async () => {
  const engine = randomEngine({ maxSequences: 4 });
  const [answer] = engine.generateAll([
    { prompt: [3, 4, 5], maxTokens: 40, ignoreEos: true, sampling: { temperature: 1, seed: 6 } },
  ]);
  const tokens = answer.flatMap((event) => (event.type === "token" ? [event] : []));
  const prompt = [3, 4, 5, ...tokens.map(({ id }) => id)];
  const requests: GenerateRequest[] = Array.from({ length: 6 }, (_, i) => ({
    prompt,
    n: i === 2 ? 2 : 1,
    maxTokens: 2,
    topLogprobs: 2,
    promptLogprobs: i < 5,
    ignoreEos: true,
    sampling: { temperature: 0.5, seed: 1 },
  }));
  for (const [i, events] of engine.generateAll(requests).entries()) {
    const usage = events.at(-1);
    assert.ok(usage?.type === "usage");
    if (i === 5) {
      assert.equal(usage.promptLogprobs, undefined);
      continue;
    }
    const scores = usage.promptLogprobs;
    assert.ok(scores);
    assert.equal(scores.length, prompt.length);
    assert.ok(Number.isNaN(scores[0][0].logprob));
    tokens.forEach(({ id, logprob }, at) => {
      const [own, ...top] = scores[at + 3];
      assert.equal(own.id, id);
      assert.ok(Math.abs(own.logprob - logprob) < 1e-5, `${own.logprob}, generated at ${logprob}`);
      assert.equal(top.length, 2);
      assert.ok(top[0].logprob >= own.logprob && top[0].logprob >= top[1].logprob);
    });
  }
  assert.equal(engine.stats().cacheTokens, 0);
  await engine.close();
});
