// Arithmetic of a model, counted the same way for every stage and control: two operations per active weight and token (embedding
// look-up left out), plus attention by its real lengths, in the expanded form.
import type { ModelConfig } from "../../checkpoint/config.ts";
import { countParameters } from "../../checkpoint/tensors.ts";

/** A pass over the whole model and back costs three forward passes. */
export const BACKWARD = 3;

export interface Work {
  tokens: number;
  /** Σ over tokens of the positions each attends to. */
  attended: number;
}

/** Work of sequences of these lengths, each from its beginning. */
export function workOf(lengths: Iterable<number>): Work {
  const work = { tokens: 0, attended: 0 };
  for (const length of lengths) {
    work.tokens += length;
    work.attended += (length * (length + 1)) / 2;
  }
  return work;
}

/** Operations of one forward pass over this work. */
export function forwardFlops(config: ModelConfig, { tokens, attended }: Work): number {
  const { activeWithoutEmbedding } = countParameters(config);
  const a = config.attention;
  if (a.kind !== "latent") throw new RangeError(`the recipe counts latent attention, not ${a.kind}`);
  const perPosition = 2 * a.heads * (a.qkNopeHeadDim + a.qkRopeHeadDim + a.vHeadDim) * config.numHiddenLayers;
  return 2 * activeWithoutEmbedding * tokens + perPosition * attended;
}
