/* The probes of probe.h. Compiled with the best instruction set the compiler's target allows at run time: each loop exists per
 * instruction set through probe_loops.c and is picked by cpuid. */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include "probe.h"
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include "runtime.h"

typedef float (*read_loop)(const float *, int64_t);
typedef float (*peak_loop)(int64_t);
#define DECLARE(isa)                                       \
  float weir_probe_read_##isa(const float *data, int64_t n); \
  float weir_probe_fma_##isa(int64_t rounds);                \
  extern const int weir_probe_flops_##isa;
#if defined(__x86_64__)
DECLARE(base)
DECLARE(avx2)
#elif defined(__aarch64__)
DECLARE(neon)
#endif

typedef struct {
  pthread_t thread;
  read_loop read;
  peak_loop peak;
  const float *data;
  int64_t count, rounds;
  int milliseconds, flops;
  double rate;
} task;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static volatile float sink;

static void *work(void *argument) {
  task *t = argument;
  double begin = now(), end = begin, amount = 0;
  float sum = 0;
  while ((end - begin) * 1000 < t->milliseconds) {
    if (t->data) {
      sum += t->read(t->data, t->count);
      amount += (double)t->count * 4;
    } else {
      sum += t->peak(100000);
      amount += 100000.0 * t->flops;
    }
    end = now();
  }
  sink = sum;
  t->rate = amount / (end - begin);
  return 0;
}

static double measure(int threads, int milliseconds, int reading) {
  if (threads < 1) threads = 1;
  if (threads > 64) threads = 64;
  const int64_t bytes = 64 << 20;
  task tasks[64];
  const weir_isa *list;
  int best = weir_isas(&list) - 1;
  (void)best;
  double total = 0;
  int started = 0;
  for (int i = 0; i < threads; i++) {
    task *t = &tasks[i];
    *t = (task){.count = bytes / 4, .milliseconds = milliseconds};
#if defined(__x86_64__)
    t->read = best ? weir_probe_read_avx2 : weir_probe_read_base;
    t->peak = best ? weir_probe_fma_avx2 : weir_probe_fma_base;
    t->flops = best ? weir_probe_flops_avx2 : weir_probe_flops_base;
#elif defined(__aarch64__)
    t->read = weir_probe_read_neon;
    t->peak = weir_probe_fma_neon;
    t->flops = weir_probe_flops_neon;
#else
    return 0;
#endif
    if (reading) {
      float *data = weir_allocate(bytes);
      if (!data) break;
      for (int64_t k = 0; k < bytes / 4; k += 512) data[k] = 1; /* every page exists */
      t->data = data;
    }
    if (i > 0 && pthread_create(&t->thread, 0, work, t) != 0) {
      weir_release((void *)t->data, bytes);
      break;
    }
    started = i + 1;
  }
  if (started > 0) work(&tasks[0]);
  for (int i = 0; i < started; i++) {
    if (i > 0) pthread_join(tasks[i].thread, 0);
    total += tasks[i].rate;
    weir_release((void *)tasks[i].data, bytes);
  }
  return total;
}

double weir_probe_bandwidth(int threads, int milliseconds) { return measure(threads, milliseconds, 1); }
double weir_probe_peak(int threads, int milliseconds) { return measure(threads, milliseconds, 0); }
