"""What is otherwise on other systems, as far as a system that plays another can tell."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest
from kit.core_guests import ENDLESS
from kit.outcome import Outcome
from platformdirs import windows
from platformdirs.macos import MacOS
from platformdirs.windows import Windows

from wasmlrun.support import settings, userdata

ROOT = Path(__file__).parents[1]
DOG = ROOT / "samples" / "dog.jpg"
WITHOUT_FORK = """
import os, sys
for name in ("fork", "getuid", "sched_getaffinity"):
    if hasattr(os, name):
        delattr(os, name)
from wasmlrun.__main__ import main
sys.argv = ["wasmlrun", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize(("name", "kind"), [("darwin", MacOS), ("win32", Windows)])
def test_files_are_where_the_platform_keeps_them(
    name: str, kind: type[MacOS | Windows], monkeypatch: pytest.MonkeyPatch
) -> None:
    def answers(wanted: str) -> Callable[..., Path]:
        return lambda app, appauthor: getattr(kind(app, appauthor), wanted)

    # Windows itself would be asked by a call that is not here
    monkeypatch.setattr(windows, "get_win_folder", lambda what: f"C:/Users/me/{what}")
    monkeypatch.setattr(sys, "platform", name)
    for wanted in ("user_data_path", "user_cache_path", "user_config_path"):
        monkeypatch.setattr(platformdirs, wanted, answers(wanted))
    place = kind("wasmlrun", False)
    assert userdata.data_dir() == place.user_data_path
    assert userdata.cache_dir() == place.user_cache_path
    assert settings.config_file() == place.user_config_path / "config.toml"


@pytest.fixture
def without_fork(own_home: dict[str, str]) -> Callable[..., Outcome]:
    """The command in a Python that has none of what Windows lacks."""

    def run(*words: str | Path) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_FORK, *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={**os.environ, **own_home, "PYTHONPATH": str(ROOT)},
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


def test_a_picture_is_classified_in_the_one_process(
    without_fork: Callable[..., Outcome], run_cli: Callable[..., Outcome]
) -> None:
    assert without_fork("classify", DOG) == run_cli(["classify", DOG])
    many = ["classify", DOG, "none.jpg", ROOT / "samples" / "cat.jpg", "-k", "1"]
    assert without_fork(*many) == run_cli(many)


def test_answers_are_saved_and_told_as_json(
    without_fork: Callable[..., Outcome], tmp_path: Path
) -> None:
    file = tmp_path / "answers.jsonl"
    assert without_fork("classify", DOG, "--json", "-q", "-o", file) == Outcome(0, "", "")
    assert '"label": "dog"' in file.read_text()


def test_time_is_limited_there_too(
    without_fork: Callable[..., Outcome], make_worker: Callable[..., Path], tmp_path: Path
) -> None:
    done = without_fork("run", make_worker(tmp_path, ENDLESS), "--timeout", "1")
    assert done.code == 5
    assert done.stderr.startswith("error: ")
    assert "1 second" in done.stderr or "1 s" in done.stderr


def test_walls_that_the_system_lacks_are_an_error_only_where_they_are_required(
    without_fork: Callable[..., Outcome],
) -> None:
    done = without_fork("classify", DOG, "--require-isolation")
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: --require-isolation: this system has no process of its")
