// Generated conversations for tests of every chat format; not part of the library.

import type { Conversation, Delta, Message, ToolCall } from "../conversation.ts";
import type { ChatFormat } from "./format.ts";

const WORDS = [
  "Hello",
  "你好，世界",
  "line one\nline two",
  "  indented",
  "`code` and ```\nfences\n```",
  "a < b && c > d",
  "<p>markup</p>",
  "“quotes” 'and' \"more\"",
  "🦙 emoji 👩‍🚀",
  '{"json": [1, 2]}',
  "2 + 2 = 4",
  "\nleading newline",
  "<thin",
  "\\escaped\\n",
  "｜bars｜ and ▁blocks▁",
];

const ARGUMENTS = [
  "{}",
  '{"city": "北京", "days": 3}',
  '{"text": "line\\nbreak \\"quoted\\" </tag> ```", "list": [1, [2], {"a": null}], "flag": true}',
  '{"big": 12345678901234567890, "float": 1.50, "2": "numeric key", "1": ""}',
  '{"nested": {"deep": {"er": ["x", "y"]}}, "quote\\"key": "v"}',
  '{"emoji": "👩‍🚀", "empty": {}, "none": null}',
];

const pick = <T>(random: () => number, list: readonly T[]): T => list[Math.floor(random() * list.length)];

/** Words joined; never empty unless asked. */
export function phrase(random: () => number): string {
  const count = 1 + Math.floor(random() * 3);
  return Array.from({ length: count }, () => pick(random, WORDS)).join(" ");
}

function calls(random: () => number): ToolCall[] {
  return Array.from({ length: 1 + Math.floor(random() * 3) }, (_, i) => ({
    id: `call_${i}`,
    name: pick(random, ["get_weather", "search", "天气", "function", "a.b-c"]),
    arguments: pick(random, ARGUMENTS),
  }));
}

function assistant(random: () => number, format: ChatFormat, withCalls: boolean): Message {
  const toolCalls = withCalls ? calls(random) : undefined;
  // White space right before a tool block is the format's.
  const content = toolCalls ? pick(random, ["", phrase(random).trimEnd()]) : phrase(random).replace(/^[ ]/, "");
  return {
    role: "assistant",
    content,
    ...(format.thinking === "switch" && random() < 0.6 ? { reasoningContent: phrase(random) } : {}),
    ...(toolCalls ? { toolCalls } : {}),
  };
}

/** A conversation that ends with a finished answer. */
export function conversation(random: () => number, format: ChatFormat): Conversation {
  const messages: Message[] = [];
  const tools = format.tools !== undefined && random() < 0.5;
  if (random() < 0.5) messages.push({ role: "system", content: phrase(random) });
  for (let turns = 1 + Math.floor(random() * 3); turns > 0; turns--) {
    if (random() < 0.1) messages.push({ role: "latest_reminder", content: "2026-11-09,星期一,,Web,中文" });
    messages.push({ role: "user", content: phrase(random) });
    for (let loops = tools ? Math.floor(random() * 3) : 0; loops > 0; loops--) {
      const message = assistant(random, format, true);
      messages.push(message);
      for (const call of message.toolCalls!)
        messages.push({ role: "tool", content: phrase(random), toolCallId: call.id });
    }
    messages.push(assistant(random, format, tools && random() < 0.3));
    if (messages.at(-1)!.toolCalls && turns > 1) messages.push({ role: "tool", content: "done", toolCallId: "call_0" });
  }
  const last = messages.at(-1)!;
  return {
    messages,
    ...(tools ? { tools: [{ name: "get_weather", description: "weather", parameters: { type: "object" } }] } : {}),
    ...(format.thinking === "switch" && random() < 0.5
      ? { thinking: last.reasoningContent === undefined ? "off" : "on" }
      : {}),
  };
}

/** Deltas as one message; checks their order on the way. */
export function assemble(deltas: readonly Delta[]): Message {
  const message: Message = { role: "assistant", content: "" };
  let open = false;
  for (const delta of deltas) {
    if (delta.type === "reasoning") {
      if (message.content !== "" || message.toolCalls) throw new Error("reasoning after content or calls");
      message.reasoningContent = (message.reasoningContent ?? "") + delta.text;
    } else if (delta.type === "content") {
      if (open) throw new Error("content inside a call");
      message.content += delta.text;
    } else if (delta.type === "tool-call-start") {
      if (open) throw new Error("a call inside a call");
      open = true;
      message.toolCalls ??= [];
      if (delta.index !== message.toolCalls.length) throw new Error("calls out of order");
      message.toolCalls.push({ id: delta.id, name: delta.name, arguments: "" });
    } else {
      if (!open || delta.index !== message.toolCalls!.length - 1) throw new Error(`${delta.type} outside its call`);
      if (delta.type === "tool-call-arguments") message.toolCalls!.at(-1)!.arguments += delta.text;
      else open = false;
    }
  }
  if (open) throw new Error("a call was never ended");
  return message;
}

/** The answer's message when its text comes cut into these pieces. */
export function parse(
  format: ChatFormat,
  pieces: readonly string[],
  start: { startsInThinking: boolean; continuesContent?: boolean },
): Message {
  let count = 0;
  const parser = format.parser({ ...start, newCallId: () => `call_${count++}` });
  const deltas = pieces.flatMap((piece) => parser.push(piece));
  return assemble([...deltas, ...parser.end()]);
}
