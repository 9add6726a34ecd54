"""OpenVINO, held to the suite that every engine is held to."""

from __future__ import annotations

import pytest
from kit.engine_cases import colours_case, identity_case
from kit.models_by_hand import colours_ir, identity_ir

from wasmlrun.support.model_source import Encoding, ModelSource
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
