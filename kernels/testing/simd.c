/* Checks simd.h against libm in double and against definitions: accuracy of exp, log and sigmoid over their whole range, conversions of
 * every half-precision number, rounding, tails, reductions. Compiled once per instruction set by scripts/drive.ts. */
#include "../simd.h"
#include <math.h>
#include <stdio.h>

static int failures;
#define EXPECT(condition, ...)      \
  do {                              \
    if (!(condition)) {             \
      if (failures++ < 20) {        \
        printf(__VA_ARGS__);        \
        printf("\n");               \
      }                             \
    }                               \
  } while (0)

static double worst(const char *name, float (*f)(float), double (*exact)(double), float from, float to, int steps, double bound) {
  double most = 0;
  for (int i = 0; i <= steps; i++) {
    float x = from + (to - from) * ((float)i / (float)steps);
    double got = f(x), want = exact(x);
    double error = fabs(got - want) / fmax(fabs(want), 1.2e-38);
    if (error > most) most = error;
    EXPECT(error < bound, "%s(%.9g) is %.9g, wanted %.9g", name, x, got, want);
  }
  printf("  %s: largest relative error %.2g\n", name, most);
  return most;
}
static float exp1(float x) { return weir_exp(x); }
static float log1(float x) { return weir_log(x); }
static float sigmoid1(float x) { return weir_sigmoid(x); }
static double sigmoid_exact(double x) { return 1 / (1 + exp(-x)); }
static float from_bits(uint32_t u) {
  float f;
  memcpy(&f, &u, 4);
  return f;
}
static uint32_t to_bits(float f) {
  uint32_t u;
  memcpy(&u, &f, 4);
  return u;
}
static double half_value(int h) {
  int e = h >> 10 & 31, m = h & 1023;
  double v = e == 0 ? ldexp(m, -24) : e == 31 ? (m ? NAN : INFINITY) : ldexp(m + 1024, e - 25);
  return h & 0x8000 ? -v : v;
}

int main(void) {
  worst("exp", exp1, exp, -87.3f, 88.7f, 1000003, 2e-7);
  worst("exp near 0", exp1, exp, -1e-3f, 1e-3f, 10007, 2e-7);
  worst("log", log1, log, 1e-6f, 2.0f, 1000003, 3e-7 * 4);
  worst("log large", log1, log, 2.0f, 3e38f, 1000003, 3e-7);
  worst("sigmoid", sigmoid1, sigmoid_exact, -87.0f, 40.0f, 1000003, 4e-7);
  float inf = INFINITY;
  EXPECT(weir_exp(-inf) == 0 && weir_exp(inf) == inf && weir_exp(-1e30f) == 0 && weir_exp(1000.0f) == inf, "exp at its ends");
  EXPECT(isnan(weir_exp(NAN)) && weir_exp(0.0f) == 1 && weir_exp(-0.0f) == 1, "exp of NaN or 0");
  EXPECT(weir_exp(-103.0f) > 0 && weir_exp(-103.0f) < 3e-45f && weir_exp(-110.0f) == 0, "exp of subnormal results: %g", weir_exp(-103.0f));
  EXPECT(weir_log(0.0f) == -inf && weir_log(inf) == inf && isnan(weir_log(-1.0f)) && isnan(weir_log(NAN)) && weir_log(1.0f) == 0, "log at its ends");
  EXPECT(fabs(weir_log(1e-40f) - log(1e-40f)) < 1e-4, "log of a subnormal: %g", weir_log(1e-40f));
  EXPECT(weir_sigmoid(inf) == 1 && weir_sigmoid(-inf) == 0 && isnan(weir_sigmoid(NAN)) && weir_sigmoid(0.0f) == 0.5f, "sigmoid at its ends");

  for (int h = 0; h < 65536; h++) {
    double want = half_value(h);
    float got = weir_f16_to_f32((uint16_t)h);
    EXPECT(isnan(want) ? isnan(got) : got == want, "f16 %04x is %g, wanted %g", h, got, want);
    uint16_t lanes[VF], back;
    for (int i = 0; i < VF; i++) lanes[i] = (uint16_t)h;
    float first = vf_first(vf_load_f16(lanes)), wide = vf_first(vf_load_bf16(lanes));
    EXPECT(isnan(want) ? isnan(first) : first == got, "vf_load_f16 of %04x is %g", h, first);
    EXPECT(to_bits(wide) == (uint32_t)h << 16 || isnan(wide), "vf_load_bf16 of %04x", h);
    back = weir_f32_to_f16(got);
    EXPECT(isnan(want) ? isnan(half_value(back)) : back == h, "f16 %04x comes back as %04x", h, back);
    back = weir_f32_to_bf16(weir_bf16_to_f32((uint16_t)h));
    EXPECT(isnan(from_bits((uint32_t)h << 16)) ? isnan(weir_bf16_to_f32(back)) : back == h, "bf16 %04x comes back as %04x", h, back);
  }
  for (uint32_t i = 0; i < 2000000; i++) { /* rounding to half: nearest, ties to even */
    float x = from_bits(i * 2147u);
    if (!isfinite(x)) continue;
    int h = weir_f32_to_f16(x);
    double got = half_value(h);
    if (isinf(got)) {
      EXPECT(fabs(x) >= 65520, "%g overflows half", x);
      continue;
    }
    double below = fabs(half_value(h == 0 || h == 0x8000 ? h : h - 1) - x), above = fabs(half_value(h + 1) - x), here = fabs(got - x);
    EXPECT(here <= below && here <= above && !(here == above && (h & 1)), "%.9g is rounded to half %.9g", x, got);
  }
  EXPECT(weir_f32_to_bf16(from_bits(0x3f808000)) == 0x3f80 && weir_f32_to_bf16(from_bits(0x3f818000)) == 0x3f82, "bf16 ties to even");

  float a[2 * VF], b[2 * VF];
  for (int n = 0; n <= VF; n++) {
    for (int i = 0; i < 2 * VF; i++) a[i] = (float)(i + 1), b[i] = -1;
    vf_store_n(b, vf_load_n(a, n), n);
    for (int i = 0; i < 2 * VF; i++) EXPECT(b[i] == (i < n ? a[i] : -1), "tail of %d: lane %d is %g", n, i, b[i]);
    EXPECT(vf_sum(vf_load_n(a, n)) == (float)(n * (n + 1) / 2), "sum of %d lanes", n);
    EXPECT(vf_hmax(vf_load_n(a, n)) == (float)n, "maximum of %d lanes", n);
  }
  int8_t x[4 * VF], y[4 * VF];
  int32_t want = 0;
  for (int i = 0; i < 4 * VF; i++) x[i] = (int8_t)(i * 37 % 255 - 127), y[i] = (int8_t)(i * 91 % 255 - 127), want += x[i] * y[i];
  EXPECT(vi_sum(vi_dot_s8(vi_zero(), x, y)) == want, "dot of bytes");
  EXPECT(vi_sum(vi_load_s8(x)) == ({ int s = 0; for (int i = 0; i < VF; i++) s += x[i]; s; }), "widening of bytes");
  EXPECT(vf_first(vf_from_i32(vi_round(vf_set1(2.5f)))) == 2 && vf_first(vf_from_i32(vi_round(vf_set1(-3.5f)))) == -4, "rounding to even");
  EXPECT(vf_first(vf_max(vf_set1(1), vf_set1(2))) == 2 && vf_first(vf_min(vf_set1(1), vf_set1(2))) == 1, "max and min");
  EXPECT(isnan(vf_first(vf_max(vf_set1(1), vf_set1(NAN)))) && isnan(vf_first(vf_min(vf_set1(1), vf_set1(NAN)))), "max and min hand on a NaN that comes second");
  printf("simd.h, %d lanes: %d failures\n", VF, failures);
  return failures ? 1 : 0;
}
