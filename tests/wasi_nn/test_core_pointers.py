"""Pointers and lengths outside a guest's memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from kit.core_calls import (
    ALL,
    BUFFER,
    CONTEXT,
    DATA,
    DIMS,
    GRAPH,
    LOAD,
    MODELS,
    NAME,
    OPEN,
    PARTS,
    SET,
    TENSOR,
    WRITTEN,
    memory,
)
from kit.core_guests import At, Call, Player, record, u32s
from kit.fakes import FakeEngine

FAR = [0xFFFFFFFF, 0x80000000, 65536, 65533]
OUTSIDE = "are outside the guest's memory of 65536 bytes"


@pytest.mark.parametrize("far", FAR)
@pytest.mark.parametrize(
    "calls",
    [
        pytest.param(lambda p: [("load", p, 1, 1, 0, GRAPH)], id="load: builders"),
        pytest.param(lambda p: [("load", PARTS, 1, 1, 0, p)], id="load: graph"),
        pytest.param(lambda p: [("load_by_name", p, 8, GRAPH)], id="load_by_name: name"),
        pytest.param(lambda p: [("load_by_name", NAME, 1, p)], id="load_by_name: graph"),
        pytest.param(
            lambda p: [("load_by_name_with_config", NAME, 1, p, 8, GRAPH)],
            id="load_by_name_with_config: configuration",
        ),
        pytest.param(
            lambda p: [LOAD, ("init_execution_context", At(GRAPH), p)],
            id="init_execution_context: context",
        ),
        pytest.param(
            lambda p: [LOAD, OPEN, ("set_input", At(CONTEXT), 0, p)], id="set_input: tensor"
        ),
        pytest.param(
            lambda p: [*ALL[:4], ("get_output", At(CONTEXT), 0, p, 1024, WRITTEN)],
            id="get_output: buffer",
        ),
        pytest.param(
            lambda p: [*ALL[:4], ("get_output", At(CONTEXT), 0, BUFFER, 1024, p)],
            id="get_output: bytes written",
        ),
    ],
)
def test_a_pointer_outside_memory_is_missing_memory(
    play: Player, calls: Callable[[int], list[Call]], far: int
) -> None:
    script = calls(far)
    content = {**memory(), PARTS: u32s(DATA, 4)}
    played = play(script, content, models=MODELS)
    assert played.errnos == [0] * (len(script) - 1) + [3]
    assert OUTSIDE in played.sentence
    assert f" bytes at {far} " in played.sentence


@pytest.mark.parametrize(
    ("calls", "content"),
    [
        pytest.param([("load_by_name", 65530, 64, GRAPH)], {}, id="name's end"),
        pytest.param(
            [("load", PARTS, 1, 1, 0, GRAPH)],
            {PARTS: u32s(DATA, 0xFFFFFFFF)},
            id="builder's length",
        ),
        pytest.param(
            [("load", PARTS, 2, 0, 0, GRAPH)],
            {PARTS: u32s(DATA, 4, 0xFFFFFFFF, 4)},
            id="second builder's pointer",
        ),
        pytest.param(
            [LOAD, OPEN, SET],
            {TENSOR: record(0xFFFFFFFF, 2, 1, DATA, 16)},
            id="dims' pointer",
        ),
        pytest.param(
            [LOAD, OPEN, SET], {TENSOR: record(DIMS, 2, 1, 0xFFFFFFF0, 16)}, id="data's pointer"
        ),
        pytest.param(
            [LOAD, OPEN, SET], {TENSOR: record(DIMS, 2, 1, DATA, 0xFFFFFFFF)}, id="data's length"
        ),
        pytest.param(
            [("load_by_name_with_config", NAME, 1, NAME, 0xFFFFFFFF, GRAPH)],
            {},
            id="configuration's length",
        ),
    ],
)
def test_a_length_outside_memory_is_missing_memory(
    play: Player, calls: list[Call], content: Mapping[int, bytes]
) -> None:
    played = play(calls, {**memory(), **content}, models=MODELS)
    assert played.errnos == [0] * (len(calls) - 1) + [3]
    assert OUTSIDE in played.sentence


def test_the_last_byte_of_memory_is_inside(play: Player) -> None:
    calls: list[Call] = [*ALL[:4], ("get_output", At(CONTEXT), 0, BUFFER, 1024, 65532)]
    played = play(calls, memory(), models=MODELS)
    assert played.errnos == [0] * 5


def test_a_product_of_dims_beyond_any_memory_is_refused(play: Player) -> None:
    huge = memory(shape=(0xFFFFFFFF,) * 8)
    played = play([LOAD, OPEN, SET], huge, models=MODELS)
    assert played.errnos == [0, 0, 1]
    assert "16 bytes given" in played.sentence


@pytest.mark.parametrize("rank", [17, 0xFFFFFFFF])
def test_too_many_dimensions_are_refused(play: Player, rank: int) -> None:
    content = memory() | {TENSOR: record(DIMS, rank, 1, DATA, 16)}
    played = play([LOAD, OPEN, SET], content, models=MODELS)
    assert played.errnos == [0, 0, 1]
    assert played.sentence == f"set_input: a tensor of {rank} dimensions; 16 are possible"


def test_a_guest_that_exports_no_memory_is_told_so(play: Player) -> None:
    # without a memory it cannot call WASI either: any other error number would trap
    guest = """(module
      (import "wasi_ephemeral_nn" "compute" (func $compute (param i32) (result i32)))
      (func (export "_start")
        (if (i32.ne (call $compute (i32.const 1)) (i32.const 3)) (then unreachable))))"""
    _, session = play.run(guest, FakeEngine(), {})
    assert session.failure is not None
    assert session.failure.message == 'the guest exports no memory named "memory"'


def test_a_guest_with_a_memory_of_no_pages_is_refused_its_pointers(play: Player) -> None:
    guest = """(module
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (import "wasi_ephemeral_nn" "load_by_name" (func $load (param i32 i32 i32) (result i32)))
      (memory (export "memory") 0)
      (func (export "_start")
        (call $exit (call $load (i32.const 0) (i32.const 1) (i32.const 0)))))"""
    run, _ = play.run(guest, FakeEngine(), {})
    assert run.exit_code == 3
