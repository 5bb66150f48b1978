// One trainable model: forward, backward and update over packed batches. It knows no files, no data sets and no rewards; stages
// (pretraining, SFT, GRPO) decide what a step's documents and weights are.
import type { ModelConfig } from "../checkpoint/config.ts";
import { buildTraining, fillRows, type TrainingProgram } from "../model/training.ts";
import type { TensorSource } from "../model/weights.ts";
import type { Device, DeviceBuffer, Executable } from "../tensor/device.ts";
import { fill } from "../tensor/ops/elementwise.ts";
import { sumSquares } from "../tensor/ops/optimizer.ts";
import { type ProfileLine, profileLines } from "../tensor/profile.ts";
import { Program } from "../tensor/program.ts";
import { type Batch, totalWeight } from "./batch.ts";
import { buildOptimizer, type OptimizerConfig } from "./optimizer.ts";
import { makeParameters, type Parameters } from "./parameters.ts";

export interface TrainerOptions {
  maxTokens: number;
  maxPositions: number;
  optimizer: OptimizerConfig;
  /** Speed γ of the selection bias against unequal expert load (V3 report §2.1.2); 0: frozen. */
  biasSpeed?: number;
  balanceAlpha?: number;
  /** λ of the multi-token prediction loss; 0 (default): the prediction modules are not trained. */
  mtpWeight?: number;
  logitScale?: number;
  /** Keep what enters each layer only, and compute the rest again for the backward pass. */
  recompute?: boolean;
  givenRoutes?: boolean;
  /** Most tokens that a row's distribution may be restricted to (Batch.kept); 0 (default): never. */
  keptTokens?: number;
  /** The weights stay: gradients are there for adapters (lora.ts), and no optimiser is kept for the weights themselves. */
  frozen?: boolean;
}

export interface StepResult {
  /** Σ weights·(−logp) / Σ weights + balance losses + multi-token prediction's. */
  loss: number;
  /** The first part alone: what runs with different further losses are compared by. */
  crossEntropy: number;
  /** Of the gradients before clipping. */
  gradNorm: number;
  tokens: number;
  /** Tokens per expert, by layer, over this step. */
  load: Map<number, Int32Array>;
}

export class Trainer {
  readonly config: ModelConfig;
  readonly device: Device;
  readonly options: TrainerOptions;
  readonly parameters: Parameters;
  readonly built: TrainingProgram;
  /** The optimiser's moments and the gradients, by state name: what a resumed run needs beside the parameters. */
  readonly states: Record<string, DeviceBuffer> = {};
  /** Updates done. */
  steps = 0;
  /** Of the batch last accumulated: its loss without those of balance and multi-token prediction. */
  crossEntropy = 0;
  private readonly run: Executable;
  private readonly update: Executable;
  private readonly updateProgram: Program;
  /** The sum of all gradients' squares. */
  private readonly squares: Executable;

  constructor(
    device: Device,
    config: ModelConfig,
    options: TrainerOptions,
    from: { source: TensorSource } | { seed: number },
  ) {
    this.device = device;
    this.config = config;
    this.options = options;
    this.built = buildTraining(config, options);
    this.parameters = makeParameters(device, this.built.context, from);
    this.run = device.compile(this.built.program, this.parameters);
    const all = [...this.built.gradients.keys()].map((tensor) => ({
      name: tensor.name,
      shape: tensor.shape as number[],
    }));
    const trained = options.frozen ? [] : all;
    const bindings: Record<string, DeviceBuffer> = {};
    for (const { name } of trained) {
      bindings[name] = this.parameters[name];
      bindings[`grad.${name}`] = this.run.buffer(`grad.${name}`);
    }
    const program = buildOptimizer(trained, options.optimizer);
    this.updateProgram = program;
    const squares = new Program("squares");
    const total = fill(squares, [1], 0);
    sumSquares(
      all.map(({ name, shape }) => squares.state(`grad.${name}`, "f32", shape)),
      total,
    );
    squares.output(total, "total");
    const gradients = all.map(({ name }) => [`grad.${name}`, this.run.buffer(`grad.${name}`)] as const);
    this.squares = device.compile(squares, Object.fromEntries(gradients));
    this.update = device.compile(program, bindings);
    for (const tensor of program.tensors) {
      if (tensor.kind === "state" && !tensor.viewOf && !(tensor.name in this.parameters)) {
        this.states[tensor.name] = this.update.buffer(tensor);
      }
    }
  }

  /** Runs one batch forward and backward, adding to the gradients; `weights · scale` weighs its tokens. Returns the loss. */
  accumulate(batch: Batch, scale: number): number {
    const weights = batch.weights.map((weight) => weight * scale);
    this.run.run(fillRows(this.built, this.run, { ...batch, weights }));
    const { logp } = this;
    this.crossEntropy = -weights.reduce((sum, weight, row) => sum + weight * logp[row], 0);
    return this.run.buffer("loss").view()[0];
  }

  /** Log-probabilities and entropies of the targets of the batch last run, in place. */
  get logp(): Float32Array {
    return this.run.buffer("logp").view() as Float32Array;
  }

  get entropy(): Float32Array {
    return this.run.buffer("entropy").view() as Float32Array;
  }

  /** Bytes held, by purpose; `activations` are what one pass needs at its largest. */
  get memory(): { parameters: number; gradients: number; optimizer: number; activations: number } {
    const size = (buffers: DeviceBuffer[]): number =>
      buffers.reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0);
    const states = Object.entries(this.states);
    return {
      parameters: size(Object.values(this.parameters)),
      gradients: size(this.gradientNames.map((name) => this.run.buffer(name))),
      optimizer:
        size(states.filter(([name]) => !name.startsWith("grad.")).map(([, buffer]) => buffer)) + this.update.arenaBytes,
      activations: this.run.arenaBytes,
    };
  }

  /** An input or output of the training program by name. */
  buffer(name: string): DeviceBuffer {
    return this.run.buffer(name);
  }

  /** Applies the accumulated gradients at `lr` (and Muon's rate in proportion); returns their norm. Moves the selection biases. */
  applyUpdate(lr: number): { gradNorm: number; load: Map<number, Int32Array> } {
    const { optimizer, frozen } = this.options;
    if (frozen) throw new Error("this trainer's weights are frozen; its adapter is what is updated");
    this.steps++;
    const set = (name: string, ...values: number[]): void =>
      (this.update.buffer(name).view() as Float32Array).set(values);
    const corrections = [1 - optimizer.beta1 ** this.steps, 1 - optimizer.beta2 ** this.steps];
    set("rates", lr, ...corrections);
    set("muonRates", lr * ((optimizer.muonLr ?? optimizer.lr) / optimizer.lr), ...corrections);
    set("before", 1);
    this.update.run();
    return { gradNorm: this.update.buffer("norm").view()[0], load: this.takeLoad() };
  }

  /** Whether every accumulated gradient is a finite number. */
  gradientsFinite(): boolean {
    this.squares.run();
    if (Number.isFinite(this.squares.buffer("total").view()[0])) return true;
    // Either one is not, or large ones overflowed the sum: look at each.
    for (const name of this.gradientNames) {
      // In double precision, squares of f32 numbers add up to a finite sum unless one of them is not finite.
      let sum = 0;
      for (const value of this.run.buffer(name).view() as Float32Array) sum += value * value;
      if (!Number.isFinite(sum)) return false;
    }
    return true;
  }

  /** Forgets the accumulated gradients and expert loads: the step that they were for is left out. */
  discard(): void {
    for (const name of this.gradientNames) (this.run.buffer(name).view() as Float32Array).fill(0);
    for (const { layer } of this.built.context.routes) (this.run.buffer(`load.${layer}`).view() as Int32Array).fill(0);
  }

  private get gradientNames(): string[] {
    return [...this.built.gradients.keys()].map(({ name }) => `grad.${name}`);
  }

  /** Reads and clears the expert loads, moving each selection bias by ±γ toward the mean load, outside differentiation. */
  takeLoad(): Map<number, Int32Array> {
    const load = new Map<number, Int32Array>();
    for (const { layer } of this.built.context.routes) {
      const counts = this.run.buffer(`load.${layer}`).view() as Int32Array;
      load.set(layer, counts.slice());
      const name = [
        `model.layers.${layer}.mlp.gate.e_score_correction_bias`,
        `model.layers.${layer}.ffn.gate.bias`,
      ].find((key) => key in this.parameters);
      const speed = this.options.biasSpeed ?? 0;
      if (name && speed > 0) {
        const bias = this.parameters[name].view() as Float32Array;
        const mean = counts.reduce((sum, n) => sum + n, 0) / counts.length;
        for (let e = 0; e < bias.length; e++) bias[e] += speed * Math.sign(mean - counts[e]);
      }
      counts.fill(0);
    }
    return load;
  }

  /** One update over the micro-batches of a step: weighted mean loss, at learning rate `lr`. */
  step(batches: readonly Batch[], lr: number): StepResult {
    const weight = batches.reduce((sum, batch) => sum + totalWeight(batch), 0);
    let [loss, crossEntropy] = [0, 0];
    for (const batch of batches) {
      loss += this.accumulate(batch, weight > 0 ? 1 / weight : 0);
      crossEntropy += this.crossEntropy;
    }
    const { gradNorm, load } = this.applyUpdate(lr);
    return { loss, crossEntropy, gradNorm, tokens: batches.reduce((sum, batch) => sum + batch.tokens, 0), load };
  }

  /**
   * Where the time of `steps` calls of `step`, each over one batch of `tokens`, goes: forward and backward, and the update. Undefined
   * where the device has no clock. The step is slower from then on.
   */
  profile(
    step: () => void,
    { steps, tokens, byShape }: { steps: number; tokens: number; byShape?: boolean },
  ): { pass: ProfileLine[]; update: ProfileLine[] } | undefined {
    const { run, update } = this;
    if (!run.profile || !update.profile) return undefined;
    run.profile();
    update.profile();
    for (let i = 0; i < steps; i++) step();
    const about = { runs: steps, registers: { T: tokens }, byShape };
    return {
      pass: profileLines(this.built.program, run.profile(), about),
      update: profileLines(this.updateProgram, update.profile(), { ...about, registers: {} }),
    };
  }

  free(): void {
    this.run.free();
    this.update.free();
    this.squares.free();
    for (const buffer of Object.values(this.parameters)) buffer.free();
  }
}
