"""`wasmlrun classify --watch`: pictures are classified as they arrive in a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from wasmlrun.pipeline.arrivals import Arrivals, arriving
from wasmlrun.pipeline.telling import combined
from wasmlrun.support.errors import (
    EXIT_BROKEN_PIPE,
    EXIT_EXPECTATION,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_SYSTEM,
    EXIT_TERMINATED,
    BadImage,
    UsageFault,
)
from wasmlrun.support.messages import Messages
from wasmlrun.vision.formats import SUFFIXES

LAST = (EXIT_INTERRUPTED, EXIT_TERMINATED, EXIT_BROKEN_PIPE, EXIT_SYSTEM)
"""Exit codes of a picture after which nobody wants the next one, or could be told of it."""


def watch(
    folder: Path,
    images: Sequence[str],
    written: Mapping[str, Path | None],
    classify: Callable[[tuple[str, ...]], int],
    messages: Messages,
) -> int:
    """Call `classify` with the pictures of each look at the folder that found some.

    It is called with none at first, so that a model that cannot be read is told at once. Ends
    with Ctrl-C, SIGTERM, or when nobody reads the answers; returns the exit code.

    `images` are those that the command line names, `written` the files that it wants by option:
    neither goes with watching.

    Raises:
        UsageFault: there is no such folder, or something that does not go with it.
        BadImage: the folder cannot be read, or is gone.
    """
    for option in [option for option, path in written.items() if path is not None]:
        raise UsageFault(f"--watch has no end, so {option} would never be whole", "leave one out")
    if images:
        raise UsageFault(f"--watch {folder} and pictures by name", "leave one of them out")
    if not folder.is_dir():
        raise UsageFault(f"--watch {folder}: there is no such folder", "name one that is there")
    try:
        arrivals = Arrivals(folder, SUFFIXES)
        code = classify(())
        if code != EXIT_OK:
            return code
        messages.info(f"watching {folder} for pictures; Ctrl-C ends it")
        for names in arriving(arrivals):
            new = classify(tuple(names))
            if new in LAST:
                return new
            code = combined(code, new)
            messages.told_before = messages.told_before or new in (EXIT_OK, EXIT_EXPECTATION)
    except OSError as e:
        raise BadImage(f"the folder {folder} cannot be read: {e.strerror}") from e
    return code
