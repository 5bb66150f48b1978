// Continuous batching: every step runs the new tokens of all running sequences and, in what room is left, chunks of prompts. Pages
// are taken as sequences grow; when none are left the youngest sequence steps back and is computed again later. The results of a
// sequence do not depend on any of this: each row's bits depend on its own tokens only.
import { fillServingWindows, resumeAt } from "../model/serving-windows.ts";
import type { Adapter } from "./adapters.ts";
import { BLOCK_PAGES, type DiskCache } from "./disk-cache.ts";
import type { ServedModel } from "./model.ts";
import { ALTERNATIVES } from "./model.ts";
import { PagePool } from "./pages.ts";
import type { Sequence } from "./sequence.ts";
import type { ComputedRows, Draft, Speculation } from "./speculation.ts";
import type { TokenEvent, TokenLogprob } from "./types.ts";

interface RowRun {
  sequence: Sequence;
  /** Rows of this step: tokens[from .. from + count), then the draft's. */
  from: number;
  count: number;
  draft?: Draft;
}

/** A sequence whose next token is wanted from this run. */
interface Wanted {
  sequence: Sequence;
  /** The run's row of its last token; rows of its draft follow. */
  row: number;
  draft: Draft | undefined;
  /** Rows of the logits: of its last token, and of its draft's first. */
  head: number;
  ahead: number;
}

/** A prompt token's place whose successor's log-probability is asked for: row i of the logits scores tokens[position + 1]. */
interface Scored {
  sequence: Sequence;
  position: number;
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
  /** Keeps prefixes across restarts; absent: memory only. */
  disk: DiskCache | undefined;
  prefixHits = 0;
  prefixQueries = 0;
  private readonly freeSlots: number[];
  private readonly speculation: Speculation | undefined;

  constructor(model: ServedModel, speculation?: Speculation) {
    this.model = model;
    this.speculation = speculation;
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
    this.keep(sequence);
    this.pool.release(sequence.pages);
    sequence.pages.length = 0;
    sequence.published = 0;
    sequence.lastPublished = sequence.root;
    sequence.computed = 0;
    sequence.cached = 0;
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
      // The last token is always computed: its logits are needed. So are all of a prompt whose tokens are to be scored.
      const scored = sequence.unscored > 0;
      const limit = scored ? 0 : tokens.length - 1;
      const pages = this.pool.match(tokens, limit, sequence.root);
      this.restore(sequence, tokens, pages, limit);
      sequence.pages.push(...pages);
      sequence.published = pages.length;
      sequence.lastPublished = pages.length > 0 ? pages[pages.length - 1] : sequence.root;
      sequence.cached = pages.length * this.pool.pageSize;
      sequence.computed = resumeAt(this.model.config, sequence.cached);
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

  /** Lengthens a found prefix by blocks from disk, as far as there are pages that nobody needs now. */
  private restore(sequence: Sequence, tokens: Int32Array, pages: number[], limit: number): void {
    const { disk, pool } = this;
    if (!disk) return;
    for (const [block, key] of disk.keys(tokens.subarray(0, limit), sequence.plan.adapter?.hash).entries()) {
      const end = (block + 1) * BLOCK_PAGES;
      if (pages.length >= end) continue;
      if (pool.available < end - pages.length + this.running.length + 1) return;
      const payload = disk.load(key);
      if (!payload) return;
      while (pages.length < end) {
        const page = pool.take() as number;
        disk.fill(payload, pages.length - block * BLOCK_PAGES, page);
        const at = pages.length * pool.pageSize;
        const parent = pages.length > 0 ? pages[pages.length - 1] : sequence.root;
        pool.publish(page, parent, tokens.slice(at, at + pool.pageSize));
        pages.push(page);
      }
    }
  }

  /** Saves the whole blocks of a sequence that is about to give its pages back. */
  private keep(sequence: Sequence): void {
    const { disk, pool } = this;
    if (!disk) return;
    const tokens = Int32Array.from(sequence.tokens.slice(0, Math.min(sequence.computed, sequence.tokens.length)));
    for (const [block, key] of disk.keys(tokens, sequence.plan.adapter?.hash).entries()) {
      const first = block * BLOCK_PAGES;
      if ((first + BLOCK_PAGES) * pool.pageSize <= sequence.cached) continue;
      disk.save(key, sequence.pages.slice(first, first + BLOCK_PAGES));
    }
  }

  /** Pages for `count` more tokens; takes them from the youngest others when the pool is empty. False: it must wait itself. */
  private reserve(sequence: Sequence, count: number): boolean {
    const { pageSize } = this.pool;
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
      this.addPage(sequence, page);
    }
    return true;
  }

  /** What the next step computes: first everyone's next token, then prompts in shares, or drafts where no prompt waits. */
  private plan(): RowRun[] {
    const { maxRows, maxSampled } = this.model.options;
    const runs: RowRun[] = [];
    let used = 0;
    // Every sequence may want the logits of one row; what is left is for prompts that are scored and for drafts.
    let logits = maxSampled - this.running.length;
    const take = (sequence: Sequence, wanted: number): void => {
      const count = sequence.unscored > 0 ? Math.min(wanted, 1 + logits) : wanted;
      if (count <= 0 || !this.running.includes(sequence) || !this.reserve(sequence, count)) return;
      runs.push({ sequence, from: sequence.computed, count });
      if (sequence.unscored > 0) logits -= count - 1;
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
    const kept = runs.filter(({ sequence }) => this.running.includes(sequence));
    if (prompts.length === 0) this.addDrafts(kept, Math.min(logits, maxRows - used));
    return kept;
  }

  /** Guesses ahead where they promise to save time and fit without taking anybody's pages. */
  private addDrafts(runs: RowRun[], rows: number): void {
    if (!this.speculation || rows <= 0) return;
    const { pageSize } = this.pool;
    const sequences = runs.map(({ sequence }) => sequence);
    // One more token than the draft comes out of a step, so a draft may hold all but the last of those that are wanted.
    const room = sequences.map(({ plan, generated }) => plan.maxTokens - generated - 1);
    const drafts = this.speculation.choose(sequences, room, rows);
    for (const entry of runs) {
      const draft = drafts.get(entry.sequence);
      if (!draft) continue;
      const { sequence } = entry;
      while (sequence.pages.length * pageSize < entry.from + 1 + draft.tokens.length) {
        const page = this.pool.take();
        if (page === undefined) break;
        this.addPage(sequence, page);
      }
      draft.tokens.length = Math.min(draft.tokens.length, sequence.pages.length * pageSize - entry.from - 1);
      if (draft.tokens.length > 0) entry.draft = draft;
    }
  }

  private addPage(sequence: Sequence, page: number): void {
    const table = this.model.run.buffer("pageTable").view() as Int32Array;
    const width = this.model.options.maxPositions / this.pool.pageSize;
    table[sequence.slot * width + sequence.pages.length] = page;
    sequence.pages.push(page);
  }

  /** Runs one step; returns what each sequence said. Does nothing when nobody is there. */
  step(): StepOutput[] {
    this.admit();
    const runs = this.plan();
    if (runs.length === 0) {
      // One sequence alone that does not fit is ended by the engine's own limits; this is the deadlock of an impossible pool.
      if (this.running.length > 0)
        throw new Error(
          `the cache of ${this.pool.pages} pages cannot hold one sequence of ${this.running[0].tokens.length} tokens`,
        );
      return [];
    }
    const began = performance.now();
    const groups = new Map<Adapter | undefined, RowRun[]>();
    for (const entry of runs) {
      const { adapter } = entry.sequence.plan;
      const group = groups.get(adapter);
      if (group) group.push(entry);
      else groups.set(adapter, [entry]);
    }
    const outputs = [...groups].flatMap(([adapter, group]) => this.compute(group, adapter));
    if (runs.every(({ count }) => count === 1)) {
      const rows = runs.reduce((sum, { draft }) => sum + 1 + (draft?.tokens.length ?? 0), 0);
      this.speculation?.measured(rows, performance.now() - began);
    }
    return outputs;
  }

  /** One run of the model, with one adapter or none, over these rows. */
  private compute(runs: readonly RowRun[], adapter: Adapter | undefined): StepOutput[] {
    const { run } = this.model;
    const { pageSize } = this.pool;
    const view = (name: string): Int32Array => run.buffer(name).view() as Int32Array;
    const [ids, positions, sequences, slots, sampledRows] = [
      "ids",
      "positions",
      "sequences",
      "slots",
      "sampledRows",
    ].map(view);
    const wanted: Wanted[] = [];
    const scored: (Scored & { row: number })[] = [];
    const computed: ComputedRows[] = [];
    let rows = 0;
    for (const { sequence, from, count, draft } of runs) {
      const { prompt, request } = sequence.plan;
      computed.push({ sequence, row: rows, from, kept: count });
      const end = from + count;
      const firstUnscored = sequence.unscored > 0 ? prompt.length - sequence.unscored - 1 : end;
      for (let position = from; position < end + (draft?.tokens.length ?? 0); position++, rows++) {
        ids[rows] = position < end ? sequence.tokens[position] : (draft as Draft).tokens[position - end];
        positions[rows] = position;
        sequences[rows] = sequence.slot;
        slots[rows] =
          position < sequence.cached
            ? -1
            : sequence.pages[Math.floor(position / pageSize)] * pageSize + (position % pageSize);
        if (position >= firstUnscored && position < Math.min(end, prompt.length - 1) && request.promptLogprobs)
          scored.push({ sequence, position, row: rows });
      }
      if (end === sequence.tokens.length)
        wanted.push({ sequence, row: rows - 1 - (draft?.tokens.length ?? 0), draft, head: 0, ahead: 0 });
    }
    // Logits: scored prompt tokens, then the last token of each sequence, then drafts.
    let at = 0;
    for (const { row } of scored) sampledRows[at++] = row;
    for (const entry of wanted) {
      entry.head = at;
      sampledRows[at++] = entry.row;
    }
    for (const entry of wanted) {
      entry.ahead = at;
      entry.draft?.tokens.forEach((_, i) => {
        sampledRows[at++] = entry.row + 1 + i;
      });
    }
    const chunks = runs.map(({ sequence: { slot, pages, cached }, from, count, draft }) => ({
      slot,
      pages,
      cached,
      from,
      count: count + (draft?.tokens.length ?? 0),
    }));
    (adapter?.run ?? run).run({ T: rows, R: at, ...fillServingWindows(this.model.windows, run, chunks) });
    for (const { sequence, count } of runs) {
      sequence.computed += count;
      this.publish(sequence);
    }
    this.score(scored);
    const outputs = this.choose(wanted);
    for (const entry of computed) entry.kept = entry.sequence.computed - entry.from;
    this.speculation?.observe(computed);
    return outputs;
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

  /** Log-probabilities of prompt tokens under the model's own distribution, from the first rows of the logits. */
  private score(scored: readonly Scored[]): void {
    if (scored.length === 0) return;
    const { sampler, config, run } = this.model;
    const logits = run.buffer("logits").view() as Float32Array;
    const parameters = sampler.buffer("parameters").view() as Float32Array;
    scored.forEach((_, r) => {
      parameters.set([0, 0, 1, 0], r * 4);
    });
    (sampler.buffer("mask").view() as Int32Array).fill(-1, 0, scored.length * Math.ceil(config.vocabSize / 32));
    sampler.run({ R: scored.length });
    const best = sampler.buffer("tokens").view();
    const logp = sampler.buffer("logp").view();
    scored.forEach(({ sequence, position }, r) => {
      const id = sequence.plan.prompt[position + 1];
      const row = r * config.vocabSize;
      const logprob = logp[r] + logits[row + id] - logits[row + best[r]];
      sequence.promptLogprobs[position + 1] = [
        { id, logprob },
        ...this.alternatives(r, sequence.plan.request.topLogprobs ?? 0),
      ];
    });
  }

  /**
   * Samples and hands each sequence its token; where that is what its draft guessed the draft's next row is sampled too, and so on.
   * Every row is sampled exactly as it would be in a step of its own.
   */
  private choose(wanted: Wanted[]): StepOutput[] {
    const { sampler, choiceOnly, config, run } = this.model;
    const vocab = config.vocabSize;
    const words = Math.ceil(vocab / 32);
    const outputs = wanted.map(({ sequence }) => ({ sequence, events: [] as TokenEvent[] }));
    let live = wanted.map((entry, i) => ({ ...entry, output: outputs[i] }));
    for (let round = 0; live.length > 0; round++) {
      const logits = run.buffer("logits").view() as Float32Array;
      const parameters = sampler.buffer("parameters").view() as Float32Array;
      const counters = sampler.buffer("counters").view() as Int32Array;
      const mask = sampler.buffer("mask").view() as Int32Array;
      live.forEach(({ sequence, head, ahead }, r) => {
        const { sampling = {} } = sequence.plan.request;
        // The sampler reads rows from 0 on; those before this one's have been used.
        const from = round === 0 ? head : ahead + round - 1;
        if (from !== r) logits.copyWithin(r * vocab, from * vocab, (from + 1) * vocab);
        editLogits(logits.subarray(r * vocab, (r + 1) * vocab), sequence);
        parameters.set([sampling.temperature ?? 1, sampling.topK ?? 0, sampling.topP ?? 1, sampling.minP ?? 0], r * 4);
        counters.set([sequence.plan.seed, sequence.generated], r * 2);
        allow(mask.subarray(r * words, (r + 1) * words), sequence);
      });
      const alternatives = live.some(({ sequence }) => sequence.plan.request.topLogprobs);
      (alternatives ? sampler : choiceOnly).run({ R: live.length });
      const tokens = sampler.buffer("tokens").view() as Int32Array;
      const logp = sampler.buffer("logp").view() as Float32Array;
      const next: typeof live = [];
      live.forEach((entry, r) => {
        const { sequence, draft, output } = entry;
        const { request } = sequence.plan;
        const extra: Pick<TokenEvent, "topLogprobs" | "routes" | "forced"> = {};
        if (request.topLogprobs) extra.topLogprobs = this.alternatives(r, request.topLogprobs);
        if (request.routes) extra.routes = this.routes(entry.row + round);
        if (sequence.certain() !== undefined) extra.forced = true;
        output.events.push(...sequence.accept(tokens[r], logp[r], extra));
        const right = draft !== undefined && draft.tokens[round] === tokens[r];
        if (right) sequence.computed++;
        if (right && !sequence.finished) {
          next.push(entry);
          return;
        }
        if (draft) this.speculation?.learn(sequence, draft, round + (right ? 1 : 0));
        if (!right && !request.routes) output.events.push(...acceptCertain(sequence));
        this.publish(sequence);
        if (sequence.finished) this.remove(sequence);
      });
      live = next;
    }
    return outputs;
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

/** Takes the tokens that leave the grammar or the budget no choice; the next step computes them all at once. */
function acceptCertain(sequence: Sequence): TokenEvent[] {
  const events: TokenEvent[] = [];
  while (!sequence.finished) {
    const id = sequence.certain();
    if (id === undefined) break;
    const topLogprobs = sequence.plan.request.topLogprobs ? [{ id, logprob: 0 }] : undefined;
    events.push(...sequence.accept(id, 0, { forced: true, ...(topLogprobs && { topLogprobs }) }));
  }
  return events;
}

/** The tokens that may come next, as bits. */
function allow(bits: Int32Array, sequence: Sequence): void {
  const { mask, stopTokens } = sequence.plan;
  const forced = sequence.forcedToken();
  if (forced !== undefined) {
    bits.fill(0);
    bits[forced >> 5] |= 1 << (forced & 31);
  } else if (!sequence.masked || !mask?.fill(bits)) bits.fill(-1);
  if (!sequence.endsForbidden) return;
  const before = bits.slice();
  for (const id of stopTokens) bits[id >> 5] &= ~(1 << (id & 31));
  // The minimum of tokens gives way to a grammar or budget that allows nothing but the end.
  if (bits.every((word) => word === 0)) bits.set(before);
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
