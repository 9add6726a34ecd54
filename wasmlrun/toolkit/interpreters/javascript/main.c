// A WASI program that runs one JavaScript module: QuickJS, with WASI-NN and the standard streams.
//
// The script comes in the variable WASMLRUN_SCRIPT and its name for messages in
// WASMLRUN_SCRIPT_NAME, so it needs no file and no mount. What can be written in JavaScript is in wasi_nn.js.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quickjs.h"

#include "wasi_nn.h"

extern char **environ;
extern const uint8_t wasi_nn_js[];  // generated from wasi_nn.js
extern const uint32_t wasi_nn_js_size;

// well below the stack that the linker reserves: recursion ends in a RangeError, not in a trap
enum { JS_STACK = 96 * 1024 };

static JSValue throw_nn(JSContext *js, nn_error error, const char *what) {
  JSValue globals = JS_GetGlobalObject(js);
  JSValue fail = JS_GetPropertyStr(js, globals, "__wasi_nn_error");
  JSValue arguments[] = {JS_NewString(js, what), JS_NewInt32(js, error),
                         JS_NewString(js, nn_error_text(error))};
  JSValue thrown = JS_Call(js, fail, JS_UNDEFINED, 3, arguments);
  JS_FreeValue(js, arguments[0]);
  JS_FreeValue(js, arguments[2]);
  JS_FreeValue(js, fail);
  JS_FreeValue(js, globals);
  return JS_IsException(thrown) ? thrown : JS_Throw(js, thrown);
}

static JSValue load_by_name(JSContext *js, JSValueConst self, int count, JSValueConst *values) {
  const char *name = JS_ToCString(js, values[0]);
  if (name == NULL) return JS_EXCEPTION;
  nn_graph graph;
  nn_error error = nn_load_by_name(name, &graph);
  JS_FreeCString(js, name);
  return error ? throw_nn(js, error, "load_by_name") : JS_NewUint32(js, graph);
}

static JSValue open_graph(JSContext *js, JSValueConst self, int count, JSValueConst *values) {
  uint32_t graph;
  nn_context context;
  if (JS_ToUint32(js, &graph, values[0])) return JS_EXCEPTION;
  nn_error error = nn_open(graph, &context);
  return error ? throw_nn(js, error, "init_execution_context") : JS_NewUint32(js, context);
}

// The bytes behind a Uint8Array or Uint32Array; NULL and an exception when it is none.
static uint8_t *bytes_of(JSContext *js, JSValueConst array, size_t *size) {
  size_t offset, whole;
  JSValue buffer = JS_GetTypedArrayBuffer(js, array, &offset, size, NULL);
  if (JS_IsException(buffer)) return NULL;
  uint8_t *data = JS_GetArrayBuffer(js, &whole, buffer);
  JS_FreeValue(js, buffer);  // the array still holds it
  return data == NULL ? NULL : data + offset;
}

static JSValue set_input(JSContext *js, JSValueConst self, int count, JSValueConst *values) {
  uint32_t context, index, type;
  size_t dims_size, size;
  if (JS_ToUint32(js, &context, values[0]) || JS_ToUint32(js, &index, values[1]) ||
      JS_ToUint32(js, &type, values[3]))
    return JS_EXCEPTION;
  const uint8_t *dims = bytes_of(js, values[2], &dims_size);
  const uint8_t *data = dims == NULL ? NULL : bytes_of(js, values[4], &size);
  if (data == NULL) return JS_EXCEPTION;
  nn_tensor tensor = {(const uint32_t *)dims, dims_size / 4, type, data, size};
  nn_error error = nn_set_input(context, index, tensor);
  return error ? throw_nn(js, error, "set_input") : JS_UNDEFINED;
}

static JSValue compute(JSContext *js, JSValueConst self, int count, JSValueConst *values) {
  uint32_t context;
  if (JS_ToUint32(js, &context, values[0])) return JS_EXCEPTION;
  nn_error error = nn_compute(context);
  return error ? throw_nn(js, error, "compute") : JS_UNDEFINED;
}

static JSValue get_output(JSContext *js, JSValueConst self, int count, JSValueConst *values) {
  uint32_t context, index, size;
  void *data;
  if (JS_ToUint32(js, &context, values[0]) || JS_ToUint32(js, &index, values[1]))
    return JS_EXCEPTION;
  nn_error error = nn_get_output(context, index, &data, &size);
  if (error) return throw_nn(js, error, "get_output");
  JSValue buffer = JS_NewArrayBufferCopy(js, data, size);
  free(data);
  return buffer;
}

static JSValue read_file(JSContext *js, JSValueConst self, int count, JSValueConst *values) {
  const char *path = JS_ToCString(js, values[0]);
  if (path == NULL) return JS_EXCEPTION;
  FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
  if (file == NULL) {
    JSValue thrown = JS_ThrowReferenceError(js, "cannot read %s", path);
    JS_FreeCString(js, path);
    return thrown;
  }
  JS_FreeCString(js, path);
  size_t size = 0, capacity = 1 << 18, got;
  uint8_t *data = malloc(capacity);
  while (data != NULL && (got = fread(data + size, 1, capacity - size, file)) > 0) {
    size += got;
    if (size == capacity) data = realloc(data, capacity *= 2);
  }
  if (file != stdin) fclose(file);
  if (data == NULL) return JS_ThrowOutOfMemory(js);
  JSValue buffer = JS_NewArrayBufferCopy(js, data, size);
  free(data);
  return buffer;
}

static JSValue write_text(JSContext *js, JSValueConst self, int count, JSValueConst *values) {
  int number;
  size_t size;
  if (JS_ToInt32(js, &number, values[0])) return JS_EXCEPTION;
  const char *text = JS_ToCStringLen(js, &size, values[1]);
  if (text == NULL) return JS_EXCEPTION;
  fwrite(text, 1, size, number == 2 ? stderr : stdout);
  JS_FreeCString(js, text);
  return JS_UNDEFINED;
}

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_DEF("loadByName", 1, load_by_name), JS_CFUNC_DEF("open", 1, open_graph),
    JS_CFUNC_DEF("setInput", 5, set_input),      JS_CFUNC_DEF("compute", 1, compute),
    JS_CFUNC_DEF("getOutput", 2, get_output),    JS_CFUNC_DEF("read", 1, read_file),
    JS_CFUNC_DEF("write", 2, write_text),
};

static void define_host(JSContext *js) {
  JSValue globals = JS_GetGlobalObject(js), host = JS_NewObject(js), variables = JS_NewObject(js);
  JS_SetPropertyFunctionList(js, host, functions, sizeof functions / sizeof *functions);
  for (char **entry = environ; *entry != NULL; entry++) {
    const char *value = strchr(*entry, '=');
    if (value == NULL || strncmp(*entry, "WASMLRUN_SCRIPT", 15) == 0) continue;
    JSAtom name = JS_NewAtomLen(js, *entry, value - *entry);
    JS_SetProperty(js, variables, name, JS_NewString(js, value + 1));
    JS_FreeAtom(js, name);
  }
  JS_SetPropertyStr(js, host, "env", variables);
  JS_SetPropertyStr(js, globals, "__host", host);
  JS_FreeValue(js, globals);
}

// `wasi_nn` is the one module there is to import.
static JSModuleDef *find_module(JSContext *js, const char *name, void *opaque) {
  if (strcmp(name, "wasi_nn") != 0) {
    JS_ThrowReferenceError(js, "there is no module '%s'; a worker can import 'wasi_nn'", name);
    return NULL;
  }
  JSValue module = JS_Eval(js, (const char *)wasi_nn_js, wasi_nn_js_size, name,
                           JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
  if (JS_IsException(module)) return NULL;
  JSModuleDef *found = JS_VALUE_GET_PTR(module);
  JS_FreeValue(js, module);
  return found;
}

static int report(JSContext *js, JSValue error) {
  fflush(stdout);
  const char *text = JS_ToCString(js, error);
  JSValue trace = JS_IsError(js, error) ? JS_GetPropertyStr(js, error, "stack") : JS_UNDEFINED;
  const char *lines = JS_IsUndefined(trace) ? NULL : JS_ToCString(js, trace);
  fprintf(stderr, "%s\n%s", text != NULL ? text : "exception", lines != NULL ? lines : "");
  return 1;
}

int main(void) {
  const char *script = getenv("WASMLRUN_SCRIPT"), *name = getenv("WASMLRUN_SCRIPT_NAME");
  if (script == NULL) {
    fputs("WASMLRUN_SCRIPT is not set: this program runs scripts for wasmlrun\n", stderr);
    return 2;
  }
  JSRuntime *runtime = JS_NewRuntime();
  JS_SetMaxStackSize(runtime, JS_STACK);
  JS_SetModuleLoaderFunc(runtime, NULL, find_module, NULL);
  JSContext *js = JS_NewContext(runtime);
  define_host(js);
  // defines console and the error type before the script runs, whether or not it imports them
  static const char prepare[] = "import 'wasi_nn'";
  JSValue done = JS_Eval(js, prepare, sizeof prepare - 1, "prepare", JS_EVAL_TYPE_MODULE);
  if (JS_IsException(done)) return report(js, JS_GetException(js));
  JS_FreeValue(js, done);
  done = JS_Eval(js, script, strlen(script), name != NULL ? name : "script.js",
                 JS_EVAL_TYPE_MODULE);
  if (JS_IsException(done)) return report(js, JS_GetException(js));
  for (JSContext *other; JS_ExecutePendingJob(runtime, &other) > 0;) continue;
  if (JS_PromiseState(js, done) == JS_PROMISE_REJECTED)
    return report(js, JS_PromiseResult(js, done));
  return fflush(stdout) == 0 ? 0 : 1;
}
