"""The process that compiles ahead of time, behind walls: a module comes in, machine code goes out.

Arguments: the target or nothing, the settings, the bytes of memory that it may have, and `required`
where a wall that cannot stand is an error. Standard input is the module. Standard output is a mark
once there is a compiler for the target, which wasmtime ends the process over, and then the machine
code, or why there is none.
"""

from __future__ import annotations

import platform
import sys

from wasmlrun import wasmtime_c
from wasmlrun.support.errors import UsageFault
from wasmlrun.support.process import bound_memory, memory_in_use
from wasmlrun.walls.child import Fence, stand
from wasmlrun.walls.reach import Reach

BAD_MODULE, NO_MEMORY, NO_WALL = 3, 4, 5
"""Exit codes: the module is not valid; memory ran out; a required wall, then named, is missing."""
ENGINE_MADE = b"\n"

_LEAST_MEMORY = 8 << 20
"""Bytes that the smallest module wants; with less the compiler may wait for itself for ever."""
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
    target, settings, memory, required = arguments
    bound_memory(int(memory))
    try:
        stand(Fence(Reach(), bool(required)))
    except UsageFault as e:
        out = sys.stdout.buffer
        out.write(e.message.encode())
        return NO_WALL
    if memory_in_use() + _LEAST_MEMORY > int(memory):
        return NO_MEMORY
    try:
        return _compile(triple(target) if target else None, settings)
    except MemoryError:
        return NO_MEMORY


def _compile(target: str | None, settings: str) -> int:
    engine = wasmtime_c.Engine(fuel="fuel" in settings, target=target)
    out = sys.stdout.buffer
    out.write(ENGINE_MADE)
    out.flush()
    try:
        made = wasmtime_c.Module.compiled(engine, sys.stdin.buffer.read())
    except wasmtime_c.Refused as e:
        text = str(e)
        if "target" in text and target is not None:
            raise
        out.write((text.strip().splitlines() or [""])[0].encode())
        return BAD_MODULE
    out.write(made.serialize())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
