// Guessing ahead: tokens that may follow are computed in the same run as the last one, and kept as far as they are what sampling
// would have chosen anyway. A position draws its own random number (seed, position), so the answer is the same token for token
// whatever is guessed; guesses cost or save time only. Whether they save is measured here, step by step. Running and checking them
// is the scheduler's work; where guesses come from is drafters.ts and whoever else implements Drafter (an MTP module).
import type { Sequence } from "./sequence.ts";

/** Most tokens guessed ahead for one sequence. */
export const MOST_AHEAD = 15;

/** Rows of one sequence that a step has run. */
export interface ComputedRows {
  sequence: Sequence;
  /** Index of the first row in the run; rows follow each other. */
  row: number;
  /** Position of the first row's token. */
  from: number;
  /** Rows whose tokens are part of the sequence; rows of rejected guesses follow them. */
  kept: number;
}

/** A source of guesses. */
export interface Drafter {
  /** Its name in the accounts. */
  readonly source: string;
  /** How often its guesses are right before any was tried, 0–1. */
  readonly prior: number;
  /** For each sequence at most most[i] tokens that may follow it, in order; [] where it has no idea. Called before a step. */
  propose(sequences: readonly Sequence[], most: readonly number[]): number[][];
  /** After each step: what it ran (hidden states are in the model's buffers). */
  observe?(rows: readonly ComputedRows[]): void;
}

export interface Draft {
  source: string;
  tokens: number[];
}

/** Tokens tried and right, the older ones weighing less. */
class Account {
  tried = 0;
  right = 0;
  /** How many tokens back it remembers, roughly. */
  private readonly memory: number;

  constructor(memory: number) {
    this.memory = memory;
  }

  /** Estimate of the chance that a guess is right, `weight` tokens' worth of `prior` mixed in. */
  rate(prior: number, weight: number): number {
    return (this.right + prior * weight) / (this.tried + weight);
  }

  learn(tried: number, right: number): void {
    const keep = (1 - 1 / this.memory) ** tried;
    this.tried = this.tried * keep + tried;
    this.right = this.right * keep + right;
  }

  /** Slowly back to the prior, so that a source that failed once is tried again some time. */
  fade(): void {
    this.tried *= 0.998;
    this.right *= 0.998;
  }
}

/** Plain steps measured before guessing begins, and one plain step in so many to keep the comparison fresh. */
const FIRST_PLAIN = 3;
const PLAIN_EVERY = 64;
/** What guessing must promise beyond plain steps before it is done: estimates are noisy. */
const MARGIN = 1.1;

/** What a step takes by its number of rows: measured means, drawn towards a straight line through all of them while they are few. */
class StepClock {
  private readonly mean: { ms: number; seen: number }[] = [];
  /** Sums for the line: weights, rows, milliseconds, rows², rows · milliseconds, older steps weighing less. */
  private w = 0;
  private x = 0;
  private y = 0;
  private xx = 0;
  private xy = 0;

  seen(rows: number): number {
    return this.mean[rows]?.seen ?? 0;
  }

  measured(rows: number, ms: number): void {
    // A pause (garbage, another process) is no measurement of the step.
    const sample = this.w > 2 ? Math.min(ms, 2 * this.estimate(rows)) : ms;
    const known = this.mean[rows];
    if (!known) this.mean[rows] = { ms: sample, seen: 1 };
    else known.ms += Math.max(0.05, 1 / ++known.seen) * (sample - known.ms);
    const sums = [1, rows, sample, rows * rows, rows * sample];
    [this.w, this.x, this.y, this.xx, this.xy] = [this.w, this.x, this.y, this.xx, this.xy].map(
      (sum, i) => 0.99 * sum + sums[i],
    );
  }

  estimate(rows: number): number {
    if (this.w === 0) return 1;
    const [x, y] = [this.x / this.w, this.y / this.w];
    // Before other sizes were tried a further row is taken to cost a tenth of an average step.
    const prior = (0.1 * y) / Math.max(1, x);
    const slope = (this.xy / this.w - x * y + 0.5 * prior) / (this.xx / this.w - x * x + 0.5);
    const line = Math.max(0.1 * y, y + Math.max(0, slope) * (rows - x));
    const known = this.mean[rows];
    return known ? (known.ms * known.seen + line) / (known.seen + 1) : line;
  }
}

export class Speculation {
  private readonly drafters: readonly Drafter[];
  private readonly clock = new StepClock();
  private readonly sources = new Map<string, Account>();
  private readonly own = new WeakMap<Sequence, Map<string, Account>>();
  private steps = 0;
  drafted = 0;
  accepted = 0;

  constructor(drafters: readonly Drafter[]) {
    this.drafters = drafters;
  }

  /** Guesses worth trying for sequences that have one token to compute each; `room[i]` bounds a guess, `rows` their sum. */
  choose(sequences: readonly Sequence[], room: readonly number[], rows: number): Map<Sequence, Draft> {
    const chosen = new Map<Sequence, Draft>();
    const base = sequences.length;
    this.steps++;
    if (base === 0 || this.clock.seen(base) < FIRST_PLAIN || this.steps % PLAIN_EVERY === 0) return chosen;
    const candidates = this.propose(sequences, room);
    candidates.sort((a, b) => b.rate - a.rate);
    let [tokens, used, left] = [base, base, rows];
    for (const { sequence, draft, rate } of candidates) {
      let best = 0;
      let bestPace = tokens / this.clock.estimate(used);
      let expected = 0;
      let gained = 0;
      for (let k = 1; k <= Math.min(draft.tokens.length, left); k++) {
        expected += rate ** k;
        const pace = (tokens + expected) / this.clock.estimate(used + k);
        if (pace > bestPace) [best, bestPace, gained] = [k, pace, expected];
      }
      if (best === 0) continue;
      draft.tokens.length = best;
      chosen.set(sequence, draft);
      [tokens, used, left] = [tokens + gained, used + best, left - best];
    }
    if (tokens / this.clock.estimate(used) < (MARGIN * base) / this.clock.estimate(base)) chosen.clear();
    for (const { sequence, draft } of candidates) {
      if (chosen.has(sequence)) continue;
      for (const account of this.account(sequence, draft.source)) account.fade();
    }
    return chosen;
  }

  private propose(
    sequences: readonly Sequence[],
    room: readonly number[],
  ): { sequence: Sequence; draft: Draft; rate: number }[] {
    const found: { sequence: Sequence; draft: Draft; rate: number }[] = [];
    let open = sequences.map((sequence, i) => ({ sequence, most: Math.min(room[i], MOST_AHEAD) }));
    for (const { source, prior, propose } of this.drafters.map((drafter) => ({
      source: drafter.source,
      prior: drafter.prior,
      propose: drafter.propose.bind(drafter),
    }))) {
      open = open.filter(({ most }) => most > 0);
      if (open.length === 0) break;
      const tokens = propose(
        open.map(({ sequence }) => sequence),
        open.map(({ most }) => most),
      );
      open.forEach((entry, i) => {
        if (tokens[i].length === 0) return;
        const [shared, own] = this.account(entry.sequence, source);
        const rate = Math.min(0.99, own.rate(shared.rate(prior, 4), 6));
        found.push({
          sequence: entry.sequence,
          // Short guesses first: a source that is always wrong must not cost much to find out.
          draft: { source, tokens: tokens[i].slice(0, Math.min(entry.most, 2 + Math.ceil(2 * shared.tried))) },
          rate,
        });
        entry.most = 0;
      });
    }
    return found;
  }

  private account(sequence: Sequence, source: string): [shared: Account, own: Account] {
    let shared = this.sources.get(source);
    if (!shared) this.sources.set(source, (shared = new Account(200)));
    let accounts = this.own.get(sequence);
    if (!accounts) this.own.set(sequence, (accounts = new Map()));
    let own = accounts.get(source);
    if (!own) accounts.set(source, (own = new Account(12)));
    return [shared, own];
  }

  /** A step that computed one token of each sequence, and guesses, has taken `ms` for `rows` rows. */
  measured(rows: number, ms: number): void {
    this.clock.measured(rows, ms);
  }

  /** Of a guess that was tried, the first `right` tokens were kept. */
  learn(sequence: Sequence, draft: Draft, right: number): void {
    const tried = Math.min(right + 1, draft.tokens.length);
    for (const account of this.account(sequence, draft.source)) account.learn(tried, right);
    this.drafted += draft.tokens.length;
    this.accepted += right;
  }

  observe(rows: readonly ComputedRows[]): void {
    for (const drafter of this.drafters) drafter.observe?.(rows);
  }
}
