/* Moving numbers about: transposing, slicing, joining, padding are all this. */
#ifndef COPY_H
#define COPY_H

#include "common.h"

#define MAX_RANK 5

typedef struct {
  int size[MAX_RANK];
  int from_step[MAX_RANK], to_step[MAX_RANK]; /* in elements */
  int from_start, to_start;
} move;

/* Copy an element of `width` bytes (a constant). */
INLINE void move_elements(const move *m, int width, const char *from, char *to) {
  const int *n = m->size, *f = m->from_step, *t = m->to_step;
  for (int a = 0; a < n[0]; a++)
    for (int b = 0; b < n[1]; b++)
      for (int c = 0; c < n[2]; c++)
        for (int d = 0; d < n[3]; d++) {
          const char *source = from + (m->from_start + a * f[0] + b * f[1] + c * f[2] + d * f[3]) * width;
          char *target = to + (m->to_start + a * t[0] + b * t[1] + c * t[2] + d * t[3]) * width;
          if (f[4] == 1 && t[4] == 1) {
            copy_bytes(target, source, n[4] * width);
          } else {
            for (int e = 0; e < n[4]; e++)
              copy_bytes(target + e * t[4] * width, source + e * f[4] * width, width);
          }
        }
}

static void run_move_1(const move *m, const void *from, void *to) { move_elements(m, 1, from, to); }
static void run_move_4(const move *m, const void *from, void *to) { move_elements(m, 4, from, to); }

static void run_fill_1(int8_t value, int count, void *to) { fill_bytes(to, value, count); }
static void run_fill_4(float value, int count, void *to) {
  for (int i = 0; i < count; i++) ((float *)to)[i] = value;
}

#endif
