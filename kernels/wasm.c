/* The runtime for WebAssembly: memory functions, a heap in linear memory, and exports with plain 32-bit numbers and doubles.
 * src/tensor/wasm.ts is the other side. Only one thread (the device's owner)
 * allocates; workers call worker(), the runner run(). */
#include "runtime.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

void *memset(void *destination, int value, size_t bytes) {
  unsigned char *d = destination;
  for (size_t i = 0; i < bytes; i++) d[i] = (unsigned char)value;
  return destination;
}
void *memcpy(void *restrict destination, const void *restrict source, size_t bytes) {
  unsigned char *d = destination;
  const unsigned char *s = source;
  for (size_t i = 0; i < bytes; i++) d[i] = s[i];
  return destination;
}
void *memmove(void *destination, const void *source, size_t bytes) {
  unsigned char *d = destination;
  const unsigned char *s = source;
  if (d < s)
    for (size_t i = 0; i < bytes; i++) d[i] = s[i];
  else
    for (size_t i = bytes; i > 0; i--) d[i - 1] = s[i - 1];
  return destination;
}

/* ---- heap: free blocks in order of address, first fit, neighbours joined; headers are 64 bytes so that data is aligned ------- */

#define PAGE 65536u
typedef struct block {
  size_t bytes; /* of the data after the header */
  struct block *next;
} block;
enum { HEAD = 64, KEEP = 128 }; /* a rest below KEEP is not split off */

extern unsigned char __heap_base;
static block *free_list;
static size_t heap_end; /* 0: not begun */

static void give(block *freed) {
  block **at = &free_list;
  while (*at && *at < freed) at = &(*at)->next;
  freed->next = *at;
  *at = freed;
  if (freed->next && (unsigned char *)freed + HEAD + freed->bytes == (unsigned char *)freed->next) {
    freed->bytes += HEAD + freed->next->bytes;
    freed->next = freed->next->next;
  }
  if (at != &free_list) {
    block *before = (block *)((unsigned char *)at - offsetof(block, next));
    if ((unsigned char *)before + HEAD + before->bytes == (unsigned char *)freed) {
      before->bytes += HEAD + freed->bytes;
      before->next = freed->next;
    }
  }
}

static int grow(size_t bytes) {
  if (!heap_end) heap_end = ((size_t)&__heap_base + 63) / 64 * 64;
  size_t have = (size_t)__builtin_wasm_memory_size(0) * PAGE; /* 0 when all 65,536 pages are there */
  size_t rest = have - heap_end;
  if (rest < bytes + HEAD) {
    size_t pages = (bytes + HEAD - rest + PAGE - 1) / PAGE;
    if (pages < 64 && __builtin_wasm_memory_grow(0, 64) != (size_t)-1) pages = 64;
    else if (__builtin_wasm_memory_grow(0, pages) == (size_t)-1) return 0;
    rest += pages * PAGE;
  }
  block *fresh = (block *)heap_end;
  rest = rest / 64 * 64 - HEAD;
  heap_end += HEAD + rest;
  fresh->bytes = rest;
  give(fresh);
  return 1;
}

void *weir_heap_allocate(size_t bytes) {
  if (bytes > 0xffff0000u) return 0;
  bytes = bytes ? (bytes + 63) / 64 * 64 : 64;
  for (int again = 0; again < 2; again++) {
    for (block **at = &free_list; *at; at = &(*at)->next) {
      block *found = *at;
      if (found->bytes < bytes) continue;
      if (found->bytes - bytes >= KEEP) {
        block *rest = (block *)((unsigned char *)found + HEAD + bytes);
        rest->bytes = found->bytes - bytes - HEAD;
        rest->next = found->next;
        found->bytes = bytes;
        *at = rest;
      } else {
        *at = found->next;
      }
      void *data = (unsigned char *)found + HEAD;
      __builtin_memset(data, 0, found->bytes);
      return data;
    }
    if (!grow(bytes)) return 0;
  }
  return 0;
}

void weir_heap_free(void *data) {
  if (data) give((block *)((unsigned char *)data - HEAD));
}

/* ---- exports ---------------------------------------------------------------------------------------------------------------- */

/* Status, a, element, value, address of the text: five doubles that the caller owns. */
static void tell(const weir_error *error, double *report) {
  report[0] = error->status;
  report[1] = error->a;
  report[2] = (double)error->element;
  report[3] = (double)error->value;
  report[4] = (double)(size_t)error->detail;
}
static const weir_isa *isa(void) {
  const weir_isa *list;
  weir_isas(&list);
  return list;
}

/* bytes as a double: an allocation may be 2 GB and more. */
void *EXPORT(allocate)(double bytes) { return bytes >= 0 && bytes < 4294901760.0 ? weir_heap_allocate((size_t)bytes) : 0; }
void EXPORT(release)(void *data) { weir_heap_free(data); }

int EXPORT(kernel_count)(void) { return weir_kernel_count(); }
const char *EXPORT(kernel_name)(int kernel) { return isa()->kernels[kernel] ? weir_kernel_name(kernel) : ""; }

extern int32_t weir_can_park;
void EXPORT(can_park)(int32_t can) { weir_can_park = can; }
weir_device *EXPORT(device)(void) { return weir_device_create(isa()); }
void EXPORT(threads)(weir_device *device, int threads, double grain) { weir_device_threads(device, threads, (int64_t)grain); }
void EXPORT(stop)(weir_device *device) { weir_device_stop(device); }
void EXPORT(worker)(weir_device *device, int tid) { weir_worker(device, tid); }

weir_program *EXPORT(program)(weir_device *device, const int32_t *words, int count, double arena, double *report) {
  weir_error error = {0};
  weir_program *made = arena < 4294901760.0 ? weir_program_create(device, words, count, (int64_t)arena, &error) : 0;
  if (!made && error.status == WEIR_OK) error = (weir_error){WEIR_NO_MEMORY, 0, 0, (int64_t)arena, "no memory for the program's temps"};
  tell(&error, report);
  return made;
}
void EXPORT(free_program)(weir_program *program) { weir_program_destroy(program); }
void EXPORT(bind)(weir_program *program, int slot, void *data, double bytes, double *report) {
  weir_error error = {0};
  weir_program_bind(program, slot, data, (int64_t)bytes, &error);
  tell(&error, report);
}
/* Also called by the runner, a worker that runs programs off the owner's thread. */
void EXPORT(run)(weir_program *program, const int32_t *registers, int count, double *report) {
  weir_error error = {0};
  weir_program_run(program, registers, count, &error);
  tell(&error, report);
}
double EXPORT(pack_bytes)(int dtype, double rows, double cols) {
  return isa()->pack_bytes ? (double)isa()->pack_bytes(dtype, (int64_t)rows, (int64_t)cols) : -1;
}
void EXPORT(pack)(int dtype, const void *source, double rows, double cols, void *destination) {
  isa()->pack(dtype, source, (int64_t)rows, (int64_t)cols, destination);
}
