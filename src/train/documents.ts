// Rows as token ids with a loss weight each: plain text, text with a hole for fill-in-the-middle, conversations of which only what
// the assistant wrote is learnt. Packing is stream.ts's.

import { FIM_MARKS } from "../text/chat/fim.ts";
import { type ChatFormat, encodePrompt } from "../text/chat/format.ts";
import type { Conversation } from "../text/conversation.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { Document } from "./batch.ts";
import { uniform } from "./rewards.ts";
import type { Row } from "./rows.ts";

/** A text between its begin and end tokens; not `ended`: to be gone on with. */
export function textIds(tokenizer: Tokenizer, text: string, ended = true): Int32Array {
  const { bos, eos: end } = tokenizer.special;
  const eos = ended ? end : undefined;
  const ids = tokenizer.encode(text);
  return Int32Array.from([...(bos === undefined ? [] : [bos]), ...ids, ...(eos === undefined ? [] : [eos])]);
}

/**
 * The same with a part moved to the end (prefix-suffix-middle, DeepSeek-V3 report §4.1): the cuts fall where `random` says, between
 * characters. Throws RangeError where the vocabulary lacks the marks.
 */
export function fimIds(tokenizer: Tokenizer, text: string, random: () => number): Int32Array {
  const marks = FIM_MARKS.map((mark) => tokenizer.idOf(mark));
  if (marks.some((id) => id === undefined))
    throw new RangeError(`fill-in-the-middle needs the tokens ${FIM_MARKS.join(" ")}, which this vocabulary lacks`);
  const characters = Array.from(text);
  const [a, b] = [random(), random()].map((u) => Math.floor(u * (characters.length + 1))).sort((x, y) => x - y);
  const [prefix, middle, suffix] = [characters.slice(0, a), characters.slice(a, b), characters.slice(b)].map((part) =>
    Array.from(tokenizer.encode(part.join(""))),
  );
  const [begin, hole, end] = marks as number[];
  const { bos, eos } = tokenizer.special;
  const one = (id: number | undefined): number[] => (id === undefined ? [] : [id]);
  return Int32Array.from([...one(bos), begin, ...prefix, hole, ...suffix, end, ...middle, ...one(eos)]);
}

/**
 * A conversation as the chat format writes it; what the assistant wrote, end marks included, weighs 1, all else `otherWeight`. The
 * pieces are encoded apart, as they are when the model is used: a prompt, then what it goes on with.
 */
export function chatDocument(
  tokenizer: Tokenizer,
  chat: ChatFormat,
  conversation: Conversation,
  otherWeight = 0,
): { ids: Int32Array; weights: Float32Array } {
  const { text, literal, answers } = chat.render(conversation);
  const ids: number[] = [];
  const learnt: boolean[] = [];
  const encode = (from: number, to: number, isAnswer: boolean): void => {
    if (from === to) return;
    const inside: number[] = [];
    for (let i = 0; i < literal.length; i += 2) {
      const [start, end] = [Math.max(from, literal[i]), Math.min(to, literal[i + 1])];
      if (start < end) inside.push(start - from, end - from);
    }
    const piece = text.slice(from, to);
    for (const id of tokenizer.encode(piece, { addSpecial: from === 0, parseSpecial: true, literal: inside })) {
      ids.push(id);
      learnt.push(isAnswer);
    }
  };
  let at = 0;
  for (let i = 0; i < answers.length; i += 2) {
    encode(at, answers[i], false);
    encode(answers[i], answers[i + 1], true);
    at = answers[i + 1];
  }
  encode(at, text.length, false);
  const weights = new Float32Array(ids.length);
  // Weight t is that of predicting token t + 1.
  for (let t = 0; t + 1 < ids.length; t++) weights[t] = learnt[t + 1] ? 1 : otherWeight;
  return { ids: Int32Array.from(ids), weights };
}

export interface DocumentOptions {
  tokenizer: Tokenizer;
  /** Absent: conversations are refused. */
  chat?: ChatFormat;
  /** Share of the texts that get a hole. */
  fimRate: number;
  /** Weight of predicting tokens the assistant did not write. */
  promptWeight: number;
  seed: number;
}

/** The documents of the `draw`-th drawn row, none longer than `longest`: long texts in pieces, long conversations left out. */
export function documentsOf(row: Row, draw: number, longest: number, options: DocumentOptions): Document[] {
  const { tokenizer, chat, fimRate, promptWeight, seed } = options;
  if (row.kind === "text") {
    let n = 0;
    const random = (): number => uniform(seed, draw, 31, n++);
    const ids = random() < fimRate ? fimIds(tokenizer, row.text, random) : textIds(tokenizer, row.text);
    const pieces: Document[] = [];
    for (let at = 0; at < ids.length; at += longest) {
      const piece = ids.subarray(at, at + longest);
      if (piece.length > 1) pieces.push({ ids: piece });
    }
    return pieces;
  }
  if (!chat) throw new RangeError("conversations need a model with a chat format");
  const conversation =
    row.kind === "chat"
      ? row.conversation
      : { messages: [...row.conversation.messages, { role: "assistant" as const, content: row.answer }] };
  const document = chatDocument(tokenizer, chat, conversation, promptWeight);
  return document.ids.length > longest || !document.weights.some((w) => w > 0) ? [] : [document];
}

/** A task's prompt as the engine takes it. */
export function promptOf(
  tokenizer: Tokenizer,
  chat: ChatFormat,
  conversation: Conversation,
): { ids: Int32Array; startsInThinking: boolean } {
  const prompt = chat.render(conversation);
  return { ids: encodePrompt(tokenizer, prompt), startsInThinking: prompt.startsInThinking };
}
