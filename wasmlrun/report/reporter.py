"""The one way in which every command tells what came of it: begin, result, failure, end.

What a command finds out becomes an answer (`views`), and the answer goes to each form that was
asked for (`registry`). A failure goes to stderr too. When the work is done in a child process,
the child tells results and failures; the parent tells only what killed it, after it is reaped,
and ends the report.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Generic, TextIO, TypeVar

from wasmlrun.report.answer import Answer, Asked, Renderer
from wasmlrun.report.registry import for_files, for_stream
from wasmlrun.support.errors import EXIT_OK, CannotWrite, WasmlrunError, of_the_system
from wasmlrun.support.failure import Failure, failure_of
from wasmlrun.support.messages import Messages
from wasmlrun.support.records import NOTHING

R_contra = TypeVar("R_contra", contravariant=True)


class Reporter(Generic[R_contra]):
    """Tells the results and failures of one command."""

    def __init__(
        self, view: Callable[[R_contra], Answer], renderers: Sequence[Renderer], messages: Messages
    ) -> None:
        """`view` says how a result of this command is shown."""
        self._view = view
        self._renderers = renderers
        self._messages = messages

    def run(self, action: Callable[[], int | None]) -> int:
        """Begin, act, end; returns the exit code. An action that returns None went well."""

        def begun() -> int | None:
            for renderer in self._renderers:
                renderer.begin()
            return action()

        return self.end(self.attempt(begun))

    def attempt(self, action: Callable[[], int | None], subject: str | None = None) -> int:
        """Act; what is raised is told as the failure of `subject`. Returns the exit code."""
        try:
            return action() or EXIT_OK
        except WasmlrunError as error:
            return self.fail(error, subject)
        except BrokenPipeError:
            raise
        except OSError as e:
            return self.fail(of_the_system(e), subject)

    def prepare(self) -> None:
        """Get ready what a result will need; to be called while there is time."""
        for renderer in self._renderers:
            renderer.prepare()

    def result(self, result: R_contra) -> None:
        """Tell a result in every form that was asked for."""
        answer = self._view(result)
        for renderer in self._renderers:
            renderer.result(answer)

    def failure(self, failure: Failure) -> None:
        """Tell a failure, on stderr too."""
        for renderer in self._renderers:
            with suppress(CannotWrite):  # stderr is told in any case
                renderer.failure(failure)
        self._messages.failure(failure)

    def fail(self, error: WasmlrunError, subject: str | None = None) -> int:
        """Tell an error as the failure of `subject`; returns its exit code."""
        failure = failure_of(error, subject)
        self.failure(failure)
        return failure.exit_code

    def end(self, exit_code: int) -> int:
        """Finish what is written; returns the exit code, which is another if that fails."""
        for renderer in self._renderers:
            try:
                renderer.end(exit_code)
            except WasmlrunError as error:
                self._messages.error(error)
                exit_code = exit_code or error.exit_code
        return exit_code


def open_report(
    view: Callable[[R_contra], Answer],
    asked: Asked,
    messages: Messages,
    *,
    as_json: bool = False,
    files: Mapping[str, Path | None] = NOTHING,
    stream: TextIO | None = None,
) -> Reporter[R_contra]:
    """The report of a command on stdout, and in the files that were named."""
    out = stream if stream is not None else sys.stdout
    renderers = [for_stream(as_json, out, asked), *for_files(files, asked)]
    return Reporter(view, renderers, messages)


def as_it_is(answer: Answer) -> Answer:
    """The view of commands that make their answers themselves."""
    return answer


def silent(messages: Messages) -> Reporter[Answer]:
    """The report of a command that writes no answers: failures go to stderr."""
    return Reporter(as_it_is, (), messages)
