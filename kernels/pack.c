/* Weights rearranged so that the products of gemm.c and quant.c read them in one pass. The layouts are the same on every
 * instruction set. Matrices are packed one by one; a batch of them (experts, heads) lies one after another.
 *
 * f32, f16, bf16: panels of 16 rows, [panel][k][16] in the type itself; missing rows are zero. */
#include "tile.h"

static int64_t width_of(int32_t dtype) { return dtype == WEIR_F32 ? 4 : dtype == WEIR_F16 || dtype == WEIR_BF16 ? 2 : 0; }

int64_t WEIR_LOCAL(pack_bytes)(int32_t dtype, int64_t rows, int64_t cols) {
  int64_t width = width_of(dtype);
  if (width) return (rows + PANEL - 1) / PANEL * PANEL * cols * width;
  return -1;
}

void WEIR_LOCAL(pack)(int32_t dtype, const void *source, int64_t rows, int64_t cols, void *destination) {
  int64_t width = width_of(dtype);
  for (int64_t r0 = 0; r0 < rows; r0 += PANEL) {
    char *to = (char *)destination + r0 * cols * width;
    for (int64_t k = 0; k < cols; k++)
      for (int64_t r = 0; r < PANEL; r++, to += width) {
        if (r0 + r < rows) memcpy(to, (const char *)source + ((r0 + r) * cols + k) * width, (size_t)width);
        else memset(to, 0, (size_t)width);
      }
  }
}
