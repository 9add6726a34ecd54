"""Where a signature is demanded: nothing else is used, whoever demands it and however it comes."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from kit.core_guests import printing, program, u32s
from kit.models_by_hand import COLOURS, colours_ir, write_colours
from kit.outcome import Outcome
from kit.served import Served
from kit.signed import Keys, make_keys

import wasmlrun
from wasmlrun.pipeline.plan import Wishes, make_plan
from wasmlrun.pipeline.program import ProgramWishes, plan_program
from wasmlrun.support import bundled
from wasmlrun.support.cache import Cache
from wasmlrun.support.errors import BadFile, BadModel, BadWorker, UsageFault
from wasmlrun.support.model_source import Demand, ModelSource, read_model
from wasmlrun.tiny import description
from wasmlrun.trust import keys as keys_module
from wasmlrun.trust.gate import Gate
from wasmlrun.trust.keys import read_private
from wasmlrun.trust.signing import sign

Invoke = Callable[..., Outcome]
XML, WEIGHTS = colours_ir()
# loads the model in its memory and exits with the error number
LOADS = program(
    "(call $proc_exit (call $load (i32.const 64) (i32.const 2) (i32.const 0) (i32.const 0)"
    " (i32.const 256)))",
    before='(import "wasi_ephemeral_nn" "load" (func $load (param i32 i32 i32 i32 i32)'
    " (result i32)))",
    data={64: u32s(4096, len(XML), 32768, len(WEIGHTS)), 4096: XML, 32768: WEIGHTS},
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"), "mine")


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"), "theirs")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "colours.txt").write_text("\n".join(COLOURS))
    return write_colours(tmp_path / "model", softmax=True)


def signed(path: Path, keys: Keys) -> Path:
    return sign(path, read_private(keys.private)).signature


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def refusal(*demands: Demand, source: ModelSource) -> str:
    with pytest.raises(BadModel) as told:
        Gate(demands).admit_model(source, "model net")
    return told.value.message


def test_classify(
    run_cli: Callable[..., Outcome], model: Path, red_image: Path, keys: Keys, others: Keys
) -> None:
    """As processes: the walls let signatures and keys through."""
    words: list[str | Path] = ["classify", red_image, "--model", model, "-q"]
    words += ["--labels", model.with_name("colours.txt"), "--trusted-key", keys.public]
    done = run_cli(words)
    assert done.code == 3
    assert "has no signature: neither colours.xml.sig nor model.sig is in" in done.stderr
    assert f"colours.xml sha256:{sha256(XML)}" not in done.stderr  # softmax is in the file
    digest = sha256(model.read_bytes())
    assert f"colours.xml sha256:{digest}, colours.bin sha256:{sha256(WEIGHTS)}" in done.stderr

    signed(model, others)
    done = run_cli(words)
    assert (done.code, "is by another key: sha256:" in done.stderr) == (3, True)
    assert run_cli([*words, "--trusted-key", others.public]).code == 0

    signed(model, keys)
    first, again = run_cli(words), run_cli(words)
    assert (first.code, again.code) == (0, 0), first.stderr
    assert first.stdout.split("\t")[1] == "red"

    weights = model.with_suffix(".bin")
    data = bytearray(weights.read_bytes())
    data[0] ^= 1
    weights.write_bytes(data)
    done = run_cli(words)
    assert done.code == 3
    assert f"its sha256 is {sha256(bytes(data))}, not {sha256(WEIGHTS)}" in done.stderr


def test_a_folders_signature_is_of_the_files_in_it(model: Path, keys: Keys) -> None:
    signature = signed(model.parent, keys)
    assert signature.name == "model.sig"
    demand = Demand((keys.public,), "somebody")
    gate = Gate([demand])
    gate.admit_model(read_model(model), "model net")
    gate.admit_model(read_model(model.parent), "model net")
    # another model's file under this one's name
    shutil.copy(model.with_name("colours.txt"), model.with_suffix(".bin"))
    assert "colours.bin is not what was signed" in refusal(demand, source=read_model(model))
    renamed = write_colours(model.parent, "renamed", softmax=True)
    assert "does not name renamed.xml (sha256:" in refusal(demand, source=read_model(renamed))


def test_what_was_verified_is_what_is_used(model: Path, keys: Keys) -> None:
    """A file that changes between reading and verifying, or after it, changes nothing."""
    signed(model, keys)
    good = model.read_bytes()
    source = read_model(model)
    model.write_bytes(b"<other/>")
    Gate([Demand((keys.public,), "somebody")]).admit_model(source, "model net")
    assert source.parts[0] == good
    changed = read_model(model)
    model.write_bytes(good)
    assert "not what was signed" in refusal(Demand((keys.public,), "x"), source=changed)


def test_a_signature_is_remembered_for_its_own_key_and_bytes(
    model: Path, keys: Keys, others: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature, cache = signed(model, keys), Cache(tmp_path / "cache")
    source = read_model(model)
    mine, theirs = (Demand((k.public,), "somebody") for k in (keys, others))
    calls = []
    verifies = keys_module.PublicKey.verifies

    def counted(self: keys_module.PublicKey, signature: bytes, message: bytes) -> bool:
        calls.append(self.where)
        return verifies(self, signature, message)

    monkeypatch.setattr(keys_module.PublicKey, "verifies", counted)
    for _ in range(2):
        Gate([mine], cache=cache).admit_model(source, "model net")
    assert calls == [str(keys.public)]
    with pytest.raises(BadModel, match="by another key"):
        Gate([theirs], cache=cache).admit_model(source, "model net")
    signature.write_bytes(signature.read_bytes() + b" ")
    Gate([mine], cache=cache).admit_model(source, "model net")
    assert len(calls) == 2
    model.write_bytes(b"<other/>")
    with pytest.raises(BadModel, match="not what was signed"):
        Gate([mine], cache=cache).admit_model(read_model(model), "model net")


# ---------------------------------------------------------------------------- manifests demand

MANIFEST = """version = "1"
[features.wasi_nn]
allowed_backends = ["openvino"]
[[features.wasi_nn.preload_models]]
provider = {{ type = "local", dir = "./model" }}
[trust]
keys = ["./release.pub"]
{more}
"""


@pytest.fixture
def worker(tmp_path: Path, model: Path, keys: Keys, make_worker: Callable[..., Path]) -> Path:
    """A worker whose manifest demands a signature by `keys`."""
    shutil.copy(keys.public, tmp_path / "release.pub")
    return make_worker(tmp_path, printing("hello"), MANIFEST.format(more=""))


def test_a_manifest_demands(invoke: Invoke, worker: Path, model: Path, keys: Keys) -> None:
    done = invoke("run", worker)
    assert done.code == 3
    assert "has no signature" in done.stderr
    assert f"{worker.with_suffix('.toml')} demands a signature" in done.stderr
    signed(model.parent, keys)
    assert invoke("run", worker).stdout == "hello"


def test_infer(
    run_cli: Callable[..., Outcome], worker: Path, model: Path, keys: Keys, red_image: Path
) -> None:
    """Demanded on the command line, by the manifest that is named, and by that of a model."""
    words: list[str | Path] = ["infer", red_image, "--as", "tensor", "--json"]
    demands: list[list[str | Path]] = [
        ["--model", model, "--trusted-key", keys.public],
        ["--manifest", worker.with_suffix(".toml")],
        ["--model", model, "--trusted-key", keys.public, "--trusted-worker"],
    ]
    for demand in demands:
        done = run_cli([*words, *demand])
        assert (done.code, "has no signature" in done.stderr) == (3, True)
    signed(model, keys)
    for demand in demands:
        done = run_cli([*words, *demand])
        assert done.code == 0, done.stderr


def test_in_python(model: Path, red_image: Path, keys: Keys, worker: Path) -> None:
    labels = model.with_name("colours.txt")
    for isolation in ("process", "thread"):
        model.with_name("colours.xml.sig").unlink(missing_ok=True)
        how: dict[str, Any] = {"isolation": isolation, "trusted_keys": [keys.public]}
        with (
            wasmlrun.Worker(model=model, labels=labels, **how) as refused,
            pytest.raises(BadModel, match="has no signature"),
        ):
            refused.classify(red_image)
        with (
            wasmlrun.Program(worker, models={"net": model}, **how) as program,
            pytest.raises(BadModel, match="has no signature"),
        ):
            program.run()
        signed(model, keys)
        with wasmlrun.Worker(model=model, labels=labels, **how) as allowed:
            assert allowed.classify(red_image).predictions[0].label == "red"


def test_compare_and_pack(
    run_cli: Callable[..., Outcome], model: Path, red_image: Path, keys: Keys, tmp_path: Path
) -> None:
    words: list[str | Path] = ["compare", red_image, "--model", model, "-n", "1"]
    words += ["--backend", "openvino", "--trusted-key", keys.public]
    done = run_cli(words)
    assert (done.code, "has no signature" in done.stderr) == (3, True)
    signed(model, keys)
    assert run_cli(words).code == 0
    shutil.copy(keys.public, tmp_path / "k.pub")
    manifest = tmp_path / "pack.toml"
    manifest.write_text('version = "1"\n[trust]\nkeys = ["k.pub"]\n')
    net = tmp_path / "net.tflite"
    net.write_bytes(b"\x1c\0\0\0TFL3" + bytes(64))
    done = run_cli(["pack", net, "--manifest", manifest, "-o", tmp_path / "m.wasm"])
    assert (done.code, "net.tflite has no signature" in done.stderr) == (3, True)


def test_a_manifest_adds_no_key_to_those_of_the_command_line(
    invoke: Invoke, worker: Path, model: Path, keys: Keys, others: Keys
) -> None:
    words = "run", worker, "--trusted-key", others.public
    signed(model.parent, keys)
    done = invoke(*words)
    assert done.code == 3
    assert "by another key" in done.stderr
    # nor does the command line take away what the manifest demands
    signed(model.parent, others)
    assert invoke(*words).code == 3
    # two signatures are two satisfied demands
    signed(model, keys)
    model_sig = model.parent / "model.sig"
    model_sig.unlink()
    signed(model.parent, others)
    assert invoke(*words).stdout == "hello"


def test_the_manifest_beside_a_model_demands(
    invoke: Invoke, model: Path, red_image: Path, keys: Keys
) -> None:
    shutil.copy(keys.public, model.with_name("k.pub"))
    model.with_suffix(".toml").write_text(
        'version = "1"\n[classify]\nlabels = "colours.txt"\n[trust]\nkeys = ["k.pub"]\n'
    )
    words = "classify", red_image, "--model", model, "-q"
    assert invoke(*words).code == 3
    signed(model, keys)
    assert invoke(*words).code == 0


@pytest.mark.parametrize(
    ("trust", "why"),
    [
        ("keys = []", "trust.keys must be a list of key files"),
        ('keys = "a.pub"', "trust.keys must be a list of key files"),
        ("keys = [7]", "trust.keys must be a path"),
        ('keys = ["a.pub"]\nworker = 1', "trust.worker must be true or false"),
        ('kees = ["a.pub"]', "did you mean trust.keys?"),
        ('keys = ["none.pub"]', "none.pub does not exist"),
        ('keys = ["../outside.pub"]', "it leads out of the folder"),
        ('keys = ["model/colours.txt"]', "is no public key"),
    ],
)
def test_a_manifest_that_demands_wrongly(
    invoke: Invoke, worker: Path, keys: Keys, trust: str, why: str
) -> None:
    shutil.copy(keys.public, worker.parents[1] / "outside.pub")
    manifest = worker.with_suffix(".toml")
    text = manifest.read_text()
    manifest.write_text(text.replace('keys = ["./release.pub"]', trust))
    done = invoke("run", worker)
    assert done.code == 3
    assert why in done.stderr


# ----------------------------------------------------------------- every way to a model and worker


def test_models_that_a_guest_brings(
    invoke: Invoke, tmp_path: Path, make_worker: Callable[..., Path], keys: Keys
) -> None:
    """Bytes that a guest loads are known by a signature in the folders that it sees."""
    guest = make_worker(tmp_path, LOADS)
    seen = tmp_path / "seen"
    (seen / "deep").mkdir(parents=True)
    words = "run", guest, "--dir", f"{seen}:/models", "--trusted-key", keys.public
    done = invoke(*words)
    assert done.code != 0
    assert "has no signature: there is none in the mounted folders" in done.stderr
    assert f"part 0 sha256:{sha256(XML)}" in done.stderr
    ir = write_colours(seen / "deep")
    signed(ir, keys)
    assert invoke(*words).code == 0
    signed(ir, make_keys(tmp_path, "third"))
    done = invoke(*words)
    assert done.code != 0
    assert "1 signatures were looked at" in done.stderr


@pytest.mark.parametrize("option", [["--model", "net={}"], ["--nn-preload", "net:openvino:CPU:{}"]])
def test_models_that_options_name(
    invoke: Invoke, worker: Path, model: Path, keys: Keys, option: Sequence[str], tmp_path: Path
) -> None:
    signed(model.parent, keys)
    (tmp_path / "elsewhere").mkdir()
    other = write_colours(tmp_path / "elsewhere")
    words = [part.format(other) for part in option]
    done = invoke("run", worker, *words)
    assert (done.code, "elsewhere" in done.stderr) == (3, True)
    signed(other, keys)
    assert invoke("run", worker, *words).code == 0


def test_the_default_model_is_no_exception(invoke: Invoke, red_image: Path, keys: Keys) -> None:
    done = invoke("classify", red_image, "--trusted-key", keys.public)
    assert done.code == 3
    assert f"{bundled.DEFAULT_MODEL}.xml has no signature" in done.stderr


ABOUT = {
    "model": {"name": "m", "sha256": "0" * 64},
    "input": {"shape": [1, 4, 4, 3], "dtype": "f32"},
    "label_offset": 0,
    "picture": {
        "size": [4, 4],
        "resize": "pad",
        "layout": "NHWC",
        "dtype": "f32",
        "color": "RGB",
        "mean": [0.0],
        "scale": [1.0],
    },
}


def packed(path: Path, labels: list[str], wat: Callable[[str], bytes]) -> Path:
    path.write_bytes(description.with_description(wat(printing("packed")), ABOUT, labels))
    return path


def test_a_packed_worker_is_signed_like_a_model(
    invoke: Invoke, tmp_path: Path, wat: Callable[[str], bytes], keys: Keys
) -> None:
    module = packed(tmp_path / "m.wasm", ["cat", "dog"], wat)
    words = "run", module, "--trusted-key", keys.public
    done = invoke(*words)
    assert done.code == 3
    assert f"worker {module} has no signature" in done.stderr
    assert f"sha256:{sha256(module.read_bytes())}" in done.stderr
    assert invoke("models", "sign", module, "--key", keys.private).code == 0
    assert invoke("models", "verify", module, "--trusted-key", keys.public).code == 0
    assert invoke(*words).stdout == "packed"
    plan = make_plan(Wishes(str(module), trusted_keys=[str(keys.public)]))
    assert plan.labels == ["cat", "dog"]
    packed(module, ["dog", "cat"], wat)
    done = invoke(*words)
    assert (done.code, "not what was signed" in done.stderr) == (3, True)
    with pytest.raises(BadWorker, match="not what was signed"):
        make_plan(Wishes(str(module), trusted_keys=[str(keys.public)]))


def test_any_worker_where_that_is_asked(
    invoke: Invoke, worker: Path, model: Path, keys: Keys, others: Keys
) -> None:
    signed(model.parent, keys)
    words = "run", worker, "--trusted-key", keys.public, "--trusted-worker"
    assert invoke(*words[:-1]).code == 0
    done = invoke(*words)
    assert (done.code, f"worker {worker} has no signature" in done.stderr) == (3, True)
    signed(worker, keys)
    assert invoke(*words).code == 0
    signed(worker, others)
    assert invoke(*words).code == 3
    # the manifest may ask for it too
    manifest = worker.with_suffix(".toml")
    manifest.write_text(MANIFEST.format(more="worker = true"))
    assert invoke("run", worker).code == 3
    signed(worker, keys)
    assert invoke("run", worker).code == 0
    done = invoke("run", worker, "--trusted-worker")
    assert (done.code, "there is no key to trust" in done.stderr) == (2, True)


def test_a_script_where_workers_are_to_be_signed(tmp_path: Path, keys: Keys) -> None:
    script = tmp_path / "work.py"
    script.write_text("print('é')")
    gate = Gate([Demand((keys.public,), "somebody", worker=True)])
    with pytest.raises(BadWorker, match="has no signature"):
        gate.admit_script(script, script.read_text())
    signed(script, keys)
    gate.admit_script(script, script.read_text())
    with pytest.raises(BadWorker, match="not what was signed"):
        gate.admit_script(script, "print('e')")


def test_the_bundled_worker_needs_no_signature(
    invoke: Invoke, model: Path, red_image: Path, keys: Keys
) -> None:
    signed(model, keys)
    words = "classify", red_image, "--model", model, "--labels", model.with_name("colours.txt")
    done = invoke(*words, "-q", "--trusted-key", keys.public, "--trusted-worker")
    assert done.code == 0, done.stderr


def test_serve(
    tmp_path: Path, model: Path, keys: Keys, own_home: dict[str, str], red_image: Path
) -> None:
    words = "--model", f"net={model}", "--labels", model.with_name("colours.txt")
    signed(model, keys)
    with Served(
        *words, "--trusted-key", keys.public, env={**os.environ, **own_home}, cwd=tmp_path
    ) as served:
        picture = red_image.read_bytes()
        reply = served.ask("POST", "/classify", picture, {"content-type": "image/png"})
        assert reply.json["predictions"][0]["label"] == "red"


@pytest.mark.parametrize("where", ["model", "site"])
def test_serve_refuses(
    run_cli: Callable[..., Outcome], tmp_path: Path, worker: Path, model: Path, keys: Keys,
    where: str, own_home: dict[str, str],
) -> None:  # fmt: skip
    if where == "model":
        done = run_cli(["serve", "--port", "0", "--model", model, "--trusted-key", keys.public])
        assert (done.code, "has no signature" in done.stderr) == (3, True)
        return
    with Served(tmp_path, env={**os.environ, **own_home}, cwd=tmp_path) as served:
        assert served.get("/worker").status >= 400
        assert "has no signature" in served.logged("warning: /worker")


# ------------------------------------------------------------------------------ what it takes


def test_without_the_package(model: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    signed(model, keys)
    for name in [n for n in sys.modules if n.split(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(UsageFault, match="not installed: cryptography") as told:
        Gate([Demand((keys.public,), "x")]).admit_model(read_model(model), "model net")
    assert told.value.hint == "pip install 'wasmlrun[sign]'"
    with pytest.raises(UsageFault, match="not installed: cryptography"):
        read_private(keys.private)


def test_a_key_that_is_none_is_told_before_anything_else(model: Path, worker: Path) -> None:
    with pytest.raises(BadFile, match="is no public key"):
        make_plan(Wishes(model=str(model), trusted_keys=[str(model)]))
    with pytest.raises(BadFile, match="is no public key"):
        plan_program(ProgramWishes(str(worker), trusted_keys=[str(model)]), bounded=False)
