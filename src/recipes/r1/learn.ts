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
import { BACKWARD, forwardFlops, workOf } from "./flops.ts";

export interface LearnOptions {
  steps: number;
  /** The stage is cut short to about so many seconds, its schedule with it. */
  seconds?: number;
  lr: number;
  schedule: Omit<Schedule, "totalSteps">;
  /** Weight of predicting question tokens. */
  promptWeight: number;
  /** Where the state is kept; it is read when it is there. */
  state: string;
  /** Steps between states. */
  saveEvery: number;
}

export interface LearnPoint {
  step: number;
  loss: number;
  gradNorm: number;
  /** Largest expert load over the mean, worst layer; 1 in dense models. */
  imbalance: number;
}

export interface Learnt {
  steps: number;
  tokens: number;
  flops: number;
  seconds: number;
  /** Mean over the last tenth of the steps, at most 50. */
  loss: number;
  curve: LearnPoint[];
  /** Tokens per expert over the stage, by layer. */
  load: Record<string, number[]>;
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

/** How far a stage is, 0..1, by its steps or its time, whichever is further. */
export const shareDone = (step: number, steps: number, seconds: number, limit?: number): number =>
  Math.max(step / steps, limit === undefined ? 0 : seconds / limit);

/** The rate's factor when `share` of the stage is done: the schedule's own, on a stage of the length that the share implies. */
export function factorAt(schedule: Omit<Schedule, "totalSteps">, step: number, steps: number, share: number): number {
  const total = share > step / steps ? Math.max(step + 1, Math.round(step / share)) : steps;
  return rateFactor({ ...schedule, totalSteps: total }, step);
}

/** Most points of a curve; where there would be more, every other one goes. */
const POINTS = 300;

/**
 * Trains from the saved state where there is one. The stream is replayed up to where the state was saved, so a resumed run sees
 * what an uninterrupted one would. Calls `report` after every step with the share that is done.
 */
export function learn(
  trainer: Trainer,
  tokenizer: Tokenizer,
  stream: Iterator<Conversation>,
  options: LearnOptions,
  report: (point: LearnPoint & { share: number; tokens: number }) => void = () => {},
): Learnt {
  const { steps, lr, schedule, promptWeight, state, saveEvery, seconds: limit } = options;
  const room = { room: trainer.options.maxTokens, longest: trainer.options.maxPositions, promptWeight };
  const carry: Document[] = [];
  const fresh: Learnt & { recent: number[]; stride: number } = {
    steps: 0,
    tokens: 0,
    flops: 0,
    seconds: 0,
    loss: 0,
    curve: [],
    load: {},
    recent: [],
    stride: 1,
  };
  const done = existsSync(state) ? (loadState(state, trainer).learnt as typeof fresh) : fresh;
  for (let step = 0; step < done.steps; step++) nextBatch(stream, tokenizer, room, carry);
  const before = done.seconds;
  const began = performance.now();
  for (;;) {
    const share = shareDone(done.steps, steps, done.seconds, limit);
    if (share >= 1) break;
    const step = done.steps;
    const documents = nextBatch(stream, tokenizer, room, carry);
    const result = trainer.step([packBatch(documents)], lr * factorAt(schedule, step, steps, share));
    if (!Number.isFinite(result.loss))
      throw new Error(
        `the loss of step ${step} is ${result.loss}; the state at ${state} is from before it: go on with a lower rate or more steps`,
      );
    let imbalance = 1;
    for (const [layer, counts] of result.load) {
      const total = counts.reduce((a, b) => a + b, 0);
      imbalance = Math.max(imbalance, (Math.max(...counts) * counts.length) / total);
      done.load[layer] ??= Array(counts.length).fill(0);
      counts.forEach((count, e) => {
        done.load[layer][e] += count;
      });
    }
    done.steps++;
    done.tokens += result.tokens;
    done.flops += BACKWARD * forwardFlops(trainer.config, workOf(documents.map(({ ids }) => ids.length)));
    done.seconds = before + (performance.now() - began) / 1000;
    done.recent = [...done.recent, result.loss].slice(-Math.max(1, Math.min(50, Math.round(done.steps / 10))));
    done.loss = done.recent.reduce((a, b) => a + b, 0) / done.recent.length;
    const point = { step, loss: result.loss, gradNorm: result.gradNorm, imbalance };
    const after = shareDone(done.steps, steps, done.seconds, limit);
    if (step % done.stride === 0 || after >= 1) done.curve.push(point);
    if (done.curve.length > POINTS) {
      done.stride *= 2;
      done.curve = done.curve.filter(({ step: at }) => at % done.stride === 0);
    }
    report({ ...point, share: after, tokens: result.tokens });
    if (done.steps % saveEvery === 0 || after >= 1) saveState(state, trainer, { learnt: done });
  }
  const { recent: _recent, stride: _stride, ...learnt } = done;
  return learnt;
}
