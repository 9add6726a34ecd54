// A language model at work: a text is gone on with, a person is answered, a text becomes a vector.
//
//   talk complete MODEL PROMPT     the text that follows, as it comes
//   talk chat MODEL                answers each line of stdin
//   talk embed MODEL TEXT          a vector as JSON
#include "llm.h"

// Chat models are told by marks who speaks; these are ChatML's.
#define TURN "<|im_start|>%s\n%s<|im_end|>\n"
#define ANSWER "<|im_start|>assistant\n"

// Generates to the end of the text, shows it, and keeps it behind `kept` if there is room.
static void tell(uint32_t context, char *kept, size_t room) {
  char piece[256];
  uint32_t size, error;
  while ((error = llm_compute_single(context)) == LLM_OK) {
    llm_check(llm_get_output_single(context, 0, piece, sizeof piece - 1, &size), "reading");
    piece[size] = '\0';
    fputs(piece, stdout);
    fflush(stdout);
    if (kept != NULL && strlen(kept) + size < room) strcat(kept, piece);
  }
  puts("");
  if (error == LLM_CONTEXT_FULL || error == LLM_PROMPT_TOO_LONG)
    fprintf(stderr, "the conversation is too long for the model\n");
  else if (error != LLM_END)
    llm_check(error, "generating");
  llm_fini_single(context);
}

static void chat(uint32_t context) {
  static char history[1 << 16], line[4096], turn[4096 + 64];
  snprintf(history, sizeof history, TURN, "system", "You are a helpful assistant.");
  while (fgets(line, sizeof line, stdin) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    if (line[0] == '\0') continue;
    int size = snprintf(turn, sizeof turn, TURN ANSWER, "user", line);
    if (strlen(history) + size >= sizeof history) {
      fprintf(stderr, "the conversation is too long\n");
      return;
    }
    strcat(history, turn);
    llm_prompt(context, history);
    tell(context, history, sizeof history);
    strncat(history, "<|im_end|>\n", sizeof history - strlen(history) - 1);
  }
}

static void embed(uint32_t context, const char *text) {
  static char vector[1 << 20];
  uint32_t size;
  llm_prompt(context, text);
  llm_check(llm_compute(context), "computing");
  llm_check(llm_get_output(context, 0, vector, sizeof vector, &size), "reading");
  fwrite(vector, 1, size, stdout);
  puts("");
}

int main(int count, char **words) {
  const char *what = count > 1 ? words[1] : "";
  if (strcmp(what, "complete") == 0 && count == 4) {
    uint32_t context = llm_start(words[2], "{\"n-predict\": 64, \"temp\": 0, \"ctx-size\": 1024}");
    llm_prompt(context, words[3]);
    tell(context, NULL, 0);
  } else if (strcmp(what, "chat") == 0 && count == 3) {
    chat(llm_start(words[2], "{\"n-predict\": 256, \"temp\": 0, \"ctx-size\": 2048}"));
  } else if (strcmp(what, "embed") == 0 && count == 4) {
    embed(llm_start(words[2], "{\"embedding\": true, \"ctx-size\": 1024}"), words[3]);
  } else {
    fprintf(stderr, "usage: talk complete MODEL PROMPT | talk chat MODEL | talk embed MODEL TEXT\n");
    return 2;
  }
  return 0;
}
