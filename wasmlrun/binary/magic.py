"""What a file is by its first bytes, and what to tell of one that is no program."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from wasmlrun.support.errors import BadWorker
from wasmlrun.support.model_source import recognise

CORE: Final = b"\0asm\x01\0\0\0"
COMPONENT: Final = b"\0asm\x0d\0\x01\0"
AHEAD: Final = b"wasmlrun machine code "
"""What `wasmlrun compile` writes."""
_PICTURES: Final = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*")


def no_program(path: Path, head: bytes) -> BadWorker | None:
    """The error for a worker's file that does not begin as WebAssembly does; None if it does."""
    if head.startswith((CORE, COMPONENT, AHEAD)):
        return None
    if head.startswith(b"\0asm"):
        return BadWorker(
            f"worker {path} is WebAssembly of a version that is not known here",
            "modules of version 1 and components of version 13 are",
        )
    what, hint = _told(path, head)
    return BadWorker(f"worker {path} is not a WebAssembly module{what}", hint)


def _told(path: Path, head: bytes) -> tuple[str, str]:
    """What it is instead, and what may have been meant."""
    if head.startswith(_PICTURES):
        return "; it is a picture", f"a picture is named without --worker: wasmlrun classify {path}"
    if not head:
        return "; it is empty", "build it again"
    if head.lstrip().startswith((b"(module", b"(component")):
        return "; it is WebAssembly text", f"wat2wasm {path} -o {path.with_suffix('.wasm')}"
    if recognise(head) is not None and path.suffix != ".zip":
        return "; it is a model", f"a model is named with --model {path}"
    return "", (
        "give a .wasm file, a script in a language of `wasmlrun runtimes list`, "
        "or a project's folder"
    )
