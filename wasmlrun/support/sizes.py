"""Numbers of bytes as people say them."""

from __future__ import annotations


def size_text(size: int) -> str:
    """Bytes as people say them: `3.6 MB`, in powers of ten."""
    if size < 1000:
        return f"{size} bytes"
    value, units = size / 1000, ["kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.1f} {units[0]}" if value < 99.95 else f"{value:.0f} {units[0]}"
