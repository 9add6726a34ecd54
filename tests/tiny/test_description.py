"""What a packed module says of itself, and modules that lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wasmlrun.support.errors import BadWorker
from wasmlrun.tiny import description

EMPTY = b"\0asm\x01\0\0\0"
ABOUT: dict[str, Any] = {
    "model": {"name": "m", "sha256": "0" * 64},
    "input": {"shape": [1, 4, 6, 3], "dtype": "f32"},
    "label_offset": -1,
    "picture": {
        "size": [4, 6],
        "resize": "pad",
        "layout": "NHWC",
        "dtype": "f32",
        "color": "BGR",
        "mean": [1.5],
        "scale": [2.0],
    },
}


def written(folder: Path, about: dict[str, Any], labels: list[str] | None = None) -> Path:
    path = folder / "m.wasm"
    path.write_bytes(description.with_description(EMPTY + b"rest", about, labels))
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    labels = ["background"] + ["Ägyptische Katze"] * 300
    path = written(tmp_path, ABOUT, labels)
    assert description.is_packed(path)
    assert path.read_bytes().endswith(b"rest")
    found = description.read(path)
    assert (found.model, found.labels) == ("m", labels)
    settings = found.settings
    assert settings is not None
    assert (settings.size, settings.resize, settings.color) == ((4, 6), "pad", "BGR")
    assert (settings.mean, settings.scale, settings.label_offset) == ((1.5,), (2.0,), -1)


@pytest.mark.parametrize("bound", [None, 0.44])
def test_the_bound_for_not_sure_travels(bound: float | None, tmp_path: Path) -> None:
    settings = description.read(written(tmp_path, {**ABOUT, "unsure_below": bound})).settings
    assert settings is not None
    assert settings.unsure_below == bound


def test_without_a_picture_there_are_no_settings(tmp_path: Path) -> None:
    assert description.read(written(tmp_path, {**ABOUT, "picture": None})).settings is None


def test_other_files_are_not_packed(tmp_path: Path) -> None:
    path = tmp_path / "m.wasm"
    assert not description.is_packed(path)
    for content in (b"", EMPTY, EMPTY + b"\0\x05\x04name", b"\0asm\x0d\0\x01\0\0wasmlrun.pack"):
        path.write_bytes(content)
        assert not description.is_packed(path)


@pytest.mark.parametrize(
    "changed",
    [
        {"picture": {**ABOUT["picture"], "size": [0, 4]}},
        {"picture": {**ABOUT["picture"], "size": "big"}},
        {"picture": {**ABOUT["picture"], "resize": "smear"}},
        {"picture": {**ABOUT["picture"], "dtype": "i32"}},
        {"picture": {**ABOUT["picture"], "scale": [0.0]}},
        {"picture": {**ABOUT["picture"], "mean": 3}},
        {"model": "m"},
        {"model": {"name": ""}},
        {"label_offset": "none"},
        {"input": "all of it"},
        {"input": {"shape": ["4"], "dtype": "f32"}},
        {"schema": 2},
    ],
)
def test_a_wrong_description_is_told(tmp_path: Path, changed: dict[str, Any]) -> None:
    path = written(tmp_path, {**ABOUT, **changed})
    with pytest.raises(BadWorker, match="says it is packed, and what it says is not understood"):
        description.read(path)


def test_a_cut_or_bent_description_is_told(tmp_path: Path) -> None:
    whole = written(tmp_path, ABOUT, ["a", "b"]).read_bytes()
    path = tmp_path / "bent.wasm"
    for cut in range(30, len(whole) - 4):
        path.write_bytes(whole[:cut])
        with pytest.raises(BadWorker):
            description.read(path)
    assert json.dumps(ABOUT["picture"]["mean"]).encode() in whole
    path.write_bytes(whole.replace(b'"mean"', b'"nean"'))
    with pytest.raises(BadWorker, match="'mean'"):
        description.read(path)
