/* Sparse attention's choice of keys (the lightning indexer's scores and top-k), the Hadamard transform, and the pooling of windows
 * (src/tensor/ops/select.ts). */
#include "attention.h"
#include "cache.h"

#define SCORE_ROWS 8 /* rows whose scores are held at a time */
#define SCORE_STEP 24 /* keys per product */

WEIR_KERNEL(hadamard) {
  const float *x = AF(c->in[0]);
  float *y = AF(c->out[0]);
  int64_t width = weir_cols(c->in[0]), begin, end;
  weir_range(c, weir_rows(c->in[0]), 1, &begin, &end);
  float scale = 1.0f / weir_sqrt((float)width);
  for (int64_t r = begin; r < end; r++) {
    const float *from = x + r * width;
    float *to = y + r * width;
    for (int64_t i = 0; i < width; i++) to[i] = from[i] * scale;
    for (int64_t step = 1; step < width; step *= 2)
      for (int64_t i = 0; i < width; i += 2 * step)
        for (int64_t j = i; j < i + step; j++) {
          float a = to[j], b = to[j + step];
          to[j] = a + b;
          to[j + step] = a - b;
        }
  }
}

/* Where the keys of a row lie: row `first` and up of a matrix, or the positions of a paged cache. */
typedef struct {
  const weir_tensor *keys;
  const int32_t *pages; /* NULL: flat */
  int64_t first, count, page_size, width;
} key_list;

static inline const float *key_at(const key_list *l, int64_t s, float *buffer) {
  int64_t row = l->pages ? cache_row(l->pages, s, l->page_size) : l->first + s;
  if (l->keys->dtype == WEIR_F32) return AF(l->keys) + row * l->keys->dim[1];
  cache_read(l->keys, row, 0, l->width, l->width, buffer);
  return buffer;
}

/* A float as a number that orders the same way. */
static inline uint32_t ordered(float x) {
  uint32_t u;
  x += 0.0f; /* -0 is 0 */
  memcpy(&u, &x, 4);
  return u >> 31 ? ~u : u | 0x80000000u;
}

/* The topk largest of n scores by ascending index, of equal ones the first; -1 fills up. Radix selection, a byte at a time. */
static void pick(const float *scores, int64_t n, int64_t topk, int32_t first, int32_t *out) {
  int64_t taken = 0;
  if (n > topk) {
    uint32_t prefix = 0, mask = 0;
    int64_t wanted = topk; /* how many of those that share the prefix are still to be taken */
    for (int shift = 24; shift >= 0; shift -= 8) {
      int64_t histogram[256] = {0};
      for (int64_t s = 0; s < n; s++) {
        uint32_t u = ordered(scores[s]);
        if ((u & mask) == prefix) histogram[u >> shift & 255]++;
      }
      int byte = 255;
      while (histogram[byte] < wanted) wanted -= histogram[byte--];
      prefix |= (uint32_t)byte << shift;
      mask |= 255u << shift;
    }
    for (int64_t s = 0; s < n && taken < topk; s++) {
      uint32_t u = ordered(scores[s]);
      if (u > prefix || (u == prefix && wanted-- > 0)) out[taken++] = first + (int32_t)s;
    }
  } else {
    for (; taken < n; taken++) out[taken] = first + (int32_t)taken;
  }
  for (; taken < topk; taken++) out[taken] = -1;
}

/* Scores of keys begin..end of one row. qt: its queries transposed, [width][lanes]; work: SCORE_STEP rows of keys, then of products. */
static void score(const key_list *l, const float *qt, const float *w, int64_t heads, float scale, int64_t begin, int64_t end,
                  float *scores, float *work) {
  int64_t lanes = PAD16(heads), n = PADVF(heads), row = PAD16(l->width);
  float *products = work + SCORE_STEP * row;
  const float *keys[SCORE_STEP];
  for (int64_t s = begin; s < end; s += SCORE_STEP) {
    int64_t count = end - s < SCORE_STEP ? end - s : SCORE_STEP;
    for (int64_t i = 0; i < count; i++) keys[i] = key_at(l, s + i, work + i * row);
    rows_product(count, n, l->width, keys, qt, lanes, products, lanes, 0, FULL);
    for (int64_t i = 0; i < count; i++) {
      vf sum = vf_zero();
      for (int64_t j = 0; j < heads; j += VF)
        sum = vf_fma(vf_load_n(w + j, heads - j), vf_max(vf_load(products + i * lanes + j), vf_zero()), sum);
      scores[s + i] = vf_sum(sum) * scale;
    }
  }
}

static key_list flat_keys(const weir_call *c, int64_t t) {
  int64_t first = AI(c->in[3])[t], count = AI(c->in[4])[t], rows = c->in[2]->dim[0];
  if (first + count > rows) count = rows - first;
  return (key_list){.keys = c->in[2], .first = first, .count = count < 0 ? 0 : count, .width = c->in[0]->dim[2]};
}

static key_list paged_keys(const weir_call *c, int64_t t) {
  const int32_t *pages = AI(c->in[3]) + AI(c->in[4])[t] * c->in[3]->dim[1];
  return (key_list){.keys = c->in[2], .pages = pages, .count = AI(c->in[5])[t] + 1, .page_size = c->i[0], .width = c->in[0]->dim[2]};
}

static void select_keys(const weir_call *c, key_list (*keys_of)(const weir_call *, int64_t)) {
  const float *q = AF(c->in[0]), *w = AF(c->in[1]);
  int64_t rows = c->in[0]->dim[0], heads = c->in[0]->dim[1], width = c->in[0]->dim[2], topk = c->out[0]->dim[1];
  int64_t lanes = PAD16(heads), capacity = c->out[1]->dim[1], slots = c->out[3]->dim[0];
  int64_t threads = c->nth < slots ? c->nth : slots;
  int32_t *out = c->out[0]->data;
  float *scores = AF(c->out[1]), *queries = AF(c->out[2]), *work = AF(c->out[3]) + c->tid * c->out[3]->dim[1];
  for (int64_t row0 = 0; row0 < rows; row0 += SCORE_ROWS) {
    int64_t n = rows - row0 < SCORE_ROWS ? rows - row0 : SCORE_ROWS, begin, end;
    weir_range(c, n, 1, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
      const float *from = q + (row0 + r) * heads * width;
      float *to = queries + r * width * lanes;
      for (int64_t d = 0; d < width; d++)
        for (int64_t j = 0; j < lanes; j++) to[d * lanes + j] = j < heads ? from[j * width + d] : 0;
    }
    weir_barrier(c);
    for (int64_t r = 0; c->tid < threads && r < n; r++) {
      key_list l = keys_of(c, row0 + r);
      if (l.count <= topk) continue; /* all of them are taken */
      int64_t blocks = (l.count + SCORE_STEP - 1) / SCORE_STEP;
      int64_t b = blocks * c->tid / threads * SCORE_STEP, e = blocks * (c->tid + 1) / threads * SCORE_STEP;
      score(&l, queries + r * width * lanes, w + (row0 + r) * heads, heads, c->f[0], b, e < l.count ? e : l.count,
            scores + r * capacity, work);
    }
    weir_barrier(c);
    for (int64_t r = begin; r < end; r++) {
      key_list l = keys_of(c, row0 + r);
      pick(scores + r * capacity, l.count, topk, (int32_t)l.first, out + (row0 + r) * topk);
    }
    weir_barrier(c);
  }
}

WEIR_KERNEL(select_top_k) { select_keys(c, flat_keys); }
WEIR_KERNEL(paged_select_top_k) { select_keys(c, paged_keys); }

/* One window's slot: the rows of kv and gate that it reads, or NULL. */
typedef struct {
  const float *kv, *gate, *ape;
  int64_t at; /* offset of the row's slice in kv, for gradients */
} slot;

static inline slot slot_of(const weir_call *c, int64_t w, int64_t j, int64_t width, int state) {
  int64_t slots = c->in[3]->dim[1], columns = c->in[2]->dim[1], ratio = c->in[2]->dim[0];
  int32_t code = AI(c->in[3])[w * slots + j];
  int64_t column = j < ratio ? 0 : width;
  if (code == -1) return (slot){0};
  const float *ape = AF(c->in[2]) + j % ratio * columns + column;
  if (code >= 0) {
    int64_t at = code * columns + column;
    return (slot){AF(c->in[0]) + at, AF(c->in[1]) + at, ape, at};
  }
  if (!state) return (slot){0};
  int64_t at = (-2 - (int64_t)code) * columns + column;
  return (slot){AF(c->in[4]) + at, AF(c->in[5]) + at, ape, at};
}

WEIR_KERNEL(compress_windows) {
  float *out = AF(c->out[0]);
  int64_t windows = c->out[0]->dim[0], width = c->out[0]->dim[1], slots = c->in[3]->dim[1], chunks = (width + 63) / 64;
  int64_t begin, end;
  int state = c->in[4] != NULL;
  weir_range(c, windows * chunks, 1, &begin, &end);
  for (int64_t unit = begin; unit < end; unit++) {
    int64_t w = unit / chunks, stop = unit % chunks * 64 + 64 < width ? unit % chunks * 64 + 64 : width;
    for (int64_t i = unit % chunks * 64; i < stop; i += VF) {
      int64_t n = stop - i;
      vf top = vf_set1(LOWEST), sum = vf_zero(), total = vf_zero();
      for (int64_t j = 0; j < slots; j++) {
        slot s = slot_of(c, w, j, width, state);
        if (s.kv) top = vf_max(vf_add(vf_load_n(s.gate + i, n), vf_load_n(s.ape + i, n)), top);
      }
      for (int64_t j = 0; j < slots; j++) {
        slot s = slot_of(c, w, j, width, state);
        if (!s.kv) continue;
        vf e = vf_exp(vf_sub(vf_add(vf_load_n(s.gate + i, n), vf_load_n(s.ape + i, n)), top));
        total = vf_add(total, e);
        sum = vf_fma(e, vf_load_n(s.kv + i, n), sum);
      }
      vf some = vf_lt(vf_zero(), total); /* a window without slots gives zeros */
      vf_store_n(out + w * width + i, vf_select(some, vf_div(sum, vf_select(some, total, vf_set1(1))), vf_zero()), n);
    }
  }
}

/* A thread owns columns and walks the windows in order, so that what several windows add to comes in one order. */
WEIR_KERNEL(compress_windows_backward) {
  const float *out = AF(c->in[4]), *dout = AF(c->in[5]);
  float *dkv = AF(c->out[0]), *dgate = AF(c->out[1]), *dape = AF(c->out[2]);
  int64_t windows = c->in[4]->dim[0], width = c->in[4]->dim[1], slots = c->in[3]->dim[1], begin, end;
  int64_t columns = c->in[2]->dim[1], ratio = c->in[2]->dim[0];
  weir_range(c, width, 16, &begin, &end);
  for (int64_t w = 0; w < windows; w++) {
    for (int64_t i = begin; i < end; i += VF) {
      int64_t n = end - i;
      vf top = vf_set1(LOWEST), total = vf_zero();
      for (int64_t j = 0; j < slots; j++) {
        slot s = slot_of(c, w, j, width, 0);
        if (s.kv) top = vf_max(vf_add(vf_load_n(s.gate + i, n), vf_load_n(s.ape + i, n)), top);
      }
      for (int64_t j = 0; j < slots; j++) {
        slot s = slot_of(c, w, j, width, 0);
        if (s.kv) total = vf_add(total, vf_exp(vf_sub(vf_add(vf_load_n(s.gate + i, n), vf_load_n(s.ape + i, n)), top)));
      }
      vf g = vf_load_n(dout + w * width + i, n), o = vf_load_n(out + w * width + i, n);
      for (int64_t j = 0; j < slots; j++) {
        slot s = slot_of(c, w, j, width, 0);
        if (!s.kv) continue;
        vf e = vf_exp(vf_sub(vf_add(vf_load_n(s.gate + i, n), vf_load_n(s.ape + i, n)), top));
        vf back = vf_mul(vf_div(e, total), g), logit = vf_mul(back, vf_sub(vf_load_n(s.kv + i, n), o));
        float *a = dkv + s.at + i, *b = dgate + s.at + i, *p = dape + j % ratio * columns + (j < ratio ? 0 : width) + i;
        vf_store_n(a, vf_add(vf_load_n(a, n), back), n);
        vf_store_n(b, vf_add(vf_load_n(b, n), logit), n);
        vf_store_n(p, vf_add(vf_load_n(p, n), logit), n);
      }
    }
  }
}
