// The server under load: 200 streams at once, Poisson arrivals, ten times too much, 10,000 requests for its memory. Serves
// models/tutor where it is; without it a scripted engine stands in, and the figures are those of the server alone.
// WEIR_BENCH_URL and WEIR_BENCH_MODEL measure a server that already runs.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Report } from "../figure.ts";
import { type LoadOptions, type LoadResult, load } from "../load.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

interface Served {
  url: string;
  model: string;
  what: string;
  child?: ChildProcess;
}

async function start(): Promise<Served> {
  const url = process.env.WEIR_BENCH_URL;
  const model = process.env.WEIR_BENCH_MODEL ?? "tutor";
  if (url) return { url, model, what: "the given server" };
  const data = mkdtempSync(join(tmpdir(), "weir-bench-"));
  const real = existsSync(join(root, "models/tutor"));
  const args = real
    ? [join(root, "bin/weir.js"), "start", "--port", "0", "--quiet"]
    : [join(root, "src/server/testing/child.ts"), join(data, "weir.db"), "2"];
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, WEIR_HOME: data },
  });
  let text = "";
  for (;;) {
    const [chunk] = (await once(child.stdout!, "data")) as [Buffer];
    text += chunk;
    const found = /http:\/\/[\d.]+:\d+/.exec(text);
    if (found) return { url: found[0], model, what: real ? "tutor" : "scripted engine", child };
  }
}

const words = ["weir", "river", "stone", "gate", "water", "flow", "bank", "level"];
/** A prompt of its own for each index, so that no prefix is found in the cache. */
const prompt = (index: number): string =>
  `say ${Array.from({ length: 24 }, (_, at) => words[(index * 7 + at * at + (index >> 3)) % words.length]).join(" ")} ${index}`;

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const values = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))].map((match) =>
    Number(match[1]),
  );
  return values.reduce((sum, value) => sum + value, 0);
}

const units: Partial<Record<keyof LoadResult, string>> = {
  completed: "requests",
  failed: "requests",
  refused: "requests",
  request_throughput: "req/s",
  request_goodput: "req/s",
  output_throughput: "tok/s",
  total_token_throughput: "tok/s",
  mean_ttft_ms: "ms",
  median_ttft_ms: "ms",
  p99_ttft_ms: "ms",
  median_tpot_ms: "ms",
  median_itl_ms: "ms",
  p99_itl_ms: "ms",
};

export default async function suite(report: Report): Promise<void> {
  const served = await start();
  const { url, model } = served;
  const tell = (scenario: string, result: LoadResult, names: (keyof LoadResult)[]) => {
    for (const name of names)
      report({
        suite: "serve",
        name: `${served.what}, ${scenario}: ${name}`,
        value: result[name],
        unit: units[name] ?? "",
      });
  };
  const base: Omit<LoadOptions, "requests" | "rate"> = {
    url,
    model,
    prompt,
    maxTokens: 64,
    goodTtftMs: 2000,
    goodTpotMs: 200,
  };
  try {
    await load({ ...base, requests: 4, rate: Infinity });

    const burst = await load({ ...base, requests: 200, rate: Infinity });
    tell("200 streams at once", burst, [
      "completed",
      "failed",
      "output_throughput",
      "median_ttft_ms",
      "median_itl_ms",
      "p99_itl_ms",
    ]);
    report({
      suite: "serve",
      name: `${served.what}, 200 streams at once: p99_ttft_ms`,
      value: burst.p99_ttft_ms,
      unit: "ms",
      peer: "the limit asked for",
      peerValue: 2000,
      ratio: 2000 / burst.p99_ttft_ms,
      need: 1,
    });

    // Half of what the burst showed to be possible, then ten times all of it.
    const capacity = burst.request_throughput;
    const steady = await load({ ...base, requests: 200, rate: capacity / 2 });
    tell("Poisson at half capacity", steady, [
      "completed",
      "failed",
      "request_throughput",
      "request_goodput",
      "output_throughput",
      "mean_ttft_ms",
      "p99_ttft_ms",
      "median_tpot_ms",
      "p99_itl_ms",
    ]);

    const before = await metric(url, "vllm:request_success_total");
    const flood = await load({ ...base, requests: 2000, rate: capacity * 10 });
    tell("ten times the capacity", flood, ["completed", "refused", "failed", "timed_out", "p99_ttft_ms"]);
    const counted = (await metric(url, "vllm:request_success_total")) - before;
    report({
      suite: "serve",
      name: `${served.what}, ten times the capacity: answers accounted for`,
      value: counted,
      unit: "requests",
      peer: "completed",
      peerValue: flood.completed,
      need: 1,
    });

    const short = { ...base, maxTokens: 2 };
    const many = async (count: number) => {
      for (let sent = 0; sent < count; sent += 100)
        await load({ ...short, requests: 100, rate: Infinity, prompt: (index) => prompt(sent + index) });
    };
    await many(2000);
    const rss = await metric(url, "process_resident_memory_bytes");
    await many(10_000);
    const grown = (await metric(url, "process_resident_memory_bytes")) - rss;
    report({
      suite: "serve",
      name: `${served.what}, 10,000 requests: growth of resident memory`,
      value: grown / 2 ** 20,
      unit: "MiB",
      peer: "before",
      peerValue: rss / 2 ** 20,
      ratio: rss / (rss + Math.max(0, grown)),
      need: 0.9,
    });
  } finally {
    served.child?.kill("SIGTERM");
  }
}
