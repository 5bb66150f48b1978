// The one internal request and answer that every wire protocol is read into and written from. It joins a conversation (or
// plain text), sampling and limits; what comes back is a stream of deltas, log-probabilities, usage and finish reasons.
// Nothing below this file knows a protocol, nothing above it knows tokens.
import type { Receipt, SamplingParameters, Usage } from "../engine/types.ts";
import type { Conversation, Delta, ToolCall } from "../text/conversation.ts";
import { ServerError } from "./errors.ts";

export type ToolChoice = "none" | "auto" | "required" | { name: string };

export interface GenerationRequest {
  /** The name the client sent; aliases, canaries and the default are resolved by the gateway. */
  model: string;
  input:
    | { kind: "chat"; conversation: Conversation }
    /** Plain continuation; with a suffix the model fills in the middle. */
    | { kind: "text"; prompt: string | number[]; suffix?: string };
  n?: number;
  maxTokens?: number;
  sampling?: SamplingParameters;
  stop?: string[];
  /** Default "auto" when the conversation has tools. */
  toolChoice?: ToolChoice;
  /** False: the answer ends after its first tool call. Default true. */
  parallelToolCalls?: boolean;
  /** Report log-probabilities with this many alternatives (0–20) per token; undefined: none. */
  logprobs?: number;
  /** Report the prompt's log-probabilities too. */
  promptLogprobs?: boolean;
  /** Most tokens of thinking. */
  thinkingBudget?: number;
  ignoreEos?: boolean;
  minTokens?: number;
  /** A grammar beyond the conversation's response format (vLLM's structured outputs). */
  grammar?: { type: "regex"; pattern: string } | { type: "ebnf"; text: string };
  /** Report every token's chosen experts and whether it was forced, beside its log-probability. */
  inside?: boolean;
  priority?: number;
}

/** One token as clients see it. */
export interface TokenText {
  token: string;
  bytes: number[];
  /** NaN where there is none (the first prompt token). */
  logprob: number;
}

export interface TokenReport extends TokenText {
  top: TokenText[];
  /** Expert ids, layer after layer, where asked for. */
  routes?: Uint16Array;
  forced?: boolean;
}

export type AnswerEnd =
  | "stop"
  | "length"
  | "tool_calls"
  | "content_filter"
  | "insufficient_system_resource"
  | "cancelled";

export interface GenerationUsage extends Usage {
  cost?: { amount: number; currency: string };
  energyJoules?: number;
}

export type GenerationEvent =
  | { type: "queued"; position: number; estimatedWaitMs: number }
  /** Once, before the first delta. `model` is the name of the model that answers. */
  | { type: "start"; model: string; promptTokens: number }
  /** `tokens` are those that became text with this delta; only when log-probabilities were asked for. */
  | { type: "delta"; index: number; delta: Delta; tokens?: TokenReport[] }
  | { type: "finish"; index: number; reason: AnswerEnd; stop?: string }
  /** Once, last. `prompt` holds the prompt's tokens when their log-probabilities were asked for. */
  | { type: "usage"; usage: GenerationUsage; receipt?: Receipt; prompt?: TokenReport[] };

/** One of the n answers, complete. */
export interface Answer {
  reasoning: string;
  content: string;
  toolCalls: ToolCall[];
  end: AnswerEnd;
  stop?: string;
  reasoningTokens: TokenReport[];
  contentTokens: TokenReport[];
}

export interface Collected {
  model: string;
  answers: Answer[];
  usage: GenerationUsage;
  receipt?: Receipt;
  prompt?: TokenReport[];
}

export const noUsage: GenerationUsage = {
  promptTokens: 0,
  cachedTokens: 0,
  completionTokens: 0,
  reasoningTokens: 0,
  queueMs: 0,
  prefillMs: 0,
  decodeMs: 0,
};

/** Adds one delta to an answer. */
function applyDelta(answer: Answer, delta: Delta, tokens: TokenReport[] = []): void {
  if (delta.type === "reasoning") {
    answer.reasoning += delta.text;
    answer.reasoningTokens.push(...tokens);
  } else if (delta.type === "content") {
    answer.content += delta.text;
    answer.contentTokens.push(...tokens);
  } else if (delta.type === "tool-call-start") {
    answer.toolCalls[delta.index] = { id: delta.id, name: delta.name, arguments: "" };
  } else if (delta.type === "tool-call-arguments") {
    answer.toolCalls[delta.index].arguments += delta.text;
  }
}

function emptyAnswer(): Answer {
  return { reasoning: "", content: "", toolCalls: [], end: "stop", reasoningTokens: [], contentTokens: [] };
}

/** Reads a whole stream: what a client that does not stream gets. */
export async function collect(events: AsyncIterable<GenerationEvent>): Promise<Collected> {
  const result: Collected = { model: "", answers: [], usage: noUsage };
  for await (const event of events) {
    if (event.type === "start") result.model = event.model;
    else if (event.type === "delta") {
      const answer = (result.answers[event.index] ??= emptyAnswer());
      applyDelta(answer, event.delta, event.tokens);
    } else if (event.type === "finish") {
      const answer = (result.answers[event.index] ??= emptyAnswer());
      answer.end = event.reason;
      answer.stop = event.stop;
    } else if (event.type === "usage") {
      result.usage = event.usage;
      result.receipt = event.receipt;
      result.prompt = event.prompt;
    }
  }
  if (result.answers.length === 0) throw new ServerError(500, "no_answer", "The model ended without an answer.");
  return result;
}
