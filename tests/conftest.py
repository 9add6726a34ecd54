"""Fixtures that several test files share."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import wasmtime
from kit.core_guests import Player
from kit.fakes import FakeEngine
from kit.models_by_hand import COLOURS, write_colours
from kit.outcome import OUTSIDE, Outcome

from wasmlrun.engines.openvino import create
from wasmlrun.engines.protocol import Engine, Settings
from wasmlrun.supervisor import parent
from wasmlrun.supervisor.stages import Board

ROOT = Path(__file__).parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"


# a shell ignores Ctrl-C in what it starts in the background, and so would every command tested here
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The fuzzer's tests come first: they fork, which a process may not do any more once
    WebAssembly has run in it, because wasmtime's threads are not there in the child.
    """
    items.sort(key=lambda item: "fuzz" not in item.path.parts)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """More real models and photographs, beside the clone; they are no part of the repository.

    What is tested with them is tested with files of the repository too, wherever that can be.
    """
    if not SHARED_DATA.is_dir():
        pytest.skip(f"an addition for those who have it: {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables that keep caches and settings of tests out of the user's own folders."""
    home = tmp_path_factory.mktemp("home")
    return {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
    }


@pytest.fixture(scope="session")
def outside() -> dict[str, str]:
    """The user's own variables, for tools that keep a cache there."""
    return OUTSIDE


@pytest.fixture(autouse=True)
def _isolated(own_home: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or changes the user's cache, settings or variables."""
    for name in list(os.environ):
        if name.startswith("WASMLRUN_"):
            monkeypatch.delenv(name)
    for name, value in own_home.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def run_cli(own_home: dict[str, str]) -> Callable[..., Outcome]:
    """`run_cli(["classify", …], stdin=…, env=…, cwd=…)`: the command as a process of its own."""

    def run(
        args: Sequence[str | Path],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Outcome:
        outside = {k: v for k, v in os.environ.items() if not k.startswith("WASMLRUN_")}
        done = subprocess.run(
            [sys.executable, "-m", "wasmlrun", *map(str, args)],
            input=stdin,
            capture_output=True,
            env={**outside, **own_home, **(env or {})},
            cwd=cwd,
            timeout=120,
            check=False,
        )
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def invoke(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """`invoke("classify", …)`: the same command inside this process, which is much quicker.

    The work is not forked off: this process has threads of both engines by now, and a child
    would wait for them for ever. What the supervisor does is tested with `run_cli`.
    """
    monkeypatch.setattr(parent, "supervise", lambda work, *_: work(Board()))

    def run(*args: str | Path) -> Outcome:
        from wasmlrun.cli import invoke as invoke_cli

        capfd.readouterr()
        memory = resource.getrlimit(resource.RLIMIT_DATA)
        try:
            code = invoke_cli([str(arg) for arg in args])
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, memory)
        out, err = capfd.readouterr()
        return Outcome(code, out, err)

    return run


@pytest.fixture(scope="session")
def wat() -> Callable[[str], bytes]:
    """WebAssembly text to bytes."""

    def assemble(text: str) -> bytes:
        return bytes(wasmtime.wat2wasm(text))

    return assemble


@pytest.fixture(scope="session")
def make_worker() -> Callable[..., Path]:
    """`make_worker(folder, wat, manifest)` writes a worker and its manifest; returns the .wasm."""

    def make(folder: Path, text: str, manifest: str | None = None, name: str = "worker") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.wasm"
        path.write_bytes(wasmtime.wat2wasm(text))
        if manifest is not None:
            path.with_suffix(".toml").write_text(manifest, encoding="utf-8")
        return path

    return make


@pytest.fixture(scope="session")
def openvino() -> Engine:
    """The real engine, loaded once."""
    return create(Settings())


@pytest.fixture
def fake_engine() -> FakeEngine:
    """An engine that computes nothing: it gives back what it was given."""
    return FakeEngine()


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small classifier of 4 × 4 pixels as an OpenVINO IR; `colours.txt` has its labels."""
    folder = tmp_path_factory.mktemp("colours")
    folder.joinpath("colours.txt").write_text("\n".join(COLOURS) + "\n")
    return write_colours(folder, softmax=True)


@pytest.fixture(scope="session")
def red_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PNG of nothing but red, which the model `colours` calls red."""
    from PIL import Image

    path = tmp_path_factory.mktemp("images") / "red.png"
    Image.new("RGB", (8, 8), (255, 0, 0)).save(path)
    return path


@pytest.fixture(scope="session")
def play(tmp_path_factory: pytest.TempPathFactory) -> Player:
    """Runs a script of WASI-NN calls as a guest; see core_guests.py."""
    return Player(tmp_path_factory.mktemp("scripts"))
