"""Children for requests: one call at a time each, a bounded queue before them.

A child that crashes costs its own call; the next call finds a fresh one. A call whose client is
gone is ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from wasmlrun.supervisor.channel import Message
from wasmlrun.supervisor.child import Child
from wasmlrun.support.errors import LimitExceeded, WasmlrunError

PATIENCE = 0.5
"""Seconds that a call may go on whose client is gone: most are over by then, and a child that is
ended has to be made anew."""
_SOON = 0.02


class Busy(Exception):
    """There are as many requests as may wait."""


class Gone(Exception):
    """The client has left; nobody reads an answer."""


class Crashed(Exception):
    """The child died with this call; `error` says what it was at."""

    def __init__(self, error: WasmlrunError) -> None:
        super().__init__(error.message)
        self.error = error


class Pool:
    """So many children; to be used in one event loop."""

    def __init__(self, make: Callable[[], Child], count: int, waiting: int) -> None:
        """`make` makes a child; `waiting` is how many calls may wait for one."""
        self._children = [make() for _ in range(count)]
        self._idle = list(self._children)
        self._waiters: deque[asyncio.Future[Child]] = deque()
        self._most = waiting
        self._threads = ThreadPoolExecutor(max(1, count), thread_name_prefix="child")
        self.crashes = 0

    @property
    def waiting(self) -> int:
        """How many calls wait for a child."""
        return len(self._waiters)

    @property
    def busy(self) -> int:
        """How many children are at work."""
        return len(self._children) - len(self._idle)

    async def prepare(self) -> None:
        """Start all children. Raises WasmlrunError when they cannot."""
        loop = asyncio.get_running_loop()
        await asyncio.gather(
            *(loop.run_in_executor(self._threads, child.prepare) for child in self._children)
        )

    async def call(self, message: Message, gone: Callable[[], Awaitable[None]]) -> Message:
        """The answer of a child. `gone` returns when the client has left.

        Raises:
            Busy, Gone, Crashed. WasmlrunError: the work's own.
        """
        async with self.leased(gone) as lease:
            return await lease.call(message, gone)

    @asynccontextmanager
    async def leased(self, gone: Callable[[], Awaitable[None]]) -> AsyncIterator[Lease]:
        """A child for several calls, nobody else's until the block ends. Raises Busy, Gone."""
        child = self._idle.pop() if self._idle else await self._wait(gone)
        try:
            yield Lease(self, child)
        finally:
            self._free(child)

    async def ask(
        self, child: Child, message: Message, gone: Callable[[], Awaitable[None]]
    ) -> Message:
        """The answer of a child that is leased. Raises as `call` does."""
        try:
            descriptor = child.begin_call(message)
            if descriptor is None:
                return await self._waited(partial(child.call, message), child, gone)
            if await self._is_quick(child, descriptor):
                answer = child.finish_call(wait=False)
                if answer is not None:
                    return answer
            return await self._waited(partial(_finished, child), child, gone)
        except LimitExceeded:
            raise
        except WasmlrunError as error:
            if child.process is None:
                self.crashes += 1
                raise Crashed(error) from error
            raise

    async def _is_quick(self, child: Child, descriptor: int) -> bool:
        """Whether an answer comes at once: no thread has to wait for it then."""
        loop = asyncio.get_running_loop()
        comes: asyncio.Future[bool] = loop.create_future()
        timer = loop.call_later(_SOON, _settle, comes, False)
        loop.add_reader(descriptor, _settle, comes, True)
        try:
            return await comes
        except BaseException:
            # somebody has to take the answer
            loop.run_in_executor(self._threads, _forgotten, child)
            raise
        finally:
            timer.cancel()
            loop.remove_reader(descriptor)

    async def _waited(
        self, call: Callable[[], Message], child: Child, gone: Callable[[], Awaitable[None]]
    ) -> Message:
        """An answer that a thread waits for. Raises Gone, and what the call raises."""
        work = asyncio.get_running_loop().run_in_executor(self._threads, call)
        done, _ = await asyncio.wait({work}, timeout=_SOON)
        if not done:
            await self._watch(work, child, gone)
        return await work

    async def _watch(
        self, work: asyncio.Future[Message], child: Child, gone: Callable[[], Awaitable[None]]
    ) -> None:
        """Until the work is done. When the client leaves, the work is ended soon: raises Gone."""
        leaving: asyncio.Future[None] = asyncio.ensure_future(gone())
        try:
            await asyncio.wait(_both(work, leaving), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return
            await asyncio.wait({work}, timeout=PATIENCE)
            if not work.done():
                process = child.process
                if process is not None:
                    with suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
                await asyncio.wait({work})
                # a fresh one, while nobody waits for it
                asyncio.get_running_loop().run_in_executor(self._threads, _prepared, child)
            work.exception()  # nobody wants to know
            raise Gone
        finally:
            leaving.cancel()

    async def _wait(self, gone: Callable[[], Awaitable[None]]) -> Child:
        if len(self._waiters) >= self._most:
            raise Busy
        mine: asyncio.Future[Child] = asyncio.get_running_loop().create_future()
        self._waiters.append(mine)
        leaving: asyncio.Future[None] = asyncio.ensure_future(gone())
        try:
            await asyncio.wait(_both(mine, leaving), return_when=asyncio.FIRST_COMPLETED)
            if mine.done():
                return mine.result()
            raise Gone
        except BaseException:
            if mine.done() and not mine.cancelled():
                self._free(mine.result())
            raise
        finally:
            leaving.cancel()
            mine.cancel()
            with suppress(ValueError):
                self._waiters.remove(mine)

    def _free(self, child: Child) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(child)
                return
        self._idle.append(child)

    def close(self) -> None:
        """End all children, and the calls that run."""
        for child in self._children:
            child.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


class Lease:
    """A child that is one request's for a while."""

    def __init__(self, pool: Pool, child: Child) -> None:
        self._pool = pool
        self._child = child

    async def call(self, message: Message, gone: Callable[[], Awaitable[None]]) -> Message:
        """The child's answer. Raises Gone, Crashed, and what the work raises."""
        return await self._pool.ask(self._child, message, gone)


def _settle(future: asyncio.Future[bool], value: bool) -> None:
    if not future.done():
        future.set_result(value)


def _finished(child: Child) -> Message:
    answer = child.finish_call(wait=True)
    assert answer is not None
    return answer


def _forgotten(child: Child) -> None:
    with suppress(WasmlrunError, ValueError, OSError):
        child.finish_call(wait=True)


def _both(one: asyncio.Future[Any], other: asyncio.Future[Any]) -> set[asyncio.Future[Any]]:
    return {one, other}


def _prepared(child: Child) -> None:
    # what is wrong is told to the next call
    with suppress(WasmlrunError, ValueError, OSError):
        child.prepare()
