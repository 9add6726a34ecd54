"""Archives and tables are read in a child behind walls: their formats are parsed by code that
strangers' bytes may mislead, and in memory that they may fill.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from wasmlrun.batch.item import Item
from wasmlrun.batch.sources import archived, table
from wasmlrun.supervisor.answering import Handler, Say
from wasmlrun.supervisor.channel import EMPTY, Message
from wasmlrun.supervisor.child import Child
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.errors import BadFile, Killed, WasmlrunError
from wasmlrun.support.failure import error_from, failure_of
from wasmlrun.support.limits import GIB, MIB
from wasmlrun.walls.child import Fence
from wasmlrun.walls.reach import Reach

SECONDS = 120.0
"""That the child may take for a handful of pictures."""
_MEMORY = 2 * GIB
_HANDFUL = 8
_MOST = 8 * MIB
_TRIES = 5

Kind = Callable[[Path, str, int], Iterator[Item]]
KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(archived.SUFFIXES, archived.pictures),
    **dict.fromkeys((".csv", ".tsv"), table.from_csv),
    ".parquet": table.from_parquet,
}
"""What a file of this suffix is."""


def suffix_of(path: Path) -> str | None:
    """The suffix by which a file is one of these; None for any other."""
    name = path.name.lower()
    return next((suffix for suffix in KINDS if name.endswith(suffix)), None)


def pictures(path: Path, source: str, skip: int = 0) -> Iterator[Item]:
    """The pictures of a file; the first `skip` without their bytes.

    Raises:
        BadFile: it cannot be read, or its reading crashed. LimitExceeded: that took too long.
    """
    given = 0
    for left in reversed(range(_TRIES)):
        try:
            for item in _read(path, source, max(skip, given), given):
                given += 1
                yield item
        except Killed:
            if not left:
                raise
        else:
            return


def _read(path: Path, source: str, skip: int, behind: int) -> Iterator[Item]:
    opening = Message({"path": str(path), "source": source, "skip": skip, "behind": behind})
    child = Child(
        __name__,
        opening,
        timeout=SECONDS,
        most=archived.MAX_MEMBER_BYTES + 2 * _MOST,
        memory=_MEMORY,
        fence=Fence(Reach(reading=(path,))),
    )
    try:
        while True:
            answer = child.call(EMPTY)
            found = answer.head.get("items")
            parts = iter(answer.parts)
            if not isinstance(found, list):
                raise BadFile(f"{path}: its reading answered with nonsense")
            for told in found:
                yield _item(told, source, parts)
            if answer.head.get("end") is True:
                return
    except WasmlrunError as e:
        if isinstance(e, (Killed, BadFile)):
            raise
        raise BadFile(f"{path} cannot be read: {e.message}", e.hint) from e
    finally:
        child.close()


def _item(told: object, source: str, parts: Iterator[bytes | bytearray | memoryview]) -> Item:
    match told:
        case {"name": str(name), "path": str(path)}:
            return Item(name, source, Path(path))
        case {"name": str(name), "fault": dict() as fault}:
            return Item(name, source, fault=error_from(fault))
        case {"name": str(name)}:
            return Item(name, source, data=bytes(next(parts, b"")))
    raise BadFile(f"{source}: its reading answered with nonsense")


# --- in the child -------------------------------------------------------------------------------


def begin(opening: Message, board: Board, say: Say) -> Handler:
    """What the child does; see `wasmlrun.supervisor.child`. Raises WasmlrunError."""
    head = opening.head
    path = Path(head["path"])
    suffix = suffix_of(path)
    assert suffix is not None
    items = KINDS[suffix](path, head["source"], head["skip"])
    items = itertools.islice(items, head["behind"], None)

    def answer(_: Message) -> Message:
        told: list[dict[str, object]] = []
        parts: list[bytes] = []
        while len(told) < _HANDFUL and sum(map(len, parts)) < _MOST:
            item = next(items, None)
            if item is None:
                return Message({"items": told, "end": True}, tuple(parts))
            told.append(_told(item))
            if item.data is not None:
                parts.append(item.data)
        return Message({"items": told, "end": False}, tuple(parts))

    return answer


def _told(item: Item) -> dict[str, object]:
    if item.path is not None:
        return {"name": item.name, "path": str(item.path)}
    if item.fault is not None:
        return {"name": item.name, "fault": failure_of(item.fault).plain()}
    return {"name": item.name}
