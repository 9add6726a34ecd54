"""Private temporary files: readable by their user alone, gone when the work is done."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wasmlrun.modelfile import Encoding, ModelSource

_SUFFIX = {Encoding.TENSORFLOW_LITE: ".tflite", Encoding.TENSORFLOW: ".pb"}


@contextmanager
def model_file(source: ModelSource) -> Iterator[Path]:
    """A one-part model as a file of mode 0600, for engines that read only files."""
    descriptor, name = tempfile.mkstemp(prefix="wasmlrun-", suffix=_SUFFIX[source.encoding])
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(source.parts[0])
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
