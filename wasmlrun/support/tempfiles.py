"""Private temporary files: readable by their user alone, gone when their process is.

They lie in a folder that carries the process's number and chance in its name, so that nobody can
take the name before, and whoever outlives the process (its supervisor, or the next run) can remove
what a killed one left.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from wasmlrun.support.processes import is_running

if TYPE_CHECKING:
    from wasmlrun.support.model_source import ModelSource

_VARIABLES = ("TMPDIR", "TEMP", "TMP")
_handed_down: Path | None = None


@contextmanager
def model_file(source: ModelSource) -> Iterator[Path]:
    """A one-part model as a file of mode 0600, alone in a folder: models may name neighbours.

    Raises OSError when there is no place for it.
    """
    with private_folder() as common:
        folder = common / os.urandom(8).hex()
        folder.mkdir(mode=0o700)
        path = folder / f"model{source.encoding.format.suffixes[0]}"
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, no path
                file.write(source.parts[0])
            yield path
        finally:
            path.unlink(missing_ok=True)
            folder.rmdir()


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder of this process's own, empty again afterwards. Raises OSError."""
    if _handed_down is not None:
        yield _handed_down
        return
    sweep()
    folder = _made()
    try:
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def handed_down() -> Iterator[None]:
    """A folder for a child that is forked off meanwhile, removed with all that is in it.

    Where none can be made, that is told when one is needed.
    """
    global _handed_down
    before = _handed_down
    folder: Path | None = None
    with suppress(OSError):
        folder = _made()
        _handed_down = folder
    try:
        yield
    finally:
        _handed_down = before
        if folder is not None:
            remove_tree(folder)


def settle() -> None:
    """Make this process's folder now, before it may make none any more.

    Whoever outlives the process removes it; where it cannot be made, that is told when one is
    needed.
    """
    global _handed_down
    with suppress(OSError):
        _handed_down = _made()


def own_folder() -> Path | None:
    """The folder that was handed down to this process, or that it settled in."""
    return _handed_down


def adopt() -> None:
    """Let Python's `tempfile` use the folder that was handed down: no other may be written."""
    if _handed_down is not None:
        import tempfile

        tempfile.tempdir = str(_handed_down)


def remove_leftovers(process: int) -> None:
    """Remove what a process that has ended left behind."""
    with suppress(OSError):
        for folder in _temporary().glob(f"{_beginning()}-{process}-*"):
            if not folder.is_symlink():
                remove_tree(folder)


def sweep() -> None:
    """Remove what processes of this user left that are no more."""
    beginning = f"{_beginning()}-"
    with suppress(OSError), os.scandir(_temporary()) as found:
        for entry in found:
            if not entry.name.startswith(beginning):
                continue
            number = entry.name.removeprefix(beginning).partition("-")[0]
            with suppress(OSError):
                about = entry.stat(follow_symlinks=False)
                mine = not hasattr(os, "getuid") or about.st_uid == os.getuid()
                mine = mine and stat.S_ISDIR(about.st_mode)
                if mine and number.isdigit() and not is_running(int(number)):
                    remove_tree(Path(entry.path))


def _made() -> Path:
    """A fresh folder, of mode 0700. Raises OSError."""
    folder = _temporary() / f"{_beginning()}-{os.getpid()}-{os.urandom(8).hex()}"
    folder.mkdir(mode=0o700)
    return folder


def _beginning() -> str:
    return f"wasmlrun-{os.getuid() if hasattr(os, 'getuid') else 'user'}"


def _temporary() -> Path:
    """Where temporary files go, as `tempfile` has it, whose import a warm run does without."""
    if os.name != "posix":
        import tempfile

        return Path(tempfile.gettempdir())
    for place in (*map(os.environ.get, _VARIABLES), "/tmp", "/var/tmp", "/usr/tmp"):
        if place and os.access(place, os.W_OK | os.X_OK):
            return Path(place).absolute()
    return Path.cwd()


def remove_tree(folder: Path) -> None:
    """Remove a folder with all in it, as far as that is possible.

    A worker may have made what is in it: folders in folders, deeper than functions may nest and
    than a path may be long. So each comes up to the top before it is looked into.
    """
    with suppress(OSError):
        folder.rmdir()  # empty, as a rule
        return
    with suppress(OSError):
        _emptied(folder)
        folder.rmdir()


def _emptied(folder: Path) -> None:
    """Remove what is in a folder, which is the top. Raises OSError."""
    at_the_top = [folder]
    while at_the_top:
        place = at_the_top.pop()
        _open_up(place)
        with os.scandir(place) as found:
            entries = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in found]
        for path, is_folder in entries:
            if is_folder:
                up = folder / os.urandom(16).hex()
                _open_up(Path(path))  # a folder is moved by who may write to it
                Path(path).replace(up)
                at_the_top.append(up)
            else:
                Path(path).unlink()
        if place != folder:
            place.rmdir()


def _open_up(folder: Path) -> None:
    """Whoever made it may have closed it to everybody."""
    with suppress(OSError):
        folder.chmod(0o700)
