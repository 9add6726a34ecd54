"""What a worker and a program of the library have in common: they are got ready and closed."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from wasmlrun.api.serving import Serving


class Served:
    """Something that takes calls until it is closed. Close it, or use it in a `with` block."""

    _serving: Serving

    def prepare(self) -> Self:
        """Compile and load now instead of with the first call. Raises what the call does."""
        self._serving.prepare()
        return self

    def close(self) -> None:
        """End it. Calls that come later raise ValueError; so do those that run in a process,
        which ends, while those in threads are waited for.
        """
        self._serving.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
