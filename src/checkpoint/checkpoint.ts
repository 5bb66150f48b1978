// What every loader and writer of models agrees on: one interface over a Hugging Face directory and GGUF files, with
// Hugging Face's tensor names, shapes and row orders whatever the file's own are. Opening is model-directory.ts's task.
import type { ByteSource } from "./byte-source.ts";
import type { ModelConfig } from "./config.ts";
import type { DType } from "./dtype.ts";

/** A stretch of a file. */
export interface Stretch {
  source: ByteSource;
  offset: number;
  bytes: number;
}

export interface TensorInfo {
  name: string;
  /** As stored. */
  dtype: DType;
  /** Logical shape, [out, in] for matrices: packed pairs of FP4 count as two elements. */
  shape: number[];
  /** Stored bytes, scales included. */
  bytes: number;
  /** Where they lie, in the order of the file; empty for a model in memory. */
  stored: readonly Stretch[];
}

/** Scales of an FP8 matrix: the element (r, c) is value × scale[⌊r/rows⌋ × ⌈columns of the matrix/columns⌉ + ⌊c/columns⌋]. */
export interface BlockScales {
  rows: number;
  columns: number;
  values: Float32Array;
}

/** A tensor in its stored type, for executing quantised blocks directly. */
export interface RawTensor {
  dtype: DType;
  shape: number[];
  bytes: number;
  /** The bytes, rows contiguous, in Hugging Face row order. A fresh array or a read-only view. */
  read(): Uint8Array;
  /** FP8 only. */
  scales?: BlockScales;
}

/** The vocabulary inside a GGUF file: its `tokenizer.*` keys as they stand (numbers, strings, booleans and lists of them). */
export type GgufVocabulary = ReadonlyMap<string, unknown>;

export type TokenizerSource =
  /** `path` is the tokenizer.json; `configPath` the tokenizer_config.json beside it. */
  | { kind: "tokenizer.json"; path: string; configPath: string | null }
  | { kind: "gguf"; path: string; vocabulary: GgufVocabulary }
  | null;

export interface Checkpoint {
  readonly kind: "huggingface" | "gguf" | "llama2c";
  /** As given to openCheckpoint. */
  readonly path: string;
  /** Every weight file, in order. */
  readonly files: string[];
  readonly config: ModelConfig;
  /** Names as Hugging Face spells them, scales folded into their tensors; sorted by layer as stored. */
  readonly tensorNames: readonly string[];
  has(name: string): boolean;
  /** Throws CheckpointError for a name that is not there. */
  info(name: string): TensorInfo;
  /** Dequantised values, row-major, Hugging Face layout. Integer tensors too (ids are exact up to 2^24). */
  load(name: string): Float32Array;
  /** As `load`, into the caller's memory, which must hold exactly the tensor's elements. */
  loadInto(name: string, target: Float32Array): void;
  /**
   * The stored form. Beside the names of `tensorNames` a GGUF file answers to
   * `model.layers.N.mlp.experts.{gate,up,down}_proj.weight` (all experts stacked, [experts, out, in]) and, where it has the
   * split layout, to `…self_attn.k_b_proj.weight` [heads, kv_lora_rank, qk_nope_head_dim] and `…v_b_proj.weight`
   * [heads, v_head_dim, kv_lora_rank].
   */
  raw(name: string): RawTensor;
  readonly tokenizer: TokenizerSource;
  readonly chatTemplate: string | null;
  readonly generationConfig: Record<string, unknown> | null;
  close(): void;
}
