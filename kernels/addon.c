/* The runtime as a Node addon (Node-API, context-aware: it may be loaded in any number of worker threads). It only translates:
 * arguments in, status numbers out; src/tensor/native.ts turns those into sentences. */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#define NAPI_VERSION 9
#include <node_api.h>
#include <stdlib.h>
#include <string.h>
#include "probe.h"
#include "runtime.h"
#ifndef _WIN32
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

static void throw_error(napi_env env, const char *message) {
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) == napi_ok && !pending) napi_throw_error(env, 0, message);
}

#define CHECK(x)                                 \
  do {                                           \
    if ((x) != napi_ok) {                        \
      throw_error(env, "addon: " #x " failed"); \
      return 0;                                  \
    }                                            \
  } while (0)

#define ARGUMENTS(n)                                               \
  napi_value arg[n];                                               \
  size_t argc = n;                                                 \
  CHECK(napi_get_cb_info(env, info, &argc, arg, 0, 0));            \
  if (argc < n) {                                                  \
    throw_error(env, "addon: too few arguments");                  \
    return 0;                                                      \
  }

static const napi_type_tag DEVICE_TAG = {0x5745495264657669, 0x6365000000000001};
static const napi_type_tag PROGRAM_TAG = {0x57454952070726f6, 0x6772616d00000001};

/* A device lives until its handle and all its programs are gone. All counts are touched by the owning JavaScript thread only. */
typedef struct {
  weir_device *device;
  int uses;
} device_box;

typedef struct {
  weir_program *program;
  device_box *owner;
  napi_ref *bound; /* one per slot: keeps the bytes alive */
  int slots, uses;
} program_box;

static void device_drop(device_box *box) {
  if (--box->uses > 0) return;
  weir_device_destroy(box->device);
  free(box);
}

static void program_drop(napi_env env, program_box *box) {
  if (--box->uses > 0) return;
  if (box->program) weir_program_destroy(box->program);
  for (int i = 0; i < box->slots; i++)
    if (box->bound[i]) napi_delete_reference(env, box->bound[i]);
  free(box->bound);
  device_drop(box->owner);
  free(box);
}

static void device_finalize(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  device_drop(data);
}
static void program_finalize(napi_env env, void *data, void *hint) {
  (void)hint;
  program_drop(env, data);
}

static void *unwrap(napi_env env, napi_value value, const napi_type_tag *tag) {
  bool right = false;
  void *data = 0;
  napi_valuetype type;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_external ||
      napi_check_object_type_tag(env, value, tag, &right) != napi_ok || !right || napi_get_value_external(env, value, &data) != napi_ok) {
    throw_error(env, "addon: not a handle of the right kind");
    return 0;
  }
  return data;
}

/* The bytes of a typed array; *buffer is the ArrayBuffer behind it. */
static bool view_of(napi_env env, napi_value value, void **data, int64_t *bytes, napi_value *buffer) {
  static const int sizes[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8};
  napi_typedarray_type type;
  size_t length, offset;
  bool is = false;
  if (napi_is_typedarray(env, value, &is) != napi_ok || !is ||
      napi_get_typedarray_info(env, value, &type, &length, data, buffer, &offset) != napi_ok || (size_t)type >= sizeof sizes / sizeof *sizes) {
    throw_error(env, "addon: not a typed array");
    return false;
  }
  *bytes = (int64_t)length * sizes[type];
  return true;
}

/* Writes an error as five numbers: status, a, element, value; returns its text or undefined. */
static napi_value report(napi_env env, const weir_error *error, double *into) {
  into[0] = error->status;
  into[1] = error->a;
  into[2] = (double)error->element;
  into[3] = (double)error->value;
  napi_value text;
  if (error->detail) CHECK(napi_create_string_utf8(env, error->detail, NAPI_AUTO_LENGTH, &text));
  else CHECK(napi_get_undefined(env, &text));
  return text;
}

static double *report_target(napi_env env, napi_value value) {
  void *data;
  int64_t bytes;
  napi_value buffer;
  if (!view_of(env, value, &data, &bytes, &buffer)) return 0;
  if (bytes < 4 * (int64_t)sizeof(double)) {
    throw_error(env, "addon: the report needs four doubles");
    return 0;
  }
  return data;
}

/* isas(): [{name, kernels: [name or "" where missing]}], worst first. */
static napi_value isas(napi_env env, napi_callback_info info) {
  (void)info;
  const weir_isa *list;
  int n = weir_isas(&list);
  napi_value result;
  CHECK(napi_create_array_with_length(env, (size_t)n, &result));
  for (int i = 0; i < n; i++) {
    napi_value item, name, kernels;
    CHECK(napi_create_object(env, &item));
    CHECK(napi_create_string_utf8(env, list[i].name, NAPI_AUTO_LENGTH, &name));
    CHECK(napi_create_array(env, &kernels));
    for (int k = 0; k < weir_kernel_count(); k++) {
      napi_value kernel;
      CHECK(napi_create_string_utf8(env, list[i].kernels[k] ? weir_kernel_name(k) : "", NAPI_AUTO_LENGTH, &kernel));
      CHECK(napi_set_element(env, kernels, (uint32_t)k, kernel));
    }
    CHECK(napi_set_named_property(env, item, "name", name));
    CHECK(napi_set_named_property(env, item, "kernels", kernels));
    CHECK(napi_set_element(env, result, (uint32_t)i, item));
  }
  return result;
}

/* device(isa number): handle */
static napi_value device(napi_env env, napi_callback_info info) {
  ARGUMENTS(1)
  const weir_isa *list;
  int32_t which;
  CHECK(napi_get_value_int32(env, arg[0], &which));
  if (which < 0 || which >= weir_isas(&list)) {
    throw_error(env, "addon: no such instruction set");
    return 0;
  }
  device_box *box = calloc(1, sizeof *box);
  if (box) box->device = weir_device_create(&list[which]);
  if (!box || !box->device) {
    free(box);
    throw_error(env, "addon: out of memory");
    return 0;
  }
  box->uses = 1;
  napi_value handle;
  CHECK(napi_create_external(env, box, device_finalize, 0, &handle));
  CHECK(napi_type_tag_object(env, handle, &DEVICE_TAG));
  return handle;
}

/* threads(device, n, grain bytes) */
static napi_value threads(napi_env env, napi_callback_info info) {
  ARGUMENTS(3)
  device_box *box = unwrap(env, arg[0], &DEVICE_TAG);
  int32_t n;
  int64_t grain;
  if (!box) return 0;
  CHECK(napi_get_value_int32(env, arg[1], &n));
  CHECK(napi_get_value_int64(env, arg[2], &grain));
  weir_device_threads(box->device, n, grain);
  return 0;
}

static void allocation_finalize(napi_env env, void *data, void *hint) {
  (void)env;
  weir_release(data, (int64_t)(intptr_t)hint);
}

/* allocate(bytes): ArrayBuffer, zero, 64-byte aligned; undefined when there is no memory. */
static napi_value allocate(napi_env env, napi_callback_info info) {
  ARGUMENTS(1)
  int64_t bytes;
  napi_value result;
  CHECK(napi_get_value_int64(env, arg[0], &bytes));
  void *data = weir_allocate(bytes);
  if (!data) return 0;
  if (napi_create_external_arraybuffer(env, data, (size_t)bytes, allocation_finalize, (void *)(intptr_t)bytes, &result) != napi_ok) {
    weir_release(data, bytes);
    throw_error(env, "addon: this runtime allows no external buffers");
    return 0;
  }
  return result;
}

/* detach(ArrayBuffer): its views become empty and its memory is given back. */
static napi_value detach(napi_env env, napi_callback_info info) {
  ARGUMENTS(1)
  bool can = false;
  CHECK(napi_is_arraybuffer(env, arg[0], &can));
  if (can) CHECK(napi_detach_arraybuffer(env, arg[0]));
  return 0;
}

/* program(device, words, arena bytes, report): handle, or the error's text with the report filled in. */
static napi_value program(napi_env env, napi_callback_info info) {
  ARGUMENTS(4)
  device_box *owner = unwrap(env, arg[0], &DEVICE_TAG);
  void *words;
  int64_t bytes, arena;
  napi_value buffer, handle;
  if (!owner || !view_of(env, arg[1], &words, &bytes, &buffer)) return 0;
  CHECK(napi_get_value_int64(env, arg[2], &arena));
  double *into = report_target(env, arg[3]);
  if (!into) return 0;
  weir_error error = {0};
  weir_program *made = weir_program_create(owner->device, words, bytes / 4, arena, &error);
  if (!made) return report(env, &error, into);
  into[0] = 0;
  program_box *box = calloc(1, sizeof *box);
  if (box) {
    box->slots = weir_program_slots(made);
    box->bound = calloc((size_t)box->slots + 1, sizeof *box->bound);
  }
  if (!box || !box->bound) {
    free(box);
    weir_program_destroy(made);
    throw_error(env, "addon: out of memory");
    return 0;
  }
  box->program = made;
  box->owner = owner;
  box->uses = 1;
  owner->uses++;
  CHECK(napi_create_external(env, box, program_finalize, 0, &handle));
  CHECK(napi_type_tag_object(env, handle, &PROGRAM_TAG));
  return handle;
}

static program_box *live_program(napi_env env, napi_value value) {
  program_box *box = unwrap(env, value, &PROGRAM_TAG);
  if (box && !box->program) {
    throw_error(env, "addon: the program was freed");
    return 0;
  }
  return box;
}

/* bind(program, slot, typed array, report): text of the error, if any. */
static napi_value bind(napi_env env, napi_callback_info info) {
  ARGUMENTS(4)
  program_box *box = live_program(env, arg[0]);
  int32_t slot;
  void *data;
  int64_t bytes;
  napi_value buffer;
  if (!box) return 0;
  CHECK(napi_get_value_int32(env, arg[1], &slot));
  if (!view_of(env, arg[2], &data, &bytes, &buffer)) return 0;
  double *into = report_target(env, arg[3]);
  if (!into) return 0;
  static unsigned char nothing[64] __attribute__((aligned(64))); /* an empty array may have no address */
  weir_error error = {0};
  weir_program_bind(box->program, slot, data ? data : nothing, bytes, &error);
  if (error.status == WEIR_OK) {
    if (box->bound[slot]) CHECK(napi_delete_reference(env, box->bound[slot]));
    box->bound[slot] = 0;
    CHECK(napi_create_reference(env, buffer, 1, &box->bound[slot]));
  }
  return report(env, &error, into);
}

/* run(program, registers Int32Array, report): text of the error, if any. */
static napi_value run(napi_env env, napi_callback_info info) {
  ARGUMENTS(3)
  program_box *box = live_program(env, arg[0]);
  void *registers;
  int64_t bytes;
  napi_value buffer;
  if (!box || !view_of(env, arg[1], &registers, &bytes, &buffer)) return 0;
  double *into = report_target(env, arg[2]);
  if (!into) return 0;
  weir_error error = {0};
  weir_program_run(box->program, registers, (int)(bytes / 4), &error);
  return report(env, &error, into);
}

typedef struct {
  napi_async_work work;
  napi_deferred deferred;
  program_box *box;
  int count;
  weir_error error;
  int32_t registers[];
} job;

static void job_execute(napi_env env, void *data) {
  (void)env;
  job *j = data;
  weir_program_run(j->box->program, j->registers, j->count, &j->error);
}

static void job_complete(napi_env env, napi_status status, void *data) {
  job *j = data;
  double numbers[4] = {0};
  napi_value result, text;
  if (status != napi_ok) j->error = (weir_error){WEIR_NO_MEMORY, 0, 0, 0, "the run was cancelled"};
  if (napi_create_array_with_length(env, 5, &result) == napi_ok) {
    text = report(env, &j->error, numbers);
    for (uint32_t i = 0; i < 4; i++) {
      napi_value number;
      if (napi_create_double(env, numbers[i], &number) == napi_ok) napi_set_element(env, result, i, number);
    }
    napi_set_element(env, result, 4, text);
    napi_resolve_deferred(env, j->deferred, result);
  }
  napi_delete_async_work(env, j->work);
  program_drop(env, j->box);
  free(j);
}

/* runAsync(program, registers): promise of [status, a, element, value, text]. */
static napi_value run_async(napi_env env, napi_callback_info info) {
  ARGUMENTS(2)
  program_box *box = live_program(env, arg[0]);
  void *registers;
  int64_t bytes;
  napi_value buffer, promise, name;
  if (!box || !view_of(env, arg[1], &registers, &bytes, &buffer)) return 0;
  job *j = calloc(1, sizeof *j + (size_t)bytes);
  if (!j) {
    throw_error(env, "addon: out of memory");
    return 0;
  }
  j->box = box;
  j->count = (int)(bytes / 4);
  if (bytes) memcpy(j->registers, registers, (size_t)bytes);
  if (napi_create_string_utf8(env, "weir run", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_async_work(env, 0, name, job_execute, job_complete, j, &j->work) != napi_ok ||
      napi_create_promise(env, &j->deferred, &promise) != napi_ok || napi_queue_async_work(env, j->work) != napi_ok) {
    free(j);
    throw_error(env, "addon: cannot queue the run");
    return 0;
  }
  box->uses++;
  return promise;
}

/* profile(program, instructions): two seconds per instruction since the last call; see weir_program_profile. */
static napi_value profile(napi_env env, napi_callback_info info) {
  ARGUMENTS(2)
  program_box *box = live_program(env, arg[0]);
  void *data;
  int64_t bytes;
  napi_value buffer;
  if (!box || !view_of(env, arg[1], &data, &bytes, &buffer)) return 0;
  if (bytes / 16 != weir_program_instructions(box->program)) {
    throw_error(env, "addon: profile: two numbers per instruction");
    return 0;
  }
  if (weir_program_profile(box->program, data) < 0) throw_error(env, "addon: profile: no clock or no memory");
  return 0;
}

/* free(program): now, or when the run in progress ends. */
static napi_value free_program(napi_env env, napi_callback_info info) {
  ARGUMENTS(1)
  program_box *box = unwrap(env, arg[0], &PROGRAM_TAG);
  if (!box || !box->program || box->uses > 1) return 0; /* the collector does it later */
  weir_program_destroy(box->program);
  box->program = 0;
  for (int i = 0; i < box->slots; i++) {
    if (box->bound[i]) CHECK(napi_delete_reference(env, box->bound[i]));
    box->bound[i] = 0;
  }
  return 0;
}

/* packBytes(device, dtype, rows, cols): bytes, -1 where there is no packed form. */
static napi_value pack_bytes(napi_env env, napi_callback_info info) {
  ARGUMENTS(4)
  device_box *box = unwrap(env, arg[0], &DEVICE_TAG);
  int32_t dtype;
  int64_t rows, cols;
  napi_value result;
  if (!box) return 0;
  CHECK(napi_get_value_int32(env, arg[1], &dtype));
  CHECK(napi_get_value_int64(env, arg[2], &rows));
  CHECK(napi_get_value_int64(env, arg[3], &cols));
  const weir_isa *isa = weir_device_isa(box->device);
  CHECK(napi_create_int64(env, isa->pack_bytes ? isa->pack_bytes(dtype, rows, cols) : -1, &result));
  return result;
}

/* pack(device, dtype, source, rows, cols, destination): one matrix. */
static napi_value pack(napi_env env, napi_callback_info info) {
  ARGUMENTS(6)
  device_box *box = unwrap(env, arg[0], &DEVICE_TAG);
  int32_t dtype;
  int64_t rows, cols, source_bytes, destination_bytes;
  void *source, *destination;
  napi_value buffer;
  if (!box) return 0;
  CHECK(napi_get_value_int32(env, arg[1], &dtype));
  if (!view_of(env, arg[2], &source, &source_bytes, &buffer)) return 0;
  CHECK(napi_get_value_int64(env, arg[3], &rows));
  CHECK(napi_get_value_int64(env, arg[4], &cols));
  if (!view_of(env, arg[5], &destination, &destination_bytes, &buffer)) return 0;
  const weir_isa *isa = weir_device_isa(box->device);
  const int64_t dims[4] = {rows, cols, 1, 1};
  int64_t from = weir_tensor_bytes(isa, dtype, 2, dims), to = isa->pack_bytes ? isa->pack_bytes(dtype, rows, cols) : -1;
  if (from < 0 || to < 0 || source_bytes < from || destination_bytes < to) {
    throw_error(env, "addon: pack: the buffers do not fit the matrix");
    return 0;
  }
  isa->pack(dtype, source, rows, cols, destination);
  return 0;
}

#ifndef _WIN32
static void map_finalize(napi_env env, void *data, void *hint) {
  (void)env;
  munmap(data, (size_t)(intptr_t)hint);
}

/* mapFile(path): ArrayBuffer over the file's bytes, copy on write: nothing written to it reaches the file. */
static napi_value map_file(napi_env env, napi_callback_info info) {
  ARGUMENTS(1)
  char path[4096];
  size_t length;
  napi_value result;
  CHECK(napi_get_value_string_utf8(env, arg[0], path, sizeof path, &length));
  if (length >= sizeof path - 1) {
    throw_error(env, "the path is too long");
    return 0;
  }
  int file = open(path, O_RDONLY | O_CLOEXEC);
  struct stat about;
  if (file < 0 || fstat(file, &about) != 0 || !S_ISREG(about.st_mode) || about.st_size == 0) {
    if (file >= 0) close(file);
    throw_error(env, "the file cannot be opened, is empty or is no regular file");
    return 0;
  }
  void *data = mmap(0, (size_t)about.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
  close(file);
  if (data == MAP_FAILED) {
    throw_error(env, "the system cannot map the file");
    return 0;
  }
  if (napi_create_external_arraybuffer(env, data, (size_t)about.st_size, map_finalize, (void *)(intptr_t)about.st_size, &result) != napi_ok) {
    munmap(data, (size_t)about.st_size);
    throw_error(env, "addon: this runtime allows no external buffers");
    return 0;
  }
  return result;
}

/* forget(view of a mapped file that nothing was written to): the whole pages in it leave memory. */
static napi_value forget(napi_env env, napi_callback_info info) {
  ARGUMENTS(1)
  void *data;
  int64_t bytes;
  napi_value buffer;
  if (!view_of(env, arg[0], &data, &bytes, &buffer)) return 0;
  intptr_t page = sysconf(_SC_PAGESIZE), from = ((intptr_t)data + page - 1) / page * page, to = ((intptr_t)data + bytes) / page * page;
  if (to > from) madvise((void *)from, (size_t)(to - from), MADV_DONTNEED);
  return 0;
}
#endif

/* probe(what 0 = bandwidth | 1 = peak, threads, milliseconds): bytes or operations per second. */
static napi_value probe(napi_env env, napi_callback_info info) {
  ARGUMENTS(3)
  int32_t what, n, milliseconds;
  napi_value result;
  CHECK(napi_get_value_int32(env, arg[0], &what));
  CHECK(napi_get_value_int32(env, arg[1], &n));
  CHECK(napi_get_value_int32(env, arg[2], &milliseconds));
  CHECK(napi_create_double(env, what == 0 ? weir_probe_bandwidth(n, milliseconds) : weir_probe_peak(n, milliseconds), &result));
  return result;
}

NAPI_MODULE_INIT() {
  static const struct {
    const char *name;
    napi_callback function;
  } functions[] = {
      {"isas", isas}, {"device", device}, {"threads", threads}, {"allocate", allocate}, {"detach", detach}, {"program", program},
      {"bind", bind}, {"run", run}, {"runAsync", run_async}, {"profile", profile}, {"free", free_program}, {"packBytes", pack_bytes}, {"pack", pack},
#ifndef _WIN32
      {"mapFile", map_file}, {"forget", forget},
#endif
      {"probe", probe},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value function;
    CHECK(napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, 0, &function));
    CHECK(napi_set_named_property(env, exports, functions[i].name, function));
  }
  return exports;
}
