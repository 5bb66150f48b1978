// The engine in the calling thread: checks requests, feeds the scheduler, turns its steps into each request's stream. Between steps
// it gives way to the event loop; worker-engine.ts moves it off the thread for servers.
import { createHash } from "node:crypto";
import { fillServingWindows } from "../model/serving-windows.ts";
import type { StreamDecoder, Tokenizer } from "../text/tokenizer.ts";
import { type Adapter, type BaseWeights, loadAdapter } from "./adapters.ts";
import { DiskCache, type DiskCacheOptions } from "./disk-cache.ts";
import type { ServedModel } from "./model.ts";
import { ALTERNATIVES } from "./model.ts";
import { Scheduler } from "./scheduler.ts";
import { Sequence, type TokenMask } from "./sequence.ts";
import { type Drafter, Speculation } from "./speculation.ts";
import {
  type Engine,
  EngineError,
  type EngineEvent,
  type EngineStats,
  type GenerateRequest,
  type Grammar,
  type ModelInfo,
  type Receipt,
  type Usage,
} from "./types.ts";

const VERSION = "0.1.0";

export interface LocalEngineOptions {
  name: string;
  /** Absent: tokens only, every event's text is empty. */
  tokenizer?: Tokenizer;
  /** Requests that may wait. Default 1,000. */
  queue?: number;
  /** Text of the token that ends the thinking. Default `</think>`. */
  endOfThinking?: string;
  /** Turns a grammar into a mask over this vocabulary. Absent: grammars are refused. */
  compileGrammar?: (grammar: Grammar, tokenizer: Tokenizer) => TokenMask;
  /** Identifies the weights in receipts. */
  weightsHash?: string;
  /** Where guesses about the next tokens come from (drafters.ts); absent: every token has a step of its own. */
  drafters?: readonly Drafter[];
  /** Where prefixes are kept across restarts; absent: in memory only. */
  diskCache?: DiskCacheOptions;
  /** The base weights, for merging adapters; absent: none can be loaded. */
  baseWeights?: () => BaseWeights;
}

interface Stream {
  events: EngineEvent[];
  wake: (() => void) | undefined;
  done: boolean;
  failure: unknown;
  sequences: Sequence[];
  request: GenerateRequest;
  started: number;
  firstStep: number;
  left: number;
  /** Place in the queue that it was last told. */
  position: number;
}

/** How often waiting requests hear their positions, in milliseconds. */
const TELL_EVERY_MS = 250;

function answerHash(sequences: readonly Sequence[]): string {
  const hash = createHash("sha256");
  for (const { tokens, plan } of sequences) hash.update(`${tokens.slice(plan.prompt.length)}\n`);
  return hash.digest("hex");
}

const noText: StreamDecoder = { push: () => "", end: () => "" };

export class LocalEngine implements Engine {
  readonly model: ModelInfo;
  readonly served: ServedModel;
  readonly scheduler: Scheduler;
  readonly speculation: Speculation | undefined;
  private readonly options: LocalEngineOptions;
  private readonly streams = new Map<Sequence, Stream>();
  private readonly adapters = new Map<string, Adapter>();
  /** Parents of adapters' first pages; −1 is the base's. */
  private nextRoot = -2;
  /** When waiting requests were last told their positions. */
  private toldAt = 0;
  private looping = false;
  private closed = false;
  private promptTokens = 0;
  private completionTokens = 0;
  /** Milliseconds that an answer takes from its first step to its end, smoothed, for wait estimates. */
  private serviceMs = 1000;

  constructor(served: ServedModel, options: LocalEngineOptions) {
    this.served = served;
    this.options = options;
    if (options.drafters) this.speculation = new Speculation(options.drafters);
    this.scheduler = new Scheduler(served, this.speculation);
    if (options.diskCache) this.scheduler.disk = new DiskCache(served, this.identity(), options.diskCache);
    const { config } = served;
    this.model = {
      name: options.name,
      architecture: config.architecture,
      parameters: served.parameters.total,
      activeParameters: served.parameters.active,
      contextLength: served.options.maxPositions,
      vocabSize: config.vocabSize,
      layers: config.numHiddenLayers,
      experts: config.moe?.nRoutedExperts ?? 0,
      expertsPerToken: config.moe?.numExpertsPerTok ?? 0,
      weightBytes: served.weightBytes,
      cacheBytesPerToken: served.cacheBytesPerToken,
    };
  }

  private get weightsHash(): string {
    return this.options.weightsHash ?? createHash("sha256").update(this.options.name).digest("hex");
  }

  /** All that the bits of a cached page depend on besides its tokens. */
  private identity(): string {
    const { device, options, weightBytes } = this.served;
    const machine = device.description.replace(/, \d+ threads?$/, "");
    return JSON.stringify([VERSION, this.weightsHash, weightBytes, machine, options.cacheDtype, options.pageSize]);
  }

  submit(request: GenerateRequest): AsyncIterable<EngineEvent> {
    const stream = this.open(request);
    const engine = this;
    return {
      async *[Symbol.asyncIterator]() {
        const abort = (): void => engine.cancel(stream);
        request.signal?.addEventListener("abort", abort, { once: true });
        try {
          if (request.signal?.aborted) abort();
          for (;;) {
            while (stream.events.length > 0) yield stream.events.shift() as EngineEvent;
            if (stream.failure) throw stream.failure;
            if (stream.done) return;
            await new Promise<void>((resolve) => {
              stream.wake = resolve;
            });
          }
        } finally {
          request.signal?.removeEventListener("abort", abort);
          engine.cancel(stream);
        }
      },
    };
  }

  /** Runs requests to their end in this thread, without giving way: rollouts and evaluation. Events per request, in order. */
  generateAll(requests: readonly GenerateRequest[]): EngineEvent[][] {
    const streams = requests.map((request) => this.open(request, Number.POSITIVE_INFINITY));
    while (streams.some((stream) => !stream.done)) this.step();
    for (const { failure } of streams) if (failure) throw failure;
    return streams.map(({ events }) => events);
  }

  private open(request: GenerateRequest, queue = this.options.queue ?? 1000): Stream {
    if (this.closed) throw new EngineError("closed", "the engine is closed");
    const prompt = Int32Array.from(request.prompt);
    this.check(request, prompt);
    const n = request.n ?? 1;
    if (this.scheduler.waiting.length + n > queue) {
      throw new EngineError(
        "queue_full",
        `the queue holds ${this.scheduler.waiting.length} of at most ${queue} requests; try again later`,
      );
    }
    const { tokenizer } = this.options;
    const room = this.served.options.maxPositions - prompt.length;
    const maxTokens = Math.min(request.maxTokens ?? room, room);
    const seed = request.sampling?.seed ?? Math.floor(Math.random() * 2 ** 31);
    const ends = new Set(request.stopTokens ?? []);
    if (!request.ignoreEos) {
      const own = tokenizer ? tokenizer.special.eot : this.served.config.eosTokenIds;
      for (const id of own) if (id < this.served.config.vocabSize) ends.add(id);
    }
    const adapter = request.adapter === undefined ? undefined : this.adapterNamed(request.adapter);
    const endOfThinking = tokenizer?.idOf(this.options.endOfThinking ?? "</think>");
    const sequences = Array.from({ length: n }, (_, index) => {
      const decoder = tokenizer?.streamDecoder({ skipSpecial: false }) ?? noText;
      const mask = request.grammar ? this.grammarMask(request.grammar) : null;
      return new Sequence({
        request,
        index,
        prompt,
        maxTokens,
        seed: (seed + index * 0x9e3779b1) | 0,
        stopTokens: ends,
        endOfThinking,
        decoder,
        mask,
        ...(adapter && { adapter }),
      });
    });
    if (adapter) adapter.users += n;
    const stream: Stream = {
      events: [],
      wake: undefined,
      done: false,
      failure: undefined,
      sequences,
      request,
      started: performance.now(),
      firstStep: 0,
      left: n,
      position: 0,
    };
    this.promptTokens += prompt.length;
    for (const sequence of sequences) {
      this.streams.set(sequence, stream);
      this.scheduler.add(sequence);
    }
    this.tellPosition(stream);
    if (Number.isFinite(queue)) this.loop();
    return stream;
  }

  /** Says how many places before its turn a request is, when that has changed and there is no free place for it. */
  private tellPosition(stream: Stream): void {
    const { waiting, running } = this.scheduler;
    const { maxSequences } = this.served.options;
    const ahead = waiting.indexOf(stream.sequences[0]);
    if (ahead < 0 || running.length + ahead < maxSequences || stream.position === ahead + 1) return;
    stream.position = ahead + 1;
    // Places become free at the rate at which running answers end.
    const estimatedWaitMs = Math.round(((ahead + 1) * this.serviceMs) / maxSequences);
    stream.events.push({ type: "queued", position: ahead + 1, estimatedWaitMs });
    stream.wake?.();
    stream.wake = undefined;
  }

  private grammarMask(grammar: Grammar): TokenMask {
    const { compileGrammar, tokenizer } = this.options;
    if (!compileGrammar || !tokenizer)
      throw new EngineError("unsatisfiable_grammar", "this engine was opened without grammars", "grammar");
    return compileGrammar(grammar, tokenizer);
  }

  private check(request: GenerateRequest, prompt: Int32Array): void {
    const refuse = (field: string, message: string): never => {
      throw new EngineError("invalid_parameter", `${field}: ${message}`, field);
    };
    const within = (field: string, value: number | undefined, min: number, max: number, whole = false): void => {
      if (value === undefined) return;
      if (!(value >= min && value <= max) || (whole && !Number.isInteger(value)))
        refuse(field, `must be ${whole ? "a whole number " : ""}from ${min} to ${max}, not ${value}`);
    };
    const { vocabSize } = this.served.config;
    const { maxPositions } = this.served.options;
    if (prompt.length === 0) refuse("prompt", "must hold at least one token");
    const bad = prompt.findIndex((id) => id < 0 || id >= vocabSize);
    if (bad >= 0) refuse("prompt", `token ${bad} is ${prompt[bad]}, but the vocabulary has ${vocabSize} tokens`);
    if (prompt.length >= maxPositions) {
      throw new EngineError(
        "context_length_exceeded",
        `the prompt has ${prompt.length} tokens; the context holds ${maxPositions}, one of them for the answer`,
        "prompt",
      );
    }
    const whole = Number.MAX_SAFE_INTEGER;
    within("n", request.n, 1, 128, true);
    within("maxTokens", request.maxTokens, 1, whole, true);
    within("minTokens", request.minTokens, 0, whole, true);
    within("thinkingBudget", request.thinkingBudget, 0, whole, true);
    within("topLogprobs", request.topLogprobs, 0, ALTERNATIVES, true);
    within("priority", request.priority, -whole, whole);
    const s = request.sampling ?? {};
    within("temperature", s.temperature, 0, 100);
    within("topP", s.topP, 0, 1);
    within("topK", s.topK, 0, whole, true);
    within("minP", s.minP, 0, 1);
    within("frequencyPenalty", s.frequencyPenalty, -100, 100);
    within("presencePenalty", s.presencePenalty, -100, 100);
    within("repetitionPenalty", s.repetitionPenalty, 1e-3, 100);
    within("seed", s.seed, -whole, whole, true);
    for (const [id, bias] of s.logitBias ?? []) {
      if (!(id >= 0 && id < vocabSize)) refuse("logitBias", `there is no token ${id}`);
      within("logitBias", bias, -1e9, 1e9);
    }
    for (const id of request.stopTokens ?? [])
      if (!(id >= 0 && id < vocabSize)) refuse("stopTokens", `there is no token ${id}`);
    if (request.adapter !== undefined) this.adapterNamed(request.adapter);
  }

  private cancel(stream: Stream): void {
    for (const sequence of stream.sequences) {
      if (sequence.finished || !this.streams.has(sequence)) continue;
      this.scheduler.remove(sequence);
      this.emit(stream, sequence, sequence.cancel("cancelled"));
    }
  }

  private emit(stream: Stream, sequence: Sequence, events: EngineEvent[]): void {
    stream.events.push(...events);
    this.completionTokens += events.length;
    if (sequence.finished && this.streams.delete(sequence)) {
      this.release(sequence.plan.adapter);
      stream.events.push({
        type: "finish",
        index: sequence.plan.index,
        reason: sequence.finished,
        ...(sequence.stop !== undefined && { stop: sequence.stop }),
      });
      if (--stream.left === 0) {
        const { promptLogprobs } = stream.sequences[0];
        stream.events.push({
          type: "usage",
          usage: this.usage(stream),
          receipt: this.receipt(stream),
          ...(stream.request.promptLogprobs && { promptLogprobs }),
        });
        stream.done = true;
        if (stream.firstStep > 0) this.serviceMs += 0.1 * (performance.now() - stream.firstStep - this.serviceMs);
      }
    }
    if (events.length > 0 || stream.done) {
      stream.wake?.();
      stream.wake = undefined;
    }
  }

  private usage({ sequences, started, firstStep }: Stream): Usage {
    const first = Math.min(...sequences.map(({ firstTokenAt }) => firstTokenAt || performance.now()));
    const sum = (of: (sequence: Sequence) => number): number =>
      sequences.reduce((total, sequence) => total + of(sequence), 0);
    return {
      promptTokens: sequences[0].plan.prompt.length,
      cachedTokens: sequences[0].reused,
      completionTokens: sum(({ generated }) => generated),
      reasoningTokens: sum(({ reasoningTokens }) => reasoningTokens),
      queueMs: (firstStep || performance.now()) - started,
      prefillMs: Math.max(0, first - (firstStep || first)),
      decodeMs: performance.now() - first,
    };
  }

  private receipt({ request, sequences }: Stream): Receipt {
    const { prompt, signal: _, grammar, sampling, ...rest } = request;
    const parameters = {
      ...rest,
      sampling: { ...sampling, logitBias: sampling?.logitBias && [...sampling.logitBias] },
      grammar,
    };
    const { adapter } = sequences[0].plan;
    const whole = sequences.every(({ finished }) => finished === "stop" || finished === "length");
    return {
      weir: VERSION,
      weightsHash: this.weightsHash,
      ...(adapter && { adapterHash: adapter.hash }),
      ...(whole && { answerHash: answerHash(sequences) }),
      device: this.served.device.description,
      seed: sequences[0].plan.seed,
      prompt: Array.from(prompt),
      parameters,
    };
  }

  /** One scheduler step; a failure ends every running request with it, the engine goes on. */
  private step(): void {
    const begin = performance.now();
    try {
      const outputs = this.scheduler.step();
      for (const sequence of this.scheduler.running) {
        const stream = this.streams.get(sequence);
        if (stream && stream.firstStep === 0) stream.firstStep = begin;
      }
      for (const { sequence, events } of outputs) {
        const stream = this.streams.get(sequence);
        if (stream) this.emit(stream, sequence, events);
      }
    } catch (failure) {
      for (const [sequence, stream] of [...this.streams]) {
        this.scheduler.remove(sequence);
        sequence.cancel("error");
        this.streams.delete(sequence);
        this.release(sequence.plan.adapter);
        stream.failure = failure;
        stream.done = true;
        stream.wake?.();
      }
    }
    if (this.scheduler.waiting.length > 0 && begin - this.toldAt > TELL_EVERY_MS) {
      this.toldAt = begin;
      for (const sequence of this.scheduler.waiting) {
        const stream = this.streams.get(sequence);
        if (stream) this.tellPosition(stream);
      }
    }
  }

  private loop(): void {
    if (this.looping) return;
    this.looping = true;
    const turn = (): void => {
      if (this.closed || this.scheduler.idle) {
        this.looping = false;
        return;
      }
      this.step();
      setImmediate(turn);
    };
    setImmediate(turn);
  }

  async embed(inputs: (number[] | Int32Array)[], pooling: "mean" | "last" = "mean"): Promise<Float32Array[]> {
    const { run, config, options } = this.served;
    const width = config.hiddenSize;
    return inputs.map((input) => {
      const ids = Int32Array.from(input);
      this.check({ prompt: ids }, ids);
      if (ids.length > options.maxRows)
        throw new EngineError(
          "context_length_exceeded",
          `an input of ${ids.length} tokens is longer than ${options.maxRows}`,
          "input",
        );
      return this.embedOne(ids, pooling, width, run);
    });
  }

  private embedOne(ids: Int32Array, pooling: "mean" | "last", width: number, run: ServedModel["run"]): Float32Array {
    const { pool } = this.scheduler;
    const { maxSampled, maxPositions, maxSequences } = this.served.options;
    const pages: number[] = [];
    while (pages.length * pool.pageSize < ids.length) {
      const page = pool.take();
      if (page === undefined) {
        pool.release(pages);
        throw new EngineError("out_of_memory", "the cache has no room for this input now");
      }
      pages.push(page);
    }
    // The last row of the page table is never a running sequence's while it is borrowed: steps set theirs anew before each run.
    const slot = maxSequences - 1;
    const view = (name: string): Int32Array => run.buffer(name).view() as Int32Array;
    const table = view("pageTable");
    const at = slot * (maxPositions / pool.pageSize);
    const saved = table.slice(at, at + pages.length);
    table.set(pages, at);
    const sum = new Float64Array(width);
    const fill = (): void => {
      ids.forEach((id, t) => {
        view("ids")[t] = id;
        view("positions")[t] = t;
        view("sequences")[t] = slot;
        view("slots")[t] = pages[Math.floor(t / pool.pageSize)] * pool.pageSize + (t % pool.pageSize);
      });
    };
    const rows = pooling === "last" ? [ids.length - 1] : Array.from(ids, (_, t) => t);
    for (let first = 0; first < rows.length; first += maxSampled) {
      const part = rows.slice(first, first + maxSampled);
      fill();
      view("sampledRows").set(part);
      const chunk = { slot, from: 0, count: ids.length, pages, cached: 0 };
      run.run({ T: ids.length, R: part.length, ...fillServingWindows(this.served.windows, run, [chunk]) });
      const states = run.buffer("states").view() as Float32Array;
      for (let i = 0; i < part.length * width; i++) sum[i % width] += states[i];
    }
    table.set(saved, at);
    pool.release(pages);
    const norm = Math.sqrt(sum.reduce((total, v) => total + v * v, 0)) || 1;
    return Float32Array.from(sum, (v) => v / norm);
  }

  stats(): EngineStats {
    const { pool, running, waiting, prefixHits, prefixQueries } = this.scheduler;
    return {
      running: running.length,
      waiting: waiting.length,
      cacheTokens: pool.held * pool.pageSize,
      cacheCapacity: pool.pages * pool.pageSize,
      prefixHits,
      prefixQueries,
      promptTokens: this.promptTokens,
      completionTokens: this.completionTokens,
    };
  }

  /** After the weights have changed in place: derived weights are recomputed, cached prefixes forgotten, adapters unloaded. */
  weightsChanged(parameters: Parameters<ServedModel["absorb"]>[0]): void {
    this.served.absorb(parameters);
    this.scheduler.pool.clear();
    // Its keys name the weights that were.
    this.scheduler.disk = undefined;
    // They are merged into the weights that were.
    for (const name of [...this.adapters.keys()]) void this.unloadAdapter(name);
  }

  private adapterNamed(name: string): Adapter {
    const adapter = this.adapters.get(name);
    if (!adapter) throw new EngineError("unknown_adapter", `no adapter named ${name} is loaded`, "adapter");
    return adapter;
  }

  /** Loads a PEFT LoRA directory under a name. @throws EngineError `adapter_mismatch`, `invalid_parameter` for a name in use. */
  async loadAdapter(name: string, path: string): Promise<void> {
    if (this.closed) throw new EngineError("closed", "the engine is closed");
    if (this.adapters.has(name))
      throw new EngineError(
        "invalid_parameter",
        `an adapter named ${name} is loaded already; unload it first`,
        "adapter",
      );
    const base = this.options.baseWeights?.();
    if (!base) throw new EngineError("adapter_mismatch", "this engine was opened without its base weights", "adapter");
    try {
      this.adapters.set(name, loadAdapter(this.served, base, { name, directory: path, root: this.nextRoot-- }));
    } finally {
      base.close?.();
    }
  }

  /** No new request may name it; those that do so already go on with it. */
  async unloadAdapter(name: string): Promise<void> {
    const adapter = this.adapterNamed(name);
    this.adapters.delete(name);
    adapter.retired = true;
    if (adapter.users === 0) adapter.free();
  }

  private release(adapter: Adapter | undefined): void {
    if (adapter && --adapter.users === 0 && adapter.retired) adapter.free();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    for (const stream of new Set(this.streams.values())) this.cancel(stream);
    this.closed = true;
    await this.scheduler.disk?.settled();
    for (const adapter of this.adapters.values()) adapter.free();
    this.served.free();
  }
}
