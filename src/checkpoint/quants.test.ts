// Block types against values worked out by hand from their published layouts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { e2m1, e4m3, e5m2, e8m0, halves, toBfloat, toHalf } from "../tensor/floats.ts";
import type { DType } from "./dtype.ts";
import { blockSizes } from "./dtype.ts";
import { randomNumbers } from "./models.fixture.ts";
import type { WritableType } from "./quantize.ts";
import { quantize, typeForRow, writableTypes } from "./quantize.ts";
import { dequantize } from "./quants.ts";

/** A block of zeros with some bytes set. */
function block(dtype: DType, set: Record<number, number | number[]>): Uint8Array {
  const bytes = new Uint8Array(blockSizes[dtype].bytes);
  for (const [at, value] of Object.entries(set)) bytes.set([value].flat(), Number(at));
  return bytes;
}

/** Elements of the decoded block at the given places. */
function decode(dtype: DType, bytes: Uint8Array): Float32Array {
  const out = new Float32Array((bytes.length / blockSizes[dtype].bytes) * blockSizes[dtype].elements);
  dequantize(dtype, bytes, out);
  return out;
}

function check(dtype: DType, set: Record<number, number | number[]>, expected: Record<number, number>): void {
  const out = decode(dtype, block(dtype, set));
  for (const [at, value] of Object.entries(expected)) assert.equal(out[Number(at)], value, `${dtype} element ${at}`);
}

// Halves used below: 0x3800 = 0.5, 0x3c00 = 1, 0x4000 = 2, 0xc200 = -3; low byte first.

test("small floats have their published values", () => {
  assert.deepEqual(
    [0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0xfc00].map((bits) => halves[bits]),
    [1, -2, 2 ** -24, 65504, Infinity, -Infinity],
  );
  assert.ok(Number.isNaN(halves[0x7e00]));
  // e4m3: 0x7e = 1.75 × 2^8, 0x01 = 2^-9, 0x38 = 1
  assert.deepEqual(
    [0x7e, 0xfe, 0x01, 0x08, 0x38].map((bits) => e4m3[bits]),
    [448, -448, 2 ** -9, 2 ** -6, 1],
  );
  assert.ok(Number.isNaN(e4m3[0x7f]) && Number.isNaN(e4m3[0xff]));
  assert.deepEqual(
    [0x7b, 0x3c, 0x7c, 0xfc, 0x01].map((bits) => e5m2[bits]),
    [57344, 1, Infinity, -Infinity, 2 ** -16],
  );
  assert.deepEqual(
    [0, 127, 130, 254].map((bits) => e8m0[bits]),
    [Math.fround(2 ** -127), 1, 8, 2 ** 127],
  );
  assert.ok(Number.isNaN(e8m0[255]));
  assert.deepEqual([...e2m1], [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6]);
});

test("halves and bfloats round to nearest, ties to even, and back without change", () => {
  for (let bits = 0; bits < 65_536; bits++) {
    if (Number.isNaN(halves[bits])) continue;
    assert.equal(toHalf(halves[bits]), bits);
  }
  // 1 + 2^-11 lies between 1 and 1 + 2^-10: the even one is 1. 1 + 3·2^-11 goes up to 1 + 2^-9.
  assert.equal(toHalf(1 + 2 ** -11), 0x3c00);
  assert.equal(toHalf(1 + 3 * 2 ** -11), 0x3c02);
  assert.equal(toHalf(65520), 0x7c00);
  assert.equal(toHalf(65519), 0x7bff);
  assert.equal(toHalf(2 ** -25), 0);
  assert.equal(toHalf(1.5 * 2 ** -25), 1);
  assert.equal(toBfloat(1), 0x3f80);
  assert.equal(toBfloat(1 + 2 ** -8), 0x3f80);
  assert.equal(toBfloat(1 + 3 * 2 ** -8), 0x3f82);
  assert.equal(toBfloat(-Infinity), 0xff80);
  assert.equal(toBfloat(Number.NaN) & 0x7fff, 0x7fc0);
});

test("Q8_0, Q4_0 and Q4_1 by hand", () => {
  // d = 0.5; int8 1, -1, 127, -128
  check("Q8_0", { 0: [0x00, 0x38, 1, 0xff, 127, 0x80], 33: 4 }, { 0: 0.5, 1: -0.5, 2: 63.5, 3: -64, 4: 0, 31: 2 });
  // d = 2; byte 0x0f: element 0 is 15 - 8 = 7, element 16 is 0 - 8
  check("Q4_0", { 0: [0x00, 0x40, 0x0f], 17: 0x98 }, { 0: 14, 16: -16, 1: -16, 15: 0, 31: 2 });
  // d = 1, m = -3; byte 0x52: element 0 is 2 - 3, element 16 is 5 - 3
  check("Q4_1", { 0: [0x00, 0x3c, 0x00, 0xc2, 0x52] }, { 0: -1, 16: 2, 1: -3 });
});

test("Q5_0 and Q5_1 by hand", () => {
  // d = 1; qh bits 0, 17 and 31 set; byte 0 = 0x21, byte 1 = 0x43, byte 15 = 0xf0
  const quants = { 6: [0x21, 0x43], 21: 0xf0 };
  // element 0: (1 + 16) - 16; 16: 2 - 16; 17: (4 + 16) - 16; 31: (15 + 16) - 16; 1: 3 - 16
  const q5 = { 0: [0x00, 0x3c, 0x01, 0x00, 0x02, 0x80], ...quants };
  check("Q5_0", q5, { 0: 1, 16: -14, 17: 4, 31: 15, 1: -13 });
  const shifted = { 0: [0x00, 0x3c, 0x00, 0x38, 0x01, 0x00, 0x02, 0x80], 8: [0x21, 0x43], 23: 0xf0 };
  // m = 0.5: element 0: 17 + 0.5; 16: 2.5; 17: 20.5; 31: 31.5; 1: 3.5
  check("Q5_1", shifted, { 0: 17.5, 16: 2.5, 17: 20.5, 31: 31.5, 1: 3.5 });
});

test("Q2_K by hand", () => {
  // d = 1, dmin = 0.5. quant byte 0 = 0xe4 holds 0, 1, 2, 3 for elements 0, 32, 64, 96, whose scales are 0, 2, 4, 6;
  // quant byte 32 = 0x1b holds 3, 2, 1, 0 for elements 128, 160, 192, 224 (scales 8, 10, 12, 14); byte 16 + 17 is element 17.
  const set = {
    0: 0x21,
    1: 0x02,
    2: 0x13,
    4: 0x05,
    6: 0x4f,
    8: 0x21,
    16: 0xe4,
    33: 0x03,
    48: 0x1b,
    80: [0, 0x3c, 0, 0x38],
  };
  check("Q2_K", set, { 0: -1, 32: 3 - 0.5, 64: 10, 96: 45 - 2, 17: 3 * 2, 128: 3 - 1, 160: 0, 1: -1 });
});

test("Q3_K by hand", () => {
  // d = 1. Scales: k = 0 has low 5 and top 2 (byte 104 bits 0-1): 5 + 32 = 37 → 5; k = 8 low 7 (high nibble of byte 96), top
  // bits 4-5 of byte 104 = 1: 7 + 16 = 23 → -9; all others 0 → -32.
  // hmask byte 0 = 0x11: element 0 (group 0) and 128 (group 4) keep their two bits, others lose 4.
  const set = { 0: 0x11, 32: 0x02, 64: 0x03, 96: 0x75, 104: 0x12, 108: [0x00, 0x3c] };
  check("Q3_K", set, { 0: 5 * 2, 1: 5 * -4, 32: -32 * -4, 128: -9 * 3, 129: -9 * -4, 16: -32 * -4 });
});

test("Q4_K and Q5_K by hand, the scales of the second half included", () => {
  // d = 1, dmin = 0.5. Twelve packed bytes s: scale 0 = s[0] & 63 = 3, min 0 = s[4] & 63 = 2,
  // scale 4 = low nibble of s[8] (5) + top two bits of s[0] (2) << 4 = 37, min 4 = high nibble of s[8] (6) + top of s[4] (1) << 4 = 22,
  // scale 7 = low of s[11] (1) + top of s[3] (3) << 4 = 49, min 7 = high of s[11] (0) + top of s[7] (0) = 0.
  const head = [0x00, 0x3c, 0x00, 0x38];
  const packed = { 4: 0x83, 7: 0xc0, 8: 0x42, 12: 0x65, 15: 0x01 };
  // quants byte 0 = 0x72: element 0 is 2, element 32 is 7 (scale 1 and min 1 are 0); byte 64 low: element 128; byte 96 high: 224
  check(
    "Q4_K",
    { 0: head, ...packed, 16: 0x72, 80: 0x04, 112: 0x90 },
    { 0: 3 * 2 - 0.5 * 2, 1: -1, 32: 0, 128: 37 * 4 - 11, 129: -11, 224: 49 * 9 },
  );
  // the same with a fifth bit: qh byte 0 = 0x91 adds 16 to elements 0 (bit 0), 128 (bit 4) and 224 (bit 7)
  check(
    "Q5_K",
    { 0: head, ...packed, 16: 0x91, 48: 0x72, 112: 0x04, 144: 0x90 },
    { 0: 3 * 18 - 1, 1: -1, 32: 0, 128: 37 * 20 - 11, 224: 49 * 25 },
  );
});

test("Q6_K by hand", () => {
  // d = 0.5. ql[0] = 0x5a: element 0 low nibble 10, element 64 high nibble 5; ql[32] = 0x3c: element 32 low 12, element 96 high 3.
  // qh[0] = 0xe4: 0, 1, 2, 3 on top of elements 0, 32, 64, 96. Scales of elements 0, 32, 64, 96 are 0, 2, 4, 6.
  const set = { 0: 0x5a, 32: 0x3c, 128: 0xe4, 192: [2, 1, 0xff, 1, 3, 1, 0x80], 208: [0x00, 0x38] };
  check("Q6_K", set, {
    0: 0.5 * 2 * (10 - 32),
    32: 0.5 * -1 * (12 + 16 - 32),
    64: 0.5 * 3 * (5 + 32 - 32),
    96: 0.5 * -128 * (3 + 48 - 32),
    16: 0.5 * 1 * -32,
  });
  // second half: ql byte 64, qh byte 32, scale 8
  check("Q6_K", { 64: 0x01, 160: 0x02, 200: 4, 208: [0x00, 0x38] }, { 128: 0.5 * 4 * (1 + 32 - 32) });
});

test("IQ4_NL, IQ4_XS and MXFP4 by hand", () => {
  check("IQ4_NL", { 0: [0x00, 0x40, 0xf0, 0x78] }, { 0: -254, 16: 226, 1: 2, 17: -20 });
  // d = 1. Sub-block 1: low bits = high nibble of byte 4 = 3, top bits 2-3 of scales_h = 0x0008 → 2: 3 + 32 = 35 → 3.
  // its quants start at byte 8 + 16: 0x9f: element 32 = cb[15] = 113, element 48 = cb[9] = 13
  check("IQ4_XS", { 0: [0x00, 0x3c, 0x08, 0x00, 0x30], 24: 0x9f }, { 32: 339, 48: 39, 0: -32 * -127 });
  // exponent 128: 2; 0x7c: element 0 = code 12 = -2, element 16 = code 7 = 6
  check("MXFP4", { 0: [128, 0x7c, 0x01] }, { 0: -4, 16: 12, 1: 1, 17: 0 });
});

test("a wrong size is refused", () => {
  assert.throws(() => dequantize("Q8_0", new Uint8Array(35), new Float32Array(32)), RangeError);
  assert.throws(() => dequantize("F32", new Uint8Array(8), new Float32Array(3)), RangeError);
  assert.throws(() => quantize("Q4_K", new Float32Array(128)), RangeError);
  assert.throws(() => quantize("Q8_0", new Float32Array(32).fill(Number.NaN)), RangeError);
});

/** Gaussian numbers by the central limit; with `outliers` a few large ones as real weights have. */
function weights(count: number, seed: number, outliers: boolean): Float32Array {
  const random = randomNumbers(seed);
  return Float32Array.from({ length: count }, () => {
    let sum = 0;
    for (let i = 0; i < 12; i++) sum += random();
    return (sum - 6) * 0.02 * (outliers && random() < 0.01 ? 6 : 1);
  });
}

function relativeError(dtype: WritableType, x: Float32Array): number {
  const y = new Float32Array(x.length);
  dequantize(dtype, quantize(dtype, x), y);
  let error = 0;
  let size = 0;
  for (let i = 0; i < x.length; i++) {
    error += (x[i] - y[i]) ** 2;
    size += x[i] ** 2;
  }
  return Math.sqrt(error / size);
}

test("quantised weights stay as close as ggml's own quantisers leave them", () => {
  // Root mean square error over that of the values, measured with ggml's reference quantisers on Gaussian numbers:
  // Q8_0 0.00537, Q4_0 0.0861, Q5_0 0.0428. K types: what a search of the same kind reaches.
  const bounds: [WritableType, number][] = [
    ["F32", 0],
    ["F16", 3e-4],
    ["BF16", 2e-3],
    ["Q8_0", 0.0054],
    ["Q4_0", 0.0861],
    ["Q5_0", 0.0428],
    ["Q4_K", 0.0735],
    ["Q6_K", 0.0185],
  ];
  assert.deepEqual(
    bounds.map(([dtype]) => dtype),
    [...writableTypes],
  );
  const x = weights(65_536, 7, false);
  for (const [dtype, bound] of bounds) {
    const error = relativeError(dtype, x);
    assert.ok(error <= bound, `${dtype} ${error}`);
    assert.ok(relativeError(dtype, weights(65_536, 8, true)) <= 2 * bound, `${dtype} with outliers`);
  }
});

test("zeros, single values and tiny values survive every type", () => {
  for (const dtype of writableTypes) {
    const zeros = new Float32Array(256);
    const out = new Float32Array(256).fill(9);
    dequantize(dtype, quantize(dtype, zeros), out);
    assert.ok(
      out.every((value) => value === 0),
      `${dtype} zeros`,
    );
    for (const value of [1, -1, 0.01, 30000]) {
      const x = new Float32Array(256);
      x[77] = value;
      dequantize(dtype, quantize(dtype, x), out);
      assert.ok(Math.abs(out[77] - value) <= 0.02 * Math.abs(value), `${dtype} ${value} became ${out[77]}`);
    }
    const tiny = new Float32Array(256).fill(1e-38);
    dequantize(dtype, quantize(dtype, tiny), out);
    assert.ok(
      out.every((value) => Math.abs(value) <= 1e-30),
      `${dtype} tiny`,
    );
  }
});

test("rows that fill no block get the fallback llama-quantize takes", () => {
  assert.equal(typeForRow("Q4_K", 2048), "Q4_K");
  assert.equal(typeForRow("Q4_K", 1408), "Q5_0");
  assert.equal(typeForRow("Q6_K", 1408), "Q8_0");
  assert.equal(typeForRow("Q8_0", 40), "F16");
  assert.equal(typeForRow("BF16", 40), "BF16");
});
