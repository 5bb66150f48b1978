/* Float matrix products: linear and its gradients, grouped by expert, per head, and the batched product for Muon.
 *
 * One order for every output element: acc = start; for k = 0, 1, 2 …: acc = fma(a[k], b[k], acc). Tiles hold the accumulators in
 * registers; where k is cut into blocks the accumulator rests in the output between them, which rounds nothing. So one row or
 * four thousand, packed or plain weights, any number of threads: the same bits.
 *
 * The right factor is brought into panels of 16 columns, KC deep, which stay in the first-level cache while all rows of a task
 * pass by: W [N, K] is transposed on the way (linear), what already lies the right way is copied (dx, dw), packed weights are
 * panels already (pack.c). The left factor's block is copied once per task so that its rows lie KC apart: rows 2^n apart would
 * fight for the same cache lines. */
#include "tile.h"

#define KC 256
#if WEIR_AVX2
#define MR 6
#else
#define MR 4
#endif
#define NRV 2
#define LINE 16 /* floats in a cache line */
#define FEW 2 /* up to so many rows meet plain weights that are transposed in registers */
#define NR (NRV * VF)
/* Rows per task, a multiple of MR: they share the preparation of a panel, and KC columns of them fit the second-level cache. */
#define TASK_ROWS 192

typedef struct {
  const float *a; /* a(r, k) = a[r * ra + k * ka]; ra == 1 or ka == 1 */
  int64_t ra, ka;
  const int32_t *gather; /* row r of a is row gather[r], where given */
  const void *b;
  int32_t dtype;   /* of b: f32, f16, bf16; + WEIR_PACKED: panels */
  int transposed;  /* b(k, n) = b[n * ldb + k], else b[k * ldb + n] */
  int64_t ldb;
  float *c; /* c(r, n) = c[r * ldc + n] */
  int64_t ldc, m, n, k;
  int accumulate;                 /* the chains start from c */
  const float *bias, *residual;   /* or from residual(r, n) + bias(n); residual lies as c does */
  float alpha, beta;              /* matmul: c = alpha * sum + beta * add */
  const float *add;
  int symmetric;                  /* c is symmetric: what lies below the panels of the diagonal is mirrored, not computed */
} product;

/* c[r][0..NR) = (load ? c : 0) + Σ_k a[r·ra + k·ka] · b[k·PANEL …] for r < R. */
WEIR_INLINE void tile(const int R, int64_t kc, const float *a, const int64_t ra, const int64_t ka, const float *b, float *c, int64_t ldc,
                      int load) {
  vf acc[MR][NRV];
  UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < NRV; v++) acc[r][v] = load ? vf_load(c + r * ldc + v * VF) : vf_zero();
  for (int64_t k = 0; k < kc; k++) {
    vf w[NRV];
    UNROLL for (int v = 0; v < NRV; v++) w[v] = vf_load(b + k * PANEL + v * VF);
    UNROLL for (int r = 0; r < R; r++) {
      vf x = vf_set1(a[r * ra + k * ka]);
      UNROLL for (int v = 0; v < NRV; v++) acc[r][v] = vf_fma(x, w[v], acc[r][v]);
    }
  }
  UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < NRV; v++) vf_store(c + r * ldc + v * VF, acc[r][v]);
}

/* Rows of a block times one panel. How the block of a lies is one of three compile-time cases. */
enum { DIRECT, BY_ROWS, BY_K };
WEIR_INLINE void tiles(const int form, int64_t rows, int64_t kc, const float *a, int64_t ra, int64_t ka, const float *b, float *c,
                       int64_t ldc, int load) {
  /* Strips as even as they come: 32 rows as 6, 6, 5, 5, 5, 5 and not with a thin last one, whose few chains would wait on latency.
   * Where the block is kept by k, its strips are MR wide. */
  int64_t strips = (rows + MR - 1) / MR, n;
  for (int64_t r = 0; r < rows; r += n, strips--) {
    n = form != BY_K ? (rows - r + strips - 1) / strips : rows - r < MR ? rows - r : MR;
    const float *x = form == BY_K ? a + r / MR * (MR * KC) : a + r * (form == BY_ROWS ? KC : ra);
    for (int half = 0; half < PANEL; half += NR) {
      float *y = c + r * ldc + half;
      const float *w = b + half;
#define CASE(R)                                                              \
  case R:                                                                    \
    if (form == BY_K) tile(R, kc, x, 1, MR, w, y, ldc, load);                \
    else if (form == BY_ROWS) tile(R, kc, x, KC, 1, w, y, ldc, load);        \
    else tile(R, kc, x, ra, ka, w, y, ldc, load);                            \
    break;
      switch (n) {
        CASE(1) CASE(2) CASE(3) CASE(4)
#if MR > 4
        CASE(5) CASE(6)
#endif
      }
#undef CASE
    }
  }
}
static void tiles_direct(int64_t rows, int64_t kc, const float *a, int64_t ra, int64_t ka, const float *b, float *c, int64_t ldc, int load) {
  if (ka == 1) tiles(DIRECT, rows, kc, a, ra, 1, b, c, ldc, load);
  else tiles(DIRECT, rows, kc, a, 1, ka, b, c, ldc, load);
}
static void tiles_by_rows(int64_t rows, int64_t kc, const float *a, const float *b, float *c, int64_t ldc, int load) {
  tiles(BY_ROWS, rows, kc, a, 0, 0, b, c, ldc, load);
}
static void tiles_by_k(int64_t rows, int64_t kc, const float *a, const float *b, float *c, int64_t ldc, int load) {
  tiles(BY_K, rows, kc, a, 0, 0, b, c, ldc, load);
}

/* One row times G panels that lie `stride` floats apart: enough chains to hide the latency of the multiply-add. */
#define WIDE (8 / (PANEL / VF) > 1 ? 8 / (PANEL / VF) : 1)
static void row_times_panels(int64_t kc, const float *a, int64_t ka, const float *b, int64_t stride, float *c, int load) {
  vf acc[WIDE][PANEL / VF];
  UNROLL for (int g = 0; g < WIDE; g++) UNROLL for (int v = 0; v < PANEL / VF; v++) acc[g][v] = load ? vf_load(c + g * PANEL + v * VF) : vf_zero();
  for (int64_t k = 0; k < kc; k++) {
    vf x = vf_set1(a[k * ka]);
    UNROLL for (int g = 0; g < WIDE; g++)
      UNROLL for (int v = 0; v < PANEL / VF; v++) acc[g][v] = vf_fma(x, vf_load(b + g * stride + k * PANEL + v * VF), acc[g][v]);
  }
  UNROLL for (int g = 0; g < WIDE; g++) UNROLL for (int v = 0; v < PANEL / VF; v++) vf_store(c + g * PANEL + v * VF, acc[g][v]);
}

/* R rows of a times G · VF rows of plain weights, transposed in registers: for so few rows that a panel would not pay. Columns from
 * n1 on, which are missing or another task's, are neither read nor written. */
WEIR_INLINE void few_rows_of(const int dtype, const int R, const int G, const product *g, int64_t r0, int64_t n0, int64_t n1, int load) {
  int64_t at[G * VF], n = n1 - n0, k = 0;
  row_starts(at, G * VF, n0, n, g->ldb, 0);
  vf acc[FEW][4];
  float *c = g->c + r0 * g->ldc + n0;
  const float *row[FEW];
  UNROLL for (int r = 0; r < R; r++) {
    row[r] = g->a + (g->gather ? g->gather[r0 + r] : r0 + r) * g->ra;
    UNROLL for (int i = 0; i < G; i++) acc[r][i] = load ? vf_load_n(c + r * g->ldc + i * VF, n - i * VF > 0 ? n - i * VF : 0) : vf_zero();
  }
  /* A cache line of each row at a time: rows 2^n apart would push each other's lines out before their second half is read. */
  for (; k + LINE <= g->k; k += LINE) {
    UNROLL for (int i = 0; i < G; i++)
      UNROLL for (int part = 0; part < LINE; part += VF) {
        vf w[VF];
        load_block(dtype, g->b, at + i * VF, k + part, w);
        UNROLL for (int j = 0; j < VF; j++)
          UNROLL for (int r = 0; r < R; r++) acc[r][i] = vf_fma(vf_set1(row[r][k + part + j]), w[j], acc[r][i]);
      }
  }
  for (; k < g->k; k++) {
    UNROLL for (int i = 0; i < G; i++) {
      float w[VF];
      for (int j = 0; j < VF; j++) w[j] = load_as_float(dtype, g->b, at[i * VF + j] + k);
      UNROLL for (int r = 0; r < R; r++) acc[r][i] = vf_fma(vf_set1(row[r][k]), vf_load(w), acc[r][i]);
    }
  }
  UNROLL for (int r = 0; r < R; r++)
    UNROLL for (int i = 0; i < G; i++) if (n > i * VF) vf_store_n(c + r * g->ldc + i * VF, acc[r][i], n - i * VF);
}
static void few_rows_task(const product *g, int64_t r0, int64_t r1, int64_t n0, int64_t n1, int load) {
#define CASE(TYPE, R, G)                                                                          \
  case R:                                                                                         \
    for (int64_t n = n0; n < n1; n += G * VF) few_rows_of(TYPE, R, G, g, r0, n, n1, load);           \
    break;
#define CASES(TYPE) \
  switch (r1 - r0) { CASE(TYPE, 1, 4) CASE(TYPE, 2, 2) }
  if (g->dtype == WEIR_F32) CASES(WEIR_F32)
  else if (g->dtype == WEIR_BF16) CASES(WEIR_BF16)
  else CASES(WEIR_F16)
#undef CASES
#undef CASE
}

/* Panel p of b, rows k0 … k0 + kc, as [kc][PANEL] floats: in place where it is packed f32, else made in `into`. Columns beyond n
 * hold copies of other columns; their results are never stored. */
static const float *prepare_panel(const product *g, int64_t p, int64_t k0, int64_t kc, float *into) {
  int64_t n = g->n - p * PANEL < PANEL ? g->n - p * PANEL : PANEL;
  int32_t dtype = g->dtype;
  if (dtype >= WEIR_PACKED) {
    int64_t at = (p * g->k + k0) * PANEL;
    if (dtype == WEIR_PACKED + WEIR_F32) return (const float *)g->b + at;
    const uint16_t *from = (const uint16_t *)g->b + at;
    if (dtype == WEIR_PACKED + WEIR_BF16) for (int64_t i = 0; i < kc * PANEL; i += VF) vf_store(into + i, vf_load_bf16(from + i));
    else for (int64_t i = 0; i < kc * PANEL; i += VF) vf_store(into + i, vf_load_f16(from + i));
    return into;
  }
  if (g->transposed) {
    transpose_panel(dtype, g->b, p * PANEL, n, g->ldb, k0, kc, into);
    return into;
  }
  int64_t at = k0 * g->ldb + p * PANEL;
  for (int64_t k = 0; k < kc; k++, at += g->ldb) {
    for (int v = 0; v < PANEL; v += VF) {
      int64_t left = n - v;
      float *to = into + k * PANEL + v;
      if (dtype == WEIR_F32) {
        const float *from = (const float *)g->b + at + v;
        if (left >= VF) vf_store(to, vf_load(from));
        else for (int64_t i = 0; i < VF; i++) to[i] = i < left ? from[i] : 0;
      } else {
        const uint16_t *from = (const uint16_t *)g->b + at + v;
        if (left >= VF) vf_store(to, dtype == WEIR_BF16 ? vf_load_bf16(from) : vf_load_f16(from));
        else for (int64_t i = 0; i < VF; i++) to[i] = i < left ? (dtype == WEIR_BF16 ? weir_bf16_to_f32(from[i]) : weir_f16_to_f32(from[i])) : 0;
      }
    }
  }
  return into;
}

/* Rows r0 … r1 of a, columns k0 … k0 + kc, KC apart (a's rows contiguous) or in strips of MR (a's columns contiguous). */
static void copy_left(const product *g, int64_t r0, int64_t r1, int64_t k0, int64_t kc, float *into) {
  if (g->ka == 1) {
    for (int64_t r = r0; r < r1; r++, into += KC) {
      const float *from = g->a + (g->gather ? g->gather[r] : r) * g->ra + k0;
      int64_t k = 0;
      for (; k + VF <= kc; k += VF) vf_store(into + k, vf_load(from + k));
      for (; k < kc; k++) into[k] = from[k];
    }
    return;
  }
  for (int64_t r = r0; r < r1; r += MR, into += MR * KC) {
    const float *from = g->a + r + k0 * g->ka;
    int64_t n = r1 - r < MR ? r1 - r : MR, k = 0;
    /* Whole vectors, of which the next store overwrites what is too much, as long as reading one stays inside a. */
    int64_t safe = r + VF <= g->m ? kc : g->ka >= VF ? (k0 + kc < g->k ? kc : kc - 1) : 0;
    for (; k < safe; k++) vf_store(into + k * MR, vf_load(from + k * g->ka));
    for (; k < kc; k++) for (int64_t i = 0; i < MR; i++) into[k * MR + i] = i < n ? from[k * g->ka + i] : 0;
  }
}

/* Rows k … end of both factors, as far as a task reads them, asked for before they are needed: where both lie by k (weight gradients), they
 * come from memory in pieces of a few columns, which no processor guesses. */
static void fetch_rows(const product *g, int64_t k, int64_t end, int64_t r0, int64_t r1, int64_t n0, int64_t n1) {
  for (; k < end; k++) {
    const float *a = g->a + k * g->ka, *b = (const float *)g->b + k * g->ldb;
    for (int64_t r = r0; r < r1; r += LINE) __builtin_prefetch(a + r, 0, 2);
    for (int64_t n = n0; n < n1; n += LINE) __builtin_prefetch(b + n, 0, 2);
  }
}

static void start_rows(const product *g, int64_t r0, int64_t r1, int64_t n0, int64_t n1) {
  for (int64_t r = r0; r < r1; r++) {
    float *c = g->c + r * g->ldc;
    const float *residual = g->residual ? g->residual + r * g->ldc : NULL;
    if (residual && g->bias) for (int64_t n = n0; n < n1; n++) c[n] = residual[n] + g->bias[n];
    else if (residual || g->bias) memmove(c + n0, (residual ? residual : g->bias) + n0, (size_t)(n1 - n0) * sizeof(float));
    else memset(c + n0, 0, (size_t)(n1 - n0) * sizeof(float));
  }
}

static void finish_rows(const product *g, int64_t r0, int64_t r1, int64_t n0, int64_t n1) {
  for (int64_t r = r0; r < r1; r++) {
    float *c = g->c + r * g->ldc;
    const float *add = g->add ? g->add + r * g->ldc : NULL;
    if (add) for (int64_t n = n0; n < n1; n++) c[n] = g->alpha * c[n] + g->beta * add[n];
    else for (int64_t n = n0; n < n1; n++) c[n] *= g->alpha;
  }
}

/* Ends a task of a symmetric product: every panel down to its diagonal, then what lies above the diagonal's panel mirrored. Elements
 * that are mirrored into are computed by no task, so tasks need not wait for each other. */
static void finish_symmetric(const product *g, int64_t r0, int64_t r1, int64_t p0, int64_t p1) {
  for (int64_t p = p0; p < p1; p++) {
    int64_t n0 = p * PANEL, n1 = n0 + PANEL < g->n ? n0 + PANEL : g->n, end = n0 + PANEL < r1 ? n0 + PANEL : r1;
    if (g->alpha != 1 || g->add) finish_rows(g, r0, end, n0, n1);
    int64_t stop = end < n0 ? end : n0, r = r0;
    if (n1 - n0 == PANEL) {
      for (; r + VF <= stop; r += VF) {
        for (int64_t n = n0; n < n1; n += VF) {
          vf v[VF];
          UNROLL for (int i = 0; i < VF; i++) v[i] = vf_load(g->c + (r + i) * g->ldc + n);
          transpose_vectors(v);
          UNROLL for (int i = 0; i < VF; i++) vf_store(g->c + (n + i) * g->ldc + r, v[i]);
        }
      }
    }
    for (; r < stop; r++) for (int64_t n = n0; n < n1; n++) g->c[n * g->ldc + r] = g->c[r * g->ldc + n];
  }
}

/* Rows r0 … r1 times panels p0 … p1: one task. */
static void product_task(const product *g, int64_t r0, int64_t r1, int64_t p0, int64_t p1) {
  float left[TASK_ROWS * KC + VF] __attribute__((aligned(64)));
  float panel[PANEL * KC] __attribute__((aligned(64)));
  float edge[TASK_ROWS * PANEL] __attribute__((aligned(64)));
  int64_t n1 = p1 * PANEL < g->n ? p1 * PANEL : g->n, rows = r1 - r0;
  int started = g->accumulate;
  if (g->bias || g->residual) {
    start_rows(g, r0, r1, p0 * PANEL, n1);
    started = 1;
  }
  if (g->k == 0 && !started) start_rows(g, r0, r1, p0 * PANEL, n1);
  if (g->transposed && g->dtype < WEIR_PACKED && rows <= FEW && g->ka == 1 && !g->symmetric) {
    few_rows_task(g, r0, r1, p0 * PANEL, n1, started);
    if (g->alpha != 1 || g->add) finish_rows(g, r0, r1, p0 * PANEL, n1);
    return;
  }
  int packed = g->dtype == WEIR_PACKED + WEIR_F32;
  int copied = g->gather || (rows > MR && p1 - p0 >= 3) || (g->ka != 1 && rows > 1);
  /* A single row: shallow blocks of several panels side by side. */
  int64_t side = rows == 1 && !g->symmetric ? WIDE : 1;
  /* Factors that lie by k are taken in shallower blocks, so that a block and the next, on its way, fit the second-level cache. */
  int ahead = g->ka != 1 && rows > 1;
  int64_t depth = ahead ? KC / 2 : KC / side;
  for (int64_t k0 = 0; k0 < g->k; k0 += depth) {
    int64_t kc = g->k - k0 < depth ? g->k - k0 : depth;
    int load = started || k0 > 0;
    if (copied) copy_left(g, r0, r1, k0, kc, left);
    const float *a = copied ? left : g->a + r0 * g->ra + k0 * g->ka;
    for (int64_t p = p0; p < p1;) {
      float *c = g->c + r0 * g->ldc + p * PANEL;
      if (side > 1 && p + side <= p1 && (p + side) * PANEL <= g->n) {
        const float *b = panel;
        if (packed) b = prepare_panel(g, p, k0, kc, panel);
        else for (int64_t i = 0; i < side; i++) prepare_panel(g, p + i, k0, kc, panel + i * depth * PANEL);
        row_times_panels(kc, a, copied ? 1 : g->ka, b, packed ? g->k * PANEL : depth * PANEL, c, load);
        p += side;
        continue;
      }
      int64_t tall = rows; /* rows of this panel that are computed */
      if (g->symmetric && (p + 1) * PANEL - r0 < rows) tall = (p + 1) * PANEL - r0;
      if (tall <= 0) {
        p++;
        continue;
      }
      const float *b = prepare_panel(g, p, k0, kc, panel);
      if (ahead) {
        int64_t next = k0 + kc, end = next + depth < g->k ? next + depth : g->k, all = p1 - p0;
        fetch_rows(g, next + (end - next) * (p - p0) / all, next + (end - next) * (p - p0 + 1) / all, r0, r1, p0 * PANEL, n1);
      }
      int64_t n = g->n - p * PANEL, ldc = g->ldc;
      float *y = c;
      if (n < PANEL) { /* the last, narrow panel works on a full one aside */
        y = edge;
        ldc = PANEL;
        for (int64_t r = 0; r < tall; r++) for (int64_t i = 0; i < PANEL; i++) edge[r * PANEL + i] = load && i < n ? c[r * g->ldc + i] : 0;
      }
      if (!copied) tiles_direct(tall, kc, a, g->ra, g->ka, b, y, ldc, load);
      else if (g->ka == 1) tiles_by_rows(tall, kc, a, b, y, ldc, load);
      else tiles_by_k(tall, kc, a, b, y, ldc, load);
      if (n < PANEL) for (int64_t r = 0; r < tall; r++) for (int64_t i = 0; i < n; i++) c[r * g->ldc + i] = edge[r * PANEL + i];
      p++;
    }
  }
  if (g->symmetric) finish_symmetric(g, r0, r1, p0, p1);
  else if (g->alpha != 1 || g->add) finish_rows(g, r0, r1, p0 * PANEL, n1);
}

/* How a product is cut: blocks of rows × groups of panels. A task's cost is reckoned in steps of one row × one panel × one k, which
 * is a cycle or so: its products, its share of the left factor and its panels, both of which it has to prepare for itself. Chosen is
 * the cut whose tasks end soonest when the team shares them, the list holding `count` such products. */
typedef struct {
  int64_t blocks, rows, groups, panels;
} cut;
#define TASK_COST 4096
static cut cut_product(const product *g, int64_t count, int nth) {
  int64_t panels = (g->n + PANEL - 1) / PANEL, all = (g->m + TASK_ROWS - 1) / TASK_ROWS, k = g->k < 16 ? 16 : g->k;
  int64_t most = (g->m + 4 * MR - 1) / (4 * MR), longest = 4 * (int64_t)nth;
  cut best = {0, 0, 0, 0};
  double least = 0;
  int read = g->ka != 1 ? 3 : 1; /* half steps per element prepared: long columns come from memory, short rows from a cache */
  /* As many blocks as must be, and up to so many more that everybody has some. */
  if (longest < all + 3) longest = all + 3;
  if (most > longest) most = longest;
  if (most < all) most = all;
  for (int64_t blocks = all; blocks <= most; blocks++) {
    cut t = {0};
    t.rows = ((g->m + blocks - 1) / blocks + MR - 1) / MR * MR;
    t.blocks = (g->m + t.rows - 1) / t.rows;
    for (int64_t groups = (panels + 63) / 64; groups <= panels; groups++) {
      t.panels = (panels + groups - 1) / groups;
      t.groups = (panels + t.panels - 1) / t.panels;
      double cost = (double)k * (double)(t.rows * t.panels + t.rows * read / 2 + t.panels * read * PANEL / 2) + TASK_COST;
      double each = (double)(count * t.blocks * t.groups) / nth, rounds = (double)(int64_t)(each + 0.999);
      if (count > 1) rounds = each + 0.5; /* uneven tasks: some end late */
      if (nth == 1) rounds = each;
      if (!least || cost * rounds < least) {
        least = cost * rounds;
        best = t;
      }
      if (t.blocks * t.groups > 8 * (int64_t)nth) break;
    }
  }
  return best;
}

/* Runs `count` products, described by `describe(call, i, &product)`, as one list of tasks shared by the team. */
static void run_products(const weir_call *c, int64_t count, void (*describe)(const weir_call *, int64_t, product *)) {
  int64_t task = weir_next(c, 0, 1), first = 0;
  for (int64_t i = 0; i < count; i++) {
    product g = {.alpha = 1, .ka = 1};
    describe(c, i, &g);
    if (g.m == 0 || g.n == 0 || (g.k == 0 && g.accumulate)) continue;
    cut t = cut_product(&g, count, c->nth);
    int64_t tasks = t.blocks * t.groups;
    for (; task < first + tasks; task = weir_next(c, 0, 1)) {
      int64_t r0 = (task - first) / t.groups * t.rows, p0 = (task - first) % t.groups * t.panels;
      int64_t r1 = r0 + t.rows < g.m ? r0 + t.rows : g.m, p1 = p0 + t.panels, all = (g.n + PANEL - 1) / PANEL;
      product_task(&g, r0, r1, p0, p1 < all ? p1 : all);
    }
    first += tasks;
  }
}

static const float *floats(const weir_tensor *t) { return t ? t->data : NULL; }

/* Bytes of matrix i of [count, n, k] weights. */
static const void *weights_at(const weir_tensor *w, int64_t i, int64_t n, int64_t k) {
  int plain = w->dtype % WEIR_PACKED;
  if (w->dtype >= WEIR_PACKED) n = (n + PANEL - 1) / PANEL * PANEL;
  return (const char *)w->data + i * n * k * (plain == WEIR_F32 ? 4 : 2);
}

/* ---- linear ------------------------------------------------------------------------------------------------------------------ */

static void describe_linear(const weir_call *c, int64_t i, product *g) {
  (void)i;
  const weir_tensor *x = c->in[0], *w = c->in[1];
  *g = (product){.a = x->data, .ra = w->dim[1], .ka = 1, .b = w->data, .dtype = w->dtype, .transposed = 1, .ldb = w->dim[1],
                 .c = c->out[0]->data, .ldc = w->dim[0], .m = weir_rows(x), .n = w->dim[0], .k = w->dim[1],
                 .bias = floats(c->in[2]), .residual = floats(c->in[3]), .alpha = 1};
}
WEIR_KERNEL(linear) { run_products(c, 1, describe_linear); }

static void describe_linear_dx(const weir_call *c, int64_t i, product *g) {
  (void)i;
  const weir_tensor *dy = c->in[0], *w = c->in[1];
  *g = (product){.a = dy->data, .ra = w->dim[0], .ka = 1, .b = w->data, .dtype = w->dtype, .ldb = w->dim[1],
                 .c = c->out[0]->data, .ldc = w->dim[1], .m = weir_rows(dy), .n = w->dim[1], .k = w->dim[0], .alpha = 1};
}
WEIR_KERNEL(linear_dx) { run_products(c, 1, describe_linear_dx); }

static void describe_linear_dw(const weir_call *c, int64_t i, product *g) {
  (void)i;
  const weir_tensor *dy = c->in[0], *x = c->in[1];
  int64_t n = weir_cols(dy), k = weir_cols(x);
  *g = (product){.a = dy->data, .ra = 1, .ka = n, .b = x->data, .ldb = k, .c = c->out[0]->data, .ldc = k, .m = n, .n = k,
                 .k = weir_rows(x), .accumulate = 1, .alpha = 1};
}
WEIR_KERNEL(linear_dw) { run_products(c, 1, describe_linear_dw); }

WEIR_KERNEL(linear_db) {
  const float *dy = c->in[0]->data;
  float *db = c->out[0]->data;
  int64_t rows = weir_rows(c->in[0]), n = weir_cols(c->in[0]), begin, end;
  weir_range(c, n, 16, &begin, &end);
  for (int64_t r = 0; r < rows; r++) for (int64_t i = begin; i < end; i++) db[i] += dy[r * n + i];
}

/* ---- grouped by expert: rows offsets[e] … offsets[e + 1] belong to expert e ---------------------------------------------------- */

static void describe_grouped(const weir_call *c, int64_t e, product *g) {
  const weir_tensor *x = c->in[0], *w = c->in[1];
  const int32_t *offsets = c->in[2]->data, *rows = c->in[3] ? c->in[3]->data : NULL;
  int64_t n = w->dim[1], k = w->dim[2], from = offsets[e];
  *g = (product){.a = (const float *)x->data + (rows ? 0 : from * k), .ra = k, .ka = 1, .gather = rows ? rows + from : NULL,
                 .b = weights_at(w, e, n, k), .dtype = w->dtype, .transposed = 1, .ldb = k, .c = (float *)c->out[0]->data + from * n,
                 .ldc = n, .m = offsets[e + 1] - from, .n = n, .k = k, .alpha = 1};
}
/* Rows that belong to no expert are zero. */
static void zero_rest(const weir_call *c, const weir_tensor *y, const weir_tensor *offsets) {
  int64_t n = weir_cols(y), used = ((const int32_t *)offsets->data)[offsets->dim[0] - 1], begin, end;
  weir_range(c, weir_rows(y) - used, 1, &begin, &end);
  if (end > begin) memset((float *)y->data + (used + begin) * n, 0, (size_t)((end - begin) * n) * 4);
}
WEIR_KERNEL(grouped_linear) {
  zero_rest(c, c->out[0], c->in[2]);
  run_products(c, c->in[1]->dim[0], describe_grouped);
}

static void describe_grouped_dx(const weir_call *c, int64_t e, product *g) {
  const weir_tensor *w = c->in[1];
  const int32_t *offsets = c->in[2]->data;
  int64_t n = w->dim[1], k = w->dim[2], from = offsets[e];
  *g = (product){.a = (const float *)c->in[0]->data + from * n, .ra = n, .ka = 1, .b = weights_at(w, e, n, k), .dtype = w->dtype,
                 .ldb = k, .c = (float *)c->out[0]->data + from * k, .ldc = k, .m = offsets[e + 1] - from, .n = k, .k = n, .alpha = 1};
}
WEIR_KERNEL(grouped_linear_dx) {
  zero_rest(c, c->out[0], c->in[2]);
  run_products(c, c->in[1]->dim[0], describe_grouped_dx);
}

static void describe_grouped_dw(const weir_call *c, int64_t e, product *g) {
  const int32_t *offsets = c->in[2]->data;
  int64_t n = weir_cols(c->in[0]), k = weir_cols(c->in[1]), from = offsets[e];
  *g = (product){.a = (const float *)c->in[0]->data + from * n, .ra = 1, .ka = n, .b = (const float *)c->in[1]->data + from * k, .ldb = k,
                 .c = (float *)c->out[0]->data + e * n * k, .ldc = k, .m = n, .n = k, .k = offsets[e + 1] - from, .accumulate = 1,
                 .alpha = 1};
}
WEIR_KERNEL(grouped_linear_dw) { run_products(c, c->out[0]->dim[0], describe_grouped_dw); }

/* ---- one product per head: x [T, H, A], w [H, B, A], y [T, H, B] ---------------------------------------------------------------- */

static void describe_head(const weir_call *c, int64_t h, product *g) {
  const weir_tensor *x = c->in[0], *w = c->in[1];
  int64_t heads = x->dim[1], a = x->dim[2], b = w->dim[1];
  *g = (product){.a = (const float *)x->data + h * a, .ra = heads * a, .ka = 1, .b = weights_at(w, h, b, a), .dtype = w->dtype,
                 .transposed = 1, .ldb = a, .c = (float *)c->out[0]->data + h * b, .ldc = heads * b, .m = x->dim[0], .n = b, .k = a,
                 .alpha = 1};
}
WEIR_KERNEL(head_linear) { run_products(c, c->in[0]->dim[1], describe_head); }

static void describe_head_dx(const weir_call *c, int64_t h, product *g) {
  const weir_tensor *dy = c->in[0], *w = c->in[1];
  int64_t heads = dy->dim[1], b = dy->dim[2], a = w->dim[2];
  *g = (product){.a = (const float *)dy->data + h * b, .ra = heads * b, .ka = 1, .b = weights_at(w, h, b, a), .dtype = w->dtype,
                 .ldb = a, .c = (float *)c->out[0]->data + h * a, .ldc = heads * a, .m = dy->dim[0], .n = a, .k = b, .alpha = 1};
}
WEIR_KERNEL(head_linear_dx) { run_products(c, c->in[0]->dim[1], describe_head_dx); }

static void describe_head_dw(const weir_call *c, int64_t h, product *g) {
  const weir_tensor *dy = c->in[0], *x = c->in[1];
  int64_t heads = dy->dim[1], b = dy->dim[2], a = x->dim[2];
  *g = (product){.a = (const float *)dy->data + h * b, .ra = 1, .ka = heads * b, .b = (const float *)x->data + h * a, .ldb = heads * a,
                 .c = (float *)c->out[0]->data + h * b * a, .ldc = a, .m = b, .n = a, .k = dy->dim[0], .accumulate = 1, .alpha = 1};
}
WEIR_KERNEL(head_linear_dw) { run_products(c, c->in[0]->dim[1], describe_head_dw); }

/* ---- alpha · op(a) · op(b) + beta · add ------------------------------------------------------------------------------------------ */

static void describe_matmul(const weir_call *c, int64_t i, product *g) {
  const weir_tensor *a = c->in[0], *b = c->in[1], *y = c->out[0];
  int64_t m = y->dim[y->rank - 2], n = y->dim[y->rank - 1], k = c->i[0] ? a->dim[a->rank - 2] : a->dim[a->rank - 1];
  *g = (product){.a = (const float *)a->data + i * m * k, .ra = c->i[0] ? 1 : k, .ka = c->i[0] ? m : 1,
                 .b = (const float *)b->data + i * n * k, .transposed = c->i[1], .ldb = c->i[1] ? k : n,
                 .c = (float *)y->data + i * m * n, .ldc = n, .m = m, .n = n, .k = k, .alpha = c->f[0], .beta = c->f[1], .symmetric = c->i[2],
                 .add = c->in[2] ? (const float *)c->in[2]->data + i * m * n : NULL};
}
WEIR_KERNEL(matmul) { run_products(c, c->out[0]->rank == 3 ? c->out[0]->dim[0] : 1, describe_matmul); }
