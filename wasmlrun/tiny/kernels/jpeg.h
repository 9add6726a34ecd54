/* JPEG, sequential and progressive with Huffman codes, 8 bits: the coefficients of the whole picture
 * first, then pixels with libjpeg's integer transform, smooth upsampling and colours. */
#ifndef JPEG_H
#define JPEG_H

#include "picture.h"

#define FAST_BITS 9

typedef struct {
  uint8_t fast_length[1 << FAST_BITS], fast_value[1 << FAST_BITS];
  int first_code[18], first_index[18]; /* by length; codes of a length end where the next begin */
  int last_code[18];
  uint8_t values[256];
  int known;
} huffman;

typedef struct {
  int id, h, v, quant, dc_table, ac_table;
  int blocks_w, blocks_h; /* of the picture */
  int stored_w, stored_h; /* whole units of the interleaved scan */
  int predicted;
  int16_t *coefficients;
  uint8_t *pixels;
} component;

typedef struct {
  const uint8_t *at, *end;
  uint32_t bits;
  int count, starved, over;
  int width, height, parts, h_most, v_most, progressive, restart, adobe, orientation;
  int eob_run;
  uint16_t quants[4][64];
  huffman dc[4], ac[4];
  component part[4];
} jpeg;

static const uint8_t zigzag[64] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

INLINE int big16(const uint8_t *p) { return p[0] << 8 | p[1]; }

static int define_huffman(huffman *t, const uint8_t *lengths, const uint8_t *values, int total) {
  int code = 0, index = 0;
  fill_bytes(t, 0, sizeof *t);
  copy_bytes(t->values, values, total);
  for (int length = 1; length <= 16; length++) {
    t->first_code[length] = code;
    t->first_index[length] = index;
    for (int i = 0; i < lengths[length - 1]; i++, code++, index++) {
      if (code >= 1 << length) return 0;
      if (length <= FAST_BITS)
        for (int rest = 0; rest < 1 << (FAST_BITS - length); rest++) {
          t->fast_length[code << (FAST_BITS - length) | rest] = (uint8_t)length;
          t->fast_value[code << (FAST_BITS - length) | rest] = values[index];
        }
    }
    t->last_code[length] = code;
    code <<= 1;
  }
  t->known = 1;
  return 1;
}

/* Make sure of 24 bits; beyond the data, or at a marker, they are zero. */
INLINE void fill_bits(jpeg *j) {
  while (j->count <= 24) {
    uint32_t byte = 0;
    if (j->at < j->end && !(j->at[0] == 0xff && (j->at + 1 >= j->end || j->at[1] != 0))) {
      byte = *j->at++;
      if (byte == 0xff) j->at++;
    } else {
      j->starved += 8;
    }
    j->bits |= byte << (24 - j->count);
    j->count += 8;
  }
}

INLINE int take_bits(jpeg *j, int n) {
  if (n == 0) return 0;
  if (j->count < n) fill_bits(j);
  int value = (int)(j->bits >> (32 - n));
  j->bits <<= n;
  j->count -= n;
  return value;
}

INLINE int extended(int value, int n) { return n && value < 1 << (n - 1) ? value - (1 << n) + 1 : value; }

INLINE int take_code(jpeg *j, const huffman *t) {
  if (j->count < 16) fill_bits(j);
  int look = (int)(j->bits >> (32 - FAST_BITS)), length = t->fast_length[look];
  if (length) {
    j->bits <<= length;
    j->count -= length;
    return t->fast_value[look];
  }
  for (length = FAST_BITS + 1; length <= 16; length++) {
    int code = (int)(j->bits >> (32 - length));
    if (code < t->last_code[length]) {
      j->bits <<= length;
      j->count -= length;
      return t->values[(t->first_index[length] + code - t->first_code[length]) & 255];
    }
  }
  j->over = 1;
  return 0;
}

typedef struct {
  int count, part[4], start, end, high, low;
} scan;

static void sequential_block(jpeg *j, component *c, int16_t *block) {
  int size = take_code(j, &j->dc[c->dc_table]) & 15;
  c->predicted += extended(take_bits(j, size), size);
  block[0] = (int16_t)c->predicted;
  for (int k = 1; k < 64; k++) {
    int code = take_code(j, &j->ac[c->ac_table]), run = code >> 4;
    size = code & 15;
    if (size == 0) {
      if (run != 15) break;
      k += 15;
      continue;
    }
    k += run;
    int value = extended(take_bits(j, size), size);
    if (k > 63) break;
    block[zigzag[k]] = (int16_t)value;
  }
}

static void progressive_dc(jpeg *j, component *c, const scan *s, int16_t *block) {
  if (s->high) {
    if (take_bits(j, 1)) block[0] = (int16_t)(block[0] | 1 << s->low);
    return;
  }
  int size = take_code(j, &j->dc[c->dc_table]) & 15;
  c->predicted += extended(take_bits(j, size), size);
  block[0] = (int16_t)(c->predicted * (1 << s->low));
}

static void progressive_ac_first(jpeg *j, component *c, const scan *s, int16_t *block) {
  if (j->eob_run) {
    j->eob_run--;
    return;
  }
  for (int k = s->start; k <= s->end; k++) {
    int code = take_code(j, &j->ac[c->ac_table]), run = code >> 4, size = code & 15;
    if (size == 0) {
      if (run < 15) {
        j->eob_run = (1 << run) - 1 + take_bits(j, run);
        break;
      }
      k += 15;
      continue;
    }
    k += run;
    int value = extended(take_bits(j, size), size);
    if (k > 63) break;
    block[zigzag[k]] = (int16_t)(value * (1 << s->low));
  }
}

INLINE void refine(jpeg *j, int16_t *value, int bit) {
  if (take_bits(j, 1) && (*value & bit) == 0) *value = (int16_t)(*value > 0 ? *value + bit : *value - bit);
}

static void progressive_ac_refine(jpeg *j, component *c, const scan *s, int16_t *block) {
  int bit = 1 << s->low, k = s->start;
  if (j->eob_run == 0)
    for (; k <= s->end; k++) {
      int code = take_code(j, &j->ac[c->ac_table]), run = code >> 4, size = code & 15, value = 0;
      if (size) {
        value = take_bits(j, 1) ? bit : -bit;
      } else if (run < 15) {
        j->eob_run = (1 << run) + take_bits(j, run);
        break;
      }
      for (; k <= s->end; k++) {
        int16_t *at = block + zigzag[k];
        if (*at)
          refine(j, at, bit);
        else if (run-- == 0) {
          *at = (int16_t)value;
          break;
        }
      }
    }
  if (j->eob_run) {
    for (; k <= s->end; k++)
      if (block[zigzag[k]]) refine(j, block + zigzag[k], bit);
    j->eob_run--;
  }
}

static void one_block(jpeg *j, component *c, const scan *s, int x, int y) {
  int16_t *block = c->coefficients + ((size_t)y * (size_t)c->stored_w + (size_t)x) * 64;
  if (!j->progressive)
    sequential_block(j, c, block);
  else if (s->start == 0)
    progressive_dc(j, c, s, block);
  else if (s->high == 0)
    progressive_ac_first(j, c, s, block);
  else
    progressive_ac_refine(j, c, s, block);
}

static void restart_scan(jpeg *j) {
  j->bits = 0;
  j->count = j->starved = j->eob_run = 0;
  for (int i = 0; i < j->parts; i++) j->part[i].predicted = 0;
}

/* All blocks of a scan; 0 when the data ends before. */
static int read_scan(jpeg *j, const scan *s) {
  component *only = &j->part[s->part[0]];
  int alone = s->count == 1;
  int across = alone ? only->blocks_w : only->stored_w / only->h;
  int down = alone ? only->blocks_h : only->stored_h / only->v;
  restart_scan(j);
  for (int unit = 0, left = j->restart; unit < across * down; unit++) {
    int x = unit % across, y = unit / across;
    if (alone)
      one_block(j, only, s, x, y);
    else
      for (int i = 0; i < s->count; i++) {
        component *c = &j->part[s->part[i]];
        for (int v = 0; v < c->v; v++)
          for (int h = 0; h < c->h; h++) one_block(j, c, s, x * c->h + h, y * c->v + v);
      }
    /* bits that are not there were used */
    if (j->over || j->starved > j->count) return 0;
    if (j->restart && --left == 0 && unit + 1 < across * down) {
      while (j->at + 1 < j->end && !(j->at[0] == 0xff && j->at[1] >= 0xd0 && j->at[1] <= 0xd7)) {
        if (j->at[0] == 0xff && j->at[1] > 1 && j->at[1] != 0xff) return 0;
        j->at++;
      }
      j->at += 2;
      if (j->at > j->end) return 0;
      restart_scan(j);
      left = j->restart;
    }
  }
  return 1;
}

/* libjpeg's accurate integer transform, one dimension of eight numbers `step` apart. */
#define FIX(x) ((int)((x) * 8192 + 0.5))

INLINE void transform_line(const int *in, int step, int *out, int out_step, int shift) {
  int z2 = in[2 * step], z3 = in[6 * step];
  int z1 = (z2 + z3) * FIX(0.541196100);
  int t2 = z1 - z3 * FIX(1.847759065), t3 = z1 + z2 * FIX(0.765366865);
  int t0 = (in[0] + in[4 * step]) * 8192, t1 = (in[0] - in[4 * step]) * 8192;
  int e0 = t0 + t3, e3 = t0 - t3, e1 = t1 + t2, e2 = t1 - t2;
  t0 = in[7 * step], t1 = in[5 * step], t2 = in[3 * step], t3 = in[step];
  z1 = t0 + t3, z2 = t1 + t2, z3 = t0 + t2;
  int z4 = t1 + t3, z5 = (z3 + z4) * FIX(1.175875602);
  t0 *= FIX(0.298631336), t1 *= FIX(2.053119869), t2 *= FIX(3.072711026), t3 *= FIX(1.501321110);
  z1 *= -FIX(0.899976223), z2 *= -FIX(2.562915447);
  z3 = z3 * -FIX(1.961570560) + z5, z4 = z4 * -FIX(0.390180644) + z5;
  t0 += z1 + z3, t1 += z2 + z4, t2 += z2 + z3, t3 += z1 + z4;
  int half = 1 << (shift - 1);
  out[0] = (e0 + t3 + half) >> shift, out[7 * out_step] = (e0 - t3 + half) >> shift;
  out[out_step] = (e1 + t2 + half) >> shift, out[6 * out_step] = (e1 - t2 + half) >> shift;
  out[2 * out_step] = (e2 + t1 + half) >> shift, out[5 * out_step] = (e2 - t1 + half) >> shift;
  out[3 * out_step] = (e3 + t0 + half) >> shift, out[4 * out_step] = (e3 - t0 + half) >> shift;
}

static void block_to_pixels(const int16_t *block, const uint16_t *quant, uint8_t *out, int stride) {
  int real[64], between[64], line[8];
  for (int i = 0; i < 64; i++) real[i] = block[i] * quant[i];
  for (int x = 0; x < 8; x++) transform_line(real + x, 8, between + x, 8, 11);
  for (int y = 0; y < 8; y++) {
    transform_line(between + y * 8, 1, line, 1, 18);
    for (int x = 0; x < 8; x++) out[y * stride + x] = clipped(line[x] + 128);
  }
}

/* Row y of a component at the picture's full size. */
static void full_row(const jpeg *j, const component *c, int y, uint8_t *out) {
  int stride = c->stored_w * 8, ratio_w = j->h_most / c->h, ratio_h = j->v_most / c->v;
  int w = (j->width * c->h + j->h_most - 1) / j->h_most, h = (j->height * c->v + j->v_most - 1) / j->v_most;
  const uint8_t *near = c->pixels + (size_t)(y / ratio_h) * (size_t)stride;
  if (ratio_w == 2 && ratio_h <= 2 && j->h_most == 2 * c->h && j->v_most == ratio_h * c->v && w > 2) {
    /* three parts of the nearest, one of the next; at the edges the edge */
    int next_y = y / 2 + (y & 1 ? 1 : -1);
    const uint8_t *far = near;
    if (ratio_h == 2) far = c->pixels + (size_t)max_int(0, min_int(next_y, h - 1)) * (size_t)stride;
#define COLUMN(i) (ratio_h == 2 ? 3 * near[i] + far[i] : 4 * near[i])
    for (int x = 0; x < j->width; x++) {
      int i = x / 2, beside = max_int(0, min_int(i + (x & 1 ? 1 : -1), w - 1));
      /* libjpeg's rounding: one sample's differs from two samples' */
      int rounding = ratio_h == 2 ? (x & 1 ? 7 : 8) : (x & 1 ? 8 : 4);
      out[x] = (uint8_t)((3 * COLUMN(i) + COLUMN(beside) + rounding) >> 4);
    }
#undef COLUMN
    return;
  }
  for (int x = 0; x < j->width; x++) out[x] = near[x * c->h / j->h_most];
}

static picture jpeg_pixels(jpeg *j) {
  for (int i = 0; i < j->parts; i++) {
    component *c = &j->part[i];
    int stride = c->stored_w * 8;
    c->pixels = heap_take((size_t)stride * (size_t)c->stored_h * 8);
    if (!c->pixels) return no_picture("there is too little memory for the picture");
    for (int y = 0; y < c->stored_h; y++)
      for (int x = 0; x < c->stored_w; x++)
        block_to_pixels(c->coefficients + ((size_t)y * (size_t)c->stored_w + (size_t)x) * 64, j->quants[c->quant],
                        c->pixels + (size_t)y * 8 * (size_t)stride + x * 8, stride);
  }
  uint8_t *rgb = heap_take((size_t)j->width * (size_t)j->height * 3), *rows[4];
  for (int i = 0; i < 4; i++) rows[i] = heap_take((size_t)j->width + 16);
  if (!rgb || !rows[3]) return no_picture("there is too little memory for the picture");
  int plain = j->parts == 1, coded = j->parts == 3 ? j->adobe != 0 : j->adobe == 2;
  if (j->parts == 3 && j->adobe < 0 && j->part[0].id == 'R' && j->part[1].id == 'G') coded = 0;
  for (int y = 0; y < j->height; y++) {
    for (int i = 0; i < j->parts; i++) full_row(j, &j->part[i], y, rows[i]);
    for (int x = 0; x < j->width; x++) {
      uint8_t *to = rgb + ((size_t)y * (size_t)j->width + (size_t)x) * 3;
      int a = rows[0][x], b = rows[1][x], c = rows[2][x];
      if (plain) b = c = a;
      if (coded) {
        int blue = b - 128, red = c - 128;
        b = clipped(a + ((-22554 * blue - 46802 * red + 32768) >> 16));
        c = clipped(a + ((116130 * blue + 32768) >> 16));
        a = clipped(a + ((91881 * red + 32768) >> 16));
      }
      if (j->parts == 4) { /* inks, written by Adobe as what is left of the light */
        int key = rows[3][x];
        if (j->adobe < 0) a = 255 - a, b = 255 - b, c = 255 - c, key = 255 - key;
        a = (a * key + 127) / 255, b = (b * key + 127) / 255, c = (c * key + 127) / 255;
      }
      to[0] = (uint8_t)a, to[1] = (uint8_t)b, to[2] = (uint8_t)c;
    }
  }
  return upright((picture){j->width, j->height, rgb, NULL}, j->orientation);
}

static int read_frame(jpeg *j, const uint8_t *p, int size) {
  if (size < 6 || p[0] != 8) return 0;
  j->height = big16(p + 1), j->width = big16(p + 3), j->parts = p[5];
  if (!j->width || !j->height || (j->parts != 1 && j->parts != 3 && j->parts != 4)) return 0;
  if (size < 6 + 3 * j->parts || (int64_t)j->width * j->height > MAX_PIXELS) return 0;
  for (int i = 0; i < j->parts; i++) {
    component *c = &j->part[i];
    c->id = p[6 + 3 * i], c->h = p[7 + 3 * i] >> 4, c->v = p[7 + 3 * i] & 15, c->quant = p[8 + 3 * i] & 3;
    if (!c->h || !c->v || c->h > 4 || c->v > 4) return 0;
    j->h_most = max_int(j->h_most, c->h), j->v_most = max_int(j->v_most, c->v);
  }
  for (int i = 0; i < j->parts; i++) {
    component *c = &j->part[i];
    int units_w = (j->width + 8 * j->h_most - 1) / (8 * j->h_most);
    int units_h = (j->height + 8 * j->v_most - 1) / (8 * j->v_most);
    c->blocks_w = ((j->width * c->h + j->h_most - 1) / j->h_most + 7) / 8;
    c->blocks_h = ((j->height * c->v + j->v_most - 1) / j->v_most + 7) / 8;
    c->stored_w = units_w * c->h, c->stored_h = units_h * c->v;
    c->coefficients = heap_take((size_t)c->stored_w * (size_t)c->stored_h * 128);
    if (!c->coefficients) return 0;
  }
  return 1;
}

static int read_tables(jpeg *j, int marker, const uint8_t *p, int size) {
  while (size > 0) {
    int kind = p[0] >> 4, number = p[0] & 3;
    if (marker == 0xdb) {
      int wide = kind != 0, bytes = 64 << wide;
      if (size < 1 + bytes) return 0;
      for (int i = 0; i < 64; i++)
        j->quants[number][zigzag[i]] = (uint16_t)(wide ? big16(p + 1 + 2 * i) : p[1 + i]);
      p += 1 + bytes, size -= 1 + bytes;
    } else {
      int total = 0;
      if (size < 17 || kind > 1) return 0;
      for (int i = 0; i < 16; i++) total += p[1 + i];
      if (total > 256 || size < 17 + total) return 0;
      if (!define_huffman(kind ? &j->ac[number] : &j->dc[number], p + 1, p + 17, total)) return 0;
      p += 17 + total, size -= 17 + total;
    }
  }
  return 1;
}

static int scan_header(jpeg *j, const uint8_t *p, int size, scan *s) {
  if (size < 1) return 0;
  s->count = p[0];
  if (s->count < 1 || s->count > j->parts || size < 4 + 2 * s->count) return 0;
  for (int i = 0; i < s->count; i++) {
    int found = -1;
    for (int k = 0; k < j->parts; k++)
      if (j->part[k].id == p[1 + 2 * i]) found = k;
    if (found < 0) return 0;
    s->part[i] = found;
    j->part[found].dc_table = p[2 + 2 * i] >> 4 & 3;
    j->part[found].ac_table = p[2 + 2 * i] & 3;
  }
  p += 1 + 2 * s->count;
  s->start = p[0], s->end = p[1], s->high = p[2] >> 4, s->low = p[2] & 15;
  if (!j->progressive) s->start = 0, s->end = 63, s->high = s->low = 0;
  if (s->start > s->end || s->end > 63 || s->low > 13 || (s->start && s->count != 1)) return 0;
  for (int i = 0; i < s->count; i++) {
    component *c = &j->part[s->part[i]];
    int needs_dc = s->start == 0 && s->high == 0, needs_ac = s->end > 0;
    if ((needs_dc && !j->dc[c->dc_table].known) || (needs_ac && !j->ac[c->ac_table].known)) return 0;
  }
  return 1;
}

/* EXIF's orientation in an APP1 segment; 1 where it says none. */
static int orientation_of(const uint8_t *p, int size) {
  if (size < 14 || __builtin_memcmp(p, "Exif\0\0", 6)) return 1;
  p += 6, size -= 6;
  int little = p[0] == 'I';
#define HALF(at) (little ? p[at] | p[(at) + 1] << 8 : big16(p + (at)))
  int64_t at = little ? (uint32_t)HALF(4) | (uint32_t)HALF(6) << 16 : (uint32_t)HALF(4) << 16 | (uint32_t)HALF(6);
  if (at + 2 > size) return 1;
  int count = HALF(at);
  for (int i = 0; i < count && at + 2 + 12 * (i + 1) <= size; i++)
    if (HALF(at + 2 + 12 * i) == 0x0112) return HALF(at + 2 + 12 * i + 8);
#undef HALF
  return 1;
}

static picture decode_jpeg(const uint8_t *data, int size) {
  jpeg *j = heap_take(sizeof *j);
  const char *damaged = "the JPEG is damaged, or of a kind that is not read";
  if (!j) return no_picture("there is too little memory for the picture");
  j->at = data + 2, j->end = data + size, j->adobe = -1, j->orientation = 1;
  for (;;) {
    while (j->at + 1 < j->end && !(j->at[0] == 0xff && j->at[1] != 0 && j->at[1] != 0xff)) j->at++;
    if (j->at + 1 >= j->end) return no_picture("the JPEG ends too early");
    int marker = j->at[1];
    j->at += 2;
    if (marker == 0xd9) break;
    if (marker == 0xd8 || marker == 1 || (marker >= 0xd0 && marker <= 0xd7)) continue;
    if (j->end - j->at < 2) return no_picture("the JPEG ends too early");
    int length = big16(j->at) - 2;
    const uint8_t *p = j->at + 2;
    if (length < 0 || length > j->end - p) return no_picture("the JPEG ends too early");
    j->at = p + length;
    if (marker == 0xdb || marker == 0xc4) {
      if (!read_tables(j, marker, p, length)) return no_picture(damaged);
    } else if (marker == 0xc0 || marker == 0xc1 || marker == 0xc2) {
      j->progressive = marker == 0xc2;
      if (j->parts || !read_frame(j, p, length)) return no_picture(damaged);
    } else if (marker >= 0xc3 && marker <= 0xcf) {
      return no_picture(damaged);
    } else if (marker == 0xdd && length >= 2) {
      j->restart = big16(p);
    } else if (marker == 0xe1) {
      int found = orientation_of(p, length);
      if (j->orientation == 1) j->orientation = found;
    } else if (marker == 0xee && length >= 12 && !__builtin_memcmp(p, "Adobe", 5)) {
      j->adobe = p[11];
    } else if (marker == 0xda) {
      scan s;
      if (!j->parts || !scan_header(j, p, length, &s)) return no_picture(damaged);
      if (!read_scan(j, &s)) return no_picture("the JPEG ends too early, or is damaged");
    }
  }
  if (!j->parts) return no_picture(damaged);
  return jpeg_pixels(j);
}

#endif
