// wasmlrun's worker for `infer`: gives a model all of its inputs and fetches all of its outputs.
//
// Protocol `tensors` (see ../README.md): stdin holds the inputs one after the other, and
// WASMLRUN_INPUTS says what each is. wasmlrun makes boxes, pictures, sound or text of the outputs
// that were fetched.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wasi_nn.h"

enum { TOO_LARGE = 7, MOST_DIMS = 16 };

static const struct { const char *name; uint8_t number, size; } TYPES[] = {
  {"f32", 1, 4}, {"f16", 0, 2}, {"f64", 2, 8}, {"bf16", 3, 2}, {"u8", 3, 1},
  {"i8", 3, 1}, {"bool", 3, 1}, {"i32", 4, 4}, {"i64", 5, 8},
};

static void fail(const char *what, const char *why) {
  fprintf(stderr, "infer: %s %s\n", what, why);
  exit(1);
}

static void check(int error, const char *what) {
  if (error == 0) return;
  fprintf(stderr, "infer: %s failed with error %d\n", what, error);
  exit(1);
}

static const char *variable(const char *name) {
  const char *value = getenv(name);
  if (value == NULL) fail(name, "is not set; run this worker with wasmlrun infer");
  return value;
}

// One input: "f32:1,3,224,224", its bytes next on stdin.
static void give(uint32_t context, uint32_t index, char *said) {
  char *shape = strchr(said, ':');
  uint32_t dims[MOST_DIMS], rank = 0;
  nn_tensor tensor = {dims, 0, 0, NULL, 0};
  if (shape == NULL) fail("WASMLRUN_INPUTS", "is not of the form TYPE:SHAPE …");
  *shape++ = '\0';
  for (size_t n = 0; n < sizeof TYPES / sizeof *TYPES; n++)
    if (strcmp(said, TYPES[n].name) == 0) tensor.type = TYPES[n].number, tensor.size = TYPES[n].size;
  if (tensor.size == 0) fail(said, "is no type that is known");
  for (char *end = shape; *shape != '\0' && rank < MOST_DIMS; shape = end + (*end == ',')) {
    dims[rank] = strtoul(shape, &end, 10);
    tensor.size *= dims[rank++];
  }
  tensor.rank = rank;
  uint8_t *data = malloc(tensor.size + 1);
  uint32_t size = 0;
  if (data == NULL) fail("an input", "is larger than the memory");
  for (ssize_t got; size < tensor.size && (got = read(0, data + size, tensor.size - size)) > 0;)
    size += got;
  if (size < tensor.size) fail("standard input", "is shorter than WASMLRUN_INPUTS says");
  tensor.data = data;
  check(nn_set_input(context, index, &tensor), "set_input");
  free(data);
}

// The host says how large a buffer must be; what is in it, wasmlrun has seen.
static void fetch(uint32_t context, uint32_t index) {
  static uint8_t *buffer;
  static uint32_t capacity;
  uint32_t size = 0;
  int error = nn_get_output(context, index, buffer, capacity, &size);
  if (error == TOO_LARGE) {
    free(buffer);
    buffer = malloc(capacity = size);
    if (buffer == NULL) fail("an output", "is larger than the memory");
    error = nn_get_output(context, index, buffer, capacity, &size);
  }
  check(error, "get_output");
}

int main(void) {
  const char *model = variable("WASMLRUN_MODEL");
  uint32_t graph, context, index = 0, outputs = atoi(variable("WASMLRUN_OUTPUTS"));
  check(nn_load_by_name(model, strlen(model), &graph), "load_by_name");
  check(nn_init_execution_context(graph, &context), "init_execution_context");
  for (char *said = strtok(strdup(variable("WASMLRUN_INPUTS")), " "); said; said = strtok(NULL, " "))
    give(context, index++, said);
  check(nn_compute(context), "compute");
  for (index = 0; index < outputs; index++) fetch(context, index);
  return 0;
}
