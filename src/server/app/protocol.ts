// The shapes that the chat application's server and page exchange: log events, messages, frames of a running answer.
// Types and pure functions only; the page imports this file as well.
import type { FinishReason, ModelInfo, Usage } from "../../engine/types.ts";
import type { Effort } from "../../text/conversation.ts";

export interface Attachment {
  name: string;
  /** Media type as the browser saw it. */
  type: string;
  text: string;
}

/** What a conversation's next answer is asked for with. */
export interface ConversationSettings {
  model?: string;
  system?: string;
  thinking?: boolean;
  effort?: Effort;
  temperature?: number;
  topP?: number;
  maxTokens?: number;
  thinkingBudget?: number;
  /** Record what See inside shows. */
  inside?: boolean;
}

export type AnswerStatus = "running" | "done" | "length" | "stopped" | "failed" | "interrupted";

export interface AnswerTiming {
  /** Milliseconds from the start of the answer. */
  firstTokenMs?: number;
  reasoningMs?: number;
  totalMs: number;
}

export interface ChatMessage {
  id: string;
  parent: string | null;
  role: "user" | "assistant";
  content: string;
  at: number;
  attachments?: Attachment[];
  /** Assistant only, from here on. */
  model?: string;
  reasoning?: string;
  status?: AnswerStatus;
  /** Code of the failure, where status is failed. */
  error?: string;
  usage?: AnswerUsage;
  timing?: AnswerTiming;
  /** Whether See inside has records of it. */
  inside?: boolean;
}

/** The append-only log of one conversation; a conversation is the fold of its events (tree.ts). */
export type LogEvent =
  | {
      kind: "conversation-changed";
      title?: string;
      /** The title was made from the first message and gives way to the user's. */
      automatic?: boolean;
      folder?: string | null;
      pinned?: boolean;
      archived?: boolean;
      settings?: ConversationSettings;
    }
  | { kind: "message-added"; message: ChatMessage }
  | {
      kind: "answer-started";
      id: string;
      parent: string;
      model: string;
      settings: ConversationSettings;
      /** The whole system prompt the model saw, folder instructions included. */
      system?: string;
      /** The answer goes on from what it has already; `answer-now` ends the thinking first. */
      resumes?: "continue" | "answer-now";
    }
  | { kind: "answer-progressed"; id: string; reasoning?: string; content?: string }
  | {
      kind: "answer-finished";
      id: string;
      status: Exclude<AnswerStatus, "running">;
      reason?: FinishReason;
      error?: string;
      usage?: AnswerUsage;
      timing?: AnswerTiming;
      inside?: boolean;
    }
  | { kind: "head-moved"; id: string }
  | { kind: "branch-removed"; id: string };

export interface LoggedEvent {
  seq: number;
  at: number;
  event: LogEvent;
}

/** What became new of a running answer since the frame before. */
export interface Frame {
  id: string;
  n: number;
  reasoning?: string;
  content?: string;
  tokens?: TokenRecord[];
  queue?: { position: number; estimatedWaitMs: number };
}

export interface ConversationSummary {
  id: string;
  title: string;
  automatic: boolean;
  folder: string | null;
  pinned: boolean;
  archived: boolean;
  createdAt: number;
  updatedAt: number;
  running: boolean;
}

export interface Folder {
  id: string;
  name: string;
  instructions: string;
}

export interface ConversationState extends Omit<ConversationSummary, "id" | "running" | "createdAt" | "updatedAt"> {
  settings: ConversationSettings;
  messages: Map<string, ChatMessage>;
  /** The leaf whose path is shown. */
  head: string | null;
}

export const limits = {
  /** Characters of one message. */
  message: 200_000,
  attachments: 20,
  /** Characters of one attachment's text. */
  attachment: 1_000_000,
  /** Characters of all attachments of one message. */
  attachmentsTotal: 4_000_000,
  system: 50_000,
  title: 200,
  folderName: 80,
  importBytes: 64 * 1024 * 1024,
} as const;

export interface AppModel {
  name: string;
  /** Computed by this process; false for models behind an upstream URL. */
  local: boolean;
  state: "unloaded" | "loading" | "loaded";
  /** Known once loaded, for local models. */
  info?: ModelInfo;
  /** Bytes of weights and cache held now. */
  memoryBytes?: number;
  contextLength?: number;
  /** The model thinks before it answers, and can be told not to. */
  thinking: boolean;
  /** Effort levels the model's chat format knows; empty where it knows none. */
  efforts: Effort[];
  /** The Step Tutor: its thinking is marked step by step. */
  tutor: boolean;
}

/** One token as the See-inside panel shows it. */
export interface TokenRecord {
  text: string;
  /** Natural log of the probability it was drawn with. */
  logprob: number;
  /** Alternatives, most probable first, as [text, logprob]. */
  top: [string, number][];
  /** Chosen experts: one list per layer with routed experts. */
  routes?: number[][];
  forced?: boolean;
}

export interface AnswerUsage extends Usage {
  cost?: { amount: number; currency: string };
  energyJoules?: number;
}

export type Language = "zh" | "en";

export interface TutorSkill {
  id: string;
  /** A core, B school, C university taste and stories, D search. */
  class: string;
  name: Record<Language, string>;
}

export interface TutorExercise {
  skill: string;
  difficulty: number;
  question: string;
}

export interface TutorStep {
  text: string;
  /** True right, false wrong, undefined where the verifier has nothing to say (a heading, a remark). */
  right?: boolean;
  explanation?: string;
}

export interface TutorMarks {
  steps: TutorStep[];
  /** The expected answer, where the question was understood. */
  expected?: string;
  /** Whether the final answer is right, where both are known. */
  correct?: boolean;
}

export type AccountRole = "admin" | "member";

export interface Account {
  id: string;
  name: string;
  role: AccountRole;
  /** Most tokens (prompt not cached + completion) a day; null is no limit. */
  quota: number | null;
  disabled: boolean;
  preferences: Record<string, unknown>;
  createdAt: number;
}

export interface Session {
  id: string;
  account: string;
  agent: string;
  address: string;
  createdAt: number;
  seenAt: number;
}

export interface Invitation {
  id: string;
  role: AccountRole;
  quota: number | null;
  createdAt: number;
  expiresAt: number;
}

export interface SearchHit {
  conversation: string;
  title: string;
  message: string;
  text: string;
  hits: [number, number][];
}

export interface UsageDay {
  account: string;
  day: string;
  model: string;
  answers: number;
  prompt: number;
  cached: number;
  completion: number;
  reasoning: number;
  computeMs: number;
}
