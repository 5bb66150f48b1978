// Waiting and taking turns: positions and estimates, short prompts beside long ones, priorities; and receipts, which answer for all.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { smallTokenizer } from "../text/text.fixture.ts";
import { GrammarText, PromptLookup } from "./drafters.ts";
import { compileGrammar } from "./grammar/compile.ts";
import type { LocalEngine } from "./local-engine.ts";
import { bitsOf, guessAlways, idsOf, randomEngine } from "./random-model.fixture.ts";
import { differences, requestOfReceipt } from "./replay.ts";
import { EngineError, type EngineEvent, type GenerateRequest, type Receipt } from "./types.ts";

const prompt = (length: number): number[] => Array.from({ length }, (_, i) => 3 + ((i * i) % 29));

async function collect(
  engine: LocalEngine,
  request: GenerateRequest,
): Promise<{ events: EngineEvent[]; at: number[] }> {
  const [events, at]: [EngineEvent[], number[]] = [[], []];
  for await (const event of engine.submit(request)) {
    events.push(event);
    at.push(performance.now());
  }
  return { events, at };
}

test("waiting requests hear their position and a wait that the answers before them make likely", async () => {
  const engine = randomEngine({ maxSequences: 2, queue: 6, maxRows: 8 });
  const request = (seed: number): GenerateRequest => ({
    prompt: prompt(4),
    maxTokens: 200,
    ignoreEos: true,
    sampling: { seed },
  });
  // So that estimates rest on measurements.
  for (let i = 0; i < 30; i++) engine.generateAll([{ ...request(i), maxTokens: 100 }]);
  const streams = Array.from({ length: 6 }, (_, i) => collect(engine, request(i)));
  // All six wait until the first step.
  assert.throws(
    () => engine.submit(request(9)),
    (error) => error instanceof EngineError && error.code === "queue_full",
  );
  const all = await Promise.all(streams);
  const queued = all.map(({ events }) => events.flatMap((event) => (event.type === "queued" ? [event] : [])));
  assert.deepEqual(queued.slice(0, 2), [[], []]);
  queued.slice(2).forEach((events, i) => {
    assert.equal(events[0].position, i + 3);
    for (const [k, { position, estimatedWaitMs }] of events.entries()) {
      assert.ok(k === 0 || position < events[k - 1].position, "positions fall");
      assert.ok(Number.isInteger(estimatedWaitMs) && estimatedWaitMs >= 0);
    }
  });
  assert.ok(queued[5][0].estimatedWaitMs > queued[2][0].estimatedWaitMs);
  const last = all[5].events.at(-1);
  assert.ok(last?.type === "usage" && last.usage.queueMs > 0);
  await engine.close();
});

test("a short prompt does not wait for a long one, nor a running answer for either", () => {
  const engine = randomEngine({ maxRows: 160, context: 1024, cacheTokens: 4096 });
  const order: string[] = [];
  const { scheduler } = engine;
  const original = scheduler.step.bind(scheduler);
  scheduler.step = () => {
    const outputs = original();
    for (const { sequence, events } of outputs) for (const _ of events) order.push(`${sequence.plan.prompt.length}`);
    return outputs;
  };
  const request = (length: number, maxTokens: number): GenerateRequest => ({
    prompt: prompt(length),
    maxTokens,
    ignoreEos: true,
    sampling: { seed: length },
  });
  engine.generateAll([request(900, 2), request(7, 12), request(500, 2), request(20, 2)]);
  const first = (length: number): number => order.indexOf(`${length}`);
  assert.ok(first(7) < first(500) && first(20) < first(500) && first(500) < first(900), order.join());
  assert.ok(order.slice(0, first(900)).filter((each) => each === "7").length >= 5, "the answer went on meanwhile");
});

test("larger priorities go first among those that wait", () => {
  const engine = randomEngine({ maxSequences: 1 });
  const order: number[] = [];
  const { scheduler } = engine;
  const original = scheduler.step.bind(scheduler);
  scheduler.step = () => {
    const outputs = original();
    for (const { sequence } of outputs) order.push(sequence.plan.request.priority ?? 0);
    return outputs;
  };
  engine.generateAll([0, 2, 1].map((priority) => ({ prompt: [5], maxTokens: 1, ignoreEos: true, priority })));
  assert.deepEqual(order, [2, 1, 0]);
});

test("a receipt gives the same answer again, whatever was guessed, forced or cached when it was written", async () => {
  const tokenizer = smallTokenizer();
  const options = { vocabSize: tokenizer.vocabSize, tokenizer, compileGrammar };
  const first = randomEngine({ ...options, drafters: [new GrammarText(), new PromptLookup()] });
  guessAlways(first);
  const requests: GenerateRequest[] = [
    { prompt: [...prompt(40), ...prompt(40)], maxTokens: 30, ignoreEos: true },
    {
      prompt: prompt(20),
      maxTokens: 40,
      grammar: { type: "regex", pattern: "The answer is (yes|no), certainly\\." },
      sampling: { temperature: 0.7, logitBias: new Map([[40, 2]]) },
      promptLogprobs: true,
    },
  ];
  first.generateAll(requests);
  for (const events of first.generateAll(requests)) {
    const usage = events.at(-1);
    assert.ok(usage?.type === "usage");
    // Through JSON, as the command reads it.
    const receipt = JSON.parse(JSON.stringify(usage.receipt)) as Receipt;
    const second = randomEngine(options);
    const [again] = second.generateAll([requestOfReceipt(receipt)]);
    assert.ok(idsOf(again).length > 0);
    assert.equal(bitsOf(again), bitsOf(events));
    const last = again.at(-1);
    assert.ok(last?.type === "usage");
    assert.deepEqual(differences(receipt, last.receipt), []);
    // Prefixes on disk are kept by it: computed otherwise means another version.
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
    assert.equal(receipt.weir, version);
    const [other] = second.generateAll([{ ...requestOfReceipt(receipt), maxTokens: 3 }]);
    const shorter = other.at(-1);
    assert.ok(shorter?.type === "usage");
    assert.match(differences(receipt, shorter.receipt).join(), /^other answer: \w+…, the receipt has \w+…$/);
    await second.close();
  }
  await first.close();
  for (const wrong of [null, {}, { prompt: [1], parameters: {}, seed: "1" }])
    assert.throws(() => requestOfReceipt(wrong as unknown as Receipt), /this is no receipt/);
});
