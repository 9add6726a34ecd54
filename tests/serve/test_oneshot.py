"""`classify --via auto`: the same answers and exit codes with a server as without one."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from kit.served import Served

Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def environment(
    own_home: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    # a socket's path has at most some hundred bytes
    run = Path(tmp_path_factory.mktemp("r"))
    return {**os.environ, **own_home, "XDG_RUNTIME_DIR": str(run)}


@pytest.fixture(scope="module")
def model(colours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    for file in colours.parent.iterdir():
        shutil.copy(file, folder)
    return folder / colours.name


@pytest.fixture(scope="module")
def served(model: Path, environment: dict[str, str]) -> Iterator[Served]:
    words: list[str | Path] = [
        "--model",
        model,
        "--labels",
        model.parent / "colours.txt",
        "--processes",
        "1",
    ]
    with Served(*words, env=environment, cwd=model.parent) as server:
        yield server


def classify(environment: Mapping[str, str], *words: str | Path) -> Done:
    return subprocess.run(
        [sys.executable, "-m", "wasmlrun", "classify", *map(str, words)],
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


def counted(server: Served) -> int:
    """How many pictures the server's processes have seen in one way or another."""
    return server.text.count("one-shot")


def without_timings(line: str) -> object:
    found = json.loads(line)
    found.pop("timings_ms", None)
    return found


@pytest.mark.parametrize(
    "words",
    [[], ["-k", "2"], ["--expect", "red"], ["--expect", "blue"], ["--min-score", "0.99"]],
    ids=str,
)
def test_answers_and_exit_codes_are_the_same(
    served: Served, model: Path, red_image: Path, environment: dict[str, str], words: list[str]
) -> None:
    command: list[str | Path] = ["--model", model, "--labels", model.parent / "colours.txt", *words]
    broken = model.parent / "broken.png"
    broken.write_text("no picture")
    for pictures in ([red_image], [red_image, broken, "none.png"], [broken]):
        alone = classify(environment, *pictures, *command, "--json")
        asked = counted(served)
        via = classify(environment, *pictures, *command, "--json", "--via", "auto")
        assert counted(served) > asked
        assert via.returncode == alone.returncode
        assert via.stderr == alone.stderr
        lines = via.stdout.splitlines(), alone.stdout.splitlines()
        assert [*map(without_timings, lines[0])] == [*map(without_timings, lines[1])]


@pytest.mark.parametrize("words", [["--timeout", "50"], ["--precision", "bf16"], ["-v"]], ids=str)
def test_what_was_not_said_to_the_server_is_not_asked_of_it(
    served: Served, model: Path, red_image: Path, environment: dict[str, str], words: list[str]
) -> None:
    command: list[str | Path] = [
        red_image,
        "--model",
        model,
        "--labels",
        model.parent / "colours.txt",
        *words,
    ]
    before = counted(served)
    assert classify(environment, *command, "--via", "auto").returncode == 0
    assert counted(served) == before


def test_another_model_or_none_is_done_as_ever(
    served: Served, model: Path, red_image: Path, environment: dict[str, str]
) -> None:
    before = counted(served)
    assert classify(environment, red_image, "--model", model, "--via", "auto").returncode == 0
    assert counted(served) == before


def test_a_model_that_changed_is_another(
    colours: Path, red_image: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    run = tmp_path / "r"
    run.mkdir()
    own = {**environment, "XDG_RUNTIME_DIR": str(run)}
    for file in colours.parent.iterdir():
        shutil.copy(file, tmp_path)
    model = tmp_path / colours.name
    with Served("--model", model, "--processes", "1", env=own, cwd=tmp_path) as server:
        end = run / "wasmlrun" / "oneshot.sock"
        assert stat.S_IMODE(end.stat().st_mode) == 0o600
        assert stat.S_IMODE(end.parent.stat().st_mode) == 0o700
        command: list[str | Path] = [red_image, "--model", model, "--via", "auto"]
        assert classify(own, *command).returncode == 0
        assert counted(server) == 1
        os.utime(model, ns=(1, 1))
        assert classify(own, *command).returncode == 0
        assert counted(server) == 1
        assert server.end() == 143
        assert not end.exists()


def test_a_socket_that_nobody_serves_or_that_talks_nonsense(
    model: Path, red_image: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "wasmlrun"
    folder.mkdir()
    own = {**environment, "XDG_RUNTIME_DIR": str(tmp_path)}
    command: list[str | Path] = [red_image, "--model", model, "--via", "auto"]
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(folder / "oneshot.sock"))
        done = classify(own, *command)
        assert (done.returncode, done.stderr) == (0, "")
        end.listen()
        import threading

        def nonsense() -> None:
            other, _ = end.accept()
            other.sendall(b"nonsense")
            other.close()

        thread = threading.Thread(target=nonsense)
        thread.start()
        done = classify(own, *command)
        thread.join()
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("data", [b"", b"x", b"\xff" * 8, b"\x02\0\0\0\0\0\0\0{}", b"\0" * 8])
def test_the_server_survives_what_is_sent_to_its_socket(
    served: Served, environment: dict[str, str], data: bytes
) -> None:
    path = Path(environment["XDG_RUNTIME_DIR"], "wasmlrun", "oneshot.sock")
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(30)
        end.connect(str(path))
        end.sendall(data)
        end.shutdown(socket.SHUT_WR)
        assert end.recv(100) == b""
    assert served.get("/healthz").status == 200
