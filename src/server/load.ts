// Loads a model for the server: the engine in a thread of its own (so that computing never holds up the network), tokenizer,
// chat format and recommended sampling of a directory or GGUF file in this one.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { openCheckpoint } from "../checkpoint/model-directory.ts";
import { languageOf } from "../engine/open.ts";
import type { SamplingParameters } from "../engine/types.ts";
import { WorkerEngine } from "../engine/worker-engine.ts";
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
  const engine = await WorkerEngine.open(path, { queue: Number.MAX_SAFE_INTEGER, ...options });
  return { engine, ...language, sampling };
}
