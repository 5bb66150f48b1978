/* How block-quantised weights lie in their packed form, for pack.c (which makes it) and quant.c (which multiplies by it).
 *
 * Eight rows form a group. A group is a run of blocks, each 32 elements wide: scales first, then the codes of the eight rows side
 * by side in 16-bit lanes. Lane (row r, e) of pair j is element 2j + e of row r, so that one multiply-add of 16-bit pairs serves
 * eight rows at once. Codes are kept as
 *   CODES_8  one byte each: [pair][row][e]
 *   CODES_4  four pairs share a lane, pair 4i + n in its bits 4n … 4n + 3: [i][row][e]
 *   CODES_5  the same, then the fifth bits: one lane per (row, e), pair j in bit j
 *   CODES_6  the same, then bits 4 and 5: [i][row][e] with pair 8i + f in bits 2f, 2f + 1
 * and scales as
 *   SCALE_16    f16 d[8] per block
 *   SCALE_16M   f16 d[8], f16 m[8] per block; value = d·code + m
 *   SCALE_32    f32 d[8] per block
 *   SCALE_K     f16 d[8], f16 dmin[8] per eight blocks; u8 scale[8], u8 min[8] per block
 *   SCALE_K16   f16 d[8] per eight blocks; i8 scale[2][8] per block, one per 16 elements
 *   SCALE_K16M  f16 d[8], f16 dmin[8] per eight blocks; u8 scale[2][8], u8 min[2][8] per block
 * A value is scale · (code - offset) (- min); codes of the IQ4 and MXFP4 types go through a table first. */
#ifndef WEIR_QUANT_H
#define WEIR_QUANT_H

#include "tile.h"

enum { CODES_8, CODES_4, CODES_5, CODES_6 };
enum { SCALE_16, SCALE_16M, SCALE_32, SCALE_K, SCALE_K16, SCALE_K16M };

#define GROUP 8
#define BLOCK 32

typedef struct {
  int codes, scale, offset;
  const uint8_t *table; /* of 16 entries, or NULL */
  int block, bytes;     /* of the stored type: elements and bytes of a block */
} format;

/* IQ4's values + 128; twice E2M1's + 12. */
static const uint8_t WEIR_IQ4_TABLE[16] __attribute__((unused)) = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};
static const uint8_t WEIR_E2M1_TABLE[16] __attribute__((unused)) = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

WEIR_INLINE format format_of(const int dtype) {
  switch (dtype) {
    case WEIR_Q8_0: return (format){CODES_8, SCALE_16, 0, NULL, 32, 34};
    case WEIR_Q4_0: return (format){CODES_4, SCALE_16, 8, NULL, 32, 18};
    case WEIR_Q4_1: return (format){CODES_4, SCALE_16M, 0, NULL, 32, 20};
    case WEIR_Q5_0: return (format){CODES_5, SCALE_16, 16, NULL, 32, 22};
    case WEIR_Q5_1: return (format){CODES_5, SCALE_16M, 0, NULL, 32, 24};
    case WEIR_IQ4_NL: return (format){CODES_4, SCALE_16, 128, WEIR_IQ4_TABLE, 32, 18};
    case WEIR_MXFP4: return (format){CODES_4, SCALE_32, 12, WEIR_E2M1_TABLE, 32, 17};
    case WEIR_IQ4_XS: return (format){CODES_4, SCALE_32, 128, WEIR_IQ4_TABLE, 256, 136};
    case WEIR_Q2_K: return (format){CODES_4, SCALE_K16M, 0, NULL, 256, 84};
    case WEIR_Q3_K: return (format){CODES_4, SCALE_K16, 4, NULL, 256, 110};
    case WEIR_Q4_K: return (format){CODES_4, SCALE_K, 0, NULL, 256, 144};
    case WEIR_Q5_K: return (format){CODES_5, SCALE_K, 0, NULL, 256, 176};
    case WEIR_Q6_K: return (format){CODES_6, SCALE_K16, 32, NULL, 256, 210};
    default: return (format){0, 0, 0, NULL, 0, 0};
  }
}

/* Bytes before the first of eight blocks (0 where every block stands alone), of a block's own scales, and of its codes. */
WEIR_INLINE int format_head(const format f) {
  return f.scale == SCALE_K || f.scale == SCALE_K16M ? 32 : f.scale == SCALE_K16 ? 16 : 0;
}
WEIR_INLINE int format_scales(const format f) {
  return f.scale == SCALE_16 || f.scale == SCALE_K || f.scale == SCALE_K16 ? 16 : 32;
}
WEIR_INLINE int format_codes(const format f) { return f.codes == CODES_8 ? 256 : f.codes == CODES_4 ? 128 : f.codes == CODES_5 ? 160 : 192; }
WEIR_INLINE int format_step(const format f) { return format_scales(f) + format_codes(f); }
/* Bytes of `blocks` blocks of a group; from a whole number of eights on where there is a head. */
WEIR_INLINE int64_t group_bytes(const format f, int64_t blocks) { return blocks * format_step(f) + blocks / 8 * format_head(f); }
#define MOST_GROUP_BYTES(blocks) ((blocks) * 272 + 64)

/* Packs blocks b0 … b1 of up to eight rows (missing ones become zero); rows are row_bytes apart. b0 and b1 are multiples of 8 for
 * the types with blocks of 256. */
void WEIR_LOCAL(pack_group)(int32_t dtype, const uint8_t *source, int64_t row_bytes, int64_t rows, int64_t b0, int64_t b1, uint8_t *to);
/* Row `row` of a matrix [n, k] of blocks, packed or not, as floats (quant.c). */
void WEIR_LOCAL(quant_row)(int32_t dtype, const void *w, int64_t n, int64_t k, int64_t row, float *out);

#endif
