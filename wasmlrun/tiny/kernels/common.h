/* What all kernels share: types, memory, and the shape of a window over a picture. */
#ifndef COMMON_H
#define COMMON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __wasm_simd128__
#include <wasm_simd128.h>
#define SIMD 1
#else
#define SIMD 0
#endif

#define INLINE static inline __attribute__((always_inline))

/* Channels that a matrix kernel computes at once; weights are packed by this. */
#define BLOCK 8
/* Pixels that a matrix kernel computes at once. */
#define PIXELS (SIMD ? 4 : 1)

/* Pictures lie as [batch, height, width, channels]. */
typedef struct {
  int batch, in_h, in_w, in_c;
  int out_h, out_w, out_c;
  int kernel_h, kernel_w, stride_h, stride_w;
  int dilation_h, dilation_w, pad_top, pad_left;
} window;

#if SIMD
/* Four times one of four numbers. */
INLINE v128_t repeated(v128_t four, int which) {
  switch (which) {
    case 0: return wasm_i32x4_shuffle(four, four, 0, 0, 0, 0);
    case 1: return wasm_i32x4_shuffle(four, four, 1, 1, 1, 1);
    case 2: return wasm_i32x4_shuffle(four, four, 2, 2, 2, 2);
    default: return wasm_i32x4_shuffle(four, four, 3, 3, 3, 3);
  }
}
#endif

INLINE int min_int(int a, int b) { return a < b ? a : b; }
INLINE int max_int(int a, int b) { return a > b ? a : b; }

INLINE int blocks_of(int channels) { return (channels + BLOCK - 1) / BLOCK; }

INLINE void copy_bytes(void *to, const void *from, int count) {
  __builtin_memcpy(to, from, (size_t)count);
}

INLINE void fill_bytes(void *to, int value, int count) {
  __builtin_memset(to, value, (size_t)count);
}

/* The input pixel under the first tap of an output pixel; it may lie in the padding. */
typedef struct {
  int batch, y, x;
} corner;

INLINE corner corner_of(const window *w, int pixel) {
  int x = pixel % w->out_w, rest = pixel / w->out_w;
  int y = rest % w->out_h, batch = rest / w->out_h;
  return (corner){batch, y * w->stride_h - w->pad_top, x * w->stride_w - w->pad_left};
}

/* Where the input pixel under one tap begins; NULL in the padding. */
INLINE const void *pixel_under(const window *w, const void *in, int size, corner at, int tap_y,
                               int tap_x) {
  int y = at.y + tap_y * w->dilation_h, x = at.x + tap_x * w->dilation_w;
  if (y < 0 || y >= w->in_h || x < 0 || x >= w->in_w) return NULL;
  return (const char *)in + ((at.batch * w->in_h + y) * w->in_w + x) * w->in_c * size;
}

/* Whether the taps of a row lie side by side in the picture, for PIXELS pixels. */
INLINE int row_is_inside(const window *w, const corner *at) {
  int inside = w->dilation_w == 1;
  for (int p = 0; p < PIXELS; p++) inside &= at[p].x >= 0 && at[p].x + w->kernel_w <= w->in_w;
  return inside;
}

#endif
