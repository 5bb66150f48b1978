/* Element-wise instructions and whole-tensor reductions: src/tensor/ops/elementwise.ts. */
#include "simd.h"

#define GRAIN 1024 /* elements: a multiple of every vector width, so that a lane's position never depends on the thread count */

typedef struct {
  const float *a, *b;
  float *out;
  int64_t begin, end;
} span;

WEIR_INLINE span share(const weir_call *c) {
  span s = {c->nin > 0 ? c->in[0]->data : 0, c->nin > 1 ? c->in[1]->data : 0, c->out[0]->data, 0, 0};
  weir_range(c, weir_elements(c->out[0]), GRAIN, &s.begin, &s.end);
  return s;
}

WEIR_KERNEL(fill) {
  span s = share(c);
  const float value = c->f[0];
  for (int64_t i = s.begin; i < s.end; i++) s.out[i] = value;
}

WEIR_KERNEL(copy) { /* f32 or i32 */
  span s = share(c);
  if (s.out != s.a && s.end > s.begin) memmove(s.out + s.begin, s.a + s.begin, (size_t)(s.end - s.begin) * 4);
}

WEIR_KERNEL(add) {
  span s = share(c);
  for (int64_t i = s.begin; i < s.end; i++) s.out[i] = s.a[i] + s.b[i];
}

WEIR_KERNEL(multiply) {
  span s = share(c);
  for (int64_t i = s.begin; i < s.end; i++) s.out[i] = s.a[i] * s.b[i];
}

WEIR_KERNEL(scale) {
  span s = share(c);
  const float factor = c->f[0];
  for (int64_t i = s.begin; i < s.end; i++) s.out[i] = s.a[i] * factor;
}

WEIR_KERNEL(scale_by) {
  span s = share(c);
  const float factor = s.b[0];
  for (int64_t i = s.begin; i < s.end; i++) s.out[i] = s.a[i] * factor;
}

/* One thread: the order of the sum must not depend on the thread count, and the operands are small (a loss). Pairs of blocks in
 * double, so that long sums stay exact to float. */
WEIR_KERNEL(dot) {
  if (c->tid != 0) return;
  const float *a = c->in[0]->data, *b = c->in[1]->data;
  const int64_t n = weir_elements(c->in[0]);
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
  *(float *)c->out[0]->data = (float)sum;
}
