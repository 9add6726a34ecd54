"""Private temporary files: readable by their user alone, gone when their process is.

They lie in a folder that carries the process's number, so that whoever outlives the process
(its supervisor, or the next run) can remove what a killed one left.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wasmlrun.support.model_source import ModelSource


@contextmanager
def model_file(source: ModelSource) -> Iterator[Path]:
    """A one-part model as a file of mode 0600, alone in a folder: models may name neighbours."""
    with private_folder() as common:
        folder = common / os.urandom(8).hex()
        folder.mkdir(mode=0o700)
        path = folder / f"model{source.encoding.suffix}"
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, no path
                file.write(source.parts[0])
            yield path
        finally:
            path.unlink(missing_ok=True)
            folder.rmdir()


@contextmanager
def private_folder() -> Iterator[Path]:
    """This process's temporary folder, removed on exit when it is empty."""
    folder = _root() / str(os.getpid())
    folder.mkdir(mode=0o700, exist_ok=True)
    _sweep()
    try:
        yield folder
    finally:
        with suppress(OSError):  # another thread's file is still in it
            folder.rmdir()


def remove_leftovers(process: int) -> None:
    """Remove what a process that has ended left behind."""
    folder = _root() / str(process)
    if folder.is_dir():
        import shutil

        shutil.rmtree(folder, ignore_errors=True)


def _root() -> Path:
    """This user's folder for temporary files. Raises OSError when it cannot be had."""
    import tempfile  # costly to import; nothing on the warm path needs a temporary file

    user = os.getuid() if hasattr(os, "getuid") else "user"
    root = Path(tempfile.gettempdir()) / f"wasmlrun-{user}"
    root.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "getuid") and (root.is_symlink() or root.stat().st_uid != os.getuid()):
        raise PermissionError(13, f"{root} belongs to another user")
    return root


def _sweep() -> None:
    for folder in _root().iterdir():
        if folder.name.isdigit() and not _is_running(int(folder.name)):
            remove_leftovers(int(folder.name))


def _is_running(process: int) -> bool:
    if os.name != "posix":
        return True  # signal 0 is no question there
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
