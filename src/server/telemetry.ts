// One span per answer, sent to an OpenTelemetry collector as OTLP over HTTP in its JSON form, with the names of the semantic
// conventions for generative AI. Counts and times, never text. Written by hand: the official packages are dozens for this one kind
// of span. What cannot be sent is dropped, and said once in the log.
import { randomBytes } from "node:crypto";
import type { ServerConfig } from "./config.ts";
import type { Log } from "./http/log.ts";
import type { UsageRecord } from "./store/storage.ts";

/** The caller's trace (W3C Trace Context), in which our span is a child. */
export interface Trace {
  traceId: string;
  parentId: string;
}

/** The `traceparent` header; undefined where there is none or it is malformed. */
export function readTraceparent(header: string | undefined): Trace | undefined {
  const [, version, traceId, parentId] =
    /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}/.exec(header ?? "") ?? [];
  if (traceId === undefined || version === "ff" || /^0+$/.test(traceId) || /^0+$/.test(parentId)) return undefined;
  return { traceId, parentId };
}

const operations: [RegExp, string][] = [
  [/embeddings$/, "embeddings"],
  [/(?<!chat\/)completions$/, "text_completion"],
];

type Value = { stringValue: string } | { intValue: string } | { doubleValue: number };
const attribute = (key: string, value: string | number): { key: string; value: Value } => ({
  key,
  value:
    typeof value === "string"
      ? { stringValue: value }
      : Number.isInteger(value)
        ? { intValue: String(value) }
        : { doubleValue: value },
});

/** Milliseconds since 1970 as the nanoseconds that OTLP wants, in decimal. */
const nanoseconds = (ms: number): string => String(BigInt(Math.round(ms * 1000)) * 1000n);

/** An answer as an OTLP span (kind 2: server; status 2: error). */
function spanOf(record: UsageRecord, trace: Trace | undefined): Record<string, unknown> {
  const operation = operations.find(([pattern]) => pattern.test(record.endpoint))?.[1] ?? "chat";
  const failed = record.outcome === "insufficient_system_resource";
  return {
    traceId: trace?.traceId ?? randomBytes(16).toString("hex"),
    spanId: randomBytes(8).toString("hex"),
    ...(trace && { parentSpanId: trace.parentId }),
    name: `${operation} ${record.model}`,
    kind: 2,
    startTimeUnixNano: nanoseconds(record.at - record.durationMs),
    endTimeUnixNano: nanoseconds(record.at),
    attributes: [
      attribute("gen_ai.operation.name", operation),
      attribute("gen_ai.provider.name", "weir"),
      attribute("gen_ai.request.model", record.model),
      attribute("gen_ai.response.id", record.id),
      attribute("gen_ai.usage.input_tokens", record.promptTokens),
      attribute("gen_ai.usage.output_tokens", record.completionTokens),
      {
        key: "gen_ai.response.finish_reasons",
        value: { arrayValue: { values: [{ stringValue: record.outcome }] } },
      },
      attribute("http.route", record.endpoint),
      attribute("weir.caller", record.caller),
      attribute("weir.usage.cached_tokens", record.cachedTokens),
      attribute("weir.usage.reasoning_tokens", record.reasoningTokens),
      ...(record.currency === "" ? [] : [attribute(`weir.cost.${record.currency.toLowerCase()}`, record.cost)]),
    ],
    status: failed ? { code: 2 } : {},
  };
}

const mostWaiting = 4096;

export class Telemetry {
  readonly #options: NonNullable<ServerConfig["telemetry"]>;
  readonly #log: Log;
  #waiting: Record<string, unknown>[] = [];
  #sending: Promise<void> = Promise.resolve();
  #complained = false;
  readonly #timer: NodeJS.Timeout;

  constructor(options: NonNullable<ServerConfig["telemetry"]>, log: Log) {
    this.#options = options;
    this.#log = log;
    this.#timer = setInterval(() => void this.flush(), options.everySeconds * 1000);
    this.#timer.unref();
  }

  answered(record: UsageRecord, trace: Trace | undefined): void {
    if (this.#waiting.length < mostWaiting) this.#waiting.push(spanOf(record, trace));
  }

  /** Sends what is waiting, one batch after the other. */
  flush(): Promise<void> {
    const spans = this.#waiting;
    this.#waiting = [];
    if (spans.length > 0) this.#sending = this.#sending.then(() => this.#send(spans));
    return this.#sending;
  }

  async #send(spans: Record<string, unknown>[]): Promise<void> {
    const { endpoint, headers, serviceName } = this.#options;
    const body = {
      resourceSpans: [
        {
          resource: { attributes: [attribute("service.name", serviceName)] },
          scopeSpans: [{ scope: { name: "weir" }, spans }],
        },
      ],
    };
    try {
      const response = await fetch(`${endpoint.replace(/\/$/, "")}/v1/traces`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(10_000),
      });
      await response.body?.cancel();
      if (!response.ok) throw new Error(`it answered ${response.status}`);
      this.#complained = false;
    } catch (error) {
      if (!this.#complained) this.#log.error("telemetry_failed", { endpoint, reason: (error as Error).message });
      this.#complained = true;
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }
}
