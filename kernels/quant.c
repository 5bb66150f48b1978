/* Products with block-quantised weights: quantised rows, linear_q, grouped_linear_q, head_linear_q and grouped_swiglu_q.
 *
 * Activations are 16-bit whole numbers in blocks of 32 with one f32 scale (src/tensor/ops/activations.ts); a row of K elements is
 * K/32 scales, K/16 sums of 16 elements, K codes. Per block and output, the products of codes are summed exactly in 32-bit integers
 * (times the six-bit scales, where a type has one per 16 elements); then, block after block,
 *     acc = fma(float(sum), d * dx, acc)        and, where the type has minima,   acc = acc - min * (dx * sum of x)
 * from residual + bias on. Both ways below do exactly this, so a row's bits depend neither on its neighbours nor on the way.
 *
 * Few rows (decode): weights are unpacked in registers, eight rows at once, and meet one to four rows of activations.
 * Many rows (prefill): a strip of weights is unpacked to 16-bit values once, stays in the first-level cache, and all rows pass by.
 * Weights that are not packed are packed strip by strip on the way, which is slower but needs no second copy in memory. */
#include "quant.h"

#define VECTORS (GROUP / VF) /* a group's 8 rows × 2 elements take so many vectors */
#define STRIP 16             /* blocks per strip */
/* Fewer rows than this: unpack in registers. Narrow vectors leave no registers for more than two. */
#if WEIR_AVX2
#define FEW 5
#else
#define FEW 3
#endif
#define ROLLED _Pragma("GCC unroll 1")
#define TASK_ROWS 132 /* a multiple of AT_ONCE, whether 3 or 4 */

#if WEIR_AVX2
#define v16_shr(v, n) _mm256_srli_epi16(v, n)
#define v16_shl(v, n) _mm256_slli_epi16(v, n)
WEIR_INLINE vi v16_set1(int x) { return _mm256_set1_epi16((short)x); }
WEIR_INLINE vi v16_or(vi a, vi b) { return _mm256_or_si256(a, b); }
WEIR_INLINE vi v16_sub(vi a, vi b) { return _mm256_sub_epi16(a, b); }
WEIR_INLINE vi v16_mul(vi a, vi b) { return _mm256_mullo_epi16(a, b); }
WEIR_INLINE vi v32_mul(vi a, vi b) { return _mm256_mullo_epi32(a, b); }
/* a0·b0 + a1·b1 per pair of 16-bit lanes */
WEIR_INLINE vi pair_mul(vi a, vi b) { return _mm256_madd_epi16(a, b); }
WEIR_INLINE vi load_bytes_as_16(const uint8_t *p) { return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p)); }
WEIR_INLINE vi v16_lookup(vi index, const uint8_t *table) {
  vi t = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table));
  return _mm256_shuffle_epi8(t, _mm256_or_si256(index, _mm256_set1_epi16((short)0x8000)));
}
WEIR_INLINE vi load_u8_as_32(const uint8_t *p) { return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)); }
WEIR_INLINE vi v32_pack_scale(vi s) { return _mm256_or_si256(_mm256_and_si256(s, _mm256_set1_epi32(0xffff)), _mm256_slli_epi32(s, 16)); }
#elif WEIR_SSE2
#define v16_shr(v, n) _mm_srli_epi16(v, n)
#define v16_shl(v, n) _mm_slli_epi16(v, n)
WEIR_INLINE vi v16_set1(int x) { return _mm_set1_epi16((short)x); }
WEIR_INLINE vi v16_or(vi a, vi b) { return _mm_or_si128(a, b); }
WEIR_INLINE vi v16_sub(vi a, vi b) { return _mm_sub_epi16(a, b); }
WEIR_INLINE vi v16_mul(vi a, vi b) { return _mm_mullo_epi16(a, b); }
WEIR_INLINE vi v32_mul(vi a, vi b) {
  __m128i even = _mm_mul_epu32(a, b), odd = _mm_mul_epu32(_mm_srli_epi64(a, 32), _mm_srli_epi64(b, 32));
  return _mm_unpacklo_epi32(_mm_shuffle_epi32(even, 0x08), _mm_shuffle_epi32(odd, 0x08));
}
WEIR_INLINE vi pair_mul(vi a, vi b) { return _mm_madd_epi16(a, b); }
WEIR_INLINE vi load_bytes_as_16(const uint8_t *p) {
  __m128i v = _mm_loadl_epi64((const __m128i *)p);
  return _mm_srai_epi16(_mm_unpacklo_epi8(v, v), 8);
}
static __attribute__((noinline)) vi v16_lookup(vi index, const uint8_t *table) {
  uint16_t lanes[8];
  _mm_storeu_si128((__m128i *)lanes, index);
  for (int i = 0; i < 8; i++) lanes[i] = table[lanes[i]];
  return _mm_loadu_si128((const __m128i *)lanes);
}
WEIR_INLINE vi load_u8_as_32(const uint8_t *p) { return _mm_setr_epi32(p[0], p[1], p[2], p[3]); }
WEIR_INLINE vi v32_pack_scale(vi s) { return _mm_or_si128(_mm_and_si128(s, _mm_set1_epi32(0xffff)), _mm_slli_epi32(s, 16)); }
#elif WEIR_NEON
#define U16(v) vreinterpretq_u16_s32(v)
#define S16(v) vreinterpretq_s16_s32(v)
#define v16_shr(v, n) vreinterpretq_s32_u16(vshlq_u16(U16(v), vdupq_n_s16(-(n))))
#define v16_shl(v, n) vreinterpretq_s32_u16(vshlq_u16(U16(v), vdupq_n_s16(n)))
WEIR_INLINE vi v16_set1(int x) { return vreinterpretq_s32_s16(vdupq_n_s16((int16_t)x)); }
WEIR_INLINE vi v16_or(vi a, vi b) { return vorrq_s32(a, b); }
WEIR_INLINE vi v16_sub(vi a, vi b) { return vreinterpretq_s32_s16(vsubq_s16(S16(a), S16(b))); }
WEIR_INLINE vi v16_mul(vi a, vi b) { return vreinterpretq_s32_s16(vmulq_s16(S16(a), S16(b))); }
WEIR_INLINE vi v32_mul(vi a, vi b) { return vmulq_s32(a, b); }
WEIR_INLINE vi pair_mul(vi a, vi b) {
  int32x4_t low = vmull_s16(vget_low_s16(S16(a)), vget_low_s16(S16(b)));
  return vpaddq_s32(low, vmull_high_s16(S16(a), S16(b)));
}
WEIR_INLINE vi load_bytes_as_16(const uint8_t *p) { return vreinterpretq_s32_s16(vmovl_s8(vld1_s8((const int8_t *)p))); }
WEIR_INLINE vi v16_lookup(vi index, const uint8_t *table) {
  uint8x16_t at = vorrq_u8(vreinterpretq_u8_s32(index), vreinterpretq_u8_u16(vdupq_n_u16(0x8000)));
  return vreinterpretq_s32_u8(vqtbl1q_u8(vld1q_u8(table), at));
}
WEIR_INLINE vi load_u8_as_32(const uint8_t *p) { return (vi){p[0], p[1], p[2], p[3]}; }
WEIR_INLINE vi v32_pack_scale(vi s) { return vorrq_s32(vandq_s32(s, vdupq_n_s32(0xffff)), vshlq_n_s32(s, 16)); }
#else
#define v16_shr(v, n) wasm_u16x8_shr(v, n)
#define v16_shl(v, n) wasm_i16x8_shl(v, n)
WEIR_INLINE vi v16_set1(int x) { return wasm_i16x8_splat((int16_t)x); }
WEIR_INLINE vi v16_or(vi a, vi b) { return wasm_v128_or(a, b); }
WEIR_INLINE vi v16_sub(vi a, vi b) { return wasm_i16x8_sub(a, b); }
WEIR_INLINE vi v16_mul(vi a, vi b) { return wasm_i16x8_mul(a, b); }
WEIR_INLINE vi v32_mul(vi a, vi b) { return wasm_i32x4_mul(a, b); }
WEIR_INLINE vi pair_mul(vi a, vi b) { return wasm_i32x4_dot_i16x8(a, b); }
WEIR_INLINE vi load_bytes_as_16(const uint8_t *p) { return wasm_i16x8_load8x8(p); }
WEIR_INLINE vi v16_lookup(vi index, const uint8_t *table) {
  return wasm_i8x16_swizzle(wasm_v128_load(table), wasm_v128_or(index, wasm_i16x8_splat((int16_t)0x8000)));
}
WEIR_INLINE vi load_u8_as_32(const uint8_t *p) { return wasm_u32x4_extend_low_u16x8(wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(p))); }
WEIR_INLINE vi v32_pack_scale(vi s) { return wasm_v128_or(wasm_v128_and(s, wasm_i32x4_splat(0xffff)), wasm_i32x4_shl(s, 16)); }
#endif
/* acc + pair_mul(a, b). The empty asm keeps GCC from making a tree of a chain of these, for which the registers do not suffice. */
WEIR_INLINE vi pair_dot(vi acc, vi a, vi b) {
  acc = vi_add(acc, pair_mul(a, b));
#if WEIR_AVX2
  __asm__("" : "+x"(acc));
#endif
  return acc;
}
WEIR_INLINE vi load_16(const void *p) { return vi_load(p); }
WEIR_INLINE vi pair_of(const int16_t *p) {
#if WEIR_WASM
  return wasm_v128_load32_splat(p);
#else
  int32_t both;
  memcpy(&both, p, 4);
  return vi_set1(both);
#endif
}
/* Half-precision scales; where the machine cannot convert them, by bits (infinities do not occur among scales). */
WEIR_INLINE vf load_scales(const uint8_t *p) {
#if WEIR_SSE2 || WEIR_WASM
#if WEIR_WASM
  vi h = wasm_u32x4_load16x4(p);
#else
  vi h = _mm_unpacklo_epi16(_mm_loadl_epi64((const __m128i *)p), _mm_setzero_si128());
#endif
  vf magnitude = vf_mul(vf_bits(vi_shl(vi_and(h, vi_set1(0x7fff)), 13)), vf_set1(0x1p112f));
  return vf_or(magnitude, vf_bits(vi_shl(vi_and(h, vi_set1(0x8000)), 16)));
#else
  return vf_load_f16((const uint16_t *)p);
#endif
}

/* ---- quantised rows ------------------------------------------------------------------------------------------------------------- */

typedef struct {
  float *scales;
  int32_t *sums;
  int16_t *codes;
} quantized_row;

#define ROW_BYTES(k) ((k) / BLOCK * 76)
WEIR_INLINE quantized_row row_at(const void *base, int64_t row, int64_t k) {
  char *at = (char *)base + row * ROW_BYTES(k);
  return (quantized_row){(float *)at, (int32_t *)(at + k / BLOCK * 4), (int16_t *)(at + k / BLOCK * 12)};
}

static void quantize_block(const float *x, quantized_row row, int64_t b) {
  vf largest = vf_zero(), sane = vf_eq(vf_zero(), vf_zero());
  for (int j = 0; j < BLOCK; j += VF) {
    vf v = vf_load(x + j);
    largest = vf_max(vf_abs(v), largest);
    sane = vf_and(sane, vf_eq(v, v));
  }
  float most = vf_hmax(largest);
  float none = vf_hmax(vf_neg(vf_and(sane, vf_set1(1)))); /* 0 where some element is no number */
  int nothing = most < 1e-30f;
  float scale = nothing ? 0 : most / 16383.0f, inverse = nothing ? 0 : 16383.0f / most;
  row.scales[b] = none == 0 ? __builtin_nanf("") : scale;
  vi lanes[BLOCK / VF];
  UNROLL for (int j = 0; j < BLOCK / VF; j++) lanes[j] = vi_round(vf_mul(vf_load(x + j * VF), vf_set1(inverse)));
  int32_t codes[BLOCK], sum = 0;
  UNROLL for (int j = 0; j < BLOCK / VF; j++) vi_store(codes + j * VF, lanes[j]);
  int16_t *to = row.codes + b * BLOCK;
  for (int j = 0; j < BLOCK; j++) to[j] = (int16_t)codes[j];
  for (int j = 0; j < 16; j++) sum += to[j];
  row.sums[2 * b] = sum;
  sum = 0;
  for (int j = 16; j < 32; j++) sum += to[j];
  row.sums[2 * b + 1] = sum;
}

WEIR_KERNEL(quantize_rows) {
  int64_t k = weir_cols(c->in[0]), blocks = k / BLOCK, begin, end;
  const float *x = c->in[0]->data;
  weir_range(c, weir_rows(c->in[0]) * blocks, 4, &begin, &end);
  for (int64_t i = begin; i < end; i++) quantize_block(x + i * BLOCK, row_at(c->out[0]->data, i / blocks, k), i % blocks);
}

/* ---- unpacking ---------------------------------------------------------------------------------------------------------------------- */

/* Pairs 4i … 4i + 3 of a block's codes, before the offset is taken off. */
WEIR_INLINE void unpack_codes(const format f, const uint8_t *codes, const int i, vi w[4][VECTORS]) {
  UNROLL for (int v = 0; v < VECTORS; v++) {
    if (f.codes == CODES_8) {
      UNROLL for (int n = 0; n < 4; n++) w[n][v] = load_bytes_as_16(codes + (4 * i + n) * 16 + v * 2 * VF);
      continue;
    }
    vi low = load_16(codes + 32 * i + v * 4 * VF), nibble = v16_set1(15);
    w[0][v] = vi_and(low, nibble);
    w[1][v] = vi_and(v16_shr(low, 4), nibble);
    w[2][v] = vi_and(v16_shr(low, 8), nibble);
    w[3][v] = v16_shr(low, 12);
    if (f.table) UNROLL for (int n = 0; n < 4; n++) w[n][v] = v16_lookup(w[n][v], f.table);
    if (f.codes == CODES_5) {
      vi high = load_16(codes + 128 + v * 4 * VF), bit = v16_set1(16);
      /* bit 4i + n of the lane comes to bit 4 */
      if (i == 0) {
        w[0][v] = v16_or(w[0][v], vi_and(v16_shl(high, 4), bit));
        w[1][v] = v16_or(w[1][v], vi_and(v16_shl(high, 3), bit));
        w[2][v] = v16_or(w[2][v], vi_and(v16_shl(high, 2), bit));
        w[3][v] = v16_or(w[3][v], vi_and(v16_shl(high, 1), bit));
      } else {
        vi at = i == 1 ? high : i == 2 ? v16_shr(high, 4) : v16_shr(high, 8);
        w[0][v] = v16_or(w[0][v], vi_and(at, bit));
        w[1][v] = v16_or(w[1][v], vi_and(v16_shr(at, 1), bit));
        w[2][v] = v16_or(w[2][v], vi_and(v16_shr(at, 2), bit));
        w[3][v] = v16_or(w[3][v], vi_and(v16_shr(at, 3), bit));
      }
    }
    if (f.codes == CODES_6) {
      vi high = load_16(codes + 128 + 32 * (i >> 1) + v * 4 * VF), bits = v16_set1(48);
      if (i & 1) high = v16_shr(high, 8);
      w[0][v] = v16_or(w[0][v], vi_and(v16_shl(high, 4), bits));
      w[1][v] = v16_or(w[1][v], vi_and(v16_shl(high, 2), bits));
      w[2][v] = v16_or(w[2][v], vi_and(high, bits));
      w[3][v] = v16_or(w[3][v], vi_and(v16_shr(high, 2), bits));
    }
  }
}

/* f32 scale of a block per row, and its minima (one, or one per half). */
WEIR_INLINE void unpack_scales(const format f, const uint8_t *head, const uint8_t *own, const int v, vf *scale, vf min[2]) {
  const int at = v * VF;
  switch (f.scale) {
    case SCALE_16: *scale = load_scales(own + 2 * at); break;
    case SCALE_16M:
      *scale = load_scales(own + 2 * at);
      min[0] = vf_neg(load_scales(own + 16 + 2 * at));
      break;
    case SCALE_32: *scale = vf_load((const float *)own + at); break;
    case SCALE_K:
      *scale = vf_mul(load_scales(head + 2 * at), vf_from_i32(load_u8_as_32(own + at)));
      min[0] = vf_mul(load_scales(head + 16 + 2 * at), vf_from_i32(load_u8_as_32(own + 8 + at)));
      break;
    case SCALE_K16: *scale = load_scales(head + 2 * at); break;
    case SCALE_K16M:
      *scale = load_scales(head + 2 * at);
      UNROLL for (int h = 0; h < 2; h++) min[h] = vf_mul(load_scales(head + 16 + 2 * at), vf_from_i32(load_u8_as_32(own + 16 + 8 * h + at)));
      break;
  }
}
WEIR_INLINE int minima(const format f) { return f.scale == SCALE_16M || f.scale == SCALE_K ? 1 : f.scale == SCALE_K16M ? 2 : 0; }
WEIR_INLINE int by_half(const format f) { return f.scale == SCALE_K16 || f.scale == SCALE_K16M; }

/* acc after one block. */
WEIR_INLINE vf add_block(const int mins, vf acc, vi sum, vf scale, const vf min[2], float dx, const int32_t *sums) {
  acc = vf_fma(vf_from_i32(sum), vf_mul(scale, vf_set1(dx)), acc);
  if (mins == 1) acc = vf_fnma(min[0], vf_set1(dx * (float)(sums[0] + sums[1])), acc);
  if (mins == 2) {
    acc = vf_fnma(min[0], vf_set1(dx * (float)sums[0]), acc);
    acc = vf_fnma(min[1], vf_set1(dx * (float)sums[1]), acc);
  }
  return acc;
}

/* ---- few rows ------------------------------------------------------------------------------------------------------------------------ */

/* Adds the products of pairs 4i … 4i + 3. */
WEIR_INLINE void few_quarter(const format f, const int R, const int G, const int i, const uint8_t *packed, int64_t apart,
                             const quantized_row *x, int64_t b, vi sum[2][4][2][VECTORS]) {
  const int h = by_half(f) && i >= 2;
  UNROLL for (int g = 0; g < G; g++) {
    vi w[4][VECTORS];
    unpack_codes(f, packed + g * apart + format_scales(f), i, w);
    UNROLL for (int n = 0; n < 4; n++) UNROLL for (int r = 0; r < R; r++) {
      vi pair = pair_of(x[r].codes + b * BLOCK + 2 * (4 * i + n));
      UNROLL for (int v = 0; v < VECTORS; v++) sum[h][r][g][v] = pair_dot(sum[h][r][g][v], w[n][v], pair);
    }
  }
}

/* One to FEW - 1 rows of activations times G groups that lie `apart` bytes from each other, over blocks b0 … b1 (packed[0] is b0);
 * c[r][8g …] holds the sums so far. */
WEIR_INLINE void few_rows(const format f, const int R, const int G, const uint8_t *packed, int64_t apart, int64_t b0, int64_t b1,
                          const quantized_row *x, float *c, int64_t ldc) {
  vf acc[4][2][VECTORS];
  UNROLL for (int r = 0; r < R; r++)
    UNROLL for (int g = 0; g < G; g++) UNROLL for (int v = 0; v < VECTORS; v++) acc[r][g][v] = vf_load(c + r * ldc + g * GROUP + v * VF);
  const uint8_t *head = packed;
  for (int64_t b = b0; b < b1; b++) {
    if (format_head(f) && (b & 7) == 0) {
      head = packed;
      packed += format_head(f);
    }
    vi sum[2][4][2][VECTORS];
    UNROLL for (int h = 0; h < 2; h++)
      UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int g = 0; g < G; g++) UNROLL for (int v = 0; v < VECTORS; v++) sum[h][r][g][v] = vi_zero();
    if (f.codes == CODES_8 && VF == 4) ROLLED for (int i = 0; i < 4; i++) few_quarter(f, R, G, i, packed, apart, x, b, sum);
    else UNROLL for (int i = 0; i < 4; i++) few_quarter(f, R, G, i, packed, apart, x, b, sum);
    UNROLL for (int g = 0; g < G; g++) UNROLL for (int v = 0; v < VECTORS; v++) {
      vf scale, min[2];
      unpack_scales(f, head + g * apart, packed + g * apart, v, &scale, min);
      vi part[2];
      if (by_half(f)) UNROLL for (int h = 0; h < 2; h++) part[h] = vi_load_s8((const int8_t *)packed + g * apart + 8 * h + v * VF);
      UNROLL for (int r = 0; r < R; r++) {
        const int32_t *sums = x[r].sums + 2 * b;
        vi total = sum[0][r][g][v];
        if (by_half(f)) {
          UNROLL for (int h = 0; h < 2; h++) sum[h][r][g][v] = v32_mul(vi_sub(sum[h][r][g][v], vi_set1(f.offset * sums[h])), part[h]);
          total = vi_add(sum[0][r][g][v], sum[1][r][g][v]);
        } else if (f.offset) {
          total = vi_sub(total, vi_set1(f.offset * (sums[0] + sums[1])));
        }
        acc[r][g][v] = add_block(minima(f), acc[r][g][v], total, scale, min, x[r].scales[b], sums);
      }
    }
    packed += format_step(f);
  }
  UNROLL for (int r = 0; r < R; r++)
    UNROLL for (int g = 0; g < G; g++) UNROLL for (int v = 0; v < VECTORS; v++) vf_store(c + r * ldc + g * GROUP + v * VF, acc[r][g][v]);
}

/* ---- many rows ------------------------------------------------------------------------------------------------------------------------- */

/* A strip of weights as 16-bit values (six-bit scales multiplied in): [block][pair][group][row][e]. */
#if WEIR_AVX2
#define SIDE 2 /* groups side by side */
#define BY_PAIR UNROLL
#define BY_PAIR_FIRST(j) ((j) == 0)
#define AT_ONCE 3 /* rows of activations: with four, the compiler keeps a running sum in memory and halves the speed */
#else
#define SIDE 1
#define AT_ONCE 4
#define BY_PAIR ROLLED /* unrolled, it has so many values alive that V8 keeps the sums in memory */
#define BY_PAIR_FIRST(j) 0
#endif
typedef struct {
  int16_t values[STRIP * 16 * SIDE * GROUP * 2];
  float scale[STRIP][SIDE * GROUP];
  float min[STRIP][2][SIDE * GROUP];
} strip __attribute__((aligned(64)));

WEIR_INLINE void unpack_strip_of(const format f, const uint8_t *packed, int64_t b0, int64_t b1, int side, strip *s) {
  const uint8_t *head = packed;
  for (int64_t b = 0; b < b1 - b0; b++) {
    if (format_head(f) && ((b0 + b) & 7) == 0) {
      head = packed;
      packed += format_head(f);
    }
    UNROLL for (int v = 0; v < VECTORS; v++) {
      vf scale, min[2];
      unpack_scales(f, head, packed, v, &scale, min);
      vf_store(&s->scale[b][side * GROUP + v * VF], scale);
      UNROLL for (int h = 0; h < minima(f); h++) vf_store(&s->min[b][h][side * GROUP + v * VF], min[h]);
    }
    UNROLL for (int i = 0; i < 4; i++) {
      vi w[4][VECTORS];
      unpack_codes(f, packed + format_scales(f), i, w);
      UNROLL for (int v = 0; v < VECTORS; v++) {
        vi part;
        if (by_half(f)) part = v32_pack_scale(vi_load_s8((const int8_t *)packed + 8 * (i >> 1) + v * VF));
        UNROLL for (int n = 0; n < 4; n++) {
          vi x = w[n][v];
          if (f.offset) x = v16_sub(x, v16_set1(f.offset));
          if (by_half(f)) x = v16_mul(x, part);
          vi_store((int32_t *)&s->values[(((b * 16 + 4 * i + n) * SIDE + side) * GROUP + v * VF) * 2], x);
        }
      }
    }
    packed += format_step(f);
  }
}

/* R rows of activations times a strip; SIDE groups at once. */
WEIR_INLINE void strip_rows(const int mins, const int R, const strip *s, int64_t b0, int64_t b1, const quantized_row *x, float *c, int64_t ldc) {
  vf acc[AT_ONCE][SIDE * VECTORS];
  UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < SIDE * VECTORS; v++) acc[r][v] = vf_load(c + r * ldc + v * VF);
  for (int64_t b = b0; b < b1; b++) {
    vi sum[AT_ONCE][SIDE * VECTORS];
    const int16_t *values = s->values + (b - b0) * 16 * SIDE * GROUP * 2;
    const int16_t *from[AT_ONCE];
    UNROLL for (int r = 0; r < R; r++) from[r] = x[r].codes + b * BLOCK;
    UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < SIDE * VECTORS; v++) sum[r][v] = vi_zero();
    BY_PAIR for (int j = 0; j < 16; j++) {
      vi w[SIDE * VECTORS];
      UNROLL for (int v = 0; v < SIDE * VECTORS; v++) w[v] = load_16(values + (j * SIDE * GROUP + v * VF) * 2);
      UNROLL for (int r = 0; r < R; r++) {
        vi pair = pair_of(from[r] + 2 * j);
        UNROLL for (int v = 0; v < SIDE * VECTORS; v++) sum[r][v] = BY_PAIR_FIRST(j) ? pair_mul(w[v], pair) : pair_dot(sum[r][v], w[v], pair);
      }
    }
    UNROLL for (int v = 0; v < SIDE * VECTORS; v++) {
      vf scale = vf_load(&s->scale[b - b0][v * VF]), min[2];
      UNROLL for (int h = 0; h < mins; h++) min[h] = vf_load(&s->min[b - b0][h][v * VF]);
      UNROLL for (int r = 0; r < R; r++) acc[r][v] = add_block(mins, acc[r][v], sum[r][v], scale, min, x[r].scales[b], x[r].sums + 2 * b);
    }
  }
  UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < SIDE * VECTORS; v++) vf_store(c + r * ldc + v * VF, acc[r][v]);
}
static void strip_times_rows(int mins, int R, const strip *s, int64_t b0, int64_t b1, const quantized_row *x, float *c, int64_t ldc) {
#define CASE(N)                                                       \
  case N:                                                             \
    if (mins == 0) strip_rows(0, N, s, b0, b1, x, c, ldc);            \
    else if (mins == 1) strip_rows(1, N, s, b0, b1, x, c, ldc);       \
    else strip_rows(2, N, s, b0, b1, x, c, ldc);                      \
    break;
  switch (R) {
    CASE(1) CASE(2) CASE(3)
#if AT_ONCE > 3
    CASE(4)
#endif
  }
#undef CASE
}

/* ---- by type ------------------------------------------------------------------------------------------------------------------------------ */

typedef void few_method(const uint8_t *packed, int64_t apart, int64_t b0, int64_t b1, const quantized_row *x, float *c, int64_t ldc);
typedef struct {
  few_method *one, *two, *four, *one_by_two; /* rows; the last: two groups at once */
  void (*unpack)(const uint8_t *packed, int64_t b0, int64_t b1, int side, strip *s);
} methods;

#define FEW_OF(type, R, G)                                                                                                       \
  static void few_##type##_##R##_##G(const uint8_t *p, int64_t apart, int64_t b0, int64_t b1, const quantized_row *x, float *c, \
                                     int64_t ldc) {                                                                              \
    few_rows(format_of(WEIR_##type), R, G, p, apart, b0, b1, x, c, ldc);                                                         \
  }
#define UNPACK_OF(type)                                                                          \
  static void unpack_##type(const uint8_t *p, int64_t b0, int64_t b1, int side, strip *s) {      \
    unpack_strip_of(format_of(WEIR_##type), p, b0, b1, side, s);                                 \
  }
#if WEIR_AVX2
#define METHODS(type)                                                             \
  FEW_OF(type, 1, 1) FEW_OF(type, 2, 1) FEW_OF(type, 4, 1) FEW_OF(type, 1, 2)     \
  UNPACK_OF(type)                                                                 \
  static const methods methods_##type = {few_##type##_1_1, few_##type##_2_1, few_##type##_4_1, few_##type##_1_2, unpack_##type};
#else
#define METHODS(type)                       \
  FEW_OF(type, 1, 1) FEW_OF(type, 2, 1)     \
  UNPACK_OF(type)                           \
  static const methods methods_##type = {few_##type##_1_1, few_##type##_2_1, NULL, NULL, unpack_##type};
#endif
METHODS(Q8_0) METHODS(Q4_0) METHODS(Q4_1) METHODS(Q5_0) METHODS(Q5_1) METHODS(IQ4_NL) METHODS(MXFP4) METHODS(IQ4_XS)
METHODS(Q2_K) METHODS(Q3_K) METHODS(Q4_K) METHODS(Q5_K) METHODS(Q6_K)

static const methods *methods_of(int32_t dtype) {
  switch (dtype) {
#define CASE(type) \
  case WEIR_##type: return &methods_##type;
    CASE(Q8_0) CASE(Q4_0) CASE(Q4_1) CASE(Q5_0) CASE(Q5_1) CASE(IQ4_NL) CASE(MXFP4) CASE(IQ4_XS) CASE(Q2_K) CASE(Q3_K) CASE(Q4_K) CASE(Q5_K) CASE(Q6_K)
#undef CASE
  }
  return NULL;
}

/* ---- products ------------------------------------------------------------------------------------------------------------------------------ */

typedef struct {
  const void *x;         /* quantised rows of k elements */
  int64_t first, step;   /* row r of the product is row first + r * step of x, */
  const int32_t *gather; /* or row gather[r] */
  const uint8_t *w;      /* one matrix [n, k] */
  int32_t dtype;
  int64_t n, k, m;
  float *c; /* c(r, j) = c[r * ldc + j] */
  int64_t ldc;
  const float *bias, *residual; /* residual lies as c does */
} product;

static quantized_row row_of(const product *g, int64_t r) { return row_at(g->x, g->gather ? g->gather[r] : g->first + r * g->step, g->k); }

/* Bytes of one matrix. */
static int64_t matrix_bytes(int32_t dtype, int64_t n, int64_t k) {
  format f = format_of(dtype % WEIR_PACKED);
  return dtype >= WEIR_PACKED ? (n + GROUP - 1) / GROUP * group_bytes(f, k / BLOCK) : n * (k / f.block * f.bytes);
}

/* Blocks b0 … b1 of group g: in place where packed, else packed into `into`. */
static const uint8_t *packed_blocks(const product *p, const format f, int64_t group, int64_t b0, int64_t b1, uint8_t *into) {
  if (p->dtype >= WEIR_PACKED) return p->w + group * group_bytes(f, p->k / BLOCK) + group_bytes(f, b0);
  int64_t row_bytes = p->k / f.block * f.bytes, left = p->n - group * GROUP;
  WEIR_LOCAL(pack_group)(p->dtype, p->w + group * GROUP * row_bytes, row_bytes, left < GROUP ? left : GROUP, b0, b1, into);
  return into;
}

static void start_row(float *to, const float *residual, const float *bias, int64_t n) {
  if (residual && bias) for (int64_t i = 0; i < n; i++) to[i] = residual[i] + bias[i];
  else if (residual || bias) memmove(to, residual ? residual : bias, (size_t)n * 4);
  else if (n == 2 * GROUP) for (int i = 0; i < 2 * GROUP; i += VF) vf_store(to + i, vf_zero());
  else memset(to, 0, (size_t)n * 4);
}

/* Rows r0 … r1 times groups g0 … g1. */
static void product_task(const product *p, int64_t r0, int64_t r1, int64_t g0, int64_t g1) {
  const int32_t plain = p->dtype % WEIR_PACKED;
  const format f = format_of(plain);
  const methods *way = methods_of(plain);
  const int64_t blocks = p->k / BLOCK, rows = r1 - r0;
  const int packed = p->dtype >= WEIR_PACKED;
  quantized_row x[TASK_ROWS];
  for (int64_t r = 0; r < rows; r++) x[r] = row_of(p, r0 + r);
  if (rows == 3) x[3] = x[2]; /* three few rows are computed as four */
  float edge[TASK_ROWS * 2 * GROUP] __attribute__((aligned(64)));
  uint8_t aside[2][MOST_GROUP_BYTES(STRIP)] __attribute__((aligned(64)));
  strip s;
  for (int64_t g = g0; g < g1;) {
    int64_t side = rows < FEW ? (rows == 1 && way->one_by_two ? 2 : 1) : SIDE;
    if (side > g1 - g) side = g1 - g;
    const int64_t width = rows < FEW ? side * GROUP : SIDE * GROUP, first = g * GROUP;
    const int64_t n = p->n - first < side * GROUP ? p->n - first : side * GROUP;
    /* Sums run in the output itself; aside where it has no room for whole groups, or for the fourth of three rows. */
    const int direct = n == width && rows != 3;
    float *c = p->c + r0 * p->ldc + first, *to = direct ? c : edge;
    const int64_t ld = direct ? p->ldc : width;
    const float *bias = p->bias ? p->bias + first : NULL, *residual = p->residual ? p->residual + r0 * p->ldc + first : NULL;
    for (int64_t r = 0; r < rows; r++) start_row(to + r * ld, residual ? residual + r * p->ldc : NULL, bias, n);
    const int64_t depth = packed && rows < FEW ? blocks : STRIP;
    for (int64_t b0 = 0; b0 < blocks; b0 += depth) {
      const int64_t b1 = b0 + depth < blocks ? b0 + depth : blocks;
      const uint8_t *from[2] = {NULL, NULL};
      for (int64_t i = 0; i < side; i++) from[i] = packed_blocks(p, f, g + i, b0, b1, aside[i]);
      if (rows < FEW) {
        few_method *few = rows == 1 ? (side == 2 ? way->one_by_two : way->one) : rows == 2 ? way->two : way->four;
        few(from[0], side == 2 ? from[1] - from[0] : 0, b0, b1, x, to, ld);
        continue;
      }
      for (int64_t i = 0; i < side; i++) way->unpack(from[i], b0, b1, (int)i, &s);
      for (int64_t r = 0; r < rows; r += AT_ONCE)
        strip_times_rows(minima(f), rows - r < AT_ONCE ? (int)(rows - r) : AT_ONCE, &s, b0, b1, x + r, to + r * ld, ld);
    }
    if (!direct) for (int64_t r = 0; r < rows; r++) memcpy(c + r * p->ldc, edge + r * width, (size_t)n * 4);
    g += side;
  }
}

/* Row `row` of a matrix [n, k] of blocks as floats: unpacked with the seven rows beside it. */
void WEIR_LOCAL(quant_row)(int32_t dtype, const void *w, int64_t n, int64_t k, int64_t row, float *out) {
  const product p = {.w = w, .dtype = dtype, .n = n, .k = k};
  const format f = format_of(dtype % WEIR_PACKED);
  const methods *way = methods_of(dtype % WEIR_PACKED);
  const int mins = minima(f);
  const int64_t r = row % GROUP;
  uint8_t aside[MOST_GROUP_BYTES(STRIP)] __attribute__((aligned(64)));
  strip s;
  for (int64_t b0 = 0; b0 < k / BLOCK; b0 += STRIP) {
    const int64_t b1 = b0 + STRIP < k / BLOCK ? b0 + STRIP : k / BLOCK;
    way->unpack(packed_blocks(&p, f, row / GROUP, b0, b1, aside), b0, b1, 0, &s);
    for (int64_t b = 0; b < b1 - b0; b++)
      for (int64_t i = 0; i < BLOCK; i++) {
        const float min = mins ? s.min[b][mins == 2 ? i / 16 : 0][r] : 0;
        *out++ = s.scale[b][r] * (float)s.values[((b * 16 + i / 2) * SIDE * GROUP + r) * 2 + i % 2] - min;
      }
  }
}

/* How the rows and groups of a product are cut into tasks; groups per task in multiples of `grain`. */
typedef struct {
  int64_t blocks, rows, parts, groups;
} cut;
static cut cut_product(int64_t m, int64_t groups, int64_t k, int64_t wanted, int64_t grain) {
  int64_t fit = (256 << 10) / ROW_BYTES(k); /* rows that stay in the second-level cache */
  if (fit < 48) fit = 48;
  if (fit > TASK_ROWS) fit = TASK_ROWS;
  cut t = {(m + fit - 1) / fit, 0, 0, 0};
  t.rows = t.blocks ? ((m + t.blocks - 1) / t.blocks + AT_ONCE - 1) / AT_ONCE * AT_ONCE : 1;
  t.blocks = (m + t.rows - 1) / t.rows;
  int64_t parts = t.blocks ? (wanted + t.blocks - 1) / t.blocks : 1;
  int64_t work = k * (m < t.rows ? m : t.rows) * GROUP; /* of one group */
  int64_t most = groups * work / (1 << 16);             /* parts that are worth their overhead */
  if (parts > most) parts = most > 0 ? most : 1;
  t.groups = ((groups + parts - 1) / parts + grain - 1) / grain * grain;
  if (t.groups < grain) t.groups = grain;
  t.parts = (groups + t.groups - 1) / t.groups;
  return t;
}

static void run_products(const weir_call *c, int64_t count, void (*describe)(const weir_call *, int64_t, product *)) {
  int64_t task = weir_next(c, 0, 1), before = 0, wanted = c->nth == 1 ? 1 : 4 * c->nth / (count < 4 * c->nth ? count : 4 * c->nth);
  for (int64_t i = 0; i < count; i++) {
    product p;
    describe(c, i, &p);
    if (p.m == 0 || p.n == 0) continue;
    int64_t groups = (p.n + GROUP - 1) / GROUP;
    cut t = cut_product(p.m, groups, p.k, wanted, 2);
    for (; task < before + t.blocks * t.parts; task = weir_next(c, 0, 1)) {
      int64_t r0 = (task - before) / t.parts * t.rows, g0 = (task - before) % t.parts * t.groups;
      product_task(&p, r0, r0 + t.rows < p.m ? r0 + t.rows : p.m, g0, g0 + t.groups < groups ? g0 + t.groups : groups);
    }
    before += t.blocks * t.parts;
  }
}

static void describe_linear(const weir_call *c, int64_t i, product *p) {
  (void)i;
  const weir_tensor *w = c->in[1], *y = c->out[0];
  *p = (product){.x = c->in[0]->data, .step = 1, .w = w->data, .dtype = w->dtype, .n = w->dim[0], .k = w->dim[1], .m = weir_rows(y),
                 .c = y->data, .ldc = w->dim[0], .bias = c->in[2] ? c->in[2]->data : NULL,
                 .residual = c->in[3] ? c->in[3]->data : NULL};
}
WEIR_KERNEL(linear_q) { run_products(c, 1, describe_linear); }

static void describe_grouped(const weir_call *c, int64_t e, product *p) {
  const weir_tensor *w = c->in[1];
  const int32_t *offsets = c->in[2]->data, *rows = c->in[3] ? c->in[3]->data : NULL;
  int64_t n = w->dim[1], k = w->dim[2], from = offsets[e];
  *p = (product){.x = c->in[0]->data, .first = from, .step = 1, .gather = rows ? rows + from : NULL,
                 .w = (const uint8_t *)w->data + e * matrix_bytes(w->dtype, n, k), .dtype = w->dtype, .n = n, .k = k,
                 .m = offsets[e + 1] - from, .c = (float *)c->out[0]->data + from * n, .ldc = n};
}
WEIR_KERNEL(grouped_linear_q) {
  int64_t n = weir_cols(c->out[0]), used = ((const int32_t *)c->in[2]->data)[c->in[2]->dim[0] - 1], begin, end;
  weir_range(c, weir_rows(c->out[0]) - used, 1, &begin, &end); /* rows of no expert */
  if (end > begin) memset((float *)c->out[0]->data + (used + begin) * n, 0, (size_t)((end - begin) * n) * 4);
  run_products(c, c->in[1]->dim[0], describe_grouped);
}

static void describe_head(const weir_call *c, int64_t h, product *p) {
  const weir_tensor *w = c->in[1], *y = c->out[0];
  int64_t heads = w->dim[0], b = w->dim[1], a = w->dim[2];
  *p = (product){.x = c->in[0]->data, .first = h, .step = heads, .w = (const uint8_t *)w->data + h * matrix_bytes(w->dtype, b, a),
                 .dtype = w->dtype, .n = b, .k = a, .m = y->dim[0], .c = (float *)y->data + h * b, .ldc = heads * b};
}
WEIR_KERNEL(head_linear_q) { run_products(c, c->in[1]->dim[0], describe_head); }

/* ---- gate, up, SwiGLU and quantisation in one -------------------------------------------------------------------------------------------- */

/* One block of 32 columns of silu(gate) · up for rows r0 … r1 of a product. */
static void swiglu_task(const product *gate, const product *up, int64_t r0, int64_t r1, int64_t block, float limit, void *h, int64_t first) {
  float g[TASK_ROWS * BLOCK] __attribute__((aligned(64))), u[TASK_ROWS * BLOCK] __attribute__((aligned(64)));
  product a = *gate, b = *up;
  a.c = g - (r0 * BLOCK + block * BLOCK);
  b.c = u - (r0 * BLOCK + block * BLOCK);
  a.ldc = b.ldc = BLOCK;
  const int64_t g0 = block * (BLOCK / GROUP), g1 = g0 + BLOCK / GROUP;
  product_task(&a, r0, r1, g0, g1);
  product_task(&b, r0, r1, g0, g1);
  for (int64_t r = r0; r < r1; r++) {
    float *y = g + (r - r0) * BLOCK;
    for (int i = 0; i < BLOCK; i += VF) {
      vf x = vf_load(y + i), z = vf_load(u + (r - r0) * BLOCK + i);
      if (limit > 0) {
        x = vf_min(vf_set1(limit), x);
        z = vf_max(vf_set1(-limit), vf_min(vf_set1(limit), z));
      }
      vf_store(y + i, vf_mul(vf_mul(x, vf_sigmoid(x)), z));
    }
    quantize_block(y, row_at(h, first + r, gate->n), block);
  }
}

WEIR_KERNEL(grouped_swiglu_q) {
  const weir_tensor *x = c->in[0], *wg = c->in[1], *wu = c->in[2], *h = c->out[0];
  const int32_t *offsets = c->in[3] ? c->in[3]->data : NULL, *rows = c->in[4] ? c->in[4]->data : NULL;
  int64_t n = wg->dim[wg->rank - 2], k = wg->dim[wg->rank - 1], experts = offsets ? wg->dim[0] : 1, total = h->dim[0];
  if (offsets) { /* rows of no expert: a zero row is all zero bytes */
    int64_t begin, end;
    weir_range(c, total - offsets[experts], 1, &begin, &end);
    if (end > begin) memset((char *)h->data + (offsets[experts] + begin) * ROW_BYTES(n), 0, (size_t)((end - begin) * ROW_BYTES(n)));
  }
  int64_t task = weir_next(c, 0, 1), before = 0, wanted = c->nth == 1 ? 1 : 4 * c->nth;
  for (int64_t e = 0; e < experts; e++) {
    int64_t from = offsets ? offsets[e] : 0, m = (offsets ? offsets[e + 1] : total) - from;
    if (m == 0) continue;
    product gate = {.x = x->data, .first = from, .step = 1, .gather = rows ? rows + from : NULL,
                    .w = (const uint8_t *)wg->data + e * matrix_bytes(wg->dtype, n, k), .dtype = wg->dtype, .n = n, .k = k, .m = m};
    product up = gate;
    up.w = (const uint8_t *)wu->data + e * matrix_bytes(wu->dtype, n, k);
    up.dtype = wu->dtype;
    cut t = cut_product(m, n / GROUP, 2 * k, wanted / experts + 1, BLOCK / GROUP);
    for (; task < before + t.blocks * t.parts; task = weir_next(c, 0, 1)) {
      int64_t r0 = (task - before) / t.parts * t.rows, g0 = (task - before) % t.parts * t.groups, g1 = g0 + t.groups;
      int64_t r1 = r0 + t.rows < m ? r0 + t.rows : m;
      for (int64_t g = g0; g < g1 && g < n / GROUP; g += BLOCK / GROUP)
        swiglu_task(&gate, &up, r0, r1, g / (BLOCK / GROUP), c->f[0], h->data, from);
    }
    before += t.blocks * t.parts;
  }
}
