// Rows of weights of every storage type as numbers: what the reference implementations read. Blocks are decoded by tensor/blocks.ts;
// files and their types are checkpoint's business.
import { type BlockDecoder, blockDecoders } from "../blocks.ts";
import { DTYPES, unpackedDtype } from "../dtype.ts";
import { halves, ofBfloat } from "../floats.ts";
import type { Value } from "../op.ts";

/**
 * Row `row` of weights seen as [rows, last dimension], as numbers; packed weights are as plain ones on the reference device.
 * Throws TypeError for a dtype that no weight has.
 */
export function weightRow(weights: Value, row: number): ArrayLike<number> {
  const dtype = unpackedDtype(weights.dtype);
  const width = weights.shape[weights.shape.length - 1];
  if (dtype === "f32") return (weights.data as Float32Array).subarray(row * width, (row + 1) * width);
  const data = weights.data as Uint8Array;
  if (dtype === "bf16" || dtype === "f16") {
    const value = (bits: number): number => (dtype === "f16" ? halves[bits] : ofBfloat(bits));
    return Float32Array.from({ length: width }, (_, i) => {
      const at = 2 * (row * width + i);
      return value(data[at] | (data[at + 1] << 8));
    });
  }
  const decode = (blockDecoders as Record<string, BlockDecoder>)[dtype];
  if (!decode) throw new TypeError(`weights of ${dtype} have no reference reading`);
  const { block, bytes } = DTYPES[dtype];
  const out = new Float64Array(width);
  decode(data, (row * width * bytes) / block, out, 0, width / block);
  return out;
}
