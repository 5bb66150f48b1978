/* Runs dumped test cases (scripts/drive.ts has src/tensor/testing.ts write them) without Node: under AddressSanitizer, UBSan and
 * ThreadSanitizer, and on arm64 under qemu. For every instruction set and 1, 2, 3 threads it runs the program, compares with the float64
 * reference's values within the case's tolerance, and demands the same bits whatever the threads. Memory around every tensor is
 * poisoned, so that a kernel that reads or writes past a tensor's current size is caught even inside the arena.
 *
 * A dump is little-endian 64-bit words: magic, #words, arena bytes, #registers, #slots, #checks, runs, finite; registers; the program's
 * 32-bit words, padded; per slot: bytes, dtype to pack from or -1, matrices, rows, cols, data bytes, data, padded; per check: slot,
 * dtype, elements, tolerance (double), the wanted values as doubles. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../runtime.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

typedef struct {
  const unsigned char *at, *end;
} reader;

static const void *take(reader *r, int64_t bytes) {
  int64_t padded = (bytes + 7) / 8 * 8;
  if (bytes < 0 || padded > r->end - r->at) {
    fprintf(stderr, "the dump is cut short\n");
    exit(2);
  }
  const void *data = r->at;
  r->at += padded;
  return data;
}
static int64_t number(reader *r) { return *(const int64_t *)take(r, 8); }

typedef struct {
  int64_t bytes, dtype, matrices, rows, cols, given;
  const unsigned char *data;
} slot_info;

static float half(uint16_t h) {
  int e = h >> 10 & 31, m = h & 1023;
  float f = e == 0 ? ldexpf((float)m, -24) : e == 31 ? (m ? NAN : INFINITY) : ldexpf((float)(m + 1024), e - 25);
  return h & 0x8000 ? -f : f;
}

static double element(const void *data, int64_t dtype, int64_t i) {
  uint32_t u;
  float f;
  switch (dtype) {
  case WEIR_F32: return ((const float *)data)[i];
  case WEIR_I32: return ((const int32_t *)data)[i];
  case WEIR_I8: return ((const int8_t *)data)[i];
  case WEIR_F16: return half(((const uint16_t *)data)[i]);
  case WEIR_BF16:
    u = (uint32_t)((const uint16_t *)data)[i] << 16;
    memcpy(&f, &u, 4);
    return f;
  default: return ((const unsigned char *)data)[i];
  }
}

/* Poisons the arena but for what the tensors occupy at these registers. */
static void poison(weir_program *program, const weir_isa *isa, const int32_t *words, int64_t arena, const int32_t *registers) {
  unsigned char *base = weir_program_arena(program);
  ASAN_POISON_MEMORY_REGION(base, arena);
  for (int32_t t = 0; t < words[3]; t++) {
    const int32_t *w = words + 6 + words[2] + 16 * t;
    if (w[0] >= 0) continue;
    int64_t dim[4];
    for (int i = 0; i < 4; i++) dim[i] = (int64_t)w[5 + 2 * i] * (w[6 + 2 * i] < 0 ? 1 : registers[w[6 + 2 * i]]);
    int64_t bytes = weir_tensor_bytes(isa, w[3], w[4], dim);
    if (bytes > 0) ASAN_UNPOISON_MEMORY_REGION(base + w[1] + ((int64_t)w[2] << 31), bytes);
  }
}

static int failures;

static void run_case(const char *name, const unsigned char *file, int64_t size, const weir_isa *isa) {
  reader r = {file, file + size};
  if (number(&r) != 0x57454952) {
    fprintf(stderr, "%s is no dump\n", name);
    exit(2);
  }
  int64_t count = number(&r), arena = number(&r), nregisters = number(&r), nslots = number(&r), nchecks = number(&r), runs = number(&r),
          finite = number(&r);
  int32_t registers[64];
  if (nregisters > 64) exit(2);
  for (int64_t i = 0; i < nregisters; i++) registers[i] = (int32_t)number(&r);
  const int32_t *words = take(&r, count * 4);
  slot_info *slots = calloc((size_t)nslots + 1, sizeof *slots);
  for (int64_t i = 0; i < nslots; i++) {
    slot_info *s = &slots[i];
    s->bytes = number(&r), s->dtype = number(&r), s->matrices = number(&r), s->rows = number(&r), s->cols = number(&r), s->given = number(&r);
    s->data = take(&r, s->given);
  }
  reader checks = r;
  unsigned char **first = calloc((size_t)nslots + 1, sizeof *first);
  for (int threads = 1; threads <= 3; threads++) {
    weir_device *device = weir_device_create(isa);
    weir_device_threads(device, threads, 0);
    weir_error error = {0};
    weir_program *program = weir_program_create(device, words, count, arena, &error);
    if (!program) {
      printf("%s: %s: status %d at %d: %s\n", name, isa->name, error.status, error.a, error.detail ? error.detail : "");
      failures++;
      weir_device_destroy(device);
      break;
    }
    unsigned char **memory = calloc((size_t)nslots + 1, sizeof *memory);
    int64_t *sizes = calloc((size_t)nslots + 1, sizeof *sizes);
    for (int64_t i = 0; i < nslots; i++) {
      const slot_info *s = &slots[i];
      int64_t each = s->dtype < 0 ? 0 : isa->pack_bytes((int32_t)s->dtype, s->rows, s->cols);
      sizes[i] = s->dtype < 0 ? s->bytes : each * s->matrices;
      memory[i] = aligned_alloc(64, (size_t)(sizes[i] + 63) / 64 * 64 + 64);
      memset(memory[i], 0, (size_t)sizes[i]);
      if (s->dtype < 0) memcpy(memory[i], s->data, (size_t)s->given);
      for (int64_t m = 0; s->dtype >= 0 && m < s->matrices; m++)
        isa->pack((int32_t)s->dtype, s->data + s->given / s->matrices * m, s->rows, s->cols, memory[i] + each * m);
      ASAN_POISON_MEMORY_REGION(memory[i] + sizes[i], (size_t)(sizes[i] + 63) / 64 * 64 + 64 - (size_t)sizes[i]);
      if (weir_program_bind(program, (int)i, memory[i], sizes[i], &error) != WEIR_OK) {
        printf("%s: %s: slot %d cannot be bound: %s\n", name, isa->name, (int)i, error.detail ? error.detail : "");
        failures++;
      }
    }
    poison(program, isa, words, arena, registers);
    for (int64_t n = 0; n < runs; n++) {
      if (weir_program_run(program, registers, (int)nregisters, &error) == WEIR_OK) continue;
      printf("%s: %s: run failed, status %d, %d[%lld] = %lld\n", name, isa->name, error.status, error.a, (long long)error.element,
             (long long)error.value);
      failures++;
      break;
    }
    ASAN_UNPOISON_MEMORY_REGION(weir_program_arena(program), arena);
    r = checks;
    for (int64_t i = 0; i < nchecks; i++) {
      int64_t slot = number(&r), dtype = number(&r), elements = number(&r);
      double tolerance = *(const double *)take(&r, 8), squares = 0;
      const double *wanted = take(&r, elements * 8);
      for (int64_t k = 0; k < elements; k++)
        if (isfinite(wanted[k])) squares += wanted[k] * wanted[k];
      double rms = sqrt(squares / (double)(elements > 0 ? elements : 1));
      for (int64_t k = 0; k < elements && threads == 1; k++) {
        double got = element(memory[slot], dtype, k);
        int same = got == wanted[k] || (!finite && isnan(got) && isnan(wanted[k]));
        if (same || fabs(got - wanted[k]) <= tolerance * (fabs(wanted[k]) + rms)) continue;
        printf("%s: %s: slot %lld [%lld] is %.9g, wanted %.9g\n", name, isa->name, (long long)slot, (long long)k, got, wanted[k]);
        failures++;
        break;
      }
      if (threads > 1 && memcmp(first[slot], memory[slot], (size_t)sizes[slot]) != 0) {
        printf("%s: %s: slot %lld has other bits with %d threads\n", name, isa->name, (long long)slot, threads);
        failures++;
      }
    }
    for (int64_t i = 0; i < nslots; i++) {
      ASAN_UNPOISON_MEMORY_REGION(memory[i], (size_t)(sizes[i] + 63) / 64 * 64 + 64);
      if (threads == 1) first[i] = memory[i];
      else free(memory[i]);
    }
    free(memory);
    free(sizes);
    weir_program_destroy(program);
    weir_device_destroy(device);
  }
  for (int64_t i = 0; i < nslots; i++) free(first[i]);
  free(first);
  free(slots);
}

int main(int argc, char **argv) {
  const weir_isa *isas;
  int n = weir_isas(&isas);
  for (int i = 1; i < argc; i++) {
    FILE *file = fopen(argv[i], "rb");
    if (!file) {
      fprintf(stderr, "%s cannot be read\n", argv[i]);
      return 2;
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    unsigned char *data = aligned_alloc(64, ((size_t)size + 63) / 64 * 64);
    if (!data || fread(data, 1, (size_t)size, file) != (size_t)size) return 2;
    fclose(file);
    for (int k = 0; k < n; k++) run_case(argv[i], data, size, &isas[k]);
    free(data);
  }
  printf("%d cases on %d instruction set%s, %d failures\n", argc - 1, n, n == 1 ? "" : "s", failures);
  return failures ? 1 : 0;
}
