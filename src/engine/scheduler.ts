// Continuous batching: every step runs the new tokens of all running sequences and, in what room is left, chunks of prompts. Pages
// are taken as sequences grow; when none are left the youngest sequence steps back and is computed again later. The results of a
// sequence do not depend on any of this: each row's bits depend on its own tokens only.
import type { ServedModel } from "./model.ts";
import { ALTERNATIVES } from "./model.ts";
import { PagePool } from "./pages.ts";
import type { Sequence } from "./sequence.ts";
import type { TokenEvent, TokenLogprob } from "./types.ts";

interface RowRun {
  sequence: Sequence;
  /** Rows of this step: tokens[from .. from + count). */
  from: number;
  count: number;
  first: number;
}

export interface StepOutput {
  sequence: Sequence;
  events: TokenEvent[];
}

/** Prompt tokens that one sequence may take of a step while others wait too: long prompts do not starve short ones. */
const FAIR_CHUNK = 128;

export class Scheduler {
  readonly model: ServedModel;
  readonly pool: PagePool;
  readonly waiting: Sequence[] = [];
  readonly running: Sequence[] = [];
  prefixHits = 0;
  prefixQueries = 0;
  private readonly freeSlots: number[];

  constructor(model: ServedModel) {
    this.model = model;
    const { pages, pageSize, maxSequences } = model.options;
    this.pool = new PagePool(pages, pageSize);
    this.freeSlots = Array.from({ length: maxSequences }, (_, i) => maxSequences - 1 - i);
  }

  get idle(): boolean {
    return this.waiting.length === 0 && this.running.length === 0;
  }

  add(sequence: Sequence): void {
    const priority = (other: Sequence): number => other.plan.request.priority ?? 0;
    let at = this.waiting.length;
    while (at > 0 && priority(this.waiting[at - 1]) < priority(sequence)) at--;
    this.waiting.splice(at, 0, sequence);
  }

  /** Frees everything a sequence holds, wherever it is. */
  remove(sequence: Sequence): void {
    const at = this.waiting.indexOf(sequence);
    if (at >= 0) this.waiting.splice(at, 1);
    const running = this.running.indexOf(sequence);
    if (running >= 0) {
      this.running.splice(running, 1);
      this.stepBack(sequence);
    }
  }

  private stepBack(sequence: Sequence): void {
    this.pool.release(sequence.pages);
    sequence.pages.length = 0;
    sequence.published = 0;
    sequence.lastPublished = -1;
    sequence.computed = 0;
    this.freeSlots.push(sequence.slot);
    sequence.slot = -1;
  }

  /** Starts waiting sequences while there are slots and pages for their next chunk. */
  private admit(): void {
    while (this.waiting.length > 0 && this.freeSlots.length > 0) {
      const sequence = this.waiting[0];
      // Siblings wait until the first has the prompt in the cache, then share it.
      const { request, index } = sequence.plan;
      if (
        index > 0 &&
        this.running.some((other) => other.plan.request === request && other.plan.index === 0 && other.generated === 0)
      )
        break;
      if (this.pool.available < 2 && this.running.length > 0) break;
      this.waiting.shift();
      sequence.slot = this.freeSlots.pop() as number;
      const tokens = Int32Array.from(sequence.tokens);
      // The last token is always computed: its logits are needed.
      const pages = this.pool.match(tokens, tokens.length - 1);
      sequence.pages.push(...pages);
      sequence.published = pages.length;
      sequence.lastPublished = pages.length > 0 ? pages[pages.length - 1] : -1;
      sequence.computed = pages.length * this.pool.pageSize;
      if (sequence.generated === 0) {
        sequence.reused = sequence.computed;
        this.prefixQueries += tokens.length;
        this.prefixHits += sequence.reused;
      }
      const table = this.model.run.buffer("pageTable").view() as Int32Array;
      const width = this.model.options.maxPositions / this.pool.pageSize;
      pages.forEach((page, i) => {
        table[sequence.slot * width + i] = page;
      });
      this.running.push(sequence);
    }
  }

  /** Pages for `count` more tokens; takes them from the youngest others when the pool is empty. False: it must wait itself. */
  private reserve(sequence: Sequence, count: number): boolean {
    const { pageSize } = this.pool;
    const table = this.model.run.buffer("pageTable").view() as Int32Array;
    const width = this.model.options.maxPositions / pageSize;
    while (sequence.pages.length * pageSize < sequence.computed + count) {
      const page = this.pool.take();
      if (page === undefined) {
        const victim = this.running[this.running.length - 1];
        if (victim === sequence) return false;
        this.running.pop();
        this.stepBack(victim);
        this.waiting.unshift(victim);
        continue;
      }
      table[sequence.slot * width + sequence.pages.length] = page;
      sequence.pages.push(page);
    }
    return true;
  }

  /** What the next step computes: first everyone's next token, then prompts in shares. */
  private plan(): RowRun[] {
    const { maxRows } = this.model.options;
    const runs: RowRun[] = [];
    let used = 0;
    const take = (sequence: Sequence, count: number): void => {
      if (count <= 0 || !this.running.includes(sequence) || !this.reserve(sequence, count)) return;
      runs.push({ sequence, from: sequence.computed, count, first: used });
      used += count;
    };
    for (const sequence of [...this.running]) if (sequence.pending === 1 && used < maxRows) take(sequence, 1);
    const prompts = this.running.filter((sequence) => sequence.pending > 1).sort((a, b) => a.pending - b.pending);
    for (const [i, sequence] of prompts.entries()) {
      const fair =
        i < prompts.length - 1
          ? Math.max(FAIR_CHUNK, Math.floor((maxRows - used) / (prompts.length - i)))
          : maxRows - used;
      take(sequence, Math.min(sequence.pending, fair, maxRows - used));
    }
    // A victim of a later reservation has lost its pages; its rows must not run.
    return runs.filter(({ sequence }) => this.running.includes(sequence));
  }

  /** Runs one step; returns what each sequence said. Does nothing when nobody is there. */
  step(): StepOutput[] {
    this.admit();
    const planned = this.plan();
    if (planned.length === 0) {
      // One sequence alone that does not fit is ended by the engine's own limits; this is the deadlock of an impossible pool.
      if (this.running.length > 0)
        throw new Error(
          `the cache of ${this.pool.pages} pages cannot hold one sequence of ${this.running[0].tokens.length} tokens`,
        );
      return [];
    }
    const runs = this.compact(planned);
    const { run } = this.model;
    const view = (name: string): Int32Array => run.buffer(name).view() as Int32Array;
    const [ids, positions, sequences, slots, sampledRows] = [
      "ids",
      "positions",
      "sequences",
      "slots",
      "sampledRows",
    ].map(view);
    const sampled: { sequence: Sequence; row: number }[] = [];
    let rows = 0;
    for (const { sequence, from, count } of runs) {
      for (let i = 0; i < count; i++, rows++) {
        const position = from + i;
        ids[rows] = sequence.tokens[position];
        positions[rows] = position;
        sequences[rows] = sequence.slot;
        slots[rows] =
          sequence.pages[Math.floor(position / this.pool.pageSize)] * this.pool.pageSize +
          (position % this.pool.pageSize);
      }
      if (from + count === sequence.tokens.length) {
        sampledRows[sampled.length] = rows - 1;
        sampled.push({ sequence, row: rows - 1 });
      }
    }
    run.run({ T: rows, R: sampled.length });
    for (const { sequence, count } of runs) {
      sequence.computed += count;
      this.publish(sequence);
    }
    return this.choose(sampled);
  }

  /** Row offsets after victims have dropped out. */
  private compact(runs: RowRun[]): RowRun[] {
    let first = 0;
    return runs.map((entry) => {
      const moved = { ...entry, first };
      first += entry.count;
      return moved;
    });
  }

  private publish(sequence: Sequence): void {
    const { pageSize } = this.pool;
    while ((sequence.published + 1) * pageSize <= sequence.computed) {
      const at = sequence.published * pageSize;
      const page = sequence.pages[sequence.published];
      sequence.lastPublished = this.pool.publish(
        page,
        sequence.lastPublished,
        Int32Array.from(sequence.tokens.slice(at, at + pageSize)),
      );
      sequence.published++;
    }
  }

  /** Edits logits, samples, hands each sequence its token. */
  private choose(sampled: { sequence: Sequence; row: number }[]): StepOutput[] {
    if (sampled.length === 0) return [];
    const { sampler, config, run } = this.model;
    const vocab = config.vocabSize;
    const words = Math.ceil(vocab / 32);
    const logits = run.buffer("logits").view() as Float32Array;
    const parameters = sampler.buffer("parameters").view() as Float32Array;
    const counters = sampler.buffer("counters").view() as Int32Array;
    const mask = sampler.buffer("mask").view() as Int32Array;
    sampled.forEach(({ sequence }, r) => {
      const { sampling = {} } = sequence.plan.request;
      const row = logits.subarray(r * vocab, (r + 1) * vocab);
      editLogits(row, sequence);
      parameters.set([sampling.temperature ?? 1, sampling.topK ?? 0, sampling.topP ?? 1, sampling.minP ?? 0], r * 4);
      counters.set([sequence.plan.seed, sequence.generated], r * 2);
      const bits = mask.subarray(r * words, (r + 1) * words);
      const forced = sequence.forcedToken();
      if (forced !== undefined) {
        bits.fill(0);
        bits[forced >> 5] |= 1 << (forced & 31);
      } else if (!sequence.masked || !sequence.plan.mask?.fill(bits)) bits.fill(-1);
      if (sequence.endsForbidden) for (const id of sequence.plan.stopTokens) bits[id >> 5] &= ~(1 << (id & 31));
    });
    sampler.run({ R: sampled.length });
    const tokens = sampler.buffer("tokens").view() as Int32Array;
    const logp = sampler.buffer("logp").view() as Float32Array;
    return sampled.map(({ sequence, row }, r) => {
      const { request } = sequence.plan;
      const forced = sequence.forcedToken() !== undefined;
      const extra: Pick<TokenEvent, "topLogprobs" | "routes" | "forced"> = {};
      if (request.topLogprobs) extra.topLogprobs = this.alternatives(r, request.topLogprobs);
      if (request.routes) extra.routes = this.routes(row);
      if (forced) extra.forced = true;
      const events = sequence.accept(tokens[r], logp[r], extra);
      if (sequence.finished) this.remove(sequence);
      return { sequence, events };
    });
  }

  private alternatives(r: number, wanted: number): TokenLogprob[] {
    const ids = this.model.sampler.buffer("topIds").view();
    const logp = this.model.sampler.buffer("topLogp").view();
    return Array.from({ length: wanted }, (_, i) => ({
      id: ids[r * ALTERNATIVES + i],
      logprob: logp[r * ALTERNATIVES + i],
    })).filter(({ id }) => id >= 0);
  }

  private routes(row: number): Uint16Array {
    const topK = this.model.config.moe?.numExpertsPerTok ?? 0;
    const out = new Uint16Array(this.model.moeLayers.length * topK);
    this.model.moeLayers.forEach((layer, i) => {
      const ids = this.model.run.buffer(`routes.${layer}`).view() as Int32Array;
      out.set(ids.subarray(row * topK, (row + 1) * topK), i * topK);
    });
    return out;
  }
}

/** Penalties over what has been said and biases by token, in place (OpenAI's definitions; repetition penalty of Keskar et al. 2019). */
function editLogits(row: Float32Array, sequence: Sequence): void {
  const {
    frequencyPenalty = 0,
    presencePenalty = 0,
    repetitionPenalty = 1,
    logitBias,
  } = sequence.plan.request.sampling ?? {};
  if (frequencyPenalty !== 0 || presencePenalty !== 0) {
    const counts = new Map<number, number>();
    for (let i = sequence.plan.prompt.length; i < sequence.tokens.length; i++)
      counts.set(sequence.tokens[i], (counts.get(sequence.tokens[i]) ?? 0) + 1);
    for (const [id, count] of counts) row[id] -= frequencyPenalty * count + presencePenalty;
  }
  if (repetitionPenalty !== 1) {
    for (const id of new Set(sequence.tokens))
      row[id] = row[id] > 0 ? row[id] / repetitionPenalty : row[id] * repetitionPenalty;
  }
  if (logitBias) for (const [id, bias] of logitBias) row[id] += bias;
}
