"""What an unfinished batch has done so far, so that nothing is lost and nothing done twice.

Beside RESULT stands a folder, RESULT.parts, while the batch runs:

    rows.jsonl   the rows so far, in the order of the source, each written whole
    job.json     what the rows follow from; a batch of anything else does not go on with them
    lock         held by the batch that writes

RESULT itself appears at the end, complete, by a rename. A kill leaves at most an incomplete last
line in rows.jsonl, which is cut off.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from wasmlrun.batch.rows import Row
from wasmlrun.report.renderers.json_lines import line_of
from wasmlrun.support.errors import UsageFault
from wasmlrun.support.filelock import exclusive

SYNC_SECONDS = 5.0
"""Rows are on the disk, not only with the system, after so long."""
_PATIENCE = 0.5
"""Seconds that a row may wait for others to be written with."""
_MOST_BYTES = 1 << 18

Job = Mapping[str, Any]
"""What rows follow from: sources, worker, model, options. As JSON has it."""


class Journal:
    """The rows of a batch on their way to RESULT; one process writes it."""

    def __init__(self, result: Path) -> None:
        self.result = result
        self.folder = result.with_name(result.name + ".parts")
        self.rows = self.folder / "rows.jsonl"
        self._job = self.folder / "job.json"
        self._held = ExitStack()
        self._file: int | None = None
        self._waiting: list[bytes] = []
        self._size = 0
        self._written = self._synced = time.monotonic()

    def open(self, job: Job, *, resume: bool, overwrite: bool) -> bool:
        """Make ready to write; False when RESULT is complete already and was to be gone on with.

        Raises:
            UsageFault: there is something that would be lost, or that cannot be gone on with.
            OSError: the place cannot be written.
        """
        self._check_result(resume=resume, overwrite=overwrite)
        if not resume and not overwrite and self.folder.exists():
            raise UsageFault(
                f"{self.folder} holds the rows of a batch that did not finish",
                "--resume goes on with it, --overwrite begins anew",
            )
        if resume and self.result.exists() and not self._job.exists():
            return False
        self.folder.mkdir(exist_ok=True)
        self._lock()
        if resume and self._job.exists():
            if not self.rows.exists():  # it was renamed, and then came the kill
                self._remove()
                return False
            self._compare(job)
        else:
            self._begin(job)
        self._file = os.open(self.rows, os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0))
        return True

    def _check_result(self, *, resume: bool, overwrite: bool) -> None:
        if not self.result.parent.is_dir():
            raise UsageFault(f"the folder of {self.result} does not exist", "make it first")
        if not self.result.exists():
            return
        if not self.result.is_file():
            raise UsageFault(f"{self.result} is no file", "name a file for the rows")
        if not resume and not overwrite:
            raise UsageFault(
                f"{self.result} exists already", "--overwrite replaces it when all is done"
            )

    def _lock(self) -> None:
        def busy() -> None:
            raise UsageFault(
                f"another batch writes {self.result}", "wait for it, or name another file"
            )

        self._held.enter_context(exclusive(self.folder / "lock", busy))

    def _begin(self, job: Job) -> None:
        self._job.unlink(missing_ok=True)
        self.rows.write_bytes(b"")
        # last: from now on there is something to go on with
        whole = self.folder / "job.json.new"
        whole.write_text(json.dumps(job, indent=1), encoding="utf-8")
        whole.replace(self._job)

    def _compare(self, job: Job) -> None:
        try:
            begun = json.loads(self._job.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            begun = None
        if not isinstance(begun, dict):
            raise UsageFault(f"{self._job} is damaged", "--overwrite begins anew")
        now = json.loads(json.dumps(job))
        other = sorted(name for name in {*begun, *now} if begun.get(name) != now.get(name))
        if other:
            raise UsageFault(
                f"the batch that did not finish was another one: {', '.join(other)} differ",
                "give the same options and files as then, or begin anew with --overwrite",
            )

    def done(self) -> Generator[Row, None, None]:
        """The rows that are there. What follows the last whole one is cut off at the end."""
        end = 0
        with self.rows.open("rb") as lines:
            for line in lines:
                row = _row(line)
                if row is None:
                    break
                end += len(line)
                yield row
        assert self._file is not None
        os.ftruncate(self._file, end)

    def all(self) -> Iterator[Row]:
        """Every row, from the first on."""
        self.flush()
        with self.rows.open("rb") as lines:
            for line in lines:
                yield json.loads(line)

    def count(self) -> int:
        """How many rows there are, as far as their ends tell."""
        with self.rows.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))

    def add(self, row: Row) -> None:
        """Write a row; soon, not at once. Raises OSError."""
        line = line_of(row).encode() + b"\n"
        self._waiting.append(line)
        self._size += len(line)
        now = time.monotonic()
        if self._size >= _MOST_BYTES or now - self._written >= _PATIENCE:
            self.flush()
        if now - self._synced >= SYNC_SECONDS and self._file is not None:
            os.fsync(self._file)
            self._synced = now

    def flush(self) -> None:
        """Write what waits. Raises OSError."""
        assert self._file is not None
        data = memoryview(b"".join(self._waiting))
        self._waiting.clear()
        self._size = 0
        while data:
            data = data[os.write(self._file, data) :]
        self._written = time.monotonic()

    def finish(self, whole: Path) -> None:
        """Give RESULT its name: `whole` is its bytes, in the journal's folder. Raises OSError."""
        self.flush()
        descriptor = os.open(whole, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        whole.replace(self.result)
        _sync_folder(self.result.parent)
        self._remove()

    def close(self) -> None:
        """Let others write it. What waits is written if it can be."""
        if self._file is not None:
            with suppress(OSError):
                self.flush()
            os.close(self._file)
            self._file = None
        self._held.close()

    def _remove(self) -> None:
        # rows first: a folder with a job and no rows is one that is finished
        self.rows.unlink(missing_ok=True)
        shutil.rmtree(self.folder)


def _row(line: bytes) -> Row | None:
    """A whole row; None for the rest of one."""
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # not every file system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
