"""LiteRT, held to the suite that every engine is held to, and what is its own."""

from __future__ import annotations

import subprocess
import sys

import pytest
from kit.engine_cases import colours_case, needs, sum_case

needs("ai_edge_litert", "litert")

from kit.tflite_colours import colours_tflite, sum_tflite  # noqa: E402 - it needs the package

from wasmlrun.support.model_source import Encoding, ModelSource  # noqa: E402
from wasmlrun.testing import engine_suite  # noqa: E402
from wasmlrun.testing.engine_suite import Check, Example, Subject  # noqa: E402

LITE = Encoding.TENSORFLOW_LITE
EXAMPLES = [
    Example(ModelSource(LITE, (colours_tflite(),)), [colours_case(1), colours_case(2)]),
    Example(
        ModelSource(LITE, (colours_tflite(-1),)),
        [colours_case(3, side=4), colours_case(4, side=9)],
    ),
    Example(
        ModelSource(LITE, (sum_tflite(),)),
        [sum_case((1, 2, 3, 4), (5, 6, 7, 8)), sum_case((0, 0, 0, 0), (-1, 1, 0, 9))],
    ),
]


@pytest.mark.parametrize("check", engine_suite.CHECKS, ids=lambda check: check.__name__)
def test_it_is_an_engine(check: Check) -> None:
    check(Subject("litert", EXAMPLES))


def test_it_is_loaded_without_a_word_and_without_numpy() -> None:
    script = (
        "import sys\nfrom wasmlrun.engines import registry\n"
        "from wasmlrun.engines.protocol import Settings\n"
        "registry.get('litert', Settings()).prepare()\n"
        "assert not {'numpy', 'ai_edge_litert'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
