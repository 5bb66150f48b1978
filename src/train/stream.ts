// The endless, reproducible order of training documents: a mixture of sources by weight, each shuffled anew every epoch, packed into
// rows best-fit within windows. Where it stands is a few numbers, kept in checkpoints.
import type { Document } from "./batch.ts";
import { bestFit } from "./packing.ts";
import { uniform } from "./rewards.ts";

export interface Source {
  weight: number;
  count: number;
  /** The documents made of row `index`, none longer than `longest`; `draw` numbers the draws of the whole run. */
  documents(index: number, draw: number, longest: number): Document[];
}

export interface StreamPosition {
  /** Rows drawn before the current window, in all and per source. */
  drawn: number;
  perSource: number[];
  /** Packs already taken out of the window. */
  taken: number;
}

export interface StreamOptions {
  seed: number;
  /** Tokens per pack. */
  room: number;
  /** Tokens per document. */
  longest: number;
  /** Packs' worth of documents that are packed together. Default 8. */
  window?: number;
}

/** 0 … count−1 in an order that depends on the seed and the epoch only (Fisher–Yates). */
export function shuffled(count: number, ...seed: number[]): Int32Array {
  const order = Int32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(uniform(...seed, i) * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

export class DocumentStream {
  private readonly sources: readonly Source[];
  private readonly options: StreamOptions;
  private start: StreamPosition;
  private packs: Document[][] = [];
  private next: { drawn: number; perSource: number[] };
  private readonly orders = new Map<string, Int32Array>();

  /** Throws RangeError where there is nothing to draw. */
  constructor(sources: readonly Source[], options: StreamOptions) {
    const usable = sources.some(({ weight, count }) => weight > 0 && count > 0);
    if (!usable) throw new RangeError("there is nothing to train on: no source has both rows and a weight above 0");
    this.sources = sources;
    this.options = options;
    const perSource = sources.map(() => 0);
    this.start = { drawn: 0, perSource, taken: 0 };
    this.next = { drawn: 0, perSource };
    this.fill();
  }

  get position(): StreamPosition {
    return this.start;
  }

  set position(position: StreamPosition) {
    this.next = { drawn: position.drawn, perSource: [...position.perSource] };
    this.fill();
    this.start.taken = position.taken;
  }

  /** Passes over source `s` so far, the current one included as a fraction. */
  epochs(s: number): number {
    return this.next.perSource[s] / this.sources[s].count;
  }

  /** The documents of one pack: together at most `room` tokens. */
  take(): Document[] {
    if (this.start.taken === this.packs.length) this.fill();
    return this.packs[this.start.taken++];
  }

  private rowOf(s: number, k: number): number {
    const { count } = this.sources[s];
    const epoch = Math.floor(k / count);
    const key = `${s} ${epoch}`;
    let order = this.orders.get(key);
    if (!order) {
      order = shuffled(count, this.options.seed, s, epoch);
      this.orders.delete(`${s} ${epoch - 2}`);
      this.orders.set(key, order);
    }
    return order[k % count];
  }

  private fill(): void {
    const { seed, room, longest, window = 8 } = this.options;
    this.start = { ...this.next, perSource: [...this.next.perSource], taken: 0 };
    const perSource = [...this.next.perSource];
    let { drawn } = this.next;
    const weights = this.sources.map(({ weight, count }) => (count > 0 ? weight : 0));
    const total = weights.reduce((a, b) => a + b, 0);
    const documents: Document[] = [];
    let tokens = 0;
    let fruitless = 0;
    const rows = this.sources.reduce((sum, { count }) => sum + count, 0);
    while (tokens < window * room) {
      let at = uniform(seed, drawn, 11) * total;
      let s = weights.findIndex((weight) => (at -= weight) < 0);
      if (s < 0) s = weights.findLastIndex((weight) => weight > 0);
      const made = this.sources[s].documents(this.rowOf(s, perSource[s]++), drawn++, longest);
      fruitless = made.length > 0 ? 0 : fruitless + 1;
      if (fruitless > 2 * rows + 100)
        throw new RangeError(`no row gives a document of at most ${longest} tokens: raise the context length`);
      for (const document of made) {
        documents.push(document);
        tokens += document.ids.length;
      }
    }
    const bins = bestFit(
      documents.map(({ ids }) => ids.length),
      room,
    );
    const order = shuffled(bins.length, seed, drawn, 13);
    this.packs = Array.from(order, (b) => bins[b].map((i) => documents[i]));
    this.next = { drawn, perSource };
  }
}
