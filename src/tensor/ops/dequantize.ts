// Reads one row of a plain weight tensor as floats, whatever its dtype: what the reference implementations use. Block formats are
// decoded by quants.ts.
import type { Value } from "../op.ts";

const bits = new Uint32Array(1);
const asFloat = new Float32Array(bits.buffer);

const fromBits = (word: number): number => {
  bits[0] = word;
  return asFloat[0];
};

export const bf16ToFloat = (half: number): number => fromBits(half << 16);

export function f16ToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Row `row` of a tensor seen as [rows, last dimension]. Throws TypeError for a dtype it cannot read. */
export function readRow(table: Value, row: number): ArrayLike<number> {
  const width = table.shape[table.shape.length - 1];
  if (table.dtype === "f32") return (table.data as Float32Array).subarray(row * width, (row + 1) * width);
  if (table.dtype === "bf16" || table.dtype === "f16") {
    const bytes = table.data as Uint8Array;
    const convert = table.dtype === "bf16" ? bf16ToFloat : f16ToFloat;
    return Float32Array.from({ length: width }, (_, i) =>
      convert(bytes[(row * width + i) * 2] | (bytes[(row * width + i) * 2 + 1] << 8)),
    );
  }
  throw new TypeError(`no reference reading of ${table.dtype} rows`);
}
