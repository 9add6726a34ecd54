"""A batch's items as blocks that travel to actors, and the rows that come back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from wasmlrun.api.settings import ApiSettings
from wasmlrun.batch import rows
from wasmlrun.batch.crew import Hopeless
from wasmlrun.batch.item import Item
from wasmlrun.batch.rows import Row
from wasmlrun.ray.posted import Identity, Posted
from wasmlrun.report.renderers.json_lines import line_of
from wasmlrun.support.errors import WasmlrunError
from wasmlrun.support.failure import error_from, failure_of
from wasmlrun.support.limits import MIB

BLOCK = 64
"""Items of a block: the least that is done again when a node dies."""
WINDOW = 4_096
"""Items an actor in one pass: its start is a small part of the work."""
MOST_BYTES = 512 * MIB
"""Of a pass in memory, names included."""
_TEXTS = ("image", "source", "path", "within", "known")


class Working:
    """What an actor does with a block. It tells a failure of its own as a value: as an exception
    it would come out of Ray as the text of a traceback.
    """

    def __init__(self, settings: ApiSettings, identity: Identity, timings: bool) -> None:
        """Never raises a WasmlrunError."""
        self._error: WasmlrunError | None = None
        try:
            self._posted = Posted(settings, processes=1, identity=identity, timings=timings)
        except WasmlrunError as e:
            self._error = e

    def __call__(self, block: Any) -> Any:
        """A table of `row` and `failure` for a table of items; both are JSON."""
        if self._error is None:
            try:
                return _answers(self._rows(block), None)
            except Hopeless as hopeless:
                self._error = hopeless.error
        return _answers([], json.dumps(failure_of(self._error).plain()))

    def _rows(self, block: Any) -> list[str]:
        records = block.to_pylist()
        asked = [_item(record) for record in records if record["known"] is None]
        found = iter(self._posted.rows(asked))
        return [record["known"] or line_of(next(found)) for record in records]


def windows(items: Iterator[Item], actors: int) -> Iterator[list[Any]]:
    """The blocks of each pass."""
    while True:
        blocks: list[Any] = []
        held = 0
        while len(blocks) * BLOCK < WINDOW * actors and held < MOST_BYTES:
            some = list(islice(items, BLOCK))
            if not some:
                break
            blocks.append(_block(some))
            held += blocks[-1].nbytes
        if not blocks:
            return
        yield blocks


def read(answers: Any) -> Iterator[Row]:
    """The rows in what an actor answered. Raises WasmlrunError: its own failure."""
    for row, failure in zip(
        answers.column("row").to_pylist(), answers.column("failure").to_pylist(), strict=True
    ):
        if failure is not None:
            raise error_from(json.loads(failure))
        yield json.loads(row)


def _answers(found: list[str], failure: str | None) -> Any:
    import pyarrow as pa

    lines: list[str | None] = [*found] if failure is None else [None]
    failures = [failure] * len(lines)
    return pa.table(
        {"row": pa.array(lines, pa.string()), "failure": pa.array(failures, pa.string())}
    )


def _block(items: list[Item]) -> Any:
    import pyarrow as pa

    schema = pa.schema([*((name, pa.string()) for name in _TEXTS), ("bytes", pa.large_binary())])
    return pa.Table.from_pylist(list(map(_record, items)), schema=schema)


def _record(item: Item) -> dict[str, object]:
    return {
        "image": item.name,
        "source": item.source,
        "path": None if item.path is None else _sent(item.path),
        "within": None if item.within is None else _sent(item.within),
        "known": None if item.fault is None else line_of(rows.failed(item, item.fault)),
        "bytes": item.data,
    }


def _sent(path: Path) -> str:
    # a name may be bytes that are no UTF-8, which a column of text cannot hold
    return json.dumps(str(path.absolute()))


def _item(record: dict[str, Any]) -> Item:
    path, within = (
        None if record[name] is None else Path(json.loads(record[name]))
        for name in ("path", "within")
    )
    return Item(record["image"], record["source"], path, within, record["bytes"])
