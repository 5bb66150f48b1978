/* SwiGLU forward and backward. */
#include "simd.h"
#include "weir.h"

#define F(t) ((float *)(t)->data)

static inline vf clamp(vf x, vf low, vf high) { return vf_max(low, vf_min(high, x)); }

WEIR_KERNEL(swiglu) {
  const float *gate = F(c->in[0]), *up = F(c->in[1]);
  float *y = F(c->out[0]), limit = c->f[0];
  int64_t begin, end;
  weir_range(c, weir_elements(c->out[0]), 64, &begin, &end);
  vf high = vf_set1(limit), low = vf_set1(-limit);
  for (int64_t i = begin; i < end; i += VF) {
    vf g = vf_load_n(gate + i, end - i), u = vf_load_n(up + i, end - i);
    if (limit > 0) {
      g = vf_min(high, g);
      u = clamp(u, low, high);
    }
    vf_store_n(y + i, vf_mul(vf_mul(g, vf_sigmoid(g)), u), end - i);
  }
}

WEIR_KERNEL(swiglu_backward) {
  const float *dy = F(c->in[0]), *gate = F(c->in[1]), *up = F(c->in[2]);
  float *dgate = F(c->out[0]), *dup = F(c->out[1]), limit = c->f[0];
  int64_t begin, end;
  weir_range(c, weir_elements(c->in[0]), 64, &begin, &end);
  vf one = vf_set1(1.0f), zero = vf_zero(), high = vf_set1(limit), low = vf_set1(-limit);
  for (int64_t i = begin; i < end; i += VF) {
    vf g0 = vf_load_n(gate + i, end - i), u0 = vf_load_n(up + i, end - i), d = vf_load_n(dy + i, end - i), g = g0, u = u0;
    if (limit > 0) {
      g = vf_min(high, g);
      u = clamp(u, low, high);
    }
    vf s = vf_sigmoid(g);
    vf dg = vf_mul(vf_mul(d, u), vf_mul(s, vf_fma(g, vf_sub(one, s), one))), du = vf_mul(d, vf_mul(g, s));
    if (limit > 0) {
      dg = vf_select(vf_lt(high, g0), zero, dg);
      du = vf_select(vf_or(vf_lt(high, u0), vf_lt(u0, low)), zero, du);
    }
    vf_store_n(dgate + i, dg, end - i);
    vf_store_n(dup + i, du, end - i);
  }
}
