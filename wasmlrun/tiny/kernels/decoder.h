/* Pictures in: JPEG and PNG, made into the tensor that the model takes. */
#ifndef DECODER_H
#define DECODER_H

#include "jpeg.h"
#include "picture.h"
#include "png.h"

static const uint8_t png_magic[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

static int is_jpeg(const uint8_t *data, int size) {
  return size > 3 && data[0] == 0xff && data[1] == 0xd8 && data[2] == 0xff;
}

static int is_png(const uint8_t *data, int size) {
  return size > 8 && !__builtin_memcmp(data, png_magic, 8);
}

static uint8_t *file;

/* Room for a file of so many bytes: write it there, then call decode(). */
EXPORT("picture") void *picture_file(int size) {
  heap_reset();
  file = size > 0 ? heap_take((size_t)size) : NULL;
  return file;
}

/* The file as the input tensor: 0, or a text that says what is wrong. */
EXPORT("decode") const char *decode_file(int size) {
  picture p;
  if (!file) return "there is too little memory for the picture";
  if (is_jpeg(file, size))
    p = decode_jpeg(file, size);
  else if (is_png(file, size))
    p = decode_png(file, size);
  else
    return "this is no JPEG and no PNG";
  if (!p.why) p = fitted(p);
  if (p.why) return p.why;
  to_tensor(p, model_input());
  return NULL;
}

/* The rest of a file whose first bytes were read already. */
static int picture_from_stdin(const uint8_t *start, int count) {
  int size = count, room = max_int((count + 15) & ~15, 1 << 16);
  uint8_t *data = picture_file(room);
  if (data) copy_bytes(data, start, count);
  for (ssize_t n = 1; data && n > 0; size += (int)n) {
    if (size == room) { /* what is taken next follows without a gap */
      uint8_t *more = room < 1 << 29 ? heap_take((size_t)room) : NULL;
      if (more != data + room) data = NULL;
      room *= 2;
    }
    if (!data) break;
    n = read(0, data + size, (size_t)(room - size));
    if (n < 0) n = 0;
  }
  const char *why = data ? decode_file(size) : "there is too little memory for the picture";
  if (!why) return 1;
  complain(why);
  complain("\n");
  return 0;
}

#endif
