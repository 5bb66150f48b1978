// The element types of both file formats in one table: how many elements a block holds and how many bytes it takes.
// Sources: safetensors format description; ggml block layouts (ggml-common.h).
import { DTYPES } from "../tensor/dtype.ts";

export type PlainType =
  | "F64"
  | "F32"
  | "F16"
  | "BF16"
  | "F8_E4M3"
  | "F8_E5M2"
  | "F8_E8M0"
  | "I64"
  | "I32"
  | "I16"
  | "I8"
  | "U8"
  | "BOOL";
export type BlockType =
  | "Q8_0"
  | "Q4_0"
  | "Q4_1"
  | "Q5_0"
  | "Q5_1"
  | "Q2_K"
  | "Q3_K"
  | "Q4_K"
  | "Q5_K"
  | "Q6_K"
  | "IQ4_NL"
  | "IQ4_XS"
  | "MXFP4";
export type DType = PlainType | BlockType;

export interface BlockSize {
  /** Elements of one block; 1 for plain types. */
  elements: number;
  bytes: number;
}

const size = (elements: number, bytes: number): BlockSize => ({ elements, bytes });
const block = (name: Lowercase<BlockType>): BlockSize => size(DTYPES[name].block, DTYPES[name].bytes);

export const blockSizes: Readonly<Record<DType, BlockSize>> = {
  F64: size(1, 8),
  F32: size(1, 4),
  F16: size(1, 2),
  BF16: size(1, 2),
  F8_E4M3: size(1, 1),
  F8_E5M2: size(1, 1),
  F8_E8M0: size(1, 1),
  I64: size(1, 8),
  I32: size(1, 4),
  I16: size(1, 2),
  I8: size(1, 1),
  U8: size(1, 1),
  BOOL: size(1, 1),
  Q8_0: block("q8_0"),
  Q4_0: block("q4_0"),
  Q4_1: block("q4_1"),
  Q5_0: block("q5_0"),
  Q5_1: block("q5_1"),
  Q2_K: block("q2_k"),
  Q3_K: block("q3_k"),
  Q4_K: block("q4_k"),
  Q5_K: block("q5_k"),
  Q6_K: block("q6_k"),
  IQ4_NL: block("iq4_nl"),
  IQ4_XS: block("iq4_xs"),
  MXFP4: block("mxfp4"),
};

export const isDType = (name: string): name is DType => Object.hasOwn(blockSizes, name);
export const isBlockType = (dtype: DType): dtype is BlockType => blockSizes[dtype].elements > 1;

/** Product of the dimensions; NaN where it leaves the exact integers. */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const length of shape) count *= length;
  return Number.isSafeInteger(count) ? count : Number.NaN;
}

/** Bytes of a tensor of this shape (last dimension contiguous); NaN where rows do not fill blocks or sizes overflow. */
export function byteCount(dtype: DType, shape: readonly number[]): number {
  const block = blockSizes[dtype];
  const count = elementCount(shape);
  if (block.elements > 1 && (shape.length === 0 || shape[shape.length - 1] % block.elements !== 0)) return Number.NaN;
  const bytes = (count / block.elements) * block.bytes;
  return Number.isSafeInteger(bytes) ? bytes : Number.NaN;
}
