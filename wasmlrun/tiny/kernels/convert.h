/* From one type of number to another. */
#ifndef CONVERT_H
#define CONVERT_H

#include <math.h>

#include "common.h"
#include "int8_scale.h"

static void run_quantize(float scale, int zero, int count, const float *in, int8_t *out) {
  for (int i = 0; i < count; i++) {
    float value = roundf(in[i] / scale) + (float)zero;
    out[i] = (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
  }
}

static void run_dequantize(float scale, int zero, int count, const int8_t *in, float *out) {
  for (int i = 0; i < count; i++) out[i] = scale * (float)(in[i] - zero);
}

static void run_bytes_to_float(int count, const uint8_t *in, float *out) {
  for (int i = 0; i < count; i++) out[i] = (float)in[i];
}

static void run_signed_bytes_to_float(int count, const int8_t *in, float *out) {
  for (int i = 0; i < count; i++) out[i] = (float)in[i];
}

/* Bytes without sign become signed ones 128 lower, and back. */
static void run_flip_sign(int count, const uint8_t *in, uint8_t *out) {
  for (int i = 0; i < count; i++) out[i] = in[i] ^ 0x80;
}

/* Weights that are stored as halves; none of them is a NaN or infinite. */
static void expand_halves(int count, const uint16_t *in, float *out) {
  for (int i = 0; i < count; i++) {
    uint32_t bits = (uint32_t)(in[i] & 0x7fff) << 13;
    float value;
    copy_bytes(&value, &bits, 4);
    value *= 0x1p112f; /* the exponent's bias of a half is 112 less */
    copy_bytes(&bits, &value, 4);
    bits |= (uint32_t)(in[i] & 0x8000) << 16;
    copy_bytes(out + i, &bits, 4);
  }
}

#endif
