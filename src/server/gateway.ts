// Where every request for an answer passes, whatever protocol or page it came from: model name, quota, fair queue, model,
// accounting. Below it are only models; above it only shapes.
import type { Conversation } from "../text/conversation.ts";
import type { Caller } from "./caller.ts";
import type { ModelConfig, ServerConfig } from "./config.ts";
import { ServerError, toServerError } from "./errors.ts";
import {
  type AnswerEnd,
  type GenerationEvent,
  type GenerationRequest,
  type GenerationUsage,
  noUsage,
} from "./generation.ts";
import type { Log } from "./http/log.ts";
import type { Metrics } from "./metrics.ts";
import { FairQueue } from "./queue.ts";
import type { Quotas } from "./quota.ts";
import type { ModelRegistry } from "./registry.ts";
import type { UsageRecord } from "./store/storage.ts";
import type { Telemetry, Trace } from "./telemetry.ts";

/** Who asks, through which door, and until when. */
export interface Call {
  /** The request's id: in logs, usage records and answers. */
  id: string;
  caller: Caller;
  /** For the records: "/v1/chat/completions". */
  endpoint: string;
  signal: AbortSignal;
  /** The end user the caller speaks for, if told: keeps a person on one side of a canary. */
  user?: string;
  /** The trace that the request is part of, if told. */
  trace?: Trace;
}

export interface EmbeddingResult {
  model: string;
  vectors: Float32Array[];
  usage: GenerationUsage;
}

/** Price and energy of an answer by the configured tables. */
export function withCost(
  usage: GenerationUsage,
  price: ModelConfig["price"],
  energy: ServerConfig["energy"],
): GenerationUsage {
  const result = { ...usage };
  const missed = usage.promptTokens - usage.cachedTokens;
  if (price) {
    const amount = (usage.cachedTokens * price.hit + missed * price.miss + usage.completionTokens * price.output) / 1e6;
    result.cost = { amount, currency: price.currency };
  }
  if (energy)
    result.energyJoules = missed * energy.joulesPerPromptToken + usage.completionTokens * energy.joulesPerOutputToken;
  return result;
}

export class Gateway {
  readonly models: ModelRegistry;
  readonly quotas: Quotas;
  readonly #config: ServerConfig;
  readonly #metrics: Metrics;
  readonly #log: Log;
  readonly #telemetry: Telemetry | undefined;
  readonly #queues = new Map<string, FairQueue>();
  /** Requests between arrival and last event, for the drain. */
  active = 0;

  constructor(parts: {
    models: ModelRegistry;
    quotas: Quotas;
    config: ServerConfig;
    metrics: Metrics;
    log: Log;
    telemetry?: Telemetry;
  }) {
    this.models = parts.models;
    this.quotas = parts.quotas;
    this.#config = parts.config;
    this.#metrics = parts.metrics;
    this.#log = parts.log;
    this.#telemetry = parts.telemetry;
  }

  #queue(name: string, config: ModelConfig): FairQueue {
    let queue = this.#queues.get(name);
    if (!queue) {
      const { queueLength, queuePerCaller } = this.#config.limits;
      queue = new FairQueue({ running: config.maxRunning, waiting: queueLength, perCaller: queuePerCaller });
      this.#queues.set(name, queue);
    }
    return queue;
  }

  /** Running and waiting requests per model. */
  load(): { name: string; running: number; waiting: number }[] {
    return [...this.#queues].map(([name, queue]) => ({ name, running: queue.running, waiting: queue.waiting }));
  }

  /**
   * The answer as a stream: `queued` while waiting, then `start`, deltas, one `finish` per answer, and `usage` last, by
   * which time the usage is on record. Throws ServerError for what is refused. Leaving the loop or aborting the call's
   * signal stops the computation; what it had used until then is recorded too.
   */
  async *generate(request: GenerationRequest, call: Call): AsyncGenerator<GenerationEvent> {
    const arrived = performance.now();
    const { name, config } = this.models.resolve(request.model, `${call.caller.id}\0${call.user ?? ""}`);
    const resolved: GenerationRequest = { ...request, model: name, maxTokens: request.maxTokens ?? config.maxTokens };
    if (resolved.input.kind === "chat" && resolved.input.conversation.thinking === undefined && config.thinking)
      resolved.input = {
        ...resolved.input,
        conversation: { ...resolved.input.conversation, thinking: config.thinking },
      };
    const leave = await this.#admit(call, name);
    const stopper = new AbortController();
    const { requestSeconds } = this.#config.limits;
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      stopper.abort();
    }, requestSeconds * 1000);
    const signal = AbortSignal.any([call.signal, stopper.signal]);
    const ticket = this.#enter(name, config, call, signal, () => {
      clearTimeout(timer);
      leave();
    });
    const meter = new Meter(name, call, arrived, this.#metrics);
    let recorded = false;
    let reported: GenerationUsage | undefined;
    const record = async (usage: GenerationUsage, outcome: string) => {
      if (recorded) return;
      recorded = true;
      reported = withCost(usage, config.price, this.#config.energy);
      await this.#record(meter.record(reported, outcome), call);
    };
    this.active++;
    let inner: AsyncIterator<GenerationEvent> | undefined;
    let release = () => {};
    try {
      for await (const waiting of ticket.positions()) yield { type: "queued", ...waiting };
      meter.queueMs = performance.now() - arrived;
      const lease = await this.models.acquire(name);
      release = lease.release;
      inner = lease.backend.generate(resolved, signal)[Symbol.asyncIterator]();
      for (let next = await inner.next(); !next.done; next = await inner.next()) {
        const event = next.value;
        meter.see(event);
        if (event.type === "finish" && event.reason === "cancelled") signal.throwIfAborted();
        if (event.type === "usage") {
          await record({ ...event.usage, queueMs: event.usage.queueMs + meter.queueMs }, meter.outcome);
          yield { ...event, usage: reported! };
        } else yield event;
      }
    } catch (error) {
      if (timedOut) throw new ServerError(504, "timeout", `No complete answer within ${requestSeconds} seconds.`);
      if (call.signal.aborted) throw new ServerError(499, "cancelled", "The client closed the request.");
      throw error;
    } finally {
      clearTimeout(timer);
      stopper.abort();
      if (inner && !recorded) await record(await lastUsage(inner, meter), "cancelled").catch(() => {});
      release();
      ticket.release();
      leave();
      this.active--;
    }
  }

  /** The record is on disk when this resolves; the log line holds counts and times, never text. */
  async #record(record: UsageRecord, call: Call): Promise<void> {
    await this.quotas.record(record);
    this.#telemetry?.answered(record, call.trace);
    const { at: _, ...facts } = record;
    this.#log.info("answer", { ...facts, durationMs: Math.round(record.durationMs) });
  }

  async #admit(call: Call, name: string): Promise<() => void> {
    try {
      return await this.quotas.admit(call.caller, name);
    } catch (error) {
      this.#metrics.add("weir:refused_total", { model_name: name, code: toServerError(error).code });
      throw error;
    }
  }

  #enter(name: string, config: ModelConfig, call: Call, signal: AbortSignal, leave: () => void) {
    try {
      signal.throwIfAborted();
      return this.#queue(name, config).enter(call.caller.id, signal);
    } catch (error) {
      leave();
      this.#metrics.add("weir:refused_total", { model_name: name, code: toServerError(error).code });
      throw error;
    }
  }

  async embed(model: string, inputs: (string | number[])[], call: Call): Promise<EmbeddingResult> {
    const arrived = performance.now();
    const { name, config } = this.models.resolve(model, call.caller.id);
    const leave = await this.#admit(call, name);
    const ticket = this.#enter(name, config, call, call.signal, leave);
    this.active++;
    let release = () => {};
    try {
      for await (const _ of ticket.positions());
      const meter = new Meter(name, call, arrived, this.#metrics);
      const lease = await this.models.acquire(name);
      release = lease.release;
      const { vectors, promptTokens } = await lease.backend.embed(inputs, call.signal);
      const usage = withCost({ ...noUsage, promptTokens }, config.price, this.#config.energy);
      await this.#record(meter.record(usage, "stop"), call);
      return { model: name, vectors, usage };
    } finally {
      release();
      ticket.release();
      leave();
      this.active--;
    }
  }

  /** The text of token ids, for a prompt that is to be echoed. */
  async decode(model: string, tokens: number[]): Promise<string> {
    const { name } = this.models.resolve(model, "");
    return this.models.use(name, async (loaded) => loaded.tokenizer.decode(tokens));
  }

  async countTokens(model: string, conversation: Conversation, call: Call): Promise<number> {
    const { name } = this.models.resolve(model, call.caller.id);
    const lease = await this.models.acquire(name);
    try {
      return await lease.backend.countTokens(conversation);
    } finally {
      lease.release();
    }
  }
}

/** Reads a stopped stream to its end for the usage it reports; counts what was seen if it does not. */
async function lastUsage(inner: AsyncIterator<GenerationEvent>, meter: Meter): Promise<GenerationUsage> {
  const drain = async () => {
    let usage: GenerationUsage | undefined;
    for (let next = await inner.next(); !next.done; next = await inner.next())
      if (next.value.type === "usage") usage = next.value.usage;
    return usage;
  };
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), 5000);
  });
  const usage = await Promise.race([drain().catch(() => undefined), patience]);
  clearTimeout(timer);
  return usage ?? { ...noUsage, promptTokens: meter.promptTokens, completionTokens: meter.pieces };
}

/** Watches one answer go by: times, counts, and the record of it. */
class Meter {
  readonly #model: string;
  readonly #labels: { model_name: string };
  readonly #call: Call;
  readonly #arrived: number;
  readonly #metrics: Metrics;
  #lastPiece = new Map<number, number>();
  queueMs = 0;
  promptTokens = 0;
  pieces = 0;
  outcome: AnswerEnd = "cancelled";

  constructor(model: string, call: Call, arrived: number, metrics: Metrics) {
    this.#model = model;
    this.#labels = { model_name: model };
    this.#call = call;
    this.#arrived = arrived;
    this.#metrics = metrics;
  }

  see(event: GenerationEvent): void {
    const labels = this.#labels;
    if (event.type === "start") this.promptTokens = event.promptTokens;
    else if (event.type === "delta") {
      const now = performance.now();
      const last = this.#lastPiece.get(event.index);
      if (last !== undefined) this.#metrics.observe("vllm:inter_token_latency_seconds", labels, (now - last) / 1000);
      else if (this.pieces === 0)
        this.#metrics.observe("vllm:time_to_first_token_seconds", labels, (now - this.#arrived) / 1000);
      this.#lastPiece.set(event.index, now);
      this.pieces++;
    } else if (event.type === "finish") {
      this.outcome = event.reason;
      this.#metrics.add("vllm:request_success_total", { ...labels, finished_reason: event.reason });
    }
  }

  record(usage: GenerationUsage, outcome: string): UsageRecord {
    const labels = this.#labels;
    const durationMs = performance.now() - this.#arrived;
    this.#metrics.add("vllm:prompt_tokens_total", labels, usage.promptTokens);
    this.#metrics.add("vllm:generation_tokens_total", labels, usage.completionTokens);
    this.#metrics.add("vllm:prefix_cache_queries_total", labels, usage.promptTokens);
    this.#metrics.add("vllm:prefix_cache_hits_total", labels, usage.cachedTokens);
    this.#metrics.observe("vllm:e2e_request_latency_seconds", labels, durationMs / 1000);
    this.#metrics.observe("vllm:request_queue_time_seconds", labels, usage.queueMs / 1000);
    this.#metrics.observe("vllm:request_prefill_time_seconds", labels, usage.prefillMs / 1000);
    this.#metrics.observe("vllm:request_decode_time_seconds", labels, usage.decodeMs / 1000);
    this.#metrics.observe("vllm:request_prompt_tokens", labels, usage.promptTokens);
    this.#metrics.observe("vllm:request_generation_tokens", labels, usage.completionTokens);
    return {
      id: this.#call.id,
      caller: this.#call.caller.id,
      at: Date.now(),
      model: this.#model,
      endpoint: this.#call.endpoint,
      promptTokens: usage.promptTokens,
      cachedTokens: usage.cachedTokens,
      completionTokens: usage.completionTokens,
      reasoningTokens: usage.reasoningTokens,
      cost: usage.cost?.amount ?? 0,
      currency: usage.cost?.currency ?? "",
      energyJoules: usage.energyJoules ?? 0,
      durationMs,
      outcome,
    };
  }
}
