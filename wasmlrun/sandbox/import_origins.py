"""Which world an import comes from, whether it is provided here, and what to do if it is not.

A guest names what it needs of its host; the names tell what host it was built for. The table
of remedies is for people whose program wants what no sandbox like this has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from wasmlrun import nn
from wasmlrun.wasi_nn import adapter

PREVIEW1 = "wasi_snapshot_preview1"

_PREVIEW1_NAMES = """
    args_get args_sizes_get clock_res_get clock_time_get environ_get environ_sizes_get fd_advise
    fd_allocate fd_close fd_datasync fd_fdstat_get fd_fdstat_set_flags fd_fdstat_set_rights
    fd_filestat_get fd_filestat_set_size fd_filestat_set_times fd_pread fd_prestat_dir_name
    fd_prestat_get fd_pwrite fd_read fd_readdir fd_renumber fd_seek fd_sync fd_tell fd_write
    path_create_directory path_filestat_get path_filestat_set_times path_link path_open
    path_readlink path_remove_directory path_rename path_symlink path_unlink_file poll_oneoff
    proc_exit proc_raise random_get sched_yield sock_accept sock_recv sock_send sock_shutdown
    """
PREVIEW1_FUNCTIONS = frozenset(_PREVIEW1_NAMES.split())

_WASMEDGE_NAMES = """
    load_by_name_with_config compute_single get_output_single fini_single unload
    finalize_execution_context
    """
WASMEDGE_NN = frozenset(_WASMEDGE_NAMES.split())
"""What WasmEdge added to WASI-NN's core ABI."""

WASI_02 = re.compile(
    r"wasi:("
    r"cli/(environment|exit|stdin|stdout|stderr|terminal-(input|output|stdin|stdout|stderr))"
    r"|clocks/(monotonic-clock|wall-clock)"
    r"|filesystem/(types|preopens)"
    r"|io/(error|poll|streams)"
    r"|random/(random|insecure|insecure-seed)"
    r"|sockets/(network|instance-network|tcp|tcp-create-socket|udp|udp-create-socket"
    r"|ip-name-lookup)"
    r")@0\.2\.\d+"
)
"""Interfaces of WASI 0.2 that the engine provides; sockets without any network behind them."""

EXIT = "wasmlrun:worker/exit"
"""The interface through which an interpreter says what number its script ended with."""

_PLAIN_WASI = "build it for plain WASI, target wasm32-wasip1"

# a pattern of `module.function`, the world's name, what to do
_CORE_WORLDS: tuple[tuple[str, str, str], ...] = (
    (
        PREVIEW1 + r"\.sock_.*",
        "WasmEdge's sockets",
        "a worker has no sockets: build it without the parts that open connections",
    ),
    (PREVIEW1 + r"\..*", "WASI preview1", f"no host knows this function; {_PLAIN_WASI}"),
    (
        r"wasi_(ephemeral_)?nn\..*",
        "WASI-NN",
        "WASI-NN has no such function with so many arguments; provided are "
        "load, load_by_name, init_execution_context, set_input, compute and get_output, "
        "and WasmEdge's additions",
    ),
    (
        r"http\.send-http-request",
        "Wasm Workers Server's requests",
        "of Wasm Workers Server (wws) there is send-http-request with eleven arguments, as its "
        "kits call it",
    ),
    (
        r"wasi_unstable\..*",
        "WASI preview0",
        "it was built before WASI was settled in 2020: build it with a compiler of today "
        "(target wasm32-wasip1)",
    ),
    (
        r"wasi\.thread-spawn",
        "wasi-threads",
        "threads are not supported: build it without -pthread, target wasm32-wasip1",
    ),
    (r"wasix_.*", "WASIX", f"it was built for Wasmer alone; {_PLAIN_WASI}"),
    (
        r"wasmedge_(tensorflow|tensorflowlite|image).*|wasmedge_wasi_nn.*",
        "WasmEdge's extensions",
        "these functions exist in WasmEdge alone: use WASI-NN (crate wasmedge-wasi-nn or "
        "wasi-nn) for the model, and decode pictures in the program",
    ),
    (
        r"wasmedge_.*",
        "WasmEdge's extensions",
        "these functions exist in WasmEdge alone: build the program without that plug-in",
    ),
    (
        r"(__wbindgen_.*|wbg)\..*",
        "a browser, by wasm-bindgen",
        "it was built for JavaScript: build it as a program, with cargo build "
        "--target wasm32-wasip1",
    ),
    (
        r"(go|gojs)\..*",
        "a browser, by Go",
        "it was built for JavaScript: build it with GOOS=wasip1 GOARCH=wasm",
    ),
    (
        r"env\.abort|~lib/.*",
        "AssemblyScript's own host",
        "build it with --use abort= and without imports of your own, "
        "or with the WASI shim (@assemblyscript/wasi-shim)",
    ),
    (
        r"env\.memory",
        "a host that lends memory",
        "its memory is to come from outside, as with threads: build it without -pthread and "
        "--import-memory",
    ),
    (
        r"env\.(emscripten_.*|_?_?syscall.*|invoke_.*|_emscripten_.*|__cxa_.*|_embind_.*)",
        "JavaScript, by Emscripten",
        "build it with wasi-sdk, or with emcc -sSTANDALONE_WASM -sPURE_WASI",
    ),
    (
        r"env\..*",
        "functions nobody linked",
        "they were undefined when it was linked: link the library that has them, or for "
        "Emscripten build with -sSTANDALONE_WASM",
    ),
    (r"wasi_ephemeral_.*|wasi_.*", "a WASI proposal", f"it is not provided here; {_PLAIN_WASI}"),
    (
        r"(wasi|canon|cm32p2|\[).*[:|].*|\[.*",
        "a component's inside",
        "it is the core of a component: make it one with wasm-tools component new",
    ),
)


@dataclass(frozen=True, slots=True)
class World:
    """Where an import comes from."""

    name: str
    remedy: str
    """What to do if nobody provides it."""


def of_core(module: str, name: str) -> World:
    """The world of a core module's import."""
    for pattern, title, remedy in _CORE_WORLDS:
        if re.fullmatch(pattern, f"{module}.{name}"):
            if title.startswith("WasmEdge's sockets") and name in PREVIEW1_FUNCTIONS:
                continue
            return World(title, remedy)
    return World(
        f"a host of its own ({module})",
        f"no host of WASI and WASI-NN has a module {module}: {_PLAIN_WASI}",
    )


def core_provides(module: str, name: str, arity: int | None) -> bool:
    """Whether a core module's function is provided here, WASI-NN granted."""
    if module in nn.MODULES:
        return arity is not None and nn.provides(name, arity)
    if module == "http":
        from wasmlrun.sandbox import http_abi  # only here: few ask for it

        return (name, arity) == (http_abi.NAME, http_abi.ARITY)
    return module == PREVIEW1 and name in PREVIEW1_FUNCTIONS


def of_component(name: str) -> World:
    """The world of a component's import."""
    interface, _, version = name.partition("@")
    if interface.startswith("wasi:nn/"):
        return World(
            f"wasi:nn {version}".strip(),
            f"wasi:nn is provided in the versions {', '.join(adapter.VERSIONS)}",
        )
    if interface.startswith("wasi:http/"):
        return World(
            "wasi:http",
            "a component can send no requests; build it without HTTP "
            "(componentize-js: --disable http --disable fetch-event)",
        )
    if interface.startswith("wasi:"):
        if version.startswith("0.3"):
            return World(
                "WASI 0.3", "WASI 0.3 is not supported; build for WASI 0.2, target wasm32-wasip2"
            )
        if re.match(r"wasi:(cli|clocks|filesystem|io|random|sockets)/", interface):
            return World(
                "WASI 0.2" if version.startswith("0.2") else f"WASI {version}",
                "provided is WASI 0.2.0 and later, without previews: "
                "build it with a toolchain of today, target wasm32-wasip2",
            )
        package = interface.partition("/")[0]
        return World(
            package,
            f"{package} is no part of WASI 0.2 and not provided; build it without",
        )
    return World(
        interface.partition("/")[0] or name,
        f"{name} comes from no standard: provided are WASI 0.2 (wasi:cli, clocks, filesystem, "
        f"io, random, sockets) and wasi:nn; link the component that has it with wac or "
        "wasm-tools compose",
    )


def component_provides(name: str) -> bool:
    """Whether a component's import is provided here, WASI-NN granted."""
    return name == EXIT or adapter.provides(name) or WASI_02.fullmatch(name) is not None


def remedies(worlds: Iterable[World]) -> str:
    """What to do about all of these, each said once."""
    return "; ".join(dict.fromkeys(world.remedy for world in worlds))
