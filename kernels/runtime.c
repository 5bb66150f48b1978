/* Executes programs: reads and checks the words that src/tensor/encode.ts writes, resolves sizes from registers, checks indices,
 * and walks the instructions with a team of threads. What an instruction computes is the kernels' business.
 *
 * Threads: a device owns a pool. The caller of a run is thread 0; workers 1..n-1 each have a mailbox `go`. A worker spins for some
 * tens of microseconds after its last run and then parks, so back-to-back runs cost no system call and an idle process costs
 * nothing. Inside a run the threads walk the same list and meet only where the plan says so. */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include "runtime.h"

#ifdef __wasm__
void *memset(void *, int, size_t);
void *memcpy(void *, const void *, size_t);
void *weir_heap_allocate(size_t bytes); /* wasm.c */
void weir_heap_free(void *data);
#define calloc_(n, s) weir_heap_allocate((size_t)(n) * (s))
#define free_ weir_heap_free
#else
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#define calloc_ calloc
#define free_ free
#ifdef _WIN32
#include <malloc.h>
#else
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#endif
#endif
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

#define MAX_THREADS 256
#define SPINS 2000 /* some tens of microseconds */
#define SPINS_CROWDED 20 /* where there are more threads than processors, spinning only keeps the others from work */

/* ---- instruction sets ---------------------------------------------------------------------------------------------------- */

/* Kernels that a family has not written for some instruction set stay NULL: the references are weak. */
#define WEAK __attribute__((weak))
#define TABLE(isa)                                                                                                               \
  WEAK extern int64_t weir_pack_bytes_##isa(int32_t, int64_t, int64_t);                                                          \
  WEAK extern void weir_pack_##isa(int32_t, const void *, int64_t, int64_t, void *);

enum {
#define OP(name) KERNEL_##name,
#include "ops.def"
#undef OP
  KERNELS
};
static const char *const kernel_names[] = {
#define OP(name) #name,
#include "ops.def"
#undef OP
};

#if defined(__x86_64__)
#define OP(name) WEAK extern void weir_op_##name##_base(const weir_call *);
#include "ops.def"
#undef OP
#define OP(name) WEAK extern void weir_op_##name##_avx2(const weir_call *);
#include "ops.def"
#undef OP
TABLE(base)
TABLE(avx2)
static const weir_kernel_fn kernels_base[] = {
#define OP(name) weir_op_##name##_base,
#include "ops.def"
#undef OP
};
static const weir_kernel_fn kernels_avx2[] = {
#define OP(name) weir_op_##name##_avx2,
#include "ops.def"
#undef OP
};
int weir_isas(const weir_isa **list) {
  static const weir_isa all[] = {{"base", kernels_base, weir_pack_bytes_base, weir_pack_base},
                                 {"avx2", kernels_avx2, weir_pack_bytes_avx2, weir_pack_avx2}};
  *list = all;
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") ? 2 : 1;
}
#else
#if defined(__aarch64__)
#define ISA neon
#elif defined(__wasm__)
#define ISA simd128
#else
#define ISA base
#endif
#define OP(name) WEAK extern void WEIR_PASTE(weir_op_##name, ISA)(const weir_call *);
#include "ops.def"
#undef OP
WEAK extern int64_t WEIR_PASTE(weir_pack_bytes, ISA)(int32_t, int64_t, int64_t);
WEAK extern void WEIR_PASTE(weir_pack, ISA)(int32_t, const void *, int64_t, int64_t, void *);
static const weir_kernel_fn kernels_only[] = {
#define OP(name) WEIR_PASTE(weir_op_##name, ISA),
#include "ops.def"
#undef OP
};
#define STRING2(x) #x
#define STRING(x) STRING2(x)
int weir_isas(const weir_isa **list) {
  static const weir_isa only = {STRING(ISA), kernels_only, WEIR_PASTE(weir_pack_bytes, ISA), WEIR_PASTE(weir_pack, ISA)};
  *list = &only;
  return 1;
}
#endif

int weir_kernel_count(void) { return KERNELS; }
const char *weir_kernel_name(int kernel) { return kernel >= 0 && kernel < KERNELS ? kernel_names[kernel] : 0; }

/* ---- memory -------------------------------------------------------------------------------------------------------------- */

#define LARGE (1 << 20)

void *weir_allocate(int64_t bytes) {
  if (bytes < 0) return 0;
  size_t size = ((size_t)bytes + 63) / 64 * 64;
  if (size == 0) size = 64;
#ifdef __wasm__
  return weir_heap_allocate(size);
#elif defined(_WIN32)
  void *data = _aligned_malloc(size, 64);
  if (data) memset(data, 0, size);
  return data;
#else
  if (size >= LARGE) { /* straight from the system: zero without touching it, and given back at once when freed */
    void *data = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) return 0;
#ifdef MADV_HUGEPAGE
    if (size >= 4u << 20) madvise(data, size, MADV_HUGEPAGE);
#endif
    return data;
  }
  void *data = 0;
  if (posix_memalign(&data, 64, size) != 0) return 0;
  memset(data, 0, size);
  return data;
#endif
}

void weir_release(void *data, int64_t bytes) {
  if (!data) return;
#ifdef __wasm__
  (void)bytes;
  weir_heap_free(data);
#elif defined(_WIN32)
  (void)bytes;
  _aligned_free(data);
#else
  size_t size = ((size_t)bytes + 63) / 64 * 64;
  if (size >= LARGE) munmap(data, size);
  else free(data);
#endif
}

/* ---- threads ------------------------------------------------------------------------------------------------------------- */

static inline void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("isb" ::: "memory");
#endif
}

/* park: sleep while *address == expected (may wake for nothing). unpark: wake all who sleep on it. */
#if defined(__linux__)
static void park(int32_t *address, int32_t expected) { syscall(SYS_futex, address, FUTEX_WAIT_PRIVATE, expected, 0, 0, 0); }
static void unpark(int32_t *address) { syscall(SYS_futex, address, FUTEX_WAKE_PRIVATE, 0x7fffffff, 0, 0, 0); }
#elif defined(__wasm__)
int32_t weir_can_park = 1; /* 0 on a browser's main thread, where waiting is forbidden: it spins */
static void park(int32_t *address, int32_t expected) {
#ifdef __wasm_atomics__
  if (weir_can_park) __builtin_wasm_memory_atomic_wait32(address, expected, -1);
#else
  (void)address, (void)expected;
#endif
}
static void unpark(int32_t *address) {
#ifdef __wasm_atomics__
  __builtin_wasm_memory_atomic_notify(address, 0x7fffffff);
#else
  (void)address;
#endif
}
#else
static pthread_mutex_t park_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t park_condition = PTHREAD_COND_INITIALIZER;
static void park(int32_t *address, int32_t expected) {
  pthread_mutex_lock(&park_mutex);
  while (__atomic_load_n(address, __ATOMIC_SEQ_CST) == expected) pthread_cond_wait(&park_condition, &park_mutex);
  pthread_mutex_unlock(&park_mutex);
}
static void unpark(int32_t *address) {
  (void)address;
  pthread_mutex_lock(&park_mutex);
  pthread_cond_broadcast(&park_condition);
  pthread_mutex_unlock(&park_mutex);
}
#endif

/* Waits until *address differs from `old`: a while spinning, then parked. `sleepers` tells the waker whether to wake at all; both
 * sides are sequentially consistent, so one of them always sees the other. */
static void wait_for(int32_t *address, int32_t old, int32_t *sleepers, int spins) {
  for (int i = 0; i < spins; i++) {
    if (__atomic_load_n(address, __ATOMIC_ACQUIRE) != old) return;
    relax();
  }
  __atomic_fetch_add(sleepers, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(address, __ATOMIC_SEQ_CST) == old) park(address, old);
  __atomic_fetch_sub(sleepers, 1, __ATOMIC_SEQ_CST);
}

static void advance(int32_t *address, int32_t *sleepers) {
  __atomic_fetch_add(address, 1, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(sleepers, __ATOMIC_SEQ_CST) > 0) unpark(address);
}

typedef struct {
  int32_t go, sleepers; /* go is advanced once per run that this worker takes part in */
  weir_device *device;
  int tid;
#ifndef __wasm__
  pthread_t thread;
#endif
} __attribute__((aligned(64))) worker;

struct weir_team {
  int32_t arrived __attribute__((aligned(64)));
  int32_t phase __attribute__((aligned(64)));
  int32_t sleepers;
  int32_t nth;
  int32_t spins;
};

struct weir_device {
  struct weir_team team;
  const weir_isa *isa;
  int threads;
  int started; /* workers running, this thread not counted */
  int64_t grain;
  int32_t stop;
  weir_program *job;
#ifdef __wasm__
  int32_t lock;
#else
  pthread_mutex_t lock;
#endif
  worker workers[MAX_THREADS];
};

/* nth comes by value: once a thread has arrived, the others may finish and start a run with another number of threads. */
static void meet(weir_team *team, int nth) {
  if (nth == 1) return;
  int32_t phase = __atomic_load_n(&team->phase, __ATOMIC_RELAXED);
  if (__atomic_add_fetch(&team->arrived, 1, __ATOMIC_ACQ_REL) == nth) {
    __atomic_store_n(&team->arrived, 0, __ATOMIC_RELAXED);
    advance(&team->phase, &team->sleepers);
  } else {
    wait_for(&team->phase, phase, &team->sleepers, __atomic_load_n(&team->spins, __ATOMIC_RELAXED));
  }
}

void weir_barrier(const weir_call *c) { meet(c->team, c->nth); }

/* ---- programs ------------------------------------------------------------------------------------------------------------ */

typedef struct {
  int32_t slot, dtype, rank;
  int64_t offset;
  int64_t factor[4];
  int32_t reg[4]; /* -1: fixed */
  int64_t needed; /* bytes at the registers' maxima */
  int checked;
  int32_t min, max;
} record;

typedef struct {
  weir_kernel_fn kernel;
  int barrier;
  weir_call call; /* without tid */
} instruction;

struct weir_program {
  weir_device *device;
  int32_t registers, tensors, instructions, slots;
  int32_t *maxima;
  record *records;
  weir_tensor *values; /* resolved for the current run */
  instruction *list;
  const weir_tensor **operands;
  int32_t *words;
  int64_t *counters;
  int64_t *slot_bytes; /* needed by each slot, -1 while unbound */
  int64_t *spent;      /* nanoseconds by instruction: of the run, of all processors; NULL while nobody asks */
  unsigned char *arena;
  int64_t arena_bytes;
};

typedef struct {
  int32_t dtype, block, bytes;
} dtype_size;
static const dtype_size dtype_sizes[] = {
    {WEIR_F32, 1, 4},      {WEIR_F16, 1, 2},      {WEIR_Q4_0, 32, 18},   {WEIR_Q4_1, 32, 20},   {WEIR_Q5_0, 32, 22},
    {WEIR_Q5_1, 32, 24},   {WEIR_Q8_0, 32, 34},   {WEIR_Q2_K, 256, 84},  {WEIR_Q3_K, 256, 110}, {WEIR_Q4_K, 256, 144},
    {WEIR_Q5_K, 256, 176}, {WEIR_Q6_K, 256, 210}, {WEIR_IQ4_NL, 32, 18}, {WEIR_IQ4_XS, 256, 136}, {WEIR_I8, 1, 1},
    {WEIR_I32, 1, 4},      {WEIR_BF16, 1, 2},     {WEIR_MXFP4, 32, 17},
};

static const dtype_size *size_of(int32_t dtype) {
  for (size_t i = 0; i < sizeof dtype_sizes / sizeof *dtype_sizes; i++)
    if (dtype_sizes[i].dtype == dtype) return &dtype_sizes[i];
  return 0;
}

#define MOST_ELEMENTS ((int64_t)1 << 44)

int64_t weir_tensor_bytes(const weir_isa *isa, int32_t dtype, int rank, const int64_t dim[4]) {
  int64_t elements = 1;
  for (int i = 0; i < rank; i++) {
    if (dim[i] < 0 || (dim[i] > 0 && elements > MOST_ELEMENTS / dim[i])) return -1;
    elements *= dim[i];
  }
  const dtype_size *size = size_of(dtype >= WEIR_PACKED ? dtype - WEIR_PACKED : dtype);
  if (!size) return -1;
  if (dtype >= WEIR_PACKED) { /* matrix by matrix */
    if (!isa->pack_bytes || rank < 2) return -1;
    int64_t matrices = 1;
    for (int i = 0; i < rank - 2; i++) matrices *= dim[i];
    int64_t each = isa->pack_bytes(dtype - WEIR_PACKED, dim[rank - 2], dim[rank - 1]);
    return each < 0 ? -1 : matrices * each;
  }
  if (rank > 0 && dim[rank - 1] % size->block != 0) return -1;
  return elements / size->block * size->bytes;
}

static weir_status fail(weir_error *error, weir_status status, int32_t a, int64_t element, int64_t value, const char *detail) {
  *error = (weir_error){status, a, element, value, detail};
  return status;
}

void weir_program_destroy(weir_program *p) {
  if (!p) return;
  free_(p->maxima);
  free_(p->records);
  free_(p->values);
  free_(p->list);
  free_(p->operands);
  free_(p->words);
  weir_release(p->counters, (int64_t)p->instructions * 64);
  free_(p->slot_bytes);
  free_(p->spent);
  weir_release(p->arena, p->arena_bytes);
  free_(p);
}

/* Words of the fixed part of a tensor and an instruction record. */
enum { HEADER = 6, TENSOR_WORDS = 16, INSTRUCTION_WORDS = 6, MOST_OPERANDS = 64, MOST_ATTRIBUTES = 64, MOST = 1 << 24 };

static weir_status parse(weir_program *p, int64_t count, weir_error *error) {
#define BAD(at, why) return fail(error, WEIR_BAD_PROGRAM, (int32_t)(at), 0, 0, why)
  const int32_t *w = p->words;
  const weir_isa *isa = p->device->isa;
  if (w[0] != 0x52494557) BAD(0, "no program: wrong magic");
  if (w[1] != 1) BAD(1, "a program of another version");
  if (w[5] != count) BAD(5, "the length is not what the header says");
  p->registers = w[2];
  p->tensors = w[3];
  if (w[2] < 0 || w[3] < 0 || w[4] < 0 || w[2] > MOST || w[3] > MOST || w[4] > MOST) BAD(2, "a count is out of range");
  int32_t ni = w[4];
  if (HEADER + (int64_t)w[2] + (int64_t)w[3] * TENSOR_WORDS + (int64_t)ni * INSTRUCTION_WORDS > count) BAD(2, "cut short");
  p->maxima = calloc_((size_t)p->registers + 1, sizeof *p->maxima);
  p->records = calloc_((size_t)p->tensors + 1, sizeof *p->records);
  p->values = calloc_((size_t)p->tensors + 1, sizeof *p->values);
  p->slot_bytes = calloc_((size_t)p->tensors + 1, sizeof *p->slot_bytes);
  p->list = calloc_((size_t)ni + 1, sizeof *p->list);
  p->operands = calloc_((size_t)count, sizeof *p->operands); /* more than enough: one word each */
  p->counters = weir_allocate((int64_t)ni * 64);
  p->instructions = ni;
  if (!p->maxima || !p->records || !p->values || !p->slot_bytes || !p->list || !p->operands || !p->counters)
    return fail(error, WEIR_NO_MEMORY, 0, 0, 0, "no memory for the program");
  int64_t at = HEADER;
  for (int32_t r = 0; r < p->registers; r++) {
    p->maxima[r] = w[at++];
    if (p->maxima[r] < 1) BAD(at - 1, "a register's maximum is below 1");
  }
  for (int32_t t = 0; t < p->tensors; t++, at += TENSOR_WORDS) {
    record *x = &p->records[t];
    x->slot = w[at];
    x->offset = (int64_t)w[at + 1] + ((int64_t)w[at + 2] << 31);
    x->dtype = w[at + 3];
    x->rank = w[at + 4];
    if (x->rank < 0 || x->rank > 4) BAD(at + 4, "a rank is not 0 to 4");
    if (x->slot < -1 || x->slot >= p->tensors) BAD(at, "an external slot is out of range");
    if (w[at + 1] < 0 || w[at + 2] < 0 || w[at + 2] > 1 << 20) BAD(at + 1, "an arena offset is out of range");
    int64_t largest[4] = {1, 1, 1, 1};
    for (int i = 0; i < 4; i++) {
      x->factor[i] = w[at + 5 + 2 * i];
      x->reg[i] = w[at + 6 + 2 * i];
      if (x->factor[i] < 0) BAD(at + 5 + 2 * i, "a dimension is negative");
      if (x->reg[i] < -1 || x->reg[i] >= p->registers) BAD(at + 6 + 2 * i, "a register is out of range");
      if (i >= x->rank && (x->factor[i] != 1 || x->reg[i] != -1)) BAD(at + 5 + 2 * i, "a dimension beyond the rank is not 1");
      largest[i] = x->factor[i] * (x->reg[i] < 0 ? 1 : p->maxima[x->reg[i]]);
    }
    x->checked = w[at + 13] != 0;
    x->min = w[at + 14];
    x->max = w[at + 15];
    x->needed = weir_tensor_bytes(isa, x->dtype, x->rank, largest);
    if (x->needed < 0) BAD(at + 3, "a dtype is unknown, has no such packed form here, or does not fit the shape");
    if (x->checked && (x->dtype != WEIR_I32 || x->slot < 0)) BAD(at + 13, "only i32 tensors bound from outside can be checked");
    p->values[t].dtype = x->dtype;
    p->values[t].rank = x->rank;
    for (int i = 0; i < 4; i++) p->values[t].dim[i] = largest[i];
    if (x->slot < 0) {
      if (x->offset % 64 != 0 || x->offset > p->arena_bytes - x->needed) BAD(at + 1, "a temp lies outside the arena");
      p->values[t].data = p->arena + x->offset;
    } else {
      if (x->slot >= p->slots) p->slots = x->slot + 1;
      if (x->needed > p->slot_bytes[x->slot]) p->slot_bytes[x->slot] = x->needed;
    }
  }
  int64_t used = 0;
  for (int32_t n = 0; n < ni; n++) {
    instruction *x = &p->list[n];
    if (at + INSTRUCTION_WORDS > count) BAD(at, "cut short");
    int32_t kernel = w[at], nin = w[at + 2], nout = w[at + 3], nints = w[at + 4], nfloats = w[at + 5];
    x->barrier = w[at + 1] != 0;
    if (kernel < 0 || kernel >= KERNELS || !isa->kernels[kernel]) return fail(error, WEIR_NO_KERNEL, kernel, n, 0, "no kernel");
    if (nin < 0 || nin > MOST_OPERANDS || nout < 0 || nout > MOST_OPERANDS) BAD(at + 2, "too many operands");
    if (nints < 0 || nints > MOST_ATTRIBUTES || nfloats < 0 || nfloats > MOST_ATTRIBUTES) BAD(at + 4, "too many attributes");
    at += INSTRUCTION_WORDS;
    if (at + nin + nout + nints + nfloats > count) BAD(at, "cut short");
    x->kernel = isa->kernels[kernel];
    for (int32_t i = 0; i < nin + nout; i++) {
      int32_t t = w[at + i];
      if (t < (i < nin ? -1 : 0) || t >= p->tensors) BAD(at + i, "an operand is out of range");
      p->operands[used + i] = t < 0 ? 0 : &p->values[t];
    }
    x->call = (weir_call){.in = p->operands + used,
                          .out = p->operands + used + nin,
                          .i = w + at + nin + nout,
                          .f = (const float *)(const void *)(w + at + nin + nout + nints),
                          .nin = nin,
                          .nout = nout,
                          .team = &p->device->team,
                          .counter = p->counters + (int64_t)n * 8};
    used += nin + nout;
    at += nin + nout + nints + nfloats;
  }
  if (at != count) BAD(at, "there are words after the end");
  return WEIR_OK;
#undef BAD
}

weir_program *weir_program_create(weir_device *device, const int32_t *words, int64_t count, int64_t arena_bytes, weir_error *error) {
  if (count < HEADER || count > (int64_t)1 << 30 || arena_bytes < 0) {
    fail(error, WEIR_BAD_PROGRAM, 0, 0, 0, "no program: too short or too long");
    return 0;
  }
  weir_program *p = calloc_(1, sizeof *p);
  if (!p) {
    fail(error, WEIR_NO_MEMORY, 0, 0, 0, "no memory for the program");
    return 0;
  }
  p->device = device;
  p->arena_bytes = arena_bytes;
  p->arena = weir_allocate(arena_bytes);
  p->words = calloc_((size_t)count, sizeof *p->words);
  if (!p->arena || !p->words) {
    fail(error, WEIR_NO_MEMORY, 0, 0, arena_bytes, "no memory for the program's temps");
    weir_program_destroy(p);
    return 0;
  }
  memcpy(p->words, words, (size_t)count * sizeof *words);
  if (parse(p, count, error) != WEIR_OK) {
    weir_program_destroy(p);
    return 0;
  }
  return p;
}

int weir_program_instructions(const weir_program *p) { return p->instructions; }
int weir_program_slots(const weir_program *p) { return p->slots; }
void *weir_program_arena(weir_program *p) { return p->arena; }

weir_status weir_program_bind(weir_program *p, int slot, void *data, int64_t bytes, weir_error *error) {
  if (slot < 0 || slot >= p->slots) return fail(error, WEIR_BAD_BINDING, slot, 0, 0, "there is no such slot");
  if (bytes < p->slot_bytes[slot]) return fail(error, WEIR_BAD_BINDING, slot, bytes, p->slot_bytes[slot], "the buffer is too small");
  for (int32_t t = 0; t < p->tensors; t++) {
    if (p->records[t].slot != slot) continue;
    int32_t dtype = p->records[t].dtype;
    size_t align = dtype == WEIR_F32 || dtype == WEIR_I32 ? 4 : dtype == WEIR_F16 || dtype == WEIR_BF16 ? 2 : dtype >= WEIR_PACKED ? 32 : 1;
    if ((uintptr_t)data % align != 0) return fail(error, WEIR_BAD_BINDING, slot, 0, (int64_t)align, "the buffer is not aligned");
  }
  for (int32_t t = 0; t < p->tensors; t++)
    if (p->records[t].slot == slot) p->values[t].data = data;
  return WEIR_OK;
}

#if defined(__wasm__) || defined(_WIN32)
int weir_program_profile(weir_program *p, double *seconds) {
  (void)p, (void)seconds;
  return -1;
}
static void walk_measured(weir_program *p, int tid, int nth) { (void)p, (void)tid, (void)nth; }
#else
static int64_t nanoseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int weir_program_profile(weir_program *p, double *seconds) {
  pthread_mutex_lock(&p->device->lock);
  if (!p->spent) p->spent = calloc_((size_t)p->instructions * 2 + 1, sizeof *p->spent);
  int n = p->spent ? p->instructions : -1;
  for (int i = 0; i < 2 * n; i++) {
    seconds[i] = (double)p->spent[i] * 1e-9;
    p->spent[i] = 0;
  }
  pthread_mutex_unlock(&p->device->lock);
  return n;
}

/* As walk, meeting before every instruction and reading the clocks around it. */
static void walk_measured(weir_program *p, int tid, int nth) {
  weir_team *team = &p->device->team;
  meet(team, nth);
  for (int32_t n = 0; n < p->instructions; n++) {
    weir_call call = p->list[n].call;
    call.tid = tid;
    call.nth = nth;
    int64_t begin = nanoseconds(CLOCK_MONOTONIC), busy = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    p->list[n].kernel(&call);
    __atomic_fetch_add(&p->spent[2 * n + 1], nanoseconds(CLOCK_THREAD_CPUTIME_ID) - busy, __ATOMIC_RELAXED);
    meet(team, nth);
    if (tid == 0) p->spent[2 * n] += nanoseconds(CLOCK_MONOTONIC) - begin;
  }
}
#endif

/* One thread's walk through the program. */
static void walk(weir_program *p, int tid, int nth) {
  weir_team *team = &p->device->team;
  if (p->spent) {
    walk_measured(p, tid, nth);
    return;
  }
  for (int32_t n = 0; n < p->instructions; n++) {
    instruction *x = &p->list[n];
    if (x->barrier) meet(team, nth);
    weir_call call = x->call;
    call.tid = tid;
    call.nth = nth;
    x->kernel(&call);
  }
  meet(team, nth); /* nobody leaves before all are done */
}

static int threads_for(weir_device *device, weir_program *p) {
  if (device->threads == 1) return 1;
  if (device->grain <= 0) return device->threads;
  int64_t bytes = 0, enough = device->grain * device->threads;
  for (int32_t n = 0; n < p->instructions && bytes < enough; n++) {
    const weir_call *c = &p->list[n].call;
    for (int i = 0; i < c->nin + c->nout; i++)
      if (c->in[i]) bytes += weir_elements(c->in[i]) * 4;
  }
  int64_t threads = bytes / device->grain;
  return threads < 1 ? 1 : threads > device->threads ? device->threads : (int)threads;
}

static int start_workers(weir_device *device, int wanted);
static void lock_device(weir_device *device);
static void unlock_device(weir_device *device);

static weir_status prepare(weir_program *p, const int32_t *registers, int count, weir_error *error) {
  if (count != p->registers) return fail(error, WEIR_BAD_REGISTER, -1, 0, count, "another number of registers");
  for (int32_t r = 0; r < count; r++)
    if (registers[r] < 0 || registers[r] > p->maxima[r]) return fail(error, WEIR_BAD_REGISTER, r, p->maxima[r], registers[r], 0);
  for (int32_t t = 0; t < p->tensors; t++) {
    const record *x = &p->records[t];
    weir_tensor *value = &p->values[t];
    if (!value->data) return fail(error, WEIR_BAD_BINDING, x->slot, 0, 0, "nothing is bound");
    for (int i = 0; i < x->rank; i++) value->dim[i] = x->factor[i] * (x->reg[i] < 0 ? 1 : registers[x->reg[i]]);
  }
  for (int32_t t = 0; t < p->tensors; t++) {
    const record *x = &p->records[t];
    if (!x->checked) continue;
    const int32_t *data = p->values[t].data;
    int64_t n = weir_elements(&p->values[t]);
    for (int64_t i = 0; i < n; i++)
      if (data[i] < x->min || data[i] >= x->max) return fail(error, WEIR_BAD_INDEX, t, i, data[i], 0);
  }
  return WEIR_OK;
}

weir_status weir_program_run(weir_program *p, const int32_t *registers, int count, weir_error *error) {
  weir_device *device = p->device;
  lock_device(device);
  weir_status status = prepare(p, registers, count, error);
  if (status == WEIR_OK) {
    memset(p->counters, 0, (size_t)p->instructions * 64);
    int nth = threads_for(device, p);
    if (nth > 1) nth = start_workers(device, nth - 1) + 1;
    device->job = p;
    device->team.nth = nth;
    for (int i = 1; i < nth; i++) advance(&device->workers[i].go, &device->workers[i].sleepers);
    walk(p, 0, nth);
  }
  unlock_device(device);
  return status;
}

/* ---- devices ------------------------------------------------------------------------------------------------------------- */

static void serve(weir_device *device, int tid) {
  worker *self = &device->workers[tid];
  for (int32_t seen = 0;; seen++) {
    wait_for(&self->go, seen, &self->sleepers, __atomic_load_n(&device->team.spins, __ATOMIC_RELAXED));
    if (__atomic_load_n(&device->stop, __ATOMIC_ACQUIRE)) return;
    walk(device->job, tid, device->team.nth);
  }
}

#ifdef __wasm__
void weir_worker(weir_device *device, int tid) { serve(device, tid); }
void weir_device_stop(weir_device *device) {
  __atomic_store_n(&device->stop, 1, __ATOMIC_RELEASE);
  for (int i = 1; i <= device->started; i++) advance(&device->workers[i].go, &device->workers[i].sleepers);
}
/* The host starts workers itself and then says so with weir_device_threads. */
static int start_workers(weir_device *device, int wanted) { return wanted < device->started ? wanted : device->started; }
static void lock_device(weir_device *device) {
  while (__atomic_exchange_n(&device->lock, 1, __ATOMIC_SEQ_CST)) park(&device->lock, 1);
}
static void unlock_device(weir_device *device) {
  __atomic_store_n(&device->lock, 0, __ATOMIC_SEQ_CST);
  unpark(&device->lock);
}
#else
static void *serve_thread(void *argument) {
  worker *self = argument;
  serve(self->device, self->tid);
  return 0;
}

/* Has at least `wanted` workers running if the system lets it; returns how many of them to use. */
static int start_workers(weir_device *device, int wanted) {
  while (device->started < wanted) {
    worker *next = &device->workers[device->started + 1];
    next->device = device;
    next->tid = device->started + 1;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 4 << 20);
    int failed = pthread_create(&next->thread, &attributes, serve_thread, next);
    pthread_attr_destroy(&attributes);
    if (failed) break;
    device->started++;
  }
  return wanted < device->started ? wanted : device->started;
}
static void lock_device(weir_device *device) { pthread_mutex_lock(&device->lock); }
static void unlock_device(weir_device *device) { pthread_mutex_unlock(&device->lock); }
#endif

weir_device *weir_device_create(const weir_isa *isa) {
  weir_device *device = weir_allocate(sizeof *device);
  if (!device) return 0;
  device->isa = isa;
  device->threads = 1;
#ifndef __wasm__
  pthread_mutex_init(&device->lock, 0);
#endif
  return device;
}

void weir_device_destroy(weir_device *device) {
  if (!device) return;
  lock_device(device);
  __atomic_store_n(&device->stop, 1, __ATOMIC_RELEASE);
  for (int i = 1; i <= device->started; i++) advance(&device->workers[i].go, &device->workers[i].sleepers);
#ifndef __wasm__
  for (int i = 1; i <= device->started; i++) pthread_join(device->workers[i].thread, 0);
#endif
  unlock_device(device);
#ifndef __wasm__
  pthread_mutex_destroy(&device->lock);
#endif
  weir_release(device, sizeof *device);
}

static int processors(void) {
#if defined(__wasm__) || defined(_WIN32)
  return MAX_THREADS; /* the host knows, we do not */
#else
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n < 1 ? 1 : (int)n;
#endif
}

void weir_device_threads(weir_device *device, int threads, int64_t grain) {
  lock_device(device);
  device->threads = threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads;
  device->grain = grain;
  __atomic_store_n(&device->team.spins, device->threads > processors() ? SPINS_CROWDED : SPINS, __ATOMIC_RELAXED);
#ifdef __wasm__
  device->started = device->threads - 1;
#endif
  unlock_device(device);
}

const weir_isa *weir_device_isa(const weir_device *device) { return device->isa; }
