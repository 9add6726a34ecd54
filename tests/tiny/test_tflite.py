"""Reading TensorFlow Lite files: what is in them, what cannot be packed, what is damaged."""

from __future__ import annotations

import pytest
from kit.tflite_by_hand import INT8, ByHand

from wasmlrun.support.errors import BadModel
from wasmlrun.tiny import support, tflite
from wasmlrun.tiny.simplify import simplify


def two_unknown() -> bytes:
    b = ByHand()
    given = b.tensor([1, 4], "f32")
    floor = b.add("FLOOR", [given], b.tensor([1, 4], "f32"))
    total = b.add("ADD", [floor, floor], b.tensor([1, 4], "f32"), (0, INT8, 0))
    return b.data(given, b.add("COS", [total], b.tensor([1, 4], "f32")))


def test_every_operation_that_cannot_be_packed_is_named() -> None:
    graph = tflite.read(two_unknown(), "m.tflite")
    simplify(graph)
    with pytest.raises(BadModel) as raised:
        support.require(graph, "m.tflite")
    assert raised.value.message == (
        "model m.tflite has 2 operations that cannot be packed:\n"
        "  FLOOR (tensor 1): there is no kernel for it\n"
        "  COS (tensor 3): there is no kernel for it"
    )
    assert raised.value.hint == "run it with WASI-NN: wasmlrun classify IMAGE --model m.tflite"


def test_what_a_kernel_lacks_is_told() -> None:
    b = ByHand()
    given = b.tensor([1, 4], "f32")
    weights = b.tensor([3, 4], "i8", 0.1, data=range(12))
    answer = b.tensor([1, 3], "f32")
    b.add("FULLY_CONNECTED", [given, weights], answer, (0, INT8, 4))
    graph = tflite.read(b.data(given, answer), "m.tflite")
    simplify(graph)
    assert [str(p) for p in support.problems(graph)] == ["dense (tensor 2): a fused tanh"]


@pytest.mark.parametrize("cut", [4, 30, 200])
def test_a_cut_file_is_damaged(cut: int) -> None:
    with pytest.raises(BadModel, match=r"m\.tflite cannot be read as TensorFlow Lite"):
        tflite.read(two_unknown()[:cut], "m.tflite")


def test_no_changed_byte_ends_in_anything_but_an_error() -> None:
    data = two_unknown()
    refused = 0
    for at in range(0, len(data), 3):
        changed = bytearray(data)
        changed[at] ^= 0xA5
        try:
            graph = tflite.read(bytes(changed), "m.tflite")
            simplify(graph)
            support.require(graph, "m.tflite")
        except BadModel:
            refused += 1
    assert refused > 0
