"""`wasmlrun bench`: its stages, its numbers, its picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.core_guests import printing
from PIL import Image

from wasmlrun.diagnose.bench import STAGES, percentiles

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def benched(
    run_cli: Run, red_image: Path, colours: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Path]:
    """The record of a benchmark, and its picture."""
    picture = tmp_path_factory.mktemp("bench") / "stages.png"
    done = run_cli(["bench", red_image, "--model", colours, "-n", "2", "--json", "--save", picture])
    assert done.code == 0, done.stderr
    return json.loads(done.stdout), picture


def test_every_stage_has_its_time_cold_and_warm(benched: tuple[dict[str, Any], Path]) -> None:
    record, _ = benched
    assert record["schema"] == 1
    assert record["runs"] == 2
    for kind in ("cold", "warm"):
        stages = record[kind]
        assert set(stages) == {*STAGES, "total"}
        assert all(ms >= 0 for ms in stages.values())
        # each is a median of its own, so they add up only nearly
        assert sum(stages[name] for name in STAGES) == pytest.approx(stages["total"], rel=0.5)


def test_latencies_rate_and_what_the_sandbox_costs(benched: tuple[dict[str, Any], Path]) -> None:
    record, _ = benched
    latency = record["latency"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"]
    assert record["images_per_second"] > 0
    assert 0 < record["direct_ms"] < record["sandboxed_ms"]


def test_the_picture_has_two_bars_in_the_stages_colours(
    benched: tuple[dict[str, Any], Path],
) -> None:
    from wasmlrun.report.bench_picture import COLORS

    _, path = benched
    with Image.open(path) as picture:
        assert picture.size == (1000, 270)
        found = {picture.convert("RGB").getpixel((x, y)) for x in range(70, 900) for y in (80, 155)}
    wanted = {tuple(bytes.fromhex(color[1:])) for color in COLORS}
    assert len(found & wanted) >= 3


def test_a_table_for_people(run_cli: Run, red_image: Path, colours: Path) -> None:
    done = run_cli(["bench", red_image, "--model", colours, "-n", "1"])
    assert done.code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["one-shot,", "ms", "cold", "warm"]
    assert [line.split()[0] for line in lines[1 : len(STAGES) + 2]] == [*STAGES, "total"]
    assert "images a second" in done.stdout
    assert " ms with, " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.jpg"], "error: image none.jpg does not exist"),
        (["{image}", "--model", "none.onnx"], "error: model none.onnx does not exist"),
        (
            ["{image}", "--model", "{model}", "-n", "1", "--save", "{folder}/none/x.png"],
            "error: --save {folder}/none/x.png: ",
        ),
        (
            ["{image}", "--model", "{model}", "-n", "1", "--save", "{folder}/x.nothing"],
            "error: --save {folder}/x.nothing: unknown file extension: .nothing",
        ),
        (["{image}", "--worker", "{silent}", "-n", "1"], "error: "),
    ],
)
def test_what_is_wrong_is_one_sentence(
    run_cli: Run,
    make_worker: Run,
    red_image: Path,
    colours: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    names = {
        "image": red_image,
        "model": colours,
        "folder": tmp_path,
        "silent": make_worker(tmp_path, printing("nothing"), 'version = "1"\n'),
    }
    done = run_cli(["bench", *(word.format(**names) for word in arguments)], cwd=tmp_path)
    assert done.code in (2, 3, 4)
    assert message.format(**names) in done.stderr
    assert "Traceback" not in done.stderr


def test_percentiles_are_by_nearest_rank() -> None:
    assert percentiles([3.0, 1.0, 2.0]) == {"p50": 2.0, "p90": 3.0, "p99": 3.0}
    assert percentiles(list(map(float, range(1, 101)))) == {"p50": 50.0, "p90": 90.0, "p99": 99.0}
    assert percentiles([5.0]) == {"p50": 5.0, "p90": 5.0, "p99": 5.0}
