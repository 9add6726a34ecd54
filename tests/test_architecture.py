"""Imports point one way, and some things happen in one place only."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

import wasmlrun

PACKAGE = Path(wasmlrun.__file__).parent
# programs that run inside a guest are no part of the host's package
SOURCES = [p for p in sorted(PACKAGE.rglob("*.py")) if "runtimes" not in p.parts]

# what stands higher may import what stands lower, never the other way round
LAYERS = [
    {"cli"},
    {"commands.classify", "commands.run"},
    {"classify", "run"},
    {"worker", "plan", "report", "protocols.tensor", "protocols.wws"},
    {"nn", "nn_component"},
    {"session", "wasm", "wasm.wasi"},
    {"backends", "wasi"},
    {"modelfile", "manifest", "labels"},
    {"tensor"},
    {"errors"},
]


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imported(node: ast.AST) -> set[str]:
    """Full names of what is imported anywhere below a node, inside functions too."""
    found: set[str] = set()
    if for_types_only(node):
        return found
    if isinstance(node, ast.Import):
        found.update(alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        found.add(node.module)
        found.update(f"{node.module}.{alias.name}" for alias in node.names)
    for child in ast.iter_child_nodes(node):
        found |= imported(child)
    return found


KNOWN = {module_name(path): path for path in SOURCES}
IMPORTS = {
    name: {
        target.removeprefix("wasmlrun.")
        for target in imported(tree(path))
        if target.removeprefix("wasmlrun.") in KNOWN and target.startswith("wasmlrun.")
    }
    - {name}
    for name, path in KNOWN.items()
}


def reachable(name: str) -> set[str]:
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        for target in IMPORTS[waiting.pop()]:
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return seen


def users_of(*packages: str) -> set[str]:
    """Modules that import one of these packages."""
    return {
        name
        for name, path in KNOWN.items()
        if any(target.split(".")[0] in packages for target in imported(tree(path)))
    }


def attributes(path: Path) -> set[str]:
    """Every attribute and name that a file mentions."""
    nodes = list(ast.walk(tree(path)))
    found = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return found | {node.id for node in nodes if isinstance(node, ast.Name)}


def test_the_modules_of_the_layers_exist() -> None:
    assert set().union(*LAYERS) <= set(KNOWN)


@pytest.mark.parametrize("level", range(len(LAYERS)))
def test_no_layer_imports_one_above_it(level: int) -> None:
    above = set().union(*LAYERS[:level])
    for name in LAYERS[level]:
        assert not reachable(name) & above


def test_there_is_no_circle_of_imports() -> None:
    circles = {name for name in KNOWN if name in reachable(name)}
    assert not circles


def test_errors_import_nothing_of_the_package() -> None:
    assert IMPORTS["errors"] == set()


def test_only_its_backend_imports_openvino() -> None:
    assert users_of("openvino") == set()
    for name, path in KNOWN.items():
        finds_it = 'find_spec("openvino")' in path.read_text(encoding="utf-8")
        assert finds_it == (name == "backends.openvino.capi"), name


def test_only_commands_and_inspections_choose_an_engine() -> None:
    engine = {"backends.openvino", "backends.openvino.backend", "backends.openvino.capi"}
    for name in set(KNOWN) - engine:
        if IMPORTS[name] & engine:
            # these look at the installation itself, or run hostile guests against the real thing
            looking = ("inspection", "doctor", "escapes")
            assert name.startswith("commands.") or name in looking, name


def test_only_the_bindings_touch_a_guests_memory() -> None:
    # the engines' own C APIs are called with pointers; a guest's memory is not read there
    engines = {"backends.openvino.backend", "wasm.capi", "wasm.linker", "wasm.wasi"}
    pointers = {"data_ptr", "memmove", "string_at", "addressof"}
    touching = {name for name, path in KNOWN.items() if attributes(path) & pointers}
    assert touching - engines == {"nn"}
    assert {name for name, path in KNOWN.items() if "memmove" in attributes(path)} == {"nn"}
    asking = {
        name
        for name, path in KNOWN.items()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "memory"
    }
    assert asking == {"nn"}


def test_rules_and_engines_never_see_webassembly() -> None:
    for name in ("session", "backends", "backends.openvino.backend", "labels", "preprocess"):
        assert name not in users_of("wasmtime")


def test_wasmtimes_package_is_for_components_and_its_library_for_the_rest() -> None:
    # `escapes` and `adapter` assemble text
    components = {"worker_component", "nn_component", "adapter", "escapes"}
    assert users_of("wasmtime") == components
    for name, path in KNOWN.items():
        finds_it = 'find_spec("wasmtime")' in path.read_text(encoding="utf-8")
        assert finds_it == (name == "wasm.capi"), name
    own = {name for name in KNOWN if name.partition(".")[0] == "wasm"}
    users = {name for name in KNOWN if IMPORTS[name] & own}
    assert users - own == {"nn", "worker_core", "precompile"}


def test_only_reports_and_messages_write_to_the_streams() -> None:
    # __main__ answers --help and --version before anything is imported
    allowed = {"messages", "__main__"}
    for name, path in KNOWN.items():
        if name in allowed or name.startswith("report"):
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("print", "click.echo", "click.secho"), name
                assert not called.startswith(("sys.stdout.write", "sys.stderr.write")), name
                assert "stdout.buffer.write" not in called, name


def test_the_environment_is_not_read_when_a_module_is_imported() -> None:
    for name, path in KNOWN.items():
        for node in tree(path).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)):
                continue
            assert "os.environ[" not in ast.unparse(node), name
            assert "os.getenv" not in ast.unparse(node), name
