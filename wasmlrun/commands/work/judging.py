"""What `report` and `batch` make of a whole result: figures, a page, JUnit XML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wasmlrun.commands.line.options import FOLDER
from wasmlrun.support.limits import Limits
from wasmlrun.support.records import Record

if TYPE_CHECKING:
    from wasmlrun.report.reporter import Reporter
    from wasmlrun.report.rows_junit import RowsJUnit
    from wasmlrun.report.views.figures import Reported
    from wasmlrun.supervisor.parent import Death
    from wasmlrun.supervisor.stages import Board
    from wasmlrun.support.errors import WasmlrunError
    from wasmlrun.support.messages import Messages
    from wasmlrun.walls.child import Fence

_MOST_CRASHES = 100
"""A page has fewer pictures."""


class Wish(Record):
    """What is wanted of a result."""

    result: Path
    truth: str | None = None
    expect_accuracy: float | None = None
    page: Path | None = None
    pictures: Path | None = None
    """The folder of those that the page shows."""
    junit: Path | None = None
    as_json: bool = False
    limits: Limits = Limits()
    require_isolation: bool = False


class Judging:
    """The figures of one result, worked out in a child and told."""

    def __init__(self, wish: Wish, command: str, messages: Messages) -> None:
        """Look whether all of it can be done; the result may come later. Raises UsageFault."""
        self._wish = wish
        self._command = command
        self._messages = messages
        self._crashed: set[str] = set()
        _check(wish)
        self._junit: RowsJUnit | None = None
        if wish.junit is not None:
            from wasmlrun.report.rows_junit import RowsJUnit

            self._junit = RowsJUnit(wish.junit, command)
        self._report = self._opened()

    def run(self) -> int:
        """Tell the figures; the exit code is 1 where they are not as expected."""
        return self._report.run(self._run)

    def _run(self) -> int:
        from wasmlrun.supervisor.blame import supervised
        from wasmlrun.support.errors import EXIT_EXPECTATION, EXIT_OK

        code = supervised(
            lambda board: self._report.attempt(lambda: self._work(board), str(self._wish.result)),
            self._tell_of_death,
            self._messages,
            again=self._without_the_picture,
            limits=self._wish.limits,
            fence=self._fence(),
        )
        if self._junit is not None and code in (EXIT_OK, EXIT_EXPECTATION):
            self._junit.keep()
        return code

    def _opened(self) -> Reporter[Reported]:
        from wasmlrun.report.answer import Asked
        from wasmlrun.report.registry import for_files
        from wasmlrun.report.renderers.artefact import STDOUT
        from wasmlrun.report.reporter import Reporter, open_report
        from wasmlrun.report.views.figures import answer

        page = self._wish.page
        asked, files = Asked(self._command, "result"), {"artefact": page}
        if page == STDOUT:
            return Reporter(answer, for_files(files, asked), self._messages)
        return open_report(answer, asked, self._messages, as_json=self._wish.as_json, files=files)

    def _fence(self) -> Fence:
        from wasmlrun.pipeline.fences import fence_for

        wish = self._wish
        table = None if wish.truth == FOLDER else wish.truth
        return fence_for(
            files=[wish.result, wish.pictures, table], cached=False, required=wish.require_isolation
        )

    # --- in the child -------------------------------------------------------------------------

    def _work(self, board: Board) -> int:
        from wasmlrun.figures.summary import summarise
        from wasmlrun.figures.truth import read_truth
        from wasmlrun.report.views.figures import Reported
        from wasmlrun.support.errors import EXIT_EXPECTATION, EXIT_OK

        wish, page = self._wish, None
        summary = summarise(wish.result, read_truth(wish.truth) if wish.truth else None)
        least = wish.expect_accuracy
        unmet = summary.below(least) if least is not None else None
        if self._junit is not None:
            self._junit.write(summary, wish.result, least, unmet)
        if wish.page is not None:
            from wasmlrun.report.page.compose import compose
            from wasmlrun.report.page.thumbnails import Thumbnails

            # before anything is told: a picture may crash its decoder
            page = compose(summary, Thumbnails(wish.pictures, board, self._crashed))
        self._report.result(Reported(summary, page))
        if unmet is None:
            return EXIT_OK
        self._messages.info(unmet)
        return EXIT_EXPECTATION

    # --- in the parent ------------------------------------------------------------------------

    def _without_the_picture(self, death: Death, board: Board) -> bool:
        """Whether to do it again without a picture that crashed its decoder, each once."""
        from wasmlrun.supervisor.stages import Stage

        named = {d.what for d in death.doing if d.stage is Stage.IMAGE} - self._crashed
        self._crashed.update(named)
        return bool(named) and not death.timed_out and len(self._crashed) < _MOST_CRASHES

    def _tell_of_death(self, error: WasmlrunError, _: Death, __: Board) -> int:
        return self._report.fail(error, str(self._wish.result))


def _check(wish: Wish) -> None:
    """Raises UsageFault for what does not fit together, BadFile for a truth that is not there."""
    from wasmlrun.support.errors import BadFile, UsageFault
    from wasmlrun.support.paths import exists, is_dir

    least = wish.expect_accuracy
    if least is not None and not 0 <= least <= 1:
        hint = f"write --expect-accuracy {least / 100:g}" if 1 < least <= 100 else None
        raise UsageFault(f"--expect-accuracy {least:g}: an accuracy is from 0 to 1", hint)
    if least is not None and wish.truth is None:
        raise UsageFault(
            "--expect-accuracy needs to know what the pictures show",
            "say --truth folder or --truth FILE.csv",
        )
    if wish.truth not in (None, FOLDER) and not exists(Path(str(wish.truth))):
        raise BadFile(
            f"truth {wish.truth} does not exist",
            "name a CSV file, or write --truth folder for the folders' names",
        )
    if wish.pictures is not None and not is_dir(wish.pictures):
        raise UsageFault(f"--pictures {wish.pictures}: there is no such folder")
    if wish.pictures is not None and wish.page is None:
        raise UsageFault("--pictures is for a page", "say where to write it: -o report.html")
