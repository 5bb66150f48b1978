// Log-probabilities of given tokens under a set of weights, without gradients: the reference model, the current policy after an
// update, perplexity. It also tells which experts each row took.
import type { ModelConfig } from "../checkpoint/config.ts";
import { buildTraining, fillRows, type TrainingProgram } from "../model/training.ts";
import type { Device, Executable } from "../tensor/device.ts";
import type { Batch } from "./batch.ts";
import type { Parameters } from "./parameters.ts";

export interface ScorerOptions {
  maxTokens: number;
  maxPositions: number;
  /** One over the temperature of the distribution asked about. Default 1. */
  logitScale?: number;
  /** Follow expert choices that `score` is given. */
  givenRoutes?: boolean;
  /** Restrict distributions to the batch's kept tokens, at most so many. */
  keptTokens?: number;
}

/** Expert choices by layer, i32 [rows, K] flat. */
export type Routes = Map<number, Int32Array>;

export class Scorer {
  readonly built: TrainingProgram;
  private readonly run: Executable;

  /** Binds to `parameters` in place: later changes of the weights are seen. */
  constructor(device: Device, config: ModelConfig, parameters: Parameters, options: ScorerOptions) {
    this.built = buildTraining(config, { ...options, backward: false });
    this.run = device.compile(this.built.program, parameters);
  }

  /** log π of every row's target (copied), and the experts of every row. */
  score(batch: Batch, routes?: Routes): { logp: Float32Array; routes: Routes } {
    for (const [layer, ids] of routes ?? []) (this.run.buffer(`routes.${layer}`).view() as Int32Array).set(ids);
    this.run.run(fillRows(this.built, this.run, batch));
    const taken: Routes = new Map();
    for (const { layer, ids } of this.built.context.routes) {
      const width = ids.shape[1] as number;
      const view = this.run.buffer(`routes.out.${layer}`).view() as Int32Array;
      taken.set(layer, view.slice(0, batch.tokens * width));
    }
    return { logp: (this.run.buffer("logp").view() as Float32Array).slice(0, batch.tokens), routes: taken };
  }

  free(): void {
    this.run.free();
  }
}
