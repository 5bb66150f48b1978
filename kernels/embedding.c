/* Token embedding: rows of an f32, bf16 or f16 table as floats. */
#include "tile.h"
#include "weir.h"

WEIR_KERNEL(embedding) {
  const weir_tensor *table = c->in[0], *y = c->out[0];
  const int32_t *ids = c->in[1]->data;
  int64_t width = y->dim[1], begin, end;
  weir_range(c, y->dim[0], 1, &begin, &end);
  for (int64_t r = begin; r < end; r++) {
    float *out = (float *)y->data + r * width;
    if (table->dtype == WEIR_F32) memcpy(out, (const float *)table->data + ids[r] * width, (size_t)width * 4);
    else for (int64_t i = 0; i < width; i++) out[i] = load_as_float(table->dtype, table->data, ids[r] * width + i);
  }
}
