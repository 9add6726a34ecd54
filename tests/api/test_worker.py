"""`wasmlrun.Worker`: the same answers as the command, many times, however things go wrong."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import math
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit.core_guests import ENDLESS
from kit.outcome import Outcome
from kit.processes import children
from PIL import Image

import wasmlrun
from wasmlrun.api import calls
from wasmlrun.supervisor.channel import Message
from wasmlrun.vision.source import ImageFile

KINDS = ["process", "thread"]


@pytest.fixture(scope="module", params=KINDS)
def worker(
    request: pytest.FixtureRequest, colours: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[wasmlrun.Worker]:
    with wasmlrun.Worker(
        model=colours, labels=colours.with_suffix(".txt"), isolation=request.param
    ) as made:
        yield made


def red(size: tuple[int, int] = (8, 8)) -> Image.Image:
    return Image.new("RGB", size, (255, 0, 0))


def test_the_answer_is_the_commands(
    worker: wasmlrun.Worker, colours: Path, red_image: Path, invoke: Callable[..., Outcome]
) -> None:
    labels = colours.with_suffix(".txt")
    done = invoke("classify", red_image, "--model", colours, "--labels", labels, "--json")
    told = json.loads(done.stdout)
    result = worker.classify(red_image)
    assert [(p.index, p.label, p.score) for p in result.predictions] == [
        (p["index"], p["label"], p["score"]) for p in told["predictions"]
    ]
    assert (result.image, result.worker, result.model) == (
        str(red_image),
        told["worker"],
        told["model"],
    )
    assert result.best is not None
    assert result.best.label == "red"
    assert {"image", "run", "inference", "total"} <= result.timings_ms.keys()
    assert result.met is None


def test_pictures_come_in_many_forms(worker: wasmlrun.Worker, red_image: Path) -> None:
    forms: list[Any] = [str(red_image), red_image.read_bytes(), red(), np.array(red())]
    answers = [worker.classify(form).predictions for form in forms]
    assert answers == [worker.classify(red_image).predictions] * 4


def test_names_are_for_results_and_messages(worker: wasmlrun.Worker) -> None:
    assert worker.classify(red(), name="my red").image == "my red"
    with pytest.raises(wasmlrun.BadImage, match="image my bytes is not an image") as caught:
        worker.classify(b"no picture", name="my bytes")
    assert caught.value.hint is not None
    with pytest.raises(wasmlrun.BadImage, match=r"image nowhere\.jpg does not exist"):
        worker.classify("nowhere.jpg")


def test_threads_may_share_it(worker: wasmlrun.Worker) -> None:
    pictures = [Image.new("RGB", (8, 8), c) for c in ((255, 0, 0), (0, 255, 0), (0, 0, 255))] * 8
    alone = [worker.classify(p).predictions for p in pictures[:3]] * 8
    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(lambda p: worker.classify(p).predictions, pictures)) == alone


def test_asyncio(worker: wasmlrun.Worker) -> None:
    async def both() -> tuple[wasmlrun.Result, wasmlrun.Result]:
        return await asyncio.gather(worker.aclassify(red()), worker.aclassify(red(), name="x"))

    first, second = asyncio.run(both())
    assert (first.predictions, second.image) == (second.predictions, "x")


def test_many_in_their_order(worker: wasmlrun.Worker, red_image: Path) -> None:
    results = list(worker.classify_many([red_image, red((4, 4)), np.array(red())]))
    assert [r.image for r in results] == [str(red_image), "image", "image"]
    mixed = list(worker.classify_many([red(), "nowhere.jpg", red()], errors="return"))
    assert [type(r) for r in mixed] == [wasmlrun.Result, wasmlrun.BadImage, wasmlrun.Result]
    with pytest.raises(wasmlrun.BadImage):
        list(worker.classify_many([red(), "nowhere.jpg", red()]))


def test_many_are_taken_a_few_at_a_time(worker: wasmlrun.Worker) -> None:
    taken = 0

    def endless() -> Iterator[Image.Image]:
        nonlocal taken
        while True:
            taken += 1
            yield red()

    for number, _ in enumerate(worker.classify_many(endless())):
        if number == 5:
            break
    assert taken <= 10


@pytest.mark.parametrize("isolation", KINDS)
def test_options_mean_what_the_commands_mean(
    colours: Path, tmp_path: Path, isolation: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.WARNING, "wasmlrun"),
        wasmlrun.Worker(
            model=colours,
            top=2,
            expect="red",
            min_score=0.999999,
            max_pixels=64,
            device="GPU",
            cache=False,
            isolation=isolation,  # type: ignore[arg-type]
        ).prepare() as worker,
    ):
        result = worker.classify(red())
        assert (len(result.predictions), result.met) == (2, False)
        # without labels
        assert result.predictions[0].label == "class 0"
        with pytest.raises(wasmlrun.BadImage, match="more than the limit of"):
            worker.classify(red((9, 8)))
        strict = wasmlrun.Worker(
            model=colours,
            device="NPU",
            strict_device=True,
            isolation=isolation,  # type: ignore[arg-type]
        )
        with strict, pytest.raises(wasmlrun.UsageFault, match="device NPU is not on this machine"):
            strict.classify(red())
    assert "device GPU is not on this machine" in caplog.text
    assert all(record.name == "wasmlrun" for record in caplog.records)


@pytest.mark.parametrize("isolation", KINDS)
def test_what_is_wrong_with_the_worker_is_told_with_each_call(
    colours: Path, tmp_path: Path, isolation: str
) -> None:
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(b"no model")
    missing = wasmlrun.Worker("nowhere.wasm", isolation=isolation)  # type: ignore[arg-type]
    with missing, pytest.raises(wasmlrun.BadWorker, match=r"nowhere\.wasm does not exist"):
        missing.classify(red())
    broken = wasmlrun.Worker(model=wrong, isolation=isolation)  # type: ignore[arg-type]
    with broken:
        for _ in range(2):
            with pytest.raises(wasmlrun.BadModel, match=r"wrong\.onnx"):
                broken.prepare()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "TPU"}, "device = 'TPU' is none of CPU, GPU, NPU, AUTO"),
        ({"precision": "f8"}, "precision = 'f8' is none of f32, bf16, f16"),
        ({"isolation": "none"}, "isolation = 'none' is none of process, thread"),
        ({"input_layout": "hwc"}, "input_layout = 'hwc' is none of nhwc, nchw"),
        ({"top": 0}, "top = 0 is not a whole number from 1 on"),
        ({"parallel": 1.5}, "parallel = 1.5 is not a whole number from 1 on"),
        ({"calls_per_process": -1}, "calls_per_process = -1 is not a whole number from 1 on"),
        ({"limits": {"time": 3}}, "there is no limit 'time'"),
        ({"limits": {"timeout": "3"}}, "the limit timeout is a number of seconds, not '3'"),
        ({"limits": {"memory": 1.5}}, "the limit memory is a whole number of bytes, not 1.5"),
        ({"limits": {"graphs": 0}}, "the limit graphs is a whole number of graphs, not 0"),
    ],
)
def test_wrong_options_are_refused_at_once(options: dict[str, object], message: str) -> None:
    with pytest.raises(wasmlrun.UsageFault, match=re.escape(message)):
        wasmlrun.Worker(**options)  # type: ignore[arg-type]


@pytest.fixture
def slow(tmp_path: Path, make_worker: Callable[..., Path]) -> Path:
    """A worker that never answers."""
    return make_worker(tmp_path, ENDLESS)


@pytest.mark.parametrize("isolation", KINDS)
def test_a_worker_that_takes_too_long_is_stopped(colours: Path, slow: Path, isolation: str) -> None:
    limits = wasmlrun.Limits(timeout=0.5)
    with wasmlrun.Worker(
        slow,
        model=colours,
        limits=limits,
        isolation=isolation,  # type: ignore[arg-type]
    ) as worker:
        for _ in range(2):
            with pytest.raises(wasmlrun.LimitExceeded, match=r"limit of 0\.5 s") as caught:
                worker.classify(red())
            assert caught.value.limit == "timeout"


def test_a_crash_costs_one_call_and_no_more(colours: Path, slow: Path) -> None:
    with wasmlrun.Worker(slow, model=colours) as worker:
        worker.prepare()
        before = children()

        def crash() -> None:
            for process in before:
                os.kill(process, signal.SIGABRT)

        threading.Timer(0.3, crash).start()
        with pytest.raises(wasmlrun.WorkerFailed, match=r"crashed \(SIGABRT\) in the worker"):
            worker.classify(red(), name="x")
        worker.prepare()
        assert not children() & before


def test_as_many_processes_as_wanted_and_none_afterwards(colours: Path) -> None:
    before = children()
    with wasmlrun.Worker(model=colours, parallel=2) as worker:
        assert children() == before  # nothing is started before it is needed
        assert len(list(worker.classify_many([red()] * 12))) == 12
        assert 1 <= len(children() - before) <= 2
    assert children() == before
    for call in (worker.classify, worker.prepare):
        with pytest.raises(ValueError, match="the worker is closed"):
            call(*([red()] if call == worker.classify else []))


@pytest.mark.parametrize("isolation", KINDS)
def test_closing_it_while_others_call(colours: Path, isolation: str) -> None:
    worker = wasmlrun.Worker(
        model=colours,
        parallel=2,
        isolation=isolation,  # type: ignore[arg-type]
    ).prepare()
    calling = threading.Barrier(4)

    def call(_: int) -> str:
        worker.classify(red())
        calling.wait(30)
        try:
            while True:
                worker.classify(red())
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(3) as threads:
        said = threads.map(call, range(3))
        calling.wait(30)
        worker.close()
        assert {"the worker is closed", "the worker was closed"} >= set(said)
    worker.close()


def test_a_worker_that_is_forgotten_leaves_no_process(colours: Path) -> None:
    before = children()
    worker = wasmlrun.Worker(model=colours).prepare()
    assert children() - before
    del worker
    assert children() == before


@pytest.mark.skipif(sys.platform != "linux", reason="walls are Linux's")
def test_processes_are_walled_in(colours: Path) -> None:
    before = children()
    with wasmlrun.Worker(model=colours).prepare():
        (process,) = children() - before
        status = Path(f"/proc/{process}/status").read_text()
    assert "\nNoNewPrivs:\t1\n" in status
    with pytest.raises(wasmlrun.UsageFault, match="require_isolation"):
        wasmlrun.Worker(isolation="thread", require_isolation=True)


def test_processes_are_replaced(colours: Path) -> None:
    before = children()
    with wasmlrun.Worker(model=colours, calls_per_process=1) as worker:
        assert {worker.classify(red()).image for _ in range(2)} == {"image"}
        assert children() == before


# --- in a notebook ------------------------------------------------------------------------------


def picture_in(html: str) -> Image.Image | None:
    found = re.search(r'src="data:image/png;base64,([^"]+)"', html)
    return Image.open(io.BytesIO(base64.b64decode(found[1]))) if found else None


def test_a_notebook_shows_the_picture_and_bars(colours: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("<b>red\n1\n2\n3\n4\n")
    path = tmp_path / "a&b.png"
    red((600, 400)).save(path)
    with wasmlrun.Worker(model=colours, labels=labels) as worker:
        result = worker.classify(path)
        many = next(iter(worker.classify_many([red()])))
    html = result._repr_html_()
    picture = picture_in(html)
    assert picture is not None
    assert (picture.size, picture.getpixel((5, 5))) == ((192, 128), (255, 0, 0))
    assert "&lt;b&gt;red" in html
    assert "<b>" not in html
    assert "a&amp;b.png" in html
    assert html.count("<tr>") == len(result.predictions)
    assert f"{result.predictions[0].score:.1%}" in html
    # one of many does not keep a picture that is in memory
    assert picture_in(many._repr_html_()) is None
    path.unlink()
    assert picture_in(result._repr_html_()) is None


# --- a process that was taken over --------------------------------------------------------------

GOOD = {
    "worker": "w",
    "model": None,
    "predictions": [[0, "red", 1], [None, "x", 0.5]],
    "timings_ms": {"total": 1.5, "odd": "text", "worse": math.inf},
    "met": None,
}


def test_an_answer_is_taken_apart_with_care() -> None:
    picture = ImageFile("x.jpg")
    result = calls.result_of(Message(GOOD), picture, keep=False)
    assert result.predictions[1] == wasmlrun.Prediction(None, "x", 0.5)
    assert result.timings_ms == {"total": 1.5}
    for name, value in (
        ("worker", None),
        ("model", 3),
        ("predictions", "red"),
        ("predictions", [["0", "red", 1.0]]),
        ("predictions", [[0, "red", math.nan]]),
        ("predictions", [[0, "red"]]),
        ("predictions", [[0, "red", True]]),
        ("timings_ms", []),
        ("met", "yes"),
    ):
        with pytest.raises(wasmlrun.WorkerFailed, match="answered with no"):
            calls.result_of(Message({**GOOD, name: value}), picture, keep=False)
    with pytest.raises(wasmlrun.WorkerFailed, match="answered with no output"):
        calls.completed_of(Message({"exit_code": 0}))
    with pytest.raises(wasmlrun.WorkerFailed, match="answered with no exit_code"):
        calls.completed_of(Message({"exit_code": "0"}, (b"", b"")))
