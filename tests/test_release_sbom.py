"""The list of what a wheel holds and needs."""

from __future__ import annotations

import hashlib
import json
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
from kit.needs import needs

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def sbom() -> dict[str, Any]:
    """What `release/sbom.py` defines."""
    needs("cyclonedx_py", "cyclonedx-bom")
    return runpy.run_path(str(ROOT / "release" / "sbom.py"))


@pytest.fixture(scope="module")
def text(sbom: dict[str, Any]) -> str:
    return str(sbom["document"]())


def test_it_follows_the_schema(sbom: dict[str, Any], text: str) -> None:
    assert sbom["fault_of"](text) is None
    wrong = json.loads(text)
    wrong["components"][0]["type"] = "sandwich"
    assert "sandwich" in sbom["fault_of"](json.dumps(wrong))


def test_made_twice_it_is_the_same(sbom: dict[str, Any], text: str) -> None:
    assert sbom["document"]() == text


def test_it_has_what_is_needed_and_nothing_else(text: str) -> None:
    document = json.loads(text)
    scopes = {c["name"].lower(): c["scope"] for c in document["components"] if "scope" in c}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {line.split(">")[0].split("=")[0] for line in project["dependencies"]}
    assert named <= {name for name, scope in scopes.items() if scope == "required"}
    assert scopes["cryptography"] == scopes["onnxruntime"] == "optional"
    assert not {"pytest", "mypy", "ruff", "torch", "model-signing", "wasmlrun"} & set(scopes)
    root = document["metadata"]["component"]
    (edges,) = (e["dependsOn"] for e in document["dependencies"] if e["ref"] == root["bom-ref"])
    assert {name.split("==")[0] for name in edges} >= named
    references = {component["bom-ref"] for component in document["components"]}
    assert all(set(edge["dependsOn"]) <= references for edge in document["dependencies"])


def test_it_has_the_digests_of_what_travels_in_the_wheel(text: str) -> None:
    files = {c["name"]: c for c in json.loads(text)["components"] if "hashes" in c}
    model = files["wasmlrun/_bundled/models/mobilenet-cifar10/mobilenet-cifar10.bin"]
    assert model["type"] == "machine-learning-model"
    worker = ROOT / "samples" / "mobilenet" / "mobilenet.wasm"
    digest = hashlib.sha256(worker.read_bytes()).hexdigest()
    told = files["wasmlrun/_bundled/workers/mobilenet.wasm"]["hashes"]
    assert told == [{"alg": "SHA-256", "content": digest}]
