/* The inner loops of probe.c, once per instruction set. */
#include "simd.h"

float WEIR_LOCAL(probe_read)(const float *data, int64_t n) {
  vf a = vf_zero(), b = a, c = a, d = a;
  for (int64_t i = 0; i + 4 * VF <= n; i += 4 * VF) {
    a = vf_add(a, vf_load(data + i));
    b = vf_add(b, vf_load(data + i + VF));
    c = vf_add(c, vf_load(data + i + 2 * VF));
    d = vf_add(d, vf_load(data + i + 3 * VF));
  }
  return vf_sum(vf_add(vf_add(a, b), vf_add(c, d)));
}

#define CHAINS 12 /* independent, enough to hide the latency of two units */
const int WEIR_LOCAL(probe_flops) = CHAINS * VF * 2;

float WEIR_LOCAL(probe_fma)(int64_t rounds) {
  vf acc[CHAINS], x = vf_set1(0.999f), y = vf_set1(0.001f);
  for (int k = 0; k < CHAINS; k++) acc[k] = vf_set1((float)k);
  for (int64_t i = 0; i < rounds; i++)
    for (int k = 0; k < CHAINS; k++) acc[k] = vf_fma(acc[k], x, y);
  for (int k = 1; k < CHAINS; k++) acc[0] = vf_add(acc[0], acc[k]);
  return vf_sum(acc[0]);
}
