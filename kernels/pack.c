/* Weights rearranged so that the products of gemm.c and quant.c read them in one pass. The layouts are the same on every
 * instruction set. Matrices are packed one by one; a batch of them (experts, heads) lies one after another.
 *
 * f32, f16, bf16: panels of 16 rows, [panel][k][16] in the type itself; missing rows are zero. Block types: quant.h. How the stored
 * blocks lie: ggml-common.h and ggml-quants.c. */
#include "quant.h"

static int64_t width_of(int32_t dtype) { return dtype == WEIR_F32 ? 4 : dtype == WEIR_F16 || dtype == WEIR_BF16 ? 2 : 0; }

int64_t WEIR_LOCAL(pack_bytes)(int32_t dtype, int64_t rows, int64_t cols) {
  int64_t width = width_of(dtype);
  if (width) return (rows + PANEL - 1) / PANEL * PANEL * cols * width;
  format f = format_of(dtype);
  if (!f.block || cols % f.block) return -1;
  return (rows + GROUP - 1) / GROUP * group_bytes(f, cols / BLOCK);
}

/* The codes of 32 elements from 16 bytes, low nibbles first. */
static inline void split_nibbles(const uint8_t *from, uint8_t code[BLOCK]) {
  for (int j = 0; j < 16; j++) {
    code[j] = from[j] & 15;
    code[j + 16] = from[j] >> 4;
  }
}
/* Low or high nibbles of 32 bytes. */
static inline void take_nibbles(const uint8_t *from, int high, uint8_t code[BLOCK]) {
  for (int j = 0; j < 32; j++) code[j] = (from[j] >> (4 * high)) & 15;
}
/* The six-bit scale and minimum of sub-block j of Q4_K and Q5_K. */
static inline void k_scale(const uint8_t *s, int j, uint8_t *scale, uint8_t *min) {
  *scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
  *min = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4;
}
static inline void put_f32(uint8_t *to, float x) { memcpy(to, &x, 4); }
static inline float get_f16(const uint8_t *from) {
  uint16_t h;
  memcpy(&h, from, 2);
  return weir_f16_to_f32(h);
}

/* Row r of a group: block b's codes; its scales into `own` (the block's) and `head` (the eight blocks'). */
static inline void read_block(int32_t dtype, const uint8_t *row, int64_t b, int r, uint8_t code[BLOCK], uint8_t *head, uint8_t *own) {
  format f = format_of(dtype);
  const uint8_t *at = row + (f.block == 32 ? b : b >> 3) * f.bytes;
  int j = (int)(b & 7);
  switch (dtype) {
    case WEIR_Q8_0:
      memcpy(own + 2 * r, at, 2);
      memcpy(code, at + 2, 32);
      break;
    case WEIR_Q4_0: case WEIR_IQ4_NL:
      memcpy(own + 2 * r, at, 2);
      split_nibbles(at + 2, code);
      break;
    case WEIR_Q4_1:
      memcpy(own + 2 * r, at, 2);
      memcpy(own + 16 + 2 * r, at + 2, 2);
      split_nibbles(at + 4, code);
      break;
    case WEIR_Q5_0: case WEIR_Q5_1: {
      int skip = dtype == WEIR_Q5_0 ? 2 : 4;
      uint32_t high;
      memcpy(own + 2 * r, at, 2);
      if (dtype == WEIR_Q5_1) memcpy(own + 16 + 2 * r, at + 2, 2);
      memcpy(&high, at + skip, 4);
      split_nibbles(at + skip + 4, code);
      for (int i = 0; i < 32; i++) code[i] |= (uint8_t)((high >> i & 1) << 4);
      break;
    }
    case WEIR_MXFP4: { /* the table holds twice the value: 2^(e - 128), which is subnormal for e < 2 */
      uint32_t bits = at[0] >= 2 ? (uint32_t)(at[0] - 1) << 23 : at[0] ? 0x400000 : 0x200000;
      memcpy(own + 4 * r, &bits, 4);
      split_nibbles(at + 1, code);
      break;
    }
    case WEIR_IQ4_XS: {
      int scale = (at[4 + (j >> 1)] >> (4 * (j & 1)) & 15) | ((at[2] | at[3] << 8) >> (2 * j) & 3) << 4;
      put_f32(own + 4 * r, get_f16(at) * (float)(scale - 32));
      split_nibbles(at + 8 + 16 * j, code);
      break;
    }
    case WEIR_Q2_K:
      memcpy(head + 2 * r, at + 80, 2);
      memcpy(head + 16 + 2 * r, at + 82, 2);
      for (int h = 0; h < 2; h++) {
        own[8 * h + r] = at[2 * j + h] & 15;
        own[16 + 8 * h + r] = at[2 * j + h] >> 4;
      }
      for (int i = 0; i < 32; i++) code[i] = at[16 + (j >> 2) * 32 + i] >> (2 * (j & 3)) & 3;
      break;
    case WEIR_Q3_K:
      memcpy(head + 2 * r, at + 108, 2);
      for (int h = 0; h < 2; h++) {
        int k = 2 * j + h;
        int low = k < 8 ? at[96 + k] & 15 : at[96 + k - 8] >> 4;
        own[8 * h + r] = (uint8_t)((low | (at[104 + (k & 3)] >> (2 * (k >> 2)) & 3) << 4) - 32);
      }
      for (int i = 0; i < 32; i++) code[i] = (uint8_t)((at[32 + (j >> 2) * 32 + i] >> (2 * (j & 3)) & 3) | (at[i] >> j & 1) << 2);
      break;
    case WEIR_Q4_K: case WEIR_Q5_K:
      memcpy(head + 2 * r, at, 2);
      memcpy(head + 16 + 2 * r, at + 2, 2);
      k_scale(at + 4, j, own + r, own + 8 + r);
      take_nibbles(at + (dtype == WEIR_Q4_K ? 16 : 48) + (j >> 1) * 32, j & 1, code);
      if (dtype == WEIR_Q5_K) for (int i = 0; i < 32; i++) code[i] |= (uint8_t)((at[16 + i] >> j & 1) << 4);
      break;
    case WEIR_Q6_K: {
      const uint8_t *low = at + (j >> 2) * 64 + (j & 1) * 32, *high = at + 128 + (j >> 2) * 32;
      memcpy(head + 2 * r, at + 208, 2);
      for (int h = 0; h < 2; h++) own[8 * h + r] = at[192 + 2 * j + h];
      take_nibbles(low, j >> 1 & 1, code);
      for (int i = 0; i < 32; i++) code[i] |= (uint8_t)((high[i] >> (2 * (j & 3)) & 3) << 4);
      break;
    }
  }
}

/* The codes of eight rows into their lanes. */
static inline void write_codes(const format f, uint8_t code[GROUP][BLOCK], uint8_t *to) {
  if (f.codes == CODES_8) {
    for (int j = 0; j < 16; j++)
      for (int r = 0; r < 8; r++) memcpy(to + (j * 8 + r) * 2, &code[r][2 * j], 2);
    return;
  }
  for (int i = 0; i < 4; i++)
    for (int r = 0; r < 8; r++)
      for (int e = 0; e < 2; e++, to += 2) {
        const uint8_t *c = &code[r][8 * i + e];
        to[0] = (uint8_t)((c[0] & 15) | c[2] << 4);
        to[1] = (uint8_t)((c[4] & 15) | c[6] << 4);
      }
  if (f.codes == CODES_5)
    for (int r = 0; r < 8; r++)
      for (int e = 0; e < 2; e++, to += 2) {
        uint32_t bits = 0;
        for (int j = 0; j < 16; j++) bits |= (uint32_t)(code[r][2 * j + e] >> 4) << j;
        to[0] = (uint8_t)bits;
        to[1] = (uint8_t)(bits >> 8);
      }
  if (f.codes == CODES_6)
    for (int i = 0; i < 2; i++)
      for (int r = 0; r < 8; r++)
        for (int e = 0; e < 2; e++, to += 2) {
          uint32_t bits = 0;
          for (int k = 0; k < 8; k++) bits |= (uint32_t)(code[r][16 * i + 2 * k + e] >> 4) << (2 * k);
          to[0] = (uint8_t)bits;
          to[1] = (uint8_t)(bits >> 8);
        }
}

static inline void pack_blocks(const int32_t dtype, const uint8_t *source, int64_t row_bytes, int64_t rows, int64_t b0, int64_t b1, uint8_t *to) {
  format f = format_of(dtype);
  uint8_t *head = to;
  for (int64_t b = b0; b < b1; b++) {
    uint8_t code[GROUP][BLOCK];
    if (format_head(f) && (b & 7) == 0) {
      head = to;
      memset(head, 0, (size_t)format_head(f));
      to += format_head(f);
    }
    memset(to, 0, (size_t)format_scales(f));
    for (int r = 0; r < GROUP; r++) {
      if (r < rows) read_block(dtype, source + r * row_bytes, b, r, code[r], head, to);
      else memset(code[r], 0, BLOCK);
    }
    write_codes(f, code, to + format_scales(f));
    to += format_step(f);
  }
}

void WEIR_LOCAL(pack_group)(int32_t dtype, const uint8_t *source, int64_t row_bytes, int64_t rows, int64_t b0, int64_t b1, uint8_t *to) {
  switch (dtype) {
#define CASE(type) \
  case type: pack_blocks(type, source, row_bytes, rows, b0, b1, to); break;
    CASE(WEIR_Q8_0) CASE(WEIR_Q4_0) CASE(WEIR_Q4_1) CASE(WEIR_Q5_0) CASE(WEIR_Q5_1) CASE(WEIR_IQ4_NL) CASE(WEIR_MXFP4)
    CASE(WEIR_IQ4_XS) CASE(WEIR_Q2_K) CASE(WEIR_Q3_K) CASE(WEIR_Q4_K) CASE(WEIR_Q5_K) CASE(WEIR_Q6_K)
#undef CASE
  }
}

static inline void pack_floats(const char *source, const int64_t width, int64_t rows, int64_t cols, char *to) {
  for (int64_t r0 = 0; r0 < rows; r0 += PANEL)
    for (int64_t k = 0; k < cols; k++)
      for (int64_t r = 0; r < PANEL; r++, to += width) {
        if (r0 + r < rows) memcpy(to, source + ((r0 + r) * cols + k) * width, (size_t)width);
        else memset(to, 0, (size_t)width);
      }
}

void WEIR_LOCAL(pack)(int32_t dtype, const void *source, int64_t rows, int64_t cols, void *destination) {
  int64_t width = width_of(dtype);
  if (!width) {
    format f = format_of(dtype);
    int64_t row_bytes = cols / f.block * f.bytes, blocks = cols / BLOCK;
    for (int64_t r = 0; r < rows; r += GROUP)
      WEIR_LOCAL(pack_group)(dtype, (const uint8_t *)source + r * row_bytes, row_bytes, rows - r < GROUP ? rows - r : GROUP, 0, blocks,
                             (uint8_t *)destination + r / GROUP * group_bytes(f, blocks));
    return;
  }
  if (width == 4) pack_floats(source, 4, rows, cols, destination);
  else pack_floats(source, 2, rows, cols, destination);
}
