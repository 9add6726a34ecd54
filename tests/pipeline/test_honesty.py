"""What is said on stderr about how far to trust an answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.models_by_hand import write_colours
from PIL import Image

from wasmlrun.models.catalogue import catalogue
from wasmlrun.models.preferred import PREFERRED
from wasmlrun.pipeline.honesty import is_sure
from wasmlrun.support import bundled
from wasmlrun.vision.labels import Prediction

SAMPLES = Path(__file__).parents[2] / "samples"
DOG = SAMPLES / "dog.jpg"
DRAWN = sorted(SAMPLES.glob("*.jpg"))
NOTE = (
    "note: mobilenet-cifar10 is a demonstration that knows ten classes; "
    "for a real model: wasmlrun models pull efficientnet-lite0\n"
)


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[float], Path]:
    """A folder with the classifier of colours and a manifest with a bound."""

    def make(bound: float) -> Path:
        folder = tmp_path_factory.mktemp("bounded")
        write_colours(folder, "net", softmax=True)
        folder.joinpath("net.toml").write_text(
            f'version = "1"\n[classify]\nunsure_below = {bound}\n'
        )
        return folder / "net.xml"

    return make


def test_an_answer_below_the_bound_is_doubted(
    run_cli: Callable[..., Any], bounded: Callable[[float], Path], red_image: Path
) -> None:
    model = bounded(1)
    outcome = run_cli(["classify", red_image, "--model", model])
    score = float(outcome.stdout.split("\t")[2])
    assert outcome.code == 0
    assert outcome.stderr == (
        f"not sure: {red_image} is unlike what {model} knows ('class 0' with only {score:.2f})\n"
    )
    as_json = run_cli(["classify", red_image, "--model", model, "--json", "-q"])
    assert (json.loads(as_json.stdout)["sure"], as_json.stderr) == (False, "")


def test_an_answer_that_reaches_the_bound_is_not(
    run_cli: Callable[..., Any], bounded: Callable[[float], Path], red_image: Path
) -> None:
    outcome = run_cli(["classify", red_image, "--model", bounded(0.2), "--json"])
    assert (json.loads(outcome.stdout)["sure"], outcome.stderr) == (True, "")


def test_a_score_that_is_the_bound_reaches_it() -> None:
    first = [Prediction(0, "a", 0.5), Prediction(1, "b", 0.25)]
    assert [is_sure(first, bound) for bound in (0.5, 0.500001, None)] == [True, False, None]
    assert is_sure([], 0.5) is None


def test_the_default_model_says_that_it_is_a_demonstration_once_a_command(
    run_cli: Callable[..., Any],
) -> None:
    outcome = run_cli(["classify", DOG, DOG])
    assert outcome.stderr == NOTE
    named = run_cli(["classify", DOG, "--model", "mobilenet-cifar10"])
    assert named.stderr == NOTE
    assert run_cli(["classify", DOG, "-q"]).stderr == ""


def test_the_default_model_doubts_what_is_none_of_its_classes(
    run_cli: Callable[..., Any], tmp_path: Path
) -> None:
    board = tmp_path / "board.png"
    tiles = Image.new("L", (2, 2))
    tiles.putdata([40, 220, 220, 40])
    tiles.resize((64, 64), Image.Resampling.NEAREST).convert("RGB").save(board)
    outcome = run_cli(["classify", board, *DRAWN, "--json"])
    sure = {Path(e["image"]).stem: e["sure"] for e in map(json.loads, outcome.stdout.splitlines())}
    assert sure == {"board": False, **{path.stem: True for path in DRAWN}}
    assert outcome.stderr.startswith(f"not sure: {board} is unlike what mobilenet-cifar10 knows")


def test_it_does_not_when_there_is_no_answer(run_cli: Callable[..., Any], tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"junk")
    outcome = run_cli(["classify", bad])
    assert outcome.stderr.startswith("error: ")
    assert "note:" not in outcome.stderr


def test_the_model_that_is_named_instead_can_be_pulled_and_is_the_default_then() -> None:
    assert bundled.REAL_MODEL in catalogue()
    assert bundled.REAL_MODEL in PREFERRED
