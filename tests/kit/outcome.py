"""What a command did, and the environment that the tests were started in."""

from __future__ import annotations

import os
from dataclasses import dataclass

# conftest imports this first, before any variable is changed
OUTSIDE = dict(os.environ)


@dataclass(frozen=True)
class Outcome:
    """What a command did: exit code and both streams."""

    code: int
    stdout: str
    stderr: str
