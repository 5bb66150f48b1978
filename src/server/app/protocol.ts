// The shapes that the chat application's server and page exchange: log events, messages, frames of a running answer.
// Types and pure functions only; the page imports this file as well.
import type { FinishReason } from "../../engine/types.ts";
import type { Effort } from "../../text/conversation.ts";
import type { AnswerUsage, TokenRecord } from "./deps.ts";

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
