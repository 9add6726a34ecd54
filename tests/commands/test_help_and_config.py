"""The first run, `wasmlrun help` and `wasmlrun config`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wasmlrun.commands import COMMANDS
from wasmlrun.commands.line.topics import TOPICS
from wasmlrun.support import errors
from wasmlrun.support.errors import WasmlrunError
from wasmlrun.support.settings import SETTINGS

CLI = Callable[..., Any]


def test_wasmlrun_alone_shows_three_commands_to_try(run_cli: CLI) -> None:
    done = run_cli([])
    assert (done.code, done.stdout) == (2, "")
    tried = re.findall(r"^  wasmlrun (\w+)", done.stderr, re.MULTILINE)
    assert tried == ["models", "classify", "doctor"]
    assert set(tried) <= set(COMMANDS)
    assert len(done.stderr.splitlines()) < 10
    assert max(map(len, done.stderr.splitlines())) <= 80


def test_help_lists_its_topics(invoke: CLI) -> None:
    done = invoke("help")
    assert (done.code, done.stderr) == (0, "")
    assert all(f"  {topic} " in done.stdout for topic in TOPICS)


@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_fits_a_terminal(invoke: CLI, topic: str) -> None:
    done = invoke("help", topic)
    assert (done.code, done.stderr) == (0, "")
    text = TOPICS[topic][1]()
    assert done.stdout.startswith(text)
    assert max(map(len, text.splitlines())) <= 80
    for name in re.findall(r"wasmlrun (\w+)", text):
        assert name in COMMANDS, f"{topic} speaks of a command {name}"


def test_help_of_commands_is_theirs(invoke: CLI) -> None:
    for words in (["classify"], ["cache", "ls"], ["models", "pull"]):
        done = invoke("help", *words)
        assert done.stdout.startswith(f"Usage: wasmlrun {' '.join(words)} ")
        assert done.stdout == invoke(*words, "--help").stdout
    assert "Usage: wasmlrun models" in invoke("help", "models").stdout


@pytest.mark.parametrize("words", [["nonsense"], ["cache", "nonsense"], ["classify", "x"]])
def test_help_of_what_is_not(invoke: CLI, words: list[str]) -> None:
    done = invoke("help", *words)
    assert (done.code, done.stdout) == (2, "")
    assert f"error: there is no topic or command {' '.join(words)}\n" in done.stderr


def test_help_knows_every_exit_code(invoke: CLI) -> None:
    told = {int(n) for n in re.findall(r"^ *(\d+)  ", invoke("help", "exit-codes").stdout, re.M)}
    kinds = {kind.exit_code for kind in WasmlrunError.__subclasses__()}
    own = {errors.EXIT_OK, errors.EXIT_EXPECTATION, errors.EXIT_USAGE, errors.EXIT_BUG}
    assert told == kinds | own | {errors.EXIT_INTERRUPTED, errors.EXIT_TERMINATED}


def test_config_shows_what_is_set(run_cli: CLI, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('mirror = "https://mirror.test"\n')
    environ = {"WASMLRUN_CONFIG": str(file), "WASMLRUN_DATA_DIR": "/data"}
    done = run_cli(["config", "--json"], env=environ)
    found = {entry["key"]: entry for entry in map(json.loads, done.stdout.splitlines())}
    assert list(found) == list(SETTINGS)
    assert (found["mirror"]["value"], found["mirror"]["origin"]) == (
        "https://mirror.test",
        str(file),
    )
    assert (found["data_dir"]["value"], found["data_dir"]["origin"]) == (
        "/data",
        "WASMLRUN_DATA_DIR",
    )
    assert found["model"]["value"] is None
    assert run_cli(["config", "--path"], env=environ).stdout == f"{file}\n"
    assert run_cli(["config"], env=environ).stdout.splitlines()[3] == (
        "data_dir\t/data\tWASMLRUN_DATA_DIR\tWASMLRUN_DATA_DIR"
    )


def test_a_wrong_configuration_stops_every_command_in_the_same_way(
    run_cli: CLI, red_image: Path, tmp_path: Path
) -> None:
    file = tmp_path / "c.toml"
    file.write_text("modle = 'x'\n")
    for words in (["classify", red_image], ["models", "list"], ["cache", "info"], ["config"]):
        done = run_cli(words, env={"WASMLRUN_CONFIG": str(file)})
        assert (done.code, done.stdout) == (3, ""), words
        assert f"error: the configuration {file} has an unknown key: modle\n" in done.stderr
        assert "hint: did you mean model?" in done.stderr


def test_the_default_model_can_be_set(run_cli: CLI, red_image: Path, colours: Path) -> None:
    environ = {"WASMLRUN_DEFAULT_MODEL": str(colours)}
    done = run_cli(["classify", red_image, "-k", "1", "-v", "--json"], env=environ)
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout)["model"] == str(colours)
    assert f"model {colours}: set by WASMLRUN_DEFAULT_MODEL" in done.stderr


def test_the_file_is_followed_behind_the_walls(
    run_cli: CLI, red_image: Path, colours: Path, tmp_path: Path
) -> None:
    file = tmp_path / "c.toml"
    file.write_text(f'model = "{colours}"\ncache_dir = "{tmp_path / "cache"}"\n')
    # of an earlier test, and stronger than the file
    environ = {"WASMLRUN_CONFIG": str(file), "WASMLRUN_CACHE_DIR": "", "WASMLRUN_DATA_DIR": ""}
    done = run_cli(["classify", red_image, "-k", "1", "-v", "--json"], env=environ)
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout)["model"] == str(colours)
    assert f"model {colours}: set by {file}" in done.stderr
    assert any((tmp_path / "cache").rglob("*"))


def test_the_mirror_can_be_set(run_cli: CLI, shared_data: Path, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(f'mirror = "{(shared_data / "models").as_uri()}"\n')
    environ = {"WASMLRUN_CONFIG": str(file), "WASMLRUN_DATA_DIR": str(tmp_path / "data")}
    done = run_cli(["models", "pull", "mobilenet-v1-0.25"], env=environ)
    assert done.code == 0, done.stderr
