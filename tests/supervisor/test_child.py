"""A child that serves many calls, and what its owner hears when it dies."""

from __future__ import annotations

import ast
import os
import re
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wasmlrun.supervisor.channel import Message
from wasmlrun.supervisor.child import Child
from wasmlrun.supervisor.children import Children
from wasmlrun.support import errors
from wasmlrun.support.errors import (
    BadImage,
    BadModel,
    LimitExceeded,
    WasmlrunError,
    WorkerFailed,
)
from wasmlrun.support.failure import error_from
from wasmlrun.walls.child import Fence, Wall
from wasmlrun.walls.reach import Reach

if sys.platform == "win32":
    pytest.skip("children of this kind need POSIX", allow_module_level=True)

MODULE = "kit.obedient_child"


def order(what: str, given: object = None) -> Message:
    return Message({"do": what, "with": given})


@pytest.fixture
def make() -> Iterator[Callable[..., Child]]:
    made: list[Child] = []

    def child(**how: object) -> Child:
        how = {"timeout": 30.0, "most": 1 << 20, **how}
        made.append(Child(MODULE, **how))  # type: ignore[arg-type]
        return made[-1]

    yield child
    for one in made:
        one.close()


def process_of(child: Child) -> int:
    return int(child.call(order("nothing")).head["process"])


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()


def test_one_process_does_many_calls(make: Callable[..., Child]) -> None:
    child = make()
    assert child.process is None  # it starts with the first call
    answers = [
        child.call(Message({"with": text}, (b"a", bytes(300_000)))) for text in ("x", "ü\udc80")
    ]
    assert [answer.head["count"] for answer in answers] == [2, 3]  # the opening was the first
    assert [answer.head["got"] for answer in answers] == ["x", "ü\udc80"]
    assert answers[1].parts == (b"a", bytes(300_000))
    assert {answer.head["process"] for answer in answers} == {child.process}


def test_the_owners_threads_take_turns(make: Callable[..., Child]) -> None:
    child = make()
    with ThreadPoolExecutor(8) as threads:
        calls = range(40)
        answers = list(threads.map(lambda n: child.call(order("nothing", n)).head["got"], calls))
    assert answers == list(calls)


@pytest.mark.parametrize(
    ("stage", "kind", "message"),
    [
        ("MODEL", BadModel, r"the inference engine crashed \(SIGSEGV\) while it read x.onnx"),
        ("INFERENCE", BadModel, r"the inference engine crashed \(SIGSEGV\) in x.onnx"),
        ("IMAGE", BadImage, r"the image decoder crashed \(SIGSEGV\) at x.onnx"),
        ("GUEST", WorkerFailed, r"the WebAssembly engine crashed \(SIGSEGV\) in the worker"),
    ],
)
def test_a_crash_is_an_error_and_the_next_call_starts_another(
    make: Callable[..., Child], stage: str, kind: type[WasmlrunError], message: str
) -> None:
    child = make()
    before = process_of(child)
    with pytest.raises(kind, match=message):
        child.call(order("crash", stage))
    assert process_of(child) != before


@pytest.mark.skipif(
    sys.platform != "linux" or not os.access("/proc/self/syscall", os.R_OK),
    reason="nobody says what a thread waits for",
)
def test_threads_that_wait_for_each_other_are_not_waited_for(make: Callable[..., Child]) -> None:
    child = make(timeout=600.0)
    before = process_of(child)
    with pytest.raises(BadModel, match=r"the inference engine hung \(.*\) in x.onnx"):
        child.call(order("hang"))
    assert process_of(child) != before
    child.call(order("sleep", 3.5))  # and who sleeps is waited for


def test_a_call_that_takes_too_long_is_ended(make: Callable[..., Child]) -> None:
    # a fresh interpreter may need more than that to start
    child = make(timeout=0.5, opening_timeout=60.0)
    before = process_of(child)
    with pytest.raises(LimitExceeded, match=r"the timeout limit of 0\.5 s") as caught:
        child.call(order("sleep", 60))
    assert caught.value.limit == "timeout"
    assert not is_running(before)


def test_errors_are_raised_as_they_were(make: Callable[..., Child]) -> None:
    child = make()
    before = process_of(child)
    with pytest.raises(LimitExceeded) as caught:
        child.call(order("refuse"))
    error = caught.value
    assert (error.message, error.hint, error.limit) == ("no more", "raise it", "memory")
    with pytest.raises(RuntimeError, match=r"a bug in wasmlrun: (?s:.*)KeyError: 'a bug'"):
        child.call(order("stumble"))
    with pytest.raises(WorkerFailed, match="ended with exit code 3"):
        child.call(order("exit"))
    assert process_of(child) != before


def test_an_opening_that_fails_fails_the_call(make: Callable[..., Child]) -> None:
    child = make(opening=order("refuse"))
    for _ in range(2):
        with pytest.raises(LimitExceeded, match="no more"):
            child.call(order("nothing"))
    assert child.process is None
    with pytest.raises(BadModel, match="crashed"):
        make(opening=order("crash", "MODEL")).prepare()


NONSENSE = {
    "too large": struct.pack("<II", 0xFFFFFFFF, 0),
    "parts too large": struct.pack("<IIQQ", 2, 2, 1 << 62, 1 << 62),
    "too many parts": struct.pack("<II", 2, 1 << 30),
    "no JSON": struct.pack("<II", 2, 0) + b"{]",
    "no object": struct.pack("<II", 2, 0) + b"[]",
    "no text": struct.pack("<II", 2, 0) + b"\xff\xfe",
    "deep": struct.pack("<II", 100_000, 0) + b"[" * 100_000,
}


@pytest.mark.parametrize("data", NONSENSE.values(), ids=NONSENSE)
@pytest.mark.skipif(sys.platform != "linux", reason="the child finds its socket in /proc")
def test_nonsense_from_the_child_is_an_error(make: Callable[..., Child], data: bytes) -> None:
    child = make()
    before = process_of(child)
    with pytest.raises(WorkerFailed, match="the process that did the work answered with"):
        child.call(order("babble", list(data)))
    assert process_of(child) != before


def test_an_error_that_is_none_is_told_as_that() -> None:
    right = {"code": "limit", "message": "x", "hint": None, "exit_code": 5, "limit": "memory"}
    wrong: list[object] = [3, {}, *({**right, key: 3} for key in ("message", "hint", "code"))]
    for nonsense in wrong:
        error = error_from(nonsense)
        assert isinstance(error, WorkerFailed)
        assert "an error that is none" in error.message
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and hasattr(k, "code")]
    assert len(kinds) > 10
    for kind in kinds:
        told = error_from({**right, "code": kind.code})
        assert (told.code, type(told) is WasmlrunError) == (kind.code, False), kind
        assert issubclass(kind, type(told)), kind
    # of a part of wasmlrun that the owner has not imported
    other = error_from({**right, "code": "tool-missing", "exit_code": 3})
    assert (type(other), other.code, other.exit_code) == (WasmlrunError, "tool-missing", 3)


@pytest.mark.skipif(sys.platform != "linux", reason="walls are Linux's")
def test_walls_stand_before_the_child_reads_anything(
    make: Callable[..., Child], tmp_path: Path
) -> None:
    if any(w.missing for w in walls_here()):
        pytest.skip("this system lacks a wall")
    tests = Path(__file__).parents[1]
    for folder in ("named", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text("text")
    named, other = (order("read", str(tmp_path / n / "file")) for n in ("named", "other"))
    free = make()
    assert [free.call(o).head["got"] for o in (named, other)] == [4, 4]
    walled = make(fence=Fence(Reach(reading=(tests, tmp_path / "named"))), memory=1 << 30)
    assert walled.call(named).head["got"] == 4
    threads = list(Path(f"/proc/{walled.process}/task").glob("*/status"))
    assert len(threads) > 1
    for status in threads:
        assert "\nSeccomp:\t2\n" in status.read_text()
    limits = Path(f"/proc/{walled.process}/limits").read_text()
    assert re.search(rf"Max data size +{1 << 30} ", limits)
    with pytest.raises(RuntimeError, match="PermissionError"):
        walled.call(other)


def walls_here() -> list[Wall]:
    """The walls that this system has; they are put up in a process that ends."""
    program = (
        "from wasmlrun.walls.child import Fence, stand\nfrom wasmlrun.walls.reach import Reach\n"
        "print([(w.name, w.missing) for w in stand(Fence(Reach()))])"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)
    return [Wall(*found) for found in ast.literal_eval(done.stdout.decode())]


def test_a_child_is_replaced_after_so_many_calls(make: Callable[..., Child]) -> None:
    child = make(calls=2)
    first, second, third = (process_of(child) for _ in range(3))
    assert first == second != third
    assert not is_running(first)


def test_what_is_said_is_heard(make: Callable[..., Child]) -> None:
    heard: list[str] = []
    make(hear=heard.append).call(order("say", "careful\n"))
    assert heard == ["careful\n"]


def test_closing_ends_the_process_and_the_call_that_runs(make: Callable[..., Child]) -> None:
    child = make()
    process = process_of(child)
    errors: list[Exception] = []

    def wait() -> None:
        try:
            child.call(order("sleep", 60))
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.2)
    child.close()
    thread.join()
    assert str(errors[0]) == "the worker was closed"
    assert not is_running(process)
    with pytest.raises(ValueError, match="the worker is closed"):
        child.call(order("nothing"))
    child.close()


OWNER = f"""
import os, sys, time
sys.path[:0] = {sys.path!r}
from wasmlrun.supervisor.channel import Message
from wasmlrun.supervisor.child import Child
import threading
child = Child({MODULE!r}, timeout=60, most=1000)
print(child.call(Message({{}})).head["process"], flush=True)
busy = Message({{"do": "sleep", "with": 60}})
threading.Thread(target=lambda: child.call(busy), daemon=True).start()
time.sleep(0.2)
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_child_ends_with_its_owner_however_that_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OWNER], capture_output=True, text=True, check=False
    )
    process = int(done.stdout)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{process}").exists() and is_running(process):
        assert time.monotonic() < deadline
        time.sleep(0.05)


FORKS = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from wasmlrun.supervisor.channel import Message
from wasmlrun.supervisor.child import Child
child = Child({MODULE!r}, timeout=60, most=1000)
def process():
    return child.call(Message({{}})).head["process"]
first = process()
if os.fork() == 0:
    print(process() != first, flush=True)
    sys.exit()
os.wait()
print(process() == first)
"""


def test_a_process_that_is_forked_off_the_owner_has_a_child_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", FORKS], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"True\nTrue\n"


def test_several_children_work_at_the_same_time(make: Callable[..., Child]) -> None:
    children = Children(lambda: make(), 2)
    together = threading.Barrier(2)

    def call(_: int) -> int:
        together.wait(30)
        return int(children.call(order("sleep", 0.5)).head["process"])

    children.prepare()
    with ThreadPoolExecutor(2) as threads:
        assert len(set(threads.map(call, range(2)))) == 2
    # one at a time, they all go to the same
    assert len({children.call(order("nothing")).head["process"] for _ in range(3)}) == 1
    children.close()
    with pytest.raises(ValueError, match="the worker is closed"):
        children.call(order("nothing"))


def test_children_that_were_replaced_leave_no_descriptor(make: Callable[..., Child]) -> None:
    child, held = make(calls=1), []
    for _ in range(4):
        try:
            child.call(order("refuse"))
        except LimitExceeded as error:
            held.append(error)  # its traceback knows the frames that it went through
        child.call(order("nothing"))
    assert len(held) == 4
    boards = [
        name
        for name in os.listdir("/proc/self/fd")
        if os.path.islink(f"/proc/self/fd/{name}")
        and "wasmlrun-board" in os.readlink(f"/proc/self/fd/{name}")
    ]
    assert len(boards) <= 1, boards
