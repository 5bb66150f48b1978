// Decodes rows of weights of every storage type to numbers, for the reference implementations: obvious loops over bytes, the
// oracle of kernels/quant.c. Layouts: ggml-common.h and ggml-quants.c. Files and their types are checkpoint's business.
import { DTYPES, unpackedDtype } from "../dtype.ts";
import type { Value } from "../op.ts";
import { f16ToFloat, readRow } from "./dequantize.ts";

/** Reads one block at byte `at` of `bytes` into `out` from element `to` on. */
type Decoder = (bytes: Uint8Array, at: number, out: Float64Array, to: number) => void;

const half = (bytes: Uint8Array, at: number): number => f16ToFloat(bytes[at] | (bytes[at + 1] << 8));
const signed = (byte: number): number => (byte << 24) >> 24;

/** Value of the IQ4 codes. */
export const IQ4_VALUES = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
/** Value of the E2M1 codes. */
export const E2M1_VALUES = [0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6];

/** Blocks of 32 whose 16 bytes hold elements j (low nibble) and j + 16 (high nibble). */
function nibbles(skip: number, value: (bytes: Uint8Array, at: number) => (code: number, j: number) => number): Decoder {
  return (bytes, at, out, to) => {
    const of = value(bytes, at);
    for (let j = 0; j < 16; j++) {
      const byte = bytes[at + skip + j];
      out[to + j] = of(byte & 15, j);
      out[to + j + 16] = of(byte >> 4, j + 16);
    }
  };
}

const fifthBit = (bytes: Uint8Array, at: number, j: number): number => ((bytes[at + (j >> 3)] >> (j & 7)) & 1) << 4;

/** The six-bit scale and minimum of sub-block j from the 12 bytes that Q4_K and Q5_K keep them in. */
function scaleAndMin(bytes: Uint8Array, at: number, j: number): [number, number] {
  if (j < 4) return [bytes[at + j] & 63, bytes[at + j + 4] & 63];
  return [
    (bytes[at + j + 4] & 15) | ((bytes[at + j - 4] >> 6) << 4),
    (bytes[at + j + 4] >> 4) | ((bytes[at + j] >> 6) << 4),
  ];
}

const DECODERS: Record<string, Decoder> = {
  q8_0: (bytes, at, out, to) => {
    const d = half(bytes, at);
    for (let j = 0; j < 32; j++) out[to + j] = d * signed(bytes[at + 2 + j]);
  },
  q4_0: nibbles(2, (bytes, at) => {
    const d = half(bytes, at);
    return (code) => d * (code - 8);
  }),
  q4_1: nibbles(4, (bytes, at) => {
    const [d, m] = [half(bytes, at), half(bytes, at + 2)];
    return (code) => d * code + m;
  }),
  q5_0: nibbles(6, (bytes, at) => {
    const d = half(bytes, at);
    return (code, j) => d * ((code | fifthBit(bytes, at + 2, j)) - 16);
  }),
  q5_1: nibbles(8, (bytes, at) => {
    const [d, m] = [half(bytes, at), half(bytes, at + 2)];
    return (code, j) => d * (code | fifthBit(bytes, at + 4, j)) + m;
  }),
  iq4_nl: nibbles(2, (bytes, at) => {
    const d = half(bytes, at);
    return (code) => d * IQ4_VALUES[code];
  }),
  mxfp4: nibbles(1, (bytes, at) => {
    const d = 2 ** (bytes[at] - 127);
    return (code) => d * E2M1_VALUES[code];
  }),
  q2_k: (bytes, at, out, to) => {
    const [d, dmin] = [half(bytes, at + 80), half(bytes, at + 82)];
    for (let e = 0; e < 256; e++) {
      const scale = bytes[at + (e >> 4)];
      const code = (bytes[at + 16 + (e >> 7) * 32 + (e & 31)] >> (((e >> 5) & 3) * 2)) & 3;
      out[to + e] = d * (scale & 15) * code - dmin * (scale >> 4);
    }
  },
  q3_k: (bytes, at, out, to) => {
    const d = half(bytes, at + 108);
    for (let e = 0; e < 256; e++) {
      const k = e >> 4;
      const low = k < 8 ? bytes[at + 96 + k] & 15 : bytes[at + 96 + k - 8] >> 4;
      const scale = (low | (((bytes[at + 104 + (k & 3)] >> (2 * (k >> 2))) & 3) << 4)) - 32;
      const code = (bytes[at + 32 + (e >> 7) * 32 + (e & 31)] >> (((e >> 5) & 3) * 2)) & 3;
      out[to + e] = d * scale * (code - ((bytes[at + (e & 31)] >> (e >> 5)) & 1 ? 0 : 4));
    }
  },
  q4_k: (bytes, at, out, to) => {
    const [d, dmin] = [half(bytes, at), half(bytes, at + 2)];
    for (let e = 0; e < 256; e++) {
      const [scale, min] = scaleAndMin(bytes, at + 4, e >> 5);
      const byte = bytes[at + 16 + (e >> 6) * 32 + (e & 31)];
      out[to + e] = d * scale * (e & 32 ? byte >> 4 : byte & 15) - dmin * min;
    }
  },
  q5_k: (bytes, at, out, to) => {
    const [d, dmin] = [half(bytes, at), half(bytes, at + 2)];
    for (let e = 0; e < 256; e++) {
      const [scale, min] = scaleAndMin(bytes, at + 4, e >> 5);
      const byte = bytes[at + 48 + (e >> 6) * 32 + (e & 31)];
      const high = (bytes[at + 16 + (e & 31)] >> (e >> 5)) & 1;
      out[to + e] = d * scale * ((e & 32 ? byte >> 4 : byte & 15) | (high << 4)) - dmin * min;
    }
  },
  q6_k: (bytes, at, out, to) => {
    const d = half(bytes, at + 208);
    for (let e = 0; e < 256; e++) {
      const [part, quarter, l] = [e >> 7, (e >> 5) & 3, e & 31];
      const byte = bytes[at + part * 64 + (quarter & 1) * 32 + l];
      const high = (bytes[at + 128 + part * 32 + l] >> (2 * quarter)) & 3;
      const code = (quarter & 2 ? byte >> 4 : byte & 15) | (high << 4);
      out[to + e] = d * signed(bytes[at + 192 + (e >> 4)]) * (code - 32);
    }
  },
  iq4_xs: (bytes, at, out, to) => {
    const d = half(bytes, at);
    const high = bytes[at + 2] | (bytes[at + 3] << 8);
    for (let e = 0; e < 256; e++) {
      const j = e >> 5;
      const low = (bytes[at + 4 + (j >> 1)] >> (4 * (j & 1))) & 15;
      const scale = (low | (((high >> (2 * j)) & 3) << 4)) - 32;
      const byte = bytes[at + 8 + j * 16 + (e & 15)];
      out[to + e] = d * scale * IQ4_VALUES[e & 16 ? byte >> 4 : byte & 15];
    }
  },
};

/** Row `row` of weights seen as [rows, last dimension], as numbers; packed weights are as plain ones on the reference device. */
export function weightRow(weights: Value, row: number): ArrayLike<number> {
  const dtype = unpackedDtype(weights.dtype);
  const decode = DECODERS[dtype];
  if (!decode) return readRow(dtype === weights.dtype ? weights : { ...weights, dtype }, row);
  const width = weights.shape[weights.shape.length - 1];
  const { block, bytes } = DTYPES[dtype];
  const out = new Float64Array(width);
  const start = (row * width * bytes) / block;
  for (let b = 0; b < width / block; b++) decode(weights.data as Uint8Array, start + b * bytes, out, b * block);
  return out;
}
