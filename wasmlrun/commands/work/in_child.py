"""How a command does its work in a child process and tells what became of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wasmlrun.supervisor.blame import supervised
from wasmlrun.support.errors import EXIT_OK, EXIT_TERMINATED

if TYPE_CHECKING:
    from wasmlrun.report.on_demand import ReportOnDemand
    from wasmlrun.report.reporter import Reporter
    from wasmlrun.supervisor.channel import Message
    from wasmlrun.supervisor.parent import Death
    from wasmlrun.supervisor.stages import Board
    from wasmlrun.support.errors import WasmlrunError
    from wasmlrun.support.limits import Limits
    from wasmlrun.support.messages import Messages
    from wasmlrun.trace.recorder import Trace
    from wasmlrun.walls.child import Fence


def in_child(
    work: Callable[[Board], int | None],
    report: Reporter[Any] | ReportOnDemand[Any],
    messages: Messages,
    subject: str | None = None,
    trace: Trace | None = None,
    *,
    limits: Limits | None = None,
    fence: Fence,
) -> int:
    """Work that native code may crash, and whatever it ends with told as of `subject`.

    The child tells what it finds; this process speaks only when the child is dead. `fence` are
    the walls around it.
    """

    def told(error: WasmlrunError, _: Death, __: Board) -> int:
        return report.fail(error, subject)

    def attempted(board: Board) -> int:
        return report.attempt(lambda: work(board), subject)

    return supervised(attempted, told, messages, trace, limits=limits, fence=fence)


def asked_of_child(
    work: Callable[[Board], Message],
    report: Reporter[Any],
    messages: Messages,
    subject: str | None = None,
    *,
    most: int,
    limits: Limits | None = None,
    fence: Fence,
) -> Message | int:
    """What work in a child comes to, for this process to go on with: a message of at most so many
    bytes, of which nothing is believed; or the exit code, when it failed and that was told.

    Raises WorkerFailed for what is no message, OSError when there is no place for it.
    """
    from wasmlrun.supervisor.parcel import Parcel

    with Parcel() as parcel:

        def handed_over(board: Board) -> None:
            parcel.put(work(board))

        code = in_child(handed_over, report, messages, subject, limits=limits, fence=fence)
        return parcel.take(most) if code == EXIT_OK else code


def terminable(work: Callable[[], int | None]) -> int | None:
    """Work in this very process between children: SIGTERM ends it, as it ends them, and what it
    began is cleared away.
    """
    from wasmlrun.support.termination import Terminated, raised

    try:
        with raised():
            return work()
    except Terminated:
        return EXIT_TERMINATED
