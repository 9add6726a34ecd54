"""An engine of another package: found by its entry point, used by its name, held to the suite."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit.engine_cases import colours_case
from kit.models_by_hand import COLOURS, colours_matrix
from kit.outcome import Outcome

from wasmlrun.engines import registry
from wasmlrun.engines.pool import EnginePool
from wasmlrun.engines.protocol import NoEngineError
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.testing import engine_suite
from wasmlrun.testing.engine_suite import Check, Example, Subject

THIRD_PARTY = Path(__file__).parent / "third_party"


@pytest.fixture(autouse=True)
def third_party(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The package is installed: it lies on the path; the variables for a process of its own."""
    monkeypatch.syspath_prepend(str(THIRD_PARTY))
    forget()
    yield {"PYTHONPATH": str(THIRD_PARTY)}
    forget()


def forget() -> None:
    for known in (registry._others, registry._package):
        known.cache_clear()


def toy_parts() -> tuple[bytes, bytes]:
    """The classifier `colours` as a toy: the mean of each channel, times its matrix."""
    rows = [[w / 16 for w in row] for _ in range(16) for row in colours_matrix()]
    weights = b"".join(struct.pack("<5f", *row) for row in rows)
    return b'<toy input="1,4,4,3" classes="5"/>', weights


@pytest.mark.parametrize("check", engine_suite.CHECKS, ids=lambda check: check.__name__)
def test_it_is_an_engine(check: Check) -> None:
    source = ModelSource(Encoding.OPENVINO, toy_parts())
    check(Subject("toy", [Example(source, [colours_case(1), colours_case(2)])]))


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    xml, weights = toy_parts()
    (tmp_path / "toy.xml").write_bytes(xml)
    (tmp_path / "toy.bin").write_bytes(weights)
    (tmp_path / "toy.txt").write_text("\n".join(COLOURS) + "\n", encoding="utf-8")
    return tmp_path / "toy.xml"


def test_it_classifies_a_picture(
    run_cli: Callable[..., Outcome], toy: Path, red_image: Path, third_party: dict[str, str]
) -> None:
    words = ["classify", red_image, "--model", toy, "--labels", toy.with_suffix(".txt")]
    done = run_cli([*words, "--backend", "toy", "--json", "-v"], env=third_party)
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout)["predictions"][0]["label"] == "red"
    assert "engine toy for openvino models: named by the user" in done.stderr


def test_a_manifest_may_allow_it_alone(
    run_cli: Callable[..., Outcome], toy: Path, red_image: Path, third_party: dict[str, str]
) -> None:
    manifest = toy.parent / "worker.toml"
    manifest.write_text(
        'version = "1"\n[features.wasi_nn]\nallowed_backends = ["toy"]\n'
        '[[features.wasi_nn.preload_models]]\nprovider = { type = "local", dir = "models/toy" }\n'
        '[classify]\nlabels = "toy.txt"\n',
        encoding="utf-8",
    )
    folder = toy.parent / "models" / "toy"
    folder.mkdir(parents=True)
    for suffix in (".xml", ".bin"):
        toy.with_suffix(suffix).rename(folder / f"model{suffix}")
    words = ["classify", red_image, "--worker", "mobilenet", "--manifest", manifest, "-k", "1"]
    done = run_cli(words, env=third_party)
    assert done.code == 0, done.stderr
    assert done.stdout.split("\t")[1] == "red"


def test_its_entry_point_is_not_looked_for_where_another_engine_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never() -> tuple[str, ...]:
        raise AssertionError("looked for")

    with monkeypatch.context() as patched:
        patched.setattr(registry, "_others", never)
        assert EnginePool().choose(Encoding.OPENVINO).about.name == "openvino"
        assert EnginePool(backend="openvino").choose(Encoding.ONNX).about.name == "openvino"
        with pytest.raises(AssertionError, match="looked for"):
            registry.names()


def test_it_is_listed_behind_wasmlruns_own() -> None:
    assert registry.names()[0] == "openvino"
    assert registry.names()[-2:] == ["broken", "toy"]
    assert "toy" in registry.installed()


def test_an_entry_point_that_leads_nowhere_is_told_when_it_is_named() -> None:
    with pytest.raises(NoEngineError, match=r"broken cannot be used: toy_engine.missing: "):
        registry.about("broken")
