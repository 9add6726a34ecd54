"""Models are recognised by their bytes, and files that are none are refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from wasmlrun.support.errors import BadModel
from wasmlrun.support.model_source import (
    Encoding,
    ModelSource,
    known_formats,
    read_model,
    recognise,
    source_of,
)


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"\x1c\0\0\0TFL3", Encoding.TENSORFLOW_LITE),
        (b"GGUF\3\0\0\0", Encoding.GGML),
        (b"PK\x03\x04", Encoding.PYTORCH),
        (b"<?xml version='1.0'?>", Encoding.OPENVINO),
        (b"\xef\xbb\xbf<?xml", Encoding.OPENVINO),
        (b"\n  <net name='x'>", Encoding.OPENVINO),
        (b"\x08\x09\x12\x07pytorch", Encoding.ONNX),
        (b"\x0a\x2f\x0a\x05input", Encoding.TENSORFLOW),
        (b"", None),
        (b"hello", None),
    ],
)
def test_bytes_show_their_encoding(data: bytes, encoding: Encoding | None) -> None:
    assert recognise(data) is encoding


def test_a_given_encoding_is_believed() -> None:
    assert source_of([b"anything"], Encoding.ONNX).encoding is Encoding.ONNX
    with pytest.raises(BadModel, match=r"^the model's bytes are of no known format$"):
        source_of([b"anything"], None)
    with pytest.raises(BadModel):
        source_of([], None)


def test_a_models_digest_is_its_files() -> None:
    one = ModelSource(Encoding.ONNX, (b"abc",))
    assert one.sha256 == hashlib.sha256(b"abc").hexdigest()
    # the border between the parts counts
    left = ModelSource(Encoding.OPENVINO, (b"ab", b"c"))
    right = ModelSource(Encoding.OPENVINO, (b"a", b"bc"))
    assert left.sha256 != right.sha256
    assert left.size == right.size == 3


@pytest.mark.parametrize("name", ["m.onnx", "M.ONNX", "m.bin", "no-suffix"])
def test_content_counts_more_than_the_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\x1c\0\0\0TFL3")
    assert read_model(path).encoding is Encoding.TENSORFLOW_LITE


def test_the_name_counts_where_the_content_shows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x12\x07pytorch")
    assert read_model(path).encoding is Encoding.ONNX


def test_an_ir_is_read_with_the_weights_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "net.xml"
    path.write_bytes(b"<net/>")
    path.with_suffix(".bin").write_bytes(b"weights")
    files = (path, path.with_suffix(".bin"))
    parts = (b"<net/>", b"weights")
    assert read_model(path) == ModelSource(Encoding.OPENVINO, parts, files=files)


def test_a_folder_stands_for_its_one_model(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"\x08one")
    (tmp_path / "labels.txt").write_text("a")
    assert read_model(tmp_path).parts == (b"\x08one",)


def test_the_fixed_name_of_wasm_workers_server_wins(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"\x08one")
    (tmp_path / "model.xml").write_bytes(b"<net/>")
    (tmp_path / "model.bin").write_bytes(b"w")
    assert read_model(tmp_path).encoding is Encoding.OPENVINO


def test_files_that_are_no_model_are_refused(tmp_path: Path) -> None:
    def said(path: Path) -> tuple[str, str | None]:
        with pytest.raises(BadModel) as caught:
            read_model(path)
        return caught.value.message, caught.value.hint

    path = tmp_path / "m.dat"
    assert said(path) == (f"model {path} does not exist", "check its path")
    path.touch()
    assert said(path) == (f"model {path} is empty", None)
    path.write_bytes(b"hello")
    assert said(path) == (
        f"model {path} is of no known format",
        "known: OpenVINO IR (.xml with .bin), ONNX (.onnx), frozen TensorFlow (.pb), "
        "TensorFlow Lite (.tflite), PyTorch (.pt, .pt2), GGUF (.gguf), Whisper (.ggml)",
    )
    below = path / "m.onnx"
    assert said(below) == (f"model {below} cannot be read: Not a directory", None)
    xml = tmp_path / "net.xml"
    xml.write_bytes(b"<net/>")
    assert said(xml) == (
        f"model {xml} has no weights beside it: net.bin is missing",
        "an OpenVINO IR is two files, NAME.xml and NAME.bin, in one folder",
    )


def test_a_folder_with_no_model_or_several_is_refused(tmp_path: Path) -> None:
    def said() -> tuple[str, str | None]:
        with pytest.raises(BadModel) as caught:
            read_model(tmp_path)
        return caught.value.message, caught.value.hint

    assert said() == (
        f"the folder {tmp_path} holds no model",
        f"known: {known_formats()}",
    )
    (tmp_path / "b.onnx").touch()
    (tmp_path / "a.tflite").touch()
    assert said() == (f"the folder {tmp_path} holds 2 models", "name one file: a.tflite, b.onnx")
