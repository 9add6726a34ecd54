"""`classify --via auto`: a server that runs already does the work of a command.

A Unix socket in the user's own folder, for the user's own processes. The client names what it
wants served as the command line says it; the server answers only when it serves just that, from
files that have not changed since, and says no otherwise.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wasmlrun.serve.identity import (
    HEADER,
    MAX_HEAD,
    MAX_PICTURE,
    MOST_TOP,
    identity,
    socket_path,
)
from wasmlrun.supervisor.channel import Message
from wasmlrun.support.errors import WasmlrunError
from wasmlrun.support.failure import failure_of
from wasmlrun.support.messages import Messages, printable

if TYPE_CHECKING:
    from wasmlrun.serve.pool import Pool


class Server:
    """The socket's end in the server."""

    def __init__(
        self,
        models: Sequence[Mapping[str, Any]],
        engine: Mapping[str, Any],
        pool: Pool,
        messages: Messages,
    ) -> None:
        self._identities = [identity(wishes, engine) for wishes in models]
        self._models = models
        self._engine = engine
        self._pool = pool
        self._messages = messages
        self._server: asyncio.AbstractServer | None = None
        self._path: Path | None = None

    async def start(self) -> None:
        """Listen, unless another server does, or there is no place for a socket."""
        path = socket_path()
        if path is None or not hasattr(asyncio, "start_unix_server"):
            return
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _answers(path):
                self._messages.detail(f"another server answers one-shots at {path}")
                return
            path.unlink(missing_ok=True)
            before = os.umask(0o177)
            try:
                self._server = await asyncio.start_unix_server(self._serve, path)
            finally:
                os.umask(before)
            self._path = path
        except OSError as e:
            self._messages.warn(f"one-shots cannot be answered at {path}: {e.strerror or e}")

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None and self._path is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, ValueError, KeyError, TypeError):
            end = writer.get_extra_info("socket")
            if _peer(end) == os.getuid():
                async with asyncio.timeout(10):
                    size, picture_size = HEADER.unpack(await reader.readexactly(HEADER.size))
                    if size > MAX_HEAD or picture_size > MAX_PICTURE:
                        raise ValueError(size)
                    head = json.loads(await reader.readexactly(size))
                    picture = await reader.readexactly(picture_size)
                writer.write(json.dumps(await self._answer(head, picture, reader)).encode())
                await writer.drain()
        writer.close()

    async def _answer(
        self, head: Mapping[str, Any], picture: bytes, reader: asyncio.StreamReader
    ) -> dict[str, Any]:
        """`result`, `error`, or `no` when it is not for this server."""
        from wasmlrun.serve.pool import Busy, Crashed, Gone

        wanted = head["identity"]
        number = self._identities.index(wanted) if wanted in self._identities else -1
        if number < 0 or identity(self._models[number], self._engine) != wanted:
            return {"no": "something else is served"}
        call = {"op": "classify", "model": number, "name": head["name"]}
        call["top"] = min(int(head["top"]), MOST_TOP)

        self._messages.info(f"one-shot: {printable(str(head['name']), keep='')}")

        async def gone() -> None:
            await reader.read()

        try:
            answer = await self._pool.call(Message(call, (picture,)), gone)
        except (Busy, Gone, Crashed) as e:  # the command does it itself, and says what is wrong
            return {"no": str(e)}
        except WasmlrunError as error:
            return {"error": failure_of(error).plain()}
        return {"result": dict(answer.head)}


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as end, suppress(OSError):
        end.settimeout(0.5)
        end.connect(str(path))
        return True
    return False


def _peer(end: Any) -> int:
    """Whose process is at the other end; where that cannot be known, the folder's mode says it."""
    if not hasattr(socket, "SO_PEERCRED"):
        return os.getuid()
    credentials = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    user: int = struct.unpack("3i", credentials)[1]
    return user
