"""SSD with anchors of one size, as MediaPipe's detectors of faces, hands and persons have it.

Two outputs: for each anchor a box and points, in pixels from the anchor, and a score before the
sigmoid.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wasmlrun.inference.arrays import Array
from wasmlrun.inference.outputs.detect.boxes import Boxes, from_centres, sigmoid
from wasmlrun.support.errors import BadManifest, BadModel


def candidates(
    outputs: Sequence[tuple[str, Array]],
    size: tuple[int, int],
    strides: Sequence[float],
    per_cell: int,
    around: Sequence[float],
) -> Boxes:
    """All anchors' boxes. `size` is the model's picture, height and width in pixels.

    With `around`, two numbers of points, a box is the upright square about the first point that
    the second lies on: where a person is, from hips and the circle around the body.

    Raises:
        BadModel: the outputs are not of that form, or `strides` give another number of anchors.
        BadManifest: a stride is none, or there is no such point.
    """
    arrays = [array for _, array in outputs if array.ndim == 3 and array.shape[0] == 1]
    scores = [a for a in arrays if a.shape[2] == 1]
    places = [a for a in arrays if a.shape[2] >= 4 and a.shape[2] % 2 == 0]
    if len(scores) != 1 or len(places) != 1 or scores[0].shape[1] != places[0].shape[1]:
        shapes = ", ".join(str(list(array.shape)) for _, array in outputs)
        raise BadModel(
            f"detections by anchors are [1, n, 4 + 2 k] and [1, n, 1]; the model gives {shapes}"
        )
    place = places[0][0].astype(np.float32)
    centres = anchors(size, strides, per_cell)
    if len(centres) != len(place):
        raise BadModel(
            f"the model has {len(place)} anchors and infer.output.strides give {len(centres)}",
            "strides and per_cell are as the model was trained",
        )
    scale = np.array([size[1], size[0]], np.float32)
    pairs = place.reshape(len(place), -1, 2) / scale
    points = pairs[:, 2:] + centres[:, None]
    corners = from_centres(np.concatenate([pairs[:, 0] + centres, pairs[:, 1]], axis=1))
    if around:
        corners = _squares(points * scale, around) / np.tile(scale, 2)
    score = sigmoid(scores[0][0, :, 0])
    return Boxes(corners, score, np.zeros(len(score), int), points)


def anchors(size: tuple[int, int], strides: Sequence[float], per_cell: int) -> Array:
    """The anchors' middles, [n, 2] in shares of the picture, in the order of the model.

    Layers of the same stride, one after the other, share the cells of one grid.
    """
    if not strides or any(stride < 1 for stride in strides) or per_cell < 1:
        raise BadManifest("infer.output.strides must be numbers above 0, such as [8, 16, 16, 16]")
    found = []
    layer = 0
    while layer < len(strides):
        stride, same = strides[layer], layer
        while same < len(strides) and strides[same] == stride:
            same += 1
        rows, columns = (int(np.ceil(side / stride)) for side in size)
        y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
        cells = np.stack([(x + 0.5) / columns, (y + 0.5) / rows], axis=-1).reshape(-1, 2)
        found.append(np.repeat(cells, per_cell * (same - layer), axis=0))
        layer = same
    return np.concatenate(found)


def _squares(points: Array, around: Sequence[float]) -> Array:
    """Corners in pixels of the squares about the first point, as far as the second."""
    numbers = [int(n) for n in around]
    if len(numbers) != 2 or not all(0 <= n < points.shape[1] for n in numbers):
        raise BadManifest(
            f"infer.output.around must be two of the model's points, 0 to {points.shape[1] - 1}"
        )
    middle = points[:, numbers[0]]
    reach = np.linalg.norm(points[:, numbers[1]] - middle, axis=1, keepdims=True)
    return np.concatenate([middle - reach, middle + reach], axis=1)
