"""`batch --engine ray`: the items of a batch through Ray Data, their rows in the items' order.

Windows of items become blocks of a data set, which a pool of actors classifies
(`wasmlrun.ray.Classify`); the rows come back in order and this process writes them, so the journal,
--resume and the result are those of a batch on one machine. A node that dies costs its actors and
what they were at: Ray starts others and does that again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Generator, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from wasmlrun.api.settings import ApiSettings
from wasmlrun.batch import rows
from wasmlrun.batch.item import Item
from wasmlrun.batch.rows import Row
from wasmlrun.report.renderers.json_lines import line_of
from wasmlrun.support.errors import SystemRefused, UsageFault, WasmlrunError
from wasmlrun.support.limits import MIB
from wasmlrun.support.tasks import processors

BLOCK = 64
"""Items of a block: the least that is done again when a node dies."""
WINDOW = 50_000
"""Items of one pass; between two, the actors are made anew."""
_MOST_BYTES = 512 * MIB


def connect(address: str | None) -> None:
    """Join the cluster at `address`, or one of this machine alone.

    Raises:
        UsageFault: Ray is not installed. SystemRefused: there is no cluster.
    """
    try:
        import ray
        import ray.data
    except ImportError:
        raise UsageFault(
            "--engine ray needs Ray, which is not installed", "pip install 'wasmlrun[ray]'"
        ) from None
    if ray.is_initialized():
        return
    try:
        ray.init(
            address=address,
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except Exception as e:  # noqa: BLE001 - a start that fails has no kind of its own in Ray
        raise SystemRefused(
            f"there is no Ray cluster at {address or 'hand'}: {_last_line(e)}",
            "start one with `ray start --head`, or leave --address out",
        ) from None


def classified(
    items: Iterable[Item],
    settings: ApiSettings,
    identity: Mapping[str, str | None],
    *,
    actors: int | None = None,
    timings: bool = True,
) -> Generator[Row, None, None]:
    """The rows of the items, in their order.

    Raises:
        WasmlrunError: the cluster gave up; what an actor said of worker and model.
    """
    from ray.exceptions import RayError

    remaining = iter(items)
    count = actors or _cores()
    try:
        while window := _blocks(remaining):
            for text in _one_window(window, settings, identity, count, timings):
                yield json.loads(text)
    except RayError as e:
        cause = getattr(e, "cause", None)
        if isinstance(cause, WasmlrunError):
            raise cause from None
        raise SystemRefused(
            f"the Ray cluster gave up: {_last_line(e)}", "--resume goes on when it is well again"
        ) from e


def _one_window(
    blocks: list[Any],
    settings: ApiSettings,
    identity: Mapping[str, str | None],
    actors: int,
    timings: bool,
) -> Iterator[str]:
    import ray

    from wasmlrun.ray.classify import ROW, Classify

    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    data = ray.data.from_arrow(blocks).map_batches(
        Classify,
        fn_constructor_kwargs={
            "settings": settings,
            "identity": dict(identity),
            "timings": timings,
        },
        compute=ray.data.ActorPoolStrategy(size=max(1, min(actors, len(blocks)))),
        num_cpus=1,
        batch_size=None,
        batch_format="pyarrow",
    )
    rows_alone: Any = data.select_columns([ROW])
    for batch in rows_alone.iter_batches(batch_format="pyarrow", batch_size=None):
        yield from batch.column(ROW).to_pylist()


def _blocks(items: Iterator[Item]) -> list[Any]:
    """Tables of the next window, empty at the end."""
    import pyarrow as pa

    schema = pa.schema(
        [
            *((name, pa.string()) for name in ("image", "source", "path", "within", "known")),
            ("bytes", pa.binary()),
        ]
    )
    blocks: list[Any] = []
    held = 0
    while len(blocks) * BLOCK < WINDOW and held < _MOST_BYTES:
        some = list(islice(items, BLOCK))
        if not some:
            break
        held += sum(item.held for item in some)
        blocks.append(pa.Table.from_pylist(list(map(_record, some)), schema=schema))
    return blocks


def _record(item: Item) -> dict[str, object]:
    known = None if item.fault is None else line_of(rows.failed(item, item.fault))
    return {
        "image": item.name,
        "source": item.source,
        "path": None if item.path is None else str(item.path.absolute()),
        "within": None if item.within is None else str(item.within.absolute()),
        "known": known,
        "bytes": item.data,
    }


def _cores() -> int:
    """Of the whole cluster."""
    import ray

    resources: Any = ray.cluster_resources  # has no types
    return int(resources().get("CPU", processors()))


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
