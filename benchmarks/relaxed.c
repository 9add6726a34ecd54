/* The products of one 1x1 convolution of 8 bits, twice: as packed modules compute them, and with relaxed
 * SIMD's dot product, whose weights have 7 bits. Sums only: nothing is gathered or scaled. */
#include <stdint.h>
#include <wasm_simd128.h>

#define DEPTH 192
#define CHANNELS 64
#define PIXELS 196

static int8_t weights_of_pairs[CHANNELS * DEPTH], weights_of_fours[CHANNELS * DEPTH];
static int16_t inputs_of_pairs[PIXELS * DEPTH];
static int8_t inputs_of_fours[PIXELS * DEPTH];
static int32_t sums[2][PIXELS * CHANNELS];

static uint32_t seed = 1;
static int random_byte(void) {
  seed = seed * 1664525u + 1013904223u;
  return (int)(seed >> 24);
}

/* The same numbers, in both orders: [eight channels][k / n][channel][n] and [four pixels][k / n][pixel][n]. */
__attribute__((export_name("fill"))) void fill(void) {
  for (int c = 0; c < CHANNELS; c++)
    for (int k = 0; k < DEPTH; k++) {
      int8_t w = (int8_t)(random_byte() & 127);
      weights_of_pairs[c / 8 * 8 * DEPTH + k / 2 * 16 + c % 8 * 2 + k % 2] = w;
      weights_of_fours[c / 8 * 8 * DEPTH + k / 4 * 32 + c % 8 * 4 + k % 4] = w;
    }
  for (int p = 0; p < PIXELS; p++)
    for (int k = 0; k < DEPTH; k++) {
      int8_t x = (int8_t)random_byte();
      inputs_of_pairs[p / 4 * 4 * DEPTH + k / 2 * 8 + p % 4 * 2 + k % 2] = x;
      inputs_of_fours[p / 4 * 4 * DEPTH + k / 4 * 16 + p % 4 * 4 + k % 4] = x;
    }
}

#define REPEATED(v, p) wasm_i32x4_shuffle(v, v, p, p, p, p)

#define LAYER(NAME, INPUT, INPUTS, WEIGHTS, TAKEN, LOAD_W, MULTIPLY, SUMS)                            \
  __attribute__((export_name(NAME))) void layer_##INPUTS(void) {                                      \
    for (int p = 0; p < PIXELS; p += 4)                                                               \
      for (int b = 0; b < CHANNELS; b += 8) {                                                         \
        const int8_t *w = WEIGHTS + b * DEPTH;                                                        \
        const INPUT *x = INPUTS + p * DEPTH;                                                          \
        v128_t acc[4][2];                                                                             \
        for (int i = 0; i < 4; i++) acc[i][0] = acc[i][1] = wasm_i32x4_const_splat(0);                \
        for (int k = 0; k < DEPTH; k += TAKEN, w += 8 * TAKEN, x += 4 * TAKEN) {                      \
          v128_t w0 = LOAD_W(w), w1 = LOAD_W(w + 4 * TAKEN), all = wasm_v128_load(x);                 \
          v128_t r[4] = {REPEATED(all, 0), REPEATED(all, 1), REPEATED(all, 2), REPEATED(all, 3)};     \
          for (int i = 0; i < 4; i++) {                                                               \
            acc[i][0] = MULTIPLY(r[i], w0, acc[i][0]);                                                \
            acc[i][1] = MULTIPLY(r[i], w1, acc[i][1]);                                                \
          }                                                                                           \
        }                                                                                             \
        for (int i = 0; i < 4; i++) {                                                                 \
          wasm_v128_store(SUMS + (p + i) * CHANNELS + b, acc[i][0]);                                  \
          wasm_v128_store(SUMS + (p + i) * CHANNELS + b + 4, acc[i][1]);                              \
        }                                                                                             \
      }                                                                                               \
  }

#define BY_PAIRS(x, w, sum) wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(x, w))
LAYER("pairs", int16_t, inputs_of_pairs, weights_of_pairs, 2, wasm_i16x8_load8x8, BY_PAIRS, sums[0])
LAYER("fours", int8_t, inputs_of_fours, weights_of_fours, 4, wasm_v128_load,
      wasm_i32x4_relaxed_dot_i8x16_i7x16_add, sums[1])

__attribute__((export_name("differences"))) int differences(void) {
  int found = 0;
  for (int i = 0; i < PIXELS * CHANNELS; i++) found += sums[0][i] != sums[1][i];
  return found;
}
