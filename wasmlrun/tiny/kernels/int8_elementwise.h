/* Elementwise operations of 8 bits. */
#ifndef INT8_ELEMENTWISE_H
#define INT8_ELEMENTWISE_H

#include "common.h"
#include "int8_scale.h"

/* Two operands that are repeated to the output's shape: a step of 0 repeats. */
typedef struct {
  int size[4];
  int first_step[4], second_step[4];
} pairing;

/* Sums: both operands brought to a common scale with 20 more bits. */
typedef struct {
  pairing shape;
  int first_zero, second_zero;
  int32_t first_multiplier, second_multiplier;
  int first_shift, second_shift, negative; /* negative: the second is taken away */
  scaling scale;
} int8_sum;

typedef struct {
  pairing shape;
  int first_zero, second_zero;
  scaling scale;
} int8_product;

#define SUM_BITS 20

INLINE int8_t one_sum(const int8_sum *l, int8_t first, int8_t second) {
  int32_t a = scaled_by((first - l->first_zero) * (1 << SUM_BITS), l->first_multiplier, l->first_shift);
  int32_t b =
      scaled_by((second - l->second_zero) * (1 << SUM_BITS), l->second_multiplier, l->second_shift);
  return scale_one(&l->scale, 0, l->negative ? a - b : a + b);
}

#if SIMD
INLINE v128_t eight_of(const int8_t *from, int step, int zero) {
  v128_t wide = step ? wasm_i16x8_load8x8(from) : wasm_i16x8_splat(*from);
  return wasm_i16x8_sub(wide, wasm_i16x8_splat((int16_t)zero));
}

INLINE four_factors constant_factors(int32_t multiplier, int shift) {
  return (four_factors){wasm_i32x4_splat(multiplier), wasm_i32x4_const_splat(1),
                        wasm_i32x4_splat(1 << (30 + shift))};
}

INLINE v128_t summand(v128_t four, four_factors f) {
  return scale_four(wasm_i32x4_shl(four, SUM_BITS), f, 0);
}
#endif

static void run_int8_sum(const int8_sum *l, const int8_t *first, const int8_t *second, int8_t *out) {
  const int *n = l->shape.size, *s = l->shape.first_step, *t = l->shape.second_step;
#if SIMD
  factors result = factors_of(&(scaling){l->scale.multiplier, l->scale.shift}, 0);
  four_factors f = constant_factors(l->first_multiplier, l->first_shift);
  four_factors g = constant_factors(l->second_multiplier, l->second_shift);
#endif
  for (int i = 0; i < n[0]; i++)
    for (int j = 0; j < n[1]; j++)
      for (int k = 0; k < n[2]; k++, out += n[3]) {
        const int8_t *a = first + i * s[0] + j * s[1] + k * s[2];
        const int8_t *b = second + i * t[0] + j * t[1] + k * t[2];
        int c = 0;
#if SIMD
        for (; c + 8 <= n[3]; c += 8) {
          v128_t x = eight_of(a + c * s[3], s[3], l->first_zero);
          v128_t y = eight_of(b + c * t[3], t[3], l->second_zero);
          v128_t x0 = summand(wasm_i32x4_extend_low_i16x8(x), f);
          v128_t x1 = summand(wasm_i32x4_extend_high_i16x8(x), f);
          v128_t y0 = summand(wasm_i32x4_extend_low_i16x8(y), g);
          v128_t y1 = summand(wasm_i32x4_extend_high_i16x8(y), g);
          v128_t low = l->negative ? wasm_i32x4_sub(x0, y0) : wasm_i32x4_add(x0, y0);
          v128_t high = l->negative ? wasm_i32x4_sub(x1, y1) : wasm_i32x4_add(x1, y1);
          wasm_v128_store64_lane(out + c, scale_eight(&l->scale, &result, low, high), 0);
        }
#endif
        for (; c < n[3]; c++) out[c] = one_sum(l, a[c * s[3]], b[c * t[3]]);
      }
}

static void run_int8_product(const int8_product *l, const int8_t *first, const int8_t *second,
                             int8_t *out) {
  const int *n = l->shape.size, *s = l->shape.first_step, *t = l->shape.second_step;
#if SIMD
  factors result = factors_of(&l->scale, 0);
#endif
  for (int i = 0; i < n[0]; i++)
    for (int j = 0; j < n[1]; j++)
      for (int k = 0; k < n[2]; k++, out += n[3]) {
        const int8_t *a = first + i * s[0] + j * s[1] + k * s[2];
        const int8_t *b = second + i * t[0] + j * t[1] + k * t[2];
        int c = 0;
#if SIMD
        for (; c + 8 <= n[3]; c += 8) {
          v128_t x = eight_of(a + c * s[3], s[3], l->first_zero);
          v128_t y = eight_of(b + c * t[3], t[3], l->second_zero);
          v128_t low = wasm_i32x4_extmul_low_i16x8(x, y), high = wasm_i32x4_extmul_high_i16x8(x, y);
          wasm_v128_store64_lane(out + c, scale_eight(&l->scale, &result, low, high), 0);
        }
#endif
        for (; c < n[3]; c++)
          out[c] = scale_one(&l->scale, 0,
                             (a[c * s[3]] - l->first_zero) * (b[c * t[3]] - l->second_zero));
      }
}

/* Any function of one number: 256 results, for -128 first. */
static void run_int8_table(const int8_t *table, int count, const int8_t *in, int8_t *out) {
  for (int i = 0; i < count; i++) out[i] = table[in[i] + 128];
}

/* exp(scale × (x − 255)) for x from 0, as TensorFlow Lite has it; rows of `classes` numbers. */
static void run_int8_softmax(const float *table, float out_scale, int out_zero, int rows, int classes,
                             const int8_t *in, int8_t *out) {
  for (int row = 0; row < rows; row++, in += classes, out += classes) {
    int highest = -128;
    float sum = 0;
    for (int i = 0; i < classes; i++) highest = max_int(highest, in[i]);
    const float *powers = table + 255 - highest;
    for (int i = 0; i < classes; i++) sum += powers[in[i]];
    float factor = 1.0f / (sum * out_scale);
    for (int i = 0; i < classes; i++) {
      int value = (int)(powers[in[i]] * factor + 0.5f) + out_zero;
      out[i] = bounded(value, -128, 127);
    }
  }
}

#endif
