/* Full causal attention over flat rows and attention over lists of rows, forward and backward; merging of results; MLA's
 * expanded keys. The common core is attention.h; paged caches are cache.c.
 *
 * Forward: a task is (document, head, block of queries). Backward: a task is (document, key head): it owns dq, dk and dv of its
 * rows and walks blocks of queries, then of keys, in order, so that sums have one order whatever the threads. */
#include "attention.h"
#include "tile.h"

/* The document whose rows begin at `begin`: rows up to where the value changes. */
static inline int64_t document_end(const int32_t *starts, int64_t begin, int64_t rows) {
  int64_t end = begin + 1;
  while (end < rows && starts[end] == starts[begin]) end++;
  return end;
}

static inline int64_t minimum(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t maximum(int64_t a, int64_t b) { return a > b ? a : b; }

/* Rows `from`..+count of one head (x + row·stride) into a buffer with rows of `width` floats, zero beyond `cols`. */
static void copy_rows(const float *x, int64_t stride, int64_t count, int64_t cols, float *to, int64_t width, float scale) {
  vf s = vf_set1(scale);
  for (int64_t r = 0; r < count; r++) {
    const float *from = x + r * stride;
    float *row = to + r * width;
    int64_t d = 0;
    for (; d + VF <= cols; d += VF) vf_store(row + d, vf_mul(vf_load(from + d), s));
    for (; d < cols; d++) row[d] = from[d] * scale;
    for (; d < width; d++) row[d] = 0;
  }
}

/* The same transposed: to[d][r], columns up to a multiple of VF zero. */
static void transpose_rows(const float *x, int64_t stride, int64_t count, int64_t cols, float *to, int64_t width, float scale) {
  int64_t end = PADVF(count), whole = count - count % VF, blocks = cols - cols % VF;
  vf s = vf_set1(scale);
  for (int64_t r = 0; r < whole; r += VF) {
    for (int64_t d = 0; d < blocks; d += VF) {
      vf v[VF];
      UNROLL for (int i = 0; i < VF; i++) v[i] = vf_load(x + (r + i) * stride + d);
      transpose_vectors(v);
      UNROLL for (int i = 0; i < VF; i++) vf_store(to + (d + i) * width + r, vf_mul(v[i], s));
    }
  }
  for (int64_t r = 0; r < count; r++)
    for (int64_t d = r < whole ? blocks : 0; d < cols; d++) to[d * width + r] = x[r * stride + d] * scale;
  for (int64_t d = 0; d < cols; d++)
    for (int64_t r = count; r < end; r++) to[d * width + r] = 0;
}

static void point_rows(const float **rows, const float *x, int64_t stride, int64_t count) {
  for (int64_t r = 0; r < count; r++) rows[r] = x + r * stride;
}

WEIR_KERNEL(attention) {
  const float *q = AF(c->in[0]), *k = AF(c->in[1]), *v = AF(c->in[2]);
  const int32_t *starts = AI(c->in[3]);
  float *out = AF(c->out[0]), *lse = AF(c->out[1]);
  int64_t rows = c->in[0]->dim[0], heads = c->in[0]->dim[1], dk = c->in[0]->dim[2];
  int64_t kv_heads = c->in[1]->dim[1], dv = c->in[2]->dim[2], group = heads / kv_heads, window = c->i[0];
  if (c->tid >= c->out[2]->dim[0]) return;
  float *s = AF(c->out[2]) + c->tid * c->out[2]->dim[1];
  const int64_t B = ATTENTION_BLOCK, dvp = PAD16(dv), dkp = PAD16(dk);
  attention_tile t = {.dk = dk, .dv = dv, .stride = B, .width = dvp};
  t.qt = s, s += dk * B;
  t.p = s, s += B * B;
  t.o = s, s += B * dvp;
  float *kb = s;
  s += B * dkp;
  float *vb = s;
  s += B * dvp;
  t.m = s, t.l = s + B, t.alpha = s + 2 * B, t.low = s + 3 * B, t.high = s + 4 * B;
  const float *krow[ATTENTION_BLOCK], *vrow[ATTENTION_BLOCK];
  point_rows(krow, kb, dkp, B);
  point_rows(vrow, vb, dvp, B);

  int64_t begin = 0, end = rows ? document_end(starts, 0, rows) : 0, done = 0;
  for (int64_t task = weir_next(c, 0, 1); begin < rows; task = weir_next(c, 0, 1)) {
    while (begin < rows && task >= done + heads * ((end - begin + B - 1) / B)) {
      done += heads * ((end - begin + B - 1) / B);
      begin = end;
      if (begin < rows) end = document_end(starts, begin, rows);
    }
    if (begin >= rows) break;
    int64_t blocks = (end - begin + B - 1) / B, h = (task - done) / blocks;
    /* The longest rows first, so that no thread is left with them at the end. */
    int64_t q0 = (blocks - 1 - (task - done) % blocks) * B, n = minimum(B, end - begin - q0), kv = h / group;
    t.lanes = n;
    transpose_rows(q + ((begin + q0) * heads + h) * dk, heads * dk, n, dk, t.qt, B, c->f[0]);
    for (int64_t i = 0; i < n; i++) {
      t.high[i] = (float)(q0 + i);
      t.low[i] = window > 0 ? (float)maximum(0, q0 + i - window + 1) : 0;
    }
    tile_pad(&t);
    tile_begin(&t);
    int64_t first = window > 0 ? maximum(0, q0 - window + 1) / B * B : 0;
    for (int64_t k0 = first; k0 <= q0; k0 += B) {
      int64_t keys = minimum(B, end - begin - k0);
      copy_rows(k + ((begin + k0) * kv_heads + kv) * dk, kv_heads * dk, keys, dk, kb, dkp, 1);
      copy_rows(v + ((begin + k0) * kv_heads + kv) * dv, kv_heads * dv, keys, dv, vb, dvp, 1);
      int edge = window > 0 && k0 < q0 + n - window;
      tile_step(&t, keys, krow, vrow, k0, k0 == q0 ? SEE_DIAGONAL : edge ? SEE_RANGE : SEE_ALL);
    }
    for (int64_t i = 0; i < n; i++) {
      int64_t row = (begin + q0 + i) * heads + h;
      attention_finish(t.o + i * dvp, t.m[i], t.l[i], dv, out + row * dv, lse + row);
    }
  }
}

static inline float dot_rows(const float *a, const float *b, int64_t n) {
  vf sum = vf_zero();
  for (int64_t i = 0; i < n; i += VF) sum = vf_fma(vf_load_n(a + i, n - i), vf_load_n(b + i, n - i), sum);
  return vf_sum(sum);
}

/* to += by · x */
static inline void add_scaled(float *to, const float *x, float by, int64_t n) {
  vf b = vf_set1(by);
  for (int64_t i = 0; i < n; i += VF) vf_store_n(to + i, vf_fma(b, vf_load_n(x + i, n - i), vf_load_n(to + i, n - i)), n - i);
}

/* Rows of a padded buffer added to strided rows. */
static void add_rows(const float *x, int64_t width, int64_t count, int64_t cols, float *to, int64_t stride) {
  for (int64_t r = 0; r < count; r++) {
    const float *from = x + r * width;
    float *row = to + r * stride;
    int64_t d = 0;
    for (; d + VF <= cols; d += VF) vf_store(row + d, vf_add(vf_load(row + d), vf_load(from + d)));
    for (; d < cols; d++) row[d] += from[d];
  }
}

/* dS of one block: p holds scores, d holds dO·vᵀ; afterwards p holds weights and d their gradients (without the scale). */
static void block_gradient(float *p, float *d, int64_t keys, int64_t n, const float *lse, const float *delta, const float *low,
                           const float *high, int64_t first, int see) {
  const int64_t B = ATTENTION_BLOCK;
  for (int64_t i = 0; i < n; i += VF) {
    vf l = vf_load(lse + i), del = vf_load(delta + i), lo = vf_load(low + i), hi = vf_load(high + i);
    int64_t end = keys;
    if (see == SEE_DIAGONAL && i + VF < keys) {
      end = i + VF;
      for (int64_t j = end; j < keys; j++) {
        vf_store(p + j * B + i, vf_zero());
        vf_store(d + j * B + i, vf_zero());
      }
    }
    for (int64_t j = 0; j < end; j++) {
      vf w = weight(vf_sub(vf_load(p + j * B + i), l));
      vf g = vf_mul(w, vf_sub(vf_load(d + j * B + i), del));
      if (see != SEE_ALL) {
        vf at = vf_set1((float)(first + j));
        vf out = vf_or(vf_lt(hi, at), vf_lt(at, lo));
        w = vf_select(out, vf_zero(), w);
        g = vf_select(out, vf_zero(), g);
      }
      vf_store(p + j * B + i, w);
      vf_store(d + j * B + i, g);
    }
  }
}

WEIR_KERNEL(attention_backward) {
  const float *q = AF(c->in[0]), *k = AF(c->in[1]), *v = AF(c->in[2]), *out = AF(c->in[4]), *lse = AF(c->in[5]), *dout = AF(c->in[6]);
  const float *dlse = c->in[7] ? AF(c->in[7]) : NULL;
  const int32_t *starts = AI(c->in[3]);
  float *dq = AF(c->out[0]), *dk = AF(c->out[1]), *dv = AF(c->out[2]);
  int64_t rows = c->in[0]->dim[0], heads = c->in[0]->dim[1], wk = c->in[0]->dim[2];
  int64_t kv_heads = c->in[1]->dim[1], wv = c->in[2]->dim[2], group = heads / kv_heads, window = c->i[0];
  float scale = c->f[0];
  if (c->tid >= c->out[3]->dim[0]) return;
  float *s = AF(c->out[3]) + c->tid * c->out[3]->dim[1];
  const int64_t B = ATTENTION_BLOCK, kp = PAD16(wk), vp = PAD16(wv);
  float *qt = s, *gt = qt + wk * B, *qb = gt + wv * B, *gb = qb + B * kp, *kb = gb + B * vp, *vb = kb + B * kp;
  float *dqb = vb + B * vp, *sum = dqb + B * kp, *p = sum + B * maximum(kp, vp), *d = p + B * B;
  float *l = d + B * B, *delta = l + B, *low = delta + B, *high = low + B;
  const float *krow[ATTENTION_BLOCK], *vrow[ATTENTION_BLOCK], *prow[ATTENTION_BLOCK], *drow[ATTENTION_BLOCK];
  point_rows(krow, kb, kp, B);
  point_rows(vrow, vb, vp, B);
  point_rows(prow, p, B, B);
  point_rows(drow, d, B, B);

  int64_t begin = 0, end = rows ? document_end(starts, 0, rows) : 0, done = 0;
  for (int64_t task = weir_next(c, 0, 1); begin < rows; task = weir_next(c, 0, 1)) {
    while (begin < rows && task >= done + kv_heads) {
      done += kv_heads;
      begin = end;
      if (begin < rows) end = document_end(starts, begin, rows);
    }
    if (begin >= rows) break;
    int64_t kv = task - done, length = end - begin;
    for (int64_t r = begin; r < end; r++) {
      memset(dk + (r * kv_heads + kv) * wk, 0, (size_t)wk * sizeof(float));
      memset(dv + (r * kv_heads + kv) * wv, 0, (size_t)wv * sizeof(float));
    }
    for (int64_t h = kv * group; h < (kv + 1) * group; h++) {
      for (int64_t q0 = 0; q0 < length; q0 += B) {
        int64_t n = minimum(B, length - q0), lanes = PADVF(n), row0 = (begin + q0) * heads + h;
        transpose_rows(q + row0 * wk, heads * wk, n, wk, qt, B, scale);
        copy_rows(q + row0 * wk, heads * wk, n, wk, qb, kp, scale);
        transpose_rows(dout + row0 * wv, heads * wv, n, wv, gt, B, 1);
        copy_rows(dout + row0 * wv, heads * wv, n, wv, gb, vp, 1);
        for (int64_t i = 0; i < lanes; i++) {
          int64_t row = row0 + i * heads;
          int real = i < n;
          l[i] = real ? lse[row] : 0;
          delta[i] = real ? dot_rows(dout + row * wv, out + row * wv, wv) - (dlse ? dlse[row] : 0) : 0;
          high[i] = real ? (float)(q0 + i) : -1;
          low[i] = window > 0 ? (float)maximum(0, q0 + i - window + 1) : 0;
        }
        memset(dqb, 0, (size_t)(n * kp) * sizeof(float));
        int64_t first = window > 0 ? maximum(0, q0 - window + 1) / B * B : 0;
        for (int64_t k0 = first; k0 <= q0; k0 += B) {
          int64_t keys = minimum(B, length - k0), key0 = (begin + k0) * kv_heads + kv;
          int edge = window > 0 && k0 < q0 + n - window;
          int see = k0 == q0 ? SEE_DIAGONAL : edge ? SEE_RANGE : SEE_ALL;
          int lanes_only = see == SEE_DIAGONAL ? SKIP_LANES : FULL, depth_only = see == SEE_DIAGONAL ? SKIP_DEPTH : FULL;
          copy_rows(k + key0 * wk, kv_heads * wk, keys, wk, kb, kp, 1);
          copy_rows(v + key0 * wv, kv_heads * wv, keys, wv, vb, vp, 1);
          rows_product(keys, lanes, wk, krow, qt, B, p, B, 0, lanes_only);
          rows_product(keys, lanes, wv, vrow, gt, B, d, B, 0, lanes_only);
          block_gradient(p, d, keys, lanes, l, delta, low, high, k0, see);
          rows_product(keys, PADVF(wv), n, prow, gb, vp, sum, vp, 0, depth_only);
          add_rows(sum, vp, keys, wv, dv + key0 * wv, kv_heads * wv);
          rows_product(keys, PADVF(wk), n, drow, qb, kp, sum, kp, 0, depth_only);
          add_rows(sum, kp, keys, wk, dk + key0 * wk, kv_heads * wk);
          columns_product(n, PADVF(wk), keys, d, B, krow, dqb, kp, see == SEE_DIAGONAL);
        }
        copy_rows(dqb, kp, n, wk, dqb, kp, scale);
        for (int64_t i = 0; i < n; i++) memcpy(dq + (row0 + i * heads) * wk, dqb + i * kp, (size_t)wk * sizeof(float));
      }
    }
  }
}

WEIR_KERNEL(gather_attention) {
  const float *q = AF(c->in[0]), *k = AF(c->in[1]), *v = AF(c->in[2]);
  const int32_t *indices = AI(c->in[3]);
  float *out = AF(c->out[0]), *lse = AF(c->out[1]);
  int64_t rows = c->in[0]->dim[0], heads = c->in[0]->dim[1], dk = c->in[0]->dim[2];
  int64_t kv_heads = c->in[1]->dim[1], dv = c->in[2]->dim[2], group = heads / kv_heads, listed = c->in[3]->dim[1];
  if (c->tid >= c->out[2]->dim[0]) return;
  float *s = AF(c->out[2]) + c->tid * c->out[2]->dim[1];
  attention_tile t = {.dk = dk, .dv = dv, .lanes = group, .stride = PAD16(group), .width = PAD16(dv)};
  t.qt = s, s += dk * t.stride;
  t.p = s, s += ATTENTION_STEP * t.stride;
  t.o = s, s += t.stride * t.width;
  float *vb = s;
  s += ATTENTION_STEP * t.width;
  t.m = s, t.l = s + t.stride, t.alpha = s + 2 * t.stride, t.low = s + 3 * t.stride, t.high = s + 4 * t.stride;
  const float *krow[ATTENTION_STEP], *vrow[ATTENTION_STEP];
  for (int64_t task = weir_next(c, 0, 1); task < rows * kv_heads; task = weir_next(c, 0, 1)) {
    int64_t row = task / kv_heads, kv = task % kv_heads;
    const int32_t *list = indices + row * listed;
    for (int64_t g = 0; g < group; g++) tile_query(&t, g, 0, q + (row * heads + kv * group + g) * dk, dk, c->f[0]);
    tile_pad(&t);
    tile_begin(&t);
    for (int64_t j = 0; j < listed; j += ATTENTION_STEP) {
      int64_t keys = 0;
      for (int64_t i = j; i < minimum(listed, j + ATTENTION_STEP); i++) {
        if (list[i] < 0) continue;
        int64_t key = list[i] * kv_heads + kv;
        krow[keys] = k + key * dk;
        vrow[keys] = v + key * dv;
        if (dv % VF) { /* a vector load must not run over the row's end */
          memcpy(vb + keys * t.width, vrow[keys], (size_t)dv * sizeof(float));
          vrow[keys] = vb + keys * t.width;
        }
        keys++;
      }
      if (keys) tile_step(&t, keys, krow, vrow, 0, SEE_ALL);
    }
    for (int64_t g = 0; g < group; g++) {
      int64_t at = row * heads + kv * group + g;
      attention_finish(t.o + g * t.width, t.m[g], t.l[g], dv, out + at * dv, lse + at);
    }
  }
}

/* dq by rows; dk and dv by keys, each key's thread walking all rows in order. */
WEIR_KERNEL(gather_attention_backward) {
  const float *q = AF(c->in[0]), *k = AF(c->in[1]), *v = AF(c->in[2]), *out = AF(c->in[4]), *lse = AF(c->in[5]), *dout = AF(c->in[6]);
  const float *dlse = c->in[7] ? AF(c->in[7]) : NULL;
  const int32_t *indices = AI(c->in[3]);
  float *dq = AF(c->out[0]), *dk = AF(c->out[1]), *dv = AF(c->out[2]), *delta = AF(c->out[3]), scale = c->f[0];
  int64_t rows = c->in[0]->dim[0], heads = c->in[0]->dim[1], wk = c->in[0]->dim[2], all = c->in[1]->dim[0];
  int64_t kv_heads = c->in[1]->dim[1], wv = c->in[2]->dim[2], group = heads / kv_heads, listed = c->in[3]->dim[1];
  int64_t begin, end;
  weir_range(c, rows, 1, &begin, &end);
  for (int64_t row = begin * heads; row < end * heads; row++) {
    int64_t kv = row % heads / group;
    const int32_t *list = indices + row / heads * listed;
    delta[row] = dot_rows(dout + row * wv, out + row * wv, wv) - (dlse ? dlse[row] : 0);
    memset(dq + row * wk, 0, (size_t)wk * sizeof(float));
    for (int64_t j = 0; j < listed; j++) {
      if (list[j] < 0) continue;
      int64_t key = list[j] * kv_heads + kv;
      float p = weir_exp(dot_rows(q + row * wk, k + key * wk, wk) * scale - lse[row]);
      float ds = p * (dot_rows(dout + row * wv, v + key * wv, wv) - delta[row]) * scale;
      add_scaled(dq + row * wk, k + key * wk, ds, wk);
    }
  }
  for (int64_t key = 0; key < all; key++) {
    if (key / 16 % c->nth != c->tid) continue;
    memset(dk + key * kv_heads * wk, 0, (size_t)(kv_heads * wk) * sizeof(float));
    memset(dv + key * kv_heads * wv, 0, (size_t)(kv_heads * wv) * sizeof(float));
  }
  weir_barrier(c);
  for (int64_t t = 0; t < rows; t++) {
    for (int64_t j = 0; j < listed; j++) {
      int64_t at = indices[t * listed + j];
      if (at < 0 || at / 16 % c->nth != c->tid) continue;
      for (int64_t h = 0; h < heads; h++) {
        int64_t row = t * heads + h, key = at * kv_heads + h / group;
        float p = weir_exp(dot_rows(q + row * wk, k + key * wk, wk) * scale - lse[row]);
        float ds = p * (dot_rows(dout + row * wv, v + key * wv, wv) - delta[row]) * scale;
        add_scaled(dk + key * wk, q + row * wk, ds, wk);
        add_scaled(dv + key * wv, dout + row * wv, p, wv);
      }
    }
  }
}

/* Weights of the two results and the merged lse of one row. */
static inline float merge_weights(const weir_call *c, int64_t row, int64_t heads, float *first, float *second) {
  float a = AF(c->in[1])[row], b = c->in[3] ? AF(c->in[3])[row] : -INFINITE, s = c->in[4] ? AF(c->in[4])[row % heads] : -INFINITE;
  float top = a > b ? a : b;
  if (s > top) top = s;
  *first = *second = 0;
  if (top == -INFINITE) return top;
  float ea = weir_exp(a - top), eb = weir_exp(b - top), total = ea + eb + weir_exp(s - top);
  *first = ea / total;
  *second = eb / total;
  return top + weir_log(total);
}

WEIR_KERNEL(attention_merge) {
  const float *a = AF(c->in[0]), *b = c->in[2] ? AF(c->in[2]) : NULL;
  float *out = AF(c->out[0]), *lse = AF(c->out[1]);
  int64_t heads = c->out[0]->dim[1], width = c->out[0]->dim[2], begin, end;
  weir_range(c, c->out[0]->dim[0] * heads, 4, &begin, &end);
  for (int64_t row = begin; row < end; row++) {
    float wa, wb;
    lse[row] = merge_weights(c, row, heads, &wa, &wb);
    for (int64_t i = row * width; i < (row + 1) * width; i += VF) {
      int64_t n = (row + 1) * width - i;
      vf o = vf_mul(vf_load_n(a + i, n), vf_set1(wa));
      if (b) o = vf_fma(vf_load_n(b + i, n), vf_set1(wb), o);
      vf_store_n(out + i, o, n);
    }
  }
}

WEIR_KERNEL(attention_merge_backward) {
  const float *out = AF(c->in[5]), *dout = AF(c->in[6]), *dlse = c->in[7] ? AF(c->in[7]) : NULL;
  int64_t heads = c->in[5]->dim[1], width = c->in[5]->dim[2], begin, end;
  weir_range(c, c->in[5]->dim[0] * heads, 4, &begin, &end);
  for (int64_t row = begin; row < end; row++) {
    float w[2];
    const float *g = dout + row * width;
    merge_weights(c, row, heads, &w[0], &w[1]);
    float delta = dot_rows(g, out + row * width, width) - (dlse ? dlse[row] : 0);
    for (int part = 0; part < c->nout / 2; part++) {
      const float *o = AF(c->in[2 * part]) + row * width;
      float *d = AF(c->out[2 * part]) + row * width;
      for (int64_t i = 0; i < width; i++) d[i] = w[part] * g[i];
      AF(c->out[2 * part + 1])[row] = w[part] * (dot_rows(g, o, width) - delta);
    }
  }
}

WEIR_KERNEL(attention_sinks_grad) {
  const float *sinks = AF(c->in[0]), *out = AF(c->in[1]), *lse = AF(c->in[2]), *dout = AF(c->in[3]);
  const float *dlse = c->in[4] ? AF(c->in[4]) : NULL;
  float *d = AF(c->out[0]);
  int64_t rows = c->in[1]->dim[0], heads = c->in[1]->dim[1], width = c->in[1]->dim[2], begin, end;
  weir_range(c, heads, 1, &begin, &end);
  for (int64_t h = begin; h < end; h++) {
    float sum = 0;
    for (int64_t row = h; row < rows * heads; row += heads) {
      float delta = dot_rows(dout + row * width, out + row * width, width);
      sum += weir_exp(sinks[h] - lse[row]) * ((dlse ? dlse[row] : 0) - delta);
    }
    d[h] += sum;
  }
}

WEIR_KERNEL(mla_keys) {
  const float *x = AF(c->in[0]), *r = AF(c->in[1]);
  float *k = AF(c->out[0]), *v = AF(c->out[1]);
  int64_t heads = c->out[0]->dim[1], dk = c->out[0]->dim[2], dv = c->out[1]->dim[2], rope = c->in[1]->dim[1], nope = dk - rope;
  int64_t begin, end;
  weir_range(c, c->out[0]->dim[0], 1, &begin, &end);
  for (int64_t row = begin * heads; row < end * heads; row++) {
    const float *from = x + row * (nope + dv);
    memcpy(k + row * dk, from, (size_t)nope * sizeof(float));
    memcpy(k + row * dk + nope, r + row / heads * rope, (size_t)rope * sizeof(float));
    memcpy(v + row * dv, from + nope, (size_t)dv * sizeof(float));
  }
}

WEIR_KERNEL(mla_keys_backward) {
  const float *k = AF(c->in[0]), *v = AF(c->in[1]);
  float *x = AF(c->out[0]), *r = AF(c->out[1]);
  int64_t heads = c->in[0]->dim[1], dk = c->in[0]->dim[2], dv = c->in[1]->dim[2], rope = c->out[1]->dim[1], nope = dk - rope;
  int64_t begin, end;
  weir_range(c, c->in[0]->dim[0], 1, &begin, &end);
  for (int64_t t = begin; t < end; t++) {
    memset(r + t * rope, 0, (size_t)rope * sizeof(float));
    for (int64_t h = 0; h < heads; h++) {
      int64_t row = t * heads + h;
      memcpy(x + row * (nope + dv), k + row * dk, (size_t)nope * sizeof(float));
      memcpy(x + row * (nope + dv) + nope, v + row * dv, (size_t)dv * sizeof(float));
      for (int64_t i = 0; i < rope; i++) r[t * rope + i] += k[row * dk + nope + i];
    }
  }
}
