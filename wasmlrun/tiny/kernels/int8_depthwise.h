/* Depthwise convolutions of 8 bits: each output channel looks at one input channel.
 *
 * The rows under the window are kept in a ring with their padding, so that no pixel is special.
 * Padding has the zero point's value, and the bias makes up for the zero point. Weights lie as
 * [block of 8 channels][tap][8]. */
#ifndef INT8_DEPTHWISE_H
#define INT8_DEPTHWISE_H

#include "common.h"
#include "int8_scale.h"

#define MAX_TAPS 64

typedef struct {
  window shape;
  const int8_t *weights;
  const int32_t *bias;
  int in_zero, weight_zero;
  int pad_right;
  int8_t *rows; /* ((kernel_h - 1) × dilation_h + 1) padded rows */
  scaling scale;
} int8_depthwise;

INLINE void fill_row(const int8_depthwise *l, const int8_t *in, int y, int8_t *row) {
  const window *w = &l->shape;
  int left = w->pad_left * w->in_c, inner = w->in_w * w->in_c, right = l->pad_right * w->in_c;
  if (y < 0 || y >= w->in_h) {
    fill_bytes(row, l->in_zero, left + inner + right);
    return;
  }
  fill_bytes(row, l->in_zero, left);
  copy_bytes(row + left, in + y * inner, inner);
  fill_bytes(row + left + inner, l->in_zero, right);
}

#if SIMD
/* Eight channels of a row. `fixed`: a constant number of taps, or 0. */
INLINE void eight_channels(const int8_depthwise *l, const int8_t *const *taps, int count,
                           int channel, int8_t *out) {
  const window *w = &l->shape;
  const int8_t *weights = l->weights + channel * count;
  v128_t pairs[MAX_TAPS + 2], zero = wasm_i16x8_splat((int16_t)l->weight_zero);
  for (int t = 0; t < count; t += 2) {
    v128_t a = wasm_i16x8_add(wasm_i16x8_load8x8(weights + t * 8), zero);
    v128_t b = t + 1 < count
                   ? wasm_i16x8_add(wasm_i16x8_load8x8(weights + t * 8 + 8), zero)
                   : wasm_i16x8_const_splat(0);
    pairs[t] = wasm_i16x8_shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
    pairs[t + 1] = wasm_i16x8_shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
  }
  v128_t bias0 = wasm_v128_load(l->bias + channel), bias1 = wasm_v128_load(l->bias + channel + 4);
  factors f = factors_of(&l->scale, channel);
  int step = w->stride_w * w->in_c, kept = min_int(BLOCK, w->out_c - channel);
  for (int x = 0, at = channel; x < w->out_w; x++, at += step) {
    v128_t acc0 = bias0, acc1 = bias1;
    for (int t = 0; t < count; t += 2) {
      v128_t a = wasm_i16x8_load8x8(taps[t] + at);
      v128_t b = t + 1 < count ? wasm_i16x8_load8x8(taps[t + 1] + at) : a;
      v128_t low = wasm_i16x8_shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
      v128_t high = wasm_i16x8_shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
      acc0 = wasm_i32x4_add(acc0, wasm_i32x4_dot_i16x8(low, pairs[t]));
      acc1 = wasm_i32x4_add(acc1, wasm_i32x4_dot_i16x8(high, pairs[t + 1]));
    }
    v128_t bytes = scale_eight(&l->scale, &f, acc0, acc1);
    int8_t *to = out + x * w->out_c + channel;
    if (kept == BLOCK) {
      wasm_v128_store64_lane(to, bytes, 0);
    } else {
      int8_t all[16];
      wasm_v128_store(all, bytes);
      copy_bytes(to, all, kept);
    }
  }
}
#else
INLINE void eight_channels(const int8_depthwise *l, const int8_t *const *taps, int count,
                           int channel, int8_t *out) {
  const window *w = &l->shape;
  int kept = min_int(BLOCK, w->out_c - channel);
  for (int x = 0; x < w->out_w; x++)
    for (int c = 0; c < kept; c++) {
      int32_t sum = l->bias[channel + c];
      int at = x * w->stride_w * w->in_c + channel + c;
      for (int t = 0; t < count; t++)
        sum += taps[t][at] * (l->weights[(channel / BLOCK * count + t) * BLOCK + c] + l->weight_zero);
      out[x * w->out_c + channel + c] = scale_one(&l->scale, channel + c, sum);
    }
}
#endif

static void run_int8_depthwise(const int8_depthwise *l, const int8_t *in, int8_t *out) {
  const window *w = &l->shape;
  int reach = (w->kernel_h - 1) * w->dilation_h + 1;
  int row_size = (w->pad_left + w->in_w + l->pad_right) * w->in_c;
  int count = w->kernel_h * w->kernel_w;
  for (int batch = 0; batch < w->batch; batch++) {
    int filled = -w->pad_top; /* rows before this one are in the ring */
    for (int y = 0; y < w->out_h; y++) {
      int top = y * w->stride_h - w->pad_top;
      for (filled = max_int(filled, top); filled < top + reach; filled++)
        fill_row(l, in, filled, l->rows + (filled + w->pad_top) % reach * row_size);
      const int8_t *taps[MAX_TAPS];
      for (int t = 0; t < count; t++) {
        int row = (top + w->pad_top + t / w->kernel_w * w->dilation_h) % reach;
        taps[t] = l->rows + row * row_size + t % w->kernel_w * w->dilation_w * w->in_c;
      }
      for (int channel = 0; channel < w->out_c; channel += BLOCK)
        if (count == 9)
          eight_channels(l, taps, 9, channel, out);
        else
          eight_channels(l, taps, count, channel, out);
      out += w->out_w * w->out_c;
    }
    in += w->in_h * w->in_w * w->in_c;
  }
}

#endif
