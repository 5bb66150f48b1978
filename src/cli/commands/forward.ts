// `weir forward`: logits, hidden states and gradients of a model on given token ids, to compare Weir with another implementation.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import { elementCount, isBlockType } from "../../checkpoint/dtype.ts";
import { openCheckpoint } from "../../checkpoint/model-directory.ts";
import { openSafetensors, readTensor, type TensorToWrite, writeSafetensors } from "../../checkpoint/safetensors.ts";
import { tensorSpecs } from "../../checkpoint/tensors.ts";
import { chooseLikeTorch } from "../../model/torch-ties.ts";
import { buildTraining, fillRows } from "../../model/training.ts";
import { loadParameter, saveParameter } from "../../model/weights.ts";
import type { DeviceBuffer } from "../../tensor/device.ts";
import { openDevice } from "../../tensor/devices.ts";
import { type Command, UsageError } from "../command.ts";

/** The ids [B, T] of the input file, whatever whole-number type they are stored in. */
function readIds(path: string): { batch: number; length: number; ids: Int32Array } {
  const tensor = openSafetensors(path).tensors.get("input_ids");
  if (!tensor) throw new UsageError(`${path} has no tensor input_ids`);
  if (tensor.shape.length !== 2) throw new UsageError(`${path}: input_ids must be [B, T], not [${tensor.shape}]`);
  const bytes = readTensor(tensor).slice().buffer;
  const ids =
    tensor.dtype === "I64"
      ? Int32Array.from(new BigInt64Array(bytes), Number)
      : tensor.dtype === "I32"
        ? new Int32Array(bytes)
        : undefined;
  if (!ids) throw new UsageError(`${path}: input_ids must be I64 or I32, not ${tensor.dtype}`);
  return { batch: tensor.shape[0], length: tensor.shape[1], ids };
}

const bytesOf = (values: ArrayBufferView): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

const float = (name: string, shape: number[], values: Float32Array): TensorToWrite => ({
  name,
  dtype: "F32",
  shape,
  read: () => bytesOf(values),
});

/**
 * What a directory of gradients holds beside them, so that it has the checkpoint's own names: zeros for parameters that the loss does
 * not reach, and the tensors that are no parameters (selection biases, expert tables) as they are, as transformers writes them.
 */
function others(checkpoint: Checkpoint, gradients: readonly TensorToWrite[]): TensorToWrite[] {
  const reached = new Set(gradients.map(({ name }) => name));
  return tensorSpecs(checkpoint.config)
    .filter(({ name }) => !reached.has(name))
    .map(({ name, shape, role }) => {
      if (role === "parameter") return float(name, shape, new Float32Array(elementCount(shape)));
      const { dtype, read } = checkpoint.raw(name);
      return isBlockType(dtype) ? float(name, shape, checkpoint.load(name)) : { name, dtype, shape, read };
    });
}

const command: Command = {
  summary: "compute logits, hidden states and gradients for given token ids / 计算 logits、隐藏状态与梯度",
  usage: `Usage: weir forward --model MODEL --input IN.safetensors --output OUT.safetensors [--hidden] [--grads DIR] [--device D]

Reads input_ids [B, T] and writes logits [B, T, V], in float32. MODEL is a directory or a GGUF file.
Where V3.2's and V4's indexers score keys equally (often: exactly 0), the choice decides; PyTorch's lets its logits be compared.

  --hidden     also hidden.0 (after the embedding) … hidden.L (after the final norm), and loss: the mean next-token cross-entropy
  --grads DIR  also DIR/model.safetensors: the gradients of that loss under the checkpoint's names, zero where it does not reach;
               selection biases and expert tables, which have none, as they are
  --ties RULE  pytorch (default), or position: the earlier key, as serving and training choose
  --device D   native, wasm or reference`,
  async run(args) {
    const { values } = parseArgs({
      args,
      options: {
        model: { type: "string" },
        input: { type: "string" },
        output: { type: "string" },
        hidden: { type: "boolean" },
        grads: { type: "string" },
        device: { type: "string" },
        ties: { type: "string", default: "pytorch" },
      },
    });
    const { model, input, output, grads } = values;
    if (!model || !input || !output) throw new UsageError("--model, --input and --output are needed");
    if (values.device && !["native", "wasm", "reference"].includes(values.device))
      throw new UsageError(`there is no device '${values.device}'`);
    if (!["pytorch", "position"].includes(values.ties))
      throw new UsageError(`there is no rule '${values.ties}' for ties`);
    const { batch, length, ids } = readIds(input);
    const checkpoint = openCheckpoint(model);
    const { config } = checkpoint;
    const total = batch * length;
    const bad = ids.findIndex((id) => id < 0 || id >= config.vocabSize);
    if (bad >= 0)
      throw new UsageError(`input_ids[${bad}] is ${ids[bad]}; the vocabulary has ${config.vocabSize} tokens`);
    const device = await openDevice({ device: values.device as "native" | undefined });
    const { attention } = config;
    const indexed = attention.kind === "compressed" || (attention.kind === "latent" && attention.indexer !== null);
    const likeTorch = indexed && values.ties === "pytorch";
    const sizes = { maxTokens: total, maxPositions: length, givenSelections: likeTorch };
    const built = buildTraining(config, {
      ...sizes,
      logits: true,
      hidden: values.hidden,
      backward: grads !== undefined,
    });
    const bindings: Record<string, DeviceBuffer> = {};
    for (const [name, tensor] of built.context.parameters) {
      const shape = tensor.shape as number[];
      bindings[name] = device.buffer(
        tensor.dtype,
        shape,
        built.context.constants.get(name) ?? loadParameter(checkpoint, name, shape),
      );
    }
    const run = device.compile(built.program, bindings);
    const predicts = (row: number): boolean => row % length < length - 1;
    const rows = (value: (row: number) => number): number[] => Array.from({ length: total }, (_, row) => value(row));
    const given = {
      ids,
      positions: rows((row) => row % length),
      starts: rows((row) => row - (row % length)),
      targets: rows((row) => (predicts(row) ? ids[row + 1] : 0)),
      weights: rows((row) => (predicts(row) ? 1 / (batch * (length - 1)) : 0)),
    };
    if (likeTorch) {
      const settling = buildTraining(config, { ...sizes, backward: false });
      const first = device.compile(settling.program, bindings);
      for (const [layer, chosen] of chooseLikeTorch(settling, first, given, length))
        (run.buffer(`selections.${layer}`).view() as Int32Array).set(chosen);
      first.free();
    }
    run.run(fillRows(built, run, given));
    const result = (name: string): Float32Array => Float32Array.from(run.buffer(name).view());
    const tensors = [float("logits", [batch, length, config.vocabSize], result("logits"))];
    if (values.hidden) {
      // V4's are streams: [B, T, n, d].
      built.context.hidden.forEach(({ shape }, i) =>
        tensors.push(float(`hidden.${i}`, [batch, length, ...(shape.slice(1) as number[])], result(`hidden.${i}`))),
      );
      tensors.push(float("loss", [], result("loss")));
    }
    writeSafetensors(output, tensors);
    if (grads) {
      mkdirSync(grads, { recursive: true });
      const tensorsOfGrads = [...built.gradients]
        .flatMap(([tensor, gradient]) =>
          saveParameter(tensor.name, tensor.shape as number[], Float32Array.from(run.buffer(gradient).view())),
        )
        .map(({ name, shape, values }) => float(name, shape, values));
      writeSafetensors(join(grads, "model.safetensors"), [...tensorsOfGrads, ...others(checkpoint, tensorsOfGrads)]);
    }
    checkpoint.close();
    device.close();
    return 0;
  },
};
export default command;
