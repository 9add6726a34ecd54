"""What pictures show, by somebody who knows: a table, or the folders that they lie in."""

from __future__ import annotations

import csv
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from wasmlrun.support import beneath
from wasmlrun.support.errors import BadFile

_PICTURES = ("image", "file", "filename", "path", "name", "picture")
_LABELS = ("label", "class", "truth", "target", "category")


class Truth(Protocol):
    """Knows what pictures show."""

    def of(self, image: str) -> str | None:
        """The name of what a picture shows; None where it is not known."""


class ByFolder:
    """A picture shows what the folder is called that it lies in."""

    def of(self, image: str) -> str | None:
        """The name of its folder, None where it lies in none."""
        folder = image.replace("\\", "/").rpartition("/")[0].rstrip("/")
        name = folder.rpartition("/")[2]
        return name if name not in ("", ".", "..") else None


class ByTable:
    """A picture shows what a table says: of all ends of its path that are in it, the longest.

    Names are kept as 8 bytes of a digest: a million of them are 12 MB.
    """

    def __init__(self, path: Path) -> None:
        """Read the table. Raises BadFile."""
        names: dict[str, int] = {}
        digests, classes = array("Q"), array("L")
        for image, label in _table(path):
            digests.append(digest(tidy(image)))
            classes.append(names.setdefault(label, len(names)))
        if not digests:
            raise BadFile(f"truth {path} is empty", "one line a picture: image,label")
        order = sorted(range(len(digests)), key=digests.__getitem__)
        self._digests = array("Q", (digests[i] for i in order))
        self._classes = array("L", (classes[i] for i in order))
        self._names = list(names)

    def of(self, image: str) -> str | None:
        """What the table says, None where it has no such picture."""
        for name in ends(image):
            key = digest(name)
            at = bisect_left(self._digests, key)
            if at < len(self._digests) and self._digests[at] == key:
                return self._names[self._classes[at]]
        return None


def read_truth(words: str) -> Truth:
    """The folders' names for `folder`, else a table. Raises BadFile."""
    return ByFolder() if words == "folder" else ByTable(Path(words))


def digest(name: str) -> int:
    """64 bits of a name."""
    return int.from_bytes(blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest())


def tidy(image: str) -> str:
    """A path with its parts and nothing else between them."""
    return "/".join(part for part in image.replace("\\", "/").split("/") if part not in ("", "."))


def ends(image: str) -> Iterator[str]:
    """A path, then without its first folder, and so on to the file's own name."""
    name = tidy(image)
    while True:
        yield name
        _, slash, name = name.partition("/")
        if not slash:
            return


def _table(path: Path) -> Iterator[tuple[str, str]]:
    """Picture and label of each line of a CSV file; columns by their names, or the first two."""
    try:
        descriptor = beneath.open_file(path, pipe=True)
        with open(  # noqa: PTH123 - a descriptor, no path
            descriptor, encoding="utf-8-sig", errors="surrogateescape", newline=""
        ) as file:
            image, label = 0, 1
            for number, fields in enumerate(csv.reader(file), 1):
                if not fields:
                    continue
                if number == 1:
                    lower = [field.strip().lower() for field in fields]
                    header = [_among(lower, _PICTURES), _among(lower, _LABELS)]
                    if None not in header:
                        image, label = (at for at in header if at is not None)
                        continue
                if len(fields) <= max(image, label):
                    what = f"truth {path}, line {number}: there is no label"
                    raise BadFile(what, "one line a picture: image,label")
                yield fields[image], fields[label].strip()
    except OSError as e:
        hint = "name a CSV file, or write --truth folder for the folders' names"
        raise BadFile(f"truth {path} cannot be read: {e.strerror}", hint) from e
    except csv.Error as e:
        raise BadFile(f"truth {path} is no CSV: {e}") from e


def _among(fields: list[str], names: tuple[str, ...]) -> int | None:
    return next((fields.index(name) for name in names if name in fields), None)
