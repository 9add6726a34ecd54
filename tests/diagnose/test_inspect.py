"""`wasmlrun inspect`, and what is said about imports that nobody provides."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
import wasmtime
from kit.component_guests import BY_CALLS, BY_LIST, component
from kit.core_guests import At, program, script
from kit.outcome import Outcome

from wasmlrun.binary import component as component_file
from wasmlrun.binary import module
from wasmlrun.binary.component import NotUnderstood
from wasmlrun.diagnose.inspection import ProgramFacts, look_into
from wasmlrun.diagnose.inspection import program as program_facts
from wasmlrun.manifest.grant import Grant
from wasmlrun.manifest.reader import read_manifest
from wasmlrun.sandbox import import_origins
from wasmlrun.sandbox.worker import Runtime, Worker
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.errors import BadWorker
from wasmlrun.support.limits import Limits

Invoke = Callable[..., Outcome]
Make = Callable[..., Path]


def facts(text: str, path: Path = Path("guest.wasm")) -> ProgramFacts:
    return program_facts(path, bytes(wasmtime.wat2wasm(text)))


def importing(*imports: str) -> str:
    """A program that imports functions `module.name` of no arguments."""
    lines = "".join('(import "{}" "{}" (func))'.format(*i.split(".", 1)) for i in imports)
    return f'(module {lines} (memory (export "memory") 1) (func (export "_start")))'


def custom(name: str, content: bytes) -> bytes:
    return component_file.section(0, component_file.string(name) + content)


def producers(**kinds: dict[str, str]) -> bytes:
    """The custom section that toolchains write."""
    content = component_file.leb(len(kinds))
    for kind, values in kinds.items():
        content += component_file.string(kind.replace("_", "-")) + component_file.leb(len(values))
        for name, version in values.items():
            content += component_file.string(name) + component_file.string(version)
    return custom("producers", content)


# --- core modules -------------------------------------------------------------------------------


def test_a_module_is_told_by_worlds() -> None:
    found = facts(script([("load", 0, 0, 0, 0, 0), ("compute", 1)], {}))
    assert found.kind == "core module, a WASI program"
    assert {g.world: list(g.imports) for g in found.groups} == {
        "WASI preview1": [
            "wasi_snapshot_preview1.fd_read",
            "wasi_snapshot_preview1.fd_write",
            "wasi_snapshot_preview1.proc_exit",
        ],
        "WASI-NN": ["wasi_ephemeral_nn.load", "wasi_ephemeral_nn.compute"],
    }
    assert found.missing == []
    assert found.obstacles == []


@pytest.mark.parametrize(
    ("calls", "module", "generation"),
    [
        ([("load", 0, 0, 0, 0, 0)], "wasi_ephemeral_nn", "the ABI of the wasi-nn crate"),
        ([("load", 0, 0, 0, 0)], "wasi_nn", "WAMR's first ABI (12-byte tensors, f32 only)"),
        ([("load", 0, 0, 0, 0, 0)], "wasi_nn", "the ABI of the wasi-nn crate"),
        (
            [("load", 0, 0, 0, 0, 0), ("compute_single", 1)],
            "wasi_ephemeral_nn",
            "with WasmEdge's additions (compute_single)",
        ),
    ],
)
def test_the_generation_of_wasi_nn(
    calls: list[tuple[object, ...]], module: str, generation: str
) -> None:
    found = facts(script(calls, {}, module=module)).wasi_nn
    assert found is not None
    assert found.startswith(module)
    assert found.endswith(generation)


def test_memory_limits_and_exports() -> None:
    (memory,) = facts('(module (memory (export "memory") 2 16) (func (export "_start")))').memories
    assert (memory.minimum, memory.maximum, memory.shared) == (2 * 65536, 16 * 65536, False)
    imported = facts('(module (import "env" "memory" (memory 1 4 shared)))')
    (memory,) = imported.memories
    assert (memory.imported, memory.shared, memory.maximum) == (True, True, 4 * 65536)
    assert imported.missing == ["env.memory"]
    (large,) = facts("(module (memory i64 1 0x100000000))").memories
    assert large.maximum == 0x100000000 * 65536


def test_producers_are_shown_and_a_malformed_section_is_not() -> None:
    code = bytes(wasmtime.wat2wasm(importing()))
    own = producers(language={"Rust": ""}, processed_by={"rustc": "1.85", "clang": "19"})
    found = program_facts(Path("guest.wasm"), code + own)
    assert found.producers == {"language": ["Rust"], "processed-by": ["rustc 1.85", "clang 19"]}
    odd = program_facts(Path("guest.wasm"), code + custom("producers", b"\xff\xff\xff"))
    assert odd.producers == {}


def test_what_is_no_program_says_so() -> None:
    library = facts('(module (func (export "_initialize")) (memory (export "memory") 1))')
    assert library.kind == "core module"
    assert "no _start function (it is a library: a WASI reactor)" in library.obstacles[0]
    hidden = facts('(module (memory 1) (func (export "_start")))')
    assert hidden.obstacles == ['it exports no memory under the name "memory"']


def test_types_of_newer_proposals_do_not_stop_it() -> None:
    found = facts(
        """(module (type $s (struct (field i32))) (type $f (func (param (ref null $s))))
          (import "env" "g" (global (ref null $s))) (import "env" "t" (table 1 (ref null func)))
          (import "env" "x" (tag)) (import "env" "f" (func (type $f))))"""
    )
    assert [name.partition(".")[2] for name in found.missing] == ["g", "t", "x", "f"]


def test_what_is_cut_short_is_a_sentence_at_every_length(tmp_path: Path) -> None:
    whole = bytes(wasmtime.wat2wasm(script([("compute", 1)], {0: b"x"})))
    path = tmp_path / "cut.wasm"
    for size in range(8, len(whole)):
        path.write_bytes(whole[:size])
        # a cut between two sections leaves a file that is whole
        with suppress(BadWorker):
            look_into(path, Board())
    path.write_bytes(whole[:-1])
    with pytest.raises(BadWorker, match="is WebAssembly that cannot be read: cut short"):
        look_into(path, Board())


def test_components_within_components_without_end_are_refused() -> None:
    code = component_file.MAGIC
    for _ in range(2000):
        code = component_file.MAGIC + component_file.section(4, code)
    with pytest.raises(NotUnderstood, match="without end"):
        module.read(code)


def test_no_change_of_a_few_bytes_breaks_it() -> None:
    random = Random(1)
    for text in (script([("compute", 1)], {0: b"x"}), component("(i32.const 0)", BY_LIST[0])):
        whole = bytes(wasmtime.wat2wasm(text)) + producers(language={"C": "17"})
        for _ in range(3000):
            odd = bytearray(whole)
            for _ in range(random.randint(1, 4)):
                odd[random.randrange(8, len(odd))] = random.choice([0, 1, 127, 128, 255])
            with suppress(NotUnderstood):
                module.read(bytes(odd))


def test_numbers_that_never_end_are_refused() -> None:
    with pytest.raises(NotUnderstood):
        module.read(module.CORE + b"\x05\x0d\x01\x00" + b"\xff" * 11)


# --- what nobody provides ---------------------------------------------------------------------

FOREIGN = {
    "wasi_unstable.fd_write": ("WASI preview0", "before WASI was settled"),
    "env.emscripten_memcpy_big": ("JavaScript, by Emscripten", "-sSTANDALONE_WASM"),
    "env.my_function": ("functions nobody linked", "link the library"),
    "env.abort": ("AssemblyScript's own host", "--use abort="),
    "wasmedge_tensorflowlite.wasmedge_tensorflowlite_run_session": (
        "WasmEdge's extensions",
        "use WASI-NN",
    ),
    "wasmedge_process.wasmedge_process_run": ("WasmEdge's extensions", "without that plug-in"),
    "wasi_snapshot_preview1.sock_open": ("WasmEdge's sockets", "no sockets"),
    "wasi_snapshot_preview1.fd_teleport": ("WASI preview1", "no host knows this function"),
    "wasi_ephemeral_nn.train": ("WASI-NN", "WASI-NN has no such function"),
    "wasi.thread-spawn": ("wasi-threads", "without -pthread"),
    "wasix_32v1.proc_fork": ("WASIX", "built for Wasmer alone"),
    "wbg.__wbg_log_1": ("a browser, by wasm-bindgen", "--target wasm32-wasip1"),
    "gojs.runtime.wasmExit": ("a browser, by Go", "GOOS=wasip1"),
    "wasi_ephemeral_crypto_common.options_open": ("a WASI proposal", "not provided here"),
    "wasi:cli/stdout@0.2.0.get-stdout": ("a component's inside", "wasm-tools component new"),
    "acme.do": ("a host of its own (acme)", "no host of WASI and WASI-NN has a module acme"),
}


REQUEST = """(module (import "http" "send-http-request" (func (param @)))
  (memory (export "memory") 1) (func (export "_start")))"""


@pytest.mark.parametrize(("arguments", "here"), [(11, True), (2, False)])
def test_requests_of_wws_are_named(
    arguments: int, here: bool, tmp_path: Path, make_worker: Make, invoke: Invoke
) -> None:
    text = REQUEST.replace("@", "i32 " * arguments)
    said = invoke("inspect", make_worker(tmp_path, text)).stdout
    assert "imports\tWasm Workers Server's requests: http.send-http-request\n" in said
    assert ("runs here\tyes\n" in said) == here
    assert ("of Wasm Workers Server (wws) there is send-http-request with eleven" in said) != here


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_import_is_told_with_its_world_and_remedy(
    name: str, tmp_path: Path, make_worker: Make
) -> None:
    world, remedy = FOREIGN[name]
    (group,) = facts(importing(name)).groups
    assert (group.world, list(group.missing)) == (world, [name])
    assert remedy in (group.remedy or "")
    # and before it is run
    path = make_worker(tmp_path, importing(name))
    with pytest.raises(BadWorker) as refused:
        Worker(Runtime(Limits()), path).linked(Grant(nn=True))
    assert refused.value.message == (
        f"worker {path} imports what nobody provides here: {name} (0 arguments) (from {world})"
    )
    assert remedy in (refused.value.hint or "")


def test_several_foreign_imports_have_each_remedy_once(tmp_path: Path, make_worker: Make) -> None:
    path = make_worker(tmp_path, importing("env.a", "env.b", "wasi_unstable.fd_write", "env.c"))
    with pytest.raises(BadWorker) as refused:
        Worker(Runtime(Limits()), path).linked(Grant(nn=True))
    assert "env.a (0 arguments), env.b (0 arguments)" in refused.value.message
    assert "and 1 more (from functions nobody linked, WASI preview0)" in refused.value.message
    assert (refused.value.hint or "").count("link the library") == 1


def test_another_hosts_arguments_are_no_link_error(tmp_path: Path, make_worker: Make) -> None:
    """WasmEdge's sock_accept has one argument less than WASI's."""
    text = importing().replace(
        "(memory",
        '(import "wasi_snapshot_preview1" "sock_accept" (func (param i32 i32) (result i32))) '
        "(memory",
    )
    path = make_worker(tmp_path, text)
    with pytest.raises(BadWorker) as refused:
        Worker(Runtime(Limits()), path).linked(Grant())
    assert "imports wasi_snapshot_preview1.sock_accept with other arguments" in str(refused.value)
    assert "without the parts that open connections" in (refused.value.hint or "")


def test_the_known_functions_of_preview1_are_those_of_the_engine() -> None:
    engine = wasmtime.Engine()
    linker, store = wasmtime.Linker(engine), wasmtime.Store(engine)
    linker.define_wasi()
    for name in import_origins.PREVIEW1_FUNCTIONS:
        assert linker.get(store, import_origins.PREVIEW1, name) is not None
    assert len(import_origins.PREVIEW1_FUNCTIONS) == 46  # those of the specification


@pytest.mark.parametrize(
    ("name", "world", "remedy"),
    [
        ("wasi:http/types@0.2.0", "wasi:http", "a component can send no requests"),
        ("wasi:nn/graph@0.2.0-rc-2023-10-18", "wasi:nn 0.2.0-rc-2023-10-18", "in the versions"),
        ("wasi:cli/stdout@0.3.0", "WASI 0.3", "build for WASI 0.2"),
        ("wasi:cli/stdout@0.2.0-rc-2023-12-05", "WASI 0.2", "without previews"),
        ("wasi:keyvalue/store@0.2.0", "wasi:keyvalue", "no part of WASI 0.2"),
        ("acme:cool/thing@1.0.0", "acme:cool", "wac or wasm-tools compose"),
    ],
)
def test_a_components_foreign_import(name: str, world: str, remedy: str, tmp_path: Path) -> None:
    text = component("(i32.const 0)", None, extra=f'(import "{name}" (instance))')
    found = facts(text)
    (group,) = (g for g in found.groups if g.missing)
    assert (group.world, list(group.missing)) == (world, [name])
    assert remedy in (group.remedy or "")
    path = tmp_path / "guest.wasm"
    path.write_bytes(wasmtime.wat2wasm(text))
    with pytest.raises(BadWorker) as refused:
        Worker(Runtime(Limits()), path)
    assert name in refused.value.message
    assert remedy in (refused.value.hint or "")


# --- components ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [*BY_CALLS, *BY_LIST])
def test_a_component_and_its_version_of_wasi_nn(version: str) -> None:
    found = facts(component("(i32.const 0)", version))
    assert found.kind.startswith("component of 2 core module(s)")
    assert found.wasi_nn == f"wasi:nn {version}"
    assert found.missing == []
    assert found.obstacles == []
    assert {group.world for group in found.groups} == {f"wasi:nn {version}", "WASI 0.2"}
    assert [memory.minimum for memory in found.memories] == [4 * 65536]
    assert found.exports == ["wasi:cli/run@0.2.0"]


def test_a_component_that_is_no_program_says_so() -> None:
    found = facts("(component)")
    assert found.obstacles[0].startswith("it exports no wasi:cli/run of WASI 0.2")


# --- manifests and models -----------------------------------------------------------------------

MANIFEST = """
name = "w"
version = "1"
[vars]
LANGUAGE = "$INSPECTED_LANGUAGE"
TOKEN = "$INSPECTED_TOKEN"
FIXED = "costs $5 or so"
[features.wasi_nn]
allowed_backends = ["openvino"]
[[folders]]
from = "./data"
to = "/data"
"""


def test_a_manifest_and_the_variables_it_asks_for(
    tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSPECTED_TOKEN", "a secret")
    (tmp_path / "data").mkdir()
    path = tmp_path / "w.toml"
    path.write_text(MANIFEST)
    done = invoke("inspect", path, "--json")
    assert done.code == 0
    record = json.loads(done.stdout)
    assert record["kind"] == "manifest"
    assert record["variables"] == {
        "LANGUAGE": {"from_host": "INSPECTED_LANGUAGE", "set": False},
        "TOKEN": {"from_host": "INSPECTED_TOKEN", "set": True},
    }
    assert record["folders"] == [{"from": str(tmp_path / "data"), "to": "/data", "writable": False}]
    assert record["worker"] is None
    plain = invoke("inspect", path).stdout
    assert "variable\tLANGUAGE from the host's $INSPECTED_LANGUAGE (not set, so empty)" in plain
    assert "a secret" not in plain + done.stdout


def test_tables_that_serve_alone_obeys_are_told_as_that(tmp_path: Path, invoke: Invoke) -> None:
    path = tmp_path / "w.toml"
    tables = '[data.kv]\nnamespace = "n"\n[features.http_requests]\nallowed_hosts = ["a.org"]\n'
    path.write_text(f'version = "1"\n{tables}')
    record = json.loads(invoke("inspect", path, "--json").stdout)
    assert record["only_for_serve"] == ["data", "features.http_requests"]
    plain = invoke("inspect", path).stdout
    assert "only for\tserve: [data]\nonly for\tserve: [features.http_requests]\n" in plain


def test_a_model(colours: Path, invoke: Invoke) -> None:
    record = json.loads(invoke("inspect", colours, "--json").stdout)
    assert record["kind"] == "model"
    assert record["format"] == "openvino"
    assert record["inputs"][0]["shape"] == [1, 4, 4, 3]
    suggested = tomllib.loads(record["suggested_manifest"])
    assert suggested["classify"]["size"] == 4
    assert suggested["classify"]["layout"] == "NHWC"


# --- the command --------------------------------------------------------------------------------

KEYS = {
    "schema", "file", "kind", "size", "runs_here", "obstacles", "wasi_nn", "imports", "missing",
    "memories", "producers", "exports", "suggested_manifest",
}  # fmt: skip


def test_the_keys_of_the_json(tmp_path: Path, make_worker: Make, invoke: Invoke) -> None:
    path = make_worker(tmp_path, importing("env.f"))
    record: dict[str, Any] = json.loads(invoke("inspect", path, "--json").stdout)
    assert record.keys() == KEYS
    assert record["runs_here"] is False
    assert record["missing"] == ["env.f"]
    (group,) = record["imports"]
    assert group.keys() == {"world", "names", "missing", "remedy"}


def test_the_lines_say_the_same(tmp_path: Path, make_worker: Make, invoke: Invoke) -> None:
    path = make_worker(tmp_path, importing("env.f"))
    lines = [line.split("\t") for line in invoke("inspect", path).stdout.splitlines()]
    told = dict(reversed(lines))
    assert told["kind"] == "core module, a WASI program"
    assert told["runs here"] == "no"
    assert told["missing"].startswith("env.f – ")
    assert told["memory"] == "65.5 kB at the start, no limit of its own"


@pytest.mark.parametrize(
    "text",
    [
        program("", before=""),
        script([("load_by_name", 0, 0, 0), ("init_execution_context", At(0), 0)], {}),
        component("(i32.const 0)", BY_LIST[0]),
    ],
)
def test_the_suggested_manifest_is_one(text: str, tmp_path: Path, invoke: Invoke) -> None:
    path = tmp_path / 'odd "name".wasm'
    path.write_bytes(wasmtime.wat2wasm(text))
    done = invoke("inspect", path, "--manifest")
    manifest = path.with_suffix(".toml")
    manifest.write_text(done.stdout)
    assert read_manifest(manifest).nn.enabled == ("nn" in text)
    # and with every comment that is a setting
    (tmp_path / "data").mkdir()
    (tmp_path / "models" / "NAME").mkdir(parents=True)
    (tmp_path / "labels.txt").write_text("one\n")
    settings = [
        line.removeprefix("# ")
        for line in done.stdout.splitlines()
        if not line.startswith("# ") or "=" in line.split("#")[1][:30] or "[[" in line
    ]
    manifest.write_text("\n".join(line for line in settings if "writable" not in line))
    read_manifest(manifest)


def test_a_wws_worker_gets_its_protocol() -> None:
    text = script([("compute", 1)], {0: b"kv headers method status"})
    assert 'protocol = "wws"' in facts(text).suggestion
    assert 'protocol = "tensor"' in facts(script([("compute", 1)], {})).suggestion


@pytest.mark.parametrize("content", [None, b"", b"nothing known", b"\0asm\x07\0\0\0"])
def test_what_cannot_be_inspected_is_a_sentence(
    content: bytes | None, tmp_path: Path, invoke: Invoke
) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    done = invoke("inspect", path)
    assert done.code in (2, 3)
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    as_json = json.loads(invoke("inspect", path, "--json").stdout)
    assert as_json["error"]["message"]
