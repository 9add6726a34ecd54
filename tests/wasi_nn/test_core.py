"""WASI-NN for core modules: one guest for each row of the dialect table, and those that lie."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from kit.core_guests import At, Call, Player, f32s, program, record, u32s
from kit.fakes import FakeEngine
from kit.models_by_hand import colours_ir, identity_ir

from wasmlrun.engines.protocol import Engine, Port
from wasmlrun.support.errors import UsageFault
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.support.tensor import DType, Tensor

# where the scripts keep things
NAME, GRAPH, CONTEXT, WRITTEN, DIMS, TENSOR, BUFFER, DATA = 16, 32, 36, 40, 64, 128, 1024, 4096
ODD = 0xDEADBEEF

IDENTITY = ModelSource(Encoding.ONNX, (b"\x08only the fake reads this",))
MODELS = {"m": IDENTITY}

LOAD: Call = ("load_by_name", NAME, 1, GRAPH)
OPEN: Call = ("init_execution_context", At(GRAPH), CONTEXT)
SET: Call = ("set_input", At(CONTEXT), 0, TENSOR)
COMPUTE: Call = ("compute", At(CONTEXT))
GET: Call = ("get_output", At(CONTEXT), 0, BUFFER, 1024, WRITTEN)
ALL = [LOAD, OPEN, SET, COMPUTE, GET]


def memory(
    kind: int = 1,
    shape: tuple[int, ...] = (1, 4),
    data: bytes = f32s(1, 2, 3, 4),
    padding: bytes = b"\0\0\0",
) -> dict[int, bytes]:
    """A guest's memory with the name "m" and one tensor."""
    return {
        NAME: b"m",
        WRITTEN: u32s(ODD),
        DIMS: u32s(*shape),
        TENSOR: record(DIMS, len(shape), kind, DATA, len(data), padding),
        DATA: data,
    }


def fake(dtype: DType, shape: tuple[int, ...] = (1, 4)) -> FakeEngine:
    return FakeEngine(inputs=[Port("x", shape, dtype)], outputs=[Port("y", shape, dtype)])


# --- the usual five calls -------------------------------------------------------------------


def test_a_guest_gets_what_the_model_computes(play: Player, openvino: Engine) -> None:
    models = {"m": ModelSource(Encoding.OPENVINO, colours_ir())}
    red = f32s(*[1.0, 0.0, 0.0] * 16)
    played = play(ALL, memory(shape=(1, 4, 4, 3), data=red), engine=openvino, models=models)
    assert played.errnos == [0, 0, 0, 0, 0]
    assert played.u32(WRITTEN) == 20
    assert played.floats(BUFFER, 5) == pytest.approx((1.0, -0.5, -0.5, 0.2, -0.2))
    assert played.run.output is not None
    assert played.run.output.shape == (1, 5)
    assert bytes(played.run.output.data) == played.memory[BUFFER : BUFFER + 20]


# --- three numberings of the tensor type ------------------------------------------------------

NUMBERINGS = [
    pytest.param(0, DType.F16, id="0 is f16 in every numbering"),
    pytest.param(1, DType.F32, id="1 is f32 in every numbering"),
    pytest.param(2, DType.U8, id="A: 2 is u8"),
    pytest.param(3, DType.I32, id="A: 3 is i32"),
    pytest.param(2, DType.F64, id="B: 2 is f64"),
    pytest.param(3, DType.U8, id="B: 3 is u8"),
    pytest.param(4, DType.I32, id="B: 4 is i32"),
    pytest.param(5, DType.I64, id="B: 5 is i64"),
    pytest.param(3, DType.BF16, id="C: 3 is bf16"),
    pytest.param(4, DType.U8, id="C: 4 is u8"),
    pytest.param(5, DType.I32, id="C: 5 is i32"),
    pytest.param(6, DType.I64, id="C: 6 is i64"),
]


@pytest.mark.parametrize(("code", "dtype"), NUMBERINGS)
def test_bytes_per_element_tell_what_a_type_code_means(
    play: Player, code: int, dtype: DType
) -> None:
    data = bytes(range(1, 4 * dtype.size + 1))
    engine = fake(dtype)
    played = play(ALL, memory(code, data=data), engine=engine, models=MODELS)
    assert played.errnos == [0, 0, 0, 0, 0]
    assert engine.graphs[0].contexts[0].given[0].dtype is dtype
    assert played.u32(WRITTEN) == len(data)
    assert played.memory[BUFFER : BUFFER + len(data)] == data


@pytest.mark.parametrize(("code", "dtype"), NUMBERINGS)
def test_the_real_engine_takes_every_type(
    play: Player, openvino: Engine, code: int, dtype: DType
) -> None:
    models = {"m": ModelSource(Encoding.OPENVINO, identity_ir(dtype.value, (1, 4)))}
    data = bytes(4 * dtype.size)
    played = play(ALL, memory(code, data=data), engine=openvino, models=models)
    assert played.errnos == [0, 0, 0, 0, 0]
    assert played.run.output == Tensor((1, 4), dtype, data)


def test_u8_stands_for_a_model_of_i8_because_wasi_nn_has_no_such_type(play: Player) -> None:
    played = play(ALL, memory(2, data=b"\xff\x00\x01\x80"), engine=fake(DType.I8), models=MODELS)
    assert played.errnos == [0, 0, 0, 0, 0]
    assert played.memory[BUFFER : BUFFER + 4] == b"\xff\x00\x01\x80"


def test_dirty_padding_after_the_type_is_not_looked_at(play: Player) -> None:
    dirty = memory(1, padding=b"\xaa\xbb\xcc")
    played = play(ALL, dirty, models=MODELS)
    assert played.errnos == [0, 0, 0, 0, 0]
    assert played.floats(BUFFER, 4) == (1, 2, 3, 4)


@pytest.mark.parametrize("code", [7, 8, 255])
def test_an_unknown_type_code_is_an_invalid_argument(play: Player, code: int) -> None:
    played = play([LOAD, OPEN, SET], memory(code), models=MODELS)
    assert played.errnos == [0, 0, 1]
    assert played.sentence == f"set_input: unknown tensor type {code}"


@pytest.mark.parametrize(
    ("code", "size", "possible"),
    [
        (0, 16, "f16 (8 bytes)"),
        (1, 15, "f32 (16 bytes)"),
        (1, 0, "f32 (16 bytes)"),
        (2, 16, "u8 (4 bytes) or f64 (32 bytes)"),
        (3, 3, "i32 (16 bytes) or u8 (4 bytes) or bf16 (8 bytes)"),
        (4, 8, "i32 (16 bytes) or u8 (4 bytes)"),
        (5, 4, "i64 (32 bytes) or i32 (16 bytes)"),
        (6, 16, "i64 (32 bytes)"),
    ],
)
def test_data_that_does_not_fill_its_dims_is_refused(
    play: Player, code: int, size: int, possible: str
) -> None:
    played = play([LOAD, OPEN, SET], memory(code, data=bytes(size)), models=MODELS)
    assert played.errnos == [0, 0, 1]
    assert played.sentence == (
        f"set_input: a tensor of shape [1, 4] and type {code} is {possible}, {size} bytes given"
    )


# --- builders, encodings ----------------------------------------------------------------------

PARTS = 256


def loading(
    parts: list[bytes], encoding: int, target: int = 0
) -> tuple[list[Call], dict[int, bytes]]:
    """A script that loads a model from its own memory."""
    pairs, content, at = [], {}, DATA
    for part in parts:
        pairs += [at, len(part)]
        if part:
            content[at] = part
        at += len(part)
    calls: list[Call] = [("load", PARTS, len(parts), encoding, target, GRAPH)]
    return calls, {PARTS: u32s(*pairs), GRAPH: u32s(ODD), **content}


ONNX, PB, TORCH = b"\x08\x08onnx", b"\x0a\x10tensorflow", b"PK\x03\x04torch"
TFLITE, GGUF, XML = b"\x1c\0\0\0TFL3rest", b"GGUF\3\0\0\0", b"<?xml version='1.0'?><net/>"


@pytest.mark.parametrize(
    ("number", "parts", "encoding"),
    [
        (0, [XML, b"weights"], Encoding.OPENVINO),
        (1, [ONNX], Encoding.ONNX),
        (2, [PB], Encoding.TENSORFLOW),
        (3, [TORCH], Encoding.PYTORCH),
        (4, [TFLITE], Encoding.TENSORFLOW_LITE),
    ],
)
def test_each_encoding_takes_its_own_number_of_builders(
    play: Player, number: int, parts: list[bytes], encoding: Encoding
) -> None:
    engine = FakeEngine()
    played = play(*loading(parts, number), engine=engine)
    assert played.errnos == [0]
    ((source, device),) = engine.loads
    assert (source.encoding, list(source.parts), device) == (encoding, parts, "CPU")
    # and one more is refused
    played = play(*loading([*parts, b"more"], number))
    assert played.errnos == [1]
    assert played.sentence == (
        f"load: a model of encoding {encoding.value} has {len(parts)} part(s), "
        f"{len(parts) + 1} given"
    )
    assert played.u32(GRAPH) == ODD


@pytest.mark.parametrize("number", [5, 6])
@pytest.mark.parametrize(
    ("parts", "encoding"),
    [
        ([XML, b"weights"], Encoding.OPENVINO),
        ([ONNX], Encoding.ONNX),
        ([PB], Encoding.TENSORFLOW),
        ([TORCH], Encoding.PYTORCH),
        ([TFLITE], Encoding.TENSORFLOW_LITE),
        ([GGUF, b"{}"], Encoding.GGML),
    ],
)
def test_encodings_5_and_6_are_told_by_the_bytes(
    play: Player, number: int, parts: list[bytes], encoding: Encoding
) -> None:
    engine = FakeEngine()
    played = play(*loading(parts, number), engine=engine)
    assert played.errnos == [0]
    assert engine.loads[0][0].encoding is encoding


@pytest.mark.parametrize("number", [5, 6])
def test_autodetection_of_nothing_known_is_an_invalid_encoding(play: Player, number: int) -> None:
    played = play(*loading([b"\xff\xfe no model at all"], number))
    assert played.errnos == [2]
    assert played.sentence == "load: the model's bytes are of no known format"


@pytest.mark.parametrize("number", [5, 6])
def test_an_ir_without_weights_is_refused_when_it_is_detected_too(
    play: Player, number: int
) -> None:
    played = play(*loading([XML], number))
    assert played.errnos == [1]
    assert played.sentence == "load: a model of encoding openvino has 2 part(s), 1 given"


@pytest.mark.parametrize("number", [7, 9, 10, 11, 12, 13, 14, 99, 0xFFFFFFFF])
def test_an_unknown_encoding_is_refused(play: Player, number: int) -> None:
    played = play(*loading([ONNX], number))
    assert played.errnos == [2]
    assert played.sentence.startswith(f"load: encoding {number} is not supported (0 openvino, ")


def test_an_empty_model_is_refused(play: Player) -> None:
    played = play(*loading([b""], 1))
    assert played.errnos == [1]
    assert played.sentence == "load: the model is empty"


@pytest.mark.parametrize("count", [0, 65, 0xFFFFFFFF, 0x20000000])
def test_a_wrong_number_of_builders_is_refused(play: Player, count: int) -> None:
    played = play([("load", PARTS, count, 1, 0, GRAPH)], {})
    assert played.errnos == [1]
    assert played.sentence == f"load: {count} builders given, between 1 and 64 are possible"


def test_a_model_that_the_engine_refuses_is_a_runtime_error(play: Player, openvino: Engine) -> None:
    played = play(*loading([b"<net>not an IR</net>", b"\0"], 0), engine=openvino)
    assert played.errnos == [5]
    assert played.sentence.startswith("load: the openvino model cannot be loaded on CPU: ")


def test_pytorch_and_ggml_are_named_as_what_openvino_does_not_read(
    play: Player, openvino: Engine
) -> None:
    played = play(*loading([TORCH], 3), engine=openvino)
    assert played.errnos == [2]
    assert "the engine openvino does not read pytorch models" in played.sentence


# --- targets ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "found", "device"),
    [
        (0, ["CPU", "GPU"], "CPU"),
        (1, ["CPU", "GPU"], "GPU"),
        (1, ["CPU", "GPU.0", "GPU.1"], "GPU"),
        (2, ["CPU", "NPU"], "NPU"),
        (3, ["CPU", "GPU"], "AUTO"),
        (3, ["CPU"], "CPU"),
    ],
)
def test_targets_cpu_gpu_tpu_and_auto(
    play: Player, target: int, found: list[str], device: str
) -> None:
    engine = FakeEngine(found=found)
    played = play(*loading([ONNX], 1, target), engine=engine)
    assert played.errnos == [0]
    assert [used for _, used in engine.loads] == [device]
    assert played.warnings == []


def test_an_absent_device_is_cpu_with_one_warning(play: Player) -> None:
    engine = FakeEngine()
    calls, content = loading([ONNX], 1, 1)
    played = play(calls * 2, content, engine=engine)
    assert played.errnos == [0, 0]
    assert [used for _, used in engine.loads] == ["CPU"]
    assert played.warnings == ["device GPU is not on this machine (found: CPU); using CPU"]


def test_an_absent_device_ends_the_run_when_devices_are_strict(play: Player) -> None:
    with pytest.raises(UsageFault) as caught:
        play(*loading([ONNX], 1, 2), strict_device=True)
    assert caught.value.message == "device NPU is not on this machine (found: CPU)"
    assert caught.value.hint == "leave out --strict-device to fall back to CPU"


@pytest.mark.parametrize("target", [4, 0xFFFFFFFF])
def test_an_unknown_target_is_refused(play: Player, target: int) -> None:
    played = play(*loading([ONNX], 1, target))
    assert played.errnos == [1]
    assert played.sentence == (
        f"load: execution target {target} is unknown (0 cpu, 1 gpu, 2 tpu, 3 auto)"
    )


# --- names --------------------------------------------------------------------------------------


def test_an_unknown_name_is_not_found_and_the_known_ones_are_named(play: Player) -> None:
    models = {"mobilenet": IDENTITY, "resnet": IDENTITY}
    played = play([LOAD], memory(), models=models)
    assert played.errnos == [8]
    assert played.sentence == "load_by_name: no model is named 'm' (known: mobilenet, resnet)"


@pytest.mark.parametrize("size", [5000, 0xFFFFFFFF])
def test_a_name_of_absurd_length_is_refused(play: Player, size: int) -> None:
    played = play([("load_by_name", NAME, size, GRAPH)], memory(), models=MODELS)
    assert played.errnos == [1]
    assert played.sentence == f"load_by_name: a name of {size} bytes; 4096 may be"


def test_a_name_that_is_no_text_is_refused(play: Player) -> None:
    played = play([LOAD], {NAME: b"\xff"})
    assert played.errnos == [1]
    assert played.sentence == "load_by_name: the name is not UTF-8"


# --- get_output ---------------------------------------------------------------------------------


@pytest.mark.parametrize("capacity", [0, 15])
def test_a_buffer_too_small_is_told_the_size_that_is_needed(play: Player, capacity: int) -> None:
    calls: list[Call] = [LOAD, OPEN, SET, COMPUTE]
    calls.append(("get_output", At(CONTEXT), 0, BUFFER, capacity, WRITTEN))
    played = play(calls, {**memory(), BUFFER: u32s(ODD)}, models=MODELS)
    assert played.errnos == [0, 0, 0, 0, 7]
    assert played.u32(WRITTEN) == 16
    assert played.u32(BUFFER) == ODD
    assert played.run.output is None
    assert played.sentence == (
        f"get_output: output 0 is [1, 4] f32 (16 bytes), the guest's buffer holds {capacity} bytes"
    )


def test_a_guest_may_ask_again_with_the_size_it_was_told(play: Player) -> None:
    calls: list[Call] = [LOAD, OPEN, SET, COMPUTE]
    calls.append(("get_output", At(CONTEXT), 0, BUFFER, 0, WRITTEN))
    calls.append(("get_output", At(CONTEXT), 0, BUFFER, At(WRITTEN), WRITTEN))
    played = play(calls, memory(), models=MODELS)
    assert played.errnos == [0, 0, 0, 0, 7, 0]
    assert played.floats(BUFFER, 4) == (1, 2, 3, 4)


def test_the_answer_is_the_output_that_was_fetched_last(play: Player) -> None:
    two = Tensor((1, 2), DType.F32, f32s(8, 9))
    engine = FakeEngine(
        outputs=[Port("y", (1, 4), DType.F32), Port("z", (1, 2), DType.F32)],
        function=lambda inputs: {0: inputs[0], 1: two},
    )
    calls = [*ALL, ("get_output", At(CONTEXT), 1, BUFFER, 1024, WRITTEN)]
    played = play(calls, memory(), engine=engine, models=MODELS)
    assert played.errnos == [0] * 6
    assert played.run.output == two


# --- order, handles -----------------------------------------------------------------------------


def test_compute_before_set_input_is_refused(play: Player) -> None:
    played = play([LOAD, OPEN, COMPUTE], memory(), models=MODELS)
    assert played.errnos == [0, 0, 1]
    assert played.sentence == "compute: input 0 (x, [1, 4] f32) was never set"


def test_compute_names_the_one_input_of_several_that_was_never_set(play: Player) -> None:
    ports = [Port("x", (1, 4), DType.F32), Port("mask", (-1,), DType.I64)]
    played = play(
        [LOAD, OPEN, SET, COMPUTE], memory(), engine=FakeEngine(inputs=ports), models=MODELS
    )
    assert played.errnos == [0, 0, 0, 1]
    assert played.sentence == "compute: input 1 (mask, [?] i64) was never set"


def test_get_output_before_compute_is_refused(play: Player) -> None:
    played = play([LOAD, OPEN, SET, GET], memory(), models=MODELS)
    assert played.errnos == [0, 0, 0, 5]
    assert played.sentence == "get_output: nothing was computed yet"


def test_a_new_input_makes_the_old_output_unavailable(play: Player) -> None:
    played = play([*ALL, SET, GET], memory(), models=MODELS)
    assert played.errnos == [0, 0, 0, 0, 0, 0, 5]


@pytest.mark.parametrize("handle", [0, 77, 0xFFFFFFFF])
def test_a_handle_that_was_never_given_out_is_refused(play: Player, handle: int) -> None:
    calls: list[Call] = [
        ("init_execution_context", handle, CONTEXT),
        ("set_input", handle, 0, TENSOR),
        ("compute", handle),
        ("get_output", handle, 0, BUFFER, 1024, WRITTEN),
        ("unload", handle),
        ("finalize_execution_context", handle),
        ("fini_single", handle),
    ]
    for call in calls:
        played = play([call], memory(), models=MODELS)
        assert played.errnos == [1], call
        assert f"{handle} is no " in played.sentence


def test_a_graph_is_never_taken_for_a_context_nor_the_other_way_round(play: Player) -> None:
    played = play([LOAD, OPEN, ("compute", At(GRAPH))], memory(), models=MODELS)
    assert played.errnos == [0, 0, 1]
    assert played.sentence == f"compute: {played.u32(GRAPH)} is no execution context"
    played = play(
        [LOAD, OPEN, ("init_execution_context", At(CONTEXT), BUFFER)], memory(), models=MODELS
    )
    assert played.errnos == [0, 0, 1]
    assert played.sentence == f"init_execution_context: {played.u32(CONTEXT)} is no graph"


def test_contexts_of_one_graph_keep_their_inputs_apart(play: Player) -> None:
    second, other = 44, 192
    calls: list[Call] = [
        LOAD,
        OPEN,
        ("init_execution_context", At(GRAPH), second),
        SET,
        ("set_input", At(second), 0, other),
        COMPUTE,
        ("compute", At(second)),
        GET,
        ("get_output", At(second), 0, BUFFER + 16, 16, WRITTEN),
    ]
    content = memory() | {other: record(DIMS, 2, 1, DATA + 64, 16), DATA + 64: f32s(5, 6, 7, 8)}
    played = play(calls, content, models=MODELS)
    assert played.errnos == [0] * 9
    assert played.floats(BUFFER, 8) == (1, 2, 3, 4, 5, 6, 7, 8)


def test_a_guest_cannot_use_handles_of_the_guest_before_it(play: Player) -> None:
    first = play(ALL, memory(), models=MODELS)
    assert first.errnos == [0] * 5
    # the same numbers as the first guest had, in a new instance
    graph, context = first.u32(GRAPH), first.u32(CONTEXT)
    second = play(
        [("init_execution_context", graph, BUFFER), ("compute", context)], memory(), models=MODELS
    )
    assert second.errnos == [1, 1]


def test_what_a_guest_leaves_open_is_freed_when_it_ends(play: Player) -> None:
    engine = FakeEngine()
    play([*ALL, OPEN, OPEN], memory(), engine=engine, models=MODELS)
    (graph,) = engine.graphs
    assert graph.closed
    assert [context.closed for context in graph.contexts] == [True] * 3


@pytest.mark.parametrize(
    ("step", "errnos", "sentence"),
    [
        ("load", [5], "load_by_name: the onnx model cannot be loaded on CPU: the fake refuses"),
        ("open", [0, 5], "init_execution_context: the fake refuses to open"),
        ("set_input", [0, 0, 5], "set_input: the fake refuses to set_input"),
        ("compute", [0, 0, 0, 5], "compute: the fake refuses to compute"),
        ("output", [0, 0, 0, 0, 5], "get_output: the fake refuses to output"),
    ],
)
def test_an_engine_that_refuses_is_a_runtime_error(
    play: Player, step: str, errnos: list[int], sentence: str
) -> None:
    engine = FakeEngine(fail=step)
    played = play(ALL[: len(errnos)], memory(), engine=engine, models=MODELS)
    assert played.errnos == errnos
    assert played.sentence.startswith(sentence)


# --- a wrong tensor gets the whole sentence --------------------------------------------------


@pytest.mark.parametrize(
    ("port", "kind", "shape", "data", "sentence"),
    [
        (
            Port("x", (1, 224, 224, 3), DType.U8),
            1,
            (1, 4),
            f32s(1, 2, 3, 4),
            "the model expects [1, 224, 224, 3] u8, given was [1, 4] f32 (16 bytes) – "
            "the element type differs",
        ),
        (
            Port("x", (1, 5), DType.F32),
            1,
            (1, 4),
            f32s(1, 2, 3, 4),
            "the model expects [1, 5] f32, given was [1, 4] f32 (16 bytes) – the shape differs",
        ),
        (
            Port("x", (1, -1, 3), DType.F32),
            1,
            (1, 2, 2),
            f32s(1, 2, 3, 4),
            "the model expects [1, ?, 3] f32, given was [1, 2, 2] f32 (16 bytes) – "
            "the shape differs",
        ),
        (
            Port("x", (1, 4), DType.F32),
            2,
            (1, 4),
            b"\1\2\3\4",
            "the model expects [1, 4] f32, given was [1, 4] u8 (4 bytes) – "
            "the element type differs",
        ),
    ],
)
def test_a_tensor_that_does_not_fit_says_what_was_expected_and_what_came(
    play: Player, port: Port, kind: int, shape: tuple[int, ...], data: bytes, sentence: str
) -> None:
    engine = FakeEngine(inputs=[port])
    played = play([LOAD, OPEN, SET], memory(kind, shape, data), engine=engine, models=MODELS)
    assert played.errnos == [0, 0, 1]
    assert played.sentence == f"set_input: {sentence}"


@pytest.mark.parametrize("shape", [(4,), (1, 1, 4), (1, 4)])
def test_leading_sizes_of_one_may_be_left_out_or_added(
    play: Player, shape: tuple[int, ...]
) -> None:
    engine = FakeEngine()
    played = play(ALL, memory(shape=shape), engine=engine, models=MODELS)
    assert played.errnos == [0] * 5
    assert engine.graphs[0].contexts[0].given[0].shape == (1, 4)


def test_an_input_that_the_model_does_not_have_is_named_with_those_it_has(play: Player) -> None:
    calls: list[Call] = [LOAD, OPEN, ("set_input", At(CONTEXT), 3, TENSOR)]
    played = play(calls, memory(), models=MODELS)
    assert played.errnos == [0, 0, 1]
    assert played.sentence == "set_input: the model has no input 3 (it has: 0 x)"
    calls = [*ALL[:4], ("get_output", At(CONTEXT), 0xFFFFFFFF, BUFFER, 1024, WRITTEN)]
    played = play(calls, memory(), models=MODELS)
    assert played.errnos == [0, 0, 0, 0, 1]
    assert played.sentence == "get_output: the model has no output 4294967295 (it has: 0 y)"


# --- pointers and lengths outside memory ------------------------------------------------------

FAR = [0xFFFFFFFF, 0x80000000, 65536, 65533]
OUTSIDE = "are outside the guest's memory of 65536 bytes"


@pytest.mark.parametrize("far", FAR)
@pytest.mark.parametrize(
    "calls",
    [
        pytest.param(lambda p: [("load", p, 1, 1, 0, GRAPH)], id="load: builders"),
        pytest.param(lambda p: [("load", PARTS, 1, 1, 0, p)], id="load: graph"),
        pytest.param(lambda p: [("load_by_name", p, 8, GRAPH)], id="load_by_name: name"),
        pytest.param(lambda p: [("load_by_name", NAME, 1, p)], id="load_by_name: graph"),
        pytest.param(
            lambda p: [("load_by_name_with_config", NAME, 1, p, 8, GRAPH)],
            id="load_by_name_with_config: configuration",
        ),
        pytest.param(
            lambda p: [LOAD, ("init_execution_context", At(GRAPH), p)],
            id="init_execution_context: context",
        ),
        pytest.param(
            lambda p: [LOAD, OPEN, ("set_input", At(CONTEXT), 0, p)], id="set_input: tensor"
        ),
        pytest.param(
            lambda p: [*ALL[:4], ("get_output", At(CONTEXT), 0, p, 1024, WRITTEN)],
            id="get_output: buffer",
        ),
        pytest.param(
            lambda p: [*ALL[:4], ("get_output", At(CONTEXT), 0, BUFFER, 1024, p)],
            id="get_output: bytes written",
        ),
    ],
)
def test_a_pointer_outside_memory_is_missing_memory(play: Player, calls, far: int) -> None:
    script = calls(far)
    content = {**memory(), PARTS: u32s(DATA, 4)}
    played = play(script, content, models=MODELS)
    assert played.errnos == [0] * (len(script) - 1) + [3]
    assert OUTSIDE in played.sentence
    assert f" bytes at {far} " in played.sentence


@pytest.mark.parametrize(
    ("calls", "content"),
    [
        pytest.param([("load_by_name", 65530, 64, GRAPH)], {}, id="name's end"),
        pytest.param(
            [("load", PARTS, 1, 1, 0, GRAPH)],
            {PARTS: u32s(DATA, 0xFFFFFFFF)},
            id="builder's length",
        ),
        pytest.param(
            [("load", PARTS, 2, 0, 0, GRAPH)],
            {PARTS: u32s(DATA, 4, 0xFFFFFFFF, 4)},
            id="second builder's pointer",
        ),
        pytest.param(
            [LOAD, OPEN, SET],
            {TENSOR: record(0xFFFFFFFF, 2, 1, DATA, 16)},
            id="dims' pointer",
        ),
        pytest.param(
            [LOAD, OPEN, SET], {TENSOR: record(DIMS, 2, 1, 0xFFFFFFF0, 16)}, id="data's pointer"
        ),
        pytest.param(
            [LOAD, OPEN, SET], {TENSOR: record(DIMS, 2, 1, DATA, 0xFFFFFFFF)}, id="data's length"
        ),
        pytest.param(
            [("load_by_name_with_config", NAME, 1, NAME, 0xFFFFFFFF, GRAPH)],
            {},
            id="configuration's length",
        ),
    ],
)
def test_a_length_outside_memory_is_missing_memory(
    play: Player, calls: list[Call], content: Mapping[int, bytes]
) -> None:
    played = play(calls, {**memory(), **content}, models=MODELS)
    assert played.errnos == [0] * (len(calls) - 1) + [3]
    assert OUTSIDE in played.sentence


def test_the_last_byte_of_memory_is_inside(play: Player) -> None:
    calls: list[Call] = [*ALL[:4], ("get_output", At(CONTEXT), 0, BUFFER, 1024, 65532)]
    played = play(calls, memory(), models=MODELS)
    assert played.errnos == [0] * 5


def test_a_product_of_dims_beyond_any_memory_is_refused(play: Player) -> None:
    huge = memory(shape=(0xFFFFFFFF,) * 8)
    played = play([LOAD, OPEN, SET], huge, models=MODELS)
    assert played.errnos == [0, 0, 1]
    assert "16 bytes given" in played.sentence


@pytest.mark.parametrize("rank", [17, 0xFFFFFFFF])
def test_too_many_dimensions_are_refused(play: Player, rank: int) -> None:
    content = memory() | {TENSOR: record(DIMS, rank, 1, DATA, 16)}
    played = play([LOAD, OPEN, SET], content, models=MODELS)
    assert played.errnos == [0, 0, 1]
    assert played.sentence == f"set_input: a tensor of {rank} dimensions; 16 are possible"


def test_a_guest_that_exports_no_memory_is_told_so(play: Player) -> None:
    # without a memory it cannot call WASI either: any other error number would trap
    guest = """(module
      (import "wasi_ephemeral_nn" "compute" (func $compute (param i32) (result i32)))
      (func (export "_start")
        (if (i32.ne (call $compute (i32.const 1)) (i32.const 3)) (then unreachable))))"""
    _, session = play.run(guest, FakeEngine(), {})
    assert session.failure is not None
    assert session.failure.message == 'the guest exports no memory named "memory"'


def test_a_guest_with_a_memory_of_no_pages_is_refused_its_pointers(play: Player) -> None:
    guest = """(module
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (import "wasi_ephemeral_nn" "load_by_name" (func $load (param i32 i32 i32) (result i32)))
      (memory (export "memory") 0)
      (func (export "_start")
        (call $exit (call $load (i32.const 0) (i32.const 1) (i32.const 0)))))"""
    run, _ = play.run(guest, FakeEngine(), {})
    assert run.exit_code == 3


# --- WasmEdge's additions ---------------------------------------------------------------------


def test_wasmedge_load_by_name_with_config(play: Player) -> None:
    calls: list[Call] = [("load_by_name_with_config", NAME, 1, DATA, 2, GRAPH), *ALL[1:]]
    played = play(calls, memory(), models=MODELS)
    assert played.errnos == [0] * 5


def test_wasmedge_compute_single_get_output_single_and_fini_single(play: Player) -> None:
    calls: list[Call] = [
        LOAD,
        OPEN,
        SET,
        ("compute_single", At(CONTEXT)),
        ("get_output_single", At(CONTEXT), 0, BUFFER, 1024, WRITTEN),
        ("fini_single", At(CONTEXT)),
        COMPUTE,
    ]
    played = play(calls, memory(), models=MODELS)
    assert played.errnos == [0] * 7
    assert played.floats(BUFFER, 4) == (1, 2, 3, 4)


def test_wasmedge_unload_forgets_a_graph_and_leaves_its_contexts(play: Player) -> None:
    unload: Call = ("unload", At(GRAPH))
    again: Call = ("init_execution_context", At(GRAPH), BUFFER)
    played = play([LOAD, OPEN, unload, SET, COMPUTE, again, unload], memory(), models=MODELS)
    assert played.errnos == [0, 0, 0, 0, 0, 1, 1]


def test_wasmedge_finalize_execution_context_frees_it(play: Player) -> None:
    engine = FakeEngine()
    end: Call = ("finalize_execution_context", At(CONTEXT))
    played = play([*ALL, end, COMPUTE, end], memory(), engine=engine, models=MODELS)
    assert played.errnos == [0, 0, 0, 0, 0, 0, 1, 1]
    assert engine.graphs[0].contexts[0].closed


# --- the old module wasi_nn ---------------------------------------------------------------------

LIST, DIMS_RECORD, SIZE = 320, 336, 352
OLD_SET: Call = ("set_input", At(CONTEXT), 0, TENSOR)


def old(kind: int = 1) -> dict[int, bytes]:
    """Memory of a guest of the old ABI: two more records with a pointer and a length."""
    return {
        LIST: u32s(PARTS, 1),
        PARTS: u32s(512, len(ONNX)),
        512: ONNX,
        DIMS: u32s(1, 4),
        DIMS_RECORD: u32s(DIMS, 2),
        TENSOR: u32s(DIMS_RECORD, kind, DATA),
        DATA: f32s(1, 2, 3, 4),
        SIZE: u32s(64),
    }


def old_calls(module_load: Call = ("load", LIST, 1, 0, GRAPH)) -> list[Call]:
    return [module_load, OPEN, OLD_SET, COMPUTE, ("get_output", At(CONTEXT), 0, BUFFER, SIZE)]


@pytest.mark.parametrize("module", ["wasi_nn", "wasi_ephemeral_nn"])
def test_the_old_abi_is_known_by_its_number_of_arguments(play: Player, module: str) -> None:
    engine = FakeEngine()
    played = play(old_calls(), old(), engine=engine, module=module)
    assert played.errnos == [0] * 5
    assert engine.loads[0][0].parts == (ONNX,)
    assert played.floats(BUFFER, 4) == (1, 2, 3, 4)
    # counted in elements, not in bytes
    assert played.u32(SIZE) == 4


def test_the_old_module_name_with_five_arguments_is_the_new_abi(play: Player) -> None:
    played = play(ALL, memory(), models=MODELS, module="wasi_nn")
    assert played.errnos == [0] * 5
    assert played.u32(WRITTEN) == 16


def test_the_old_abi_reads_one_byte_of_the_type(play: Player) -> None:
    played = play(old_calls(), old(kind=0xCCBBAA01), module="wasi_nn")
    assert played.errnos == [0] * 5


def test_the_old_abi_tells_the_size_when_the_buffer_is_too_small(play: Player) -> None:
    played = play(old_calls(), {**old(), SIZE: u32s(3), BUFFER: u32s(ODD)}, module="wasi_nn")
    # too_large came later than this ABI: missing_memory is what its guests know
    assert played.errnos == [0, 0, 0, 0, 3]
    assert played.u32(SIZE) == 4
    assert played.u32(BUFFER) == ODD
    assert played.sentence == "get_output: output 0 has 4 elements, the guest's buffer 3"


def test_the_old_abi_gives_only_f32(play: Player) -> None:
    engine = FakeEngine(
        outputs=[Port("y", (1, 4), DType.U8)],
        function=lambda _: {0: Tensor((1, 4), DType.U8, b"\1\2\3\4")},
    )
    played = play(old_calls(), old(), engine=engine, module="wasi_nn")
    assert played.errnos == [0, 0, 0, 0, 5]
    assert played.sentence == (
        "get_output: output 0 is [1, 4] u8 (4 bytes), and guests of the old wasi_nn module "
        "take f32 only"
    )


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({LIST: u32s(0xFFFFFFF0, 1)}, id="builders"),
        pytest.param({PARTS: u32s(512, 0x7FFFFFFF)}, id="builder's length"),
        pytest.param({TENSOR: u32s(0xFFFFFFFF, 1, DATA)}, id="dims' record"),
        pytest.param({DIMS_RECORD: u32s(0xFFFFFFFF, 2)}, id="dims"),
        pytest.param({TENSOR: u32s(DIMS_RECORD, 1, 65532)}, id="data"),
        pytest.param({DIMS: u32s(0xFFFFFFFF, 0xFFFFFFFF)}, id="product of the dims"),
    ],
)
def test_the_old_abi_checks_every_pointer(play: Player, content: Mapping[int, bytes]) -> None:
    played = play(old_calls(), {**old(), **content}, module="wasi_nn")
    assert 3 in played.errnos
    assert played.run.output is None


# --- errno: only numbers that every crate knows -------------------------------------------------


def test_no_error_number_is_beyond_those_of_the_specification() -> None:
    from wasmlrun.wasi_nn.session import NnErrno

    assert sorted(NnErrno) == list(range(1, 9))
    # these mean the same since the crate's version 0.2
    assert (NnErrno.INVALID_ARGUMENT, NnErrno.INVALID_ENCODING) == (1, 2)
    assert (NnErrno.MISSING_MEMORY, NnErrno.BUSY, NnErrno.RUNTIME_ERROR) == (3, 4, 5)


# --- layout -------------------------------------------------------------------------------------


def interleaved(side: int = 4) -> bytes:
    """H×W×C bytes of a picture whose three channels are all ones, twos and threes."""
    return bytes([1, 2, 3] * side * side)


def test_old_hosts_layout_bytes_are_transposed_from_hwc(play: Player) -> None:
    engine = fake(DType.U8, (1, 3, 2, 2))
    content = memory(2, (1, 3, 2, 2), interleaved(2))
    played = play(ALL, content, engine=engine, models=MODELS, nhwc_input=True)
    assert played.errnos == [0] * 5
    given = engine.graphs[0].contexts[0].given[0]
    assert given == Tensor((1, 3, 2, 2), DType.U8, bytes([1] * 4 + [2] * 4 + [3] * 4))


def test_old_hosts_layout_keeps_wider_elements_whole(play: Player) -> None:
    engine = fake(DType.F32, (1, 3, 1, 2))
    content = memory(1, (1, 3, 1, 2), f32s(1, 2, 3, 4, 5, 6))
    played = play(ALL, content, engine=engine, models=MODELS, nhwc_input=True)
    assert played.errnos == [0] * 5
    assert played.floats(BUFFER, 6) == (1, 4, 2, 5, 3, 6)


def test_old_hosts_layout_for_a_model_that_is_nhwc_only_renames_the_dims(play: Player) -> None:
    engine = fake(DType.U8, (1, 4, 4, 3))
    content = memory(2, (1, 3, 4, 4), interleaved())
    played = play(ALL, content, engine=engine, models=MODELS, nhwc_input=True)
    assert played.errnos == [0] * 5
    given = engine.graphs[0].contexts[0].given[0]
    assert given == Tensor((1, 4, 4, 3), DType.U8, interleaved())


def test_without_being_told_so_bytes_are_what_their_dims_say(play: Player) -> None:
    engine = fake(DType.U8, (1, 3, 4, 4))
    content = memory(2, (1, 3, 4, 4), interleaved())
    play(ALL, content, engine=engine, models=MODELS)
    assert engine.graphs[0].contexts[0].given[0].data == interleaved()


def test_old_hosts_layout_leaves_what_is_no_picture_alone(play: Player) -> None:
    played = play(ALL, memory(), models=MODELS, nhwc_input=True)
    assert played.floats(BUFFER, 4) == (1, 2, 3, 4)


def test_a_function_that_is_imported_twice_is_defined_once(play: Player) -> None:
    imports = "".join(
        f'(import "wasi_ephemeral_nn" "compute" (func ${name} (param i32) (result i32)))'
        for name in ("first", "second")
    )
    twice = program("(drop (call $second (i32.const 1)))", before=imports)
    run, session = play.run(twice, FakeEngine(), {})
    assert run.exit_code == 0
    assert session.failure is not None
    assert session.failure.message == "compute: 1 is no execution context"
