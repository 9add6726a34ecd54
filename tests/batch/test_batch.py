"""A folder in, rows out; stopped at any moment and gone on with, the rows are the same."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.outcome import Outcome
from kit.pictures import encoded
from PIL import Image

CLI = Callable[..., Outcome]
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}

if os.name != "posix":
    pytest.skip("batch works in processes that need POSIX", allow_module_level=True)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine small pictures in two folders, and files that are none."""
    folder = tmp_path_factory.mktemp("photos") / "photos"
    for number in range(9):
        name, colour = list(COLOURS.items())[number % 3]
        path = folder / ("a" if number < 5 else "b") / f"{number}-{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(Image.new("RGB", (8, 8), colour)))
    (folder / "notes.md").write_text("no picture")
    return folder


@pytest.fixture
def batch(run_cli: CLI, colours: Path, photos: Path) -> CLI:
    """`batch(words…)` beside the pictures, with the small model of colours."""

    def run(*words: str | Path, **how: Any) -> Outcome:
        labels = colours.parent / "colours.txt"
        model = ["--model", colours, "--labels", labels, "--jobs", "2", "--no-timings"]
        return run_cli(["batch", *words, *model], cwd=photos.parent, **how)

    return run


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_folder_gives_a_row_a_picture_in_order(
    batch: CLI, tmp_path: Path, run_cli: CLI, colours: Path, photos: Path
) -> None:
    done = batch("photos", "-o", tmp_path / "rows.jsonl")
    assert (done.code, done.stdout) == (0, "")
    assert "9 pictures, 0 errors" in done.stderr
    rows = rows_of(tmp_path / "rows.jsonl")
    there = sorted(path.relative_to(photos.parent) for path in photos.rglob("*.png"))
    assert [row["image"] for row in rows] == list(map(str, there))
    assert {row["source"] for row in rows} == {"photos"}
    for row in rows:
        assert row["predictions"][0]["label"] in row["image"]
    # but for the source and the times it is what classify says
    words = ["--model", colours, "--labels", colours.parent / "colours.txt", "--json"]
    one = json.loads(run_cli(["classify", rows[0]["image"], *words], cwd=photos.parent).stdout)
    del one["timings_ms"]
    assert rows[0] == {**one, "source": "photos"}
    assert not (tmp_path / "rows.jsonl.parts").exists()


def test_a_pattern_a_list_and_standard_input_name_pictures(
    batch: CLI, tmp_path: Path, photos: Path
) -> None:
    assert batch("photos/**/*-red.png", "-o", tmp_path / "pattern.jsonl").code == 0
    red = [row["image"] for row in rows_of(tmp_path / "pattern.jsonl")]
    assert red == ["photos/a/0-red.png", "photos/a/3-red.png", "photos/b/6-red.png"]
    (photos.parent / "list.txt").write_text("".join(f"{name}\n" for name in reversed(red)))
    done = batch("list.txt", "-", "-o", tmp_path / "list.jsonl", stdin=b"photos/a/1-green.png\n")
    assert done.code == 0, done.stderr
    rows = rows_of(tmp_path / "list.jsonl")
    assert [(row["image"], row["source"]) for row in rows] == [
        *((name, "list.txt") for name in reversed(red)),
        ("photos/a/1-green.png", "-"),
    ]


def test_broken_pictures_are_rows_and_the_first_ones_code(batch: CLI, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.png").write_bytes(encoded(Image.new("RGB", (8, 8), "red")))
    (folder / "b.png").write_bytes(b"no picture")
    (folder / "c.png").write_bytes(b"")
    (folder / "d.png").symlink_to("/etc/passwd")
    (folder / "e.png").write_bytes(encoded(Image.new("RGB", (8, 8), "blue")))
    os.mkfifo(folder / "f.png")
    done = batch(folder, "-o", tmp_path / "rows.jsonl")
    assert done.code == 3
    rows = rows_of(tmp_path / "rows.jsonl")
    errors = [row.get("error", {}).get("message", "") for row in rows]
    assert [bool(error) for error in errors] == [False, True, True, True, False, True]
    assert "is not an image" in errors[1]
    assert "is empty" in errors[2]
    assert "leads out of the folder" in errors[3]
    assert "a pipe" in errors[5]
    assert {row["error"]["code"] for row in rows if "error" in row} == {"bad-image"}
    assert "6 pictures, 4 errors" in done.stderr


def test_too_many_errors_stop_it_and_resume_goes_on(batch: CLI, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.png").write_bytes(b"no picture")
    result = tmp_path / "rows.jsonl"
    done = batch(folder, "-o", result, "--max-errors", "2")
    assert done.code == 3
    assert "error: more than 2 pictures failed" in done.stderr
    assert not result.exists()
    assert batch(folder, "-o", result).code == 2
    done = batch(folder, "-o", result, "--resume")
    assert (done.code, len(rows_of(result))) == (3, 6)
    assert "going on after 3 pictures" in done.stderr


def test_a_result_is_not_overwritten_and_one_that_is_complete_is_said_to_be(
    batch: CLI, tmp_path: Path
) -> None:
    result = tmp_path / "rows.jsonl"
    result.write_text("mine\n")
    done = batch("photos", "-o", result)
    assert done.code == 2
    assert f"error: {result} exists already" in done.stderr
    assert result.read_text() == "mine\n"
    assert batch("photos", "-o", result, "--overwrite").code == 0
    before = result.read_bytes()
    done = batch("photos", "-o", result, "--resume")
    assert done.code == 0
    assert "is complete already" in done.stderr
    assert result.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["photos", "-o", "rows.what"], 2, "has no suffix that says its form"),
        (["none", "-o", "rows.jsonl"], 3, "source none does not exist"),
        (["none*.png", "-o", "rows.jsonl"], 3, "source none*.png matches no file"),
        (["photos", "-o", "none/rows.jsonl"], 2, "the folder of none/rows.jsonl does not exist"),
        (["photos", "-o", "photos/a"], 2, "has no suffix"),
        (["photos"], 2, "Missing option '-o'"),
        (["photos", "-o", "rows.jsonl", "--worker", "none.wasm"], 3, "none.wasm does not exist"),
    ],
)
def test_what_cannot_be_begun(batch: CLI, words: list[str], code: int, said: str) -> None:
    done = batch(*words)
    assert done.code == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def unfinished(batch: CLI, tmp_path: Path, folder: Path) -> Path:
    """A result that was begun: three rows of it are there."""
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(b"no picture")
    (folder / "3.png").write_bytes(encoded(Image.new("RGB", (8, 8), "red")))
    result = tmp_path / "rows.jsonl"
    assert batch(folder, "-o", result, "--max-errors", "2").code == 3
    return result


def test_other_pictures_or_options_do_not_go_on(batch: CLI, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    result = unfinished(batch, tmp_path, folder)
    done = batch(folder, "-o", result, "--resume", "-k", "2")
    assert done.code == 2
    assert "the batch that did not finish was another one: top differ" in done.stderr
    (folder / "1.png").rename(folder / "1b.png")
    done = batch(folder, "-o", result, "--resume")
    assert done.code == 2
    assert "number 2 was" in done.stderr


def test_half_a_row_is_cut_off(batch: CLI, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    result = unfinished(batch, tmp_path, folder)
    journal = tmp_path / "rows.jsonl.parts" / "rows.jsonl"
    data = journal.read_bytes()
    journal.write_bytes(data[:-20])
    assert batch(folder, "-o", result, "--resume").code == 3
    assert [Path(row["image"]).name for row in rows_of(result)] == [f"{n}.png" for n in range(4)]
    assert result.read_bytes().startswith(data)


def test_two_batches_do_not_write_one_result(batch: CLI, tmp_path: Path) -> None:
    from wasmlrun.support.filelock import exclusive

    folder = tmp_path / "in"
    result = unfinished(batch, tmp_path, folder)
    with exclusive(tmp_path / "rows.jsonl.parts" / "lock", lambda: None):
        done = batch(folder, "-o", result, "--resume")
    assert done.code == 2
    assert f"another batch writes {result}" in done.stderr


def test_ctrl_c_keeps_the_rows(tmp_path: Path, photos: Path, own_home: dict[str, str]) -> None:
    (tmp_path / "list.txt").write_text(f"{photos}/a/0-red.png\n" * 100_000)
    result = tmp_path / "rows.jsonl"
    words = [sys.executable, "-m", "wasmlrun", "batch", "list.txt", "-o", str(result)]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        wait_for_rows(tmp_path / "rows.jsonl.parts" / "rows.jsonl")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the rows so far are kept: --resume goes on" in said
    assert not result.exists()
    rows = rows_of(tmp_path / "rows.jsonl.parts" / "rows.jsonl")
    assert len(rows) > 0


def wait_for_rows(journal: Path) -> None:
    end = time.monotonic() + 90
    while not (journal.exists() and journal.stat().st_size):
        assert time.monotonic() < end, "no row came"
        time.sleep(0.02)


def test_kills_at_any_moment_lose_nothing(
    batch: CLI, tmp_path: Path, photos: Path, colours: Path
) -> None:
    """The parent or a child is killed, again and again; `benchmarks/kills.py` does it at length."""
    names = [str(path) for path in sorted(photos.rglob("*.png"))]
    (tmp_path / "list.txt").write_text("".join(f"{name}\n" for name in names * 200))
    assert batch(tmp_path / "list.txt", "-o", tmp_path / "whole.jsonl").code == 0
    result, chance = tmp_path / "killed.jsonl", random.Random(1)
    words = ["--model", str(colours), "--labels", str(colours.parent / "colours.txt")]
    command = [sys.executable, "-m", "wasmlrun", "batch", str(tmp_path / "list.txt")]
    for _ in range(4):
        with subprocess.Popen(
            [*command, "-o", str(result), *words, "--jobs", "2", "--no-timings", "--resume", "-q"],
            cwd=photos.parent,
            stderr=subprocess.DEVNULL,
        ) as process:
            time.sleep(chance.uniform(0.5, 1.5))
            for child in children_of(process.pid)[:1]:
                os.kill(child, signal.SIGKILL)
            time.sleep(chance.uniform(0.0, 1.0))
            process.kill()
    done = batch(tmp_path / "list.txt", "-o", result, "--resume")
    assert done.code == 0, done.stderr
    assert result.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def children_of(process: int) -> list[int]:
    found = Path(f"/proc/{process}/task/{process}/children")
    return [int(number) for number in found.read_text().split()] if found.exists() else []


def test_the_example_with_futures_alone(own_home: dict[str, str]) -> None:
    root = Path(__file__).parents[2]
    words = [
        sys.executable,
        str(root / "samples/batch/futures.py"),
        str(root / "samples/dog.jpg"),
        "none.jpg",
    ]
    done = subprocess.run(
        words, capture_output=True, text=True, env={**os.environ, **own_home}, check=True
    )
    first, second = done.stdout.splitlines()
    assert first.split("\t")[1] == "dog"
    assert second == "none.jpg\terror: image none.jpg does not exist"
