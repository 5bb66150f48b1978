// Small floating-point formats as bit patterns: half, bfloat16, the two FP8 forms, power-of-two scales, FP4. Tables where
// they are small enough; rounding is to nearest, ties to even. The host must be little-endian, as every platform of Node's is
// that Weir runs on.

const word = new Uint32Array(1);
const single = new Float32Array(word.buffer);

/** Bits of the IEEE half nearest to a number. */
export function toHalf(value: number): number {
  single[0] = value;
  const bits = word[0];
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 0xff;
  const mantissa = bits & 0x7fffff;
  if (exponent === 255) return sign | 0x7c00 | (mantissa === 0 ? 0 : 0x200);
  const shifted = exponent - 112;
  if (shifted >= 31) return sign | 0x7c00;
  let whole: number;
  let shift: number;
  let half: number;
  if (shifted <= 0) {
    if (shifted < -10) return sign;
    whole = mantissa | 0x800000;
    shift = 14 - shifted;
    half = whole >>> shift;
  } else {
    whole = mantissa;
    shift = 13;
    half = (shifted << 10) | (mantissa >>> 13);
  }
  const rest = whole & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  if (rest > middle || (rest === middle && (half & 1) === 1)) half++;
  return sign | half;
}

/** Bits of the bfloat16 nearest to a number. */
export function toBfloat(value: number): number {
  single[0] = value;
  const bits = word[0];
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** Value of a bfloat16 bit pattern. */
export function ofBfloat(bits: number): number {
  word[0] = bits << 16;
  return single[0];
}

/**
 * Value of a sign-exponent-mantissa pattern. `ieee`: the top exponent means infinities and NaNs; else it is an exponent like others.
 */
function smallFloat(bits: number, exponentBits: number, mantissaBits: number, ieee: boolean): number {
  const sign = (bits >> (exponentBits + mantissaBits)) & 1 ? -1 : 1;
  const top = (1 << exponentBits) - 1;
  const bias = top >> 1;
  const exponent = (bits >> mantissaBits) & top;
  const mantissa = (bits & ((1 << mantissaBits) - 1)) / (1 << mantissaBits);
  if (ieee && exponent === top) return mantissa === 0 ? sign * Infinity : Number.NaN;
  return sign * (exponent === 0 ? mantissa * 2 ** (1 - bias) : (1 + mantissa) * 2 ** (exponent - bias));
}

/** Made from bit patterns, because every start of a process pays for it. */
function halfTable(): Float32Array {
  const out = new Float32Array(65_536);
  const words = new Uint32Array(out.buffer);
  for (let bits = 0; bits < 32_768; bits++) {
    const [exponent, mantissa] = [bits >> 10, bits & 1023];
    if (exponent === 0) out[bits] = mantissa * 2 ** -24;
    else if (exponent === 31) out[bits] = mantissa === 0 ? Infinity : Number.NaN;
    else words[bits] = ((exponent + 112) << 23) | (mantissa << 13);
    out[bits | 32_768] = -out[bits];
  }
  return out;
}

/** Value of every half bit pattern. */
export const halves: Float32Array = halfTable();

/** Value of every F8_E4M3 ("FN": no infinities, 0x7f and 0xff are NaN, largest 448). */
export const e4m3: Float32Array = Float32Array.from({ length: 256 }, (_, bits) =>
  (bits & 0x7f) === 0x7f ? Number.NaN : smallFloat(bits, 4, 3, false),
);

/** Value of every F8_E5M2 (IEEE-like: infinities and NaNs at the top exponent). */
export const e5m2: Float32Array = Float32Array.from({ length: 256 }, (_, bits) => smallFloat(bits, 5, 2, true));

/** Value of every F8_E8M0 scale, 2^(e-127); 255 is NaN (OCP microscaling formats 1.0). */
export const e8m0: Float32Array = Float32Array.from({ length: 256 }, (_, bits) =>
  bits === 255 ? Number.NaN : 2 ** (bits - 127),
);

/** Value of every FP4 code (E2M1; codes 8-15 are the negatives). */
export const e2m1: Float32Array = Float32Array.from({ length: 16 }, (_, bits) => smallFloat(bits, 2, 1, false));
