"""The rules of WASI-NN that both bindings share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from kit.core_guests import f32s
from kit.fakes import FakeEngine

from wasmlrun.engines.pool import EnginePool
from wasmlrun.engines.protocol import Port
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.support.tensor import DType, Tensor
from wasmlrun.wasi_nn.errors import NnErrno, NnError
from wasmlrun.wasi_nn.graphs import GraphPool
from wasmlrun.wasi_nn.session import Session

ONNX = ModelSource(Encoding.ONNX, (b"\x08one",))
OTHER = ModelSource(Encoding.ONNX, (b"\x08two",))
FOUR = Tensor((1, 4), DType.F32, f32s(1, 2, 3, 4))


def session_of(engine: FakeEngine, **how: object) -> Session:
    models = {"one": ONNX, "same": ModelSource(Encoding.ONNX, (b"\x08one",)), "two": OTHER}
    return Session(GraphPool(EnginePool.of(engine), Board()), models, **how)  # type: ignore[arg-type]


def refused(call: Callable[[], object]) -> NnError:
    with pytest.raises(NnError) as caught:
        call()
    return caught.value


def test_equal_bytes_are_loaded_once_whatever_their_names(fake_engine: FakeEngine) -> None:
    session = session_of(fake_engine)
    handles = {session.load_by_name("one"), session.load_by_name("same")}
    handles.add(session.load([b"\x08one"], Encoding.ONNX, "cpu"))
    assert len(handles) == 3
    assert len(fake_engine.loads) == 1
    session.load_by_name("two")
    assert len(fake_engine.loads) == 2


def test_one_model_on_two_devices_is_loaded_for_each(fake_engine: FakeEngine) -> None:
    fake_engine.found = ["CPU", "GPU"]
    session = session_of(fake_engine)
    session.load_by_name("one", "cpu")
    session.load_by_name("one", "gpu")
    assert [device for _, device in fake_engine.loads] == ["CPU", "GPU"]


def test_two_guests_of_one_command_share_a_loaded_model(fake_engine: FakeEngine) -> None:
    pool = GraphPool(EnginePool.of(fake_engine), Board())
    for _ in range(2):
        session = Session(pool, {"one": ONNX})
        session.load_by_name("one")
        session.close()
    assert len(fake_engine.loads) == 1
    assert not fake_engine.graphs[0].closed
    pool.close()
    assert fake_engine.graphs[0].closed


def test_a_model_that_was_refused_once_is_tried_again(fake_engine: FakeEngine) -> None:
    session = session_of(fake_engine)
    fake_engine.fail = "load"
    error = refused(lambda: session.load_by_name("one"))
    assert error.errno is NnErrno.RUNTIME_ERROR
    assert error.model
    fake_engine.fail = None
    assert session.load_by_name("one") > 0


def test_handles_are_never_zero_and_never_given_twice(fake_engine: FakeEngine) -> None:
    session = session_of(fake_engine)
    given = []
    for _ in range(3):
        graph = session.load_by_name("one")
        context = session.init_execution_context(graph)
        given += [graph, context]
        session.drop_context(context)
        session.drop_graph(graph)
    assert len(set(given)) == 6
    assert 0 not in given


def test_inputs_and_outputs_go_by_number_and_by_name() -> None:
    port = Port("picture", (1, 4), DType.F32)
    engine = FakeEngine(inputs=[port], outputs=[Port("scores", (1, 4), DType.F32)])
    session = session_of(engine)
    context = session.init_execution_context(session.load_by_name("one"))
    for index in (0, "picture", "0"):
        session.set_input(context, index, FOUR)
    session.compute(context)
    for index in (0, "scores", "0"):
        assert session.output(context, index) == FOUR
    assert session.output_names(context) == ["scores"]
    for index in ("scores", "1", 1, -1, "²"):
        error = refused(partial(session.set_input, context, index, FOUR))
        assert error.errno is NnErrno.INVALID_ARGUMENT
        assert error.message == f"set_input: the model has no input {index} (it has: 0 picture)"


def test_a_tensor_whose_data_is_not_as_long_as_its_shape_says_is_refused(
    fake_engine: FakeEngine,
) -> None:
    session = session_of(fake_engine)
    context = session.init_execution_context(session.load_by_name("one"))
    error = refused(lambda: session.set_input(context, 0, Tensor((1, 4), DType.F32, b"\0" * 12)))
    assert error.errno is NnErrno.INVALID_ARGUMENT
    assert error.message == (
        "set_input: [1, 4] f32 takes 16 bytes, 12 given (the model expects [1, 4] f32)"
    )


def test_a_context_that_was_freed_is_no_context(fake_engine: FakeEngine) -> None:
    session = session_of(fake_engine)
    context = session.init_execution_context(session.load_by_name("one"))
    session.drop_context(context)
    error = refused(lambda: session.compute(context))
    assert error.message == f"compute: {context} is no execution context"
    assert fake_engine.graphs[0].contexts[0].closed


def test_no_parts_are_no_model(fake_engine: FakeEngine) -> None:
    error = refused(lambda: session_of(fake_engine).load([], None, "cpu"))
    assert (error.errno, error.message) == (1, "load: the model is empty")


def test_only_faults_of_the_model_blame_the_model(fake_engine: FakeEngine) -> None:
    session = session_of(fake_engine)
    assert refused(lambda: session.load([b"?"], None, "cpu")).model
    assert not refused(lambda: session.load_by_name("none")).model
    assert not refused(lambda: session.compute(9)).model


def test_a_name_of_thousands_of_digits_is_a_name_like_any_other(fake_engine: FakeEngine) -> None:
    session = session_of(fake_engine)
    context = session.init_execution_context(session.load_by_name("one"))
    error = refused(lambda: session.set_input(context, "0" * 5000, FOUR))
    assert error.errno is NnErrno.INVALID_ARGUMENT
