// Loads a model for the server: engine, tokenizer and chat format of a directory or GGUF file.
import { openModel } from "../engine/open.ts";
import type { EngineConfig } from "./config.ts";
import type { LoadedModel } from "./model.ts";

/** Rejects with an error that names the file and the trouble. */
export async function loadEngine(path: string, options: EngineConfig = {}): Promise<LoadedModel> {
  // The server's own queue is the one with limits; what it has let in, the engine takes.
  return openModel(path, { queue: Number.MAX_SAFE_INTEGER, ...options });
}
