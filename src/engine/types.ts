// The engine's contract with whoever asks it: the chat command, the server, the RL rollouts. An engine turns requests over
// token ids into streams of tokens; conversations, HTTP and quotas are other layers' business.

export interface SamplingParameters {
  /** 0 means greedy. Default 1. */
  temperature?: number;
  topP?: number;
  /** 0 or absent: all. */
  topK?: number;
  minP?: number;
  frequencyPenalty?: number;
  presencePenalty?: number;
  repetitionPenalty?: number;
  logitBias?: Map<number, number>;
  /** The same seed, prompt and weights give the same tokens. */
  seed?: number;
}

/** What the answer must look like; the engine masks every token that would leave it. */
export type Grammar =
  | { type: "json_schema"; schema: unknown }
  | { type: "json_object" }
  | { type: "regex"; pattern: string }
  | { type: "ebnf"; text: string }
  /** Free text in which tool calls, once begun, follow the model generation's syntax and the tools' schemas. */
  | {
      type: "tools";
      format: string;
      tools: { name: string; parameters?: unknown }[];
      choice: "auto" | "required" | { name: string };
    };

export interface GenerateRequest {
  /** Prompt token ids, BOS included where the model wants one. */
  prompt: number[] | Int32Array;
  /** Completions for this prompt; they share its computation. Default 1. */
  n?: number;
  maxTokens?: number;
  minTokens?: number;
  sampling?: SamplingParameters;
  /** Text that ends the answer; it is not part of it. Found across token borders. */
  stop?: string[];
  /** Token ids that end the answer beside the model's own end tokens. */
  stopTokens?: number[];
  /** Do not stop at the model's end tokens. */
  ignoreEos?: boolean;
  grammar?: Grammar;
  /** Whether the grammar applies to the answer only, after the thinking has ended. Default true. */
  grammarAfterThinking?: boolean;
  /** Whether the prompt left the model inside its thinking. */
  startsInThinking?: boolean;
  /** Most tokens of thinking; then the end-of-thinking token is forced. */
  thinkingBudget?: number;
  /** Alternatives to report per token, 0–20. */
  topLogprobs?: number;
  /** Report log-probabilities of the prompt tokens too. */
  promptLogprobs?: boolean;
  /** Report the chosen experts per layer of every token. */
  routes?: boolean;
  /** Name of a loaded adapter. */
  adapter?: string;
  /** Larger goes first among waiting requests. Default 0. */
  priority?: number;
  signal?: AbortSignal;
}

export interface TokenLogprob {
  id: number;
  /** Natural log of the probability after temperature, penalties and truncation ("the processed distribution"). */
  logprob: number;
}

export interface TokenEvent {
  type: "token";
  /** Which of the n completions. */
  index: number;
  id: number;
  /** The text that became complete with this token (never half a UTF-8 character, nothing of a stop string). */
  text: string;
  logprob: number;
  topLogprobs?: TokenLogprob[];
  /** Expert ids, layer after layer, when `routes` was asked for. */
  routes?: Uint16Array;
  /** True where grammar or budget left no choice; the model is then not asked. */
  forced?: boolean;
}

export type FinishReason = "stop" | "length" | "cancelled" | "error";

export interface FinishEvent {
  type: "finish";
  index: number;
  reason: FinishReason;
  /** The stop string or token that ended it. */
  stop?: string | number;
}

export interface Usage {
  promptTokens: number;
  /** Prompt tokens taken from the prefix cache. */
  cachedTokens: number;
  completionTokens: number;
  /** Tokens inside the thinking. */
  reasoningTokens: number;
  queueMs: number;
  prefillMs: number;
  decodeMs: number;
}

/** Everything needed to compute the same answer again, bit for bit. */
export interface Receipt {
  weir: string;
  /** See weights-hash.ts. */
  weightsHash: string;
  /** SHA-256 of the adapter's files, where `parameters.adapter` names one. */
  adapterHash?: string;
  /** SHA-256 of the answers' token ids in order; absent where one was cancelled or failed. */
  answerHash?: string;
  device: string;
  seed: number;
  prompt: number[];
  parameters: Record<string, unknown>;
}

export interface QueuedEvent {
  type: "queued";
  /** 1 is next. */
  position: number;
  estimatedWaitMs: number;
}

export interface UsageEvent {
  type: "usage";
  usage: Usage;
  receipt: Receipt;
  /**
   * For each prompt token, when asked for: itself with its log-probability given those before it (NaN for the first), then the
   * `topLogprobs` best alternatives. The model's own distribution, before temperature, penalties and truncation.
   */
  promptLogprobs?: TokenLogprob[][];
}

export type EngineEvent = QueuedEvent | TokenEvent | FinishEvent | UsageEvent;

export interface ModelInfo {
  /** Directory or file name the model came from. */
  name: string;
  architecture: string;
  parameters: number;
  activeParameters: number;
  contextLength: number;
  vocabSize: number;
  layers: number;
  experts: number;
  expertsPerToken: number;
  weightBytes: number;
  cacheBytesPerToken: number;
}

export interface EngineStats {
  running: number;
  waiting: number;
  cacheTokens: number;
  cacheCapacity: number;
  prefixHits: number;
  prefixQueries: number;
  promptTokens: number;
  completionTokens: number;
}

/** One loaded model. */
export interface Engine {
  readonly model: ModelInfo;
  /** Starts a request; the stream ends with one `usage` event. Throws a typed EngineError for what cannot be done. */
  submit(request: GenerateRequest): AsyncIterable<EngineEvent>;
  /** One vector per input: mean or last-token pooling of the final hidden states, L2-normalised. */
  embed(inputs: (number[] | Int32Array)[], pooling?: "mean" | "last"): Promise<Float32Array[]>;
  stats(): EngineStats;
  loadAdapter(name: string, path: string): Promise<void>;
  unloadAdapter(name: string): Promise<void>;
  /** Waits for nothing: running requests end as cancelled. */
  close(): Promise<void>;
}

export type EngineErrorCode =
  | "context_length_exceeded"
  | "invalid_parameter"
  | "unsatisfiable_grammar"
  | "unknown_adapter"
  | "adapter_mismatch"
  | "queue_full"
  | "out_of_memory"
  | "closed";

/** A request the engine refuses, with the field that is at fault. */
export class EngineError extends Error {
  readonly code: EngineErrorCode;
  readonly field: string | undefined;

  constructor(code: EngineErrorCode, message: string, field?: string) {
    super(message);
    this.name = "EngineError";
    this.code = code;
    this.field = field;
  }
}
