// A WASI program that runs one JavaScript file: QuickJS, with WASI-NN, the standard streams, and
// what a worker that answers requests needs.
//
// The script comes in the variable WASMLRUN_SCRIPT and its name for messages in
// WASMLRUN_SCRIPT_NAME, so it needs no file and no mount. What can be written in JavaScript is in
// wasi_nn.js and web.js.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quickjs.h"

#include "wasi_nn.h"

extern char **environ;
extern const uint8_t wasi_nn_js[], web_js[];  // generated from wasi_nn.js and web.js
extern const uint32_t wasi_nn_js_size, web_js_size;

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

static JSValue encode(JSContext *js, JSValueConst self, int count, JSValueConst *values) {
  size_t size;
  const char *text = JS_ToCStringLen(js, &size, values[0]);
  if (text == NULL) return JS_EXCEPTION;
  JSValue buffer = JS_NewArrayBufferCopy(js, (const uint8_t *)text, size);
  JS_FreeCString(js, text);
  return buffer;
}

static JSValue decode(JSContext *js, JSValueConst self, int count, JSValueConst *values) {
  size_t size;
  const uint8_t *data = bytes_of(js, values[0], &size);
  if (data == NULL) return JS_HasException(js) ? JS_EXCEPTION : JS_NewString(js, "");
  return JS_NewStringLen(js, (const char *)data, size);
}

static JSValue base64(JSContext *js, JSValueConst self, int count, JSValueConst *values) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  size_t size, at = 0;
  const uint8_t *data = bytes_of(js, values[0], &size);
  if (data == NULL) return JS_HasException(js) ? JS_EXCEPTION : JS_NewString(js, "");
  char *text = malloc(size / 3 * 4 + 4);
  if (text == NULL) return JS_ThrowOutOfMemory(js);
  for (size_t i = 0; i < size; i += 3) {
    size_t left = size - i;
    uint32_t three = data[i] << 16 | (left > 1 ? data[i + 1] << 8 : 0) | (left > 2 ? data[i + 2] : 0);
    text[at++] = digits[three >> 18];
    text[at++] = digits[three >> 12 & 63];
    text[at++] = left > 1 ? digits[three >> 6 & 63] : '=';
    text[at++] = left > 2 ? digits[three & 63] : '=';
  }
  JSValue string = JS_NewStringLen(js, text, at);
  free(text);
  return string;
}

// Requests that a worker sends, in Wasm Workers Server's interface: `http.send-http-request`.
typedef struct {
  const char *data;
  uint32_t size;
} text;

typedef struct {
  text name, value;
} header;

typedef struct {
  uint8_t failed;
  union {
    struct {
      uint8_t has_body;
      uint8_t *body;
      uint32_t body_size;
      header *headers;
      uint32_t count;
      uint16_t status;
    } answer;
    struct {
      uint8_t kind;
      text message;
    } fault;
  };
} http_result;
_Static_assert(sizeof(http_result) == 28, "as the interface lays it out");

__attribute__((import_module("http"), import_name("send-http-request"))) void send_http_request(
    uint32_t has_body, const uint8_t *body, uint32_t size, const header *headers, uint32_t count,
    uint32_t method, const header *parameters, uint32_t parameter_count, const char *uri,
    uint32_t uri_size, http_result *result);

// the host puts the answer where this says; it lives as long as the program does
__attribute__((export_name("canonical_abi_realloc"))) void *host_realloc(void *old, size_t old_size,
                                                                         size_t align, size_t size) {
  return size == 0 ? (void *)align : realloc(old, size);
}

// fetch(url, method number, [name, value, …], Uint8Array or null)
static JSValue fetch(JSContext *js, JSValueConst self, int count, JSValueConst *values) {
  enum { MOST = 256 };
  text texts[MOST];
  uint32_t given, method, used = 0;
  size_t uri_size, size = 0;
  const uint8_t *body = NULL;
  JSValue length = JS_GetPropertyStr(js, values[2], "length");
  if (JS_ToUint32(js, &method, values[1]) || JS_ToUint32(js, &given, length)) return JS_EXCEPTION;
  if (given > MOST) return JS_ThrowRangeError(js, "fetch: too many headers");
  int has_body = !JS_IsNull(values[3]);
  if (has_body && (body = bytes_of(js, values[3], &size)) == NULL && JS_HasException(js))
    return JS_EXCEPTION;
  const char *uri = JS_ToCStringLen(js, &uri_size, values[0]);
  if (uri == NULL) return JS_EXCEPTION;
  for (; used < given; used++) {
    size_t length;
    JSValue item = JS_GetPropertyUint32(js, values[2], used);
    texts[used].data = JS_ToCStringLen(js, &length, item);
    texts[used].size = length;
    JS_FreeValue(js, item);
    if (texts[used].data == NULL) break;
  }
  http_result result = {0};
  if (used == given)
    send_http_request(has_body, body, size, (header *)texts, used / 2, method, NULL, 0, uri,
                      uri_size, &result);
  int complete = used == given;
  while (used > 0) JS_FreeCString(js, texts[--used].data);
  JS_FreeCString(js, uri);
  if (!complete) return JS_EXCEPTION;
  JSValue answer = JS_NewObject(js);
  if (result.failed) {
    text message = result.fault.message;
    JS_SetPropertyStr(js, answer, "fault", JS_NewInt32(js, result.fault.kind));
    JS_SetPropertyStr(js, answer, "message", JS_NewStringLen(js, message.data, message.size));
    return answer;
  }
  JSValue pairs = JS_NewArray(js);
  for (uint32_t i = 0; i < result.answer.count; i++) {
    header pair = result.answer.headers[i];
    JS_SetPropertyUint32(js, pairs, 2 * i, JS_NewStringLen(js, pair.name.data, pair.name.size));
    JS_SetPropertyUint32(js, pairs, 2 * i + 1,
                         JS_NewStringLen(js, pair.value.data, pair.value.size));
  }
  size_t got = result.answer.has_body ? result.answer.body_size : 0;
  JS_SetPropertyStr(js, answer, "headers", pairs);
  JS_SetPropertyStr(js, answer, "status", JS_NewInt32(js, result.answer.status));
  JS_SetPropertyStr(js, answer, "body", JS_NewArrayBufferCopy(js, result.answer.body, got));
  return answer;
}

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_DEF("loadByName", 1, load_by_name), JS_CFUNC_DEF("open", 1, open_graph),
    JS_CFUNC_DEF("setInput", 5, set_input),      JS_CFUNC_DEF("compute", 1, compute),
    JS_CFUNC_DEF("getOutput", 2, get_output),    JS_CFUNC_DEF("read", 1, read_file),
    JS_CFUNC_DEF("write", 2, write_text),        JS_CFUNC_DEF("encode", 1, encode),
    JS_CFUNC_DEF("decode", 1, decode),           JS_CFUNC_DEF("base64", 1, base64),
    JS_CFUNC_DEF("fetch", 4, fetch),
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

// `wasi_nn` is the one module there is to import; `web` is this program's own.
static JSModuleDef *find_module(JSContext *js, const char *name, void *opaque) {
  int is_web = strcmp(name, "web") == 0;
  if (!is_web && strcmp(name, "wasi_nn") != 0) {
    JS_ThrowReferenceError(js, "there is no module '%s'; a worker can import 'wasi_nn'", name);
    return NULL;
  }
  JSValue module = JS_Eval(js, (const char *)(is_web ? web_js : wasi_nn_js),
                           is_web ? web_js_size : wasi_nn_js_size, name,
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

// A global function of web.js, which it leaves for this program.
static JSValue taken(JSContext *js, const char *name) {
  JSValue globals = JS_GetGlobalObject(js), found = JS_GetPropertyStr(js, globals, name);
  JSAtom atom = JS_NewAtom(js, name);
  JS_DeleteProperty(js, globals, atom, 0);
  JS_FreeAtom(js, atom);
  JS_FreeValue(js, globals);
  return found;
}

// Run what waits; then whether a promise (or anything else) has failed, or will never be settled.
static int settle(JSContext *js, JSValue done) {
  for (JSContext *other; JS_ExecutePendingJob(JS_GetRuntime(js), &other) > 0;) continue;
  JSPromiseStateEnum state = JS_PromiseState(js, done);
  if (state == JS_PROMISE_REJECTED) return report(js, JS_PromiseResult(js, done));
  if (state != JS_PROMISE_PENDING) return 0;
  fputs("the script waits for a promise that nothing will settle\n", stderr);
  return 1;
}

int main(void) {
  const char *script = getenv("WASMLRUN_SCRIPT"), *name = getenv("WASMLRUN_SCRIPT_NAME");
  if (script == NULL) {
    fputs("WASMLRUN_SCRIPT is not set: this program runs scripts for wasmlrun\n", stderr);
    return 2;
  }
  if (name == NULL) name = "script.js";
  JSRuntime *runtime = JS_NewRuntime();
  JS_SetMaxStackSize(runtime, JS_STACK);
  JS_SetModuleLoaderFunc(runtime, NULL, find_module, NULL);
  JSContext *js = JS_NewContext(runtime);
  define_host(js);
  // define the globals before the script runs, whether or not it imports anything
  static const char prepare[] = "import 'web'; import 'wasi_nn'";
  JSValue done = JS_Eval(js, prepare, sizeof prepare - 1, "prepare", JS_EVAL_TYPE_MODULE);
  if (JS_IsException(done)) return report(js, JS_GetException(js));
  if (settle(js, done)) return 1;
  JS_FreeValue(js, done);
  JSValue respond = taken(js, "__respond"), flush = taken(js, "__flush");
  // a plain script if it can be one, as in Wasm Workers Server; else a module
  JSValue compiled = JS_Eval(js, script, strlen(script), name,
                             JS_EVAL_TYPE_GLOBAL | JS_EVAL_FLAG_COMPILE_ONLY);
  JSValue module = JS_UNDEFINED;
  if (JS_IsException(compiled)) {
    JS_FreeValue(js, JS_GetException(js));
    compiled = JS_Eval(js, script, strlen(script), name,
                       JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
    if (JS_IsException(compiled)) return report(js, JS_GetException(js));
    module = compiled;
  }
  done = JS_EvalFunction(js, compiled);
  int failed = JS_IsException(done) ? report(js, JS_GetException(js)) : settle(js, done);
  if (failed) {
    JS_Call(js, flush, JS_UNDEFINED, 0, NULL);
    fflush(stdout);
    return failed;
  }
  JSValue exports = JS_IsUndefined(module)
                        ? JS_UNDEFINED
                        : JS_GetModuleNamespace(js, JS_VALUE_GET_PTR(module));
  done = JS_Call(js, respond, JS_UNDEFINED, 1, &exports);
  if (JS_IsException(done)) return report(js, JS_GetException(js));
  if (settle(js, done)) return 1;
  return fflush(stdout) == 0 ? 0 : 1;
}
