// Answers requests with a model loaded in this process: renders the conversation, runs the engine, parses tokens back into
// deltas. The only place of the server that sees token ids.
import {
  EngineError,
  type EngineEvent,
  type FinishEvent,
  type GenerateRequest,
  type Grammar,
  type SamplingParameters,
  type TokenEvent,
  type TokenLogprob,
} from "../engine/types.ts";
import { FIM_MARKS, fillInMiddle } from "../text/chat/fim.ts";
import { type AnswerParser, type AnswerStart, encodePrompt } from "../text/chat/format.ts";
import type { Conversation, Delta, Tool } from "../text/conversation.ts";
import { TextError } from "../text/errors.ts";
import { invalid, ServerError } from "./errors.ts";
import type { AnswerEnd, GenerationEvent, GenerationRequest, TokenReport, TokenText } from "./generation.ts";
import { loosened } from "./loosened.ts";
import type { LoadedModel } from "./model.ts";

/** What answers requests: a local model or another server. */
export interface Backend {
  generate(request: GenerationRequest, signal: AbortSignal): AsyncIterable<GenerationEvent>;
  /** Vectors of unit length, and how many tokens were read. */
  embed(inputs: (string | number[])[], signal: AbortSignal): Promise<{ vectors: Float32Array[]; promptTokens: number }>;
  /** Prompt tokens of a conversation, without running the model. */
  countTokens(conversation: Conversation): Promise<number>;
}

interface Prepared {
  tokens: number[] | Int32Array;
  start: AnswerStart;
  /** Undefined for plain text. */
  conversation?: Conversation;
}

/** Calls the text layer; what it cannot write in this format is the request's fault. */
function written<T>(field: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof TextError) throw invalid(field, error.message);
    throw error;
  }
}

/** The conversation as the model sees it: without tools when none may be called. */
function visible(conversation: Conversation, request: GenerationRequest): Conversation {
  return request.toolChoice === "none" ? { ...conversation, tools: undefined } : conversation;
}

function grammarOf(model: LoadedModel, request: GenerationRequest, conversation?: Conversation): Grammar | undefined {
  if (request.grammar) return request.grammar;
  if (!conversation) return undefined;
  // A call that must be well formed outranks the answer's format, which the prompt still states.
  if (conversation.tools?.length)
    return {
      type: "tools",
      format: model.chat.name,
      tools: conversation.tools.map(({ name, parameters }) => ({ name, parameters })),
      choice: request.toolChoice === undefined || request.toolChoice === "none" ? "auto" : request.toolChoice,
    };
  const format = conversation.responseFormat;
  if (format?.type === "json_schema") return { type: "json_schema", schema: format.schema };
  if (format?.type === "json_object") return { type: "json_object" };
  return undefined;
}

/** The same grammar with the tools' schemas loosened, where a tool is not strict; undefined where there is none to loosen. */
function looserGrammar(grammar: Grammar | undefined, tools: Tool[] | undefined): Grammar | undefined {
  if (grammar?.type !== "tools" || !tools?.some((tool) => !tool.strict)) return undefined;
  const free = new Set(tools.filter((tool) => !tool.strict).map((tool) => tool.name));
  return {
    ...grammar,
    tools: grammar.tools.map((tool) =>
      free.has(tool.name) ? { ...tool, parameters: loosened(tool.parameters) } : tool,
    ),
  };
}

/** Parses one of the n answers and assigns tokens to the text they became. */
class AnswerStream {
  readonly index: number;
  readonly #parser: AnswerParser | undefined;
  readonly #single: boolean;
  readonly #stops: string[];
  #pending: TokenReport[] = [];
  #calls = 0;
  /** The answer has its only tool call; whatever follows is dropped. */
  closed = false;

  constructor(index: number, parser: AnswerParser | undefined, request: GenerationRequest) {
    this.index = index;
    this.#parser = parser;
    this.#single = request.parallelToolCalls === false;
    this.#stops = request.stop ?? [];
  }

  *push(text: string, report: TokenReport | undefined): Generator<GenerationEvent> {
    if (this.closed) return;
    if (report) this.#pending.push(report);
    yield* this.#emit(this.#parser ? this.#parser.push(text) : text ? [{ type: "content", text }] : []);
  }

  *end(event: FinishEvent): Generator<GenerationEvent> {
    if (!this.closed) yield* this.#emit(this.#parser?.end() ?? []);
    let reason: AnswerEnd = event.reason === "error" ? "insufficient_system_resource" : event.reason;
    if (this.closed || (this.#calls > 0 && reason === "stop")) reason = "tool_calls";
    const stop = this.#stops.find((each) => each === event.stop);
    yield { type: "finish", index: this.index, reason, stop };
  }

  *#emit(deltas: Delta[]): Generator<GenerationEvent> {
    for (const delta of deltas) {
      if (this.closed) return;
      const event: GenerationEvent = { type: "delta", index: this.index, delta };
      if (delta.type === "tool-call-start") this.#calls++;
      if (delta.type === "tool-call-end" && this.#single) this.closed = true;
      if (this.#pending.length > 0) {
        if (delta.type === "content" || delta.type === "reasoning") event.tokens = this.#tokensOf(delta.text);
        else this.#pending = [];
      }
      yield event;
    }
  }

  /** The last pending tokens that cover the text; earlier ones were markers that the parser kept to itself. */
  #tokensOf(text: string): TokenReport[] {
    let missing = Buffer.byteLength(text);
    let from = this.#pending.length;
    while (from > 0 && missing > 0) missing -= this.#pending[--from].bytes.length;
    const tokens = this.#pending.slice(from);
    this.#pending = [];
    return tokens;
  }
}

const firstWaitMs = 2000;

/** The request's sampling; what it leaves open is as the model's makers set it. */
function withDefaults(asked: SamplingParameters = {}, defaults: SamplingParameters = {}): SamplingParameters {
  const said = Object.entries(asked).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(said) };
}

export class LocalBackend implements Backend {
  readonly model: LoadedModel;
  readonly #adapter: string | undefined;
  readonly #ends: Set<number>;

  /** `adapter`: the name of one that the model's engine has loaded. */
  constructor(model: LoadedModel, adapter?: string) {
    this.model = model;
    this.#adapter = adapter;
    const { tokenizer, chat } = model;
    this.#ends = new Set(tokenizer.special.eot);
    for (const text of chat.stopTokens) {
      const id = tokenizer.idOf(text);
      if (id !== undefined) this.#ends.add(id);
    }
  }

  #text(id: number, logprob: number): TokenText {
    const { tokenizer } = this.model;
    // Not decode: that drops the space which some vocabularies put before the first word.
    const bytes = tokenizer.isControl(id) ? Buffer.from(tokenizer.tokenOf(id)) : Buffer.from(tokenizer.bytesOf(id));
    return { token: bytes.toString(), bytes: [...bytes], logprob };
  }

  #report(id: number, logprob: number, top: TokenLogprob[] = []): TokenReport {
    return { ...this.#text(id, logprob), top: top.map((other) => this.#text(other.id, other.logprob)) };
  }

  /** What the parser reads: marks are spelled out, since the formats' tags may be control tokens; end tokens are nothing. */
  #spelled({ id, text }: TokenEvent): string {
    const { tokenizer } = this.model;
    return text === "" && tokenizer.isControl(id) && !this.#ends.has(id) ? tokenizer.tokenOf(id) : text;
  }

  #render(conversation: Conversation): Prepared {
    const { chat, tokenizer } = this.model;
    return written("messages", () => {
      const prompt = chat.render(conversation);
      return { tokens: encodePrompt(tokenizer, prompt), start: prompt, conversation };
    });
  }

  #prepare(request: GenerationRequest): Prepared {
    const { tokenizer } = this.model;
    const { input } = request;
    if (input.kind === "chat") return this.#render(visible(input.conversation, request));
    const start = { startsInThinking: false };
    if (input.suffix !== undefined) {
      if (FIM_MARKS.some((mark) => tokenizer.idOf(mark) === undefined))
        throw invalid(
          "suffix",
          `The model '${request.model}' has no tokens for filling in the middle; leave suffix out.`,
        );
      const text = typeof input.prompt === "string" ? input.prompt : tokenizer.decode(input.prompt);
      return { tokens: encodePrompt(tokenizer, fillInMiddle(text, input.suffix)), start };
    }
    if (typeof input.prompt === "string")
      return { tokens: tokenizer.encode(input.prompt, { addSpecial: true, parseSpecial: true }), start };
    const { vocabSize } = this.model.engine.model;
    const wrong = input.prompt.find((id) => id >= vocabSize);
    if (wrong !== undefined)
      throw invalid("prompt", `Token ${wrong} does not exist; this model's tokens are 0 to ${vocabSize - 1}.`);
    return { tokens: input.prompt, start };
  }

  async *generate(request: GenerationRequest, signal: AbortSignal): AsyncGenerator<GenerationEvent> {
    const { engine, chat } = this.model;
    const { tokens, start, conversation } = this.#prepare(request);
    const n = request.n ?? 1;
    const stopper = new AbortController();
    const generation: GenerateRequest = {
      prompt: tokens,
      n,
      maxTokens: request.maxTokens,
      minTokens: request.minTokens,
      sampling: withDefaults(request.sampling, this.model.sampling),
      stop: conversation ? [...(request.stop ?? []), ...chat.stopStrings] : request.stop,
      stopTokens: conversation && [...this.#ends],
      ignoreEos: request.ignoreEos,
      grammar: grammarOf(this.model, request, conversation),
      startsInThinking: start.startsInThinking,
      thinkingBudget: request.thinkingBudget,
      topLogprobs: request.logprobs,
      promptLogprobs: request.promptLogprobs,
      routes: request.inside,
      priority: request.priority,
      adapter: this.#adapter,
      signal: AbortSignal.any([signal, stopper.signal]),
    };
    const wanted = request.logprobs !== undefined;
    const parser = () => conversation && chat.parser(start);
    const answers = Array.from({ length: n }, (_, index) => new AnswerStream(index, parser(), request));
    const { contextLength } = engine.model;
    if (tokens.length >= contextLength)
      throw new ServerError(
        400,
        "context_length_exceeded",
        `The prompt has ${tokens.length} tokens; this model reads at most ${contextLength}.`,
        { field: request.input.kind === "chat" ? "messages" : "prompt" },
      );
    const { first, events } = await this.#submit(generation, looserGrammar(generation.grammar, conversation?.tools));
    try {
      yield { type: "start", model: request.model, promptTokens: tokens.length };
      for (let next = await first; !next.done; next = await events.next()) {
        const event = next.value;
        if (event.type === "token") {
          const answer = answers[event.index];
          yield* answer.push(this.#spelled(event), wanted ? this.#tokenReport(event) : undefined);
          if (answer.closed && answers.every((each) => each.closed)) stopper.abort();
        } else if (event.type === "finish") yield* answers[event.index].end(event);
        else if (event.type === "usage") {
          const prompt = event.promptLogprobs && this.#promptReports(generation.prompt, event.promptLogprobs);
          yield { type: "usage", usage: event.usage, receipt: event.receipt, prompt };
        } else yield event;
      }
    } finally {
      await events.return?.();
    }
  }

  /**
   * Starts a request. An engine in another thread refuses on the stream's first turn; a short wait lets that still become a
   * status. Tools that are not strict may say more than a grammar can hold: then they are held to what it can.
   */
  async #submit(
    request: GenerateRequest,
    looser: Grammar | undefined,
  ): Promise<{ first: Promise<IteratorResult<EngineEvent>>; events: AsyncIterator<EngineEvent> }> {
    let timer: NodeJS.Timeout | undefined;
    try {
      const events = this.model.engine.submit(request)[Symbol.asyncIterator]();
      const first = events.next();
      // Whoever reads the stream meets the error; until then it is nobody's.
      first.catch(() => {});
      const patience = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, firstWaitMs);
      });
      await Promise.race([first, patience]);
      return { first, events };
    } catch (error) {
      if (!looser || !(error instanceof EngineError) || error.code !== "unsatisfiable_grammar") throw error;
      return await this.#submit({ ...request, grammar: looser }, undefined);
    } finally {
      clearTimeout(timer);
    }
  }

  #tokenReport(event: TokenEvent): TokenReport {
    const report = this.#report(event.id, event.logprob, event.topLogprobs);
    if (event.routes) report.routes = event.routes;
    if (event.forced) report.forced = true;
    return report;
  }

  /** Each position lists the prompt's own token first, then the alternatives. */
  #promptReports(prompt: number[] | Int32Array, logprobs: TokenLogprob[][]): TokenReport[] {
    return Array.from(prompt, (id, at) => {
      const [own, ...top] = logprobs[at] ?? [];
      const report = this.#report(id, own?.logprob ?? Number.NaN, top);
      // The begin token was put in front of the prompt and is no part of its text.
      return at === 0 && id === this.model.tokenizer.special.bos ? { ...report, token: "", bytes: [] } : report;
    });
  }

  async embed(
    inputs: (string | number[])[],
    signal: AbortSignal,
  ): Promise<{ vectors: Float32Array[]; promptTokens: number }> {
    const { tokenizer, engine } = this.model;
    const tokens = inputs.map((input) =>
      typeof input === "string" ? tokenizer.encode(input, { addSpecial: true }) : input,
    );
    const { contextLength, vocabSize } = engine.model;
    for (const [at, ids] of tokens.entries()) {
      if (ids.length === 0) throw invalid(`input[${at}]`, "The input is empty; send at least one character.");
      if (ids.length > contextLength)
        throw new ServerError(
          400,
          "context_length_exceeded",
          `Input ${at} has ${ids.length} tokens; the model reads ${contextLength}.`,
          {
            field: `input[${at}]`,
          },
        );
      if (ids.some((id) => id >= vocabSize))
        throw invalid(`input[${at}]`, `This model's tokens are 0 to ${vocabSize - 1}.`);
    }
    signal.throwIfAborted();
    const vectors = await engine.embed(tokens, "mean");
    return { vectors, promptTokens: tokens.reduce((sum, ids) => sum + ids.length, 0) };
  }

  async countTokens(conversation: Conversation): Promise<number> {
    return this.#render(conversation).tokens.length;
  }
}
