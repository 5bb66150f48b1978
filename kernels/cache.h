/* Reading rows of a cache: f32, bf16, or i8 with one scale per part (src/tensor/ops/cache.ts says how a row is laid out). */
#ifndef WEIR_CACHE_H
#define WEIR_CACHE_H

#include "simd.h"

/* Columns begin..begin+count of a row as floats; `first`: values in an i8 row's first part. */
static inline void cache_read(const weir_tensor *cache, int64_t row, int64_t begin, int64_t count, int64_t first, float *to) {
  int64_t columns = cache->dim[1];
  if (cache->dtype == WEIR_F32) {
    memcpy(to, (const float *)cache->data + row * columns + begin, (size_t)count * sizeof(float));
  } else if (cache->dtype == WEIR_BF16) {
    const uint16_t *from = (const uint16_t *)cache->data + row * columns + begin;
    int64_t i = 0;
    for (; i + VF <= count; i += VF) vf_store(to + i, vf_load_bf16(from + i));
    for (; i < count; i++) to[i] = weir_bf16_to_f32(from[i]);
  } else {
    const int8_t *from = (const int8_t *)cache->data + row * columns;
    float scales[2];
    memcpy(scales, from + columns - 16, sizeof scales);
    int64_t end = begin + count;
    for (int part = 0; part < 2; part++) {
      int64_t i = part ? (begin > first ? begin : first) : begin, stop = part ? end : (end < first ? end : first);
      vf scale = vf_set1(scales[part]);
      for (; i + VF <= stop; i += VF) vf_store(to + i - begin, vf_mul(vf_from_i32(vi_load_s8(from + i)), scale));
      for (; i < stop; i++) to[i - begin] = (float)from[i] * scales[part];
    }
  }
}

/* The cache row of a position of a sequence. */
static inline int64_t cache_row(const int32_t *pages, int64_t position, int64_t page_size) {
  return pages[position / page_size] * page_size + position % page_size;
}

#endif
