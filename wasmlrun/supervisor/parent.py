"""A command's work in a child process, watched by a parent that does nothing else.

Guests can be interrupted, native code cannot: not an inference that takes too long, and least
of all a parser that crashed. So the work is forked off before anything heavy is imported, and
what remains is a small process that kills the child when its time is over, says in words what
killed it, cleans up behind it, and answers Ctrl-C at once.

Where there is no fork (Windows), the work runs in this process: a guest is still interrupted,
and a thread ends the process when native code outlasts its time.
"""

from __future__ import annotations

import math
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from wasmlrun.supervisor.outbox import Inbox
from wasmlrun.supervisor.stages import Board, Doing
from wasmlrun.support import tempfiles
from wasmlrun.support.errors import (
    EXIT_BROKEN_PIPE,
    EXIT_BUG,
    EXIT_INTERRUPTED,
    EXIT_SYSTEM,
    EXIT_TERMINATED,
    WasmlrunError,
    of_the_system,
)
from wasmlrun.support.messages import Messages
from wasmlrun.support.records import Record
from wasmlrun.walls.child import in_own_group

if TYPE_CHECKING:
    from wasmlrun.supervisor.stuck import Watch

GRACE = 0.3
"""Seconds past the deadline that a child has to end by itself and say why."""
_UNKNOWN_DEADLINE = 0.05
IDLE = 1.0
"""Seconds without a word from the child, after which it is looked at."""


class Death(Record):
    """How a child ended that did not end by itself."""

    signal: int
    timed_out: bool
    doing: list[Doing]
    exit_code: int | None = None
    """Of a process that native code ended."""
    stuck: bool = False
    """Whether it was ended because it could never have gone on."""

    @property
    def signal_name(self) -> str:
        """The signal's name, as in `SIGSEGV`."""
        try:
            return signal.Signals(self.signal).name
        except ValueError:
            return f"signal {self.signal}"


def supervise(
    work: Callable[[Board], int],
    on_death: Callable[[Death, Board], int | None],
    messages: Messages,
    timeout: float | None = None,
    begin: Callable[[], None] = lambda: None,
) -> int:
    """Do the work in a child and return its exit code.

    `on_death` tells the user about a child that was killed or crashed and returns the exit
    code, or None to have the work done again; the board still says how far it had come. The
    clock, `timeout` in seconds, runs from here on: whatever the child reads may be hostile. `begin`
    is called in the child before the work, and never in this process.
    """
    board, latest = Board(), math.inf
    if timeout is not None:
        latest = time.monotonic() + timeout
        board.timeout, board.deadline = timeout, latest
    if not hasattr(os, "fork"):
        messages.use_own_descriptor()
        return _unsupervised(work, board, on_death)
    while True:
        ended = _in_child(work, board, latest, messages, begin)
        if isinstance(ended, int):
            return ended
        code = on_death(ended, board)
        if code is not None:
            return code
        board.clear()


def _in_child(
    work: Callable[[Board], int],
    board: Board,
    latest: float,
    messages: Messages,
    begin: Callable[[], None],
) -> int | Death:
    with suppress(OSError):  # told when something is written
        sys.stdout.flush()
        sys.stderr.flush()
    parent, inbox = os.getpid(), Inbox()
    with _Signals() as signals, tempfiles.handed_down():
        child = os.fork()
        if child == 0:
            board.outbox = inbox.for_child()
            signals.leave_to_parent()
            in_own_group()
            _die_with_parent(parent)
            _exit_with(work, board, messages, begin)
        inbox.for_parent()
        ending = _ending_of(child)
        _clean_up_the_past()  # while the child is busy
        try:
            timed_out, asked, stuck = _wait(child, ending, inbox, board, latest, signals)
        finally:
            inbox.close()
            if ending is not None:
                os.close(ending)
            # it is over, or has closed what it had to keep open
            _kill(child)
            _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM:
        asked = asked or signal.SIGTERM  # both were asked to end, and the child heard it first
    exited = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
    # a guest's exit code may be any number: it is not by that that an end is known
    if asked is None and not timed_out and exited is not None and board.ended:
        return exited
    clean_up_after(child)
    if asked is not None:
        if asked == signal.SIGINT:
            messages.info("interrupted")
            return EXIT_INTERRUPTED
        return EXIT_TERMINATED
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    return Death(number, timed_out, board.running(), exited, stuck)


def _wait(
    child: int, ending: int | None, inbox: Inbox, board: Board, latest: float, signals: _Signals
) -> tuple[bool, signal.Signals | None, bool]:
    """Until the child ends, its answers written meanwhile; kill it when its time is over, a
    signal asks for the end, or it can never go on. `ending` can be read once it is dead.

    Its time is over when the board says so, which the child may have lowered, and at `latest`.
    """
    timed_out, asked, gone, stuck = False, None, False, False
    watch: Watch | None = None
    while not inbox.ended or inbox.writing is not None:
        patience = _UNKNOWN_DEADLINE
        if timed_out or asked is not None:
            patience = GRACE
        elif gone and inbox.writing is None:
            patience = 0.0  # what it handed over is in the pipe
        elif board.deadline or latest < math.inf:
            patience = max(0.0, _deadline(board, latest) + GRACE - time.monotonic())
            patience = min(patience, IDLE)
        reading = [signals.pipe] if inbox.ended else [inbox.letters, signals.pipe]
        if ending is not None and not gone:
            reading.append(ending)
        writing = [inbox.writing] if inbox.writing is not None else []
        ready, able, _ = select.select(reading, writing, [], patience)
        if (timed_out or asked is not None or gone) and not (ready or able or writing):
            break  # a process that left the child's group keeps the pipe open
        gone = gone or ending in ready
        if not (ready or able or gone or stuck):
            watch = watch or watch_of(child)
            stuck = watch.stuck()
            if stuck:
                _kill(child)
        if signals.pipe in ready:
            asked = signals.read() or asked
        if able:
            inbox.write()
            code = inbox.written()
            if code is not None:
                board.report(board.done + 1, code)
                inbox.tell(0)
        elif inbox.letters in ready and not inbox.receive():
            _kill(child)  # it sends what this program does not
        over = time.monotonic() >= _deadline(board, latest) + GRACE
        timed_out = timed_out or (asked is None and over)
        if timed_out or asked is not None:
            _kill(child)
            if inbox.writing is not None and asked is not None:
                break  # nobody reads the answer, and somebody wants the end
            if (
                inbox.writing is not None
                and time.monotonic() >= _deadline(board, latest) + 2 * GRACE
            ):
                break
    return timed_out, asked, stuck


def _deadline(board: Board, latest: float) -> float:
    """When all must be over: what the board says, if it is earlier than what this process has set.
    A child that was taken over may have written anything to the board, no number among it.
    """
    told = board.deadline
    return told if 0 < told < latest else latest


def watch_of(child: int, aside: int | None = None) -> Watch:
    """What finds out whether a child can never go on."""
    from wasmlrun.supervisor.stuck import Watch  # few commands take so long

    return Watch(child, aside)


def _ending_of(child: int) -> int | None:
    """A descriptor that can be read once the child is dead; None where the system has none."""
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(child)
    except OSError:
        return None


def _kill(child: int) -> None:
    """The child and whatever it started."""
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    _kill_group(child)


def _kill_group(child: int) -> None:
    """What a child may have left in its own process group. A group has its first one's number."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)


class _Signals:
    """SIGINT and SIGTERM as bytes in a pipe, for as long as the block runs."""

    _WANTED = (signal.SIGINT, signal.SIGTERM)

    def __enter__(self) -> _Signals:
        self.pipe, self._sink = os.pipe()
        os.set_blocking(self._sink, False)
        self._before = [signal.signal(s, lambda *_: None) for s in self._WANTED]
        self._wakeup = signal.set_wakeup_fd(self._sink, warn_on_full_buffer=False)
        self._heard = False
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in zip(self._WANTED, self._before, strict=True):
            signal.signal(number, handler)
        late = None
        if not self._heard and select.select([self.pipe], [], [], 0)[0]:
            late = self.read()
        os.close(self.pipe)
        os.close(self._sink)
        if late is not None:  # the child was done by then, and there may be more to come after it
            signal.raise_signal(late)

    def read(self) -> signal.Signals | None:
        """The first signal that came."""
        for number in os.read(self.pipe, 64):
            if number in self._WANTED:
                self._heard = True
                return signal.Signals(number)
        return None

    def leave_to_parent(self) -> None:
        """In the child: the terminal's Ctrl-C reaches both, and the parent acts on it."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _exit_with(
    work: Callable[[Board], int], board: Board, messages: Messages, begin: Callable[[], None]
) -> None:
    """Do the work and end the process, without unloading the engines."""
    code = EXIT_BUG
    messages.use_own_descriptor()
    try:
        begin()
        code = work(board)
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError:  # whoever wrote has told it
            code = code or EXIT_SYSTEM
    except BrokenPipeError:
        code = EXIT_BROKEN_PIPE
    except WasmlrunError as error:
        messages.error(error)
        code = error.exit_code
    except OSError as e:
        told = of_the_system(e)
        messages.error(told)
        code = told.exit_code
    except BaseException as error:  # noqa: BLE001 - told in full; a child never returns
        messages.bug(error)
    finally:
        with suppress(OSError):  # nobody could be told
            messages.stream.flush()
            sys.stderr.flush()
        board.ended = True
        os._exit(code)


def _die_with_parent(parent: int) -> None:
    """A parent that is killed takes its child along."""
    if sys.platform == "linux":
        import ctypes

        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(EXIT_TERMINATED)
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(EXIT_TERMINATED)

    threading.Thread(target=watch, daemon=True).start()


def _clean_up_the_past() -> None:
    """Remove what earlier processes left that were killed before they could."""
    from wasmlrun.support.cache import Cache
    from wasmlrun.support.userdata import cache_dir

    tempfiles.sweep()
    Cache(cache_dir()).sweep()


def clean_up_after(child: int) -> None:
    """Remove temporary files that a process left which ended without doing so."""
    from wasmlrun.support.cache import Cache
    from wasmlrun.support.userdata import cache_dir

    tempfiles.remove_leftovers(child)
    Cache(cache_dir()).remove_leftovers(child)


def _unsupervised(
    work: Callable[[Board], int], board: Board, on_death: Callable[[Death, Board], int | None]
) -> int:
    def watch() -> None:
        while not board.deadline:
            time.sleep(_UNKNOWN_DEADLINE)
        time.sleep(max(0.0, board.deadline + GRACE - time.monotonic()))
        code = on_death(Death(0, True, board.running()), board)
        sys.stdout.flush()
        os._exit(1 if code is None else code)

    threading.Thread(target=watch, daemon=True).start()
    return work(board)
