// Random models of the shapes that speed is measured on, written as GGUF by Weir's own writer. Values are random with the standard
// deviation 1/√(fan-in); rows are taken from a pool of quantised numbers, since speed depends on the shapes and types alone and
// searching scales for gigabytes of noise would take longer than measuring.
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type ModelConfig, parseConfig } from "../src/checkpoint/config.ts";
import { blockSizes, byteCount, elementCount } from "../src/checkpoint/dtype.ts";
import { quantize, typeForRow, type WritableType } from "../src/checkpoint/quantize.ts";
import { tensorSpecs } from "../src/checkpoint/tensors.ts";
import { type ModelSource, writeGgufModel } from "../src/checkpoint/write-model.ts";
import { BYTE_TO_CHAR } from "../src/text/alphabet.ts";
import { PATTERNS } from "../src/text/patterns.ts";

const latent = {
  first_k_dense_replace: 1,
  n_shared_experts: 1,
  max_position_embeddings: 8192,
  rope_theta: 10_000,
};

/** config.json of every shape; the numbers of shared/bench-shapes.json. */
export const SHAPES = {
  tutor: {
    ...latent,
    model_type: "deepseek_v3",
    vocab_size: 1024,
    hidden_size: 160,
    num_hidden_layers: 5,
    num_attention_heads: 5,
    q_lora_rank: 96,
    kv_lora_rank: 96,
    qk_nope_head_dim: 32,
    qk_rope_head_dim: 32,
    v_head_dim: 32,
    n_routed_experts: 12,
    num_experts_per_tok: 3,
    moe_intermediate_size: 128,
    intermediate_size: 448,
    n_group: 1,
    topk_group: 1,
  },
  mini: {
    ...latent,
    model_type: "deepseek_v3",
    vocab_size: 8192,
    hidden_size: 512,
    num_hidden_layers: 8,
    num_attention_heads: 8,
    q_lora_rank: 192,
    kv_lora_rank: 128,
    qk_nope_head_dim: 64,
    qk_rope_head_dim: 32,
    v_head_dim: 64,
    n_routed_experts: 32,
    num_experts_per_tok: 4,
    moe_intermediate_size: 256,
    intermediate_size: 1536,
    n_group: 1,
    topk_group: 1,
  },
  dense135m: {
    model_type: "llama",
    vocab_size: 49_152,
    hidden_size: 576,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    intermediate_size: 1536,
    max_position_embeddings: 8192,
    tie_word_embeddings: true,
    rope_theta: 100_000,
  },
  v2lite: {
    ...latent,
    model_type: "deepseek_v2",
    vocab_size: 102_400,
    hidden_size: 2048,
    num_hidden_layers: 27,
    num_attention_heads: 16,
    q_lora_rank: null,
    kv_lora_rank: 512,
    qk_nope_head_dim: 128,
    qk_rope_head_dim: 64,
    v_head_dim: 128,
    n_routed_experts: 64,
    num_experts_per_tok: 6,
    n_shared_experts: 2,
    moe_intermediate_size: 1408,
    intermediate_size: 10_944,
    scoring_func: "softmax",
    topk_method: "greedy",
    norm_topk_prob: false,
  },
} satisfies Record<string, Record<string, unknown>>;
export type Shape = keyof typeof SHAPES;

let state = 12345;
const random = (): number => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 2 ** 32;
};

/** Nearly normal with standard deviation `deviation`. */
const noise = (count: number, deviation: number): Float32Array =>
  Float32Array.from({ length: count }, () => (random() + random() + random() - 1.5) * 2 * deviation);

const POOL = 1 << 18;

/** Rows of noise in a type, from windows of one pool per type and width. */
class Noise {
  private readonly pools = new Map<string, Uint8Array>();

  bytes(dtype: WritableType, shape: readonly number[], fanIn: number): Uint8Array {
    const key = `${dtype} ${fanIn}`;
    let pool = this.pools.get(key);
    if (!pool) {
      pool = quantize(dtype, noise(POOL, fanIn ** -0.5));
      this.pools.set(key, pool);
    }
    const width = shape[shape.length - 1];
    const block = blockSizes[dtype];
    const row = (width / block.elements) * block.bytes;
    const windows = pool.length / block.bytes - width / block.elements;
    const out = new Uint8Array(byteCount(dtype, shape));
    for (let at = 0; at < out.length; at += row) {
      const from = Math.floor(random() * windows) * block.bytes;
      out.set(pool.subarray(from, from + row), at);
    }
    return out;
  }
}

/** Every tensor of the model in the type llama-quantize would choose; bytes are made when they are asked for. */
function noisyModel(config: ModelConfig, wish: WritableType): Omit<ModelSource, "tokenizer"> {
  const shapes = new Map(tensorSpecs(config).map(({ name, shape }) => [name, shape]));
  const a = config.attention;
  if (a.kind === "latent")
    for (let layer = 0; layer < config.numHiddenLayers; layer++) {
      const at = `model.layers.${layer}.self_attn`;
      shapes.set(`${at}.k_b_proj.weight`, [a.heads, a.kvLoraRank, a.qkNopeHeadDim]);
      shapes.set(`${at}.v_b_proj.weight`, [a.heads, a.vHeadDim, a.kvLoraRank]);
    }
  const source = new Noise();
  const find = (name: string): { name: string; dtype: WritableType; shape: number[]; bytes: number } => {
    const shape = shapes.get(name);
    if (!shape) throw new Error(`no tensor ${name}`);
    const plain = shape.length < 2 || /\.mlp\.gate\.weight$/.test(name);
    const important = wish === "Q4_K" && /embed_tokens|lm_head/.test(name);
    const dtype = plain ? "F32" : typeForRow(important ? "Q6_K" : wish, shape[shape.length - 1]);
    return { name, dtype, shape, bytes: byteCount(dtype, shape) };
  };
  const values = (name: string): Uint8Array => {
    const { dtype, shape } = find(name);
    if (shape.length < 2) {
      const fill = /norm\.weight$/.test(name) ? 1 : 0;
      return new Uint8Array(new Float32Array(elementCount(shape)).fill(fill).buffer);
    }
    const fanIn = /k_b_proj/.test(name) ? shape[1] : shape[shape.length - 1];
    return source.bytes(dtype, shape, fanIn);
  };
  return {
    config,
    tensorNames: [...tensorSpecs(config).map(({ name }) => name)],
    has: (name) => shapes.has(name),
    info: (name) => ({ ...find(name), stored: [] }),
    load: (name) => noise(elementCount(find(name).shape), 0.02),
    raw: (name) => ({ ...find(name), read: () => values(name) }),
    chatTemplate: null,
    generationConfig: null,
  };
}

/** Bytes and fillers: llama.cpp refuses models without a vocabulary. */
export function writeTokenizer(path: string, size: number): void {
  const vocab: Record<string, number> = {};
  for (let id = 0; id < size; id++) vocab[BYTE_TO_CHAR[id] ?? `<filler ${id}>`] = id;
  const splits = PATTERNS["deepseek-v3"].map((source) => ({
    type: "Split",
    pattern: { Regex: source },
    behavior: "Isolated",
  }));
  writeFileSync(
    path,
    JSON.stringify({
      version: "1.0",
      added_tokens: [],
      pre_tokenizer: {
        type: "Sequence",
        pretokenizers: [...splits, { type: "ByteLevel", add_prefix_space: false, use_regex: false }],
      },
      decoder: { type: "ByteLevel" },
      model: { type: "BPE", vocab, merges: [] },
    }),
  );
}

/** Writes the GGUF file of a shape. */
export function writeRandomModel(path: string, shape: Shape, type: WritableType): void {
  const config = parseConfig({ ...SHAPES[shape], bos_token_id: 0, eos_token_id: 1, rms_norm_eps: 1e-6 });
  const tokenizer = join(dirname(path), `tokenizer-${config.vocabSize}.json`);
  writeTokenizer(tokenizer, config.vocabSize);
  writeGgufModel(path, {
    ...noisyModel(config, type),
    tokenizer: { kind: "tokenizer.json", path: tokenizer, configPath: null },
  });
}
