// An image classifier: the picture's tensor on stdin, the five best classes on stdout.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wasi_nn.h"

static void fail(const char *what, const char *why) {
  fprintf(stderr, "classify: %s: %s\n", what, why);
  exit(1);
}

static void check(nn_error error, const char *what) {
  if (error != NN_OK) fail(what, nn_error_text(error));
}

static const char *variable(const char *name) {
  const char *value = getenv(name);
  if (value == NULL) fail(name, "is not set; run this worker with wasmlrun classify");
  return value;
}

static nn_type type_named(const char *name) {
  if (strcmp(name, "f32") == 0) return NN_F32;
  if (strcmp(name, "f16") == 0) return NN_F16;
  return NN_U8;  // i8 as well: WASI-NN has no type of its own for it
}

static void *read_stdin(uint32_t *size) {
  size_t capacity = 1 << 20, got;
  char *data = malloc(capacity);
  *size = 0;
  while (data != NULL && (got = fread(data + *size, 1, capacity - *size, stdin)) > 0) {
    *size += got;
    if (*size == capacity) data = realloc(data, capacity *= 2);
  }
  if (data == NULL) fail("the picture", "too large");
  return data;
}

int main(void) {
  // 1. Read the tensor: its shape and type from the environment, its bytes from stdin.
  uint32_t dims[8], rank = 0;
  char *shape = strdup(variable("WASMLRUN_INPUT_SHAPE"));
  for (char *n = strtok(shape, ","); n != NULL && rank < 8; n = strtok(NULL, ","))
    dims[rank++] = atoi(n);
  nn_tensor input = {.dims = dims, .rank = rank};
  input.type = type_named(variable("WASMLRUN_INPUT_TYPE"));
  input.data = read_stdin(&input.size);

  // 2. Load the model by the name that the host knows it by.
  nn_graph graph;
  nn_context context;
  check(nn_load_by_name(variable("WASMLRUN_MODEL"), &graph), "cannot load the model");
  check(nn_open(graph, &context), "cannot open the model");

  // 3. Run it.
  void *output;
  uint32_t size;
  check(nn_set_input(context, 0, input), "the model refuses the picture");
  check(nn_compute(context), "cannot run the model");
  check(nn_get_output(context, 0, &output, &size), "cannot read the scores");

  // 4. Rank: the five best scores, the lower index first where two are equal.
  int bytes = strcmp(variable("WASMLRUN_OUTPUT_TYPE"), "u8") == 0;
  uint32_t count = bytes ? size : size / 4;
  float *scores = malloc(count * sizeof *scores);
  for (uint32_t i = 0; i < count; i++)
    scores[i] = bytes ? ((uint8_t *)output)[i] / 256.0f : ((float *)output)[i];

  // 5. Answer with lines of INDEX<TAB>SCORE.
  for (uint32_t place = 0; place < 5 && place < count; place++) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
      if (scores[i] > scores[best]) best = i;
    printf("%u\t%.9g\n", best, scores[best]);
    scores[best] = -1e30f;
  }
  return 0;
}
