"""A warm `wasmlrun.Worker` beside OpenVINO's own Python package: the number of docs/python.md.

python benchmarks/api.py --models DIR --image FILE [-n 200]

Both decode the same file, scale it in the same way, compute, and rank; one picture after the
other, interleaved, in processes that have all ready. DIR holds the MobileNetV2 files and
imagenet_labels.txt (`wasmlrun models pull` gets them).
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino
from PIL import Image

import wasmlrun
from wasmlrun.support import cpu

SAME = {"LP_TRANSFORMS_MODE": "NO", "SNIPPETS_MODE": "DISABLE"}
MODELS = ("mobilenet_v2_1.0_224_quant.tflite", "tf2_mobilenet_v2_1.0_224_ptq.tflite")


def bare(
    model: Path, labels: list[str], image: Path, properties: dict[str, str]
) -> Callable[[], list[tuple[str, float]]]:
    """Decode, crop, infer and rank with OpenVINO, Pillow and numpy, and nothing else."""
    core = openvino.Core()
    core.set_property("CPU", properties)
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()

    def classify() -> list[tuple[str, float]]:
        opened = Image.open(image)
        opened.draft("RGB", (896, 896))  # as wasmlrun does
        picture = opened.convert("RGB")
        width, height = picture.size
        side = 0.875 * min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
        scaled = picture.resize((224, 224), Image.Resampling.BILINEAR, box=box)
        scores = request.infer({0: np.asarray(scaled)[None]})[0][0] / 256
        best = np.argsort(-scores, kind="stable")[:5]
        return [(labels[i + len(labels) - len(scores)], float(scores[i])) for i in best]

    return classify


def measured(functions: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Median milliseconds of each, one after the other in turns."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(runs + 10):
        for name, function in functions.items():
            started = time.perf_counter()
            function()
            times[name].append((time.perf_counter() - started) * 1000)
    return {name: statistics.median(values[10:]) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("-n", type=int, default=200)
    arguments = parser.parse_args()
    labels = arguments.models / "imagenet_labels.txt"
    pixels = np.array(Image.open(arguments.image).convert("RGB"))
    for name in MODELS:
        model = arguments.models / name
        names = labels.read_text().splitlines()
        plain = bare(model, names, arguments.image, {})
        # processors without VNNI saturate where bytes are multiplied; wasmlrun has OpenVINO
        # compute these in f32 (RATIONALE.md)
        same = bare(model, names, arguments.image, SAME if cpu.byte_products_saturate() else {})
        with (
            wasmlrun.Worker(model=model, labels=labels) as process,
            wasmlrun.Worker(model=model, labels=labels, isolation="thread") as thread,
        ):
            theirs, ours = same()[0], process.classify(arguments.image).predictions[0]
            assert theirs[0] == ours.label, (theirs, ours)
            assert abs(theirs[1] - ours.score) < 0.02, (theirs, ours)
            found = measured(
                {
                    "OpenVINO, bare": same,
                    "OpenVINO, as it comes": plain,
                    "Worker, process": lambda: process.classify(arguments.image),
                    "Worker, thread": lambda: thread.classify(arguments.image),
                    "Worker, process, ndarray": lambda: process.classify(pixels),
                },
                arguments.n,
            )
        print(f"\n{name}, medians of {arguments.n}")
        for case, milliseconds in found.items():
            ratio = milliseconds / found["OpenVINO, bare"]
            print(f"  {case:26} {milliseconds:7.2f} ms  {ratio:5.2f} × bare")


if __name__ == "__main__":
    main()
