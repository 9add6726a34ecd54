"""Guests run in a sandbox: what they get, how they end, and what is said about it."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kit.core_guests import ENDLESS, EXIT_7, printing, program
from kit.fakes import FakeEngine
from kit.wasi_guests import BADF, CAT, NN_GUEST, NOTCAPABLE, PERM, opening, strings

from wasmlrun import wasmtime_c
from wasmlrun.engines.pool import EnginePool
from wasmlrun.manifest.grant import Grant
from wasmlrun.manifest.manifest import Mount
from wasmlrun.sandbox.clock import Clock
from wasmlrun.sandbox.outcome import GuestRun
from wasmlrun.sandbox.worker import Runtime, Worker
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.errors import BadWorker, LimitExceeded, WasmlrunError, WorkerFailed
from wasmlrun.support.limits import Limits
from wasmlrun.wasi_nn.graphs import GraphPool
from wasmlrun.wasi_nn.session import Session


@pytest.fixture(params=[False, True], ids=["once", "many"])
def run(
    request: pytest.FixtureRequest, tmp_path: Path, make_worker: Callable[..., Path]
) -> Callable[..., GuestRun]:
    # a guest does not notice whether it is one of thousands
    def run_guest(
        wat: str,
        *,
        mounts: tuple[Mount, ...] = (),
        environ: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        timeout: float = 60,
        **how: object,
    ) -> GuestRun:
        granted = Grant(mounts, environ or {})
        path = make_worker(tmp_path / "guest", wat)
        runtime = Runtime(limits or Limits(), many=request.param)
        linked = Worker(runtime, path).linked(granted)
        return linked.run(session=None, clock=Clock.after(timeout), **how)  # type: ignore[arg-type]

    return run_guest


def refusal(call: Callable[..., object], *arguments: object, **how: object) -> WasmlrunError:
    with pytest.raises(WasmlrunError) as caught:
        call(*arguments, **how)
    return caught.value


# --- what a guest gets --------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 4096, 1_000_000])
def test_standard_input_arrives_whole_and_standard_output_is_kept(
    run: Callable[..., GuestRun], size: int
) -> None:
    data = bytes(n % 251 for n in range(size))
    result = run(CAT, stdin=data)
    assert result.stdout == data
    assert (result.exit_code, result.output, result.failure) == (0, None, None)


def test_arguments_are_its_own_name_and_what_is_given(run: Callable[..., GuestRun]) -> None:
    result = run(strings("args"), arguments=["one", "zwölf", ""])
    assert result.stdout == "worker.wasm\0one\0zwölf\0\0".encode()


def test_the_environment_is_only_what_is_granted(
    run: Callable[..., GuestRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "of the host")
    assert run(strings("environ")).stdout == b""
    assert run(strings("environ"), environ={"A": "1"}).stdout == b"A=1\0"


def test_standard_error_is_kept_apart(run: Callable[..., GuestRun]) -> None:
    chatter: list[bytes] = []
    result = run(printing("oh dear\n", descriptor=2), stderr=chatter.append)
    assert (result.stdout, b"".join(chatter)) == (b"", b"oh dear\n")


def test_every_run_is_a_fresh_instance(tmp_path: Path, make_worker: Callable[..., Path]) -> None:
    # exits with the number of times that it was started
    counting = program(
        """(i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
        (call $proc_exit (i32.load (i32.const 0)))"""
    )
    linked = Worker(Runtime(Limits()), make_worker(tmp_path, counting)).linked(Grant())
    assert [linked.run(session=None).exit_code for _ in range(2)] == [1, 1]


def test_folders_are_read_only_unless_they_are_writable(
    run: Callable[..., GuestRun], tmp_path: Path
) -> None:
    folder = tmp_path / "mounted"
    folder.mkdir()
    (folder / "there").write_text("x")
    read_only, writable = Mount(folder, "/m"), Mount(folder, "/m", writable=True)
    assert run(opening("there"), mounts=(read_only,)).exit_code == 0
    assert run(opening("new", create=True), mounts=(read_only,)).exit_code in (PERM, NOTCAPABLE)
    assert not (folder / "new").exists()
    assert run(opening("new", create=True), mounts=(writable,)).exit_code == 0
    assert (folder / "new").exists()


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "link"])
def test_there_is_no_way_out_of_a_mounted_folder(
    run: Callable[..., GuestRun], tmp_path: Path, path: str
) -> None:
    folder = tmp_path / "mounted"
    folder.mkdir()
    (tmp_path / "outside").write_text("x")
    (folder / "link").symlink_to(tmp_path / "outside")
    mount = Mount(folder, "/m", writable=True)
    assert run(opening(path), mounts=(mount,)).exit_code in (PERM, NOTCAPABLE)


def test_without_a_mount_there_are_no_files(run: Callable[..., GuestRun]) -> None:
    assert run(opening("etc/passwd")).exit_code == BADF


# --- how a guest ends ---------------------------------------------------------------------------


def test_an_exit_code_is_passed_on(run: Callable[..., GuestRun]) -> None:
    assert run(EXIT_7).exit_code == 7


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("unreachable", "wasm `unreachable` instruction executed"),
        (
            "(drop (i32.load (i32.const 0x7fffffff)))",
            "memory fault at wasm address 0x7fffffff in linear memory of size 0x10000; "
            "out of bounds memory access",
        ),
        ("(drop (i32.div_s (i32.const 1) (i32.const 0)))", "integer divide by zero"),
    ],
)
def test_a_trap_is_a_sentence_without_a_backtrace(
    run: Callable[..., GuestRun], body: str, reason: str
) -> None:
    error = refusal(run, program(body))
    assert isinstance(error, WorkerFailed)
    assert error.message == f"worker worker.wasm trapped: {reason}"


def test_endless_recursion_is_a_trap(run: Callable[..., GuestRun]) -> None:
    recursion = program("(call $f)").replace(
        '(func (export "_start")', '(func $f (call $f)) (func (export "_start")'
    )
    error = refusal(run, recursion)
    assert error.message == "worker worker.wasm trapped: call stack exhausted"


def test_an_endless_loop_ends_with_its_time(run: Callable[..., GuestRun]) -> None:
    error = refusal(run, ENDLESS, limits=Limits(timeout=0.2), timeout=0.2)
    assert isinstance(error, LimitExceeded)
    assert error.message == "the timeout limit of 0.2 s was reached: the run took longer"
    assert error.hint == "raise it with --timeout"


@pytest.mark.parametrize("kind", ["module", "component"])
def test_a_time_that_ends_while_an_instance_is_made_is_not_missed(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wasmtime
    from kit.component_guests import component

    from wasmlrun.sandbox import component as sandbox_component
    from wasmlrun.wasi_nn.adapter import VERSIONS

    body = "(loop $l (br $l)) (i32.const 0)"
    text = ENDLESS if kind == "module" else component(body, VERSIONS[-1])
    path = tmp_path / "worker.wasm"
    path.write_bytes(wasmtime.wat2wasm(text))
    runtime = Runtime(Limits(timeout=1))
    linked = Worker(runtime, path).linked(Grant(nn=True))

    clock = Clock.after(0.2)

    def ringing(make: Callable[..., object]) -> Callable[..., object]:
        def made(*arguments: object) -> object:
            time.sleep(0.3)
            return make(*arguments)

        return made

    where = wasmtime_c if kind == "module" else sandbox_component
    monkeypatch.setattr(where, "Store", ringing(where.Store))
    session = Session(GraphPool(EnginePool.of(FakeEngine()), Board()), {})
    with pytest.raises(LimitExceeded, match="the timeout limit of 1 s was reached"):
        linked.run(session=session, clock=clock)


def test_guests_of_one_engine_have_deadlines_of_their_own(
    tmp_path: Path, make_worker: Callable[..., Path]
) -> None:
    # runs until its byte of standard input, a number of tenths of a second, is over by its clock
    waits = program(
        """(drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (drop (call $now (i32.const 1) (i64.const 0) (i32.const 24)))
        (local.set $end (i64.add (i64.load (i32.const 24))
          (i64.mul (i64.load8_u (i32.const 16)) (i64.const 100000000))))
        (loop $on (drop (call $now (i32.const 1) (i64.const 0) (i32.const 24)))
          (br_if $on (i64.lt_u (i64.load (i32.const 24)) (local.get $end))))
        (call $proc_exit (i32.const 7))""",
        before="""(import "wasi_snapshot_preview1" "clock_time_get" (func $now
          (param i32 i64 i32) (result i32)))""",
        data={0: b"\x10\0\0\0\x01\0\0\0"},
    ).replace('(func (export "_start")', '(func (export "_start") (local $end i64)')
    worker = Worker(Runtime(Limits(timeout=0.3)), make_worker(tmp_path, waits))

    def outcome(tenths: int, seconds: float) -> int | str:
        try:
            stdin, clock = bytes([tenths]), Clock.after(seconds)
            return worker.linked(Grant()).run(session=None, stdin=stdin, clock=clock).exit_code
        except LimitExceeded as error:
            return error.limit

    with ThreadPoolExecutor(4) as threads:
        # the first to be interrupted is neither the first nor the last that started
        kinds = [(9, 60.0), (90, 0.6), (90, 0.2), (4, 30.0)]
        assert list(threads.map(lambda kind: outcome(*kind), kinds)) == [7, "timeout", "timeout", 7]
    # an engine that was idle for a while counts its epochs from now on
    time.sleep(0.3)
    assert (outcome(1, 30), outcome(90, 0.2), outcome(1, 30)) == (7, "timeout", 7)


def test_an_instance_may_have_limits_of_its_own(
    tmp_path: Path, make_worker: Callable[..., Path]
) -> None:
    # exits with 1 when it gets no second page
    grows = program("(call $proc_exit (i32.eq (memory.grow (i32.const 1)) (i32.const -1)))")
    linked = Worker(Runtime(Limits()), make_worker(tmp_path, grows)).linked(Grant())
    assert linked.run(session=None).exit_code == 0
    with pytest.raises(LimitExceeded, match="the memory limit of 65536 bytes"):
        linked.run(session=None, limits=Limits(memory=65536))


def test_a_guest_cannot_pretend_to_have_reached_a_limit(run: Callable[..., GuestRun]) -> None:
    named = program("(call $f)").replace(
        '(func (export "_start")',
        '(func $wasmlrun_out_of_memory unreachable) (func (export "_start")',
    )
    error = refusal(run, named.replace("$f", "$wasmlrun_out_of_memory"))
    assert isinstance(error, WorkerFailed)


def test_a_start_function_may_have_a_result_and_no_arguments(
    run: Callable[..., GuestRun],
) -> None:
    text = printing("hello", then="(i32.const 3)")
    start = '(func (export "_start")'
    assert run(text.replace(start, f"{start} (result i32)")).stdout == b"hello"
    error = refusal(run, printing("x").replace(start, f"{start} (param i32)"))
    assert isinstance(error, BadWorker)
    assert "exports a _start that wants arguments" in error.message


def test_a_guest_that_starts_with_too_much_memory_is_stopped(run: Callable[..., GuestRun]) -> None:
    big = EXIT_7.replace('(memory (export "memory") 1)', '(memory (export "memory") 32)')
    assert run(big).exit_code == 7
    error = refusal(run, big, limits=Limits(memory=1 << 20))
    assert isinstance(error, LimitExceeded)
    assert error.message.startswith(
        "the memory limit of 1048576 bytes was reached: worker worker.wasm wants more ("
    )
    assert error.hint == "raise it with --max-memory"


def test_growing_beyond_the_limit_fails_inside_the_guest(run: Callable[..., GuestRun]) -> None:
    growing = program("(call $proc_exit (i32.lt_s (memory.grow (i32.const 32)) (i32.const 0)))")
    assert run(growing).exit_code == 0
    assert run(growing, limits=Limits(memory=1 << 20)).exit_code == 1


OUTPUT_REACHED = "the output limit of 10000 bytes was reached: the worker printed more"


def writing(descriptor: int, *, until: str) -> str:
    """A program that writes 4096 bytes again and again."""
    return program(
        f"""(loop $again
          (br_if $again ({until} (call $fd_write (i32.const {descriptor}) (i32.const 0)
            (i32.const 1) (i32.const 8)))))""",
        data={0: struct.pack("<II", 1024, 4096)},
    )


@pytest.mark.parametrize("descriptor", [1, 2])
def test_endless_output_ends_at_its_limit(run: Callable[..., GuestRun], descriptor: int) -> None:
    error = refusal(run, writing(descriptor, until="i32.eqz"), limits=Limits(output=10_000))
    assert isinstance(error, LimitExceeded)
    assert error.message == OUTPUT_REACHED
    assert error.hint == "raise it with --max-output"


@pytest.mark.parametrize("descriptor", [1, 2])
def test_a_guest_that_traps_over_its_output_is_told_of_the_output(
    run: Callable[..., GuestRun], descriptor: int
) -> None:
    """As interpreters do: they cannot write, and give up."""
    until_refused = writing(descriptor, until="i32.eqz").rstrip().removesuffix("))")
    error = refusal(run, until_refused + " unreachable))", limits=Limits(output=10_000))
    assert (type(error), error.message) == (LimitExceeded, OUTPUT_REACHED)


def test_a_guest_that_does_not_care_is_told_of_the_output_not_of_the_time(
    run: Callable[..., GuestRun],
) -> None:
    stubborn = writing(1, until="i32.ne (i32.const -1)")
    error = refusal(run, stubborn, limits=Limits(output=10_000, timeout=0.5), timeout=0.5)
    assert error.message == OUTPUT_REACHED


# --- files that are no worker -------------------------------------------------------------------


def test_files_that_are_no_worker_are_refused(tmp_path: Path) -> None:
    def said(path: Path) -> tuple[str, str | None]:
        error = refusal(lambda: Worker(Runtime(Limits()), path))
        assert isinstance(error, BadWorker)
        return error.message, error.hint

    path = tmp_path / "w.wasm"
    assert said(path)[0] == f"worker {path} does not exist"
    assert said(tmp_path) == (f"worker {tmp_path} is a folder", "name the .wasm file in it")
    path.write_bytes(b"")
    assert said(path)[0] == f"worker {path} is not a WebAssembly module; it is empty"
    path.write_bytes(b"\x7fELF")
    assert said(path)[0] == f"worker {path} is not a WebAssembly module"
    path.write_bytes(b"\0asm\x01\0\0\0\xff")
    assert said(path)[0].startswith(f"worker {path} is not valid WebAssembly: ")
    below = path / "x.wasm"
    assert said(below)[0] == f"worker {below} cannot be read: Not a directory"


def test_a_library_is_not_a_program(tmp_path: Path, make_worker: Callable[..., Path]) -> None:
    path = make_worker(tmp_path, '(module (func (export "run")))')
    error = refusal(lambda: Worker(Runtime(Limits()), path))
    assert error.message == f"worker {path} exports no _start function"
    assert error.hint == "build it as a WASI command: a program with main, for target wasm32-wasi"


def linking(path: Path, grant: Grant) -> Callable[[], object]:
    return lambda: Worker(Runtime(Limits()), path).linked(grant)


def test_wasi_nn_does_not_exist_unless_it_is_allowed(
    tmp_path: Path, make_worker: Callable[..., Path]
) -> None:
    path = make_worker(tmp_path, NN_GUEST)
    error = refusal(linking(path, Grant(said_by="w.toml")))
    assert isinstance(error, BadWorker)
    assert error.message == (
        f"worker {path} uses WASI-NN (wasi_ephemeral_nn.compute) and w.toml does not allow it"
    )
    assert error.hint == ('add to the manifest: [features.wasi_nn] allowed_backends = ["openvino"]')
    error = refusal(linking(path, Grant()))
    assert error.hint == "leave out --no-nn"
    linking(path, Grant(nn=True))()


def test_an_import_that_nobody_provides_is_named(
    tmp_path: Path, make_worker: Callable[..., Path]
) -> None:
    path = make_worker(
        tmp_path,
        """(module
          (import "env" "alert" (func (param i32 i64)))
          (import "wasi_ephemeral_nn" "train" (func (param i32) (result i32)))
          (import "env" "table" (table 1 funcref))
          (import "wasi_snapshot_preview1" "sock_connect" (func))
          (func (export "_start")))""",
    )
    error = refusal(linking(path, Grant(nn=True)))
    assert isinstance(error, BadWorker)
    assert error.message.startswith(
        f"worker {path} imports what nobody provides here: env.alert (2 arguments), "
        "wasi_ephemeral_nn.train (1 arguments), env.table and 1 more"
    )


def test_an_import_of_the_wrong_type_is_a_sentence(
    tmp_path: Path, make_worker: Callable[..., Path]
) -> None:
    path = make_worker(
        tmp_path,
        """(module (import "wasi_snapshot_preview1" "fd_write" (func (param i32)))
          (func (export "_start")))""",
    )
    error = refusal(linking(path, Grant()))
    assert error.message.startswith(f"worker {path} imports wasi_snapshot_preview1.fd_write")
    assert "\n" not in error.message


def test_there_is_no_network(tmp_path: Path, make_worker: Callable[..., Path]) -> None:
    # accept, receive, send and shutdown are all of sockets that WASI preview 1 has: none works
    for name, arity in (("sock_send", 5), ("sock_recv", 6), ("sock_accept", 3)):
        guest = program(
            f"(call $proc_exit (call $it {'(i32.const 3) ' * arity}))",
            before=f"""(import "wasi_snapshot_preview1" "{name}"
              (func $it (param {"i32 " * arity}) (result i32)))""",
        )
        path = make_worker(tmp_path, guest)
        run = Worker(Runtime(Limits()), path).linked(Grant()).run(session=None)
        assert run.exit_code in (BADF, 58)


def test_a_trap_does_not_spoil_the_next_run(
    tmp_path: Path, make_worker: Callable[..., Path]
) -> None:
    # traps when its input is not empty
    picky = program(
        """(i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 1))
        (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (if (i32.load (i32.const 8)) (then unreachable))"""
    )
    linked = Worker(Runtime(Limits()), make_worker(tmp_path, picky)).linked(Grant())
    assert isinstance(refusal(linked.run, session=None, stdin=b"x"), WorkerFailed)
    assert linked.run(session=None, stdin=b"").exit_code == 0


@pytest.mark.parametrize(
    "kind", ['(memory (export "_start") 1)', '(table (export "_start") 1 funcref)']
)
def test_a_start_that_is_no_function_is_none(
    tmp_path: Path, make_worker: Callable[..., Path], kind: str
) -> None:
    with pytest.raises(BadWorker, match="exports no _start function"):
        Worker(Runtime(Limits()), make_worker(tmp_path, f"(module {kind})"))
