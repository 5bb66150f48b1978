// The soak: many requests of random lengths and parameters that arrive and are cancelled at random, on the tutor's shape. Every
// answer must be the one that its request gets alone, bit for bit; no page may leak; memory must stay flat.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seeded, smallTokenizer } from "../text/text.fixture.ts";
import { factorsOf, type Shapes, writeAdapter } from "./adapter.fixture.ts";
import { GrammarText, PromptLookup } from "./drafters.ts";
import { compileGrammar } from "./grammar/compile.ts";
import type { LocalEngine } from "./local-engine.ts";
import { bitsOf, guessAlways, idsOf, randomEngine } from "./random-model.fixture.ts";
import type { Sequence } from "./sequence.ts";
import type { Drafter } from "./speculation.ts";
import type { EngineEvent, GenerateRequest } from "./types.ts";

const tokenizer = smallTokenizer();
const vocabSize = tokenizer.vocabSize;

function randomRequest(random: () => number, shared: readonly number[]): GenerateRequest {
  const whole = (most: number): number => Math.floor(random() * most);
  const chance = (p: number): boolean => random() < p;
  const own = Array.from({ length: 1 + whole(chance(0.1) ? 150 : 30) }, () => whole(vocabSize));
  return {
    prompt: chance(0.4) ? [...shared.slice(0, whole(shared.length)), ...own] : own,
    n: chance(0.1) ? 1 + whole(3) : 1,
    maxTokens: 1 + whole(chance(0.1) ? 60 : 16),
    minTokens: whole(3),
    ignoreEos: chance(0.5),
    topLogprobs: chance(0.2) ? whole(6) : undefined,
    promptLogprobs: chance(0.1),
    routes: chance(0.1),
    priority: whole(3),
    adapter: chance(0.2) ? "a" : undefined,
    ...(chance(0.1) && { stop: ["e", " the"] }),
    ...(chance(0.15) && { grammar: { type: "regex" as const, pattern: "(the|an) answer: [0-9]{1,4}( and [a-z]+)?" } }),
    sampling: {
      seed: whole(1e6),
      temperature: chance(0.3) ? 0 : 0.2 + 1.5 * random(),
      topP: chance(0.3) ? 0.1 + 0.9 * random() : 1,
      topK: chance(0.3) ? whole(50) : 0,
      minP: chance(0.2) ? 0.2 * random() : 0,
      frequencyPenalty: chance(0.2) ? random() : 0,
      presencePenalty: chance(0.2) ? random() : 0,
      repetitionPenalty: chance(0.2) ? 1 + random() : 1,
      logitBias: chance(0.1) ? new Map([[whole(vocabSize), 5 - 10 * random()]]) : undefined,
    },
  };
}

/** Guesses from the answers that the requests got alone, one in five wrong: drafts of every length, kept, cut and thrown away. */
class Hearsay implements Drafter {
  readonly source = "hearsay";
  readonly prior = 0.8;
  private readonly known: ReadonlyMap<GenerateRequest["prompt"], EngineEvent[]>;
  private readonly random: () => number;

  constructor(known: ReadonlyMap<GenerateRequest["prompt"], EngineEvent[]>, seed: number) {
    this.known = known;
    this.random = seeded(seed + 1);
  }

  propose(sequences: readonly Sequence[], most: readonly number[]): number[][] {
    return sequences.map(({ plan, generated }, i) =>
      idsOf(this.known.get(plan.request.prompt) ?? [], plan.index)
        .slice(generated, generated + Math.floor(this.random() * (most[i] + 1)))
        .map((id) => (this.random() < 0.8 ? id : Math.floor(this.random() * vocabSize))),
    );
  }
}

/** Runs one request as a client would, perhaps leaving early; the events and whether it left. */
async function serve(engine: LocalEngine, request: GenerateRequest, leaveAfter: number): Promise<EngineEvent[]> {
  const events: EngineEvent[] = [];
  const abort = new AbortController();
  if (leaveAfter === 0) abort.abort();
  for await (const event of engine.submit({ ...request, signal: abort.signal })) {
    events.push(event);
    if (event.type === "token" && events.length >= leaveAfter) abort.abort();
  }
  return events;
}

/** Throws an AssertionError on the first thing that is not as it should be; returns figures for people. */
export async function soak(count: number, seed: number): Promise<Record<string, number>> {
  const random = seeded(seed);
  const options = { shape: "tutor" as const, vocabSize, tokenizer, compileGrammar, context: 256 };
  const known = new Map<GenerateRequest["prompt"], EngineEvent[]>();
  const drafters = [new GrammarText(), new PromptLookup(), new Hearsay(known, seed)];
  // Few pages: sequences take turns, prefixes are evicted.
  const root = mkdtempSync(join(tmpdir(), "weir-soak-"));
  const diskCache = { directory: join(root, "prefixes"), maxBytes: 4 << 20 };
  const engine = randomEngine({
    ...options,
    drafters,
    diskCache,
    cacheTokens: 1536,
    maxRows: 96,
    maxSequences: 24,
    queue: count,
  });
  guessAlways(engine);
  const alone = randomEngine({ ...options, maxSequences: 4 });
  const layers: Shapes = {
    "model.layers.2.self_attn.kv_b_proj": [320, 96],
    "model.layers.3.mlp.experts.5.gate_proj": [128, 160],
    "model.layers.4.self_attn.o_proj": [160, 160],
  };
  const adapter = writeAdapter(join(root, "adapter"), factorsOf(seed, layers));
  for (const each of [engine, alone]) await each.loadAdapter("a", adapter);
  const shared = Array.from({ length: 90 }, () => Math.floor(random() * vocabSize));
  const requests = Array.from({ length: count }, () => randomRequest(random, shared));
  for (const request of requests) known.set(request.prompt, alone.generateAll([request])[0]);
  const leaves = requests.map(() => (random() < 0.15 ? Math.floor(random() * 6) : Number.POSITIVE_INFINITY));
  const answers: EngineEvent[][] = new Array(count);
  const memory: number[] = [];
  const began = performance.now();
  let next = 0;
  let end = 0;
  let most = 0;
  const client = async (): Promise<void> => {
    while (next < end) {
      const i = next++;
      if (random() < 0.3) await new Promise((resolve) => setTimeout(resolve, random() * 4));
      answers[i] = await serve(engine, requests[i], leaves[i]);
      most = Math.max(most, engine.stats().running);
      if (i % Math.ceil(count / 8) === 0) {
        globalThis.gc?.();
        memory.push(process.memoryUsage().rss);
      }
    }
  };
  // In waves: between their crests the last answers run without new prompts beside them, which is when guesses are made.
  while (next < count) {
    end = Math.min(count, next + 25);
    await Promise.all(Array.from({ length: 32 }, client));
  }
  const seconds = (performance.now() - began) / 1000;
  const { running, waiting, cacheTokens } = engine.stats();
  assert.deepEqual({ running, waiting, cacheTokens }, { running: 0, waiting: 0, cacheTokens: 0 });
  assert.equal(engine.scheduler.pool.available, engine.scheduler.pool.pages, "pages leaked");
  let cancelled = 0;
  requests.forEach((request, i) => {
    const whole = known.get(request.prompt) as EngineEvent[];
    for (let index = 0; index < (request.n ?? 1); index++) {
      const [got, wanted] = [bitsOf(answers[i], index), bitsOf(whole, index)];
      const end = answers[i].find((event) => event.type === "finish" && event.index === index);
      if (end?.type === "finish" && end.reason === "cancelled") {
        cancelled++;
        assert.ok(wanted.startsWith(got), `request ${i} was cancelled on another way`);
      } else assert.equal(got, wanted, `request ${i}`);
    }
  });
  // Rounding of the first quarter's growth away: buffers, compiled grammars and code are in place by then.
  const growth = Math.max(...memory.slice(-2)) - Math.max(...memory.slice(0, 3));
  assert.ok(growth < 64 * 2 ** 20, `memory grew by ${(growth / 2 ** 20).toFixed(0)} MB: ${memory.join()}`);
  const { drafted = 0, accepted = 0 } = engine.speculation ?? {};
  const fromDisk = engine.scheduler.disk?.loaded ?? 0;
  await engine.close();
  await alone.close();
  rmSync(root, { recursive: true, force: true });
  return {
    count,
    cancelled,
    most,
    seconds: Math.round(seconds),
    drafted,
    accepted,
    fromDisk,
    growthMB: growth / 2 ** 20,
  };
}
