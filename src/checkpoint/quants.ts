// Turns stored elements of every supported type into numbers; blocks of quantised weights by tensor/blocks.ts. Writing them is
// quantize.ts's task.
import { blockDecoders as blocks } from "../tensor/blocks.ts";
import { e4m3, e5m2, e8m0, halves } from "../tensor/floats.ts";
import type { DType } from "./dtype.ts";
import { blockSizes } from "./dtype.ts";

/** Reads `blocks` blocks (elements of plain types) at byte `from` of `src` into `out` from element `at` on. */
type Decoder = (src: Uint8Array, from: number, out: Float32Array, at: number, blocks: number) => void;

const table =
  (values: Float32Array): Decoder =>
  (src, from, out, at, blocks) => {
    for (let i = 0; i < blocks; i++) out[at + i] = values[src[from + i]];
  };

/** Plain types wider than a byte, through a DataView because tensors in files need not be aligned. */
const wide =
  (bytes: number, get: (view: DataView, at: number) => number): Decoder =>
  (src, from, out, at, blocks) => {
    const view = new DataView(src.buffer, src.byteOffset, src.byteLength);
    for (let i = 0; i < blocks; i++) out[at + i] = get(view, from + i * bytes);
  };

const decoders: Record<DType, Decoder> = {
  F64: wide(8, (view, at) => view.getFloat64(at, true)),
  F32: (src, from, out, at, blocks) => {
    new Uint8Array(out.buffer, out.byteOffset + 4 * at, 4 * blocks).set(src.subarray(from, from + 4 * blocks));
  },
  F16: (src, from, out, at, blocks) => {
    for (let i = 0; i < blocks; i++) out[at + i] = halves[src[from + 2 * i] | (src[from + 2 * i + 1] << 8)];
  },
  BF16: (src, from, out, at, blocks) => {
    const bits = new Uint32Array(out.buffer, out.byteOffset + 4 * at, blocks);
    const begin = src.byteOffset + from;
    if (begin % 2 === 0) {
      const words = new Uint16Array(src.buffer, begin, blocks);
      for (let i = 0; i < blocks; i++) bits[i] = words[i] << 16;
    } else for (let i = 0; i < blocks; i++) bits[i] = (src[from + 2 * i] << 16) | (src[from + 2 * i + 1] << 24);
  },
  F8_E4M3: table(e4m3),
  F8_E5M2: table(e5m2),
  F8_E8M0: table(e8m0),
  I64: wide(8, (view, at) => Number(view.getBigInt64(at, true))),
  I32: wide(4, (view, at) => view.getInt32(at, true)),
  I16: wide(2, (view, at) => view.getInt16(at, true)),
  I8: wide(1, (view, at) => view.getInt8(at)),
  U8: wide(1, (view, at) => view.getUint8(at)),
  BOOL: wide(1, (view, at) => (view.getUint8(at) === 0 ? 0 : 1)),
  Q8_0: blocks.q8_0,
  Q4_0: blocks.q4_0,
  Q4_1: blocks.q4_1,
  Q5_0: blocks.q5_0,
  Q5_1: blocks.q5_1,
  Q2_K: blocks.q2_k,
  Q3_K: blocks.q3_k,
  Q4_K: blocks.q4_k,
  Q5_K: blocks.q5_k,
  Q6_K: blocks.q6_k,
  IQ4_NL: blocks.iq4_nl,
  IQ4_XS: blocks.iq4_xs,
  MXFP4: blocks.mxfp4,
};

/**
 * Decodes all of `bytes` into `target`. Sizes must agree exactly (a RangeError else: callers have checked file sizes before).
 */
export function dequantize(dtype: DType, bytes: Uint8Array, target: Float32Array): void {
  const block = blockSizes[dtype];
  const count = bytes.byteLength / block.bytes;
  if (!Number.isInteger(count) || target.length !== count * block.elements)
    throw new RangeError(`${bytes.byteLength} bytes of ${dtype} do not hold ${target.length} elements`);
  decoders[dtype](bytes, 0, target, 0, count);
}
