// Renders a checkpoint's own chat template, for models whose format is not among the built-in ones. What the model answers is
// parsed by the built-in format that is nearest.

import { Template } from "@huggingface/jinja";
import type { Conversation, Message } from "../conversation.ts";
import { TextError } from "../errors.ts";
import { promptEndsInThinking, type RenderedPrompt } from "./format.ts";
import { toolSchema } from "./tools-text.ts";

export interface JinjaOptions {
  bosToken: string;
  eosToken: string;
  /** Texts that must not become tokens when they stand in a message. */
  controlTokens: readonly string[];
}

/** Templates run on hostile files; one this long is no chat template. */
const MAX_TEMPLATE = 1 << 20;

/** A renderer for the template. @throws TextError when it does not parse. */
export function jinjaRenderer(source: string, options: JinjaOptions): (conversation: Conversation) => RenderedPrompt {
  if (source.length > MAX_TEMPLATE)
    throw new TextError(`the chat template has ${source.length} characters; that is no template`);
  let template: Template;
  try {
    template = new Template(source);
  } catch (cause) {
    throw new TextError(`the chat template does not parse: ${(cause as Error).message}`, { cause });
  }
  return (conversation) => render(template, options, conversation);
}

/** Stand-ins for control tokens inside messages while the template runs: private-use characters around a number. */
const OPEN = "\u{F0000}";
const CLOSE = "\u{F0001}";

function render(template: Template, options: JinjaOptions, conversation: Conversation): RenderedPrompt {
  // Longest first, so that no token hides inside another.
  const tokens = options.controlTokens.filter((token) => token !== "").sort((a, b) => b.length - a.length);
  const any =
    tokens.length > 0
      ? new RegExp(tokens.map((token) => token.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("|"), "g")
      : undefined;
  const shield = (text: string): string => {
    const clean = text.replaceAll(OPEN, "").replaceAll(CLOSE, "");
    return any ? clean.replaceAll(any, (token) => `${OPEN}${tokens.indexOf(token)}${CLOSE}`) : clean;
  };
  const { messages, tools, thinking } = conversation;
  const last = messages.at(-1);
  const prefix = last?.prefix ? last : undefined;
  const input = (prefix ? messages.slice(0, -1) : messages).map((message) => toOpenAi(message, shield));
  let text: string;
  try {
    text = template.render({
      messages: input,
      ...(tools?.length ? { tools: tools.map((tool) => ({ type: "function", function: toolSchema(tool) })) } : {}),
      ...(thinking === undefined ? {} : { thinking: thinking === "on", enable_thinking: thinking === "on" }),
      bos_token: options.bosToken,
      eos_token: options.eosToken,
      add_generation_prompt: prefix !== undefined || last?.role !== "assistant",
    });
  } catch (cause) {
    throw new TextError(`the chat template refuses this conversation: ${(cause as Error).message}`, { cause });
  }
  const opensThinking = promptEndsInThinking(text);
  if (prefix) {
    if (opensThinking) text += `${shield(prefix.reasoningContent ?? "")}${prefix.content === "" ? "" : "</think>"}`;
    text += shield(prefix.content);
  }
  const startsInThinking = opensThinking && (prefix === undefined || prefix.content === "");
  return {
    ...unshield(text, tokens),
    answers: [],
    startsInThinking,
    continuesContent: prefix !== undefined && !startsInThinking,
  };
}

/** Puts the tokens' texts back and notes where they stand. */
function unshield(text: string, tokens: readonly string[]): { text: string; literal: number[] } {
  const literal: number[] = [];
  let out = "";
  let at = 0;
  for (const match of text.matchAll(new RegExp(`${OPEN}(\\d+)${CLOSE}`, "gu"))) {
    out += text.slice(at, match.index);
    literal.push(out.length, out.length + tokens[Number(match[1])].length);
    out += tokens[Number(match[1])];
    at = match.index + match[0].length;
  }
  return { text: out + text.slice(at), literal };
}

function toOpenAi(message: Message, shield: (text: string) => string): Record<string, unknown> {
  return {
    role: message.role === "developer" ? "system" : message.role,
    content: shield(message.content),
    ...(message.reasoningContent === undefined ? {} : { reasoning_content: shield(message.reasoningContent) }),
    ...(message.toolCallId === undefined ? {} : { tool_call_id: message.toolCallId }),
    ...(message.name === undefined ? {} : { name: message.name }),
    ...(message.toolCalls?.length
      ? {
          tool_calls: message.toolCalls.map((call) => ({
            id: call.id,
            type: "function",
            function: { name: shield(call.name), arguments: shield(call.arguments) },
          })),
        }
      : {}),
  };
}
