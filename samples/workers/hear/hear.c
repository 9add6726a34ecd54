// A WAV file on stdin, 16 kHz and 16 bits; on stdout a line for each time that somebody speaks:
// where it begins and where it ends, in seconds.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wasi_nn.h"

enum { RATE = 16000, WINDOW = 512, BEFORE = 64, STATE = 2 * 128, QUIET = 8 };
static const float BEGINS = 0.5f, ENDS = 0.35f;

static void fail(const char *what, const char *why) {
  fprintf(stderr, "hear: %s: %s\n", what, why);
  exit(1);
}

static void check(nn_error error, const char *what) {
  if (error != NN_OK) fail(what, nn_error_text(error));
}

static uint8_t *read_all(size_t *size) {
  size_t capacity = 1 << 16;
  uint8_t *data = malloc(capacity);
  *size = 0;
  for (ssize_t got; data != NULL && (got = read(0, data + *size, capacity - *size)) > 0;)
    if ((*size += got) == capacity) data = realloc(data, capacity *= 2);
  if (data == NULL) fail("the sound", "is larger than the memory");
  return data;
}

static uint32_t u32(const uint8_t *at) {
  return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

// The samples of the file, and how many; their format must be the model's.
static const int16_t *samples_in(const uint8_t *data, size_t size, size_t *count) {
  int right = 0;
  if (size < 12 || memcmp(data, "RIFF", 4) != 0 || memcmp(data + 8, "WAVE", 4) != 0)
    fail("standard input", "is no WAV file");
  for (size_t at = 12; at + 8 <= size; at += 8 + (size_t)u32(data + at + 4) + u32(data + at + 4) % 2) {
    size_t room = size - at - 8, length = u32(data + at + 4);
    if (memcmp(data + at, "fmt ", 4) == 0 && room >= 16)
      right = u32(data + at + 8) == 0x10001 && u32(data + at + 12) == RATE && data[at + 22] == 16;
    if (memcmp(data + at, "data", 4) != 0) continue;
    if (!right) fail("the WAV file", "is not 16 bits, one channel, 16000 Hz");
    *count = (length < room ? length : room) / 2;
    return (const int16_t *)(data + at + 8);
  }
  fail("the WAV file", "has no samples");
  return NULL;
}

// How likely it is that the window has speech; the model's state goes on to the next one.
static float likely(nn_context vad, const float *window, float *state) {
  uint32_t in[] = {1, BEFORE + WINDOW}, kept[] = {2, 1, 128}, size;
  void *data = NULL;
  check(nn_set_input(vad, 0, (nn_tensor){in, 2, NN_F32, window, (BEFORE + WINDOW) * 4}), "vad");
  check(nn_set_input(vad, 1, (nn_tensor){kept, 3, NN_F32, state, STATE * 4}), "vad");
  check(nn_compute(vad), "vad");
  check(nn_get_output(vad, 1, &data, &size), "vad");
  if (size != STATE * 4) fail("vad", "is not the model that is meant");
  memcpy(state, data, size);
  free(data);
  check(nn_get_output(vad, 0, &data, &size), "vad");
  float found = *(float *)data;
  free(data);
  return found;
}

int main(void) {
  static float window[BEFORE + WINDOW], state[STATE];
  nn_graph graph;
  nn_context vad;
  size_t size, count = 0, began = 0, quiet = 0;
  int speaks = 0;
  const uint8_t *data = read_all(&size);
  const int16_t *samples = samples_in(data, size, &count);
  check(nn_load_by_name("vad", &graph), "vad");
  check(nn_open(graph, &vad), "vad");
  for (size_t at = 0; at < count; at += WINDOW) {
    memmove(window, window + WINDOW, BEFORE * sizeof *window);
    for (size_t n = 0; n < WINDOW; n++)
      window[BEFORE + n] = at + n < count ? samples[at + n] / 32768.0f : 0;
    float found = likely(vad, window, state);
    if (!speaks && found >= BEGINS) speaks = 1, began = at;
    quiet = found < ENDS ? quiet + 1 : 0;
    if (speaks && quiet == QUIET) {
      printf("%.2f\t%.2f\n", (double)began / RATE, (double)(at - (QUIET - 1) * WINDOW) / RATE);
      speaks = 0;
    }
  }
  if (speaks) printf("%.2f\t%.2f\n", (double)began / RATE, (double)count / RATE);
  return 0;
}
