/* The gates of hyper-connections, with Sinkhorn normalisation, forward and backward. */
#include "simd.h"
#include "weir.h"

#define F(t) ((float *)(t)->data)
#define MOST_STREAMS 8
#define MOST_CHAIN 64

/* Step s of the chain normalises columns (even) or rows (odd) of `before` into `after`; inverse sums into `inverse`. */
static void normalise(const float *before, float *after, int n, int byColumn, float eps) {
  for (int a = 0; a < n; a++) {
    float sum = eps;
    for (int b = 0; b < n; b++) sum += before[byColumn ? b * n + a : a * n + b];
    for (int b = 0; b < n; b++) {
      int at = byColumn ? b * n + a : a * n + b;
      after[at] = before[at] / sum;
    }
  }
}

static void row_softmax(const float *x, float *y, int n, float eps) {
  for (int i = 0; i < n; i++) {
    float max = x[i * n], sum = 0;
    for (int j = 1; j < n; j++) max = x[i * n + j] > max ? x[i * n + j] : max;
    for (int j = 0; j < n; j++) sum += y[i * n + j] = weir_exp(x[i * n + j] - max);
    for (int j = 0; j < n; j++) y[i * n + j] = y[i * n + j] / sum + eps;
  }
}

WEIR_KERNEL(hyper_gates) {
  const float *mix = F(c->in[0]), *scale = F(c->in[1]), *base = F(c->in[2]);
  float *pre = F(c->out[0]), *post = F(c->out[1]), *comb = F(c->out[2]), eps = c->f[0];
  int n = c->i[0], iterations = c->i[1];
  int64_t width = 2 * n + n * n, begin, end;
  weir_range(c, c->in[0]->dim[0], 1, &begin, &end);
  for (int64_t r = begin; r < end; r++) {
    const float *m = mix + r * width;
    for (int i = 0; i < n; i++) {
      pre[r * n + i] = weir_sigmoid(m[i] * scale[0] + base[i]) + eps;
      post[r * n + i] = 2.0f * weir_sigmoid(m[n + i] * scale[1] + base[n + i]);
    }
    float a[MOST_STREAMS * MOST_STREAMS], b[MOST_STREAMS * MOST_STREAMS];
    for (int i = 0; i < n * n; i++) b[i] = m[2 * n + i] * scale[2] + base[2 * n + i];
    row_softmax(b, a, n, eps);
    for (int step = 0; step < 2 * iterations - 1; step++) {
      normalise(a, b, n, step % 2 == 0, eps);
      memcpy(a, b, sizeof(float) * (size_t)(n * n));
    }
    memcpy(comb + r * n * n, a, sizeof(float) * (size_t)(n * n));
  }
}

/* One thread: the sums into scale and base run over rows in order, and rows are few hundred floats of work. */
WEIR_KERNEL(hyper_gates_backward) {
  if (c->tid != 0) return;
  const float *dpre = c->in[0] ? F(c->in[0]) : NULL, *dpost = c->in[1] ? F(c->in[1]) : NULL, *dcomb = c->in[2] ? F(c->in[2]) : NULL;
  const float *mix = F(c->in[3]), *scale = F(c->in[4]), *base = F(c->in[5]);
  float *dmix = F(c->out[0]), *dscale = F(c->out[1]), *dbase = F(c->out[2]), eps = c->f[0];
  int n = c->i[0], steps = 2 * c->i[1] - 1;
  int64_t width = 2 * n + n * n;
  static const float zero[MOST_STREAMS * MOST_STREAMS] = {0};
  for (int64_t r = 0; r < c->in[3]->dim[0]; r++) {
    const float *m = mix + r * width;
    float *dm = dmix + r * width, *logit = dm + 2 * n;
    float chain[MOST_CHAIN][MOST_STREAMS * MOST_STREAMS], d[MOST_STREAMS * MOST_STREAMS];
    for (int i = 0; i < n; i++) {
      float a = weir_sigmoid(m[i] * scale[0] + base[i]), b = weir_sigmoid(m[n + i] * scale[1] + base[n + i]);
      dm[i] = (dpre ? dpre[r * n + i] : 0.0f) * a * (1.0f - a);
      dm[n + i] = 2.0f * (dpost ? dpost[r * n + i] : 0.0f) * b * (1.0f - b);
    }
    for (int i = 0; i < n * n; i++) logit[i] = m[2 * n + i] * scale[2] + base[2 * n + i];
    row_softmax(logit, chain[0], n, eps);
    for (int s = 0; s < steps; s++) normalise(chain[s], chain[s + 1], n, s % 2 == 0, eps);
    memcpy(d, dcomb ? dcomb + r * n * n : zero, sizeof(float) * (size_t)(n * n));
    for (int s = steps - 1; s >= 0; s--) {
      for (int a = 0; a < n; a++) {
        float sum = eps, inner = 0;
        for (int b = 0; b < n; b++) {
          int at = s % 2 == 0 ? b * n + a : a * n + b;
          sum += chain[s][at];
          inner += d[at] * chain[s + 1][at];
        }
        for (int b = 0; b < n; b++) {
          int at = s % 2 == 0 ? b * n + a : a * n + b;
          d[at] = (d[at] - inner) / sum;
        }
      }
    }
    for (int i = 0; i < n; i++) {
      float inner = 0;
      for (int j = 0; j < n; j++) inner += d[i * n + j] * (chain[0][i * n + j] - eps);
      for (int j = 0; j < n; j++) logit[i * n + j] = (chain[0][i * n + j] - eps) * (d[i * n + j] - inner);
    }
    for (int64_t i = 0; i < width; i++) {
      int part = i < n ? 0 : i < 2 * n ? 1 : 2;
      dscale[part] += dm[i] * m[i];
      dbase[i] += dm[i];
      dm[i] *= scale[part];
    }
  }
}

WEIR_KERNEL(affine_sigmoid) {
  const float *x = F(c->in[0]), scale = F(c->in[1])[0], *base = F(c->in[2]);
  float *y = F(c->out[0]);
  int64_t n = c->out[0]->dim[1], begin, end;
  weir_range(c, c->out[0]->dim[0], 1, &begin, &end);
  for (int64_t r = begin; r < end; r++)
    for (int64_t i = 0; i < n; i++) y[r * n + i] = weir_sigmoid(x[r * n + i] * scale + base[i]) + c->f[0];
}

WEIR_KERNEL(affine_sigmoid_backward) {
  if (c->tid != 0) return;
  const float *dy = F(c->in[0]), *x = F(c->in[1]), scale = F(c->in[2])[0], *base = F(c->in[3]);
  float *dx = F(c->out[0]), *dscale = F(c->out[1]), *dbase = F(c->out[2]);
  int64_t n = c->out[0]->dim[1];
  for (int64_t r = 0; r < c->out[0]->dim[0]; r++)
    for (int64_t i = 0; i < n; i++) {
      float s = weir_sigmoid(x[r * n + i] * scale + base[i]), d = dy[r * n + i] * s * (1.0f - s);
      dx[r * n + i] = d * scale;
      dscale[0] += d * x[r * n + i];
      dbase[i] += d;
    }
}
