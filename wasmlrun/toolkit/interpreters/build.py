"""Builds the interpreters: fetch a pinned source or package, compile it, keep the result.

Nothing of them is part of this project. What is compiled to WebAssembly is the same on every
platform, and so are the steps: mruby's own compiler, which turns its Ruby files into C, is
itself built as a WebAssembly program and run in the sandbox, so no Ruby is needed to get Ruby.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from wasmlrun.models.catalogue import RemoteFile
from wasmlrun.models.progress import watching
from wasmlrun.support import bundled
from wasmlrun.support.errors import WorkerFailed
from wasmlrun.support.filelock import exclusive
from wasmlrun.support.settings import value
from wasmlrun.support.sizes import size_text
from wasmlrun.toolkit.interpreters import Interpreter
from wasmlrun.toolkit.toolchains.installer import (
    COMPONENTIZE_PY,
    BuildFailed,
    Installer,
    compile_with,
)

_HERE = Path(__file__).parent
# interpreters' sources as Debian's archive keeps them, with the upstream addresses; wherever
# they come from, it is the digest that counts
QUICKJS = RemoteFile(
    "quickjs_2025.04.26.orig.tar.xz",
    "https://bellard.org/quickjs/quickjs-2025-04-26.tar.xz",
    580408,
    "ec81da5b3249ed648dbc7df4a1654988910e66a118d9b71cb63534216efcfbbe",
)
MRUBY = RemoteFile(
    "mruby_3.3.0.orig.tar.gz",
    "https://github.com/mruby/mruby/archive/refs/tags/3.3.0.tar.gz",
    833221,
    "53088367e3d7657eb722ddfacb938f74aed1f8538b3717fe0b6eb8f58402af65",
)
# of mruby's gems those that compute; files, sockets and processes are the sandbox's business
GEMS = [
    "compar-ext",
    "enum-ext",
    "string-ext",
    "numeric-ext",
    "array-ext",
    "hash-ext",
    "range-ext",
    "proc-ext",
    "symbol-ext",
    "object-ext",
    "objectspace",
    "fiber",
    "enumerator",
    "enum-lazy",
    "enum-chain",
    "set",
    "toplevel-ext",
    "kernel-ext",
    "class-ext",
    "error",
    "pack",
    "sprintf",
    "time",
    "struct",
    "data",
    "random",
    "math",
    "metaprog",
    "method",
    "catch",
    "exit",
]
_TARGET = ["--target=wasm32-wasi", "-Os", "-w", "-s", "-Wl,-z,stack-size=1048576"]
# mruby raises with longjmp, which is a WebAssembly exception; the limits are those of memory
_RUBY = [
    "-mcpu=generic+exception_handling",
    *("-mllvm", "-wasm-enable-sjlj", "-mllvm", "-wasm-use-legacy-eh=false"),
    *("-DMRB_NO_PRESYM", "-DMRB_STR_LENGTH_MAX=0", "-DMRB_ARY_LENGTH_MAX=0"),
]
_LONGJMP = '__asm__(".globl __c_longjmp\\n.tagtype __c_longjmp i32\\n__c_longjmp:\\n");\n'


def prepare(runtime: Interpreter, installer: Installer) -> Path:
    """Build an interpreter unless it is there, and compile it for this processor.

    Raises:
        ToolMissing: what it is built with may not be installed.
        DownloadFailed, BuildFailed: it cannot be had.
    """
    path = runtime.path
    if runtime.ready:
        return path
    name = runtime.language.name
    installer.allow(runtime.what, runtime.download, f"wasmlrun runtimes install {name}")
    installer.messages.info(f"preparing {runtime.what} for {runtime.language.title}, once …")
    started = time.monotonic()
    installer.root.mkdir(parents=True, exist_ok=True)
    try:
        with exclusive(installer.root / f"{name}.lock", _waiting(installer)):
            if not path.is_file():  # else another process was quicker
                _build(runtime, path, installer)
    except OSError as e:
        raise BuildFailed(f"{runtime.what} cannot be prepared: {e.strerror or e}") from e
    seconds = time.monotonic() - started
    installer.messages.info(
        f"{runtime.what} is ready: {size_text(path.stat().st_size)}, {seconds:.0f} s"
    )
    return path


def _build(runtime: Interpreter, path: Path, installer: Installer) -> None:
    # always the same folder: zig then finds what an attempt before this one compiled
    work = installer.root / f".build-{runtime.language.name}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        made = work / "runtime.wasm"
        BUILDERS[runtime.language.name](work, made, installer)
        made.chmod(0o644)
        _precompile(made)
        path.parent.mkdir(exist_ok=True)
        made.replace(path)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _waiting(installer: Installer) -> Callable[[], None]:
    return lambda: installer.messages.info("waiting for another wasmlrun that prepares it …")


def _source(file: RemoteFile, work: Path, installer: Installer) -> Path:
    """The folder of an unpacked source."""
    from wasmlrun.models.connection import Transfer
    from wasmlrun.models.download import fetch

    with watching(installer.messages) as watcher:
        found = replace(file, address=_address(file))
        fetch(found, work / file.name, Transfer(), watcher)
    with tarfile.open(work / file.name) as archive:
        archive.extractall(work / "source", filter="data")
    (folder,) = (work / "source").iterdir()
    return folder


def _address(file: RemoteFile) -> str:
    """Where a source is fetched: as `sources` is set, the mirror that apt uses, or upstream."""
    chosen = value("sources").text
    if chosen:
        return f"{chosen.rstrip('/')}/{file.name}"
    if shutil.which("apt-get"):
        # any package of the archive tells which mirror this machine is set up for
        asked = subprocess.run(
            ["apt-get", "--print-uris", "download", "hello"],
            capture_output=True,
            text=True,
            check=False,
        )
        mirror = re.match(r"'(\S+/pool/main/)", asked.stdout)
        if mirror is not None:
            package = file.name.partition("_")[0]
            return f"{mirror[1]}{package[0]}/{package}/{file.name}"
    return file.address


def _zig(installer: Installer) -> list[str]:
    from wasmlrun.toolkit.toolchains.zig import zig_command

    return [*zig_command(installer, pinned=True), "cc", *_TARGET]


def _header() -> Path:
    """The folder with wasi_nn.h, the C worker's binding."""
    folder = bundled.sample("c")
    if folder is None:
        raise BuildFailed("the package is incomplete: the sample worker in C is missing")
    return folder


def _javascript(work: Path, made: Path, installer: Installer) -> None:
    folder = _HERE / "javascript"
    source = _source(QUICKJS, work, installer)
    lines = ["#include <stdint.h>"]
    for name in ("wasi_nn", "web"):
        module = (folder / f"{name}.js").read_bytes()
        numbers = ",".join(map(str, module + b"\0"))  # QuickJS wants a zero behind a source
        lines.append(f"const uint8_t {name}_js[] = {{{numbers}}};")
        lines.append(f"const uint32_t {name}_js_size = {len(module)};")
    (work / "modules.c").write_text("\n".join([*lines, ""]))
    parts = [source / f"{n}.c" for n in ("quickjs", "cutils", "libregexp", "libunicode", "dtoa")]
    compile_with(
        [
            *_zig(installer),
            "-D_GNU_SOURCE",
            '-DCONFIG_VERSION="2025-04-26"',
            "-include",
            folder / "compat.h",
            f"-I{source}",
            f"-I{_header()}",
            *parts,
            folder / "main.c",
            work / "modules.c",
            "-o",
            made,
        ],
        work,
    )


def _ruby(work: Path, made: Path, installer: Installer) -> None:
    source = _source(MRUBY, work, installer)
    gems = source / "mrbgems"
    core = sorted((source / "src").glob("*.c"))
    core += [gems / "mruby-compiler" / "core" / name for name in ("codegen.c", "y.tab.c")]
    zig = [*_zig(installer), *_RUBY, f"-I{source / 'include'}", f"-I{source / 'src'}"]
    zig.append(f"-I{gems / 'mruby-time' / 'include'}")
    compiler = gems / "mruby-bin-mrbc" / "tools" / "mrbc"
    (work / "longjmp.c").write_text(_LONGJMP)
    compile_with(
        [
            *zig,
            *core,
            compiler / "mrbc.c",
            compiler / "stub.c",
            work / "longjmp.c",
            "-o",
            work / "mrbc.wasm",
        ],
        work,
    )
    # mruby's own classes first: the gems' C parts need them, and the gems' Ruby parts those
    own = sorted((source / "mrblib").glob("*.rb"))
    later = [rb for gem in GEMS for rb in sorted((gems / f"mruby-{gem}/mrblib").glob("*.rb"))]
    _mrbc(work, "corelib", own)
    ours = [_HERE / "ruby" / f"{name}.rb" for name in ("prelude", "json", "web")]
    _mrbc(work, "prelude", [*later, *ours])
    parts = [c for gem in GEMS for c in sorted((gems / f"mruby-{gem}" / "src").glob("*.c"))]
    text = "\n".join(part.read_text(errors="replace") for part in parts)
    names = [f"mrb_mruby_{gem.replace('-', '_')}_gem_init" for gem in GEMS]
    names = [name for name in names if name in text]
    lines = ["#include <mruby.h>", *(f"void {name}(mrb_state *);" for name in names)]
    lines += ["void mrb_init_gems_in_c(mrb_state *mrb) {", "  int arena = mrb_gc_arena_save(mrb);"]
    lines += [f"  {name}(mrb); mrb_gc_arena_restore(mrb, arena);" for name in names]
    (work / "gems.c").write_text("\n".join([*lines, "}", ""]))
    generated = [work / name for name in ("gems.c", "corelib.c", "prelude.c")]
    compile_with(
        [*zig, f"-I{_header()}", *core, *parts, *generated, _HERE / "ruby" / "main.c", "-o", made],
        work,
    )


def _mrbc(work: Path, symbol: str, sources: list[Path]) -> None:
    """Compile Ruby files to C with mruby's compiler, in the sandbox."""
    from wasmlrun.manifest.grant import Grant
    from wasmlrun.manifest.manifest import Mount
    from wasmlrun.sandbox.worker import Runtime as Engine
    from wasmlrun.sandbox.worker import Worker
    from wasmlrun.support.limits import Limits

    folder = work / symbol
    folder.mkdir()
    names = []
    for number, source in enumerate(sources):
        names.append(f"{number:03d}.rb")
        shutil.copyfile(source, folder / names[-1])
    worker = Worker(Engine(Limits()), work / "mrbc.wasm")
    run = worker.linked(Grant(mounts=(Mount(folder, ".", True),))).run(
        session=None, arguments=[f"-B{symbol}", "-oout.c", *names]
    )
    if run.exit_code != 0:
        raise WorkerFailed(f"mruby's compiler ended with code {run.exit_code}")
    (folder / "out.c").replace(work / f"{symbol}.c")


def _python(work: Path, made: Path, installer: Installer) -> None:
    home = installer.wheel(COMPONENTIZE_PY)
    program = [sys.executable, "-P", "-c", "import componentize_py; componentize_py.script()"]
    interfaces = bundled.wit()
    if interfaces is None:
        raise BuildFailed("the package is incomplete: the interfaces of components are missing")
    compile_with(
        [
            *program,
            "-d",
            interfaces,
            "-w",
            "interpreter",
            "componentize",
            "-p",
            _HERE / "python",
            "app",
            "-o",
            made,
        ],
        work,
        {"PYTHONPATH": str(home)},
    )


BUILDERS = {"javascript": _javascript, "python": _python, "ruby": _ruby}
"""Language -> what makes its interpreter."""


def _precompile(made: Path) -> None:
    """Fill the cache, so that the first picture does not wait for the compiler."""
    from wasmlrun.sandbox.worker import Runtime as Engine
    from wasmlrun.sandbox.worker import Worker
    from wasmlrun.support.cache import Cache
    from wasmlrun.support.limits import Limits
    from wasmlrun.support.userdata import cache_dir

    Worker(Engine(Limits(), Cache(cache_dir())), made)
