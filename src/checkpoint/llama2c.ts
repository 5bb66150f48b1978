// Opens llama2.c's .bin models (a header of seven numbers, then float32 weights) with the tokenizer.bin beside them. Layout:
// karpathy/llama2.c, run.c. Rotation is by pairs there, so query and key rows move to Hugging Face's order.
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { tokenizerFromLlama2c } from "../text/sentencepiece.ts";
import type { ByteSource, OpenSource } from "./byte-source.ts";
import { openFile } from "./byte-source.ts";
import type { Checkpoint, TokenizerSource } from "./checkpoint.ts";
import { parseConfig } from "./config.ts";
import { elementCount } from "./dtype.ts";
import { CheckpointError, show } from "./errors.ts";
import { reorderedHeads, reorderRows } from "./gguf-names.ts";

interface Header {
  dim: number;
  hidden: number;
  layers: number;
  heads: number;
  kvHeads: number;
  vocab: number;
  positions: number;
  /** Whether the head is the embedding. */
  tied: boolean;
}

function readHeader(source: ByteSource): Header {
  if (source.size < 28) throw new CheckpointError(source.name, "header", `the file has only ${source.size} bytes`);
  const bytes = source.read(0, 28);
  const view = new DataView(bytes.buffer, bytes.byteOffset, 28);
  const [dim, hidden, layers, heads, kvHeads, vocab, positions] = Array.from({ length: 7 }, (_, i) =>
    view.getInt32(4 * i, true),
  );
  return { dim, hidden, layers, heads, kvHeads, vocab: Math.abs(vocab), positions, tied: vocab > 0 };
}

/** Where every tensor lies: each kind's layers one after the other, in llama2.c's order of kinds. */
function place(h: Header): { offsets: Map<string, { offset: number; shape: number[] }>; bytes: number } {
  const kv = (h.dim / h.heads) * h.kvHeads;
  const offsets = new Map<string, { offset: number; shape: number[] }>();
  let offset = 28;
  const put = (name: string, shape: number[]) => {
    offsets.set(name, { offset, shape });
    offset += 4 * elementCount(shape);
  };
  const perLayer = (name: string, shape: number[]) => {
    for (let i = 0; i < h.layers; i++) put(`model.layers.${i}.${name}.weight`, shape);
  };
  put("model.embed_tokens.weight", [h.vocab, h.dim]);
  perLayer("input_layernorm", [h.dim]);
  perLayer("self_attn.q_proj", [h.dim, h.dim]);
  perLayer("self_attn.k_proj", [kv, h.dim]);
  perLayer("self_attn.v_proj", [kv, h.dim]);
  perLayer("self_attn.o_proj", [h.dim, h.dim]);
  perLayer("post_attention_layernorm", [h.dim]);
  perLayer("mlp.gate_proj", [h.hidden, h.dim]);
  perLayer("mlp.down_proj", [h.dim, h.hidden]);
  perLayer("mlp.up_proj", [h.hidden, h.dim]);
  put("model.norm.weight", [h.dim]);
  // Two tables of rotation angles that nothing reads any more.
  offset += 4 * h.positions * (h.dim / h.heads);
  if (!h.tied) put("lm_head.weight", [h.vocab, h.dim]);
  return { offsets, bytes: offset };
}

/** tokenizer.bin in the words of a GGUF vocabulary, which has the same model. null where none lies beside the weights. */
function readVocabulary(modelPath: string, vocab: number): TokenizerSource {
  const path = [`tok${vocab}.bin`, "tokenizer.bin"]
    .map((name) => join(dirname(modelPath), name))
    .find((name) => existsSync(name));
  if (path === undefined) return null;
  if (statSync(path).size > 64 * 2 ** 20) throw new CheckpointError(path, "file", "is larger than any vocabulary");
  const file = readFileSync(path);
  const tokenizer = tokenizerFromLlama2c(file);
  if (tokenizer.vocabSize !== vocab)
    throw new CheckpointError(path, "tokens", `are ${tokenizer.vocabSize}; the model has ${vocab}`);
  const tokens = Array.from({ length: vocab }, (_, id) => tokenizer.tokenOf(id));
  const scores: number[] = [];
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let at = 4; at < file.byteLength; at += 8 + view.getUint32(at + 4, true)) scores.push(view.getFloat32(at, true));
  // Types of llama.h: 2 unknown, 3 control, 6 byte, 1 normal.
  const types = tokens.map((token, id) => (id === 0 ? 2 : id < 3 ? 3 : /^<0x[0-9A-F]{2}>$/.test(token) ? 6 : 1));
  const vocabulary = new Map<string, unknown>([
    ["tokenizer.ggml.model", "llama"],
    ["tokenizer.ggml.tokens", tokens],
    ["tokenizer.ggml.scores", scores],
    ["tokenizer.ggml.token_type", types],
    ["tokenizer.ggml.bos_token_id", 1],
    ["tokenizer.ggml.eos_token_id", 2],
    ["tokenizer.ggml.unknown_token_id", 0],
    ["tokenizer.ggml.add_bos_token", true],
    ["tokenizer.ggml.add_eos_token", false],
    ["tokenizer.ggml.add_space_prefix", true],
  ]);
  return { kind: "gguf", path, vocabulary };
}

/** Opens a .bin model. Throws CheckpointError where header and size do not agree, since the format has no mark of its own. */
export function openLlama2c(path: string, open: OpenSource = openFile): Checkpoint {
  const source = open(path);
  try {
    const header = readHeader(source);
    const config = parseConfig(
      {
        model_type: "llama",
        vocab_size: header.vocab,
        hidden_size: header.dim,
        intermediate_size: header.hidden,
        num_hidden_layers: header.layers,
        num_attention_heads: header.heads,
        num_key_value_heads: header.kvHeads,
        max_position_embeddings: header.positions,
        rms_norm_eps: 1e-5,
        tie_word_embeddings: header.tied,
        bos_token_id: 1,
        eos_token_id: 2,
        torch_dtype: "float32",
      },
      path,
    );
    const { offsets, bytes } = place(header);
    if (bytes !== source.size)
      throw new CheckpointError(
        path,
        "size",
        `is ${source.size}; a llama2.c model with this header has ${bytes} bytes`,
      );
    return assemble(path, source, config, offsets, readVocabulary(path, header.vocab));
  } catch (error) {
    source.close();
    throw error;
  }
}

function assemble(
  path: string,
  source: ByteSource,
  config: Checkpoint["config"],
  offsets: ReturnType<typeof place>["offsets"],
  tokenizer: TokenizerSource,
): Checkpoint {
  const find = (name: string) => {
    const found = offsets.get(name);
    if (found === undefined) throw new CheckpointError(path, show(name), "is not in this checkpoint");
    return { ...found, shape: [...found.shape], bytes: 4 * elementCount(found.shape) };
  };
  const read = (name: string): Uint8Array => {
    const { offset, shape, bytes } = find(name);
    const stored = source.read(offset, bytes);
    const heads = reorderedHeads(name, config);
    return heads === undefined ? stored : reorderRows(stored, heads, bytes / shape[0], false);
  };
  const loadInto = (name: string, target: Float32Array): void => {
    if (target.length !== elementCount(find(name).shape))
      throw new RangeError(`${name} does not have ${target.length} elements`);
    new Uint8Array(target.buffer, target.byteOffset, target.byteLength).set(read(name));
  };
  return {
    kind: "llama2c",
    path,
    files: [path],
    config,
    tensorNames: [...offsets.keys()],
    has: (name) => offsets.has(name),
    info(name) {
      const { offset, shape, bytes } = find(name);
      return { name, dtype: "F32", shape, bytes, stored: [{ source, offset, bytes }] };
    },
    load(name) {
      const target = new Float32Array(elementCount(find(name).shape));
      loadInto(name, target);
      return target;
    },
    loadInto,
    raw(name) {
      const { shape, bytes } = find(name);
      return { dtype: "F32", shape, bytes, read: () => read(name) };
    },
    tokenizer,
    chatTemplate: null,
    generationConfig: null,
    close: () => source.close(),
  };
}
