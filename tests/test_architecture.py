"""Imports point one way, and some things happen in one place only."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import wasmlrun
from wasmlrun.commands import COMMANDS
from wasmlrun.engines import registry

PACKAGE = Path(wasmlrun.__file__).parent
# programs that run inside a guest, against modules that exist only there
GUESTS = PACKAGE / "toolkit" / "interpreters" / "python"
SOURCES = [p for p in sorted(PACKAGE.rglob("*.py")) if GUESTS not in p.parents]

# packages and top modules: what stands higher may import what stands lower, never the other way
LAYERS = [
    "__main__",
    "cli",
    "commands",
    "serve",
    "ray",
    "batch",
    "report",
    "diagnose",
    "figures",
    "api",
    "pipeline",
    "tiny",
    "toolkit",
    "host",
    "trace",
    "sandbox",
    "nn",
    "wasi_nn",
    "models",
    "inference",
    "vision",
    "manifest",
    "testing",
    "engines",
    "wasmtime_c",
    "binary",
    "supervisor",
    "walls",
    "trust",
    "support",
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


def package_of(name: str) -> str:
    return name.partition(".")[0]


def test_every_package_has_its_layer() -> None:
    assert sorted(LAYERS) == sorted({package_of(name) for name in KNOWN if name})


@pytest.mark.parametrize("level", range(len(LAYERS)), ids=LAYERS)
def test_no_package_imports_one_above_it(level: int) -> None:
    above = set(LAYERS[:level])
    for name, targets in IMPORTS.items():
        if package_of(name) == LAYERS[level]:
            assert not {target for target in targets if package_of(target) in above}, name


def test_every_package_says_what_it_is_for() -> None:
    for path in PACKAGE.iterdir():
        if path.is_dir() and any(path.glob("*.py")):
            assert ast.get_docstring(tree(path / "__init__.py")), path.name


def test_the_tests_mirror_the_packages() -> None:
    packages = {name for name in LAYERS if (PACKAGE / name).is_dir()}
    folders = {p.name for p in Path(__file__).parent.iterdir() if any(p.glob("test_*.py"))}
    assert folders - {"fuzz"} <= packages


def test_there_is_no_circle_of_imports() -> None:
    circles = {name for name in KNOWN if name in reachable(name)}
    assert not circles


def test_errors_import_nothing_of_the_package() -> None:
    assert IMPORTS["support.errors"] == set()


ENGINES = sorted(p.parent.name for p in (PACKAGE / "engines").glob("*/__init__.py"))


@pytest.mark.parametrize("engine", ENGINES)
def test_only_its_folder_names_an_engine(engine: str) -> None:
    folder = f"engines.{engine}"
    about = registry.about(engine)
    assert about.name == engine
    own = {name for name in KNOWN if f"{name}.".startswith(f"{folder}.")}
    package = about.module.split(".")[0]
    assert users_of(package) <= own
    for name in set(KNOWN) - own:
        assert not IMPORTS[name] & own, name
        text = KNOWN[name].read_text(encoding="utf-8")
        assert f'find_spec("{package}' not in text, name


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engines_package_is_imported_without_the_engine(engine: str) -> None:
    # it is imported to choose an engine, in every run
    (init,) = (KNOWN[f"engines.{engine}"],)
    at_once = [node for node in tree(init).body if not isinstance(node, ast.FunctionDef)]
    found = set().union(*map(imported, at_once))
    assert {n.split(".")[0] for n in found} <= {"__future__", "wasmlrun"}
    assert {n for n in found if n.startswith("wasmlrun.engines.")} <= {
        "wasmlrun.engines.protocol",
        "wasmlrun.engines.protocol.About",
        "wasmlrun.engines.protocol.Engine",
        "wasmlrun.engines.protocol.Settings",
    }


def test_only_its_own_file_touches_a_guests_memory() -> None:
    # the engines' own C APIs are called with pointers; a guest's memory is not read there
    engines = {
        *(name for name in KNOWN if name.startswith("engines.")),
        "wasmtime_c.capi",
        "wasmtime_c.linker",
        "sandbox.core_wasi",
    }
    pointers = {"data_ptr", "memmove", "string_at", "addressof"}
    touching = {name for name, path in KNOWN.items() if attributes(path) & pointers}
    assert touching - engines == {"wasmtime_c.guest_memory"}
    moving = {name for name, path in KNOWN.items() if "memmove" in attributes(path)}
    assert moving - engines == {"wasmtime_c.guest_memory"}
    asking = {
        name
        for name, path in KNOWN.items()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "memory"
    }
    assert asking == {"wasmtime_c.guest_memory"}
    # what reads it at a guest's word: one binding for each interface
    users = {name for name, path in KNOWN.items() if "GuestMemory" in attributes(path)}
    assert users - {"wasmtime_c.guest_memory"} == {
        "wasi_nn.core",
        "sandbox.http_abi",
        "sandbox.core_streams",
    }


def test_requests_know_nothing_of_wasi_nn() -> None:
    for name in ("sandbox.http_abi", "sandbox.http_requests"):
        assert not {target for target in IMPORTS[name] if package_of(target) == "wasi_nn"}, name


def test_rules_and_engines_never_see_webassembly() -> None:
    for name in users_of("wasmtime"):
        assert package_of(name) not in ("engines", "vision", "manifest", "models"), name
        assert name != "wasi_nn.session"


def test_wasmtimes_package_is_for_components_and_its_library_for_the_rest() -> None:
    # `escapes`, `machine_code` and `adapter` assemble text
    components = {
        "sandbox.component",
        "wasi_nn.component",
        "wasi_nn.adapter",
        "diagnose.escapes",
        "diagnose.machine_code",
    }
    assert users_of("wasmtime") == components
    for name, path in KNOWN.items():
        finds_it = 'find_spec("wasmtime")' in path.read_text(encoding="utf-8")
        assert finds_it == (name == "wasmtime_c.capi"), name
    own = {name for name in KNOWN if package_of(name) == "wasmtime_c"}
    users = {name for name in KNOWN if IMPORTS[name] & own}
    assert users - own == {
        "wasi_nn.core",
        "sandbox.ahead",
        "sandbox.ahead_compiler",
        "sandbox.ahead_trial",
        "sandbox.core",
        "sandbox.core_streams",
        "sandbox.core_wasi",
        "sandbox.http_abi",
        "sandbox.precompile",
    }


def test_only_reports_and_messages_write_to_the_streams() -> None:
    # __main__ answers --help and --version before anything is imported
    allowed = {"support.messages", "__main__"}
    for name, path in KNOWN.items():
        if name in allowed or package_of(name) == "report":
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


def test_docstrings_say_something() -> None:
    short = [
        f"{name}.{getattr(node, 'name', '')}"
        for name, path in KNOWN.items()
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and len((ast.get_docstring(node) or "more than three words").split()) <= 3
    ]
    assert short == []


def test_the_page_says_what_each_package_is_for() -> None:
    page = (PACKAGE.parent / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", page, re.MULTILINE)
    said = {}
    for name in LAYERS:
        package = PACKAGE / name
        path = package / "__init__.py" if package.is_dir() else package.with_suffix(".py")
        purpose = (ast.get_docstring(tree(path)) or "").split("\n\n")[0]
        said[name] = " ".join(purpose.split())
    assert dict(rows) == said
    assert [name for name, _ in rows] == LAYERS


def test_a_command_is_a_file() -> None:
    files = {path.stem for path in (PACKAGE / "commands").glob("*.py")} - {"__init__"}
    assert files - COMMANDS.keys() == {"completion"}  # that one is hidden
    assert COMMANDS.keys() <= files
