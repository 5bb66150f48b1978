// ModelConfig from GGUF metadata and back: the keys llama.cpp uses for its architectures llama, qwen2, deepseek, deepseek2,
// deepseek32 and deepseek4. Reading goes through the same checks as a config.json. Key list: llama.cpp's llama-arch.cpp
// and its converter's parameters.
import type { RopeScaling } from "../tensor/rope-tables.ts";
import type { Family, ModelConfig } from "./config.ts";
import { parseConfig } from "./config.ts";
import { CheckpointError, show } from "./errors.ts";
import type { GgufEntry, GgufHeader } from "./gguf.ts";
import { dequantize } from "./quants.ts";

/** Metadata values by plain access; arrays come as arrays. */
class Metadata {
  readonly file: string;
  readonly architecture: string;
  readonly #entries: ReadonlyMap<string, GgufEntry>;

  constructor(header: GgufHeader, file: string) {
    this.file = file;
    this.#entries = header.metadata;
    const architecture = this.#entries.get("general.architecture")?.value;
    if (typeof architecture !== "string")
      throw new CheckpointError(file, "general.architecture", "is missing; this is no language model");
    this.architecture = architecture;
  }

  /** The value of a key of the architecture's own, undefined where absent. */
  get(key: string): unknown {
    return this.#entries.get(`${this.architecture}.${key}`)?.value;
  }

  /** Any key. */
  global(key: string): unknown {
    return this.#entries.get(key)?.value;
  }

  /** A 32-bit float as the short decimal it was written from: 1e-6, not 9.999999974752427e-7. */
  float(key: string): number | undefined {
    const value = this.get(key);
    return typeof value === "number" ? Number(value.toPrecision(7)) : undefined;
  }

  /** Some files list per layer what is the same for all layers. */
  same(key: string): unknown {
    const value = this.get(key);
    if (!Array.isArray(value)) return value;
    const first = value[0];
    if (value.some((item) => item !== first))
      throw new CheckpointError(
        this.file,
        `${this.architecture}.${key}`,
        "differs between layers, which Weir does not read",
      );
    return first;
  }
}

/** Frequencies of llama3 scaling divide those of plain rotation by these factors (transformers' rope utilities). */
export function llama3Factors(
  theta: number,
  dim: number,
  scaling: Extract<RopeScaling, { type: "llama3" }>,
): Float32Array {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings } = scaling;
  return Float32Array.from({ length: dim / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * theta ** ((2 * i) / dim);
    if (wavelength < originalMaxPositionEmbeddings / highFreqFactor) return 1;
    if (wavelength > originalMaxPositionEmbeddings / lowFreqFactor) return factor;
    const smooth = (originalMaxPositionEmbeddings / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}

/** GGUF keeps llama3 scaling only as its factors; any parameters that give the same factors are the same scaling. */
function recoverLlama3(metadata: Metadata, factors: Float32Array, theta: number): Record<string, unknown> {
  const dim = 2 * factors.length;
  const factor = Number(Math.max(...factors).toPrecision(6));
  const said = metadata.get("rope.scaling.original_context_length");
  const lengths = [
    ...(typeof said === "number" ? [said] : []),
    8192,
    ...Array.from({ length: 18 }, (_, i) => 2 ** (i + 4)),
  ];
  for (const originalMaxPositionEmbeddings of lengths) {
    const scaling = {
      type: "llama3",
      factor,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositionEmbeddings,
    } as const;
    if (!(factor >= 1)) break;
    const expected = llama3Factors(theta, dim, scaling);
    if (expected.every((value, i) => Math.abs(value - factors[i]) <= 1e-4 * value))
      return {
        rope_type: "llama3",
        factor,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: originalMaxPositionEmbeddings,
      };
  }
  throw new CheckpointError(metadata.file, "rope_freqs.weight", "are no llama3 scaling that Weir can tell");
}

function ropeScaling(metadata: Metadata, header: GgufHeader, theta: number): Record<string, unknown> | null {
  const frequencies = header.tensors.get("rope_freqs.weight");
  if (frequencies !== undefined) {
    if (frequencies.dtype !== "F32" || frequencies.shape.length !== 1 || frequencies.shape[0] > 65_536)
      throw new CheckpointError(metadata.file, "rope_freqs.weight", "must be a short list of F32");
    const factors = new Float32Array(frequencies.shape[0]);
    dequantize("F32", frequencies.source.read(frequencies.offset, frequencies.bytes), factors);
    return recoverLlama3(metadata, factors, theta);
  }
  const type = metadata.get("rope.scaling.type");
  if (type === undefined || type === "none") return null;
  const factor = metadata.float("rope.scaling.factor");
  if (type === "linear") return { rope_type: "linear", factor };
  if (type !== "yarn")
    throw new CheckpointError(
      metadata.file,
      `${metadata.architecture}.rope.scaling.type`,
      `${show(type)} is not known`,
    );
  const multiplier = metadata.float("rope.scaling.yarn_log_multiplier");
  const mscale = multiplier ? Number((10 * multiplier).toPrecision(6)) : undefined;
  return {
    rope_type: "yarn",
    factor,
    original_max_position_embeddings: metadata.get("rope.scaling.original_context_length"),
    beta_fast: metadata.float("rope.scaling.yarn_beta_fast"),
    beta_slow: metadata.float("rope.scaling.yarn_beta_slow"),
    mscale,
    mscale_all_dim: mscale,
  };
}

function familyOf(metadata: Metadata, header: GgufHeader): Family {
  switch (metadata.architecture) {
    case "llama":
    case "qwen2":
    case "deepseek":
      return metadata.architecture;
    case "deepseek2": {
      // One architecture for V2 and V3: only V3 scores with a sigmoid or carries the selection bias.
      const biased = [...header.tensors.keys()].some((name) => name.includes("exp_probs_b"));
      return metadata.get("expert_gating_func") === 2 || biased ? "deepseek_v3" : "deepseek_v2";
    }
    case "deepseek32":
      return "deepseek_v32";
    case "deepseek4":
      return "deepseek_v4";
    default:
      throw new CheckpointError(
        metadata.file,
        "general.architecture",
        `${show(metadata.architecture)} is not among llama, qwen2, deepseek, deepseek2, deepseek32, deepseek4`,
      );
  }
}

const gatingFunctions: Record<number, string> = { 1: "softmax", 2: "sigmoid", 4: "sqrtsoftplus" };

function moeKeys(metadata: Metadata, header: GgufHeader, family: Family): Record<string, unknown> {
  if (metadata.get("expert_count") === undefined || family === "llama" || family === "qwen2") return {};
  const gating = metadata.get("expert_gating_func") ?? 1;
  const scoring = gatingFunctions[gating as number];
  if (scoring === undefined)
    throw new CheckpointError(
      metadata.file,
      `${metadata.architecture}.expert_gating_func`,
      `${show(gating)} is not known`,
    );
  const groups = metadata.get("expert_group_count");
  const biased = [...header.tensors.keys()].some((name) => name.includes("exp_probs_b"));
  return {
    n_routed_experts: metadata.get("expert_count"),
    num_experts_per_tok: metadata.same("expert_used_count"),
    n_shared_experts: metadata.get("expert_shared_count"),
    moe_intermediate_size: metadata.same("expert_feed_forward_length"),
    scoring_func: scoring,
    topk_method: biased ? "noaux_tc" : typeof groups === "number" && groups > 1 ? "group_limited_greedy" : "greedy",
    norm_topk_prob: metadata.get("expert_weights_norm") ?? false,
    // llama.cpp takes 0 as "not scaled".
    routed_scaling_factor: metadata.float("expert_weights_scale") || 1,
    n_group: groups,
    topk_group: metadata.get("expert_group_used_count"),
    first_k_dense_replace: metadata.get("leading_dense_block_count") ?? 0,
  };
}

function latentKeys(metadata: Metadata): Record<string, unknown> {
  const number = (key: string): number => {
    const value = metadata.get(key);
    if (typeof value !== "number")
      throw new CheckpointError(
        metadata.file,
        `${metadata.architecture}.${key}`,
        `must be a number, is ${show(value)}`,
      );
    return value;
  };
  const rope = number("rope.dimension_count");
  // Files in the split layout give the sizes of the latent as key_length; those of the heads have keys of their own.
  const split = metadata.get("attention.key_length_mla") !== undefined;
  const keyLength = number(split ? "attention.key_length_mla" : "attention.key_length");
  return {
    q_lora_rank: metadata.get("attention.q_lora_rank"),
    kv_lora_rank: metadata.get("attention.kv_lora_rank"),
    qk_rope_head_dim: rope,
    qk_nope_head_dim: keyLength - rope,
    v_head_dim: number(split ? "attention.value_length_mla" : "attention.value_length"),
    index_n_heads: metadata.get("attention.indexer.head_count"),
    index_head_dim: metadata.get("attention.indexer.key_length"),
    index_topk: metadata.get("attention.indexer.top_k"),
  };
}

function compressedKeys(metadata: Metadata, layers: number): Record<string, unknown> {
  const field = `${metadata.architecture}.attention.compress_ratios`;
  const ratios = metadata.get("attention.compress_ratios");
  if (!Array.isArray(ratios) || ratios.length < layers)
    throw new CheckpointError(metadata.file, field, `must list ${layers} ratios`);
  const kinds = [...new Set(ratios.slice(0, layers).map(Number))].filter((n) => n > 0).sort((a, b) => a - b);
  if (kinds.length > 2) throw new CheckpointError(metadata.file, field, "has more than two compressed kinds of layers");
  // The kind with the indexer is the sparse one; with a single kind its ratio tells (4 is llama.cpp's sparse one).
  const [sparse, heavy] = kinds.length === 2 ? kinds : kinds[0] > 16 ? [4, kinds[0]] : [kinds[0] ?? 4, 128];
  const clamp = metadata.get("swiglu_clamp_exp");
  const limit = Array.isArray(clamp) ? clamp[0] : clamp;
  return {
    head_dim: metadata.get("attention.key_length"),
    qk_rope_head_dim: metadata.get("rope.dimension_count"),
    q_lora_rank: metadata.get("attention.q_lora_rank"),
    o_groups: metadata.get("attention.output_group_count"),
    o_lora_rank: metadata.get("attention.output_lora_rank"),
    sliding_window: metadata.get("attention.sliding_window"),
    index_n_heads: metadata.get("attention.indexer.head_count"),
    index_head_dim: metadata.get("attention.indexer.key_length"),
    index_topk: metadata.get("attention.indexer.top_k"),
    compress_rates: { compressed_sparse_attention: sparse, heavily_compressed_attention: heavy },
    compress_ratios: ratios,
    compress_rope_theta: metadata.float("attention.compress_rope_freq_base"),
    num_hash_layers: metadata.get("hash_layer_count"),
    hc_mult: metadata.get("hyper_connection.count"),
    hc_sinkhorn_iters: metadata.get("hyper_connection.sinkhorn_iterations"),
    hc_eps: metadata.float("hyper_connection.epsilon"),
    swiglu_limit: typeof limit === "number" && limit > 0 ? limit : undefined,
  };
}

/** Layers of the main model and prediction modules: block_count counts both, but only where the modules' tensors are there. */
function layerCounts(header: GgufHeader, architecture: string): { layers: number; modules: number } {
  const blocks = header.metadata.get(`${architecture}.block_count`)?.value;
  const said = header.metadata.get(`${architecture}.nextn_predict_layers`)?.value ?? 0;
  if (typeof blocks !== "number" || typeof said !== "number" || said >= blocks || said < 0)
    return { layers: blocks as number, modules: 0 };
  const there = header.tensors.has(`blk.${blocks - said}.nextn.eh_proj.weight`);
  return there ? { layers: blocks - said, modules: said } : { layers: blocks, modules: 0 };
}

/** The configuration a GGUF file states. Throws CheckpointError naming the key at fault. */
export function configFromGguf(header: GgufHeader, file: string): ModelConfig {
  const metadata = new Metadata(header, file);
  const family = familyOf(metadata, header);
  const { layers, modules } = layerCounts(header, metadata.architecture);
  const embedding = header.tensors.get("token_embd.weight");
  const tokens = metadata.global("tokenizer.ggml.tokens");
  const theta = metadata.float("rope.freq_base") ?? 10_000;
  const ends = [metadata.global("tokenizer.ggml.eos_token_id"), metadata.global("tokenizer.ggml.eot_token_id")];
  const latent = family === "deepseek_v2" || family === "deepseek_v3" || family === "deepseek_v32";
  const json: Record<string, unknown> = {
    model_type: family,
    vocab_size:
      embedding?.shape[0] ?? metadata.get("vocab_size") ?? (Array.isArray(tokens) ? tokens.length : undefined),
    hidden_size: metadata.get("embedding_length"),
    intermediate_size: metadata.same("feed_forward_length") || undefined,
    num_hidden_layers: layers,
    max_position_embeddings: metadata.get("context_length"),
    rms_norm_eps: metadata.float("attention.layer_norm_rms_epsilon"),
    num_attention_heads: metadata.same("attention.head_count"),
    num_key_value_heads: metadata.same("attention.head_count_kv"),
    tie_word_embeddings: embedding !== undefined && !header.tensors.has("output.weight"),
    bos_token_id: metadata.global("tokenizer.ggml.bos_token_id"),
    eos_token_id: [...new Set(ends.filter((id) => id !== undefined))],
    pad_token_id: metadata.global("tokenizer.ggml.padding_token_id"),
    rope_theta: theta,
    rope_scaling: ropeScaling(metadata, header, theta),
    num_nextn_predict_layers: modules,
    ...moeKeys(metadata, header, family),
    ...(latent ? latentKeys(metadata) : {}),
    ...(family === "deepseek_v4" ? compressedKeys(metadata, layers) : {}),
  };
  if (!latent && family !== "deepseek_v4") {
    json.head_dim = metadata.get("attention.key_length") ?? metadata.get("rope.dimension_count");
    if (family !== "qwen2") json.attention_bias = header.tensors.has("blk.0.attn_q.bias");
    json.mlp_bias = header.tensors.has("blk.0.ffn_gate.bias");
  }
  return parseConfig(json, file);
}

const u32 = (value: number): GgufEntry => ({ type: "u32", value });
const f32 = (value: number): GgufEntry => ({ type: "f32", value });
const text = (value: string): GgufEntry => ({ type: "string", value });

const architectures: Record<Family, string> = {
  llama: "llama",
  qwen2: "qwen2",
  deepseek: "deepseek",
  deepseek_v2: "deepseek2",
  deepseek_v3: "deepseek2",
  deepseek_v32: "deepseek32",
  deepseek_v4: "deepseek4",
};

const ggufArchitecture = (config: ModelConfig): string => architectures[config.family];

/** Throws where GGUF has no way to say what the configuration says. */
function checkExpressible(config: ModelConfig): void {
  const fail = (field: string, problem: string) => {
    throw new CheckpointError(
      "config.json",
      field,
      `${problem}, which GGUF cannot say; write a Hugging Face directory`,
    );
  };
  const a = config.attention;
  if (a.kind === "latent" && !config.rope.interleaved) fail("rope_interleave", "is false");
  if (a.kind === "latent" && a.bias) fail("attention_bias", "is true");
  const scaling = (config.compressRope ?? config.rope).scaling;
  if (scaling?.type === "yarn" && config.family !== "deepseek_v4") {
    if ((scaling.mscale ?? 0) !== (scaling.mscaleAllDim ?? 0))
      fail("rope_scaling.mscale", "differs from mscale_all_dim");
    if (scaling.attentionFactor !== null) fail("rope_scaling.attention_factor", "is given");
  }
  if (config.moe === null) return;
  const first = config.mlpTypes.findIndex((type) => type !== "dense");
  if (first >= 0 && config.mlpTypes.slice(first).includes("dense")) fail("mlp_layer_types", "mixes dense layers in");
}

/**
 * The metadata llama.cpp needs to load the model, vocabulary apart (gguf-vocabulary.ts). `modules`: prediction modules among the
 * tensors that are written. Throws CheckpointError where GGUF cannot say what the configuration does.
 */
export function configToGguf(config: ModelConfig, name: string, modules: number): Map<string, GgufEntry> {
  checkExpressible(config);
  const architecture = ggufArchitecture(config);
  const entries = new Map<string, GgufEntry>([
    ["general.architecture", text(architecture)],
    ["general.name", text(name)],
    ["general.quantization_version", u32(2)],
  ]);
  const put = (key: string, entry: GgufEntry) => entries.set(`${architecture}.${key}`, entry);
  const a = config.attention;
  put("block_count", u32(config.numHiddenLayers + modules));
  put("context_length", u32(config.maxPositionEmbeddings));
  put("embedding_length", u32(config.hiddenSize));
  put("feed_forward_length", u32(config.intermediateSize));
  put("vocab_size", u32(config.vocabSize));
  put("attention.head_count", u32(a.heads));
  // MLA runs as one key/value head over the latent.
  put("attention.head_count_kv", u32(a.kind === "grouped" ? a.kvHeads : 1));
  put("attention.layer_norm_rms_epsilon", f32(config.rmsNormEps));
  put("rope.dimension_count", u32(config.rope.dim));
  put("rope.freq_base", f32(config.rope.theta));
  if (modules > 0) put("nextn_predict_layers", u32(modules));
  if (a.kind === "grouped") {
    put("attention.key_length", u32(a.headDim));
    put("attention.value_length", u32(a.headDim));
    if (a.slidingWindow !== null) put("attention.sliding_window", u32(a.slidingWindow));
  } else if (a.kind === "latent") {
    if (a.qLoraRank !== null) put("attention.q_lora_rank", u32(a.qLoraRank));
    put("attention.kv_lora_rank", u32(a.kvLoraRank));
    put("attention.key_length", u32(a.kvLoraRank + a.qkRopeHeadDim));
    put("attention.value_length", u32(a.kvLoraRank));
    put("attention.key_length_mla", u32(a.qkNopeHeadDim + a.qkRopeHeadDim));
    put("attention.value_length_mla", u32(a.vHeadDim));
  } else {
    put("attention.key_length", u32(a.headDim));
    put("attention.value_length", u32(a.headDim));
    put("attention.q_lora_rank", u32(a.qLoraRank));
    put("attention.output_group_count", u32(a.oGroups));
    put("attention.output_lora_rank", u32(a.oLoraRank));
    put("attention.sliding_window", u32(a.slidingWindow));
    const ratio = { compressed_sparse: a.sparseRate, heavily_compressed: a.heavyRate, sliding: 0, full: 0, indexed: 0 };
    put("attention.compress_ratios", {
      type: "array",
      elementType: "i32",
      value: [...config.layerTypes.map((type) => ratio[type]), ...new Array(modules).fill(0)],
    });
    put("attention.compress_rope_freq_base", f32(config.compressRope!.theta));
    put("hash_layer_count", u32(config.mlpTypes.filter((type) => type === "hash").length));
    put("hyper_connection.count", u32(config.hyperConnections!.mult));
    put("hyper_connection.sinkhorn_iterations", u32(config.hyperConnections!.sinkhornIters));
    put("hyper_connection.epsilon", f32(config.hyperConnections!.eps));
    put("swiglu_clamp_exp", {
      type: "array",
      elementType: "f32",
      value: new Array(config.numHiddenLayers + modules).fill(config.swigluLimit ?? 0),
    });
  }
  if (a.kind !== "grouped" && a.indexer !== null) {
    put("attention.indexer.head_count", u32(a.indexer.heads));
    put("attention.indexer.key_length", u32(a.indexer.headDim));
    put("attention.indexer.top_k", u32(a.indexer.topK));
  }
  const moe = config.moe;
  if (moe !== null) {
    const dense = config.mlpTypes.findIndex((type) => type !== "dense");
    put("leading_dense_block_count", u32(dense < 0 ? config.numHiddenLayers : dense));
    put("expert_count", u32(moe.nRoutedExperts));
    put("expert_used_count", u32(moe.numExpertsPerTok));
    put("expert_shared_count", u32(moe.nSharedExperts));
    put("expert_feed_forward_length", u32(moe.moeIntermediateSize));
    put("expert_weights_scale", f32(moe.routedScalingFactor));
    put("expert_weights_norm", { type: "bool", value: moe.normTopkProb });
    put("expert_gating_func", u32({ softmax: 1, sigmoid: 2, sqrtsoftplus: 4 }[moe.scoringFunc]));
    if (moe.nGroup > 1) {
      put("expert_group_count", u32(moe.nGroup));
      put("expert_group_used_count", u32(moe.topkGroup));
    }
  }
  const scaling = (config.compressRope ?? config.rope).scaling;
  if (scaling?.type === "linear" || scaling?.type === "yarn") {
    put("rope.scaling.type", text(scaling.type));
    put("rope.scaling.factor", f32(scaling.factor));
  }
  if (scaling?.type === "yarn") {
    put("rope.scaling.original_context_length", u32(scaling.originalMaxPositionEmbeddings));
    put("rope.scaling.yarn_beta_fast", f32(scaling.betaFast));
    put("rope.scaling.yarn_beta_slow", f32(scaling.betaSlow));
    if (scaling.mscaleAllDim) put("rope.scaling.yarn_log_multiplier", f32(0.1 * scaling.mscaleAllDim));
  }
  // llama.cpp takes llama3 scaling from the tensor rope_freqs.weight; the length tells the way back.
  if (scaling?.type === "llama3")
    put("rope.scaling.original_context_length", u32(scaling.originalMaxPositionEmbeddings));
  return entries;
}
