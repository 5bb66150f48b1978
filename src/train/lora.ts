// Low-rank adapters on every linear layer, experts included (Hu et al. 2021): W = W₀ + (α/r)·B·A, with only A and B trained. The
// weights are kept merged, so training, rollouts and serving run the programs they always run; A's and B's gradients follow from W's.

import { expertNames } from "../model/weights.ts";
import type { DeviceBuffer, Executable } from "../tensor/device.ts";
import { copy } from "../tensor/ops/elementwise.ts";
import { matmul } from "../tensor/ops/matmul.ts";
import { Program } from "../tensor/program.ts";
import { buildOptimizer, isMuonParameter, type OptimizerConfig } from "./optimizer.ts";
import { gaussians } from "./parameters.ts";
import type { Trainer } from "./trainer.ts";

export interface LoraOptions {
  rank: number;
  alpha: number;
  seed: number;
  optimizer: OptimizerConfig;
}

export class Lora {
  readonly options: LoraOptions;
  /** Names of the adapted parameters, as the program has them. */
  readonly adapted: string[];
  private readonly trainer: Trainer;
  /** W₀ of every adapted parameter. */
  private readonly base = new Map<string, DeviceBuffer>();
  /** `lora_a.NAME` [(E,) r, in], `lora_b.NAME` [(E,) out, r] and the moments: what a resumed run needs. */
  readonly states: Record<string, DeviceBuffer> = {};
  /** Gradients of A and B by name, as `project` left them. */
  readonly gradients: Record<string, DeviceBuffer> = {};
  steps = 0;
  private readonly mergeRun: Executable;
  private readonly projectRun: Executable;
  private readonly updateRun: Executable;

  /** Adapts the trainer's weights as they are now; A is random, B zero, so nothing changes yet. Throws RangeError for a bad rank. */
  constructor(trainer: Trainer, options: LoraOptions) {
    const { rank, alpha, seed } = options;
    if (!Number.isInteger(rank) || rank < 1)
      throw new RangeError(`rank is ${rank}; a positive whole number was expected`);
    this.trainer = trainer;
    this.options = { ...options, optimizer: { ...options.optimizer, kind: "adamw" } };
    const { device, parameters } = trainer;
    const adapted = [...trainer.built.gradients.keys()].filter(
      ({ name, shape }) =>
        isMuonParameter(name, shape as number[]) && (shape.length === 2 || expertNames(name, shape[0] as number)),
    );
    this.adapted = adapted.map(({ name }) => name);
    const [merge, project] = [new Program("lora-merge"), new Program("lora-project")];
    const bindings: Record<string, DeviceBuffer> = {};
    const trained: { name: string; shape: number[] }[] = [];
    const scale = alpha / rank;
    adapted.forEach(({ name, shape: dims }, i) => {
      const shape = dims as number[];
      const [batch, [out, inner]] = [shape.slice(0, -2), shape.slice(-2)];
      const weight = parameters[name];
      const shapes = { a: [...batch, rank, inner], b: [...batch, out, rank] };
      const normal = gaussians(seed + i * 7919);
      const size = shapes.a.reduce((product, d) => product * d, 1);
      const values = Float32Array.from({ length: size }, () => normal() / Math.sqrt(inner));
      const names = { a: `lora_a.${name}`, b: `lora_b.${name}` };
      bindings[names.a] = device.buffer("f32", shapes.a, values);
      bindings[names.b] = device.buffer("f32", shapes.b);
      bindings[`base.${name}`] = device.buffer("f32", shape, (weight.view() as Float32Array).slice());
      this.base.set(name, bindings[`base.${name}`]);
      bindings[name] = weight;
      bindings[`grad.${name}`] = trainer.buffer(`grad.${name}`);
      for (const key of ["a", "b"] as const) {
        this.states[names[key]] = bindings[names[key]];
        trained.push({ name: names[key], shape: shapes[key] });
        bindings[`grad.${names[key]}`] = device.buffer("f32", shapes[key]);
        this.gradients[names[key]] = bindings[`grad.${names[key]}`];
      }
      const into = (program: Program) => ({
        a: program.state(names.a, "f32", shapes.a),
        b: program.state(names.b, "f32", shapes.b),
      });
      const m = into(merge);
      const add = merge.state(`base.${name}`, "f32", shape);
      copy(matmul(m.b, m.a, { alpha: scale, add }), merge.state(name, "f32", shape));
      const p = into(project);
      const gradient = project.state(`grad.${name}`, "f32", shape);
      copy(
        matmul(p.b, gradient, { transposeA: true, alpha: scale }),
        project.state(`grad.${names.a}`, "f32", shapes.a),
      );
      copy(
        matmul(gradient, p.a, { transposeB: true, alpha: scale }),
        project.state(`grad.${names.b}`, "f32", shapes.b),
      );
    });
    const pick = (program: Program): Record<string, DeviceBuffer> =>
      Object.fromEntries(program.tensors.flatMap(({ name }) => (name in bindings ? [[name, bindings[name]]] : [])));
    this.mergeRun = device.compile(merge, pick(merge));
    this.projectRun = device.compile(project, pick(project));
    const optimizer = buildOptimizer(trained, this.options.optimizer);
    this.updateRun = device.compile(optimizer, pick(optimizer));
    for (const { name } of trained)
      for (const moment of ["m", "v"]) this.states[`${moment}.${name}`] = this.updateRun.buffer(`${moment}.${name}`);
  }

  /** Gradients of A and B from those of the weights that the trainer has accumulated. */
  project(): void {
    this.projectRun.run();
  }

  /** One update of A and B from the trainer's accumulated gradients, in place of Trainer.applyUpdate; returns their norm. */
  applyUpdate(lr: number): { gradNorm: number; load: Map<number, Int32Array> } {
    const { beta1, beta2 } = this.options.optimizer;
    this.steps++;
    this.project();
    const set = (name: string, ...values: number[]): void =>
      (this.updateRun.buffer(name).view() as Float32Array).set(values);
    set("rates", lr, 1 - beta1 ** this.steps, 1 - beta2 ** this.steps);
    set("before", 1);
    this.updateRun.run();
    const load = this.trainer.takeLoad();
    this.trainer.discard();
    this.merge();
    return { gradNorm: this.updateRun.buffer("norm").view()[0], load };
  }

  /** After `states` have been read back: `steps` updates are done, and the weights carry the adapter. */
  restore(steps: number): void {
    this.steps = steps;
    this.merge();
  }

  /** The weights with the adapter: the same bits every time. */
  merge(): void {
    this.mergeRun.run();
  }

  /** The weights without it: the very bits they had before. */
  unmerge(): void {
    for (const [name, buffer] of this.base)
      (this.trainer.parameters[name].view() as Float32Array).set(buffer.view() as Float32Array);
  }
  free(): void {
    for (const run of [this.mergeRun, this.projectRun, this.updateRun]) run.free();
    const factors = Object.keys(this.gradients).map((name) => this.states[name]);
    for (const buffer of [...this.base.values(), ...factors, ...Object.values(this.gradients)]) buffer.free();
  }
}
