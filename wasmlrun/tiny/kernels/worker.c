/* A model as a WASI program and as a library.
 *
 * As a program: the input tensor, or where a decoder was built in a JPEG or PNG, on standard input;
 * labels with scores on standard output, or under wasmlrun lines of INDEX<TAB>SCORE.
 * As a library: write to input(), call infer(), read from output(). No call goes out, and nothing
 * has to be started before; infer() may overwrite the input. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "settings.h"

#include "convert.h"
#include "copy.h"
#include "float_conv.h"
#include "float_elementwise.h"
#include "int8_conv.h"
#include "int8_depthwise.h"
#include "int8_elementwise.h"
#include "int8_pool.h"

#define ALIGNED __attribute__((aligned(16)))
#define EXPORT(name) __attribute__((export_name(name)))

static const uint8_t constants[] ALIGNED = {
#embed "constants.bin"
};
static const char label_text[] = {
#embed "labels.txt" suffix(, )
  0
};
static uint8_t arena[ARENA_SIZE] ALIGNED, scratch[SCRATCH_SIZE] ALIGNED;
static uint8_t expanded[EXPANDED_SIZE] ALIGNED, state[STATE_SIZE] ALIGNED;

#include "layers.h"

static int prepared;

EXPORT("input") void *model_input(void) { return arena + INPUT_AT; }
EXPORT("input_size") int model_input_size(void) { return INPUT_SIZE; }
EXPORT("output") void *model_output(void) { return arena + OUTPUT_AT; }
EXPORT("output_size") int model_output_size(void) { return OUTPUT_SIZE; }
/* One label a line, with a zero after the last; empty where none were packed. */
EXPORT("labels") const char *model_labels(void) { return label_text; }

EXPORT("infer") void infer(void) {
  if (!prepared) {
    prepare_layers();
    prepared = 1;
  }
  run_layers();
}

static void complain(const char *text) { write(2, text, strlen(text)); }

#ifdef DECODER
#include "decoder.h"
#endif

/* Read until the end or until `size` bytes are there; how many came. */
static int read_all(uint8_t *to, int size) {
  int count = 0;
  while (count < size) {
    ssize_t n = read(0, to + count, (size_t)(size - count));
    if (n <= 0) break;
    count += (int)n;
  }
  return count;
}

static int read_input(void) {
  uint8_t *input = model_input(), more;
  int count = read_all(input, INPUT_SIZE);
#ifdef DECODER
  /* under wasmlrun it is a tensor, whatever its first bytes look like */
  if (!getenv("WASMLRUN_INPUT_SHAPE") && (is_jpeg(input, count) || is_png(input, count)))
    return picture_from_stdin(input, count);
#endif
  if (count == INPUT_SIZE && read(0, &more, 1) == 0) return 1;
  complain("the input is not the tensor that this model takes: " INPUT_TEXT "\n");
  return 0;
}

#if RANKS
static float scores[CLASSES];

static void fill_scores(void) {
  const output_type *out = model_output();
  float highest = -INFINITY, sum = 0;
  for (int i = 0; i < CLASSES; i++) {
    scores[i] = OUTPUT_SCALE * ((float)out[i] - OUTPUT_ZERO);
    highest = scores[i] > highest ? scores[i] : highest;
  }
  if (!LOGITS) return;
  for (int i = 0; i < CLASSES; i++) sum += scores[i] = expf(scores[i] - highest);
  for (int i = 0; i < CLASSES; i++) scores[i] /= sum;
}

static char *put_number(char *to, uint32_t value, int digits) {
  char all[12];
  int count = 0;
  do all[count++] = (char)('0' + value % 10);
  while ((value /= 10) || count < digits);
  while (count) *to++ = all[--count];
  return to;
}

static char *put_score(char *to, float score) {
  if (score < 0) *to++ = '-', score = -score;
  if (!(score < 4e9f)) score = 4e9f;
  uint32_t whole = (uint32_t)score;
  double rest = (double)score - whole;
  to = put_number(to, whole, 1);
  *to++ = '.';
  return put_number(to, (uint32_t)(rest * 1e9), 9);
}

static int put_label(char *to, int index, int room) {
  const char *line = label_text;
  for (int i = index + LABEL_OFFSET; i > 0 && *line; i--) {
    while (*line && *line != '\n') line++;
    line += *line == '\n';
  }
  int length = (int)strcspn(line, "\n");
  if (!length || index + LABEL_OFFSET < 0) {
    copy_bytes(to, "class ", 6);
    return (int)(put_number(to + 6, (uint32_t)index, 1) - to);
  }
  length = min_int(length, room);
  copy_bytes(to, line, length);
  return length;
}

static char text[32 * CLASSES + 8192];

/* All classes as INDEX<TAB>SCORE. */
static void tell_ranking(void) {
  char *to = text;
  for (int i = 0; i < CLASSES; i++) {
    to = put_number(to, (uint32_t)i, 1);
    *to++ = '\t';
    to = put_score(to, scores[i]);
    *to++ = '\n';
  }
  write(1, text, (size_t)(to - text));
}

/* The five best as LABEL<TAB>SCORE<TAB>INDEX. */
static void tell_best(void) {
  char *to = text;
  for (int n = 0; n < 5 && n < CLASSES; n++) {
    int best = 0;
    for (int i = 1; i < CLASSES; i++) best = scores[i] > scores[best] ? i : best;
    to += put_label(to, best, 1024);
    *to++ = '\t';
    to = put_score(to, scores[best]);
    *to++ = '\t';
    to = put_number(to, (uint32_t)best, 1);
    *to++ = '\n';
    scores[best] = -INFINITY;
  }
  write(1, text, (size_t)(to - text));
}
#endif

int main(void) {
  if (!read_input()) return 1;
  infer();
#if RANKS
  fill_scores();
  if (getenv("WASMLRUN_INPUT_SHAPE"))
    tell_ranking();
  else
    tell_best();
#else
  write(1, model_output(), OUTPUT_SIZE);
#endif
  return 0;
}
