"""The processor that this runs on, as far as its arithmetic goes."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import Path

_EXACT = {"avx512_vnni", "avx_vnni", "amx_int8"}


@cache
def description() -> str:
    """What tells this processor from others that compiled models do not fit."""
    with suppress(OSError):
        # the first block is enough: every core says the same
        text = Path("/proc/cpuinfo").read_bytes()[:8192].decode(errors="replace")
        lines = text.split("\n\n")[0].splitlines()
        features = [x for x in lines if x.startswith(("model name", "flags", "Features"))]
        if features:
            return "\n".join(features)
    import platform  # costly to import, and Linux has said it all

    return f"{platform.machine()} {platform.processor()}"


def byte_products_saturate() -> bool:
    """Whether sums of products of bytes are cut off at 16 bits.

    So it is on x86 before VNNI, where 8-bit models lose what does not fit. False where the
    system does not say what the processor can do.
    """
    flags = next((x for x in description().splitlines() if x.startswith("flags")), "")
    return bool(flags) and not _EXACT & set(flags.split())
