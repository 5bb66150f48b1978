// Formats without special tokens in the dialogue, thinking or tools: DeepSeek-LLM, MoE, V2 ("User: / Assistant:") and Coder
// instruct ("### Instruction:"). Layouts: the chat templates in their
// repositories' tokenizer_config.json.

import type { Conversation } from "../conversation.ts";
import {
  type AnswerParser,
  type AnswerStart,
  type ChatFormat,
  PromptBuilder,
  type RenderedPrompt,
  readDialogue,
  refuseTools,
} from "./format.ts";
import { BOS, EOS, EOT } from "./marks.ts";
import type { State } from "./scanner.ts";
import { ThinkingParser } from "./thinking-parser.ts";

const PLAIN = {
  thinking: "never",
  thinksByDefault: false,
  efforts: [],
  tools: undefined,
} as const;

/** Content only; a space at the start, or the newline before an end mark, belongs to the layout. */
class PlainParser extends ThinkingParser {
  private readonly trims: "space" | "newline";

  constructor(start: AnswerStart, trims: "space" | "newline", ends: readonly string[]) {
    super({ ...start, startsInThinking: false }, { thinks: false, newlines: false, toolMarks: [], ends });
    this.trims = trims;
    if (trims === "space" && !start.continuesContent) this.state = this.atSpace;
  }

  private atSpace: State = () => {
    if (this.buffer === "") return "more";
    if (this.buffer.startsWith(" ")) this.drop(1);
    this.state = this.inContent;
    return "again";
  };

  override end() {
    if (this.trims === "newline" && this.buffer === "\n") this.buffer = "";
    return super.end();
  }
}

/** `User: …\n\nAssistant: …EOS`; no space after the last "Assistant:". */
export const v2Format: ChatFormat = {
  ...PLAIN,
  name: "deepseek-v2",
  stopTokens: [EOS],
  stopStrings: ["\n\nUser:"],
  render(conversation: Conversation): RenderedPrompt {
    refuseTools(conversation, "deepseek-v2");
    const { system, messages, prefix, complete } = readDialogue(conversation);
    const out = new PromptBuilder().mark(BOS);
    if (system !== undefined) out.words(system).mark("\n\n");
    for (const message of messages) {
      if (message.role === "assistant") {
        out.mark("Assistant:");
        out.answer(() => {
          out.mark(" ").words(message.content);
          if (message !== prefix) out.mark(EOS);
        });
      } else out.mark("User: ").words(message.content).mark("\n\n");
    }
    if (!prefix && !complete) out.mark("Assistant:");
    return out.done(false, prefix !== undefined);
  },
  parser: (start: AnswerStart): AnswerParser => new PlainParser(start, "space", ["\n\nUser:"]),
};

const CODER_SYSTEM =
  "You are a programming assistant built on DeepSeek Coder. You answer questions about computer science and decline others.";

/** `### Instruction:\n…\n### Response:\n…\n<|EOT|>\n`; without a system message a sentence of ours stands there. */
export const coderFormat: ChatFormat = {
  ...PLAIN,
  name: "deepseek-coder",
  stopTokens: [EOT, EOS],
  stopStrings: ["\n### Instruction:"],
  render(conversation: Conversation): RenderedPrompt {
    refuseTools(conversation, "deepseek-coder");
    const { system, messages, prefix, complete } = readDialogue(conversation);
    const out = new PromptBuilder().mark(BOS);
    if (system === undefined) out.mark(`${CODER_SYSTEM}\n`);
    else out.words(system).mark("\n");
    for (const message of messages) {
      if (message.role === "assistant") {
        out.mark("### Response:\n");
        out.answer(() => {
          out.words(message.content);
          if (message !== prefix) out.mark(`\n${EOT}`);
        });
        if (message !== prefix) out.mark("\n");
      } else out.mark("### Instruction:\n").words(message.content).mark("\n");
    }
    if (!prefix && !complete) out.mark("### Response:\n");
    return out.done(false, prefix !== undefined);
  },
  parser: (start: AnswerStart): AnswerParser =>
    new PlainParser(start, "newline", [EOT, `\n${EOT}`, `\n${EOS}`, "\n### Instruction:"]),
};
