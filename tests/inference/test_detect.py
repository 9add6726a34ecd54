"""What detectors tell, in each of their forms, as boxes on the picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from kit.numbers import f32
from PIL import Image

from wasmlrun.inference.arrays import Array
from wasmlrun.inference.kind import Box, Context, Given, Made
from wasmlrun.inference.outputs.detect import KIND
from wasmlrun.inference.outputs.detect.anchors import anchors
from wasmlrun.inference.outputs.detect.boxes import Boxes, apart
from wasmlrun.support.errors import BadLabels, BadManifest, BadModel

PICTURE = Image.new("RGB", (200, 100), "white")
WHOLE = Box(0, 0, 200, 100)


def made(
    outputs: Sequence[Array],
    *,
    view: Box = WHOLE,
    labels: Sequence[str] | None = None,
    size: tuple[int, int] = (64, 64),
    **options: Any,
) -> Made:
    given = Given({}, PICTURE, view, size)
    named = [(str(number), array) for number, array in enumerate(outputs)]
    return KIND.make(named, KIND.options(**options), Context(given, labels))


def ssd(*rows: tuple[float, float, float, float, int, float]) -> list[Array]:
    """Boxes, classes, scores, count, as TensorFlow Lite's post-process gives them."""
    table = np.array(rows, np.float32)
    return [table[None, :, :4], table[None, :, 4], table[None, :, 5], f32([len(rows)])]


def test_sorted_detections_become_pixels() -> None:
    outputs = ssd((0.1, 0.2, 0.5, 0.6, 1, 0.9), (0, 0, 1, 1, 0, 0.4))
    (found,) = made(outputs, labels=["cat", "dog"]).facts["found"]
    assert found["label"] == "dog"
    assert found["score"] == pytest.approx(0.9)
    assert found["box"] == pytest.approx([40, 10, 120, 50])
    # the other order of sides, and of classes and scores
    boxes, classes, scores, _ = outputs
    (other,) = made([boxes, scores, classes], rows_first=False).facts["found"]
    assert other["box"] == pytest.approx([20, 20, 100, 60])
    assert other["label"] == "class 1"


def test_a_padded_picture_is_taken_out_again() -> None:
    # the tensor shows 200 × 200 pixels, the picture in the middle
    outputs = ssd((0.25, 0, 0.75, 1, 0, 0.9), (0, 0, 0.5, 0.5, 1, 0.8))
    first, second = made(outputs, view=Box(0, -50, 200, 200)).facts["found"]
    assert first["box"] == pytest.approx([0, 0, 200, 100])
    assert second["box"] == pytest.approx([0, 0, 100, 50]), "as far as the picture goes"


def test_of_boxes_that_cover_each_other_the_best_stays() -> None:
    boxes = Boxes(
        f32([[0, 0, 1, 1], [0, 0, 1, 0.9], [0, 0, 1, 1], [2, 2, 3, 3]]),
        f32([0.7, 0.8, 0.6, 0.5]),
        np.array([0, 0, 1, 0]),
    )
    assert apart(boxes, 0.5, 10).scores.tolist() == pytest.approx([0.8, 0.6, 0.5])
    assert apart(boxes, 0.95, 10).scores.tolist() == pytest.approx([0.8, 0.7, 0.6, 0.5])
    assert apart(boxes, 0.5, 1).scores.tolist() == pytest.approx([0.8])


def test_anchors_stand_where_the_model_was_trained_with_them() -> None:
    # MediaPipe's face detector: 896 anchors, person detector: 2254
    assert len(anchors((128, 128), (8, 16, 16, 16), 2)) == 896
    assert len(anchors((224, 224), (8, 16, 32, 32, 32), 2)) == 2254
    found = anchors((16, 16), (8, 16), 1)
    assert found.tolist() == [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75], [0.5, 0.5]]


def test_boxes_from_anchors() -> None:
    places = np.zeros((1, 4, 8), np.float32)
    places[0, 3] = [8, 0, 16, 32, -16, 0, 0, 16]  # box and two points, in pixels of 64
    scores = np.full((1, 4, 1), -9, np.float32)
    scores[0, 3] = 2
    options: dict[str, Any] = {"format": "anchors", "strides": (32,), "per_cell": 1}
    options["label"] = "face"
    (found,) = made([places, scores], **options).facts["found"]
    assert found["score"] == pytest.approx(1 / (1 + np.exp(-2)))
    # the anchor stands at 48, 48 of 64; the picture is 200 × 100
    assert found["box"] == pytest.approx([150, 50, 200, 100])
    assert found["points"] == [[100.0, 75.0], [150.0, 100.0]]
    (around,) = made([places, scores], **options, around=(0, 1)).facts["found"]
    reach = 16 * 2**0.5 / 64
    assert around["box"] == pytest.approx(
        [200 * (0.5 - reach), 100 * (0.75 - reach), 200 * (0.5 + reach), 100], abs=0.02
    )


def test_boxes_of_yolo_in_both_orientations() -> None:
    row = f32([32, 32, 16, 32, 0.9, 0.1, 0.8])  # x, y, w, h, anything?, two classes
    many = np.tile(row, (20, 1))
    many[1:, 4] = 0
    (found,) = made([many[None]], format="yolo").facts["found"]
    assert (found["class"], found["score"]) == (1, pytest.approx(0.72))
    assert found["box"] == pytest.approx([75, 25, 125, 75])
    newer = np.delete(many, 4, axis=1)
    newer[1:, 4:] = 0
    (found,) = made([newer.T[None]], format="yolo").facts["found"]
    assert found["score"] == pytest.approx(0.8)


def test_patches_of_a_map_are_things() -> None:
    scores = np.zeros((1, 1, 50, 100), np.float32)
    scores[0, 0, 10:20, 10:60] = 0.9
    scores[0, 0, 30:40, 50:90] = 0.6
    scores[0, 0, 20:30, 60:62] = 0.1  # no bridge between them
    scores[0, 0, 45, 5] = 1  # too small
    first, second = made([scores], format="heatmap", grow=0.0).facts["found"]
    assert first["box"] == pytest.approx([20, 20, 120, 40])
    assert first["score"] == pytest.approx(0.9)
    assert second["box"] == pytest.approx([100, 60, 180, 80])
    grown, _ = made([scores], format="heatmap", grow=1.2).facts["found"]
    assert grown["box"] == pytest.approx([10, 10, 130, 50])
    # an L is one thing
    scores[0, 0, 20:40, 10:20] = 0.9
    scores[0, 0, 30:40, 10:60] = 0.9
    assert len(made([scores], format="heatmap").facts["found"]) == 1


def test_the_picture_with_boxes_is_a_file() -> None:
    result = made(ssd((0.2, 0.2, 0.8, 0.8, 0, 0.9)), label="face")
    assert result.lines == [("face", "0.9000", "40", "20", "160", "80")]
    assert result.file is not None
    image = Image.open(io.BytesIO(result.file()))
    assert (image.format, image.size) == ("PNG", PICTURE.size)
    assert image.convert("RGB").getpixel((160, 50)) != (255, 255, 255)
    assert image.convert("RGB").getpixel((100, 60)) == (255, 255, 255)
    assert PICTURE.getpixel((160, 50)) == (255, 255, 255), "the picture itself stays as it is"


def test_nothing_is_found_in_numbers_that_are_none() -> None:
    outputs = ssd((0.1, 0.2, 0.5, 0.6, 1, 0.9))
    outputs[0][0, 0, 0] = np.nan
    assert made(outputs).facts["found"] == []


@pytest.mark.parametrize("form", ["ssd", "anchors", "yolo", "heatmap"])
def test_other_outputs_are_told(form: str) -> None:
    with pytest.raises(BadModel, match=r"\[1, 7\]"):
        made([np.zeros((1, 7), np.float32)], format=form, strides=(8,))


def test_what_anchors_must_be() -> None:
    outputs = [np.zeros((1, 4, 8), np.float32), np.zeros((1, 4, 1), np.float32)]
    with pytest.raises(BadModel, match=r"4 anchors and infer\.output\.strides give 8"):
        made(outputs, format="anchors", strides=(32,))
    with pytest.raises(BadManifest, match="strides must be numbers"):
        made(outputs, format="anchors")
    with pytest.raises(BadManifest, match="two of the model's points, 0 to 1"):
        made(outputs, format="anchors", strides=(32,), per_cell=1, around=(0, 2))


def test_a_class_without_a_label() -> None:
    with pytest.raises(BadLabels, match="class 1, and there are 1 labels"):
        made(ssd((0, 0, 1, 1, 1, 0.9)), labels=["cat"])
