// `weir convert`: a model from any format Weir reads into a Hugging Face directory or a GGUF file.
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { openCheckpoint } from "../../checkpoint/model-directory.ts";
import { isWritable, writableTypes } from "../../checkpoint/quantize.ts";
import { checkTensors } from "../../checkpoint/tensors.ts";
import type { ModelSource } from "../../checkpoint/write-model.ts";
import { writeGgufModel, writeHuggingFace } from "../../checkpoint/write-model.ts";
import type { Command } from "../command.ts";
import { UsageError } from "../command.ts";
import { Progress } from "../progress.ts";

const usage = `Usage: weir convert IN OUT [--dtype TYPE] [--shard-bytes N] [--replace]

IN is a model directory or a GGUF file. OUT ending in .gguf becomes a GGUF file, anything else a Hugging Face directory (config,
sharded safetensors, tokenizer, chat template, generation config).

  --dtype TYPE      ${writableTypes.join(", ")}. Default: the stored types; what a directory cannot hold becomes BF16.
                    Rows that do not fill the type's blocks fall back as llama-quantize does.
  --shard-bytes N   largest safetensors file (default 5000000000)
  --replace         put the new directory in the place of one that is there
`;

/** Counts the bytes of every tensor as it is read. */
function counted(model: ModelSource, progress: Progress): ModelSource {
  const seen = new Set<string>();
  const count = (name: string) => {
    if (!seen.has(name)) progress.add(model.info(name).bytes, name);
    seen.add(name);
  };
  return {
    ...model,
    load(name) {
      count(name);
      return model.load(name);
    },
    raw(name) {
      count(name);
      return model.raw(name);
    },
  };
}

const command: Command = {
  summary: "convert a model between Hugging Face directories and GGUF / 在 Hugging Face 目录与 GGUF 之间转换",
  usage,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { dtype: { type: "string" }, "shard-bytes": { type: "string" }, replace: { type: "boolean" } },
    });
    if (positionals.length !== 2) throw new UsageError("give IN and OUT");
    const [from, to] = positionals;
    const dtype = values.dtype?.toUpperCase();
    if (dtype !== undefined && !isWritable(dtype))
      throw new UsageError(`--dtype ${values.dtype} is none of ${writableTypes.join(", ")}`);
    const shardBytes = values["shard-bytes"] === undefined ? undefined : Number(values["shard-bytes"]);
    if (shardBytes !== undefined && !(Number.isSafeInteger(shardBytes) && shardBytes > 0))
      throw new UsageError(`--shard-bytes ${values["shard-bytes"]} is no positive whole number`);
    const gguf = to.endsWith(".gguf");
    if (!gguf && dtype !== undefined && dtype !== "F32" && dtype !== "F16" && dtype !== "BF16")
      throw new UsageError(`a Hugging Face directory holds F32, F16 or BF16; for ${dtype} name OUT *.gguf`);
    const checkpoint = openCheckpoint(from);
    try {
      checkTensors(checkpoint.config, (name) => (checkpoint.has(name) ? checkpoint.info(name).shape : undefined), from);
      const total = checkpoint.tensorNames.reduce((sum, name) => sum + checkpoint.info(name).bytes, 0);
      const progress = new Progress(`converting ${basename(from)}`, { total });
      const model = counted(checkpoint, progress);
      if (gguf) writeGgufModel(to, model, { dtype, name: basename(from).replace(/\.gguf$/, "") });
      else if (dtype === undefined || dtype === "F32" || dtype === "F16" || dtype === "BF16")
        writeHuggingFace(to, model, { dtype, shardBytes, replace: values.replace });
      progress.end();
      if (
        !gguf &&
        checkpoint.tokenizer?.kind === "gguf" &&
        checkpoint.tokenizer.vocabulary.get("tokenizer.ggml.model") !== "gpt2"
      )
        console.error(
          "The vocabulary is SentencePiece's, which has no tokenizer.json here; the directory has no tokenizer.",
        );
      console.log(to);
      return 0;
    } finally {
      checkpoint.close();
    }
  },
};

export default command;
