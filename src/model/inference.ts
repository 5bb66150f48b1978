// The program that serves: any mix of rows from any sequences, prompt chunks and single new tokens alike, through the model over
// the paged cache, to sampled tokens for the rows that ask. One program per loaded model; scheduling is the engine's business.
import type { ModelConfig } from "../checkpoint/config.ts";
import type { Dtype } from "../tensor/dtype.ts";
import type { CacheDtype } from "../tensor/ops/cache.ts";
import { gatherRows } from "../tensor/ops/columns.ts";
import { linear } from "../tensor/ops/linear.ts";
import { sample } from "../tensor/ops/sample.ts";
import { dim, Program, type Tensor } from "../tensor/program.ts";
import { ModelContext } from "./context.ts";
import { trunk } from "./forward.ts";
import { servingWindows } from "./serving-windows.ts";
import { finalNorm, headWeight } from "./transformer.ts";

export interface InferenceOptions {
  /** Most rows (prompt tokens and new tokens together) per run. */
  maxRows: number;
  /** Most rows per run whose logits are wanted. */
  maxSampled: number;
  /** Most sequences in the page table. */
  maxSequences: number;
  /** Most tokens per sequence; a multiple of pageSize. */
  maxPositions: number;
  pageSize: number;
  pages: number;
  cacheDtype: CacheDtype;
  /** Keep every row's state after the final norm as the output `hidden` [T, d]: what a draft program reads (mtp.ts). */
  hidden?: boolean;
  /** Storage type of each weight. */
  dtypeOf: (name: string, shape: readonly number[]) => Dtype;
}

/**
 * Registers T (rows) and R (sampled rows). Inputs i32: `ids` [T], `positions` [T], `sequences` [T] (row of the page table), `slots`
 * [T] (cache row each token is written to), `pageTable` [S, pages per sequence], `sampledRows` [R]. Outputs: `logits` [R, V],
 * `states` [R, d] (after the final norm), `hidden` [T, d] if asked for, `routes.LAYER` i32 [T, K]. Caches are states `cache.…`.
 * Sampling is a program of its own (buildSampler), so that logits can be edited in between.
 */
export interface InferenceProgram {
  program: Program;
  context: ModelContext;
  options: InferenceOptions;
}

/** A serving program without instructions yet: registers, inputs and cache, which a model's and its draft module's programs share. */
export function servingContext(
  name: string,
  config: ModelConfig,
  options: InferenceOptions,
): { context: ModelContext; sampledRows: Tensor } {
  const { maxRows, maxSampled, maxSequences, maxPositions, pageSize, pages } = options;
  const program = new Program(name);
  const rows = program.register("T", maxRows);
  const sampled = program.register("R", maxSampled);
  const index = (name: string, max: number, min = 0) => program.input(name, "i32", [dim(rows)], { min, max });
  const pageTable = program.input("pageTable", "i32", [maxSequences, maxPositions / pageSize], { min: 0, max: pages });
  const a = config.attention;
  const windows = a.kind === "compressed" ? servingWindows(program, rows, pageTable, a, options) : undefined;
  const context = new ModelContext({
    program,
    config,
    rows,
    inputs: { ids: index("ids", config.vocabSize), positions: index("positions", maxPositions), starts: null },
    cache: {
      pageSize,
      pages,
      pageTable,
      sequences: index("sequences", maxSequences),
      slots: index("slots", pages * pageSize, -1),
      dtype: options.cacheDtype,
      windows,
    },
    maxPositions,
    dtypeOf: options.dtypeOf,
  });
  const sampledRows = program.input("sampledRows", "i32", [dim(sampled)], { min: 0, max: maxRows });
  return { context, sampledRows };
}

export function buildInference(config: ModelConfig, options: InferenceOptions): InferenceProgram {
  const { context, sampledRows } = servingContext(`serve-${config.family}`, config, options);
  const { program } = context;
  const x = finalNorm(context, trunk(context));
  const wanted = gatherRows(x, sampledRows);
  program.output(linear(wanted, headWeight(context)), "logits");
  program.output(wanted, "states");
  if (options.hidden) program.output(x, "hidden");
  for (const { layer, ids } of context.routes) program.output(ids, `routes.${layer}`);
  return { program, context, options };
}

/**
 * From logits [R, V] (the serving program's buffer, perhaps edited) to `tokens` i32 [R] and `logp` [R], with `topIds`, `topLogp`
 * [R, alternatives]. Inputs `parameters`, `counters`, `mask` as ops/sample.ts wants them.
 */
export function buildSampler(vocab: number, maxSampled: number, alternatives: number): Program {
  const program = new Program("sample");
  const rows = program.register("R", maxSampled);
  const logits = program.input("logits", "f32", [dim(rows), vocab]);
  const parameters = program.input("parameters", "f32", [dim(rows), 4]);
  const counters = program.input("counters", "i32", [dim(rows), 2]);
  const mask = program.input("mask", "i32", [dim(rows), Math.ceil(vocab / 32)]);
  const { ids, logp, topIds, topLogp } = sample(logits, parameters, counters, mask, alternatives);
  program.output(ids, "tokens");
  program.output(logp, "logp");
  if (alternatives > 0) {
    program.output(topIds, "topIds");
    program.output(topLogp, "topLogp");
  }
  return program;
}
