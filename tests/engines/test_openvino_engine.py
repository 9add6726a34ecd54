"""OpenVINO, held to the suite that every engine is held to."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

import pytest
from kit.engine_cases import colours_case, identity_case
from kit.models_by_hand import colours_ir, identity_ir

from wasmlrun.engines import registry
from wasmlrun.engines.protocol import Settings
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.support.tensor import DType, Tensor
from wasmlrun.testing import engine_suite
from wasmlrun.testing.engine_suite import Check, Example, Subject

EXAMPLES = [
    Example(ModelSource(Encoding.OPENVINO, colours_ir()), [colours_case(1), colours_case(2)]),
    Example(
        ModelSource(Encoding.OPENVINO, identity_ir("u8", (4,))),
        [identity_case(1, 2, 3, 4), identity_case(255, 0, 7, 7)],
    ),
]


@pytest.mark.parametrize("check", engine_suite.CHECKS, ids=lambda check: check.__name__)
def test_it_is_an_engine(check: Check) -> None:
    check(Subject("openvino", EXAMPLES))


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="a Linux call")
def test_it_holds_no_thread_to_a_core() -> None:
    """Processes beside each other would all hold to the first one."""
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        pytest.skip("one core: there is nothing to choose")
    source = ModelSource(Encoding.OPENVINO, colours_ir(side="224"))
    graph = registry.get("openvino", Settings(threads=1)).load(source, "CPU")
    picture = Tensor((1, 224, 224, 3), DType.F32, bytes(4 * 3 * 224 * 224))

    def compute() -> None:
        context = graph.open()
        context.set_input(0, picture)
        for _ in range(500):
            context.compute()

    seen = {frozenset(cores)}
    thread = threading.Thread(target=compute)
    thread.start()
    while thread.is_alive():
        with suppress(ProcessLookupError):
            seen.add(frozenset(os.sched_getaffinity(thread.native_id or 0)))
    assert seen == {frozenset(cores)}
