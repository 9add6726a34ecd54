// A WASI program that runs one Ruby script: mruby, with WASI-NN, ENV, the standard streams, and
// what a worker that answers requests needs.
//
// The script comes in the variable WASMLRUN_SCRIPT and its name for messages in
// WASMLRUN_SCRIPT_NAME, so it needs no file and no mount. What can be written in Ruby is in
// prelude.rb, json.rb and web.rb.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mruby.h>
#include <mruby/array.h>
#include <mruby/class.h>
#include <mruby/compile.h>
#include <mruby/error.h>
#include <mruby/hash.h>
#include <mruby/irep.h>
#include <mruby/string.h>
#include <mruby/variable.h>

#include "wasi_nn.h"

extern char **environ;
extern const uint8_t corelib[];  // mruby's own Ruby files, compiled
extern const uint8_t prelude[];  // those of its gems, and prelude.rb
void mrb_init_gems_in_c(mrb_state *mrb);  // generated: calls the init function of each gem

// setjmp and longjmp are exceptions in WebAssembly, and this is the one they throw
__asm__(".globl __c_longjmp\n.tagtype __c_longjmp i32\n__c_longjmp:\n");

static void check(mrb_state *mrb, nn_error error, const char *what) {
  if (error == NN_OK) return;
  struct RClass *module = mrb_module_get(mrb, "WasiNN");
  mrb_value arguments[] = {mrb_str_new_cstr(mrb, what), mrb_fixnum_value(error),
                           mrb_str_new_cstr(mrb, nn_error_text(error))};
  mrb_funcall_argv(mrb, mrb_obj_value(module), mrb_intern_lit(mrb, "fail"), 3, arguments);
}

static mrb_value load_by_name(mrb_state *mrb, mrb_value self) {
  const char *name;
  nn_graph graph;
  mrb_get_args(mrb, "z", &name);
  check(mrb, nn_load_by_name(name, &graph), "load_by_name");
  return mrb_fixnum_value(graph);
}

static mrb_value open_graph(mrb_state *mrb, mrb_value self) {
  mrb_int graph;
  nn_context context;
  mrb_get_args(mrb, "i", &graph);
  check(mrb, nn_open(graph, &context), "init_execution_context");
  return mrb_fixnum_value(context);
}

static mrb_value set_input(mrb_state *mrb, mrb_value self) {
  mrb_int context, index, type;
  mrb_value dims, data;
  mrb_get_args(mrb, "iiAiS", &context, &index, &dims, &type, &data);
  uint32_t sizes[16], rank = RARRAY_LEN(dims);
  if (rank > 16) mrb_raise(mrb, E_ARGUMENT_ERROR, "a tensor has at most 16 dimensions");
  for (uint32_t i = 0; i < rank; i++) sizes[i] = mrb_integer(mrb_to_int(mrb, RARRAY_PTR(dims)[i]));
  nn_tensor tensor = {sizes, rank, (uint8_t)type, RSTRING_PTR(data), RSTRING_LEN(data)};
  check(mrb, nn_set_input(context, index, tensor), "set_input");
  return mrb_nil_value();
}

static mrb_value compute(mrb_state *mrb, mrb_value self) {
  mrb_int context;
  mrb_get_args(mrb, "i", &context);
  check(mrb, nn_compute(context), "compute");
  return mrb_nil_value();
}

static mrb_value get_output(mrb_state *mrb, mrb_value self) {
  mrb_int context, index;
  void *data;
  uint32_t size;
  mrb_get_args(mrb, "ii", &context, &index);
  check(mrb, nn_get_output(context, index, &data, &size), "get_output");
  mrb_value bytes = mrb_str_new(mrb, data, size);
  free(data);
  return bytes;
}

static mrb_value read_file(mrb_state *mrb, mrb_value self) {
  const char *path;
  mrb_get_args(mrb, "z", &path);
  FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
  if (file == NULL) mrb_raisef(mrb, E_RUNTIME_ERROR, "cannot read %s", path);
  size_t size = 0, capacity = 1 << 18, got;
  char *data = malloc(capacity);
  while (data != NULL && (got = fread(data + size, 1, capacity - size, file)) > 0) {
    size += got;
    if (size == capacity) data = realloc(data, capacity *= 2);
  }
  if (file != stdin) fclose(file);
  if (data == NULL) mrb_raisef(mrb, E_RUNTIME_ERROR, "%s is too large", path);
  mrb_value bytes = mrb_str_new(mrb, data, size);
  free(data);
  return bytes;
}

// A script that answers requests: its stdout is the response, so what it prints goes to stderr.
static int answers;

static mrb_value respond(mrb_state *mrb, mrb_value self) {
  char *data;
  mrb_int size;
  mrb_get_args(mrb, "s", &data, &size);
  fwrite(data, 1, size, stdout);
  return mrb_nil_value();
}

static mrb_value is_text(mrb_state *mrb, mrb_value self) {
  char *data;
  mrb_int size;
  mrb_get_args(mrb, "s", &data, &size);
  for (mrb_int i = 0; i < size;) {
    uint8_t first = data[i];
    int more = first < 0x80 ? 0 : first < 0xc2 ? -1 : first < 0xe0 ? 1 : first < 0xf0 ? 2
             : first < 0xf5 ? 3 : -1;
    if (more < 0 || i + more >= size) return mrb_false_value();
    for (int k = 1; k <= more; k++)
      if ((data[i + k] & 0xc0) != 0x80) return mrb_false_value();
    uint8_t second = more > 0 ? data[i + 1] : 0;
    // too long a form, a surrogate, or beyond the last character
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
      return mrb_false_value();
    i += more + 1;
  }
  return mrb_true_value();
}

static mrb_value write_stream(mrb_state *mrb, mrb_value self) {
  mrb_int number;
  char *data;
  mrb_int size;
  mrb_get_args(mrb, "is", &number, &data, &size);
  fwrite(data, 1, size, number == 2 || answers ? stderr : stdout);
  return mrb_nil_value();
}

static void define_host(mrb_state *mrb) {
  struct RClass *host = mrb_define_module(mrb, "WasiNN");
  mrb_define_module_function(mrb, host, "__load_by_name", load_by_name, MRB_ARGS_REQ(1));
  mrb_define_module_function(mrb, host, "__open", open_graph, MRB_ARGS_REQ(1));
  mrb_define_module_function(mrb, host, "__set_input", set_input, MRB_ARGS_REQ(5));
  mrb_define_module_function(mrb, host, "__compute", compute, MRB_ARGS_REQ(1));
  mrb_define_module_function(mrb, host, "__get_output", get_output, MRB_ARGS_REQ(2));
  mrb_define_module_function(mrb, host, "__read", read_file, MRB_ARGS_REQ(1));
  mrb_define_module_function(mrb, host, "__write", write_stream, MRB_ARGS_REQ(2));
  mrb_define_module_function(mrb, host, "__answer", respond, MRB_ARGS_REQ(1));
  mrb_define_module_function(mrb, host, "__text?", is_text, MRB_ARGS_REQ(1));
  mrb_value variables = mrb_hash_new(mrb);
  for (char **entry = environ; *entry != NULL; entry++) {
    const char *value = strchr(*entry, '=');
    if (value == NULL || strncmp(*entry, "WASMLRUN_SCRIPT", 15) == 0) continue;
    mrb_hash_set(mrb, variables, mrb_str_new(mrb, *entry, value - *entry),
                 mrb_str_new_cstr(mrb, value + 1));
  }
  mrb_define_global_const(mrb, "ENV", variables);
}

// Called while the interpreter is opened, in this order: the gems need mruby's own classes.
void mrb_init_mrblib(mrb_state *mrb) { mrb_load_irep(mrb, corelib); }

void mrb_init_mrbgems(mrb_state *mrb) {
  mrb_init_gems_in_c(mrb);
  define_host(mrb);
  mrb_load_irep(mrb, prelude);
}

static mrb_value call_worker(mrb_state *mrb, void *main_object) {
  mrb_value module = mrb_obj_value(mrb_module_get(mrb, "WasiNN"));
  return mrb_funcall_argv(mrb, module, mrb_intern_lit(mrb, "__respond"), 1, main_object);
}

int main(int count, char **arguments) {
  const char *script = getenv("WASMLRUN_SCRIPT"), *name = getenv("WASMLRUN_SCRIPT_NAME");
  if (script == NULL) {
    fputs("WASMLRUN_SCRIPT is not set: this program runs scripts for wasmlrun\n", stderr);
    return 2;
  }
  mrb_state *mrb = mrb_open();
  if (mrb == NULL || mrb->exc != NULL) {
    if (mrb != NULL) mrb_print_error(mrb);
    return 2;
  }
  mrb_value list = mrb_ary_new(mrb);
  for (int i = 1; i < count; i++) mrb_ary_push(mrb, list, mrb_str_new_cstr(mrb, arguments[i]));
  mrb_define_global_const(mrb, "ARGV", list);
  mrb_ccontext *context = mrb_ccontext_new(mrb);
  context->capture_errors = FALSE;
  mrb_ccontext_filename(mrb, context, name != NULL ? name : "script.rb");
  answers = strncmp(script, "def worker", 10) == 0 || strstr(script, "\ndef worker") != NULL;
  mrb_load_string_cxt(mrb, script, context);
  mrb_value main_object = mrb_top_self(mrb);
  if (mrb->exc == NULL && answers &&
      mrb_respond_to(mrb, main_object, mrb_intern_lit(mrb, "worker"))) {
    // errors are kept in the state, as those of the script
    mrb_bool failed = FALSE;
    mrb_value result = mrb_protect_error(mrb, call_worker, &main_object, &failed);
    if (failed) mrb->exc = mrb_obj_ptr(result);
  }
  if (mrb->exc != NULL) {
    fflush(stdout);
    mrb_value raised = mrb_obj_value(mrb->exc);
    if (mrb_obj_is_kind_of(mrb, raised, mrb_class_get(mrb, "SystemExit"))) {
      mrb_value status = mrb_iv_get(mrb, raised, mrb_intern_lit(mrb, "status"));
      return mrb_integer_p(status) ? (int)(mrb_integer(status) & 0xff) : 0;
    }
    mrb_print_error(mrb);
    return 1;
  }
  return fflush(stdout) == 0 ? 0 : 1;
}
