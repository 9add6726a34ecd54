"""The row of one picture, as `classify --json` has it, with its source's name; and its exit code.

{"schema": 1, "image": …, "source": …, "worker": …, "model": …, "predictions": […], …}
{"schema": 1, "image": …, "source": …, "error": {"code": …, "message": …, "hint": …}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wasmlrun.batch.item import Item
from wasmlrun.pipeline.result import ImageResult
from wasmlrun.report.renderers.json_lines import told
from wasmlrun.report.views.images import record
from wasmlrun.support.errors import EXIT_OK, WasmlrunError
from wasmlrun.support.failure import error_from, failure_of

if TYPE_CHECKING:
    from wasmlrun.api.result import Result

Row = Mapping[str, Any]
"""One picture's outcome; its keys are a contract under `schema`."""


def answered(item: Item, result: Result, *, timings: bool = True) -> Row:
    """The row of a picture that was classified."""
    row = record(
        ImageResult(
            item.name,
            result.worker,
            result.model,
            result.predictions,
            result.timings_ms,
            sure=result.sure,
        )
    )
    if not timings:
        del row["timings_ms"]
    return {"image": item.name, "source": item.source, **row}


def failed(item: Item, error: WasmlrunError) -> Row:
    """The row of a picture that was not."""
    failure = failure_of(error, item.name)
    return {"image": item.name, "source": item.source, "error": told(failure)}


def exit_code(row: Row) -> int:
    """The exit code that a row alone would be."""
    error = row.get("error")
    return EXIT_OK if error is None else exit_code_of(error["code"])


def exit_code_of(code: str | None) -> int:
    """The exit code of a kind of failure; of none, success."""
    plain = {"code": code, "message": "", "hint": None}
    return EXIT_OK if code is None else error_from(plain).exit_code
