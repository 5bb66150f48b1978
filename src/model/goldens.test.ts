// Every family against the reference logits, hidden states and gradients of the goldens (float64, Hugging Face transformers).
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseConfigText } from "../checkpoint/config.ts";
import { openCheckpoint } from "../checkpoint/model-directory.ts";
import { openSafetensors, readTensor } from "../checkpoint/safetensors.ts";
import type { Device } from "../tensor/device.ts";
import { NativeDevice } from "../tensor/native.ts";
import { ReferenceDevice } from "../tensor/reference.ts";
import { WasmDevice } from "../tensor/wasm.ts";
import { withTorchTies } from "./torch-ties.fixture.ts";
import { buildTraining, fillRows } from "./training.ts";
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

/** Indexer choices by layer. */
type Selections = Map<number, Int32Array>;

function compare(
  device: Device,
  name: string,
  selections: { record?: Selections; given?: Selections } = {},
): Record<string, number> {
  const folder = join(root, name);
  const config = parseConfigText(readFileSync(join(folder, "config.json"), "utf8"));
  const model = openCheckpoint(folder);
  const goldenSet = openSafetensors(join(folder, "golden.safetensors"));
  const golden = (key: string): Float32Array => floatsOf(readTensor(goldenSet.tensors.get(key)!));
  const [batch, length] = goldenSet.tensors.get("input_ids")!.shape;
  const total = batch * length;
  const wide = new BigInt64Array(readTensor(goldenSet.tensors.get("input_ids")!).slice().buffer);
  const ids = Int32Array.from(wide, Number);
  const built = buildTraining(config, {
    maxTokens: total,
    maxPositions: length,
    logits: true,
    hidden: true,
    givenSelections: selections.given !== undefined,
  });
  const bindings: Record<string, ReturnType<Device["buffer"]>> = {};
  for (const [key, tensor] of built.context.parameters) {
    const shape = tensor.shape as number[];
    const values = built.context.constants.get(key) ?? loadParameter(model, key, shape);
    bindings[key] = device.buffer(tensor.dtype, shape, values);
  }
  const run = device.compile(built.program, bindings);
  const inside = (t: number): boolean => t % length < length - 1;
  const rows = (value: (t: number) => number): number[] => Array.from({ length: total }, (_, t) => value(t));
  const registers = fillRows(built, run, {
    ids,
    positions: rows((t) => t % length),
    starts: rows((t) => t - (t % length)),
    targets: rows((t) => (inside(t) ? ids[t + 1] : 0)),
    weights: rows((t) => (inside(t) ? 1 / (batch * (length - 1)) : 0)),
  });
  for (const [layer, rows] of selections.given ?? [])
    (run.buffer(`selections.${layer}`).view() as Int32Array).set(rows);
  run.run(registers);
  if (selections.record)
    for (const { layer } of built.context.selections)
      selections.record.set(layer, Int32Array.from(run.buffer(`selections.out.${layer}`).view()));
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

const passes = (name: string, errors: Record<string, number>): void => {
  const sorted = Object.entries(errors).sort((a, b) => b[1] - a[1]);
  assert.ok(sorted.length > 10);
  const worst = sorted.slice(0, 5).map(([key, error]) => `${key} ${error.toExponential(2)}`);
  assert.ok(sorted[0][1] < 1e-4, `${name}: ${worst.join(", ")}`);
};

if (!existsSync(root)) console.log(`${root} is absent: the goldens are not compared`);
else {
  const fast: [string, () => Promise<Device>][] = [
    ["native", async () => new NativeDevice()],
    ["wasm", () => WasmDevice.open({ threads: 1 })],
  ];
  for (const name of families) {
    test(`${name} on every device`, async () => {
      passes(`${name} on reference`, compare(new ReferenceDevice("f64"), name));
      for (const [label, open] of fast) {
        const device = await open();
        passes(`${name} on ${label}`, compare(device, name));
        device.close();
      }
    });
  }
  for (const [name, candidates] of [
    ["deepseek-v3.2", (length: number) => length],
    ["deepseek-v4", (length: number) => Math.floor(length / 4)],
  ] as const) {
    test(`${name} on every device, choosing among equal index scores as PyTorch does`, async () => {
      const { shape } = openSafetensors(join(root, name, "golden.safetensors")).tensors.get("input_ids")!;
      const chosen: Selections = new Map();
      passes(
        `${name} on reference`,
        withTorchTies(candidates(shape[1]), () => compare(new ReferenceDevice("f64"), name, { record: chosen })),
      );
      assert.ok(chosen.size > 0);
      for (const [label, open] of fast) {
        const device = await open();
        passes(`${name} on ${label}`, compare(device, name, { given: chosen }));
        device.close();
      }
    });
  }
}
