// WASI-NN for C: the imports of a core module behind a few functions, one header.
//
// Every function returns NN_OK or an error, and nn_error_text says which.
#ifndef WASI_NN_H
#define WASI_NN_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef enum {
  NN_OK, NN_INVALID_ARGUMENT, NN_INVALID_ENCODING, NN_MISSING_MEMORY, NN_BUSY,
  NN_RUNTIME_ERROR, NN_UNSUPPORTED_OPERATION, NN_TOO_LARGE, NN_NOT_FOUND,
} nn_error;
typedef enum { NN_F16 = 0, NN_F32 = 1, NN_U8 = 3, NN_I32 = 4, NN_I64 = 5 } nn_type;
typedef uint32_t nn_graph;
typedef uint32_t nn_context;

// As the host reads it; an i8 tensor is given as NN_U8.
typedef struct {
  const uint32_t *dims;
  uint32_t rank;
  uint8_t type;
  const void *data;
  uint32_t size;
} nn_tensor;

#define NN_IMPORT(name) __attribute__((import_module("wasi_ephemeral_nn"), import_name(name)))
NN_IMPORT("load_by_name") uint32_t nn_raw_load(const char *, uint32_t, nn_graph *);
NN_IMPORT("init_execution_context") uint32_t nn_raw_open(nn_graph, nn_context *);
NN_IMPORT("set_input") uint32_t nn_raw_set_input(nn_context, uint32_t, const nn_tensor *);
NN_IMPORT("compute") uint32_t nn_raw_compute(nn_context);
NN_IMPORT("get_output")
uint32_t nn_raw_get_output(nn_context, uint32_t, void *, uint32_t, uint32_t *);
#undef NN_IMPORT

static inline const char *nn_error_text(nn_error error) {
  static const char *const texts[] = {
      "ok", "invalid argument", "invalid encoding", "missing memory", "busy",
      "runtime error", "unsupported operation", "too large", "not found"};
  return (size_t)error < sizeof texts / sizeof *texts ? texts[error] : "unknown error";
}

static inline nn_error nn_load_by_name(const char *name, nn_graph *graph) {
  return (nn_error)nn_raw_load(name, strlen(name), graph);
}

static inline nn_error nn_open(nn_graph graph, nn_context *context) {
  return (nn_error)nn_raw_open(graph, context);
}

static inline nn_error nn_set_input(nn_context context, uint32_t index, nn_tensor tensor) {
  return (nn_error)nn_raw_set_input(context, index, &tensor);
}

static inline nn_error nn_compute(nn_context context) {
  return (nn_error)nn_raw_compute(context);
}

// The output's bytes in a fresh buffer, which the caller frees.
static inline nn_error nn_get_output(nn_context context, uint32_t index, void **data,
                                     uint32_t *size) {
  uint32_t capacity = 16384;
  for (;;) {
    *data = malloc(capacity);
    if (*data == NULL) return NN_MISSING_MEMORY;
    nn_error error = (nn_error)nn_raw_get_output(context, index, *data, capacity, size);
    if (error == NN_OK) return NN_OK;
    free(*data);
    *data = NULL;
    if (error != NN_TOO_LARGE || *size <= capacity) return error;
    capacity = *size;  // the host has said how much it is
  }
}

#endif
