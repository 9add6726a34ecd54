"""Questions about paths that come from users and files: a name that cannot be is no file.

`Path.exists` and its kin raise for a name that is too long or lies in a folder that may not be
looked into; whoever asks here goes on and meets the same fault, with its reason, at reading.
"""

from __future__ import annotations

from pathlib import Path


def exists(path: Path) -> bool:
    """Whether there is something at this path, as far as this user can tell."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_dir(path: Path) -> bool:
    """Whether it is a folder, as far as this user can tell."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """Whether it is a file, as far as this user can tell."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
