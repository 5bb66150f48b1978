// The program that trains: whole packed rows through the model, log-probabilities of targets, a weighted loss, gradients. What the
// weights of the loss are (cross-entropy, advantages, masks) is the trainer's business.
import type { CompressedAttention, LayerType, ModelConfig } from "../checkpoint/config.ts";
import { gradients } from "../tensor/autodiff.ts";
import type { Executable } from "../tensor/device.ts";
import { add, dot, scale } from "../tensor/ops/elementwise.ts";
import { linear } from "../tensor/ops/linear.ts";
import { logprob } from "../tensor/ops/loss.ts";
import { balanceLoss, expertLoad } from "../tensor/ops/router.ts";
import { type Dim, dim, Program, ProgramError, type Register, type Tensor } from "../tensor/program.ts";
import { ModelContext, type WindowInputs } from "./context.ts";
import { trunk } from "./forward.ts";
import { aheadLoss, aheadRows } from "./mtp.ts";
import { finalNorm, headWeight } from "./transformer.ts";
import { windowIndices } from "./windows.ts";

export interface TrainingOptions {
  /** Most rows (tokens) per run. */
  maxTokens: number;
  /** Most tokens per document. */
  maxPositions: number;
  /** Factor on the logits before the softmax: one over the temperature. Default 1. */
  logitScale?: number;
  /** Strength of the sequence-wise balance loss; 0 (default): none. */
  balanceAlpha?: number;
  /**
   * λ of the multi-token prediction loss, over all modules that the configuration has (V3 report §2.2); 0 (default): the modules
   * are not part of the program.
   */
  mtpWeight?: number;
  /** Whether the gradients are computed too. Default true. */
  backward?: boolean;
  /** Compute each layer's forward pass again in the backward pass instead of keeping it: the same bits, less memory, more time. */
  recompute?: boolean;
  /** Keep every row's logits as the output `logits` [T, V] (small models and comparisons only). */
  logits?: boolean;
  /** Keep the hidden states as outputs `hidden.0` … `hidden.L`. */
  hidden?: boolean;
  /** Read the expert choice of every MoE layer from inputs `routes.LAYER` i32 [T, K] instead of making it. */
  givenRoutes?: boolean;
  /** Restrict each row's distribution to at most so many tokens, as the input `kept` i32 [T, K] says (tensor/ops/loss.ts). */
  keptTokens?: number;
  /**
   * Read the indexer's choice of every sparse-attention layer from inputs `selections.LAYER` i32 [T, top_k], and keep what it would
   * be made from as outputs `indexer.LAYER.q`, `.w`, `.k`.
   */
  givenSelections?: boolean;
}

/**
 * Inputs `ids`, `positions`, `starts`, `targets` i32 [T] and `weights` f32 [T]; outputs `logp`, `entropy` f32 [T] and `loss` [1] =
 * −Σ weights·logp + balance losses + λ·`loss.mtp` [1], an output of its own where λ > 0; `routes.out.LAYER` i32 [T, K] the experts
 * chosen; states `load.LAYER` i32 [E], to which every run adds each expert's tokens. Gradients are the states `grad.NAME`, added
 * to at every run. Rows of one document follow each other; `starts` holds each row's first row of its document.
 */
export interface TrainingProgram {
  program: Program;
  rows: Register;
  context: ModelContext;
  loss: Tensor;
  /** Multi-token prediction modules that are trained. */
  modules: number;
  /** Gradient state of every trained parameter. */
  gradients: Map<Tensor, Tensor>;
}

/** Most entries that compression at this rate can make of the rows of one document. */
const mostEntries = (options: TrainingOptions, ratio: number): number =>
  Math.max(1, Math.floor(options.maxPositions / ratio));

function windowInputs(
  program: Program,
  rows: Register,
  a: CompressedAttention,
  options: TrainingOptions,
): Map<number, WindowInputs> {
  const inputs = new Map<number, WindowInputs>();
  for (const [ratio, slots] of [
    [a.sparseRate, 2 * a.sparseRate],
    [a.heavyRate, a.heavyRate],
  ]) {
    const most = Math.max(1, Math.floor(options.maxTokens / ratio));
    const count = program.register(`W${ratio}`, most);
    const index = (name: string, shape: Dim[], min: number, max: number): Tensor =>
      program.input(`windows.${ratio}.${name}`, "i32", shape, { min, max });
    inputs.set(ratio, {
      count,
      sources: index("sources", [dim(count), slots], -1, options.maxTokens),
      positions: index("positions", [dim(count)], 0, options.maxPositions),
      first: index("first", [dim(rows)], 0, most),
      visible: index("visible", [dim(rows)], 0, most + 1),
      list: index("list", [dim(rows), mostEntries(options, ratio)], -1, most),
    });
  }
  return inputs;
}

/** The indexer's top_k, the layers that have one, and how many rows it chooses from. */
function indexerOf(
  { attention: a }: ModelConfig,
  options: TrainingOptions,
): { topK: number; sparse: LayerType; most: number } {
  if (a.kind === "compressed")
    return {
      topK: a.indexer.topK,
      sparse: "compressed_sparse",
      most: Math.max(1, Math.floor(options.maxTokens / a.sparseRate)),
    };
  if (a.kind === "latent" && a.indexer) return { topK: a.indexer.topK, sparse: "indexed", most: options.maxTokens };
  throw new ProgramError("givenSelections: this family has no indexer");
}

/** Rows of packed documents: what the inputs of the same names hold. */
export interface TrainingRows {
  ids: ArrayLike<number>;
  positions: ArrayLike<number>;
  starts: ArrayLike<number>;
  targets: ArrayLike<number>;
  weights: ArrayLike<number>;
  /** With `keptTokens`: the tokens of each row's distribution, −1 after the last; absent: all rows have all. */
  kept?: ArrayLike<number>;
}

/** Writes rows, and every index that follows from them, into the inputs of a compiled training program; returns its registers. */
export function fillRows(
  { program, context, modules }: TrainingProgram,
  run: Executable,
  rows: TrainingRows,
): Record<string, number> {
  const { config, inputs } = context;
  const set = (name: string, values: ArrayLike<number>): void => (run.buffer(name).view() as Int32Array).set(values);
  for (let k = 0; k < modules; k++)
    for (const [name, values] of Object.entries(aheadRows(k, rows))) set(`mtp.${k}.${name}`, values);
  for (const name of ["ids", "positions", "starts", "targets", "weights"] as const) set(name, rows[name]);
  if (program.tensors.some(({ kind, name }) => kind === "input" && name === "kept")) {
    const kept = run.buffer("kept").view() as Int32Array;
    kept.fill(-1);
    if (rows.kept) kept.set(rows.kept);
  }
  const registers: Record<string, number> = { T: rows.ids.length };
  if (inputs.visible)
    set(
      "visible",
      Int32Array.from(rows.positions, (position) => position + 1),
    );
  for (const [ratio, { list }] of inputs.windows ?? []) {
    const a = config.attention as CompressedAttention;
    const indices = windowIndices(rows.positions, rows.starts, ratio, ratio === a.sparseRate);
    const at = (name: string): string => `windows.${ratio}.${name}`;
    set(at("sources"), indices.sources);
    set(at("positions"), indices.positions);
    set(at("first"), indices.first);
    set(at("visible"), indices.count);
    const width = list.shape[1] as number;
    const entries = new Int32Array(rows.ids.length * width).fill(-1);
    indices.count.forEach((count, row) => {
      for (let i = 0; i < count; i++) entries[row * width + i] = indices.first[row] + i;
    });
    set(at("list"), entries);
    registers[`W${ratio}`] = indices.windows;
  }
  return registers;
}

export function buildTraining(config: ModelConfig, options: TrainingOptions): TrainingProgram {
  const program = new Program(`train-${config.family}`);
  const rows = program.register("T", options.maxTokens);
  const row = [dim(rows)];
  const index = (name: string, max: number): Tensor => program.input(name, "i32", row, { min: 0, max });
  const inputs = {
    ids: index("ids", config.vocabSize),
    positions: index("positions", options.maxPositions),
    starts: index("starts", options.maxTokens),
  };
  const visible =
    config.attention.kind === "latent" && config.attention.indexer
      ? index("visible", options.maxTokens + 1)
      : undefined;
  const windows =
    config.attention.kind === "compressed" ? windowInputs(program, rows, config.attention, options) : undefined;
  const targets = index("targets", config.vocabSize);
  const weights = program.input("weights", "f32", row);
  const { keptTokens = 0 } = options;
  const kept =
    keptTokens > 0 ? program.input("kept", "i32", [dim(rows), keptTokens], { min: -1, max: config.vocabSize }) : null;
  const context = new ModelContext({
    program,
    config,
    rows,
    inputs: { ...inputs, visible, windows },
    cache: null,
    maxPositions: options.maxPositions,
  });
  if (options.givenRoutes && config.moe) {
    const { numExpertsPerTok, nRoutedExperts } = config.moe;
    config.mlpTypes.forEach((type, layer) => {
      if (type === "dense") return;
      const given = program.input(`routes.${layer}`, "i32", [dim(rows), numExpertsPerTok], {
        min: 0,
        max: nRoutedExperts,
      });
      context.givenRoutes.set(layer, given);
    });
  }
  if (options.givenSelections) {
    const { topK, sparse, most } = indexerOf(config, options);
    config.layerTypes.forEach((type, layer) => {
      if (type !== sparse) return;
      context.givenSelections.set(
        layer,
        program.input(`selections.${layer}`, "i32", [dim(rows), topK], { min: -1, max: most }),
      );
    });
  }
  const x = finalNorm(context, trunk(context));
  const head = headWeight(context);
  const { logp, entropy } = logprob(x, head, targets, options.logitScale, kept);
  let loss = scale(dot(logp, weights), -1);
  const { mtpWeight = 0 } = options;
  const ahead = mtpWeight > 0 ? aheadLoss(context, x) : null;
  if (ahead) loss = add(loss, scale(ahead, mtpWeight));
  for (const { layer, ids, scores, offsets } of context.routes) {
    expertLoad({ offsets }, program.state(`load.${layer}`, "i32", [(offsets.shape[0] as number) - 1]));
    if (options.balanceAlpha) loss = add(loss, balanceLoss(scores, ids, inputs.starts, options.balanceAlpha));
  }
  if (options.logits) program.output(linear(x, head), "logits");
  if (options.hidden) context.hidden.forEach((hidden, i) => program.output(hidden, `hidden.${i}`));
  const found =
    (options.backward ?? true)
      ? gradients(program, loss, { recompute: options.recompute ? context.hidden.slice(0, -1) : [] })
      : new Map<Tensor, Tensor>();
  program.output(logp, "logp");
  program.output(entropy, "entropy");
  program.output(loss, "loss");
  if (ahead) program.output(ahead, "loss.mtp");
  for (const { layer, ids } of context.routes) program.output(ids, `routes.out.${layer}`);
  if (options.givenSelections)
    for (const { layer, q, w, k } of context.indexers)
      for (const [name, tensor] of Object.entries({ q, w, k })) program.output(tensor, `indexer.${layer}.${name}`);
  for (const { layer, rows: chosen } of context.selections)
    if (!options.givenSelections) program.output(chosen, `selections.out.${layer}`);
  return { program, rows, context, loss, modules: ahead ? config.numNextnPredictLayers : 0, gradients: found };
}
