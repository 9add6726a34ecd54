"""What a forked child hands over when it is done: one message, through a file without a name.

The file is opened before the fork, so that the child needs no place of its own to write to. The
child may have been taken over by what it read: the message is looked at when the child is dead,
is measured first, and is never more than text, numbers and bytes.
"""

from __future__ import annotations

import os
import tempfile

from wasmlrun.supervisor.channel import Malformed, Message, failure_of, packed, unpacked


class Parcel:
    """Empty until the child puts a message into it; a context that closes it."""

    def __init__(self) -> None:
        """Raises OSError when there is no place for a file."""
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - __exit__ closes it

    def __enter__(self) -> Parcel:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def put(self, message: Message) -> None:
        """In the child: hand a message over. Raises OSError."""
        view = memoryview(packed(message))
        while view:
            view = view[self._file.write(view) :]

    def take(self, most: int) -> Message:
        """In the parent, once the child has ended: the message, of at most so many bytes.

        Raises:
            WorkerFailed: there is none, or what is there is none.
        """
        size = os.fstat(self._file.fileno()).st_size
        try:
            if size > most:
                raise Malformed(f"a message of {size} bytes, {most} may be")
            self._file.seek(0)
            return unpacked(self._file.read(size))
        except Malformed as e:
            raise failure_of(e) from None
