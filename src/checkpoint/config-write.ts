// Writes a ModelConfig back as the config.json that transformers, vLLM and SGLang read: the key spelling of transformers 4
// where both generations read it, fractional numbers always with a point (transformers 5 checks types strictly).
import type { LayerType, ModelConfig, RopeConfig } from "./config.ts";
import { CheckpointError } from "./errors.ts";

type Json = Record<string, unknown>;

function ropeScaling(rope: RopeConfig): Json | null {
  const scaling = rope.scaling;
  if (scaling === null) return null;
  const out: Json = { rope_type: scaling.type, type: scaling.type, factor: scaling.factor };
  if (scaling.type === "linear") return out;
  out.original_max_position_embeddings = scaling.originalMaxPositionEmbeddings;
  if (scaling.type === "llama3") {
    out.low_freq_factor = scaling.lowFreqFactor;
    out.high_freq_factor = scaling.highFreqFactor;
    return out;
  }
  out.beta_fast = scaling.betaFast;
  out.beta_slow = scaling.betaSlow;
  if (scaling.mscale !== null) out.mscale = scaling.mscale;
  if (scaling.mscaleAllDim !== null) out.mscale_all_dim = scaling.mscaleAllDim;
  if (scaling.attentionFactor !== null) out.attention_factor = scaling.attentionFactor;
  if (!scaling.truncate) out.truncate = false;
  return out;
}

const layerTypeNames: Record<LayerType, string> = {
  full: "full_attention",
  sliding: "sliding_attention",
  indexed: "indexed_attention",
  compressed_sparse: "compressed_sparse_attention",
  heavily_compressed: "heavily_compressed_attention",
};

function attentionKeys(config: ModelConfig): Json {
  const a = config.attention;
  if (a.kind === "grouped") {
    const out: Json = { num_attention_heads: a.heads, num_key_value_heads: a.kvHeads };
    if (config.family === "qwen2") {
      out.use_sliding_window = a.slidingWindow !== null;
      out.sliding_window = a.slidingWindow;
      if (a.slidingWindow !== null) out.layer_types = config.layerTypes.map((type) => layerTypeNames[type]);
    } else out.attention_bias = a.qkvBias;
    if (config.family === "llama" || a.headDim * a.heads !== config.hiddenSize) out.head_dim = a.headDim;
    return out;
  }
  if (a.kind === "latent")
    return {
      num_attention_heads: a.heads,
      num_key_value_heads: a.heads,
      attention_bias: a.bias,
      q_lora_rank: a.qLoraRank,
      kv_lora_rank: a.kvLoraRank,
      qk_nope_head_dim: a.qkNopeHeadDim,
      qk_rope_head_dim: a.qkRopeHeadDim,
      v_head_dim: a.vHeadDim,
      ...(config.family === "deepseek_v3" ? { rope_interleave: config.rope.interleaved } : {}),
      ...indexerKeys(a.indexer),
    };
  const ratios = { sliding: 0, compressed_sparse: a.sparseRate, heavily_compressed: a.heavyRate, full: 0, indexed: 0 };
  return {
    num_attention_heads: a.heads,
    num_key_value_heads: 1,
    attention_bias: false,
    head_dim: a.headDim,
    qk_rope_head_dim: a.qkRopeHeadDim,
    partial_rotary_factor: a.qkRopeHeadDim / a.headDim,
    q_lora_rank: a.qLoraRank,
    o_groups: a.oGroups,
    o_lora_rank: a.oLoraRank,
    sliding_window: a.slidingWindow,
    compress_rates: { compressed_sparse_attention: a.sparseRate, heavily_compressed_attention: a.heavyRate },
    compress_ratios: config.layerTypes.map((type) => ratios[type]),
    layer_types: config.layerTypes.map((type) => layerTypeNames[type]),
    ...indexerKeys(a.indexer),
  };
}

const indexerKeys = (indexer: { heads: number; headDim: number; topK: number } | null): Json =>
  indexer === null ? {} : { index_n_heads: indexer.heads, index_head_dim: indexer.headDim, index_topk: indexer.topK };

function moeKeys(config: ModelConfig): Json {
  const moe = config.moe;
  if (moe === null) return {};
  const out: Json = {
    n_routed_experts: moe.nRoutedExperts,
    n_shared_experts: moe.nSharedExperts,
    num_experts_per_tok: moe.numExpertsPerTok,
    moe_intermediate_size: moe.moeIntermediateSize,
    scoring_func: moe.scoringFunc,
    topk_method: moe.topkMethod,
    norm_topk_prob: moe.normTopkProb,
    routed_scaling_factor: moe.routedScalingFactor,
  };
  if (moe.auxLossAlpha > 0 || !moe.seqAux) {
    out.aux_loss_alpha = moe.auxLossAlpha;
    out.seq_aux = moe.seqAux;
  }
  if (config.family !== "deepseek_v4" && config.family !== "deepseek") {
    out.n_group = moe.nGroup;
    out.topk_group = moe.topkGroup;
  }
  const types = config.mlpTypes;
  if (config.family === "deepseek_v4") {
    out.mlp_layer_types = types.map((type) => (type === "hash" ? "hash_moe" : "moe"));
    out.num_hash_layers = types.filter((type) => type === "hash").length;
    return out;
  }
  const dense = types.findIndex((type) => type !== "dense");
  const leading = dense < 0 ? types.length : dense;
  out.first_k_dense_replace = leading;
  out.moe_layer_freq = 1;
  if (types.slice(leading).includes("dense"))
    out.mlp_layer_types = types.map((type) => (type === "dense" ? "dense" : "sparse"));
  return out;
}

function ropeKeys(config: ModelConfig): Json {
  if (config.compressRope === null) {
    const a = config.attention;
    const whole = a.kind === "grouped" ? a.headDim : a.qkRopeHeadDim;
    return {
      rope_theta: config.rope.theta,
      rope_scaling: ropeScaling(config.rope),
      ...(config.rope.dim === whole ? {} : { partial_rotary_factor: config.rope.dim / whole }),
    };
  }
  const a = config.attention;
  const partial = a.kind === "compressed" ? a.qkRopeHeadDim / a.headDim : 1;
  const parameters = (rope: RopeConfig): Json => ({
    rope_type: "default",
    ...ropeScaling(rope),
    rope_theta: rope.theta,
    partial_rotary_factor: partial,
  });
  return {
    rope_theta: config.rope.theta,
    compress_rope_theta: config.compressRope.theta,
    rope_parameters: { main: parameters(config.rope), compress: parameters(config.compressRope) },
  };
}

/** The JSON object of a config.json; parseConfig of it gives the same ModelConfig. */
export function configToJson(config: ModelConfig): Json {
  const eos = config.eosTokenIds;
  const out: Json = {
    ...config.extra,
    architectures: [config.architecture],
    model_type: config.family,
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.numHiddenLayers,
    max_position_embeddings: config.maxPositionEmbeddings,
    rms_norm_eps: config.rmsNormEps,
    tie_word_embeddings: config.tieWordEmbeddings,
    initializer_range: config.initializerRange,
    hidden_act: "silu",
    bos_token_id: config.bosTokenId,
    eos_token_id: eos.length === 0 ? null : eos.length === 1 ? eos[0] : eos,
    pad_token_id: config.padTokenId,
    ...attentionKeys(config),
    ...moeKeys(config),
    ...ropeKeys(config),
  };
  if (config.family === "llama" || config.mlpBias) out.mlp_bias = config.mlpBias;
  if (config.hyperConnections !== null) {
    out.hc_mult = config.hyperConnections.mult;
    out.hc_sinkhorn_iters = config.hyperConnections.sinkhornIters;
    out.hc_eps = config.hyperConnections.eps;
  }
  if (config.swigluLimit !== null) out.swiglu_limit = config.swigluLimit;
  if (config.attention.kind !== "grouped") out.num_nextn_predict_layers = config.numNextnPredictLayers;
  if (config.dtype !== null) out.torch_dtype = config.dtype;
  const quantization = config.quantization;
  if (quantization !== null)
    out.quantization_config = {
      quant_method: quantization.quantMethod,
      ...(quantization.fmt === null ? {} : { fmt: quantization.fmt }),
      ...(quantization.scaleFmt === null ? {} : { scale_fmt: quantization.scaleFmt }),
      ...(quantization.weightBlockSize === null ? {} : { weight_block_size: quantization.weightBlockSize }),
    };
  return out;
}

/** Keys whose values Python declares as float. */
const fractional = new Set(
  `rms_norm_eps initializer_range rope_theta compress_rope_theta routed_scaling_factor aux_loss_alpha swiglu_limit hc_eps
  attention_dropout partial_rotary_factor factor low_freq_factor high_freq_factor mscale mscale_all_dim attention_factor
  beta_fast beta_slow router_aux_loss_coef router_jitter_noise temperature top_p min_p repetition_penalty`.split(/\s+/),
);

function serialise(value: unknown, key: string, indent: string, depth: number): string {
  if (depth > 32) throw new CheckpointError("config.json", key, "is nested too deeply, or within itself");
  if (typeof value === "number" && Number.isInteger(value) && fractional.has(key)) return `${value}.0`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    if (value.length === 0) return "[]";
    return `[\n${value.map((item) => inner + serialise(item, key, inner, depth + 1)).join(",\n")}\n${indent}]`;
  }
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  if (entries.length === 0) return "{}";
  const lines = entries
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([name, item]) => `${inner}${JSON.stringify(name)}: ${serialise(item, name, inner, depth + 1)}`);
  return `{\n${lines.join(",\n")}\n${indent}}`;
}

/** JSON text as Python's tools write it: sorted keys, two spaces, points in numbers that are fractions by meaning. */
export const pythonJson = (value: unknown): string => `${serialise(value, "", "", 0)}\n`;
