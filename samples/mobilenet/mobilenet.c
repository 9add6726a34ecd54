// wasmlrun's default worker: gives the picture on stdin to any image classifier.
//
// It does what every worker of the protocol `tensor` does (see ../README.md): read the tensor,
// load the model, run it, fetch the scores. wasmlrun ranks the scores it fetched last.

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wasi_nn.h"

static void check(int error, const char *what) {
  if (error == 0) return;
  fprintf(stderr, "mobilenet: %s failed with error %d\n", what, error);
  exit(1);
}

static const char *variable(const char *name) {
  const char *value = getenv(name);
  if (value == NULL) {
    fprintf(stderr, "mobilenet: %s is not set; run this worker with wasmlrun classify\n", name);
    exit(1);
  }
  return value;
}

// There is room for a byte more than is expected: the next read says that this was all.
static nn_builder read_all(int file, const char *name, size_t expected) {
  size_t size = 0, capacity = expected + 1;
  uint8_t *data = malloc(capacity);
  ssize_t got;
  while (data != NULL && (got = read(file, data + size, capacity - size)) > 0) {
    size += got;
    if (size == capacity) data = realloc(data, capacity *= 2);
  }
  if (data == NULL || got < 0) {
    fprintf(stderr, "mobilenet: cannot read %s\n", name);
    exit(1);
  }
  return (nn_builder){data, size};
}

static nn_builder read_file(const char *path) {
  int file = open(path, O_RDONLY);
  nn_builder part = read_all(file, path, 1 << 16);
  close(file);
  return part;
}

// A path is a model in a mounted folder; the weights of an OpenVINO IR stand beside it.
static uint32_t load_file(const char *path) {
  uint32_t graph, encoding = atoi(variable("WASMLRUN_MODEL_ENCODING"));
  nn_builder parts[2] = {read_file(path)};
  if (encoding == 0) {
    char *weights = strdup(path);
    memcpy(strrchr(weights, '.'), ".bin", 4);
    parts[1] = read_file(weights);
  }
  check(nn_load(parts, encoding == 0 ? 2 : 1, encoding, NN_CPU, &graph), "load");
  return graph;
}

int main(void) {
  const char *model = variable("WASMLRUN_MODEL"), *type = variable("WASMLRUN_INPUT_TYPE");
  uint32_t dims[8], rank = 0, graph, context, written;
  for (const char *n = variable("WASMLRUN_INPUT_SHAPE"); n != NULL && rank < 8; rank++) {
    dims[rank] = atoi(n);
    n = strchr(n, ',');
    if (n != NULL) n++;
  }
  size_t bytes = strcmp(type, "f32") == 0 ? 4 : strcmp(type, "f16") == 0 ? 2 : 1;
  for (uint32_t n = 0; n < rank; n++) bytes *= dims[n];
  nn_builder picture = read_all(0, "the picture", bytes);
  nn_tensor input = {dims, rank, NN_U8, picture.data, picture.size};
  if (strcmp(type, "f32") == 0) input.type = NN_F32;
  if (strcmp(type, "f16") == 0) input.type = NN_F16;

  if (strchr(model, '/') != NULL)
    graph = load_file(model);
  else
    check(nn_load_by_name(model, strlen(model), &graph), "load_by_name");
  check(nn_init_execution_context(graph, &context), "init_execution_context");
  check(nn_set_input(context, 0, &input), "set_input");
  check(nn_compute(context), "compute");

  static uint8_t scores[1 << 20];
  check(nn_get_output(context, 0, scores, sizeof scores, &written), "get_output");
  return 0;
}
