// Speech on stdin, a WAV file of any rate; what is said on stdout, piece by piece.
//
// The model is one that converses, as WasmEdge's Whisper: input 0 is the sound, output 0 the text,
// and compute_single goes on by one piece until error 100 says that all is said.

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "wasi_nn.h"

#define WASI_NN(name) __attribute__((import_module("wasi_ephemeral_nn"), import_name(name)))
WASI_NN("compute_single") int nn_compute_single(nn_context context);
WASI_NN("get_output_single")
int nn_get_output_single(nn_context context, uint32_t index, void *buffer, uint32_t size,
                         uint32_t *written);

enum { END_OF_SEQUENCE = 100 };

static void check(int error, const char *what) {
  if (error == 0) return;
  fprintf(stderr, "listen: %s failed with error %d\n", what, error);
  exit(1);
}

int main(void) {
  static char text[1 << 16];
  size_t size = 0, capacity = 1 << 20;
  char *sound = malloc(capacity);
  nn_graph graph;
  nn_context context;
  uint32_t written;
  for (ssize_t got; sound != NULL && (got = read(0, sound + size, capacity - size)) > 0;)
    if ((size += got) == capacity) sound = realloc(sound, capacity *= 2);
  if (sound == NULL) check(NN_MISSING_MEMORY, "reading the sound");
  check(nn_load_by_name("default", &graph), "load_by_name");
  check(nn_open(graph, &context), "init_execution_context");
  uint32_t dims[] = {size};
  check(nn_set_input(context, 0, (nn_tensor){dims, 1, NN_U8, sound, size}), "set_input");
  for (int error; (error = nn_compute_single(context)) != END_OF_SEQUENCE;) {
    check(error, "compute_single");
    check(nn_get_output_single(context, 0, text, sizeof text, &written), "get_output_single");
    int blank = written > 0 && text[0] == ' ';
    printf("%.*s\n", (int)written - blank, text + blank);
    fflush(stdout);
  }
  return 0;
}
