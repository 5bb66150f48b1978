// Supervised learning of the recipe (pretraining, cold start, rejection-sampling SFT): conversations from a stream, packed into
// steps, a schedule, and a state file from which a killed run goes on with the same data.
import { existsSync } from "node:fs";
import type { Conversation } from "../../text/conversation.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { type Document, packBatch } from "../../train/batch.ts";
import { rateFactor, type Schedule } from "../../train/schedule.ts";
import { loadState, saveState } from "../../train/state.ts";
import type { Trainer } from "../../train/trainer.ts";
import { toDocument } from "./corpus.ts";

export interface LearnOptions {
  steps: number;
  lr: number;
  schedule: Omit<Schedule, "totalSteps">;
  /** Weight of predicting question tokens. */
  promptWeight: number;
  /** Where the state is kept; it is read when it is there. */
  state: string;
  /** Steps between states. */
  saveEvery: number;
}

export interface LearnProgress {
  step: number;
  steps: number;
  loss: number;
  gradNorm: number;
  tokens: number;
  /** Largest expert load over the mean, worst layer. */
  imbalance: number;
}

/** Draws documents until the step is full; those longer than the model's context are passed over. */
function nextBatch(
  stream: Iterator<Conversation>,
  tokenizer: Tokenizer,
  options: { room: number; longest: number; promptWeight: number },
  carry: Document[],
): Document[] {
  const documents: Document[] = [];
  let used = 0;
  for (;;) {
    const document = carry.pop() ?? toDocument(tokenizer, stream.next().value as Conversation, options.promptWeight);
    if (document.ids.length > options.longest) continue;
    if (used + document.ids.length > options.room) {
      carry.push(document);
      return documents;
    }
    documents.push(document);
    used += document.ids.length;
  }
}

/**
 * Trains for `steps` updates, from the saved state where there is one. The stream is replayed up to where the state was saved, so
 * a resumed run sees what an uninterrupted one would. Calls `report` after every step.
 */
export function learn(
  trainer: Trainer,
  tokenizer: Tokenizer,
  stream: Iterator<Conversation>,
  options: LearnOptions,
  report: (progress: LearnProgress) => void = () => {},
): void {
  const { steps, lr, promptWeight, state, saveEvery } = options;
  const schedule: Schedule = { ...options.schedule, totalSteps: steps };
  const room = { room: trainer.options.maxTokens, longest: trainer.options.maxPositions, promptWeight };
  const carry: Document[] = [];
  const done = existsSync(state) ? Number(loadState(state, trainer).step) : 0;
  for (let step = 0; step < done; step++) nextBatch(stream, tokenizer, room, carry);
  for (let step = done; step < steps; step++) {
    const result = trainer.step(
      [packBatch(nextBatch(stream, tokenizer, room, carry))],
      lr * rateFactor(schedule, step),
    );
    if (!Number.isFinite(result.loss))
      throw new Error(`the loss of step ${step} is ${result.loss}; the state at ${state} is from before it`);
    const imbalance = Math.max(
      ...[...result.load.values()].map(
        (counts) => (Math.max(...counts) * counts.length) / counts.reduce((a, b) => a + b, 0),
      ),
    );
    report({ step, steps, loss: result.loss, gradNorm: result.gradNorm, tokens: result.tokens, imbalance });
    if ((step + 1) % saveEvery === 0 || step + 1 === steps) saveState(state, trainer, { step: step + 1 });
  }
}
