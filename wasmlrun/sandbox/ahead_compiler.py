"""The process that compiles ahead of time: `wasmtime` ends it for targets that it cannot do.

Arguments: the module, where the machine code goes (or why there is none), the target or nothing,
the settings.
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path

from wasmlrun import wasmtime_c
from wasmlrun.sandbox.ahead import BAD_MODULE

_SYSTEMS = {"Linux": "unknown-linux-gnu", "Darwin": "apple-darwin", "Windows": "pc-windows-msvc"}


def triple(target: str) -> str:
    """What wasmtime calls a processor."""
    if target == "pulley64":
        return target
    names = {"riscv64": "riscv64gc"}
    system = _SYSTEMS.get(platform.system(), "unknown-linux-gnu")
    return f"{names.get(target, target)}-{system}"


def main(arguments: list[str]) -> int:
    """Compile; its exit code."""
    module, output, target, settings = arguments
    named = triple(target) if target else None
    engine = wasmtime_c.Engine(fuel="fuel" in settings, target=named)
    try:
        made = wasmtime_c.Module.compiled(engine, Path(module).read_bytes())
    except wasmtime_c.Refused as e:
        text = str(e)
        if "target" in text and named is not None:
            raise
        Path(output).write_text((text.strip().splitlines() or [""])[0], encoding="utf-8")
        return BAD_MODULE
    Path(output).write_bytes(made.serialize())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
