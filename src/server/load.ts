// Loads a model the way a server wants it: the engine in a thread of its own, tokenizer and chat format in this one.
import { openCheckpoint } from "../checkpoint/model-directory.ts";
import { languageOf } from "../engine/open.ts";
import { WorkerEngine } from "../engine/worker-engine.ts";
import type { EngineConfig } from "./config.ts";
import type { LoadedModel } from "./model.ts";

/** A Hugging Face directory or a GGUF file. Rejects with an error that names the file and the trouble. */
export async function loadEngine(path: string, options: EngineConfig = {}): Promise<LoadedModel> {
  const checkpoint = openCheckpoint(path);
  let language: Pick<LoadedModel, "tokenizer" | "chat">;
  try {
    language = languageOf(checkpoint);
  } finally {
    checkpoint.close();
  }
  // The server's own queue is the one with limits; what it has let in, the engine takes.
  const engine = await WorkerEngine.open(path, { queue: Number.MAX_SAFE_INTEGER, ...options });
  return { engine, ...language };
}
