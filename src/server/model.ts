// What the server needs of a loaded model: an engine, a tokenizer and the chat format of its generation. Who loads it
// (files, kernels) is decided outside and handed in as a function, so that the server can be tested without weights.
import type { Engine } from "../engine/types.ts";
import type { Conversation, Delta, Effort } from "../text/conversation.ts";

export interface RenderedPrompt {
  tokens: number[];
  /** Whether the prompt ends inside an open thinking section. */
  startsInThinking: boolean;
  /** Tokens that end the answer beside the model's own end token. */
  stopTokens?: number[];
}

/** Turns the tokens of one answer into deltas; recovers from malformed output, never throws. */
export interface AnswerParser {
  push(text: string, token: number): Delta[];
  end(): Delta[];
}

export interface ChatFormat {
  /** The name the engine's tool grammar knows this format by. */
  readonly name: string;
  /** Whether the model can think before it answers and be told not to. */
  readonly thinks: boolean;
  /** Effort levels the format has words for. */
  readonly efforts: readonly Effort[];
  render(conversation: Conversation): RenderedPrompt;
  parser(conversation: Conversation, prompt: RenderedPrompt): AnswerParser;
}

export interface ModelTokenizer {
  /** Plain text to ids, nothing added; special tokens spelled in the text stay text. */
  encode(text: string): number[];
  decode(tokens: number[]): string;
  /** The exact bytes of one token. */
  bytes(token: number): Uint8Array;
  /** Ids that a text prompt starts with, such as BOS. */
  readonly prefix: number[];
}

export interface LoadedModel {
  engine: Engine;
  tokenizer: ModelTokenizer;
  chat: ChatFormat;
  /** Prompt that makes the model write what stands between the two texts; absent where the model has no such tokens. */
  fillInMiddle?(prefix: string, suffix: string): number[];
}

/** Loads a directory or a GGUF file. Rejects with an error whose message names the file and the trouble. */
export type LoadEngine = (path: string) => Promise<LoadedModel>;
