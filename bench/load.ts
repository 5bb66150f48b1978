// A load generator for OpenAI-compatible servers: Poisson arrivals, streams read token by token, figures under the names that
// `vllm bench serve` prints, so that results can be laid side by side. Knows nothing of the server but its address.
import { Agent, request } from "node:http";

export interface LoadOptions {
  url: string;
  model: string;
  /** Requests in all. */
  requests: number;
  /** Mean arrivals per second (exponential gaps); Infinity sends all at once. */
  rate: number;
  prompt: (index: number) => string;
  maxTokens: number;
  /** Goodput counts answers whose first token came within this time … */
  goodTtftMs: number;
  /** … and whose mean time per further token was below this. */
  goodTpotMs: number;
  /** A request that takes longer counts as timed out. */
  timeoutMs?: number;
  seed?: number;
}

interface Outcome {
  status: number;
  completed: boolean;
  timedOut: boolean;
  retryAfter: boolean;
  ttftMs: number;
  e2eMs: number;
  itlMs: number[];
  inputTokens: number;
  outputTokens: number;
}

export interface LoadResult {
  completed: number;
  /** Orderly refusals: 429 or 503 with Retry-After. */
  refused: number;
  /** Everything else: other statuses, broken streams, timeouts. */
  failed: number;
  timed_out: number;
  duration: number;
  total_input_tokens: number;
  total_output_tokens: number;
  request_throughput: number;
  request_goodput: number;
  output_throughput: number;
  total_token_throughput: number;
  mean_ttft_ms: number;
  median_ttft_ms: number;
  p99_ttft_ms: number;
  mean_tpot_ms: number;
  median_tpot_ms: number;
  p99_tpot_ms: number;
  mean_itl_ms: number;
  median_itl_ms: number;
  p99_itl_ms: number;
  mean_e2el_ms: number;
  p99_e2el_ms: number;
}

function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 1) / (2 ** 32 + 1);
  };
}

/** One streamed completion, timed from the moment it is sent. */
function one(options: LoadOptions, agent: Agent, index: number): Promise<Outcome> {
  const outcome: Outcome = {
    status: 0,
    completed: false,
    timedOut: false,
    retryAfter: false,
    ttftMs: 0,
    e2eMs: 0,
    itlMs: [],
    inputTokens: 0,
    outputTokens: 0,
  };
  const body = JSON.stringify({
    model: options.model,
    prompt: options.prompt(index),
    max_tokens: options.maxTokens,
    ignore_eos: true,
    stream: true,
    stream_options: { include_usage: true },
  });
  const sent = performance.now();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      outcome.e2eMs = performance.now() - sent;
      resolve(outcome);
    };
    const call = request(`${options.url}/v1/completions`, {
      method: "POST",
      agent,
      headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
    });
    const timer = setTimeout(() => {
      outcome.timedOut = true;
      call.destroy();
    }, options.timeoutMs ?? 120_000);
    call.on("error", done);
    call.on("response", (response) => {
      outcome.status = response.statusCode ?? 0;
      outcome.retryAfter = response.headers["retry-after"] !== undefined;
      let rest = "";
      let last = 0;
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        rest += text;
        const events = rest.split("\n\n");
        rest = events.pop()!;
        for (const event of events) {
          if (!event.startsWith("data: {")) {
            outcome.completed ||= event === "data: [DONE]" && outcome.outputTokens > 0;
            continue;
          }
          const chunk = JSON.parse(event.slice(6));
          if (chunk.usage) {
            outcome.inputTokens = chunk.usage.prompt_tokens;
            outcome.outputTokens = chunk.usage.completion_tokens;
          }
          if (!chunk.choices?.[0]?.text) continue;
          const now = performance.now();
          if (last === 0) outcome.ttftMs = now - sent;
          else outcome.itlMs.push(now - last);
          last = now;
        }
      });
      response.on("end", done);
      response.on("error", done);
    });
    call.end(body);
  });
}

const mean = (values: number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;

function percentile(values: number[], part: number): number {
  if (values.length === 0) return 0;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)];
}

/** Time per output token after the first. */
const tpot = (outcome: Outcome): number => (outcome.e2eMs - outcome.ttftMs) / Math.max(1, outcome.outputTokens - 1);

export async function load(options: LoadOptions): Promise<LoadResult> {
  const next = random(options.seed ?? 1);
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity });
  const began = performance.now();
  const running: Promise<Outcome>[] = [];
  let due = began;
  for (let index = 0; index < options.requests; index++) {
    if (Number.isFinite(options.rate)) {
      due += (-Math.log(next()) / options.rate) * 1000;
      const wait = due - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    }
    running.push(one(options, agent, index));
  }
  const outcomes = await Promise.all(running);
  const duration = (performance.now() - began) / 1000;
  agent.destroy();
  const completed = outcomes.filter((each) => each.completed);
  const refused = outcomes.filter((each) => (each.status === 429 || each.status === 503) && each.retryAfter);
  const good = completed.filter((each) => each.ttftMs <= options.goodTtftMs && tpot(each) <= options.goodTpotMs);
  const input = completed.reduce((sum, each) => sum + each.inputTokens, 0);
  const output = completed.reduce((sum, each) => sum + each.outputTokens, 0);
  const ttft = completed.map((each) => each.ttftMs);
  const tpots = completed.map(tpot);
  const itl = completed.flatMap((each) => each.itlMs);
  const e2e = completed.map((each) => each.e2eMs);
  return {
    completed: completed.length,
    refused: refused.length,
    failed: outcomes.length - completed.length - refused.length,
    timed_out: outcomes.filter((each) => each.timedOut).length,
    duration,
    total_input_tokens: input,
    total_output_tokens: output,
    request_throughput: completed.length / duration,
    request_goodput: good.length / duration,
    output_throughput: output / duration,
    total_token_throughput: (input + output) / duration,
    mean_ttft_ms: mean(ttft),
    median_ttft_ms: percentile(ttft, 0.5),
    p99_ttft_ms: percentile(ttft, 0.99),
    mean_tpot_ms: mean(tpots),
    median_tpot_ms: percentile(tpots, 0.5),
    p99_tpot_ms: percentile(tpots, 0.99),
    mean_itl_ms: mean(itl),
    median_itl_ms: percentile(itl, 0.5),
    p99_itl_ms: percentile(itl, 0.99),
    mean_e2el_ms: mean(e2e),
    p99_e2el_ms: percentile(e2e, 0.99),
  };
}
