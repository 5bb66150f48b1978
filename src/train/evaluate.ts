// Evaluation of a model directory on data: perplexity and bits per byte of texts and answers, exact match and pass@k of tasks. What was
// asked is fingerprinted, so that two figures can be known to be about the same questions.
import { createHash } from "node:crypto";
import { openCheckpoint } from "../checkpoint/model-directory.ts";
import { LocalEngine } from "../engine/local-engine.ts";
import { ServedModel } from "../engine/model.ts";
import { languageOf } from "../engine/open.ts";
import { buildTraining } from "../model/training.ts";
import { type DeviceOptions, openDevice } from "../tensor/devices.ts";
import { packBatch } from "./batch.ts";
import { documentsOf, promptOf } from "./documents.ts";
import { bestFit } from "./packing.ts";
import { makeParameters } from "./parameters.ts";
import { exactReward } from "./rewards.ts";
import { rollouts } from "./rollout.ts";
import type { Row } from "./rows.ts";
import { Scorer } from "./scorer.ts";
import { passAt, wilson } from "./statistics.ts";

export interface Perplexity {
  task: "perplexity";
  fingerprint: string;
  documents: number;
  /** Tokens predicted. */
  tokens: number;
  nats: number;
  perplexity: number;
  /** Over the bytes of the predicted tokens' text. */
  bitsPerByte: number;
}

export interface Exactness {
  task: "exact";
  fingerprint: string;
  problems: number;
  samples: number;
  /** Right answers over all samples, with Wilson's 95 % interval over problems × samples. */
  accuracy: number;
  interval: [number, number];
  /** Unbiased estimates for powers of two up to the number of samples. */
  passAt: Record<string, number>;
}

/** Identifies the rows asked, in their order. */
export const fingerprint = (rows: readonly Row[]): string =>
  createHash("sha256").update(JSON.stringify(rows)).digest("hex").slice(0, 16);

const MAX_TOKENS = 2048;

/** Mean negative log-probability per token. Throws RangeError where no row gives a document. */
export async function perplexity(path: string, rows: readonly Row[], options: DeviceOptions = {}): Promise<Perplexity> {
  const checkpoint = openCheckpoint(path);
  const { config } = checkpoint;
  const { tokenizer, chat } = languageOf(checkpoint);
  const longest = Math.min(config.maxPositionEmbeddings, MAX_TOKENS);
  const making = { tokenizer, chat, fimRate: 0, promptWeight: 0, seed: 0 };
  const documents = rows.flatMap((row, i) => documentsOf(row, i, longest, making));
  if (documents.length === 0) throw new RangeError(`no row gives a document of at most ${longest} tokens`);
  const device = await openDevice(options);
  const sizes = { maxTokens: MAX_TOKENS, maxPositions: longest };
  const { context } = buildTraining(config, { ...sizes, backward: false });
  const parameters = makeParameters(device, context, { source: checkpoint });
  const scorer = new Scorer(device, config, parameters, sizes);
  let [nats, tokens, bytes] = [0, 0, 0];
  const bins = bestFit(
    documents.map(({ ids }) => ids.length),
    MAX_TOKENS,
  );
  for (const bin of bins) {
    const batch = packBatch(bin.map((i) => documents[i]));
    const { logp } = scorer.score(batch);
    for (let t = 0; t < batch.tokens; t++) {
      if (batch.weights[t] === 0) continue;
      nats -= logp[t];
      tokens++;
      if (!tokenizer.isControl(batch.targets[t])) bytes += tokenizer.bytesOf(batch.targets[t]).length;
    }
  }
  scorer.free();
  for (const buffer of Object.values(parameters)) buffer.free();
  checkpoint.close();
  return {
    task: "perplexity",
    fingerprint: fingerprint(rows),
    documents: documents.length,
    tokens,
    nats: nats / tokens,
    perplexity: Math.exp(nats / tokens),
    bitsPerByte: nats / Math.LN2 / bytes,
  };
}

export interface ExactOptions extends DeviceOptions {
  samples: number;
  temperature: number;
  maxTokens: number;
  seed: number;
}

/** Exact match of the final answer; more than one sample per problem gives pass@k. Throws RangeError where no row is a task. */
export async function exactMatch(path: string, rows: readonly Row[], options: ExactOptions): Promise<Exactness> {
  const tasks = rows.filter((row) => row.kind === "task");
  if (tasks.length === 0) throw new RangeError("exact match needs rows with a prompt and an answer");
  const checkpoint = openCheckpoint(path);
  const { tokenizer, chat } = languageOf(checkpoint);
  const { samples, temperature, maxTokens, seed } = options;
  const device = await openDevice(options);
  const engine = new LocalEngine(new ServedModel(device, checkpoint.config, { checkpoint }), { name: path, tokenizer });
  const prompts = tasks.map(({ conversation }) => promptOf(tokenizer, chat, conversation));
  const answers = rollouts(
    engine,
    prompts.map(({ ids }, i) => ({ prompt: ids, seed: (seed + i * 7919) | 0 })),
    { samples, maxTokens, sampling: { temperature }, startsInThinking: prompts[0].startsInThinking },
    new Set(tokenizer.special.eot),
  );
  const right = tasks.map(
    ({ answer }, i) =>
      answers.slice(i * samples, (i + 1) * samples).filter(({ text }) => exactReward(answer, text) === 1).length,
  );
  await engine.close();
  checkpoint.close();
  const all = right.reduce((a, b) => a + b, 0);
  const passes: Record<string, number> = {};
  for (let k = 1; k <= samples; k *= 2)
    passes[k] = right.reduce((sum, c) => sum + passAt(k, samples, c), 0) / tasks.length;
  return {
    task: "exact",
    fingerprint: fingerprint(rows),
    problems: tasks.length,
    samples,
    accuracy: all / (tasks.length * samples),
    interval: wilson(all, tasks.length * samples),
    passAt: passes,
  };
}
