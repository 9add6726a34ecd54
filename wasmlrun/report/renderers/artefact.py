"""The file that an answer is, such as a picture; written whole, and only if all went well.

It is kept in a nameless file, which the process that does the work writes; the one that began
gives it its name.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO

from wasmlrun.report.answer import Answer, Asked, Renderer
from wasmlrun.report.stdout import put_bytes
from wasmlrun.report.whole_file import cannot_write, write_whole
from wasmlrun.support.errors import EXIT_EXPECTATION, EXIT_OK, CannotWrite, UsageFault

STDOUT = Path("-")


class Artefact(Renderer):
    """One answer's file; `-` is stdout."""

    def __init__(self, path: Path, asked: Asked) -> None:
        self._path = path
        self._shown = f"{asked.file_option} {path}"
        self._kept: IO[bytes] | None = None

    def begin(self) -> None:
        """See whether the file can be written. Raises UsageFault."""
        why = None if self._path == STDOUT else cannot_write(self._path)
        if why is not None:
            raise UsageFault(f"{self._shown}: {why}", "name a file to write to")
        # no name, so nothing is left of it; the process that works shares it
        self._kept = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - as long as the process

    def result(self, answer: Answer) -> None:
        """Keep the answer's file. Raises UsageFault where there is none."""
        if answer.file is None:
            raise UsageFault(
                f"{self._shown}: this kind of answer is no file", "leave out -o, or use --json"
            )
        assert self._kept is not None
        data = answer.file()
        self._kept.seek(0)
        self._kept.truncate()
        try:
            while data:
                data = data[self._kept.write(data) :]
        except OSError as e:
            raise CannotWrite(f"{self._shown}: {e.strerror}", "free some space") from e

    def end(self, exit_code: int) -> None:
        """Give the file its name, if all went well. Raises CannotWrite."""
        if self._kept is None:
            return
        self._kept.seek(0)
        data = self._kept.read()
        self._kept.close()
        if exit_code not in (EXIT_OK, EXIT_EXPECTATION) or not data:
            return
        if self._path == STDOUT:
            put_bytes(data)
            return
        try:
            write_whole(self._path, data)
        except OSError as e:
            raise CannotWrite(f"{self._shown}: {e.strerror}") from e


make = Artefact
