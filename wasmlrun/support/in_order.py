"""Many things worked on by threads, their results in the order of the things."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_order(
    work: Callable[[T], R],
    things: Iterable[T],
    threads: int,
    *,
    ahead: int,
    weight: Callable[[T], int] = lambda thing: 0,
    most: int = 0,
    on_leaving: Callable[[], None] = lambda: None,
) -> Generator[tuple[T, R], None, None]:
    """Each thing with what `work` returned for it.

    Besides the one that is waited for, at most `ahead` are taken from `things`, and no further one
    while those that were taken weigh more than `most` (bytes, say) together. What `work` raises
    is raised when its turn has come. Who leaves early, or is left by such an error, waits for
    the threads that are at work and for nothing else; `on_leaving` is called before that.
    """
    pool = ThreadPoolExecutor(threads)
    waiting: deque[tuple[T, Future[R]]] = deque()
    weighs = 0
    try:
        for thing in things:
            waiting.append((thing, pool.submit(work, thing)))
            weighs += weight(thing)
            while waiting and (len(waiting) > ahead or weighs > most):
                first, future = waiting.popleft()
                weighs -= weight(first)
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    except BaseException:
        on_leaving()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
