/* RMSNorm and LayerNorm, forward and backward. A row's sums run over eight lanes in a fixed order; weight gradients are split by
 * columns, so that rows are added in order whatever the team. */
#include "weir.h"

#define F(t) ((float *)(t)->data)

static inline float lanes(const float *l) { return ((l[0] + l[4]) + (l[1] + l[5])) + ((l[2] + l[6]) + (l[3] + l[7])); }

static float sum_squares(const float *x, int64_t n) {
  float lane[8] = {0}, tail = 0;
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int q = 0; q < 8; q++) lane[q] += x[i + q] * x[i + q];
  for (; i < n; i++) tail += x[i] * x[i];
  return lanes(lane) + tail;
}

/* sum of g*x, with g = dy*w when there are weights. */
static float sum_products(const float *dy, const float *w, const float *x, int64_t n) {
  float lane[8] = {0}, tail = 0;
  int64_t i = 0;
  if (w) {
    for (; i + 8 <= n; i += 8)
      for (int q = 0; q < 8; q++) lane[q] += dy[i + q] * w[i + q] * x[i + q];
    for (; i < n; i++) tail += dy[i] * w[i] * x[i];
  } else {
    for (; i + 8 <= n; i += 8)
      for (int q = 0; q < 8; q++) lane[q] += dy[i + q] * x[i + q];
    for (; i < n; i++) tail += dy[i] * x[i];
  }
  return lanes(lane) + tail;
}

WEIR_KERNEL(rms_norm) {
  const float *x = F(c->in[0]), *w = c->in[1] ? F(c->in[1]) : NULL;
  float *y = F(c->out[0]), *rstd = F(c->out[1]), eps = c->f[0];
  int64_t n = weir_cols(c->out[0]), begin, end;
  weir_range(c, weir_rows(c->out[0]), 1, &begin, &end);
  for (int64_t r = begin; r < end; r++) {
    const float *a = x + r * n;
    float *b = y + r * n;
    float s = 1.0f / __builtin_sqrtf(sum_squares(a, n) / (float)n + eps);
    rstd[r] = s;
    if (w)
      for (int64_t i = 0; i < n; i++) b[i] = a[i] * s * w[i];
    else
      for (int64_t i = 0; i < n; i++) b[i] = a[i] * s;
  }
}

WEIR_KERNEL(rms_norm_dx) {
  const float *dy = F(c->in[0]), *x = F(c->in[1]), *w = c->in[2] ? F(c->in[2]) : NULL, *rstd = F(c->in[3]);
  float *dx = F(c->out[0]);
  int64_t n = weir_cols(c->out[0]), begin, end;
  weir_range(c, weir_rows(c->out[0]), 1, &begin, &end);
  for (int64_t r = begin; r < end; r++) {
    const float *g = dy + r * n, *a = x + r * n;
    float *d = dx + r * n, s = rstd[r];
    float shift = sum_products(g, w, a, n) / (float)n * s * s;
    if (w)
      for (int64_t i = 0; i < n; i++) d[i] = s * (g[i] * w[i] - a[i] * shift);
    else
      for (int64_t i = 0; i < n; i++) d[i] = s * (g[i] - a[i] * shift);
  }
}

WEIR_KERNEL(rms_norm_dw) {
  const float *dy = F(c->in[0]), *x = F(c->in[1]), *rstd = F(c->in[2]);
  float *dw = F(c->out[0]);
  int64_t n = c->out[0]->dim[0], rows = weir_rows(c->in[0]), begin, end;
  weir_range(c, n, 16, &begin, &end);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = begin; i < end; i++) dw[i] += dy[r * n + i] * x[r * n + i] * rstd[r];
}

WEIR_KERNEL(layer_norm) {
  const float *x = F(c->in[0]), *w = F(c->in[1]), *bias = F(c->in[2]);
  float *y = F(c->out[0]), *mean = F(c->out[1]), *rstd = F(c->out[2]), eps = c->f[0];
  int64_t n = weir_cols(c->out[0]), begin, end;
  weir_range(c, weir_rows(c->out[0]), 1, &begin, &end);
  for (int64_t r = begin; r < end; r++) {
    const float *a = x + r * n;
    float *b = y + r * n, sum = 0, square = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i];
    float m = sum / (float)n;
    for (int64_t i = 0; i < n; i++) square += (a[i] - m) * (a[i] - m);
    float s = 1.0f / __builtin_sqrtf(square / (float)n + eps);
    mean[r] = m;
    rstd[r] = s;
    for (int64_t i = 0; i < n; i++) b[i] = (a[i] - m) * s * w[i] + bias[i];
  }
}

WEIR_KERNEL(layer_norm_dx) {
  const float *dy = F(c->in[0]), *x = F(c->in[1]), *w = F(c->in[2]), *mean = F(c->in[3]), *rstd = F(c->in[4]);
  float *dx = F(c->out[0]);
  int64_t n = weir_cols(c->out[0]), begin, end;
  weir_range(c, weir_rows(c->out[0]), 1, &begin, &end);
  for (int64_t r = begin; r < end; r++) {
    const float *g = dy + r * n, *a = x + r * n;
    float sum = 0, product = 0, m = mean[r], s = rstd[r];
    for (int64_t i = 0; i < n; i++) {
      sum += g[i] * w[i];
      product += g[i] * w[i] * (a[i] - m) * s;
    }
    for (int64_t i = 0; i < n; i++) dx[r * n + i] = s * (g[i] * w[i] - sum / (float)n - (a[i] - m) * s * product / (float)n);
  }
}

WEIR_KERNEL(layer_norm_dw) {
  const float *dy = F(c->in[0]), *x = F(c->in[1]), *mean = F(c->in[2]), *rstd = F(c->in[3]);
  float *dw = F(c->out[0]), *db = F(c->out[1]);
  int64_t n = c->out[0]->dim[0], rows = weir_rows(c->in[0]), begin, end;
  weir_range(c, n, 16, &begin, &end);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = begin; i < end; i++) {
      dw[i] += dy[r * n + i] * (x[r * n + i] - mean[r]) * rstd[r];
      db[i] += dy[r * n + i];
    }
}
