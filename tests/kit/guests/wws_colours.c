// A Wasm Workers Server worker of 2023: a request as JSON on stdin, a response on stdout.
//
// The picture (an uncompressed BMP) is base64 in the body. As hosts of that time want it, the
// dims say N,C,H,W and the bytes are H x W x C. GET answers with a page. With
// [vars] SAVE_TO in its manifest the worker keeps each picture there. Nothing in it knows of
// wasmlrun.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wasi_nn_2021.h"

#define SIDE 4

static const char *const LABELS[] = {"red", "green", "blue", "bright", "dark"};

static void respond(int status, const char *type, const char *data) {
  printf("{\"data\":\"%s\",\"headers\":{\"content-type\":\"%s\"},\"status\":%d,\"kv\":{},"
         "\"base64\":false}",
         data, type, status);
  exit(0);
}

static void check(int error, const char *what) {
  if (error == 0) return;
  // as a Rust worker's unwrap would
  fprintf(stderr, "%s: %d\n", what, error);
  abort();
}

static char *read_request(void) {
  size_t size = 0, capacity = 1 << 16, got;
  char *text = malloc(capacity);
  while ((got = fread(text + size, 1, capacity - size - 1, stdin)) > 0) {
    size += got;
    if (capacity - size < 2) text = realloc(text, capacity *= 2);
  }
  text[size] = 0;
  return text;
}

// The value of a string member; base64 and paths need no unescaping.
static char *member(const char *text, const char *name) {
  char key[32];
  snprintf(key, sizeof key, "\"%s\"", name);
  const char *at = strstr(text, key);
  if (at == NULL) return "";
  const char *from = strchr(at + strlen(key), '"') + 1;
  return strndup(from, strchr(from, '"') - from);
}

static size_t from_base64(const char *text, uint8_t *out) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  uint32_t bits = 0, count = 0;
  size_t size = 0;
  for (; *text && *text != '='; text++) {
    bits = bits << 6 | (uint32_t)(strchr(digits, *text) - digits);
    if ((count += 6) >= 8) out[size++] = bits >> (count -= 8);
  }
  return size;
}

static void save(const uint8_t *image, size_t size) {
  const char *folder = getenv("SAVE_TO");
  if (folder == NULL) return;
  char path[256];
  snprintf(path, sizeof path, "%s/image.bmp", folder);
  FILE *file = fopen(path, "wb");
  if (file == NULL) {
    perror(path);
    abort();
  }
  fwrite(image, 1, size, file);
  fclose(file);
}

// Nearest pixels of a bottom-up 24-bit BMP, RGB in rows from the top.
static void shrink(const uint8_t *bmp, uint8_t *pixels) {
  uint32_t start, width, height;
  memcpy(&start, bmp + 10, 4);
  memcpy(&width, bmp + 18, 4);
  memcpy(&height, bmp + 22, 4);
  uint32_t row = (width * 3 + 3) & ~3u;
  for (uint32_t y = 0; y < SIDE; y++)
    for (uint32_t x = 0; x < SIDE; x++) {
      const uint8_t *bgr =
          bmp + start + (height - 1 - y * height / SIDE) * row + x * width / SIDE * 3;
      for (int c = 0; c < 3; c++) *pixels++ = bgr[2 - c];
    }
}

int main(void) {
  char *request = read_request();
  if (strcmp(member(request, "method"), "POST") != 0)
    respond(200, "text/html", "<p>send a picture</p>");
  const char *body = member(request, "body");
  uint8_t *image = malloc(strlen(body) + 4);
  size_t size = from_base64(body, image);
  if (size < 54 || memcmp(image, "BM", 2) != 0)
    respond(400, "text/plain", "not a BMP");
  save(image, size);

  uint8_t pixels[SIDE * SIDE * 3];
  shrink(image, pixels);
  uint32_t graph, context, written, dims[] = {1, 3, SIDE, SIDE};
  float scores[5];
  check(nn_load_by_name("colours", 7, &graph), "load_by_name");
  check(nn_init_execution_context(graph, &context), "init_execution_context");
  tensor input = {dims, 4, U8, pixels, sizeof pixels};
  check(nn_set_input(context, 0, &input), "set_input");
  check(nn_compute(context), "compute");
  check(nn_get_output(context, 0, scores, sizeof scores, &written), "get_output");

  char data[512] = "{\\\"data\\\":[";
  for (int i = 0; i < 5; i++)
    snprintf(data + strlen(data), 64, "%s[\\\"%s\\\",%.4f]", i ? "," : "", LABELS[i], scores[i]);
  strcat(data, "]}");
  respond(200, "application/json", data);
}
