"""The package's list of models, and entries in its format."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmlrun.manifest.reader import Classify, read_manifest
from wasmlrun.models.catalogue import (
    Entry,
    RemoteFile,
    catalogue,
    check_name,
    check_sha256,
    file_name,
    quoted,
    read_entries,
    write_entry,
)
from wasmlrun.models.store import Shelf
from wasmlrun.support.errors import ShelfFailed, UsageFault
from wasmlrun.support.records import defaults
from wasmlrun.vision.labels import read_labels

DIGEST = "0" * 64


def test_the_catalogue_has_its_models() -> None:
    assert list(catalogue()) == ["mobilenet-v2", "mobilenet-v2-tf2", "mobilenet-v1-0.25", "insects"]


@pytest.mark.parametrize("name", catalogue())
def test_every_entry_is_complete(name: str) -> None:
    entry = catalogue()[name]
    assert check_name(name) == entry.name
    assert entry.description
    assert entry.licence == "Apache-2.0"
    assert not entry.own
    assert set(entry.classify) <= set(defaults(Classify).keys())
    assert len(entry.files) == 2
    for file in entry.files:
        assert file.size
        assert file.sha256
        # an address that follows a branch would change what it gives
        pinned = r"https://github\.com/[\w-]+/[\w-]+/raw/[0-9a-f]{40}/" + re.escape(file.name)
        assert re.fullmatch(pinned, file.address)
    assert entry.size == sum(file.size or 0 for file in entry.files)


@pytest.mark.parametrize("name", catalogue())
def test_sizes_and_digests_are_those_of_the_files(name: str, shared_data: Path) -> None:
    for file in catalogue()[name].files:
        data = (shared_data / "models" / file.name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file.size, file.sha256)


@pytest.mark.parametrize("name", catalogue())
def test_entries_fit_their_models(name: str, shared_data: Path, openvino, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """As many labels as scores, and preprocessing that the model accepts."""
    from wasmlrun.support.model_source import read_model
    from wasmlrun.vision.preprocess import resolve

    class Silent:
        def progress(self, *_: object) -> None: ...
        def say(self, _: str) -> None: ...

    from wasmlrun.models.download import Transfer

    transfer = Transfer(mirror=(shared_data / "models").as_uri())
    folder = Shelf(tmp_path).pull(name, transfer, Silent()).folder
    settings = read_manifest(folder / f"{name}.toml").classify
    assert settings is not None
    assert settings.labels is not None
    graph = openvino.load(read_model(folder), "CPU")
    spec = resolve(settings, graph.inputs[0])
    assert spec.shape == graph.inputs[0].shape
    assert len(read_labels(settings.labels)) == graph.outputs[0].shape[-1]
    graph.close()


def test_an_entry_comes_back_as_it_was_written(tmp_path: Path) -> None:
    entry = Entry(
        name="mine-2.1",
        description='a "quoted" \\ thing \x7f\n…',
        model=RemoteFile("m.xml", "https://h/m.xml", 3, DIGEST),
        weights=RemoteFile("m.bin", "https://h/m.bin"),
        labels=RemoteFile("l.txt", "file:///l.txt", 0, DIGEST),
        licence="MIT",
        source="https://h",
        classify={"size": [3, 4], "mean": [1.5, 2.0, 3.0], "layout": "NCHW", "label_offset": -1},
        own=True,
    )
    path = tmp_path / "entry.toml"
    path.write_text(write_entry(entry), encoding="utf-8")
    assert read_entries(path) == {"mine-2.1": entry}
    assert entry.size is None


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_quoted_is_toml(text: str) -> None:
    assert tomllib.loads(f"x = {quoted(text)}") == {"x": text}


@given(st.text(max_size=300))
def test_file_names_stay_in_their_folder(text: str) -> None:
    name = file_name(text)
    assert name == Path(name).name
    assert name not in (".", "..", "")
    assert not name.startswith(".")
    assert len(name) <= 200


def test_packaged_file_names_are_kept() -> None:
    for entry in catalogue().values():
        assert all(file_name(file.name) == file.name for file in entry.files)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\\b", "A", "-x", ".x", "x" * 65, "é", "x y", "x\n", "x\0"]
)
def test_names_that_could_not_be_folders(name: str) -> None:
    with pytest.raises(UsageFault, match="cannot be a model's name"):
        check_name(name)


def test_digests_are_checked() -> None:
    assert check_sha256(f" {'AB' * 32}\n") == "ab" * 32
    for wrong in ("", "00", "g" * 64, "0" * 63, "0" * 65):
        with pytest.raises(UsageFault, match="is not a sha256 digest"):
            check_sha256(wrong)


GOOD = f"""
schema = 1
[models.x]
description = "d"
model = "m"
[files.m]
address = "https://h/m"
size = 1
sha256 = "{DIGEST}"
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("schema = 1", "schema = 2"),
        ("schema = 1", ""),
        ("schema = 1", "schema ="),
        ('description = "d"', ""),
        ('model = "m"', 'model = "n"'),
        ('model = "m"', 'model = ["m"]'),
        ('model = "m"', 'model = "m"\nlabels = "n"'),
        ("[files.m]", '[files."../m"]'),
        ("[files.m]", '[files."m/n"]'),
        ("[models.x]", '[models."../x"]'),
        ("[models.x]", "[[models]]"),
        ("size = 1", "size = -1"),
        ("size = 1", 'size = "1"'),
        (DIGEST, "0"),
        (f'"{DIGEST}"', "7"),
        ('address = "https://h/m"', ""),
    ],
)
def test_damaged_entries_are_told(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "entry.toml"
    path.write_text(GOOD)
    assert list(read_entries(path)) == ["x"]
    assert old in GOOD
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(ShelfFailed, match="is damaged"):
        read_entries(path)


def test_an_entry_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "entry.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ShelfFailed, match="is damaged"):
        read_entries(path)
    path.unlink()
    with pytest.raises(ShelfFailed, match="cannot be read"):
        read_entries(path)
