"""`wasmlrun compare` and `wasmlrun engines`: engines give one answer, and say what they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT
from kit.engine_cases import needs
from kit.outcome import Outcome

DOG = ROOT / "samples" / "dog.jpg"
ONNX = ROOT / "models" / "mobilenet-cifar10" / "mobilenet-cifar10.onnx"


def compared(outcome: Outcome) -> list[dict[str, object]]:
    assert outcome.code == 0, outcome.stderr
    return [json.loads(line) for line in outcome.stdout.splitlines()]


def same_top_five(one: dict[str, object], other: dict[str, object]) -> bool:
    def labels(found: dict[str, object]) -> list[str]:
        predictions = found["predictions"]
        assert isinstance(predictions, list)
        return [p["label"] for p in predictions]

    return labels(one) == labels(other) and len(labels(one)) == 5


def test_the_default_model_as_onnx_gives_one_answer(invoke: Callable[..., Outcome]) -> None:
    needs("onnxruntime", "onnx")
    words = ["compare", DOG, "--model", ONNX, "-n", "1", "--json"]
    one, other = compared(invoke(*words, "--backend", "openvino", "--backend", "onnx"))
    assert (one["engine"], other["engine"]) == ("openvino", "onnx")
    assert same_top_five(one, other)
    assert isinstance(other["max_difference"], float)
    assert other["max_difference"] < 1e-4
    assert one["max_difference"] == 0


def test_a_quantised_tflite_gives_one_answer(
    invoke: Callable[..., Outcome], shared_data: Path
) -> None:
    needs("ai_edge_litert", "litert")
    models = shared_data / "models"
    words = ["compare", shared_data / "images" / "cat_720p.jpg", "-n", "1", "--json"]
    words += ["--model", models / "mobilenet_v2_1.0_224_quant.tflite"]
    words += ["--labels", models / "imagenet_labels.txt"]
    one, other = compared(invoke(*words, "--backend", "openvino", "--backend", "litert"))
    assert same_top_five(one, other)
    assert isinstance(other["max_difference"], float)
    assert other["max_difference"] < 0.02


def test_precisions_side_by_side_as_lines(invoke: Callable[..., Outcome]) -> None:
    words = ["compare", DOG, "--model", ONNX, "-n", "1", "--backend", "openvino"]
    outcome = invoke(*words, "--precision", "f32", "--precision", "bf16")
    lines = [line.split("\t") for line in outcome.stdout.splitlines()]
    assert [line[:3] for line in lines] == [["openvino", "f32", "dog"], ["openvino", "bf16", "dog"]]


@pytest.mark.parametrize(
    ("more", "code", "message", "hint"),
    [
        (
            ["--backend", "openvin"],
            2,
            "--backend openvin: no engine is named 'openvin'",
            "did you mean openvino?",
        ),
        (
            ["--backend", "onnx", "--precision", "bf16"],
            2,
            "--backend onnx: the engine onnx does not compute in bf16",
            "it computes in: f32",
        ),
    ],
)
def test_what_cannot_be_compared_is_told(
    invoke: Callable[..., Outcome], more: list[str], code: int, message: str, hint: str
) -> None:
    needs("onnxruntime", "onnx")
    outcome = invoke("compare", DOG, "--model", ONNX, *more)
    assert outcome.code == code
    assert f"error: {message}\nhint: {hint}\n" in outcome.stderr


def test_engines_are_listed_with_what_they_can_do(invoke: Callable[..., Outcome]) -> None:
    found = {line["name"]: line for line in compared(invoke("engines", "--json"))}
    assert found["openvino"]["installed"]
    assert "CPU" in found["openvino"]["devices"]  # type: ignore[operator]
    assert "onnx" in found["openvino"]["encodings"]  # type: ignore[operator]
    assert found["onnx"]["install"] == "pip install 'wasmlrun[onnx]'"
    assert found["torch"]["encodings"] == ["pytorch"]
    names = [line.split("\t")[0] for line in invoke("engines").stdout.splitlines()]
    assert names[0] == "openvino"
    assert set(names) == set(found)


def test_an_engine_that_is_not_installed_is_told_with_the_command_that_installs_it(
    invoke: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    from wasmlrun.engines import registry

    there = registry.is_installed
    monkeypatch.setattr(registry, "is_installed", lambda a: a.name != "onnx" and there(a))
    outcome = invoke("classify", DOG, "--model", ONNX, "--backend", "onnx")
    assert outcome.code == 2
    assert "error: --backend onnx: the engine onnx is not installed\n" in outcome.stderr
    assert "hint: pip install 'wasmlrun[onnx]'\n" in outcome.stderr
    line = next(x for x in invoke("engines").stdout.splitlines() if x.startswith("onnx\t"))
    assert line.split("\t") == ["onnx", "not installed", "", "onnx", "pip install 'wasmlrun[onnx]'"]
