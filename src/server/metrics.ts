// Counters, gauges and histograms in Prometheus' text format, under vLLM's names where the meaning is the same, so that
// existing dashboards work unchanged.
type Labels = Record<string, string>;

const escaped = (value: string): string => value.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");

/** Label sets are few and used for every token: each object is written out once. Treat them as constants. */
const written = new WeakMap<Labels, string>();

function key(labels: Labels): string {
  let text = written.get(labels);
  if (text === undefined) {
    text = Object.entries(labels)
      .map(([name, value]) => `${name}="${escaped(value)}"`)
      .join(",");
    written.set(labels, text);
  }
  return text;
}

const line = (name: string, labels: string, value: number): string =>
  `${name}${labels ? `{${labels}}` : ""} ${Number.isFinite(value) ? value : value > 0 ? "+Inf" : "NaN"}\n`;

interface Histogram {
  counts: number[];
  sum: number;
  count: number;
}

const seconds = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640,
];
const tokens = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
];

const catalogue = {
  "vllm:request_success_total": ["counter", "Answers by finish reason."],
  "vllm:prompt_tokens_total": ["counter", "Prompt tokens of ended requests."],
  "vllm:generation_tokens_total": ["counter", "Generated tokens of ended requests."],
  "vllm:prefix_cache_queries_total": ["counter", "Prompt tokens looked up in the prefix cache."],
  "vllm:prefix_cache_hits_total": ["counter", "Prompt tokens found in the prefix cache."],
  "vllm:time_to_first_token_seconds": ["histogram", "From the request's arrival to its first token.", seconds],
  "vllm:inter_token_latency_seconds": ["histogram", "Between two pieces of one answer.", seconds],
  "vllm:e2e_request_latency_seconds": ["histogram", "From the request's arrival to its last token.", seconds],
  "vllm:request_queue_time_seconds": ["histogram", "Waiting before the model took the request.", seconds],
  "vllm:request_prefill_time_seconds": ["histogram", "Reading the prompt.", seconds],
  "vllm:request_decode_time_seconds": ["histogram", "Writing the answer.", seconds],
  "vllm:request_prompt_tokens": ["histogram", "Prompt tokens per request.", tokens],
  "vllm:request_generation_tokens": ["histogram", "Generated tokens per request.", tokens],
  "weir:http_requests_total": ["counter", "HTTP requests by route and status."],
  "weir:refused_total": ["counter", "Requests refused before an answer began, by code."],
} as const satisfies Record<string, readonly ["counter", string] | readonly ["histogram", string, readonly number[]]>;

export type MetricName = keyof typeof catalogue;

export class Metrics {
  readonly #counters = new Map<MetricName, Map<string, number>>();
  readonly #histograms = new Map<MetricName, Map<string, Histogram>>();

  add(name: MetricName, labels: Labels, amount = 1): void {
    const series = this.#counters.get(name) ?? new Map<string, number>();
    this.#counters.set(name, series);
    const at = key(labels);
    series.set(at, (series.get(at) ?? 0) + amount);
  }

  observe(name: MetricName, labels: Labels, value: number): void {
    const buckets = catalogue[name][2]!;
    const series = this.#histograms.get(name) ?? new Map<string, Histogram>();
    this.#histograms.set(name, series);
    const at = key(labels);
    let histogram = series.get(at);
    if (!histogram) series.set(at, (histogram = { counts: buckets.map(() => 0), sum: 0, count: 0 }));
    const bucket = buckets.findIndex((limit) => value <= limit);
    if (bucket >= 0) histogram.counts[bucket]++;
    histogram.sum += value;
    histogram.count++;
  }

  /** The text of /metrics; gauges are read at this moment and handed in. */
  render(gauges: { name: string; help: string; values: { labels: Labels; value: number }[] }[]): string {
    let text = "";
    for (const gauge of gauges) {
      text += `# HELP ${gauge.name} ${gauge.help}\n# TYPE ${gauge.name} gauge\n`;
      for (const { labels, value } of gauge.values) text += line(gauge.name, key(labels), value);
    }
    for (const [name, series] of this.#counters) {
      text += `# HELP ${name} ${catalogue[name][1]}\n# TYPE ${name} counter\n`;
      for (const [labels, value] of series) text += line(name, labels, value);
    }
    for (const [name, series] of this.#histograms) {
      text += `# HELP ${name} ${catalogue[name][1]}\n# TYPE ${name} histogram\n`;
      const limits: readonly number[] = catalogue[name][2]!;
      for (const [labels, histogram] of series) {
        let below = 0;
        const comma = labels ? `${labels},` : "";
        for (const [at, limit] of limits.entries()) {
          below += histogram.counts[at];
          text += line(`${name}_bucket`, `${comma}le="${limit}"`, below);
        }
        text += line(`${name}_bucket`, `${comma}le="+Inf"`, histogram.count);
        text += line(`${name}_sum`, labels, histogram.sum) + line(`${name}_count`, labels, histogram.count);
      }
    }
    return text;
  }
}
