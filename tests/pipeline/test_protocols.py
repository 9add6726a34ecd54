"""How an image reaches a worker and how its answer is understood."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from kit.core_guests import f32s

from wasmlrun.engines.protocol import Port
from wasmlrun.manifest.manifest import Classify
from wasmlrun.pipeline.protocols import tensor, wws
from wasmlrun.sandbox.outcome import GuestRun, explain
from wasmlrun.support.errors import BadFile, BadModel, WorkerFailed
from wasmlrun.support.model_source import Encoding
from wasmlrun.support.tensor import DType, Tensor
from wasmlrun.vision.labels import Prediction
from wasmlrun.wasi_nn.errors import NnErrno, NnError

PAIRS = [("cat", 0.7), ("dog", 0.2)]


def ran(
    stdout: bytes | str = b"", output: Tensor | None = None, failure: NnError | None = None
) -> GuestRun:
    return GuestRun(stdout.encode() if isinstance(stdout, str) else stdout, 0, output, failure)


def answered(body: object, **more: object) -> GuestRun:
    text = body if isinstance(body, str) else json.dumps(body)
    return ran(json.dumps({"data": text, **more}))


def failure(call: Any, *arguments: object) -> WorkerFailed:
    with pytest.raises(WorkerFailed) as caught:
        call(*arguments)
    return caught.value


# --- wws: the request ---------------------------------------------------------------------------


def test_an_image_is_a_post_request_with_base64_in_its_body() -> None:
    request = json.loads(wws.image_request(b"\xff\xd8picture"))
    assert base64.b64decode(request.pop("body")) == b"\xff\xd8picture"
    assert request == {
        "url": "http://localhost/",
        "method": "POST",
        "headers": {"host": "localhost"},
        "kv": {},
        "params": {},
    }


def test_a_request_of_any_kind() -> None:
    request = json.loads(wws.request("PUT", "/path?x=1", b"text", {"accept": "a/b"}))
    assert request["method"] == "PUT"
    assert request["url"] == "/path?x=1"
    assert request["body"] == "text"
    assert request["headers"] == {"accept": "a/b"}


def test_a_body_comes_from_a_file_or_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "body").write_bytes(b"from a file")
    assert wws.read_body(None) == b""
    assert wws.read_body(str(tmp_path / "body")) == b"from a file"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"from stdin")))
    assert wws.read_body("-") == b"from stdin"
    with pytest.raises(BadFile) as caught:
        wws.read_body(str(tmp_path / "none"))
    assert caught.value.message == f"--body {tmp_path / 'none'}: No such file or directory"


# --- wws: the answer ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"data": [["cat", 0.7], ["dog", 0.2]]}, id="as the example worker answers"),
        pytest.param([["cat", 0.7], ["dog", 0.2]], id="a plain list of pairs"),
        pytest.param([[0.7, "cat"], [0.2, "dog"]], id="pairs the other way round"),
        pytest.param({"cat": 0.7, "dog": 0.2}, id="a map label to score"),
        pytest.param({"predictions": {"cat": 0.7, "dog": 0.2}}, id="a map under predictions"),
        pytest.param({"results": [["cat", 0.7], ["dog", 0.2]]}, id="results"),
        *(
            pytest.param(
                [{key: "cat", "score": 0.7}, {key: "dog", "score": 0.2}], id=f"{key} score"
            )
            for key in ("label", "class", "name", "category", "className", "class_name", "title")
        ),
        *(
            pytest.param(
                {"predictions": [{"label": "cat", key: 0.7}, {"label": "dog", key: 0.2}]},
                id=f"label {key}",
            )
            for key in ("probability", "confidence", "prob", "value", "p")
        ),
    ],
)
def test_bodies_of_every_form_are_understood(body: object) -> None:
    wanted = [Prediction(None, label, score) for label, score in PAIRS]
    assert wws.predictions(answered(body), 5) == wanted
    encoded = base64.b64encode(json.dumps(body).encode()).decode()
    assert wws.predictions(answered(encoded, base64=True), 5) == wanted


def test_scores_are_passed_on_as_the_worker_gave_them_highest_first() -> None:
    found = wws.predictions(answered([["a", -3], ["b", 812.5], ["c", 0]]), 2)
    assert found == [Prediction(None, "b", 812.5), Prediction(None, "c", 0.0)]


def test_status_and_headers_are_read_and_may_be_missing() -> None:
    response = wws.parse_response(answered("body", status=201, headers={"a": 1}))
    assert response == wws.Response(201, {"a": "1"}, b"body")
    assert wws.parse_response(answered("body")) == wws.Response(200, {}, b"body")


@pytest.mark.parametrize(
    ("stdout", "message"),
    [
        ("", "the worker wrote nothing to its standard output"),
        (" \n", "the worker wrote nothing to its standard output"),
        ("hello\nworld", "the worker's answer is not JSON: hello world"),
        ("[" * 100_000, "the worker's answer is not JSON: " + "[" * 117 + "…"),
        ("[1]", 'the worker\'s answer has no "data" with the body as a string: [1]'),
        (
            '{"data": {"cat": 1}}',
            'the worker\'s answer has no "data" with the body as a string: {"data": {"cat": 1}}',
        ),
        (
            '{"data": "not JSON"}',
            "the body of the worker's answer is not JSON: not JSON",
        ),
        (
            '{"data": "bad image", "status": 400}',
            "the worker answered with status 400: bad image",
        ),
        ('{"data": "[]"}', "no labels in the worker's answer: []"),
        ('{"data": "7"}', "no labels in the worker's answer: 7"),
        ('{"data": "{}"}', "no labels in the worker's answer: {}"),
        ('{"data": "[[1, 2]]"}', "no labels in the worker's answer: [[1, 2]]"),
        ('{"data": "[{\\"label\\": 1}]"}', 'no labels in the worker\'s answer: [{"label": 1}]'),
        (
            '{"data": "[[\\"cat\\", true]]"}',
            'no labels in the worker\'s answer: [["cat", true]]',
        ),
    ],
)
def test_an_answer_that_cannot_be_understood_is_shown(stdout: str, message: str) -> None:
    assert failure(wws.predictions, ran(stdout), 5).message == message


def test_broken_base64_is_named() -> None:
    error = failure(wws.predictions, answered("!!!", base64=True), 5)
    assert error.message.startswith('the worker\'s "data" is not base64: ')


@pytest.mark.parametrize("score", ["NaN", "Infinity", "1e999"])
def test_a_score_that_is_no_finite_number_is_no_label(score: str) -> None:
    body = f'[["cat", {score}]]'
    error = failure(wws.predictions, answered(body), 5)
    assert error.message == f"no labels in the worker's answer: {body}"


def test_a_number_too_large_for_a_float_is_no_label() -> None:
    failure(wws.predictions, answered(f'[["cat", 1{"0" * 400}]]'), 5)


@pytest.mark.parametrize(
    ("body", "status", "complaint"),
    [
        ("fine", 200, None),
        ("moved", 302, None),
        ('{"error": null, "data": []}', 200, None),
        ('{"label": "error"}', 200, None),
        ('["error"]', 200, None),
        ('{"error": "no model"}', 200, "the worker answered with an error: no model"),
        ("gone", 404, "the worker answered with status 404: gone"),
    ],
)
def test_what_a_worker_complains_of(body: str, status: int, complaint: str | None) -> None:
    assert wws.complaint(wws.Response(status, {}, body.encode())) == complaint


# --- tensor: what the guest is told -------------------------------------------------------------


def test_the_guest_is_told_shape_type_model_and_output() -> None:
    told = tensor.environment(
        Tensor((1, 2, 2, 3), DType.U8, bytes(12)),
        "net",
        Encoding.TENSORFLOW_LITE,
        Port("scores", (-1, 1001), DType.F32),
    )
    assert dict(told) == {
        "WASMLRUN_MODEL": "net",
        "WASMLRUN_MODEL_ENCODING": "4",
        "WASMLRUN_INPUT_SHAPE": "1,2,2,3",
        "WASMLRUN_INPUT_TYPE": "u8",
        "WASMLRUN_OUTPUT_SHAPE": "1,1001",
        "WASMLRUN_OUTPUT_TYPE": "f32",
    }


# --- tensor: the answer -------------------------------------------------------------------------

SCORES = Tensor((1, 3), DType.F32, f32s(0.1, 0.7, 0.2))
LABELS = ["ant", "bee", "cat"]


def test_the_answer_is_the_tensor_that_was_fetched_last() -> None:
    found = tensor.predictions(ran(b"", SCORES), Classify(), LABELS, 2)
    assert [(p.index, p.label, round(p.score, 6)) for p in found] == [
        (1, "bee", 0.7),
        (2, "cat", 0.2),
    ]


@pytest.mark.parametrize(
    "prose", ["It is a bee!\n", "1 0.9\n", "bee\t0.9\n", "-1\t0.9\n", "0\tnan\n", "\n"]
)
def test_prose_is_no_answer_the_tensor_is(prose: str) -> None:
    found = tensor.predictions(ran(prose, SCORES), Classify(), LABELS, 1)
    assert found[0].label == "bee"


def test_a_worker_may_rank_for_itself() -> None:
    found = tensor.predictions(ran("0\t0.25\n2\t0.5\n", SCORES), Classify(), LABELS, 5)
    assert found == [Prediction(2, "cat", 0.5), Prediction(0, "ant", 0.25)]
    found = tensor.predictions(ran("7\t12\n"), Classify(), None, 5)
    assert found == [Prediction(7, "class 7", 12.0)]


def test_raw_scores_that_a_worker_prints_become_probabilities() -> None:
    raw = Tensor((1, 3), DType.F32, f32s(1.0, 3.0, 2.0))
    whole = tensor.predictions(ran(b"", raw), Classify(), LABELS, 2)
    # only the best two, as the samples print five of a thousand
    found = tensor.predictions(ran("1\t3\n2\t2.0\n", raw), Classify(), LABELS, 5)
    assert found == whole
    assert round(found[0].score, 4) == 0.6652
    # scores of its own, and scores that the manifest calls probabilities, stay
    own = tensor.predictions(ran("1\t0.9\n2\t0.1\n", raw), Classify(), LABELS, 5)
    assert [p.score for p in own] == [0.9, 0.1]
    said = Classify(scores="probabilities")
    assert tensor.predictions(ran("1\t3\n", raw), said, LABELS, 5)[0].score == 3.0


def test_a_class_without_a_label_is_refused() -> None:
    with pytest.raises(BadModel) as caught:
        tensor.predictions(ran("3\t0.9\n"), Classify(), LABELS, 5)
    assert caught.value.message == "the worker named class 3, and there are 3 labels"


def test_a_worker_that_fetched_and_printed_nothing_gave_no_answer() -> None:
    error = failure(tensor.predictions, ran(), Classify(), None, 5)
    assert error.message == (
        "the worker gave no answer: it fetched no output and printed no ranking"
    )


# --- the call that is to blame ------------------------------------------------------------------


def test_the_last_failed_call_explains_a_missing_answer() -> None:
    blamed = NnError(NnErrno.INVALID_ARGUMENT, "set_input: it does not fit")
    error = explain(ran(failure=blamed), "it exited with 1")
    assert isinstance(error, WorkerFailed)
    assert error.message == (
        "it exited with 1 – its last failed WASI-NN call: set_input: it does not fit"
    )


def test_a_model_that_the_engine_refused_is_bad_input_not_a_bad_worker() -> None:
    blamed = NnError(NnErrno.RUNTIME_ERROR, "load: it is damaged", model=True)
    error = explain(ran(failure=blamed), "it exited with 1")
    assert isinstance(error, BadModel)
    assert error.exit_code == 3
