// Every family against the reference logits, hidden states and gradients of the goldens (float64, Hugging Face transformers).
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseConfigText } from "../checkpoint/config.ts";
import { openSafetensors, readTensor } from "../checkpoint/safetensors.ts";
import type { Device } from "../tensor/device.ts";
import { NativeDevice } from "../tensor/native.ts";
import { buildTraining } from "./training.ts";
import { loadParameter, saveParameter, type TensorSource } from "./weights.ts";

const root = "../shared/goldens";
const families = ["llama", "qwen2", "deepseek-v2-lite", "deepseek-v2", "deepseek-v3", "deepseek-v3-flat"];

const floatsOf = (bytes: Uint8Array): Float32Array => new Float32Array(bytes.slice().buffer);

function source(file: string): TensorSource {
  const set = openSafetensors(file);
  return { has: (name) => set.tensors.has(name), load: (name) => floatsOf(readTensor(set.tensors.get(name)!)) };
}

const rmsOf = (values: ArrayLike<number>): number =>
  Math.sqrt(Array.from(values).reduce((s, v) => s + v * v, 0) / values.length);

function compare(device: Device, name: string): Record<string, number> {
  const folder = join(root, name);
  const config = parseConfigText(readFileSync(join(folder, "config.json"), "utf8"));
  const model = source(join(folder, "model.safetensors"));
  const goldenSet = openSafetensors(join(folder, "golden.safetensors"));
  const golden = (key: string): Float32Array => floatsOf(readTensor(goldenSet.tensors.get(key)!));
  const [batch, length] = goldenSet.tensors.get("input_ids")!.shape;
  const total = batch * length;
  const wide = new BigInt64Array(readTensor(goldenSet.tensors.get("input_ids")!).slice().buffer);
  const ids = Int32Array.from(wide, Number);
  const built = buildTraining(config, { maxTokens: total, maxPositions: length, logits: true, hidden: true });
  const bindings: Record<string, ReturnType<Device["buffer"]>> = {};
  for (const [key, tensor] of built.context.parameters) {
    const shape = tensor.shape as number[];
    const values = built.context.constants.get(key) ?? loadParameter(model, key, shape);
    bindings[key] = device.buffer(tensor.dtype, shape, values);
  }
  const run = device.compile(built.program, bindings);
  const fill = (key: string, value: (t: number) => number): void => {
    const view = run.buffer(key).view();
    for (let t = 0; t < total; t++) view[t] = value(t);
  };
  const inside = (t: number): boolean => t % length < length - 1;
  fill("ids", (t) => ids[t]);
  fill("positions", (t) => t % length);
  fill("starts", (t) => t - (t % length));
  fill("targets", (t) => (inside(t) ? ids[t + 1] : 0));
  fill("weights", (t) => (inside(t) ? 1 / (batch * (length - 1)) : 0));
  run.run({ T: total });
  const errors: Record<string, number> = {};
  const worst = (key: string, got: ArrayLike<number>, wanted: Float32Array): void => {
    const mean = wanted.reduce((sum, v) => sum + v, 0) / wanted.length;
    const deviation = rmsOf(wanted.map((v) => v - mean));
    let most = 0;
    for (let i = 0; i < wanted.length; i++) most = Math.max(most, Math.abs(got[i] - wanted[i]));
    errors[key] = most / deviation;
  };
  worst("logits", run.buffer("logits").view(), golden("logits"));
  for (let layer = 0; layer <= config.numHiddenLayers; layer++)
    worst(`hidden.${layer}`, run.buffer(`hidden.${layer}`).view(), golden(`hidden.${layer}`));
  errors.loss = Math.abs(run.buffer("loss").view()[0] - golden("loss")[0]);
  const wantedGrads = source(join(folder, "grads/model.safetensors"));
  for (const [tensor, gradient] of built.gradients) {
    for (const part of saveParameter(
      tensor.name,
      tensor.shape as number[],
      Float32Array.from(run.buffer(gradient).view()),
    )) {
      const wanted = wantedGrads.load(part.name);
      const norm = rmsOf(wanted);
      const difference = rmsOf(part.values.map((v, i) => v - wanted[i]));
      errors[`grad ${part.name}`] = norm > 0 ? difference / norm : difference;
    }
  }
  run.free();
  return errors;
}

const devices: [string, () => Device][] = [["native", () => new NativeDevice()]];
if (!existsSync(root)) console.log(`${root} is absent: the goldens are not compared`);
else {
  for (const name of families) {
    for (const [label, open] of devices) {
      test(`${name} on ${label}`, () => {
        const device = open();
        const errors = compare(device, name);
        const sorted = Object.entries(errors).sort((a, b) => b[1] - a[1]);
        assert.ok(sorted.length > 10);
        assert.ok(
          sorted[0][1] < 1e-4,
          `${name}: ${sorted
            .slice(0, 5)
            .map(([key, error]) => `${key} ${error.toExponential(2)}`)
            .join(", ")}`,
        );
        device.close();
      });
    }
  }
}
