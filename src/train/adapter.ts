// Adapters on disk as Hugging Face PEFT has them: adapter_config.json and adapter_model.safetensors, a pair of factors per linear
// layer, experts one by one as DeepSeek's checkpoints name them. What an adapter does to weights is lora.ts's.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeTextAtomically } from "../checkpoint/atomic.ts";
import { CheckpointError } from "../checkpoint/errors.ts";
import { openSafetensors, readTensor, writeSafetensors } from "../checkpoint/safetensors.ts";
import { writeDirectory } from "../checkpoint/write-model.ts";
import { expertNames } from "../model/weights.ts";
import type { Lora } from "./lora.ts";

const PREFIX = "base_model.model.";
const CONFIG = "adapter_config.json";
const TENSORS = "adapter_model.safetensors";

/** `model.….q_proj.weight` as PEFT names its factors. */
const factorName = (weight: string, half: "A" | "B"): string =>
  `${PREFIX}${weight.replace(/\.weight$/, "")}.lora_${half}.weight`;

/** The weights that an adapted parameter stands for, in order: one, or one per expert. */
const partsOf = (name: string, shape: readonly number[]): string[] =>
  (shape.length === 3 ? expertNames(name, shape[0]) : undefined) ?? [name];

/** Writes the adapter as a directory, in the place of one that is there; it appears whole or not at all. */
export function exportAdapter(directory: string, lora: Lora, baseModel: string): void {
  const { rank, alpha } = lora.options;
  const tensors = lora.adapted.flatMap((name) =>
    (["A", "B"] as const).flatMap((half) => {
      const buffer = lora.states[`lora_${half.toLowerCase()}.${name}`];
      const shape = buffer.shape.slice(-2);
      const bytes = 4 * shape[0] * shape[1];
      return partsOf(name, buffer.shape).map((part, i) => ({
        name: factorName(part, half),
        dtype: "F32" as const,
        shape,
        read: () => {
          const view = buffer.view();
          return new Uint8Array(view.buffer, view.byteOffset + i * bytes, bytes);
        },
      }));
    }),
  );
  const config = {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: baseModel,
    r: rank,
    lora_alpha: alpha,
    lora_dropout: 0,
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    target_modules: [...new Set(lora.adapted.map((name) => name.split(".").at(-2)!))].sort(),
  };
  writeDirectory(directory, true, (temporary) => {
    writeSafetensors(join(temporary, TENSORS), tensors);
    writeTextAtomically(join(temporary, CONFIG), `${JSON.stringify(config, null, 2)}\n`);
  });
}

/** Reads a PEFT directory into an adapter of the same rank over the same model, and merges it. Throws CheckpointError. */
export function importAdapter(directory: string, lora: Lora): void {
  const configPath = join(directory, CONFIG);
  const config = JSON.parse(readFileSync(configPath, "utf8")) as Record<string, unknown>;
  for (const [key, expected] of [
    ["peft_type", "LORA"],
    ["r", lora.options.rank],
    ["lora_alpha", lora.options.alpha],
  ] as const)
    if (config[key] !== expected)
      throw new CheckpointError(configPath, key, `is ${JSON.stringify(config[key])}, not ${JSON.stringify(expected)}`);
  const path = join(directory, TENSORS);
  const { tensors } = openSafetensors(path);
  for (const name of lora.adapted) {
    for (const half of ["A", "B"] as const) {
      const buffer = lora.states[`lora_${half.toLowerCase()}.${name}`];
      const bytes = 4 * buffer.shape.slice(-2).reduce((product, d) => product * d, 1);
      const view = buffer.view();
      partsOf(name, buffer.shape).forEach((part, i) => {
        const tensor = tensors.get(factorName(part, half));
        if (!tensor) throw new CheckpointError(path, factorName(part, half), "is missing");
        if (tensor.dtype !== "F32" || tensor.bytes !== bytes)
          throw new CheckpointError(
            path,
            tensor.name,
            `is ${tensor.dtype} [${tensor.shape}], not F32 [${buffer.shape}]`,
          );
        new Uint8Array(view.buffer, view.byteOffset + i * bytes, bytes).set(readTensor(tensor));
      });
    }
  }
  lora.merge();
}
