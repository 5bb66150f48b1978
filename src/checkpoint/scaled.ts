// Matrices whose elements need scales kept in a tensor of their own: FP8 with a scale per block, FP4 pairs with a scale per 32.
// Layouts: DeepSeek-V3's README_WEIGHTS.md and the V4 release.

import { e4m3, e5m2 } from "../tensor/floats.ts";
import type { BlockScales } from "./checkpoint.ts";
import type { PlainType } from "./dtype.ts";

/** Block sizes that published checkpoints use; [rows, columns]. */
const knownBlocks: readonly [number, number][] = [
  [128, 128],
  [32, 32],
  [1, 128],
  [1, 32],
];

/**
 * The block size that makes a scale of `scaleShape` fit a matrix of `shape`; edge blocks may be partial. `preferred` (from the
 * configuration) is tried first. undefined where none fits. Where several fit, they agree on every element.
 */
export function findBlocks(
  shape: readonly number[],
  scaleShape: readonly number[],
  preferred: readonly [number, number] | null,
): [number, number] | undefined {
  if (shape.length !== 2) return undefined;
  if (scaleShape.every((n) => n === 1)) return [Math.max(1, shape[0]), Math.max(1, shape[1])];
  if (scaleShape.length !== 2) return undefined;
  for (const [rows, columns] of preferred === null ? knownBlocks : [preferred, ...knownBlocks])
    if (Math.ceil(shape[0] / rows) === scaleShape[0] && Math.ceil(shape[1] / columns) === scaleShape[1])
      return [rows, columns];
  return undefined;
}

/** FP8 bytes times their block's scale. Partial blocks at the edges use their own scale. */
export function dequantizeFp8(
  dtype: Extract<PlainType, "F8_E4M3" | "F8_E5M2">,
  bytes: Uint8Array,
  shape: readonly number[],
  scales: BlockScales,
  target: Float32Array,
): void {
  const values = dtype === "F8_E4M3" ? e4m3 : e5m2;
  const [rows, columns] = shape;
  const across = Math.ceil(columns / scales.columns);
  for (let r = 0; r < rows; r++) {
    const scaleRow = Math.floor(r / scales.rows) * across;
    for (let block = 0; block < across; block++) {
      const scale = scales.values[scaleRow + block];
      const end = r * columns + Math.min(columns, (block + 1) * scales.columns);
      for (let i = r * columns + block * scales.columns; i < end; i++) target[i] = values[bytes[i]] * scale;
    }
  }
}

/**
 * Repacks FP4 pairs (the lower nibble is the first of two consecutive elements) and their E8M0 scales into ggml's MXFP4 blocks (scale
 * byte, then element j low and element j+16 high). Values stay exact. `packed` is rows × columns/2 bytes, `scales` rows × columns/32.
 */
export function packMxfp4(packed: Uint8Array, scales: Uint8Array): Uint8Array {
  const out = new Uint8Array(scales.byteLength * 17);
  for (let b = 0; b < scales.byteLength; b++) {
    out[b * 17] = scales[b];
    for (let j = 0; j < 16; j++) {
      const low = (packed[b * 16 + (j >> 1)] >> ((j & 1) * 4)) & 15;
      const high = (packed[b * 16 + 8 + (j >> 1)] >> ((j & 1) * 4)) & 15;
      out[b * 17 + 1 + j] = low | (high << 4);
    }
  }
  return out;
}
