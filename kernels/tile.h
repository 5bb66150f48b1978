/* What the matrix products share: the width of a panel and the transposition that makes one. */
#ifndef WEIR_TILE_H
#define WEIR_TILE_H

#include "simd.h"

/* Columns of a panel, on every instruction set, so that packed weights are the same everywhere. */
#define PANEL 16
#define UNROLL _Pragma("GCC unroll 16")

/* Lane j of in[i] becomes lane i of in[j]. */
WEIR_INLINE void transpose_vectors(vf in[VF]) {
#if WEIR_AVX2
  vf t[8], u[8];
  UNROLL for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(in[i], in[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(in[i], in[i + 1]);
  }
  UNROLL for (int i = 0; i < 8; i += 4) {
    u[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    u[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
    u[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    u[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
  UNROLL for (int i = 0; i < 4; i++) {
    in[i] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
    in[i + 4] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
  }
#elif WEIR_SSE2
  _MM_TRANSPOSE4_PS(in[0], in[1], in[2], in[3]);
#elif WEIR_NEON
  float32x4x2_t a = vtrnq_f32(in[0], in[1]), b = vtrnq_f32(in[2], in[3]);
  in[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
  in[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
  in[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
  in[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
#else
  vf a = wasm_i32x4_shuffle(in[0], in[1], 0, 4, 1, 5), b = wasm_i32x4_shuffle(in[0], in[1], 2, 6, 3, 7);
  vf c = wasm_i32x4_shuffle(in[2], in[3], 0, 4, 1, 5), d = wasm_i32x4_shuffle(in[2], in[3], 2, 6, 3, 7);
  in[0] = wasm_i64x2_shuffle(a, c, 0, 2);
  in[1] = wasm_i64x2_shuffle(a, c, 1, 3);
  in[2] = wasm_i64x2_shuffle(b, d, 0, 2);
  in[3] = wasm_i64x2_shuffle(b, d, 1, 3);
#endif
}

WEIR_INLINE vf load_as_floats(const int dtype, const void *rows, int64_t at) {
  if (dtype == WEIR_F32) return vf_load((const float *)rows + at);
  return dtype == WEIR_BF16 ? vf_load_bf16((const uint16_t *)rows + at) : vf_load_f16((const uint16_t *)rows + at);
}
WEIR_INLINE float load_as_float(const int dtype, const void *rows, int64_t at) {
  if (dtype == WEIR_F32) return ((const float *)rows)[at];
  uint16_t h = ((const uint16_t *)rows)[at];
  return dtype == WEIR_BF16 ? weir_bf16_to_f32(h) : weir_f16_to_f32(h);
}

/* VF rows from at[0 … VF) on, VF columns from k on, transposed: v[i] is column k + i. */
WEIR_INLINE void load_block(const int dtype, const void *rows, const int64_t *at, int64_t k, vf v[VF]) {
#if WEIR_AVX2
  if (dtype == WEIR_F32) { /* halves of rows are put together as they are loaded, which spares a third of the shuffles */
    UNROLL for (int h = 0; h < 2; h++) {
      __m256 r[4], t[4];
      UNROLL for (int i = 0; i < 4; i++) {
        const float *from = (const float *)rows + k + 4 * h;
        r[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(from + at[i])), _mm_loadu_ps(from + at[i + 4]), 1);
      }
      UNROLL for (int i = 0; i < 2; i++) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
      }
      v[4 * h] = _mm256_shuffle_ps(t[0], t[2], 0x44);
      v[4 * h + 1] = _mm256_shuffle_ps(t[0], t[2], 0xee);
      v[4 * h + 2] = _mm256_shuffle_ps(t[1], t[3], 0x44);
      v[4 * h + 3] = _mm256_shuffle_ps(t[1], t[3], 0xee);
    }
    return;
  }
#endif
  UNROLL for (int i = 0; i < VF; i++) v[i] = load_as_floats(dtype, rows, at[i] + k);
  transpose_vectors(v);
}

/* Where rows r0 … r0 + count start at column k0; beyond n the last row again: what it gives is never stored. */
WEIR_INLINE void row_starts(int64_t *at, int count, int64_t r0, int64_t n, int64_t ld, int64_t k0) {
  for (int i = 0; i < count; i++) at[i] = (r0 + (i < n ? i : n - 1)) * ld + k0;
}

WEIR_INLINE void transpose_panel_of(const int dtype, const void *rows, int64_t r0, int64_t n, int64_t ld, int64_t k0, int64_t kc, float *into) {
  int64_t at[PANEL];
  row_starts(at, PANEL, r0, n, ld, k0);
  int64_t k = 0;
  for (; k + VF <= kc; k += VF) {
    /* The next panel's rows come from memory while this one is multiplied: experts' weights are read once per call. */
    if (k % 16 == 0)
      for (int i = 0; i < PANEL; i++) __builtin_prefetch((const char *)rows + (at[i] + k + PANEL * ld) * (dtype == WEIR_F32 ? 4 : 2), 0, 2);
    for (int half = 0; half < PANEL; half += VF) {
      vf v[VF];
      load_block(dtype, rows, at + half, k, v);
      UNROLL for (int i = 0; i < VF; i++) vf_store(into + (k + i) * PANEL + half, v[i]);
    }
  }
  for (; k < kc; k++) for (int i = 0; i < PANEL; i++) into[k * PANEL + i] = load_as_float(dtype, rows, at[i] + k);
}
/* Rows r0 … r0 + n (n <= PANEL) of f32, f16 or bf16 weights with `ld` elements per row, columns k0 … k0 + kc, as [kc][PANEL] floats. */
static void __attribute__((unused)) transpose_panel(int dtype, const void *rows, int64_t r0, int64_t n, int64_t ld, int64_t k0, int64_t kc, float *into) {
  if (dtype == WEIR_F32) transpose_panel_of(WEIR_F32, rows, r0, n, ld, k0, kc, into);
  else if (dtype == WEIR_BF16) transpose_panel_of(WEIR_BF16, rows, r0, n, ld, k0, kc, into);
  else transpose_panel_of(WEIR_F16, rows, r0, n, ld, k0, kc, into);
}

#endif
