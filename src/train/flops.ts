// How much arithmetic training takes, counted from the parameters: what the share of the machine's peak in a progress bar and
// comparisons at equal work rest on.
import type { ModelConfig } from "../checkpoint/config.ts";
import type { TrainingProgram } from "../model/training.ts";

/** Width of the products q·k and p·v of one layer, over all heads; what a latent or grouped attention computes when it trains. */
function attentionWidth({ attention: a }: ModelConfig): number {
  if (a.kind === "latent") return a.heads * (a.qkNopeHeadDim + a.qkRopeHeadDim + a.vHeadDim);
  return a.heads * 2 * a.headDim;
}

/**
 * Floating-point operations per token of one forward and backward pass over documents of `length` tokens: 2 per weight that a
 * token meets (of routed experts `top_k` in E, of the embedding none) and 2 per entry of causal attention, times 3 for the
 * gradients by inputs and by weights. Norms, activations, routing and the optimiser are left out.
 */
export function trainingFlops({ gradients, context }: TrainingProgram, length: number): number {
  const { config } = context;
  let weights = 0;
  for (const { name, shape } of gradients.keys()) {
    if (shape.length < 2) continue;
    const size = (shape as number[]).reduce((product, d) => product * d, 1);
    const embeds = /embed_tokens|^embed\./.test(name);
    if (embeds && !config.tieWordEmbeddings) continue;
    const routed = shape.length === 3 && name.includes(".experts.") && config.moe;
    weights += routed ? (size * routed.numExpertsPerTok) / routed.nRoutedExperts : size;
  }
  return 3 * (2 * weights + 2 * config.numHiddenLayers * attentionWidth(config) * (length / 2));
}
