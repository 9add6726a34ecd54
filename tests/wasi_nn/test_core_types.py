"""What the numbers of tensor types mean to each generation of guests, and how pictures lie."""

from __future__ import annotations

import pytest
from kit.core_calls import (
    ALL,
    BUFFER,
    LOAD,
    MODELS,
    OPEN,
    SET,
    WRITTEN,
    fake,
    memory,
)
from kit.core_guests import Player, f32s, program
from kit.fakes import FakeEngine
from kit.models_by_hand import identity_ir

from wasmlrun.engines.protocol import Engine
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.support.tensor import DType, Tensor

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
