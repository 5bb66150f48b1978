// The published configurations, as far as they determine shapes, with the totals reported for them.

const v3 = {
  model_type: "deepseek_v3",
  vocab_size: 129_280,
  hidden_size: 7168,
  intermediate_size: 18_432,
  moe_intermediate_size: 2048,
  num_hidden_layers: 61,
  num_nextn_predict_layers: 1,
  first_k_dense_replace: 3,
  num_attention_heads: 128,
  n_routed_experts: 256,
  n_shared_experts: 1,
  num_experts_per_tok: 8,
  n_group: 8,
  topk_group: 4,
  q_lora_rank: 1536,
  kv_lora_rank: 512,
  qk_nope_head_dim: 128,
  qk_rope_head_dim: 64,
  v_head_dim: 128,
};
const lite = {
  model_type: "deepseek_v2",
  vocab_size: 102_400,
  hidden_size: 2048,
  intermediate_size: 10_944,
  moe_intermediate_size: 1408,
  num_hidden_layers: 27,
  first_k_dense_replace: 1,
  num_attention_heads: 16,
  n_routed_experts: 64,
  n_shared_experts: 2,
  num_experts_per_tok: 6,
  q_lora_rank: null,
  kv_lora_rank: 512,
  qk_nope_head_dim: 128,
  qk_rope_head_dim: 64,
  v_head_dim: 128,
};
const llama = (d: number, inter: number, layers: number, heads: number, kvHeads: number, vocab: number) => ({
  model_type: "llama",
  vocab_size: vocab,
  hidden_size: d,
  intermediate_size: inter,
  num_hidden_layers: layers,
  num_attention_heads: heads,
  num_key_value_heads: kvHeads,
});
const qwen2 = (d: number, inter: number, layers: number, heads: number, kvHeads: number, vocab: number) => ({
  ...llama(d, inter, layers, heads, kvHeads, vocab),
  model_type: "qwen2",
});
const v4 = {
  model_type: "deepseek_v4",
  vocab_size: 129_280,
  hidden_size: 4096,
  num_hidden_layers: 43,
  num_nextn_predict_layers: 1,
  num_attention_heads: 64,
  head_dim: 512,
  qk_rope_head_dim: 64,
  q_lora_rank: 1024,
  o_groups: 8,
  o_lora_rank: 1024,
  n_routed_experts: 256,
  n_shared_experts: 1,
  num_experts_per_tok: 6,
  moe_intermediate_size: 2048,
  num_hash_layers: 3,
  sliding_window: 128,
  index_n_heads: 64,
  index_head_dim: 128,
  index_topk: 512,
  hc_mult: 4,
  hc_sinkhorn_iters: 20,
  hc_eps: 1e-6,
  // 0 and 1 sliding, then 4, 128, 4, … and one entry for the prediction module
  compress_ratios: [0, 0, ...Array.from({ length: 41 }, (_, i) => (i % 2 === 0 ? 4 : 128)), 0],
};

export interface Published {
  config: Record<string, unknown>;
  /** Exact, derived from the shapes; agrees with `reported`. */
  total: number;
  active?: number;
  /** As published, in billions. */
  reported: string;
  reportedActive?: string;
  cacheElements?: number;
  mtp?: number;
}

export const published: Record<string, Published> = {
  "DeepSeek-LLM-7B": { config: llama(4096, 11_008, 30, 32, 32, 102_400), total: 6_910_365_696, reported: "6.910" },
  "DeepSeek-LLM-67B": { config: llama(8192, 22_016, 95, 64, 8, 102_400), total: 67_425_001_472, reported: "67.425" },
  "DeepSeek-Coder-1.3B": { config: llama(2048, 5504, 24, 16, 16, 32_256), total: 1_346_471_936, reported: "1.3465" },
  "DeepSeek-Coder-6.7B": { config: llama(4096, 11_008, 32, 32, 32, 32_256), total: 6_740_512_768, reported: "6.7405" },
  "DeepSeek-Coder-33B": { config: llama(7168, 19_200, 62, 56, 8, 32_256), total: 33_342_991_360, reported: "33.343" },
  "DeepSeekMoE-16B": {
    config: { ...lite, model_type: "deepseek", num_hidden_layers: 28 },
    total: 16_375_728_128,
    active: 2_828_650_496,
    reported: "16.376",
    reportedActive: "2.829",
  },
  "DeepSeek-V2-Lite": { config: lite, total: 15_706_484_224, reported: "15.7065", cacheElements: 15_552 },
  "DeepSeek-V2": {
    config: {
      ...lite,
      hidden_size: 5120,
      intermediate_size: 12_288,
      moe_intermediate_size: 1536,
      num_hidden_layers: 60,
      num_attention_heads: 128,
      n_routed_experts: 160,
      n_group: 8,
      topk_group: 3,
      q_lora_rank: 1536,
    },
    total: 235_741_434_880,
    reported: "235.741",
    cacheElements: 34_560,
  },
  "DeepSeek-V3": {
    config: v3,
    total: 671_026_404_352,
    active: 37_552_282_624,
    reported: "671.026",
    reportedActive: "37.55",
    cacheElements: 35_136,
    mtp: 11_610_067_968,
  },
  "DeepSeek-V3.2": {
    config: { ...v3, model_type: "deepseek_v32", index_n_heads: 64, index_head_dim: 128, index_topk: 2048 },
    total: 671_877_929_216,
    reported: "671.878",
    cacheElements: 42_944,
  },
  "DeepSeek-V4-Flash": {
    config: v4,
    total: 284_332_230_231,
    reported: "284.332",
    cacheElements: 3440,
    mtp: 6_610_048_635,
  },
  "DeepSeek-V4-Pro": {
    config: {
      ...v4,
      hidden_size: 7168,
      num_hidden_layers: 61,
      num_attention_heads: 128,
      q_lora_rank: 1536,
      o_groups: 16,
      n_routed_experts: 384,
      moe_intermediate_size: 3072,
      index_topk: 1024,
      // 0 and 1 heavily compressed, then sparse and heavy in turn
      compress_ratios: [128, 128, ...Array.from({ length: 59 }, (_, i) => (i % 2 === 0 ? 4 : 128)), 0],
    },
    total: 1_572_997_179_491,
    reported: "1572.997",
    cacheElements: 4924,
    mtp: 25_840_145_595,
  },
  "R1-Distill-Qwen-1.5B": { config: qwen2(1536, 8960, 28, 12, 2, 151_936), total: 1_777_088_000, reported: "1.777" },
  "R1-Distill-Qwen-7B": { config: qwen2(3584, 18_944, 28, 28, 4, 152_064), total: 7_615_616_512, reported: "7.616" },
  "R1-Distill-Qwen-14B": { config: qwen2(5120, 13_824, 48, 40, 8, 152_064), total: 14_770_033_664, reported: "14.770" },
  "R1-Distill-Qwen-32B": { config: qwen2(5120, 27_648, 64, 40, 8, 152_064), total: 32_763_876_352, reported: "32.764" },
  "R1-Distill-Llama-8B": { config: llama(4096, 14_336, 32, 32, 8, 128_256), total: 8_030_261_248, reported: "8.030" },
  "R1-Distill-Llama-70B": {
    config: llama(8192, 28_672, 80, 64, 8, 128_256),
    total: 70_553_706_496,
    reported: "70.554",
  },
};
