// English text to phonemes: a dictionary first, then a network that spells out what is not in it.
#ifndef PHONEMES_H
#define PHONEMES_H

#include <stddef.h>

// The dictionary: lines "word<TAB>phonemes", sorted by their bytes. 0 where it cannot be read.
int words_open(const char *path);

// Asked for a word that is not in the dictionary; gives its phonemes in UTF-8.
typedef void (*speller)(const char *word, char *phonemes, size_t room);

// One sentence's phonemes in UTF-8, "" where there is nothing to say.
void phonemes_of(const char *sentence, speller spell, char *phonemes, size_t room);

#endif
