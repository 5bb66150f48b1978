// From conversations to training rows: the recipe's tokenizer, the chat format's text, token ids with a loss weight each.
import type { Conversation } from "../../text/conversation.ts";
import { tokenizerFromHuggingFace } from "../../text/huggingface.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { tokenizerJson, trainByteLevel } from "../../text/train.ts";
import type { Document } from "../../train/batch.ts";
import { mixture } from "../tutor/mixture.ts";

/** The text before the answer, in R1's format; the model goes on inside its thinking. */
export const promptText = (question: string): string =>
  `<｜begin▁of▁sentence｜><｜User｜>${question}<｜Assistant｜><think>\n`;

/** What the model is to write after `promptText`. */
export const answerText = (thinking: string, reply: string): string =>
  `${thinking}\n</think>\n\n${reply}<｜end▁of▁sentence｜>`;

/** Trains the digit-level vocabulary on `count` conversations of the corpus; returns tokenizer.json's content. */
export function trainTokenizer(vocabSize: number, seed: number, count = 30_000): Record<string, unknown> {
  const stream = mixture({ retry: 0.1 }, `tokenizer ${seed}`);
  function* texts(): Generator<string> {
    for (let i = 0; i < count; i++) {
      const [user, assistant] = stream.next().value.messages;
      yield user.content;
      yield assistant.reasoningContent ?? "";
      yield assistant.content;
    }
  }
  return tokenizerJson(trainByteLevel(texts(), { vocabSize, singleDigits: true }));
}

export const tokenizerFrom = (json: Record<string, unknown>): Tokenizer =>
  tokenizerFromHuggingFace({ tokenizer: json });

/** A single-turn conversation as ids; question tokens weigh `promptWeight`, thinking, reply and end 1. */
export function toDocument(tokenizer: Tokenizer, { messages }: Conversation, promptWeight: number): Document {
  const [user, assistant] = messages;
  const encode = (text: string): Int32Array => tokenizer.encode(text, { parseSpecial: true });
  const prompt = encode(promptText(user.content));
  const answer = encode(answerText(assistant.reasoningContent ?? "", assistant.content));
  const ids = new Int32Array(prompt.length + answer.length);
  ids.set(prompt);
  ids.set(answer, prompt.length);
  const weights = new Float32Array(ids.length);
  // Weight t is that of predicting token t + 1; the fixed opening of the prompt is not worth learning.
  for (let t = 0; t + 1 < ids.length; t++) weights[t] = t + 1 < prompt.length ? promptWeight : 1;
  return { ids, weights };
}
