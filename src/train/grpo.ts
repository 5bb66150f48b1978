// Group-relative policy optimisation on the inference engine, with the same weights in memory: sample groups of completions, reward
// them, one or more updates by policy-loss.ts, and the checks that show when any of it goes wrong. Prompts and rewards come from
// outside; files and schedules are the run's business.
import type { LocalEngine } from "../engine/local-engine.ts";
import { ALTERNATIVES } from "../engine/model.ts";
import type { DeviceBuffer } from "../tensor/device.ts";
import { type Batch, packBatch } from "./batch.ts";
import { bestFit } from "./packing.ts";
import type { Parameters } from "./parameters.ts";
import {
  groupAdvantages,
  logitScaleOf,
  overlongPenalty,
  type PolicyObjective,
  type PolicySequence,
  policyLoss,
  rowWeights,
} from "./policy-loss.ts";
import { askRewards, type Reward, uniform } from "./rewards.ts";
import { type Rollout, rollouts } from "./rollout.ts";
import type { Sampler } from "./sampler.ts";
import { type Routes, Scorer } from "./scorer.ts";
import type { Trainer } from "./trainer.ts";

export interface GrpoOptions<T> {
  objective: PolicyObjective;
  rewards: readonly Reward<T>[];
  /** Prompts per step, and completions per prompt. */
  prompts: number;
  samples: number;
  maxTokens: number;
  temperature: number;
  /**
   * Truncated sampling: the `topK` likeliest tokens, of those the likeliest that make up `topP`. What was kept is kept in the update
   * too (V3.2 report §3.1, keep sampling mask); the trainer's keptTokens must be at least topK. Absent: all tokens.
   */
  truncation?: { topK: number; topP?: number };
  seed: number;
  /** Updates that share one set of rollouts: the groups are split in so many parts, in order. Default 1. */
  minibatches?: number;
  /** Passes over the rollouts. Default 1. */
  epochs?: number;
  /** Steps between refreshes of the reference; 0: it stays the model that training began with. Default 400 (R1). */
  refreshReference?: number;
  /** DAPO's dynamic sampling: groups with equal rewards are replaced by new ones, for at most so many rounds. Default 0: kept. */
  resampleRounds?: number;
  /** DAPO's penalty: length of the buffer before maxTokens, and its weight. */
  overlong?: { buffer: number; weight: number };
  /** Every reward replaced by a coin that knows nothing: what is learnt then is not learnt from the rewards. */
  randomReward?: boolean;
  /** Largest |ratio − 1| on the first update after sampling that raises no alarm. Default 1e-4. */
  ratioTolerance?: number;
  /** Milliseconds a reward may take. Default 30,000. */
  rewardTimeout?: number;
  startsInThinking?: boolean;
  /** End tokens beside the model's own. */
  ends?: readonly number[];
}

export interface Prompt<T> {
  ids: Int32Array;
  task: T;
}

export interface GrpoStats {
  step: number;
  /** Mean weighted reward over everything sampled, groups left out included. */
  reward: number;
  parts: Record<string, number>;
  /** Share of the groups sampled whose rewards are all equal. */
  zeroVariance: number;
  groups: number;
  loss: number;
  gradNorm: number;
  /** Largest |π_train/π_sample − 1| over the tokens of the first update; NaN where it had none. */
  ratioDeviation: number;
  /** The same over later updates, where it shows how far the policy has moved. */
  laterRatioDeviation: number;
  clipShare: number;
  kl: number;
  offPolicyShare: number;
  /** Mean −log π of the sampled tokens, nats: an unbiased estimate of the policy's entropy. */
  entropy: number;
  meanLength: number;
  /** Share of completions that ran out of room. */
  truncated: number;
  /** `layer:expert` of the experts that no token of the update took. */
  deadExperts: string[];
  /** Share of rows whose experts differ between engine and trainer; only with kept routing. */
  routingMismatch: number;
  /** Tokens sampled; tokens of their prompts, each counted once; rows of prompt and completion that went forward and backward. */
  tokens: number;
  promptTokens: number;
  updateTokens: number;
  updates: number;
  /** Updates left out because a gradient was not finite. */
  skippedUpdates: number;
  seconds: { rollout: number; reward: number; update: number };
  /** Each says what is wrong and what to do. */
  alarms: string[];
}

interface Sample {
  rollout: Rollout;
  group: number;
  advantage: number;
  refLogp?: Float32Array;
  /** Experts of every row of prompt and completion, where routing is kept. */
  routes?: Routes;
}

/** A micro-batch: whole documents of some samples, and the row at which each begins. */
interface Packed {
  samples: number[];
  starts: number[];
  tokens: number;
}

const copyInto = (to: DeviceBuffer, from: DeviceBuffer): void => {
  (to.view() as Float32Array).set(from.view() as Float32Array);
};

export class Grpo<T> {
  readonly trainer: Trainer;
  readonly engine: LocalEngine | Sampler;
  readonly options: GrpoOptions<T>;
  /** Steps done and prompts drawn: with the trainer's state and the reference, all that a resumed run needs. */
  step = 0;
  drawn = 0;
  private firstEntropy = Number.NaN;
  private readonly reference: Parameters = {};
  private readonly referenceScorer: Scorer | undefined;
  /** The current policy: with its own routing, and following the engine's. */
  private readonly policy: Scorer;
  private readonly replay: Scorer | undefined;
  private readonly ends: ReadonlySet<number>;

  /**
   * `engine` must serve `trainer.parameters` (a pool: be told of their changes), and the trainer's logitScale be one over the temperature. Throws RangeError where the
   * options cannot give unbiased updates.
   */
  constructor(trainer: Trainer, engine: LocalEngine | Sampler, options: GrpoOptions<T>) {
    this.trainer = trainer;
    this.engine = engine;
    this.options = options;
    const { config, device } = trainer;
    const { maxTokens, maxPositions, givenRoutes, keptTokens } = trainer.options;
    const logitScale = logitScaleOf({ temperature: options.temperature });
    if (Math.abs((trainer.options.logitScale ?? 1) - logitScale) > 1e-9)
      throw new RangeError(
        `the trainer's logitScale is ${trainer.options.logitScale ?? 1}, but temperature ${options.temperature} needs ${logitScale}`,
      );
    const { truncation } = options;
    const most = trainer.options.keptTokens ?? 0;
    if (truncation && !(truncation.topK >= 1 && truncation.topK <= Math.min(most, ALTERNATIVES)))
      throw new RangeError(
        `top_k is ${truncation.topK}; from 1 to ${Math.min(most, ALTERNATIVES)} tokens can be kept in the update, keptTokens being ${most}`,
      );
    if (options.samples < 2) throw new RangeError(`samples is ${options.samples}; a group needs at least 2`);
    if (("served" in engine ? engine.served.config : engine.config) !== config)
      throw new RangeError("the engine serves another configuration than the trainer's");
    if (givenRoutes && !config.moe) throw new RangeError("a dense model has no routing to keep");
    this.ends = new Set([...config.eosTokenIds.filter((id) => id < config.vocabSize), ...(options.ends ?? [])]);
    const sizes = { maxTokens, maxPositions, logitScale, keptTokens };
    this.policy = new Scorer(device, config, trainer.parameters, sizes);
    if (givenRoutes) this.replay = new Scorer(device, config, trainer.parameters, { ...sizes, givenRoutes });
    if (options.objective.beta > 0) {
      const { constants } = trainer.built.context;
      for (const [name, buffer] of Object.entries(trainer.parameters))
        this.reference[name] = constants.has(name)
          ? buffer
          : device.buffer(buffer.dtype, buffer.shape, buffer.view().slice());
      this.referenceScorer = new Scorer(device, config, this.reference, sizes);
    }
  }

  /** The reference's weights, to be kept beside the trainer's state. */
  get states(): Record<string, DeviceBuffer> {
    const { constants } = this.trainer.built.context;
    return Object.fromEntries(
      Object.entries(this.reference)
        .filter(([name]) => !constants.has(name))
        .map(([name, buffer]) => [`reference.${name}`, buffer]),
    );
  }

  get memory(): Record<string, unknown> {
    return { step: this.step, drawn: this.drawn, firstEntropy: this.firstEntropy };
  }

  /** Goes on from a memory of `memory`, after the trainer's state and `states` have been read back. */
  restore(memory: Record<string, unknown>): void {
    this.step = Number(memory.step ?? 0);
    this.drawn = Number(memory.drawn ?? 0);
    this.firstEntropy = Number(memory.firstEntropy ?? Number.NaN);
    this.engine.weightsChanged(this.trainer.parameters);
  }

  /**
   * One step: rollouts, rewards, updates at rate `lr`. `prompt(i)` is the i-th prompt of the run. Throws RewardError, with the model
   * as it was, when a reward fails.
   */
  async run(prompt: (index: number) => Prompt<T>, lr: number): Promise<GrpoStats> {
    const { objective, options } = { objective: this.options.objective, options: this.options };
    const seconds = { rollout: 0, reward: 0, update: 0 };
    const kept: { prompt: Prompt<T>; rollouts: Rollout[]; rewards: Float64Array }[] = [];
    const everything: { rollout: Rollout; total: number }[] = [];
    const partSums = new Map<string, number>();
    let [groups, flat, promptTokens] = [0, 0, 0];
    const rounds = options.resampleRounds ?? 0;
    let drawn = this.drawn;
    for (let round = 0; round <= rounds && kept.length < options.prompts; round++) {
      const asked = Array.from({ length: options.prompts - kept.length }, (_, i) => ({
        prompt: prompt(drawn + i),
        seed: Math.floor(uniform(options.seed, this.step, drawn + i) * 2 ** 31),
      }));
      drawn += asked.length;
      for (const one of asked) promptTokens += one.prompt.ids.length;
      let begin = performance.now();
      const requests = asked.map(({ prompt: { ids }, seed }) => ({ prompt: ids, seed }));
      const sampled = {
        samples: options.samples,
        maxTokens: options.maxTokens,
        sampling: { temperature: options.temperature, ...options.truncation },
        kept: options.truncation?.topK,
        startsInThinking: options.startsInThinking,
        routes: this.trainer.options.givenRoutes === true,
      };
      const found =
        "served" in this.engine
          ? rollouts(this.engine, requests, sampled, this.ends)
          : await this.engine.rollouts(requests, sampled, this.ends);
      seconds.rollout += (performance.now() - begin) / 1000;
      begin = performance.now();
      const { totals, parts } = await this.reward(
        asked.map((one) => one.prompt),
        found,
      );
      seconds.reward += (performance.now() - begin) / 1000;
      for (const [name, values] of parts)
        partSums.set(name, (partSums.get(name) ?? 0) + values.reduce((a, b) => a + b, 0));
      asked.forEach((one, g) => {
        const slice = [g * options.samples, (g + 1) * options.samples] as const;
        const rewards = totals.slice(...slice);
        const mine = found.slice(...slice);
        mine.forEach((rollout, i) => everything.push({ rollout, total: rewards[i] }));
        groups++;
        const equal = rewards.every((reward) => Math.abs(reward - rewards[0]) < 1e-9);
        if (equal) flat++;
        if (!(equal && rounds > 0)) kept.push({ prompt: one.prompt, rollouts: mine, rewards });
      });
    }
    const begin = performance.now();
    const flatRewards = kept.flatMap(({ rewards }) => [...rewards]);
    const groupOf = kept.flatMap(({ rollouts: mine }, g) => mine.map(() => g));
    const advantages = groupAdvantages(flatRewards, groupOf, objective.divideByStd);
    const samples: Sample[] = kept
      .flatMap(({ rollouts: mine }) => mine)
      .map((rollout, i) => ({ rollout, group: groupOf[i], advantage: advantages[i] }));
    const routingMismatch = this.prepare(samples);
    const updated = this.update(samples, lr);
    this.drawn = drawn;
    this.step++;
    if (updated.updates > 0) this.engine.weightsChanged(this.trainer.parameters);
    const { refreshReference = 400 } = options;
    if (refreshReference > 0 && this.step % refreshReference === 0)
      for (const [name, buffer] of Object.entries(this.reference))
        if (buffer !== this.trainer.parameters[name]) copyInto(buffer, this.trainer.parameters[name]);
    seconds.update = (performance.now() - begin) / 1000;
    const mean = (of: (one: (typeof everything)[number]) => number): number =>
      everything.reduce((sum, one) => sum + of(one), 0) / everything.length;
    const tokens = everything.reduce((sum, { rollout }) => sum + rollout.ids.length, 0);
    const stats: GrpoStats = {
      step: this.step,
      reward: mean(({ total }) => total),
      parts: Object.fromEntries([...partSums].map(([name, sum]) => [name, sum / everything.length])),
      zeroVariance: flat / groups,
      groups: kept.length,
      ...updated,
      entropy: -everything.reduce((sum, { rollout }) => sum + rollout.logp.reduce((a, b) => a + b, 0), 0) / tokens,
      meanLength: tokens / everything.length,
      truncated: mean(({ rollout }) => (rollout.ended ? 0 : 1)),
      routingMismatch,
      tokens,
      promptTokens,
      seconds,
      alarms: [],
    };
    if (Number.isNaN(this.firstEntropy)) this.firstEntropy = stats.entropy;
    stats.alarms = alarms(stats, this.firstEntropy, options.ratioTolerance ?? 1e-4);
    return stats;
  }

  private async reward(prompts: readonly Prompt<T>[], found: readonly Rollout[]) {
    const { rewards, samples, overlong, maxTokens, randomReward, seed } = this.options;
    const asked = found.map((rollout, i) => ({
      task: prompts[Math.floor(i / samples)].task,
      completion: { text: rollout.text, ids: rollout.ids, ended: rollout.ended },
    }));
    const result = await askRewards(rewards, asked, this.options.rewardTimeout ?? 30_000);
    if (overlong) {
      const penalties = Float64Array.from(found, ({ ids }) => overlongPenalty(ids.length, maxTokens, overlong.buffer));
      result.parts.set("overlong", penalties);
      penalties.forEach((penalty, i) => {
        result.totals[i] += overlong.weight * penalty;
      });
    }
    // The parts stay as measured, so that the control's curve shows the task's own rewards.
    if (randomReward)
      found.forEach((rollout, i) => {
        result.totals[i] = uniform(seed, this.step, rollout.seed, rollout.index, 77) < 0.5 ? 0 : 1;
      });
    return result;
  }

  /** Documents into micro-batches. */
  private pack(samples: readonly Sample[], which: readonly number[]): Packed[] {
    const lengths = which.map((i) => samples[i].rollout.prompt.length + samples[i].rollout.ids.length);
    return bestFit(lengths, this.trainer.options.maxTokens).map((bin) => {
      let tokens = 0;
      const starts = bin.map((b) => {
        const start = tokens;
        tokens += lengths[b];
        return start;
      });
      return { samples: bin.map((b) => which[b]), starts, tokens };
    });
  }

  private batchOf(samples: readonly Sample[], packed: Packed, coefficients?: readonly ArrayLike<number>[]): Batch {
    const batch = packBatch(
      packed.samples.map((i) => {
        const { prompt, ids } = samples[i].rollout;
        const all = new Int32Array(prompt.length + ids.length);
        all.set(prompt);
        all.set(ids, prompt.length);
        return { ids: all, weights: rowWeights(prompt.length, coefficients?.[i] ?? new Float32Array(ids.length)) };
      }),
    );
    const { keptTokens = 0 } = this.trainer.options;
    if (keptTokens === 0) return batch;
    const kept = new Int32Array(packed.tokens * keptTokens).fill(-1);
    packed.samples.forEach((i, k) => {
      const { prompt, kept: of } = samples[i].rollout;
      const first = packed.starts[k] + prompt.length - 1;
      of.forEach((ids, t) => void kept.set(ids, (first + t) * keptTokens));
    });
    return { ...batch, kept };
  }

  /** The entries of a micro-batch's rows that are about completion tokens, per sample. */
  private eachCompletion(
    samples: readonly Sample[],
    packed: Packed,
    rows: Float32Array,
    take: (sample: number, values: Float32Array) => void,
  ): void {
    packed.samples.forEach((i, k) => {
      const { prompt, ids } = samples[i].rollout;
      const first = packed.starts[k] + prompt.length - 1;
      take(i, rows.slice(first, first + ids.length));
    });
  }

  private routesOf(samples: readonly Sample[], packed: Packed): Routes | undefined {
    if (!this.replay) return undefined;
    const width = this.trainer.config.moe!.numExpertsPerTok;
    const merged: Routes = new Map();
    for (const { layer } of this.trainer.built.context.routes) {
      const rows = new Int32Array(packed.tokens * width);
      packed.samples.forEach((i, k) => {
        rows.set(samples[i].routes!.get(layer)!, packed.starts[k] * width);
      });
      merged.set(layer, rows);
    }
    return merged;
  }

  /** Log-probabilities of the reference and the routes to keep; returns the share of rows routed otherwise by the trainer. */
  private prepare(samples: Sample[]): number {
    const all = this.pack(
      samples,
      samples.map((_, i) => i),
    );
    let [differing, compared] = [0, 0];
    for (const packed of all) {
      const batch = this.batchOf(samples, packed);
      if (this.referenceScorer)
        this.eachCompletion(samples, packed, this.referenceScorer.score(batch).logp, (i, values) => {
          samples[i].refLogp = values;
        });
      if (!this.replay) continue;
      const own = this.policy.score(batch).routes;
      const width = this.trainer.config.moe!.numExpertsPerTok;
      packed.samples.forEach((i, k) => {
        const { prompt, ids, routes } = samples[i].rollout;
        const mine: Routes = new Map();
        [...own].forEach(([layer, rows], l) => {
          const from = packed.starts[k] * width;
          const kept = rows.slice(from, from + (prompt.length + ids.length) * width);
          routes.forEach((taken, t) => {
            const at = (prompt.length - 1 + t) * width;
            const engine = taken.subarray(l * width, (l + 1) * width);
            compared++;
            const trainer = new Set(kept.subarray(at, at + width));
            if (engine.some((expert) => !trainer.has(expert))) differing++;
            kept.set(engine, at);
          });
          mine.set(layer, kept);
        });
        samples[i].routes = mine;
      });
    }
    return compared > 0 ? differing / compared : 0;
  }

  private update(samples: readonly Sample[], lr: number) {
    const { objective, minibatches = 1, epochs = 1, maxTokens } = this.options;
    const { trainer } = this;
    const groups = samples.length === 0 ? 0 : samples[samples.length - 1].group + 1;
    const result = {
      loss: 0,
      gradNorm: 0,
      ratioDeviation: Number.NaN,
      laterRatioDeviation: 0,
      clipShare: 0,
      kl: 0,
      offPolicyShare: 0,
      deadExperts: [] as string[],
      updates: 0,
      updateTokens: 0,
      skippedUpdates: 0,
    };
    let considered = 0;
    const dead = new Map<string, boolean>();
    for (let pass = 0; pass < epochs; pass++) {
      for (let part = 0; part < minibatches; part++) {
        const low = Math.floor((part * groups) / minibatches);
        const high = Math.floor(((part + 1) * groups) / minibatches);
        const which = samples.flatMap(({ group }, i) => (group >= low && group < high ? [i] : []));
        if (which.length === 0) continue;
        // Before the first update the sampler's own log-probabilities are the policy's.
        const onPolicy = result.updates === 0;
        const now = new Map<number, Float32Array>();
        if (onPolicy) for (const i of which) now.set(i, samples[i].rollout.logp);
        else
          for (const packed of this.pack(samples, which)) {
            const scorer = this.replay ?? this.policy;
            const { logp } = scorer.score(this.batchOf(samples, packed), this.routesOf(samples, packed));
            this.eachCompletion(samples, packed, logp, (i, values) => now.set(i, values));
          }
        const sequences = which.map((i): PolicySequence => {
          const { rollout, refLogp, advantage } = samples[i];
          return { logp: now.get(i)!, oldLogp: rollout.logp, refLogp, mask: rollout.mask, advantage };
        });
        const judged = policyLoss(sequences, { constantLength: maxTokens, ...objective });
        considered++;
        result.loss += judged.loss;
        result.clipShare += judged.clipShare;
        result.kl += judged.kl;
        result.offPolicyShare += judged.offPolicyShare;
        if (!onPolicy) result.laterRatioDeviation = Math.max(result.laterRatioDeviation, judged.ratioDeviation);
        const coefficients: Float64Array[] = [];
        which.forEach((i, k) => {
          coefficients[i] = judged.coefficients[k];
        });
        // Completions that nothing is to be learnt from need no backward pass.
        const useful = which.filter((i) => coefficients[i].some((c) => c !== 0));
        if (useful.length === 0) continue;
        for (const packed of this.pack(samples, useful)) {
          for (const [layer, rows] of this.routesOf(samples, packed) ?? [])
            (trainer.buffer(`routes.${layer}`).view() as Int32Array).set(rows);
          trainer.accumulate(this.batchOf(samples, packed, coefficients), 1);
          result.updateTokens += packed.tokens;
          if (onPolicy)
            this.eachCompletion(samples, packed, trainer.logp, (i, values) => {
              const { logp, mask } = samples[i].rollout;
              values.forEach((value, t) => {
                const deviation = mask[t] > 0 ? Math.abs(Math.exp(value - logp[t]) - 1) : 0;
                result.ratioDeviation = Math.max(result.ratioDeviation || 0, deviation);
              });
            });
        }
        if (!trainer.gradientsFinite()) {
          trainer.discard();
          result.skippedUpdates++;
          continue;
        }
        const { gradNorm, load } = trainer.applyUpdate(lr);
        result.gradNorm = gradNorm;
        result.updates++;
        for (const [layer, counts] of load)
          counts.forEach((count, e) => {
            const name = `${layer}:${e}`;
            dead.set(name, count === 0 && (dead.get(name) ?? true));
          });
      }
    }
    for (const key of ["loss", "clipShare", "kl", "offPolicyShare"] as const) result[key] /= Math.max(1, considered);
    result.deadExperts = [...dead].flatMap(([name, isDead]) => (isDead ? [name] : []));
    return result;
  }

  free(): void {
    const { parameters } = this.trainer;
    this.policy.free();
    this.replay?.free();
    this.referenceScorer?.free();
    for (const [name, buffer] of Object.entries(this.reference)) if (buffer !== parameters[name]) buffer.free();
  }
}

const percent = (share: number): string => `${Math.round(share * 100)} %`;

/** What is wrong with a step, and what to do. */
function alarms(stats: GrpoStats, firstEntropy: number, tolerance: number): string[] {
  const found: string[] = [];
  if (stats.ratioDeviation > tolerance)
    found.push(
      `the trainer's probabilities differ from the sampler's by ${stats.ratioDeviation.toExponential(1)} before any update: sample and train at the same temperature, tell the engine of changed weights, and keep the routing of rollouts (keep_routing)`,
    );
  if (stats.skippedUpdates > 0)
    found.push(
      `${stats.skippedUpdates} updates had gradients that are not finite and were skipped: lower the learning rate`,
    );
  if (stats.zeroVariance > 0.8)
    found.push(
      `${percent(stats.zeroVariance)} of the prompts have equal rewards and teach nothing: choose prompts whose pass rate lies between 10 and 70 %, or take more samples`,
    );
  if (stats.entropy < 0.1 * firstEntropy)
    found.push(
      `entropy fell to ${stats.entropy.toFixed(4)} nats from ${firstEntropy.toFixed(4)}: raise clip_high or the temperature, or lower the learning rate`,
    );
  if (stats.truncated > 0.5)
    found.push(`${percent(stats.truncated)} of the completions run out of room: raise max_tokens`);
  if (stats.kl > 0.5)
    found.push(`${stats.kl.toFixed(2)} nats per token from the reference: raise beta or lower the learning rate`);
  if (stats.deadExperts.length > 0)
    found.push(
      `no token takes the experts ${stats.deadExperts.slice(0, 8).join(", ")}${stats.deadExperts.length > 8 ? " …" : ""}: larger batches, or balance them in pretraining`,
    );
  return found;
}
