"""A child that serves many calls: native code may crash or hang in it, and the caller goes on.

`supervise` in `wasmlrun.supervisor.parent` forks a command's work off before there are threads.
A library cannot: its process has threads and a life of its own. So this child is a fresh
interpreter that is started with the first call, does one call at a time and answers over a
socket. When it crashes, or a call outlasts its time, the call ends with the error that says so
and the next call starts another child.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from wasmlrun.supervisor import answering
from wasmlrun.supervisor.answering import BUG, ERROR, SAID
from wasmlrun.supervisor.blame import LOADER_FAILED, error_of
from wasmlrun.supervisor.channel import EMPTY, Channel, Closed, Malformed, Message, failure_of
from wasmlrun.supervisor.parent import GRACE, IDLE, Death, clean_up_after, watch_of
from wasmlrun.supervisor.stages import Board, shared_memory
from wasmlrun.support.errors import WasmlrunError, WorkerFailed
from wasmlrun.support.failure import error_from
from wasmlrun.walls.child import Fence
from wasmlrun.walls.plain import plain

if TYPE_CHECKING:
    from wasmlrun.supervisor.stuck import Watch


class Child:
    """A process for calls, one at a time; threads wait for each other.

    It is started when there is a call, and ends with its owner or with `close`.
    """

    def __init__(
        self,
        module: str,
        opening: Message = EMPTY,
        *,
        timeout: float,
        most: int,
        calls: int | None = None,
        hear: Callable[[str], None] = lambda text: None,
        memory: int | None = None,
        fence: Fence | None = None,
        opening_timeout: float | None = None,
    ) -> None:
        """The child imports `module` and answers with what its `begin(opening, board, say)`
        returns, a Handler. That, and every call, may take `timeout` seconds, that alone
        `opening_timeout` where it is given, and an answer may have `most` bytes. After so many
        `calls` the child is replaced by a fresh one.

        `hear` is given what is said meanwhile: warnings, and what guests write to stderr. From its
        first byte on the child may have `memory` bytes, and stands behind the walls of the
        `fence`; without one it may do what its user may.
        """
        self._module = module
        self._opening = opening
        self._timeout = timeout
        self._opening_timeout = timeout if opening_timeout is None else opening_timeout
        self._most = most
        self._calls = calls
        self._hear = hear
        self._bounds = Message({"memory": memory, "fence": plain(fence)})
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._closed = False
        self._begun = False
        """Whether there is a call that was begun and that nobody finishes yet."""
        self._deadline = 0.0
        """When that is out of time."""

    def call(self, message: Message) -> Message:
        """The answer to a message.

        Raises:
            WasmlrunError: the handler's own; or the child crashed, was out of time, or answered
                with nonsense.
            ValueError: it was closed.
        """
        with self._lock:
            running = self._started()
            return self._counted(running, lambda: self._ask(running, message, self._timeout))

    def begin_call(self, message: Message) -> int | None:
        """Begin a call without waiting, for an event loop: the descriptor that can be read when
        the answer comes, which `finish_call` has to take. None when that is not possible: there is
        no process yet, it is at work, or the message is large.
        """
        if not self._lock.acquire(blocking=False):
            return None
        running = self._running
        try:
            if (
                running is not None
                and not self._closed
                and running.owner == os.getpid()
                and running.process.poll() is None
                and running.channel.send_now(message)
            ):
                self._deadline = time.monotonic() + self._timeout + GRACE
                self._begun = True
                return running.channel.fileno()
        except Closed:
            pass  # whoever calls next is told why
        except BaseException:
            self._lock.release()
            raise
        self._lock.release()
        return None

    def finish_call(self, *, wait: bool) -> Message | None:
        """The answer of a call that was begun; None, unless it may `wait`, when not all of it is
        there. Raises what `call` does.
        """
        running = self._running
        if running is None:  # it was closed meanwhile
            self._begun = False
            self._lock.release()
            raise ValueError("the worker was closed")
        if not wait and not running.channel.arrived():
            return None
        self._begun = False
        try:
            answered = partial(self._receive, running, self._deadline, self._timeout)
            return self._counted(running, answered)
        finally:
            self._lock.release()

    def _counted(self, running: _Running, answered: Callable[[], Message]) -> Message:
        """An answer; after it, or instead of it, the process may have to be replaced."""
        try:
            answer = answered()
        except WasmlrunError:
            self._forget_the_dead(running)
            raise
        except BaseException:
            # whatever it answers later is the answer to nothing
            self._stop()
            raise
        running.calls += 1
        if self._calls is not None and running.calls >= self._calls:
            self._stop()
        return answer

    def prepare(self) -> None:
        """Start it if need be, so that the first call waits less. Raises what `call` does."""
        with self._lock:
            self._started()

    def close(self) -> None:
        """End it, and the call that runs with a ValueError; there may be no other."""
        self._closed = True
        running = self._running
        if running is not None:
            running.kill()
        if self._begun:  # nobody waits for its answer, who would let go of the lock
            self._stop()
            return
        with self._lock:
            self._stop()

    @property
    def process(self) -> int | None:
        """Its number, None when none is running."""
        running = self._running
        return running.process.pid if running is not None else None

    def _started(self) -> _Running:
        if self._closed:
            raise ValueError("the worker is closed")
        running = self._running
        if running is not None and running.owner != os.getpid():
            # this process was forked off from the one that started it
            self._running = running = None
        if running is not None and running.process.poll() is not None:
            self._stop()  # somebody else ended it
            running = None
        if running is None:
            running = self._running = _Running(self._module)
            try:
                self._send(running, self._bounds)
                self._ask(running, self._opening, self._opening_timeout)
            except BaseException:
                self._stop()
                raise
        return running

    def _ask(self, running: _Running, message: Message, seconds: float) -> Message:
        deadline = time.monotonic() + seconds + GRACE
        try:
            running.channel.send(message, deadline)
        except TimeoutError:
            running.kill()
            raise self._death(running, seconds, timed_out=True) from None
        except Closed:
            raise self._death(running, seconds, timed_out=False) from None
        return self._receive(running, deadline, seconds)

    def _receive(self, running: _Running, deadline: float, seconds: float) -> Message:
        if self._is_stuck(running, deadline):
            running.kill()
            raise self._death(running, seconds, timed_out=False, stuck=True)
        try:
            answer = running.channel.receive(self._most, deadline)
        except TimeoutError:
            running.kill()
            raise self._death(running, seconds, timed_out=True) from None
        except Closed:
            raise self._death(running, seconds, timed_out=False) from None
        except Malformed as e:
            running.kill()
            running.ended()
            raise failure_of(e) from None
        return self._understood(answer)

    def _is_stuck(self, running: _Running, deadline: float) -> bool:
        """Wait until something comes, or time is over; whether neither is worth waiting for."""
        watch: Watch | None = None
        while (left := deadline - time.monotonic()) > 0 and running.channel.quiet(min(left, IDLE)):
            watch = watch or watch_of(running.process.pid, running.aside)
            if watch.stuck():
                return True
        return False

    def _send(self, running: _Running, message: Message) -> None:
        try:
            running.channel.send(message)
        except Closed:
            raise self._death(running, self._opening_timeout, timed_out=False) from None

    def _understood(self, answer: Message) -> Message:
        said = answer.head.get(SAID)
        if isinstance(said, str):
            self._hear(said)
        bug = answer.head.get(BUG)
        if bug is not None:
            raise RuntimeError(f"a bug in wasmlrun: {bug}")
        error = answer.head.get(ERROR)
        if error is not None:
            raise error_from(error)
        return answer

    def _death(
        self, running: _Running, seconds: float, *, timed_out: bool, stuck: bool = False
    ) -> Exception:
        if self._closed:
            return ValueError("the worker was closed")
        status = running.ended()
        if status == LOADER_FAILED and not timed_out:
            return error_of(Death(0, False, [], status), seconds)
        if status >= 0 and not timed_out:
            return WorkerFailed(f"the process that did the work ended with exit code {status}")
        doing = running.board.running()
        return error_of(Death(-status, timed_out, doing, stuck=stuck), seconds)

    def _forget_the_dead(self, running: _Running) -> None:
        if running.process.poll() is not None:
            self._stop()

    def _stop(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.stop()


class _Running:
    """One child process, from its start to its end."""

    def __init__(self, module: str) -> None:
        """Raises OSError when the system has no room for it."""
        self.owner = os.getpid()
        self.calls = 0
        ours, theirs = socket.socketpair()
        memory = shared_memory()
        alive, self._alive = os.pipe()
        self.aside = alive
        """The child's number of the pipe by which it notices that its owner is gone."""
        try:
            self.board = Board(memory)
            descriptors = (theirs.fileno(), memory, alive)
            start = f"begin({module!r}, {', '.join(map(str, descriptors))})"
            code = f"from {answering.__name__} import begin; {start}"
            # the first is where the program started: it may be the current folder, and is then
            # replaced by one that has no modules
            first, *others = [place or os.devnull for place in sys.path]
            path = f"import sys; sys.path[:] = {json.dumps([first, *others])}"
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", f"{path}; {code}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=descriptors,
                process_group=0,  # to be killed whole, and not with its owner's terminal
            )
        except BaseException:
            ours.close()
            os.close(self._alive)
            raise
        finally:
            theirs.close()
            os.close(memory)
            os.close(alive)
        self.channel = Channel(ours)
        # an owner that is forgotten takes it along
        self._finish = weakref.finalize(self, _end, self.process, ours, self._alive, self.owner)

    def kill(self) -> None:
        """End it at once, with whatever it started."""
        _kill(self.process)

    def ended(self) -> int:
        """Wait for its end; its exit code, or the number of the signal that ended it, negative."""
        try:
            return self.process.wait(GRACE)
        except subprocess.TimeoutExpired:  # it closed the socket and goes on
            self.kill()
            return self.process.wait()

    def stop(self) -> None:
        """End it and clear away what it left."""
        self._finish()
        # errors that were raised meanwhile may keep this object for a while
        self.board.close()


def _end(process: subprocess.Popen[bytes], end: socket.socket, alive: int, owner: int) -> None:
    end.close()
    os.close(alive)
    if owner != os.getpid():
        return  # it is another process's child
    _kill(process)
    process.wait()
    clean_up_after(process.pid)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
