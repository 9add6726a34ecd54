"""What every inference engine has to do, as checks that its own tests run.

    import pytest
    from wasmlrun.testing import engine_suite
    from wasmlrun.testing.engine_suite import Case, Example, Subject

    SUBJECT = Subject("toy", [Example(source, [Case([one], [its_output]), Case([two], …)])])

    @pytest.mark.parametrize("check", engine_suite.CHECKS, ids=lambda check: check.__name__)
    def test_it_is_an_engine(check):
        check(SUBJECT)

The engine is found by its name, so it has to be installed: a folder of `wasmlrun.engines`, or an
entry point of that group. Each check raises AssertionError where the engine does otherwise than
the Protocol says. Native code that crashes ends the tests; that is a finding too.
"""

from __future__ import annotations

import errno
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from array import array
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from wasmlrun.engines import registry
from wasmlrun.engines.protocol import (
    About,
    Context,
    Engine,
    EngineError,
    Graph,
    OutOfMemoryError,
    Port,
    Settings,
)
from wasmlrun.support.cache import Cache
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.support.records import Record
from wasmlrun.support.tensor import DType, Tensor, byte_size

THREADS = 4
ROUNDS = 5


class Case(Record):
    """Inputs of a model, in its order, and the outputs that belong to them."""

    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]


class Example(Record):
    """A model that the engine reads, and at least two cases with different outputs."""

    source: ModelSource
    cases: Sequence[Case]
    tolerance: float = 1e-4
    """How far a float of an output may be from the case's."""


class Subject(Record):
    """An engine and models to try it with, the smaller the better."""

    name: str
    examples: Sequence[Example]

    def engine(self, settings: Settings | None = None) -> Engine:
        """The engine, made with these settings."""
        return registry.get(self.name, settings or Settings())


Check = Callable[[Subject], None]
CHECKS: list[Check] = []
"""All of them, by their names what an engine does."""


def _check(function: Check) -> Check:
    CHECKS.append(function)
    return function


@_check
def says_what_it_is(subject: Subject) -> None:
    """ABOUT names it, its encodings, precisions and devices; it has a version."""
    about = registry.about(subject.name)
    engine = subject.engine()
    assert isinstance(about, About)
    assert engine.about == about
    assert about.name == subject.name
    assert about.description
    assert "\n" not in about.description
    assert registry.is_installed(about)
    assert about.encodings
    assert len(set(about.encodings)) == len(about.encodings)
    assert "f32" in about.precisions
    assert "CPU" in about.devices
    assert engine.version()


@_check
def finds_the_cpu_and_only_devices_that_it_explains(subject: Subject) -> None:
    """`CPU` is there; of `GPU.1` the word before the point is explained."""
    engine = subject.engine()
    found = engine.devices()
    assert "CPU" in found
    assert {name.split(".")[0] for name in found} <= set(engine.about.devices)


@_check
def is_prepared_as_often_as_one_likes(subject: Subject) -> None:
    """`prepare` never raises, and a model is loaded with it and without."""
    engine = subject.engine()
    engine.prepare()
    engine.prepare()
    for example in subject.examples:
        engine.load(example.source, "CPU").close()


@_check
def describes_inputs_and_outputs(subject: Subject) -> None:
    """Ports have names of their own, sizes of at least -1, and a type; the cases fit them."""
    for example, graph in _graphs(subject):
        for ports, tensors in (
            (graph.inputs, example.cases[0].inputs),
            (graph.outputs, example.cases[0].outputs),
        ):
            assert len(ports) == len(tensors)
            names = [port.name for port in ports]
            assert all(names), names
            assert len(set(names)) == len(names), names
            for port, tensor in zip(ports, tensors, strict=True):
                assert isinstance(port.dtype, DType)
                assert _fits(tensor, port), f"{tensor} for {port}"


@_check
def computes_what_the_model_says(subject: Subject) -> None:
    """Every case's outputs, of the shape, type and size that they say."""
    for example, graph in _graphs(subject):
        for case in example.cases:
            context = graph.open()
            _assert_close(_computed(context, case), case.outputs, example.tolerance)
            context.close()


@_check
def gives_equal_bytes_for_equal_inputs(subject: Subject) -> None:
    """In f32: in one context, in two, and in two graphs."""
    for example in subject.examples:
        found = set()
        for _ in range(2):
            graph = subject.engine().load(example.source, "CPU")
            for _ in range(2):
                context = graph.open()
                found |= {_bytes(_computed(context, example.cases[0])) for _ in range(2)}
                context.close()
            graph.close()
        assert len(found) == 1


@_check
def keeps_contexts_apart(subject: Subject) -> None:
    """What one is given or computes, another does not see."""
    for example, graph in _graphs(subject):
        one, two, *_ = example.cases
        first, second = graph.open(), graph.open()
        _give(first, one)
        _give(second, two)
        second.compute()
        first.compute()
        _assert_close(_outputs(first, one), one.outputs, example.tolerance)
        _assert_close(_outputs(second, two), two.outputs, example.tolerance)


@_check
def uses_a_context_again(subject: Subject) -> None:
    """The next computation has the next inputs; an output that was fetched stays as it is."""
    for example, graph in _graphs(subject):
        one, two, *_ = example.cases
        context = graph.open()
        before = _computed(context, one)
        kept = _bytes(before)
        _assert_close(_computed(context, two), two.outputs, example.tolerance)
        assert _bytes(before) == kept
        assert _bytes(_computed(context, one)) == kept


@_check
def takes_bytes_of_every_kind(subject: Subject) -> None:
    """bytes, bytearray and memoryview, at odd addresses too."""
    for example, graph in _graphs(subject):
        case = example.cases[0]
        for kind in (bytes, bytearray, _odd):
            inputs = [Tensor(t.shape, t.dtype, kind(bytes(t.data))) for t in case.inputs]
            context = graph.open()
            computed = _computed(context, Case(inputs, case.outputs))
            _assert_close(computed, case.outputs, example.tolerance)


@_check
def computes_in_several_threads(subject: Subject) -> None:
    """Contexts of one graph, each in a thread of its own."""
    for example in subject.examples:
        graph = subject.engine(Settings(streams=THREADS)).load(example.source, "CPU")
        wrong: list[BaseException] = []

        def work(
            number: int,
            example: Example = example,
            graph: Graph = graph,
            wrong: list[BaseException] = wrong,
        ) -> None:
            try:
                context = graph.open()
                case = example.cases[number % len(example.cases)]
                for _ in range(ROUNDS):
                    _assert_close(_computed(context, case), case.outputs, example.tolerance)
                context.close()
            except BaseException as e:  # noqa: BLE001 - raised again below
                wrong.append(e)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for error in wrong:
            raise error
        graph.close()


@_check
def loads_in_several_threads(subject: Subject) -> None:
    """One engine, models loaded side by side."""
    engine = subject.engine()
    graphs: list[Graph] = []
    source = subject.examples[0].source
    threads = [
        threading.Thread(target=lambda: graphs.append(engine.load(source, "CPU")))
        for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(graphs) == THREADS


@_check
def respects_the_number_of_threads(subject: Subject) -> None:
    """With one thread the answers are the same."""
    for example in subject.examples:
        graph = subject.engine(Settings(threads=1)).load(example.source, "CPU")
        case = example.cases[0]
        _assert_close(_computed(graph.open(), case), case.outputs, example.tolerance)


@_check
def closes_twice_and_in_any_order(subject: Subject) -> None:
    """Contexts outlive their graph; a closed graph opens no more."""
    for example, graph in _graphs(subject):
        case = example.cases[0]
        context, unused = graph.open(), graph.open()
        unused.close()
        unused.close()
        graph.close()
        graph.close()
        _assert_close(_computed(context, case), case.outputs, example.tolerance)
        _refused(graph.open)
        context.close()
        context.close()


@_check
def refuses_inputs_that_do_not_fit(subject: Subject) -> None:
    """Another type, rank or size, an empty tensor, no such input: EngineError, and only that.

    At `set_input`, or at `compute`; a right input afterwards is computed.
    """
    for example, graph in _graphs(subject):
        case = example.cases[0]
        good = case.inputs[0]
        port = graph.inputs[0]
        wrong: list[Tensor] = []
        if port.declared:
            wrong = [_of_other_type(good), _zeros((*good.shape, 2), good.dtype)]
        if port.declared and -1 not in port.shape:
            wrong += [
                _zeros((0, *good.shape[1:]), good.dtype),
                _zeros((*good.shape[:-1], good.shape[-1] + 1), good.dtype),
                _zeros((*good.shape[:-1], good.shape[-1] + 100_000), good.dtype),
            ]
        for tensor in wrong:
            context = graph.open()

            def attempt(
                context: Context = context, tensor: Tensor = tensor, case: Case = case
            ) -> None:
                _give(context, case)
                context.set_input(0, tensor)
                context.compute()

            _refused(attempt, str(tensor))
            _assert_close(_computed(context, case), case.outputs, example.tolerance)
        context = graph.open()
        for index in (len(graph.inputs), 1000):
            _refused(partial(context.set_input, index, good), f"input {index}")
        _computed(context, case)
        for index in (len(graph.outputs), 1000):
            _refused(partial(context.output, index), f"output {index}")


@_check
def refuses_what_is_no_model(subject: Subject) -> None:
    """No bytes, zeros, text, half a model: EngineError with a message in one line."""
    engine = subject.engine()
    for example in subject.examples:
        encoding, parts = example.source.encoding, example.source.parts
        first = parts[0]
        for data in (b"", bytes(64), b"no model\n" * 20, first[: len(first) // 2]):
            source = ModelSource(encoding, (data, *parts[1:]))
            error = _refused(partial(engine.load, source, "CPU"), f"{len(data)} bytes")
            assert str(error).strip()
            assert "\n" not in str(error), str(error)


@_check
def refuses_other_encodings(subject: Subject) -> None:
    """A model of an encoding that ABOUT does not have."""
    engine = subject.engine()
    for encoding in set(Encoding) - set(engine.about.encodings):
        _refused(partial(engine.load, ModelSource(encoding, (b"model",)), "CPU"))


@_check
def refuses_devices_that_it_has_not(subject: Subject) -> None:
    """EngineError that names the device."""
    engine = subject.engine()
    source = subject.examples[0].source
    error = _refused(lambda: engine.load(source, "PUMPKIN"))
    assert "PUMPKIN" in str(error)


@_check
def says_when_the_rest_is_its_own_work(subject: Subject) -> None:
    """`underway` is called once, before `load` returns."""
    engine = subject.engine()
    for example in subject.examples:
        called: list[int] = []
        engine.load(example.source, "CPU", partial(called.append, 1)).close()
        assert called == [1]


@_check
def computes_the_same_from_the_cache(subject: Subject) -> None:
    """A model that was loaded before, and one whose cached form is damaged."""
    with tempfile.TemporaryDirectory(prefix="wasmlrun-suite-") as folder:
        cache = Cache(Path(folder) / "cache")
        for example in subject.examples:
            case = example.cases[0]
            found = []
            for damaged in (False, False, True):
                if damaged:
                    for path in (Path(folder) / "cache" / "payloads").glob("*"):
                        path.write_bytes(b"damaged")
                graph = subject.engine(Settings(cache=cache)).load(example.source, "CPU")
                found.append(_computed(graph.open(), case))
                _assert_close(found[-1], case.outputs, example.tolerance)
                graph.close()
            assert len(set(map(_bytes, found))) == 1


@_check
def says_when_memory_is_short(subject: Subject) -> None:
    """Where the process may have no more: OutOfMemoryError, or it does without, or its library ends
    the process, as some do that cannot have another thread; whoever supervises it tells that.
    It does not fail in any other way.
    """
    if sys.platform != "linux":
        return  # elsewhere there is no such limit
    given = pickle.dumps((sys.path, subject.name, subject.examples[0]))
    script = f"from {__name__} import _in_little_memory; _in_little_memory()"
    for spare in (0, 1 << 20, 8 << 20):
        done = subprocess.run(
            [sys.executable, "-c", script, str(spare)],
            input=given,
            capture_output=True,
            check=False,
            timeout=120,
        )
        # 127 is the dynamic loader's, where a new thread gets no memory of its own
        ended = (0, 127, -signal.SIGABRT, -signal.SIGSEGV)
        assert done.returncode in ended, (
            f"{spare} bytes to spare: {done.returncode} {done.stderr.decode()[-800:]}"
        )


def _in_little_memory() -> None:
    """In a process of its own: load and compute with a few bytes more than it has now."""
    import resource

    sys.path[:], name, example = pickle.loads(sys.stdin.buffer.read())
    subject = Subject(name, [example])
    engine = subject.engine()
    engine.prepare()
    case = example.cases[0]
    _computed(engine.load(example.source, "CPU").open(), case)
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    used = next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmData"))
    bound = used + int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
    try:
        _computed(engine.load(example.source, "CPU").open(), case)
    except (OutOfMemoryError, MemoryError):
        pass
    except OSError as e:  # Python's own
        if e.errno != errno.ENOMEM:
            raise


def _graphs(subject: Subject) -> list[tuple[Example, Graph]]:
    engine = subject.engine()
    return [(example, engine.load(example.source, "CPU")) for example in subject.examples]


def _give(context: Context, case: Case) -> None:
    for index, tensor in enumerate(case.inputs):
        context.set_input(index, tensor)


def _outputs(context: Context, case: Case) -> list[Tensor]:
    return [context.output(index) for index in range(len(case.outputs))]


def _computed(context: Context, case: Case) -> list[Tensor]:
    _give(context, case)
    context.compute()
    return _outputs(context, case)


def _refused(call: Callable[[], object], what: str = "it") -> EngineError:
    try:
        call()
    except EngineError as error:
        return error
    raise AssertionError(f"{what} was not refused")


def _bytes(tensors: Sequence[Tensor]) -> bytes:
    return b"".join(bytes(tensor.data) for tensor in tensors)


def _fits(tensor: Tensor, port: Port) -> bool:
    return not port.declared or (
        tensor.dtype is port.dtype
        and len(tensor.shape) == len(port.shape)
        and all(p in (-1, n) for n, p in zip(tensor.shape, port.shape, strict=True))
    )


def _assert_close(found: Sequence[Tensor], wanted: Sequence[Tensor], tolerance: float) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype), f"{one} for {other}"
        assert len(one.data) == byte_size(one.shape, one.dtype), str(one)
        if one.dtype in _CODES:
            pairs = zip(_numbers(one), _numbers(other), strict=True)
            worst = max((abs(a - b) for a, b in pairs), default=0.0)
            assert worst <= tolerance, f"off by {worst}"
        else:
            assert bytes(one.data) == bytes(other.data)


_CODES = {DType.F32: "f", DType.F64: "d", DType.U8: "B", DType.I8: "b", DType.I32: "i"}


def _numbers(tensor: Tensor) -> array[float]:
    numbers: array[float] = array(_CODES[tensor.dtype])
    numbers.frombytes(bytes(tensor.data))
    return numbers


def _zeros(shape: tuple[int, ...], dtype: DType) -> Tensor:
    return Tensor(shape, dtype, bytes(byte_size(shape, dtype)))


def _of_other_type(tensor: Tensor) -> Tensor:
    return _zeros(tensor.shape, DType.F64 if tensor.dtype is not DType.F64 else DType.F32)


def _odd(data: bytes) -> memoryview:
    """A view of the bytes that begins at an odd address."""
    return memoryview(bytearray(b"\0" + data))[1:]
