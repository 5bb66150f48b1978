// `weir inspect`: what a model is, from its files or its configuration alone.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type ModelConfig, parseConfigText } from "../../checkpoint/config.ts";
import type { CheckpointReport, ConfigReport } from "../../checkpoint/inspect.ts";
import { inspectCheckpoint, inspectConfig } from "../../checkpoint/inspect.ts";
import { openCheckpoint } from "../../checkpoint/model-directory.ts";
import { buildInference, type InferenceOptions } from "../../model/inference.ts";
import { buildDraft } from "../../model/mtp.ts";
import { buildTraining } from "../../model/training.ts";
import { printProgram } from "../../tensor/print.ts";
import type { Command } from "../command.ts";
import { UsageError } from "../command.ts";
import { formatBytes } from "../progress.ts";

const usage = `Usage: weir inspect PATH [--tensors] [--json]
       weir inspect --config CONFIG.JSON [--json]
       weir inspect PATH | --config CONFIG.JSON --program serve|train|draft

Shows architecture, parameters (total and active per token), cache bytes per token, tensors, tokenizer and chat template of a model
directory or GGUF file. With --config the shapes are derived from the configuration alone, without weights.

  --tensors   list every tensor with type and shape
  --json      print one JSON object
  --program   print the instructions that compute the model: serving, training, or drafting with its prediction module; barriers
              between threads are marked |, temporaries stand with their place in the arena
`;

const billions = (n: number): string =>
  `${n >= 1e8 ? `${(n / 1e9).toFixed(3)}B` : `${(n / 1e6).toFixed(3)}M`} (${n.toLocaleString("en-US")})`;

function configLines(report: ConfigReport): [string, string][] {
  const { parameters } = report;
  const lines: [string, string][] = [
    ["architecture", `${report.architecture} (${report.family})`],
    ["parameters", billions(parameters.total)],
    ["active per token", billions(parameters.active)],
    ["  without embedding", billions(parameters.activeWithoutEmbedding)],
  ];
  if (parameters.mtp > 0)
    lines.push(["prediction modules", `${report.predictionModules}, ${billions(parameters.mtp)}`]);
  lines.push(
    ["layers", `${report.layers} of width ${report.hiddenSize}`],
    ["attention", report.attention],
    ["experts", report.experts ?? "none"],
    ["rotation", report.rope],
    ["vocabulary", String(report.vocabSize)],
    ["context", `${report.contextLength} tokens`],
    ["cache per token", `${report.cacheElementsPerToken} elements, ${report.cacheBytesPerToken} bytes at 16 bits`],
  );
  if (report.quantization !== null) lines.push(["quantisation", report.quantization]);
  return lines;
}

function checkpointLines(report: CheckpointReport): [string, string][] {
  const lines = configLines(report);
  lines.push(["files", `${report.files.length} (${report.kind}), ${formatBytes(report.weightBytes)} of weights`]);
  for (const [dtype, { tensors, bytes }] of Object.entries(report.types))
    lines.push([`  ${dtype}`, `${tensors} tensors, ${formatBytes(bytes)}`]);
  lines.push(["tokenizer", report.tokenizer ?? "none"], ["chat template", report.chatTemplate ? "yes" : "none"]);
  for (const problem of report.problems.slice(0, 20)) lines.push(["problem", problem]);
  if (report.problems.length > 20) lines.push(["problem", `and ${report.problems.length - 20} more`]);
  if (report.unknown.length > 0)
    lines.push(["not implied", `${report.unknown.length} tensors, e.g. ${report.unknown[0]}`]);
  return lines;
}

/** Names come from files; control characters in them stay off the terminal. */
const print = (lines: [string, string][]): void => {
  for (const [name, value] of lines) console.log(`${name.padEnd(20)} ${value.replace(/\p{C}/gu, "?")}`);
};

/** The printed program of this kind. Its sizes bound registers and buffers and are an example; nothing is allocated. */
function listing(config: ModelConfig, kind: string): string {
  const serving: InferenceOptions = {
    maxRows: 256,
    maxSampled: 16,
    maxSequences: 16,
    maxPositions: 1024,
    pageSize: 16,
    pages: 256,
    cacheDtype: "bf16",
    dtypeOf: () => "f32",
  };
  if (kind === "serve") return printProgram(buildInference(config, serving).program);
  if (kind === "draft") return printProgram(buildDraft(config, serving).program);
  if (kind === "train") return printProgram(buildTraining(config, { maxTokens: 256, maxPositions: 256 }).program);
  throw new UsageError(`--program ${kind} is none of serve, train, draft`);
}

const command: Command = {
  summary: "show what a model is: architecture, sizes, tensors, tokenizer / 查看模型的结构、大小、张量与分词器",
  usage,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        config: { type: "string" },
        json: { type: "boolean" },
        tensors: { type: "boolean" },
        program: { type: "string" },
      },
    });
    if (values.config !== undefined) {
      if (positionals.length > 0) throw new UsageError("give a PATH or --config, not both");
      const config = parseConfigText(readFileSync(values.config, "utf8"), values.config);
      if (values.program) {
        console.log(listing(config, values.program));
        return 0;
      }
      const report = inspectConfig(config);
      if (values.json) console.log(JSON.stringify(report, null, 2));
      else print(configLines(report));
      return 0;
    }
    if (positionals.length !== 1) throw new UsageError("give one PATH, or --config CONFIG.JSON");
    const checkpoint = openCheckpoint(positionals[0]);
    try {
      if (values.program) {
        console.log(listing(checkpoint.config, values.program));
        return 0;
      }
      const report = inspectCheckpoint(checkpoint);
      const list = values.tensors ? checkpoint.tensorNames.map((name) => checkpoint.info(name)) : undefined;
      if (values.json) console.log(JSON.stringify({ ...report, list }, null, 2));
      else {
        print(checkpointLines(report));
        print((list ?? []).map(({ name, dtype, shape }) => [dtype, `${name} [${shape.join(", ")}]`]));
      }
      return report.problems.length === 0 ? 0 : 1;
    } finally {
      checkpoint.close();
    }
  },
};

export default command;
