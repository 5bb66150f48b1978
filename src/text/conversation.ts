// The one shape of a conversation between all layers: what a protocol is read into, what a chat format renders and parses,
// what training data holds. It is OpenAI's message shape with DeepSeek's reasoning added; it knows no wire protocol.

export type Role = "system" | "developer" | "user" | "assistant" | "tool" | "latest_reminder";

export interface ToolCall {
  id: string;
  name: string;
  /** The arguments as JSON text, exactly as the model wrote them where it did. */
  arguments: string;
}

export interface Message {
  role: Role;
  content: string;
  /** Assistant only: the thinking before the answer. */
  reasoningContent?: string;
  toolCalls?: ToolCall[];
  /** Tool only: which call this answers. */
  toolCallId?: string;
  name?: string;
  /** Assistant, last message only: the answer continues this text instead of starting anew. */
  prefix?: boolean;
}

export interface Tool {
  name: string;
  description?: string;
  /** JSON Schema of the arguments. */
  parameters?: Record<string, unknown>;
  strict?: boolean;
}

export type Thinking = "on" | "off";
export type Effort = "low" | "high" | "max";

export interface Conversation {
  messages: Message[];
  tools?: Tool[];
  thinking?: Thinking;
  effort?: Effort;
  /** Shown to models whose format has a section for it (V4); the engine's grammar enforces it. */
  responseFormat?: { type: "json_object" } | { type: "json_schema"; name?: string; schema: Record<string, unknown> };
}

/** One piece of a parsed answer; the kinds exclude each other and reasoning comes first. */
export type Delta =
  | { type: "reasoning"; text: string }
  | { type: "content"; text: string }
  | { type: "tool-call-start"; index: number; id: string; name: string }
  | { type: "tool-call-arguments"; index: number; text: string }
  | { type: "tool-call-end"; index: number };
