// What the server needs of a loaded model: an engine, a tokenizer and the chat format of its generation. Who loads it
// (files, kernels) is decided outside and handed in as a function, so that the server can be tested without weights.
import type { Engine, SamplingParameters } from "../engine/types.ts";
import type { ChatFormat } from "../text/chat/format.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { EngineConfig } from "./config.ts";

export interface LoadedModel {
  engine: Engine;
  tokenizer: Tokenizer;
  chat: ChatFormat;
  /** What the model's makers recommend; holds where a request says nothing. */
  sampling?: SamplingParameters;
}

/** Loads a directory or a GGUF file. Rejects with an error whose message names the file and the trouble. */
export type LoadEngine = (path: string, options?: EngineConfig) => Promise<LoadedModel>;
