"""YOLO: boxes with a score for each class, in one output, in either orientation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wasmlrun.inference.arrays import Array
from wasmlrun.inference.outputs.detect.boxes import Boxes, from_centres
from wasmlrun.support.errors import BadModel


def candidates(outputs: Sequence[tuple[str, Array]], size: tuple[int, int]) -> Boxes:
    """All boxes. [1, n, 5 + classes] has the score of there being anything fifth, as up to version
    5 and in YOLOX; [1, 4 + classes, n] has none, as from version 8 on. Boxes are in pixels of the
    model's picture, `size` high and wide, or in shares of it.

    Raises:
        BadModel: the output is neither.
    """
    array = outputs[0][1]
    if array.ndim != 3 or array.shape[0] != 1 or min(array.shape[1:]) < 5:
        raise BadModel(
            "detections of yolo are [1, n, 5 + classes] or [1, 4 + classes, n]; "
            f"the model gives {list(array.shape)}"
        )
    rows = array[0].astype(np.float32)
    if rows.shape[0] < rows.shape[1]:
        rows = rows.T
        each = rows[:, 4:]
    elif rows.shape[1] == 5:
        each = rows[:, 4:]
    else:
        each = rows[:, 4:5] * rows[:, 5:]
    centres = rows[:, :4]
    if centres.size and float(np.abs(centres).max()) > 2:
        centres = centres / np.array([size[1], size[0], size[1], size[0]], np.float32)
    return Boxes(from_centres(centres), each.max(1), each.argmax(1))
