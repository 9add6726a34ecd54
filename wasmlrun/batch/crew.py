"""The children that do a batch's work: as many as there are jobs, each behind its walls.

A child that dies costs the picture it was at, as an error row. One that somebody killed from
outside costs nothing: the picture is tried again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from wasmlrun.api import calls
from wasmlrun.api.pictures import picture_message
from wasmlrun.api.serving import child_for
from wasmlrun.api.settings import ApiSettings
from wasmlrun.batch import rows
from wasmlrun.batch.item import Item
from wasmlrun.batch.rows import Row
from wasmlrun.supervisor.channel import Message
from wasmlrun.supervisor.child import Child
from wasmlrun.support.errors import Killed, WasmlrunError
from wasmlrun.vision.values import ImageBytes

TRIES = 3
"""How often a picture is tried while children are killed from outside."""
_OPENINGS = 10
"""How often a child is started while it is killed before it is ready."""


class Hopeless(Exception):
    """No picture can be classified: the worker or the model does not open."""

    def __init__(self, error: WasmlrunError) -> None:
        super().__init__(error.message)
        self.error = error


class Crew:
    """Classifies pictures; as many threads as like may ask."""

    def __init__(
        self,
        settings: ApiSettings,
        jobs: int,
        hear: Callable[[str], None] = lambda text: None,
        *,
        timings: bool = True,
    ) -> None:
        self._all = [child_for(calls.WORKER, settings, hear) for _ in range(jobs)]
        self._idle: SimpleQueue[Child] = SimpleQueue()
        for child in self._all:
            self._idle.put(child)
        self._timings = timings
        self._closed = threading.Event()

    def identity(self) -> dict[str, str | None]:
        """What its answers follow from. Raises WasmlrunError: of what is wrong with worker,
        model or labels.
        """
        child = self._idle.get()
        try:
            return calls.identity_of(self._answer(child, calls.identity_message()))
        except Hopeless as hopeless:
            raise hopeless.error from None
        finally:
            self._idle.put(child)

    def row(self, item: Item) -> Row:
        """The row of a picture. Raises Hopeless; ValueError: it was closed."""
        try:
            # before there is a child for it: reading goes on beside the children's work
            picture = ImageBytes(item.name, item.encoded())
        except WasmlrunError as error:
            return rows.failed(item, error)
        child = self._idle.get()
        try:
            return self._asked(child, item, picture)
        finally:
            self._idle.put(child)

    def close(self) -> None:
        """End all children, and what they are at."""
        self._closed.set()
        for child in self._all:
            child.close()

    def _asked(self, child: Child, item: Item, picture: ImageBytes) -> Row:
        try:
            answer = self._answer(child, picture_message(picture))
            result = calls.result_of(answer, picture, keep=False)
        except WasmlrunError as error:
            return rows.failed(item, error)
        return rows.answered(item, result, timings=self._timings)

    def _answer(self, child: Child, message: Message) -> Message:
        """What a child answers. Raises Hopeless, and WasmlrunError of this one call."""
        for left in reversed(range(TRIES)):
            self._open(child)
            try:
                return child.call(message)
            except Killed:
                if not left:
                    raise
        raise AssertionError("the last try ends otherwise")

    def _open(self, child: Child) -> None:
        for left in reversed(range(_OPENINGS)):
            try:
                child.prepare()
            except Killed as error:
                if not left:
                    raise Hopeless(error) from error
            except WasmlrunError as error:
                raise Hopeless(error) from error
            else:
                return
