// What every chat format offers: a conversation as prompt text, a parser for what the model answers, and the facts that
// grammar and server need. Each generation has its own file; select.ts picks one for a model.

import type { Conversation, Delta, Effort, Message } from "../conversation.ts";
import { TextError } from "../errors.ts";
import type { Tokenizer } from "../tokenizer.ts";

/** A conversation as text. */
export interface RenderedPrompt {
  /** Special tokens are written out as text. */
  text: string;
  /** [start, end) ranges of words from outside, in which the texts of special tokens must stay text. */
  literal: number[];
  /** [start, end) ranges that the assistant wrote, end mark included: what supervised training learns. */
  answers: number[];
  /** Whether the model goes on inside an open thinking section. */
  startsInThinking: boolean;
  /** Whether the model goes on with an answer that has begun (assistant-prefix continuation). */
  continuesContent: boolean;
}

/** Where an answer starts, as the prompt left it. */
export interface AnswerStart {
  startsInThinking: boolean;
  continuesContent?: boolean;
  /** Makes the ids of tool calls; by default random ones. */
  newCallId?: () => string;
}

/**
 * Turns an answer, fed piece by piece, into deltas: reasoning first, then content and tool calls, never two kinds at once.
 * However the text is cut into pieces, the deltas add up to the same. It never throws; docs/chat-formats.md has the rule
 * for each kind of malformed answer.
 */
export interface AnswerParser {
  push(text: string): Delta[];
  end(): Delta[];
}

/** How a format writes tool calls, for the engine's grammar: the literal texts around names and arguments. */
export type ToolSyntax =
  | {
      kind: "json";
      /** Before the first call; `separator` stands between calls and `end` after the last. */
      begin: string;
      beforeName: string;
      beforeArguments: string;
      afterArguments: string;
      separator: string;
      end: string;
    }
  | {
      kind: "dsml";
      begin: string;
      /** Around a function's name, and after its parameters. */
      invoke: [string, string];
      endInvoke: string;
      /** Around a parameter's name, then after "true" or "false" for a string as it is or JSON, then after its value. */
      parameter: [string, string, string];
      endParameter: string;
      end: string;
    };

export interface ChatFormat {
  readonly name: string;
  /** Whether the model can think before it answers, and be told not to. */
  readonly thinking: "never" | "switch";
  /** What holds when the conversation does not say. */
  readonly thinksByDefault: boolean;
  /** Effort levels the prompt has words for. */
  readonly efforts: readonly Effort[];
  /** Undefined where the format has no tools; rendering a conversation with tools is then an error. */
  readonly tools: ToolSyntax | undefined;
  /** Texts of the tokens that end an answer. */
  readonly stopTokens: readonly string[];
  /** Texts that end an answer although they are no tokens. */
  readonly stopStrings: readonly string[];
  /** A Jinja chat template that gives the same text, for files that other programs read; undefined where there is none. */
  readonly jinja?: string;
  /** @throws TextError when the conversation cannot be written in this format. */
  render(conversation: Conversation): RenderedPrompt;
  parser(start: AnswerStart): AnswerParser;
}

/** The prompt as token ids: special tokens where the format wrote them, none in words from outside. */
export function encodePrompt(tokenizer: Tokenizer, prompt: RenderedPrompt): Int32Array {
  return tokenizer.encode(prompt.text, { addSpecial: true, parseSpecial: true, literal: prompt.literal });
}

/** Whether a prompt rendered elsewhere (by a Jinja template) ends inside a thinking section. */
export function promptEndsInThinking(text: string): boolean {
  return /<think>\s*$/.test(text);
}

/** Collects prompt text and remembers which parts come from outside. */
export class PromptBuilder {
  private text = "";
  private readonly literal: number[] = [];
  private readonly answers: number[] = [];

  /** Text of the format itself. */
  mark(text: string): this {
    this.text += text;
    return this;
  }

  /** Words from outside. */
  words(text: string): this {
    const { literal } = this;
    const start = this.text.length;
    if (text === "") return this;
    this.text += text;
    if (literal.length > 0 && literal[literal.length - 1] === start) literal[literal.length - 1] = this.text.length;
    else literal.push(start, this.text.length);
    return this;
  }

  /** Marks what `write` adds as the assistant's. */
  answer(write: () => void): this {
    const start = this.text.length;
    write();
    this.answers.push(start, this.text.length);
    return this;
  }

  done(startsInThinking = false, continuesContent = false): RenderedPrompt {
    return { text: this.text, literal: this.literal, answers: this.answers, startsInThinking, continuesContent };
  }
}

/** The messages as the formats want them: instructions in one text, the dialogue after it. */
export interface Dialogue {
  /** All system and developer messages, joined by an empty line; undefined when there are none. */
  system: string | undefined;
  messages: Message[];
  /** Index of the last user message, or -1. */
  lastUser: number;
  /** The last message is an assistant's that the model goes on with. */
  prefix: Message | undefined;
  /** The dialogue ends with a finished answer: nothing is to be generated. */
  complete: boolean;
}

/**
 * Sorts a conversation's messages. Reminders go into the user message they precede unless the format has a place for them.
 * @throws TextError for roles or positions that no format can write.
 */
export function readDialogue(conversation: Conversation, keepsReminders = false): Dialogue {
  const system: string[] = [];
  const messages: Message[] = [];
  for (const message of conversation.messages) {
    const before = messages.at(-1);
    if (message.role === "system" || message.role === "developer") system.push(message.content);
    else if (message.role === "user" && before?.role === "latest_reminder" && !keepsReminders) {
      messages[messages.length - 1] = { ...message, content: `${before.content}\n\n${message.content}` };
    } else messages.push(message);
  }
  messages.forEach((message, i) => {
    if (!["user", "assistant", "tool", "latest_reminder"].includes(message.role)) {
      throw new TextError(`a message has the role ${JSON.stringify(message.role)}, which no chat format knows`);
    }
    if (message.prefix && (message.role !== "assistant" || i !== messages.length - 1)) {
      throw new TextError("only the last message, and only an assistant's, can be a prefix to go on from");
    }
  });
  const last = messages.at(-1);
  return {
    system: system.length > 0 ? system.join("\n\n") : undefined,
    messages,
    lastUser: messages.findLastIndex((message) => message.role === "user"),
    prefix: last?.prefix ? last : undefined,
    complete: last?.role === "assistant" && !last.prefix,
  };
}

/**
 * Whether the model is to think: as the conversation says; else, where its last answer stands (training data), whether that
 * one was thought over; else the format's habit.
 */
export function thinksIn(conversation: Conversation, dialogue: Dialogue, byDefault: boolean): boolean {
  if (conversation.thinking !== undefined) return conversation.thinking === "on";
  return dialogue.complete ? dialogue.messages.at(-1)!.reasoningContent !== undefined : byDefault;
}

/** @throws TextError when the conversation has tools and the format has none. */
export function refuseTools(conversation: Conversation, name: string): void {
  const calls = conversation.messages.some((message) => message.role === "tool" || message.toolCalls?.length);
  if (conversation.tools?.length || calls) {
    throw new TextError(`the chat format ${name} has no tools; use a model of a later generation or leave tools out`);
  }
}
