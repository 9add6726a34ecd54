// The voice's decoder predicts spectra; this makes sound of them, as its authors describe it:
// S = exp(voiced) e^{i pi tanh(angle)} STFT(pulses(pitch)) + exp(noise) N + exp(rest) e^{i phase}

#include "sound.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 1200, HALF = SIZE / 2 };
static const double PI = 3.14159265358979323846;

typedef struct { double re, im; } number;

static number times(number a, number b) {
  return (number){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

// e^{sign 2 pi i k / SIZE} for every k.
static void circle(number *roots, int sign) {
  for (int k = 0; k < SIZE; k++) {
    double angle = sign * 2 * PI * k / SIZE;
    roots[k] = (number){cos(angle), sin(angle)};
  }
}

// The Fourier transform of n numbers, each `stride` apart; n divides SIZE.
static void transform(const number *in, number *out, int n, int stride, const number *roots) {
  if (n == 1) {
    out[0] = in[0];
    return;
  }
  int factor = n % 2 == 0 ? 2 : n % 3 == 0 ? 3 : 5, part = n / factor, step = SIZE / n;
  for (int k = 0; k < factor; k++)
    transform(in + k * stride, out + k * part, part, stride * factor, roots);
  for (int j = 0; j < part; j++) {
    number terms[5];
    for (int k = 0; k < factor; k++)
      terms[k] = times(out[k * part + j], roots[k * j * step % SIZE]);
    for (int r = 0; r < factor; r++) {
      number sum = {0, 0};
      for (int k = 0; k < factor; k++) {
        number term = times(terms[k], roots[k * r * part * step % SIZE]);
        sum.re += term.re, sum.im += term.im;
      }
      out[r * part + j] = sum;
    }
  }
}

// The pitch between two frames' middles, at sample `at`.
static double pitch_at(const speech *said, size_t at) {
  double place = (at + 0.5) / HOP - 0.5;
  if (place <= 0) return said->pitch[0];
  size_t frame = (size_t)place;
  if (frame + 1 >= said->frames) return said->pitch[said->frames - 1];
  double share = place - frame;
  return said->pitch[frame] * (1 - share) + said->pitch[frame + 1] * share;
}

// Every harmonic of the voice below 11 kHz, as strong as each other; nothing where there is none.
static void pulses(const speech *said, double *out) {
  double turn = 0;
  for (size_t at = 0; at < said->frames * HOP; at++) {
    double pitch = pitch_at(said, at);
    int voiced = pitch > 40;
    if (!voiced) pitch = 40;
    turn = fmod(turn + pitch / RATE, 1);
    double angle = 2 * PI * turn, count = floor(11000 / pitch) + 0.5, below = 2 * sin(angle / 2);
    double sum = fabs(below) <= 2e-3 ? count : sin(count * angle) / below;
    out[at] = voiced ? sum - 0.5 : 0;
  }
}

static uint64_t dice = 0x9E3779B97F4A7C15;

static double chance(void) {
  dice ^= dice << 13, dice ^= dice >> 7, dice ^= dice << 17;
  return ((dice >> 11) + 0.5) / 9007199254740992.0;
}

// Two independent numbers of a normal distribution; the same ones in every run.
static number normal(void) {
  double size = sqrt(-2 * log(chance())), angle = 2 * PI * chance();
  return (number){size * cos(angle), size * sin(angle)};
}

static double strength(float logarithm) {
  return exp(logarithm < 7 ? logarithm : 7);
}

// One frame's spectrum of the source becomes that of the sound.
static void shape(const speech *said, size_t frame, number *spectrum) {
  for (int bin = 0; bin < BINS; bin++) {
    size_t at = bin * said->frames + frame;
    double angle = PI * tanh(said->angle[at]), size = strength(said->voiced[at]);
    number sum = times(spectrum[bin], (number){size * cos(angle), size * sin(angle)});
    number random = normal();
    double noise = strength(said->noise[at]), rest = strength(said->rest[at]);
    sum.re += noise * random.re + rest * cos(said->phase[at]);
    sum.im += noise * random.im + rest * sin(said->phase[at]);
    spectrum[bin] = sum;
  }
}

// A sample of the source; beyond its ends it is mirrored.
static double mirrored(const double *source, long at, long count) {
  if (at < 0) at = -at;
  if (at >= count) at = 2 * (count - 1) - at;
  return at < 0 ? 0 : source[at];
}

int synthesise(const speech *said, float *out) {
  static number forth[SIZE], back[SIZE], frame[SIZE], spectrum[SIZE];
  static double window[SIZE];
  long count = said->frames * HOP, whole = count + SIZE;
  double *source = malloc(count * sizeof *source), *sum = calloc(whole, sizeof *sum);
  double *weight = calloc(whole, sizeof *weight);
  if (source == NULL || sum == NULL || weight == NULL) return 0;
  circle(forth, -1), circle(back, 1);
  for (int k = 0; k < SIZE; k++) window[k] = 0.5 - 0.5 * cos(2 * PI * k / SIZE);
  pulses(said, source);
  for (size_t f = 0; f < said->frames; f++) {
    long start = (long)f * HOP;
    for (int k = 0; k < SIZE; k++)
      frame[k] = (number){mirrored(source, start + k - HALF, count) * window[k] / HOP, 0};
    transform(frame, spectrum, SIZE, 1, forth);
    shape(said, f, spectrum);
    spectrum[0].im = spectrum[HALF].im = 0;
    for (int k = 1; k < HALF; k++)
      spectrum[SIZE - k] = (number){spectrum[k].re, -spectrum[k].im};
    transform(spectrum, frame, SIZE, 1, back);
    for (int k = 0; k < SIZE; k++) {
      sum[start + k] += frame[k].re / SIZE * window[k];
      weight[start + k] += window[k] * window[k];
    }
  }
  for (long at = 0; at < count; at++) {
    double share = weight[at + HALF];
    out[at] = (float)(sum[at + HALF] / (share > 1e-11 ? share : 1e-11));
  }
  free(source), free(sum), free(weight);
  return 1;
}
