"""Parameters counted from files of each format."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.models_by_hand import colours_ir, identity_ir
from kit.needs import needs

from wasmlrun.models.parameters import count
from wasmlrun.support.model_source import Encoding, ModelSource, read_model


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def block(field: int, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return varint(field << 3 | 2) + varint(len(data)) + data


def onnx_tensor(kind: int, *dims: int, packed: bool = False) -> bytes:
    shape = block(1, *map(varint, dims)) if packed else b"".join(number(1, n) for n in dims)
    return shape + number(2, kind) + block(9, b"\0" * 4)


FLOAT, INT64 = 1, 7

ONNX = number(1, 8) + block(
    7,
    block(1, block(4, b"Conv"), block(5, block(5, onnx_tensor(FLOAT, 9)))),
    block(1, block(4, b"Constant"), block(5, block(5, onnx_tensor(FLOAT, 7)))),
    block(1, block(4, b"Constant"), block(5, block(5, onnx_tensor(INT64, 4)))),
    block(5, onnx_tensor(FLOAT, 16, 3, 3, 3)),
    block(5, onnx_tensor(FLOAT, 300, packed=True)),
    block(5, onnx_tensor(INT64, 2)),
    block(5, onnx_tensor(FLOAT)),
)


def tensorflow_node(op: bytes, kind: int, *dims: int) -> bytes:
    tensor = number(1, kind) + block(2, *(block(2, number(1, n)) for n in dims))
    dtype = block(5, block(1, b"dtype"), block(2, number(6, kind)))
    return block(1, block(2, op), dtype, block(5, block(1, b"value"), block(2, block(8, tensor))))


TENSORFLOW = (
    tensorflow_node(b"Const", 1, 3, 3, 8)
    + tensorflow_node(b"Const", 3, 4)
    + tensorflow_node(b"Placeholder", 1, 99)
    + tensorflow_node(b"Const", 19)
)


def test_openvino() -> None:
    assert count(ModelSource(Encoding.OPENVINO, colours_ir())) == 15
    assert count(ModelSource(Encoding.OPENVINO, identity_ir("f32", (1, 2)))) == 0


def test_onnx() -> None:
    assert count(ModelSource(Encoding.ONNX, (ONNX,))) == 7 + 16 * 27 + 300 + 1


def test_tensorflow() -> None:
    assert count(ModelSource(Encoding.TENSORFLOW, (TENSORFLOW,))) == 72 + 1


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # by the published architecture: weights, with batch norms folded into one bias a channel
        ("mobilenet_v2_1.0_224_quant.tflite", 3_470_760 + 17_056 + 1_281),
        ("tf2_mobilenet_v2_1.0_224_ptq.tflite", 3_470_760 + 17_056 + 1_281),
        ("mobilenet_v1_0.25_128_quant.tflite", 467_593),
    ],
)
def test_tensorflow_lite(shared_data: Path, name: str, parameters: int) -> None:
    assert count(read_model(shared_data / "models" / name)) == parameters


def test_tensorflow_lite_without_indices() -> None:
    needs("ai_edge_litert", "ai-edge-litert")
    from kit.tflite_colours import colours_tflite

    # the matrix; the axes of the mean are no parameters
    assert count(ModelSource(Encoding.TENSORFLOW_LITE, (colours_tflite(),))) == 5 * 3


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        (Encoding.OPENVINO, b"<net"),
        (Encoding.OPENVINO, b"<net><layer type='Const'><data shape='x'/></layer></net>"),
        (Encoding.ONNX, ONNX[:-1]),
        (Encoding.TENSORFLOW, TENSORFLOW[:-3]),
        (Encoding.TENSORFLOW_LITE, b"\x1c\0\0\0TFL3"),
        (Encoding.PYTORCH, b"PK"),
    ],
)
def test_what_cannot_be_counted(encoding: Encoding, data: bytes) -> None:
    assert count(ModelSource(encoding, (data, b""))) is None


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(Encoding)), st.binary(max_size=200), st.integers(0, 200))
def test_no_bytes_break_it(encoding: Encoding, noise: bytes, at: int) -> None:
    base = {Encoding.ONNX: ONNX, Encoding.TENSORFLOW: TENSORFLOW}.get(encoding, b"\x08\0\0\0TFL3")
    for data in (noise, base[:at] + noise + base[at + len(noise) :]):
        found = count(ModelSource(encoding, (data,)))
        assert found is None or isinstance(found, int)
