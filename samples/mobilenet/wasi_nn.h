// The WASI-NN imports of a core module, as far as a classifier needs them.
#ifndef WASI_NN_H
#define WASI_NN_H

#include <stdint.h>

#define WASI_NN(name) __attribute__((import_module("wasi_ephemeral_nn"), import_name(name)))

typedef struct { const uint8_t *data; uint32_t size; } nn_builder;

enum { NN_F16 = 0, NN_F32 = 1, NN_U8 = 3 };
enum { NN_CPU = 0, NN_GPU = 1, NN_TPU = 2, NN_AUTO = 3 };

typedef struct {
  const uint32_t *dims;
  uint32_t rank;
  uint8_t type;
  const uint8_t *data;
  uint32_t size;
} nn_tensor;

// Every function returns 0, or an error number; wasmlrun tells the reason on stderr.
WASI_NN("load")
int nn_load(const nn_builder *parts, uint32_t count, uint32_t encoding, uint32_t target,
            uint32_t *graph);
WASI_NN("load_by_name")
int nn_load_by_name(const char *name, uint32_t length, uint32_t *graph);
WASI_NN("init_execution_context")
int nn_init_execution_context(uint32_t graph, uint32_t *context);
WASI_NN("set_input")
int nn_set_input(uint32_t context, uint32_t index, const nn_tensor *tensor);
WASI_NN("compute")
int nn_compute(uint32_t context);
WASI_NN("get_output")
int nn_get_output(uint32_t context, uint32_t index, uint8_t *buffer, uint32_t size,
                  uint32_t *written);

#endif
