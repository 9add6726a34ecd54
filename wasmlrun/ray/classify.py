"""`wasmlrun.ray.Classify`: what an actor of Ray Data's does with a batch of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wasmlrun.api.settings import checked
from wasmlrun.batch.item import Item, shown
from wasmlrun.batch.rows import Row
from wasmlrun.ray.posted import Posted
from wasmlrun.report.renderers.json_lines import line_of

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
    "trusted_keys": (),
    "trusted_worker": False,
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
    the best prediction (none for a picture that failed) and `row`: all of the outcome, as the
    JSON object that `wasmlrun batch` writes.
    """

    def __init__(self, *, processes: int = 1, timings: bool = True, **options: Any) -> None:
        """`options` are those of `wasmlrun.Worker` by the same names. `processes` is how many
        pictures are classified at the same time, a core each: give the actor as many.

        Raises:
            WasmlrunError: what is wrong with worker, model or labels on this machine. TypeError:
                there is no such option.
        """
        unknown = options.keys() - _OPTIONS.keys()
        if unknown:
            raise TypeError(f"Classify has no option {', '.join(sorted(unknown))}")
        fixed = {"isolation": "process", "expect": None, "min_score": None}
        chosen = {**_OPTIONS, **options, **fixed, "calls_per_process": None}
        settings = checked(**chosen, parallel=processes)
        self._posted = Posted(settings, processes=processes, identity=None, timings=timings)

    def __call__(self, batch: Any) -> Any:
        """A `pyarrow.Table` for a `pyarrow.Table`. Raises Hopeless: no picture is classified."""
        empty = [None] * batch.num_rows
        data, paths = (
            batch.column(name).to_pylist() if name in batch.column_names else empty
            for name in ("bytes", "path")
        )
        items = list(map(_item, data, paths, range(batch.num_rows)))
        kept = [name for name in batch.column_names if name != "bytes"]
        return _with(batch.select(kept), self._posted.rows(items))


def _item(data: bytes | None, path: str | None, number: int) -> Item:
    name = shown(path or f"picture {number}")
    if data is None and path is not None:
        return Item(name, "", Path(path))
    return Item(name, "", data=data or b"")


def _with(table: Any, rows: list[Row]) -> Any:
    import pyarrow as pa

    best = [(row.get("predictions") or [{}])[0] for row in rows]
    for name, kind in (("label", pa.string()), ("score", pa.float64()), ("index", pa.int32())):
        table = table.append_column(name, pa.array([b.get(name) for b in best], kind))
    return table.append_column("row", pa.array(list(map(line_of, rows)), pa.string()))
