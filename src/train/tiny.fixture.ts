// A mixture-of-experts model of a few thousand parameters and a task for it: models that tests train in seconds.
import { type ModelConfig, parseConfig } from "../checkpoint/config.ts";
import { LocalEngine } from "../engine/local-engine.ts";
import { ServedModel } from "../engine/model.ts";
import type { Device } from "../tensor/device.ts";
import { NativeDevice } from "../tensor/native.ts";
import { Grpo, type GrpoOptions, type Prompt } from "./grpo.ts";
import { OBJECTIVES } from "./policy-loss.ts";
import { uniform } from "./rewards.ts";
import { Trainer, type TrainerOptions } from "./trainer.ts";

/** A config.json; `given` are keys that replace those below. */
export const tinyJson = (given: Record<string, unknown> = {}): Record<string, unknown> => ({
  architectures: ["DeepseekV3ForCausalLM"],
  model_type: "deepseek_v3",
  vocab_size: 16,
  hidden_size: 32,
  intermediate_size: 64,
  moe_intermediate_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 2,
  n_shared_experts: 1,
  n_routed_experts: 4,
  num_experts_per_tok: 2,
  n_group: 1,
  topk_group: 1,
  norm_topk_prob: true,
  routed_scaling_factor: 1,
  scoring_func: "sigmoid",
  topk_method: "noaux_tc",
  first_k_dense_replace: 1,
  kv_lora_rank: 16,
  q_lora_rank: null,
  qk_nope_head_dim: 16,
  qk_rope_head_dim: 8,
  v_head_dim: 16,
  hidden_act: "silu",
  max_position_embeddings: 64,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  tie_word_embeddings: false,
  attention_bias: false,
  initializer_range: 0.1,
  bos_token_id: 0,
  eos_token_id: 1,
  pad_token_id: 2,
  ...given,
});

export const tinyConfig = (given: Record<string, unknown> = {}): ModelConfig => parseConfig(tinyJson(given));

export const tinyTrainer = (
  given: Partial<TrainerOptions> = {},
  device: Device = new NativeDevice({ threads: 1 }),
  config: ModelConfig = tinyConfig(),
) =>
  new Trainer(
    device,
    config,
    {
      maxTokens: 256,
      maxPositions: 64,
      optimizer: { kind: "adamw", lr: 1e-2, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0, maxGradNorm: 1 },
      ...given,
    },
    { seed: 5 },
  );

/** The digit to copy: token 3 + digit. */
export const DIGITS = 4;
const FIRST = 3;

export const copyPrompt = (index: number): Prompt<number> => {
  const digit = Math.floor(uniform(123, index) * DIGITS);
  return { ids: Int32Array.from([0, FIRST + digit, 12]), task: digit };
};

/** GRPO that teaches to say the digit of the prompt; `given` overrides the settings, `Class` is what runs it. */
export function copyTask(
  trainer: Trainer,
  given: Partial<GrpoOptions<number>> = {},
  Class: typeof Grpo = Grpo,
): Grpo<number> {
  const served = new ServedModel(
    trainer.device,
    trainer.config,
    { parameters: trainer.parameters },
    { context: 64, cacheTokens: 1024, maxRows: 128, maxSequences: 32 },
  );
  const engine = new LocalEngine(served, { name: "tiny" });
  return new Class(trainer, engine, {
    objective: { ...OBJECTIVES["r1-zero"], beta: 0.001 },
    rewards: [{ name: "copy", weight: 1, of: (digit, { ids }) => (ids[0] === FIRST + digit ? 1 : 0) }],
    prompts: 8,
    samples: 8,
    maxTokens: 2,
    temperature: 1,
    seed: 9,
    ...given,
  });
}
