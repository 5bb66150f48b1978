// A training state on disk: parameters, optimiser moments, step and whatever a stage must remember (data position, seeds), in one
// safetensors file written atomically, so that a killed run goes on to the same bits. Model directories for others are export.ts.

import { CheckpointError } from "../checkpoint/errors.ts";
import { openSafetensors, readTensor, writeSafetensors } from "../checkpoint/safetensors.ts";
import type { DeviceBuffer } from "../tensor/device.ts";
import type { Parameters } from "./parameters.ts";
import type { Trainer } from "./trainer.ts";

/** JSON-serialisable facts that a stage needs beside the tensors. */
export type Memory = Record<string, unknown>;

const bytesOf = (view: ArrayBufferView): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

/** Every buffer that makes up the state, by stored name. Gradients are zero between steps and are left out. */
function parts(trainer: Trainer, extra: Record<string, DeviceBuffer>): Map<string, DeviceBuffer> {
  const found = new Map<string, DeviceBuffer>(Object.entries(extra));
  // Frozen weights come from where they came from before.
  if (trainer.options.frozen) return found;
  for (const [name, buffer] of Object.entries(trainer.parameters)) {
    if (!trainer.built.context.constants.has(name)) found.set(`parameter.${name}`, buffer);
  }
  for (const [name, buffer] of Object.entries(trainer.states))
    if (!name.startsWith("grad.")) found.set(`state.${name}`, buffer);
  return found;
}

/** Writes the state between two steps; `extra` are buffers of the stage's own (a reference model). */
export function saveState(
  path: string,
  trainer: Trainer,
  memory: Memory = {},
  extra: Record<string, DeviceBuffer> = {},
): void {
  const tensors = [...parts(trainer, extra)].map(([name, buffer]) => ({
    name,
    dtype: buffer.dtype === "i32" ? ("I32" as const) : ("F32" as const),
    shape: [...buffer.shape],
    read: () => bytesOf(buffer.view()),
  }));
  writeSafetensors(path, tensors, { steps: String(trainer.steps), memory: JSON.stringify(memory) });
}

/** Reads the weights of a state into a trainer of the same shape, whatever its optimiser; moments and step stay as they are. */
export function loadParameters(
  path: string,
  trainer: {
    parameters: Parameters;
    built: { context: { constants: ReadonlyMap<string, unknown> } };
  },
): void {
  const stored = openSafetensors(path);
  for (const [name, buffer] of Object.entries(trainer.parameters)) {
    if (trainer.built.context.constants.has(name)) continue;
    const tensor = stored.tensors.get(`parameter.${name}`);
    if (!tensor) throw new CheckpointError(path, name, "is missing; the state is of another model");
    if (tensor.bytes !== buffer.view().byteLength)
      throw new CheckpointError(path, name, `has shape [${tensor.shape}], not [${buffer.shape}]`);
    bytesOf(buffer.view()).set(readTensor(tensor));
  }
}

/** Reads a state into a trainer of the same shape; returns the stage's memory. Throws CheckpointError naming what does not fit. */
export function loadState(path: string, trainer: Trainer, extra: Record<string, DeviceBuffer> = {}): Memory {
  const stored = openSafetensors(path);
  for (const [name, buffer] of parts(trainer, extra)) {
    const tensor = stored.tensors.get(name);
    const elements = buffer.shape.reduce((product, d) => product * d, 1);
    if (!tensor) throw new CheckpointError(path, name, "is missing; the state is of another model or optimiser");
    if (tensor.bytes !== elements * 4)
      throw new CheckpointError(path, name, `has shape [${tensor.shape}], not [${buffer.shape}]`);
    bytesOf(buffer.view()).set(readTensor(tensor));
  }
  trainer.steps = Number(stored.metadata?.steps ?? 0);
  return JSON.parse(stored.metadata?.memory ?? "{}") as Memory;
}
