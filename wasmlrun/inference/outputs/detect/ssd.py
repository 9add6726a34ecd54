"""Detections that the model has sorted out itself: TensorFlow Lite's detection post-process, and
SSD in ONNX. Boxes, classes, scores, and perhaps how many of them count.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wasmlrun.inference.arrays import Array
from wasmlrun.inference.outputs.detect.boxes import Boxes
from wasmlrun.support.errors import BadModel


def candidates(outputs: Sequence[tuple[str, Array]], *, rows_first: bool) -> Boxes:
    """What the model found. `rows_first`: a box is top, left, bottom, right, as TensorFlow has it.

    Raises:
        BadModel: the outputs are not of that form.
    """
    arrays = [array for _, array in outputs]
    boxes = [a for a in arrays if a.ndim == 3 and a.shape[0] == 1 and a.shape[2] == 4]
    flat = [a for a in arrays if a.ndim == 2 and a.shape[0] == 1 and boxes]
    flat = [a for a in flat if a.shape[1] == boxes[0].shape[1]]
    if len(boxes) != 1 or len(flat) != 2:
        shapes = ", ".join(str(list(array.shape)) for array in arrays)
        raise BadModel(
            f"detections are boxes [1, n, 4], classes [1, n] and scores [1, n]; "
            f"the model gives {shapes}",
            "infer.output.format says how they are told: anchors, yolo, heatmap",
        )
    # in either order: classes are whole numbers, and some score is none
    whole = [bool((a == np.round(a)).all()) for a in flat]
    classes, scores = flat if whole[0] else reversed(flat)
    counted = [int(a.reshape(-1)[0]) for a in arrays if a.size == 1 and a.ndim <= 1]
    count = min([boxes[0].shape[1], *(n for n in counted if n >= 0)])
    corners = boxes[0][0, :count].astype(np.float32)
    if rows_first:
        corners = corners[:, [1, 0, 3, 2]]
    return Boxes(corners, scores[0, :count].astype(np.float32), classes[0, :count].astype(int))
