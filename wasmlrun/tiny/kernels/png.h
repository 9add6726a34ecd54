/* PNG of every kind: grey, colours, palettes, 1 to 16 bits, transparency over white, interlaced. */
#ifndef PNG_H
#define PNG_H

#include "picture.h"

/* Deflate. */

typedef struct {
  const uint8_t *at, *end;
  uint32_t bits;
  int count, over;
  uint8_t *out, *out_at, *out_end;
} inflater;

typedef struct {
  uint16_t counts[16], symbols[288];
} codes;

INLINE int next_bits(inflater *s, int n) {
  while (s->count < n) {
    if (s->at < s->end)
      s->bits |= (uint32_t)*s->at++ << s->count;
    else
      s->over = 1;
    s->count += 8;
  }
  int value = (int)(s->bits & ((1u << n) - 1));
  s->bits >>= n;
  s->count -= n;
  return value;
}

static int next_symbol(inflater *s, const codes *c) {
  int code = 0, first = 0, index = 0;
  for (int length = 1; length <= 15; length++) {
    code |= next_bits(s, 1);
    int count = c->counts[length];
    if (code - count < first) return c->symbols[index + code - first];
    index += count;
    first = (first + count) << 1;
    code <<= 1;
  }
  s->over = 1;
  return 256;
}

static int make_codes(codes *c, const uint8_t *lengths, int n) {
  uint16_t offsets[16] = {0};
  int left = 1;
  fill_bytes(c, 0, sizeof *c);
  for (int i = 0; i < n; i++) c->counts[lengths[i]]++;
  c->counts[0] = 0;
  for (int length = 1; length <= 15; length++) {
    left = (left << 1) - c->counts[length];
    if (left < 0) return 0;
    if (length < 15) offsets[length + 1] = (uint16_t)(offsets[length] + c->counts[length]);
  }
  for (int i = 0; i < n; i++)
    if (lengths[i]) c->symbols[offsets[lengths[i]]++] = (uint16_t)i;
  return 1;
}

static const uint16_t length_base[] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                       31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
static const uint8_t length_extra[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
static const uint16_t distance_base[] = {1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
                                         193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};

static int inflate_codes(inflater *s, const codes *lengths, const codes *distances) {
  for (;;) {
    int symbol = next_symbol(s, lengths);
    if (s->over) return 0;
    if (symbol == 256) return 1;
    if (symbol < 256) {
      if (s->out_at >= s->out_end) return 0;
      *s->out_at++ = (uint8_t)symbol;
      continue;
    }
    if ((symbol -= 257) > 28) return 0;
    int length = length_base[symbol] + next_bits(s, length_extra[symbol]);
    if ((symbol = next_symbol(s, distances)) > 29) return 0;
    int distance = distance_base[symbol] + next_bits(s, symbol < 2 ? 0 : symbol / 2 - 1);
    if (s->over || distance > s->out_at - s->out || length > s->out_end - s->out_at) return 0;
    for (; length > 0; length--, s->out_at++) *s->out_at = s->out_at[-distance];
  }
}

static int inflate_dynamic(inflater *s) {
  static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
  uint8_t lengths[320] = {0};
  codes main_codes, distance_codes;
  int literals = next_bits(s, 5) + 257, distances = next_bits(s, 5) + 1, count = next_bits(s, 4) + 4, index = 0;
  if (literals > 286 || distances > 30) return 0;
  for (int i = 0; i < count; i++) lengths[order[i]] = (uint8_t)next_bits(s, 3);
  if (!make_codes(&main_codes, lengths, 19)) return 0;
  fill_bytes(lengths, 0, sizeof lengths);
  while (index < literals + distances) {
    int symbol = next_symbol(s, &main_codes), previous = 0, repeat;
    if (s->over) return 0;
    if (symbol < 16) {
      lengths[index++] = (uint8_t)symbol;
      continue;
    }
    if (symbol == 16) {
      if (!index) return 0;
      previous = lengths[index - 1];
      repeat = 3 + next_bits(s, 2);
    } else {
      repeat = symbol == 17 ? 3 + next_bits(s, 3) : 11 + next_bits(s, 7);
    }
    if (index + repeat > literals + distances) return 0;
    while (repeat--) lengths[index++] = (uint8_t)previous;
  }
  if (!make_codes(&main_codes, lengths, literals) || !make_codes(&distance_codes, lengths + literals, distances)) return 0;
  return inflate_codes(s, &main_codes, &distance_codes);
}

static int inflate_fixed(inflater *s) {
  uint8_t lengths[288];
  codes main_codes, distance_codes;
  fill_bytes(lengths, 8, 144);
  fill_bytes(lengths + 144, 9, 112);
  fill_bytes(lengths + 256, 7, 24);
  fill_bytes(lengths + 280, 8, 8);
  make_codes(&main_codes, lengths, 288);
  fill_bytes(lengths, 5, 30);
  make_codes(&distance_codes, lengths, 30);
  return inflate_codes(s, &main_codes, &distance_codes);
}

/* A zlib stream that must give exactly so many bytes, or more that are not wanted. */
static int inflated(const uint8_t *data, int size, uint8_t *out, size_t wanted) {
  inflater s = {.at = data + 2, .end = data + size, .out = out, .out_at = out, .out_end = out + wanted};
  if (size < 2 || (data[0] & 15) != 8 || big16(data) % 31 || data[1] & 32) return 0;
  for (int last = 0; !last && !s.over && s.out_at < s.out_end;) {
    last = next_bits(&s, 1);
    int kind = next_bits(&s, 2), good = 0;
    if (kind == 0) {
      s.bits = 0, s.count = 0;
      if (s.end - s.at < 4) return 0;
      int length = s.at[0] | s.at[1] << 8;
      s.at += 4;
      if (length > s.end - s.at || length > s.out_end - s.out_at) return 0;
      copy_bytes(s.out_at, s.at, length);
      s.at += length, s.out_at += length;
      good = 1;
    } else if (kind == 1) {
      good = inflate_fixed(&s);
    } else if (kind == 2) {
      good = inflate_dynamic(&s);
    }
    if (!good) return 0;
  }
  return s.out_at == s.out_end;
}

/* The format. */

typedef struct {
  int width, height, depth, kind, interlaced, samples;
  uint8_t palette[256 * 3], alpha[256];
  int colours, has_key, key[3];
} png;

INLINE int paeth(int a, int b, int c) {
  int p = a + b - c, pa = p > a ? p - a : a - p, pb = p > b ? p - b : b - p, pc = p > c ? p - c : c - p;
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

static int unfilter(uint8_t *row, const uint8_t *above, int filter, int size, int step) {
  for (int i = 0; i < size; i++) {
    int a = i >= step ? row[i - step] : 0, b = above ? above[i] : 0, c = above && i >= step ? above[i - step] : 0;
    switch (filter) {
      case 0: break;
      case 1: row[i] = (uint8_t)(row[i] + a); break;
      case 2: row[i] = (uint8_t)(row[i] + b); break;
      case 3: row[i] = (uint8_t)(row[i] + (a + b) / 2); break;
      case 4: row[i] = (uint8_t)(row[i] + paeth(a, b, c)); break;
      default: return 0;
    }
  }
  return 1;
}

INLINE int sample(const png *g, const uint8_t *row, int index) {
  if (g->depth == 16) return big16(row + 2 * index);
  if (g->depth == 8) return row[index];
  int per_byte = 8 / g->depth;
  return row[index / per_byte] >> (8 - g->depth * (index % per_byte + 1)) & ((1 << g->depth) - 1);
}

/* Pillow divides by 256 where 16 bits become 8 of a colour, and scales what is grey. */
INLINE int to_byte(const png *g, int value) {
  return g->depth == 16 ? value >> 8 : g->depth == 8 ? value : value * 255 / ((1 << g->depth) - 1);
}

INLINE int over_white(int value, int alpha) {
  int sum = value * alpha + 255 * (255 - alpha) + 128;
  return (sum + (sum >> 8)) >> 8;
}

static void put_pixel(const png *g, const uint8_t *row, int x, uint8_t *to) {
  int value[4], alpha = 255;
  for (int i = 0; i < g->samples; i++) value[i] = sample(g, row, x * g->samples + i);
  if (g->kind == 3) {
    int index = min_int(value[0], max_int(g->colours - 1, 0));
    for (int i = 0; i < 3; i++) to[i] = g->palette[3 * index + i];
    alpha = g->alpha[index];
  } else {
    int grey = g->kind == 0 || g->kind == 4;
    if (g->has_key && value[0] == g->key[0] && (grey || (value[1] == g->key[1] && value[2] == g->key[2]))) alpha = 0;
    for (int i = 0; i < 3; i++) to[i] = (uint8_t)to_byte(g, value[grey ? 0 : i]);
    if (g->kind == 4 || g->kind == 6) alpha = to_byte(g, value[g->samples - 1]);
  }
  if (alpha < 255)
    for (int i = 0; i < 3; i++) to[i] = (uint8_t)over_white(to[i], alpha);
}

static const uint8_t passes[7][4] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};

INLINE int part_of(int size, int start, int step) { return size > start ? (size - start + step - 1) / step : 0; }

static picture png_pixels(const png *g, const uint8_t *data, int size) {
  size_t total = 0;
  int count = g->interlaced ? 7 : 1;
  for (int p = 0; p < count; p++) {
    int w = g->interlaced ? part_of(g->width, passes[p][0], passes[p][2]) : g->width;
    int h = g->interlaced ? part_of(g->height, passes[p][1], passes[p][3]) : g->height;
    if (w && h) total += (size_t)h * (1 + ((size_t)w * (size_t)g->samples * (size_t)g->depth + 7) / 8);
  }
  uint8_t *raw = heap_take(total), *rgb = heap_take((size_t)g->width * (size_t)g->height * 3);
  if (!raw || !rgb) return no_picture("there is too little memory for the picture");
  if (!inflated(data, size, raw, total)) return no_picture("the PNG ends too early, or is damaged");
  int step = max_int(g->samples * g->depth / 8, 1);
  for (int p = 0; p < count; p++) {
    int x0 = 0, y0 = 0, dx = 1, dy = 1;
    if (g->interlaced) x0 = passes[p][0], y0 = passes[p][1], dx = passes[p][2], dy = passes[p][3];
    int w = part_of(g->width, x0, dx), h = part_of(g->height, y0, dy);
    if (!w || !h) continue;
    int row_size = (int)(((int64_t)w * g->samples * g->depth + 7) / 8);
    const uint8_t *above = NULL;
    for (int y = 0; y < h; y++, raw += row_size) {
      int filter = *raw++;
      if (!unfilter(raw, above, filter, row_size, step)) return no_picture("the PNG is damaged");
      above = raw;
      for (int x = 0; x < w; x++)
        put_pixel(g, raw, x, rgb + ((size_t)(y0 + y * dy) * (size_t)g->width + (size_t)(x0 + x * dx)) * 3);
    }
  }
  return (picture){g->width, g->height, rgb, NULL};
}

INLINE uint32_t big32(const uint8_t *p) { return (uint32_t)big16(p) << 16 | (uint32_t)big16(p + 2); }

static int png_header(png *g, const uint8_t *p) {
  static const uint8_t samples[7] = {1, 0, 3, 1, 2, 0, 4};
  uint32_t width = big32(p), height = big32(p + 4);
  g->depth = p[8], g->kind = p[9], g->interlaced = p[12];
  if (!width || !height || (uint64_t)width * height > MAX_PIXELS || g->kind > 6 || !samples[g->kind]) return 0;
  if (g->depth != 1 && g->depth != 2 && g->depth != 4 && g->depth != 8 && g->depth != 16) return 0;
  if ((g->depth < 8 && g->kind != 0 && g->kind != 3) || (g->depth == 16 && g->kind == 3)) return 0;
  if (p[10] || p[11] || g->interlaced > 1) return 0;
  g->width = (int)width, g->height = (int)height, g->samples = samples[g->kind];
  return 1;
}

static picture decode_png(uint8_t *data, int size) {
  png *g = heap_take(sizeof *g);
  const char *damaged = "the PNG is damaged, or of a kind that is not read";
  if (!g) return no_picture("there is too little memory for the picture");
  fill_bytes(g->alpha, 255, sizeof g->alpha);
  /* the pieces of the compressed data are moved together at the front */
  uint8_t *packed = data;
  int at = 8, packed_size = 0, ended = 0;
  while (!ended && size - at >= 12) {
    uint32_t length = big32(data + at);
    const uint8_t *p = data + at + 8;
    if (length > (uint32_t)(size - at - 12)) break;
    uint32_t name = big32(data + at + 4);
    at += 12 + (int)length;
    if (name == 0x49484452) { /* IHDR */
      if (length < 13 || g->width || !png_header(g, p)) return no_picture(damaged);
    } else if (name == 0x504c5445) { /* PLTE */
      g->colours = min_int((int)length / 3, 256);
      copy_bytes(g->palette, p, g->colours * 3);
    } else if (name == 0x74524e53) { /* tRNS */
      if (g->kind == 3) {
        copy_bytes(g->alpha, p, min_int((int)length, 256));
      } else if ((g->kind == 0 && length >= 2) || (g->kind == 2 && length >= 6)) {
        g->has_key = 1;
        for (int i = 0; i < (g->kind == 2 ? 3 : 1); i++) g->key[i] = big16(p + 2 * i);
      }
    } else if (name == 0x49444154) { /* IDAT */
      if (!g->width) return no_picture(damaged);
      __builtin_memmove(packed + packed_size, p, length);
      packed_size += (int)length;
    } else if (name == 0x49454e44) { /* IEND */
      ended = 1;
    }
  }
  if (!g->width) return no_picture(damaged);
  return png_pixels(g, packed, packed_size);
}

#endif
