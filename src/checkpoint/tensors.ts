// Which tensors a configuration implies, by Hugging Face name and shape [out, in], without a byte of weights: exact totals,
// checks of what a checkpoint lacks. Names and shapes: the published repositories' model.safetensors.index.json; V4 as
// transformers writes it.
import type { CompressedAttention, GroupedAttention, LatentAttention, MlpType, ModelConfig } from "./config.ts";
import { elementCount } from "./dtype.ts";
import { CheckpointError } from "./errors.ts";

export interface TensorSpec {
  name: string;
  shape: number[];
  /** Buffers (selection bias, token-to-expert table) are stored but receive no gradient and are not counted as parameters. */
  role: "parameter" | "buffer";
  /** "routed": only top_k of n_routed_experts of these take part in a token. */
  part: "embedding" | "head" | "layer" | "routed" | "mtp";
  /** Layer index; null for embedding, final norm and head. Multi-token-prediction modules count on from numHiddenLayers. */
  layer: number | null;
}

/** More tensors than this no real model has; a config that asks for more is hostile. */
const mostTensors = 2_000_000;

class Collector {
  readonly specs: TensorSpec[] = [];
  part: TensorSpec["part"] = "layer";
  layer: number | null = null;

  add(name: string, ...shape: number[]): void {
    this.specs.push({ name, shape, role: "parameter", part: this.part, layer: this.layer });
  }

  buffer(name: string, ...shape: number[]): void {
    this.specs.push({ name, shape, role: "buffer", part: this.part, layer: this.layer });
  }

  linear(name: string, out: number, inner: number, bias = false): void {
    this.add(`${name}.weight`, out, inner);
    if (bias) this.add(`${name}.bias`, out);
  }
}

function groupedAttention(to: Collector, at: string, d: number, a: GroupedAttention): void {
  to.linear(`${at}.q_proj`, a.heads * a.headDim, d, a.qkvBias);
  to.linear(`${at}.k_proj`, a.kvHeads * a.headDim, d, a.qkvBias);
  to.linear(`${at}.v_proj`, a.kvHeads * a.headDim, d, a.qkvBias);
  to.linear(`${at}.o_proj`, d, a.heads * a.headDim, a.outputBias);
}

function latentAttention(to: Collector, at: string, d: number, a: LatentAttention): void {
  const qk = a.heads * (a.qkNopeHeadDim + a.qkRopeHeadDim);
  if (a.qLoraRank === null) to.linear(`${at}.q_proj`, qk, d);
  else {
    to.linear(`${at}.q_a_proj`, a.qLoraRank, d, a.bias);
    to.add(`${at}.q_a_layernorm.weight`, a.qLoraRank);
    to.linear(`${at}.q_b_proj`, qk, a.qLoraRank);
  }
  to.linear(`${at}.kv_a_proj_with_mqa`, a.kvLoraRank + a.qkRopeHeadDim, d, a.bias);
  to.add(`${at}.kv_a_layernorm.weight`, a.kvLoraRank);
  to.linear(`${at}.kv_b_proj`, a.heads * (a.qkNopeHeadDim + a.vHeadDim), a.kvLoraRank);
  to.linear(`${at}.o_proj`, d, a.heads * a.vHeadDim, a.bias);
  if (a.indexer !== null) {
    const { heads, headDim } = a.indexer;
    to.linear(`${at}.indexer.wq_b`, heads * headDim, a.qLoraRank ?? d);
    to.linear(`${at}.indexer.wk`, headDim, d);
    to.add(`${at}.indexer.k_norm.weight`, headDim);
    to.add(`${at}.indexer.k_norm.bias`, headDim);
    to.linear(`${at}.indexer.weights_proj`, heads, d);
  }
}

function compressedAttention(to: Collector, at: string, d: number, a: CompressedAttention, type: string): void {
  to.linear(`${at}.wq_a`, a.qLoraRank, d);
  to.add(`${at}.q_norm.weight`, a.qLoraRank);
  to.linear(`${at}.wq_b`, a.heads * a.headDim, a.qLoraRank);
  to.linear(`${at}.wkv`, a.headDim, d);
  to.add(`${at}.norm.weight`, a.headDim);
  to.add(`${at}.attn_sink`, a.heads);
  to.linear(`${at}.wo_a`, a.oGroups * a.oLoraRank, (a.heads / a.oGroups) * a.headDim);
  to.linear(`${at}.wo_b`, d, a.oGroups * a.oLoraRank);
  const compressor = (name: string, width: number, headDim: number, rate: number) => {
    to.linear(`${name}.wkv`, width, d);
    to.linear(`${name}.wgate`, width, d);
    to.add(`${name}.ape`, rate, width);
    to.add(`${name}.norm.weight`, headDim);
  };
  if (type === "heavily_compressed") compressor(`${at}.compressor`, a.headDim, a.headDim, a.heavyRate);
  if (type === "compressed_sparse") {
    // Overlapping windows: each token contributes one slice to its own window and one to the next.
    compressor(`${at}.compressor`, 2 * a.headDim, a.headDim, a.sparseRate);
    const { heads, headDim } = a.indexer;
    to.linear(`${at}.indexer.wq_b`, heads * headDim, a.qLoraRank);
    to.linear(`${at}.indexer.weights_proj`, heads, d);
    compressor(`${at}.indexer.compressor`, 2 * headDim, headDim, a.sparseRate);
  }
}

function mlp(to: Collector, at: string, names: readonly string[], d: number, width: number, bias = false): void {
  const [gate, up, down] = names;
  to.linear(`${at}.${gate}`, width, d, bias);
  to.linear(`${at}.${up}`, width, d, bias);
  to.linear(`${at}.${down}`, d, width, bias);
}

const names = { classic: ["gate_proj", "up_proj", "down_proj"], v4: ["w1", "w3", "w2"] } as const;

function feedForward(to: Collector, at: string, config: ModelConfig, type: MlpType): void {
  const d = config.hiddenSize;
  const v4 = config.family === "deepseek_v4";
  const parts = v4 ? names.v4 : names.classic;
  const moe = config.moe;
  if (type === "dense" || moe === null) {
    mlp(to, at, parts, d, config.intermediateSize, config.mlpBias);
    return;
  }
  to.linear(`${at}.gate`, moe.nRoutedExperts, d);
  if (type === "hash") to.buffer(`${at}.gate.tid2eid`, config.vocabSize, moe.numExpertsPerTok);
  else if (moe.topkMethod === "noaux_tc")
    to.buffer(v4 ? `${at}.gate.bias` : `${at}.gate.e_score_correction_bias`, moe.nRoutedExperts);
  const part = to.part;
  if (part === "layer") to.part = "routed";
  for (let j = 0; j < moe.nRoutedExperts; j++) mlp(to, `${at}.experts.${j}`, parts, d, moe.moeIntermediateSize);
  to.part = part;
  if (moe.nSharedExperts > 0) mlp(to, `${at}.shared_experts`, parts, d, moe.nSharedExperts * moe.moeIntermediateSize);
}

function hyperConnection(to: Collector, at: string, config: ModelConfig): void {
  const hc = config.hyperConnections;
  if (hc === null) return;
  const outputs = 2 * hc.mult + hc.mult * hc.mult;
  for (const half of ["attn", "ffn"]) {
    to.add(`${at}.hc_${half}_fn`, outputs, hc.mult * config.hiddenSize);
    to.add(`${at}.hc_${half}_base`, outputs);
    to.add(`${at}.hc_${half}_scale`, 3);
  }
}

function layer(to: Collector, at: string, config: ModelConfig, type: string, mlpType: MlpType): void {
  const d = config.hiddenSize;
  const a = config.attention;
  if (a.kind === "compressed") {
    to.add(`${at}.attn_norm.weight`, d);
    compressedAttention(to, `${at}.attn`, d, a, type);
    to.add(`${at}.ffn_norm.weight`, d);
    feedForward(to, `${at}.ffn`, config, mlpType);
    hyperConnection(to, at, config);
    return;
  }
  to.add(`${at}.input_layernorm.weight`, d);
  if (a.kind === "grouped") groupedAttention(to, `${at}.self_attn`, d, a);
  else latentAttention(to, `${at}.self_attn`, d, a);
  to.add(`${at}.post_attention_layernorm.weight`, d);
  feedForward(to, `${at}.mlp`, config, mlpType);
}

function head(to: Collector, at: string, config: ModelConfig): void {
  const hc = config.hyperConnections;
  if (hc === null) return;
  to.add(`${at}fn`, hc.mult, hc.mult * config.hiddenSize);
  to.add(`${at}base`, hc.mult);
  to.add(`${at}scale`, 1);
}

function predictionModule(to: Collector, index: number, config: ModelConfig): void {
  const d = config.hiddenSize;
  to.part = "mtp";
  to.layer = config.numHiddenLayers + index;
  const v4 = config.family === "deepseek_v4";
  const at = v4 ? `mtp.${index}` : `model.layers.${to.layer}`;
  if (v4) {
    to.linear(`${at}.e_proj`, d, d);
    to.linear(`${at}.h_proj`, d, d);
  } else {
    to.add(`${at}.embed_tokens.weight`, config.vocabSize, d);
    to.linear(`${at}.eh_proj`, d, 2 * d);
  }
  to.add(`${at}.enorm.weight`, d);
  to.add(`${at}.hnorm.weight`, d);
  layer(to, at, config, v4 ? "sliding" : "full", config.moe === null ? "dense" : "moe");
  if (v4) {
    to.add(`${at}.norm.weight`, d);
    head(to, `${at}.hc_head_`, config);
  } else {
    to.add(`${at}.shared_head.norm.weight`, d);
    to.add(`${at}.shared_head.head.weight`, config.vocabSize, d);
  }
}

/**
 * Every tensor of the model in layer order; with `mtp` those of the multi-token-prediction modules too (V3 and later).
 * Throws CheckpointError for a configuration that asks for more tensors than any model has.
 */
export function tensorSpecs(config: ModelConfig, options: { mtp?: boolean } = {}): TensorSpec[] {
  const modules = config.numHiddenLayers + (options.mtp ? config.numNextnPredictLayers : 0);
  const perLayer = 40 + 3 * (config.moe?.nRoutedExperts ?? 0);
  if (modules * perLayer > mostTensors)
    throw new CheckpointError(
      "config.json",
      "num_hidden_layers",
      `with n_routed_experts asks for over ${mostTensors} tensors`,
    );
  const to = new Collector();
  const d = config.hiddenSize;
  const v4 = config.family === "deepseek_v4";
  to.part = "embedding";
  to.add("model.embed_tokens.weight", config.vocabSize, d);
  for (let i = 0; i < config.numHiddenLayers; i++) {
    to.part = "layer";
    to.layer = i;
    layer(to, `model.layers.${i}`, config, config.layerTypes[i], config.mlpTypes[i]);
  }
  to.part = "head";
  to.layer = null;
  if (v4) head(to, "model.hc_head.hc_", config);
  to.add("model.norm.weight", d);
  if (!config.tieWordEmbeddings) to.add(v4 ? "head.weight" : "lm_head.weight", config.vocabSize, d);
  if (options.mtp) for (let k = 0; k < config.numNextnPredictLayers; k++) predictionModule(to, k, config);
  return to.specs;
}

export interface ParameterCount {
  /** The main model's parameters, embedding and head included, buffers and prediction modules not. */
  total: number;
  /** Those that take part in one token: all but the routed experts not chosen; embedding and head included. */
  active: number;
  /** `active` without the embedding look-up (unless it is the head too). */
  activeWithoutEmbedding: number;
  /** Stored elements that are no parameters (selection bias, token-to-expert tables). */
  buffers: number;
  /** The prediction modules' own parameters, without their copies of embedding and head. */
  mtp: number;
}

/** Exact counts from shapes alone. */
export function countParameters(config: ModelConfig): ParameterCount {
  const count: ParameterCount = { total: 0, active: 0, activeWithoutEmbedding: 0, buffers: 0, mtp: 0 };
  let routed = 0;
  let embedding = 0;
  for (const { name, shape, role, part } of tensorSpecs(config, { mtp: true })) {
    const size = elementCount(shape);
    if (part === "mtp") {
      if (role === "parameter" && !/\.(embed_tokens|shared_head\.head)\.weight$/.test(name)) count.mtp += size;
      continue;
    }
    if (role === "buffer") {
      count.buffers += size;
      continue;
    }
    count.total += size;
    if (part === "routed") routed += size;
    if (part === "embedding") embedding += size;
  }
  const chosen = config.moe === null ? 0 : (routed / config.moe.nRoutedExperts) * config.moe.numExpertsPerTok;
  count.active = count.total - routed + chosen;
  count.activeWithoutEmbedding = config.tieWordEmbeddings ? count.active : count.active - embedding;
  return count;
}

/**
 * Elements the inference cache keeps per token at long context: MLA its latent and rotary key (plus the indexer's key in V3.2),
 * grouped attention keys and values, V4 the compressed entries and indexer keys (its window state does not grow).
 */
export function cacheElementsPerToken(config: ModelConfig): number {
  const a = config.attention;
  if (a.kind === "latent") return config.numHiddenLayers * (a.kvLoraRank + a.qkRopeHeadDim + (a.indexer?.headDim ?? 0));
  if (a.kind === "grouped") return 2 * a.kvHeads * a.headDim * config.layerTypes.filter((t) => t === "full").length;
  const count = (type: string) => config.layerTypes.filter((t) => t === type).length;
  return (
    (count("compressed_sparse") * (a.headDim + a.indexer.headDim)) / a.sparseRate +
    (count("heavily_compressed") * a.headDim) / a.heavyRate
  );
}

/**
 * Compares what a configuration implies with what a checkpoint holds (`shapeOf`: undefined where absent). Throws CheckpointError
 * naming the first tensor that is missing or misshapen. A tied head and prediction modules may be absent.
 */
export function checkTensors(
  config: ModelConfig,
  shapeOf: (name: string) => readonly number[] | undefined,
  file: string,
): void {
  for (const { name, shape } of tensorSpecs(config)) {
    const found = shapeOf(name);
    if (found === undefined)
      throw new CheckpointError(file, name, `is missing; config.json implies it with shape [${shape}]`);
    if (found.length !== shape.length || found.some((n, i) => n !== shape[i]))
      throw new CheckpointError(file, name, `has shape [${found}]; config.json implies [${shape}]`);
  }
}
