"""Many pictures in one command against a plain OpenVINO loop, side by side.

python benchmarks/throughput.py --models DIR --image FILE [--count 200] [-n 9]

The plain loop decodes and resizes as wasmlrun does and keeps both cores busy with
AsyncInferQueue in throughput mode. Both classify `count` copies of one picture.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODEL = "mobilenet_v2_1.0_224_quant.tflite"
LOOP = """
import sys
import numpy as np, openvino as ov
from PIL import Image
model, *pictures = sys.argv[1:]
core = ov.Core()
compiled = core.compile_model(
    model, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
)
queue = ov.AsyncInferQueue(compiled)
answers = []
queue.set_callback(lambda request, name: answers.append(
    (name, np.argsort(-request.get_output_tensor().data[0].astype(np.float32))[:5])))
for picture in pictures:
    image = Image.open(picture).convert("RGB")
    side = min(image.size) * 0.875
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    small = image.resize((224, 224), Image.Resampling.BILINEAR, box=box)
    queue.start_async(np.asarray(small)[None], picture)
queue.wait_all()
assert len(answers) == len(pictures)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("-n", type=int, default=9)
    arguments = parser.parse_args()
    model = str(arguments.models / MODEL)
    pictures = [str(arguments.image)] * arguments.count
    wasmlrun = str(Path(sys.executable).parent / "wasmlrun")
    cases = {
        "plain AsyncInferQueue": [sys.executable, "-c", LOOP, model, *pictures],
        "wasmlrun classify": [wasmlrun, "classify", "--json", "--model", model, *pictures],
    }
    times: dict[str, list[float]] = {name: [] for name in cases}
    with tempfile.TemporaryDirectory() as cache:
        env = {**os.environ, "WASMLRUN_CACHE_DIR": cache}
        for number in range(arguments.n + 1):
            for name, command in cases.items():
                started = time.perf_counter()
                subprocess.run(command, env=env, stdout=subprocess.DEVNULL, check=True)
                if number:  # the first round warms up
                    times[name].append(time.perf_counter() - started)
    rates = {name: arguments.count / statistics.median(values) for name, values in times.items()}
    for name, rate in rates.items():
        print(f"{name:24}{rate:7.1f} images a second, whole process")
    plain, own = rates.values()
    print(f"throughput {own / plain:.2f} × the plain loop")


if __name__ == "__main__":
    main()
