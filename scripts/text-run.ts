// A real text run: a mixture-of-experts model of about ten million parameters against a dense twin that does the same work per
// token, over seeds. `prepare` makes vocabulary and tokens, `train` one run, `all` every run side by side, and text-report.ts the report.
//   node scripts/text-run.ts prepare DIR [--texts FOLDER] [--vocab N] [--tokens N]
//   node scripts/text-run.ts all DIR --tokens N [--jobs N] [--threads N] [--seeds 1,2,3] [--arms moe,dense]
//   node scripts/text-report.ts DIR REPORT.md
// DIR/text.bin and text.json are all that `train` reads, DIR/ARM-SEED.jsonl all that it writes.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { parseConfigText } from "../src/checkpoint/config.ts";
import { openDevice } from "../src/tensor/devices.ts";
import { loadTokenizer } from "../src/text/load.ts";
import { tokenizerConfigJson, tokenizerJson, trainByteLevel } from "../src/text/train.ts";
import { type Document, packBatch } from "../src/train/batch.ts";
import { textIds } from "../src/train/documents.ts";
import { trainingFlops } from "../src/train/flops.ts";
import { bestFit } from "../src/train/packing.ts";
import { uniform } from "../src/train/rewards.ts";
import { readRows } from "../src/train/rows.ts";
import { rateFactor } from "../src/train/schedule.ts";
import { Scorer } from "../src/train/scorer.ts";
import { DocumentStream, shuffled } from "../src/train/stream.ts";
import { Trainer } from "../src/train/trainer.ts";

/** The texts, by file name without `.jsonl.gz`: documentation, textbooks, an almanac and children's stories in two languages. */
const SOURCES = ["en-python-docs", "zh-python-docs", "en-d2l", "zh-d2l", "en-rust-book", "en-factbook", "en-stories"];
const CONTEXT = 512;
const STEP_TOKENS = 8192;
const ARMS = { moe: "text-10m.json", dense: "text-10m-dense.json" };
const OPTIMIZER = {
  kind: "muon",
  lr: 3e-3,
  muonLr: 8e-3,
  newtonSchulz: 5,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  weightDecay: 0.1,
  maxGradNorm: 1,
} as const;

/** Where each piece of at most CONTEXT tokens lies in text.bin, and what it is of. */
interface Prepared {
  vocab: number;
  sources: string[];
  /** Per piece: first token, tokens, source, bytes of the text that its tokens but the first spell, 1 where it is held out. */
  pieces: [number, number, number, number, number][];
}

/** Pieces of whole documents; every 80th document of each source is held out. */
function prepare(directory: string, folder: string, vocab: number, most: number): void {
  mkdirSync(directory, { recursive: true });
  const texts = SOURCES.map((name) =>
    readRows(join(folder, `${name}.jsonl.gz`)).rows.flatMap((row) => (row.kind === "text" ? [row.text] : [])),
  );
  // A vocabulary needs a sample only: the first 2,000 characters of every document.
  const vocabulary = trainByteLevel(
    texts.flat().map((text) => text.slice(0, 2000)),
    { vocabSize: vocab },
  );
  writeFileSync(join(directory, "tokenizer.json"), JSON.stringify(tokenizerJson(vocabulary)));
  writeFileSync(join(directory, "tokenizer_config.json"), JSON.stringify(tokenizerConfigJson(vocabulary)));
  const tokenizer = loadTokenizer(directory);
  const documents = texts.flatMap((list, source) => list.map((text, i) => ({ text, source, held: i % 80 === 7 })));
  const ids: Int32Array[] = [];
  const pieces: Prepared["pieces"] = [];
  let at = 0;
  for (const d of shuffled(documents.length, 1)) {
    const { text, source, held } = documents[d];
    if (at >= most && !held) continue;
    const tokens = textIds(tokenizer, text);
    ids.push(tokens);
    for (let from = 0; from + 1 < tokens.length; from += CONTEXT) {
      const piece = tokens.subarray(from, from + CONTEXT);
      let bytes = 0;
      for (const id of piece.subarray(1)) if (!tokenizer.isControl(id)) bytes += tokenizer.bytesOf(id).length;
      pieces.push([at + from, piece.length, source, bytes, held ? 1 : 0]);
    }
    at += tokens.length;
  }
  const all = new Uint16Array(at);
  let end = 0;
  for (const tokens of ids) {
    all.set(tokens, end);
    end += tokens.length;
  }
  writeFileSync(join(directory, "text.bin"), all);
  writeFileSync(join(directory, "text.json"), JSON.stringify({ vocab, sources: SOURCES, pieces } satisfies Prepared));
  const held = pieces.filter((piece) => piece[4] === 1).reduce((sum, piece) => sum + piece[1], 0);
  console.log(`${at} tokens in ${pieces.length} pieces, ${held} of them held out`);
}

interface TrainRun {
  directory: string;
  arm: keyof typeof ARMS;
  seed: number;
  tokens: number;
  threads: number;
}

/** Trains one arm with one seed and writes its curve; both arms see the same documents in the same order. */
async function train({ directory, arm, seed, tokens, threads }: TrainRun): Promise<void> {
  const { sources, pieces } = JSON.parse(readFileSync(join(directory, "text.json"), "utf8")) as Prepared;
  const file = readFileSync(join(directory, "text.bin"));
  const all = new Uint16Array(file.buffer, file.byteOffset, file.byteLength / 2);
  const idsOf = ([from, length]: Prepared["pieces"][number]): Document => ({ ids: all.subarray(from, from + length) });
  const [training, held] = [0, 1].map((flag) => pieces.filter((piece) => piece[4] === flag));
  const config = parseConfigText(readFileSync(new URL(`../presets/${ARMS[arm]}`, import.meta.url), "utf8"));
  const device = await openDevice({ threads });
  const sizes = { maxTokens: STEP_TOKENS, maxPositions: CONTEXT };
  const options = { ...sizes, optimizer: OPTIMIZER, biasSpeed: 5e-3, balanceAlpha: 1e-4 };
  const trainer = new Trainer(device, config, options, { seed });
  const scorer = new Scorer(device, config, trainer.parameters, sizes);
  const stream = new DocumentStream(
    [{ weight: 1, count: training.length, documents: (index) => [idsOf(training[index])] }],
    { seed, room: STEP_TOKENS, longest: CONTEXT },
  );
  const steps = Math.max(1, Math.round(tokens / STEP_TOKENS));
  const schedule = { kind: "wsd", warmupSteps: Math.min(20, steps >> 2), decayShare: 0.3, totalSteps: steps } as const;

  /** Bits per byte over held-out pieces, in all and by source. */
  const evaluate = (which: readonly Prepared["pieces"][number][]) => {
    const bits = new Float64Array(sources.length);
    const bytes = new Float64Array(sources.length);
    for (const bin of bestFit(
      which.map((piece) => piece[1]),
      STEP_TOKENS,
    )) {
      const { logp } = scorer.score(packBatch(bin.map((i) => idsOf(which[i]))));
      let row = 0;
      for (const i of bin) {
        const [, length, source, size] = which[i];
        for (let t = 0; t + 1 < length; t++) bits[source] -= logp[row + t] / Math.LN2;
        bytes[source] += size;
        row += length;
      }
    }
    const total = (values: Float64Array): number => values.reduce((a, b) => a + b, 0);
    return {
      bitsPerByte: total(bits) / total(bytes),
      bySource: Object.fromEntries(sources.map((name, s) => [name, bits[s] / bytes[s]])),
    };
  };
  const few = held.filter((_, i) => uniform(2, i) < Math.min(1, 64 / held.length));
  const lines: object[] = [
    {
      arm,
      seed,
      threads,
      steps,
      parameters: [...trainer.built.gradients.keys()].reduce(
        (sum, { shape }) => sum + (shape as number[]).reduce((a, b) => a * b, 1),
        0,
      ),
      flopsPerToken: trainingFlops(trainer.built, CONTEXT),
      device: device.description,
    },
  ];
  const save = (): void =>
    writeFileSync(join(directory, `${arm}-${seed}.jsonl`), `${lines.map((line) => JSON.stringify(line)).join("\n")}\n`);
  const load = new Map<number, Float64Array>();
  let [seen, seconds] = [0, 0];
  for (let step = 1; step <= steps; step++) {
    const began = performance.now();
    const batch = packBatch(stream.take());
    const result = trainer.step([batch], OPTIMIZER.lr * rateFactor(schedule, step - 1));
    seconds += (performance.now() - began) / 1000;
    seen += batch.tokens;
    if (!Number.isFinite(result.loss)) throw new Error(`the loss of step ${step} is ${result.loss}`);
    if (step > steps / 2)
      for (const [layer, counts] of result.load) {
        const sum = load.get(layer) ?? new Float64Array(counts.length);
        counts.forEach((n, e) => {
          sum[e] += n;
        });
        load.set(layer, sum);
      }
    const line: Record<string, unknown> = { step, tokens: seen, loss: Number(result.crossEntropy.toFixed(5)) };
    if (step % Math.max(1, Math.round(steps / 10)) === 0) line.bitsPerByte = evaluate(few).bitsPerByte;
    lines.push(line);
    if (step % 25 === 0 || step === steps) {
      save();
      console.log(
        `${arm} ${seed}: step ${step}/${steps}, loss ${result.loss.toFixed(4)}, ${Math.round(seen / seconds)} tokens/s`,
      );
    }
  }
  const balance = [...load.values()].map((counts) => {
    const mean = counts.reduce((a, b) => a + b, 0) / counts.length;
    return [Math.min(...counts) / mean, Math.max(...counts) / mean];
  });
  lines.push({ final: true, tokens: seen, seconds, ...evaluate(held), expertLoad: balance });
  save();
  device.close();
}

/** Every arm and seed, `jobs` at a time, each a process of its own. */
async function all(directory: string, arms: string[], seeds: string[], jobs: number, rest: string[]): Promise<void> {
  const waiting = seeds.flatMap((seed) => arms.map((arm) => [arm, seed]));
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [arm, seed] = next;
      const args = [import.meta.filename, "train", directory, "--arm", arm, "--seed", seed, ...rest];
      const child = spawn(process.execPath, args, { stdio: "inherit" });
      const code = await new Promise((resolve) => child.on("exit", resolve));
      if (code !== 0) throw new Error(`${arm} ${seed} ended with ${code}`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    texts: { type: "string", default: "../shared/data/text" },
    vocab: { type: "string", default: "4096" },
    tokens: { type: "string", default: "2500000" },
    threads: { type: "string", default: "2" },
    jobs: { type: "string", default: "1" },
    seeds: { type: "string", default: "1,2,3" },
    arms: { type: "string", default: "moe,dense" },
    arm: { type: "string", default: "moe" },
    seed: { type: "string", default: "1" },
  },
});
const [action, directory] = positionals;
const { tokens, threads } = values;
if (directory === undefined) throw new Error("give prepare, train or all, and a directory");
if (action === "prepare") prepare(directory, values.texts, Number(values.vocab), Number(tokens));
else if (action === "train") {
  if (values.arm !== "moe" && values.arm !== "dense") throw new Error(`--arm is ${values.arm}, not moe or dense`);
  await train({
    directory,
    arm: values.arm,
    seed: Number(values.seed),
    tokens: Number(tokens),
    threads: Number(threads),
  });
} else if (action === "all")
  await all(directory, values.arms.split(","), values.seeds.split(","), Number(values.jobs), [
    "--tokens",
    tokens,
    "--threads",
    threads,
  ]);
else throw new Error(`${action} is none of prepare, train, all`);
