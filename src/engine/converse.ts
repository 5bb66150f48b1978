// Conversations through an engine in this process: renders, runs, parses. What `weir run`, `weir chat` and evaluations share; the
// server has its own, with protocols on top.

import { type ChatFormat, encodePrompt } from "../text/chat/format.ts";
import type { Conversation, Delta } from "../text/conversation.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { Engine, EngineEvent, FinishReason, GenerateRequest, Receipt, Usage } from "./types.ts";

export interface Model {
  engine: Engine;
  tokenizer: Tokenizer;
  chat: ChatFormat;
}

export interface Reply {
  reasoningContent: string;
  content: string;
  finishReason: FinishReason;
  usage: Usage;
  receipt: Receipt;
}

/** The engine's request for the next answer of a conversation. */
export function requestFor(
  model: Model,
  conversation: Conversation,
  options: Omit<GenerateRequest, "prompt">,
): GenerateRequest {
  const prompt = model.chat.render(conversation);
  const stops = [...model.chat.stopStrings, ...(options.stop ?? [])];
  return {
    ...options,
    prompt: encodePrompt(model.tokenizer, prompt),
    startsInThinking: prompt.startsInThinking,
    ...(stops.length > 0 && { stop: stops }),
  };
}

/** Parses an answer's events; deltas go to `onDelta` as they become certain. */
export async function readReply(
  model: Model,
  request: GenerateRequest,
  events: AsyncIterable<EngineEvent> | Iterable<EngineEvent>,
  onDelta: (delta: Delta) => void = () => {},
): Promise<Reply> {
  const parser = model.chat.parser({ startsInThinking: request.startsInThinking ?? false });
  const reply = { reasoningContent: "", content: "", finishReason: "error" as FinishReason };
  let end: { usage: Usage; receipt: Receipt } | undefined;
  const take = (deltas: Delta[]): void => {
    for (const delta of deltas) {
      if (delta.type === "reasoning") reply.reasoningContent += delta.text;
      if (delta.type === "content") reply.content += delta.text;
      onDelta(delta);
    }
  };
  for await (const event of events) {
    if (event.type === "token") take(parser.push(event.text));
    if (event.type === "finish") reply.finishReason = event.reason;
    if (event.type === "usage") end = event;
  }
  take(parser.end());
  if (!end) throw new Error("the engine ended without its account of usage");
  return { ...reply, usage: end.usage, receipt: end.receipt };
}

/** One answer. */
export function converse(
  model: Model,
  conversation: Conversation,
  options: Omit<GenerateRequest, "prompt"> = {},
  onDelta?: (delta: Delta) => void,
): Promise<Reply> {
  const request = requestFor(model, conversation, options);
  return readReply(model, request, model.engine.submit(request), onDelta);
}
