// The policy objectives of reinforcement learning as pure functions of numbers: advantages from rewards, the clipped surrogate with
// its KL term, its derivative by each token's log-probability, and where those derivatives go in a packed row. No model, no sampling.
import type { SamplingParameters } from "../engine/types.ts";

/** What one sampled completion brings: an entry per completion token, its end token included. */
export interface PolicySequence {
  /** log π_θ of each token now, under the distribution it was sampled from (temperature included). */
  logp: ArrayLike<number>;
  /** log π_old: what the sampler reported when it chose the token. Never recomputed after an update. */
  oldLogp: ArrayLike<number>;
  /** log π_ref; needed where beta > 0. */
  refLogp?: ArrayLike<number>;
  /** 1 where the policy chose the token, 0 where it was forced on it. */
  mask: ArrayLike<number>;
  advantage: number;
}

export interface PolicyObjective {
  /** The ratio is held within [1 − clipLow, 1 + clipHigh]. */
  clipLow: number;
  clipHigh: number;
  /** Strength of the pull toward the reference; 0: none. */
  beta: number;
  /** Multiply the KL estimate by the ratio, which makes its gradient unbiased off policy (V3.2 report §3.1). */
  unbiasedKl: boolean;
  /** Advantages divided by the group's standard deviation (DeepSeekMath) or left as they are (Dr. GRPO, V3.2). */
  divideByStd: boolean;
  /**
   * sequence: mean over a completion's tokens, then over completions (GRPO). token: mean over all tokens (DAPO). constant: sum over
   * completions × `constantLength` (Dr. GRPO).
   */
  average: "sequence" | "token" | "constant";
  constantLength?: number;
  /** Completions with A < 0 whose mean log(π_old/π_θ) exceeds this are left out (V3.2 report §3.1). Absent: none are. */
  offPolicyLimit?: number;
}

const GRPO: PolicyObjective = {
  clipLow: 0.2,
  clipHigh: 0.2,
  beta: 0.001,
  unbiasedKl: false,
  divideByStd: true,
  average: "sequence",
};

/** The published settings by name: R1 (Nature supplement B.4), DAPO (2503.14476), Dr. GRPO (2503.20783), DeepSeek-V3.2 §3.1. */
export const OBJECTIVES = {
  r1: { ...GRPO, clipLow: 10, clipHigh: 10 },
  "r1-zero": GRPO,
  dapo: { ...GRPO, clipHigh: 0.28, beta: 0, average: "token" },
  "dr-grpo": { ...GRPO, beta: 0, divideByStd: false, average: "constant" },
  "v3.2": { ...GRPO, unbiasedKl: true, divideByStd: false, offPolicyLimit: 0.5 },
} satisfies Record<string, PolicyObjective>;

/**
 * Advantage of each completion within its own group: reward − the group's mean, over the group's standard deviation where asked.
 * `groups[i]` says which prompt completion i answers. A group whose rewards are equal has advantages of 0.
 */
export function groupAdvantages(
  rewards: ArrayLike<number>,
  groups: ArrayLike<number>,
  divideByStd: boolean,
): Float64Array {
  const sums = new Map<number, { n: number; sum: number; squares: number }>();
  for (let i = 0; i < rewards.length; i++) {
    const of = sums.get(groups[i]) ?? { n: 0, sum: 0, squares: 0 };
    sums.set(groups[i], { n: of.n + 1, sum: of.sum + rewards[i], squares: of.squares });
  }
  for (let i = 0; i < rewards.length; i++) {
    const of = sums.get(groups[i])!;
    of.squares += (rewards[i] - of.sum / of.n) ** 2;
  }
  return Float64Array.from({ length: rewards.length }, (_, i) => {
    const { n, sum, squares } = sums.get(groups[i])!;
    const centred = rewards[i] - sum / n;
    const deviation = Math.sqrt(squares / n);
    if (deviation < 1e-9) return 0;
    return divideByStd ? centred / deviation : centred;
  });
}

/** DAPO's penalty for length (eq. 13): 0 up to `most` − `buffer` tokens, falling to −1 at `most`. */
export function overlongPenalty(length: number, most: number, buffer: number): number {
  if (length <= most - buffer) return 0;
  return Math.max(-1, (most - buffer - length) / buffer);
}

export interface PolicyLoss {
  loss: number;
  /** dloss/dlogp, shaped as the sequences. */
  coefficients: Float64Array[];
  /** Tokens that count. */
  tokens: number;
  /** Σ over counted tokens ÷ tokens. */
  meanRatio: number;
  /** Largest |ratio − 1| of a counted token. */
  ratioDeviation: number;
  /** Share of counted tokens whose surrogate the clip holds. */
  clipShare: number;
  /** Mean k3 estimate of KL(π_θ ‖ π_ref), nats per token. */
  kl: number;
  /** Share of completions that the off-policy limit left out. */
  offPolicyShare: number;
}

/**
 * −mean[min(ρA, clip(ρ)A) − β·k3], ρ = π_θ/π_old, k3 = r − ln r − 1 with r = π_ref/π_θ (DeepSeekMath 2402.03300 eq. 3 and 4), and its
 * derivative by every log-probability. The sequences must be all those of one update: the mean runs over them.
 */
export function policyLoss(sequences: readonly PolicySequence[], objective: PolicyObjective): PolicyLoss {
  const { clipLow, clipHigh, beta, unbiasedKl, average, offPolicyLimit } = objective;
  const counts = sequences.map(({ mask }) => Array.from(mask).reduce((sum, m) => sum + m, 0));
  const total = counts.reduce((sum, n) => sum + n, 0);
  const result: PolicyLoss = {
    loss: 0,
    coefficients: [],
    tokens: total,
    meanRatio: 0,
    ratioDeviation: 0,
    clipShare: 0,
    kl: 0,
    offPolicyShare: 0,
  };
  sequences.forEach(({ logp, oldLogp, refLogp, mask, advantage }, s) => {
    const coefficients = new Float64Array(logp.length);
    result.coefficients.push(coefficients);
    if (counts[s] === 0) return;
    if (beta > 0 && refLogp === undefined) throw new RangeError("beta > 0 needs log-probabilities of the reference");
    let drift = 0;
    for (let t = 0; t < logp.length; t++) drift += mask[t] * (oldLogp[t] - logp[t]);
    const left = offPolicyLimit !== undefined && advantage < 0 && drift / counts[s] > offPolicyLimit;
    if (left) result.offPolicyShare += 1 / sequences.length;
    const share =
      average === "sequence"
        ? 1 / (counts[s] * sequences.length)
        : average === "token"
          ? 1 / total
          : 1 / (sequences.length * (objective.constantLength ?? Number.NaN));
    if (!Number.isFinite(share)) throw new RangeError('average "constant" needs constantLength');
    for (let t = 0; t < logp.length; t++) {
      if (mask[t] === 0) continue;
      const ratio = Math.exp(logp[t] - oldLogp[t]);
      const plain = ratio * advantage;
      const clipped = Math.min(1 + clipHigh, Math.max(1 - clipLow, ratio)) * advantage;
      const held = clipped < plain;
      let value = left ? 0 : Math.min(plain, clipped);
      let slope = left || held ? 0 : plain;
      if (beta > 0) {
        const log = refLogp![t] - logp[t];
        const k3 = Math.exp(log) - log - 1;
        const k3Slope = 1 - Math.exp(log);
        const factor = unbiasedKl ? ratio : 1;
        value -= beta * factor * k3;
        slope -= beta * factor * (k3Slope + (unbiasedKl ? k3 : 0));
        result.kl += k3 / total;
      }
      result.loss -= share * value;
      coefficients[t] = 0 - share * slope;
      result.meanRatio += ratio / total;
      result.ratioDeviation = Math.max(result.ratioDeviation, Math.abs(ratio - 1));
      if (held) result.clipShare += 1 / total;
    }
  });
  return result;
}

/** Which of a padded completion's tokens count: all up to its first end token, that one included; padding never. */
export function completionMask(ids: ArrayLike<number>, ends: ReadonlySet<number>): Float32Array {
  const mask = new Float32Array(ids.length);
  for (let t = 0; t < ids.length; t++) {
    mask[t] = 1;
    if (ends.has(ids[t])) break;
  }
  return mask;
}

/**
 * Loss weights for the rows of prompt and completion laid end to end: the row before a token predicts it, so completion token t
 * weighs at row promptLength − 1 + t. The training program minimises −Σ weights·logp, hence the sign.
 */
export function rowWeights(promptLength: number, coefficients: ArrayLike<number>): Float32Array {
  const weights = new Float32Array(promptLength + coefficients.length);
  for (let t = 0; t < coefficients.length; t++) weights[promptLength - 1 + t] = -coefficients[t];
  return weights;
}

/**
 * Factor on the trainer's logits under which it computes the distribution that was sampled from. Truncation (top-p, top-k, min-p)
 * renormalises what is kept, which the trainer does not replay: it is refused. Throws RangeError.
 */
export function logitScaleOf(sampling: SamplingParameters): number {
  const { temperature = 1, topP = 1, topK = 0, minP = 0 } = sampling;
  const { frequencyPenalty = 0, presencePenalty = 0, repetitionPenalty = 1 } = sampling;
  if (!(temperature > 0))
    throw new RangeError(`temperature is ${temperature}; rollouts must be sampled, with a temperature above 0`);
  if (topP < 1 || topK > 0 || minP > 0)
    throw new RangeError("rollouts with top_p, top_k or min_p bias the ratios; leave them out and use temperature");
  if (frequencyPenalty !== 0 || presencePenalty !== 0 || repetitionPenalty !== 1)
    throw new RangeError("rollouts with penalties bias the ratios; leave them out and reward what you want instead");
  return 1 / temperature;
}
