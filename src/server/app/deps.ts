// What the chat application asks of the rest of the server: a database, the models, a way to have a conversation answered,
// and the tutor's verifier. The application knows nothing of engines, templates or wire protocols beyond this file.
import type { DatabaseSync } from "node:sqlite";
import type { FinishReason, Receipt, SamplingParameters } from "../../engine/types.ts";
import type { Conversation, Delta } from "../../text/conversation.ts";
import type {
  AnswerUsage,
  AppModel,
  Language,
  TokenRecord,
  TutorExercise,
  TutorMarks,
  TutorSkill,
} from "./protocol.ts";

export interface AppModels {
  list(): AppModel[];
  load(name: string): Promise<void>;
  unload(name: string): Promise<void>;
  /** The model a new conversation starts with. */
  default(): string | undefined;
}

export interface AnswerRequest {
  model: string;
  /** A last assistant message with `prefix` is continued. */
  conversation: Conversation;
  sampling: SamplingParameters;
  maxTokens?: number;
  thinkingBudget?: number;
  /** Report probability, alternatives and chosen experts of every token. */
  inside: boolean;
  /** Aborting stops the engine. */
  signal: AbortSignal;
}

export type AnswerEvent =
  | { type: "queued"; position: number; estimatedWaitMs: number }
  | { type: "delta"; delta: Delta }
  | { type: "token"; token: TokenRecord }
  | { type: "finish"; reason: FinishReason }
  | { type: "usage"; usage: AnswerUsage; receipt?: Receipt };

/** A failure of answering whose code the page has a sentence for; anything else is shown as `engine_failed`. */
export class AnswerError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = "AnswerError";
    this.code = code;
  }
}

export interface Tutor {
  skills(): TutorSkill[];
  /** Difficulty 1–5. The same seed gives the same exercise. */
  exercise(skill: string, difficulty: number, language: Language, seed: number): TutorExercise;
  /** Marks a worked solution: the working, one step per line, and the final answer (empty where there is none yet). */
  mark(question: string, solution: { working: string; answer: string }, language: Language): TutorMarks;
}

export interface AppDeps {
  db: DatabaseSync;
  /** False: whoever reaches this server is its one local administrator; the caller allows it on loopback only. */
  accounts: boolean;
  models: AppModels;
  generate(request: AnswerRequest): AsyncIterable<AnswerEvent>;
  tutor?: Tutor;
  /** Folder of the built page (web/dist). */
  webRoot: string;
  /** Prints a line in the terminal: the one-time token of the first run. */
  print(line: string): void;
  /** Network address of the client, for throttling and the session list. */
  address(request: Request): string;
  /** Host names the page may be reached under; others are refused (DNS rebinding). Undefined: any. */
  hosts?: string[];
  now?(): number;
}
