"""Reading the file that a command names, or standard input, whole."""

from __future__ import annotations

import sys
from pathlib import Path

from wasmlrun.support import beneath
from wasmlrun.support.errors import BadFile
from wasmlrun.support.limits import MAX_IMAGE_BYTES

STDIN = "-"


def read_input(name: str, most: int = MAX_IMAGE_BYTES) -> bytes:
    """The bytes of a file, or of standard input for `-`.

    Raises:
        BadFile: there is no such file, or it is a folder, unreadable, or larger than `most`.
    """
    if name == STDIN:
        data = sys.stdin.buffer.read(most + 1)
        if len(data) > most:
            raise BadFile(f"standard input has more than {most} bytes")
        return data
    try:
        return beneath.read(Path(name), most, pipe=True)
    except FileNotFoundError:
        raise BadFile(f"input {name} does not exist", "check the path") from None
    except IsADirectoryError:
        raise BadFile(f"input {name} is a folder", "name a file in it") from None
    except OSError as e:
        raise BadFile(f"input {name} cannot be read: {e.strerror}") from e
    except ValueError as e:  # a NUL in the name
        raise BadFile(f"input {name!r} cannot be read: {e}") from e
