// Turns stored blocks of every supported type into numbers. Obvious loops over bytes, the oracle for the C kernels; writing
// blocks is quantize.ts's task. Layouts: ggml-common.h and ggml-quants.c as described in reference "file formats" D.2.
import type { DType } from "./dtype.ts";
import { blockSizes } from "./dtype.ts";
import { e2m1, e4m3, e5m2, e8m0, halves } from "./floats.ts";

/** Reads `blocks` blocks at byte `from` of `src` into `out` from element `at` on. */
type Decoder = (src: Uint8Array, from: number, out: Float32Array, at: number, blocks: number) => void;

/** Codebook of the IQ4 types. */
export const iq4Codebook = Int8Array.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

const half = (src: Uint8Array, at: number): number => halves[src[at] | (src[at + 1] << 8)];

function q8_0(src: Uint8Array, from: number, out: Float32Array, at: number, blocks: number): void {
  for (let b = 0; b < blocks; b++, from += 34, at += 32) {
    const d = half(src, from);
    for (let j = 0; j < 32; j++) out[at + j] = d * ((src[from + 2 + j] << 24) >> 24);
  }
}

function q4_0(src: Uint8Array, from: number, out: Float32Array, at: number, blocks: number): void {
  for (let b = 0; b < blocks; b++, from += 18, at += 32) {
    const d = half(src, from);
    for (let j = 0; j < 16; j++) {
      const byte = src[from + 2 + j];
      out[at + j] = d * ((byte & 15) - 8);
      out[at + 16 + j] = d * ((byte >> 4) - 8);
    }
  }
}

function q4_1(src: Uint8Array, from: number, out: Float32Array, at: number, blocks: number): void {
  for (let b = 0; b < blocks; b++, from += 20, at += 32) {
    const d = half(src, from);
    const m = half(src, from + 2);
    for (let j = 0; j < 16; j++) {
      const byte = src[from + 4 + j];
      out[at + j] = d * (byte & 15) + m;
      out[at + 16 + j] = d * (byte >> 4) + m;
    }
  }
}

const bits32 = (src: Uint8Array, at: number): number =>
  src[at] | (src[at + 1] << 8) | (src[at + 2] << 16) | (src[at + 3] << 24);

function q5_0(src: Uint8Array, from: number, out: Float32Array, at: number, blocks: number): void {
  for (let b = 0; b < blocks; b++, from += 22, at += 32) {
    const d = half(src, from);
    const high = bits32(src, from + 2);
    for (let j = 0; j < 16; j++) {
      const byte = src[from + 6 + j];
      out[at + j] = d * (((byte & 15) | (((high >>> j) & 1) << 4)) - 16);
      out[at + 16 + j] = d * (((byte >> 4) | (((high >>> (j + 16)) & 1) << 4)) - 16);
    }
  }
}

function q5_1(src: Uint8Array, from: number, out: Float32Array, at: number, blocks: number): void {
  for (let b = 0; b < blocks; b++, from += 24, at += 32) {
    const d = half(src, from);
    const m = half(src, from + 2);
    const high = bits32(src, from + 4);
    for (let j = 0; j < 16; j++) {
      const byte = src[from + 8 + j];
      out[at + j] = d * ((byte & 15) | (((high >>> j) & 1) << 4)) + m;
      out[at + 16 + j] = d * ((byte >> 4) | (((high >>> (j + 16)) & 1) << 4)) + m;
    }
  }
}

function q2_K(src: Uint8Array, from: number, out: Float32Array, at: number, blocks: number): void {
  for (let b = 0; b < blocks; b++, from += 84, at += 256) {
    const d = half(src, from + 80);
    const dmin = half(src, from + 82);
    for (let e = 0; e < 256; e += 16) {
      const scale = src[from + (e >> 4)];
      const dl = d * (scale & 15);
      const ml = dmin * (scale >> 4);
      const shift = ((e >> 5) & 3) * 2;
      const quants = from + 16 + (e >> 7) * 32 + (e & 16);
      for (let l = 0; l < 16; l++) out[at + e + l] = dl * ((src[quants + l] >> shift) & 3) - ml;
    }
  }
}

function q3_K(src: Uint8Array, from: number, out: Float32Array, at: number, blocks: number): void {
  for (let b = 0; b < blocks; b++, from += 110, at += 256) {
    const d = half(src, from + 108);
    const packed = from + 96;
    for (let e = 0; e < 256; e += 16) {
      const k = e >> 4;
      const low = k < 8 ? src[packed + k] & 15 : src[packed + k - 8] >> 4;
      const high = (src[packed + 8 + (k & 3)] >> (2 * (k >> 2))) & 3;
      const dl = d * ((low | (high << 4)) - 32);
      const group = e >> 5;
      const shift = (group & 3) * 2;
      const quants = from + 32 + (e >> 7) * 32 + (e & 16);
      const mask = from + (e & 16);
      for (let l = 0; l < 16; l++)
        out[at + e + l] = dl * (((src[quants + l] >> shift) & 3) - ((src[mask + l] >> group) & 1 ? 0 : 4));
    }
  }
}

/** The j-th six-bit scale of a Q4_K or Q5_K block whose twelve packed bytes start at `at`. */
export function scaleOf(src: Uint8Array, at: number, j: number): number {
  return j < 4 ? src[at + j] & 63 : (src[at + j + 4] & 15) | ((src[at + j - 4] >> 6) << 4);
}

/** The j-th six-bit minimum, likewise. */
export function minOf(src: Uint8Array, at: number, j: number): number {
  return j < 4 ? src[at + j + 4] & 63 : (src[at + j + 4] >> 4) | ((src[at + j] >> 6) << 4);
}

function q4_K(src: Uint8Array, from: number, out: Float32Array, at: number, blocks: number): void {
  for (let b = 0; b < blocks; b++, from += 144, at += 256) {
    const d = half(src, from);
    const dmin = half(src, from + 2);
    for (let s = 0; s < 8; s++) {
      const dl = d * scaleOf(src, from + 4, s);
      const ml = dmin * minOf(src, from + 4, s);
      const quants = from + 16 + (s >> 1) * 32;
      const shift = (s & 1) * 4;
      const to = at + s * 32;
      for (let l = 0; l < 32; l++) out[to + l] = dl * ((src[quants + l] >> shift) & 15) - ml;
    }
  }
}

function q5_K(src: Uint8Array, from: number, out: Float32Array, at: number, blocks: number): void {
  for (let b = 0; b < blocks; b++, from += 176, at += 256) {
    const d = half(src, from);
    const dmin = half(src, from + 2);
    const high = from + 16;
    for (let s = 0; s < 8; s++) {
      const dl = d * scaleOf(src, from + 4, s);
      const ml = dmin * minOf(src, from + 4, s);
      const quants = from + 48 + (s >> 1) * 32;
      const shift = (s & 1) * 4;
      const to = at + s * 32;
      for (let l = 0; l < 32; l++)
        out[to + l] = dl * (((src[quants + l] >> shift) & 15) + ((src[high + l] >> s) & 1) * 16) - ml;
    }
  }
}

function q6_K(src: Uint8Array, from: number, out: Float32Array, at: number, blocks: number): void {
  for (let b = 0; b < blocks; b++, from += 210, at += 256) {
    const d = half(src, from + 208);
    for (let h = 0; h < 2; h++) {
      const low = from + h * 64;
      const high = from + 128 + h * 32;
      const scales = from + 192 + h * 8;
      for (let g = 0; g < 4; g++) {
        const quants = low + (g & 1) * 32;
        const lowShift = (g >> 1) * 4;
        const to = at + h * 128 + g * 32;
        for (let l = 0; l < 32; l++) {
          const q = (((src[quants + l] >> lowShift) & 15) | (((src[high + l] >> (2 * g)) & 3) << 4)) - 32;
          out[to + l] = d * ((src[scales + 2 * g + (l >> 4)] << 24) >> 24) * q;
        }
      }
    }
  }
}

function iq4_NL(src: Uint8Array, from: number, out: Float32Array, at: number, blocks: number): void {
  for (let b = 0; b < blocks; b++, from += 18, at += 32) {
    const d = half(src, from);
    for (let j = 0; j < 16; j++) {
      const byte = src[from + 2 + j];
      out[at + j] = d * iq4Codebook[byte & 15];
      out[at + 16 + j] = d * iq4Codebook[byte >> 4];
    }
  }
}

function iq4_XS(src: Uint8Array, from: number, out: Float32Array, at: number, blocks: number): void {
  for (let b = 0; b < blocks; b++, from += 136, at += 256) {
    const d = half(src, from);
    const high = src[from + 2] | (src[from + 3] << 8);
    for (let s = 0; s < 8; s++) {
      const low = (src[from + 4 + (s >> 1)] >> ((s & 1) * 4)) & 15;
      const dl = d * ((low | (((high >> (2 * s)) & 3) << 4)) - 32);
      const quants = from + 8 + s * 16;
      const to = at + s * 32;
      for (let j = 0; j < 16; j++) {
        out[to + j] = dl * iq4Codebook[src[quants + j] & 15];
        out[to + 16 + j] = dl * iq4Codebook[src[quants + j] >> 4];
      }
    }
  }
}

function mxfp4(src: Uint8Array, from: number, out: Float32Array, at: number, blocks: number): void {
  for (let b = 0; b < blocks; b++, from += 17, at += 32) {
    // Exponent 255 is NaN by the standard; ggml gives it no meaning.
    const d = e8m0[src[from]];
    for (let j = 0; j < 16; j++) {
      const byte = src[from + 1 + j];
      out[at + j] = d * e2m1[byte & 15];
      out[at + 16 + j] = d * e2m1[byte >> 4];
    }
  }
}

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
    for (let i = 0; i < blocks; i++) bits[i] = (src[from + 2 * i] << 16) | (src[from + 2 * i + 1] << 24);
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
  Q8_0: q8_0,
  Q4_0: q4_0,
  Q4_1: q4_1,
  Q5_0: q5_0,
  Q5_1: q5_1,
  Q2_K: q2_K,
  Q3_K: q3_K,
  Q4_K: q4_K,
  Q5_K: q5_K,
  Q6_K: q6_K,
  IQ4_NL: iq4_NL,
  IQ4_XS: iq4_XS,
  MXFP4: mxfp4,
};

/**
 * Decodes all of `bytes` into `target`. Sizes must agree exactly (a RangeError else: callers have checked file sizes before).
 */
export function dequantize(dtype: DType, bytes: Uint8Array, target: Float32Array): void {
  const block = blockSizes[dtype];
  const blocks = bytes.byteLength / block.bytes;
  if (!Number.isInteger(blocks) || target.length !== blocks * block.elements)
    throw new RangeError(`${bytes.byteLength} bytes of ${dtype} do not hold ${target.length} elements`);
  decoders[dtype](bytes, 0, target, 0, blocks);
}
