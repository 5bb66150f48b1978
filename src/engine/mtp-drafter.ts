// Guesses of the model's own prediction module (DeepSeek-V3 report §5.4.3). After each step the module reads the states of the rows
// that stay, with the tokens that came after them, which gives its cache and the first guess; further guesses feed its own state back.
import type { Executable } from "../tensor/device.ts";
import type { ServedModel } from "./model.ts";
import type { Sequence } from "./sequence.ts";
import type { ComputedRows, Drafter } from "./speculation.ts";

/** Guesses per step at most: the module was trained for the first, and each further one is a run of it and less often right. */
const MOST = 3;

/** One row for the module: the state of the token at `position` and the token after it. */
interface Row {
  sequence: Sequence;
  position: number;
  /** The token after. */
  id: number;
  state: Float32Array;
}

export class MtpDrafter implements Drafter {
  readonly source = "mtp";
  readonly prior = 0.7;
  private readonly model: ServedModel;
  private readonly draft: Executable;
  /** The last row of each sequence after the module: the best token after its next, and the module's state. */
  private readonly ahead = new WeakMap<Sequence, Row>();

  /** Throws where the model was opened without its prediction module (ModelOptions.draft). */
  constructor(model: ServedModel) {
    if (!model.draft) throw new Error("this model was opened without a prediction module");
    this.model = model;
    this.draft = model.draft;
  }

  propose(sequences: readonly Sequence[], most: readonly number[]): number[][] {
    const guesses: number[][] = sequences.map(() => []);
    let open = sequences.flatMap((sequence, i) => {
      const row = this.ahead.get(sequence);
      // The row is the one before the token that is computed next.
      return row && row.position === sequence.computed && most[i] > 0 ? [{ row, i }] : [];
    });
    for (let depth = 1; open.length > 0; depth++) {
      for (const { row, i } of open) guesses[i].push(row.id);
      if (depth === MOST) break;
      // Further ahead the module's rows need pages that are there; their keys are written again once the tokens are sure.
      open = open.filter(({ row, i }) => guesses[i].length < most[i] && this.slotOf(row) >= 0);
      if (open.length === 0) break;
      const next = this.compute(
        open.map(({ row }) => row),
        open.map((_, r) => r),
      );
      open = open.map(({ i }, r) => ({ row: next[r], i }));
    }
    return guesses;
  }

  observe(runs: readonly ComputedRows[]): void {
    const width = this.model.config.hiddenSize;
    const hidden = this.model.run.buffer("hidden").view() as Float32Array;
    const rows: Row[] = [];
    const last: number[] = [];
    for (const { sequence, row, from, kept } of runs) {
      if (sequence.slot < 0 || sequence.finished || kept === 0) continue;
      for (let i = 0; i < kept; i++) {
        const state = hidden.subarray((row + i) * width, (row + i + 1) * width);
        rows.push({ sequence, position: from + i, id: sequence.tokens[from + i + 1], state });
      }
      last.push(rows.length - 1);
    }
    if (rows.length === 0) return;
    for (const row of this.compute(rows, last)) this.ahead.set(row.sequence, row);
  }

  /** The cache row of a row's position, −1 where its page is not there. */
  private slotOf({ sequence, position }: Row): number {
    const { pageSize } = this.model.options;
    const page = sequence.pages[Math.floor(position / pageSize)];
    return page === undefined ? -1 : page * pageSize + (position % pageSize);
  }

  /** Runs the module over rows, those of a sequence together; of the `wanted` ones the rows one further ahead, with their best token. */
  private compute(rows: readonly Row[], wanted: readonly number[]): Row[] {
    const { draft } = this;
    const { hiddenSize: width, vocabSize: vocab } = this.model.config;
    const view = (name: string): Int32Array => draft.buffer(name).view() as Int32Array;
    const hidden = draft.buffer("hidden").view() as Float32Array;
    rows.forEach((row, t) => {
      view("ids")[t] = row.id;
      view("positions")[t] = row.position;
      view("sequences")[t] = row.sequence.slot;
      view("slots")[t] = this.slotOf(row);
      hidden.set(row.state, t * width);
    });
    view("sampledRows").set(wanted);
    draft.run({ T: rows.length, R: wanted.length });
    const logits = draft.buffer("logits").view();
    const next = draft.buffer("next").view() as Float32Array;
    return wanted.map((t, r) => {
      let best = 0;
      for (let id = 1; id < vocab; id++) if (logits[r * vocab + id] > logits[r * vocab + best]) best = id;
      const { sequence, position } = rows[t];
      return { sequence, position: position + 1, id: best, state: next.slice(r * width, (r + 1) * width) };
    });
  }
}
