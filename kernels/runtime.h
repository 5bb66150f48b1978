/* The runtime's interface to its hosts (addon.c for Node, wasm.c for WebAssembly, testing/driver.c): devices, programs, runs.
 * Nothing here allocates during a run. */
#ifndef WEIR_RUNTIME_H
#define WEIR_RUNTIME_H

#include "weir.h"

typedef enum {
  WEIR_OK = 0,
  WEIR_BAD_PROGRAM = 1, /* the words are no program; detail says where */
  WEIR_NO_KERNEL = 2,   /* a = kernel number */
  WEIR_BAD_BINDING = 3, /* a = slot; detail says why */
  WEIR_BAD_REGISTER = 4, /* a = register, value */
  WEIR_BAD_INDEX = 5,   /* a = tensor, element, value */
  WEIR_NO_MEMORY = 6,
} weir_status;

typedef struct {
  int32_t status;
  int32_t a;       /* tensor, slot, register or word, see weir_status */
  int64_t element;
  int64_t value;
  const char *detail; /* static text, may be NULL */
} weir_error;

/* One compilation of the kernels. pack_bytes: size of a [rows, cols] matrix of `dtype` rearranged for this instruction set, or
 * -1 where there is no such form; pack does it. */
typedef struct {
  const char *name;
  const weir_kernel_fn *kernels;
  int64_t (*pack_bytes)(int32_t dtype, int64_t rows, int64_t cols);
  void (*pack)(int32_t dtype, const void *source, int64_t rows, int64_t cols, void *destination);
} weir_isa;

/* The instruction sets this processor can run, worst first; returns how many. */
int weir_isas(const weir_isa **list);
int weir_kernel_count(void);
const char *weir_kernel_name(int kernel);

typedef struct weir_device weir_device;
typedef struct weir_program weir_program;

weir_device *weir_device_create(const weir_isa *isa);
void weir_device_destroy(weir_device *device);
/* threads >= 1; a run uses one thread per `grain` bytes that its instructions touch, never more than `threads`. */
void weir_device_threads(weir_device *device, int threads, int64_t grain);
const weir_isa *weir_device_isa(const weir_device *device);

/* Reads the words of src/tensor/encode.ts and checks them; temps must lie within arena_bytes. NULL: see error. The arena is
 * allocated here. */
weir_program *weir_program_create(weir_device *device, const int32_t *words, int64_t count, int64_t arena_bytes, weir_error *error);
void weir_program_destroy(weir_program *program);
int weir_program_slots(const weir_program *program);
int weir_program_instructions(const weir_program *program);
void *weir_program_arena(weir_program *program); /* where the temps lie */
/* Gives external slot its bytes, which must stay valid. Checks size (at the registers' maxima) and alignment. */
weir_status weir_program_bind(weir_program *program, int slot, void *data, int64_t bytes, weir_error *error);
/* Seconds spent since the last call, two per instruction: of the run as a whole (the team meeting before and after it) and of
 * processor time, over all threads. The first call fills in zeros and makes runs measure from then on, which makes the team meet
 * more often than it must. Returns the number of instructions, -1 where there is no clock or no memory. */
int weir_program_profile(weir_program *program, double *seconds);
/* Checks registers and ranges, then runs every instruction. Runs of one device are serialised. */
weir_status weir_program_run(weir_program *program, const int32_t *registers, int count, weir_error *error);

/* Bytes of a tensor of `dtype`, or -1 when the shape is not one of it. Packed types ask the instruction set. */
int64_t weir_tensor_bytes(const weir_isa *isa, int32_t dtype, int rank, const int64_t dim[4]);

/* Memory of the runtime: 64-byte aligned and zero. */
void *weir_allocate(int64_t bytes);
void weir_release(void *data, int64_t bytes);

#ifdef __wasm__
/* What a worker of the WebAssembly build runs for ever; see wasm.c. */
void weir_worker(weir_device *device, int tid);
void weir_device_stop(weir_device *device); /* workers return */
#endif

#endif
