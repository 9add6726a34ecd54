"""A chat's text as it comes: whole characters, and nothing of a text at which it is to stop."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class Speech:
    """Takes pieces of UTF-8 and gives what may be shown."""

    def __init__(self, stops: Sequence[str] = ()) -> None:
        """At any of `stops`, which are not empty, the text ends before it."""
        self._stops = stops
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._held = ""
        self.stopped = False
        """Whether one of the texts came."""

    def take(self, piece: bytes) -> str:
        """What can be shown now that this came; nothing more once it has stopped."""
        if self.stopped:
            return ""
        text = self._held + self._decode(piece)
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        kept = max((_begun(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]

    def rest(self) -> str:
        """What was kept back, when nothing comes any more."""
        return "" if self.stopped else self._held + self._decode(b"", final=True)


def _begun(text: str, stop: str) -> int:
    """How many characters at the text's end may be the beginning of `stop`."""
    most = min(len(text), len(stop) - 1)
    return next((n for n in range(most, 0, -1) if text.endswith(stop[:n])), 0)
