/* From sums of products back to 8 bits: TensorFlow Lite's fixed-point arithmetic, its two
 * roundings included, so that results are its reference kernels' to the bit.
 *
 * A real factor is multiplier / 2^31 × 2^shift. The sum is multiplied with the doubling high
 * product, rounded half up; a negative shift divides, rounded half away from zero. */
#ifndef INT8_SCALE_H
#define INT8_SCALE_H

#include "common.h"

/* One factor for all channels, or one for each. */
typedef struct {
  const int32_t *multiplier;
  const int8_t *shift;
  int per_channel;
  int grows; /* whether any shift is to the left */
  int doubles; /* whether sums are below 2^30, so that doubles can be used */
  int zero, low, high; /* of the output: zero point, and the bounds of the activation */
} scaling;

INLINE int32_t scaled_by(int32_t value, int32_t multiplier, int shift) {
  int right = shift < 0 ? -shift : 0;
  if (shift > 0) value = (int32_t)((uint32_t)value << shift);
  int32_t high = (int32_t)(((int64_t)value * multiplier + (1 << 30)) >> 31);
  if (right == 0) return high;
  return (int32_t)(((int64_t)high + (1 << (right - 1)) - (high < 0)) >> right);
}

INLINE int8_t bounded(int32_t value, int low, int high) {
  return (int8_t)(value < low ? low : value > high ? high : value);
}

INLINE int8_t scale_one(const scaling *s, int channel, int32_t sum) {
  int index = s->per_channel ? channel : 0;
  int32_t value = scaled_by(sum, s->multiplier[index], s->shift[index]) + s->zero;
  return bounded(value, s->low, s->high);
}

#if SIMD
/* The factors of four channels: 2^left to multiply with before, and 2^(30 - right) to divide by
 * 2^right with after. */
typedef struct {
  v128_t multiplier, left, right;
} four_factors;

INLINE four_factors four_factors_of(const scaling *s, int channel) {
  if (!s->per_channel) {
    int shift = s->shift[0];
    return (four_factors){wasm_i32x4_splat(s->multiplier[0]),
                     wasm_i32x4_splat(1 << (shift > 0 ? shift : 0)),
                     wasm_i32x4_splat(1 << (30 + (shift < 0 ? shift : 0)))};
  }
  const int8_t *shift = s->shift + channel;
#define LEFT(i) (1 << (shift[i] > 0 ? shift[i] : 0))
#define RIGHT(i) (1 << (30 + (shift[i] < 0 ? shift[i] : 0)))
  return (four_factors){wasm_v128_load(s->multiplier + channel),
                   wasm_i32x4_make(LEFT(0), LEFT(1), LEFT(2), LEFT(3)),
                   wasm_i32x4_make(RIGHT(0), RIGHT(1), RIGHT(2), RIGHT(3))};
#undef LEFT
#undef RIGHT
}

/* (a × b + half) >> bits for four numbers, computed in 64 bits; the low 32 of each are kept. */
INLINE v128_t product_shifted(v128_t a, v128_t b, int64_t half, int bits) {
  v128_t rounding = wasm_i64x2_splat(half);
  v128_t low = wasm_i64x2_add(wasm_i64x2_extmul_low_i32x4(a, b), rounding);
  v128_t high = wasm_i64x2_add(wasm_i64x2_extmul_high_i32x4(a, b), rounding);
  low = wasm_u64x2_shr(low, bits);
  high = wasm_u64x2_shr(high, bits);
  return wasm_i32x4_shuffle(low, high, 0, 2, 4, 6);
}

INLINE v128_t scale_four(v128_t sums, four_factors f, int grows) {
  if (grows) sums = wasm_i32x4_mul(sums, f.left);
  v128_t high = product_shifted(sums, f.multiplier, 1 << 30, 31);
  /* half away from zero: one less below zero, where there is something to divide */
  v128_t divides = wasm_i32x4_lt(f.right, wasm_i32x4_const_splat(1 << 30));
  high = wasm_i32x4_add(high, wasm_v128_and(wasm_i32x4_shr(high, 31), divides));
  return product_shifted(high, f.right, 1 << 29, 30);
}

/* The factors of a block of channels: as integers, or as doubles.
 *
 * As doubles both roundings become one. The first is half up to a multiple of 2^shift, the second
 * half away from zero; together they round the product after 2^(shift - 1) was added to its
 * magnitude, and a trifle to itself, which decides where the first is undecided. Products of sums
 * below 2^21 are exact. Of larger ones, up to 2^30, a double keeps 53 bits: less than one result in
 * 2^23 can be rounded to the other side. */
typedef struct {
  four_factors low, high;
  v128_t real[4], added[4], trifle[4];
} factors;

INLINE factors factors_of(const scaling *s, int channel) {
  factors f;
  if (!s->doubles) {
    f.low = four_factors_of(s, channel);
    f.high = four_factors_of(s, channel + 4);
    return f;
  }
  for (int pair = 0; pair < 4; pair++) {
    int first = s->per_channel ? channel + 2 * pair : 0, second = first + s->per_channel;
    int left = s->shift[first], right = s->shift[second];
    /* a double with this exponent is 2^(shift - 31) */
    v128_t power = wasm_i64x2_make((int64_t)(1023 - 31 + left) << 52, (int64_t)(1023 - 31 + right) << 52);
    f.real[pair] = wasm_f64x2_mul(wasm_f64x2_make(s->multiplier[first], s->multiplier[second]), power);
    f.trifle[pair] = wasm_f64x2_mul(power, wasm_f64x2_const_splat(0.5));
    f.added[pair] = wasm_f64x2_mul(power, wasm_f64x2_make(left < 0 ? 1 << 30 : 0, right < 0 ? 1 << 30 : 0));
    if (s->low == s->zero) f.added[pair] = wasm_f64x2_add(f.added[pair], f.trifle[pair]);
  }
  return f;
}

/* Two sums, scaled and rounded, in the low halves of two doubles. `magic` has no room for a
 * fraction, so that adding it rounds. What is below zero is cut off where the lowest result is
 * zero, and need not be right. */
INLINE v128_t two_scaled(const factors *f, int pair, v128_t sums, v128_t magic, int negative) {
  v128_t product = wasm_f64x2_mul(wasm_f64x2_convert_low_i32x4(sums), f->real[pair]);
  v128_t added = f->added[pair];
  if (negative) {
    added = wasm_v128_or(added, wasm_v128_and(product, wasm_i64x2_const_splat(INT64_MIN)));
    product = wasm_f64x2_add(product, f->trifle[pair]);
  }
  return wasm_f64x2_add(wasm_f64x2_add(product, added), magic);
}

INLINE v128_t four_scaled(const factors *f, int pair, v128_t sums, v128_t magic, int negative) {
  v128_t low = two_scaled(f, pair, sums, magic, negative);
  v128_t high = two_scaled(f, pair + 1, wasm_i32x4_shuffle(sums, sums, 2, 3, 2, 3), magic, negative);
  return wasm_i32x4_shuffle(low, high, 0, 2, 4, 6);
}

/* Eight sums to eight signed bytes, in the low half. */
INLINE v128_t scale_eight(const scaling *s, const factors *f, v128_t first, v128_t second) {
  if (s->doubles) {
    v128_t magic = wasm_f64x2_splat(0x1.8p52 + s->zero);
    if (s->low == s->zero) {
      first = four_scaled(f, 0, first, magic, 0);
      second = four_scaled(f, 2, second, magic, 0);
    } else {
      first = four_scaled(f, 0, first, magic, 1);
      second = four_scaled(f, 2, second, magic, 1);
    }
  } else {
    v128_t zero = wasm_i32x4_splat(s->zero);
    first = wasm_i32x4_add(scale_four(first, f->low, s->grows), zero);
    second = wasm_i32x4_add(scale_four(second, f->high, s->grows), zero);
  }
  v128_t words = wasm_i16x8_narrow_i32x4(first, second);
  words = wasm_i16x8_min(wasm_i16x8_max(words, wasm_i16x8_splat((int16_t)s->low)),
                         wasm_i16x8_splat((int16_t)s->high));
  return wasm_i8x16_narrow_i16x8(words, words);
}
#else
/* Looked up for each channel. */
typedef struct {
  int none;
} factors;

INLINE factors factors_of(const scaling *s, int channel) { return (factors){0}; }
#endif

#endif
