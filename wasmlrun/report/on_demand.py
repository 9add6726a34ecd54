"""A report that is opened when there is something to tell.

A command's parent process tells nothing as a rule, and its child not before the end: neither has
to import what tells before the work has begun.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from wasmlrun.support.errors import EXIT_OK, WasmlrunError

if TYPE_CHECKING:
    from wasmlrun.report.reporter import Reporter

R_contra = TypeVar("R_contra", contravariant=True)


class ReportOnDemand(Generic[R_contra]):
    """Calling it gives the report; it does what a `Reporter` does, by one that is opened then.

    One that writes files has to begin and to end in the process that watches: with `at_once` it
    is opened by `run`, before the action.
    """

    def __init__(
        self, open_report: Callable[[], Reporter[R_contra]], *, at_once: bool = False
    ) -> None:
        self._open = open_report
        self._at_once = at_once
        self._opened: Reporter[R_contra] | None = None

    def __call__(self) -> Reporter[R_contra]:
        """The report, the same each time in one process."""
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def run(self, action: Callable[[], int | None]) -> int:
        """What `Reporter.run` does, with the report only if it comes to that."""
        if self._at_once:
            return self().run(action)
        code = self.attempt(action)
        return code if self._opened is None else self._opened.end(code)

    def attempt(self, action: Callable[[], int | None], subject: str | None = None) -> int:
        """What `Reporter.attempt` does, with the report only for what is raised."""
        try:
            return action() or EXIT_OK
        except BrokenPipeError:
            raise
        except (WasmlrunError, OSError) as error:
            return self().attempt(_raising(error), subject)

    def fail(self, error: WasmlrunError, subject: str | None = None) -> int:
        """What `Reporter.fail` does, with the report."""
        return self().fail(error, subject)


def _raising(error: Exception) -> Callable[[], int | None]:
    def again() -> int | None:
        raise error

    return again
