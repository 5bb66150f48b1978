// The sizes the recipe comes in: model shape, vocabulary, and how many tokens and updates each stage gets. Tables, nothing else.
import { type ModelConfig, parseConfig } from "../../checkpoint/config.ts";
import type { MixtureOptions } from "../tutor/mixture.ts";

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

/** What one run does in each stage. Steps of supervised stages have `stepTokens` tokens. */
export interface Budget {
  stepTokens: number;
  pretrain: number;
  coldStart: number;
  rl: { steps: number; prompts: number; samples: number; lr: number };
  /** Problems answered `samples` times each; then updates on what was right. */
  rejection: { problems: number; samples: number; steps: number };
  scenario: { steps: number; prompts: number; samples: number; lr: number };
  /** Problems per kind of task, and samples of each, when pass rates are measured. */
  reach: { problems: number; samples: number };
  /** Problems whose pass@k is measured before and after, and samples of each. */
  passAtK: { problems: number; samples: number };
  /** Test problems per class: after each stage, and at the end in each of both sets. */
  evaluation: { between: number; final: number };
  /** What the corpus is drawn from: small models get a narrower school. */
  mixture: MixtureOptions;
}

export const BUDGETS: Record<PresetName, Budget> = {
  xs: {
    stepTokens: 4096,
    pretrain: 300,
    coldStart: 100,
    rl: { steps: 16, prompts: 16, samples: 8, lr: 5e-4 },
    rejection: { problems: 200, samples: 4, steps: 16 },
    scenario: { steps: 6, prompts: 16, samples: 8, lr: 2.5e-4 },
    reach: { problems: 6, samples: 4 },
    passAtK: { problems: 48, samples: 16 },
    evaluation: { between: 60, final: 100 },
    mixture: { classes: { A: 4, B: 0.5, C: 0.5, D: 0.5, manners: 1 }, difficulty: 0.5 },
  },
  s: {
    stepTokens: 8192,
    pretrain: 360,
    coldStart: 120,
    rl: { steps: 40, prompts: 24, samples: 8, lr: 2e-4 },
    rejection: { problems: 800, samples: 4, steps: 30 },
    scenario: { steps: 12, prompts: 24, samples: 8, lr: 1e-4 },
    reach: { problems: 8, samples: 4 },
    passAtK: { problems: 64, samples: 16 },
    evaluation: { between: 100, final: 200 },
    mixture: { classes: { A: 3, B: 1, C: 1, D: 1, manners: 1 } },
  },
  m: {
    stepTokens: 8192,
    pretrain: 1500,
    coldStart: 500,
    rl: { steps: 100, prompts: 32, samples: 8, lr: 8e-5 },
    rejection: { problems: 4000, samples: 4, steps: 120 },
    scenario: { steps: 30, prompts: 32, samples: 8, lr: 5e-5 },
    reach: { problems: 12, samples: 4 },
    passAtK: { problems: 96, samples: 32 },
    evaluation: { between: 200, final: 600 },
    mixture: { earlierTurns: 0.1 },
  },
  "m-plus": {
    stepTokens: 8192,
    pretrain: 3000,
    coldStart: 1000,
    rl: { steps: 150, prompts: 32, samples: 8, lr: 6e-5 },
    rejection: { problems: 6000, samples: 4, steps: 200 },
    scenario: { steps: 40, prompts: 32, samples: 8, lr: 4e-5 },
    reach: { problems: 12, samples: 4 },
    passAtK: { problems: 96, samples: 32 },
    evaluation: { between: 200, final: 600 },
    mixture: { earlierTurns: 0.1 },
  },
};

/** Without experts: every layer as wide as a token's share of the experts' layers, so that a token costs the same. */
function denseWidth(shape: Shape): number {
  const active = shape.denseWidth + (shape.layers - 1) * (shape.topK + 1) * shape.expertWidth;
  return Math.round(active / shape.layers / 8) * 8;
}

/**
 * A DeepSeek-V3 configuration of this shape: first layer dense, sigmoid routing with correction bias, one shared expert. `dense`: its
 * twin of equal active size, all layers dense.
 */
export function shapeConfig(shape: Shape, dense = false): ModelConfig {
  return parseConfig({
    architectures: ["DeepseekV3ForCausalLM"],
    model_type: "deepseek_v3",
    vocab_size: shape.vocab,
    hidden_size: shape.hidden,
    intermediate_size: dense ? denseWidth(shape) : shape.denseWidth,
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
    first_k_dense_replace: dense ? shape.layers : 1,
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
