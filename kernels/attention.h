/* The core that every attention kernel shares: products over tiles held in registers, and one step of online softmax (Milakov &
 * Gimelshein, arXiv 1805.02867) in which the LANES are queries and the rows are keys. That way the maximum and the sum over keys
 * are plain vector operations, keys and values are read where they lie, one broadcast each, and only the queries are transposed.
 *
 * Bits: every score is a chain of fused multiply-adds over the head's width in order, every output a chain over its keys in order.
 * A masked key has weight exactly 0 and leaves every number as it was, so that which other queries share the tile changes nothing.
 *
 * The sizes here are those of src/tensor/ops/scratch.ts. */
#ifndef WEIR_ATTENTION_H
#define WEIR_ATTENTION_H

#include "simd.h"

#define ATTENTION_BLOCK 96 /* queries and keys of one tile of full attention; a multiple of every tile height and width */
#define ATTENTION_STEP 64  /* keys per step over lists and pages */
#define ATTENTION_SPLIT 256 /* keys after which a partial result is folded into the running one */
#define ATTENTION_LANES 64 /* query lanes a tile of paged attention aims at */
#define PAD16(n) (((n) + 15) & ~(int64_t)15)
#define PADVF(n) (((n) + VF - 1) & ~(int64_t)(VF - 1))
#define LOWEST (-3.40282347e38f)
#define HIGHEST 3.40282347e38f
#define INFINITE __builtin_inff()

#define AF(t) ((float *)(t)->data)
#define AI(t) ((const int32_t *)(t)->data)

#define TILE_ROWS 6 /* beside TILE_VECTORS vectors */
#define THIN_ROWS 8 /* beside one vector: enough chains to hide the latency of a multiply-add */
#if WEIR_NEON
#define TILE_VECTORS 4
#else
#define TILE_VECTORS 2
#endif
/* How much of a long reduction is done at a time, so that the shared factor stays in the first-level cache. */
#define TILE_DEPTH 288
#define AUNROLL _Pragma("GCC unroll 8")

/* c[r][v] = (load ? c : 0) + Σ_k row[r][k] · b[k·ldb + v], R rows, V vectors. Meanwhile R rows of `next` are fetched: rows of a cache
 * come from main memory and are too short for the processor to guess. */
WEIR_INLINE void rows_tile(const int R, const int V, int64_t depth, const float *const *rows, const float *const *next, const float *b,
                           int64_t ldb, float *c, int64_t ldc, int load) {
  vf acc[THIN_ROWS][TILE_VECTORS];
  const float *row[THIN_ROWS];
  AUNROLL for (int r = 0; r < R; r++) {
    row[r] = rows[r];
    AUNROLL for (int v = 0; v < V; v++) acc[r][v] = load ? vf_load(c + r * ldc + v * VF) : vf_zero();
  }
  for (int64_t k = 0; k < depth;) {
    int64_t stop = k + 16 < depth ? k + 16 : depth;
    for (int r = 0; r < R; r++) __builtin_prefetch(next[r] + k);
    for (; k < stop; k++, b += ldb) {
      vf w[TILE_VECTORS];
      AUNROLL for (int v = 0; v < V; v++) w[v] = vf_load(b + v * VF);
      AUNROLL for (int r = 0; r < R; r++) {
        vf x = vf_set1(row[r][k]);
        AUNROLL for (int v = 0; v < V; v++) acc[r][v] = vf_fma(x, w[v], acc[r][v]);
      }
    }
  }
  AUNROLL for (int r = 0; r < R; r++) AUNROLL for (int v = 0; v < V; v++) vf_store(c + r * ldc + v * VF, acc[r][v]);
}

/* c[r][v] += Σ_k a[k·lda + r] · row[k][offset + v]. */
WEIR_INLINE void columns_tile(const int R, const int V, int64_t depth, const float *a, int64_t lda, const float *const *rows,
                              int64_t offset, float *c, int64_t ldc) {
  vf acc[TILE_ROWS][TILE_VECTORS];
  AUNROLL for (int r = 0; r < R; r++) AUNROLL for (int v = 0; v < V; v++) acc[r][v] = vf_load(c + r * ldc + v * VF);
  for (int64_t k = 0; k < depth; k++, a += lda) {
    const float *b = rows[k] + offset;
    vf w[TILE_VECTORS];
    AUNROLL for (int v = 0; v < V; v++) w[v] = vf_load(b + v * VF);
    AUNROLL for (int r = 0; r < R; r++) {
      vf x = vf_set1(a[r]);
      AUNROLL for (int v = 0; v < V; v++) acc[r][v] = vf_fma(x, w[v], acc[r][v]);
    }
  }
  AUNROLL for (int r = 0; r < R; r++) AUNROLL for (int v = 0; v < V; v++) vf_store(c + r * ldc + v * VF, acc[r][v]);
}

#define EACH_HEIGHT(n, DO) \
  switch (n) {             \
    case 1: DO(1); break;  \
    case 2: DO(2); break;  \
    case 3: DO(3); break;  \
    case 4: DO(4); break;  \
    case 5: DO(5); break;  \
    default: DO(6); break; \
  }
#define EACH_THIN_HEIGHT(n, DO)       \
  switch (n) {                        \
    case 8: DO(8); break;             \
    case 7: DO(7); break;             \
    default: EACH_HEIGHT(n, DO) break; \
  }

/* The height of tiles when m rows are cut evenly into as few as `most` allows. */
static inline int64_t even_height(int64_t m, int64_t most) {
  int64_t tiles = (m + most - 1) / most;
  return tiles ? (m + tiles - 1) / tiles : 1;
}

/* What a product may leave out on the diagonal of a causal tile, where key row i meets query i. */
enum { FULL = 0, SKIP_LANES = 1, SKIP_DEPTH = 2 };

/* c [m][n] (+)= rows [m][depth] · b [depth][n], n a multiple of VF. SKIP_LANES: row i needs columns i and up only, the others are
 * left as they are (but for those of its own tile). SKIP_DEPTH: row i's factors before i are zero. */
static __attribute__((unused)) void rows_product(int64_t m, int64_t n, int64_t depth, const float *const *rows, const float *b, int64_t ldb, float *c,
                         int64_t ldc, int load, int skip) {
  const float *shifted[2 * THIN_ROWS];
  for (int64_t k0 = 0; k0 < depth; k0 += TILE_DEPTH) {
    int64_t kc = depth - k0 < TILE_DEPTH ? depth - k0 : TILE_DEPTH;
    int sum = load || k0 > 0;
    for (int64_t j = 0, step; j < n; j += step) {
      int wide = n - j >= TILE_VECTORS * VF;
      step = wide ? TILE_VECTORS * VF : VF;
      for (int64_t i = 0, most = even_height(m, wide ? TILE_ROWS : THIN_ROWS); i < m; i += most) {
        int height = (int)(m - i < most ? m - i : most);
        int64_t from = k0;
        if (skip == SKIP_LANES && j + step <= i) break;
        if (skip == SKIP_DEPTH && i > from) from = i < k0 + kc ? i : k0 + kc;
        const float *x = b + from * ldb + j;
        float *y = c + i * ldc + j;
        int64_t count = k0 + kc - from;
        for (int r = 0; r < height; r++) {
          shifted[r] = rows[i + r] + from;
          shifted[THIN_ROWS + r] = rows[i + height + r < m ? i + height + r : m - 1] + from;
        }
#define WIDE(R) rows_tile(R, TILE_VECTORS, count, shifted, shifted + THIN_ROWS, x, ldb, y, ldc, sum)
#define NARROW(R) rows_tile(R, 1, count, shifted, shifted + THIN_ROWS, x, ldb, y, ldc, sum)
        if (wide) EACH_HEIGHT(height, WIDE)
        else EACH_THIN_HEIGHT(height, NARROW)
#undef WIDE
#undef NARROW
      }
    }
  }
}

/* c [m][n] += aᵀ · rows, a [depth][lda] with m columns, rows [depth] of n values. causal: column i of a is zero below row i. */
static __attribute__((unused)) void columns_product(int64_t m, int64_t n, int64_t depth, const float *a, int64_t lda, const float *const *rows, float *c,
                            int64_t ldc, int causal) {
  int64_t most = even_height(m, TILE_ROWS);
  for (int64_t j = 0, step; j < n; j += step) {
    int wide = n - j >= TILE_VECTORS * VF;
    step = wide ? TILE_VECTORS * VF : VF;
    for (int64_t i = 0; i < m; i += most) {
      int height = (int)(m - i < most ? m - i : most);
      int64_t count = causal && i + height < depth ? i + height : depth;
      float *y = c + i * ldc + j;
#define WIDE(R) columns_tile(R, TILE_VECTORS, count, a + i, lda, rows, j, y, ldc)
#define NARROW(R) columns_tile(R, 1, count, a + i, lda, rows, j, y, ldc)
      if (wide) EACH_HEIGHT(height, WIDE)
      else EACH_HEIGHT(height, NARROW)
#undef WIDE
#undef NARROW
    }
  }
}

/* e^x for x <= 0 or barely above, as weights of a softmax are: relative error below 2e-7, exactly 0 below -87.7, exactly 1 at 0. A third
 * cheaper than vf_exp. Reduction by ln 2 in two parts; polynomial of Cephes expf (Moshier). */
WEIR_INLINE vf weight(vf x) {
  const vf magic = vf_set1(12582912.0f); /* 1.5 · 2^23: adding it rounds to whole numbers */
  x = vf_max(vf_set1(-88.0f), x); /* second operand: NaN passes */
  vf n = vf_fma(x, vf_set1(1.44269504088896341f), magic);
  vi e = vi_shl(vi_add(vi_bits(n), vi_set1(127)), 23);
  n = vf_sub(n, magic);
  vf r = vf_fnma(n, vf_set1(0.693359375f), x);
  r = vf_fnma(n, vf_set1(-2.12194440e-4f), r);
  vf p = vf_set1(1.9875691500e-4f);
  p = vf_fma(p, r, vf_set1(1.3981999507e-3f));
  p = vf_fma(p, r, vf_set1(8.3334519073e-3f));
  p = vf_fma(p, r, vf_set1(4.1665795894e-2f));
  p = vf_fma(p, r, vf_set1(1.6666665459e-1f));
  p = vf_fma(p, r, vf_set1(5.0000001201e-1f));
  p = vf_add(vf_fma(p, vf_mul(r, r), r), vf_set1(1.0f));
  return vf_mul(p, vf_bits(e));
}

/* A tile of queries on its way through the keys. `lanes` queries; arrays over lanes are PAD16(lanes) long. */
typedef struct {
  int64_t dk, dv, lanes, stride; /* stride: PAD16(lanes) */
  int64_t width;                 /* row length of o: PAD16(dv) */
  float *qt;                     /* [dk][stride]: queries times scale, transposed */
  float *p;                      /* [keys][stride]: scores, then weights */
  float *o;                      /* [lanes][width] */
  float *m, *l, *alpha;          /* running maximum, running sum, latest correction */
  float *low, *high;             /* first and last key position that a lane sees */
} attention_tile;

static __attribute__((unused)) void tile_begin(attention_tile *t) {
  for (int64_t i = 0; i < t->stride; i++) {
    t->m[i] = LOWEST;
    t->l[i] = 0;
  }
  memset(t->o, 0, (size_t)(t->lanes * t->width) * sizeof(float));
}

/* Puts `count` values of a query, times scale, at depth `from` of lane `lane`. */
static inline void tile_query(attention_tile *t, int64_t lane, int64_t from, const float *q, int64_t count, float scale) {
  float *to = t->qt + from * t->stride + lane;
  for (int64_t i = 0; i < count; i++) to[i * t->stride] = q[i] * scale;
}

/* Lanes beyond the last query hold zeros, so that their numbers stay finite. */
static __attribute__((unused)) void tile_pad(attention_tile *t) {
  int64_t end = PADVF(t->lanes);
  for (int64_t i = t->lanes; i < end; i++) {
    for (int64_t d = 0; d < t->dk; d++) t->qt[d * t->stride + i] = 0;
    t->low[i] = 0;
    t->high[i] = -1;
  }
}

enum { SEE_ALL = 0, SEE_RANGE = 1, SEE_DIAGONAL = 2 };

/* Takes `keys` further keys, the first at position `first`. SEE_RANGE: lanes see positions low..high only. SEE_DIAGONAL: as
 * SEE_RANGE, and lane i sees keys 0..i of this step at most, which saves half the work. */
static __attribute__((unused)) void tile_step(attention_tile *t, int64_t keys, const float *const *k, const float *const *v, int64_t first, int see) {
  int64_t n = PADVF(t->lanes), ld = t->stride;
  float *p = t->p;
  rows_product(keys, n, t->dk, k, t->qt, ld, p, ld, 0, see == SEE_DIAGONAL ? SKIP_LANES : FULL);
  int changed = 0;
  for (int64_t i = 0; i < n; i += VF) {
    vf before = vf_load(t->m + i), top = before, sum = vf_zero();
    vf highest = vf_set1(HIGHEST), none = vf_set1(-INFINITE);
    int64_t end = keys;
    if (see == SEE_DIAGONAL && i + VF < keys) {
      end = i + VF;
      for (int64_t j = end; j < keys; j++) vf_store(p + j * ld + i, vf_zero());
    }
    if (see == SEE_ALL) {
      for (int64_t j = 0; j < end; j++) top = vf_max(vf_load(p + j * ld + i), top);
    } else {
      vf low = vf_load(t->low + i), high = vf_load(t->high + i);
      for (int64_t j = 0; j < end; j++) {
        vf at = vf_set1((float)(first + j));
        vf s = vf_select(vf_or(vf_lt(high, at), vf_lt(at, low)), none, vf_load(p + j * ld + i));
        vf_store(p + j * ld + i, s);
        top = vf_max(s, top);
      }
    }
    top = vf_min(highest, top);
    for (int64_t j = 0; j < end; j++) {
      vf w = weight(vf_sub(vf_min(highest, vf_load(p + j * ld + i)), top));
      vf_store(p + j * ld + i, w);
      sum = vf_add(sum, w);
    }
    vf alpha = vf_exp(vf_sub(before, top));
    vf_store(t->m + i, top);
    vf_store(t->alpha + i, alpha);
    vf_store(t->l + i, vf_fma(vf_load(t->l + i), alpha, sum));
  }
  for (int64_t i = 0; i < t->lanes; i++) changed |= t->alpha[i] != 1.0f;
  if (changed) {
    for (int64_t i = 0; i < t->lanes; i++) {
      vf alpha = vf_set1(t->alpha[i]);
      float *o = t->o + i * t->width;
      for (int64_t d = 0; d < PADVF(t->dv); d += VF) vf_store(o + d, vf_mul(vf_load(o + d), alpha));
    }
  }
  columns_product(t->lanes, PADVF(t->dv), keys, p, ld, v, t->o, t->width, see == SEE_DIAGONAL);
}

/* Writes one finished row: values over the sum, and the log of the sum; zeros and -inf where nothing was seen. */
static inline void attention_finish(const float *o, float m, float l, int64_t dv, float *out, float *lse) {
  float inverse = l > 0 ? 1.0f / l : 0;
  vf scale = vf_set1(inverse);
  for (int64_t d = 0; d < dv; d += VF) vf_store_n(out + d, vf_mul(vf_load(o + d), scale), dv - d);
  *lse = l > 0 ? m + weir_log(l) : -INFINITE;
}

#endif
