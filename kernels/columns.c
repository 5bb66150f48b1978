/* Moving rows and columns: slices, joins, gathers, scatters, embeddings of plain float tables, small products per row. */
#include "simd.h"

#include "weir.h"

#define F(t) ((float *)(t)->data)
#define I(t) ((int32_t *)(t)->data)

WEIR_KERNEL(slice_columns) {
  const weir_tensor *x = c->in[0], *y = c->out[0];
  int64_t from = x->dim[1], width = y->dim[1], start = c->i[0], begin, end;
  weir_range(c, y->dim[0], 1, &begin, &end);
  for (int64_t r = begin; r < end; r++) memcpy(F(y) + r * width, F(x) + r * from + start, (size_t)width * 4);
}

WEIR_KERNEL(add_columns) {
  const weir_tensor *x = c->in[0], *y = c->out[0];
  int64_t to = y->dim[1], width = x->dim[1], start = c->i[0], begin, end;
  weir_range(c, x->dim[0], 1, &begin, &end);
  for (int64_t r = begin; r < end; r++) {
    const float *a = F(x) + r * width;
    float *b = F(y) + r * to + start;
    for (int64_t i = 0; i < width; i++) b[i] += a[i];
  }
}

WEIR_KERNEL(concat_columns) {
  const weir_tensor *a = c->in[0], *b = c->in[1], *y = c->out[0];
  int64_t wa = a->dim[1], wb = b->dim[1], begin, end;
  weir_range(c, y->dim[0], 1, &begin, &end);
  for (int64_t r = begin; r < end; r++) {
    memcpy(F(y) + r * (wa + wb), F(a) + r * wa, (size_t)wa * 4);
    memcpy(F(y) + r * (wa + wb) + wa, F(b) + r * wb, (size_t)wb * 4);
  }
}

WEIR_KERNEL(gather_rows) {
  const weir_tensor *x = c->in[0], *y = c->out[0];
  const int32_t *index = I(c->in[1]);
  int64_t width = y->dim[1], begin, end;
  weir_range(c, y->dim[0], 1, &begin, &end);
  for (int64_t r = begin; r < end; r++) {
    if (index[r] < 0) memset(F(y) + r * width, 0, (size_t)width * 4);
    else memcpy(F(y) + r * width, F(x) + index[r] * width, (size_t)width * 4);
  }
}

/* Each thread owns a range of columns and takes the rows in order, so sums have one order whatever the team. */
static void scatter_rows(const weir_call *c, const weir_tensor *x, const int32_t *index, const weir_tensor *y) {
  int64_t width = y->dim[1], begin, end;
  weir_range(c, width, 16, &begin, &end);
  for (int64_t r = 0; r < x->dim[0]; r++) {
    if (index[r] < 0) continue;
    const float *a = F(x) + r * width;
    float *b = F(y) + index[r] * width;
    for (int64_t i = begin; i < end; i++) b[i] += a[i];
  }
}

WEIR_KERNEL(scatter_add_rows) { scatter_rows(c, c->in[0], I(c->in[1]), c->out[0]); }

WEIR_KERNEL(embedding_dw) { scatter_rows(c, c->in[0], I(c->in[1]), c->out[0]); }

WEIR_KERNEL(row_matmul) {
  const weir_tensor *a = c->in[0], *b = c->in[1], *y = c->out[0];
  int ta = c->i[0], tb = c->i[1];
  int64_t m = y->dim[1], n = y->dim[2], k = a->dim[ta ? 1 : 2], begin, end;
  weir_range(c, y->dim[0], 1, &begin, &end);
  for (int64_t r = begin; r < end; r++) {
    const float *pa = F(a) + r * m * k, *pb = F(b) + r * k * n;
    float *py = F(y) + r * m * n;
    for (int64_t i = 0; i < m; i++) {
      float *row = py + i * n;
      if (tb) {
        for (int64_t j = 0; j < n; j++) {
          float lane[8] = {0};
          int64_t l = 0;
          if (!ta)
            for (; l + 8 <= k; l += 8)
              for (int q = 0; q < 8; q++) lane[q] += pa[i * k + l + q] * pb[j * k + l + q];
          float sum = ((lane[0] + lane[4]) + (lane[1] + lane[5])) + ((lane[2] + lane[6]) + (lane[3] + lane[7]));
          for (; l < k; l++) sum += pa[ta ? l * m + i : i * k + l] * pb[j * k + l];
          row[j] = sum;
        }
      } else {
        memset(row, 0, (size_t)n * 4);
        for (int64_t l = 0; l < k; l++) {
          float v = pa[ta ? l * m + i : i * k + l];
          const float *pr = pb + l * n;
          for (int64_t j = 0; j < n; j++) row[j] += v * pr[j];
        }
      }
    }
  }
}
