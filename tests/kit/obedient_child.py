"""What a child does in the tests of the supervisor: what it is told, however bad."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable

from wasmlrun.supervisor.channel import Message
from wasmlrun.supervisor.stages import Board, Stage
from wasmlrun.support.errors import LimitExceeded


def begin(
    opening: Message, board: Board, say: Callable[[str], None]
) -> Callable[[Message], Message]:
    """The handler; the opening may be an order too."""
    count = 0

    def handle(message: Message) -> Message:
        nonlocal count
        count += 1
        what, given = message.head.get("do"), message.head.get("with")
        if what == "crash":
            with board.doing(Stage[str(given)], "x.onnx"):
                os.kill(os.getpid(), signal.SIGSEGV)
        elif what == "exit":
            os._exit(3)
        elif what == "sleep":
            time.sleep(float(str(given)))
        elif what == "hang":
            with board.doing(Stage.INFERENCE, "x.onnx"):
                lock = threading.Lock()
                lock.acquire()
                lock.acquire()
        elif what == "refuse":
            raise LimitExceeded("no more", "raise it", limit="memory")
        elif what == "stumble":
            raise KeyError("a bug")
        elif what == "read":
            with open(str(given), "rb") as file:
                return Message({"got": len(file.read())})
        elif what == "say":
            say(str(given))
        elif what == "babble":
            _socket().sendall(bytes(given))  # type: ignore[arg-type]
            time.sleep(60)
        return Message({"process": os.getpid(), "count": count, "got": given}, message.parts)

    handle(opening)
    return handle


def _socket() -> socket.socket:
    """The one that this process answers on."""
    for name in os.listdir("/proc/self/fd"):
        try:
            found = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue
        return found
    raise AssertionError("no socket")
