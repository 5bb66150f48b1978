/* Expert choice, the sort of tokens by expert, and the way back. Rows are independent; sorting is one thread's work, it is short. */
#include "simd.h"
#include "weir.h"

#define F(t) ((float *)(t)->data)
#define I(t) ((int32_t *)(t)->data)

enum { SOFTMAX, SIGMOID, SQRTSOFTPLUS };

static void score_row(int kind, const float *x, int64_t n, float *s) {
  vf zero = vf_zero(), one = vf_set1(1.0f);
  if (kind == SOFTMAX) {
    float max = x[0], sum = 0;
    for (int64_t e = 1; e < n; e++) max = x[e] > max ? x[e] : max;
    for (int64_t e = 0; e < n; e += VF) vf_store_n(s + e, vf_exp(vf_sub(vf_load_n(x + e, n - e), vf_set1(max))), n - e);
    for (int64_t e = 0; e < n; e++) sum += s[e];
    for (int64_t e = 0; e < n; e++) s[e] /= sum;
  } else if (kind == SIGMOID) {
    for (int64_t e = 0; e < n; e += VF) vf_store_n(s + e, vf_sigmoid(vf_load_n(x + e, n - e)), n - e);
  } else {
    for (int64_t e = 0; e < n; e += VF) {
      vf v = vf_load_n(x + e, n - e);
      /* log1p(u) as log(1+u)·u/((1+u)−1), which stays accurate for small u */
      vf u = vf_exp(vf_neg(vf_abs(v))), t = vf_add(one, u), low = vf_sub(t, one);
      vf soft = vf_select(vf_eq(low, zero), u, vf_div(vf_mul(vf_log(t), u), vf_select(vf_eq(low, zero), one, low)));
      vf_store_n(s + e, vf_sqrt(vf_add(vf_max(zero, v), soft)), n - e);
    }
  }
}

/* The largest not yet taken value among n, the lower index first among equals; taken entries are marked in `used`. */
static int64_t best(const float *v, const uint8_t *used, int64_t n) {
  int64_t at = -1;
  for (int64_t e = 0; e < n; e++)
    if (!used[e] && (at < 0 || v[e] > v[at])) at = e;
  return at;
}

#define MOST_EXPERTS 1024

WEIR_KERNEL(router) {
  const float *logits = F(c->in[0]), *bias = c->in[1] ? F(c->in[1]) : NULL;
  const int32_t *given = c->in[2] ? I(c->in[2]) : NULL;
  int32_t *ids = I(c->out[0]);
  float *weights = F(c->out[1]), *scores = F(c->out[2]);
  int64_t n = c->out[2]->dim[1], begin, end;
  int topK = c->i[0], kind = c->i[1], groups = c->i[2], topGroups = c->i[3], top2 = c->i[4], normalise = c->i[5];
  float choice[MOST_EXPERTS], group[MOST_EXPERTS];
  uint8_t used[MOST_EXPERTS], kept[MOST_EXPERTS];
  weir_range(c, c->out[2]->dim[0], 1, &begin, &end);
  for (int64_t r = begin; r < end; r++) {
    float *s = scores + r * n;
    score_row(kind, logits + r * n, n, s);
    int32_t *id = ids + r * topK;
    if (given) {
      memcpy(id, given + r * topK, (size_t)topK * 4);
    } else {
      for (int64_t e = 0; e < n; e++) choice[e] = bias ? s[e] + bias[e] : s[e];
      if (groups > 1) {
        int64_t size = n / groups;
        for (int g = 0; g < groups; g++) {
          float first = -3.0e38f, second = -3.0e38f;
          for (int64_t e = g * size; e < (g + 1) * size; e++) {
            if (choice[e] > first) {
              second = first;
              first = choice[e];
            } else if (choice[e] > second) second = choice[e];
          }
          group[g] = top2 ? first + second : first;
        }
        memset(kept, 0, (size_t)groups);
        for (int k = 0; k < topGroups; k++) kept[best(group, kept, groups)] = 1;
        for (int64_t e = 0; e < n; e++)
          if (!kept[e / size]) choice[e] = 0;
      }
      memset(used, 0, (size_t)n);
      for (int k = 0; k < topK; k++) {
        int64_t e = best(choice, used, n);
        used[e] = 1;
        id[k] = (int32_t)e;
      }
    }
    float sum = 0;
    for (int k = 0; k < topK; k++) sum += s[id[k]];
    for (int k = 0; k < topK; k++) weights[r * topK + k] = (normalise ? s[id[k]] / (sum + 1e-20f) : s[id[k]]) * c->f[0];
  }
}

WEIR_KERNEL(router_backward) {
  const float *dweights = c->in[0] ? F(c->in[0]) : NULL, *dscores = c->in[1] ? F(c->in[1]) : NULL, *logits = F(c->in[2]), *scores = F(c->in[4]);
  const int32_t *ids = I(c->in[3]);
  float *dlogits = F(c->out[0]), factor = c->f[0];
  int64_t n = c->out[0]->dim[1], begin, end;
  int topK = c->i[0], kind = c->i[1], normalise = c->i[2];
  weir_range(c, c->out[0]->dim[0], 1, &begin, &end);
  for (int64_t r = begin; r < end; r++) {
    const float *s = scores + r * n;
    const int32_t *id = ids + r * topK;
    float *d = dlogits + r * n;
    if (dscores) memcpy(d, dscores + r * n, (size_t)n * 4);
    else memset(d, 0, (size_t)n * 4);
    if (dweights) {
      const float *dw = dweights + r * topK;
      float sum = 1e-20f, product = 0;
      for (int k = 0; k < topK; k++) {
        sum += s[id[k]];
        product += dw[k] * s[id[k]];
      }
      for (int k = 0; k < topK; k++) d[id[k]] += normalise ? factor * (dw[k] / sum - product / (sum * sum)) : factor * dw[k];
    }
    float inner = 0;
    if (kind == SOFTMAX)
      for (int64_t e = 0; e < n; e++) inner += d[e] * s[e];
    for (int64_t e = 0; e < n; e++) {
      if (kind == SOFTMAX) d[e] = s[e] * (d[e] - inner);
      else if (kind == SIGMOID) d[e] = d[e] * s[e] * (1.0f - s[e]);
      else d[e] = d[e] / (2.0f * (s[e] > 1e-20f ? s[e] : 1e-20f)) * weir_sigmoid(logits[r * n + e]);
    }
  }
}

WEIR_KERNEL(dispatch) {
  if (c->tid != 0) return;
  const int32_t *ids = I(c->in[0]);
  int32_t *order = I(c->out[0]), *inverse = I(c->out[1]), *offsets = I(c->out[2]), *tokens = I(c->out[3]);
  int64_t slots = weir_elements(c->in[0]), topK = c->in[0]->dim[1], experts = c->out[2]->dim[0] - 1;
  int32_t next[MOST_EXPERTS];
  memset(offsets, 0, (size_t)(experts + 1) * 4);
  for (int64_t i = 0; i < slots; i++) offsets[ids[i] + 1]++;
  for (int64_t e = 0; e < experts; e++) offsets[e + 1] += offsets[e];
  memcpy(next, offsets, (size_t)experts * 4);
  for (int64_t i = 0; i < slots; i++) {
    int32_t place = next[ids[i]]++;
    order[place] = (int32_t)i;
    tokens[place] = (int32_t)(i / topK);
    inverse[i] = place;
  }
}

WEIR_KERNEL(gather_tokens) {
  const float *x = F(c->in[0]);
  const int32_t *order = I(c->in[1]);
  float *y = F(c->out[0]);
  int64_t width = c->out[0]->dim[1], begin, end;
  weir_range(c, c->out[0]->dim[0], 1, &begin, &end);
  for (int64_t p = begin; p < end; p++) memcpy(y + p * width, x + order[p] / c->i[0] * width, (size_t)width * 4);
}

WEIR_KERNEL(combine) {
  const float *y = F(c->in[0]), *weights = c->in[2] ? F(c->in[2]) : NULL;
  const int32_t *inverse = I(c->in[1]);
  float *out = F(c->out[0]);
  int topK = c->i[0];
  int64_t width = c->out[0]->dim[1], begin, end;
  weir_range(c, c->out[0]->dim[0], 1, &begin, &end);
  for (int64_t r = begin; r < end; r++) {
    float *o = out + r * width;
    for (int k = 0; k < topK; k++) {
      const float *a = y + inverse[r * topK + k] * width;
      float w = weights ? weights[r * topK + k] : 1.0f;
      if (k == 0)
        for (int64_t i = 0; i < width; i++) o[i] = a[i] * w;
      else
        for (int64_t i = 0; i < width; i++) o[i] += a[i] * w;
    }
  }
}

WEIR_KERNEL(combine_backward) {
  const float *dout = F(c->in[0]), *y = F(c->in[1]), *weights = F(c->in[3]);
  const int32_t *inverse = I(c->in[2]);
  float *dy = F(c->out[0]), *dweights = F(c->out[1]);
  int topK = c->i[0];
  int64_t width = c->in[0]->dim[1], begin, end;
  weir_range(c, c->in[0]->dim[0], 1, &begin, &end);
  for (int64_t r = begin; r < end; r++) {
    const float *d = dout + r * width;
    for (int k = 0; k < topK; k++) {
      int64_t place = inverse[r * topK + k];
      const float *a = y + place * width;
      float *b = dy + place * width, w = weights[r * topK + k], lane[8] = {0}, tail = 0;
      int64_t i = 0;
      for (; i + 8 <= width; i += 8)
        for (int q = 0; q < 8; q++) lane[q] += d[i + q] * a[i + q];
      for (; i < width; i++) tail += d[i] * a[i];
      dweights[r * topK + k] = ((lane[0] + lane[4]) + (lane[1] + lane[5])) + ((lane[2] + lane[6]) + (lane[3] + lane[7])) + tail;
      for (i = 0; i < width; i++) b[i] = d[i] * w;
    }
  }
}

WEIR_KERNEL(expert_load) {
  if (c->tid != 0) return;
  const int32_t *offsets = I(c->in[0]);
  int32_t *load = I(c->out[0]);
  for (int64_t e = 0; e < c->out[0]->dim[0]; e++) load[e] += offsets[e + 1] - offsets[e];
}

WEIR_KERNEL(balance_loss) {
  if (c->tid != 0) return;
  const float *scores = F(c->in[0]);
  const int32_t *ids = I(c->in[1]), *starts = I(c->in[2]);
  float *loss = F(c->out[0]), *dscores = F(c->out[1]), alpha = c->f[0];
  int64_t rows = c->out[1]->dim[0], n = c->out[1]->dim[1], topK = c->in[1]->dim[1], sequences = 0;
  double total = 0;
  for (int64_t r = 0; r < rows; r++) sequences += r == 0 || starts[r] != starts[r - 1];
  for (int64_t begin = 0; begin < rows;) {
    int64_t end = begin + 1;
    while (end < rows && starts[end] == starts[begin]) end++;
    float load[MOST_EXPERTS] = {0}, mean[MOST_EXPERTS] = {0}, count = (float)(end - begin);
    for (int64_t r = begin; r < end; r++) {
      const float *s = scores + r * n;
      float sum = 0;
      for (int64_t e = 0; e < n; e++) sum += s[e];
      for (int64_t e = 0; e < n; e++) mean[e] += s[e] / sum / count;
      for (int64_t k = 0; k < topK; k++) load[ids[r * topK + k]] += (float)n / ((float)topK * count);
    }
    for (int64_t e = 0; e < n; e++) total += (double)load[e] * mean[e];
    for (int64_t r = begin; r < end; r++) {
      const float *s = scores + r * n;
      float sum = 0, inner = 0;
      for (int64_t e = 0; e < n; e++) {
        sum += s[e];
        inner += load[e] * s[e];
      }
      for (int64_t e = 0; e < n; e++) dscores[r * n + e] = alpha / ((float)sequences * count) * (load[e] - inner / sum) / sum;
    }
    begin = end;
  }
  loss[0] = sequences ? (float)(alpha * total / (double)sequences) : 0.0f;
}

WEIR_KERNEL(hash_routes) {
  const int32_t *table = I(c->in[0]), *ids = I(c->in[1]);
  int32_t *out = I(c->out[0]);
  int64_t topK = c->out[0]->dim[1], begin, end;
  weir_range(c, c->out[0]->dim[0], 1, &begin, &end);
  for (int64_t r = begin; r < end; r++) memcpy(out + r * topK, table + ids[r] * topK, (size_t)topK * 4);
}
