// V2.5 and V3, R1 and its distills, V3.1, and Weir's own models: special tokens with nothing between the pieces, tool calls as
// JSON between tokens. Layouts, and what becomes of earlier reasoning: the chat templates in their repositories'
// tokenizer_config.json.

import type { Conversation, Message } from "../conversation.ts";
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
import { JsonCallsParser } from "./json-calls-parser.ts";
import {
  ASSISTANT,
  BOS,
  CALL_BEGIN,
  CALL_END,
  CALLS_BEGIN,
  CALLS_END,
  END_THINK,
  EOS,
  OUTPUT_BEGIN,
  OUTPUT_END,
  OUTPUTS_BEGIN,
  OUTPUTS_END,
  THINK,
  TOOL_SEP,
  USER,
} from "./marks.ts";
import { jinjaTemplate } from "./templates.ts";
import { toolsSection } from "./tools-text.ts";

/** Calls with the word "function" and a code fence: V2.5, V3, R1. */
const FENCED: ToolSyntax & { kind: "json" } = {
  kind: "json",
  begin: `${CALLS_BEGIN}${CALL_BEGIN}function${TOOL_SEP}`,
  beforeName: "",
  beforeArguments: "\n```json\n",
  afterArguments: `\n\`\`\`${CALL_END}`,
  separator: `\n${CALL_BEGIN}function${TOOL_SEP}`,
  end: CALLS_END,
};

/** Calls as name and bare JSON: V3.1. */
const BARE: ToolSyntax & { kind: "json" } = {
  kind: "json",
  begin: `${CALLS_BEGIN}${CALL_BEGIN}`,
  beforeName: "",
  beforeArguments: TOOL_SEP,
  afterArguments: CALL_END,
  separator: CALL_BEGIN,
  end: CALLS_END,
};

/** What tells these generations apart. */
export interface V3Style {
  name: string;
  /** Undefined: no thinking. */
  thinking?: {
    byDefault: boolean;
    /** After the assistant's mark when the model is to think, and when it is not. */
    open: string;
    closed: string;
    /** After the reasoning. */
    after: string;
    /** What stands before an earlier answer, whose reasoning is left out. */
    dropped: string;
  };
  calls: ToolSyntax & { kind: "json" };
  /** Before, between and after the results of one turn. */
  outputs: [string, string, string];
}

const V3: V3Style = { name: "deepseek-v3", calls: FENCED, outputs: [OUTPUTS_BEGIN, "\n", OUTPUTS_END] };

const R1: V3Style = {
  ...V3,
  name: "deepseek-r1",
  thinking: {
    byDefault: true,
    open: `${THINK}\n`,
    closed: `${THINK}\n\n${END_THINK}\n\n`,
    after: `\n${END_THINK}\n\n`,
    dropped: "",
  },
};

const V31: V3Style = {
  name: "deepseek-v3.1",
  thinking: {
    byDefault: false,
    open: THINK,
    closed: END_THINK,
    after: END_THINK,
    dropped: END_THINK,
  },
  calls: BARE,
  outputs: ["", "", ""],
};

function writeCalls(out: PromptBuilder, message: Message, syntax: ToolSyntax & { kind: "json" }): void {
  if (!message.toolCalls?.length) return;
  message.toolCalls.forEach((call, i) => {
    out.mark(i === 0 ? syntax.begin : syntax.separator);
    out.mark(syntax.beforeName).words(call.name).mark(syntax.beforeArguments);
    out.words(call.arguments.trim() || "{}").mark(syntax.afterArguments);
  });
  out.mark(syntax.end);
}

function render(style: V3Style, conversation: Conversation): RenderedPrompt {
  const dialogue = readDialogue(conversation);
  const { system, messages, prefix, complete } = dialogue;
  const { thinking } = style;
  const thinks = thinking !== undefined && thinksIn(conversation, dialogue, thinking.byDefault);
  const out = new PromptBuilder().mark(BOS);
  if (system !== undefined) out.words(system);
  if (conversation.tools?.length) {
    if (system !== undefined) out.mark("\n\n");
    toolsSection(out, conversation.tools, style.calls);
  }
  let halfThought = false;
  messages.forEach((message, i) => {
    const afterTool = messages[i - 1]?.role === "tool";
    const last = i === messages.length - 1;
    if (message.role === "tool") {
      out.mark(style.outputs[afterTool ? 1 : 0]);
      out.mark(OUTPUT_BEGIN).words(message.content).mark(OUTPUT_END);
      if (messages[i + 1]?.role !== "tool") out.mark(style.outputs[2]);
      return;
    }
    if (message.role !== "assistant") {
      out.mark(USER).words(message.content);
      return;
    }
    // After tool results the answer follows at once.
    if (!afterTool) out.mark(ASSISTANT);
    // Reasoning of earlier answers is left out, in tool loops too.
    const reasoning = last && thinks ? message.reasoningContent : undefined;
    if (thinking && reasoning !== undefined) {
      halfThought = message === prefix && message.content === "";
      out.mark(thinking.open).answer(() => {
        out.words(reasoning);
        if (!halfThought) out.mark(thinking.after);
      });
    } else if (thinking && !afterTool) out.mark(last ? thinking.closed : thinking.dropped);
    out.answer(() => {
      out.words(message.content);
      writeCalls(out, message, style.calls);
      if (message !== prefix) out.mark(EOS);
    });
  });
  if (prefix) return out.done(halfThought, !halfThought);
  if (complete || messages.at(-1)?.role === "tool") return out.done();
  out.mark(ASSISTANT);
  if (thinking) out.mark(thinks ? thinking.open : thinking.closed);
  return out.done(thinks);
}

function format(style: V3Style): ChatFormat {
  return {
    name: style.name,
    thinking: style.thinking ? "switch" : "never",
    thinksByDefault: style.thinking?.byDefault ?? false,
    efforts: [],
    tools: style.calls,
    stopTokens: [EOS],
    stopStrings: [],
    jinja: jinjaTemplate(style),
    render: (conversation: Conversation) => render(style, conversation),
    parser: (start: AnswerStart): AnswerParser =>
      new JsonCallsParser(start, {
        thinks: style.thinking !== undefined,
        newlines: style.thinking?.open.endsWith("\n") ?? false,
      }),
  };
}

export const v3Format = format(V3);
export const r1Format = format(R1);
export const v31Format = format(V31);
