// How much working memory the attention kernels need. Kernels do not allocate: their scratch is an ordinary output tensor with one
// row per thread, sized here; kernels/attention.h holds the same numbers (ATTENTION_BLOCK and the rest).

/** Rows of a scratch tensor; threads beyond so many rest during attention. */
export const SLOTS = 32;

/** Query rows and key rows of one tile of full attention. */
const BLOCK = 96;
/** Keys per step of attention over lists and pages. */
const STEP = 64;
/** Widest vector pair of any instruction set, to which widths are padded. */
const PAD = 16;
/** Query lanes (rows × heads of a key head's group) that one tile of paged attention aims at. */
const LANES = 64;

/** Keys after which a partial result is closed and folded into the running one; fixed so that bits never depend on threads. */
const SPLIT = 256;

export const padded = (n: number): number => Math.ceil(n / PAD) * PAD;

/** Floats per thread for tiled attention, forward and backward. */
export const tileScratch = (dk: number, dv: number): number =>
  BLOCK * (4 * padded(dk) + 4 * padded(dv) + Math.max(padded(dk), padded(dv)) + 2 * BLOCK + PAD);

const laneScratch = (lanes: number, dk: number, dv: number): number =>
  padded(lanes) * (padded(dk) + 2 * padded(dv) + STEP + 8) + STEP * (padded(dk) + padded(dv));

/** Floats per thread for attention over lists of rows. */
export const gatherScratch = (heads: number, dk: number, dv: number): number => laneScratch(heads, dk, dv);

/** Floats per thread for paged attention with `group` query heads per key head. */
export const pagedScratch = (group: number, dk: number, dv: number): number =>
  laneScratch(group * Math.max(1, Math.floor(LANES / group)), dk, dv);

/** Floats that hold partial results when the splits of one row are computed by several threads. */
export const partialsScratch = (keys: number, heads: number, dv: number): number =>
  Math.max(Math.ceil(keys / SPLIT), 64) * heads * (padded(dv) + PAD);
