// A model's shape: reads Hugging Face's config.json into one typed record for every family and writes it back. Which tensors
// follow from it is tensors.ts's business; what they compute is the model layer's. Key meanings and defaults are those of the
// configuration files that DeepSeek publishes and of the configuration classes of transformers 5.
import type { RopeScaling } from "../tensor/rope-tables.ts";
import { CheckpointError, show } from "./errors.ts";
import { Fields } from "./fields.ts";

export const families = [
  "llama",
  "qwen2",
  "deepseek",
  "deepseek_v2",
  "deepseek_v3",
  "deepseek_v32",
  "deepseek_v4",
] as const;
/** `model_type` of config.json. `deepseek` is DeepSeekMoE-16B; V3 covers R1 and V3.1. */
export type Family = (typeof families)[number];

export interface RopeConfig {
  theta: number;
  /** How many dimensions of a head are rotated. */
  dim: number;
  /** True: adjacent pairs are rotated (DeepSeek's MLA and V4). False: halves (rotate_half). */
  interleaved: boolean;
  scaling: RopeScaling | null;
}

/** Multi-head attention, possibly with fewer key/value heads (Llama, Qwen2, DeepSeekMoE-16B). */
export interface GroupedAttention {
  kind: "grouped";
  heads: number;
  kvHeads: number;
  headDim: number;
  qkvBias: boolean;
  outputBias: boolean;
  /** Tokens a "sliding" layer sees; null without one. */
  slidingWindow: number | null;
}

/** The lightning indexer of V3.2 and V4. */
export interface IndexerConfig {
  heads: number;
  headDim: number;
  topK: number;
}

/** Multi-head latent attention (V2, V3, V3.2). */
export interface LatentAttention {
  kind: "latent";
  heads: number;
  /** null: queries are not compressed (V2-Lite). */
  qLoraRank: number | null;
  kvLoraRank: number;
  qkNopeHeadDim: number;
  qkRopeHeadDim: number;
  vHeadDim: number;
  /** Biases on q_a/kv_a/o projections. */
  bias: boolean;
  indexer: IndexerConfig | null;
}

/** V4: one shared key/value head, sliding window and compressed entries, grouped output projection. */
export interface CompressedAttention {
  kind: "compressed";
  heads: number;
  headDim: number;
  qkRopeHeadDim: number;
  qLoraRank: number;
  oGroups: number;
  oLoraRank: number;
  slidingWindow: number;
  /** Tokens per entry in compressed_sparse layers. */
  sparseRate: number;
  /** Tokens per entry in heavily_compressed layers. */
  heavyRate: number;
  indexer: IndexerConfig;
}

export type AttentionConfig = GroupedAttention | LatentAttention | CompressedAttention;

/** What a layer attends to. "full" and "sliding" for grouped, "full" and "indexed" for latent, the last three for V4. */
export type LayerType = "full" | "indexed" | "sliding" | "compressed_sparse" | "heavily_compressed";

/** "hash": experts are looked up by token id (V4), weights still come from the router. */
export type MlpType = "dense" | "moe" | "hash";

export interface MoeConfig {
  nRoutedExperts: number;
  nSharedExperts: number;
  numExpertsPerTok: number;
  moeIntermediateSize: number;
  scoringFunc: "softmax" | "sigmoid" | "sqrtsoftplus";
  topkMethod: "greedy" | "group_limited_greedy" | "noaux_tc";
  /** 1 where there are no groups. */
  nGroup: number;
  topkGroup: number;
  normTopkProb: boolean;
  routedScalingFactor: number;
  /** Strength of the balance loss; 0: none given. */
  auxLossAlpha: number;
  seqAux: boolean;
}

export interface HyperConnections {
  mult: number;
  sinkhornIters: number;
  eps: number;
}

export interface QuantizationConfig {
  quantMethod: string;
  fmt: string | null;
  scaleFmt: string | null;
  weightBlockSize: [number, number] | null;
}

export interface ModelConfig {
  family: Family;
  /** `architectures[0]`, e.g. "DeepseekV3ForCausalLM". */
  architecture: string;
  vocabSize: number;
  hiddenSize: number;
  /** Of dense MLPs; for V4, which has none, the expert's. */
  intermediateSize: number;
  numHiddenLayers: number;
  maxPositionEmbeddings: number;
  rmsNormEps: number;
  tieWordEmbeddings: boolean;
  initializerRange: number;
  /** Biases on gate/up/down of dense MLPs. */
  mlpBias: boolean;
  bosTokenId: number | null;
  eosTokenIds: number[];
  padTokenId: number | null;
  attention: AttentionConfig;
  /** Rotation of queries and keys; in V4 that of its sliding layers. */
  rope: RopeConfig;
  /** V4's compressed layers (queries, window keys, compressed keys and indexer alike); null elsewhere. */
  compressRope: RopeConfig | null;
  /** One entry per layer. */
  layerTypes: LayerType[];
  /** One entry per layer. */
  mlpTypes: MlpType[];
  moe: MoeConfig | null;
  hyperConnections: HyperConnections | null;
  /** Upper bound on gate, both bounds on up, before SwiGLU (V4); null: none. */
  swigluLimit: number | null;
  /** Multi-token-prediction modules the checkpoint may carry; their tensors lie at layer id numHiddenLayers + k (V4: mtp.k). */
  numNextnPredictLayers: number;
  quantization: QuantizationConfig | null;
  /** `dtype` or `torch_dtype` as written, null where absent. */
  dtype: string | null;
  /** Keys of config.json that nothing above says; written back unchanged. */
  extra: Record<string, unknown>;
}

const limits = {
  vocab: 2 ** 24,
  width: 2 ** 20,
  layers: 1024,
  heads: 8192,
  experts: 65_536,
  positions: 2 ** 31,
};

const architectures: Record<Family, string> = {
  llama: "LlamaForCausalLM",
  qwen2: "Qwen2ForCausalLM",
  deepseek: "DeepseekForCausalLM",
  deepseek_v2: "DeepseekV2ForCausalLM",
  deepseek_v3: "DeepseekV3ForCausalLM",
  deepseek_v32: "DeepseekV32ForCausalLM",
  deepseek_v4: "DeepseekV4ForCausalLM",
};

function readFamily(fields: Fields): Family {
  const type = fields.value("model_type");
  if ((families as readonly unknown[]).includes(type)) return type as Family;
  // Some directories of V3.2 carry V3's model_type or none and tell themselves apart by the architecture alone.
  const architecture = fields.list("architectures")?.[0];
  for (const family of families) if (type === undefined && architectures[family] === architecture) return family;
  return fields.fail("model_type", `is ${show(type)}; Weir knows ${families.join(", ")}`);
}

function tokenId(fields: Fields, key: string, vocab: number): number | null {
  const value = fields.value(key);
  // -1 is how some older configs say "none"; ids beyond the vocabulary occur in published padding ids and mean none too.
  if (value === undefined || value === -1) return null;
  return fields.int(key, 0, limits.vocab + vocab);
}

function tokenIds(fields: Fields, key: string): number[] {
  const value = fields.value(key);
  if (value === undefined) return [];
  const list = Array.isArray(value) ? value : [value];
  if (list.length > 64) fields.fail(key, `lists ${list.length} ids; at most 64 make sense`);
  for (const id of list)
    if (!Number.isInteger(id) || (id as number) < 0 || (id as number) > limits.vocab)
      fields.fail(key, `must be a token id or a list of them, has ${show(id)}`);
  return list as number[];
}

const ropeTypes = ["default", "linear", "llama3", "yarn"] as const;

function readScaling(fields: Fields | undefined): RopeScaling | null {
  if (fields === undefined) return null;
  // Old files say "type", new ones "rope_type"; a file that says both means the new one.
  const key = fields.has("rope_type") ? "rope_type" : "type";
  const type = fields.oneOf(key, ropeTypes, "default");
  if (type === "default") return null;
  const factor = fields.number("factor", 1, 1e6);
  if (type === "linear") return { type, factor };
  const originalMaxPositionEmbeddings = fields.int("original_max_position_embeddings", 1, limits.positions);
  if (type === "llama3") {
    const lowFreqFactor = fields.number("low_freq_factor", 1e-6, 1e6);
    const highFreqFactor = fields.number("high_freq_factor", 1e-6, 1e6);
    if (highFreqFactor <= lowFreqFactor)
      fields.fail("high_freq_factor", `must exceed low_freq_factor ${lowFreqFactor}, is ${highFreqFactor}`);
    return { type, factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings };
  }
  const optional = (name: string) => (fields.has(name) ? fields.number(name, 0, 1e3) : null);
  return {
    type,
    factor,
    originalMaxPositionEmbeddings,
    betaFast: fields.number("beta_fast", 1e-3, 1e6, 32),
    betaSlow: fields.number("beta_slow", 1e-3, 1e6, 1),
    mscale: optional("mscale"),
    mscaleAllDim: optional("mscale_all_dim"),
    attentionFactor: optional("attention_factor"),
    truncate: fields.boolean("truncate", true),
  };
}

/** theta and scaling as transformers 5 (`rope_parameters`) and 4 (`rope_theta`, `rope_scaling`) write them. */
function readRope(fields: Fields, dim: number, interleaved: boolean, defaultTheta: number): RopeConfig {
  const parameters = fields.object("rope_parameters") ?? fields.object("rope_scaling");
  const source = parameters?.has("rope_theta") ? parameters : fields;
  const partial = (parameters?.has("partial_rotary_factor") ? parameters : fields).number(
    "partial_rotary_factor",
    1e-3,
    1,
    1,
  );
  return {
    theta: source.number("rope_theta", 1, 1e12, defaultTheta),
    dim: Math.floor(dim * partial),
    interleaved,
    scaling: readScaling(parameters),
  };
}

function readCompressedRopes(fields: Fields, dim: number): { rope: RopeConfig; compressRope: RopeConfig } {
  const theta = fields.number("rope_theta", 1, 1e12, 10_000);
  const compressTheta = fields.number("compress_rope_theta", 1, 1e12, 160_000);
  const parameters = fields.object("rope_parameters") ?? fields.object("rope_scaling");
  const main = parameters?.object("main");
  const compress = parameters?.object("compress");
  const scaling = readScaling(compress ?? (main === undefined ? parameters : undefined));
  // V4 never multiplies cos and sin by YaRN's magnitude (transformers' DeepseekV4Config forces the same).
  if (scaling?.type === "yarn") scaling.attentionFactor = 1;
  return {
    rope: {
      theta: main?.number("rope_theta", 1, 1e12, theta) ?? theta,
      dim,
      interleaved: true,
      scaling: readScaling(main),
    },
    compressRope: {
      theta: compress?.number("rope_theta", 1, 1e12, compressTheta) ?? compressTheta,
      dim,
      interleaved: true,
      scaling,
    },
  };
}

function checkEven(fields: Fields, key: string, dim: number): void {
  if (dim < 2 || dim % 2 !== 0) fields.fail(key, `rotates ${dim} dimensions; rotation needs an even number of them`);
}

function readIndexer(fields: Fields): IndexerConfig {
  return {
    heads: fields.int("index_n_heads", 1, limits.heads, 64),
    headDim: fields.int("index_head_dim", 2, limits.width, 128),
    topK: fields.int("index_topk", 1, limits.positions),
  };
}

function readAttention(fields: Fields, family: Family, hiddenSize: number): AttentionConfig {
  const heads = fields.int("num_attention_heads", 1, limits.heads);
  if (family === "deepseek_v2" || family === "deepseek_v3" || family === "deepseek_v32") {
    return {
      kind: "latent",
      heads,
      qLoraRank: fields.has("q_lora_rank") ? fields.int("q_lora_rank", 1, limits.width) : null,
      kvLoraRank: fields.int("kv_lora_rank", 1, limits.width),
      qkNopeHeadDim: fields.int("qk_nope_head_dim", 1, limits.width),
      qkRopeHeadDim: fields.int("qk_rope_head_dim", 2, limits.width),
      vHeadDim: fields.int("v_head_dim", 1, limits.width),
      bias: fields.boolean("attention_bias", false),
      indexer: family === "deepseek_v32" ? readIndexer(fields) : null,
    };
  }
  if (family === "deepseek_v4") {
    const headDim = fields.int("head_dim", 2, limits.width);
    const factor = fields.number("partial_rotary_factor", 1e-4, 1, 64 / 512);
    const rates = fields.object("compress_rates");
    const oGroups = fields.int("o_groups", 1, limits.heads);
    if (heads % oGroups !== 0) fields.fail("o_groups", `${oGroups} does not divide ${heads} heads`);
    return {
      kind: "compressed",
      heads,
      headDim,
      qkRopeHeadDim: fields.int("qk_rope_head_dim", 2, headDim, Math.floor(headDim * factor)),
      qLoraRank: fields.int("q_lora_rank", 1, limits.width),
      oGroups,
      oLoraRank: fields.int("o_lora_rank", 1, limits.width),
      slidingWindow: fields.int("sliding_window", 1, limits.positions),
      sparseRate:
        rates?.int("compressed_sparse_attention", 1, 65_536, 4) ?? fields.int("compress_rate_csa", 1, 65_536, 4),
      heavyRate:
        rates?.int("heavily_compressed_attention", 1, 65_536, 128) ?? fields.int("compress_rate_hca", 1, 65_536, 128),
      indexer: readIndexer(fields),
    };
  }
  const kvHeads = fields.int("num_key_value_heads", 1, limits.heads, heads);
  if (heads % kvHeads !== 0) fields.fail("num_key_value_heads", `${kvHeads} does not divide ${heads} heads`);
  if (!fields.has("head_dim") && hiddenSize % heads !== 0)
    fields.fail("num_attention_heads", `${heads} does not divide hidden_size ${hiddenSize} and head_dim is not given`);
  const bias = fields.boolean("attention_bias", false);
  const windowed = family === "qwen2" && fields.boolean("use_sliding_window", false);
  return {
    kind: "grouped",
    heads,
    kvHeads,
    headDim: fields.int("head_dim", 2, limits.width, hiddenSize / heads),
    qkvBias: family === "qwen2" ? true : bias,
    outputBias: family === "qwen2" ? false : bias,
    slidingWindow: windowed ? fields.int("sliding_window", 1, limits.positions) : null,
  };
}

function readMoe(fields: Fields, family: Family): MoeConfig | null {
  if (family === "llama" || family === "qwen2") return null;
  // V2's own code calls a model without n_routed_experts dense.
  if (!fields.has("n_routed_experts") && family === "deepseek") return null;
  const modern = family === "deepseek_v3" || family === "deepseek_v32" || family === "deepseek_v4";
  const nRoutedExperts = fields.int("n_routed_experts", 1, limits.experts);
  const numExpertsPerTok = fields.int("num_experts_per_tok", 1, nRoutedExperts);
  const nGroup = fields.int("n_group", 1, nRoutedExperts, 1);
  if (nRoutedExperts % nGroup !== 0) fields.fail("n_group", `${nGroup} does not divide ${nRoutedExperts} experts`);
  const topkGroup = fields.int("topk_group", 1, nGroup, nGroup);
  if ((nRoutedExperts / nGroup) * topkGroup < numExpertsPerTok)
    fields.fail("topk_group", `${topkGroup} groups hold fewer than ${numExpertsPerTok} experts`);
  return {
    nRoutedExperts,
    nSharedExperts: fields.int("n_shared_experts", 0, limits.experts, 0),
    numExpertsPerTok,
    moeIntermediateSize: fields.int("moe_intermediate_size", 1, limits.width),
    scoringFunc: fields.oneOf(
      "scoring_func",
      ["softmax", "sigmoid", "sqrtsoftplus"],
      family === "deepseek_v4" ? "sqrtsoftplus" : modern ? "sigmoid" : "softmax",
    ),
    topkMethod: fields.oneOf(
      "topk_method",
      ["greedy", "group_limited_greedy", "noaux_tc"],
      modern ? "noaux_tc" : "greedy",
    ),
    nGroup,
    topkGroup,
    normTopkProb: fields.boolean("norm_topk_prob", modern),
    routedScalingFactor: fields.number(
      "routed_scaling_factor",
      0,
      1e6,
      family === "deepseek_v3" || family === "deepseek_v32" ? 2.5 : family === "deepseek_v4" ? 1.5 : 1,
    ),
    auxLossAlpha: fields.number("aux_loss_alpha", 0, 1e3, 0),
    seqAux: fields.boolean("seq_aux", true),
  };
}

const layerTypeNames: Record<string, LayerType> = {
  full_attention: "full",
  sliding_attention: "sliding",
  indexed_attention: "indexed",
  deepseek_sparse_attention: "indexed",
  compressed_sparse_attention: "compressed_sparse",
  heavily_compressed_attention: "heavily_compressed",
};

function readLayerTypes(fields: Fields, family: Family, layers: number, attention: AttentionConfig): LayerType[] {
  const allowed: LayerType[] =
    attention.kind === "compressed"
      ? ["sliding", "compressed_sparse", "heavily_compressed"]
      : attention.kind === "latent"
        ? [attention.indexer ? "indexed" : "full"]
        : attention.slidingWindow === null
          ? ["full"]
          : ["full", "sliding"];
  const named = fields.list("layer_types");
  if (named !== undefined) {
    if (named.length !== layers) fields.fail("layer_types", `has ${named.length} entries for ${layers} layers`);
    return named.map((name) => {
      const type = typeof name === "string" && Object.hasOwn(layerTypeNames, name) ? layerTypeNames[name] : undefined;
      if (type === undefined || !allowed.includes(type))
        fields.fail("layer_types", `${show(name)} is no attention type of ${family}`);
      return type;
    });
  }
  if (attention.kind === "compressed") {
    const ratios = fields.list("compress_ratios");
    if (ratios !== undefined) {
      // Entries past the layers belong to the multi-token-prediction modules.
      if (ratios.length < layers) fields.fail("compress_ratios", `has ${ratios.length} entries for ${layers} layers`);
      return ratios.slice(0, layers).map((ratio) => {
        if (ratio === 0) return "sliding";
        if (ratio === attention.sparseRate) return "compressed_sparse";
        if (ratio === attention.heavyRate) return "heavily_compressed";
        return fields.fail(
          "compress_ratios",
          `${show(ratio)} is none of 0, ${attention.sparseRate}, ${attention.heavyRate}`,
        );
      });
    }
    return Array.from({ length: layers }, (_, i) =>
      i < 2 || i % 2 === 0 ? "heavily_compressed" : "compressed_sparse",
    );
  }
  if (attention.kind === "grouped" && attention.slidingWindow !== null) {
    const first = fields.int("max_window_layers", 0, 1e6, 28);
    return Array.from({ length: layers }, (_, i) => (i >= first ? "sliding" : "full"));
  }
  return new Array(layers).fill(allowed[0]);
}

function readMlpTypes(fields: Fields, family: Family, layers: number, moe: MoeConfig | null): MlpType[] {
  if (moe === null) return new Array(layers).fill("dense");
  const named = fields.list("mlp_layer_types");
  if (named !== undefined) {
    if (named.length !== layers) fields.fail("mlp_layer_types", `has ${named.length} entries for ${layers} layers`);
    return named.map((name) => {
      if (name === "dense" && family !== "deepseek_v4") return "dense";
      if (name === "sparse" || name === "moe") return "moe";
      if (name === "hash_moe" && family === "deepseek_v4") return "hash";
      return fields.fail("mlp_layer_types", `${show(name)} is no MLP type of ${family}`);
    });
  }
  if (family === "deepseek_v4") {
    const hashed = fields.int("num_hash_layers", 0, limits.layers, 3);
    return Array.from({ length: layers }, (_, i) => (i < hashed ? "hash" : "moe"));
  }
  const dense = fields.int(
    "first_k_dense_replace",
    0,
    limits.layers,
    family === "deepseek_v3" || family === "deepseek_v32" ? 3 : 0,
  );
  const frequency = fields.int("moe_layer_freq", 1, limits.layers, 1);
  return Array.from({ length: layers }, (_, i) => (i >= dense && i % frequency === 0 ? "moe" : "dense"));
}

function readQuantization(fields: Fields): QuantizationConfig | null {
  const quantization = fields.object("quantization_config");
  if (quantization === undefined) return null;
  const text = (key: string): string | null => {
    const value = quantization.value(key);
    if (value === undefined) return null;
    if (typeof value !== "string" || value.length > 64)
      return quantization.fail(key, `must be a short text, is ${show(value)}`);
    return value;
  };
  const block = quantization.list("weight_block_size");
  if (
    block !== undefined &&
    (block.length !== 2 || !block.every((n) => Number.isInteger(n) && (n as number) > 0 && (n as number) <= 65_536))
  )
    quantization.fail(
      "weight_block_size",
      `must be two positive whole numbers, is ${show(JSON.stringify(block).slice(0, 60))}`,
    );
  return {
    quantMethod: text("quant_method") ?? "unknown",
    fmt: text("fmt"),
    scaleFmt: text("scale_fmt"),
    weightBlockSize: (block as [number, number] | undefined) ?? null,
  };
}

/** Keys of config.json that ModelConfig says; all others travel in `extra`. */
const known = new Set(
  `architectures model_type vocab_size hidden_size intermediate_size num_hidden_layers max_position_embeddings rms_norm_eps
  tie_word_embeddings initializer_range mlp_bias bos_token_id eos_token_id pad_token_id attention_bias num_attention_heads
  num_key_value_heads head_dim q_lora_rank kv_lora_rank qk_nope_head_dim qk_rope_head_dim v_head_dim index_n_heads
  index_head_dim index_topk o_groups o_lora_rank sliding_window use_sliding_window compress_rates compress_rate_csa
  compress_rate_hca compress_ratios layer_types mlp_layer_types num_hash_layers first_k_dense_replace moe_layer_freq
  n_routed_experts n_shared_experts num_experts_per_tok moe_intermediate_size scoring_func topk_method n_group topk_group
  norm_topk_prob routed_scaling_factor aux_loss_alpha seq_aux hc_mult hc_sinkhorn_iters hc_eps swiglu_limit
  num_nextn_predict_layers rope_theta rope_scaling rope_parameters compress_rope_theta partial_rotary_factor
  rope_interleave quantization_config dtype torch_dtype hidden_act qk_head_dim`.split(/\s+/),
);

/**
 * Checks and types the content of a config.json. `file` goes into errors. Throws CheckpointError naming the field for anything
 * missing, absurd or contradictory.
 */
export function parseConfig(json: unknown, file = "config.json"): ModelConfig {
  const fields = new Fields(file, json);
  const family = readFamily(fields);
  const vocabSize = fields.int("vocab_size", 1, limits.vocab);
  const hiddenSize = fields.int("hidden_size", 1, limits.width);
  const numHiddenLayers = fields.int("num_hidden_layers", 1, limits.layers);
  fields.oneOf("hidden_act", ["silu", "swish"], "silu");
  const attention = readAttention(fields, family, hiddenSize);
  const moe = readMoe(fields, family);
  const interleaved =
    family === "deepseek_v3"
      ? fields.boolean("rope_interleave", true)
      : family === "deepseek_v2" || family === "deepseek_v32";
  const { rope, compressRope } =
    attention.kind === "compressed"
      ? readCompressedRopes(fields, attention.qkRopeHeadDim)
      : {
          rope: readRope(
            fields,
            attention.kind === "latent" ? attention.qkRopeHeadDim : attention.headDim,
            interleaved,
            10_000,
          ),
          compressRope: null,
        };
  checkEven(fields, attention.kind === "grouped" ? "head_dim" : "qk_rope_head_dim", rope.dim);
  const dtype = fields.value("dtype") ?? fields.value("torch_dtype");
  const extra: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(json as Record<string, unknown>)) if (!known.has(key)) extra[key] = value;
  const named = fields.list("architectures")?.[0];
  return {
    family,
    architecture: typeof named === "string" && named.length <= 128 ? named : architectures[family],
    vocabSize,
    hiddenSize,
    intermediateSize: fields.int(
      "intermediate_size",
      1,
      limits.width,
      family === "deepseek_v4" ? moe?.moeIntermediateSize : undefined,
    ),
    numHiddenLayers,
    maxPositionEmbeddings: fields.int("max_position_embeddings", 1, limits.positions, 2048),
    rmsNormEps: fields.number("rms_norm_eps", 0, 1, 1e-6),
    tieWordEmbeddings: fields.boolean("tie_word_embeddings", false),
    initializerRange: fields.number("initializer_range", 0, 100, 0.02),
    mlpBias: fields.boolean("mlp_bias", false),
    bosTokenId: tokenId(fields, "bos_token_id", vocabSize),
    eosTokenIds: tokenIds(fields, "eos_token_id"),
    padTokenId: tokenId(fields, "pad_token_id", vocabSize),
    attention,
    rope,
    compressRope,
    layerTypes: readLayerTypes(fields, family, numHiddenLayers, attention),
    mlpTypes: readMlpTypes(fields, family, numHiddenLayers, moe),
    moe,
    hyperConnections:
      family === "deepseek_v4"
        ? {
            mult: fields.int("hc_mult", 1, 64),
            sinkhornIters: fields.int("hc_sinkhorn_iters", 1, 1000),
            eps: fields.number("hc_eps", 0, 1),
          }
        : null,
    swigluLimit: fields.has("swiglu_limit") ? fields.number("swiglu_limit", 1e-6, 1e6) : null,
    numNextnPredictLayers: fields.int("num_nextn_predict_layers", 0, 16, 0),
    quantization: readQuantization(fields),
    dtype: typeof dtype === "string" && dtype.length <= 64 ? dtype : null,
    extra,
  };
}

/** Parses the text of a config.json. */
export function parseConfigText(text: string, file = "config.json"): ModelConfig {
  return parseConfig(parseJson(text, file), file);
}

/** JSON.parse with our error; input deeper than the parser's stack is refused like any other broken input. */
export function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CheckpointError(file, "content", `is not valid JSON (${show((cause as Error).message)})`, { cause });
  }
}
