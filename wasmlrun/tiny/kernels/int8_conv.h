/* Convolutions and fully connected layers of 8 bits.
 *
 * Of some pixels all inputs under the window are gathered as 16-bit numbers without their zero
 * point; then blocks of eight output channels are computed for four pixels at a time with
 * multiply-add of pairs. Weights lie as [block][pair of inputs][8 channels][2]. */
#ifndef INT8_CONV_H
#define INT8_CONV_H

#include "common.h"
#include "int8_scale.h"

typedef struct {
  window shape;
  const int8_t *weights;
  const int32_t *bias;
  int in_zero;
  int weight_zero; /* what must be added to each weight, 0 where weights are symmetric */
  int tiles;       /* groups of PIXELS that are gathered at once */
  int16_t *gathered;
  scaling scale;
} int8_conv;

/* Inputs of one row of the window, filled up to pairs, and pairs of the whole window. */
INLINE int row_depth(const window *w) { return (w->kernel_w * w->in_c + 1) & ~1; }
INLINE int pairs_of(const window *w) { return w->kernel_h * row_depth(w) / 2; }

#if SIMD
/* Eight channels of four pixels, as four pairs of each pixel. */
INLINE void store_pairs(int16_t *to, v128_t a, v128_t b, v128_t c, v128_t d) {
  v128_t ab_low = wasm_i32x4_shuffle(a, b, 0, 4, 1, 5), ab_high = wasm_i32x4_shuffle(a, b, 2, 6, 3, 7);
  v128_t cd_low = wasm_i32x4_shuffle(c, d, 0, 4, 1, 5), cd_high = wasm_i32x4_shuffle(c, d, 2, 6, 3, 7);
  wasm_v128_store(to, wasm_i64x2_shuffle(ab_low, cd_low, 0, 2));
  wasm_v128_store(to + 8, wasm_i64x2_shuffle(ab_low, cd_low, 1, 3));
  wasm_v128_store(to + 16, wasm_i64x2_shuffle(ab_high, cd_high, 0, 2));
  wasm_v128_store(to + 24, wasm_i64x2_shuffle(ab_high, cd_high, 1, 3));
}
#endif

/* `count` inputs of PIXELS pixels, from the input `depth` of a row on. */
INLINE void gather_run(const int8_t *const *from, int count, int depth, int zero, int16_t *to, int32_t *sums) {
  int c = 0;
#if SIMD
  if ((depth & 1) == 0) {
    v128_t zeros = wasm_i16x8_splat((int16_t)zero), none = wasm_i16x8_const_splat(0);
    v128_t ones = wasm_i16x8_const_splat(1), total[4] = {none, none, none, none};
    for (; c + 8 <= count; c += 8) {
      v128_t v[4];
      for (int p = 0; p < 4; p++) {
        v[p] = from[p] ? wasm_i16x8_sub(wasm_i16x8_load8x8(from[p] + c), zeros) : none;
        total[p] = wasm_i32x4_add(total[p], wasm_i32x4_dot_i16x8(v[p], ones));
      }
      store_pairs(to + (depth + c) * 4, v[0], v[1], v[2], v[3]);
    }
    for (int p = 0; p < 4; p++)
      sums[p] += wasm_i32x4_extract_lane(total[p], 0) + wasm_i32x4_extract_lane(total[p], 1) +
                 wasm_i32x4_extract_lane(total[p], 2) + wasm_i32x4_extract_lane(total[p], 3);
  }
#endif
  for (; c < count; c++) {
    int k = depth + c;
    for (int p = 0; p < PIXELS; p++) {
      int value = from[p] ? from[p][c] - zero : 0;
      to[(k >> 1) * 2 * PIXELS + p * 2 + (k & 1)] = (int16_t)value;
      sums[p] += value;
    }
  }
}

/* The inputs under the windows of PIXELS output pixels, [pair][pixel][2], and their sums. */
static void gather(const int8_conv *l, const int8_t *in, int first, int16_t *to, int32_t *sums) {
  const window *w = &l->shape;
  int pixels = w->batch * w->out_h * w->out_w, depth = row_depth(w), used = w->kernel_w * w->in_c;
  const int8_t *from[PIXELS];
  for (int p = 0; p < PIXELS; p++) sums[p] = 0;
  if (w->kernel_h * w->kernel_w * w->stride_h * w->stride_w == 1) {
    for (int p = 0; p < PIXELS; p++) from[p] = in + min_int(first + p, pixels - 1) * w->in_c;
    gather_run(from, used, 0, l->in_zero, to, sums);
    if (depth > used)
      for (int p = 0; p < PIXELS; p++) to[(used >> 1) * 2 * PIXELS + p * 2 + 1] = 0;
    return;
  }
  corner at[PIXELS];
  for (int p = 0; p < PIXELS; p++) at[p] = corner_of(w, min_int(first + p, pixels - 1));
  for (int y = 0; y < w->kernel_h; y++, to += depth * PIXELS) {
    if (row_is_inside(w, at)) {
      for (int p = 0; p < PIXELS; p++) from[p] = pixel_under(w, in, 1, at[p], y, 0);
      gather_run(from, used, 0, l->in_zero, to, sums);
    } else {
      for (int x = 0; x < w->kernel_w; x++) {
        for (int p = 0; p < PIXELS; p++) from[p] = pixel_under(w, in, 1, at[p], y, x);
        gather_run(from, w->in_c, x * w->in_c, l->in_zero, to, sums);
      }
    }
    if (depth > used)
      for (int p = 0; p < PIXELS; p++) to[(used >> 1) * 2 * PIXELS + p * 2 + 1] = 0;
  }
}

#if SIMD
/* One block of channels of `pixels` (a constant) pixels. */
INLINE void block_of_channels(const int8_conv *l, const factors *f, const int16_t *x,
                              const int32_t *sums, int block, int pixels, int8_t *out, int valid) {
  int pairs = pairs_of(&l->shape), channel = block * BLOCK;
  const int8_t *w = l->weights + block * BLOCK * 2 * pairs;
  v128_t acc[4][2];
  for (int p = 0; p < pixels; p++) {
    v128_t correction = wasm_i32x4_splat(l->weight_zero * sums[p]);
    acc[p][0] = wasm_i32x4_add(wasm_v128_load(l->bias + channel), correction);
    acc[p][1] = wasm_i32x4_add(wasm_v128_load(l->bias + channel + 4), correction);
  }
  for (int k = 0; k < pairs; k++, w += 16, x += 8) {
    v128_t w0 = wasm_i16x8_load8x8(w), w1 = wasm_i16x8_load8x8(w + 8), pairs_of_all = wasm_v128_load(x);
    for (int p = 0; p < pixels; p++) {
      v128_t pair = repeated(pairs_of_all, p);
      acc[p][0] = wasm_i32x4_add(acc[p][0], wasm_i32x4_dot_i16x8(pair, w0));
      acc[p][1] = wasm_i32x4_add(acc[p][1], wasm_i32x4_dot_i16x8(pair, w1));
    }
  }
  int channels = l->shape.out_c;
  for (int p = 0; p < pixels && p < valid; p++) {
    v128_t bytes = scale_eight(&l->scale, f, acc[p][0], acc[p][1]);
    int8_t *to = out + p * channels + channel;
    if (channel + BLOCK <= channels) {
      wasm_v128_store64_lane(to, bytes, 0);
    } else {
      int8_t all[16];
      wasm_v128_store(all, bytes);
      copy_bytes(to, all, channels - channel);
    }
  }
}
#else
INLINE void block_of_channels(const int8_conv *l, const factors *f, const int16_t *x,
                              const int32_t *sums, int block, int pixels, int8_t *out, int valid) {
  int pairs = pairs_of(&l->shape), channel = block * BLOCK;
  const int8_t *w = l->weights + block * BLOCK * 2 * pairs;
  int32_t acc[BLOCK];
  for (int c = 0; c < BLOCK; c++) acc[c] = l->bias[channel + c] + l->weight_zero * sums[0];
  for (int k = 0; k < pairs; k++, w += 2 * BLOCK)
    for (int c = 0; c < BLOCK; c++) acc[c] += x[2 * k] * w[2 * c] + x[2 * k + 1] * w[2 * c + 1];
  for (int c = 0; c < BLOCK && channel + c < l->shape.out_c; c++)
    out[channel + c] = scale_one(&l->scale, channel + c, acc[c]);
}
#endif

static void run_int8_conv(const int8_conv *l, const int8_t *in, int8_t *out) {
  const window *w = &l->shape;
  int pixels = w->batch * w->out_h * w->out_w, blocks = blocks_of(w->out_c);
  int tile = pairs_of(w) * 2 * PIXELS;
  int32_t sums[16 * PIXELS];
  for (int first = 0; first < pixels; first += l->tiles * PIXELS) {
    int tiles = min_int(l->tiles, (pixels - first + PIXELS - 1) / PIXELS);
    for (int t = 0; t < tiles; t++)
      gather(l, in, first + t * PIXELS, l->gathered + t * tile, sums + t * PIXELS);
    for (int block = 0; block < blocks; block++) {
      factors f = factors_of(&l->scale, block * BLOCK);
      for (int t = 0; t < tiles; t++) {
        int at = first + t * PIXELS, valid = pixels - at;
        const int16_t *x = l->gathered + t * tile;
        if (valid == 1)
          block_of_channels(l, &f, x, sums + t * PIXELS, block, 1, out + at * w->out_c, 1);
        else
          block_of_channels(l, &f, x, sums + t * PIXELS, block, PIXELS, out + at * w->out_c, valid);
      }
    }
  }
}

#endif
