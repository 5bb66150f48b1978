// Small random models of every family for tests, and where the shared reference models are, when they are there.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseConfig } from "./config.ts";
import { elementCount } from "./dtype.ts";
import { tensorSpecs } from "./tensors.ts";
import type { ModelSource } from "./write-model.ts";
import { modelFromArrays } from "./write-model.ts";

const common = {
  vocab_size: 40,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  max_position_embeddings: 128,
  bos_token_id: 0,
  eos_token_id: 1,
};
const moe = {
  n_routed_experts: 4,
  n_shared_experts: 1,
  num_experts_per_tok: 2,
  moe_intermediate_size: 32,
  first_k_dense_replace: 1,
};
const latent = { kv_lora_rank: 32, qk_nope_head_dim: 16, qk_rope_head_dim: 8, v_head_dim: 16 };
const yarn = { type: "yarn", factor: 40, original_max_position_embeddings: 64, mscale: 0.7, mscale_all_dim: 0.7 };

/** config.json contents by family. */
export const smallConfigs: Record<string, Record<string, unknown>> = {
  llama: {
    ...common,
    model_type: "llama",
    num_key_value_heads: 2,
    rope_theta: 500_000,
    rope_scaling: {
      rope_type: "llama3",
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 64,
    },
  },
  qwen2: { ...common, model_type: "qwen2", num_key_value_heads: 2, tie_word_embeddings: true },
  deepseek: { ...common, ...moe, model_type: "deepseek" },
  deepseek_v2: { ...common, ...moe, ...latent, model_type: "deepseek_v2", rope_scaling: yarn },
  deepseek_v3: {
    ...common,
    ...moe,
    ...latent,
    model_type: "deepseek_v3",
    q_lora_rank: 32,
    n_group: 2,
    topk_group: 1,
    num_nextn_predict_layers: 1,
    rope_scaling: { ...yarn, mscale: 1, mscale_all_dim: 1 },
  },
  deepseek_v32: {
    ...common,
    ...moe,
    ...latent,
    model_type: "deepseek_v32",
    q_lora_rank: 32,
    index_n_heads: 2,
    index_head_dim: 16,
    index_topk: 8,
  },
  deepseek_v4: {
    ...common,
    ...moe,
    model_type: "deepseek_v4",
    num_hidden_layers: 4,
    head_dim: 32,
    qk_rope_head_dim: 8,
    q_lora_rank: 32,
    o_groups: 2,
    o_lora_rank: 16,
    sliding_window: 16,
    compress_ratios: [0, 128, 4, 128],
    num_hash_layers: 1,
    index_n_heads: 2,
    index_head_dim: 16,
    index_topk: 8,
    hc_mult: 4,
    hc_sinkhorn_iters: 20,
    hc_eps: 1e-6,
    swiglu_limit: 10,
  },
};

/** V4 with windows so short that a few dozen tokens fill them; the publisher's `compress_ratios` cannot say this. */
export const shortWindowsV4 = {
  ...smallConfigs.deepseek_v4,
  compress_ratios: undefined,
  compress_rates: { compressed_sparse_attention: 4, heavily_compressed_attention: 32 },
  layer_types: ["sliding", "heavily_compressed", "compressed_sparse", "heavily_compressed"].map(
    (type) => `${type}_attention`,
  ),
};

/** A generator of numbers in [0, 1): the same seed gives the same sequence everywhere. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A model with every tensor its configuration implies, prediction modules included where the format can hold them. */
export function smallModel(family: string, seed = 1, config = parseConfig(smallConfigs[family])): ModelSource {
  const random = randomNumbers(seed);
  const tensors = new Map(
    tensorSpecs(config, { mtp: family !== "deepseek_v4" }).map(({ name, shape }) => {
      const table = name.endsWith("tid2eid");
      const values = Float32Array.from({ length: elementCount(shape) }, () =>
        table ? Math.floor(random() * 4) : random() - 0.5,
      );
      return [name, { shape, values }];
    }),
  );
  return modelFromArrays(config, tensors);
}

/** A folder that is gone when `use` is done. */
export function inTemporaryFolder(use: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "weir-checkpoint-"));
  try {
    use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Path below ../shared, null (said aloud) where it is not there. */
export function shared(path: string): string | null {
  const found = fileURLToPath(new URL(`../../../shared/${path}`, import.meta.url));
  if (existsSync(found)) return found;
  console.log(`../shared/${path} is not here; the small fixtures alone are tested`);
  return null;
}
