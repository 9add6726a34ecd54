"""What an ONNX file says of itself; and a MiniLM's wheel that holds something else."""

from __future__ import annotations

import io
import json
import struct
import zipfile

import pytest
from kit.needs import needs

from wasmlrun.models.convert.minilm import to_onnx
from wasmlrun.models.convert.onnx_metadata import lines


def test_a_property_is_lines() -> None:
    needs("onnx", "onnx")
    from kit.onnx_by_hand import colours_onnx
    from onnx import helper, load_model_from_string

    model = load_model_from_string(colours_onnx())
    helper.set_model_props(model, {"other": "x", "character": "a\n b\nü\n"})
    assert lines(model.SerializeToString(), "character") == "a\n b\nü\n".encode()
    with pytest.raises(ValueError, match="no property names"):
        lines(model.SerializeToString(), "names")


@pytest.mark.parametrize("data", [b"", b"\x72\x05ab", b"\x72", b"\x03", b"\xff" * 20])
def test_what_has_no_properties(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it was, in the words of whoever saw it
        lines(data, "character")


def wheel(header: object, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("p/model.safetensors", struct.pack("<Q", len(text)) + text + body)
    return stream.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"no zip",
        wheel({}),
        wheel([]),
        wheel({"embeddings.word_embeddings.weight": {"dtype": "F32"}}),
        wheel(
            {
                "embeddings.word_embeddings.weight": {
                    "dtype": "F32",
                    "shape": [1, 32],
                    "data_offsets": [0, 128],
                }
            },
            bytes(128),
        ),
    ],
)
def test_what_is_no_minilm(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it was, in the words of whoever saw it
        to_onnx(data)
