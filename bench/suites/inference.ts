// Inference beside node-llama-cpp: both read the same GGUF files of random weights, in processes of their own, in turns, each at
// whichever of one or two threads is best for it; medians over rounds. Then Weir beside itself: many streams, the wasm device,
// memory, cache, cold start.
//
//   npm run bench -- inference [--only tutor|mini|dense-q8_0|dense-q4_k|dense-q6_k|v2lite|cold] [--rounds 5] [--keep FOLDER]
//
// The V2-Lite shape takes 9.3 GB of disk and 14 GB of memory; where there is less, or without --only v2lite or --large, it is left out.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { freemem, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { WritableType } from "../../src/checkpoint/quantize.ts";
import { median, type Report, type SuiteOptions } from "../figure.ts";
import { type Shape, writeRandomModel } from "../models.ts";
import { type Load, type Loaded, type Measured, Runner } from "../runners/protocol.ts";

interface Case {
  name: string;
  shape: Shape;
  type: WritableType;
  prompt: number;
  generate: number;
  /** Required ratios. */
  decode: number;
  prefill?: number;
}

const CASES: Case[] = [
  { name: "tutor", shape: "tutor", type: "Q8_0", prompt: 512, generate: 128, decode: 10, prefill: 4 },
  { name: "mini", shape: "mini", type: "Q8_0", prompt: 512, generate: 64, decode: 4, prefill: 3 },
  { name: "dense-q8_0", shape: "dense135m", type: "Q8_0", prompt: 512, generate: 32, decode: 1.8, prefill: 1.6 },
  { name: "dense-q4_k", shape: "dense135m", type: "Q4_K", prompt: 512, generate: 32, decode: 1.5 },
  { name: "dense-q6_k", shape: "dense135m", type: "Q6_K", prompt: 512, generate: 32, decode: 1.5 },
  { name: "v2lite", shape: "v2lite", type: "Q4_K", prompt: 128, generate: 16, decode: 1.2, prefill: 1.6 },
];

/** Prefill and decode tokens per second over rounds, in turns, each engine at each number of threads. */
async function race(
  engines: Runner[],
  work: { prompt: number; generate: number; streams: number },
  rounds: number,
  threads: readonly number[] = [1, 2],
): Promise<{ prefill: number; decode: number; threads: string; peak: number }[]> {
  const results = engines.map(() => new Map(threads.map((n) => [n, [] as Measured[]])));
  // The first round warms up. An engine's thread counts follow each other, since llama.cpp makes its context anew for another.
  for (let round = 0; round <= rounds; round++)
    for (const n of threads)
      for (const [i, engine] of engines.entries()) {
        const measured = await engine.measure({ ...work, threads: n, round });
        if (round > 0) results[i].get(n)?.push(measured);
      }
  return results.map((byThreads) => {
    const rates = [...byThreads].map(([n, list]) => ({
      n,
      prefill: median(list.map(({ prefillMs }) => (work.streams * work.prompt * 1000) / prefillMs)),
      decode: median(list.map(({ decodeMs }) => (work.streams * (work.generate - 1) * 1000) / decodeMs)),
    }));
    const best = (key: "prefill" | "decode") => rates.reduce((a, b) => (b[key] > a[key] ? b : a));
    const peak = Math.max(...[...byThreads.values()].flat().map(({ peakBytes }) => peakBytes));
    return {
      prefill: best("prefill").prefill,
      decode: best("decode").decode,
      threads: `${best("prefill").n}/${best("decode").n}`,
      peak,
    };
  });
}

async function opened(engine: "weir" | "llama", load: Load): Promise<Runner & { loaded: Loaded }> {
  const runner = new Runner(engine);
  return Object.assign(runner, { loaded: await runner.load(load) });
}

async function sideBySide(report: Report, file: string, entry: Case, rounds: number): Promise<void> {
  const { name, prompt, generate } = entry;
  const say: Report = (figure) => report({ ...figure, suite: "inference" });
  const load = { file, context: 1024, streams: 1 };
  const weir = await opened("weir", load);
  const llama = await opened("llama", load);
  const [own, peer] = await race([weir, llama], { prompt, generate, streams: 1 }, rounds);
  const beside = (value: number, peerValue: number, what: string, need?: number): void =>
    say({
      suite: "",
      name: `${name}: ${what}`,
      value,
      unit: "tokens/s",
      peer: `node-llama-cpp (${own.threads}, ${peer.threads} threads)`,
      peerValue,
      need,
    });
  beside(own.decode, peer.decode, "decode", entry.decode);
  beside(own.prefill, peer.prefill, `prefill ${prompt}`, entry.prefill);
  say({
    suite: "",
    name: `${name}: load`,
    value: weir.loaded.loadMs,
    unit: "ms",
    peer: "node-llama-cpp",
    peerValue: llama.loaded.loadMs,
    ratio: llama.loaded.loadMs / weir.loaded.loadMs,
  });
  const held = (weir.loaded.weightBytes ?? 0) + (weir.loaded.cacheBytes ?? 0);
  const peak = own.peak - weir.loaded.bareBytes;
  say({
    suite: "",
    name: `${name}: peak memory above the bare process`,
    value: peak / 2 ** 20,
    unit: "MB",
    peer: "weights + cache",
    peerValue: held / 2 ** 20,
    ratio: held / peak,
    need: 1 / 1.1,
  });
  say({
    suite: "",
    name: `${name}: the whole process at its peak`,
    value: own.peak / 2 ** 20,
    unit: "MB",
    peer: "node-llama-cpp",
    peerValue: peer.peak / 2 ** 20,
    ratio: peer.peak / own.peak,
  });
  await weir.close();
  await llama.close();
}

async function longContext(report: Report, file: string): Promise<void> {
  const load = { file, context: 4096 + 64, streams: 1 };
  const rates: number[] = [];
  // One after the other: both at once would not fit.
  for (const engine of ["weir", "llama"] as const) {
    const runner = await opened(engine, load);
    const { decodeMs } = await runner.measure({ prompt: 4096, generate: 17, streams: 1, threads: 2, round: 1 });
    rates.push((16 * 1000) / decodeMs);
    await runner.close();
  }
  report({
    suite: "inference",
    name: "v2lite: decode at 4,096 tokens of context",
    value: rates[0],
    unit: "tokens/s",
    peer: "node-llama-cpp",
    peerValue: rates[1],
    need: 1.5,
  });
}

async function manyStreams(report: Report, file: string, rounds: number): Promise<void> {
  const runner = await opened("weir", { file, context: 256, streams: 16 });
  const single = await race([runner], { prompt: 64, generate: 64, streams: 1 }, rounds);
  const many = await race([runner], { prompt: 64, generate: 64, streams: 16 }, rounds);
  report({
    suite: "inference",
    name: "mini: 16 streams at once, total decode",
    value: many[0].decode,
    unit: "tokens/s",
    peer: "own single stream",
    peerValue: single[0].decode,
    need: 4,
  });
  await runner.close();
}

async function wasmBeside(
  report: Report,
  file: string,
  { name, prompt, generate }: Case,
  rounds: number,
): Promise<void> {
  const load = { file, context: 1024, streams: 1 };
  const native = await opened("weir", load);
  const wasm = await opened("weir", { ...load, device: "wasm", threads: 2 });
  const [fast, portable] = await race([native, wasm], { prompt, generate, streams: 1 }, rounds);
  for (const what of ["decode", "prefill"] as const)
    report({
      suite: "inference",
      name: `${name}: wasm device, ${what}`,
      value: portable[what],
      unit: "tokens/s",
      peer: "native device",
      peerValue: fast[what],
      need: 0.45,
    });
  await native.close();
  await wasm.close();
}

/** Bytes of cache per token and layer of V3's shape: a latent of 512 and a rotary key of 64. */
async function cacheRow(report: Report): Promise<void> {
  const { cacheColumns } = await import("../../src/tensor/ops/cache.ts");
  report({
    suite: "inference",
    name: "V3's MLA cache, values per token and layer",
    value: cacheColumns("f32", 576),
    unit: "values",
    peer: "at most",
    peerValue: 576,
    ratio: 576 / cacheColumns("f32", 576),
    need: 1,
  });
  report({
    suite: "inference",
    name: "V3's MLA cache in int8, bytes per token and layer",
    value: cacheColumns("i8", 576),
    unit: "bytes",
    peer: "at most",
    peerValue: 592,
    ratio: 592 / cacheColumns("i8", 576),
    need: 1,
  });
}

/** Seconds from the start of the process to the first byte of an answer. */
function firstByte(command: string, args: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const begin = performance.now();
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    // Thinking goes to standard error, the answer to standard output.
    for (const stream of [child.stdout, child.stderr])
      stream.once("data", () => {
        resolve((performance.now() - begin) / 1000);
        child.kill();
      });
    child.once("error", reject);
    child.once("exit", () => reject(new Error(`${args.join(" ")} said nothing`)));
  });
}

async function coldStart(report: Report, rounds: number): Promise<void> {
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const times: number[] = [];
  for (let round = 0; round < Math.max(rounds, 5); round++)
    times.push(
      await firstByte(process.execPath, [
        `${root}bin/weir.js`,
        "run",
        `${root}models/tutor`,
        "12 + 7 = ?",
        "--temperature",
        "0",
      ]),
    );
  const value = median(times);
  report({
    suite: "inference",
    name: "tutor: process start to first token",
    value,
    unit: "s",
    peer: "at most",
    peerValue: 0.3,
    ratio: 0.3 / value,
    need: 1,
  });
}

export default async function suite(report: Report, options: SuiteOptions = {}): Promise<void> {
  const { only } = options;
  const rounds = options.rounds ?? 3;
  const folder = options.keep ?? mkdtempSync(join(tmpdir(), "weir-bench-"));
  mkdirSync(folder, { recursive: true });
  try {
    if (!only || only === "cold") await coldStart(report, rounds);
    if (!only) await cacheRow(report);
    for (const entry of CASES) {
      if (only ? only !== entry.name : entry.name === "v2lite" && !options.large) continue;
      if (entry.name === "v2lite") {
        const disk = statfsSync(folder);
        if (disk.bavail * disk.bsize < 12e9 || freemem() < 14e9) {
          console.error("bench: v2lite needs 12 GB of disk and 14 GB of free memory; left out");
          continue;
        }
      }
      const file = join(folder, `${entry.name}.gguf`);
      if (!existsSync(file)) writeRandomModel(file, entry.shape, entry.type);
      await sideBySide(report, file, entry, rounds);
      if (entry.name === "tutor" || entry.name === "mini") await wasmBeside(report, file, entry, rounds);
      if (entry.name === "mini") await manyStreams(report, file, rounds);
      if (entry.name === "v2lite") await longContext(report, file);
      if (!options.keep) rmSync(file);
    }
  } finally {
    if (!options.keep) rmSync(folder, { recursive: true, force: true });
  }
}
