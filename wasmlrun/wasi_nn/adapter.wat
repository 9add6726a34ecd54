;; Stands between a guest component and the host and carries byte lists across as strings.
;;
;; A `list<u8>` reaches a host written in Python as one tagged value of 32 bytes per byte, and
;; the engine refuses lists of more than 2.8 MB; a string arrives whole. So the guest calls this
;; component, which is copied the bytes by the engine's own fused code, and this component calls
;; the host with strings of hexadecimal digits. Digits are ASCII, which is checked and copied at
;; the speed of memory on both sides; characters above 127 would be looked at one by one.
;; Handles are the host's own numbers: nothing is decided here.
;;
;; The exported instances are what wasi:nn 0.2.0-rc-2024-06-25, -08-19 and -10-28 have in common;
;; `inference` is there twice, since compute changed its signature.
(component $adapter
  (import "host" (instance $host
    ;; a piece of the next byte list that a call takes
    (export "bytes" (func (param "piece" string) (param "last" bool)))
    ;; takes two byte lists: dimensions as u32 numbers, and data
    (export "tensor-new" (func (param "type" u32) (result u32)))
    (export "tensor-type" (func (param "tensor" u32) (result u32)))
    ;; field 0 is the dimensions, 1 the data
    (export "tensor-size" (func (param "tensor" u32) (param "field" u32) (result u32)))
    (export "tensor-bytes"
      (func (param "tensor" u32) (param "field" u32) (param "piece" u32) (result string)))
    (export "tensor-drop" (func (param "tensor" u32)))
    ;; every s64 is a handle or number, or -E for the error E
    ;; takes all byte lists: the model's parts
    (export "load" (func (param "encoding" u32) (param "target" u32) (result s64)))
    (export "load-by-name" (func (param "name" string) (result s64)))
    (export "graph-drop" (func (param "graph" u32)))
    (export "open" (func (param "graph" u32) (result s64)))
    (export "set-input"
      (func (param "context" u32) (param "name" string) (param "tensor" u32) (result s64)))
    (export "compute" (func (param "context" u32) (result s64)))
    (export "get-output" (func (param "context" u32) (param "name" string) (result s64)))
    ;; an input for the next compute-given, which answers with the number of outputs
    (export "give" (func (param "name" string) (param "tensor" u32)))
    (export "compute-given" (func (param "context" u32) (result s64)))
    (export "answer-name" (func (param "index" u32) (result string)))
    (export "answer-tensor" (func (param "index" u32) (result u32)))
    (export "context-drop" (func (param "context" u32)))
    (export "error-new" (func (param "code" u32) (param "text" string) (result u32)))
    (export "error-code" (func (param "error" u32) (result u32)))
    (export "error-text" (func (param "error" u32) (result string)))
    (export "error-drop" (func (param "error" u32)))
  ))

  ;; Memory for the arguments and results of one call; a call's end empties it.
  (core module $arena_code
    ;; results of fixed size are below 64, then come the digits of a piece on its way to the
    ;; host, then what is allocated
    (memory (export "memory") 4)
    (global $bottom i32 (i32.const 0x20100))
    (global $top (mut i32) (i32.const 0x20100))

    (func (export "reset") (global.set $top (global.get $bottom)))
    (func (export "top") (result i32) (global.get $top))
    (func (export "release") (param $top i32) (global.set $top (local.get $top)))

    (func $reserve (param $end i64) (local $missing i64)
      (local.set $missing
        (i64.sub
          ;; vectors are read and written whole, beyond the end of a list
          (i64.shr_u (i64.add (local.get $end) (i64.const 0x1003f)) (i64.const 16))
          (i64.extend_i32_u (memory.size))))
      (if (i64.gt_s (local.get $missing) (i64.const 0))
        (then
          (if (i32.eq (memory.grow (i32.wrap_i64 (local.get $missing))) (i32.const -1))
            (then (call $out_of_memory))))))

    ;; its name is looked for in the trap's backtrace
    (func $out_of_memory (@name "wasmlrun_out_of_memory") unreachable)

    (func (export "realloc")
      (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
      (local $new i32) (local $end i64)
      (local.set $new (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
      (local.set $end
        (i64.add (i64.extend_i32_u (local.get $new)) (i64.extend_i32_u (local.get $size))))
      ;; keeps the additions above within 32 bits
      (if (i64.gt_u (local.get $end) (i64.const 0xffff_0000)) (then (call $out_of_memory)))
      (call $reserve (local.get $end))
      (global.set $top (i32.wrap_i64 (local.get $end)))
      (memory.copy (local.get $new) (local.get $old)
        (select (local.get $old_size) (local.get $size)
          (i32.lt_u (local.get $old_size) (local.get $size))))
      (local.get $new))
  )
  (core instance $arena (instantiate $arena_code))
  (alias core export $arena "memory" (core memory $memory))
  (alias core export $arena "realloc" (core func $realloc))
  (alias core export $arena "reset" (core func $reset))

  (core func $bytes (canon lower (func $host "bytes") (memory $memory)))
  (core func $tensor_new (canon lower (func $host "tensor-new")))
  (core func $tensor_type (canon lower (func $host "tensor-type")))
  (core func $tensor_size (canon lower (func $host "tensor-size")))
  (core func $tensor_bytes (canon lower (func $host "tensor-bytes")
    (memory $memory) (realloc (core func $realloc))))
  (core func $tensor_drop (canon lower (func $host "tensor-drop")))
  (core func $load (canon lower (func $host "load")))
  (core func $load_by_name (canon lower (func $host "load-by-name") (memory $memory)))
  (core func $graph_drop (canon lower (func $host "graph-drop")))
  (core func $open (canon lower (func $host "open")))
  (core func $set_input (canon lower (func $host "set-input") (memory $memory)))
  (core func $compute (canon lower (func $host "compute")))
  (core func $get_output (canon lower (func $host "get-output") (memory $memory)))
  (core func $give (canon lower (func $host "give") (memory $memory)))
  (core func $compute_given (canon lower (func $host "compute-given")))
  (core func $answer_name (canon lower (func $host "answer-name")
    (memory $memory) (realloc (core func $realloc))))
  (core func $answer_tensor (canon lower (func $host "answer-tensor")))
  (core func $context_drop (canon lower (func $host "context-drop")))
  (core func $error_new (canon lower (func $host "error-new") (memory $memory)))
  (core func $error_code (canon lower (func $host "error-code")))
  (core func $error_text (canon lower (func $host "error-text")
    (memory $memory) (realloc (core func $realloc))))
  (core func $error_drop (canon lower (func $host "error-drop")))

  ;; the representation of each resource is the host's handle
  (type $tensor (resource (rep i32) (dtor (core func $tensor_drop))))
  (type $graph (resource (rep i32) (dtor (core func $graph_drop))))
  (type $context (resource (rep i32) (dtor (core func $context_drop))))
  (type $error (resource (rep i32) (dtor (core func $error_drop))))
  (core func $tensor_own (canon resource.new $tensor))
  (core func $tensor_rep (canon resource.rep $tensor))
  (core func $tensor_release (canon resource.drop $tensor))
  (core func $graph_own (canon resource.new $graph))
  (core func $context_own (canon resource.new $context))
  (core func $error_own (canon resource.new $error))

  (core module $code
    (import "arena" "memory" (memory 1))
    (import "arena" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    (import "arena" "reset" (func $reset))
    (import "arena" "top" (func $top (result i32)))
    (import "arena" "release" (func $release (param i32)))
    (import "host" "bytes" (func $bytes (param i32 i32 i32)))
    (import "host" "tensor-new" (func $tensor_new (param i32) (result i32)))
    (import "host" "tensor-size" (func $tensor_size (param i32 i32) (result i32)))
    (import "host" "tensor-bytes" (func $tensor_bytes (param i32 i32 i32 i32)))
    (import "host" "load" (func $load (param i32 i32) (result i64)))
    (import "host" "load-by-name" (func $load_by_name (param i32 i32) (result i64)))
    (import "host" "open" (func $open (param i32) (result i64)))
    (import "host" "set-input" (func $set_input (param i32 i32 i32 i32) (result i64)))
    (import "host" "compute" (func $compute (param i32) (result i64)))
    (import "host" "get-output" (func $get_output (param i32 i32 i32) (result i64)))
    (import "host" "give" (func $give (param i32 i32 i32)))
    (import "host" "compute-given" (func $compute_given (param i32) (result i64)))
    (import "host" "answer-name" (func $answer_name (param i32 i32)))
    (import "host" "answer-tensor" (func $answer_tensor (param i32) (result i32)))
    (import "host" "error-new" (func $error_new (param i32 i32 i32) (result i32)))
    (import "host" "error-text" (func $error_text (param i32 i32)))
    (import "own" "tensor" (func $tensor_own (param i32) (result i32)))
    (import "own" "graph" (func $graph_own (param i32) (result i32)))
    (import "own" "context" (func $context_own (param i32) (result i32)))
    (import "own" "error" (func $error_own (param i32) (result i32)))
    (import "rep" "tensor" (func $tensor_rep (param i32) (result i32)))
    (import "drop" "tensor" (func $tensor_release (param i32)))

    ;; the most bytes that one string carries, in twice as many digits
    (global $piece i32 (i32.const 0x10000))
    ;; where results of fixed size are put: a discriminant, and two words
    (global $result i32 (i32.const 8))
    ;; where the host puts a string's address and length
    (global $string i32 (i32.const 32))
    ;; where digits are put on their way to the host
    (global $digits i32 (i32.const 64))

    ;; write the digits of `size` bytes, 16 at a time and perhaps some too many
    (func $to_digits (param $at i32) (param $size i32) (param $to i32)
      (local $end i32) (local $bytes v128) (local $high v128) (local $low v128)
      (local.set $end (i32.add (local.get $at) (local.get $size)))
      (block $done
        (loop $next
          (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
          (local.set $bytes (v128.load (local.get $at)))
          (local.set $high (call $digit (i8x16.shr_u (local.get $bytes) (i32.const 4))))
          (local.set $low
            (call $digit (v128.and (local.get $bytes) (i8x16.splat (i32.const 15)))))
          (v128.store (local.get $to)
            (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23
              (local.get $high) (local.get $low)))
          (v128.store offset=16 (local.get $to)
            (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31
              (local.get $high) (local.get $low)))
          (local.set $at (i32.add (local.get $at) (i32.const 16)))
          (local.set $to (i32.add (local.get $to) (i32.const 32)))
          (br $next))))

    (func $digit (param $values v128) (result v128)
      (i8x16.swizzle
        (v128.const i8x16 48 49 50 51 52 53 54 55 56 57 97 98 99 100 101 102)
        (local.get $values)))

    ;; write the bytes of `size` digits, 16 at a time and perhaps some too many
    (func $from_digits (param $at i32) (param $size i32) (param $to i32) (local $end i32)
      (local.set $end (i32.add (local.get $at) (local.get $size)))
      (block $done
        (loop $next
          (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
          (v128.store (local.get $to)
            (i8x16.narrow_i16x8_u
              (call $pairs (v128.load (local.get $at)))
              (call $pairs (v128.load offset=16 (local.get $at)))))
          (local.set $at (i32.add (local.get $at) (i32.const 32)))
          (local.set $to (i32.add (local.get $to) (i32.const 16)))
          (br $next))))

    ;; the values of 8 pairs of digits: 0–9 are 0x30–0x39, a–f are 0x61–0x66
    (func $pairs (param $digits v128) (result v128) (local $letter v128)
      (local.set $letter (i8x16.shr_u (local.get $digits) (i32.const 6)))
      (local.set $digits
        (i8x16.add
          (v128.and (local.get $digits) (i8x16.splat (i32.const 15)))
          (i8x16.add (local.get $letter) (i8x16.shl (local.get $letter) (i32.const 3)))))
      ;; the first digit of a pair is the low byte of a lane
      (v128.and
        (v128.or
          (i16x8.shl (local.get $digits) (i32.const 4))
          (i16x8.shr_u (local.get $digits) (i32.const 8)))
        (i16x8.splat (i32.const 255))))

    ;; hand a byte list to the host
    (func $send (param $at i32) (param $size i32) (local $n i32)
      (loop $next
        (local.set $n
          (select (global.get $piece) (local.get $size)
            (i32.gt_u (local.get $size) (global.get $piece))))
        (call $to_digits (local.get $at) (local.get $n) (global.get $digits))
        (call $bytes (global.get $digits) (i32.shl (local.get $n) (i32.const 1))
          (i32.eq (local.get $n) (local.get $size)))
        (local.set $at (i32.add (local.get $at) (local.get $n)))
        (local.set $size (i32.sub (local.get $size) (local.get $n)))
        (br_if $next (local.get $size))))

    ;; fetch a field of a tensor; its address and length in bytes are put into $result
    (func $fetch (param $tensor i32) (param $field i32)
      (local $size i32) (local $at i32) (local $top i32) (local $i i32)
      (local.set $size (call $tensor_size (local.get $tensor) (local.get $field)))
      (local.set $at
        (call $realloc (i32.const 0) (i32.const 0) (i32.const 8) (local.get $size)))
      (i32.store (global.get $result) (local.get $at))
      (i32.store offset=4 (global.get $result) (local.get $size))
      (local.set $top (call $top))
      (block $done
        (loop $next
          (br_if $done (i32.eqz (local.get $size)))
          (call $tensor_bytes
            (local.get $tensor) (local.get $field) (local.get $i) (global.get $string))
          (call $from_digits
            (i32.load (global.get $string)) (i32.load offset=4 (global.get $string))
            (local.get $at))
          (call $release (local.get $top))
          (local.set $at (i32.add (local.get $at) (global.get $piece)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $done (i32.le_u (local.get $size) (global.get $piece)))
          (local.set $size (i32.sub (local.get $size) (global.get $piece)))
          (br $next))))

    ;; whether the host's answer is an error; then it stands in $result
    (func $failed (param $answer i64) (result i32)
      (i32.store8 (global.get $result) (i64.lt_s (local.get $answer) (i64.const 0)))
      (if (i64.lt_s (local.get $answer) (i64.const 0))
        (then
          (i32.store offset=4 (global.get $result)
            (call $error_own
              (i32.wrap_i64 (i64.sub (i64.const 0) (local.get $answer)))))))
      (i64.lt_s (local.get $answer) (i64.const 0)))

    (func (export "tensor-new")
      (param $dims i32) (param $rank i32) (param $type i32) (param $data i32) (param $size i32)
      (result i32)
      (call $send (local.get $dims) (i32.shl (local.get $rank) (i32.const 2)))
      (call $send (local.get $data) (local.get $size))
      (call $reset)
      (call $tensor_own (call $tensor_new (local.get $type))))

    (func (export "tensor-dimensions") (param $tensor i32) (result i32)
      (call $fetch (local.get $tensor) (i32.const 0))
      (i32.store offset=4 (global.get $result)
        (i32.shr_u (i32.load offset=4 (global.get $result)) (i32.const 2)))
      (global.get $result))

    (func (export "tensor-data") (param $tensor i32) (result i32)
      (call $fetch (local.get $tensor) (i32.const 1))
      (global.get $result))

    (func (export "load")
      (param $parts i32) (param $count i32) (param $encoding i32) (param $target i32)
      (result i32)
      (local $answer i64)
      (block $sent
        (loop $next
          (br_if $sent (i32.eqz (local.get $count)))
          (call $send (i32.load (local.get $parts)) (i32.load offset=4 (local.get $parts)))
          (local.set $parts (i32.add (local.get $parts) (i32.const 8)))
          (local.set $count (i32.sub (local.get $count) (i32.const 1)))
          (br $next)))
      (call $loaded (call $load (local.get $encoding) (local.get $target))))

    (func (export "load-by-name") (param $name i32) (param $size i32) (result i32)
      (call $loaded (call $load_by_name (local.get $name) (local.get $size))))

    (func $loaded (param $answer i64) (result i32)
      (if (i32.eqz (call $failed (local.get $answer)))
        (then
          (i32.store offset=4 (global.get $result)
            (call $graph_own (i32.wrap_i64 (local.get $answer))))))
      (global.get $result))

    (func (export "open") (param $graph i32) (result i32) (local $answer i64)
      (local.set $answer (call $open (local.get $graph)))
      (if (i32.eqz (call $failed (local.get $answer)))
        (then
          (i32.store offset=4 (global.get $result)
            (call $context_own (i32.wrap_i64 (local.get $answer))))))
      (global.get $result))

    (func (export "set-input")
      (param $context i32) (param $name i32) (param $size i32) (param $tensor i32) (result i32)
      (drop (call $failed
        (call $set_input
          (local.get $context) (local.get $name) (local.get $size)
          (call $tensor_rep (local.get $tensor)))))
      (call $tensor_release (local.get $tensor))
      (global.get $result))

    (func (export "compute") (param $context i32) (result i32)
      (drop (call $failed (call $compute (local.get $context))))
      (global.get $result))

    (func (export "get-output")
      (param $context i32) (param $name i32) (param $size i32) (result i32)
      (local $answer i64)
      (local.set $answer
        (call $get_output (local.get $context) (local.get $name) (local.get $size)))
      (if (i32.eqz (call $failed (local.get $answer)))
        (then
          (i32.store offset=4 (global.get $result)
            (call $tensor_own (i32.wrap_i64 (local.get $answer))))))
      (global.get $result))

    ;; a named tensor is 12 bytes: the name's address and length, the tensor's handle
    (func (export "compute-list")
      (param $context i32) (param $inputs i32) (param $count i32) (result i32)
      (local $answer i64) (local $at i32) (local $i i32)
      (block $given
        (loop $next
          (br_if $given (i32.eqz (local.get $count)))
          (call $give
            (i32.load (local.get $inputs))
            (i32.load offset=4 (local.get $inputs))
            (call $tensor_rep (i32.load offset=8 (local.get $inputs))))
          (call $tensor_release (i32.load offset=8 (local.get $inputs)))
          (local.set $inputs (i32.add (local.get $inputs) (i32.const 12)))
          (local.set $count (i32.sub (local.get $count) (i32.const 1)))
          (br $next)))
      (local.set $answer (call $compute_given (local.get $context)))
      (if (i32.eqz (call $failed (local.get $answer)))
        (then
          (local.set $count (i32.wrap_i64 (local.get $answer)))
          (local.set $at
            (call $realloc (i32.const 0) (i32.const 0) (i32.const 4)
              (i32.mul (local.get $count) (i32.const 12))))
          (i32.store offset=4 (global.get $result) (local.get $at))
          (i32.store offset=8 (global.get $result) (local.get $count))
          (block $answered
            (loop $next
              (br_if $answered (i32.eq (local.get $i) (local.get $count)))
              (call $answer_name (local.get $i) (local.get $at))
              (i32.store offset=8 (local.get $at)
                (call $tensor_own (call $answer_tensor (local.get $i))))
              (local.set $at (i32.add (local.get $at) (i32.const 12)))
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (br $next)))))
      (global.get $result))

    (func (export "error-new") (param $code i32) (param $text i32) (param $size i32) (result i32)
      (call $error_own
        (call $error_new (local.get $code) (local.get $text) (local.get $size)))
      (call $reset))

    (func (export "error-text") (param $error i32) (result i32)
      (call $error_text (local.get $error) (global.get $result))
      (global.get $result))

    ;; after every call that answers in memory
    (func (export "done") (param i32) (call $reset))
  )
  (core instance $code (instantiate $code
    (with "arena" (instance $arena))
    (with "host" (instance
      (export "bytes" (func $bytes))
      (export "tensor-new" (func $tensor_new))
      (export "tensor-size" (func $tensor_size))
      (export "tensor-bytes" (func $tensor_bytes))
      (export "load" (func $load))
      (export "load-by-name" (func $load_by_name))
      (export "open" (func $open))
      (export "set-input" (func $set_input))
      (export "compute" (func $compute))
      (export "get-output" (func $get_output))
      (export "give" (func $give))
      (export "compute-given" (func $compute_given))
      (export "answer-name" (func $answer_name))
      (export "answer-tensor" (func $answer_tensor))
      (export "error-new" (func $error_new))
      (export "error-text" (func $error_text))))
    (with "own" (instance
      (export "tensor" (func $tensor_own))
      (export "graph" (func $graph_own))
      (export "context" (func $context_own))
      (export "error" (func $error_own))))
    (with "rep" (instance (export "tensor" (func $tensor_rep))))
    (with "drop" (instance (export "tensor" (func $tensor_release))))))
  (alias core export $code "done" (core func $done))

  (type $tensor-type (enum "FP16" "FP32" "FP64" "BF16" "U8" "I32" "I64"))
  (type $graph-encoding (enum "openvino" "onnx" "tensorflow" "pytorch" "tensorflowlite" "ggml"
    "autodetect"))
  (type $execution-target (enum "cpu" "gpu" "tpu"))
  (type $error-code (enum "invalid-argument" "invalid-encoding" "timeout" "runtime-error"
    "unsupported-operation" "too-large" "not-found" "security" "unknown"))

  ;; Each interface is exported by a component of its own: only an import or export gives a type
  ;; the name that the functions of its resource need.
  (component $errors_named
    (import "error" (type $error (sub resource)))
    (type $enum (enum "invalid-argument" "invalid-encoding" "timeout" "runtime-error"
      "unsupported-operation" "too-large" "not-found" "security" "unknown"))
    (import "error-code" (type $code (eq $enum)))
    (import "new" (func $new (param "code" $code) (param "data" string) (result (own $error))))
    (import "code" (func $code (param "self" (borrow $error)) (result $code)))
    (import "data" (func $data (param "self" (borrow $error)) (result string)))
    (export $error' "error" (type $error))
    (export $code' "error-code" (type $code))
    (export "[constructor]error" (func $new)
      (func (param "code" $code') (param "data" string) (result (own $error'))))
    (export "[method]error.code" (func $code)
      (func (param "self" (borrow $error')) (result $code')))
    (export "[method]error.data" (func $data)
      (func (param "self" (borrow $error')) (result string))))
  (func $error-new (param "code" $error-code) (param "data" string) (result (own $error))
    (canon lift (core func $code "error-new") (memory $memory) (realloc (core func $realloc))))
  (func $error-code (param "self" (borrow $error)) (result $error-code)
    (canon lift (core func $error_code)))
  (func $error-data (param "self" (borrow $error)) (result string)
    (canon lift (core func $code "error-text") (memory $memory) (post-return (core func $done))))
  (instance $errors (instantiate $errors_named
    (with "error" (type $error))
    (with "error-code" (type $error-code))
    (with "new" (func $error-new))
    (with "code" (func $error-code))
    (with "data" (func $error-data))))
  (export "errors" (instance $errors))

  (component $tensor_named
    (import "tensor" (type $tensor (sub resource)))
    (type $enum (enum "FP16" "FP32" "FP64" "BF16" "U8" "I32" "I64"))
    (import "tensor-type" (type $type (eq $enum)))
    (import "new" (func $new
      (param "dimensions" (list u32)) (param "ty" $type) (param "data" (list u8))
      (result (own $tensor))))
    (import "dimensions" (func $dimensions (param "self" (borrow $tensor)) (result (list u32))))
    (import "ty" (func $ty (param "self" (borrow $tensor)) (result $type)))
    (import "data" (func $data (param "self" (borrow $tensor)) (result (list u8))))
    (export $tensor' "tensor" (type $tensor))
    (export $type' "tensor-type" (type $type))
    (type $u32s (list u32))
    (type $u8s (list u8))
    (export "tensor-dimensions" (type $u32s))
    (export "tensor-data" (type $u8s))
    (export "[constructor]tensor" (func $new)
      (func (param "dimensions" (list u32)) (param "ty" $type') (param "data" (list u8))
        (result (own $tensor'))))
    (export "[method]tensor.dimensions" (func $dimensions)
      (func (param "self" (borrow $tensor')) (result (list u32))))
    (export "[method]tensor.ty" (func $ty)
      (func (param "self" (borrow $tensor')) (result $type')))
    (export "[method]tensor.data" (func $data)
      (func (param "self" (borrow $tensor')) (result (list u8)))))
  (func $tensor-new
    (param "dimensions" (list u32)) (param "ty" $tensor-type) (param "data" (list u8))
    (result (own $tensor))
    (canon lift (core func $code "tensor-new") (memory $memory) (realloc (core func $realloc))))
  (func $tensor-dimensions (param "self" (borrow $tensor)) (result (list u32))
    (canon lift (core func $code "tensor-dimensions") (memory $memory) (post-return (core func $done))))
  (func $tensor-ty (param "self" (borrow $tensor)) (result $tensor-type)
    (canon lift (core func $tensor_type)))
  (func $tensor-data (param "self" (borrow $tensor)) (result (list u8))
    (canon lift (core func $code "tensor-data") (memory $memory) (post-return (core func $done))))
  (instance $tensors (instantiate $tensor_named
    (with "tensor" (type $tensor))
    (with "tensor-type" (type $tensor-type))
    (with "new" (func $tensor-new))
    (with "dimensions" (func $tensor-dimensions))
    (with "ty" (func $tensor-ty))
    (with "data" (func $tensor-data))))
  (export "tensor" (instance $tensors))

  (component $graph_named
    (import "error" (type $error (sub resource)))
    (import "tensor" (type $tensor (sub resource)))
    (import "graph-execution-context" (type $context (sub resource)))
    (import "graph" (type $graph (sub resource)))
    (type $encodings (enum "openvino" "onnx" "tensorflow" "pytorch" "tensorflowlite" "ggml"
      "autodetect"))
    (import "graph-encoding" (type $encoding (eq $encodings)))
    (type $targets (enum "cpu" "gpu" "tpu"))
    (import "execution-target" (type $target (eq $targets)))
    (import "open" (func $open
      (param "self" (borrow $graph)) (result (result (own $context) (error (own $error))))))
    (import "load" (func $load
      (param "builder" (list (list u8)))
      (param "encoding" $encoding) (param "target" $target)
      (result (result (own $graph) (error (own $error))))))
    (import "load-by-name" (func $load-by-name
      (param "name" string) (result (result (own $graph) (error (own $error))))))
    (export $error' "error" (type $error))
    (export "tensor" (type $tensor))
    (export $context' "graph-execution-context" (type $context))
    (export $graph' "graph" (type $graph))
    (export $encoding' "graph-encoding" (type $encoding))
    (export $target' "execution-target" (type $target))
    (type $u8s (list u8))
    (export "graph-builder" (type $u8s))
    (export "[method]graph.init-execution-context" (func $open)
      (func (param "self" (borrow $graph'))
        (result (result (own $context') (error (own $error'))))))
    (export "load" (func $load)
      (func (param "builder" (list (list u8)))
        (param "encoding" $encoding') (param "target" $target')
        (result (result (own $graph') (error (own $error'))))))
    (export "load-by-name" (func $load-by-name)
      (func (param "name" string) (result (result (own $graph') (error (own $error')))))))
  (func $graph-open
    (param "self" (borrow $graph)) (result (result (own $context) (error (own $error))))
    (canon lift (core func $code "open") (memory $memory) (post-return (core func $done))))
  (func $graph-load
    (param "builder" (list (list u8)))
    (param "encoding" $graph-encoding) (param "target" $execution-target)
    (result (result (own $graph) (error (own $error))))
    (canon lift (core func $code "load")
      (memory $memory) (realloc (core func $realloc)) (post-return (core func $done))))
  (func $graph-load-by-name
    (param "name" string) (result (result (own $graph) (error (own $error))))
    (canon lift (core func $code "load-by-name")
      (memory $memory) (realloc (core func $realloc)) (post-return (core func $done))))
  (instance $graphs (instantiate $graph_named
    (with "error" (type $error))
    (with "tensor" (type $tensor))
    (with "graph-execution-context" (type $context))
    (with "graph" (type $graph))
    (with "graph-encoding" (type $graph-encoding))
    (with "execution-target" (type $execution-target))
    (with "open" (func $graph-open))
    (with "load" (func $graph-load))
    (with "load-by-name" (func $graph-load-by-name))))
  (export "graph" (instance $graphs))

  (component $inference_by_calls
    (import "error" (type $error (sub resource)))
    (import "tensor" (type $tensor (sub resource)))
    (import "graph-execution-context" (type $context (sub resource)))
    (import "set-input" (func $set-input
      (param "self" (borrow $context)) (param "name" string) (param "tensor" (own $tensor))
      (result (result (error (own $error))))))
    (import "compute" (func $compute
      (param "self" (borrow $context)) (result (result (error (own $error))))))
    (import "get-output" (func $get-output
      (param "self" (borrow $context)) (param "name" string)
      (result (result (own $tensor) (error (own $error))))))
    (export $error' "error" (type $error))
    (export $tensor' "tensor" (type $tensor))
    (type $u8s (list u8))
    (export "tensor-data" (type $u8s))
    (export $context' "graph-execution-context" (type $context))
    (export "[method]graph-execution-context.set-input" (func $set-input)
      (func
        (param "self" (borrow $context')) (param "name" string) (param "tensor" (own $tensor'))
        (result (result (error (own $error'))))))
    (export "[method]graph-execution-context.compute" (func $compute)
      (func (param "self" (borrow $context')) (result (result (error (own $error'))))))
    (export "[method]graph-execution-context.get-output" (func $get-output)
      (func (param "self" (borrow $context')) (param "name" string)
        (result (result (own $tensor') (error (own $error')))))))
  (func $set-input
    (param "self" (borrow $context)) (param "name" string) (param "tensor" (own $tensor))
    (result (result (error (own $error))))
    (canon lift (core func $code "set-input")
      (memory $memory) (realloc (core func $realloc)) (post-return (core func $done))))
  (func $compute
    (param "self" (borrow $context)) (result (result (error (own $error))))
    (canon lift (core func $code "compute") (memory $memory) (post-return (core func $done))))
  (func $get-output
    (param "self" (borrow $context)) (param "name" string)
    (result (result (own $tensor) (error (own $error))))
    (canon lift (core func $code "get-output")
      (memory $memory) (realloc (core func $realloc)) (post-return (core func $done))))
  (instance $inference_calls (instantiate $inference_by_calls
    (with "error" (type $error))
    (with "tensor" (type $tensor))
    (with "graph-execution-context" (type $context))
    (with "set-input" (func $set-input))
    (with "compute" (func $compute))
    (with "get-output" (func $get-output))))
  (export "inference-by-calls" (instance $inference_calls))

  (component $inference_by_list
    (import "error" (type $error (sub resource)))
    (import "tensor" (type $tensor (sub resource)))
    (import "graph-execution-context" (type $context (sub resource)))
    (import "compute" (func $compute
      (param "self" (borrow $context)) (param "inputs" (list (tuple string (own $tensor))))
      (result (result (list (tuple string (own $tensor))) (error (own $error))))))
    (export $error' "error" (type $error))
    (export $tensor' "tensor" (type $tensor))
    (type $named-tensor (tuple string (own $tensor')))
    (export "named-tensor" (type $named-tensor))
    (export $context' "graph-execution-context" (type $context))
    (export "[method]graph-execution-context.compute" (func $compute)
      (func
        (param "self" (borrow $context')) (param "inputs" (list (tuple string (own $tensor'))))
        (result (result (list (tuple string (own $tensor'))) (error (own $error')))))))
  (func $compute-list
    (param "self" (borrow $context)) (param "inputs" (list (tuple string (own $tensor))))
    (result (result (list (tuple string (own $tensor))) (error (own $error))))
    (canon lift (core func $code "compute-list")
      (memory $memory) (realloc (core func $realloc)) (post-return (core func $done))))
  (instance $inference_list (instantiate $inference_by_list
    (with "error" (type $error))
    (with "tensor" (type $tensor))
    (with "graph-execution-context" (type $context))
    (with "compute" (func $compute-list))))
  (export "inference-by-list" (instance $inference_list))
)
