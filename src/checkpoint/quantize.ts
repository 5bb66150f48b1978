// Turns numbers into stored blocks: exact conversions for plain types, searched scales for quantised ones. The search is the one
// all block formats share: try scales around the range's own, give each its least-squares optimum for the integers it leads to,
// keep the least weighted error. Large elements weigh more, since they dominate the products they enter.

import { halves, toBfloat, toHalf } from "../tensor/floats.ts";
import type { DType } from "./dtype.ts";
import { blockSizes } from "./dtype.ts";

export type WritableType = "F32" | "F16" | "BF16" | "Q8_0" | "Q4_0" | "Q5_0" | "Q4_K" | "Q6_K";
export const writableTypes: readonly WritableType[] = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q5_0", "Q4_K", "Q6_K"];

const clamp = (value: number, low: number, high: number): number => (value < low ? low : value > high ? high : value);

/** Adding and taking away 1.5 × 2^52 leaves the nearest whole number (ties to even); half the time of Math.round. */
const magic = 1.5 * 2 ** 52;
const round = (value: number): number => value + magic - magic;

function putHalf(out: Uint8Array, at: number, value: number): number {
  const bits = toHalf(value);
  out[at] = bits & 255;
  out[at + 1] = bits >> 8;
  return halves[bits];
}

/** Integers that one scale of the affine search leads to. */
const levels = new Uint8Array(32);

/**
 * Best scale d for x ≈ d·q with q from -reach to reach-1, weights x². Returns d (of either sign: the element farthest from zero gets
 * -reach, the end with one level more).
 */
function symmetricScale(x: Float32Array, at: number, count: number, reach: number): number {
  let extreme = 0;
  for (let i = 0; i < count; i++) if (Math.abs(x[at + i]) > Math.abs(extreme)) extreme = x[at + i];
  if (Math.abs(extreme) < 1e-30) return 0;
  let best = 0;
  let bestGain = -1;
  for (let step = -9; step <= 9; step++) {
    const inverse = -(reach + 0.1 * step) / extreme;
    let xq = 0;
    let qq = 0;
    for (let i = 0; i < count; i++) {
      const value = x[at + i];
      const q = clamp(round(value * inverse), -reach, reach - 1);
      const weighted = value * value * q;
      xq += weighted * value;
      qq += weighted * q;
    }
    // The weighted error at the optimum d = xq/qq is Σwx² - xq²/qq, so the largest xq²/qq wins.
    if (qq > 0 && xq * xq > bestGain * qq) {
      bestGain = (xq * xq) / qq;
      best = xq / qq;
    }
  }
  return best;
}

function q8_0(x: Float32Array, at: number, out: Uint8Array, to: number): void {
  let largest = 0;
  for (let i = 0; i < 32; i++) largest = Math.max(largest, Math.abs(x[at + i]));
  const d = putHalf(out, to, largest / 127);
  const inverse = d === 0 ? 0 : 1 / d;
  for (let i = 0; i < 32; i++) out[to + 2 + i] = clamp(round(x[at + i] * inverse), -127, 127);
}

function q4_0(x: Float32Array, at: number, out: Uint8Array, to: number): void {
  const d = putHalf(out, to, symmetricScale(x, at, 32, 8));
  const inverse = d === 0 ? 0 : 1 / d;
  for (let i = 0; i < 16; i++) {
    const low = clamp(round(x[at + i] * inverse), -8, 7) + 8;
    const high = clamp(round(x[at + 16 + i] * inverse), -8, 7) + 8;
    out[to + 2 + i] = low | (high << 4);
  }
}

function q5_0(x: Float32Array, at: number, out: Uint8Array, to: number): void {
  const d = putHalf(out, to, symmetricScale(x, at, 32, 16));
  const inverse = d === 0 ? 0 : 1 / d;
  out.fill(0, to + 2, to + 6);
  for (let i = 0; i < 16; i++) {
    const low = clamp(round(x[at + i] * inverse), -16, 15) + 16;
    const high = clamp(round(x[at + 16 + i] * inverse), -16, 15) + 16;
    out[to + 6 + i] = (low & 15) | ((high & 15) << 4);
    out[to + 2 + (i >> 3)] |= (low >> 4) << (i & 7);
    out[to + 4 + (i >> 3)] |= (high >> 4) << (i & 7);
  }
}

/** Scale and minimum of the last affine search: x ≈ scale·q - minimum. */
const affine = { scale: 0, minimum: 0 };

/** Best scale and minimum (≥ 0) for 32 elements with q from 0 to 15, weights √mean(x²) + |x|. */
function affineScale(x: Float32Array, at: number): void {
  let low = x[at];
  let high = x[at];
  let squares = 0;
  for (let i = 0; i < 32; i++) {
    const value = x[at + i];
    if (value < low) low = value;
    if (value > high) high = value;
    squares += value * value;
  }
  if (low > 0) low = 0;
  affine.scale = 0;
  affine.minimum = -low;
  if (high - low < 1e-30) return;
  const base = Math.sqrt(squares / 32);
  let bestError = Infinity;
  for (let step = -1; step <= 20; step++) {
    // step -1 is the plain range; the others widen and narrow it as 14 to 16 levels would.
    const inverse = (step < 0 ? 15 : 14 + 0.1 * step) / (high - low);
    let w1 = 0;
    let wx = 0;
    let wq = 0;
    let wqq = 0;
    let wxq = 0;
    for (let i = 0; i < 32; i++) {
      const value = x[at + i];
      const weight = base + Math.abs(value);
      const q = clamp(round((value - low) * inverse), 0, 15);
      levels[i] = q;
      w1 += weight;
      wx += weight * value;
      wq += weight * q;
      wqq += weight * q * q;
      wxq += weight * value * q;
    }
    // Weighted least squares of x on q; a positive offset cannot be stored, zero is then the best.
    const determinant = w1 * wqq - wq * wq;
    if (determinant <= 0) continue;
    let scale = (w1 * wxq - wx * wq) / determinant;
    let offset = (wqq * wx - wq * wxq) / determinant;
    if (offset > 0) {
      offset = 0;
      scale = wxq / wqq;
    }
    if (!(scale > 0)) continue;
    let error = 0;
    for (let i = 0; i < 32; i++) {
      const difference = scale * levels[i] + offset - x[at + i];
      error += (base + Math.abs(x[at + i])) * difference * difference;
    }
    if (error < bestError) {
      bestError = error;
      affine.scale = scale;
      affine.minimum = -offset;
    }
  }
}

const scales = new Float64Array(16);
const minima = new Float64Array(16);

function q4_K(x: Float32Array, at: number, out: Uint8Array, to: number): void {
  let largestScale = 0;
  let largestMinimum = 0;
  for (let s = 0; s < 8; s++) {
    affineScale(x, at + 32 * s);
    scales[s] = affine.scale;
    minima[s] = affine.minimum;
    largestScale = Math.max(largestScale, affine.scale);
    largestMinimum = Math.max(largestMinimum, affine.minimum);
  }
  const d = putHalf(out, to, largestScale / 63);
  const dmin = putHalf(out, to + 2, largestMinimum / 63);
  out.fill(0, to + 4, to + 144);
  for (let s = 0; s < 8; s++) {
    const scale = d === 0 ? 0 : clamp(round(scales[s] / d), 0, 63);
    const minimum = dmin === 0 ? 0 : clamp(round(minima[s] / dmin), 0, 63);
    const packed = to + 4 + (s & 3);
    if (s < 4) {
      out[packed] |= scale;
      out[packed + 4] |= minimum;
    } else {
      out[packed + 8] = (scale & 15) | ((minimum & 15) << 4);
      out[packed] |= (scale >> 4) << 6;
      out[packed + 4] |= (minimum >> 4) << 6;
    }
    const inverse = d * scale === 0 ? 0 : 1 / (d * scale);
    const quants = to + 16 + (s >> 1) * 32;
    const shift = (s & 1) * 4;
    for (let l = 0; l < 32; l++)
      out[quants + l] |= clamp(round((x[at + 32 * s + l] + dmin * minimum) * inverse), 0, 15) << shift;
  }
}

function q6_K(x: Float32Array, at: number, out: Uint8Array, to: number): void {
  let extreme = 0;
  for (let s = 0; s < 16; s++) {
    scales[s] = symmetricScale(x, at + 16 * s, 16, 32);
    if (Math.abs(scales[s]) > Math.abs(extreme)) extreme = scales[s];
  }
  // The scale farthest from zero becomes -128, the end of int8 with one level more.
  const d = putHalf(out, to + 208, extreme / -128);
  out.fill(0, to, to + 192);
  for (let s = 0; s < 16; s++) {
    const scale = d === 0 ? 0 : clamp(round(scales[s] / d), -128, 127);
    out[to + 192 + s] = scale;
    const inverse = d * scale === 0 ? 0 : 1 / (d * scale);
    for (let l = 0; l < 16; l++) {
      const element = 16 * s + l;
      const q = clamp(round(x[at + element] * inverse), -32, 31) + 32;
      const inHalf = element & 127;
      const group = inHalf >> 5;
      const lane = inHalf & 31;
      out[to + (element >> 7) * 64 + (group & 1) * 32 + lane] |= (q & 15) << ((group >> 1) * 4);
      out[to + 128 + (element >> 7) * 32 + lane] |= (q >> 4) << (2 * group);
    }
  }
}

const encoders: Partial<Record<WritableType, (x: Float32Array, at: number, out: Uint8Array, to: number) => void>> = {
  Q8_0: q8_0,
  Q4_0: q4_0,
  Q5_0: q5_0,
  Q4_K: q4_K,
  Q6_K: q6_K,
};

/**
 * Encodes numbers as `dtype`. The count must be a multiple of the type's block (rows of matrices each so: see `typeForRow`).
 * Values that are not finite make no sensible block and are refused with a RangeError.
 */
export function quantize(dtype: WritableType, values: Float32Array): Uint8Array {
  const block = blockSizes[dtype];
  if (values.length % block.elements !== 0)
    throw new RangeError(`${values.length} elements do not fill blocks of ${block.elements} (${dtype})`);
  const out = new Uint8Array((values.length / block.elements) * block.bytes);
  if (dtype === "F32") {
    out.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    return out;
  }
  if (dtype === "F16" || dtype === "BF16") {
    const words = new Uint16Array(out.buffer);
    const convert = dtype === "F16" ? toHalf : toBfloat;
    for (let i = 0; i < values.length; i++) words[i] = convert(values[i]);
    return out;
  }
  for (let i = 0; i < values.length; i++)
    if (!Number.isFinite(values[i]))
      throw new RangeError(`element ${i} is ${values[i]}; ${dtype} holds finite numbers only`);
  const encode = encoders[dtype]!;
  for (let b = 0; b < values.length / block.elements; b++) encode(values, b * block.elements, out, b * block.bytes);
  return out;
}

/**
 * The type a tensor gets whose rows may not fill blocks of the type wished for. As llama-quantize: Q4_K falls back to Q5_0, Q6_K to
 * Q8_0, and what fills no block of 32 either to F16.
 */
export function typeForRow(wish: WritableType, rowLength: number): WritableType {
  if (rowLength % blockSizes[wish].elements === 0) return wish;
  const second: WritableType = wish === "Q4_K" ? "Q5_0" : wish === "Q6_K" ? "Q8_0" : "F16";
  return rowLength % blockSizes[second].elements === 0 ? second : "F16";
}

export const isWritable = (dtype: DType | string): dtype is WritableType =>
  (writableTypes as readonly string[]).includes(dtype);
