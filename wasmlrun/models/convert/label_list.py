"""Names of classes in other forms become label files: one a line."""

from __future__ import annotations

import json
from typing import Any


def from_json(data: bytes, key: str | None = None) -> bytes:
    """A JSON list of names, or an object with the classes' numbers as keys.

    With `key`, the list is what an object has under it.

    Raises:
        ValueError: it is neither, or a name has more than one line.
    """
    names: Any = json.loads(data)
    if key is not None:
        names = names.get(key) if isinstance(names, dict) else None
    if isinstance(names, dict):
        if set(names) != {str(number) for number in range(len(names))}:
            raise ValueError("the keys are not the numbers of classes")
        names = [names[str(number)] for number in range(len(names))]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("not a list of names")
    if not names or not all(name.strip() and name.isprintable() for name in names):
        raise ValueError("a name that is no line of text")
    return "".join(f"{name}\n" for name in names).encode()
