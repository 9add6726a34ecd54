"""The model API over HTTP: pictures, tensors, what is wrong with them, and clients of others."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

import pytest
from kit.models_by_hand import COLOURS
from kit.served import Reply, Served

BOUNDARY = b"----x"
RED = [255.0, 0.0, 0.0] * 16


@pytest.fixture(scope="module")
def environment(own_home: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, **own_home}


@pytest.fixture(scope="module")
def served(
    colours: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    words: list[str | Path] = ["--model", colours, "--model", f"second={colours}", "--labels"]
    words += [colours.parent / "colours.txt", "--processes", "1", "--max-body", "200000"]
    cwd = tmp_path_factory.mktemp("api")
    with Served(*words, env=environment, cwd=cwd) as server:
        yield server


def form(data: bytes, name: str = "image", file: str | None = "red.png") -> bytes:
    named = f'; filename="{file}"' if file else ""
    head = f'Content-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode()
    return b"--" + BOUNDARY + b"\r\n" + head + data + b"\r\n--" + BOUNDARY + b"--\r\n"


def post(served: Served, body: bytes, path: str = "/classify", kind: str = "image/png") -> Reply:
    return served.ask("POST", path, body, {"content-type": kind})


BEGIN, END = b"--" + BOUNDARY + b"\r\n", b"--" + BOUNDARY + b"--\r\n"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY.decode()}"


def test_a_picture_as_body_or_in_a_form_has_labels(served: Served, red_image: Path) -> None:
    picture = red_image.read_bytes()
    raw = post(served, picture).json
    in_form = post(served, form(picture), kind=MULTIPART).json
    assert (raw["image"], in_form["image"]) == ("image", "red.png")
    for found in (raw, in_form):
        assert (found["schema"], found["worker"], found["model"]) == (1, "mobilenet", "colours")
        assert {p["label"] for p in found["predictions"]} == set(COLOURS)
        best = found["predictions"][0]
        assert (best["index"], best["label"]) == (0, "red")
        assert 0 < best["score"] <= 1
        assert found["timings_ms"]["total"] > 0
    assert raw["predictions"] == in_form["predictions"]
    other = post(served, picture, "/classify?top=2&model=second").json
    assert other["model"] == "second"
    assert other["predictions"] == raw["predictions"][:2]


@pytest.mark.parametrize(
    ("body", "path", "kind", "status", "words"),
    [
        (b"", "/classify", "image/png", 400, "the body is empty"),
        (b"no picture", "/classify", "image/png", 400, "is not an image"),
        (b"x", "/classify?top=0", "image/png", 400, "top=0: a number"),
        (b"x", "/classify?top=x", "image/png", 400, "top=x"),
        (b"x", "/classify?model=z", "image/png", 404, "there is no model z; there are: colours"),
        (form(b"x", file=None), "/classify", MULTIPART, 400, "the form has no file"),
        (b"--nonsense", "/classify", MULTIPART, 400, "the form"),
        (b"x", "/classify", "multipart/form-data", 400, "the form cannot be read"),
        (form(b"x")[:-8] + b"\r\n" + form(b"y"), "/classify", MULTIPART, 400, "Too many files"),
        (form(b"x" * 70000, file=None), "/classify", MULTIPART, 400, "the form cannot be read"),
        (form(b"x", file="a" * 60000), "/classify", MULTIPART, 400, "the form cannot be read"),
        (form(b"x")[:-9], "/classify", MULTIPART, 400, "the form has no file"),
        (END, "/classify", MULTIPART, 400, "the form has no file"),
        (BEGIN + b"X: y\r\n" * 9000, "/classify", MULTIPART, 400, "the form cannot be read"),
        (BEGIN * 9000, "/classify", MULTIPART, 400, "the form cannot be read"),
        (BEGIN + b"A: b\r\n\r\nx\r\n" + END, "/classify", MULTIPART, 400, "the form cannot"),
        (form(b"--y\r\n\r\nx\r\n--y--", file=None), "/classify", MULTIPART, 400, "has no file"),
        (form(b"x"), "/classify", "multipart/form-data; boundary=", 400, "the form"),
        (form(b"x"), "/classify", "multipart/form-data; boundary=other", 400, "the form"),
        (b"x" * 200_001, "/classify", "image/png", 413, "larger than it may be"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(
    served: Served, body: bytes, path: str, kind: str, status: int, words: str
) -> None:
    reply = post(served, body, path, kind)
    assert reply.status == status
    assert words in reply.json["error"]["message"]


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\0b", "ä.png", "%2e%2e%2f"])
def test_a_files_name_is_a_text_and_no_place(served: Served, red_image: Path, name: str) -> None:
    reply = post(served, form(red_image.read_bytes(), file=name), kind=MULTIPART)
    assert (reply.status, reply.json["image"]) == (200, name)


def test_a_form_of_many_parts_is_refused(served: Served) -> None:
    part = b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    reply = post(served, part * 2000, kind=MULTIPART)
    assert reply.status == 400
    assert "Too many fields" in reply.json["error"]["message"]


def test_methods_and_places(served: Served) -> None:
    refused = served.get("/classify")
    assert (refused.status, refused.headers["allow"]) == (405, "POST")
    assert served.ask("POST", "/models").headers["allow"] == "GET, HEAD"
    assert served.get("/v2/models/colours/infer").headers["allow"] == "POST"
    assert served.get("/nowhere").status == 404
    assert served.get("/healthz").json == {"live": True}
    assert served.get("/readyz").json == {"ready": True}
    assert [model["name"] for model in served.get("/models").json["models"]] == [
        "colours",
        "second",
    ]


def test_metrics_count_routes_and_never_what_a_client_wrote(served: Served) -> None:
    served.get("/made-up-by-a-client")
    text = served.get("/metrics").body.decode()
    assert 'wasmlrun_requests_total{route="/readyz",status="200"}' in text
    assert "wasmlrun_request_seconds_bucket" in text
    assert "made-up" not in text


def test_the_description_names_every_place(served: Served) -> None:
    paths = served.get("/openapi.json").json["paths"]
    assert "/classify" in paths
    for path, operations in paths.items():
        if "get" in operations:
            assert served.get(path.replace("{model}", "colours")).status == 200, path


def test_pages_ask_nothing_of_others(served: Served) -> None:
    for path in ("/", "/docs", "/web/page.css", "/web/page.js", "/web/docs.js", "/web/icon.svg"):
        reply = served.get(path)
        assert reply.status == 200, path
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        addresses = set(re.findall(r"https?://[^\s\"'`)]*", reply.body.decode()))
        assert addresses <= {"http://www.w3.org/2000/svg"}, path
    assert served.get("/web/../page.py").status == 404


def test_a_folder_of_models_serves_all_of_them(
    colours: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        for suffix in (".xml", ".bin"):
            shutil.copy(colours.with_suffix(suffix), tmp_path / name / f"{name}{suffix}")
    with Served("--model", tmp_path, "--processes", "1", env=environment, cwd=tmp_path) as server:
        names = [model["name"] for model in server.get("/models").json["models"]]
        assert names == ["first", "second"]
        assert server.get("/v2/models/second").json["inputs"][0]["shape"] == [1, 4, 4, 3]


def test_a_site_and_a_model_side_by_side(
    colours: Path, red_image: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "a.txt").write_text("an asset")
    words: list[str | Path] = [tmp_path, "--model", colours, "--processes", "1"]
    with Served(*words, env=environment, cwd=tmp_path) as server:
        assert b"<title>wasmlrun</title>" in server.get("/").body
        assert server.get("/a.txt").body == b"an asset"
        assert post(server, red_image.read_bytes()).status == 200
        assert server.get("/metrics").status == 404
        assert server.get("/_wasmlrun/metrics").status == 200
        (tmp_path / "public" / "index.html").write_text("the site's own")
        assert server.get("/").body == b"the site's own"


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from wasmlrun.commands import serve
    from wasmlrun.support.errors import UsageFault

    monkeypatch.setattr(serve, "_NEEDED", ("json", "no_such_package"))
    done = CliRunner().invoke(serve.command, [])
    assert isinstance(done.exception, UsageFault)
    assert done.exception.message == "serve needs what is not installed: no_such_package"
    assert done.exception.hint == "pip install 'wasmlrun[serve]'"


def test_a_model_is_called_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wasmlrun.commands import serve

    def names(*models: str) -> list[str]:
        wishes, _ = serve._models(serve.Wanted(models=models), False)
        return [model["name"] for model in wishes]

    monkeypatch.setenv("WASMLRUN_DATA_DIR", str(tmp_path))
    assert names() == ["mobilenet-cifar10"]
    pulled = tmp_path / "models" / "mobilenet-v1-0.25"
    pulled.mkdir(parents=True)
    (pulled / "mobilenet-v1-0.25.toml").touch()
    assert names() == ["mobilenet-v1-0.25"]  # it is taken where none is named
    (tmp_path / "net.v2.tflite").touch()
    given = ("mobilenet-v1-0.25", str(tmp_path / "net.v2.tflite"), "mine=mobilenet-v2")
    assert names(*given) == ["mobilenet-v1-0.25", "net.v2", "mine"]


# --- Open Inference Protocol --------------------------------------------------------------------


def infer(served: Served, **changes: object) -> Reply:
    given = {"name": "picture", "datatype": "FP32", "shape": [1, 4, 4, 3], "data": RED}
    body = json.dumps({"id": "9", "inputs": [given | changes]}).encode()
    return served.ask("POST", "/v2/models/colours/infer", body)


def test_health_and_metadata(served: Served) -> None:
    assert served.get("/v2/health/live").json == {"live": True}
    assert served.get("/v2/health/ready").json == {"ready": True}
    assert served.get("/v2").json["extensions"] == ["binary_tensor_data"]
    assert served.get("/v2/models/colours/ready").json["ready"] is True
    about = served.get("/v2/models/colours/versions/1").json
    assert about["inputs"] == [{"name": "picture", "datatype": "FP32", "shape": [1, 4, 4, 3]}]
    assert about["outputs"] == [{"name": "scores", "datatype": "FP32", "shape": [1, 5]}]
    assert served.get("/v2/models/none").json == {
        "error": "there is no model none; there are: colours, second"
    }
    assert served.get("/v2/models/colours/versions/2").status == 404


def test_an_inference_in_json_and_in_binary(served: Served) -> None:
    answer = infer(served).json
    assert (answer["model_name"], answer["id"]) == ("colours", "9")
    (output,) = answer["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("scores", "FP32", [1, 5])
    assert sum(output["data"]) == pytest.approx(1, abs=1e-5)
    assert output["data"].index(max(output["data"])) == 0
    data = struct.pack("<48f", *RED)
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "picture",
                    "datatype": "FP32",
                    "shape": [1, 4, 4, 3],
                    "parameters": {"binary_data_size": len(data)},
                }
            ],
            "outputs": [{"name": "scores", "parameters": {"binary_data": True}}],
        }
    ).encode()
    size = "inference-header-content-length"
    reply = served.ask("POST", "/v2/models/colours/infer", head + data, {size: str(len(head))})
    numbers = struct.unpack("<5f", reply.body[int(reply.headers[size]) :])
    assert list(numbers) == pytest.approx(output["data"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "other"}, "the model has no input other"),
        ({"shape": [1, 48]}, "input picture is [1, 4, 4, 3] f32, given was [1, 48] f32"),
        ({"datatype": "FP64"}, "given was [1, 4, 4, 3] f64"),
        ({"datatype": "BYTES"}, "datatype BYTES is not one of"),
        ({"data": [1]}, "1 numbers, its shape has 48"),
        ({"data": [1] * 49}, "more numbers than the 48"),
        ({"shape": [10**4000] * 16}, "its shape must be a list"),
    ],
)
def test_tensors_that_do_not_fit(served: Served, changes: dict[str, object], words: str) -> None:
    reply = infer(served, **changes)
    assert reply.status == 400
    assert words in reply.json["error"]


def test_a_body_is_read_by_a_process_that_may_be_lost(
    colours: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    words: list[str | Path] = ["--model", colours, "--processes", "1", "--timeout", "1"]
    with Served(*words, env=environment, cwd=tmp_path) as server:
        # numbers in JSON take a hundred times their place; a process that has not ended by then is
        # replaced, and who asks for something else meanwhile is answered
        body = b'{"inputs": [' + b"{}," * 10_000_000 + b"1]}"
        statuses: list[int] = []
        path = "/v2/models/colours/infer"
        thread = Thread(target=lambda: statuses.append(server.ask("POST", path, body).status))
        thread.start()
        while thread.is_alive():
            assert server.get("/healthz").status == 200
        assert statuses[0] in (400, 504)
        assert infer(server).status == 200


def test_a_public_client_works(served: Served) -> None:
    if find_spec("tritonclient") is None:
        reason = "no tritonclient; in CI it is installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    import numpy as np
    from tritonclient import http as triton

    client = triton.InferenceServerClient(f"127.0.0.1:{served.port}")
    try:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("colours")
        assert client.get_model_metadata("colours")["outputs"][0]["name"] == "scores"
        wanted = triton.InferInput("picture", [1, 4, 4, 3], "FP32")
        picture = np.array(RED, np.float32).reshape(1, 4, 4, 3)
        for binary in (True, False):
            wanted.set_data_from_numpy(picture, binary_data=binary)
            outputs = [triton.InferRequestedOutput("scores", binary_data=binary)]
            scores = client.infer("colours", [wanted], outputs=outputs).as_numpy("scores")
            assert scores.shape == (1, 5)
            assert scores.argmax() == 0
    finally:
        client.close()
