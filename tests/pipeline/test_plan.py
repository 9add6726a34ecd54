"""From what the user said to what will run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.core_guests import EXIT_7
from kit.models_by_hand import write_colours

from wasmlrun.manifest.manifest import Classify
from wasmlrun.pipeline.plan import Wishes, make_plan, named_models
from wasmlrun.support.errors import BadManifest, BadModel, UsageFault, WasmlrunError
from wasmlrun.support.model_source import Encoding

NN = '[features.wasi_nn]\nallowed_backends = ["openvino"]\n'


@pytest.fixture
def worker(tmp_path: Path, make_worker: Callable[..., Path]) -> Callable[[str], str]:
    """Writes a worker with this manifest, and a model under models/net; returns its path."""
    write_colours(tmp_path / "models" / "net", "model")
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\ne\n")
    return lambda text: str(make_worker(tmp_path, EXIT_7, 'version = "1"\n' + text))


def refused(wishes: Wishes, kind: type[WasmlrunError]) -> tuple[str, str | None]:
    with pytest.raises(kind) as caught:
        make_plan(wishes)
    return caught.value.message, caught.value.hint


def test_a_model_alone_needs_no_manifest(colours: Path) -> None:
    plan = make_plan(Wishes(model=str(colours)))
    assert plan.worker.name == "mobilenet.wasm"
    assert (plan.model, list(plan.models)) == ("colours", ["colours"])
    assert plan.source is not None
    assert plan.source.encoding is Encoding.OPENVINO
    assert plan.settings == Classify()
    assert (plan.grant.nn, plan.grant.mounts, dict(plan.grant.environ)) == (True, (), {})
    assert (plan.shown_worker, plan.shown_model) == ("mobilenet", str(colours))


def test_a_manifest_beside_the_model_has_its_settings(tmp_path: Path) -> None:
    path = write_colours(tmp_path)
    path.with_suffix(".toml").write_text('version = "1"\n[classify]\nresize = "pad"\n')
    assert make_plan(Wishes(model=str(path))).settings.resize == "pad"


def test_without_a_classify_table_a_worker_is_one_of_wasm_workers_server(
    worker: Callable[[str], str],
) -> None:
    plan = make_plan(Wishes(worker=worker(NN)))
    assert plan.settings.protocol == "wws"
    assert plan.model is None


def test_the_one_preloaded_model_is_the_model(worker: Callable[[str], str]) -> None:
    preload = '[[features.wasi_nn.preload_models]]\nprovider = { dir = "models/net" }\n'
    plan = make_plan(Wishes(worker=worker(preload + "[classify]\n")))
    assert plan.model == plan.shown_model == "net"
    assert plan.source is plan.models["net"]


def test_a_model_in_a_mounted_folder_is_known_to_the_host(worker: Callable[[str], str]) -> None:
    text = NN + '[[folders]]\nfrom = "models"\nto = "/m"\n'
    plan = make_plan(Wishes(worker=worker(text + '[classify]\nmodel = "/m/net/model.xml"\n')))
    assert plan.model == "/m/net/model.xml"
    assert plan.source is not None
    assert plan.models == {}


@pytest.mark.parametrize(
    ("model", "kind", "message", "hint"),
    [
        (
            "/m/../secret.onnx",
            BadManifest,
            "{toml}: classify.model must not contain ..",
            None,
        ),
        (
            "/elsewhere/x.onnx",
            BadManifest,
            "{toml}: classify.model = '/elsewhere/x.onnx' is in no mounted folder "
            "and names no preloaded model",
            "mounted folders: /m",
        ),
        (
            "/m/none.onnx",
            BadModel,
            "model {folder}/models/none.onnx does not exist (/m/none.onnx to the worker)",
            "put it there, or correct classify.model in {toml}",
        ),
    ],
)
def test_a_model_that_the_guest_could_not_find_is_refused(
    worker: Callable[[str], str],
    tmp_path: Path,
    model: str,
    kind: type[WasmlrunError],
    message: str,
    hint: str | None,
) -> None:
    text = NN + f'[[folders]]\nfrom = "models"\nto = "/m"\n[classify]\nmodel = "{model}"\n'
    names: dict[str, Any] = {"toml": tmp_path / "worker.toml", "folder": tmp_path}
    found = refused(Wishes(worker=worker(text)), kind)
    assert found == (message.format(**names), hint and hint.format(**names))


def test_a_flag_beats_the_manifest(worker: Callable[[str], str], tmp_path: Path) -> None:
    text = '[features.wasi_nn]\nallowed_backends = ["openvino"]\ninput_layout = "nhwc"\n'
    path = worker(text + '[classify]\nlabels = "none.txt"\n[[folders]]\nfrom="models"\nto="/m"\n')
    other = write_colours(tmp_path / "other", "other")
    plan = make_plan(
        Wishes(
            worker=path,
            model=str(other),
            labels=tmp_path / "labels.txt",
            input_layout="nchw",
            writable=["/m/"],
            arguments=["one"],
        )
    )
    assert plan.model == "other"
    assert plan.labels == list("abcde")
    assert not plan.grant.nhwc_input
    assert plan.grant.mounts[0].writable
    assert plan.arguments == ["one"]


def test_writable_names_only_what_is_mounted(worker: Callable[[str], str]) -> None:
    path = worker(NN + '[[folders]]\nfrom = "models"\nto = "/m"\n')
    assert refused(Wishes(worker=path, writable=["/x"]), UsageFault) == (
        "--writable /x: no folder is mounted there",
        "mounted folders: /m",
    )


def test_models_go_by_their_own_name_or_a_given_one(colours: Path) -> None:
    models = named_models([str(colours), f"net={colours}"])
    assert list(models) == ["colours", "net"]
    assert models["colours"].sha256 == models["net"].sha256
