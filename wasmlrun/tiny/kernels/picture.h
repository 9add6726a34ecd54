/* A decoded picture, the memory that it lies in, and how it becomes the input tensor: sizes and
 * rounding are those of wasmlrun's own preprocessing, which is Pillow's. */
#ifndef PICTURE_H
#define PICTURE_H

#include <math.h>

#include "common.h"

#define MAX_PIXELS 100000000
#define PAGE 65536

/* Memory beyond what the module starts with, given back only all at once. */
static uint8_t *heap_start, *heap_top, *heap_end;

static void heap_reset(void) {
  if (!heap_start) heap_start = heap_end = (uint8_t *)(__builtin_wasm_memory_size(0) * PAGE);
  heap_top = heap_start;
}

/* Zeroed bytes; NULL when there are none left. */
static void *heap_take(size_t size) {
  size = (size + 15) & ~(size_t)15;
  if (size > 0x7fffffff) return NULL;
  if (size > (size_t)(heap_end - heap_top)) {
    size_t pages = (size - (size_t)(heap_end - heap_top) + PAGE - 1) / PAGE;
    size_t before = __builtin_wasm_memory_grow(0, pages);
    if (before == (size_t)-1) return NULL;
    uint8_t *grown = (uint8_t *)(before * PAGE);
    if (grown != heap_end) heap_top = grown; /* somebody else took memory meanwhile */
    heap_end = grown + pages * PAGE;
    if (size > (size_t)(heap_end - heap_top)) return NULL;
  }
  uint8_t *taken = heap_top;
  heap_top += size;
  __builtin_memset(taken, 0, size);
  return taken;
}

typedef struct {
  int width, height;
  uint8_t *rgb;
  const char *why; /* what is wrong, if there is no picture */
} picture;

INLINE uint8_t clipped(int value) { return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value); }

static picture no_picture(const char *why) { return (picture){0, 0, NULL, why}; }

/* One axis of a resampling: for each output the first input, how many, and their weights. */
typedef struct {
  int *first, *count, *weights;
  int most;
} resampling;

#define WEIGHT_BITS 22

static int plan_axis(resampling *r, int in, int out, double from, double length) {
  double scale = length / out, support = scale > 1 ? scale : 1;
  r->most = (int)ceil(support) * 2 + 1;
  r->first = heap_take((size_t)out * sizeof(int));
  r->count = heap_take((size_t)out * sizeof(int));
  r->weights = heap_take((size_t)out * (size_t)r->most * sizeof(int));
  double *real = heap_take((size_t)r->most * sizeof(double));
  if (!r->first || !r->count || !r->weights || !real) return 0;
  for (int i = 0; i < out; i++) {
    double center = from + (i + 0.5) * scale, sum = 0;
    int low = max_int((int)(center - support + 0.5), 0);
    int high = min_int((int)(center + support + 0.5), in);
    for (int k = low; k < high; k++) {
      double distance = fabs((k - center + 0.5) / support);
      real[k - low] = distance < 1 ? 1 - distance : 0;
      sum += real[k - low];
    }
    r->first[i] = low;
    r->count[i] = high - low;
    for (int k = 0; k < high - low; k++) {
      double weight = sum != 0 ? real[k] / sum : real[k];
      r->weights[i * r->most + k] = (int)(weight * (1 << WEIGHT_BITS) + 0.5);
    }
  }
  return 1;
}

/* A box of the picture, scaled to width × height; first along rows, then along columns. */
static picture resized(picture p, int width, int height, double left, double top, double box_w,
                       double box_h) {
  resampling across, down;
  if (!plan_axis(&across, p.width, width, left, box_w) || !plan_axis(&down, p.height, height, top, box_h))
    return no_picture("there is too little memory for the picture");
  int from = down.first[0], rows = down.first[height - 1] + down.count[height - 1] - from;
  uint8_t *between = heap_take((size_t)rows * (size_t)width * 3);
  uint8_t *made = heap_take((size_t)height * (size_t)width * 3);
  if (!between || !made) return no_picture("there is too little memory for the picture");
  for (int y = 0; y < rows; y++)
    for (int x = 0; x < width; x++)
      for (int c = 0; c < 3; c++) {
        int sum = 1 << (WEIGHT_BITS - 1);
        const uint8_t *in = p.rgb + ((size_t)(y + from) * (size_t)p.width + (size_t)across.first[x]) * 3 + c;
        for (int k = 0; k < across.count[x]; k++) sum += in[k * 3] * across.weights[x * across.most + k];
        between[((size_t)y * (size_t)width + (size_t)x) * 3 + (size_t)c] = clipped(sum >> WEIGHT_BITS);
      }
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width * 3; x++) {
      int sum = 1 << (WEIGHT_BITS - 1);
      const uint8_t *in = between + (size_t)(down.first[y] - from) * (size_t)width * 3 + x;
      for (int k = 0; k < down.count[y]; k++)
        sum += in[(size_t)k * (size_t)width * 3] * down.weights[y * down.most + k];
      made[(size_t)y * (size_t)width * 3 + (size_t)x] = clipped(sum >> WEIGHT_BITS);
    }
  return (picture){width, height, made, NULL};
}

/* To the size that the model takes, by the rule that was packed. */
static picture fitted(picture p) {
  const int w = PICTURE_WIDTH, h = PICTURE_HEIGHT;
  if (p.width == w && p.height == h) return p;
  if (PICTURE_RESIZE == 's') return resized(p, w, h, 0, 0, p.width, p.height);
  if (PICTURE_RESIZE == 'c') {
    double factor = fmin((double)p.width / w, (double)p.height / h) * PICTURE_CROP;
    double box_w = w * factor, box_h = h * factor;
    return resized(p, w, h, (p.width - box_w) / 2, (p.height - box_h) / 2, box_w, box_h);
  }
  double factor = fmin((double)w / p.width, (double)h / p.height);
  int inner_w = max_int(1, (int)nearbyint(p.width * factor));
  int inner_h = max_int(1, (int)nearbyint(p.height * factor));
  picture inner = resized(p, inner_w, inner_h, 0, 0, p.width, p.height);
  uint8_t *canvas = heap_take((size_t)w * h * 3);
  if (inner.why || !canvas) return no_picture("there is too little memory for the picture");
  fill_bytes(canvas, 128, w * h * 3);
  int x = (w - inner_w) / 2, y = (h - inner_h) / 2;
  for (int row = 0; row < inner_h && row + y < h; row++)
    copy_bytes(canvas + ((row + y) * w + x) * 3, inner.rgb + row * inner_w * 3, min_int(inner_w, w - x) * 3);
  return (picture){w, h, canvas, NULL};
}

static const double picture_mean[] = PICTURE_MEAN, picture_scale[] = PICTURE_SCALE;

INLINE int channel_value(const uint8_t *rgb, int channel) {
  if (PICTURE_CHANNELS == 1) return (rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16;
  return rgb[PICTURE_BGR ? 2 - channel : channel];
}

static void to_tensor(picture p, void *tensor) {
  const int pixels = PICTURE_WIDTH * PICTURE_HEIGHT, channels = PICTURE_CHANNELS;
  for (int c = 0; c < channels; c++) {
    double mean = picture_mean[c % (int)(sizeof picture_mean / sizeof *picture_mean)];
    double scale = picture_scale[c % (int)(sizeof picture_scale / sizeof *picture_scale)];
    for (int i = 0; i < pixels; i++) {
      int value = channel_value(p.rgb + i * 3, c);
      int at = PICTURE_PLANES ? c * pixels + i : i * channels + c;
      if (PICTURE_TYPE == 'f')
        ((float *)tensor)[at] = (float)((value - mean) / scale);
      else
        ((uint8_t *)tensor)[at] = (uint8_t)(PICTURE_TYPE == 'i' ? value ^ 0x80 : value);
    }
  }
}

/* As the camera was held: EXIF's orientations 2 to 8. */
static picture upright(picture p, int orientation) {
  if (p.why || orientation < 2 || orientation > 8) return p;
  int turned = orientation >= 5, w = turned ? p.height : p.width, h = turned ? p.width : p.height;
  uint8_t *made = heap_take((size_t)w * (size_t)h * 3);
  if (!made) return no_picture("there is too little memory for the picture");
  for (int y = 0; y < h; y++)
    for (int x = 0; x < w; x++) {
      int u = turned ? y : x, v = turned ? x : y;
      if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8) u = p.width - 1 - u;
      if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7) v = p.height - 1 - v;
      copy_bytes(made + ((size_t)y * (size_t)w + (size_t)x) * 3, p.rgb + ((size_t)v * (size_t)p.width + (size_t)u) * 3, 3);
    }
  return (picture){w, h, made, NULL};
}

#endif
