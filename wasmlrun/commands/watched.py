"""How a command does its work in a child process and tells what became of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wasmlrun.supervisor.blame import supervised
from wasmlrun.support.records import Record

if TYPE_CHECKING:
    from wasmlrun.report.on_demand import ReportOnDemand
    from wasmlrun.report.reporter import Reporter
    from wasmlrun.supervisor.parent import Death
    from wasmlrun.supervisor.stages import Board
    from wasmlrun.support.errors import WasmlrunError
    from wasmlrun.support.limits import Limits
    from wasmlrun.support.messages import Messages
    from wasmlrun.trace.recorder import Trace
    from wasmlrun.walls.child import Fence


class Unwalled(Record):
    """No walls, on purpose: the child may do what its user may."""

    reason: str
    """What the work has to do that walls forbid."""


def in_child(
    work: Callable[[Board], int | None],
    report: Reporter[Any] | ReportOnDemand[Any],
    messages: Messages,
    subject: str | None = None,
    trace: Trace | None = None,
    *,
    limits: Limits | None = None,
    fence: Fence | Unwalled,
) -> int:
    """Work that native code may crash, and whatever it ends with told as of `subject`.

    The child tells what it finds; this process speaks only when the child is dead. `fence` are
    the walls around it, or why there are none.
    """

    def told(error: WasmlrunError, _: Death, __: Board) -> int:
        return report.fail(error, subject)

    def attempted(board: Board) -> int:
        return report.attempt(lambda: work(board), subject)

    walls = None if isinstance(fence, Unwalled) else fence
    return supervised(attempted, told, messages, trace, limits=limits, fence=walls)
