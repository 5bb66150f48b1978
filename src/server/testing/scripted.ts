// A deterministic stand-in for a model, used by tests only: bytes are its tokens, a script is its mind. It keeps the engine's
// contract (streams, stops, limits, cancellation, caching figures) so that the server can be proven without weights.
import {
  type Engine,
  EngineError,
  type EngineEvent,
  type EngineStats,
  type FinishReason,
  type GenerateRequest,
  type Grammar,
  type TokenLogprob,
} from "../../engine/types.ts";
import { FIM_MARKS } from "../../text/chat/fim.ts";
import type { AnswerParser, ChatFormat } from "../../text/chat/format.ts";
import { BOS } from "../../text/chat/marks.ts";
import type { Conversation, Delta } from "../../text/conversation.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import type { LoadedModel } from "../model.ts";

const bos = 256;
const eos = 257;
const thinkEnd = 258;
/** Control tokens by id, from 256 on. */
const marks = [BOS, "<eos>", "</think>", "<call>", "</call>", ...FIM_MARKS];
const vocabSize = 256 + marks.length;
const markPattern = new RegExp(`(${marks.map((mark) => mark.replaceAll("|", "\\|")).join("|")})`);

const bytesOf = (ids: ArrayLike<number>): Buffer => Buffer.from(Array.from(ids).filter((id) => id < 256));
const encodePlain = (text: string): number[] => [...Buffer.from(text)];
const encodeMarked = (text: string): number[] =>
  text.split(markPattern).flatMap((part) => (marks.includes(part) ? [256 + marks.indexOf(part)] : encodePlain(part)));

const tokenizer: Tokenizer = {
  vocabSize,
  special: { bos, eos, eot: [eos], addBos: true, addEos: false },
  addedTokens: [],
  encode(text, options = {}) {
    const ids: number[] = options.addSpecial ? [bos] : [];
    const literal = Array.from((options.literal as number[] | undefined) ?? []);
    let at = 0;
    for (let range = 0; range <= literal.length; range += 2) {
      const [from, to] = range < literal.length ? [literal[range], literal[range + 1]] : [text.length, text.length];
      const own = text.slice(at, from);
      ids.push(...(options.parseSpecial ? encodeMarked(own) : encodePlain(own)), ...encodePlain(text.slice(from, to)));
      at = to;
    }
    return Int32Array.from(ids[1] === bos ? ids.slice(1) : ids);
  },
  decode: (ids) => bytesOf(ids).toString(),
  streamDecoder: () => ({ push: (id) => bytesOf([id]).toString(), end: () => "" }),
  idOf: (token) => (marks.includes(token) ? 256 + marks.indexOf(token) : undefined),
  tokenOf: (id) => marks[id - 256] ?? bytesOf([id]).toString(),
  bytesOf: (id) => bytesOf([id]),
  isControl: (id) => id >= 256,
};

/** A value that satisfies a schema well enough for tests (type, enum, const, properties, items, anyOf). */
export function sample(schema: unknown): unknown {
  const { type, enum: values, const: fixed, properties, items, anyOf } = (schema ?? {}) as Record<string, unknown>;
  if (fixed !== undefined) return fixed;
  if (Array.isArray(values)) return values[0];
  if (Array.isArray(anyOf)) return sample(anyOf[0]);
  const kind = Array.isArray(type) ? type[0] : type;
  if (kind === "string") return "x";
  if (kind === "number" || kind === "integer") return 7;
  if (kind === "boolean") return true;
  if (kind === "null") return null;
  if (kind === "array") return items ? [sample(items)] : [];
  return Object.fromEntries(Object.entries((properties ?? {}) as object).map(([name, inner]) => [name, sample(inner)]));
}

export interface ScriptInput {
  prompt: string;
  /** The text after the last "[user]" of the prompt. */
  user: string;
  answered: boolean;
  grammar: Grammar | undefined;
  startsInThinking: boolean;
  index: number;
}

export type Script = (input: ScriptInput) => string;

/**
 * "say TEXT" says it; a grammar gets a sample; tools are called when required or when the user asks about "weather" (twice
 * for "weathers"); everything else is repeated.
 */
export const defaultScript: Script = ({ user, answered, grammar, startsInThinking, index }) => {
  const thinking = startsInThinking ? "Let me see.</think>" : "";
  if (grammar?.type === "json_schema") return thinking + JSON.stringify(sample(grammar.schema));
  if (grammar?.type === "json_object") return `${thinking}{"answer":7}`;
  if (grammar?.type === "tools" && !answered) {
    const { choice, tools } = grammar;
    const named = typeof choice === "object" ? tools.find((tool) => tool.name === choice.name)! : tools[0];
    const call = `<call>${named.name}\n${JSON.stringify(sample(named.parameters))}</call>`;
    if (choice !== "auto" || user.includes("weather"))
      return thinking + (user.includes("weathers") ? call + call : call);
  }
  const said = /^say ([\s\S]*)/.exec(user)?.[1];
  return thinking + (said ?? `${index > 0 ? `${index}: ` : ""}You said: ${user}`);
};

const format: ChatFormat = {
  name: "scripted",
  thinking: "switch",
  thinksByDefault: false,
  efforts: ["low", "high", "max"],
  tools: undefined,
  stopTokens: ["<eos>"],
  stopStrings: [],
  render(conversation: Conversation) {
    const last = conversation.messages.at(-1);
    const thinking = conversation.thinking === "on";
    const words = conversation.messages
      .map((message) => {
        const calls = (message.toolCalls ?? []).map((call) => `[call]${call.name} ${call.arguments}`).join("");
        return `[${message.role}]${message.content}${calls}`;
      })
      .join("");
    const tools = conversation.tools ? `[tools]${JSON.stringify(conversation.tools)}` : "";
    const text = tools + words + (last?.prefix ? "" : "[assistant]");
    return {
      text,
      literal: [0, text.length],
      answers: [],
      startsInThinking: thinking,
      continuesContent: last?.prefix === true,
    };
  },
  parser(start): AnswerParser {
    let place: "thinking" | "content" | "name" | "arguments" = start.startsInThinking ? "thinking" : "content";
    let calls = 0;
    let name = "";
    return {
      push(text): Delta[] {
        if (text === "</think>") place = "content";
        else if (text === "<call>") {
          place = "name";
          name = "";
        } else if (text === "</call>") {
          place = "content";
          return [{ type: "tool-call-end", index: calls++ }];
        } else if (text === "") return [];
        else if (place === "thinking") return [{ type: "reasoning", text }];
        else if (place === "content") return [{ type: "content", text }];
        else if (place === "arguments") return [{ type: "tool-call-arguments", index: calls, text }];
        else if (text === "\n") {
          place = "arguments";
          return [{ type: "tool-call-start", index: calls, id: `call_${calls}_${name}`, name }];
        } else name += text;
        return [];
      },
      end: () => [],
    };
  },
};

export interface ScriptedOptions {
  script?: Script;
  /** Time between tokens; 0 gives them all at once. */
  tokenMs?: number;
  contextLength?: number;
  weightBytes?: number;
  name?: string;
}

/** Fake log-probabilities: the token itself, then its neighbours. */
const alternatives = (id: number, count: number): TokenLogprob[] =>
  Array.from({ length: count }, (_, at) => ({ id: (id + at) % 128, logprob: -0.1 - at }));

export class ScriptedEngine implements Engine {
  readonly model;
  readonly requests: GenerateRequest[] = [];
  readonly adapters: string[] = [];
  running = 0;
  cancelled = 0;
  closed = false;
  readonly #options: ScriptedOptions;
  #seen: number[][] = [];

  constructor(options: ScriptedOptions = {}) {
    this.#options = options;
    this.model = {
      name: options.name ?? "scripted",
      architecture: "scripted",
      parameters: 1,
      activeParameters: 1,
      contextLength: options.contextLength ?? 100_000,
      vocabSize,
      layers: 1,
      experts: 0,
      expertsPerToken: 0,
      weightBytes: options.weightBytes ?? 1000,
      cacheBytesPerToken: 1,
    };
  }

  /** Prompt tokens shared with an earlier prompt, in units of 64 as DeepSeek counts them. */
  #cached(prompt: number[]): number {
    let best = 0;
    for (const earlier of this.#seen) {
      let same = 0;
      while (same < prompt.length && earlier[same] === prompt[same]) same++;
      best = Math.max(best, same);
    }
    this.#seen = [...this.#seen.slice(-20), prompt];
    return Math.floor(best / 64) * 64;
  }

  submit(request: GenerateRequest): AsyncIterable<EngineEvent> {
    const prompt = Array.from(request.prompt);
    if (this.closed) throw new EngineError("closed", "The model has been unloaded.");
    if (prompt.length >= this.model.contextLength)
      throw new EngineError(
        "context_length_exceeded",
        `The prompt has ${prompt.length} tokens; this model reads at most ${this.model.contextLength}.`,
        "messages",
      );
    this.requests.push(request);
    if (this.requests.length > 100) this.requests.shift();
    return this.#run(request, prompt);
  }

  async *#run(request: GenerateRequest, prompt: number[]): AsyncGenerator<EngineEvent> {
    const { script = defaultScript, tokenMs = 0 } = this.#options;
    const text = bytesOf(prompt).toString();
    const last = text.lastIndexOf("[user]");
    const user = last < 0 ? text : text.slice(last + 6).split(/\[(?:assistant|tool)\]/)[0];
    const answered = text.indexOf("[tool]", last) > last;
    const cachedTokens = this.#cached(prompt);
    let completionTokens = 0;
    let reasoningTokens = 0;
    this.running++;
    try {
      for (let index = 0; index < (request.n ?? 1); index++) {
        const { grammar, startsInThinking = false } = request;
        const full = script({ prompt: text, user, answered, grammar, startsInThinking, index });
        const stop = request.stop?.find((each) => full.includes(each));
        const ids = [...encodeMarked(stop === undefined ? full : full.slice(0, full.indexOf(stop))), eos];
        let reason: FinishReason = "stop";
        let written = 0;
        let thinking = startsInThinking;
        let pending: number[] = [];
        for (const id of ids) {
          if (tokenMs > 0) await new Promise((resolve) => setTimeout(resolve, tokenMs));
          if (request.signal?.aborted) {
            reason = "cancelled";
            this.cancelled++;
            break;
          }
          if (id === eos) break;
          written++;
          completionTokens++;
          if (thinking) reasoningTokens++;
          if (id === thinkEnd) thinking = false;
          let piece = "";
          if (id < 256) {
            pending.push(id);
            const decoded = Buffer.from(pending).toString();
            if (!decoded.endsWith("\ufffd")) {
              piece = decoded;
              pending = [];
            }
          }
          const topLogprobs = request.topLogprobs === undefined ? undefined : alternatives(id, request.topLogprobs);
          yield { type: "token", index, id, text: piece, logprob: -0.1, topLogprobs };
          if (written >= (request.maxTokens ?? Infinity)) {
            reason = "length";
            break;
          }
        }
        yield { type: "finish", index, reason, stop };
      }
      yield {
        type: "usage",
        usage: {
          promptTokens: prompt.length,
          cachedTokens,
          completionTokens,
          reasoningTokens,
          queueMs: 0,
          prefillMs: 1,
          decodeMs: 1,
        },
        receipt: {
          weir: "test",
          weightsHash: "0",
          device: "scripted",
          seed: request.sampling?.seed ?? 0,
          prompt,
          parameters: {},
        },
        promptLogprobs: request.promptLogprobs
          ? prompt.map((id, at) => [
              { id, logprob: at === 0 ? Number.NaN : -1 },
              ...alternatives(id, request.topLogprobs ?? 0),
            ])
          : undefined,
      };
    } finally {
      this.running--;
    }
  }

  /** Four numbers of unit length that depend on the input. */
  async embed(inputs: (number[] | Int32Array)[]): Promise<Float32Array[]> {
    return inputs.map((ids) => {
      const vector = new Float32Array(4).fill(1);
      for (const [at, id] of Array.from(ids).entries()) vector[at % 4] += id;
      const length = Math.hypot(...vector);
      return vector.map((value) => value / length);
    });
  }

  stats(): EngineStats {
    return {
      running: this.running,
      waiting: 0,
      cacheTokens: 10,
      cacheCapacity: 100,
      prefixHits: 0,
      prefixQueries: 0,
      promptTokens: 0,
      completionTokens: 0,
    };
  }

  async loadAdapter(name: string, path: string): Promise<void> {
    if (path.endsWith("broken")) throw new EngineError("adapter_mismatch", `${path} is for another model`, "adapter");
    this.adapters.push(name);
  }

  async unloadAdapter(): Promise<void> {}
  async close(): Promise<void> {
    this.closed = true;
  }
}

export function scriptedModel(options: ScriptedOptions = {}): LoadedModel & { engine: ScriptedEngine } {
  return { engine: new ScriptedEngine(options), chat: format, tokenizer };
}
