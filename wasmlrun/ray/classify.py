"""`wasmlrun.ray.Classify`: what an actor of Ray Data's does with a batch of pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from wasmlrun.api.settings import ApiSettings, checked
from wasmlrun.batch.crew import Crew
from wasmlrun.batch.item import Item, shown
from wasmlrun.batch.rows import Row
from wasmlrun.report.renderers.json_lines import line_of
from wasmlrun.support.errors import BadModel

ROW = "row"
"""The column of an outcome as `wasmlrun batch` writes it: a JSON object."""
_OPTIONS: dict[str, Any] = {
    "worker": None,
    "manifest": None,
    "model": None,
    "labels": None,
    "limits": None,
    "top": 5,
    "dirs": (),
    "writable": (),
    "arguments": (),
    "input_layout": None,
    "max_pixels": None,
    "allow_outside": False,
    "backend": None,
    "device": None,
    "strict_device": False,
    "precision": "f32",
    "cache": True,
    "require_isolation": False,
}


class Classify:
    """A callable class for `map_batches` with batches of pyarrow's: worker and model are loaded
    once an actor, in a child process behind the same walls as everywhere.

    A batch has pictures as files in the column `bytes`, or their paths in `path`; where both are
    there, `path` is a name. The answer has its other columns and `label`, `score` and `index` of
    the best prediction (none for a picture that failed) and `row`, the whole outcome as JSON.
    """

    def __init__(
        self,
        *,
        settings: ApiSettings | None = None,
        identity: Mapping[str, str | None] | None = None,
        timings: bool = True,
        processes: int = 1,
        **options: Any,
    ) -> None:
        """`options` are those of `wasmlrun.Worker` by the same names; or `settings`, as that
        class makes them. With `identity`, sha256 of worker, model and labels must be these:
        an actor on a machine that has others under the same names ends.

        Raises:
            WasmlrunError: what is wrong with worker, model or labels. TypeError: an option that
                there is not.
        """
        unknown = options.keys() - _OPTIONS.keys()
        if unknown:
            raise TypeError(f"Classify has no option {', '.join(sorted(unknown))}")
        if settings is None:
            fixed = {"isolation": "process", "expect": None, "min_score": None}
            chosen = {**_OPTIONS, **options, **fixed, "calls_per_process": None}
            settings = checked(**chosen, parallel=processes)
        # a core an actor, whatever this machine has
        self._crew = Crew({**settings, "threads": 1}, processes, timings=timings)
        self._threads = ThreadPoolExecutor(2 * processes)
        found = self._crew.identity()
        if identity is not None and {**found} != {**identity}:
            other = sorted(k for k in {*found, *identity} if found.get(k) != identity.get(k))
            raise BadModel(
                f"this machine has another worker or model: {', '.join(other)} differ",
                "put the same files on every machine, or on storage that all share",
            )

    def __call__(self, batch: Any) -> Any:
        """A `pyarrow.Table` for a `pyarrow.Table`. Raises Hopeless: no picture is classified."""
        columns = {name: batch.column(name).to_pylist() for name in _GIVEN & {*batch.column_names}}
        rows = list(self._threads.map(partial(self._row, columns), range(batch.num_rows)))
        kept = [name for name in batch.column_names if name not in _TAKEN]
        return _with(batch.select(kept), rows)

    def _row(self, columns: Mapping[str, list[Any]], number: int) -> Row:
        known = columns["known"][number] if "known" in columns else None
        if known is not None:
            row: Row = json.loads(known)
            return row
        return self._crew.row(_item(columns, number))

    def __del__(self) -> None:
        crew = getattr(self, "_crew", None)
        if crew is not None:
            crew.close()


_GIVEN = {"bytes", "path", "image", "source", "within", "known"}
_TAKEN = {"bytes", "within", "known"}
"""Columns that the answer has not any more."""


def _item(columns: Mapping[str, list[Any]], number: int) -> Item:
    def of(name: str) -> Any:
        return columns[name][number] if name in columns else None

    data, path = of("bytes"), of("path")
    name = of("image") or shown(path or f"picture {number}")
    where = Path(path) if data is None and path is not None else None
    within = Path(of("within")) if where is not None and of("within") is not None else None
    return Item(name, of("source") or "", where, within, data if where is None else None)


def _with(table: Any, rows: list[Row]) -> Any:
    import pyarrow as pa

    best = [(row.get("predictions") or [{}])[0] for row in rows]
    for name, kind in (("label", pa.string()), ("score", pa.float64()), ("index", pa.int32())):
        table = table.append_column(name, pa.array([b.get(name) for b in best], kind))
    return table.append_column(ROW, pa.array(list(map(line_of, rows)), pa.string()))
