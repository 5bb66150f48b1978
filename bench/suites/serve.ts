// The server under load: 200 streams at once, Poisson arrivals, ten times too much, 10,000 requests for its memory. Serves
// models/tutor where it is; without it a scripted engine stands in, and the figures are those of the server alone.
// WEIR_BENCH_URL and WEIR_BENCH_MODEL measure a server that already runs. Then, beside node-llama-cpp behind the least HTTP that
// streams: both serve the same file of random weights in the tutor's shape.
//
//   npm run bench -- serve [--only tutor|peer]
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Report, SuiteOptions } from "../figure.ts";
import { type LoadOptions, type LoadResult, load } from "../load.ts";
import { writeRandomModel } from "../models.ts";

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
  const served = await launch(args, data);
  return { ...served, model, what: real ? "tutor" : "scripted engine" };
}

/** Starts a program that prints its address. */
async function launch(args: string[], home: string): Promise<{ url: string; child: ChildProcess }> {
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, WEIR_HOME: home },
  });
  const exited = once(child, "exit").then(([code]) => {
    throw new Error(`${args[0]} ended with code ${code} before it served`);
  });
  exited.catch(() => {});
  let text = "";
  for (;;) {
    const [chunk] = (await Promise.race([once(child.stdout!, "data"), exited])) as [Buffer];
    text += chunk;
    const found = /http:\/\/[\d.]+:\d+/.exec(text);
    if (found) return { url: found[0], child };
  }
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  await exited;
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

/** The same file behind both servers, 200 streams at once, in turns; each at its best number of threads. */
async function besideLlama(report: Report): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "weir-bench-peer-"));
  const file = join(folder, "shape.gguf");
  const runner = join(root, "bench/runners/llama-http.ts");
  const best = { weir: 0, llama: 0 };
  const configOf = (threads: number): string => {
    const config = join(folder, `threads-${threads}.yaml`);
    const engine = `{ context: 512, maxSequences: 256, cacheTokens: 65536, threads: ${threads} }`;
    const models = `models: { tutor: { path: ${JSON.stringify(file)}, preload: true, engine: ${engine} } }`;
    writeFileSync(config, `port: 0\nlog: { level: silent }\n${models}\n`);
    return config;
  };
  try {
    writeRandomModel(file, "tutor", "Q8_0");
    for (const threads of [1, 2])
      for (const name of ["llama", "weir"] as const) {
        const args =
          name === "weir"
            ? [join(root, "bin/weir.js"), "serve", "--config", configOf(threads)]
            : [runner, file, "64", String(threads)];
        const { url, child } = await launch(args, folder);
        try {
          const base = {
            url,
            model: "tutor",
            prompt,
            maxTokens: 64,
            goodTtftMs: 2000,
            goodTpotMs: 200,
            rate: Infinity,
          };
          await load({ ...base, requests: 8 });
          const { output_throughput, completed } = await load({ ...base, requests: 200, timeoutMs: 60_000 });
          if (completed < 200) console.error(`serve: ${name} with ${threads} threads completed ${completed} of 200`);
          best[name] = Math.max(best[name], output_throughput);
        } finally {
          await end(child);
        }
      }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  report({
    suite: "serve",
    name: "the tutor's shape (Q8_0), 200 streams at once: output_throughput",
    value: best.weir,
    unit: "tok/s",
    peer: "node-llama-cpp over HTTP",
    peerValue: best.llama,
    need: 5,
  });
}

export default async function suite(report: Report, options: SuiteOptions = {}): Promise<void> {
  if (options.only !== "peer") await underLoad(report);
  if (options.only !== "tutor" && !process.env.WEIR_BENCH_URL) await besideLlama(report);
}

async function underLoad(report: Report): Promise<void> {
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
    // V8 lets its heaps grow to what such traffic needs first; after that nothing may.
    await many(6000);
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
    await end(served.child);
  }
}
