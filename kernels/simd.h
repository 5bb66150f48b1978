/* A small vector of floats, vf, with the width that the instruction set has: 8 on avx2, else 4. Kernels of every family are
 * written with it once; where an instruction set deserves better, #ifdef WEIR_AVX2 / WEIR_NEON / WEIR_WASM / WEIR_SSE2.
 *
 * The rules that keep results the same bit for bit:
 * - Reductions (vf_sum, vf_hmax) use one FIXED tree order per instruction set. Never reduce in an order that depends on n threads.
 * - vf_fma rounds once where the machine has fused multiply-add and twice (multiply, then add) on base and plain simd128. Do not
 *   mix vf_fma and mul+add for the same output element depending on its position in a row: use the masked tail below instead of a
 *   scalar loop (vf_load_n fills with zeros, vf_store_n writes n lanes), or scalar functions that say they agree (weir_fma).
 * - All maths here is our own (no libm), so native and wasm agree in all but fma rounding.
 * Loads and stores need no alignment. */
#ifndef WEIR_SIMD_H
#define WEIR_SIMD_H

#include "weir.h"

#ifdef __wasm__
void *memcpy(void *, const void *, size_t);
void *memset(void *, int, size_t);
void *memmove(void *, const void *, size_t);
#else
#include <string.h>
#endif

#define WEIR_INLINE static inline __attribute__((always_inline, unused))

#if defined(__AVX2__)
#include <immintrin.h>
#define WEIR_AVX2 1
#define VF 8
typedef __m256 vf;
typedef __m256i vi;
#elif defined(__x86_64__)
#include <emmintrin.h>
#define WEIR_SSE2 1
#define VF 4
typedef __m128 vf;
typedef __m128i vi;
#elif defined(__aarch64__)
#include <arm_neon.h>
#define WEIR_NEON 1
#define VF 4
typedef float32x4_t vf;
typedef int32x4_t vi;
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#define WEIR_WASM 1
#define VF 4
typedef v128_t vf;
typedef v128_t vi;
#else
#error "simd.h knows x86-64, arm64 and WebAssembly with SIMD"
#endif

/* ---- one instruction each ------------------------------------------------------------------------------------------------- */
#if WEIR_AVX2
WEIR_INLINE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
WEIR_INLINE void vf_store(float *p, vf v) { _mm256_storeu_ps(p, v); }
WEIR_INLINE vf vf_set1(float x) { return _mm256_set1_ps(x); }
WEIR_INLINE vf vf_zero(void) { return _mm256_setzero_ps(); }
WEIR_INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
WEIR_INLINE vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
WEIR_INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
WEIR_INLINE vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
WEIR_INLINE vf vf_sqrt(vf a) { return _mm256_sqrt_ps(a); }
/* a*b + c */
WEIR_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
/* c - a*b */
WEIR_INLINE vf vf_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
/* Where either is NaN, the second. */
WEIR_INLINE vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
WEIR_INLINE vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
WEIR_INLINE vf vf_and(vf a, vf b) { return _mm256_and_ps(a, b); }
WEIR_INLINE vf vf_or(vf a, vf b) { return _mm256_or_ps(a, b); }
WEIR_INLINE vf vf_xor(vf a, vf b) { return _mm256_xor_ps(a, b); }
/* Masks are all ones or all zeros per lane; NaN compares false. */
WEIR_INLINE vf vf_lt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
WEIR_INLINE vf vf_eq(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
/* mask ? a : b */
WEIR_INLINE vf vf_select(vf mask, vf a, vf b) { return _mm256_blendv_ps(b, a, mask); }
WEIR_INLINE vi vi_set1(int32_t x) { return _mm256_set1_epi32(x); }
WEIR_INLINE vi vi_zero(void) { return _mm256_setzero_si256(); }
WEIR_INLINE vi vi_load(const int32_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
WEIR_INLINE void vi_store(int32_t *p, vi v) { _mm256_storeu_si256((__m256i *)p, v); }
WEIR_INLINE vi vi_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
WEIR_INLINE vi vi_sub(vi a, vi b) { return _mm256_sub_epi32(a, b); }
WEIR_INLINE vi vi_and(vi a, vi b) { return _mm256_and_si256(a, b); }
#define vi_shl(v, n) _mm256_slli_epi32(v, n)
#define vi_shr(v, n) _mm256_srai_epi32(v, n) /* with the sign */
#define vi_shr_u(v, n) _mm256_srli_epi32(v, n)
WEIR_INLINE vf vf_from_i32(vi v) { return _mm256_cvtepi32_ps(v); }
/* To nearest, ties to even; out of range: INT32_MIN or saturated. */
WEIR_INLINE vi vi_round(vf v) { return _mm256_cvtps_epi32(v); }
WEIR_INLINE vf vf_bits(vi v) { return _mm256_castsi256_ps(v); }
WEIR_INLINE vi vi_bits(vf v) { return _mm256_castps_si256(v); }
/* 8 signed bytes, widened. */
WEIR_INLINE vi vi_load_s8(const int8_t *p) { return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)); }
WEIR_INLINE vf vf_load_bf16(const uint16_t *p) {
  return vf_bits(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}
WEIR_INLINE vf vf_load_f16(const uint16_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
/* ((l0+l4)+(l2+l6)) + ((l1+l5)+(l3+l7)) */
WEIR_INLINE float vf_sum(vf v) {
  __m128 a = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  a = _mm_add_ps(a, _mm_movehl_ps(a, a));
  return _mm_cvtss_f32(_mm_add_ss(a, _mm_shuffle_ps(a, a, 1)));
}
WEIR_INLINE float vf_hmax(vf v) {
  __m128 a = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  a = _mm_max_ps(a, _mm_movehl_ps(a, a));
  return _mm_cvtss_f32(_mm_max_ss(a, _mm_shuffle_ps(a, a, 1)));
}
WEIR_INLINE int32_t vi_sum(vi v) {
  __m128i a = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  a = _mm_add_epi32(a, _mm_shuffle_epi32(a, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(a, _mm_shuffle_epi32(a, 0xb1)));
}
/* acc + a·b over 4*VF signed bytes, four products per lane; no byte may be -128. */
WEIR_INLINE vi vi_dot_s8(vi acc, const int8_t *a, const int8_t *b) {
  __m256i x = _mm256_loadu_si256((const __m256i *)a), y = _mm256_loadu_si256((const __m256i *)b);
  __m256i pairs = _mm256_maddubs_epi16(_mm256_sign_epi8(x, x), _mm256_sign_epi8(y, x));
  return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
#elif WEIR_SSE2
WEIR_INLINE vf vf_load(const float *p) { return _mm_loadu_ps(p); }
WEIR_INLINE void vf_store(float *p, vf v) { _mm_storeu_ps(p, v); }
WEIR_INLINE vf vf_set1(float x) { return _mm_set1_ps(x); }
WEIR_INLINE vf vf_zero(void) { return _mm_setzero_ps(); }
WEIR_INLINE vf vf_add(vf a, vf b) { return _mm_add_ps(a, b); }
WEIR_INLINE vf vf_sub(vf a, vf b) { return _mm_sub_ps(a, b); }
WEIR_INLINE vf vf_mul(vf a, vf b) { return _mm_mul_ps(a, b); }
WEIR_INLINE vf vf_div(vf a, vf b) { return _mm_div_ps(a, b); }
WEIR_INLINE vf vf_sqrt(vf a) { return _mm_sqrt_ps(a); }
WEIR_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm_add_ps(_mm_mul_ps(a, b), c); }
WEIR_INLINE vf vf_fnma(vf a, vf b, vf c) { return _mm_sub_ps(c, _mm_mul_ps(a, b)); }
WEIR_INLINE vf vf_max(vf a, vf b) { return _mm_max_ps(a, b); }
WEIR_INLINE vf vf_min(vf a, vf b) { return _mm_min_ps(a, b); }
WEIR_INLINE vf vf_and(vf a, vf b) { return _mm_and_ps(a, b); }
WEIR_INLINE vf vf_or(vf a, vf b) { return _mm_or_ps(a, b); }
WEIR_INLINE vf vf_xor(vf a, vf b) { return _mm_xor_ps(a, b); }
WEIR_INLINE vf vf_lt(vf a, vf b) { return _mm_cmplt_ps(a, b); }
WEIR_INLINE vf vf_eq(vf a, vf b) { return _mm_cmpeq_ps(a, b); }
WEIR_INLINE vf vf_select(vf mask, vf a, vf b) { return _mm_or_ps(_mm_and_ps(mask, a), _mm_andnot_ps(mask, b)); }
WEIR_INLINE vi vi_set1(int32_t x) { return _mm_set1_epi32(x); }
WEIR_INLINE vi vi_zero(void) { return _mm_setzero_si128(); }
WEIR_INLINE vi vi_load(const int32_t *p) { return _mm_loadu_si128((const __m128i *)p); }
WEIR_INLINE void vi_store(int32_t *p, vi v) { _mm_storeu_si128((__m128i *)p, v); }
WEIR_INLINE vi vi_add(vi a, vi b) { return _mm_add_epi32(a, b); }
WEIR_INLINE vi vi_sub(vi a, vi b) { return _mm_sub_epi32(a, b); }
WEIR_INLINE vi vi_and(vi a, vi b) { return _mm_and_si128(a, b); }
#define vi_shl(v, n) _mm_slli_epi32(v, n)
#define vi_shr(v, n) _mm_srai_epi32(v, n)
#define vi_shr_u(v, n) _mm_srli_epi32(v, n)
WEIR_INLINE vf vf_from_i32(vi v) { return _mm_cvtepi32_ps(v); }
WEIR_INLINE vi vi_round(vf v) { return _mm_cvtps_epi32(v); }
WEIR_INLINE vf vf_bits(vi v) { return _mm_castsi128_ps(v); }
WEIR_INLINE vi vi_bits(vf v) { return _mm_castps_si128(v); }
WEIR_INLINE vi vi_load_s8(const int8_t *p) { return _mm_setr_epi32(p[0], p[1], p[2], p[3]); }
WEIR_INLINE vf vf_load_bf16(const uint16_t *p) {
  return vf_bits(_mm_unpacklo_epi16(_mm_setzero_si128(), _mm_loadl_epi64((const __m128i *)p)));
}
/* (l0+l2) + (l1+l3) */
WEIR_INLINE float vf_sum(vf v) {
  __m128 a = _mm_add_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_add_ss(a, _mm_shuffle_ps(a, a, 1)));
}
WEIR_INLINE float vf_hmax(vf v) {
  __m128 a = _mm_max_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_max_ss(a, _mm_shuffle_ps(a, a, 1)));
}
WEIR_INLINE int32_t vi_sum(vi v) {
  __m128i a = _mm_add_epi32(v, _mm_shuffle_epi32(v, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(a, _mm_shuffle_epi32(a, 0xb1)));
}
WEIR_INLINE vi vi_dot_s8(vi acc, const int8_t *a, const int8_t *b) {
  __m128i x = _mm_loadu_si128((const __m128i *)a), y = _mm_loadu_si128((const __m128i *)b), zero = _mm_setzero_si128();
  __m128i sx = _mm_cmpgt_epi8(zero, x), sy = _mm_cmpgt_epi8(zero, y);
  acc = _mm_add_epi32(acc, _mm_madd_epi16(_mm_unpacklo_epi8(x, sx), _mm_unpacklo_epi8(y, sy)));
  return _mm_add_epi32(acc, _mm_madd_epi16(_mm_unpackhi_epi8(x, sx), _mm_unpackhi_epi8(y, sy)));
}
#elif WEIR_NEON
WEIR_INLINE vf vf_load(const float *p) { return vld1q_f32(p); }
WEIR_INLINE void vf_store(float *p, vf v) { vst1q_f32(p, v); }
WEIR_INLINE vf vf_set1(float x) { return vdupq_n_f32(x); }
WEIR_INLINE vf vf_zero(void) { return vdupq_n_f32(0); }
WEIR_INLINE vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
WEIR_INLINE vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
WEIR_INLINE vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
WEIR_INLINE vf vf_div(vf a, vf b) { return vdivq_f32(a, b); }
WEIR_INLINE vf vf_sqrt(vf a) { return vsqrtq_f32(a); }
WEIR_INLINE vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
WEIR_INLINE vf vf_fnma(vf a, vf b, vf c) { return vfmsq_f32(c, a, b); }
WEIR_INLINE vi vi_bits(vf v) { return vreinterpretq_s32_f32(v); }
WEIR_INLINE vf vf_bits(vi v) { return vreinterpretq_f32_s32(v); }
#define WEIR_NEON_BITS_(f, a, b) vreinterpretq_f32_u32(f(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(b)))
WEIR_INLINE vf vf_and(vf a, vf b) { return WEIR_NEON_BITS_(vandq_u32, a, b); }
WEIR_INLINE vf vf_or(vf a, vf b) { return WEIR_NEON_BITS_(vorrq_u32, a, b); }
WEIR_INLINE vf vf_xor(vf a, vf b) { return WEIR_NEON_BITS_(veorq_u32, a, b); }
WEIR_INLINE vf vf_lt(vf a, vf b) { return vreinterpretq_f32_u32(vcltq_f32(a, b)); }
WEIR_INLINE vf vf_eq(vf a, vf b) { return vreinterpretq_f32_u32(vceqq_f32(a, b)); }
WEIR_INLINE vf vf_select(vf mask, vf a, vf b) { return vbslq_f32(vreinterpretq_u32_f32(mask), a, b); }
WEIR_INLINE vf vf_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
WEIR_INLINE vf vf_min(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
WEIR_INLINE vi vi_set1(int32_t x) { return vdupq_n_s32(x); }
WEIR_INLINE vi vi_zero(void) { return vdupq_n_s32(0); }
WEIR_INLINE vi vi_load(const int32_t *p) { return vld1q_s32(p); }
WEIR_INLINE void vi_store(int32_t *p, vi v) { vst1q_s32(p, v); }
WEIR_INLINE vi vi_add(vi a, vi b) { return vaddq_s32(a, b); }
WEIR_INLINE vi vi_sub(vi a, vi b) { return vsubq_s32(a, b); }
WEIR_INLINE vi vi_and(vi a, vi b) { return vandq_s32(a, b); }
#define vi_shl(v, n) vshlq_n_s32(v, n)
#define vi_shr(v, n) vshrq_n_s32(v, n)
#define vi_shr_u(v, n) vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(v), n))
WEIR_INLINE vf vf_from_i32(vi v) { return vcvtq_f32_s32(v); }
WEIR_INLINE vi vi_round(vf v) { return vcvtnq_s32_f32(v); }
WEIR_INLINE vi vi_load_s8(const int8_t *p) { return (vi){p[0], p[1], p[2], p[3]}; }
WEIR_INLINE vf vf_load_bf16(const uint16_t *p) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16)); }
WEIR_INLINE vf vf_load_f16(const uint16_t *p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
/* (l0+l2) + (l1+l3) */
WEIR_INLINE float vf_sum(vf v) {
  float32x2_t a = vadd_f32(vget_low_f32(v), vget_high_f32(v));
  return vget_lane_f32(a, 0) + vget_lane_f32(a, 1);
}
WEIR_INLINE float vf_hmax(vf v) { return vmaxvq_f32(v); }
WEIR_INLINE int32_t vi_sum(vi v) { return vaddvq_s32(v); }
WEIR_INLINE vi vi_dot_s8(vi acc, const int8_t *a, const int8_t *b) {
  int8x16_t x = vld1q_s8(a), y = vld1q_s8(b);
#ifdef __ARM_FEATURE_DOTPROD
  return vdotq_s32(acc, x, y);
#else
  acc = vpadalq_s16(acc, vmull_s8(vget_low_s8(x), vget_low_s8(y)));
  return vpadalq_s16(acc, vmull_s8(vget_high_s8(x), vget_high_s8(y)));
#endif
}
#elif WEIR_WASM
WEIR_INLINE vf vf_load(const float *p) { return wasm_v128_load(p); }
WEIR_INLINE void vf_store(float *p, vf v) { wasm_v128_store(p, v); }
WEIR_INLINE vf vf_set1(float x) { return wasm_f32x4_splat(x); }
WEIR_INLINE vf vf_zero(void) { return wasm_i32x4_const(0, 0, 0, 0); }
WEIR_INLINE vf vf_add(vf a, vf b) { return wasm_f32x4_add(a, b); }
WEIR_INLINE vf vf_sub(vf a, vf b) { return wasm_f32x4_sub(a, b); }
WEIR_INLINE vf vf_mul(vf a, vf b) { return wasm_f32x4_mul(a, b); }
WEIR_INLINE vf vf_div(vf a, vf b) { return wasm_f32x4_div(a, b); }
WEIR_INLINE vf vf_sqrt(vf a) { return wasm_f32x4_sqrt(a); }
#ifdef __wasm_relaxed_simd__
WEIR_INLINE vf vf_fma(vf a, vf b, vf c) { return wasm_f32x4_relaxed_madd(a, b, c); }
WEIR_INLINE vf vf_fnma(vf a, vf b, vf c) { return wasm_f32x4_relaxed_nmadd(a, b, c); }
#else
WEIR_INLINE vf vf_fma(vf a, vf b, vf c) { return wasm_f32x4_add(wasm_f32x4_mul(a, b), c); }
WEIR_INLINE vf vf_fnma(vf a, vf b, vf c) { return wasm_f32x4_sub(c, wasm_f32x4_mul(a, b)); }
#endif
/* pmax(b, a) is b < a ? a : b, which is maxps(a, b) of x86. */
WEIR_INLINE vf vf_max(vf a, vf b) { return wasm_f32x4_pmax(b, a); }
WEIR_INLINE vf vf_min(vf a, vf b) { return wasm_f32x4_pmin(b, a); }
WEIR_INLINE vf vf_and(vf a, vf b) { return wasm_v128_and(a, b); }
WEIR_INLINE vf vf_or(vf a, vf b) { return wasm_v128_or(a, b); }
WEIR_INLINE vf vf_xor(vf a, vf b) { return wasm_v128_xor(a, b); }
WEIR_INLINE vf vf_lt(vf a, vf b) { return wasm_f32x4_lt(a, b); }
WEIR_INLINE vf vf_eq(vf a, vf b) { return wasm_f32x4_eq(a, b); }
WEIR_INLINE vf vf_select(vf mask, vf a, vf b) { return wasm_v128_bitselect(a, b, mask); }
WEIR_INLINE vi vi_set1(int32_t x) { return wasm_i32x4_splat(x); }
WEIR_INLINE vi vi_zero(void) { return wasm_i32x4_const(0, 0, 0, 0); }
WEIR_INLINE vi vi_load(const int32_t *p) { return wasm_v128_load(p); }
WEIR_INLINE void vi_store(int32_t *p, vi v) { wasm_v128_store(p, v); }
WEIR_INLINE vi vi_add(vi a, vi b) { return wasm_i32x4_add(a, b); }
WEIR_INLINE vi vi_sub(vi a, vi b) { return wasm_i32x4_sub(a, b); }
WEIR_INLINE vi vi_and(vi a, vi b) { return wasm_v128_and(a, b); }
#define vi_shl(v, n) wasm_i32x4_shl(v, n)
#define vi_shr(v, n) wasm_i32x4_shr(v, n)
#define vi_shr_u(v, n) wasm_u32x4_shr(v, n)
WEIR_INLINE vf vf_from_i32(vi v) { return wasm_f32x4_convert_i32x4(v); }
WEIR_INLINE vi vi_round(vf v) { return wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest(v)); }
WEIR_INLINE vf vf_bits(vi v) { return v; }
WEIR_INLINE vi vi_bits(vf v) { return v; }
WEIR_INLINE vi vi_load_s8(const int8_t *p) { return wasm_i32x4_extend_low_i16x8(wasm_i16x8_extend_low_i8x16(wasm_v128_load32_zero(p))); }
WEIR_INLINE vf vf_load_bf16(const uint16_t *p) { return wasm_i32x4_shl(wasm_u32x4_load16x4(p), 16); }
/* (l0+l2) + (l1+l3) */
WEIR_INLINE float vf_sum(vf v) {
  vf a = wasm_f32x4_add(v, wasm_i32x4_shuffle(v, v, 2, 3, 2, 3));
  return wasm_f32x4_extract_lane(a, 0) + wasm_f32x4_extract_lane(a, 1);
}
WEIR_INLINE float vf_hmax(vf v) {
  vf a = wasm_f32x4_pmax(v, wasm_i32x4_shuffle(v, v, 2, 3, 2, 3));
  a = wasm_f32x4_pmax(a, wasm_i32x4_shuffle(a, a, 1, 1, 1, 1));
  return wasm_f32x4_extract_lane(a, 0);
}
WEIR_INLINE int32_t vi_sum(vi v) {
  vi a = wasm_i32x4_add(v, wasm_i32x4_shuffle(v, v, 2, 3, 2, 3));
  return wasm_i32x4_extract_lane(a, 0) + wasm_i32x4_extract_lane(a, 1);
}
WEIR_INLINE vi vi_dot_s8(vi acc, const int8_t *a, const int8_t *b) {
  v128_t x = wasm_v128_load(a), y = wasm_v128_load(b);
  acc = wasm_i32x4_add(acc, wasm_i32x4_dot_i16x8(wasm_i16x8_extend_low_i8x16(x), wasm_i16x8_extend_low_i8x16(y)));
  return wasm_i32x4_add(acc, wasm_i32x4_dot_i16x8(wasm_i16x8_extend_high_i8x16(x), wasm_i16x8_extend_high_i8x16(y)));
}
#endif

/* ---- scalars ---------------------------------------------------------------------------------------------------------------- */

WEIR_INLINE float weir_sqrt(float x) { return __builtin_sqrtf(x); }
WEIR_INLINE float weir_abs(float x) { return __builtin_fabsf(x); }
/* Rounds as vf_fma does on this instruction set. */
WEIR_INLINE float weir_fma(float a, float b, float c) {
#if WEIR_AVX2 || WEIR_NEON
  return __builtin_fmaf(a, b, c);
#elif defined(__wasm_relaxed_simd__)
  return wasm_f32x4_extract_lane(vf_fma(vf_set1(a), vf_set1(b), vf_set1(c)), 0);
#else
  return a * b + c;
#endif
}
WEIR_INLINE float weir_bf16_to_f32(uint16_t h) {
  uint32_t u = (uint32_t)h << 16;
  float f;
  memcpy(&f, &u, 4);
  return f;
}
/* To nearest, ties to even; NaN stays NaN. */
WEIR_INLINE uint16_t weir_f32_to_bf16(float f) {
  uint32_t u;
  memcpy(&u, &f, 4);
  if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 64);
  return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
WEIR_INLINE float weir_f16_to_f32(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff, u;
  float f;
  if (rest >= 0x7c00) u = sign | 0x7f800000 | (rest & 0x3ff) << 13;
  else if (rest >= 0x400) u = sign | ((rest << 13) + (112u << 23));
  else { /* subnormal: exact in float32 */
    f = (float)rest * 0x1p-24f;
    memcpy(&u, &f, 4);
    u |= sign;
  }
  memcpy(&f, &u, 4);
  return f;
}
/* To nearest, ties to even; overflow to infinity. */
WEIR_INLINE uint16_t weir_f32_to_f16(float f) {
  uint32_t u;
  memcpy(&u, &f, 4);
  uint32_t sign = u >> 16 & 0x8000;
  u &= 0x7fffffff;
  if (u > 0x7f800000) return (uint16_t)(sign | 0x7e00);
  if (u >= 0x477ff000) return (uint16_t)(sign | 0x7c00);
  if (u < 0x38800000) { /* subnormal half: let the float adder round */
    float x;
    memcpy(&x, &u, 4);
    x += 0.5f;
    memcpy(&u, &x, 4);
    return (uint16_t)(sign | (u - 0x3f000000));
  }
  return (uint16_t)(sign | ((u + 0xfff + (u >> 13 & 1) - (112u << 23)) >> 13));
}
#if WEIR_SSE2 || WEIR_WASM
WEIR_INLINE vf vf_load_f16(const uint16_t *p) {
  float lanes[4] = {weir_f16_to_f32(p[0]), weir_f16_to_f32(p[1]), weir_f16_to_f32(p[2]), weir_f16_to_f32(p[3])};
  return vf_load(lanes);
}
#endif

/* ---- built from the above --------------------------------------------------------------------------------------------------- */

WEIR_INLINE vf vf_neg(vf a) { return vf_xor(a, vf_set1(-0.0f)); }
WEIR_INLINE vf vf_abs(vf a) { return vf_and(a, vf_bits(vi_set1(0x7fffffff))); }

/* The first n (0..VF) lanes, zeros after. */
WEIR_INLINE vf vf_load_n(const float *p, int64_t n) {
  float lanes[VF] = {0};
  if (n >= VF) return vf_load(p);
  for (int64_t i = 0; i < n; i++) lanes[i] = p[i];
  return vf_load(lanes);
}
WEIR_INLINE void vf_store_n(float *p, vf v, int64_t n) {
  float lanes[VF];
  if (n >= VF) {
    vf_store(p, v);
    return;
  }
  vf_store(lanes, v);
  for (int64_t i = 0; i < n; i++) p[i] = lanes[i];
}
WEIR_INLINE float vf_first(vf v) {
  float lanes[VF];
  vf_store(lanes, v);
  return lanes[0];
}
/* Stores VF bf16 values, rounded to nearest even. */
WEIR_INLINE void vf_store_bf16(uint16_t *p, vf v) {
  float lanes[VF];
  vf_store(lanes, v);
  for (int i = 0; i < VF; i++) p[i] = weir_f32_to_bf16(lanes[i]);
}

/* e^x, relative error below 2e-7 on the whole range; exp(-inf) = 0, exp(inf) = inf, NaN stays. Reduction by ln 2 in two parts and
 * a polynomial of degree 7 (Muller, Elementary Functions, section 11; coefficients: Taylor, enough below ln2/2). */
WEIR_INLINE vf vf_exp(vf x) {
  x = vf_min(vf_set1(89.0f), x); /* second operand: NaN passes */
  x = vf_max(vf_set1(-104.5f), x);
  vi n = vi_round(vf_mul(x, vf_set1(1.44269504088896341f)));
  vf k = vf_from_i32(n);
  vf r = vf_fnma(k, vf_set1(0.693359375f), x);
  r = vf_fnma(k, vf_set1(-2.12194440e-4f), r);
  vf p = vf_set1(1.0f / 5040);
  p = vf_fma(p, r, vf_set1(1.0f / 720));
  p = vf_fma(p, r, vf_set1(1.0f / 120));
  p = vf_fma(p, r, vf_set1(1.0f / 24));
  p = vf_fma(p, r, vf_set1(1.0f / 6));
  p = vf_fma(p, r, vf_set1(0.5f));
  p = vf_fma(p, vf_mul(r, r), r);
  p = vf_add(p, vf_set1(1.0f));
  vi half = vi_shr(n, 1); /* 2^n in two factors, so that n = 128 and subnormal results come out right */
  vf a = vf_bits(vi_shl(vi_add(half, vi_set1(127)), 23)), b = vf_bits(vi_shl(vi_add(vi_sub(n, half), vi_set1(127)), 23));
  return vf_mul(vf_mul(p, a), b);
}
/* ln x, relative error below 3e-7; ln 0 = -inf, negative: NaN, inf: inf. Cephes logf's polynomial (Moshier). */
WEIR_INLINE vf vf_log(vf x0) {
  vf tiny = vf_lt(x0, vf_set1(1.17549435e-38f));
  vf x = vf_select(tiny, vf_mul(x0, vf_set1(8388608.0f)), x0);
  vi bits = vi_bits(x);
  vf e = vf_from_i32(vi_sub(vi_shr_u(bits, 23), vi_set1(126)));
  e = vf_sub(e, vf_and(tiny, vf_set1(23.0f)));
  vf m = vf_bits(vi_add(vi_and(bits, vi_set1(0x007fffff)), vi_set1(0x3f000000))); /* [0.5, 1) */
  vf small = vf_lt(m, vf_set1(0.707106781186547524f));
  e = vf_sub(e, vf_and(small, vf_set1(1.0f)));
  m = vf_sub(vf_add(m, vf_and(small, m)), vf_set1(1.0f));
  vf z = vf_mul(m, m);
  vf p = vf_set1(7.0376836292e-2f);
  p = vf_fma(p, m, vf_set1(-1.1514610310e-1f));
  p = vf_fma(p, m, vf_set1(1.1676998740e-1f));
  p = vf_fma(p, m, vf_set1(-1.2420140846e-1f));
  p = vf_fma(p, m, vf_set1(1.4249322787e-1f));
  p = vf_fma(p, m, vf_set1(-1.6668057665e-1f));
  p = vf_fma(p, m, vf_set1(2.0000714765e-1f));
  p = vf_fma(p, m, vf_set1(-2.4999993993e-1f));
  p = vf_fma(p, m, vf_set1(3.3333331174e-1f));
  vf y = vf_mul(vf_mul(p, m), z);
  y = vf_fma(e, vf_set1(-2.12194440e-4f), y);
  y = vf_fnma(vf_set1(0.5f), z, y);
  vf r = vf_fma(e, vf_set1(0.693359375f), vf_add(m, y));
  vf inf = vf_set1(__builtin_inff());
  r = vf_select(vf_eq(x0, inf), inf, r);
  r = vf_select(vf_eq(x0, vf_zero()), vf_neg(inf), r);
  vf bad = vf_lt(x0, vf_zero());
  r = vf_select(bad, vf_set1(__builtin_nanf("")), r);
  return vf_select(vf_eq(x0, x0), r, x0);
}
/* 1 / (1 + e^-x); no overflow at either end. */
WEIR_INLINE vf vf_sigmoid(vf x) {
  vf e = vf_exp(vf_neg(vf_abs(x))); /* in (0, 1] */
  vf one = vf_set1(1.0f), s = vf_div(one, vf_add(one, e));
  return vf_select(vf_lt(x, vf_zero()), vf_mul(e, s), s);
}
/* The same functions on one number, with the same bits as a lane. */
WEIR_INLINE float weir_exp(float x) { return vf_first(vf_exp(vf_set1(x))); }
WEIR_INLINE float weir_log(float x) { return vf_first(vf_log(vf_set1(x))); }
WEIR_INLINE float weir_sigmoid(float x) { return vf_first(vf_sigmoid(vf_set1(x))); }

#endif
