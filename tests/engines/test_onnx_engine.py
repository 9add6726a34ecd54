"""ONNX Runtime, held to the suite that every engine is held to, and what is its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from kit.engine_cases import colours_case, needs, sum_case
from kit.onnx_by_hand import colours_onnx, twice_onnx

from wasmlrun.engines import registry
from wasmlrun.engines.protocol import EngineError, Settings
from wasmlrun.support.cache import Cache
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.testing import engine_suite
from wasmlrun.testing.engine_suite import Check, Example, Subject

needs("onnxruntime", "onnx")

COLOURS = ModelSource(Encoding.ONNX, (colours_onnx(),))
EXAMPLES = [
    Example(COLOURS, [colours_case(1), colours_case(2)]),
    Example(
        ModelSource(Encoding.ONNX, (colours_onnx(None),)),
        [colours_case(3, side=4), colours_case(4, side=9)],
    ),
    Example(
        ModelSource(Encoding.ONNX, (twice_onnx(),)),
        [sum_case((1, 2, 3, 4), (5, 6, 7, 8)), sum_case((0, 0, 0, 0), (-1, 1, 0, 9))],
    ),
]


@pytest.mark.parametrize("check", engine_suite.CHECKS, ids=lambda check: check.__name__)
def test_it_is_an_engine(check: Check) -> None:
    check(Subject("onnx", EXAMPLES))


def test_a_cached_model_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wasmlrun.engines.onnx.engine import OnnxRuntime

    cache = Cache(tmp_path / "cache")
    registry.get("onnx", Settings(cache=cache)).load(COLOURS, "CPU").close()

    def never(*_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(OnnxRuntime, "_read", never)
    registry.get("onnx", Settings(cache=cache)).load(COLOURS, "CPU").close()
    with pytest.raises(AssertionError, match="read again"):
        registry.get("onnx", Settings()).load(COLOURS, "CPU")


def test_neither_its_package_nor_numpy_is_imported() -> None:
    import subprocess

    script = (
        "import sys\nfrom wasmlrun.engines import registry\n"
        "from wasmlrun.engines.protocol import Settings\n"
        "print(registry.get('onnx', Settings()).version())\n"
        "assert not {'numpy', 'onnxruntime'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip()


def test_a_model_with_weights_in_a_file_elsewhere_is_refused(tmp_path: Path) -> None:
    import onnx
    from onnx.external_data_helper import set_external_data

    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(60))
    for location in (str(secret), "../secret.bin", "secret.bin"):
        model = onnx.load_from_string(colours_onnx())
        (weights,) = model.graph.initializer
        set_external_data(weights, location=location, offset=0, length=60)
        weights.ClearField("raw_data")
        source = ModelSource(Encoding.ONNX, (model.SerializeToString(),))
        with pytest.raises(EngineError) as caught:
            registry.get("onnx", Settings()).load(source, "CPU")
        assert "wasmlrun-" not in str(caught.value), "the private folder is nobody's business"
