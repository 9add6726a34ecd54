"""MediaPipe's transposed convolution becomes operators that every engine knows."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from kit.tflite_by_hand import INT32, ByHand

from wasmlrun.engines import registry
from wasmlrun.engines.protocol import Settings
from wasmlrun.models.convert.transposed import plain
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.support.tensor import DType, Tensor

RANDOM = np.random.default_rng(5)
PICTURE = RANDOM.random((1, 3, 4, 2), np.float32)
WEIGHTS = RANDOM.random((3, 2, 2, 2), np.float32)
BIAS = np.array([1, 20, 300], np.float32)


def model(*options: int, name: str = "Convolution2DTransposeBias") -> bytes:
    """Twice the picture, then the operator: 3 × 4 pixels become 6 × 8."""
    b = ByHand()
    given = b.tensor([1, 3, 4, 2], "f32")
    two = b.tensor([1], "f32", data=[2])
    doubled = b.add("MUL", [given, two], b.tensor([1, 3, 4, 2], "f32"))
    weights, bias = b.tensor([3, 2, 2, 2], "f32", data=WEIGHTS), b.tensor([3], "f32", data=BIAS)
    out = b.tensor([1, 6, 8, 3], "f32")
    given_options = [(0, INT32, value) for value in options]
    return b.data(given, b.add(name, [doubled, weights, bias], out, *given_options))


@pytest.mark.parametrize("padding", [1, 2])
def test_it_computes_the_same(padding: int) -> None:
    made = plain(model(padding, 2, 2))
    graph = registry.get("openvino", Settings()).load(
        ModelSource(Encoding.TENSORFLOW_LITE, (made,)), "CPU"
    )
    context = graph.open()
    context.set_input(0, Tensor((1, 3, 4, 2), DType.F32, PICTURE.tobytes()))
    context.compute()
    found = np.frombuffer(context.output(0).data, "<f4").reshape(6, 8, 3)
    # with a stride as wide as the kernel, each pixel becomes a tile of its own
    tiles = np.einsum("ijc,oabc->iajbo", 2 * PICTURE[0], WEIGHTS)
    assert found == pytest.approx(tiles.reshape(6, 8, 3) + BIAS, rel=1e-4)


def test_what_it_does_not_read() -> None:
    whole = model(1, 2, 2)
    for data in (b"", b"TFL3", whole[:100], model(1, 2, 2, name="Other"), model(7, 2, 2), model(1)):
        with pytest.raises(ValueError, match=r"no operator|no TensorFlow Lite model"):
            plain(data)


def test_of_what_is_damaged_nothing_but_a_sentence_comes() -> None:
    whole = bytearray(model(1, 2, 2))
    for place in range(0, len(whole) - 4, 4):
        damaged = bytearray(whole)
        damaged[place : place + 4] = b"\xff\xff\xff\x7f"
        with suppress(ValueError):
            assert plain(bytes(damaged))[4:8] == b"TFL3"
