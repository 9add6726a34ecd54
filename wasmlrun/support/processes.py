"""Other processes of this machine, by number."""

from __future__ import annotations

import os


def is_running(process: int) -> bool:
    """Whether there is a process of this number."""
    if os.name != "posix":
        return True  # signal 0 is no question there
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
