"""What a renderer is given: answers that hold what each form shows, and failures.

`wasmlrun.report.views` makes answers of what commands find out; `wasmlrun.report.renderers`
write them. Neither knows the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wasmlrun.support.failure import Failure
from wasmlrun.support.records import Record

if TYPE_CHECKING:
    from PIL.Image import Image


class Columns(Record):
    """Columns as wide as they must be, the first one in bold."""

    rows: Sequence[Sequence[str]]
    groups: Sequence[str] = ()
    """For each row the heading of the rows it stands among; none where there are no groups."""
    footer: str = ""
    """A block of text that follows."""
    least: Sequence[int] = ()
    """How wide the first columns are at least, for answers that come one by one."""


class Ranking(Record):
    """Names with scores, the best first."""

    title: str
    rows: Sequence[tuple[str, float]]
    picture: Image | None = None
    """What they are about, if it is to be seen."""


class Verdict(Record):
    """Something that was put to the test."""

    subject: str
    seconds: float = 0.0
    fault: str | None = None
    """Why it did not pass."""


class Answer(Record):
    """One answer, as each form shows it."""

    records: Sequence[Mapping[str, Any]]
    """JSON objects; their keys are a contract."""
    lines: Sequence[Sequence[str]]
    """Lines of fields, for other programs."""
    picture: Columns | Ranking | None = None
    """What a person at a terminal sees; None is the lines."""
    verdicts: Sequence[Verdict] = ()
    """What it says of things that were put to the test."""
    file: Callable[[], bytes] | None = None
    """Makes the file that the answer is: a picture, sound, numbers."""


class Asked(Record):
    """The command that is reported on."""

    command: str
    """Its name, as in `classify`."""
    subject_key: str = "name"
    """What JSON calls that which a failure is about."""
    subjects: Sequence[str] = ()
    """What the command was asked for, where that is known before: one outcome is due for each."""
    file_option: str = "-o"
    """The option that names the file that an answer is."""


class Renderer:
    """Writes answers in one form; does nothing where a form has nothing to say.

    The calls come from one process at a time: the one that does the work, or, when that one
    has died and was reaped, the one that watched it.
    """

    def begin(self) -> None:
        """The command starts. Raises UsageFault when there is no place to write to."""

    def prepare(self) -> None:
        """Get ready what a result will need, in the process that does the work."""

    def result(self, answer: Answer) -> None:
        """An answer has come."""

    def failure(self, failure: Failure) -> None:
        """Something failed. stderr is told by somebody else."""

    def end(self, exit_code: int) -> None:
        """The command is over, in the process that began. Raises UsageFault."""
