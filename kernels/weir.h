/* What every kernel file shares: the tensor and call structures, the thread team, and how a kernel is declared.
 *
 * A kernel is called by every thread of the team with the same arguments but its own tid. It divides the work itself: by fixed
 * ranges (weir_range) or by taking chunks from a shared counter (weir_next). Which thread computes an element must never change
 * its bits: an output element's reduction order may depend on that element's own row alone.
 * No kernel allocates; scratch space is an ordinary output tensor that the TypeScript builder plans.
 * Kernels are compiled once per instruction set; WEIR_KERNEL(name) gives each copy its own symbol. */
#ifndef WEIR_H
#define WEIR_H

#include <stddef.h>
#include <stdint.h>

/* dtype codes: src/tensor/dtype.ts. Packed weights are 100 above what they were made from. */
enum {
  WEIR_F32 = 0, WEIR_F16 = 1, WEIR_Q4_0 = 2, WEIR_Q4_1 = 3, WEIR_Q5_0 = 6, WEIR_Q5_1 = 7, WEIR_Q8_0 = 8,
  WEIR_Q2_K = 10, WEIR_Q3_K = 11, WEIR_Q4_K = 12, WEIR_Q5_K = 13, WEIR_Q6_K = 14, WEIR_IQ4_NL = 20, WEIR_IQ4_XS = 23,
  WEIR_I8 = 24, WEIR_I32 = 26, WEIR_BF16 = 30, WEIR_MXFP4 = 39, WEIR_PACKED = 100
};

typedef struct {
  void *data;
  int32_t dtype;
  int32_t rank;
  int64_t dim[4]; /* resolved for this run; 1 beyond rank */
} weir_tensor;

typedef struct weir_team weir_team; /* the runtime's; kernels only pass it on */

#define WEIR_COUNTERS 4 /* shared work counters per instruction, all 0 when it begins */

typedef struct {
  const weir_tensor *const *in; /* NULL entries: optional input absent */
  const weir_tensor *const *out;
  const int32_t *i; /* whole-number attributes, in the op's order */
  const float *f;
  int nin, nout;
  int tid, nth;
  weir_team *team;
  int64_t *counter; /* WEIR_COUNTERS of them, shared by the team */
} weir_call;

typedef void (*weir_kernel_fn)(const weir_call *c);

/* Waits until every thread of the team has come here (runtime.c). Every thread must call it equally often. */
void weir_barrier(const weir_call *c);
/* Takes `chunk` units from shared counter `which`; returns the first unit taken. Done when it reaches your total. */
static inline int64_t weir_next(const weir_call *c, int which, int64_t chunk) {
  return __atomic_fetch_add(&c->counter[which], chunk, __ATOMIC_RELAXED);
}
/* Fixed share of n units for this thread, in multiples of `grain`: [*begin, *end). */
static inline void weir_range(const weir_call *c, int64_t n, int64_t grain, int64_t *begin, int64_t *end) {
  int64_t blocks = (n + grain - 1) / grain;
  int64_t b = blocks * c->tid / c->nth * grain, e = blocks * (c->tid + 1) / c->nth * grain;
  *begin = b < n ? b : n;
  *end = e < n ? e : n;
}
static inline int64_t weir_elements(const weir_tensor *t) { return t->dim[0] * t->dim[1] * t->dim[2] * t->dim[3]; }
/* Rows of a tensor seen as [rows, last dimension]. */
static inline int64_t weir_cols(const weir_tensor *t) { return t->rank > 0 ? t->dim[t->rank - 1] : 1; }
static inline int64_t weir_rows(const weir_tensor *t) { int64_t c = weir_cols(t); return c ? weir_elements(t) / c : 0; }

#define WEIR_PASTE2(a, b) a##_##b
#define WEIR_PASTE(a, b) WEIR_PASTE2(a, b)
#ifndef WEIR_ISA
#define WEIR_ISA base
#endif
/* Definition of the kernel for instruction `name`: WEIR_KERNEL(add) { … } with the call in `c`. Each kernel also needs one line
 * OP(name) in ops.def. Helpers shared between files of one instruction set are named with WEIR_LOCAL(name). */
#define WEIR_KERNEL(name) void WEIR_PASTE(weir_op_##name, WEIR_ISA)(const weir_call *c)
#define WEIR_LOCAL(name) WEIR_PASTE(weir_##name, WEIR_ISA)

#endif
