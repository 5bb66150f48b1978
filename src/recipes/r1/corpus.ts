// From conversations to training rows: the recipe's tokenizer, the chat format's text, token ids with a loss weight each.
import { r1Format } from "../../text/chat/v3.ts";
import type { Conversation, Message } from "../../text/conversation.ts";
import { tokenizerFromHuggingFace } from "../../text/huggingface.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { tokenizerJson, trainByteLevel } from "../../text/train.ts";
import type { Document } from "../../train/batch.ts";
import { mixture } from "../tutor/mixture.ts";

/** The text before the answer to one question, in R1's format; the model goes on inside its thinking. */
export const promptText = (question: string): string =>
  `<｜begin▁of▁sentence｜><｜User｜>${question}<｜Assistant｜><think>\n`;

/** What the model is to write after the prompt. */
export const answerText = (thinking: string, reply: string): string =>
  `${thinking}\n</think>\n\n${reply}<｜end▁of▁sentence｜>`;

/** The prompt of a dialogue's next answer, as the chat format writes it when serving. */
const dialogueText = (messages: Message[]): string =>
  messages.length === 1 && messages[0].role === "user"
    ? promptText(messages[0].content)
    : r1Format.render({ messages }).text;

/** Trains the digit-level vocabulary on `count` conversations of the corpus; returns tokenizer.json's content. */
export function trainTokenizer(vocabSize: number, seed: number, count = 30_000): Record<string, unknown> {
  const stream = mixture({ retry: 0.1 }, `tokenizer ${seed}`);
  function* texts(): Generator<string> {
    for (let i = 0; i < count; i++)
      for (const { content, reasoningContent } of stream.next().value.messages) {
        if (reasoningContent !== undefined) yield reasoningContent;
        yield content;
      }
  }
  return tokenizerJson(trainByteLevel(texts(), { vocabSize, singleDigits: true }));
}

export const tokenizerFrom = (json: Record<string, unknown>): Tokenizer =>
  tokenizerFromHuggingFace({ tokenizer: json });

const encode = (tokenizer: Tokenizer, text: string): Int32Array => tokenizer.encode(text, { parseSpecial: true });

/** The prompt of one question as ids. */
export const promptIds = (tokenizer: Tokenizer, question: string): Int32Array =>
  encode(tokenizer, promptText(question));

/**
 * A conversation as ids; everything before the last answer weighs `promptWeight`, its thinking, reply and end 1. Throws RangeError
 * where the last message is not an answer.
 */
export function toDocument(tokenizer: Tokenizer, { messages }: Conversation, promptWeight: number): Document {
  const last = messages[messages.length - 1];
  if (last?.role !== "assistant")
    throw new RangeError(`a conversation to learn from ends with an answer, not with ${last?.role ?? "nothing"}`);
  const prompt = encode(tokenizer, dialogueText(messages.slice(0, -1)));
  const answer = encode(tokenizer, answerText(last.reasoningContent ?? "", last.content));
  const ids = new Int32Array(prompt.length + answer.length);
  ids.set(prompt);
  ids.set(answer, prompt.length);
  const weights = new Float32Array(ids.length);
  // Weight t is that of predicting token t + 1.
  for (let t = 0; t + 1 < ids.length; t++) weights[t] = t + 1 < prompt.length ? promptWeight : 1;
  return { ids, weights };
}
