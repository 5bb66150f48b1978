// One completion in progress: its tokens, where its keys lie, what it has been asked for and what it has said so far. It decides
// when it is finished; when it runs is the scheduler's decision.
import type { StreamDecoder } from "../text/tokenizer.ts";
import type { Adapter } from "./adapters.ts";
import type { FinishReason, GenerateRequest, TokenEvent, TokenLogprob } from "./types.ts";

/** What masks tokens for a completion: a compiled grammar's state (engine/grammar). */
export interface TokenMask {
  /** Writes the allowed tokens as bits; false: everything is allowed and nothing was written. */
  fill(mask: Int32Array): boolean;
  accept(id: number): void;
  /** The token that must come next, where only one is allowed. */
  certain(): number | undefined;
  /** Tokens of the text that must come next, as the tokenizer would write it; the model may choose others for the same text. */
  demanded(): readonly number[];
  /** Whether the answer may end here. */
  readonly finished: boolean;
}

export interface SequencePlan {
  request: GenerateRequest;
  /** Which of the request's n completions. */
  index: number;
  prompt: Int32Array;
  maxTokens: number;
  seed: number;
  stopTokens: ReadonlySet<number>;
  /** Ends the thinking; undefined where the model has none. */
  endOfThinking: number | undefined;
  decoder: StreamDecoder;
  mask: TokenMask | null;
  adapter?: Adapter;
}

export class Sequence {
  readonly plan: SequencePlan;
  /** Prompt and completion. */
  readonly tokens: number[];
  /** Tokens whose keys and values are in the cache. */
  computed = 0;
  /** Of those, taken from the prefix cache. */
  reused = 0;
  /** Tokens whose pages came from the prefix cache when it was admitted; V4 computes the last of them once more for its windows. */
  cached = 0;
  readonly pages: number[] = [];
  /** Pages published so far and the last of them, the parent of the next. */
  published = 0;
  lastPublished: number;
  /** Row of the page table while running. */
  slot = -1;
  finished: FinishReason | undefined;
  /** What ended it. */
  stop: string | number | undefined;
  thinking: boolean;
  reasoningTokens = 0;
  firstTokenAt = 0;
  promptLogprobs: TokenLogprob[][] = [];
  /** Events held back because their text may be the beginning of a stop string. */
  private held: TokenEvent[] = [];

  constructor(plan: SequencePlan) {
    this.plan = plan;
    this.lastPublished = this.root;
    this.tokens = Array.from(plan.prompt);
    this.thinking = plan.request.startsInThinking ?? false;
    if (plan.request.promptLogprobs) this.promptLogprobs.push([{ id: plan.prompt[0], logprob: Number.NaN }]);
  }

  /** The parent of its first page: adapters have prefixes of their own. */
  get root(): number {
    return this.plan.adapter?.root ?? -1;
  }

  get generated(): number {
    return this.tokens.length - this.plan.prompt.length;
  }

  /** Prompt tokens whose log-probability is asked for and not known yet. The first of the completions reports them for all. */
  get unscored(): number {
    const { request, index, prompt } = this.plan;
    if (!request.promptLogprobs || index > 0) return 0;
    return prompt.length - Math.max(1, this.promptLogprobs.length);
  }

  /** Tokens known but not yet computed. */
  get pending(): number {
    return this.tokens.length - this.computed;
  }

  /** The token that must come next whatever the model says: the end of thinking when its budget is used up. */
  forcedToken(): number | undefined {
    const { request, endOfThinking } = this.plan;
    if (!this.thinking || endOfThinking === undefined || request.thinkingBudget === undefined) return undefined;
    return this.reasoningTokens >= request.thinkingBudget ? endOfThinking : undefined;
  }

  /** The token that comes next whatever the model says: of the budget, or the only one that the grammar allows. */
  certain(): number | undefined {
    return this.forcedToken() ?? (this.masked ? this.plan.mask?.certain() : undefined);
  }

  /** Whether the grammar applies to the next token. */
  get masked(): boolean {
    return this.plan.mask !== null && !(this.thinking && (this.plan.request.grammarAfterThinking ?? true));
  }

  /** Tokens that may not be chosen next: ends, while the minimum is not reached. */
  get endsForbidden(): boolean {
    return this.generated < (this.plan.request.minTokens ?? 0);
  }

  /** Takes the chosen token; returns the events that are certain now. */
  accept(id: number, logprob: number, extra: Pick<TokenEvent, "topLogprobs" | "routes" | "forced">): TokenEvent[] {
    const { request, stopTokens, endOfThinking, decoder, mask } = this.plan;
    this.tokens.push(id);
    if (this.firstTokenAt === 0) this.firstTokenAt = performance.now();
    if (this.masked) mask?.accept(id);
    if (this.thinking) {
      if (id === endOfThinking) this.thinking = false;
      else this.reasoningTokens++;
    }
    const ends = stopTokens.has(id);
    const event: TokenEvent = {
      type: "token",
      index: this.plan.index,
      id,
      text: ends ? "" : decoder.push(id),
      logprob,
      ...extra,
    };
    if (ends) this.end("stop", id);
    else if (this.generated >= this.plan.maxTokens) this.end("length");
    else if (mask?.finished && this.masked) this.end("stop");
    if (this.finished) event.text += ends ? "" : decoder.end();
    this.held.push(event);
    return this.releaseText(request.stop ?? []);
  }

  private end(reason: FinishReason, stop?: string | number): void {
    this.finished = reason;
    this.stop = stop;
  }

  /** Ends from outside: cancelled, or an error. */
  cancel(reason: FinishReason): TokenEvent[] {
    this.finished = reason;
    return this.held.splice(0);
  }

  /** Cuts at the first stop string; holds back text that could still become one. */
  private releaseText(stops: readonly string[]): TokenEvent[] {
    if (stops.length === 0) return this.held.splice(0);
    const text = this.held.map((event) => event.text).join("");
    let cut = -1;
    for (const stop of stops) {
      const at = stop === "" ? -1 : text.indexOf(stop);
      if (at >= 0 && (cut < 0 || at < cut)) {
        cut = at;
        this.stop = stop;
      }
    }
    if (cut >= 0) {
      this.finished = "stop";
      return this.take(cut, true);
    }
    if (this.finished) return this.held.splice(0);
    let keep = 0;
    for (const stop of stops) {
      for (let n = Math.min(stop.length - 1, text.length); n > keep; n--) {
        if (stop.startsWith(text.slice(text.length - n))) keep = n;
      }
    }
    return this.take(text.length - keep, false);
  }

  /** Events whose text lies wholly before `length`; the one across the border is cut when `last`, else held. */
  private take(length: number, last: boolean): TokenEvent[] {
    const out: TokenEvent[] = [];
    let used = 0;
    while (this.held.length > 0) {
      const event = this.held[0];
      if (used + event.text.length > length) {
        if (last) out.push({ ...event, text: event.text.slice(0, length - used) });
        break;
      }
      used += event.text.length;
      out.push(this.held.shift() as TokenEvent);
    }
    if (last) this.held = [];
    return out;
  }
}
