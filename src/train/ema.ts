// An exponential moving average of the trained weights (V3 report §2.1 keeps one): a smoother model than the last step's, without the
// learning rate having fallen. It is kept beside the weights and never read by training.
import type { DeviceBuffer, Executable } from "../tensor/device.ts";
import { add, copy, scaleBy } from "../tensor/ops/elementwise.ts";
import { Program } from "../tensor/program.ts";
import type { Parameters } from "./parameters.ts";
import type { Trainer } from "./trainer.ts";

export class Ema {
  /** `ema.NAME` of every trained parameter: what a resumed run needs. */
  readonly states: Record<string, DeviceBuffer> = {};
  private readonly trainer: Trainer;
  private readonly decay: number;
  private readonly run: Executable;

  /** Begins with the weights as they are. Throws RangeError for a decay outside 0 … 1. */
  constructor(trainer: Trainer, decay: number) {
    if (!(decay > 0 && decay < 1)) throw new RangeError(`decay is ${decay}; a number between 0 and 1 was expected`);
    this.trainer = trainer;
    this.decay = decay;
    const program = new Program("ema");
    const [keep, take] = ["keep", "take"].map((name) => program.input(name, "f32", [1]));
    const bindings: Record<string, DeviceBuffer> = {};
    for (const { name, shape } of trainer.built.gradients.keys()) {
      const stored = `ema.${name}`;
      const dims = shape as number[];
      bindings[name] = trainer.parameters[name];
      bindings[stored] = trainer.device.buffer("f32", dims, bindings[name].view().slice());
      this.states[stored] = bindings[stored];
      const average = program.state(stored, "f32", dims);
      copy(add(scaleBy(average, keep), scaleBy(program.state(name, "f32", dims), take)), average);
    }
    this.run = trainer.device.compile(program, bindings);
  }

  /** Takes in the weights of after the `step`-th update. Early on it forgets faster, as (1 + t)/(10 + t), for it began with noise. */
  update(step: number): void {
    const keep = Math.min(this.decay, (1 + step) / (10 + step));
    (this.run.buffer("keep").view() as Float32Array)[0] = keep;
    (this.run.buffer("take").view() as Float32Array)[0] = 1 - keep;
    this.run.run();
  }

  /** The averages under the parameters' names; what is not trained by gradients is as it is now. */
  get parameters(): Parameters {
    return Object.fromEntries(
      Object.entries(this.trainer.parameters).map(([name, buffer]) => [name, this.states[`ema.${name}`] ?? buffer]),
    );
  }

  free(): void {
    this.run.free();
    for (const buffer of Object.values(this.states)) buffer.free();
  }
}
