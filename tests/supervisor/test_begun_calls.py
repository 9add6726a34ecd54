"""Calls that an event loop begins and finishes, without a thread that waits."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from wasmlrun.supervisor.channel import Message
from wasmlrun.supervisor.child import Child
from wasmlrun.support.errors import LimitExceeded, WasmlrunError, WorkerFailed

if sys.platform == "win32":
    pytest.skip("children of this kind need POSIX", allow_module_level=True)


def order(what: str, given: object = None, *parts: bytes) -> Message:
    return Message({"do": what, "with": given}, parts)


@pytest.fixture
def make() -> Iterator[Callable[..., Child]]:
    made: list[Child] = []

    def child(**how: object) -> Child:
        how = {"timeout": 60.0, "most": 1 << 20, **how}
        made.append(Child("kit.obedient_child", **how))  # type: ignore[arg-type]
        made[-1].prepare()
        return made[-1]

    yield child
    for one in made:
        one.close()


def begun(child: Child, message: Message) -> int:
    descriptor = child.begin_call(message)
    assert descriptor is not None
    return descriptor


def answered(child: Child, message: Message) -> Message:
    """As an event loop does it."""
    select.select([begun(child, message)], [], [], 60)
    answer = child.finish_call(wait=False)
    return answer if answer is not None else finished(child)


def finished(child: Child) -> Message:
    answer = child.finish_call(wait=True)
    assert answer is not None
    return answer


def test_calls_of_both_kinds_in_turns(make: Callable[..., Child]) -> None:
    child = make()
    counts = []
    for number in range(4):
        ask = child.call if number % 2 else lambda message: answered(child, message)
        answer = ask(order("nothing", number, b"part", b""))
        assert [bytes(part) for part in answer.parts] == [b"part", b""]
        counts.append(answer.head["count"])
    assert counts == [2, 3, 4, 5]  # the opening was the first


def test_nothing_is_begun_where_it_would_wait(make: Callable[..., Child]) -> None:
    child = make()
    assert child.begin_call(order("nothing", None, b"x" * 70_000)) is None
    begun(child, order("sleep", 0.2))
    assert child.begin_call(order("nothing")) is None
    assert finished(child).head["got"] == 0.2
    never = Child("kit.obedient_child", timeout=60, most=1 << 20)
    assert never.begin_call(order("nothing")) is None
    child.close()
    assert child.begin_call(order("nothing")) is None


def test_an_answer_that_is_not_there_is_waited_for(make: Callable[..., Child]) -> None:
    child = make()
    begun(child, order("sleep", 0.3))
    assert child.finish_call(wait=False) is None
    assert finished(child).head["got"] == 0.3


def test_a_large_answer_comes_whole(make: Callable[..., Child]) -> None:
    child = make(most=8 << 20)
    answer = answered(child, order("nothing", "é" * 30_000))
    assert answer.head["got"] == "é" * 30_000
    large = child.call(order("nothing", None, b"x" * (4 << 20)))
    assert bytes(large.parts[0]) == b"x" * (4 << 20)


def test_errors_are_raised_where_it_is_finished(make: Callable[..., Child]) -> None:
    child = make()
    with pytest.raises(LimitExceeded, match="no more"):
        answered(child, order("refuse"))
    with pytest.raises(WasmlrunError, match="inference"):
        answered(child, order("crash", "INFERENCE"))
    assert child.process is None
    assert child.begin_call(order("nothing")) is None
    assert child.call(order("nothing")).head["count"] == 2  # another one
    with pytest.raises(WorkerFailed, match="exit code 3"):
        answered(child, order("exit"))


def test_time_counts_from_the_beginning(make: Callable[..., Child]) -> None:
    child = make(timeout=0.5)
    begun(child, order("sleep", 600))
    started = time.monotonic()
    with pytest.raises(LimitExceeded, match=r"0\.5"):
        finished(child)
    assert time.monotonic() - started < 60


def test_a_child_that_is_replaced_after_so_many_calls(make: Callable[..., Child]) -> None:
    child = make(calls=2)
    first = child.process
    answered(child, order("nothing"))
    assert child.process == first
    answered(child, order("nothing"))
    assert child.process is None


@pytest.mark.parametrize(
    "data",
    [
        b"\x05\0\0\0\xff\0\0\0",  # too many parts
        b"\xff\xff\xff\x7f\0\0\0\0",  # too long
        b"\x02\0\0\0\0\0\0\0[]",
        b"\x02\0\0\0\0\0\0\0{{",
    ],
    ids=["parts", "long", "list", "no JSON"],
)
def test_nonsense_is_found_out(make: Callable[..., Child], data: bytes) -> None:
    child = make()
    with pytest.raises(WorkerFailed, match="answered with"):
        answered(child, order("babble", list(data)))
    assert child.process is None


def test_half_a_message_is_no_message(make: Callable[..., Child]) -> None:
    child = make(timeout=1.0)
    descriptor = begun(child, order("babble", list(b"\x05\0\0\0\0\0\0\0{")))
    select.select([descriptor], [], [], 60)
    assert child.finish_call(wait=False) is None
    with pytest.raises(LimitExceeded):
        finished(child)


def test_a_process_that_was_ended_is_noticed(make: Callable[..., Child]) -> None:
    child = make()
    descriptor = begun(child, order("sleep", 600))
    assert child.process is not None
    os.kill(child.process, signal.SIGKILL)
    select.select([descriptor], [], [], 60)
    assert child.finish_call(wait=False) is None
    with pytest.raises(WasmlrunError, match="killed by the system"):
        finished(child)


def test_closing_does_not_wait_for_a_call_that_nobody_finishes(make: Callable[..., Child]) -> None:
    child = make()
    begun(child, order("sleep", 600))
    process = child.process
    child.close()
    assert process is not None
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    with pytest.raises(ValueError, match="closed"):
        child.finish_call(wait=True)
    child.close()
