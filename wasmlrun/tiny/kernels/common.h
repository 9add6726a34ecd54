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

INLINE int min_int(int a, int b) { return a < b ? a : b; }
INLINE int max_int(int a, int b) { return a > b ? a : b; }

INLINE int blocks_of(int channels) { return (channels + BLOCK - 1) / BLOCK; }

INLINE void copy_bytes(void *to, const void *from, int count) {
  __builtin_memcpy(to, from, (size_t)count);
}

INLINE void fill_bytes(void *to, int value, int count) {
  __builtin_memset(to, value, (size_t)count);
}

/* Where the input pixel under one tap of one output pixel begins; NULL in the padding. */
INLINE const void *pixel_under(const window *w, const void *in, int size, int pixel, int tap_y,
                               int tap_x) {
  int x = pixel % w->out_w, rest = pixel / w->out_w;
  int y = rest % w->out_h, batch = rest / w->out_h;
  int in_y = y * w->stride_h - w->pad_top + tap_y * w->dilation_h;
  int in_x = x * w->stride_w - w->pad_left + tap_x * w->dilation_w;
  if (in_y < 0 || in_y >= w->in_h || in_x < 0 || in_x >= w->in_w) return NULL;
  return (const char *)in + (((batch * w->in_h + in_y) * w->in_w + in_x) * w->in_c) * size;
}

#endif
