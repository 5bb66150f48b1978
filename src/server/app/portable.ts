// Conversations leaving and entering: our JSON (the whole tree), Markdown (the path shown), and the conversations.json of
// DeepSeek's and OpenAI's account exports. Input is untrusted; what cannot be read is counted, not guessed.
import { z } from "zod";
import { AppError } from "./errors.ts";
import { newId } from "./passwords.ts";
import type { ChatMessage, ConversationSettings, ConversationState } from "./protocol.ts";
import { limits } from "./protocol.ts";
import { pathTo } from "./tree.ts";

export interface PortableConversation {
  title: string;
  createdAt: number;
  settings?: ConversationSettings;
  pinned?: boolean;
  archived?: boolean;
  /** The folder's name. */
  folder?: string;
  head: string | null;
  /** Parents before children. */
  messages: ChatMessage[];
}

export interface ImportResult {
  format: "weir" | "deepseek" | "openai";
  conversations: PortableConversation[];
  /** Conversations that held no readable message. */
  skipped: number;
}

const format = "weir-conversations";

export function toJson(conversations: PortableConversation[]): string {
  return JSON.stringify({ format, version: 1, conversations }, null, 1);
}

export function toPortable(state: ConversationState, createdAt: number, folder?: string): PortableConversation {
  const { title, settings, pinned, archived, head } = state;
  return { title, createdAt, settings, pinned, archived, folder, head, messages: [...state.messages.values()] };
}

const fence = (text: string): string =>
  "`".repeat(Math.max(3, ...[...text.matchAll(/`+/g)].map(([run]) => run.length + 1)));

/** The path shown, as a document for people: thinking as a quotation, attachments as fenced blocks. */
export function toMarkdown(state: ConversationState): string {
  const parts = [`# ${state.title.replace(/\s+/g, " ")}`];
  for (const message of pathTo(state.messages, state.head)) {
    parts.push(message.role === "user" ? "## User" : `## ${message.model ?? "Assistant"}`);
    for (const { name, text } of message.attachments ?? [])
      parts.push(`**${name}**\n\n${fence(text)}\n${text}\n${fence(text)}`);
    if (message.reasoning)
      parts.push(
        message.reasoning
          .trim()
          .split("\n")
          .map((line) => `> ${line}`)
          .join("\n"),
      );
    parts.push(message.content.trim());
  }
  return `${parts.join("\n\n")}\n`;
}

const id = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);
const time = z.number().int().min(0).max(8.64e15);
const text = z.string().max(limits.message * 5);
const count = z.number().min(0).max(1e15);

export const attachmentSchema = z.object({
  name: z.string().min(1).max(255),
  type: z.string().max(100),
  text: z.string().max(limits.attachment),
});

export const settingsSchema = z.object({
  model: z.string().max(200).optional(),
  system: z.string().max(limits.system).optional(),
  thinking: z.boolean().optional(),
  effort: z.enum(["low", "high", "max"]).optional(),
  temperature: z.number().min(0).max(2).optional(),
  topP: z.number().gt(0).max(1).optional(),
  maxTokens: z.number().int().min(1).max(1_000_000).optional(),
  thinkingBudget: z.number().int().min(0).max(1_000_000).optional(),
  inside: z.boolean().optional(),
});

const usageSchema = z.object({
  promptTokens: count,
  cachedTokens: count,
  completionTokens: count,
  reasoningTokens: count,
  queueMs: count,
  prefillMs: count,
  decodeMs: count,
  cost: z.object({ amount: z.number(), currency: z.string().max(8) }).optional(),
  energyJoules: count.optional(),
});

const messageSchema = z.object({
  id,
  parent: id.nullable(),
  role: z.enum(["user", "assistant"]),
  content: text,
  at: time,
  attachments: z.array(attachmentSchema).max(limits.attachments).optional(),
  model: z.string().max(200).optional(),
  reasoning: text.optional(),
  status: z.enum(["running", "done", "length", "stopped", "failed", "interrupted"]).optional(),
  error: z.string().max(100).optional(),
  usage: usageSchema.optional(),
  timing: z.object({ firstTokenMs: count.optional(), reasoningMs: count.optional(), totalMs: count }).optional(),
});

const conversationSchema = z.object({
  title: z.string().max(limits.title),
  createdAt: time,
  settings: settingsSchema.optional(),
  pinned: z.boolean().optional(),
  archived: z.boolean().optional(),
  folder: z.string().max(limits.folderName).optional(),
  head: id.nullable(),
  messages: z.array(messageSchema).max(50_000),
});

/** Puts parents before children, otherwise keeping the order; drops what hangs on nothing or on itself. */
function ordered(messages: ChatMessage[]): ChatMessage[] {
  const result: ChatMessage[] = [];
  const placed = new Set<string>();
  const waiting = new Map<string, ChatMessage[]>();
  for (const message of messages) {
    const { parent } = message;
    if (parent !== null && !placed.has(parent)) {
      waiting.set(parent, [...(waiting.get(parent) ?? []), message]);
      continue;
    }
    const queue = [message];
    for (let next = queue.shift(); next; next = queue.shift()) {
      if (placed.has(next.id)) continue;
      placed.add(next.id);
      result.push(next);
      queue.push(...(waiting.get(next.id) ?? []));
    }
  }
  return result;
}

/** Reads any of the known formats; the error says which are known. */
export function readConversations(raw: string): ImportResult {
  let value: unknown;
  try {
    value = JSON.parse(raw);
  } catch (error) {
    throw new AppError(422, "import_not_json", `The file is not JSON: ${(error as Error).message}`);
  }
  if (typeof value === "object" && value !== null && "format" in value && value.format === format)
    return readOwn(value);
  if (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((one) => typeof one === "object" && one !== null && "mapping" in one)
  )
    return readExport(value);
  throw new AppError(
    422,
    "import_unknown",
    "The file is neither a Weir export nor the conversations.json of DeepSeek or OpenAI.",
  );
}

function readOwn(value: object): ImportResult {
  const parsed = z.object({ conversations: z.array(conversationSchema).max(20_000) }).safeParse(value);
  if (!parsed.success)
    throw new AppError(422, "import_broken", `The export is damaged: ${z.prettifyError(parsed.error).slice(0, 500)}`);
  const conversations = parsed.data.conversations.map((one) => {
    const messages = ordered(one.messages).map((message) =>
      message.status === "running" ? { ...message, status: "interrupted" as const } : message,
    );
    return { ...one, messages, head: messages.some((message) => message.id === one.head) ? one.head : null };
  });
  return { format: "weir", conversations, skipped: 0 };
}

const node = z.object({
  parent: z.string().nullish(),
  message: z
    .object({
      author: z.object({ role: z.string() }).optional(),
      content: z.unknown().optional(),
      create_time: z.number().nullish(),
      inserted_at: z.union([z.string(), z.number()]).nullish(),
      model: z.string().nullish(),
      role: z.string().nullish(),
      reasoning_content: z.string().nullish(),
      metadata: z.record(z.string(), z.unknown()).nullish(),
      fragments: z.array(z.object({ type: z.string(), content: z.unknown().optional() })).nullish(),
      files: z.array(z.unknown()).nullish(),
    })
    .nullish(),
});

const exported = z.object({
  title: z.string().nullish(),
  create_time: z.number().nullish(),
  inserted_at: z.union([z.string(), z.number()]).nullish(),
  current_node: z.string().nullish(),
  mapping: z.record(z.string(), node),
});

type ExportNode = z.output<typeof node>;

function readTime(value: string | number | null | undefined): number | undefined {
  if (value === null || value === undefined) return undefined;
  // OpenAI writes seconds, DeepSeek ISO 8601 (or seconds).
  const at = typeof value === "number" ? Math.round(value * 1000) : Date.parse(value);
  return Number.isFinite(at) && at >= 0 ? at : undefined;
}

/** What one node says: text parts of OpenAI's content, DeepSeek's fragments (REQUEST, THINK, RESPONSE, SEARCH …). */
function readNode({
  message,
}: ExportNode): Pick<ChatMessage, "role" | "content" | "reasoning" | "model" | "at"> | undefined {
  if (!message) return undefined;
  const at = readTime(message.create_time ?? message.inserted_at) ?? 0;
  if (message.fragments) {
    const of = (...types: string[]): string =>
      message
        .fragments!.filter(({ type }) => types.includes(type))
        .map(({ content }) => (typeof content === "string" ? content : ""))
        .join("");
    const request = of("REQUEST");
    if (request !== "") return { role: "user", content: request, at };
    const content = of("RESPONSE");
    const reasoning = of("THINK");
    if (content === "" && reasoning === "") return undefined;
    return { role: "assistant", content, at, model: message.model ?? "deepseek", ...(reasoning ? { reasoning } : {}) };
  }
  const role = (message.author?.role ?? message.role ?? "").toLowerCase();
  if (role !== "user" && role !== "assistant") return undefined;
  let content = "";
  if (typeof message.content === "string") content = message.content;
  else if (typeof message.content === "object" && message.content !== null && "parts" in message.content) {
    const { parts } = message.content;
    if (Array.isArray(parts)) content = parts.filter((part) => typeof part === "string").join("\n");
  }
  if (content.trim() === "") return undefined;
  if (role === "user") return { role, content, at };
  const named = message.metadata?.model_slug ?? message.model;
  const reasoning = message.reasoning_content;
  return {
    role,
    content,
    at,
    model: typeof named === "string" ? named : "imported",
    ...(reasoning ? { reasoning } : {}),
  };
}

function readExport(values: unknown[]): ImportResult {
  const conversations: PortableConversation[] = [];
  let skipped = 0;
  let deepseek = false;
  for (const value of values.slice(0, 20_000)) {
    const parsed = exported.safeParse(value);
    const one = parsed.success ? parsed.data : undefined;
    const read = one && readTree(one);
    if (!one || !read || read.messages.length === 0) {
      skipped++;
      continue;
    }
    if (Object.values(one.mapping).some((each) => each.message?.fragments)) deepseek = true;
    const createdAt = readTime(one.create_time ?? one.inserted_at) ?? read.messages[0].at;
    conversations.push({ title: (one.title ?? "").slice(0, limits.title), createdAt, ...read });
  }
  return { format: deepseek ? "deepseek" : "openai", conversations, skipped };
}

function readTree({
  mapping,
  current_node,
}: z.output<typeof exported>): Pick<PortableConversation, "head" | "messages"> {
  const names = new Map<string, string>();
  const kept = new Map(Object.entries(mapping).map(([key, value]) => [key, readNode(value)]));
  /** The nearest ancestor that is a message; nodes of system and tools are passed over. */
  const keptFrom = (start: string | null | undefined): string | null => {
    let key = start;
    for (let steps = 0; key != null && steps < 100_000; steps++) {
      if (kept.get(key)) return key;
      key = Object.hasOwn(mapping, key) ? mapping[key].parent : null;
    }
    return null;
  };
  const name = (key: string): string => {
    if (!names.has(key)) names.set(key, newId());
    return names.get(key)!;
  };
  const messages: ChatMessage[] = [];
  for (const [key, message] of kept) {
    if (!message) continue;
    const parent = keptFrom(mapping[key].parent);
    if (parent === key) continue;
    const status = message.role === "assistant" ? { status: "done" as const } : {};
    messages.push({ id: name(key), parent: parent === null ? null : name(parent), ...message, ...status });
  }
  const tree = ordered(messages);
  const head = keptFrom(current_node);
  const last = tree.at(-1)?.id ?? null;
  return { messages: tree, head: head === null ? last : tree.some(({ id }) => id === name(head)) ? name(head) : last };
}
