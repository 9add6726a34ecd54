/* Pools and means of 8 bits. */
#ifndef INT8_POOL_H
#define INT8_POOL_H

#include "common.h"
#include "int8_scale.h"

typedef struct {
  window shape;
  int low, high;
  int had_no_sign; /* whether the file's bytes are 128 higher, which decides how halves are rounded */
} int8_pool;

/* The part of a window that lies in the picture. */
typedef struct {
  int top, bottom, left, right;
} seen;

INLINE seen seen_at(const window *w, int y, int x) {
  int top = y * w->stride_h - w->pad_top, left = x * w->stride_w - w->pad_left;
  return (seen){max_int(top, 0), min_int(top + w->kernel_h, w->in_h), max_int(left, 0),
                min_int(left + w->kernel_w, w->in_w)};
}

/* A mean keeps the scale: rounded half away from the file's zero. */
static void run_int8_average_pool(const int8_pool *l, const int8_t *in, int8_t *out) {
  const window *w = &l->shape;
  for (int batch = 0; batch < w->batch; batch++, in += w->in_h * w->in_w * w->in_c)
    for (int y = 0; y < w->out_h; y++)
      for (int x = 0; x < w->out_w; x++, out += w->in_c) {
        seen s = seen_at(w, y, x);
        int count = (s.bottom - s.top) * (s.right - s.left);
        for (int c = 0; c < w->in_c; c++) {
          int32_t sum = 0;
          for (int i = s.top; i < s.bottom; i++)
            for (int j = s.left; j < s.right; j++) sum += in[(i * w->in_w + j) * w->in_c + c];
          if (l->had_no_sign) sum += 128 * count;
          sum = sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
          out[c] = bounded(l->had_no_sign ? sum - 128 : sum, l->low, l->high);
        }
      }
}

static void run_int8_max_pool(const int8_pool *l, const int8_t *in, int8_t *out) {
  const window *w = &l->shape;
  for (int batch = 0; batch < w->batch; batch++, in += w->in_h * w->in_w * w->in_c)
    for (int y = 0; y < w->out_h; y++)
      for (int x = 0; x < w->out_w; x++, out += w->in_c) {
        seen s = seen_at(w, y, x);
        for (int c = 0; c < w->in_c; c++) {
          int highest = -128;
          for (int i = s.top; i < s.bottom; i++)
            for (int j = s.left; j < s.right; j++)
              highest = max_int(highest, in[(i * w->in_w + j) * w->in_c + c]);
          out[c] = bounded(highest, l->low, l->high);
        }
      }
}

typedef struct {
  int outer, count, inner; /* the mean is over the middle */
  int in_zero;
  scaling scale; /* the division by `count` included */
} int8_mean;

static void run_int8_mean(const int8_mean *l, const int8_t *in, int8_t *out) {
  for (int o = 0; o < l->outer; o++, in += l->count * l->inner, out += l->inner)
    for (int i = 0; i < l->inner; i++) {
      int32_t sum = -l->in_zero * l->count;
      for (int n = 0; n < l->count; n++) sum += in[n * l->inner + i];
      out[i] = scale_one(&l->scale, 0, sum);
    }
}

#endif
