/* Rotary position embedding: pairs of a head turned by the angle of the row's position. */
#include "simd.h"

WEIR_KERNEL(rope) {
  const float *x = c->in[0]->data, *table = c->in[2]->data;
  const int32_t *positions = c->in[1]->data;
  float *y = c->out[0]->data;
  int64_t width = weir_cols(c->in[0]), heads = c->in[0]->rank == 3 ? c->in[0]->dim[1] : 1;
  int64_t count = c->in[2]->dim[1], pairs = c->in[2]->dim[2], start = c->i[0];
  int half = c->i[1];
  float sign = c->i[2] ? -1.0f : 1.0f;
  int64_t begin, end;
  weir_range(c, c->in[0]->dim[0], 1, &begin, &end);
  for (int64_t t = begin; t < end; t++) {
    const float *cosines = table + positions[t] * pairs, *sines = table + (count + positions[t]) * pairs;
    for (int64_t h = 0; h < heads; h++) {
      const float *from = x + (t * heads + h) * width;
      float *to = y + (t * heads + h) * width;
      if (to != from) memcpy(to, from, (size_t)width * sizeof(float));
      to += start;
      if (half) {
        for (int64_t i = 0; i < pairs; i++) {
          float u = to[i], v = to[i + pairs], s = sines[i] * sign;
          to[i] = u * cosines[i] - v * s;
          to[i + pairs] = v * cosines[i] + u * s;
        }
      } else {
        for (int64_t i = 0; i < pairs; i++) {
          float u = to[2 * i], v = to[2 * i + 1], s = sines[i] * sign;
          to[2 * i] = u * cosines[i] - v * s;
          to[2 * i + 1] = v * cosines[i] + u * s;
        }
      }
    }
  }
}
