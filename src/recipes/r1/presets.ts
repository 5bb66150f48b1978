// The sizes the recipe comes in: model shape, vocabulary, and how many tokens and updates each stage gets. One table, nothing else.
import { type ModelConfig, parseConfig } from "../../checkpoint/config.ts";

export interface Shape {
  hidden: number;
  layers: number;
  heads: number;
  nope: number;
  rope: number;
  value: number;
  latent: number;
  experts: number;
  topK: number;
  expertWidth: number;
  denseWidth: number;
  vocab: number;
  positions: number;
}

export const SHAPES = {
  xs: {
    hidden: 96,
    layers: 3,
    heads: 3,
    nope: 32,
    rope: 16,
    value: 32,
    latent: 48,
    experts: 4,
    topK: 2,
    expertWidth: 64,
    denseWidth: 256,
    vocab: 512,
    positions: 512,
  },
  s: {
    hidden: 128,
    layers: 4,
    heads: 4,
    nope: 32,
    rope: 16,
    value: 32,
    latent: 64,
    experts: 8,
    topK: 2,
    expertWidth: 96,
    denseWidth: 384,
    vocab: 512,
    positions: 512,
  },
  m: {
    hidden: 160,
    layers: 5,
    heads: 5,
    nope: 32,
    rope: 16,
    value: 32,
    latent: 80,
    experts: 12,
    topK: 3,
    expertWidth: 112,
    denseWidth: 448,
    vocab: 1024,
    positions: 768,
  },
  "m-plus": {
    hidden: 192,
    layers: 6,
    heads: 6,
    nope: 32,
    rope: 16,
    value: 32,
    latent: 96,
    experts: 16,
    topK: 4,
    expertWidth: 128,
    denseWidth: 640,
    vocab: 1024,
    positions: 768,
  },
} satisfies Record<string, Shape>;

export type PresetName = keyof typeof SHAPES;

/** A DeepSeek-V3 configuration of this shape: first layer dense, sigmoid routing with correction bias, one shared expert. */
export function shapeConfig(shape: Shape): ModelConfig {
  return parseConfig({
    architectures: ["DeepseekV3ForCausalLM"],
    model_type: "deepseek_v3",
    vocab_size: shape.vocab,
    hidden_size: shape.hidden,
    intermediate_size: shape.denseWidth,
    moe_intermediate_size: shape.expertWidth,
    num_hidden_layers: shape.layers,
    num_attention_heads: shape.heads,
    num_key_value_heads: shape.heads,
    n_shared_experts: 1,
    n_routed_experts: shape.experts,
    num_experts_per_tok: shape.topK,
    n_group: 1,
    topk_group: 1,
    norm_topk_prob: true,
    routed_scaling_factor: 1,
    scoring_func: "sigmoid",
    topk_method: "noaux_tc",
    first_k_dense_replace: 1,
    kv_lora_rank: shape.latent,
    q_lora_rank: null,
    qk_nope_head_dim: shape.nope,
    qk_rope_head_dim: shape.rope,
    v_head_dim: shape.value,
    hidden_act: "silu",
    max_position_embeddings: shape.positions,
    rms_norm_eps: 1e-6,
    rope_theta: 10000,
    tie_word_embeddings: false,
    attention_bias: false,
    initializer_range: 0.02,
    bos_token_id: 0,
    eos_token_id: 1,
    pad_token_id: 2,
  });
}
