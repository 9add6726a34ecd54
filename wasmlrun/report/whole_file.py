"""Files that are written whole or not at all."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path
from typing import IO


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
    write_whole_from(path, io.BytesIO(data))


def write_whole_from(path: Path, source: IO[bytes]) -> None:
    """As `write_whole`, of what a file has from its position on, however much. Raises OSError."""
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            shutil.copyfileobj(source, device)
        return
    new = path.with_name(f".{path.name[:100]}.{os.getpid()}")
    try:
        with new.open("wb") as file:
            shutil.copyfileobj(source, file)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
