"""`allowed_models`: whatever reaches `load`, by whichever way, is on the list or refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.core_guests import program, u32s
from kit.fakes import FakeEngine
from kit.models_by_hand import colours_ir
from kit.outcome import Outcome

from wasmlrun.engines.pool import EnginePool
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.wasi_nn.errors import NnErrno, NnError
from wasmlrun.wasi_nn.graphs import GraphPool
from wasmlrun.wasi_nn.session import Session

ONE, TWO = b"\x08one", b"\x08two"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def session_of(engine: FakeEngine, allowed: tuple[str, ...] | None) -> Session:
    models = {
        "one": ModelSource(Encoding.ONNX, (ONE,)),
        "two": ModelSource(Encoding.ONNX, (TWO,)),
        "ir": ModelSource(Encoding.OPENVINO, (b"<net/>", TWO)),
    }
    pool = GraphPool(EnginePool.of(engine), Board())
    return Session(pool, models, allowed_models=allowed)


@pytest.mark.parametrize("allowed", [None, (sha256(ONE),), (sha256(TWO), sha256(ONE))])
def test_what_is_on_the_list_is_loaded(
    fake_engine: FakeEngine, allowed: tuple[str, ...] | None
) -> None:
    session = session_of(fake_engine, allowed)
    session.load_by_name("one")
    session.load([ONE], Encoding.ONNX, "cpu")
    session.load([ONE], None, "cpu")
    assert len(fake_engine.loads) == 1  # one model, three handles


@pytest.mark.parametrize("allowed", [(), (sha256(ONE),), (sha256(ONE), sha256(b"<net/>"))])
@pytest.mark.parametrize(
    "load",
    [
        pytest.param(lambda s: s.load_by_name("two"), id="name"),
        pytest.param(lambda s: s.load([TWO], Encoding.ONNX, "cpu"), id="bytes"),
        pytest.param(lambda s: s.load([TWO], None, "cpu"), id="bytes, autodetected"),
        pytest.param(lambda s: s.load_by_name("ir"), id="weights that were swapped"),
        pytest.param(
            lambda s: s.load([b"<net/>", TWO], Encoding.OPENVINO, "cpu"), id="swapped bytes"
        ),
    ],
)
def test_what_is_not_on_the_list_never_reaches_the_engine(
    fake_engine: FakeEngine, load: Callable[[Session], int], allowed: tuple[str, ...]
) -> None:
    with pytest.raises(NnError) as caught:
        load(session_of(fake_engine, allowed))
    assert caught.value.errno is NnErrno.INVALID_ARGUMENT
    assert caught.value.model
    given = sha256(b"<net/>") if "<net/>" not in str(allowed) else sha256(TWO)
    assert f"sha256:{sha256(TWO)}" in caught.value.message or given in caught.value.message
    for digest in allowed:
        assert f"sha256:{digest}" in caught.value.message
    assert fake_engine.loads == []


def test_a_model_that_was_loaded_without_a_list_is_no_way_round_one(
    fake_engine: FakeEngine,
) -> None:
    """Graphs are shared by the images of a command; the list is looked at each time."""
    pool = GraphPool(EnginePool.of(fake_engine), Board())
    models = {"two": ModelSource(Encoding.ONNX, (TWO,))}
    Session(pool, models).load_by_name("two")
    strict = Session(pool, models, allowed_models=(sha256(ONE),))
    with pytest.raises(NnError):
        strict.load_by_name("two")


XML, WEIGHTS = colours_ir()
# loads the two parts of a model that lie in its memory, and exits with the error number
WORKER = program(
    "(call $proc_exit (call $load (i32.const 64) (i32.const 2) (i32.const 0) (i32.const 0)"
    " (i32.const 256)))",
    before='(import "wasi_ephemeral_nn" "load" (func $load (param i32 i32 i32 i32 i32)'
    " (result i32)))",
    data={64: u32s(4096, len(XML), 32768, len(WEIGHTS)), 4096: XML, 32768: WEIGHTS},
)
ALLOWED = (
    'version = "1"\n[features.wasi_nn]\nallowed_backends = ["openvino"]\nallowed_models = {}\n'
)


def test_the_person_sees_both_digests(
    tmp_path: Path,
    make_worker: Callable[..., Path],
    run_cli: Callable[..., Outcome],
    red_image: Path,
) -> None:
    other = "0" * 64
    worker = make_worker(tmp_path, WORKER, ALLOWED.format(f'["sha256:{other}"]'))
    outcome = run_cli(["classify", red_image, "--worker", worker])
    assert outcome.code == 3
    assert f"sha256:{other}" in outcome.stderr
    assert f"sha256:{sha256(XML)}" in outcome.stderr

    digests = [f"sha256:{sha256(part)}" for part in (XML, WEIGHTS)]
    worker = make_worker(tmp_path, WORKER, ALLOWED.format(str(digests)))
    assert run_cli(["run", worker]).code == 0
