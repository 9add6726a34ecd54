/* Convolutions, fully connected and depthwise layers of 32-bit floats.
 *
 * Weights lie as [block][input][8 channels]; the inputs under four pixels' windows are gathered
 * as [input][pixel]. With relaxed SIMD products and sums are fused where the processor can. */
#ifndef FLOAT_CONV_H
#define FLOAT_CONV_H

#include "common.h"

typedef struct {
  window shape;
  const float *weights;
  const float *bias;
  int tiles;
  float *gathered;
  float low, high;
} float_conv;

#if SIMD
INLINE v128_t multiply_add(v128_t a, v128_t b, v128_t sum) {
#ifdef __wasm_relaxed_simd__
  return wasm_f32x4_relaxed_madd(a, b, sum);
#else
  return wasm_f32x4_add(wasm_f32x4_mul(a, b), sum);
#endif
}

INLINE v128_t four_bounded(v128_t four, float low, float high) {
  return wasm_f32x4_pmin(wasm_f32x4_splat(high), wasm_f32x4_pmax(wasm_f32x4_splat(low), four));
}
#endif

INLINE float bounded_float(float value, float low, float high) {
  return value < low ? low : value > high ? high : value;
}

static void gather_floats(const float_conv *l, const float *in, int first, float *to) {
  const window *w = &l->shape;
  int pixels = w->batch * w->out_h * w->out_w;
  corner at[PIXELS];
  for (int p = 0; p < PIXELS; p++) at[p] = corner_of(w, min_int(first + p, pixels - 1));
  for (int y = 0; y < w->kernel_h; y++)
    for (int x = 0; x < w->kernel_w; x++, to += w->in_c * PIXELS) {
      const float *from[PIXELS];
      for (int p = 0; p < PIXELS; p++) from[p] = pixel_under(w, in, 4, at[p], y, x);
      int c = 0;
#if SIMD
      for (; c + 4 <= w->in_c; c += 4) {
        v128_t v[4];
        for (int p = 0; p < 4; p++)
          v[p] = from[p] ? wasm_v128_load(from[p] + c) : wasm_f32x4_const_splat(0);
        v128_t a = wasm_i32x4_shuffle(v[0], v[1], 0, 4, 1, 5);
        v128_t b = wasm_i32x4_shuffle(v[0], v[1], 2, 6, 3, 7);
        v128_t d = wasm_i32x4_shuffle(v[2], v[3], 0, 4, 1, 5);
        v128_t e = wasm_i32x4_shuffle(v[2], v[3], 2, 6, 3, 7);
        wasm_v128_store(to + c * 4, wasm_i64x2_shuffle(a, d, 0, 2));
        wasm_v128_store(to + c * 4 + 4, wasm_i64x2_shuffle(a, d, 1, 3));
        wasm_v128_store(to + c * 4 + 8, wasm_i64x2_shuffle(b, e, 0, 2));
        wasm_v128_store(to + c * 4 + 12, wasm_i64x2_shuffle(b, e, 1, 3));
      }
#endif
      for (; c < w->in_c; c++)
        for (int p = 0; p < PIXELS; p++) to[c * PIXELS + p] = from[p] ? from[p][c] : 0;
    }
}

INLINE void float_block(const float_conv *l, const float *x, int block, int pixels, float *out,
                        int valid) {
  int depth = l->shape.kernel_h * l->shape.kernel_w * l->shape.in_c, channel = block * BLOCK;
  int kept = min_int(BLOCK, l->shape.out_c - channel);
  const float *w = l->weights + channel * depth;
#if SIMD
  v128_t acc[4][2];
  for (int p = 0; p < pixels; p++) {
    acc[p][0] = wasm_v128_load(l->bias + channel);
    acc[p][1] = wasm_v128_load(l->bias + channel + 4);
  }
  for (int k = 0; k < depth; k++, w += BLOCK, x += 4) {
    v128_t w0 = wasm_v128_load(w), w1 = wasm_v128_load(w + 4), inputs = wasm_v128_load(x);
    for (int p = 0; p < pixels; p++) {
      v128_t input = repeated(inputs, p);
      acc[p][0] = multiply_add(input, w0, acc[p][0]);
      acc[p][1] = multiply_add(input, w1, acc[p][1]);
    }
  }
  for (int p = 0; p < pixels && p < valid; p++) {
    float *to = out + p * l->shape.out_c + channel;
    v128_t low = four_bounded(acc[p][0], l->low, l->high);
    v128_t high = four_bounded(acc[p][1], l->low, l->high);
    if (kept == BLOCK) {
      wasm_v128_store(to, low);
      wasm_v128_store(to + 4, high);
    } else {
      float all[BLOCK];
      wasm_v128_store(all, low);
      wasm_v128_store(all + 4, high);
      copy_bytes(to, all, kept * 4);
    }
  }
#else
  float acc[BLOCK];
  copy_bytes(acc, l->bias + channel, sizeof acc);
  for (int k = 0; k < depth; k++, w += BLOCK)
    for (int c = 0; c < BLOCK; c++) acc[c] += x[k] * w[c];
  for (int c = 0; c < kept; c++) out[channel + c] = bounded_float(acc[c], l->low, l->high);
#endif
}

static void run_float_conv(const float_conv *l, const float *in, float *out) {
  const window *w = &l->shape;
  int pixels = w->batch * w->out_h * w->out_w, blocks = blocks_of(w->out_c);
  int tile = w->kernel_h * w->kernel_w * w->in_c * PIXELS;
  for (int first = 0; first < pixels; first += l->tiles * PIXELS) {
    int tiles = min_int(l->tiles, (pixels - first + PIXELS - 1) / PIXELS);
    for (int t = 0; t < tiles; t++)
      gather_floats(l, in, first + t * PIXELS, l->gathered + t * tile);
    for (int block = 0; block < blocks; block++)
      for (int t = 0; t < tiles; t++) {
        int at = first + t * PIXELS, valid = pixels - at;
        const float *x = l->gathered + t * tile;
        if (valid == 1)
          float_block(l, x, block, 1, out + at * w->out_c, 1);
        else
          float_block(l, x, block, PIXELS, out + at * w->out_c, valid);
      }
  }
}

/* Depthwise: weights lie as [tap][channels], and taps in the padding are left out. */
static void run_float_depthwise(const float_conv *l, const float *in, float *out) {
  const window *w = &l->shape;
  int pixels = w->batch * w->out_h * w->out_w;
  for (int pixel = 0; pixel < pixels; pixel++, out += w->out_c) {
    const float *from[64], *weights[64];
    corner at = corner_of(w, pixel);
    int taps = 0;
    for (int t = 0; t < w->kernel_h * w->kernel_w; t++) {
      from[taps] = pixel_under(w, in, 4, at, t / w->kernel_w, t % w->kernel_w);
      weights[taps] = l->weights + t * w->out_c;
      taps += from[taps] != NULL;
    }
    int c = 0;
#if SIMD
    for (; c + 4 <= w->out_c; c += 4) {
      v128_t sum = wasm_v128_load(l->bias + c);
      for (int t = 0; t < taps; t++)
        sum = multiply_add(wasm_v128_load(from[t] + c), wasm_v128_load(weights[t] + c), sum);
      wasm_v128_store(out + c, four_bounded(sum, l->low, l->high));
    }
#endif
    for (; c < w->out_c; c++) {
      float sum = l->bias[c];
      for (int t = 0; t < taps; t++) sum += from[t][c] * weights[t][c];
      out[c] = bounded_float(sum, l->low, l->high);
    }
  }
}

#endif
