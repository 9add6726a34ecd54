"""`wasmlrun models lock`, and what a list of allowed models refuses."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wasmlrun.models.pin import lock, with_list
from wasmlrun.support.errors import BadManifest

A, B = "a" * 64, "b" * 64


def manifest(folder: Path, text: str) -> Path:
    (folder / "models").mkdir(exist_ok=True)
    (folder / "models" / "net.onnx").write_bytes(b"\x08\x08 a model")
    path = folder / "worker.toml"
    path.write_text(text)
    return path


MOUNTS = """\
version = "1"  # a comment that stays
[features.wasi_nn]
allowed_backends = ["openvino"]

[[folders]]
from = "models"
to = "/models"
"""


def test_lock_writes_the_digest_of_every_mounted_model_and_keeps_the_rest(tmp_path: Path) -> None:
    path = manifest(tmp_path, MOUNTS)
    digest = hashlib.sha256(b"\x08\x08 a model").hexdigest()
    assert lock(path) == [(tmp_path / "models" / "net.onnx", digest)]
    text = path.read_text()
    assert "# a comment that stays" in text
    data = tomllib.loads(text)
    assert data["features"]["wasi_nn"]["allowed_models"] == [f"sha256:{digest}"]
    assert data["features"]["wasi_nn"]["allowed_backends"] == ["openvino"]
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_lock_replaces_an_older_list(tmp_path: Path) -> None:
    path = manifest(tmp_path, MOUNTS)
    lock(path)
    (tmp_path / "models" / "net.onnx").write_bytes(b"\x08\x08 another")
    lock(path)
    digest = hashlib.sha256(b"\x08\x08 another").hexdigest()
    assert path.read_text().count("allowed_models") == 1
    assert tomllib.loads(path.read_text())["features"]["wasi_nn"]["allowed_models"] == [
        f"sha256:{digest}"
    ]


def test_the_table_is_made_where_only_preloaded_models_say_it() -> None:
    text = 'version = "1"\n[[features.wasi_nn.preload_models]]\nbackend = "openvino"\n'
    data = tomllib.loads(with_list(text, [A, B, A]))
    assert data["features"]["wasi_nn"]["allowed_models"] == [f"sha256:{A}", f"sha256:{B}"]
    assert data["features"]["wasi_nn"]["preload_models"] == [{"backend": "openvino"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('version = "1"\n', "allows no WASI-NN"),
        ('version = "1"\n[features.wasi_nn]\nallowed_backends = ["openvino"]\n', "mounts no model"),
        (
            'version = "1"\nfeatures.wasi_nn.allowed_backends = ["openvino"]\n'
            '[[folders]]\nfrom = "models"\nto = "/m"\n',
            "cannot be put into",
        ),
    ],
)
def test_what_cannot_be_locked_says_why_and_is_left_alone(
    tmp_path: Path, text: str, message: str
) -> None:
    path = manifest(tmp_path, text)
    with pytest.raises(BadManifest) as caught:
        lock(path)
    assert message in caught.value.message
    assert path.read_text() == text


def test_a_swapped_model_is_refused_with_both_digests(
    tmp_path: Path, run_cli: Callable[..., Any], red_image: Path
) -> None:
    worker = Path(__file__).parents[2] / "samples/mobilenet/mobilenet.wasm"
    (tmp_path / "worker.wasm").write_bytes(worker.read_bytes())
    path = manifest(tmp_path, MOUNTS + '[classify]\nmodel = "/models/net.onnx"\n')
    locked = run_cli(["models", "lock", path])
    assert locked.code == 0, locked.stderr
    swapped = b"\x08\x08 another"
    (tmp_path / "models" / "net.onnx").write_bytes(swapped)
    run = run_cli(["classify", red_image, "--worker", tmp_path / "worker.wasm"])
    assert run.code == 3
    assert f"sha256:{hashlib.sha256(swapped).hexdigest()}" in run.stderr
    pinned = hashlib.sha256(b"\x08\x08 a model").hexdigest()
    assert f"sha256:{pinned}" in run.stderr
    assert "models lock" in run.stderr
