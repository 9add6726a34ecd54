"""Manifests: what is read, and the exact sentence for everything that cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wasmlrun.engines import registry
from wasmlrun.manifest.grant import from_manifest, with_writable
from wasmlrun.manifest.manifest import Classify, Manifest, Mount, Preload
from wasmlrun.manifest.mounts import check_folders
from wasmlrun.manifest.reader import read_manifest
from wasmlrun.support.errors import BadManifest, UsageFault


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A worker's folder with some things beside the manifest."""
    for name in ("models", "models/mobilenet", "other/mobilenet", "data"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "file.txt").write_text("no folder")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "worker.toml"
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, text: str, **environ: str) -> Manifest:
    return read_manifest(write(folder, 'version = "1"\n' + text), environ)


def refusal(folder: Path, text: str) -> tuple[str, str | None]:
    """What is said about a manifest, without its path, and the hint."""
    path = write(folder, text)
    with pytest.raises(BadManifest) as caught:
        read_manifest(path, {})
    message = caught.value.message
    assert str(path) in f"{message} {caught.value.hint}"
    return message.replace(f"{path}: ", "").replace(str(path), "PATH"), caught.value.hint


# --- what is read -------------------------------------------------------------------------------


def test_a_manifest_of_wasm_workers_server_is_read_unchanged(folder: Path) -> None:
    manifest = read(
        folder,
        """
name = "image-classification"

[vars]
MESSAGE = "hello"

[data]
[data.kv]
namespace = "workerkv"

[features]
[features.http_requests]
allowed_hosts = ["example.com"]

[features.wasi_nn]
allowed_backends = ["openvino"]

[[features.wasi_nn.preload_models]]
backend = "openvino"
provider = { type = "local", dir = "./models/mobilenet" }

[[folders]]
from = "./models"
to = "/tmp/model"
""",
    )
    assert manifest.name == "image-classification"
    assert manifest.version == "1"
    assert manifest.vars == {"MESSAGE": "hello"}
    assert manifest.nn.allowed_backends == ("openvino",)
    assert manifest.nn.preload_models == (Preload(folder / "models" / "mobilenet", "openvino"),)
    assert manifest.nn.preload_models[0].name == "mobilenet"
    assert manifest.folders == (Mount(folder / "models", "/tmp/model", said=False, within=folder),)
    assert manifest.only_for_serve == ("data", "features.http_requests")
    assert manifest.kv_namespace == "workerkv"
    assert manifest.http.allowed_hosts == ("example.com",)
    # what the commands give a network says so; a manifest alone gives none
    assert from_manifest(manifest).http.allowed_hosts == ()
    assert manifest.classify is None


def test_what_is_not_said_is_not_granted(folder: Path) -> None:
    manifest = read(folder, "")
    assert manifest.name == "worker"
    assert not manifest.nn.enabled
    grant = from_manifest(manifest)
    assert (grant.mounts, grant.environ, grant.nn, grant.nhwc_input) == ((), {}, False, False)


@pytest.mark.parametrize(
    "text",
    [
        '[features.wasi_nn]\nallowed_backends = ["openvino"]',
        "[[features.wasi_nn.preload_models]]\n"
        'provider = { type = "local", dir = "models/mobilenet" }',
    ],
)
def test_allowed_backends_or_preloaded_models_alone_allow_wasi_nn(folder: Path, text: str) -> None:
    assert from_manifest(read(folder, text)).nn


def test_an_empty_list_of_backends_allows_nothing(folder: Path) -> None:
    assert not from_manifest(read(folder, "[features.wasi_nn]\nallowed_backends = []")).nn


def test_variables_with_a_dollar_come_from_the_environment(folder: Path) -> None:
    manifest = read(
        folder,
        """[vars]
PLAIN = "as it is"
FROM_HOST = "$TOKEN"
UNSET = "$NOT_SET_ANYWHERE"
PRICE = "$5 a day"
EMPTY = ""
""",
        TOKEN="secret",
        OTHER="not granted",
    )
    assert manifest.vars == {
        "PLAIN": "as it is",
        "FROM_HOST": "secret",
        "UNSET": "",
        "PRICE": "$5 a day",
        "EMPTY": "",
    }


def test_relative_paths_are_relative_to_the_manifest(folder: Path) -> None:
    manifest = read(folder, '[[folders]]\nfrom = "./other/../models"\nto = "/models"')
    assert manifest.folders == (Mount(folder / "models", "/models", said=False, within=folder),)
    absolute = read(folder, f'[[folders]]\nfrom = "{folder / "data"}"\nto = "/d"\nwritable = true')
    assert absolute.folders == (Mount(folder / "data", "/d", writable=True, within=folder),)


def test_relative_paths_do_not_depend_on_the_current_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, 'version = "1"\n[[folders]]\nfrom = "models"\nto = "/m"')
    monkeypatch.chdir(folder / "data")
    manifest = read_manifest(Path("../worker.toml"), {})
    assert os.path.samefile(manifest.folders[0].host, folder / "models")


def test_every_key_of_classify_is_read(folder: Path) -> None:
    manifest = read(
        folder,
        """[classify]
protocol = "tensor"
model = "/models/net.onnx"
labels = "labels.txt"
size = [200, 320]
resize = "pad"
layout = "NCHW"
dtype = "f16"
color = "BGR"
mean = [1, 2.5, 3]
scale = 255
scores = "logits"
label_offset = -1
unsure_below = 1
""",
    )
    assert manifest.classify == Classify(
        protocol="tensor",
        model="/models/net.onnx",
        labels=folder / "labels.txt",
        size=(200, 320),
        resize="pad",
        layout="NCHW",
        dtype="f16",
        color="BGR",
        mean=(1.0, 2.5, 3.0),
        scale=(255.0,),
        scores="logits",
        label_offset=-1,
        unsure_below=1.0,
        within=folder,
    )


def test_an_empty_classify_table_is_the_tensor_protocol_with_defaults(folder: Path) -> None:
    assert read(folder, "[classify]").classify == Classify()
    assert Classify().protocol == "tensor"
    square = read(folder, "[classify]\nsize = 96").classify
    assert square is not None
    assert square.size == (96, 96)


@pytest.mark.parametrize(("layout", "expected"), [("nhwc", True), ("nchw", False)])
def test_the_old_hosts_layout_is_said_by_the_manifest(
    folder: Path, layout: str, expected: bool
) -> None:
    text = f'[features.wasi_nn]\nallowed_backends = ["openvino"]\ninput_layout = "{layout}"'
    assert from_manifest(read(folder, text)).nhwc_input is expected


# --- unknown keys -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[clasify]", "clasify is not a known key", "did you mean classify?"),
        ('nam = "x"', "nam is not a known key", "did you mean name?"),
        (
            "zzz = 1",
            "zzz is not a known key",
            "known here: name, version, vars, features, folders, classify, infer, limits, data, "
            "trust",
        ),
        ("[classify]\nlabel = 1", "classify.label is not a known key", None),
        (
            "[classify]\nprotocl = 1",
            "classify.protocl is not a known key",
            "did you mean classify.protocol?",
        ),
        (
            "[features.wasi-nn]",
            "features.wasi-nn is not a known key",
            "did you mean features.wasi_nn?",
        ),
        (
            "[features.wasi_nn]\nallowed_backend = []",
            "features.wasi_nn.allowed_backend is not a known key",
            "did you mean features.wasi_nn.allowed_backends?",
        ),
        (
            '[[folders]]\nform = "models"\nto = "/m"',
            "folders.form is not a known key",
            "did you mean folders.from?",
        ),
        (
            '[[features.wasi_nn.preload_models]]\nbackends = "openvino"',
            "features.wasi_nn.preload_models.backends is not a known key",
            "did you mean features.wasi_nn.preload_models.backend?",
        ),
        (
            '[[features.wasi_nn.preload_models]]\nprovider = { typ = "local", dir = "models" }',
            "features.wasi_nn.preload_models.provider.typ is not a known key",
            "did you mean features.wasi_nn.preload_models.provider.type?",
        ),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(
    folder: Path, text: str, message: str, hint: str | None
) -> None:
    said, hinted = refusal(folder, 'version = "1"\n' + text)
    assert said == message
    assert hinted == hint if hint else hinted is not None


# --- wrong values -------------------------------------------------------------------------------

NN = "[features.wasi_nn]\n"
PRELOAD = "[[features.wasi_nn.preload_models]]\n"
CHANNELS = "must be one number or one per channel"
SIZE = "must be 1 to 8192 pixels: one number, or [height, width]"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("name = 1", "name must be a string", 'write name = "1"'),
        ("vars = 1", "vars must be a table", "write [vars]"),
        ("features = 1", "features must be a table", "write [features]"),
        ("[features]\nwasi_nn = 1", "features.wasi_nn must be a table", None),
        ("classify = 1", "classify must be a table", "write [classify]"),
        ("[vars]\nN = 5", "vars.N must be a string", 'write N = "5"'),
        ('[vars]\nN = "a\\u0000b"', "vars.N has a character that no environment can hold", None),
        ('[vars]\n"A=B" = "x"', "vars.A=B has a character that no environment can hold", None),
        (
            NN + 'allowed_backends = "openvino"',
            "features.wasi_nn.allowed_backends must be a list of names",
            'write allowed_backends = ["openvino"]',
        ),
        (
            NN + 'allowed_backends = ["openvinos"]',
            "features.wasi_nn.allowed_backends is 'openvinos'",
            "did you mean openvino?",
        ),
        (
            NN + 'allowed_backends = ["openvino"]\ninput_layout = "hwc"',
            "features.wasi_nn.input_layout is 'hwc'",
            "possible: nhwc, nchw",
        ),
        (
            NN + "preload_models = 1",
            "features.wasi_nn.preload_models must be a list of tables",
            "write [[features.wasi_nn.preload_models]]",
        ),
        (
            PRELOAD + 'backend = "ggml"',
            "features.wasi_nn.preload_models.backend is 'ggml'",
            f"known: {', '.join(registry.names())}",
        ),
        (
            PRELOAD,
            "features.wasi_nn.preload_models.provider is missing",
            'write provider = { type = "local", dir = "./models/NAME" }',
        ),
        (
            PRELOAD + 'provider = { type = "http", dir = "models" }',
            "features.wasi_nn.preload_models.provider.type is 'http'",
            "possible: local",
        ),
        (
            PRELOAD + 'provider = { type = "local" }',
            "features.wasi_nn.preload_models.provider.dir must be a path",
            'write dir = "./folder"',
        ),
        (
            PRELOAD
            + 'provider = { dir = "models/mobilenet" }\n'
            + PRELOAD
            + 'provider = { dir = "other/mobilenet" }',
            "features.wasi_nn.preload_models has two folders of the name 'mobilenet'",
            None,
        ),
        ("[data.kv]", "data.kv.namespace is missing", 'write namespace = "counter"'),
        ("[data]\nvk = 1", "data.vk is not a known key", "did you mean data.kv?"),
        (
            "[features.http_requests]\nallowed_hosts = 'a.org'",
            "features.http_requests.allowed_hosts must be a list of names",
            'write allowed_hosts = ["example.com"]',
        ),
        (
            "[features.http_requests]\nallow_http = 1",
            "features.http_requests.allow_http must be true or false",
            None,
        ),
        ("folders = 1", "folders must be a list of tables", "write [[folders]]"),
        ('[folders]\nfrom = "models"', "folders must be a list of tables", "write [[folders]]"),
        (
            '[[folders]]\nfrom = "models"',
            "folders.to must be the guest's path",
            'write to = "/models"',
        ),
        ('[[folders]]\nto = "/m"', "folders.from must be a path", 'write from = "./folder"'),
        (
            '[[folders]]\nfrom = "models"\nto = "/m"\nwritable = "yes"',
            "folders.writable must be true or false",
            None,
        ),
        (
            '[classify]\nprotocol = "http"',
            "classify.protocol is 'http'",
            "possible: tensor, wws",
        ),
        (
            '[classify]\nresize = "fit"',
            "classify.resize is 'fit'",
            "possible: crop, stretch, pad",
        ),
        ('[classify]\nlayout = "nhwc"', "classify.layout is 'nhwc'", "possible: NHWC, NCHW"),
        (
            '[classify]\ndtype = "int8"',
            "classify.dtype is 'int8'",
            "possible: u8, i8, f32, f16",
        ),
        ('[classify]\ncolor = "rgb"', "classify.color is 'rgb'", "possible: RGB, BGR, gray"),
        (
            '[classify]\nscores = "softmax"',
            "classify.scores is 'softmax'",
            "possible: auto, probabilities, logits",
        ),
        ("[classify]\ndtype = 8", "classify.dtype is 8", "possible: u8, i8, f32, f16"),
        ("[classify]\nmodel = 1", "classify.model must be a string", 'write model = "1"'),
        ("[classify]\nlabels = 1", "classify.labels must be a path", None),
        ("[classify]\nsize = 0", f"classify.size {SIZE}", "write size = 224"),
        ("[classify]\nsize = 8193", f"classify.size {SIZE}", "write size = 224"),
        ("[classify]\nsize = true", f"classify.size {SIZE}", "write size = 224"),
        ("[classify]\nsize = [1, 2, 3]", f"classify.size {SIZE}", "write size = 224"),
        ('[classify]\nsize = "224"', f"classify.size {SIZE}", "write size = 224"),
        (
            "[classify]\nmean = [1, 2]",
            f"classify.mean {CHANNELS}",
            "write mean = [123.7, 116.3, 103.5]",
        ),
        ('[classify]\nscale = ["1"]', f"classify.scale {CHANNELS}", None),
        (
            "[classify]\nscale = [1, 0, 1]",
            "classify.scale must not be 0: channels are divided by it",
            None,
        ),
        (
            "[classify]\nlabel_offset = 0.5",
            "classify.label_offset must be a whole number",
            None,
        ),
        *(
            (
                f"[classify]\nunsure_below = {value}",
                "classify.unsure_below must be a score from 0 to 1",
                "write unsure_below = 0.5",
            )
            for value in ("-0.1", "55", "true", '"0.5"', "nan")
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_key(
    folder: Path, text: str, message: str, hint: str | None
) -> None:
    said, hinted = refusal(folder, 'version = "1"\n' + text)
    assert said == message
    if hint is not None:
        assert hinted == hint


def test_a_missing_model_folder_is_named(folder: Path) -> None:
    said, _ = refusal(folder, 'version = "1"\n' + PRELOAD + 'provider = { dir = "models/none" }')
    assert said == (
        f"features.wasi_nn.preload_models.provider.dir is no folder: {folder / 'models' / 'none'}"
    )


def test_the_version_is_required(folder: Path) -> None:
    assert refusal(folder, 'name = "x"') == ("version is missing", 'add a line: version = "1"')


# --- files that are no manifest -----------------------------------------------------------------


def test_a_file_that_is_no_manifest_is_refused(folder: Path) -> None:
    path = folder / "worker.toml"

    def said(content: bytes | None = None) -> str:
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(BadManifest) as caught:
            read_manifest(path, {})
        return caught.value.message

    assert said() == f"manifest {path} does not exist"
    assert said(b"version = ").startswith(f"manifest {path} is not valid TOML: ")
    assert said(b'name = "\xff"') == f"manifest {path} is not UTF-8 (byte 8)"
    assert said(b"a = " + b"[" * 100_000) == f"manifest {path} is nested too deeply"
    with pytest.raises(BadManifest) as caught:
        read_manifest(folder, {})
    assert caught.value.message == f"manifest {folder} is a folder"
    assert caught.value.hint == "name the .toml file in it"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_manifest_that_may_not_be_read_says_so(folder: Path) -> None:
    path = write(folder, "")
    path.chmod(0)
    with pytest.raises(BadManifest) as caught:
        read_manifest(path, {})
    assert caught.value.message == f"manifest {path} cannot be read: Permission denied"


# --- mounts -------------------------------------------------------------------------------------


def test_a_manifest_with_a_folder_that_does_not_exist_is_refused(folder: Path) -> None:
    said, hint = refusal(folder, 'version = "1"\n[[folders]]\nfrom = "gone"\nto = "/m"')
    assert said == f"folder {folder / 'gone'}, to be mounted at /m, does not exist"
    assert hint == f"create it or correct [[folders]] in {folder / 'worker.toml'}"


def test_a_missing_folder_a_file_and_two_on_one_path_are_refused(folder: Path) -> None:
    def said(*mounts: Mount) -> tuple[str, str | None]:
        with pytest.raises(BadManifest) as caught:
            check_folders(mounts, "[[folders]] in w.toml")
        return caught.value.message, caught.value.hint

    gone, file = folder / "gone", folder / "file.txt"
    assert said(Mount(gone, "/m")) == (
        f"folder {gone}, to be mounted at /m, does not exist",
        "create it or correct [[folders]] in w.toml",
    )
    assert said(Mount(file, "/m")) == (
        f"{file}, to be mounted at /m, is a file, not a folder",
        "name its folder in [[folders]] in w.toml",
    )
    models, data = folder / "models", folder / "data"
    for first, second in (("/m", "/m"), ("/m", "/m/"), ("/", "/")):
        assert said(Mount(models, first), Mount(data, second)) == (
            f"two folders on one guest path: {models} and {data} at {second}",
            "give each its own path in [[folders]] in w.toml",
        )
    check_folders([Mount(models, "/m"), Mount(data, "/m/data")], "nowhere")


def test_only_folders_that_are_named_become_writable(folder: Path) -> None:
    manifest = read(
        folder,
        '[[folders]]\nfrom = "models"\nto = "/m"\n[[folders]]\nfrom = "data"\nto = "/d/"\n',
    )
    grant = with_writable(from_manifest(manifest), ["/d"])
    assert [(m.guest, m.writable) for m in grant.mounts] == [("/m", False), ("/d/", True)]
    with pytest.raises(UsageFault) as caught:
        with_writable(from_manifest(manifest), ["/nowhere"])
    assert caught.value.message == "--writable /nowhere: no folder is mounted there"
    assert caught.value.hint == "mounted folders: /m, /d/"
