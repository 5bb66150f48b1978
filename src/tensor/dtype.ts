// The storage types of tensors: how many bytes a run of elements takes and how a kernel names the type. What the bits of a
// quantised block mean is said in blocks.ts and in the kernels.

export interface DtypeInfo {
  /** The number kernels know the type by; never reused. */
  code: number;
  /** Elements per block; a row (last dimension) is a whole number of blocks. */
  block: number;
  /** Bytes per block. */
  bytes: number;
}

/** Ids of the GGUF types plus 0 for f32; ours (packed forms) start at 100. */
export const DTYPES = {
  f32: { code: 0, block: 1, bytes: 4 },
  f16: { code: 1, block: 1, bytes: 2 },
  q4_0: { code: 2, block: 32, bytes: 18 },
  q4_1: { code: 3, block: 32, bytes: 20 },
  q5_0: { code: 6, block: 32, bytes: 22 },
  q5_1: { code: 7, block: 32, bytes: 24 },
  q8_0: { code: 8, block: 32, bytes: 34 },
  q2_k: { code: 10, block: 256, bytes: 84 },
  q3_k: { code: 11, block: 256, bytes: 110 },
  q4_k: { code: 12, block: 256, bytes: 144 },
  q5_k: { code: 13, block: 256, bytes: 176 },
  q6_k: { code: 14, block: 256, bytes: 210 },
  iq4_nl: { code: 20, block: 32, bytes: 18 },
  iq4_xs: { code: 23, block: 256, bytes: 136 },
  i8: { code: 24, block: 1, bytes: 1 },
  i32: { code: 26, block: 1, bytes: 4 },
  bf16: { code: 30, block: 1, bytes: 2 },
  mxfp4: { code: 39, block: 32, bytes: 17 },
} as const satisfies Record<string, DtypeInfo>;

export type Dtype = keyof typeof DTYPES | PackedDtype;

/**
 * Weights rearranged for the machine, made by `Device.pack`. The byte size depends on the device, so a packed tensor only
 * ever exists as a bound parameter; `packed:` is followed by the dtype it was made from.
 */
export type PackedDtype = `packed:${keyof typeof DTYPES}`;

export const isPacked = (dtype: Dtype): dtype is PackedDtype => dtype.startsWith("packed:");

/** The dtype a packed one was made from; others are returned as they are. */
export const unpackedDtype = (dtype: Dtype): keyof typeof DTYPES =>
  (isPacked(dtype) ? dtype.slice(7) : dtype) as keyof typeof DTYPES;

/** The number kernels know the type by: packed forms are 100 above what they were made from. */
export const dtypeCode = (dtype: Dtype): number => DTYPES[unpackedDtype(dtype)].code + (isPacked(dtype) ? 100 : 0);

/** Bytes of a plain (not packed) tensor; throws TypeError where a row is no whole number of blocks. */
export function byteLength(dtype: keyof typeof DTYPES, shape: readonly number[]): number {
  const { block, bytes } = DTYPES[dtype];
  const elements = shape.reduce((product, dim) => product * dim, 1);
  const row = shape.length > 0 ? shape[shape.length - 1] : 1;
  if (row % block !== 0) throw new TypeError(`a ${dtype} row must be a multiple of ${block} elements, not ${row}`);
  return (elements / block) * bytes;
}
