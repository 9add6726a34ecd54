"""Each limit: a guest that breaks it ends with exit 5, and one below it does not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import wasmtime
from fuzz.bases import onnx_that_grows
from kit.core_guests import ENDLESS, Call, printing, program, record, u32s
from kit.fakes import FakeEngine
from kit.language import language_model
from kit.models_by_hand import write_colours
from kit.outcome import Outcome

from wasmlrun.engines.pool import EnginePool
from wasmlrun.manifest.grant import Grant
from wasmlrun.manifest.reader import read_manifest
from wasmlrun.sandbox.worker import Runtime, Worker
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.errors import BadManifest, LimitExceeded
from wasmlrun.support.limits import (
    GIB,
    KIB,
    MIB,
    MOST,
    MOST_SECONDS,
    TABLE,
    Limits,
    exceeded,
    lowered,
)
from wasmlrun.wasi_nn.graphs import GraphPool
from wasmlrun.wasi_nn.session import Session

NAME, DIMS, TENSOR, BUILDERS, OUT = 16, 32, 64, 128, 256
LOAD: Call = ("load_by_name", NAME, 1, OUT)
OPEN: Call = ("init_execution_context", 1, OUT)
MEMORY = {
    NAME: b"m",
    DIMS: u32s(1, 4, 4, 3),
    TENSOR: record(DIMS, 4, 1, 1024, 192),
    BUILDERS: u32s(2048, 1000),
}


def growing(pages: int) -> str:
    """Takes so many pages, one after the other, and traps when there is none."""
    return program(
        f"""(local $left i32) (local.set $left (i32.const {pages}))
    (loop $more
      (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
      (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))"""
    )


def calling(*calls: Call, data: Mapping[int, bytes] = MEMORY) -> str:
    """Makes WASI-NN calls, whatever comes of them."""
    imports = "".join(
        f'(import "wasi_ephemeral_nn" "{name}" (func ${name} (param {"i32 " * len(arguments)})'
        " (result i32)))"
        for name, *arguments in {call[0]: call for call in calls}.values()
    )
    lines = "".join(
        f"(drop (call ${name} {' '.join(f'(i32.const {a})' for a in arguments)}))"
        for name, *arguments in calls
    )
    return program(lines, before=imports, data=data)


# a language model is asked for three tokens
TELL = b'{"n-predict": 3, "ignore-eos": true, "ctx-size": 64}'
STORY = {
    NAME: b"m",
    DIMS: u32s(5),
    TENSOR: record(DIMS, 1, 3, 1024, 5),
    1024: b"Hello",
    2048: TELL,
}
NARRATE = calling(
    ("load_by_name_with_config", NAME, 1, 2048, len(TELL), OUT),
    OPEN,
    ("set_input", 2, 0, TENSOR),
    ("compute", 2),
    data=STORY,
)

MANY_INSTANCES = """(component
  (core module $m)
  (core instance (instantiate $m)) (core instance (instantiate $m)) (core instance (instantiate $m))
  (core module $main (func (export "run") (result i32) (i32.const 0)))
  (core instance $i (instantiate $main))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $export (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $export)))"""


@dataclass(frozen=True)
class Case:
    """A guest, a limit that it breaks, and one that it does not."""

    wat: str
    low: float
    high: float
    model: bool = False


CASES = {
    "timeout": Case(ENDLESS, 0.3, 60.0),
    "fuel": Case(printing("x" * 10), 1, 1_000_000),
    "memory": Case(growing(96), 4 * MIB, 16 * MIB),
    "table": Case(program("", before="(table 5000 funcref)"), 4999, 5000),
    "instances": Case(MANY_INSTANCES, 3, 256),
    "memories": Case(program("", before="(memory 0) (memory 0)"), 2, 3),
    "tables": Case(program("", before="(table 1 funcref) (table 1 funcref)"), 1, 2),
    "model_size": Case(calling(("load", BUILDERS, 1, 1, 0, OUT)), 999, 1000),
    "graphs": Case(calling(LOAD, LOAD, LOAD), 2, 3, model=True),
    "contexts": Case(calling(LOAD, OPEN, OPEN, OPEN), 2, 3, model=True),
    "tensor_bytes": Case(calling(LOAD, OPEN, ("set_input", 2, 0, TENSOR)), 191, 192, model=True),
    "tokens": Case(NARRATE, 2, 3),
    "process_memory": Case(calling(LOAD), 600 * MIB, 8 * GIB, model=True),
    "output": Case(printing("x" * 100), 99, 100),
}
# the control of this one has nothing that could be broken: it would never end
ENDS_BY_ITSELF = [name for name in CASES if name != "timeout"]


@pytest.fixture
def worker_of(tmp_path: Path, make_worker: Callable[..., Path]) -> Callable[..., list[str]]:
    """The arguments that run a case's guest, with a line for `[limits]`."""

    def write(name: str, limits: str = "") -> list[str]:
        case = CASES[name]
        manifest = (
            'version = "1"\n[features.wasi_nn]\nallowed_backends = ["openvino", "llama"]\n' + limits
        )
        arguments = [str(make_worker(tmp_path, case.wat, manifest))]
        if name == "process_memory":
            model = tmp_path / "grows.onnx"
            model.write_bytes(onnx_that_grows(1 << 28))
            arguments += ["--model", f"m={model}"]
        elif name == "tokens":
            arguments += ["--model", f"m={language_model()}"]
        elif case.model:
            arguments += ["--model", f"m={write_colours(tmp_path)}"]
        return ["run", *arguments]

    return write


def sentence(name: str, value: float) -> str:
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return f"error: the {name} limit of {shown} "


def test_there_is_a_guest_for_each_limit() -> None:
    assert set(CASES) == set(TABLE)


@pytest.mark.parametrize("name", CASES)
def test_over_the_limit_of_a_flag(
    name: str, worker_of: Callable[..., list[str]], run_cli: Callable[..., Outcome]
) -> None:
    low = CASES[name].low
    outcome = run_cli([*worker_of(name), TABLE[name].flag, str(low)])
    assert (outcome.code, outcome.stderr[: len(sentence(name, low))]) == (5, sentence(name, low))
    hint = f"hint: raise it with {TABLE[name].flag}\n"
    assert hint in outcome.stderr


@pytest.mark.parametrize("name", CASES)
def test_over_the_limit_of_the_manifest(
    name: str, worker_of: Callable[..., list[str]], run_cli: Callable[..., Outcome]
) -> None:
    low = CASES[name].low
    outcome = run_cli(worker_of(name, f"[limits]\n{name} = {low}\n"))
    assert (outcome.code, outcome.stderr[: len(sentence(name, low))]) == (5, sentence(name, low))


@pytest.mark.parametrize("name", ENDS_BY_ITSELF)
def test_a_flag_overrides_the_manifest_and_below_the_limit_all_is_well(
    name: str, worker_of: Callable[..., list[str]], run_cli: Callable[..., Outcome]
) -> None:
    case = CASES[name]
    arguments = worker_of(name, f"[limits]\n{name} = {case.low}\n")
    outcome = run_cli([*arguments, TABLE[name].flag, str(case.high)])
    assert (outcome.code, outcome.stderr) == (0, "")


@pytest.mark.parametrize("name", [n for n in ENDS_BY_ITSELF if getattr(Limits(), n) is not None])
def test_a_manifest_raises_no_limit(
    name: str, worker_of: Callable[..., list[str]], run_cli: Callable[..., Outcome]
) -> None:
    """It comes with the worker; what it wants beyond the default is told and not given."""
    limits = lowered(Limits(), {name: MOST})
    assert limits == Limits()
    outcome = run_cli(worker_of(name, f"[limits]\n{name} = {MOST}\n"))
    most = getattr(Limits(), name)
    if name == "output":  # a program's own output is what it is run for
        assert outcome.stderr == ""
        return
    assert outcome.stderr.startswith(
        f"warning: the manifest asks for {name} = {MOST}; a manifest can only lower limits, "
        f"and it stays at {most}: {TABLE[name].flag} raises it\n"
    )


@pytest.mark.parametrize("value", ["0", "-1", "true", '"1"', "1.5", "nan", "inf", "[1]"])
@pytest.mark.parametrize("name", TABLE)
def test_what_is_no_limit(
    name: str, value: str, tmp_path: Path, make_worker: Callable[..., Path]
) -> None:
    manifest = make_worker(tmp_path, ENDLESS, f'version = "1"\n[limits]\n{name} = {value}\n')
    if (name, value) == ("timeout", "1.5"):
        assert read_manifest(manifest.with_suffix(".toml")).limits == {"timeout": 1.5}
        return
    with pytest.raises(BadManifest, match=rf"limits\.{name} must be a (whole )?number"):
        read_manifest(manifest.with_suffix(".toml"))


@pytest.mark.parametrize("name", TABLE)
def test_a_limit_beyond_all_numbers(
    name: str,
    tmp_path: Path,
    make_worker: Callable[..., Path],
    invoke: Callable[..., Outcome],
) -> None:
    most = "1e+09" if name == "timeout" else "9.0072e+15"
    worker = make_worker(tmp_path, ENDLESS, f'version = "1"\n[limits]\n{name} = {10**30}\n')
    with pytest.raises(BadManifest, match=re.escape(f"limits.{name} must be at most {most}")):
        read_manifest(worker.with_suffix(".toml"))
    assert invoke("run", worker, TABLE[name].flag, str(10**30)).code == 2


@pytest.mark.parametrize("name", ENDS_BY_ITSELF)
def test_the_largest_limit_is_one(
    name: str, worker_of: Callable[..., list[str]], run_cli: Callable[..., Outcome]
) -> None:
    if name == "process_memory":
        pytest.skip("no machine has so much to give")
    outcome = run_cli(
        [*worker_of(name), TABLE[name].flag, str(MOST), "--timeout", str(MOST_SECONDS)]
    )
    assert (outcome.code, outcome.stderr) == (0, "")


def test_the_sentence_names_limit_value_and_flag() -> None:
    error = exceeded("table", 5, "it wants more")
    assert isinstance(error, LimitExceeded)
    assert (error.exit_code, error.limit) == (5, "table")
    assert error.message == "the table limit of 5 elements was reached: it wants more"
    assert error.hint == "raise it with --max-table"


# --- several small things instead of a large one ------------------------------------------------


def run_with(limits: Limits, wat: str, folder: Path) -> int:
    path = folder / "worker.wasm"
    path.write_bytes(wasmtime.wat2wasm(wat))
    session = Session(GraphPool(EnginePool.of(FakeEngine()), Board()), {}, limits=limits)
    linked = Worker(Runtime(limits), path).linked(Grant(nn=True))
    return linked.run(session=session).exit_code


def test_many_memories_meet_the_limit_of_the_process(
    tmp_path: Path, make_worker: Callable[..., Path], run_cli: Callable[..., Outcome]
) -> None:
    """The memory limit is for each of a guest's memories; what all take is bounded as well."""
    numbers = range(12)
    memories = "".join(f"(memory $m{n} 0)" for n in numbers)
    # exits with how many memories it got
    grow = "".join(
        f"(if (i32.eq (memory.grow $m{n} (i32.const 16000)) (i32.const -1))"
        f" (then (call $proc_exit (i32.const {n}))))"
        for n in numbers
    )
    worker = make_worker(tmp_path, program(grow, before=memories))
    arguments = ["run", worker, "--max-process-memory", "4G"]
    assert 0 < run_cli(arguments).code < 8
    assert run_cli([*arguments, "--max-memory", "1M"]).code == 0


def test_a_model_is_measured_before_it_is_copied(tmp_path: Path) -> None:
    """64 builders that all name the same 60 KiB are 3.75 MiB, not 60 KiB."""
    builders = u32s(*(0, 60 * KIB) * 64)
    wat = calling(("load", BUILDERS, 64, 1, 0, OUT), data={BUILDERS: builders})
    with pytest.raises(LimitExceeded, match=re.escape(f"a model of {64 * 60 * KIB} bytes")):
        run_with(Limits(model_size=MIB), wat, tmp_path)
