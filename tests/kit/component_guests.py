"""Guest components as WebAssembly text, for each version of wasi:nn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import wasmtime

from kit.fakes import FakeEngine
from wasmlrun.engines.pool import EnginePool
from wasmlrun.engines.protocol import Engine
from wasmlrun.manifest.grant import Grant
from wasmlrun.sandbox.outcome import GuestRun
from wasmlrun.sandbox.worker import Runtime, Worker
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.limits import Limits
from wasmlrun.support.model_source import ModelSource
from wasmlrun.wasi_nn.graphs import GraphPool
from wasmlrun.wasi_nn.session import Session

BY_CALLS = ("0.2.0-rc-2024-06-25", "0.2.0-rc-2024-08-19")
BY_LIST = ("0.2.0-rc-2024-10-28",)

# where a guest's results are put, and texts that bodies name
R = 64
NAMES = {"one": 1024, "x": 1032, "y": 1040, "0": 1048, "nonsense": 1056, "1": 1072}
DIMS = 1100
DATA = 2048

_INFERENCE_BY_CALLS = """
    (export "[method]graph-execution-context.set-input" (func
      (param "self" (borrow $context)) (param "name" string) (param "tensor" (own $tensor))
      (result (result (error (own $error))))))
    (export "[method]graph-execution-context.compute" (func
      (param "self" (borrow $context)) (result (result (error (own $error))))))
    (export "[method]graph-execution-context.get-output" (func
      (param "self" (borrow $context)) (param "name" string)
      (result (result (own $tensor) (error (own $error))))))
"""
_INFERENCE_BY_LIST = """
    (type $named-tensor (tuple string (own $tensor)))
    (export "named-tensor" (type $named (eq $named-tensor)))
    (export "[method]graph-execution-context.compute" (func
      (param "self" (borrow $context)) (param "inputs" (list $named))
      (result (result (list $named) (error (own $error))))))
"""


def wasi_nn(version: str) -> str:
    """The imports of wasi:nn as a bindings generator writes them, and their core functions."""
    by_calls = version in BY_CALLS
    constructor = """
    (export "[constructor]error" (func
      (param "code" $code) (param "data" string) (result (own $error))))"""
    return f"""
  (import "wasi:nn/errors@{version}" (instance $errors
    (type $codes (enum "invalid-argument" "invalid-encoding" "timeout" "runtime-error"
      "unsupported-operation" "too-large" "not-found" "security" "unknown"))
    (export "error-code" (type $code (eq $codes)))
    (export "error" (type $error (sub resource)))
    {constructor if by_calls else ""}
    (export "[method]error.code" (func (param "self" (borrow $error)) (result $code)))
    (export "[method]error.data" (func (param "self" (borrow $error)) (result string)))))
  (alias export $errors "error" (type $error))
  (import "wasi:nn/tensor@{version}" (instance $tensors
    (type $dims' (list u32))
    (export "tensor-dimensions" (type $dims (eq $dims')))
    (type $types (enum "FP16" "FP32" "FP64" "BF16" "U8" "I32" "I64"))
    (export "tensor-type" (type $type (eq $types)))
    (type $data' (list u8))
    (export "tensor-data" (type $data (eq $data')))
    (export "tensor" (type $tensor (sub resource)))
    (export "[constructor]tensor" (func
      (param "dimensions" $dims) (param "ty" $type) (param "data" $data)
      (result (own $tensor))))
    (export "[method]tensor.dimensions" (func (param "self" (borrow $tensor)) (result $dims)))
    (export "[method]tensor.ty" (func (param "self" (borrow $tensor)) (result $type)))
    (export "[method]tensor.data" (func (param "self" (borrow $tensor)) (result $data)))))
  (alias export $tensors "tensor" (type $tensor))
  (import "wasi:nn/inference@{version}" (instance $inference
    (alias outer 1 $error (type $error'))
    (export "error" (type $error (eq $error')))
    (alias outer 1 $tensor (type $tensor'))
    (export "tensor" (type $tensor (eq $tensor')))
    (export "graph-execution-context" (type $context (sub resource)))
    {_INFERENCE_BY_CALLS if by_calls else _INFERENCE_BY_LIST}))
  (alias export $inference "graph-execution-context" (type $context))
  (import "wasi:nn/graph@{version}" (instance $graphs
    (alias outer 1 $error (type $error'))
    (export "error" (type $error (eq $error')))
    (alias outer 1 $context (type $context'))
    (export "graph-execution-context" (type $context (eq $context')))
    (export "graph" (type $graph (sub resource)))
    (type $encodings (enum "openvino" "onnx" "tensorflow" "pytorch" "tensorflowlite" "ggml"
      "autodetect"))
    (export "graph-encoding" (type $encoding (eq $encodings)))
    (type $targets (enum "cpu" "gpu" "tpu"))
    (export "execution-target" (type $target (eq $targets)))
    (type $builder' (list u8))
    (export "graph-builder" (type $builder (eq $builder')))
    (export "[method]graph.init-execution-context" (func
      (param "self" (borrow $graph)) (result (result (own $context) (error (own $error))))))
    (export "load" (func
      (param "builder" (list $builder))
      (param "encoding" $encoding) (param "target" $target)
      (result (result (own $graph) (error (own $error))))))
    (export "load-by-name" (func
      (param "name" string) (result (result (own $graph) (error (own $error))))))))
  (alias export $graphs "graph" (type $graph))
"""


_TENSORS = {
    "tensor-new": ("$tensors", "[constructor]tensor", "i32 i32 i32 i32 i32", "i32"),
    "tensor-dims": ("$tensors", "[method]tensor.dimensions", "i32 i32", ""),
    "tensor-type": ("$tensors", "[method]tensor.ty", "i32", "i32"),
    "tensor-data": ("$tensors", "[method]tensor.data", "i32 i32", ""),
    "error-code": ("$errors", "[method]error.code", "i32", "i32"),
    "error-data": ("$errors", "[method]error.data", "i32 i32", ""),
    "load": ("$graphs", "load", "i32 i32 i32 i32 i32", ""),
    "load-by-name": ("$graphs", "load-by-name", "i32 i32 i32", ""),
    "open": ("$graphs", "[method]graph.init-execution-context", "i32 i32", ""),
}
_CONTEXT = "[method]graph-execution-context"
_CALLS = {
    "error-new": ("$errors", "[constructor]error", "i32 i32 i32", "i32"),
    "set-input": ("$inference", f"{_CONTEXT}.set-input", "i32 i32 i32 i32 i32", ""),
    "compute": ("$inference", f"{_CONTEXT}.compute", "i32 i32", ""),
    "get-output": ("$inference", f"{_CONTEXT}.get-output", "i32 i32 i32 i32", ""),
}
_LIST = {"compute-list": ("$inference", f"{_CONTEXT}.compute", "i32 i32 i32 i32", "")}
_DROPS = {
    "tensor-drop": "$tensor",
    "graph-drop": "$graph",
    "context-drop": "$context",
    "error-drop": "$error",
}

FUNCTIONS = {
    version: {
        short: result
        for short, (_, _, _, result) in (
            _TENSORS | (_CALLS if version in BY_CALLS else _LIST)
        ).items()
    }
    for version in (*BY_CALLS, *BY_LIST)
}
"""What bodies may call, and what that leaves on the stack."""
DROPS = tuple(_DROPS)

# a program that only writes to stdout and exits
_WASI = """
  (import "wasi:io/error@0.2.0" (instance $io-errors
    (export "error" (type (sub resource)))))
  (alias export $io-errors "error" (type $io-error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $io-error (type $io-error'))
    (export "error" (type $io-error (eq $io-error')))
    (export "output-stream" (type $stream (sub resource)))
    (type $why (variant (case "last-operation-failed" (own $io-error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $why)))
    (export "[method]output-stream.blocking-write-and-flush" (func
      (param "self" (borrow $stream)) (param "contents" (list u8))
      (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $stream (type $stream'))
    (export "output-stream" (type $stream (eq $stream')))
    (export "get-stdout" (func (result (own $stream))))))
  (import "wasi:cli/exit@0.2.0" (instance $exits
    (export "exit" (func (param "status" (result))))))
"""
_STREAMS = {
    "stdout": ("$stdout", "get-stdout", "", "i32"),
    "write": ("$streams", "[method]output-stream.blocking-write-and-flush", "i32 i32 i32 i32", ""),
    "exit": ("$exits", "exit", "i32", ""),
}

# what bodies may call besides: a failed call prints its error as "CODE SENTENCE" and exits
_LIBRARY = """
  (func $print (param $at i32) (param $size i32) (local $out i32) (local $n i32)
    (local.set $out (call $stdout))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $size)))
        (local.set $n (select (i32.const 4096) (local.get $size)
          (i32.gt_u (local.get $size) (i32.const 4096))))
        (call $write (local.get $out) (local.get $at) (local.get $n) (i32.const 32))
        (br_if $done (i32.load8_u (i32.const 32)))
        (local.set $at (i32.add (local.get $at) (local.get $n)))
        (local.set $size (i32.sub (local.get $size) (local.get $n)))
        (br $next))))
"""
_FAILING = f"""
  (func $check (local $error i32)
    (if (i32.load8_u (i32.const {R}))
      (then
        (local.set $error (i32.load offset=4 (i32.const {R})))
        (i32.store16 (i32.const 48)
          (i32.or (i32.const 0x2030) (call $error-code (local.get $error))))
        (call $print (i32.const 48) (i32.const 2))
        (call $error-data (local.get $error) (i32.const {R}))
        (call $print (i32.load (i32.const {R})) (i32.load offset=4 (i32.const {R})))
        (call $error-drop (local.get $error))
        (call $exit (i32.const 1)))))
  (func $got (result i32)
    (call $check)
    (i32.load offset=4 (i32.const {R})))
"""


def component(
    body: str,
    version: str | None,
    *,
    pages: int = 4,
    data: Mapping[int, bytes] | None = None,
    locals_: str = "",
    extra: str = "",
) -> str:
    """A program that does `body`; with a version of wasi:nn it may call those functions.

    Memory from 128 KiB on is where the host puts what it returns. The body leaves 0 for ok and
    1 for err on the stack.
    """
    functions = dict(_STREAMS)
    if version is not None:
        functions |= _TENSORS | (_CALLS if version in BY_CALLS else _LIST)
    drops = _DROPS if version is not None else {}
    lowered = "\n".join(
        f'(alias export {instance} "{name}" (func ${short}))'
        f"(core func $core-{short} (canon lower (func ${short}) (memory $memory) "
        "(realloc (core func $realloc))))"
        for short, (instance, name, _, _) in functions.items()
    ) + "\n".join(
        f"(core func $core-{short} (canon resource.drop {type_}))" for short, type_ in drops.items()
    )
    imports = "\n".join(
        f'(import "host" "{short}" (func ${short} (param {params}) (result {result})))'
        for short, (_, _, params, result) in functions.items()
    ) + "\n".join(f'(import "host" "{short}" (func ${short} (param i32)))' for short in drops)
    given = "\n".join(f'(export "{short}" (func $core-{short}))' for short in (*functions, *drops))
    texts = {at: text.encode() for text, at in NAMES.items()} | dict(data or {})
    segments = "\n".join(
        '(data (i32.const {}) "{}")'.format(at, "".join(f"\\{b:02x}" for b in content))
        for at, content in texts.items()
    )
    return f"""(component
  {wasi_nn(version) if version is not None else ""}
  {_WASI}
  {extra}
  (core module $memory_code
    (memory (export "memory") {pages})
    (global $top (mut i32) (i32.const 131072))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
      (global.set $top (i32.add (local.get $at) (local.get 3)))
      (if (i32.gt_u (global.get $top) (i32.shl (memory.size) (i32.const 16)))
        (then unreachable))
      (local.get $at)))
  (core instance $memory_of (instantiate $memory_code))
  (alias core export $memory_of "memory" (core memory $memory))
  (alias core export $memory_of "realloc" (core func $realloc))
  {lowered}
  (core module $code
    (import "memory" "memory" (memory 1))
    {imports}
    {segments}
    {_LIBRARY}
    {_FAILING if version is not None else ""}
    (func (export "run") (result i32) {locals_}
      {body}))
  (core instance $program (instantiate $code
    (with "memory" (instance $memory_of))
    (with "host" (instance {given}))))
  (func $run (result (result)) (canon lift (core func $program "run")))
  (instance $cli (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $cli)))"""


def name(text: str) -> str:
    """A name as two arguments."""
    return f"(i32.const {NAMES[text]}) (i32.const {len(text)})"


def opened(model: str = "one") -> str:
    """Loads a model by name and opens a context, kept in the locals $graph and $context."""
    return f"""
      (call $load-by-name {name(model)} (i32.const {R}))
      (local.set $graph (call $got))
      (call $open (local.get $graph) (i32.const {R}))
      (local.set $context (call $got))"""


def tensor(rank: int, size: int, type_: int = 1) -> str:
    """A new tensor of the dimensions at DIMS and the bytes at DATA; 1 is f32."""
    return (
        f"(call $tensor-new (i32.const {DIMS}) (i32.const {rank}) (i32.const {type_}) "
        f"(i32.const {DATA}) (i32.const {size}))"
    )


def computed(version: str, given: str, input_: str = "x", output: str = "0") -> str:
    """Computes with the tensor `given`; output 0, or the one named, is put into $tensor."""
    if version in BY_CALLS:
        return f"""
      (call $set-input (local.get $context) {name(input_)} {given} (i32.const {R}))
      (call $check)
      (call $compute (local.get $context) (i32.const {R}))
      (call $check)
      (call $get-output (local.get $context) {name(output)} (i32.const {R}))
      (local.set $tensor (call $got))"""
    return f"""
      (i32.store (i32.const 128) (i32.const {NAMES[input_]}))
      (i32.store (i32.const 132) (i32.const {len(input_)}))
      (i32.store (i32.const 136) {given})
      (call $compute-list (local.get $context) (i32.const 128) (i32.const 1) (i32.const {R}))
      (call $check)
      (local.set $tensor
        (i32.load (i32.add (i32.load offset=4 (i32.const {R})) (i32.const 8))))"""


PRINT_DATA = f"""
      (call $tensor-data (local.get $tensor) (i32.const {R}))
      (call $print (i32.load (i32.const {R})) (i32.load offset=4 (i32.const {R})))"""
LOCALS = "(local $graph i32) (local $context i32) (local $tensor i32) (local $i i32)"


@dataclass(frozen=True)
class Ran:
    """What a component did, and the session it had."""

    run: GuestRun
    session: Session


class ComponentRunner:
    """Runs components given as text."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def worker(self, text: str, limits: Limits | None = None) -> Worker:
        """Compile a component."""
        self._count += 1
        path = self._folder / f"guest{self._count}.wasm"
        path.write_bytes(wasmtime.wat2wasm(text))
        return Worker(Runtime(limits or Limits()), path)

    def __call__(
        self,
        text: str,
        *,
        engine: Engine | None = None,
        models: Mapping[str, ModelSource] | None = None,
        limits: Limits | None = None,
    ) -> Ran:
        """Run a component to its end; the session is closed afterwards."""
        pool = GraphPool(EnginePool.of(engine or FakeEngine()), Board())
        session = Session(pool, models or {})
        linked = self.worker(text, limits).linked(Grant(nn=True))
        try:
            return Ran(linked.run(session=session), session)
        finally:
            session.close()
