"""pyarrow, which reads and writes Parquet; an extra, imported when a Parquet file is named."""

from __future__ import annotations

from typing import Any

from wasmlrun.support.errors import UsageFault


def pyarrow() -> Any:
    """The package. Raises UsageFault when it is not installed."""
    try:
        import pyarrow
    except ImportError:
        raise UsageFault(
            "Parquet needs pyarrow, which is not installed", "pip install 'wasmlrun[batch]'"
        ) from None
    return pyarrow
