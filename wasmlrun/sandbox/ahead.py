"""Workers compiled ahead of time: machine code in a file, which is run without a compiler.

Machine code is not sandboxed: whoever writes it does what he likes when it is loaded. A file is
therefore loaded only when it carries a code (HMAC-SHA256) that was made with this user's own key,
over every byte of it; the key is made when it is first needed and never leaves the data folder.
`trust` is the user's word for a file that came from elsewhere.

A file is a magic line, the length of a JSON header, the header, the code, the machine code.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
from pathlib import Path
from typing import Any

from wasmlrun import wasmtime_c
from wasmlrun.support.errors import BadWorker
from wasmlrun.support.records import Record
from wasmlrun.support.userdata import seal_key
from wasmlrun.wasmtime_c.capi import library_path

MAGIC = b"wasmlrun machine code 1\n"
SUFFIX = ".cwasm"
PORTABLE = "pulley64"
_MOST_HEADER = 2 << 20
_CODE_SIZE = 32
_KEY_SIZE = 32


class Ahead(Record):
    """A compiled worker whose code was right: what it is, and its machine code."""

    about: dict[str, Any]
    machine_code: bytes

    @property
    def target(self) -> str | None:
        """What an engine must be told to run it; None for this very processor."""
        return PORTABLE if self.about["target"] == PORTABLE else None


def this_target() -> str:
    """The name of this machine's processor."""
    names = {"amd64": "x86_64", "arm64": "aarch64"}
    if sys.platform == "win32":
        import platform

        machine = platform.machine().lower()
    else:
        machine = os.uname().machine.lower()  # what `platform` asks, without its import
    return names.get(machine, machine)


def settings_of(fuel: bool) -> str:
    """The engine's settings that machine code depends on."""
    return "epochs, fuel" if fuel else "epochs"


def opened(path: Path, content: bytes, *, fuel: bool) -> Ahead:
    """The compiled worker in a file's content, if this user's wasmlrun made it or he trusts it.

    Raises:
        BadWorker: it is damaged, was made for something else, or is not known to be trusted.
    """
    about, code, machine_code = _taken_apart(path, content)
    _check_fit(path, about, fuel=fuel)
    key = _key(make=False)
    if key is None or not hmac.compare_digest(code, _code_of(key, about, machine_code)):
        raise BadWorker(
            f"worker {path} is machine code that this wasmlrun did not make, and is not run: "
            "nothing holds machine code back",
            f"compile the WebAssembly yourself, or, if you trust its origin as you would a "
            f"program's: wasmlrun compile --trust {path}",
        )
    return Ahead(about, machine_code)


def header(path: Path, content: bytes) -> dict[str, Any]:
    """What a compiled worker says of itself, as `compile_ahead` gave it. Raises BadWorker."""
    return _taken_apart(path, content)[0]


def described(path: Path) -> bytes | None:
    """The packed module's own description in a compiled worker; None where there is none.

    Nothing of it is trusted: `opened` comes before anything is run.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC) + 4)
            if not start.startswith(MAGIC):
                return None
            size = int.from_bytes(start[len(MAGIC) :], "little")
            if size > _MOST_HEADER:
                return None
            about = json.loads(file.read(size))
        return bytes.fromhex(about["front"]) or None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def trust(path: Path) -> dict[str, Any]:
    """Seal a file of somebody else's with this user's key, so that it is run from now on.

    Raises:
        BadWorker: it is no such file, it is damaged, or it was made for something else.
    """
    try:
        content = path.read_bytes()
    except OSError as e:
        raise BadWorker(f"worker {path} cannot be read: {e.strerror}") from e
    about, _, machine_code = _taken_apart(path, content)
    _check_fit(path, about, fuel="fuel" in str(about["settings"]))
    seal(path, about, machine_code)
    return about


def seal(path: Path, about: dict[str, Any], machine_code: bytes) -> None:
    """Write a compiled worker that this user's own wasmlrun will run. Raises BadWorker."""
    key = _key(make=True)
    assert key is not None
    header = _header(about)
    made = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        with made.open("wb") as file:
            file.write(MAGIC + len(header).to_bytes(4, "little") + header)
            file.write(_code_of(key, about, machine_code))
            file.write(machine_code)
        made.replace(path)
    except OSError as e:
        raise BadWorker(f"{path} cannot be written: {e.strerror or e}") from e
    finally:
        made.unlink(missing_ok=True)


def wasmtime_version() -> str:
    """The version of the library that runs the code."""
    library = library_path()
    # the package's folder of metadata carries it; asking importlib takes 20 ms
    for about in library.parents[2].glob("wasmtime-*.dist-info"):
        return about.name.removeprefix("wasmtime-").removesuffix(".dist-info")
    from importlib.metadata import version

    return version("wasmtime")


def _taken_apart(path: Path, content: bytes) -> tuple[dict[str, Any], bytes, bytes]:
    """Header, code and machine code; the digest in the header is checked."""
    damaged = BadWorker(f"worker {path} is damaged", "compile it again")
    if not content.startswith(MAGIC):
        raise BadWorker(f"worker {path} is no compiled worker")
    at = len(MAGIC) + 4
    size = int.from_bytes(content[len(MAGIC) : at], "little")
    if size > _MOST_HEADER or len(content) < at + size + _CODE_SIZE:
        raise damaged
    try:
        about = json.loads(content[at : at + size])
    except ValueError:
        raise damaged from None
    wanted = ("wasmtime", "target", "settings", "sha256", "name", "front", "source")
    if not isinstance(about, dict) or any(not isinstance(about.get(k), str) for k in wanted):
        raise damaged
    code = content[at + size : at + size + _CODE_SIZE]
    machine_code = content[at + size + _CODE_SIZE :]
    if hashlib.sha256(machine_code).hexdigest() != about["sha256"]:
        raise damaged
    return about, code, machine_code


def _check_fit(path: Path, about: dict[str, Any], *, fuel: bool) -> None:
    def refused(what: str, hint: str = "compile it again") -> BadWorker:
        return BadWorker(f"worker {path} was compiled for {what}", hint)

    here = this_target()
    if about["target"] not in (here, PORTABLE):
        raise refused(f"{about['target']}, and this is {here}")
    if about["wasmtime"] != wasmtime_version():
        raise refused(f"wasmtime {about['wasmtime']}, and this is {wasmtime_version()}")
    if about["settings"] != settings_of(fuel):
        counted = "counted" if "fuel" in about["settings"] else "not counted"
        raise refused(
            f"runs whose instructions are {counted}",
            "compile it again " + ("with --count-fuel" if fuel else "without --count-fuel"),
        )


def _code_of(key: bytes, about: dict[str, Any], machine_code: bytes) -> bytes:
    made = hmac.new(key, MAGIC, hashlib.sha256)
    header = _header(about)
    made.update(len(header).to_bytes(8, "little") + header)
    made.update(machine_code)
    return made.digest()


def _header(about: dict[str, Any]) -> bytes:
    return json.dumps(about, sort_keys=True, separators=(",", ":")).encode()


def _key(*, make: bool) -> bytes | None:
    """This user's key; None where there is none that only he could have read or written."""
    path = seal_key()
    try:
        if make and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            made = path.with_name(f".{os.getpid()}-{path.name}")
            descriptor = os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, no path
                file.write(os.urandom(_KEY_SIZE))
            try:
                os.link(made, path)  # of two at once the first one counts
            except FileExistsError:
                pass
            finally:
                made.unlink()
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, no path
            about, key = os.fstat(file.fileno()), file.read(_KEY_SIZE + 1)
    except FileNotFoundError:
        return None
    except OSError as e:
        raise BadWorker(f"the key {path} cannot be used: {e.strerror or e}") from e
    if hasattr(os, "getuid") and (about.st_uid != os.getuid() or about.st_mode & 0o077):
        raise BadWorker(
            f"the key {path} is not yours alone", f"remove it and compile again: rm {path}"
        )
    if len(key) != _KEY_SIZE:
        raise BadWorker(f"the key {path} is damaged", f"remove it and compile again: rm {path}")
    return key


def restored(
    path: Path, ahead: Ahead, *, fuel: bool
) -> tuple[wasmtime_c.Engine, wasmtime_c.Module]:
    """An engine and the module in it. Raises BadWorker when wasmtime refuses the machine code."""
    try:
        engine = wasmtime_c.Engine(fuel=fuel, target=ahead.target)
        return engine, wasmtime_c.Module.restored(engine, ahead.machine_code)
    except wasmtime_c.Refused as e:
        first = (str(e).strip().splitlines() or ["unknown reason"])[0]
        raise BadWorker(
            f"worker {path} was compiled for another machine: {first}", "compile it again"
        ) from e
