/* Writing rows into a paged cache and attending over its pages (src/tensor/ops/cache.ts).
 *
 * A tile is up to ATTENTION_LANES queries of one sequence and one key head: for MLA all heads of several rows, so that each latent is
 * read once for all of them. Keys are taken from position 0 in steps of ATTENTION_STEP; after every ATTENTION_SPLIT positions the
 * partial result is folded into the running one. With few tiles the splits of a tile are given to different threads and folded
 * afterwards by the same arithmetic in the same order, so that nobody can tell from the bits. */
#include "attention.h"
#include "cache.h"

WEIR_KERNEL(cache_write) {
  const int32_t *slots = AI(c->in[2]);
  const weir_tensor *cache = c->out[0];
  int64_t columns = cache->dim[1], begin, end;
  weir_range(c, c->in[0]->dim[0], 1, &begin, &end);
  for (int64_t t = begin; t < end; t++) {
    if (slots[t] < 0) continue;
    int64_t at = slots[t] * columns, from = 0;
    if (cache->dtype == WEIR_I8) memset((int8_t *)cache->data + at, 0, (size_t)columns);
    for (int part = 0; part < 2; part++) {
      if (!c->in[part]) continue;
      int64_t n = c->in[part]->dim[1];
      const float *x = AF(c->in[part]) + t * n;
      if (cache->dtype == WEIR_F32) {
        memcpy(AF(cache) + at + from, x, (size_t)n * sizeof(float));
      } else if (cache->dtype == WEIR_BF16) {
        uint16_t *to = (uint16_t *)cache->data + at + from;
        for (int64_t i = 0; i < n; i++) to[i] = weir_f32_to_bf16(x[i]);
      } else {
        int8_t *to = (int8_t *)cache->data + at;
        float top = 0;
        for (int64_t i = 0; i < n; i++) top = weir_abs(x[i]) > top ? weir_abs(x[i]) : top;
        float inverse = top > 0 ? 127.0f / top : 0, scale = top / 127.0f;
        for (int64_t i = 0; i < n; i += VF) {
          int64_t count = n - i < VF ? n - i : VF;
          int32_t lanes[VF];
          vi_store(lanes, vi_round(vf_mul(vf_load_n(x + i, count), vf_set1(inverse))));
          for (int64_t j = 0; j < count; j++) {
            int32_t q = lanes[j];
            to[from + i + j] = (int8_t)(q > 127 ? 127 : q < -127 ? -127 : q);
          }
        }
        memcpy(to + columns - 16 + 4 * part, &scale, sizeof scale);
      }
      from += n;
    }
  }
}

/* One call of paged attention, as every thread sees it. */
typedef struct {
  const float *q, *tail;
  const weir_tensor *keys, *values;
  const int32_t *pages, *seq, *pos, *selected;
  int64_t rows, heads, head, tail_width, tail_count, dk, dv, kv_heads, group, page_size, window, listed, pages_per_seq, rows_per_tile;
  float scale;
  float *kb, *vb;
} paged;

/* Rows of the tile that begins at `row`: they follow each other in one sequence. */
static inline int64_t tile_end(const paged *a, int64_t row) {
  int64_t end = row + 1;
  if (a->selected) return end;
  while (end < a->rows && end - row < a->rows_per_tile && a->seq[end] == a->seq[row]) end++;
  return end;
}

/* The splits in which row `t` sees a key: [*first, *last). */
static inline void row_splits(const paged *a, int64_t t, int64_t *first, int64_t *last) {
  if (a->selected) {
    *first = 0;
    *last = (a->listed + ATTENTION_SPLIT - 1) / ATTENTION_SPLIT;
    return;
  }
  int64_t high = a->pos[t], low = a->window > 0 && high - a->window + 1 > 0 ? high - a->window + 1 : 0;
  *first = low / ATTENTION_SPLIT;
  *last = high < 0 ? *first : high / ATTENTION_SPLIT + 1;
}

static void tile_splits(const paged *a, int64_t row, int64_t end, int64_t *first, int64_t *last) {
  row_splits(a, row, first, last);
  for (int64_t t = row + 1; t < end; t++) {
    int64_t f, l;
    row_splits(a, t, &f, &l);
    if (l <= f) continue;
    if (*last <= *first || f < *first) *first = f;
    if (l > *last) *last = l;
  }
}

static void load_queries(const paged *a, attention_tile *t, int64_t row, int64_t end, int64_t kv) {
  t->lanes = (end - row) * a->group;
  t->stride = PAD16(t->lanes);
  for (int64_t r = row; r < end; r++) {
    int64_t high = a->selected ? -1 : a->pos[r], low = a->window > 0 && high - a->window + 1 > 0 ? high - a->window + 1 : 0;
    for (int64_t g = 0; g < a->group; g++) {
      int64_t lane = (r - row) * a->group + g, at = r * a->heads + kv * a->group + g;
      tile_query(t, lane, 0, a->q + at * a->head, a->head, a->scale);
      if (a->tail) tile_query(t, lane, a->head, a->tail + (at + 1) * a->tail_width - a->tail_count, a->tail_count, a->scale);
      t->low[lane] = (float)low;
      t->high[lane] = (float)high;
    }
  }
  tile_pad(t);
}

/* Fills k and v with where the given cache rows lie, converting what is no plain f32. */
static void point_keys(const paged *a, const int64_t *slots, int64_t keys, int64_t kv, const float **k, const float **v) {
  int64_t kp = PAD16(a->dk), vp = PAD16(a->dv), first = a->values ? a->dk * a->kv_heads : a->dv;
  int plain = a->keys->dtype == WEIR_F32, whole = a->dv % VF == 0;
  for (int64_t i = 0; i < keys; i++) {
    if (plain && (a->values || whole)) {
      k[i] = AF(a->keys) + slots[i] * a->keys->dim[1] + kv * a->dk;
    } else {
      cache_read(a->keys, slots[i], kv * a->dk, a->dk, first, a->kb + i * kp);
      k[i] = a->kb + i * kp;
    }
    if (!a->values) {
      v[i] = k[i];
    } else if (a->values->dtype == WEIR_F32 && whole) {
      v[i] = AF(a->values) + slots[i] * a->values->dim[1] + kv * a->dv;
    } else {
      cache_read(a->values, slots[i], kv * a->dv, a->dv, a->dv * a->kv_heads, a->vb + i * vp);
      v[i] = a->vb + i * vp;
    }
  }
}

/* The partial result of one split, from scratch. */
static void run_split(const paged *a, attention_tile *t, int64_t row, int64_t end, int64_t kv, int64_t split) {
  const float *k[ATTENTION_STEP], *v[ATTENTION_STEP];
  int64_t slots[ATTENTION_STEP], begin = split * ATTENTION_SPLIT, stop = begin + ATTENTION_SPLIT;
  const int32_t *pages = a->pages + a->seq[row] * a->pages_per_seq;
  tile_begin(t);
  if (a->selected) {
    const int32_t *list = a->selected + row * a->listed;
    if (stop > a->listed) stop = a->listed;
    for (int64_t j = begin; j < stop; j += ATTENTION_STEP) {
      int64_t keys = 0;
      for (int64_t i = j; i < stop && i < j + ATTENTION_STEP; i++)
        if (list[i] >= 0) slots[keys++] = cache_row(pages, list[i], a->page_size);
      if (!keys) continue;
      point_keys(a, slots, keys, kv, k, v);
      tile_step(t, keys, k, v, 0, SEE_ALL);
    }
    return;
  }
  int64_t low = INT64_MAX, high = -1, shared_low = 0, shared_high = INT64_MAX;
  for (int64_t r = row; r < end; r++) {
    int64_t h = a->pos[r], l = a->window > 0 && h - a->window + 1 > 0 ? h - a->window + 1 : 0;
    if (h > high) high = h;
    if (h < shared_high) shared_high = h;
    if (h >= 0 && l < low) low = l;
    if (l > shared_low) shared_low = l;
  }
  if (stop > high + 1) stop = high + 1;
  for (int64_t p = begin; p < stop; p += ATTENTION_STEP) {
    int64_t keys = stop - p < ATTENTION_STEP ? stop - p : ATTENTION_STEP;
    if (p + keys <= low) continue;
    for (int64_t i = 0; i < keys; i++) slots[i] = cache_row(pages, p + i, a->page_size);
    point_keys(a, slots, keys, kv, k, v);
    tile_step(t, keys, k, v, p, p + keys - 1 <= shared_high && p >= shared_low ? SEE_ALL : SEE_RANGE);
  }
}

/* Folds a partial result of one query into the running one. */
static inline void fold(float *o, float *m, float *l, const float *part, float pm, float pl, int64_t dv) {
  float top = pm > *m ? pm : *m, a = weir_exp(*m - top), b = weir_exp(pm - top);
  vf va = vf_set1(a), vb = vf_set1(b);
  for (int64_t d = 0; d < PADVF(dv); d += VF) vf_store(o + d, vf_fma(vf_load(o + d), va, vf_mul(vf_load(part + d), vb)));
  *l = weir_fma(*l, a, pl * b);
  *m = top;
}

WEIR_KERNEL(paged_attention) {
  const weir_tensor *q = c->in[0], *tail = c->in[1], *table = c->in[4];
  float *out = AF(c->out[0]), *lse = AF(c->out[1]), *partials = AF(c->out[3]);
  paged a = {.q = AF(q), .keys = c->in[2], .values = c->in[3], .pages = AI(table), .seq = AI(c->in[5]), .pos = AI(c->in[6]),
             .rows = q->dim[0], .heads = q->dim[1], .head = q->dim[2], .tail_count = c->i[3], .dk = q->dim[2] + c->i[3],
             .dv = c->out[0]->dim[2], .kv_heads = c->i[0], .page_size = c->i[1], .window = c->i[2],
             .pages_per_seq = table->dim[1], .scale = c->f[0]};
  a.group = a.heads / a.kv_heads;
  a.rows_per_tile = a.group < ATTENTION_LANES ? ATTENTION_LANES / a.group : 1;
  if (tail) a.tail = AF(tail), a.tail_width = tail->dim[2];
  if (c->in[7]) a.selected = AI(c->in[7]), a.listed = c->in[7]->dim[1];
  int64_t threads = c->nth < c->out[2]->dim[0] ? c->nth : c->out[2]->dim[0];
  int64_t dvp = PAD16(a.dv), record = dvp + 16, most = PAD16(a.group * a.rows_per_tile);

  int64_t tiles = 0, splits = 0, any = 0;
  for (int64_t row = 0, end; row < a.rows; row = end) {
    int64_t first, last;
    end = tile_end(&a, row);
    tile_splits(&a, row, end, &first, &last);
    tiles++;
    splits += last - first;
    if (last > any) any = last;
  }
  /* Few tiles with several splits each: give out splits, where the partial results have room. */
  int apart = tiles * a.kv_heads < 4 * threads && threads > 1 && splits > tiles && a.rows * any * a.heads * record <= c->out[3]->dim[0];

  if (c->tid < threads) {
    float *s = AF(c->out[2]) + c->tid * c->out[2]->dim[1];
    attention_tile t = {.dk = a.dk, .dv = a.dv, .width = dvp};
    t.qt = s, s += a.dk * most;
    t.p = s, s += ATTENTION_STEP * most;
    t.o = s, s += most * dvp;
    float *run = s;
    s += most * dvp;
    a.kb = s, s += ATTENTION_STEP * PAD16(a.dk);
    a.vb = s, s += ATTENTION_STEP * dvp;
    t.m = s, t.l = s + most, t.alpha = s + 2 * most, t.low = s + 3 * most, t.high = s + 4 * most;
    float *run_m = s + 5 * most, *run_l = s + 6 * most;

    int64_t row = 0, end = a.rows ? tile_end(&a, 0) : 0, first = 0, last = 0, done = 0, loaded = -1;
    if (a.rows) tile_splits(&a, 0, end, &first, &last);
    for (int64_t task = weir_next(c, 0, 1); row < a.rows; task = weir_next(c, 0, 1)) {
      int64_t units;
      while (row < a.rows && task >= done + (units = a.kv_heads * (apart ? last - first : 1))) {
        done += units;
        row = end;
        if (row >= a.rows) break;
        end = tile_end(&a, row);
        tile_splits(&a, row, end, &first, &last);
      }
      if (row >= a.rows) break;
      int64_t each = apart ? last - first : 1, kv = (task - done) / each;
      if (loaded != row * a.kv_heads + kv) load_queries(&a, &t, row, end, kv);
      loaded = row * a.kv_heads + kv;
      if (apart) {
        int64_t split = first + (task - done) % each;
        run_split(&a, &t, row, end, kv, split);
        for (int64_t i = 0; i < t.lanes; i++) {
          int64_t r = row + i / a.group, h = kv * a.group + i % a.group;
          float *to = partials + ((r * any + split) * a.heads + h) * record;
          memcpy(to, t.o + i * dvp, (size_t)dvp * sizeof(float));
          to[dvp] = t.m[i];
          to[dvp + 1] = t.l[i];
        }
        continue;
      }
      memset(run, 0, (size_t)(t.lanes * dvp) * sizeof(float));
      for (int64_t i = 0; i < t.lanes; i++) run_m[i] = LOWEST, run_l[i] = 0;
      for (int64_t split = first; split < last; split++) {
        run_split(&a, &t, row, end, kv, split);
        for (int64_t i = 0; i < t.lanes; i++) fold(run + i * dvp, run_m + i, run_l + i, t.o + i * dvp, t.m[i], t.l[i], a.dv);
      }
      for (int64_t i = 0; i < t.lanes; i++) {
        int64_t at = (row + i / a.group) * a.heads + kv * a.group + i % a.group;
        attention_finish(run + i * dvp, run_m[i], run_l[i], a.dv, out + at * a.dv, lse + at);
      }
    }
  }
  if (!apart) return;
  weir_barrier(c);
  int64_t begin, stop;
  weir_range(c, a.rows * a.heads, 1, &begin, &stop);
  for (int64_t at = begin; at < stop; at++) {
    int64_t r = at / a.heads, h = at % a.heads, first, last;
    row_splits(&a, r, &first, &last);
    float *o = partials + ((r * any + first) * a.heads + h) * record;
    if (last <= first) {
      memset(out + at * a.dv, 0, (size_t)a.dv * sizeof(float));
      lse[at] = -INFINITE;
      continue;
    }
    float m = o[dvp], l = o[dvp + 1];
    for (int64_t split = first + 1; split < last; split++) {
      const float *part = partials + ((r * any + split) * a.heads + h) * record;
      fold(o, &m, &l, part, part[dvp], part[dvp + 1], a.dv);
    }
    attention_finish(o, m, l, a.dv, out + at * a.dv, lse + at);
  }
}
