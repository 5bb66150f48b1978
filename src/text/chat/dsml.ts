// V3.2 and V4: thinking marks on every turn, tool calls in DSML, reasoning kept through tool loops. Layouts: reference
// "deepseek" 4.1, 4.3, 4.4.

import type { Conversation, Message, ToolCall } from "../conversation.ts";
import { DsmlParser } from "./dsml-parser.ts";
import {
  type AnswerParser,
  type AnswerStart,
  type ChatFormat,
  PromptBuilder,
  type RenderedPrompt,
  readDialogue,
  type ToolSyntax,
  thinksIn,
} from "./format.ts";
import { jsonMembers } from "./json-members.ts";
import { ASSISTANT, BOS, DSML, END_THINK, EOS, LATEST_REMINDER, THINK, USER } from "./marks.ts";
import { dsmlToolsSection, spacedJson } from "./tools-text.ts";

type Dsml = ToolSyntax & { kind: "dsml" };

function syntax(block: string): Dsml {
  return {
    kind: "dsml",
    begin: `\n\n<${DSML}${block}>\n`,
    invoke: [`<${DSML}invoke name="`, '">\n'],
    endInvoke: `</${DSML}invoke>\n`,
    parameter: [`<${DSML}parameter name="`, '" string="', '">'],
    endParameter: `</${DSML}parameter>\n`,
    end: `</${DSML}${block}>`,
  };
}

const CALLS_V32 = syntax("function_calls");
const CALLS_V4 = syntax("tool_calls");

function escapeName(name: string): string {
  return name.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("\n", " ");
}

function writeCalls(out: PromptBuilder, calls: readonly ToolCall[] | undefined, dsml: Dsml): void {
  if (!calls?.length) return;
  out.mark(dsml.begin);
  for (const call of calls) {
    out.mark(dsml.invoke[0]).words(escapeName(call.name)).mark(dsml.invoke[1]);
    const members = jsonMembers(call.arguments);
    // Arguments that are no JSON object go in as they are: the inline form.
    if (members === undefined) out.words(call.arguments.trim()).mark("\n");
    else if (members.length === 0) out.mark("\n");
    for (const [name, raw] of members ?? []) {
      out.mark(dsml.parameter[0]).words(escapeName(name)).mark(dsml.parameter[1]);
      const text: unknown = raw.startsWith('"') ? JSON.parse(raw) : undefined;
      // A string that holds markup would end too early as it is; as JSON it can be escaped.
      const asIs = typeof text === "string" && !text.includes(DSML);
      out.mark(asIs ? "true" : "false").mark(dsml.parameter[2]);
      out.words(asIs ? text : raw.replaceAll(DSML, DSML.replaceAll("｜", "\\uff5c")));
      out.mark(dsml.endParameter);
    }
    out.mark(dsml.endInvoke);
  }
  out.mark(dsml.end);
}

function writeInstructions(
  out: PromptBuilder,
  system: string | undefined,
  conversation: Conversation,
  dsml: Dsml,
): void {
  if (system !== undefined) out.words(system);
  if (conversation.tools?.length) {
    out.mark("\n\n");
    dsmlToolsSection(out, conversation.tools, dsml);
  }
  const format = conversation.responseFormat;
  if (format) {
    out.mark("\n\n## Response Format:\n\n");
    if (format.type === "json_object") out.mark("Answer with one JSON object and nothing else.");
    else out.mark("Answer with JSON that follows this schema exactly:\n").words(spacedJson(format.schema));
  }
}

interface Turns {
  out: PromptBuilder;
  thinks: boolean;
  /** Whether the assistant message at this index keeps its reasoning. */
  keeps(index: number): boolean;
}

/** An answer, from after the thinking mark that the turn before has written. */
function writeAnswer(turns: Turns, message: Message, index: number, prefix: boolean, dsml: Dsml): boolean {
  const { out } = turns;
  const reasoning = turns.keeps(index) ? (message.reasoningContent ?? "") : undefined;
  const halfThought = prefix && turns.thinks && message.content === "" && message.reasoningContent !== undefined;
  out.answer(() => {
    if (reasoning !== undefined) out.words(reasoning).mark(halfThought ? "" : END_THINK);
    out.words(message.content);
    if (prefix) return;
    writeCalls(out, message.toolCalls, dsml);
    out.mark(EOS);
  });
  return halfThought;
}

function renderV32(conversation: Conversation): RenderedPrompt {
  const dialogue = readDialogue(conversation);
  const { system, messages, lastUser, prefix, complete } = dialogue;
  const thinks = thinksIn(conversation, dialogue, false);
  const out = new PromptBuilder().mark(BOS);
  writeInstructions(out, system, conversation, CALLS_V32);
  // The thinking mark belongs to the turn before the answer; reasoning is kept after the last user message only.
  const keeps = (index: number) => thinks && index > lastUser;
  const thinkMark = (index: number) => (keeps(index + 1) ? THINK : END_THINK);
  let startsInThinking = thinks;
  messages.forEach((message, i) => {
    if (message.role === "assistant") {
      if (i === 0) out.mark(ASSISTANT).mark(thinkMark(-1));
      startsInThinking = writeAnswer({ out, thinks, keeps }, message, i, message === prefix, CALLS_V32);
    } else if (message.role === "tool") {
      out.mark(messages[i - 1]?.role === "tool" ? "\n" : "\n\n<function_results>\n");
      out.mark("<result>").words(message.content).mark("</result>");
      if (messages[i + 1]?.role !== "tool") out.mark(`\n</function_results>\n\n${thinkMark(i)}`);
      startsInThinking = keeps(i + 1);
    } else {
      out.mark(USER).words(message.content).mark(ASSISTANT).mark(thinkMark(i));
      startsInThinking = keeps(i + 1);
    }
  });
  if (messages.length === 0) out.mark(ASSISTANT).mark(thinkMark(-1));
  if (prefix) return out.done(startsInThinking, !startsInThinking);
  return complete ? out.done() : out.done(startsInThinking);
}

/** Put before everything when the model is to think as long as it can. */
const MAX_EFFORT =
  "Reasoning Effort: maximum.\nThink as thoroughly as you can: take the problem apart, try every approach, check every step and every special case, and write down what you discard and why.\n\n";

/** A literal end of result inside a result would end it. */
function escapeResult(text: string): string {
  return text.replaceAll("</tool_result>", "<\\/tool_result>");
}

/** Results in the order of the calls they answer; those of unknown calls last, as they came. */
function inCallOrder(results: Message[], calls: readonly ToolCall[] | undefined): Message[] {
  const place = (message: Message): number => {
    const at = calls?.findIndex((call) => call.id === message.toolCallId) ?? -1;
    return at < 0 ? Number.MAX_SAFE_INTEGER : at;
  };
  return results
    .map((message, i) => ({ message, i }))
    .sort((a, b) => place(a.message) - place(b.message) || a.i - b.i)
    .map(({ message }) => message);
}

function renderV4(conversation: Conversation): RenderedPrompt {
  const dialogue = readDialogue(conversation, true);
  const { system, messages, lastUser, prefix, complete } = dialogue;
  const thinks = thinksIn(conversation, dialogue, true);
  const out = new PromptBuilder().mark(BOS);
  if (thinks && conversation.effort === "max") out.mark(MAX_EFFORT);
  writeInstructions(out, system, conversation, CALLS_V4);
  const keepsAll = (conversation.tools?.length ?? 0) > 0;
  const keeps = (index: number) => thinks && (keepsAll || index > lastUser);
  const thinkMark = (index: number) => (keeps(index) ? THINK : END_THINK);
  let calls: readonly ToolCall[] | undefined;
  let startsInThinking = false;
  for (let i = 0; i < messages.length; ) {
    const message = messages[i];
    if (message.role === "assistant") {
      out.mark(ASSISTANT).mark(thinkMark(i));
      startsInThinking = writeAnswer({ out, thinks, keeps }, message, i, message === prefix, CALLS_V4);
      calls = message.toolCalls;
      i++;
    } else if (message.role === "latest_reminder") {
      out.mark(LATEST_REMINDER).words(message.content);
      i++;
    } else {
      // Tool results and what the user says next are one turn.
      let end = i;
      while (messages[end]?.role === "tool") end++;
      const results = inCallOrder(messages.slice(i, end), calls);
      out.mark(USER);
      results.forEach((result, n) => {
        out
          .mark(n === 0 ? "<tool_result>" : "\n\n<tool_result>")
          .words(escapeResult(result.content))
          .mark("</tool_result>");
      });
      if (messages[end]?.role === "user") {
        if (results.length > 0) out.mark("\n\n");
        out.words(messages[end].content);
        end++;
      }
      i = end;
    }
  }
  if (prefix) return out.done(startsInThinking, !startsInThinking);
  if (complete) return out.done();
  out.mark(ASSISTANT).mark(thinkMark(messages.length));
  return out.done(thinks);
}

const parser = (start: AnswerStart): AnswerParser => new DsmlParser(start);
const SHARED = { thinking: "switch", stopTokens: [EOS], stopStrings: [], parser } as const;

export const v32Format: ChatFormat = {
  ...SHARED,
  name: "deepseek-v3.2",
  thinksByDefault: false,
  efforts: [],
  tools: CALLS_V32,
  render: renderV32,
};

export const v4Format: ChatFormat = {
  ...SHARED,
  name: "deepseek-v4",
  thinksByDefault: true,
  efforts: ["max"],
  tools: CALLS_V4,
  render: renderV4,
};

/** V4's built-in small tasks; the token asks for a short answer of one kind. */
export type QuickTask = "action" | "query" | "authority" | "domain" | "title" | "read_url";

/**
 * The prompt of a quick task: `title` after the last answer, `action` where the answer's thinking would start, the others
 * right after the user's words (`read_url` with the address in question).
 */
export function quickTask(conversation: Conversation, task: QuickTask, url?: string): RenderedPrompt {
  const prompt = renderV4({ ...conversation, thinking: task === "action" ? "on" : "off" });
  const mark = `<｜${task}｜>`;
  if (task === "title" || task === "action") return { ...prompt, text: prompt.text + mark, startsInThinking: false };
  const turn = `${ASSISTANT}${END_THINK}`;
  const words = prompt.text.endsWith(turn) ? prompt.text.slice(0, -turn.length) : prompt.text;
  if (url === undefined) return { ...prompt, text: words + mark, startsInThinking: false };
  const before = `${words}<｜extracted_url｜>`;
  const literal = [...prompt.literal, before.length, before.length + url.length];
  return { ...prompt, literal, text: before + url + mark, startsInThinking: false };
}
