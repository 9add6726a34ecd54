"""`classify --explain`: the map is bright where the label is, and the same every time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit.core_guests import printing
from kit.pictures import encoded, red_left
from PIL import Image, ImageDraw

from wasmlrun.pipeline import explain

CLI = Callable[..., Any]


def brightness(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        return np.asarray(image.convert("L"), dtype=np.float64)


@pytest.fixture
def few_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain, "LOOKS", 120)


@pytest.fixture
def half_red(tmp_path: Path) -> Path:
    """Red on the left, and more of it than of the blue."""
    image = Image.new("RGB", (64, 64), (0, 0, 200))
    ImageDraw.Draw(image).rectangle((0, 0, 35, 63), fill=(255, 0, 0))
    path = tmp_path / "half.png"
    path.write_bytes(encoded(image))
    return path


@pytest.mark.usefixtures("few_looks")
def test_the_map_is_bright_where_the_colour_is(
    invoke: CLI, colours: Path, half_red: Path, tmp_path: Path
) -> None:
    labels = colours.with_name("colours.txt")
    words = ["classify", half_red, "--model", colours, "--labels", labels, "-k", "1"]
    done = invoke(*words, "--explain", tmp_path / "why.png")
    assert done.code == 0, done.stderr
    assert done.stdout.split("\t")[1] == "red"
    found = brightness(tmp_path / "why.png")
    assert found.shape == (64, 64)
    # a margin of 4 pixels is cropped: the model never sees it
    left, right = found[6:58, 6:30].mean(), found[6:58, 42:58].mean()
    assert left > 1.3 * right
    again = tmp_path / "again.png"
    assert invoke(*words, "--explain", again).code == 0
    assert again.read_bytes() == (tmp_path / "why.png").read_bytes()
    with Image.open(again) as image:
        assert str(image.info["Description"]).startswith("red ")


@pytest.mark.usefixtures("few_looks")
def test_what_counts_on_a_photograph_is_the_animal(
    invoke: CLI, shared_data: Path, tmp_path: Path
) -> None:
    models, why = shared_data / "models", tmp_path / "why.png"
    words = ["classify", shared_data / "images" / "cat_720p.jpg", "--timeout", "600"]
    words += ["--model", models / "mobilenet_v2_1.0_224_quant.tflite"]
    done = invoke(*words, "--labels", models / "imagenet_labels.txt", "--explain", why)
    assert done.code == 0, done.stderr
    found = brightness(why)
    assert found.shape == (576, 1024)
    row, column = np.unravel_index(found.argmax(), found.shape)
    # head and shoulders, ears included
    assert 40 <= row <= 420
    assert 300 <= column <= 720


@pytest.mark.usefixtures("few_looks")
def test_a_worker_that_decodes_itself_is_explained_too(
    invoke: CLI, make_worker: Callable[..., Path], half_red: Path, tmp_path: Path
) -> None:
    body = json.dumps({"data": json.dumps({"data": [["dog", 3.5], ["cat", 12.25]]})})
    worker = make_worker(tmp_path, printing(body), 'version = "1"')
    why = tmp_path / "why.png"
    done = invoke("classify", half_red, "--worker", worker, "--explain", why)
    assert done.code == 0, done.stderr
    # it says the same of everything, so nothing counts more than anything else
    found = brightness(why)
    assert found[:, :30].std() < 1
    assert found[:, 42:].std() < 1


def test_a_picture_from_a_pipe_is_read_once(run_cli: CLI, colours: Path, tmp_path: Path) -> None:
    why = tmp_path / "why.png"
    words = ["classify", "-", "--model", colours, "--explain", why, "--timeout", "600"]
    done = run_cli([*words, "--require-isolation"], stdin=encoded(red_left()))
    assert done.code == 0, done.stderr
    assert brightness(why).shape == (16, 32)
    assert [path.name for path in tmp_path.iterdir()] == ["why.png"]


@pytest.mark.usefixtures("few_looks")
def test_an_unmet_expectation_is_explained(invoke: CLI, colours: Path, half_red: Path) -> None:
    why = half_red.with_name("why.png")
    words = ["classify", half_red, "--model", colours, "--explain", why]
    assert invoke(*words, "--expect", "cow").code == 1
    assert why.exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["a.png", "b.png", "--explain", "why.png"], 2, "--explain why.png is for one picture"),
        (["a.png", "--explain", "-"], 2, "--explain - : stdout has the answer"),
        (["a.png", "--explain", "none/x.png"], 2, "--explain none/x.png: the folder none does not"),
        (["a.png", "--explain", "why.png"], 3, "image a.png does not exist"),
        (["--watch", ".", "--explain", "why.png"], 2, "--watch has no end, so --explain would"),
    ],
)
def test_what_cannot_be_explained_is_told(
    invoke: CLI,
    words: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke("classify", *words)
    assert (done.code, done.stderr.startswith(f"error: {message}")) == (code, True), done.stderr
    assert not list(tmp_path.iterdir())


def test_an_answer_without_labels_cannot_be_explained(
    invoke: CLI, make_worker: Callable[..., Path], half_red: Path, tmp_path: Path
) -> None:
    body = json.dumps({"data": json.dumps({"data": []})})
    worker = make_worker(tmp_path, printing(body), 'version = "1"')
    why = tmp_path / "why.png"
    done = invoke("classify", half_red, "--worker", worker, "--explain", why)
    assert "Traceback" not in done.stderr
    assert (done.code, why.exists()) == (4, False), done.stderr
