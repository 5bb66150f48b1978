// Trained parameters as a Hugging Face model directory that Weir and others load: stacks taken apart, tokenizer and template beside.

import type { TokenizerSource } from "../checkpoint/checkpoint.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import { modelFromArrays, type WriteHuggingFaceOptions, writeHuggingFace } from "../checkpoint/write-model.ts";
import { saveParameter } from "../model/weights.ts";
import type { Parameters } from "./parameters.ts";

export interface ExportOptions extends WriteHuggingFaceOptions {
  tokenizer?: TokenizerSource;
  chatTemplate?: string;
  generationConfig?: Record<string, unknown>;
  /** Parameters that follow from the configuration and are not part of a checkpoint (rotary tables). */
  leaveOut: ReadonlySet<string> | ReadonlyMap<string, unknown>;
}

/** Writes the directory atomically. Throws CheckpointError where one is there and `replace` is not set. */
export function exportModel(
  directory: string,
  config: ModelConfig,
  parameters: Parameters,
  options: ExportOptions,
): void {
  const tensors = new Map<string, { shape: readonly number[]; values: Float32Array }>();
  for (const [name, buffer] of Object.entries(parameters)) {
    if (options.leaveOut.has(name)) continue;
    for (const part of saveParameter(name, buffer.shape, buffer.view() as Float32Array)) tensors.set(part.name, part);
  }
  // Published checkpoints carry the shared embedding and head once more under each prediction module's name.
  for (let k = 0; k < config.numNextnPredictLayers; k++) {
    const at = `model.layers.${config.numHiddenLayers + k}`;
    if (!tensors.has(`${at}.eh_proj.weight`)) continue;
    const embedding = tensors.get("model.embed_tokens.weight");
    const head = tensors.get("lm_head.weight") ?? embedding;
    if (embedding) tensors.set(`${at}.embed_tokens.weight`, embedding);
    if (head) tensors.set(`${at}.shared_head.head.weight`, head);
  }
  const { tokenizer = null, chatTemplate = null, generationConfig = null } = options;
  writeHuggingFace(directory, modelFromArrays(config, tensors, { tokenizer, chatTemplate, generationConfig }), options);
}
