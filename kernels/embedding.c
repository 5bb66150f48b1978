/* Token embedding: rows of a table of any type, packed or not, as floats. */
#include "quant.h"
#include "weir.h"

WEIR_KERNEL(embedding) {
  const weir_tensor *table = c->in[0], *y = c->out[0];
  const int32_t *ids = c->in[1]->data;
  int64_t width = y->dim[1], begin, end;
  const int32_t plain = table->dtype % WEIR_PACKED;
  const int floats = plain == WEIR_F32 || plain == WEIR_BF16 || plain == WEIR_F16, packed = table->dtype >= WEIR_PACKED;
  weir_range(c, y->dim[0], 1, &begin, &end);
  for (int64_t r = begin; r < end; r++) {
    float *out = (float *)y->data + r * width;
    if (!floats) WEIR_LOCAL(quant_row)(table->dtype, table->data, table->dim[0], width, ids[r], out);
    else if (packed) { /* panels of 16 rows (pack.c) */
      int64_t at = ids[r] / PANEL * PANEL * width + ids[r] % PANEL;
      for (int64_t i = 0; i < width; i++) out[i] = load_as_float(plain, table->data, at + i * PANEL);
    } else if (plain == WEIR_F32) memcpy(out, (const float *)table->data + ids[r] * width, (size_t)width * 4);
    else for (int64_t i = 0; i < width; i++) out[i] = load_as_float(plain, table->data, ids[r] * width + i);
  }
}
