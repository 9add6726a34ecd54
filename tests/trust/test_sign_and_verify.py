"""`models sign` and `models verify`, and the same with OpenSSF's own tool, both ways."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.models_by_hand import write_colours
from kit.needs import needs
from kit.outcome import Outcome
from kit.signed import Keys, make_keys, model_signing

Invoke = Callable[..., Outcome]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"), "key")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "net"
    (place / "inner").mkdir(parents=True)
    (place / "net.onnx").write_bytes(b"\x08weights")
    (place / "inner" / "labels.txt").write_text("cat\ndog\n")
    (place / ".gitignore").write_text("left out")
    return place


def test_a_folder(invoke: Invoke, folder: Path, keys: Keys) -> None:
    done = invoke("models", "sign", folder, "--key", keys.private, "--json")
    assert done.code == 0
    told = json.loads(done.stdout)
    assert told["signature"] == str(folder / "model.sig")
    assert [file["file"] for file in told["files"]] == ["inner/labels.txt", "net.onnx"]

    verify = "models", "verify", folder, "--trusted-key", keys.public
    done = invoke(*verify)
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout == f"{folder}\tinner/labels.txt\tok\n{folder}\tnet.onnx\tok\n"

    (folder / "more.txt").write_text("more")
    (folder / "net.onnx").write_bytes(b"\x08others")
    (folder / "inner" / "labels.txt").unlink()
    done = invoke(*verify, "--json")
    *files, failure = map(json.loads, done.stdout.splitlines())
    assert done.code == 3
    states = {file["file"]: file["state"] for file in files}
    assert states == {
        "inner/labels.txt": "missing",
        "more.txt": "not signed",
        "net.onnx": "changed",
    }
    changed = files[-1]
    assert changed["expected"] == told["files"][1]["sha256"] != changed["found"]
    assert failure["error"]["code"] == "bad-model"
    assert f"its sha256 is {changed['found']}, not {changed['expected']}" in done.stderr


def test_a_wrong_key_and_no_signature(
    invoke: Invoke, folder: Path, keys: Keys, tmp_path: Path
) -> None:
    other = make_keys(tmp_path, "other")
    done = invoke("models", "verify", folder, "--trusted-key", keys.public)
    assert done.code == 3
    assert f"signature {folder / 'model.sig'} does not exist" in done.stderr
    assert invoke("models", "sign", folder, "--key", other.private).code == 0
    done = invoke("models", "verify", folder, "--trusted-key", keys.public)
    assert done.code == 3
    assert "is by another key: sha256:" in done.stderr
    assert f"({keys.public})" in done.stderr
    both = "--trusted-key", keys.public, "--trusted-key", other.public
    assert invoke("models", "verify", folder, *both).code == 0
    (folder / "model.sig").write_text("{}")
    done = invoke("models", "verify", folder, *both)
    assert done.code == 3
    assert "cannot be read: it is no Sigstore bundle" in done.stderr


def test_what_cannot_be_signed_or_verified(
    invoke: Invoke, folder: Path, keys: Keys, tmp_path: Path
) -> None:
    sign = "models", "sign", "--key", keys.private
    assert "does not exist" in invoke(*sign, tmp_path / "none").stderr
    done = invoke(*sign, folder / "net.onnx", folder, "--signature", tmp_path / "x.sig")
    assert (done.code, "--signature is of one model" in done.stderr) == (2, True)
    done = invoke(*sign, folder, "--signature", tmp_path / "nowhere" / "x.sig")
    assert (done.code, "cannot be written" in done.stderr) == (3, True)
    (folder / "link").symlink_to(tmp_path)
    done = invoke(*sign, folder)
    assert (done.code, "is a link" in done.stderr) == (3, True)
    (tmp_path / "empty").mkdir()
    assert "holds no file to sign" in invoke(*sign, tmp_path / "empty").stderr
    done = invoke("models", "verify", folder)
    assert (done.code, "there is no digest to compare it with" in done.stderr) == (2, True)
    done = invoke("models", "verify", "--signature", tmp_path / "x.sig")
    assert (done.code, "--signature is of one model" in done.stderr) == (2, True)


def test_a_model_by_name(
    invoke: Invoke, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WASMLRUN_DATA_DIR", str(tmp_path / "data"))
    model = write_colours(tmp_path)
    assert invoke("models", "add", "mine", "--from", model).code == 0
    verify = "models", "verify", "mine"
    assert invoke(*verify).code == 0
    assert invoke(*verify, "--trusted-key", keys.public).code == 3
    assert invoke("models", "sign", "mine", "--key", keys.private).code == 0
    done = invoke(*verify, "--trusted-key", keys.public)
    assert done.code == 0
    # each file twice: by its digest and by its signature
    assert done.stdout.count("mine\tcolours.bin\tok\n") == 2
    assert invoke(*verify).code == 0


# ------------------------------------------------------------------ with the tool model_signing


def tool(*words: str | Path) -> str:
    needs("model_signing", "model-signing")
    done = model_signing(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_ours_is_verified_by_the_tool(invoke: Invoke, folder: Path, keys: Keys) -> None:
    model, ir = folder / "net.onnx", write_colours(folder)
    signatures = [model.with_name("net.onnx.sig"), ir.with_name("colours.xml.sig")]
    assert invoke("models", "sign", model, ir, "--key", keys.private).code == 0
    verify = "verify", "key", "--public_key", keys.public, "--signature"
    assert "succeeded" in tool(*verify, signatures[0], model)
    # an IR is two files, and so a part of its folder
    assert "succeeded" in tool(*verify, signatures[1], "--ignore_unsigned_files", folder)
    assert invoke("models", "sign", folder, "--key", keys.private).code == 0
    assert "succeeded" in tool(*verify, folder / "model.sig", folder)
    model.write_bytes(b"\x08others")
    assert model_signing(*verify, folder / "model.sig", folder).returncode == 1


def test_the_tools_is_verified_by_us(
    invoke: Invoke, folder: Path, keys: Keys, tmp_path: Path
) -> None:
    model = folder / "net.onnx"
    beside, inside, outside = folder / "net.onnx.sig", folder / "model.sig", tmp_path / "out.sig"
    sign = "sign", "key", "--private_key", keys.private, "--signature"
    tool(*sign, outside, folder)
    tool(*sign, inside, folder)
    trusted = "--trusted-key", keys.public
    done = invoke("models", "verify", folder, *trusted)
    assert done.code == 0, done.stderr
    inside.unlink()
    assert invoke("models", "verify", folder, *trusted, "--signature", outside).code == 0
    tool(*sign, beside, model)
    assert invoke("models", "verify", model, *trusted).code == 0
    model.write_bytes(b"\x08others")
    assert invoke("models", "verify", model, *trusted).code == 3
