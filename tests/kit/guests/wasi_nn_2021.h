// WASI-NN as guests of 2021 to 2023 have it: the third tensor type is u8.
#ifndef WASI_NN_2021_H
#define WASI_NN_2021_H

#include <stdint.h>

#define NN(name) __attribute__((import_module("wasi_ephemeral_nn"), import_name(name)))

typedef struct { const uint8_t *data; uint32_t size; } builder;
typedef struct {
  const uint32_t *dims;
  uint32_t rank;
  uint8_t type;
  const uint8_t *data;
  uint32_t size;
} tensor;

enum { OPENVINO = 0, ONNX = 1, TENSORFLOW_LITE = 4 };
enum { F16 = 0, F32 = 1, U8 = 2, I32 = 3 };

NN("load") int nn_load(const builder *, uint32_t count, uint32_t encoding, uint32_t target,
                       uint32_t *graph);
NN("load_by_name") int nn_load_by_name(const char *, uint32_t size, uint32_t *graph);
NN("init_execution_context") int nn_init_execution_context(uint32_t graph, uint32_t *context);
NN("set_input") int nn_set_input(uint32_t context, uint32_t index, const tensor *);
NN("compute") int nn_compute(uint32_t context);
NN("get_output") int nn_get_output(uint32_t context, uint32_t index, void *buffer, uint32_t size,
                                   uint32_t *written);

#endif
