// From what the model says of each 12.5 ms to samples, 24,000 a second.
#ifndef SOUND_H
#define SOUND_H

#include <stddef.h>

enum { RATE = 24000, HOP = 300, BINS = 601 };

// One sentence as the model gives it; each but `pitch` is [BINS][frames], `pitch` is [frames] in Hz.
typedef struct {
  const float *voiced, *angle;   // logarithm of the harmonics' strength, and where they stand
  const float *noise;            // logarithm of the noise's strength
  const float *rest, *phase;     // logarithm and phase of all other sound
  const float *pitch;
  size_t frames;
} speech;

// Adds frames * HOP samples from -1 to 1 at `out`. 0 where there is no memory.
int synthesise(const speech *said, float *out);

#endif
