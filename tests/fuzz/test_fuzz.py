"""A short fuzz of every target, and that the fuzzer sees what it looks for."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest

from fuzz import batch, guided
from fuzz.calls import FUNCTIONS, Calls, everything
from fuzz.target import ACCEPTED, REFUSED, Broken, Target, source
from fuzz.targets import all_targets
from wasmlrun.support.errors import BadLabels
from wasmlrun.vision.labels import rank, read_labels
from wasmlrun.wasi_nn import core
from wasmlrun.wasmtime_c import GuestMemory

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")

SEED = 1
SECONDS = 0.7
TARGETS = {target.name: target for target in all_targets()}


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_clean_errors(name: str, tmp_path: Path) -> None:
    counts = batch.run(TARGETS[name], SEED, 0, SECONDS, 1000, tmp_path)
    assert counts.inputs > 0
    known = {ACCEPTED, REFUSED, "calls", "crash", "hang", "crash, not alone", "hang, not alone"}
    # a parser's crash is the supervisor's business, and counted by the long fuzz
    assert [f for f in counts.failures if not f["what"].startswith(("crash", "hang"))] == []
    assert set(counts.outcomes) <= known


@pytest.mark.parametrize("name", TARGETS)
def test_an_input_follows_from_its_seed(name: str) -> None:
    made = [TARGETS[name].make(source(name, SEED, 7)) for _ in range(2)]
    assert made[0] == made[1]
    assert all(isinstance(data, bytes) for data in TARGETS[name].files(made[0]).values())


@pytest.mark.parametrize("name", TARGETS)
def test_a_guided_fuzzer_begins_with_the_same_inputs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a seed's bytes are read as is the input, and any bytes are one."""
    target = TARGETS[name]
    monkeypatch.setattr(guided, "SEEDS", 2)
    guided.write_seeds(target, tmp_path)
    for number in range(2):
        value = target.make(source(name, 0, number))
        seed = (tmp_path / f"{number:03}").read_bytes()
        assert target.files(target.read(seed)).values()
        assert target.written(target.read(seed)) == target.written(value) == seed
    for data in (b"", b"\xff", bytes(range(256))):
        assert target.files(target.read(data))


def test_a_million_labels_are_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(b"\n".join(b"%d: label" % n for n in range(1_000_000)))
    labels = read_labels(path)
    assert (len(labels), labels[0]) == (1_000_000, "label")
    with pytest.raises(BadLabels):
        rank([0.1] * 5, labels, None, 1)


class Hostile(Target[int]):
    """Input number 3 does what a hostile input might."""

    name = "hostile"
    seconds = 0.5

    def __init__(self, deed: str) -> None:
        super().__init__()
        self._deed = deed
        self._number = -1

    def make(self, random: Random) -> int:
        self._number += 1
        return self._number

    def feed(self, value: int) -> str:
        if value == 3:
            if self._deed == "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            if self._deed == "hang":
                while True:
                    time.sleep(1)
            if self._deed == "spin":
                while True:
                    pass
            if self._deed == "memory":
                block = bytearray(batch.MUCH + (64 << 20))
                return ACCEPTED if block else REFUSED
            if self._deed == "escape":
                raise Broken("it got out")
            raise RuntimeError("unclean")
        return ACCEPTED

    def files(self, value: int) -> Mapping[str, bytes]:
        return {}


@pytest.mark.parametrize(
    ("deed", "what"),
    [
        ("crash", "crash, not alone (SIGKILL)"),
        ("hang", "hang, not alone"),
        ("spin", "hang, not alone"),
        ("escape", "Broken: it got out"),
        ("error", "RuntimeError: unclean"),
        ("memory", "MiB of memory"),
    ],
)
def test_what_a_hostile_input_does_is_seen_and_the_rest_goes_on(
    deed: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "MUCH", 100 << 20)
    counts = batch.run(Hostile(deed), SEED, 0, 60, 6, tmp_path)
    assert counts.inputs == 6
    assert [f["number"] for f in counts.failures] == [3]
    assert what in counts.failures[0]["what"]
    # the input is counted once, as what it was
    done = Counter({k: v for k, v in counts.outcomes.items() if k != "much memory"})
    assert done.total() == 6


class _Unchecked(GuestMemory):
    """As if the check of pointers had been forgotten."""

    def check(self, pointer: int, length: int, what: str) -> None:
        return


def test_a_host_that_forgets_to_check_a_pointer_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second check of memory is one: without the program's own, it strikes."""
    monkeypatch.setattr(core, "GuestMemory", _Unchecked)
    counts = batch.run(Calls("wasi_ephemeral_nn", real=False), SEED, 0, 60, 1, tmp_path)
    (failure,) = counts.failures
    assert failure["what"].startswith("Broken: ")


def test_the_guest_of_calls_really_makes_them(tmp_path: Path) -> None:
    target: Calls = TARGETS["calls-wasi_ephemeral_nn-fake"]  # type: ignore[assignment]
    target.begin(tmp_path)
    value = target.make(source(target.name, SEED, 0))
    assert target.feed(value) == ACCEPTED
    assert target.tally["calls"] == len(value) // 24 >= 2000
    target.tally.clear()


def test_the_guest_imports_every_function_that_is_provided() -> None:
    for module, functions in (
        ("wasi_ephemeral_nn", core._functions()),
        ("wasi_nn", core._legacy_functions()),
    ):
        assert set(FUNCTIONS[module].items()) == set(functions)
        assert all(f'"{module}" "{name}"' in everything(module) for name, _ in functions)
