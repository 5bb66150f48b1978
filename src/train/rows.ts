// Training data as files hold it: JSON Lines or a JSON list, gzipped or not, in the layouts people have. Every row is read into one of
// three kinds or refused with its number and the reason. Tokens are documents.ts's.
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { Conversation, Message, Role, Tool, ToolCall } from "../text/conversation.ts";

/** A task for reinforcement learning; `fields` is the whole row, for rewards that want more than the answer. */
export interface TaskRow {
  kind: "task";
  conversation: Conversation;
  answer: string;
  fields: Record<string, unknown>;
}

export type Row = { kind: "text"; text: string } | { kind: "chat"; conversation: Conversation } | TaskRow;

export interface BrokenRow {
  /** Line of a JSON Lines file, or place in a JSON list, from 1. */
  row: number;
  reason: string;
}

export interface Rows {
  path: string;
  /** What the rows are called in the wild: text, messages, task, alpaca, sharegpt; several where mixed. */
  layouts: Map<string, number>;
  rows: Row[];
  /** Where each row stands in the file. */
  numbers: number[];
  broken: BrokenRow[];
}

class Refused extends Error {}

type Fields = Record<string, unknown>;

const refuse = (reason: string): never => {
  throw new Refused(reason);
};

const text = (value: unknown, name: string): string =>
  typeof value === "string"
    ? value
    : refuse(`${name} must be text, not ${value === undefined ? "absent" : typeof value}`);

const objectOf = (value: unknown, name: string): Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : refuse(`${name} must be an object`);

const ROLES: readonly string[] = ["system", "developer", "user", "assistant", "tool", "latest_reminder"];

function toolCalls(value: unknown, name: string): ToolCall[] {
  if (!Array.isArray(value)) return refuse(`${name} must be a list`);
  return value.map((call, i) => {
    const fields = objectOf(call, `${name}[${i}]`);
    const of = objectOf(fields.function ?? fields, `${name}[${i}].function`);
    const given = of.arguments ?? "{}";
    return {
      id: typeof fields.id === "string" ? fields.id : `call_${i}`,
      name: text(of.name, `${name}[${i}].function.name`),
      arguments: typeof given === "string" ? given : JSON.stringify(given),
    };
  });
}

function toolsOf(value: unknown): Tool[] | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  const list = typeof value === "string" ? (JSON.parse(value) as unknown) : value;
  if (!Array.isArray(list)) return refuse("tools must be a list");
  return list.map((tool, i) => {
    const fields = objectOf(tool, `tools[${i}]`);
    const of = objectOf(fields.function ?? fields, `tools[${i}].function`);
    return { ...(of as object), name: text(of.name, `tools[${i}].function.name`) } as Tool;
  });
}

function messagesOf(value: unknown): Message[] {
  if (!Array.isArray(value) || value.length === 0) return refuse("messages must be a list of at least one message");
  return value.map((message, i): Message => {
    const fields = objectOf(message, `messages[${i}]`);
    const { role } = fields;
    if (typeof role !== "string" || !ROLES.includes(role))
      refuse(`messages[${i}].role is ${JSON.stringify(role)}, not one of ${ROLES.join(", ")}`);
    const calls = fields.tool_calls;
    const reasoning = fields.reasoning_content ?? fields.reasoning;
    return {
      role: role as Role,
      content: fields.content == null && calls ? "" : text(fields.content, `messages[${i}].content`),
      ...(typeof reasoning === "string" && { reasoningContent: reasoning }),
      ...(calls ? { toolCalls: toolCalls(calls, `messages[${i}].tool_calls`) } : {}),
      ...(typeof fields.tool_call_id === "string" && { toolCallId: fields.tool_call_id }),
      ...(typeof fields.name === "string" && { name: fields.name }),
    };
  });
}

const SHAREGPT: Record<string, Role> = {
  human: "user",
  user: "user",
  gpt: "assistant",
  assistant: "assistant",
  chatgpt: "assistant",
  system: "system",
  observation: "tool",
  tool: "tool",
  function_call: "assistant",
};

function shareGpt(turns: unknown, system: unknown): Message[] {
  if (!Array.isArray(turns) || turns.length === 0) return refuse("conversations must be a list of at least one turn");
  const messages: Message[] = typeof system === "string" && system !== "" ? [{ role: "system", content: system }] : [];
  turns.forEach((turn, i) => {
    const fields = objectOf(turn, `conversations[${i}]`);
    const role = SHAREGPT[String(fields.from)];
    if (!role)
      refuse(
        `conversations[${i}].from is ${JSON.stringify(fields.from)}, not one of ${Object.keys(SHAREGPT).join(", ")}`,
      );
    const content = text(fields.value, `conversations[${i}].value`);
    if (fields.from === "function_call") {
      const call = objectOf(JSON.parse(content), `conversations[${i}].value`);
      const calls = toolCalls([{ ...call, id: `call_${i}` }], `conversations[${i}].value`);
      messages.push({ role, content: "", toolCalls: calls });
    } else if (role === "tool") messages.push({ role, content, toolCallId: `call_${i - 1}` });
    else messages.push({ role, content });
  });
  return messages;
}

/** Which layout a row is in, and what it holds. */
function readRow(row: unknown): { layout: string; row: Row } {
  const fields = objectOf(row, "the row");
  const has = (name: string): boolean => fields[name] !== undefined && fields[name] !== null;
  if ((has("prompt") || has("messages")) && has("answer")) {
    const messages: Message[] = has("messages")
      ? messagesOf(fields.messages)
      : [{ role: "user", content: text(fields.prompt, "prompt") }];
    if (messages[messages.length - 1].role === "assistant") refuse("a task's last message must not be the assistant's");
    const answer = typeof fields.answer === "number" ? String(fields.answer) : text(fields.answer, "answer");
    return { layout: "task", row: { kind: "task", conversation: { messages }, answer, fields } };
  }
  const chat = (layout: string, messages: Message[]): { layout: string; row: Row } => {
    if (!messages.some(({ role }) => role === "assistant")) refuse("nobody answers: there is no assistant message");
    const tools = toolsOf(fields.tools);
    const { thinking } = fields;
    const switched = thinking === "on" || thinking === "off" ? { thinking } : {};
    return {
      layout,
      row: { kind: "chat", conversation: { messages, ...(tools && { tools }), ...switched } as Conversation },
    };
  };
  if (has("messages")) return chat("messages", messagesOf(fields.messages));
  if (has("conversations")) return chat("sharegpt", shareGpt(fields.conversations, fields.system));
  if (has("instruction") && has("output")) {
    const input = typeof fields.input === "string" && fields.input !== "" ? `\n\n${fields.input}` : "";
    const messages: Message[] = [
      { role: "user", content: text(fields.instruction, "instruction") + input },
      { role: "assistant", content: text(fields.output, "output") },
    ];
    if (typeof fields.system === "string" && fields.system !== "")
      messages.unshift({ role: "system", content: fields.system });
    return chat("alpaca", messages);
  }
  if (has("text")) {
    const content = text(fields.text, "text");
    if (content.trim() === "") refuse("text is empty");
    return { layout: "text", row: { kind: "text", text: content } };
  }
  return refuse(
    `has none of the known layouts ({text}, {messages}, {prompt, answer}, {instruction, output}, {conversations}); its fields are ${Object.keys(fields).slice(0, 8).join(", ") || "none"}`,
  );
}

/** All rows of a file. Throws only where the file itself cannot be read; broken rows are listed. */
export function readRows(path: string): Rows {
  const raw = readFileSync(path);
  const content = (raw[0] === 0x1f && raw[1] === 0x8b ? gunzipSync(raw) : raw).toString("utf8").replace(/^\uFEFF/, "");
  const found: Rows = { path, layouts: new Map(), rows: [], numbers: [], broken: [] };
  const take = (row: number, read: () => unknown): void => {
    try {
      const { layout, row: value } = readRow(read());
      found.layouts.set(layout, (found.layouts.get(layout) ?? 0) + 1);
      found.rows.push(value);
      found.numbers.push(row);
    } catch (error) {
      if (!(error instanceof Error) || !(error instanceof Refused || error instanceof SyntaxError)) throw error;
      found.broken.push({
        row,
        reason: error instanceof SyntaxError ? `is not JSON (${error.message})` : error.message,
      });
    }
  };
  if (/\.txt(\.gz)?$/.test(path)) take(1, () => ({ text: content }));
  else if (content.trimStart().startsWith("[")) {
    const list = JSON.parse(content) as unknown[];
    list.forEach((row, i) => take(i + 1, () => row));
  } else
    content.split("\n").forEach((line, i) => {
      if (line.trim() !== "") take(i + 1, () => JSON.parse(line));
    });
  return found;
}
