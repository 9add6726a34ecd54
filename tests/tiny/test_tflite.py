"""Reading TensorFlow Lite files: what is in them, what cannot be packed, what is damaged."""

from __future__ import annotations

import random

import pytest
from kit.tflite_by_hand import INT8, ByHand, colours
from tiny.test_int8 import CASES

from wasmlrun.support.errors import BadModel
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.tiny import packable, tflite
from wasmlrun.tiny.pack import prepare
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
        packable.require(graph, "m.tflite")
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
    assert [str(p) for p in packable.problems(graph)] == ["dense (tensor 2): a fused tanh"]


@pytest.mark.parametrize("cut", [4, 30, 200])
def test_a_cut_file_is_damaged(cut: int) -> None:
    with pytest.raises(BadModel, match=r"m\.tflite cannot be read as TensorFlow Lite"):
        tflite.read(two_unknown()[:cut], "m.tflite")


def test_no_changed_byte_ends_in_anything_but_an_error() -> None:
    chance = random.Random(11)
    models = [case()[0] for case in CASES.values()] + [colours(), two_unknown()]
    refused = 0
    for _ in range(1500):
        changed = bytearray(chance.choice(models))
        for _ in range(chance.randrange(1, 4)):
            changed[chance.randrange(len(changed))] = chance.choice([0, 1, 127, 128, 255])
        try:
            prepare(ModelSource(Encoding.TENSORFLOW_LITE, (bytes(changed),)), "m.tflite")
        except BadModel:
            refused += 1
    assert refused > 300


def test_a_graph_that_contradicts_itself_is_told() -> None:
    b = ByHand()
    given = b.tensor([1, 4], "f32")
    answer = b.tensor([1, 5], "f32")
    b.add("TANH", [given], answer)
    model = ModelSource(Encoding.TENSORFLOW_LITE, (b.data(given, answer),))
    with pytest.raises(BadModel) as raised:
        prepare(model, "m.tflite")
    why = "unary (tensor 1) does not make 1×5 of 1×4"
    assert raised.value.message == f"model m.tflite contradicts itself: {why}"
