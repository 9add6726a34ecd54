// A language model behind WASI-NN, for C: the few calls that it has beyond a classifier's.
//
// Input 0 is a prompt, input 1 options as JSON; output 0 is text, output 1 what is told of it.
#ifndef LLM_H
#define LLM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LLM_OK = 0, LLM_END = 100, LLM_CONTEXT_FULL = 101, LLM_PROMPT_TOO_LONG = 102 };

// As the host reads it.
typedef struct {
  const uint32_t *dims;
  uint32_t rank;
  uint8_t type;  // 3 is u8
  const void *data;
  uint32_t size;
} llm_tensor;

#define LLM_IMPORT(name) __attribute__((import_module("wasi_ephemeral_nn"), import_name(name)))
LLM_IMPORT("load_by_name_with_config")
uint32_t llm_load(const char *, uint32_t, const char *, uint32_t, uint32_t *);
LLM_IMPORT("init_execution_context") uint32_t llm_open(uint32_t, uint32_t *);
LLM_IMPORT("set_input") uint32_t llm_set_input(uint32_t, uint32_t, const llm_tensor *);
LLM_IMPORT("compute") uint32_t llm_compute(uint32_t);
LLM_IMPORT("get_output")
uint32_t llm_get_output(uint32_t, uint32_t, void *, uint32_t, uint32_t *);
LLM_IMPORT("compute_single") uint32_t llm_compute_single(uint32_t);
LLM_IMPORT("get_output_single")
uint32_t llm_get_output_single(uint32_t, uint32_t, void *, uint32_t, uint32_t *);
LLM_IMPORT("fini_single") uint32_t llm_fini_single(uint32_t);
#undef LLM_IMPORT

static inline void llm_check(uint32_t error, const char *what) {
  if (error == LLM_OK) return;
  fprintf(stderr, "%s failed: error %u\n", what, error);
  exit(1);
}

// A context of the model that the host knows by this name.
static inline uint32_t llm_start(const char *model, const char *options) {
  uint32_t graph, context;
  llm_check(llm_load(model, strlen(model), options, strlen(options), &graph), "loading the model");
  llm_check(llm_open(graph, &context), "opening a context");
  return context;
}

static inline void llm_prompt(uint32_t context, const char *text) {
  uint32_t size = strlen(text);
  llm_tensor tensor = {&size, 1, 3, text, size};
  llm_check(llm_set_input(context, 0, &tensor), "the prompt");
}

#endif
