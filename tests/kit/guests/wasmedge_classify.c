// A program as WasmEdge's examples are: classify MODEL PICTURE [LABELS].
//
// It reads its files itself, gives the model to `load` as bytes, takes the picture as raw
// H x W x 3 bytes, and prints its own ranking. Nothing in it knows of wasmlrun.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wasi_nn_2021.h"

static builder read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    perror(path);
    exit(1);
  }
  fseek(file, 0, SEEK_END);
  long size = ftell(file);
  rewind(file);
  uint8_t *data = malloc(size);
  if (data == NULL || fread(data, 1, size, file) != (size_t)size) exit(1);
  fclose(file);
  return (builder){data, size};
}

static void check(int error, const char *what) {
  if (error == 0) return;
  fprintf(stderr, "%s: error %d\n", what, error);
  exit(1);
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: classify MODEL PICTURE\n");
    return 2;
  }
  const char *suffix = strrchr(argv[1], '.');
  uint32_t encoding = strcmp(suffix, ".tflite") == 0 ? TENSORFLOW_LITE : ONNX, count = 1;
  builder parts[2] = {read_file(argv[1])};
  if (strcmp(suffix, ".xml") == 0) {
    encoding = OPENVINO;
    char *weights = strdup(argv[1]);
    strcpy(strrchr(weights, '.'), ".bin");
    parts[1] = read_file(weights);
    count = 2;
  }
  builder picture = read_file(argv[2]);
  uint32_t side = (uint32_t)sqrt(picture.size / 3.0), graph, context, written = 0;

  check(nn_load(parts, count, encoding, 0, &graph), "load");
  check(nn_init_execution_context(graph, &context), "init_execution_context");
  uint32_t dims[] = {1, side, side, 3};
  tensor input = {dims, 4, U8, picture.data, picture.size};
  check(nn_set_input(context, 0, &input), "set_input");
  check(nn_compute(context), "compute");
  static union { uint8_t bytes[8192]; float floats[2048]; } scores;
  check(nn_get_output(context, 0, &scores, sizeof scores, &written), "get_output");

  // the examples take 965 or 1001 quantised classes; a small model here answers in f32
  int quantised = written > 512, classes = quantised ? written : written / 4, best = 0;
  for (int i = 1; i < classes; i++)
    if (quantised ? scores.bytes[i] > scores.bytes[best] : scores.floats[i] > scores.floats[best])
      best = i;
  printf("Executed graph inference\n   1.) [%d](%.4f)\n", best,
         quantised ? scores.bytes[best] / 255.0 : scores.floats[best]);
  return 0;
}
