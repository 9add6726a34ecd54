"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from wasmlrun.support.errors import UsageFault


def cannot_write(path: Path) -> str | None:
    """Why a file cannot be written there, as far as can be told before; None if it can."""
    folder = path.parent
    if path.is_dir():
        return "is a folder"
    if not folder.is_dir():
        return f"the folder {folder} does not exist"
    if not os.access(path if path.exists() else folder, os.W_OK):
        return "may not be written"
    return None


def write_whole(path: Path, data: bytes) -> None:
    """A file that was there stays as it is until the new one is whole; a device gets the bytes.

    Raises OSError.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    new = path.with_name(f".{path.name[:100]}.{os.getpid()}")
    try:
        new.write_bytes(data)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


class WholeFile:
    """A file that an option names and a child behind walls makes: whole, or not there at all.

    What is written goes to a nameless file, which forked processes share; the process that stays
    outside gives it its name at the end.
    """

    def __init__(self, path: Path, option: str) -> None:
        """See whether the file can be written. Raises UsageFault, which names the option."""
        self._path = path
        self._option = option
        why = cannot_write(path)
        if why is not None:
            raise self._fault(why)
        # no name, so nothing is left of it
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - kept until the end

    def replace(self, data: bytes) -> None:
        """Let these bytes be all that is in it. Raises OSError."""
        self._file.seek(0)
        self._file.truncate()
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def keep(self) -> None:
        """Give it its name. Raises UsageFault."""
        self._file.seek(0)
        try:
            write_whole(self._path, self._file.read())
        except OSError as e:
            raise self._fault(e.strerror or str(e)) from e
        finally:
            self._file.close()

    def _fault(self, what: str) -> UsageFault:
        return UsageFault(f"{self._option} {self._path}: {what}", "name a file to write to")
