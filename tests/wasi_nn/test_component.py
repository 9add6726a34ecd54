"""Components with wasi:nn, in all its versions, over the same session as core modules."""

from __future__ import annotations

import re
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import wasmtime
from kit.component_guests import (
    BY_CALLS,
    BY_LIST,
    DATA,
    DIMS,
    LOCALS,
    PRINT_DATA,
    ComponentRunner,
    R,
    component,
    computed,
    name,
    opened,
    tensor,
)
from kit.core_guests import f32s
from kit.fakes import FakeEngine

from wasmlrun.binary.component import read
from wasmlrun.engines.pool import EnginePool
from wasmlrun.engines.protocol import Engine, Port
from wasmlrun.manifest.grant import Grant
from wasmlrun.sandbox.clock import Clock
from wasmlrun.sandbox.worker import Runtime, Worker
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.cache import Cache
from wasmlrun.support.errors import BadWorker, LimitExceeded, WorkerFailed
from wasmlrun.support.limits import Limits
from wasmlrun.support.model_source import Encoding, ModelSource, read_model
from wasmlrun.support.tensor import DType, Tensor
from wasmlrun.wasi_nn import adapter
from wasmlrun.wasi_nn import component as binding
from wasmlrun.wasi_nn.graphs import GraphPool
from wasmlrun.wasi_nn.session import Session

VERSIONS = (*BY_CALLS, *BY_LIST)
NEWEST = BY_LIST[0]
OLDEST = BY_CALLS[0]
MODELS = {"one": ModelSource(Encoding.ONNX, (b"\x08one",))}
FOUR = f32s(1, 2, 3, 250.5)
GIVEN = {DIMS: struct.pack("<2I", 1, 4), DATA: FOUR}
OK = "(i32.const 0)"
# where a guest keeps what is large
BIG = 1 << 20


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ComponentRunner:
    return ComponentRunner(tmp_path_factory.mktemp("components"))


def u8_engine(size: int) -> FakeEngine:
    return FakeEngine(
        inputs=(Port("x", (1, size), DType.U8),), outputs=(Port("y", (1, size), DType.U8),)
    )


def pages(size: int) -> int:
    return size // 65536 + 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_component_computes(run: ComponentRunner, version: str) -> None:
    body = opened() + computed(version, tensor(2, 16)) + PRINT_DATA + OK
    engine = FakeEngine()
    ran = run(component(body, version, data=GIVEN, locals_=LOCALS), models=MODELS, engine=engine)
    assert ran.run.exit_code == 0
    assert ran.run.stdout == FOUR
    assert ran.run.output == Tensor((1, 4), DType.F32, FOUR)
    assert ran.run.failure is None
    assert engine.loads == [(MODELS["one"], "CPU")]


@pytest.mark.parametrize("version", VERSIONS)
def test_inputs_are_found_by_number_too(run: ComponentRunner, version: str) -> None:
    body = opened() + computed(version, tensor(2, 16), input_="0", output="y") + OK
    ran = run(component(body, version, data=GIVEN, locals_=LOCALS), models=MODELS)
    assert (ran.run.exit_code, ran.run.output) == (0, Tensor((1, 4), DType.F32, FOUR))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("what", "given", "code", "sentence"),
    [
        ("shape", tensor(2, 16), 0, "the shape differs"),
        ("type", tensor(2, 16, type_=5), 0, "the element type differs"),
        ("size", tensor(2, 12), 0, "takes 16 bytes, 12 given"),
        ("rank", tensor(17, 16), 0, "a tensor of 17 dimensions"),
    ],
)
def test_a_wrong_tensor_is_an_error_with_the_sentence(
    run: ComponentRunner, version: str, what: str, given: str, code: int, sentence: str
) -> None:
    dims = struct.pack("<2I", *((1, 4) if what != "shape" else (2, 2)))
    body = opened() + computed(version, given) + OK
    text = component(body, version, data={DIMS: dims, DATA: FOUR}, locals_=LOCALS)
    ran = run(text, models=MODELS)
    assert ran.run.failure is not None
    assert sentence in ran.run.failure.message
    assert ran.run.stdout.decode() == f"{code} {ran.run.failure.message}"
    assert ran.run.exit_code == 1
    assert ran.run.output is None


@pytest.mark.parametrize(
    ("body", "code", "sentence"),
    [
        (opened("nonsense"), 6, "no model is named 'nonsense' (known: one)"),
        (
            opened() + computed(OLDEST, tensor(2, 16), input_="nonsense"),
            0,
            "the model has no input nonsense",
        ),
        (
            opened() + computed(OLDEST, tensor(2, 16), output="nonsense"),
            0,
            "the model has no output nonsense",
        ),
        (
            opened() + f"(call $compute (local.get $context) (i32.const {R})) (call $check)",
            0,
            "was never set",
        ),
        (
            opened()
            + f"(call $get-output (local.get $context) {name('0')} (i32.const {R})) (call $check)",
            3,
            "nothing was computed yet",
        ),
        (
            f"(call $load (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const {R}))"
            "(call $check)",
            0,
            "the model is empty",
        ),
        (  # two parts of four bytes each, which are no model
            f"(i32.store (i32.const 256) (i32.const {DATA}))"
            "(i32.store (i32.const 260) (i32.const 4))"
            "(call $load (i32.const 256) (i32.const 1) (i32.const 6) (i32.const 0) "
            f"(i32.const {R})) (call $check)",
            1,
            "no known format",
        ),
        (
            f"(i32.store (i32.const 256) (i32.const {DATA}))"
            "(i32.store (i32.const 260) (i32.const 4))"
            "(call $load (i32.const 256) (i32.const 1) (i32.const 0) (i32.const 0) "
            f"(i32.const {R})) (call $check)",
            0,
            "has 2 part(s), 1 given",
        ),
    ],
)
def test_misuse_is_an_error_with_the_sentence(
    run: ComponentRunner, body: str, code: int, sentence: str
) -> None:
    ran = run(component(body + OK, OLDEST, data=GIVEN, locals_=LOCALS), models=MODELS)
    assert ran.run.failure is not None
    assert sentence in ran.run.failure.message
    assert ran.run.stdout.decode() == f"{code} {ran.run.failure.message}"
    assert ran.run.exit_code == 1


def test_inputs_of_an_earlier_computation_do_not_count(run: ComponentRunner) -> None:
    again = f"""
      (call $compute-list (local.get $context) (i32.const 0) (i32.const 0) (i32.const {R}))
      (call $check)"""
    body = opened() + computed(NEWEST, tensor(2, 16)) + again + OK
    ran = run(component(body, NEWEST, data=GIVEN, locals_=LOCALS), models=MODELS)
    assert b"was never set" in ran.run.stdout


@pytest.mark.parametrize("step", ["load", "open", "set_input", "compute", "output"])
@pytest.mark.parametrize("version", VERSIONS)
def test_what_the_engine_refuses_is_told(run: ComponentRunner, version: str, step: str) -> None:
    body = opened() + computed(version, tensor(2, 16)) + OK
    text = component(body, version, data=GIVEN, locals_=LOCALS)
    ran = run(text, models=MODELS, engine=FakeEngine(fail=step))
    assert ran.run.failure is not None
    assert f"the fake refuses to {step}" in ran.run.failure.message
    assert ran.run.stdout.decode() == f"3 {ran.run.failure.message}"


def test_a_guest_may_make_errors_itself(run: ComponentRunner) -> None:
    body = f"""
      (i32.store8 (i32.const {R}) (i32.const 1))
      (i32.store offset=4 (i32.const {R}) (call $error-new (i32.const 7) {name("nonsense")}))
      (call $check) {OK}"""
    assert run(component(body, OLDEST)).run.stdout == b"7 nonsense"


def test_a_tensor_tells_its_dimensions_and_type(run: ComponentRunner) -> None:
    body = f"""
      (local.set $tensor {tensor(3, 8, type_=0)})
      (call $tensor-dims (local.get $tensor) (i32.const {R}))
      (if (i32.ne (i32.load offset=4 (i32.const {R})) (i32.const 3)) (then unreachable))
      (call $print (i32.load (i32.const {R})) (i32.const 12))
      (i32.store8 (i32.const 300) (call $tensor-type (local.get $tensor)))
      (call $print (i32.const 300) (i32.const 1)) {OK}"""
    dims = struct.pack("<3I", 1, 0x01020304, 0xFFFFFFFF)
    ran = run(component(body, NEWEST, data={DIMS: dims}, locals_=LOCALS))
    assert ran.run.stdout == dims + b"\0"


@pytest.mark.parametrize("number", range(7))
def test_types_are_numbered_as_in_the_interface(run: ComponentRunner, number: int) -> None:
    types = (DType.F16, DType.F32, DType.F64, DType.BF16, DType.U8, DType.I32, DType.I64)
    dtype = types[number]
    engine = FakeEngine(inputs=(Port("x", (2,), dtype),), outputs=(Port("y", (2,), dtype),))
    body = f"""
      {opened()} {computed(NEWEST, tensor(1, 2 * dtype.size, type_=number))}
      (i32.store8 (i32.const 300) (call $tensor-type (local.get $tensor)))
      (call $print (i32.const 300) (i32.const 1)) {OK}"""
    data = {DIMS: struct.pack("<I", 2), DATA: bytes(range(16))}
    ran = run(component(body, NEWEST, data=data, locals_=LOCALS), models=MODELS, engine=engine)
    assert ran.run.stdout == bytes([number])
    assert ran.run.output == Tensor((2,), dtype, bytes(range(2 * dtype.size)))


def test_outputs_of_an_openvino_model_are_numbered(run: ComponentRunner) -> None:
    def names(source: ModelSource) -> bytes:
        body = f"""
          {opened()} {computed(NEWEST, tensor(2, 16))}
          (local.set $i (i32.load offset=4 (i32.const {R})))
          (call $print (i32.load (local.get $i)) (i32.load offset=4 (local.get $i))) {OK}"""
        text = component(body, NEWEST, data=GIVEN, locals_=LOCALS)
        return run(text, models={"one": source}).run.stdout

    assert names(MODELS["one"]) == b"y"
    assert names(ModelSource(Encoding.OPENVINO, (b"<net/>", b""))) == b"0"


def test_the_output_read_last_is_the_answer(run: ComponentRunner) -> None:
    other = Tensor((2,), DType.U8, b"ab")
    engine = FakeEngine(
        outputs=(Port("y", (1, 4), DType.F32), Port("z", (2,), DType.U8)),
        function=lambda inputs: {0: inputs[0], 1: other},
    )
    body = opened() + computed(NEWEST, tensor(2, 16))
    second = f"""
      (local.set $tensor
        (i32.load (i32.add (i32.load offset=4 (i32.const {R})) (i32.const 20)))) {PRINT_DATA}"""
    for then, answer in (("", Tensor((1, 4), DType.F32, FOUR)), (second, other)):
        text = component(body + then + OK, NEWEST, data=GIVEN, locals_=LOCALS)
        assert run(text, models=MODELS, engine=engine).run.output == answer


def test_byte_lists_of_any_length_arrive_unchanged(run: ComponentRunner) -> None:
    piece = binding.PIECE
    sizes = [0, 1, 2, 15, 16, 17, 31, 33, piece - 1, piece, piece + 1, 3 * piece, 3 * piece + 5]
    steps = "\n".join(
        f"""
      (i32.store (i32.const {DIMS}) (i32.const {size}))
      (local.set $tensor (call $tensor-new (i32.const {DIMS}) (i32.const 1) (i32.const 4)
        (i32.const {BIG + n}) (i32.const {size})))
      (call $tensor-data (local.get $tensor) (i32.const {R}))
      (call $same (i32.const {BIG + n}) (i32.const {size}))
      (call $print (i32.load (i32.const {R})) (i32.load offset=4 (i32.const {R})))"""
        for n, size in enumerate(sizes)
    )
    limit = BIG + (1 << 20)
    text = component(steps + OK, NEWEST, pages=pages(limit) + 20, locals_=LOCALS)
    text = with_pattern(text, 4 * piece)
    whole = pattern(4 * piece)
    expected = b"".join(whole[n : n + size] for n, size in enumerate(sizes))
    assert run(text).run.stdout == expected


def test_sixty_four_megabytes_cross_both_ways(run: ComponentRunner) -> None:
    size = 64 << 20
    body = f"""
      {opened()}
      {computed(NEWEST, tensor_at_big(size))}
      (call $tensor-data (local.get $tensor) (i32.const {R}))
      (call $same (i32.const {BIG}) (i32.const {size})) {OK}"""
    data = {DIMS: struct.pack("<2I", 1, size)}
    text = component(body, NEWEST, pages=pages(BIG + size), data=data, locals_=LOCALS)
    text = with_pattern(text, size, result_at=BIG + size)
    ran = run(text, models=MODELS, engine=u8_engine(size))
    assert ran.run.exit_code == 0
    assert ran.run.output is not None
    assert ran.run.output.data == pattern(size)


def test_a_model_of_megabytes_is_loaded_from_lists(run: ComponentRunner) -> None:
    size = 3_600_001
    body = f"""
      (i32.store8 (i32.const {BIG}) (i32.const 60))
      (i32.store (i32.const 256) (i32.const {BIG}))
      (i32.store (i32.const 260) (i32.const 9))
      (i32.store (i32.const 264) (i32.const {BIG + 1}))
      (i32.store (i32.const 268) (i32.const {size}))
      (call $load (i32.const 256) (i32.const 2) (i32.const 0) (i32.const 1) (i32.const {R}))
      (call $check) {OK}"""
    text = with_pattern(component(body, NEWEST, pages=pages(BIG + size), locals_=LOCALS), size + 4)
    engine = FakeEngine(found=["CPU", "GPU"])
    assert run(text, engine=engine).run.exit_code == 0
    whole = b"<" + pattern(size + 4)[1:]
    ((source, device),) = engine.loads
    assert source == ModelSource(Encoding.OPENVINO, (whole[:9], whole[1 : size + 1]))
    assert device == "GPU"


def test_tensors_cross_quickly(run: ComponentRunner) -> None:
    size, repeats = 602_112, 5

    def best(step: str) -> float:
        body = f"""
          (call $print (i32.const 0) (i32.const 1))
          (loop $again
            {step}
            (call $tensor-drop (local.get $tensor))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $i) (i32.const {repeats}))))
          (call $print (i32.const 0) (i32.const 1)) {OK}"""
        text = component(
            body, NEWEST, pages=pages(BIG + size * (repeats + 1)),
            data={DIMS: struct.pack("<2I", 1, size)}, locals_=LOCALS,
        )  # fmt: skip
        linked = run.worker(with_pattern(text, size, result_at=BIG + size)).linked(Grant(nn=True))
        seen = []
        for _ in range(3):
            times: list[float] = []

            def note(data: bytes, times: list[float] = times) -> None:
                # this process's own time: others on the machine do not count
                times.append(time.process_time())

            session = Session(GraphPool(EnginePool.of(FakeEngine()), Board()), {})
            linked.run(session=session, stdout=note)
            seen.append((times[-1] - times[0]) / repeats)
        return min(seen)

    give = f"(local.set $tensor {tensor_at_big(size)})"
    given = best(give)
    both = best(f"{give} (call $tensor-data (local.get $tensor) (i32.const {R}))")
    assert given < 0.020
    assert both - given < 0.020


def test_a_real_engine(run: ComponentRunner, openvino: Engine, colours: Path) -> None:
    engine = openvino
    source = read_model(colours)
    graph = engine.load(source, "CPU")
    (port,) = graph.inputs
    shape = tuple(max(n, 1) for n in port.shape)
    size = port.dtype.size
    for n in shape:
        size *= n
    number = binding._TYPES.index(port.dtype)
    for version in VERSIONS:
        body = opened() + computed(version, tensor(4, size, type_=number), input_="0") + OK
        data = {DIMS: struct.pack("<4I", *shape), DATA: bytes(size)}
        text = component(body, version, data=data, locals_=LOCALS)
        ran = run(text, models={"one": source}, engine=engine)
        assert ran.run.failure is None
        assert ran.run.output is not None
        assert ran.run.output.dtype is DType.F32
        assert sum(struct.unpack(f"<{len(ran.run.output.data) // 4}f", ran.run.output.data)) == (
            pytest.approx(1)
        )


def test_what_is_dropped_is_freed(run: ComponentRunner) -> None:
    dropping = "(call $context-drop (local.get $context)) (call $graph-drop (local.get $graph))"
    left = {}
    for then in ("", dropping):
        body = opened() + then + OK
        engine = FakeEngine()
        session = Session(GraphPool(EnginePool.of(engine), Board()), MODELS)
        worker = run.worker(component(body, NEWEST, locals_=LOCALS))
        worker.linked(Grant(nn=True)).run(session=session)
        left[then] = engine.graphs[0].contexts[0].closed
        session.close()
        assert engine.graphs[0].contexts[0].closed
    assert left == {"": False, dropping: True}


def test_tensors_that_are_dropped_do_not_count(run: ComponentRunner) -> None:
    def text(then: str) -> str:
        body = f"""
          (loop $again
            (local.set $tensor {tensor_at_big(1 << 20)}) {then}
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $i) (i32.const 20)))) {OK}"""
        return component(body, NEWEST, pages=64, locals_=LOCALS)

    limits = Limits(tensor_bytes=8 << 20)
    dropped = run(text("(call $tensor-drop (local.get $tensor))"), limits=limits)
    assert dropped.run.exit_code == 0
    with pytest.raises(LimitExceeded, match="tensor_bytes limit of 8388608"):
        run(text(""), limits=limits)


def test_the_memory_limit_holds_for_components(run: ComponentRunner) -> None:
    limits = Limits(memory=3 << 20)
    with pytest.raises(LimitExceeded, match="memory limit of 3145728 bytes"):
        run(component(OK, NEWEST, pages=49), limits=limits)
    # what the adapter cannot take in
    body = f"""
      (local.set $tensor (call $tensor-new (i32.const 0) (i32.const 0) (i32.const 4)
        (i32.const 0) (i32.const {3 << 20}))) {OK}"""
    with pytest.raises(LimitExceeded, match="memory limit of 3145728 bytes"):
        run(component(body, NEWEST, pages=48, locals_=LOCALS), limits=limits)


def test_an_endless_component_is_stopped(run: ComponentRunner, tmp_path: Path) -> None:
    path = tmp_path / "endless.wasm"
    path.write_bytes(wasmtime.wat2wasm(component(f"(loop $l (br $l)) {OK}", NEWEST)))
    linked = Worker(Runtime(Limits(timeout=0.2)), path).linked(Grant(nn=True))
    session = Session(GraphPool(EnginePool.of(FakeEngine()), Board()), {})
    with pytest.raises(LimitExceeded, match=r"limit of 0\.2 s"):
        linked.run(session=session, clock=Clock.after(0.2))


def test_a_component_that_writes_too_much_is_stopped(run: ComponentRunner) -> None:
    body = f"(call $print (i32.const 0) (i32.const 100000)) {OK}"
    with pytest.raises(LimitExceeded, match="output limit of 10000 bytes"):
        run(component(body, None), limits=Limits(output=10_000))


def test_a_trap_is_told(run: ComponentRunner) -> None:
    with pytest.raises(WorkerFailed, match=r"trapped: .*unreachable"):
        run(component("unreachable", NEWEST))


@pytest.mark.parametrize(
    ("body", "code"),
    [(OK, 0), ("(i32.const 1)", 1), ("(call $exit (i32.const 0)) unreachable", 0),
     ("(call $exit (i32.const 1)) unreachable", 1)],
)  # fmt: skip
@pytest.mark.parametrize("version", [None, NEWEST])
def test_the_exit_code_passes_through(
    run: ComponentRunner, body: str, code: int, version: str | None
) -> None:
    assert run(component(body, version)).run.exit_code == code


def test_a_component_without_wasi_nn_needs_no_session(run: ComponentRunner) -> None:
    worker = run.worker(component(f"(call $print (i32.const 1032) (i32.const 1)) {OK}", None))
    assert not worker.uses_nn
    assert worker.linked(Grant()).run(session=None).stdout == b"x"


def test_wasi_nn_has_to_be_granted(run: ComponentRunner) -> None:
    worker = run.worker(component(OK, NEWEST))
    assert worker.uses_nn
    with pytest.raises(BadWorker, match="uses WASI-NN") as refused:
        worker.linked(Grant(said_by="worker.toml"))
    assert refused.value.hint is not None
    assert "allowed_backends" in refused.value.hint


@pytest.mark.parametrize(
    ("interface", "hint"),
    [
        ("wasi:http/types@0.2.0", "--disable http"),
        ("wasi:nn/graph@0.2.0-rc-2023-01-01", "2024-10-28"),
        ("wasi:cli/environment@0.3.0", "WASI 0.3 is not supported"),
        ("someone:else/thing", "wasi:cli, clocks"),
    ],
)
def test_an_import_that_nobody_provides_is_named_before_running(
    run: ComponentRunner, interface: str, hint: str
) -> None:
    extra = f'(import "{interface}" (instance (export "f" (func))))'
    with pytest.raises(BadWorker, match=re.escape(interface)) as refused:
        run.worker(component(OK, NEWEST, extra=extra))
    assert refused.value.hint is not None
    assert hint in refused.value.hint


def test_a_function_of_wasi_nn_that_does_not_exist_is_refused(run: ComponentRunner) -> None:
    text = component(OK, NEWEST).replace('(export "load-by-name" (func', '(export "lode" (func')
    text = text.replace('(alias export $graphs "load-by-name"', '(alias export $graphs "lode"')
    with pytest.raises(BadWorker, match="is not a valid component"):
        run.worker(text)


def test_definitions_in_front_of_the_imports_do_no_harm(run: ComponentRunner) -> None:
    text = component(opened() + OK, NEWEST, locals_=LOCALS)
    text = text.replace("(component", "(component (core module) (component) (type (list u8))", 1)
    assert run(text, models=MODELS).run.exit_code == 0


def test_imports_behind_what_they_may_depend_on_are_refused(run: ComponentRunner) -> None:
    text = component(OK, NEWEST).replace(
        "(component", "(component (component $c) (instance (instantiate $c))", 1
    )
    with pytest.raises(BadWorker, match="imports follow definitions"):
        run.worker(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("(component)", "exports no wasi:cli/run"),
        (
            '(component (instance $i) (export "wasi:cli/run@0.3.0" (instance $i)))',
            "exports wasi:cli/run@0.3.0",
        ),
        (
            '(component (instance $i) (export "wasi:cli/run" (instance $i)))',
            "exports wasi:cli/run of a preview of WASI 0.2",
        ),
    ],
)
def test_what_is_no_program_is_refused(run: ComponentRunner, text: str, sentence: str) -> None:
    with pytest.raises(BadWorker, match=re.escape(sentence)):
        run.worker(text)


def test_broken_components_are_refused(tmp_path: Path) -> None:
    whole = bytes(wasmtime.wat2wasm(component(OK, NEWEST)))
    path = tmp_path / "broken.wasm"
    runtime = Runtime(Limits())
    for cut in (*range(8, 600, 7), *range(600, len(whole), 997)):
        path.write_bytes(whole[:cut])
        with pytest.raises(BadWorker):
            Worker(runtime, path)


def test_a_compiled_component_is_taken_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "guest.wasm"
    path.write_bytes(wasmtime.wat2wasm(component(opened() + OK, NEWEST, locals_=LOCALS)))

    def exit_code() -> int:
        worker = Worker(Runtime(Limits(), Cache(tmp_path / "cache")), path)
        session = Session(GraphPool(EnginePool.of(FakeEngine()), Board()), MODELS)
        return worker.linked(Grant(nn=True)).run(session=session).exit_code

    def refuse(*_: object) -> bytes:
        raise AssertionError("composed again")

    assert exit_code() == 0
    monkeypatch.setattr(adapter, "compose", refuse)
    assert exit_code() == 0
    # what was composed with another adapter is of no use
    monkeypatch.setattr(adapter, "identity", lambda: "another")
    with pytest.raises(AssertionError, match="composed again"):
        exit_code()


def test_both_sides_cut_byte_lists_alike() -> None:
    text = Path(adapter.__file__).with_name("adapter.wat").read_text()
    (piece,) = re.findall(r"\(global \$piece i32 \(i32\.const (\w+)\)\)", text)
    assert int(piece, 0) == binding.PIECE


def test_the_outline_of_a_component() -> None:
    outline = read(bytes(wasmtime.wat2wasm(component(OK, NEWEST))))
    names = [item.name for item in outline.imports]
    assert names[:2] == [f"wasi:nn/errors@{NEWEST}", f"wasi:nn/tensor@{NEWEST}"]
    assert names[-1] == "wasi:cli/exit@0.2.0"
    assert [item.name for item in outline.exports] == ["wasi:cli/run@0.2.0"]


def pattern(size: int) -> bytes:
    """What `with_pattern` fills a guest's memory with."""
    return (np.arange((size + 3) // 4, dtype=np.uint32) * np.uint32(2654435761)).tobytes()[:size]


def tensor_at_big(size: int) -> str:
    """A new u8 tensor of the two dimensions at DIMS and the bytes at BIG."""
    return (
        f"(call $tensor-new (i32.const {DIMS}) (i32.const 2) (i32.const 4) "
        f"(i32.const {BIG}) (i32.const {size}))"
    )


def with_pattern(text: str, size: int, result_at: int | None = None) -> str:
    """The component, its memory filled at BIG before it runs; `$same` compares with a result.

    Results are put at `result_at`; memory grows for them.
    """
    filling = f"""
      (local $w i32)
      (loop $fill
        (i32.store
          (i32.add (i32.const {BIG}) (i32.shl (local.get $w) (i32.const 2)))
          (i32.mul (local.get $w) (i32.const {2654435761 - (1 << 32)})))
        (local.set $w (i32.add (local.get $w) (i32.const 1)))
        (br_if $fill (i32.lt_u (local.get $w) (i32.const {(size + 3) // 4}))))"""
    same = f"""
      (func $same (param $at i32) (param $size i32) (local $i i32)
        (if (i32.ne (i32.load offset=4 (i32.const {R})) (local.get $size)) (then unreachable))
        (block $done
          (loop $next
            (br_if $done (i32.ge_u (local.get $i) (local.get $size)))
            (if (i32.ne
                  (i32.load8_u (i32.add (local.get $at) (local.get $i)))
                  (i32.load8_u (i32.add (i32.load (i32.const {R})) (local.get $i))))
              (then unreachable))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br $next))))"""
    head, rest = text.split(LOCALS, 1)
    head = head.replace('(func (export "run")', same + '(func (export "run")')
    if result_at is not None:
        head = head.replace("(mut i32) (i32.const 131072)", f"(mut i32) (i32.const {result_at})")
    head = head.replace("unreachable))\n      (local.get $at)))", GROW)
    return head + LOCALS + filling + rest


GROW = """
          (drop (memory.grow (i32.add (i32.const 1)
            (i32.sub (i32.shr_u (global.get $top) (i32.const 16)) (memory.size)))))))
      (local.get $at)))"""
