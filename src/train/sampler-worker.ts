// The thread behind SamplerPool: an engine on one processor over its own copy of the weights.
import { parentPort, workerData } from "node:worker_threads";
import { LocalEngine } from "../engine/local-engine.ts";
import { ServedModel } from "../engine/model.ts";
import { openDevice } from "../tensor/devices.ts";
import { tokenizerFromHuggingFace } from "../text/huggingface.ts";
import type { Parameters } from "./parameters.ts";
import { rollouts } from "./rollout.ts";
import type { FromSampler, SamplerSetup, ToSampler } from "./sampler.ts";

const { config, tokenizer, model, weights, memory } = workerData as SamplerSetup;
const device = await openDevice({ threads: 1 });
const stored = (offset: number, bytes: number): Uint8Array => new Uint8Array(memory, offset, bytes).slice();
const valuesOf = ({
  dtype,
  offset,
  bytes,
}: SamplerSetup["weights"][number]): Float32Array | Int32Array | Uint8Array => {
  const raw = stored(offset, bytes);
  return dtype === "f32" ? new Float32Array(raw.buffer) : dtype === "i32" ? new Int32Array(raw.buffer) : raw;
};
const parameters: Parameters = Object.fromEntries(
  weights.map((one) => [one.name, device.buffer(one.dtype, one.shape, valuesOf(one))]),
);
const engine = new LocalEngine(new ServedModel(device, config, { parameters }, model), {
  name: "policy",
  tokenizer: tokenizerFromHuggingFace({ tokenizer }),
});

parentPort!.on("message", (message: ToSampler) => {
  if (message.type === "weights") {
    for (const one of weights) {
      const view = parameters[one.name].view();
      new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(stored(one.offset, one.bytes));
    }
    engine.weightsChanged(parameters);
    return;
  }
  try {
    const found = rollouts(engine, message.requests, message.options, new Set(message.ends));
    parentPort!.postMessage({ rollouts: found } satisfies FromSampler);
  } catch (error) {
    parentPort!.postMessage({ failure: error instanceof Error ? error.message : String(error) } satisfies FromSampler);
  }
});
