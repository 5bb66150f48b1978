// A run's checkpoints: Hugging Face directories with the training state inside, the last K of them, written so that a kill at any
// moment leaves a whole one to go on from.
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { DeviceBuffer } from "../tensor/device.ts";
import { type ExportOptions, exportModel } from "./export.ts";
import { loadState, type Memory, saveState } from "./state.ts";
import type { Trainer } from "./trainer.ts";

/** A checkpoint that could not be written; the message says which is still there. */
export class SaveError extends Error {}

const STATE = "weir-state.safetensors";

export class Checkpoints {
  readonly directory: string;
  private readonly keep: number;
  /** Writes what others load into the directory, replacing what is there. */
  write: (path: string, trainer: Trainer) => void;

  constructor(directory: string, keep: number, exporting: Omit<ExportOptions, "leaveOut"> = {}) {
    this.directory = directory;
    this.keep = Math.max(1, keep);
    this.write = (path, trainer) => {
      const leaveOut = trainer.built.context.constants;
      exportModel(path, trainer.config, trainer.parameters, { ...exporting, leaveOut, replace: true });
    };
    mkdirSync(directory, { recursive: true });
  }

  /** Steps of the checkpoints that are whole, ascending. The state is written last: without it a directory is left over from a kill. */
  steps(): number[] {
    return readdirSync(this.directory)
      .flatMap((name) => /^checkpoint-(\d+)$/.exec(name)?.[1] ?? [])
      .map(Number)
      .filter((step) => existsSync(join(this.path(step), STATE)))
      .sort((a, b) => a - b);
  }

  path(step: number): string {
    return join(this.directory, `checkpoint-${step}`);
  }

  /**
   * Writes the checkpoint of `step`, then removes what is more than K old. Throws SaveError where the disk refuses: what had been
   * written of this one is removed, older ones stay.
   */
  save(step: number, trainer: Trainer, memory: Memory, extra: Record<string, DeviceBuffer> = {}): string {
    const path = this.path(step);
    try {
      this.write(path, trainer);
      saveState(join(path, STATE), trainer, { ...memory, step }, extra);
    } catch (error) {
      if (!existsSync(join(path, STATE))) rmSync(path, { recursive: true, force: true });
      const last = this.steps().at(-1);
      const kept = last === undefined ? "no earlier one is there" : `that of step ${last} is whole`;
      throw new SaveError(
        `the checkpoint of step ${step} could not be written to ${this.directory}: ${(error as Error).message}; ${kept}. Make room and start again to go on from there`,
        { cause: error },
      );
    }
    const whole = this.steps();
    for (const old of whole.slice(0, Math.max(0, whole.length - this.keep)))
      rmSync(this.path(old), { recursive: true, force: true });
    return path;
  }

  /** Reads the latest whole checkpoint into the trainer; its memory, or undefined where there is none. */
  resume(trainer: Trainer, extra: Record<string, DeviceBuffer> = {}): Memory | undefined {
    const step = this.steps().at(-1);
    return step === undefined ? undefined : loadState(join(this.path(step), STATE), trainer, extra);
  }
}
