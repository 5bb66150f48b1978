// What a person wants to know of a model before running it, from its configuration alone or from its files. Printing is the
// command's task.
import type { Checkpoint } from "./checkpoint.ts";
import type { ModelConfig } from "./config.ts";
import { elementCount } from "./dtype.ts";
import type { ParameterCount } from "./tensors.ts";
import { cacheElementsPerToken, countParameters, tensorSpecs } from "./tensors.ts";

export interface ConfigReport {
  architecture: string;
  family: string;
  parameters: ParameterCount;
  layers: number;
  hiddenSize: number;
  vocabSize: number;
  contextLength: number;
  attention: string;
  experts: string | null;
  rope: string;
  predictionModules: number;
  /** Elements and, at two bytes each, bytes that every token adds to the inference cache. */
  cacheElementsPerToken: number;
  cacheBytesPerToken: number;
  quantization: string | null;
}

export interface CheckpointReport extends ConfigReport {
  kind: string;
  files: string[];
  tensors: number;
  weightBytes: number;
  /** By stored type. */
  types: Record<string, { tensors: number; elements: number; bytes: number }>;
  /** Tensors the configuration implies that are not there, or have another shape; empty for a whole model. */
  problems: string[];
  /** Tensors there that the configuration does not imply (prediction modules apart). */
  unknown: string[];
  tokenizer: string | null;
  chatTemplate: boolean;
  generationConfig: Record<string, unknown> | null;
}

function describeAttention(config: ModelConfig): string {
  const a = config.attention;
  const indexer = (i: { heads: number; headDim: number; topK: number }) =>
    `indexer of ${i.heads} heads of ${i.headDim}, top ${i.topK}`;
  if (a.kind === "grouped") {
    const window = a.slidingWindow === null ? "" : `, window ${a.slidingWindow}`;
    return `${a.heads} heads of ${a.headDim}, ${a.kvHeads} for keys and values${window}`;
  }
  if (a.kind === "latent") {
    const queries = a.qLoraRank === null ? "queries not compressed" : `queries through ${a.qLoraRank}`;
    const sparse = a.indexer === null ? "" : `, ${indexer(a.indexer)}`;
    return `MLA, ${a.heads} heads of ${a.qkNopeHeadDim}+${a.qkRopeHeadDim}/${a.vHeadDim}, latent ${a.kvLoraRank}, ${queries}${sparse}`;
  }
  const count = (type: string) => config.layerTypes.filter((other) => other === type).length;
  return (
    `${a.heads} heads of ${a.headDim} over one key, window ${a.slidingWindow}; layers: ${count("sliding")} sliding, ` +
    `${count("compressed_sparse")} compressed by ${a.sparseRate}, ${count("heavily_compressed")} by ${a.heavyRate}; ${indexer(a.indexer)}`
  );
}

function describeExperts(config: ModelConfig): string | null {
  const moe = config.moe;
  if (moe === null) return null;
  const dense = config.mlpTypes.filter((type) => type === "dense").length;
  const hashed = config.mlpTypes.filter((type) => type === "hash").length;
  const groups = moe.nGroup > 1 ? `, ${moe.topkGroup} of ${moe.nGroup} groups` : "";
  return (
    `${moe.numExpertsPerTok} of ${moe.nRoutedExperts} experts of ${moe.moeIntermediateSize}${groups}, ${moe.nSharedExperts} shared, ` +
    `${moe.scoringFunc}, scaled by ${moe.routedScalingFactor}${dense > 0 ? `; ${dense} dense layers` : ""}${hashed > 0 ? `; ${hashed} routed by token id` : ""}`
  );
}

function describeRope(config: ModelConfig): string {
  const one = (rope: ModelConfig["rope"]) => {
    const s = rope.scaling;
    const scaling =
      s === null
        ? ""
        : `, ${s.type} ×${s.factor}${s.type === "linear" ? "" : ` over ${s.originalMaxPositionEmbeddings}`}`;
    return `θ ${rope.theta}, ${rope.dim} dimensions ${rope.interleaved ? "in pairs" : "in halves"}${scaling}`;
  };
  return config.compressRope === null
    ? one(config.rope)
    : `${one(config.rope)}; compressed layers ${one(config.compressRope)}`;
}

/** From a configuration alone, without a byte of weights. */
export function inspectConfig(config: ModelConfig): ConfigReport {
  const elements = cacheElementsPerToken(config);
  const quantization = config.quantization;
  return {
    architecture: config.architecture,
    family: config.family,
    parameters: countParameters(config),
    layers: config.numHiddenLayers,
    hiddenSize: config.hiddenSize,
    vocabSize: config.vocabSize,
    contextLength: config.maxPositionEmbeddings,
    attention: describeAttention(config),
    experts: describeExperts(config),
    rope: describeRope(config),
    predictionModules: config.numNextnPredictLayers,
    cacheElementsPerToken: elements,
    cacheBytesPerToken: 2 * elements,
    quantization:
      quantization === null
        ? null
        : [quantization.quantMethod, quantization.fmt, quantization.scaleFmt, quantization.weightBlockSize?.join("×")]
            .filter((part) => part != null)
            .join(" "),
  };
}

function describeTokenizer(checkpoint: Checkpoint): string | null {
  const source = checkpoint.tokenizer;
  if (source === null) return null;
  if (source.kind === "tokenizer.json") return source.path;
  const get = (key: string) => source.vocabulary.get(`tokenizer.ggml.${key}`);
  return `in the GGUF file: ${get("model")}, pre-tokenizer ${get("pre") ?? "not named"}, ${(get("tokens") as unknown[]).length} tokens`;
}

/** From opened files; compares what is there with what the configuration implies. */
export function inspectCheckpoint(checkpoint: Checkpoint): CheckpointReport {
  const types: CheckpointReport["types"] = {};
  let weightBytes = 0;
  for (const name of checkpoint.tensorNames) {
    const { dtype, shape, bytes } = checkpoint.info(name);
    types[dtype] ??= { tensors: 0, elements: 0, bytes: 0 };
    types[dtype].tensors++;
    types[dtype].elements += elementCount(shape);
    types[dtype].bytes += bytes;
    weightBytes += bytes;
  }
  const problems: string[] = [];
  const implied = new Set<string>();
  for (const { name, shape, part } of tensorSpecs(checkpoint.config, { mtp: true })) {
    implied.add(name);
    if (!checkpoint.has(name)) {
      if (part !== "mtp") problems.push(`${name} [${shape}] is missing`);
      continue;
    }
    const found = checkpoint.info(name).shape;
    if (found.join() !== shape.join()) problems.push(`${name} is [${found}], the configuration implies [${shape}]`);
  }
  return {
    ...inspectConfig(checkpoint.config),
    kind: checkpoint.kind,
    files: checkpoint.files,
    tensors: checkpoint.tensorNames.length,
    weightBytes,
    types,
    problems,
    unknown: checkpoint.tensorNames.filter((name) => !implied.has(name)),
    tokenizer: describeTokenizer(checkpoint),
    chatTemplate: checkpoint.chatTemplate !== null,
    generationConfig: checkpoint.generationConfig,
  };
}
