"""What a killed or crashed child means: which input is to blame, and which error that is."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from wasmlrun.supervisor import parent
from wasmlrun.supervisor.parent import Death
from wasmlrun.supervisor.stages import Board, Stage
from wasmlrun.support import tempfiles
from wasmlrun.support.errors import (
    EXIT_INTERRUPTED,
    BadImage,
    BadModel,
    Killed,
    LimitExceeded,
    UsageFault,
    WasmlrunError,
    WorkerFailed,
    of_the_system,
)
from wasmlrun.support.limits import Limits, exceeded, timeout_error
from wasmlrun.support.messages import Messages
from wasmlrun.support.process import bound_memory
from wasmlrun.support.records import replace
from wasmlrun.walls.child import Fence, stand

if TYPE_CHECKING:
    from wasmlrun.trace.recorder import Trace


LOADER_FAILED = 127
"""How the system's loader ends a process that has no memory for a thread's or library's data."""


def supervised(
    work: Callable[[Board], int],
    told: Callable[[WasmlrunError, Death, Board], int | None],
    messages: Messages,
    trace: Trace | None = None,
    again: Callable[[Death, Board], bool] = lambda death, board: False,
    *,
    limits: Limits | None = None,
    fence: Fence | None = None,
) -> int:
    """Do a command's work in a child and return its exit code; the trace hears how it ended.

    A child that died is an error, which `told` tells the user; it returns the exit code, or
    None to have the rest of the work done. With `again` the same work is tried once more.

    Time and memory of the `limits`, and the walls of the `fence`, hold from the first byte on that
    the child reads. Without a fence the child may do what its user may.

    Raises UsageFault where the walls are required and there can be no child.
    """
    bounds = limits or Limits()
    if fence is not None and fence.required and not hasattr(os, "fork"):
        raise UsageFault(
            "--require-isolation: this system has no process of its own for the work",
            "run it on Linux, or in WSL",
        )

    def begin() -> None:
        bound_memory(bounds.process_memory)
        if fence is not None:
            stand(with_place_for_files(fence))

    def bounded(board: Board) -> int:
        try:
            return work(board)
        except WasmlrunError as error:
            return _fail(error, messages)
        except MemoryError:
            what = "the command takes more"
            return _fail(exceeded("process_memory", bounds.process_memory, what), messages)
        except BrokenPipeError:
            raise
        except OSError as e:
            return _fail(of_the_system(e), messages)

    def on_death(death: Death, board: Board) -> int | None:
        if again(death, board):
            return None
        messages.unterminated = board.unterminated
        # a child may have lowered it, and one that was taken over have written anything
        seconds = board.timeout if 0 < board.timeout < bounds.timeout else bounds.timeout
        error = error_of(death, seconds)
        if trace is not None:
            trace.instant("killed", error=error.message)
        return told(error, death, board)

    code = parent.supervise(bounded, on_death, messages, bounds.timeout, begin)
    if trace is not None and code == EXIT_INTERRUPTED:
        trace.instant("interrupted")
    return code


def _fail(error: WasmlrunError, messages: Messages) -> int:
    messages.error(error)
    return error.exit_code


def with_place_for_files(fence: Fence) -> Fence:
    """The fence with the folder for temporary files inside."""
    place = tempfiles.own_folder()
    if place is None or fence.reach is None:
        return fence
    if "tempfile" in sys.modules:
        tempfiles.adopt()
    return replace(fence, reach=replace(fence.reach, writing=(*fence.reach.writing, place)))


def error_of(death: Death, timeout: float) -> WasmlrunError:
    """The error to tell for a death; `timeout` is the time limit in seconds."""
    if death.timed_out:
        return timeout_error(Limits(timeout=timeout))
    if death.signal_name == "SIGKILL" and not death.stuck:
        return Killed(
            "the process was killed by the system, most likely for want of memory",
            "use a smaller model or image, or give the machine more memory",
        )
    if death.exit_code == LOADER_FAILED:
        return LimitExceeded(
            "the system had no memory left to start a part of the process",
            "raise --max-process-memory, or give the machine more memory",
        )
    doing = death.doing[0] if death.doing else None
    how = f"crashed ({death.signal_name})"
    if death.exit_code is not None:
        how = f"ended the process (exit code {death.exit_code})"
    if death.stuck:
        how = "hung (its threads waited for each other, as after a crash)"
    if doing is None and death.stuck:
        return WorkerFailed(f"the process {how}")
    if doing is None:
        return WorkerFailed(
            f"the process crashed ({death.signal_name})"
            if death.exit_code is None
            else f"the process was ended from inside (exit code {death.exit_code})"
        )
    if doing.stage is Stage.MODEL:
        return BadModel(
            f"the inference engine {how} while it read {doing.what}",
            "the model file is damaged, or made to attack; do not use it",
        )
    if doing.stage is Stage.INFERENCE:
        return BadModel(
            f"the inference engine {how} in {doing.what}",
            "the model is damaged, or made to attack; do not use it",
        )
    if doing.stage is Stage.IMAGE:
        return BadImage(
            f"the image decoder {how} at {doing.what}",
            "the image is damaged, or made to attack",
        )
    return WorkerFailed(f"the WebAssembly engine {how} in the worker, at {doing.what}")
