/* Elementwise operations, pools and means of 32-bit floats. */
#ifndef FLOAT_ELEMENTWISE_H
#define FLOAT_ELEMENTWISE_H

#include <math.h>

#include "common.h"
#include "float_conv.h"
#include "int8_elementwise.h"
#include "int8_pool.h"

/* `result` is computed from a and b, and kept between the bounds. */
#define BINARY(name, result)                                                                      \
  static void run_float_##name(const pairing *l, float low, float high, const float *first,       \
                               const float *second, float *out) {                                 \
    const int *n = l->size, *s = l->first_step, *t = l->second_step;                              \
    for (int i = 0; i < n[0]; i++)                                                                \
      for (int j = 0; j < n[1]; j++)                                                              \
        for (int k = 0; k < n[2]; k++, out += n[3]) {                                             \
          const float *x = first + i * s[0] + j * s[1] + k * s[2];                                \
          const float *y = second + i * t[0] + j * t[1] + k * t[2];                               \
          for (int c = 0; c < n[3]; c++) {                                                        \
            float a = x[c * s[3]], b = y[c * t[3]];                                               \
            out[c] = bounded_float(result, low, high);                                            \
          }                                                                                       \
        }                                                                                         \
  }

BINARY(add, a + b)
BINARY(sub, a - b)
BINARY(mul, a *b)
BINARY(div, a / b)
BINARY(maximum, a > b ? a : b)
BINARY(minimum, a < b ? a : b)

#define UNARY(name, result)                                                        \
  static void run_float_##name(int count, float alpha, float beta, const float *in, float *out) { \
    for (int i = 0; i < count; i++) {                                              \
      float x = in[i];                                                             \
      out[i] = (result);                                                           \
    }                                                                              \
  }

UNARY(clip, bounded_float(x, alpha, beta))
UNARY(sigmoid, 1 / (1 + expf(-x)))
UNARY(tanh, tanhf(x))
UNARY(exp, expf(x))
UNARY(sqrt, sqrtf(x))
UNARY(rsqrt, 1 / sqrtf(x))
UNARY(abs, fabsf(x))
UNARY(neg, -x)
UNARY(square, x *x)
UNARY(elu, x < 0 ? alpha * (expf(x) - 1) : x)
UNARY(leaky_relu, x < 0 ? alpha * x : x)
UNARY(hard_sigmoid, bounded_float(x *alpha + beta, 0, 1))
UNARY(hard_swish, x *bounded_float(x / 6 + 0.5f, 0, 1))
UNARY(gelu, 0.5f * x * (1 + erff(x * 0.70710678f)))

static void run_float_softmax(float beta, int rows, int classes, const float *in, float *out) {
  for (int row = 0; row < rows; row++, in += classes, out += classes) {
    float highest = in[0], sum = 0;
    for (int i = 1; i < classes; i++) highest = in[i] > highest ? in[i] : highest;
    for (int i = 0; i < classes; i++) sum += out[i] = expf((in[i] - highest) * beta);
    for (int i = 0; i < classes; i++) out[i] /= sum;
  }
}

typedef struct {
  window shape;
  int counts_padding;
  float low, high;
} float_pool;

static void run_float_average_pool(const float_pool *l, const float *in, float *out) {
  const window *w = &l->shape;
  for (int batch = 0; batch < w->batch; batch++, in += w->in_h * w->in_w * w->in_c)
    for (int y = 0; y < w->out_h; y++)
      for (int x = 0; x < w->out_w; x++, out += w->in_c) {
        seen s = seen_at(w, y, x);
        int count = (s.bottom - s.top) * (s.right - s.left);
        if (l->counts_padding) count = w->kernel_h * w->kernel_w;
        for (int c = 0; c < w->in_c; c++) {
          float sum = 0;
          for (int i = s.top; i < s.bottom; i++)
            for (int j = s.left; j < s.right; j++) sum += in[(i * w->in_w + j) * w->in_c + c];
          out[c] = bounded_float(sum / (float)count, l->low, l->high);
        }
      }
}

static void run_float_max_pool(const float_pool *l, const float *in, float *out) {
  const window *w = &l->shape;
  for (int batch = 0; batch < w->batch; batch++, in += w->in_h * w->in_w * w->in_c)
    for (int y = 0; y < w->out_h; y++)
      for (int x = 0; x < w->out_w; x++, out += w->in_c) {
        seen s = seen_at(w, y, x);
        for (int c = 0; c < w->in_c; c++) {
          float highest = -INFINITY;
          for (int i = s.top; i < s.bottom; i++)
            for (int j = s.left; j < s.right; j++) {
              float value = in[(i * w->in_w + j) * w->in_c + c];
              highest = value > highest ? value : highest;
            }
          out[c] = bounded_float(highest, l->low, l->high);
        }
      }
}

/* The mean over the middle of [outer, count, inner]. */
static void run_float_mean(int outer, int count, int inner, const float *in, float *out) {
  for (int o = 0; o < outer; o++, in += count * inner, out += inner)
    for (int i = 0; i < inner; i++) {
      float sum = 0;
      for (int n = 0; n < count; n++) sum += in[n * inner + i];
      out[i] = sum / (float)count;
    }
}

#endif
