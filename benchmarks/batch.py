"""`wasmlrun batch` side by side with AsyncInferQueue fed by a thread pool with Pillow.

python benchmarks/batch.py FOLDER --model FILE [-n 5] [--save FILE]

Both classify the JPEG files of one folder, each as a whole process, in turns; what is told are
medians and their ratio. Beside the rates: how far scores of scaled decoding (what wasmlrun does)
are from those of whole decoding, at most; and what worker and instance cost, beside the model alone
on a picture's tensor, both in this process and as a batch's child computes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PLAIN = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np, openvino as ov
from PIL import Image
model, folder, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
names = sorted(str(path) for path in Path(folder).rglob("*.jpg"))
core = ov.Core()
compiled = core.compile_model(
    model, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
)
_, height, width, _ = compiled.input(0).shape
queue = ov.AsyncInferQueue(compiled)
answers = {}
def keep(request, name):
    scores = request.get_output_tensor().data[0].astype(np.float32)
    answers[name] = np.argsort(-scores)[:5]
queue.set_callback(keep)
def pixels(name):
    image = Image.open(name).convert("RGB")
    factor = min(image.width / width, image.height / height) * 0.875
    w, h = width * factor, height * factor
    left, top = (image.width - w) / 2, (image.height - h) / 2
    box = (left, top, left + w, top + h)
    small = image.resize((width, height), Image.Resampling.BILINEAR, box=box)
    return name, np.asarray(small)[None]
with ThreadPoolExecutor(threads) as pool:
    for name, tensor in pool.map(pixels, names):
        queue.start_async(tensor, name)
queue.wait_all()
assert len(answers) == len(names)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("-n", type=int, default=5)
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    folder, model = str(arguments.folder), str(arguments.model)
    count = sum(1 for _ in arguments.folder.rglob("*.jpg"))
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as place:
        result = ["-o", f"{place}/rows.jsonl", "--overwrite", "-q"]
        batch = [sys.executable, "-m", "wasmlrun", "batch", folder, "--model", model, *result]
        cases = {
            "AsyncInferQueue + Pillow": [sys.executable, "-c", PLAIN, model, folder, str(cores)],
            "wasmlrun batch": batch,
        }
        env = {**os.environ, "WASMLRUN_CACHE_DIR": f"{place}/cache"}
        times: dict[str, list[float]] = {name: [] for name in cases}
        for number in range(arguments.n + 1):
            for name, command in cases.items():
                started = time.perf_counter()
                subprocess.run(command, env=env, check=True)
                if number:  # the first round warms up
                    times[name].append(time.perf_counter() - started)
    rates = {name: count / statistics.median(values) for name, values in times.items()}
    for name, rate in rates.items():
        print(f"{name:26}{rate:8.1f} pictures a second, whole process, {count} pictures")
    plain, own = rates.values()
    print(f"ratio {own / plain:.2f}")
    print(f"scaled decoding moves a score by {scaled_differs(arguments.folder, model):.4f} at most")
    shares = sandbox_costs(next(arguments.folder.rglob("*.jpg")), model)
    print(f"worker and instance: {shares:.1%} of a picture's processor time")
    if arguments.save is not None:
        told = {"rates": rates, "ratio": own / plain, "sandbox": shares, "pictures": count}
        arguments.save.write_text(json.dumps(told, indent=1))


def opened(model: str) -> object:
    """The worker and model of one child, in this process."""
    from wasmlrun.api.opened import OpenedWorker
    from wasmlrun.api.settings import checked
    from wasmlrun.supervisor.stages import Board
    from wasmlrun.support.tasks import processors

    nothing = dict.fromkeys(
        ("worker", "manifest", "labels", "limits", "expect", "min_score", "input_layout")
    )
    empty = {"dirs": (), "writable": (), "arguments": (), "trusted_keys": ()}
    plain = {
        "trusted_worker": False,
        "allow_outside": False,
        "strict_device": False,
        "require_isolation": False,
    }
    engine = {"backend": None, "device": None}
    settings = checked(
        **nothing,
        **empty,
        **plain,
        **engine,
        model=model,
        top=5,
        max_pixels=None,
        precision="f32",
        cache=True,
        # as many as a batch has, each on its share of the cores
        isolation="process",
        parallel=processors(),
        calls_per_process=None,
    )
    return OpenedWorker(settings, Board(), lambda text: None)


def scaled_differs(folder: Path, model: str) -> float:
    """The greatest difference of a score between scaled and whole decoding."""
    from PIL import Image

    from wasmlrun.vision.source import ImageFile
    from wasmlrun.vision.values import ImagePixels

    worker = opened(model)
    worst = 0.0
    for path in sorted(folder.rglob("*.jpg"))[:50]:
        scaled = worker.classify(ImageFile(str(path)))
        image = Image.open(path).convert("RGB")
        whole = worker.classify(ImagePixels(str(path), image))
        scores = {p.index: p.score for p in whole.predictions}
        found = [abs(p.score - scores[p.index]) for p in scaled.predictions if p.index in scores]
        worst = max(worst, *found)
    return worst


def sandbox_costs(path: Path, model: str) -> float:
    """The share of a picture's processor time, decoding included, of worker and instance."""
    from wasmlrun.vision.source import ImageFile

    worker = opened(model)
    picture = ImageFile(str(path))
    direct, sandboxed = worker._classifier.side_by_side(picture)
    assert direct is not None
    found: dict[str, list[float]] = {"direct": [], "sandboxed": [], "whole": []}
    calls = {
        "direct": direct,
        "sandboxed": sandboxed,
        "whole": lambda: worker.classify(picture),
    }
    for number in range(150):
        for name, call in calls.items():
            started = time.process_time()
            call()
            if number >= 10:
                found[name].append(time.process_time() - started)
    medians = {name: statistics.median(values) for name, values in found.items()}
    return (medians["sandboxed"] - medians["direct"]) / medians["whole"]


if __name__ == "__main__":
    main()
