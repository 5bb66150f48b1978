// A scripted engine for the chat application's tests: answers are decided by words in the question, so that a test controls
// length, speed and content. It honours aborts and counts what it was asked.
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import type { AnswerEvent, AnswerRequest, AppDeps } from "../../src/server/app/deps.ts";
import type { AppModel, TokenRecord } from "../../src/server/app/protocol.ts";
import { createTutor } from "../../src/server/app/tutor.ts";

export interface Script {
  reasoning?: string;
  content: string;
  /** Milliseconds between tokens. */
  delay?: number;
  /** Tokens sent at once after each delay. */
  burst?: number;
  /** Awaited between the thinking and the answer, so that a test can look at the thinking without haste. */
  gate?: Promise<void>;
  fail?: { code: string; message: string };
}

export interface Scripted {
  deps: AppDeps;
  requests: AnswerRequest[];
  /** Answers whose engine was stopped before its end. */
  aborted: number;
  printed: string[];
  /** Overrides the script of every following answer. */
  script?: (question: string) => Script | undefined;
}

/** Small tokens: a word with its space, or one ideograph. */
export const tokensOf = (text: string): string[] => text.match(/[\u3400-\u9fff]|\s*[^\s\u3400-\u9fff]+|\s+/g) ?? [];

const defaultScript = (question: string): Script => ({
  reasoning: `The question is short.\nI look at "${question.slice(0, 40)}".\nThen I answer.`,
  content: `You said: **${question.slice(0, 200)}**\n\nThat is all.`,
  delay: 2,
});

const layers = 6;
const experts = 16;

function record(text: string, n: number): TokenRecord {
  const p = 0.35 + 0.6 * Math.abs(Math.sin(n * 1.7));
  return {
    text,
    logprob: Math.log(p),
    top: [
      [text, Math.log(p)],
      [" maybe", Math.log((1 - p) * 0.6)],
      [" the", Math.log((1 - p) * 0.3)],
    ],
    // A few favourites per layer and a tail, as trained routers show.
    routes: Array.from({ length: layers }, (_, layer) => {
      const favourite = (layer * 5 + (n % 3) * (layer + 1)) % experts;
      const other = (n * n + layer * 7 + 3) % experts;
      return [favourite, other === favourite ? (other + 1) % experts : other];
    }),
  };
}

export function scripted(options: Partial<AppDeps> = {}): Scripted {
  const models: AppModel[] = [
    {
      name: "tutor",
      local: true,
      state: "loaded",
      memoryBytes: 18_400_000,
      contextLength: 2048,
      thinking: true,
      efforts: [],
      tutor: true,
      info: {
        name: "models/tutor",
        architecture: "deepseek_v3",
        parameters: 9_200_000,
        activeParameters: 2_100_000,
        contextLength: 2048,
        vocabSize: 512,
        layers,
        experts,
        expertsPerToken: 2,
        weightBytes: 17_900_000,
        cacheBytesPerToken: 960,
      },
    },
    {
      name: "deepseek-v4-lite",
      local: true,
      state: "unloaded",
      contextLength: 32768,
      thinking: true,
      efforts: ["low", "high", "max"],
      tutor: false,
    },
    {
      name: "vllm/deepseek-v3.2",
      local: false,
      state: "loaded",
      contextLength: 131072,
      thinking: true,
      efforts: [],
      tutor: false,
    },
  ];
  const state: Scripted = {
    requests: [],
    aborted: 0,
    printed: [],
    deps: {
      db: new DatabaseSync(":memory:"),
      accounts: false,
      models: {
        list: () => models,
        default: () => models[0]?.name,
        load: async (name) => {
          await sleep(30);
          const model = models.find((one) => one.name === name)!;
          model.state = "loaded";
          model.memoryBytes = 2_400_000_000;
        },
        unload: async (name) => {
          const model = models.find((one) => one.name === name)!;
          model.state = "unloaded";
          model.memoryBytes = undefined;
        },
      },
      generate,
      tutor: createTutor(),
      webRoot: new URL("../../web/dist", import.meta.url).pathname,
      print: (line) => state.printed.push(line),
      address: () => "127.0.0.1",
      ...options,
    },
  };

  async function* generate(request: AnswerRequest): AsyncGenerator<AnswerEvent> {
    state.requests.push(request);
    const { messages, thinking } = request.conversation;
    const question = messages.findLast(({ role }) => role === "user")?.content ?? "";
    const script = state.script?.(question) ?? defaultScript(question);
    if (script.fail) throw Object.assign(new Error(script.fail.message), { code: script.fail.code });
    const last = messages.at(-1)!;
    const before = last.prefix ? last.content : "";
    const thinks = thinking !== "off" && !last.prefix;
    const parts = [
      ...(thinks ? tokensOf(script.reasoning ?? "").map((text) => ["reasoning", text] as const) : []),
      ...tokensOf(script.content.slice(before.length)).map((text) => ["content", text] as const),
    ].slice(0, request.maxTokens);
    let sent = 0;
    let reasoning = 0;
    for (const [type, text] of parts) {
      if (request.signal.aborted) break;
      if (type === "content" && sent === reasoning) await script.gate;
      if (sent % (script.burst ?? 1) === 0 && script.delay) await sleep(script.delay);
      if (request.inside) yield { type: "token", token: record(text, sent) };
      yield { type: "delta", delta: { type, text } };
      sent++;
      if (type === "reasoning") reasoning++;
    }
    const stopped = request.signal.aborted;
    if (stopped) state.aborted++;
    yield { type: "finish", reason: stopped ? "cancelled" : parts.length === request.maxTokens ? "length" : "stop" };
    const promptTokens = messages.reduce((sum, { content }) => sum + tokensOf(content).length, 0);
    yield {
      type: "usage",
      usage: {
        promptTokens,
        cachedTokens: Math.floor(promptTokens * 0.6),
        completionTokens: sent,
        reasoningTokens: reasoning,
        queueMs: 0,
        prefillMs: 12,
        decodeMs: Math.max(1, sent * (script.delay ?? 1)),
        energyJoules: sent * 0.02,
        cost: { amount: sent * 1e-6, currency: "CNY" },
      },
    };
  }
  return state;
}
