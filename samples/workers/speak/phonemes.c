#include "phonemes.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORD = 128, PHONEMES = 512 };

static char *words, *words_end;

int words_open(const char *path) {
  struct stat about;
  int file = open(path, O_RDONLY);
  if (file < 0 || fstat(file, &about) != 0) return 0;
  words = malloc(about.st_size + 1);
  words_end = words;
  for (ssize_t got; words != NULL && words_end - words < about.st_size
       && (got = read(file, words_end, about.st_size - (words_end - words))) > 0;)
    words_end += got;
  close(file);
  if (words == NULL || words_end == words) return 0;
  *words_end = '\n';
  return 1;
}

// Halves the dictionary until one line is left.
static int look_up(const char *word, char *phonemes, size_t room) {
  size_t length = strlen(word);
  for (char *low = words, *high = words_end; low < high;) {
    char *line = low + (high - low) / 2;
    while (line > low && line[-1] != '\n') line--;
    char *end = memchr(line, '\n', words_end + 1 - line), *tab = memchr(line, '\t', end - line);
    if (tab == NULL) return 0;
    size_t size = tab - line, common = size < length ? size : length;
    int order = memcmp(word, line, common);
    if (order == 0) order = (length > size) - (length < size);
    if (order == 0) {
      snprintf(phonemes, room, "%.*s", (int)(end - tab - 1), tab + 1);
      return 1;
    }
    if (order < 0) high = line; else low = end + 1;
  }
  return 0;
}

static int ends(const char *text, const char *end) {
  size_t n = strlen(text), m = strlen(end);
  return n >= m && strcmp(text + n - m, end) == 0;
}

static int ends_in_one_of(const char *text, const char *ends_in) {
  char end[8];
  while (sscanf(ends_in, "%7s", end) == 1) {
    if (ends(text, end)) return 1;
    ends_in = strstr(ends_in, end) + strlen(end);
  }
  return 0;
}

// "cats", "dogs", "horses": the word without its s, and the sound that the s has after it.
static int plural(const char *word, char *phonemes, size_t room) {
  char stem[WORD];
  size_t n = strlen(word);
  if (n < 3 || n >= WORD || word[n - 1] != 's' || word[n - 2] == 's') return 0;
  strcpy(stem, word);
  stem[n - 1] = '\0';
  if (ends(stem, "'")) stem[n - 2] = '\0';
  if (!look_up(stem, phonemes, room)) {
    if (!ends(word, "es")) return 0;
    stem[n - 2] = '\0';
    if (!look_up(stem, phonemes, room)) return 0;
  }
  const char *sound = "z";
  if (ends_in_one_of(phonemes, "p t k f θ")) sound = "s";
  if (ends_in_one_of(phonemes, "s z ʃ ʒ ʧ ʤ")) sound = "ᵻz";
  strncat(phonemes, sound, room - strlen(phonemes) - 1);
  return 1;
}

static int past(const char *word, char *phonemes, size_t room) {
  char stem[WORD];
  size_t n = strlen(word);
  if (n < 4 || n >= WORD || !ends(word, "ed")) return 0;
  strcpy(stem, word);
  stem[n - 1] = '\0';
  if (!look_up(stem, phonemes, room)) {
    stem[n - 2] = '\0';
    if (!look_up(stem, phonemes, room)) return 0;
  }
  const char *sound = "d";
  if (ends_in_one_of(phonemes, "p k f θ ʃ s ʧ")) sound = "t";
  if (ends_in_one_of(phonemes, "t d")) sound = "ᵻd";
  strncat(phonemes, sound, room - strlen(phonemes) - 1);
  return 1;
}

static int going(const char *word, char *phonemes, size_t room) {
  char stem[WORD];
  size_t n = strlen(word);
  if (n < 5 || n >= WORD - 1 || !ends(word, "ing")) return 0;
  strcpy(stem, word);
  stem[n - 3] = '\0';
  if (!look_up(stem, phonemes, room)) {
    strcpy(stem + n - 3, "e");
    if (!look_up(stem, phonemes, room)) return 0;
  }
  strncat(phonemes, "ɪŋ", room - strlen(phonemes) - 1);
  return 1;
}

// Words whose sound depends on what follows: `next` is the word after it.
static int small_word(const char *word, const char *next, char *phonemes, size_t room) {
  int vowel = next != NULL && strchr("aeiouAEIOU", *next) != NULL;
  const char *found = NULL;
  if (strcmp(word, "a") == 0) found = "ɐ";
  if (strcmp(word, "an") == 0) found = "ɐn";
  if (strcmp(word, "the") == 0) found = vowel ? "ði" : "ðə";
  if (strcmp(word, "to") == 0 && next != NULL) found = vowel ? "tʊ" : "tə";
  if (strcmp(word, "in") == 0 && next != NULL) found = "ɪn";
  if (strcmp(word, "i") == 0) found = "ˌI";
  if (found == NULL) return 0;
  snprintf(phonemes, room, "%s", found);
  return 1;
}

static void say_word(const char *word, const char *next, speller spell, char *phonemes,
                     size_t room) {
  char small[WORD];
  snprintf(small, sizeof small, "%s", word);
  for (char *c = small; *c; c++) *c = tolower((unsigned char)*c);
  if (small_word(small, next, phonemes, room) || look_up(word, phonemes, room)
      || look_up(small, phonemes, room) || plural(small, phonemes, room)
      || past(small, phonemes, room) || going(small, phonemes, room))
    return;
  phonemes[0] = '\0';
  spell(word, phonemes, room);
}

static void append(char *text, size_t room, const char *more) {
  strncat(text, more, room - strlen(text) - 1);
}

// A number below a thousand, or what is left of one, in words.
static void count_small(unsigned n, char *text, size_t room) {
  static const char *const ones[] = {
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen"};
  static const char *const tens[] = {
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"};
  if (n >= 100) {
    append(text, room, ones[n / 100]);
    append(text, room, " hundred ");
    if ((n %= 100) == 0) return;
  }
  if (n >= 20) {
    append(text, room, tens[n / 10]);
    append(text, room, " ");
    if ((n %= 10) == 0) return;
  }
  append(text, room, ones[n]);
  append(text, room, " ");
}

// Digits as words: a number, or digit by digit where it is too long or begins with a zero.
static void count(const char *digits, size_t length, char *text, size_t room) {
  static const struct { unsigned size; const char *name; } steps[] = {
    {1000000000, "billion "}, {1000000, "million "}, {1000, "thousand "}};
  if (length > 9 || (length > 1 && digits[0] == '0')) {
    for (size_t at = 0; at < length; at++) count_small(digits[at] - '0', text, room);
    return;
  }
  unsigned n = strtoul(digits, NULL, 10), whole = n;
  for (size_t step = 0; step < 3; step++)
    if (n >= steps[step].size) {
      count_small(n / steps[step].size, text, room);
      append(text, room, steps[step].name);
      n %= steps[step].size;
    }
  if (n > 0 || whole == 0) count_small(n, text, room);
}

// The sentence with its numbers and a few signs as words; other bytes stay.
static void spelled_out(const char *sentence, char *text, size_t room) {
  static const struct { char sign; const char *words; } signs[] = {
    {'%', " percent "}, {'&', " and "}, {'+', " plus "}, {'@', " at "}, {'=', " equals "},
    {'$', " dollars "}};
  text[0] = '\0';
  for (const char *c = sentence; *c;) {
    size_t length = strspn(c, "0123456789");
    if (length > 0) {
      char digits[32];
      snprintf(digits, sizeof digits, "%.*s", (int)(length < 31 ? length : 31), c);
      append(text, room, " ");
      count(digits, strlen(digits), text, room);
      c += length;
      if (*c == '.' && isdigit((unsigned char)c[1])) {
        append(text, room, "point ");
        for (c++; isdigit((unsigned char)*c); c++) count_small(*c - '0', text, room);
      }
      continue;
    }
    const char *said = NULL;
    for (size_t n = 0; n < sizeof signs / sizeof *signs; n++)
      if (*c == signs[n].sign) said = signs[n].words;
    char one[2] = {*c++, '\0'};
    append(text, room, said != NULL ? said : one);
  }
}

// Letters of a word; bytes of other alphabets count as letters, for the network to spell.
static int in_word(const char *c) {
  unsigned char byte = *c;
  return isalpha(byte) || byte >= 0x80 || (*c == '\'' && isalpha((unsigned char)c[1]));
}

void phonemes_of(const char *sentence, speller spell, char *phonemes, size_t room) {
  size_t size = strlen(sentence) * 24 + 64;
  char *text = malloc(size);
  phonemes[0] = '\0';
  if (text == NULL) return;
  spelled_out(sentence, text, size);
  for (char *c = text; *c;) {
    size_t length = 0;
    while (in_word(c + length)) length++;
    if (length == 0) {
      // of the signs the model knows these; anything else is a pause between words
      char sign[2] = {strchr(";:,.!?", *c) != NULL ? *c : ' ', '\0'};
      size_t said = strlen(phonemes);
      if (sign[0] != ' ' && said > 0 && phonemes[said - 1] == ' ') phonemes[said - 1] = '\0';
      if (said > 0 && (sign[0] != ' ' || phonemes[said - 1] != ' ')) append(phonemes, room, sign);
      c++;
      continue;
    }
    char word[WORD], sound[PHONEMES];
    snprintf(word, sizeof word, "%.*s", (int)(length < WORD - 1 ? length : WORD - 1), c);
    c += length;
    const char *next = *c == ' ' && in_word(c + 1) ? c + 1 : NULL;
    say_word(word, next, spell, sound, sizeof sound);
    append(phonemes, room, sound);
  }
  free(text);
}
