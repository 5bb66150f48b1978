// Decodes blocks of quantised weights to numbers, once for all who read them: files (checkpoint/quants.ts) and the reference
// implementations, which are the oracle of kernels/quant.c (ops/blocks.ts). Layouts: ggml-common.h and ggml-quants.c; writing blocks is
// checkpoint/quantize.ts's task.
import { e2m1, e8m0, halves } from "./floats.ts";

type Floats = Float32Array | Float64Array;

/** Reads `blocks` blocks at byte `from` of `src` into `out` from element `at` on. */
export type BlockDecoder = (src: Uint8Array, from: number, out: Floats, at: number, blocks: number) => void;

/** Codebook of the IQ4 types. */
const iq4Codebook = Int8Array.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

const half = (src: Uint8Array, at: number): number => halves[src[at] | (src[at + 1] << 8)];

function q8_0(src: Uint8Array, from: number, out: Floats, at: number, blocks: number): void {
  for (let b = 0; b < blocks; b++, from += 34, at += 32) {
    const d = half(src, from);
    for (let j = 0; j < 32; j++) out[at + j] = d * ((src[from + 2 + j] << 24) >> 24);
  }
}

function q4_0(src: Uint8Array, from: number, out: Floats, at: number, blocks: number): void {
  for (let b = 0; b < blocks; b++, from += 18, at += 32) {
    const d = half(src, from);
    for (let j = 0; j < 16; j++) {
      const byte = src[from + 2 + j];
      out[at + j] = d * ((byte & 15) - 8);
      out[at + 16 + j] = d * ((byte >> 4) - 8);
    }
  }
}

function q4_1(src: Uint8Array, from: number, out: Floats, at: number, blocks: number): void {
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

function q5_0(src: Uint8Array, from: number, out: Floats, at: number, blocks: number): void {
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

function q5_1(src: Uint8Array, from: number, out: Floats, at: number, blocks: number): void {
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

function q2_k(src: Uint8Array, from: number, out: Floats, at: number, blocks: number): void {
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

function q3_k(src: Uint8Array, from: number, out: Floats, at: number, blocks: number): void {
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
function scaleOf(src: Uint8Array, at: number, j: number): number {
  return j < 4 ? src[at + j] & 63 : (src[at + j + 4] & 15) | ((src[at + j - 4] >> 6) << 4);
}

/** The j-th six-bit minimum, likewise. */
function minOf(src: Uint8Array, at: number, j: number): number {
  return j < 4 ? src[at + j + 4] & 63 : (src[at + j + 4] >> 4) | ((src[at + j] >> 6) << 4);
}

function q4_k(src: Uint8Array, from: number, out: Floats, at: number, blocks: number): void {
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

function q5_k(src: Uint8Array, from: number, out: Floats, at: number, blocks: number): void {
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

function q6_k(src: Uint8Array, from: number, out: Floats, at: number, blocks: number): void {
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

function iq4_nl(src: Uint8Array, from: number, out: Floats, at: number, blocks: number): void {
  for (let b = 0; b < blocks; b++, from += 18, at += 32) {
    const d = half(src, from);
    for (let j = 0; j < 16; j++) {
      const byte = src[from + 2 + j];
      out[at + j] = d * iq4Codebook[byte & 15];
      out[at + 16 + j] = d * iq4Codebook[byte >> 4];
    }
  }
}

function iq4_xs(src: Uint8Array, from: number, out: Floats, at: number, blocks: number): void {
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

function mxfp4(src: Uint8Array, from: number, out: Floats, at: number, blocks: number): void {
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

export const blockDecoders = {
  q8_0,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
  iq4_nl,
  iq4_xs,
  mxfp4,
} satisfies Record<string, BlockDecoder>;
