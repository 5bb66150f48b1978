/* Optimiser steps: one pass over parameter, gradient and moments; sums in fixed blocks so that the team's size does not show. */
#include "weir.h"

#define F(t) ((float *)(t)->data)

/* A tensor's squares are summed in blocks of this many, each block by lanes, blocks in order by one thread. */
#define BLOCK 65536

static double block_squares(const float *x, int64_t n) {
  float lane[8] = {0}, tail = 0;
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int q = 0; q < 8; q++) lane[q] += x[i + q] * x[i + q];
  for (; i < n; i++) tail += x[i] * x[i];
  return (double)(((lane[0] + lane[4]) + (lane[1] + lane[5])) + ((lane[2] + lane[6]) + (lane[3] + lane[7]))) + (double)tail;
}

WEIR_KERNEL(sum_squares) {
  const float *x = F(c->in[0]);
  float *part = F(c->out[0]);
  int64_t n = weir_elements(c->in[0]);
  for (int64_t b; (b = weir_next(c, 0, 1)) * BLOCK < n;) part[b] = (float)block_squares(x + b * BLOCK, n - b * BLOCK < BLOCK ? n - b * BLOCK : BLOCK);
}

WEIR_KERNEL(add_up) {
  if (c->tid != 0) return;
  const float *x = F(c->in[0]);
  int64_t n = weir_elements(c->in[0]);
  double total = 0;
  for (int64_t i = 0; i < n; i++) total += x[i];
  F(c->out[0])[0] += (float)total;
}

WEIR_KERNEL(clip_scale) {
  if (c->tid != 0) return;
  float before = F(c->in[1])[0], norm = __builtin_sqrtf(F(c->in[0])[0]) * before, factor = 1.0f;
  if (c->f[0] > 0 && c->f[0] / (norm + 1e-6f) < 1.0f) factor = c->f[0] / (norm + 1e-6f);
  F(c->out[0])[0] = norm;
  F(c->out[0])[1] = before * factor;
}

WEIR_KERNEL(adamw) {
  const float *rates = F(c->in[0]);
  float *restrict p = F(c->out[0]), *restrict grad = F(c->out[1]), *restrict m = F(c->out[2]), *restrict v = F(c->out[3]);
  float factor = F(c->in[1])[1], lr = rates[0], beta1 = c->f[0], beta2 = c->f[1], eps = c->f[2];
  float decay = 1.0f - lr * c->f[3], one1 = 1.0f - beta1, one2 = 1.0f - beta2, step = lr / rates[1], root = 1.0f / __builtin_sqrtf(rates[2]);
  int64_t begin, end;
  weir_range(c, weir_elements(c->out[0]), 64, &begin, &end);
  for (int64_t i = begin; i < end; i++) {
    float g = grad[i] * factor;
    float a = beta1 * m[i] + one1 * g, b = beta2 * v[i] + one2 * g * g;
    m[i] = a;
    v[i] = b;
    p[i] = p[i] * decay - step * a / (__builtin_sqrtf(b) * root + eps);
    grad[i] = 0;
  }
}

WEIR_KERNEL(muon_momentum) {
  float factor = F(c->in[0])[1], momentum = c->f[0];
  int64_t size = c->out[2]->dim[1] * c->out[2]->dim[2], matrices = c->out[0]->dim[0];
  float *buffer = F(c->out[0]), *grad = F(c->out[1]), *update = F(c->out[2]) + c->i[0] * size;
  for (int64_t b; (b = weir_next(c, 0, 1)) < matrices;) {
    float *bu = buffer + b * size, *gr = grad + b * size, *up = update + b * size;
    for (int64_t i = 0; i < size; i++) {
      float g = gr[i] * factor, s = momentum * bu[i] + g;
      bu[i] = s;
      up[i] = g + momentum * s;
      gr[i] = 0;
    }
    double total = 0;
    for (int64_t i = 0; i < size; i += BLOCK) total += block_squares(up + i, size - i < BLOCK ? size - i : BLOCK);
    float inverse = 1.0f / (__builtin_sqrtf((float)total) + 1e-7f);
    for (int64_t i = 0; i < size; i++) up[i] *= inverse;
  }
}

WEIR_KERNEL(muon_apply) {
  const float *update = F(c->in[0]) + c->i[0] * c->in[0]->dim[1] * c->in[0]->dim[2];
  float *p = F(c->out[0]), lr = F(c->in[1])[0], decay = 1.0f - lr * c->f[1], step = lr * c->f[0];
  int64_t begin, end;
  weir_range(c, weir_elements(c->out[0]), 64, &begin, &end);
  for (int64_t i = begin; i < end; i++) p[i] = p[i] * decay - step * update[i];
}

WEIR_KERNEL(lerp) {
  const float *x = F(c->in[0]);
  float *y = F(c->out[0]), w = c->f[0];
  int64_t begin, end;
  weir_range(c, weir_elements(c->out[0]), 64, &begin, &end);
  for (int64_t i = begin; i < end; i++) y[i] += w * (x[i] - y[i]);
}
