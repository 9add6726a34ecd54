"""`wasmlrun bench`: its stages, its numbers, its picture."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from kit import taken_over
from kit.core_guests import printing
from PIL import Image

from wasmlrun.diagnose.bench import STAGES, loops_from, percentiles, stages_from
from wasmlrun.support.errors import WorkerFailed
from wasmlrun.tiny.description import with_description

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


def test_a_worker_that_has_its_own_model(run_cli: Run, red_image: Path, tmp_path: Path) -> None:
    picture = {
        **{"size": [8, 8], "resize": "crop", "layout": "NHWC", "dtype": "u8", "color": "RGB"},
        **{"mean": [0.0], "scale": [1.0]},
    }
    about = {
        **{"model": {"name": "inside"}, "picture": picture, "label_offset": 0},
        "input": {"shape": [1, 8, 8, 3], "dtype": "u8"},
    }
    module = bytes(wasmtime.wat2wasm(printing("0\t0.9\n")))
    worker = tmp_path / "packed.wasm"
    worker.write_bytes(with_description(module, about, ["red"]))
    done = run_cli(["bench", red_image, "--worker", worker, "-n", "1", "--json"])
    assert done.code == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["direct_ms"] is None
    assert record["sandboxed_ms"] > 0
    done = run_cli(["bench", red_image, "--worker", worker, "-n", "1"])
    assert "ms with; the host does not have the model, to run it without" in done.stdout


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
        (["-"], "error: bench reads its picture again and again"),
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


# the processes that are timed are left out
TAKEN_OVER = """
from wasmlrun.diagnose import bench
from wasmlrun.supervisor import parcel

answer = {answer!r}
stages = dict.fromkeys((*bench.STAGES, "total"), 1.0)
bench.whole_processes = lambda *_: (stages, stages)

def loops_of(*_):
    get_out()
    if answer == "dies":
        os.abort()
    return bench.Loops({{"p50": 1.0, "p90": 2.0, "p99": 3.0}}, 4.0, 5.0, 6.0)

bench.loops_of = loops_of
if isinstance(answer, bytes):
    parcel.packed = lambda _: answer
"""


@pytest.fixture
def benched_by(red_image: Path, colours: Path, tmp_path: Path) -> Run:
    """`benched_by(answer)`: what bench says when its measuring process is hostile."""
    words = ["bench", str(red_image), "--model", str(colours), "--json"]
    return lambda answer: taken_over.run(TAKEN_OVER.format(answer=answer), words, tmp_path)


def test_the_loops_run_behind_walls(benched_by: Run) -> None:
    done = benched_by("right")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert (record["latency"]["p50"], record["images_per_second"]) == (1.0, 4.0)
    assert taken_over.attempts(done.stderr) == taken_over.ALL_REFUSED


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "a part of a message"),
        (b"a" * 70000, "a message of 70000 bytes, 65536 may be"),
        (b"\x02\0\0\0\0\0\0\0[]", "no JSON object"),
        (b"\x02\0\0\0\0\0\0\0{}", "no times"),
        (b"\x02\0\0\0\0\0\0\0{}{}", "more than a message"),
    ],
)
def test_what_a_taken_over_process_hands_over_is_looked_at(
    benched_by: Run, answer: bytes, why: str
) -> None:
    done = benched_by(answer)
    assert (done.returncode, list(json.loads(done.stdout))) == (4, ["schema", "name", "error"])
    assert f"answered with {why}" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_that_crashes_is_told(benched_by: Run) -> None:
    done = benched_by("dies")
    # of the model, if that is still being loaded
    assert done.returncode in (3, 4)
    assert list(json.loads(done.stdout)) == ["schema", "name", "error"]
    assert "SIGABRT" in done.stderr


@pytest.mark.parametrize("wrong", [None, "1", True, float("inf"), float("nan"), [], {}])
def test_numbers_of_others_are_numbers(wrong: Any) -> None:
    loops = {
        "latency": {"p50": 1, "p90": 1, "p99": 1},
        "images_per_second": 1,
        "direct_ms": 1,
        "sandboxed_ms": 1,
    }
    assert loops_from(loops).direct_ms == 1
    for changed in (
        {**loops, "latency": {"p50": wrong}},
        {**loops, "sandboxed_ms": wrong},
        # none is an answer: the host does not have the model
        {**loops, "direct_ms": "none" if wrong is None else wrong},
    ):
        with pytest.raises(WorkerFailed, match="answered with no times"):
            loops_from(changed)
    timings = {"run": 2.0, "inference": 1.0, "total": 5.0}
    assert stages_from(json.dumps({"timings_ms": timings}).encode(), 9.0)["sandbox"] == 1
    for told in (wrong, [wrong], {"timings_ms": wrong}, {"timings_ms": {**timings, "run": wrong}}):
        with pytest.raises(WorkerFailed, match="answered with no times"):
            stages_from(json.dumps(told).encode(), 9.0)
    for out in (b"", b"\xff", b"[" * 100_000):
        with pytest.raises(WorkerFailed, match="answered with no times"):
            stages_from(out, 9.0)


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped_it_leaves_nothing(
    red_image: Path, colours: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    words = ["bench", str(red_image), "--model", str(colours), "-n", "999"]
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "wasmlrun", *words]
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as bench:
        deadline = time.monotonic() + 60
        # whole processes are being timed, and one of them has begun its work
        while not list(tmp_path.glob("*/cache-1/*/*")):
            assert time.monotonic() < deadline, list(tmp_path.iterdir())
            time.sleep(0.01)
        bench.send_signal(number)
        _, err = bench.communicate(timeout=60)
    assert bench.returncode == code, err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
