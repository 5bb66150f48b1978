// Activations as the products with quantised weights read them: each row in blocks of 32 as 16-bit whole numbers with one f32
// scale per block. One quantised tensor serves every product of the same rows.
import { unpackedDtype } from "../dtype.ts";
import { defineOp, type Value } from "../op.ts";
import { type Dim, expectDtype, ProgramError, type Tensor, times } from "../program.ts";
import { floats } from "./elementwise.ts";

/**
 * Largest magnitude of a quantised activation. The products of 32 of them with the largest weight codes any block type forms
 * (scale times code up to 128·32 in Q6_K) still fit a signed 32-bit sum: 16383 · 4096 · 32 < 2^31. So nearly nothing is lost
 * over f32 activations, at the cost of eight-bit ones: AVX2 and WebAssembly multiply 16-bit pairs as fast as they do bytes.
 */
const ACTIVATION_MAX = 16383;
const ACTIVATION_BLOCK = 32;
/** Bytes per block of 32: an f32 scale, two i32 sums (elements 0–15 and 16–31), 32 × i16. */
const ACTIVATION_BYTES = 76;

/** Where things are in a quantised row of `width` elements: all scales first, then all sums, then the elements. */
export interface QuantizedRow {
  scales: Float32Array;
  sums: Int32Array;
  codes: Int16Array;
}

/** Row `row` of the bytes that quantize_rows writes, for `width` elements. */
export function quantizedRow(bytes: Uint8Array, row: number, width: number): QuantizedRow {
  const blocks = width / ACTIVATION_BLOCK;
  const start = bytes.byteOffset + row * blocks * ACTIVATION_BYTES;
  return {
    scales: new Float32Array(bytes.buffer, start, blocks),
    sums: new Int32Array(bytes.buffer, start + 4 * blocks, 2 * blocks),
    codes: new Int16Array(bytes.buffer, start + 12 * blocks, width),
  };
}

/** Row `row` as numbers again. */
export function dequantizedRow(value: Value, row: number, width: number): Float64Array {
  const { scales, codes } = quantizedRow(value.data as Uint8Array, row, width);
  return Float64Array.from(codes, (code, k) => code * scales[k >> 5]);
}

const roundToEven = (x: number): number => {
  const down = Math.floor(x);
  const rest = x - down;
  return rest < 0.5 || (rest === 0.5 && down % 2 === 0) ? down : down + 1;
};

/** Writes one row in the quantised form; every step in float32, as the kernels do, so that the bytes agree. */
export function quantizeRowInto(x: ArrayLike<number>, from: number, row: QuantizedRow): void {
  for (let b = 0; b < row.scales.length; b++) {
    let largest = 0;
    for (let j = 0; j < 32; j++) largest = Math.max(largest, Math.abs(Math.fround(x[from + b * 32 + j])));
    // Below 1e-30 the inverse would overflow; such a block is zero.
    const nothing = largest < 1e-30;
    const scale = nothing ? 0 : Math.fround(largest / ACTIVATION_MAX);
    const inverse = nothing ? 0 : Math.fround(ACTIVATION_MAX / largest);
    row.scales[b] = scale;
    row.sums[2 * b] = 0;
    row.sums[2 * b + 1] = 0;
    for (let j = 0; j < 32; j++) {
      const scaled = Math.fround(Math.fround(x[from + b * 32 + j]) * inverse);
      const code = Math.max(-ACTIVATION_MAX, Math.min(ACTIVATION_MAX, roundToEven(scaled)));
      row.codes[b * 32 + j] = code;
      row.sums[2 * b + (j >> 4)] += code;
    }
  }
}

const QUANTIZE_ROWS = defineOp({
  name: "quantize_rows",
  ints: [],
  floats: [],
  reference: ({ inputs, outputs }) => {
    const x = floats(inputs[0]);
    const width = inputs[0].shape[inputs[0].shape.length - 1];
    const bytes = outputs[0].data as Uint8Array;
    for (let row = 0; row * width < x.length; row++) quantizeRowInto(x, row * width, quantizedRow(bytes, row, width));
  },
});

/** The gradient rule of products with quantised weights: refuses, since a gradient that silently stops is worse. */
export const refuseGradient =
  (name: string): (() => never) =>
  () => {
    throw new ProgramError(
      `${name}: no gradient passes through quantised weights; keep the weights in f32 or bf16, or do not ask gradients of what feeds them`,
    );
  };

/** Whether products with such weights take quantised activations. */
export const takesQuantized = (weights: Tensor): boolean =>
  !["f32", "bf16", "f16"].includes(unpackedDtype(weights.dtype));

/** Bytes of one quantised row of `width` elements. Throws unless `width` is a multiple of 32. */
export function quantizedWidth(op: string, width: Dim): number {
  if (typeof width !== "number" || width % ACTIVATION_BLOCK !== 0)
    throw new ProgramError(
      `${op}: rows for quantised weights must be a multiple of 32 elements, not ${typeof width === "number" ? width : width.register.name}`,
    );
  return (width / ACTIVATION_BLOCK) * ACTIVATION_BYTES;
}

/** What quantizeRows made of a tensor, and how many instructions the program had then. */
const made = new WeakMap<Tensor, { quantized: Tensor; at: number }>();

/**
 * x [..., K] f32 in the quantised form, an i8 tensor [rows, K / 32 · 76]. Asked again for the same tensor it returns the same
 * result, unless an instruction has written x since.
 */
export function quantizeRows(x: Tensor): Tensor {
  expectDtype("quantize_rows", "x", x, "f32");
  const width = quantizedWidth("quantize_rows", x.shape[x.shape.length - 1]);
  const { program } = x;
  const known = made.get(x);
  const rewritten =
    known && program.instructions.slice(known.at).some(({ outputs }) => outputs.some((out) => out.base === x.base));
  if (known && !rewritten) return known.quantized;
  const quantized = program.temp("i8", [rowsOf(x), width], `q.${x.name}`);
  program.emit(QUANTIZE_ROWS, [x], [quantized]);
  // So that a gradient asked through products with it is refused (refuseGradient).
  quantized.requiresGrad = x.base.requiresGrad;
  made.set(x, { quantized, at: program.instructions.length });
  return quantized;
}

/** All dimensions of x but the last, as one. */
export function rowsOf(x: Tensor): Dim {
  let rows: Dim = 1;
  for (const d of x.shape.slice(0, -1)) {
    if (typeof rows === "number") rows = times(d, rows);
    else if (typeof d === "number") rows = times(rows, d);
    else throw new ProgramError(`${x}: two run-time sizes cannot be multiplied; only one dimension may be a register`);
  }
  return rows;
}
