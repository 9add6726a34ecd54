"""The old module `wasi_nn`, and the ABI of its first hosts."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from kit.core_calls import (
    ALL,
    BUFFER,
    COMPUTE,
    CONTEXT,
    DATA,
    DIMS,
    GRAPH,
    MODELS,
    ODD,
    ONNX,
    OPEN,
    PARTS,
    TENSOR,
    WRITTEN,
    memory,
)
from kit.core_guests import At, Call, Player, f32s, u32s
from kit.fakes import FakeEngine

from wasmlrun.engines.protocol import Port
from wasmlrun.support.tensor import DType, Tensor

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
