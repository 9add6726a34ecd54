"""What a child that serves many calls does: it answers, one at a time, until its owner is gone.

`wasmlrun.supervisor.child` starts it and asks.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from wasmlrun.supervisor.blame import with_place_for_files
from wasmlrun.supervisor.channel import EMPTY, Channel, Closed, Message
from wasmlrun.supervisor.parent import clean_up_after
from wasmlrun.supervisor.stages import Board
from wasmlrun.support import tempfiles
from wasmlrun.support.errors import EXIT_BUG, EXIT_TERMINATED, WasmlrunError
from wasmlrun.support.failure import failure_of
from wasmlrun.support.process import bound_memory
from wasmlrun.walls.child import stand
from wasmlrun.walls.plain import fence_from

Say = Callable[[str], None]
"""Tells the owner something while a call runs."""
Handler = Callable[[Message], Message]
"""Answers a call. What it raises is raised again where the call was made."""

ERROR, BUG, SAID = "error", "bug", "said"
"""What an answer's head has besides the answer, or in its place."""


def begin(module: str, end: int, memory: int, alive: int) -> None:
    """What the child does: answer until its owner is gone. Never returns."""
    # a terminal's Ctrl-C reaches both, and the owner acts on it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # a terminal may be set to stop groups in the background that write to it
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    board = Board(memory)
    channel = Channel(socket.socket(fileno=end))
    said: list[str] = []
    try:
        bounds, opening = channel.receive(sys.maxsize).head, channel.receive(sys.maxsize)
        answer: Handler | None = None

        def opened(message: Message) -> Message:
            nonlocal answer
            _bound(bounds)
            # walls are those of one thread and of what it starts: not before they stand
            threading.Thread(target=_end_with_owner, args=(alive,), daemon=True).start()
            answer = importlib.import_module(module).begin(message, board, said.append)
            return EMPTY

        _answer(channel, opened, opening, said)
        while answer is not None:
            _answer(channel, answer, channel.receive(sys.maxsize), said)
    except Closed:
        pass
    # without unloading the engines
    os._exit(EXIT_TERMINATED)


def _bound(bounds: Mapping[str, Any]) -> None:
    """Raises UsageFault when a wall that is required cannot stand."""
    if bounds["memory"] is not None:
        bound_memory(bounds["memory"])
    if bounds["fence"] is not None:
        tempfiles.settle()
        stand(with_place_for_files(fence_from(bounds["fence"])))


_MOST_SAID = 1 << 16


def _answer(channel: Channel, handler: Handler, message: Message, said: list[str]) -> None:
    head: dict[str, object] = {}
    parts: tuple[bytes | bytearray | memoryview, ...] = ()
    try:
        answer = handler(message)
        head, parts = dict(answer.head), answer.parts
    except WasmlrunError as error:
        head = {ERROR: failure_of(error).plain()}
    except MemoryError:
        os._exit(EXIT_BUG)  # nothing in here can be relied on
    except Exception as error:  # noqa: BLE001 - raised again where the call was made
        import traceback

        head = {BUG: "".join(traceback.format_exception(error))}
    if said:
        head[SAID] = "".join(said)[:_MOST_SAID]
        said.clear()
    channel.send(Message(head, parts))


def _end_with_owner(alive: int) -> None:
    """The pipe's other end is only the owner's."""
    with suppress(OSError):
        os.read(alive, 1)
    clean_up_after(os.getpid())
    os._exit(EXIT_TERMINATED)
