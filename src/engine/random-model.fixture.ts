// Engines over models of random weights: shapes that tests run in seconds and need no file.
import { parseConfig } from "../checkpoint/config.ts";
import { buildInference } from "../model/inference.ts";
import type { DeviceBuffer } from "../tensor/device.ts";
import { NativeDevice } from "../tensor/native.ts";
import { seeded } from "../text/text.fixture.ts";
import type { BaseWeights } from "./adapters.ts";
import { LocalEngine, type LocalEngineOptions } from "./local-engine.ts";
import { type ModelOptions, ServedModel } from "./model.ts";
import type { EngineEvent } from "./types.ts";

const common = {
  architectures: ["DeepseekV3ForCausalLM"],
  model_type: "deepseek_v3",
  n_group: 1,
  topk_group: 1,
  norm_topk_prob: true,
  routed_scaling_factor: 1,
  scoring_func: "sigmoid",
  topk_method: "noaux_tc",
  first_k_dense_replace: 1,
  n_shared_experts: 1,
  hidden_act: "silu",
  max_position_embeddings: 4096,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  tie_word_embeddings: false,
  attention_bias: false,
  bos_token_id: 0,
  eos_token_id: 1,
  pad_token_id: 2,
};

export const SHAPES = {
  tiny: {
    vocab_size: 32,
    hidden_size: 32,
    intermediate_size: 64,
    moe_intermediate_size: 32,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    num_key_value_heads: 2,
    n_routed_experts: 4,
    num_experts_per_tok: 2,
    kv_lora_rank: 16,
    q_lora_rank: null,
    qk_nope_head_dim: 16,
    qk_rope_head_dim: 8,
    v_head_dim: 16,
  },
  /** The tutor's, as the benchmarks have it. */
  tutor: {
    vocab_size: 1024,
    hidden_size: 160,
    intermediate_size: 448,
    moe_intermediate_size: 128,
    num_hidden_layers: 5,
    num_attention_heads: 5,
    num_key_value_heads: 5,
    n_routed_experts: 12,
    num_experts_per_tok: 3,
    kv_lora_rank: 96,
    q_lora_rank: 96,
    qk_nope_head_dim: 32,
    qk_rope_head_dim: 32,
    v_head_dim: 32,
  },
};

export interface RandomOptions extends ModelOptions, Partial<LocalEngineOptions> {
  shape?: keyof typeof SHAPES;
  vocabSize?: number;
  seed?: number;
  threads?: number;
  /** Edits the weights before they are used. */
  change?: (name: string, values: Float32Array, shape: readonly number[]) => void;
}

/** An engine over weights that depend on shape and seed only. */
export function randomEngine(options: RandomOptions = {}): LocalEngine {
  const { shape = "tiny", vocabSize, seed = 1, threads = 1 } = options;
  const config = parseConfig({ ...common, ...SHAPES[shape], ...(vocabSize && { vocab_size: vocabSize }) });
  const device = new NativeDevice({ threads });
  const { context } = buildInference(config, {
    maxRows: 1,
    maxSampled: 1,
    maxSequences: 1,
    maxPositions: 16,
    pageSize: 16,
    pages: 1,
    cacheDtype: "f32",
    dtypeOf: () => "f32",
  });
  const random = seeded(seed);
  const parameters: Record<string, DeviceBuffer> = {};
  const make = (name: string, dims: readonly number[]): void => {
    const scale = Math.sqrt(12 / dims[dims.length - 1]);
    const size = dims.reduce((product, d) => product * d, 1);
    const values = /norm/.test(name)
      ? new Float32Array(size).fill(1)
      : Float32Array.from({ length: size }, () => (random() - 0.5) * scale);
    options.change?.(name, values, dims);
    parameters[name] = device.buffer("f32", dims, values);
  };
  const a = config.attention;
  if (a.kind !== "latent") throw new Error("the shapes of this file have latent attention");
  for (const [name, { shape: dims }] of context.parameters) {
    const derived = /^(.*)\.k_b_proj\.weight$/.exec(name);
    if (derived) make(`${derived[1]}.kv_b_proj.weight`, [a.heads * (a.qkNopeHeadDim + a.vHeadDim), a.kvLoraRank]);
    else if (!/\.v_b_proj\.weight$/.test(name) && !context.constants.has(name)) make(name, dims as number[]);
  }
  const served = new ServedModel(device, config, { parameters }, { context: 256, maxRows: 64, ...options });
  return new LocalEngine(served, { name: `random-${shape}`, baseWeights: () => baseOf(parameters), ...options });
}

/** The weights as a checkpoint gives them: experts one by one. */
function baseOf(parameters: Record<string, DeviceBuffer>): BaseWeights {
  return {
    has: (name) => name in parameters && !/\.experts\.[a-z]/.test(name),
    load: (name) => {
      const [, at, index, rest] = /^(.*\.experts)\.(\d+)\.(.*)$/.exec(name) ?? [];
      const buffer = parameters[at === undefined ? name : `${at}.${rest}`];
      const values = buffer.view() as Float32Array;
      if (at === undefined) return values;
      const size = buffer.shape[1] * buffer.shape[2];
      return values.subarray(Number(index) * size, (Number(index) + 1) * size);
    },
  };
}

/** Token ids and log-probabilities of one completion as text: equal text means equal bits. */
export const bitsOf = (events: readonly EngineEvent[], index = 0): string =>
  events
    .flatMap((event) => (event.type === "token" && event.index === index ? [`${event.id}:${event.logprob}`] : []))
    .join(" ");

export const idsOf = (events: readonly EngineEvent[], index = 0): number[] =>
  events.flatMap((event) => (event.type === "token" && event.index === index ? [event.id] : []));

/** Makes an engine with drafters guess whenever it can, whatever the clock says. */
export function guessAlways({ speculation }: LocalEngine): void {
  if (!speculation) throw new Error("the engine has no drafters");
  for (let rows = 1; rows < 160; rows++) for (let i = 0; i < 3; i++) speculation.measured(rows, 1);
  speculation.measured = () => {};
}
