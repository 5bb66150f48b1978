// Tables of cosines and sines for rotary position embedding, one row per position, with the published ways of stretching a
// model's context. Rotating by them is ops/rope.ts; which model uses which scaling is said in checkpoint/config.

/** How rotary frequencies are stretched beyond the trained context; the numbers as checkpoints say them. */
export type RopeScaling =
  | { type: "linear"; factor: number }
  | {
      type: "llama3";
      factor: number;
      lowFreqFactor: number;
      highFreqFactor: number;
      originalMaxPositionEmbeddings: number;
    }
  | {
      type: "yarn";
      factor: number;
      originalMaxPositionEmbeddings: number;
      betaFast: number;
      betaSlow: number;
      /** null: not given. */
      mscale: number | null;
      mscaleAllDim: number | null;
      /** Overrides the factor on cos and sin; null: derived from mscale and mscaleAllDim. V4 is always 1. */
      attentionFactor: number | null;
      /** Whether the ramp's ends are rounded outwards (the default). */
      truncate: boolean;
    };

export interface RopeTableOptions {
  /** θ, the base of the geometric series of frequencies (Su et al., RoFormer, §3.2.2). */
  theta: number;
  /** How many dimensions of a head are rotated; even. */
  dim: number;
  scaling: RopeScaling | null;
}

/** 0.1·a·ln(s) + 1, and 1 when nothing is stretched (YaRN, arXiv 2309.00071 §3.4, as DeepSeek-V2 uses it). */
const yarnMagnitude = (factor: number, mscale: number): number =>
  factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;

/** What cos and sin are multiplied by: 1 except for YaRN with unequal mscale and mscale_all_dim, or with neither of them. */
export function ropeAttentionFactor(scaling: RopeScaling | null): number {
  if (scaling?.type !== "yarn") return 1;
  if (scaling.attentionFactor !== null) return scaling.attentionFactor;
  if (scaling.mscale && scaling.mscaleAllDim)
    return yarnMagnitude(scaling.factor, scaling.mscale) / yarnMagnitude(scaling.factor, scaling.mscaleAllDim);
  return yarnMagnitude(scaling.factor, 1);
}

/**
 * What MLA's softmax scale is multiplied by: the square of YaRN's magnitude at mscale_all_dim (DeepSeek-V2/V3 modelling code,
 * `softmax_scale`), 1 for everything else. It applies at every length, also below the trained context.
 */
export function ropeSoftmaxFactor(scaling: RopeScaling | null): number {
  if (scaling?.type !== "yarn" || !scaling.mscaleAllDim) return 1;
  return yarnMagnitude(scaling.factor, scaling.mscaleAllDim) ** 2;
}

/** The angle per position of each of the dim/2 pairs, in radians. Throws RangeError for an odd or empty dim. */
export function ropeFrequencies({ theta, dim, scaling }: RopeTableOptions): Float64Array {
  if (!Number.isInteger(dim) || dim < 2 || dim % 2 !== 0)
    throw new RangeError(`rotary dimensions must be an even number above 0, not ${dim}`);
  if (!(theta > 0)) throw new RangeError(`the rotary base must be above 0, not ${theta}`);
  const plain = Float64Array.from({ length: dim / 2 }, (_, i) => theta ** ((-2 * i) / dim));
  if (!scaling) return plain;
  if (!(scaling.factor > 0)) throw new RangeError(`rope scaling factor must be above 0, not ${scaling.factor}`);
  if (scaling.type === "linear") return plain.map((frequency) => frequency / scaling.factor);
  const length = scaling.originalMaxPositionEmbeddings;
  if (scaling.type === "llama3") {
    // Llama 3.1's reference code: long waves are stretched, short ones kept, those between blended.
    const { factor, lowFreqFactor, highFreqFactor } = scaling;
    return plain.map((frequency) => {
      const turns = (length * frequency) / (2 * Math.PI);
      const kept = Math.min(1, Math.max(0, (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor)));
      return (frequency / factor) * (1 - kept) + frequency * kept;
    });
  }
  // YaRN §3.2: pairs that turn more than betaFast times within the trained context are kept, those below betaSlow stretched.
  const pairAt = (turns: number): number => (dim * Math.log(length / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const round = scaling.truncate ? { low: Math.floor, high: Math.ceil } : { low: Number, high: Number };
  const low = Math.max(round.low(pairAt(scaling.betaFast)), 0);
  const top = Math.min(round.high(pairAt(scaling.betaSlow)), dim - 1);
  const high = top === low ? low + 0.001 : top;
  return plain.map((frequency, i) => {
    const stretched = Math.min(1, Math.max(0, (i - low) / (high - low)));
    return (frequency / scaling.factor) * stretched + frequency * (1 - stretched);
  });
}

/**
 * The table that `rope` reads: f32 [2, positions, dim/2], first the cosines, then the sines, both times the attention factor.
 * Angles are computed in float64.
 */
export function ropeTable(options: RopeTableOptions, positions: number): Float32Array {
  const frequencies = ropeFrequencies(options);
  const factor = ropeAttentionFactor(options.scaling);
  const half = frequencies.length;
  const table = new Float32Array(2 * positions * half);
  for (let position = 0; position < positions; position++) {
    for (let i = 0; i < half; i++) {
      const angle = position * frequencies[i];
      table[position * half + i] = Math.cos(angle) * factor;
      table[(positions + position) * half + i] = Math.sin(angle) * factor;
    }
  }
  return table;
}
