"""Ways out of the sandbox, each tried by a small hostile guest; `wasmlrun doctor` runs them all.

A guest makes its calls and exits with the last one's error number, so exit code 0 is success,
which here is the failure. The guests run with the same code as any worker, in a temporary
folder that holds a secret outside the mounts and files inside that must not change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wasmlrun.manifest.grant import Grant
from wasmlrun.manifest.manifest import Mount
from wasmlrun.support.errors import BadWorker, LimitExceeded, WasmlrunError
from wasmlrun.support.limits import MIB, Limits
from wasmlrun.support.records import replace

# how a path is opened (preview 1)
CREATE, DIRECTORY, TRUNCATE = 1, 2, 8
READ, WRITE = 1 << 1, 1 << 6
RIGHTS: Final = READ | WRITE
LIMITS = Limits(timeout=5.0, memory=MIB, output=65536)
READ_ONLY, WRITABLE = 3, 4
"""Descriptors of the two mounts, in their order."""

_PATHS = 1024
_RESULT = 16
_FUNCTIONS = {
    "path_open": "i32 i32 i32 i32 i32 i64 i64 i32 i32",
    "path_create_directory": "i32 i32 i32",
    "path_remove_directory": "i32 i32 i32",
    "path_unlink_file": "i32 i32 i32",
    "path_symlink": "i32 i32 i32 i32 i32",
    "path_link": "i32 i32 i32 i32 i32 i32 i32",
    "path_rename": "i32 i32 i32 i32 i32 i32",
    "path_filestat_get": "i32 i32 i32 i32 i32",
    "path_filestat_set_times": "i32 i32 i32 i32 i64 i64 i32",
    "fd_filestat_set_size": "i32 i64",
    "fd_filestat_set_times": "i32 i64 i64 i32",
    "fd_read": "i32 i32 i32 i32",
    "fd_write": "i32 i32 i32 i32",
    "environ_sizes_get": "i32 i32",
    "environ_get": "i32 i32",
    "sock_accept": "i32 i32 i32",
    "sock_send": "i32 i32 i32 i32 i32",
}


class Script:
    """A guest's calls as WebAssembly text, one after the other; the last error number counts."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._lines: list[str] = []

    def call(self, name: str, *arguments: int | str | bytes) -> Script:
        """A WASI call; a path takes the place of its pointer and length."""
        kinds = iter(_FUNCTIONS[name].split())
        values = []
        for argument in arguments:
            if isinstance(argument, int):
                values.append(f"({next(kinds)}.const {argument})")
                continue
            data = argument.encode() if isinstance(argument, str) else argument
            for number in (_PATHS + len(self._data), len(data)):
                values.append(f"({next(kinds)}.const {number})")
            self._data += data
        self._lines.append(f"(local.set $errno (call ${name} {' '.join(values)}))")
        return self

    def open(self, folder: int, path: str, how: int = 0, rights: int = READ) -> Script:
        """Open a path below a descriptor, following links; the new one is the next free number."""
        return self.call("path_open", folder, 1, path, how, rights, 0, 0, _RESULT)

    def raw(self, line: str) -> Script:
        """WebAssembly text that sets the local `$errno`."""
        self._lines.append(line)
        return self

    def wat(self) -> str:
        """The whole module, as WebAssembly text."""
        imports = "\n".join(
            f'(import "wasi_snapshot_preview1" "{name}" '
            f"(func ${name} (param {kinds}) (result i32)))"
            for name, kinds in _FUNCTIONS.items()
        )
        data = "".join(f"\\{byte:02x}" for byte in self._data)
        lines = "\n    ".join(self._lines)
        return f"""(module {imports}
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const {_PATHS}) "{data}")
  (data (i32.const 256) "\\00\\04\\00\\00\\08\\00\\00\\00")
  (func (export "_start") (local $errno i32)
    {lines}
    (call $proc_exit (local.get $errno))))"""


DENIED: Final = frozenset({63, 69, 76})
"""perm, rofs, notcapable"""
ERRORS: Final = {
    3: "bad address",
    8: "no such descriptor",
    57: "not a socket",
    58: "not supported",
    63: "not permitted",
    69: "the file system is read-only",
    76: "no capability",
}
"""WASI's numbers of the errors that are refusals."""
_NO_DESCRIPTOR: Final = frozenset({8})
_NO_SOCKET: Final = frozenset({8, 57, 58})
_OUTSIDE_MEMORY: Final = frozenset({3})
_FINE: Final = frozenset({0})
_TRUE: Final = frozenset({1})
IOVEC = 256
"""Where a script's memory has a buffer of 8 bytes, ready for fd_read and fd_write."""


@dataclass(frozen=True, slots=True)
class Escape:
    """One way out of the sandbox, and the guest that tries it."""

    name: str
    wat: str
    expected: frozenset[int] = DENIED
    """Error numbers that are a refusal; any other would be a fault of the guest."""
    ended_by: type[WasmlrunError] | None = None
    """What must end the guest instead."""
    nn: bool = False
    timeout: float = LIMITS.timeout


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it."""

    name: str
    passed: bool
    """Whether it went as it must: refused, or for a control, allowed."""
    how: str


def escapes(outside: Path) -> Iterator[Escape]:
    """All of them; `outside` is a folder that no mount reaches, with a file `secret`."""
    secret = str(outside / "secret")
    yield Escape("open ../outside/secret", Script().open(READ_ONLY, "../outside/secret").wat())
    yield Escape(
        "open a path through ..", Script().open(READ_ONLY, "sub/../../outside/secret").wat()
    )
    yield Escape("open an absolute path", Script().open(READ_ONLY, secret).wat())
    yield Escape("follow a link out", Script().open(READ_ONLY, "link/secret").wat())
    yield Escape(
        "make a link out and follow it",
        Script()
        .call("path_symlink", "../outside", WRITABLE, "made")
        .open(WRITABLE, "made/secret")
        .wat(),
    )
    yield Escape("open without a folder", Script().open(5, "secret").wat(), _NO_DESCRIPTOR)
    for name, script in _changes().items():
        yield Escape(f"{name} in a read-only folder", script.wat())
    yield Escape(
        "read the host's environment",
        # succeeds, with no variables: their number becomes the error number, and 0 is turned round
        Script()
        .call("environ_sizes_get", 0, 4)
        .raw("(local.set $errno (i32.eqz (i32.load (i32.const 0))))")
        .wat(),
        _TRUE,
    )
    yield Escape(
        "accept a connection", Script().call("sock_accept", READ_ONLY, 0, 0).wat(), _NO_SOCKET
    )
    yield Escape(
        "send to a socket", Script().call("sock_send", 5, IOVEC, 1, 0, 0).wat(), _NO_SOCKET
    )
    yield Escape("open a socket", _importing("sock_open", 3), ended_by=BadWorker)
    yield Escape(
        "take more memory than the limit",
        # memory.grow answers -1 when it is refused
        Script()
        .raw("(local.set $errno (i32.eq (memory.grow (i32.const 64)) (i32.const -1)))")
        .wat(),
        _TRUE,
    )
    yield Escape(
        "loop for ever",
        Script().raw("(loop $on (br $on))").wat(),
        ended_by=LimitExceeded,
        timeout=0.3,
    )
    yield Escape(
        "use WASI-NN without leave", _nn("(i32.const 0) (i32.const 1)"), ended_by=BadWorker
    )
    yield Escape(
        "have WASI-NN read outside the memory",
        _nn("(i32.const 65530) (i32.const 100)"),
        _OUTSIDE_MEMORY,
        nn=True,
    )


def controls() -> Iterator[Escape]:
    """What a guest may do; if these fail, the refusals mean nothing."""
    yield Escape("control: read a mounted file", Script().open(READ_ONLY, "file").wat(), _FINE)
    yield Escape(
        "control: write to the writable folder",
        Script().open(WRITABLE, "new", CREATE, RIGHTS).wat(),
        _FINE,
    )


def _changes() -> Mapping[str, Script]:
    return {
        "create": Script().open(READ_ONLY, "new", CREATE, RIGHTS),
        "write": Script().open(READ_ONLY, "file", 0, WRITE),
        "truncate": Script().open(READ_ONLY, "file", TRUNCATE, RIGHTS),
        "unlink": Script().call("path_unlink_file", READ_ONLY, "file"),
        "rename": Script().call("path_rename", READ_ONLY, "file", READ_ONLY, "other"),
        "make a folder": Script().call("path_create_directory", READ_ONLY, "new"),
        "set times": Script().call("path_filestat_set_times", READ_ONLY, 1, "file", 0, 0, 5),
    }


def _importing(name: str, arity: int) -> str:
    zeros = " ".join(["(i32.const 0)"] * arity)
    return f"""(module
  (import "wasi_snapshot_preview1" "{name}" (func $f (param {"i32 " * arity}) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (drop (call $f {zeros}))))"""


def _nn(name: str) -> str:
    return f"""(module
  (import "wasi_ephemeral_nn" "load_by_name" (func $load (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $proc_exit (call $load {name} (i32.const 0)))))"""


def lay_out(folder: Path) -> tuple[Mount, Mount]:
    """The mounts, read-only and writable, and the secret beside them."""
    for name in ("read/sub", "write", "outside"):
        (folder / name).mkdir(parents=True)
    (folder / "read" / "file").write_text("inside")
    (folder / "outside" / "secret").write_text("secret")
    (folder / "read" / "link").symlink_to(folder / "outside")
    return Mount(folder / "read", "/read"), Mount(folder / "write", "/write", True)


def attempt(
    escape: Escape,
    folder: Path,
    mounts: Sequence[Mount],
    limits: Limits = LIMITS,
    environ: Mapping[str, str] | None = None,
) -> Tried:
    """Try one way out."""
    try:
        code = run(escape, folder, mounts, replace(limits, timeout=escape.timeout), environ or {})
    except WasmlrunError as error:
        expected = escape.ended_by is not None and isinstance(error, escape.ended_by)
        # the guest's file is ours, and gone by the time that this is read
        why = error.message.replace(f"worker {folder / 'guest.wasm'}", "the guest")
        return Tried(escape.name, expected, f"refused: {why}" if expected else why)
    if escape.ended_by is not None:
        return Tried(escape.name, False, f"the guest ended with {code}")
    expected = code in escape.expected
    return Tried(escape.name, expected, _outcome(code, expected, escape.expected))


def _outcome(code: int, expected: bool, wanted: frozenset[int]) -> str:
    """What a guest's call came to, in words."""
    if not expected:
        return f"NOT refused: error number {code}" if code else "NOT refused: it succeeded"
    if wanted is _FINE:
        return "allowed, as it must be"
    return "refused" if wanted is _TRUE else f"refused: {ERRORS[code]}"


def run(
    escape: Escape,
    folder: Path,
    mounts: Sequence[Mount],
    limits: Limits,
    environ: Mapping[str, str],
) -> int:
    """Run a guest in the sandbox; its exit code. Raises WasmlrunError."""
    import wasmtime

    from wasmlrun.engines.pool import EnginePool
    from wasmlrun.host import Host
    from wasmlrun.nn import GraphPool
    from wasmlrun.sandbox.clock import Clock
    from wasmlrun.supervisor.stages import Board

    path = folder / "guest.wasm"
    path.write_bytes(wasmtime.wat2wasm(escape.wat))
    host = Host(
        GraphPool(EnginePool(), Board()),
        limits=limits,
        grant=Grant(tuple(mounts), environ, nn=escape.nn),
    )
    linked = host.worker(path).linked(host.grant)
    try:
        host = replace(host, clock=Clock.after(limits.timeout))
        return host.run(linked, escape.name).exit_code
    finally:
        host.graphs.close()


def try_all(tell: Callable[[Tried], None] = lambda tried: None) -> list[Tried]:
    """Try every way out in a temporary folder, and look whether its files changed."""
    import tempfile

    found = []
    with tempfile.TemporaryDirectory(prefix="wasmlrun-doctor-") as name:
        folder = Path(name).resolve()
        mounts = lay_out(folder)
        before = _contents(folder)
        # a guest that could do nothing at all would prove nothing
        for escape in (*controls(), *escapes(folder / "outside")):
            found.append(attempt(escape, folder, mounts))
            tell(found[-1])
        changed = sorted(set(before.items()) ^ set(_contents(folder).items()))
        what = f"changed: {changed[0][0]}" if changed else "nothing changed"
        found.append(Tried("change files outside the writable folder", not changed, what))
    return found


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for part in ("read", "outside")
        for path in (folder / part).rglob("*")
    }
