// Guesses that need no model: text repeated from the prompt or the answer so far, and text that a grammar leaves no choice about.
import type { Sequence } from "./sequence.ts";
import type { Drafter } from "./speculation.ts";

/** Tokens that must have come before in the same order for what followed them to be a guess (Saxena 2023, prompt lookup decoding). */
const NGRAM = 3;

/** Where each run of NGRAM tokens of a sequence was last followed by something. */
class Occurrences {
  private readonly last = new Map<number, number>();
  /** End of the first run not yet entered. */
  private next = NGRAM;

  private key(tokens: readonly number[], end: number): number {
    let hash = 0;
    for (let i = end - NGRAM; i < end; i++) hash = Math.imul(hash ^ tokens[i], 0x9e3779b1) ^ (hash >>> 15);
    return hash;
  }

  /** The position after the latest earlier occurrence of the last tokens, undefined where there is none. */
  find(tokens: readonly number[]): number | undefined {
    const end = tokens.length;
    for (; this.next < end; this.next++) this.last.set(this.key(tokens, this.next), this.next);
    if (end < NGRAM) return undefined;
    const at = this.last.get(this.key(tokens, end));
    if (at === undefined) return undefined;
    for (let i = 1; i <= NGRAM; i++) if (tokens[at - i] !== tokens[end - i]) return undefined;
    return at;
  }
}

/** What followed the last time the same tokens stood there; a repetition that reaches the end is taken to go on. */
export class PromptLookup implements Drafter {
  readonly source = "lookup";
  readonly prior = 0.6;
  private readonly seen = new WeakMap<Sequence, Occurrences>();

  propose(sequences: readonly Sequence[], most: readonly number[]): number[][] {
    return sequences.map((sequence, i) => {
      let seen = this.seen.get(sequence);
      if (!seen) this.seen.set(sequence, (seen = new Occurrences()));
      const { tokens } = sequence;
      const at = seen.find(tokens);
      if (at === undefined) return [];
      const draft: number[] = [];
      for (let k = at; draft.length < most[i]; k++)
        draft.push(k < tokens.length ? tokens[k] : draft[k - tokens.length]);
      return draft;
    });
  }
}

/** The text that the grammar demands next, in the tokens that the tokenizer would take for it. */
export class GrammarText implements Drafter {
  readonly source = "grammar";
  readonly prior = 0.8;

  propose(sequences: readonly Sequence[], most: readonly number[]): number[][] {
    return sequences.map((sequence, i) =>
      sequence.masked ? (sequence.plan.mask?.demanded().slice(0, most[i]) ?? []) : [],
    );
  }
}
