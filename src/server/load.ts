// Loads a model for the server: the engine in a thread of its own (so that computing never holds up the network), tokenizer,
// chat format and recommended sampling of a directory or GGUF file in this one.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { z } from "zod";
import { openCheckpoint } from "../checkpoint/model-directory.ts";
import { languageOf, type OpenOptions } from "../engine/open.ts";
import type { Engine, SamplingParameters } from "../engine/types.ts";
import { type FromWorker, WorkerEngine } from "../engine/worker-engine.ts";
import type { EngineConfig } from "./config.ts";
import type { LoadedModel } from "./model.ts";

/** Hugging Face's generation_config.json, as far as it is about sampling. */
const generationConfig = z.object({
  do_sample: z.boolean().optional(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  top_k: z.number().int().min(0).nullish(),
});

/** The sampling that a model directory recommends; nothing for other files or where there is no recommendation. */
export async function recommendedSampling(path: string): Promise<SamplingParameters | undefined> {
  let text: string;
  try {
    text = await readFile(join(path, "generation_config.json"), "utf8");
  } catch {
    return undefined;
  }
  const { do_sample, temperature, top_p, top_k } = generationConfig.parse(JSON.parse(text));
  if (do_sample === false) return { temperature: 0 };
  return { temperature: temperature ?? undefined, topP: top_p ?? undefined, topK: top_k ?? undefined };
}

/**
 * Starts the engine's thread. WorkerEngine.open would do this, but takes all listeners off the worker once it is ready, which
 * stops Node's message port for good; here only the listeners of the start are taken off.
 */
function startEngine(path: string, options: OpenOptions): Promise<Engine> {
  const program = new URL("../engine/worker.ts", import.meta.url);
  const worker = new Worker(program, { workerData: { path, options }, execArgv: [] });
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => reject(error);
    const ended = (code: number) =>
      reject(new Error(`the engine's thread ended with code ${code} while loading ${path}`));
    worker.once("error", failed);
    worker.once("exit", ended);
    worker.on("message", function first(message: FromWorker) {
      if (message.type === "ready") resolve(Reflect.construct(WorkerEngine, [worker, message.model]));
      else if (message.type === "broken") reject(new Error(message.failure.message));
      else return;
      worker.off("error", failed);
      worker.off("exit", ended);
      worker.off("message", first);
      if (message.type === "broken") void worker.terminate();
    });
  });
}

/** Rejects with an error that names the file and the trouble. */
export async function loadEngine(path: string, options: EngineConfig = {}): Promise<LoadedModel> {
  const checkpoint = openCheckpoint(path);
  let language: Pick<LoadedModel, "tokenizer" | "chat">;
  try {
    language = languageOf(checkpoint);
  } finally {
    checkpoint.close();
  }
  const sampling = await recommendedSampling(path);
  // The server's own queue is the one with limits; what it has let in, the engine takes.
  const engine = await startEngine(path, { queue: Number.MAX_SAFE_INTEGER, ...options });
  return { engine, ...language, sampling };
}
