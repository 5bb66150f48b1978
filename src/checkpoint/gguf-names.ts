// The two spellings of every tensor: Hugging Face's and GGUF's, and where the layouts differ: experts stacked into one tensor,
// kv_b split and transposed, query and key rows reordered for rotation by pairs. Sources: llama.cpp's tensor list
// and converter.
import type { ModelConfig } from "./config.ts";

/** Suffixes within a layer, `.weight` and `.bias` alike unless spelt out. */
const layerNames: [string, string][] = [
  ["input_layernorm", "attn_norm"],
  ["post_attention_layernorm", "ffn_norm"],
  ["self_attn.q_proj", "attn_q"],
  ["self_attn.k_proj", "attn_k"],
  ["self_attn.v_proj", "attn_v"],
  ["self_attn.o_proj", "attn_output"],
  ["self_attn.q_a_proj", "attn_q_a"],
  ["self_attn.q_a_layernorm", "attn_q_a_norm"],
  ["self_attn.q_b_proj", "attn_q_b"],
  ["self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"],
  ["self_attn.kv_a_layernorm", "attn_kv_a_norm"],
  ["self_attn.kv_b_proj", "attn_kv_b"],
  ["self_attn.k_b_proj", "attn_k_b"],
  ["self_attn.v_b_proj", "attn_v_b"],
  ["self_attn.indexer.wq_b", "indexer.attn_q_b"],
  ["self_attn.indexer.wk", "indexer.attn_k"],
  ["self_attn.indexer.k_norm", "indexer.k_norm"],
  ["self_attn.indexer.weights_proj", "indexer.proj"],
  ["mlp.gate_proj", "ffn_gate"],
  ["mlp.up_proj", "ffn_up"],
  ["mlp.down_proj", "ffn_down"],
  ["mlp.gate", "ffn_gate_inp"],
  ["mlp.experts.gate_proj", "ffn_gate_exps"],
  ["mlp.experts.up_proj", "ffn_up_exps"],
  ["mlp.experts.down_proj", "ffn_down_exps"],
  ["mlp.shared_experts.gate_proj", "ffn_gate_shexp"],
  ["mlp.shared_experts.up_proj", "ffn_up_shexp"],
  ["mlp.shared_experts.down_proj", "ffn_down_shexp"],
  ["eh_proj", "nextn.eh_proj"],
  ["enorm", "nextn.enorm"],
  ["hnorm", "nextn.hnorm"],
  ["embed_tokens", "nextn.embed_tokens"],
  ["shared_head.norm", "nextn.shared_head_norm"],
  ["shared_head.head", "nextn.shared_head_head"],
  // V4
  ["attn_norm", "attn_norm"],
  ["ffn_norm", "ffn_norm"],
  ["attn.wq_a", "attn_q_a"],
  ["attn.q_norm", "attn_q_a_norm"],
  ["attn.wq_b", "attn_q_b"],
  ["attn.wkv", "attn_kv"],
  ["attn.norm", "attn_kv_a_norm"],
  ["attn.wo_a", "attn_output_a"],
  ["attn.wo_b", "attn_output_b"],
  ["attn.compressor.wkv", "attn_compressor_kv"],
  ["attn.compressor.wgate", "attn_compressor_gate"],
  ["attn.compressor.norm", "attn_compressor_norm"],
  ["attn.indexer.wq_b", "indexer.attn_q_b"],
  ["attn.indexer.weights_proj", "indexer.proj"],
  ["attn.indexer.compressor.wkv", "indexer_compressor_kv"],
  ["attn.indexer.compressor.wgate", "indexer_compressor_gate"],
  ["attn.indexer.compressor.norm", "indexer_compressor_norm"],
  ["ffn.gate", "ffn_gate_inp"],
  ["ffn.experts.w1", "ffn_gate_exps"],
  ["ffn.experts.w3", "ffn_up_exps"],
  ["ffn.experts.w2", "ffn_down_exps"],
  ["ffn.shared_experts.w1", "ffn_gate_shexp"],
  ["ffn.shared_experts.w3", "ffn_up_shexp"],
  ["ffn.shared_experts.w2", "ffn_down_shexp"],
];

/** Suffixes whose ending changes too. */
const wholeNames: [string, string][] = [
  ["mlp.gate.e_score_correction_bias", "exp_probs_b.bias"],
  ["ffn.gate.bias", "exp_probs_b.bias"],
  ["ffn.gate.tid2eid", "ffn_gate_tid2eid.weight"],
  ["attn.attn_sink", "attn_sinks.weight"],
  ["attn.compressor.ape", "attn_compressor_ape.weight"],
  ["attn.indexer.compressor.ape", "indexer_compressor_ape.weight"],
  ...["attn_fn", "attn_base", "attn_scale", "ffn_fn", "ffn_base", "ffn_scale"].map((part): [string, string] => [
    `hc_${part}`,
    `hc_${part}.weight`,
  ]),
];

const globalNames = new Map([
  ["model.embed_tokens.weight", "token_embd.weight"],
  ["model.norm.weight", "output_norm.weight"],
  ["lm_head.weight", "output.weight"],
  ["head.weight", "output.weight"],
  ["model.hc_head.hc_fn", "output_hc_fn.weight"],
  ["model.hc_head.hc_base", "output_hc_base.weight"],
  ["model.hc_head.hc_scale", "output_hc_scale.weight"],
]);

const byStem = new Map(layerNames);
const byWhole = new Map(wholeNames);

/** GGUF's name of a tensor that keeps its layout (experts under their stacked name); undefined for a name GGUF has no place for. */
export function ggufName(name: string): string | undefined {
  const global = globalNames.get(name);
  if (global !== undefined) return global;
  const match = /^model\.layers\.(\d+)\.(.+)$/.exec(name);
  if (match === null) return undefined;
  const [, layer, suffix] = match;
  const whole = byWhole.get(suffix);
  if (whole !== undefined) return `blk.${layer}.${whole}`;
  const parts = /^(.+)\.(weight|bias)$/.exec(suffix);
  const stem = parts === null ? undefined : byStem.get(parts[1]);
  return stem === undefined ? undefined : `blk.${layer}.${stem}.${parts![2]}`;
}

/** A routed expert's tensor as the stacked tensor's name and the expert's place in it. */
export function expertOf(name: string): { stacked: string; expert: number } | undefined {
  const match = /^(model\.layers\.\d+\.(?:mlp|ffn)\.experts)\.(\d+)\.(.+)$/.exec(name);
  return match === null ? undefined : { stacked: `${match[1]}.${match[3]}`, expert: Number(match[2]) };
}

/**
 * llama.cpp rotates adjacent pairs where these families rotate halves, so their query and key rows are reordered in GGUF, head by head.
 * Returns the heads to reorder by, undefined where the rows stay.
 */
export function reorderedHeads(name: string, config: ModelConfig): number | undefined {
  const a = config.attention;
  if (a.kind !== "grouped" || config.family === "qwen2") return undefined;
  if (/\.self_attn\.q_proj\.(weight|bias)$/.test(name)) return a.heads;
  if (/\.self_attn\.k_proj\.(weight|bias)$/.test(name)) return a.kvHeads;
  return undefined;
}

/**
 * Moves rows between the two orders: Hugging Face's row (half p, index i) of a head is GGUF's row 2i + p. `toGguf` says which way;
 * rows are `rowBytes` long, so quantised rows move as they are.
 */
export function reorderRows(rows: Uint8Array, heads: number, rowBytes: number, toGguf: boolean): Uint8Array {
  const out = new Uint8Array(rows.byteLength);
  const perHead = rows.byteLength / rowBytes / heads;
  const half = perHead / 2;
  for (let head = 0; head < heads; head++)
    for (let p = 0; p < 2; p++)
      for (let i = 0; i < half; i++) {
        const huggingFace = (head * perHead + p * half + i) * rowBytes;
        const gguf = (head * perHead + 2 * i + p) * rowBytes;
        const [from, to] = toGguf ? [huggingFace, gguf] : [gguf, huggingFace];
        out.set(rows.subarray(from, from + rowBytes), to);
      }
  return out;
}

/** kv_b [heads·(nope+v), latent] split as GGUF keeps it: k_b [heads, latent, nope] transposed, v_b [heads, v, latent]. */
export function splitKvB(
  kvB: Float32Array,
  heads: number,
  nope: number,
  v: number,
  latent: number,
): { kB: Float32Array; vB: Float32Array } {
  const kB = new Float32Array(heads * latent * nope);
  const vB = new Float32Array(heads * v * latent);
  for (let h = 0; h < heads; h++) {
    const base = h * (nope + v) * latent;
    for (let n = 0; n < nope; n++)
      for (let l = 0; l < latent; l++) kB[(h * latent + l) * nope + n] = kvB[base + n * latent + l];
    vB.set(kvB.subarray(base + nope * latent, base + (nope + v) * latent), h * v * latent);
  }
  return { kB, vB };
}

/** The inverse of splitKvB, into `target`. */
export function joinKvB(
  kB: Float32Array,
  vB: Float32Array,
  heads: number,
  nope: number,
  v: number,
  latent: number,
  target: Float32Array,
): void {
  for (let h = 0; h < heads; h++) {
    const base = h * (nope + v) * latent;
    for (let n = 0; n < nope; n++)
      for (let l = 0; l < latent; l++) target[base + n * latent + l] = kB[(h * latent + l) * nope + n];
    target.set(vB.subarray(h * v * latent, (h + 1) * v * latent), base + nope * latent);
  }
}
