"""Guests that are run by the thousand: made ready once, each run in a fresh instance."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.core_guests import printing, program

from wasmlrun.manifest.grant import Grant
from wasmlrun.manifest.manifest import Mount
from wasmlrun.sandbox import core_streams
from wasmlrun.sandbox.outcome import GuestRun
from wasmlrun.sandbox.worker import LinkedWorker, Runtime, Worker
from wasmlrun.support.cache import Cache
from wasmlrun.support.errors import BadWorker, LimitExceeded, WorkerFailed
from wasmlrun.support.limits import Limits

Made = Callable[..., LinkedWorker]


@pytest.fixture
def made(tmp_path: Path, make_worker: Callable[..., Path]) -> Made:
    def make(
        wat: str, *, many: bool = True, limits: Limits | None = None, grant: Grant | None = None
    ) -> LinkedWorker:
        path = make_worker(tmp_path / "guest", wat)
        runtime = Runtime(limits or Limits(), Cache(tmp_path / "cache"), many=many)
        return Worker(runtime, path).linked(grant or Grant())

    return make


def run(linked: LinkedWorker, **how: object) -> GuestRun:
    return linked.run(session=None, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize("at", [0, 65_532, 1 << 20, (40 << 20) - 4], ids=hex)
def test_memory_is_that_of_the_module_each_time(made: Made, at: int) -> None:
    # exits with what is there, writes to it, also beyond what is set to zero by hand
    guest = f"""(module
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 640)
      (data (i32.const 8) "seven is 7")
      (func (export "_start") (local $found i32)
        (local.set $found (i32.or (i32.load (i32.const {at}))
          (i32.sub (i32.load8_u (i32.const 17)) (i32.const 55))))
        (i32.store (i32.const {at}) (i32.const 41))
        (i32.store8 (i32.const 17) (i32.const 99))
        (call $exit (local.get $found))))"""
    linked = made(guest)
    assert [run(linked).exit_code for _ in range(5)] == [0] * 5


def test_a_memory_that_grew_is_small_again(made: Made) -> None:
    guest = program(
        """(local $before i32) (local.set $before (memory.grow (i32.const 100)))
        (i32.store (i32.const 6000000) (i32.const 1))
        (call $proc_exit (local.get $before))"""
    )
    linked = made(guest)
    assert [run(linked).exit_code for _ in range(3)] == [1] * 3


def test_tables_and_globals_are_those_of_the_module_each_time(made: Made) -> None:
    guest = """(module
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1)
      (table $t 4 100 funcref) (global $g (mut i32) (i32.const 1))
      (elem (i32.const 0) $one)
      (func $one)
      (func (export "_start") (local $was i32)
        (local.set $was (i32.add (global.get $g) (i32.add (table.size $t)
          (ref.is_null (table.get $t (i32.const 0))))))
        (global.set $g (i32.const 9))
        (table.set $t (i32.const 0) (ref.null func))
        (drop (table.grow $t (ref.null func) (i32.const 5)))
        (call $exit (local.get $was))))"""
    linked = made(guest)
    assert [run(linked).exit_code for _ in range(3)] == [5] * 3


def test_references_have_room_too(made: Made) -> None:
    guest = """(module
      (type $pair (struct (field (mut i32)) (field i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1)
      (func (export "_start") (local $p (ref null $pair))
        (local.set $p (struct.new $pair (i32.const 3) (i32.const 4)))
        (struct.set $pair 0 (local.get $p) (i32.const 5))
        (call $exit (i32.add (struct.get $pair 0 (local.get $p))
          (struct.get $pair 1 (local.get $p))))))"""
    linked = made(guest)
    assert [run(linked).exit_code for _ in range(3)] == [9] * 3


def test_what_cannot_be_kept_ready_runs_as_ever(made: Made) -> None:
    guest = """(module
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1) (memory $other 1)
      (table 1 funcref) (table 1 funcref) (table 1 funcref)
      (func (export "_start")
        (i32.store $other (i32.const 0) (i32.add (i32.load $other (i32.const 0)) (i32.const 3)))
        (call $exit (i32.load $other (i32.const 0)))))"""
    linked = made(guest)
    assert [run(linked).exit_code for _ in range(2)] == [3, 3]


def test_a_reactor_is_initialised_as_its_run(made: Made) -> None:
    guest = printing("hello").replace('"_start"', '"_initialize"')
    assert run(made(guest)).stdout == b"hello"
    with pytest.raises(BadWorker, match="exports no _start"):
        made(guest, many=False)
    both = guest.replace('(func (export "_init', '(func (export "_start")) (func (export "_init')
    assert run(made(both)).stdout == b""


def test_limits_hold_all_the_same(made: Made) -> None:
    grows = program("(drop (memory.grow (i32.const 1000))) (unreachable)")
    with pytest.raises(WorkerFailed):
        run(made(grows))
    wants = """(module (memory (export "memory") 200) (func (export "_start")))"""
    with pytest.raises(LimitExceeded, match="memory"):
        run(made(wants, limits=Limits(memory=1 << 20)))
    table = (
        """(module (memory (export "memory") 1) (table 5000 funcref) (func (export "_start")))"""
    )
    with pytest.raises((LimitExceeded, WorkerFailed), match="table"):
        run(made(table, limits=Limits(table=100)))
    endless = "(loop $again (br $again))"
    with pytest.raises(LimitExceeded, match="fuel"):
        run(made(program(endless), limits=Limits(fuel=100_000)))


def test_output_is_cut_off_at_its_limit(made: Made) -> None:
    with pytest.raises(LimitExceeded, match="output"):
        run(made(printing("x" * 4000), limits=Limits(output=3999)))
    assert len(run(made(printing("x" * 4000), limits=Limits(output=4000))).stdout) == 4000


def test_both_streams_in_the_order_in_which_they_were_written(made: Made) -> None:
    said: list[bytes] = []
    result = run(made(printing("oh\n", descriptor=2)), stderr=said.append)
    assert (result.stdout, said) == (b"", [b"oh\n"])
    assert run(made(printing("hello"))).stdout == b"hello"


def test_large_writes_arrive_whole(made: Made) -> None:
    size = 3 << 20
    guest = f"""(module
      (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 64)
      (func (export "_start")
        (memory.fill (i32.const 1024) (i32.const 97) (i32.const {size}))
        (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const {size}))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (call $exit (i32.eq (i32.load (i32.const 8)) (i32.const {size})))))"""
    result = run(made(guest))
    assert (result.exit_code, result.stdout) == (1, b"a" * size)


WRITES = [
    (1, 0, 1, 32),
    (1, 0, 3, 32),  # the first that has bytes
    (1, 16, 1, 32),  # none has bytes
    (1, 0, 0, 32),
    (0, 0, 1, 32),
    (3, 0, 1, 32),
    (-1, 0, 1, 32),
    (1, 65_536, 1, 32),
    (1, -8, 1, 32),
    (1, 24, 1, 32),  # bytes outside
    (1, 0, 1, 65_534),
    (1, 0, 1, -4),
    (3, 24, 1, 32),
    (3, 0, 1, -4),
    (1, 0, 100_000_000, 32),
]
"""Arguments of fd_write: descriptor, vectors, how many, where the number goes."""


@pytest.mark.parametrize("write", WRITES, ids=str)
def test_a_write_is_answered_as_wasmtime_answers_it(
    made: Made, write: tuple[int, int, int, int]
) -> None:
    arguments = " ".join(f"(i32.const {value})" for value in write)
    guest = program(
        f"""(call $proc_exit (i32.add (call $fd_write {arguments})
        (i32.mul (i32.const 100) (i32.and (i32.load (i32.const 32)) (i32.const 1)))))""",
        data={
            0: struct.pack("<IIIIII", 64, 0, 64, 5, 70, 0),
            24: struct.pack("<II", 65_530, 100),
            64: b"hello world",
        },
    )

    def answered(*, many: bool) -> object:
        try:
            result = run(made(guest, many=many))
        except WorkerFailed:
            return "trapped"
        return result.exit_code, result.stdout

    assert answered(many=True) == answered(many=False)


def test_wasmtime_writes_for_guests_with_other_descriptors(tmp_path: Path) -> None:
    write = ("wasi_snapshot_preview1", "fd_write", 4)
    renumber = ("wasi_snapshot_preview1", "fd_renumber", 2)
    assert core_streams.suffice(Grant(), [write])
    assert not core_streams.suffice(Grant(), [write, renumber])
    assert not core_streams.suffice(Grant((Mount(tmp_path, "/m"),)), [write])
