// Text on stdin, speech as a WAV file on stdout. Two models: one spells words that are not in the
// dictionary, the other is the voice.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "phonemes.h"
#include "sound.h"
#include "wasi_nn.h"

enum { MOST_TEXT = 1 << 16, MOST_PHONEMES = 1600, LONGEST_WORD = 24 };

static void fail(const char *what, const char *why) {
  fprintf(stderr, "speak: %s: %s\n", what, why);
  exit(1);
}

static void check(nn_error error, const char *what) {
  if (error != NN_OK) fail(what, nn_error_text(error));
}

static nn_context opened(const char *name) {
  nn_graph graph;
  nn_context context;
  check(nn_load_by_name(name, &graph), name);
  check(nn_open(graph, &context), name);
  return context;
}

// --- spelling: letters by number in, phonemes by number out ---

static nn_context spelling;

static void spell(const char *word, char *phonemes, size_t room) {
  static const char *const sounds[] = {
    " ", "(", ")", "-", "1", "A", "I", "O", "T", "W", "Y", "a", "b", "d", "f", "h", "i", "j", "k",
    "l", "m", "n", "p", "s", "t", "u", "v", "w", "y", "z", "æ", "ð", "ŋ", "ɑ", "ɔ", "ə", "ɛ", "ɜ",
    "ɡ", "ɪ", "ɹ", "ʀ", "ʃ", "ʊ", "ʌ", "ʒ", "ʤ", "ʧ", "ˈ", "ˌ", "θ", "ᵊ", "ᵻ"};
  int64_t letters[LONGEST_WORD];
  uint32_t count = 0, size = 0;
  for (const char *c = word; *c && count < LONGEST_WORD; c++) {
    if (*c >= 'A' && *c <= 'Z') letters[count++] = *c - 'A' + 1;
    if (*c >= 'a' && *c <= 'z') letters[count++] = *c - 'a' + 28;
  }
  if (count == 0) return;
  uint32_t dims[] = {1, count};
  void *data = NULL;
  check(nn_set_input(spelling, 0, (nn_tensor){dims, 2, NN_I64, letters, count * 8}), "spelling");
  check(nn_compute(spelling), "spelling");
  check(nn_get_output(spelling, 0, &data, &size), "spelling");
  int64_t *numbers = data, before = 0;
  for (uint32_t at = 0; at < size / 8; before = numbers[at++]) {
    int64_t number = numbers[at];
    if (number == before || number < 1 || number > (int64_t)(sizeof sounds / sizeof *sounds))
      continue;
    strncat(phonemes, sounds[number - 1], room - strlen(phonemes) - 1);
  }
  free(data);
}

// --- the voice: phonemes by number in, spectra out ---

static const struct { const char *sound; int number; } NUMBERS[] = {
  {";", 1}, {":", 2}, {",", 3}, {".", 4}, {"!", 5}, {"?", 6}, {" ", 16}, {"A", 24}, {"I", 25},
  {"O", 31}, {"Q", 33}, {"S", 35}, {"T", 36}, {"ɾ", 36}, {"W", 39}, {"Y", 41}, {"ᵊ", 42},
  {"a", 43}, {"b", 44}, {"c", 45}, {"d", 46}, {"e", 47}, {"f", 48}, {"h", 50}, {"i", 51},
  {"j", 52}, {"k", 53}, {"l", 54}, {"m", 55}, {"n", 56}, {"o", 57}, {"p", 58}, {"q", 59},
  {"r", 60}, {"s", 61}, {"t", 62}, {"ʔ", 62}, {"u", 63}, {"v", 64}, {"w", 65}, {"x", 66},
  {"y", 67}, {"z", 68}, {"ɑ", 69}, {"ɐ", 70}, {"ɒ", 71}, {"æ", 72}, {"ɔ", 76}, {"ð", 81},
  {"ʤ", 82}, {"ə", 83}, {"ɚ", 85}, {"ɛ", 86}, {"ɜ", 87}, {"ɡ", 92}, {"ɪ", 102}, {"ŋ", 112},
  {"θ", 119}, {"ɹ", 123}, {"ʃ", 131}, {"ʧ", 133}, {"ʊ", 135}, {"ʌ", 138}, {"ʒ", 147},
  {"ˈ", 156}, {"ˌ", 157}, {"ː", 158}, {"ᵻ", 177}};

static uint32_t numbered(const char *phonemes, int64_t *ids) {
  uint32_t count = 1;
  ids[0] = 0;
  for (const char *c = phonemes; *c;) {
    size_t length = 1;
    for (size_t n = 0; n < sizeof NUMBERS / sizeof *NUMBERS; n++) {
      size_t size = strlen(NUMBERS[n].sound);
      if (strncmp(c, NUMBERS[n].sound, size) != 0) continue;
      ids[count++] = NUMBERS[n].number;
      length = size;
      break;
    }
    c += length;
  }
  ids[count++] = 0;
  return count;
}

static nn_context voice;
static float speed = 1;
static float *samples;
static size_t said;

static const float *fetched(uint32_t index, uint32_t *size) {
  void *data = NULL;
  check(nn_get_output(voice, index, &data, size), "the voice");
  return data;
}

static void say(const char *sentence) {
  static char phonemes[MOST_PHONEMES];
  static int64_t ids[MOST_PHONEMES + 2];
  phonemes_of(sentence, spell, phonemes, sizeof phonemes);
  uint32_t count = numbered(phonemes, ids), dims[] = {1, count}, one[] = {1}, size, pitch;
  if (count < 3) return;
  check(nn_set_input(voice, 0, (nn_tensor){dims, 2, NN_I64, ids, count * 8}), "the voice");
  check(nn_set_input(voice, 1, (nn_tensor){one, 1, NN_F32, &speed, 4}), "the voice");
  check(nn_compute(voice), "the voice");
  speech spoken = {fetched(0, &size), fetched(1, &size), fetched(2, &size),
                   fetched(3, &size), fetched(4, &size), fetched(5, &pitch), 0};
  spoken.frames = pitch / sizeof(float);
  if (size != spoken.frames * BINS * sizeof(float)) fail("the voice", "not the model that is meant");
  size_t more = spoken.frames * HOP;
  samples = realloc(samples, (said + more) * sizeof *samples);
  if (samples == NULL || !synthesise(&spoken, samples + said)) fail("speech", "no memory is left");
  said += more;
  free((void *)spoken.voiced), free((void *)spoken.angle), free((void *)spoken.noise);
  free((void *)spoken.rest), free((void *)spoken.phase), free((void *)spoken.pitch);
}

// --- text in, WAV out ---

// A sentence ends at . ! ? before a space, or at an empty line; a long one at a comma too.
static void say_all(char *text) {
  char *start = text;
  for (char *c = text; *c; c++) {
    int space = c[1] == ' ' || c[1] == '\n' || c[1] == '\0', length = c - start;
    int stop = space && (strchr(".!?", *c) != NULL || (strchr(",;:", *c) != NULL && length > 150));
    if (!stop && !(*c == '\n' && c[1] == '\n') && length < 400) continue;
    char after = c[1];
    c[1] = '\0';
    say(start);
    c[1] = after;
    start = c + 1;
  }
  say(start);
}

static void put(const void *data, size_t size) {
  if (fwrite(data, 1, size, stdout) != size) fail("stdout", "cannot be written");
}

static void put_wav(void) {
  uint32_t bytes = said * 2, head[] = {36 + bytes, 16, RATE, RATE * 2, bytes};
  uint16_t pcm = 1, channels = 1, width = 2, bits = 16;
  put("RIFF", 4), put(&head[0], 4), put("WAVEfmt ", 8), put(&head[1], 4);
  put(&pcm, 2), put(&channels, 2), put(&head[2], 4), put(&head[3], 4);
  put(&width, 2), put(&bits, 2), put("data", 4), put(&head[4], 4);
  for (size_t at = 0; at < said; at++) {
    float value = samples[at] > 1 ? 1 : samples[at] < -1 ? -1 : samples[at];
    int16_t sample = (int16_t)(value * 32767);
    put(&sample, 2);
  }
  if (fflush(stdout) != 0) fail("stdout", "cannot be written");
}

int main(int argc, char **argv) {
  static char text[MOST_TEXT];
  size_t size = 0;
  for (ssize_t got; (got = read(0, text + size, sizeof text - 1 - size)) > 0;) size += got;
  if (size == sizeof text - 1) fail("the text", "is longer than 65,535 bytes");
  if (argc > 1) speed = strtof(argv[1], NULL);
  if (!(speed >= 0.25f && speed <= 4)) fail("the speed", "must be from 0.25 to 4");
  if (!words_open("/voice/hibari-words.txt"))
    fail("/voice/hibari-words.txt", "cannot be read; mount the model's folder: --dir FOLDER:/voice");
  spelling = opened("spelling");
  voice = opened("voice");
  say_all(text);
  if (said == 0) fail("the text", "has nothing to say");
  put_wav();
  return 0;
}
