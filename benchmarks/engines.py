"""One-shots through an engine, against the ten lines of Python that it replaces.

Whole processes, side by side, in the order plain, wasmlrun; medians in milliseconds, of the clock
and of the processors.

    python benchmarks/engines.py onnx net.onnx photo.jpg
    python benchmarks/engines.py litert net.tflite photo.jpg
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

PLAIN = {
    "onnx": """
import sys, numpy as np, onnxruntime as ort
from PIL import Image
session = ort.InferenceSession(sys.argv[1])
port = session.get_inputs()[0]
height, width = port.shape[1:3]
picture = Image.open(sys.argv[2]).convert("RGB").resize((width, height))
scores = session.run(None, {port.name: np.asarray(picture, np.uint8)[None]})[0].ravel()
for k in scores.argsort()[::-1][:5]:
    print(k, scores[k])
""",
    "litert": """
import sys, numpy as np
from PIL import Image
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(model_path=sys.argv[1])
model.allocate_tensors()
given, answer = model.get_input_details()[0], model.get_output_details()[0]
height, width = given["shape"][1:3]
picture = Image.open(sys.argv[2]).convert("RGB").resize((width, height))
model.set_tensor(given["index"], np.asarray(picture, given["dtype"])[None])
model.invoke()
scores = model.get_tensor(answer["index"]).ravel()
for k in scores.argsort()[::-1][:5]:
    print(k, scores[k])
""",
}


# what is installed has its bytecode, as the first run gives it to a source tree
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def measured(command: list[str]) -> tuple[float, float]:
    """Milliseconds from start to end, and of all processors."""
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT)
    took, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took * 1000, used * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=PLAIN)
    parser.add_argument("model")
    parser.add_argument("image")
    parser.add_argument("-n", type=int, default=11)
    wanted = parser.parse_args()
    ours = [sys.executable, "-m", "wasmlrun", "classify", wanted.image, "--model", wanted.model]
    kinds = {
        "plain": [sys.executable, "-c", PLAIN[wanted.engine], wanted.model, wanted.image],
        wanted.engine: [*ours, "--backend", wanted.engine],
        "openvino": [*ours, "--backend", "openvino"],
    }
    rows: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for run in range(wanted.n + 1):
        for kind, command in kinds.items():
            taken = measured(command)
            if run:  # the first fills the caches
                rows[kind].append(taken)
    plain = [statistics.median(column) for column in zip(*rows["plain"], strict=True)]
    for kind, found in rows.items():
        clock, used = (statistics.median(column) for column in zip(*found, strict=True))
        print(
            f"{kind:10}{clock:6.0f} ms, {clock / plain[0]:.2f} × plain; "
            f"processors{used:6.0f} ms, {used / plain[1]:.2f} × plain"
        )


if __name__ == "__main__":
    main()
