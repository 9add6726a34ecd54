"""Work by several threads, its results in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from wasmlrun.support.in_order import in_order


def test_results_come_in_the_order_of_the_things() -> None:
    second = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert second.wait(60)  # the first ends after the second
        else:
            second.set()
        return number * number

    assert list(in_order(work, range(20), 2, ahead=3)) == [(n, n * n) for n in range(20)]


def test_only_a_few_things_are_taken_ahead() -> None:
    taken: list[int] = []

    def things() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    answers = in_order(lambda n: n, things(), 2, ahead=3)
    assert next(answers) == (0, 0)
    assert taken == [0, 1, 2, 3]
    answers.close()
    heavy = in_order(lambda n: n, things(), 2, ahead=50, weight=lambda n: 10, most=25)
    taken.clear()
    assert next(heavy) == (0, 0)
    assert taken == [0, 1, 2]
    heavy.close()


def test_an_error_comes_in_its_turn_and_ends_it() -> None:
    def work(number: int) -> int:
        if number == 2:
            raise ValueError("two")
        return number

    answers = in_order(work, range(10), 2, ahead=4)
    assert [next(answers)[1], next(answers)[1]] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(answers)
    assert list(answers) == []


def test_who_leaves_waits_for_those_at_work_alone() -> None:
    begun, leave = threading.Semaphore(0), threading.Event()
    done: list[int] = []

    def work(number: int) -> int:
        if number > 0:
            begun.release()
            assert leave.wait(60)
            time.sleep(0.1)  # so that the rest could not be done in passing
        done.append(number)
        return number

    answers = in_order(work, range(100), 2, ahead=20, on_leaving=leave.set)
    assert next(answers) == (0, 0)
    for _ in range(2):
        assert begun.acquire(timeout=60)
    answers.close()
    assert 3 <= len(done) < 21
