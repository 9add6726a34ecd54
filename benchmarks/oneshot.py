"""Whole processes side by side, interleaved, medians: the numbers of the README.

python benchmarks/oneshot.py --models DIR --image FILE [-n 11]

DIR holds the MobileNetV2 files and imagenet_labels.txt (`wasmlrun models pull` gets them).
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
MODELS = ("mobilenet_v2_1.0_224_quant.tflite", "tf2_mobilenet_v2_1.0_224_ptq.tflite")


def run(command: list[str], env: dict[str, str]) -> tuple[float, int]:
    """Milliseconds and peak memory in kilobytes of one process and its children."""
    started = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    elapsed = (time.perf_counter() - started) * 1000
    if status:
        sys.exit(f"failed: {' '.join(command)}")
    return elapsed, usage.ru_maxrss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("-n", type=int, default=11)
    arguments = parser.parse_args()
    wasmlrun = str(Path(sys.executable).parent / "wasmlrun")
    labels = str(arguments.models / "imagenet_labels.txt")
    with tempfile.TemporaryDirectory() as scratch:
        for name in MODELS:
            compare(wasmlrun, str(arguments.models / name), labels, arguments, Path(scratch))


def compare(
    wasmlrun: str, model: str, labels: str, arguments: argparse.Namespace, scratch: Path
) -> None:
    """Print medians and ratios for one model."""
    image = str(arguments.image)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program has its bytecode
    warm = {**os.environ, "WASMLRUN_CACHE_DIR": str(scratch / "warm")}
    cold = {**os.environ, "WASMLRUN_CACHE_DIR": str(scratch / "cold")}
    classify = [wasmlrun, "classify", image, "--model", model, "--labels", labels]
    plain = [sys.executable, str(HERE / "plain.py"), model, labels, image]
    cached = [*plain, str(scratch / "openvino")]
    worker = mounted_worker(model, scratch)
    by_load = [wasmlrun, "classify", image, "--worker", str(worker), "--labels", labels]
    run(classify, warm)
    run(by_load, warm)
    run(cached, warm)
    blobs = sorted((scratch / "warm" / "payloads").iterdir(), key=lambda p: p.stat().st_size)
    floor = [sys.executable, str(HERE / "floor.py"), str(blobs[-1]), "1,224,224,3"]
    cases = {
        "plain script": (plain, warm),
        "plain script, CACHE_DIR": (cached, warm),
        "ctypes floor": (floor, warm),
        "wasmlrun, warm": (classify, warm),
        "wasmlrun, first run ever": (classify, cold),
        "wasmlrun, worker calls load": (by_load, warm),
        "wasmlrun --help": ([wasmlrun, "--help"], warm),
        "python -c pass": ([sys.executable, "-c", "pass"], warm),
    }
    times: dict[str, list[float]] = {name: [] for name in cases}
    memory: dict[str, list[int]] = {name: [] for name in cases}
    for _ in range(arguments.n):
        for name, (command, env) in cases.items():
            if env is cold:
                shutil.rmtree(scratch / "cold", ignore_errors=True)
            elapsed, peak = run(command, env)
            times[name].append(elapsed)
            memory[name].append(peak)
    median = {name: statistics.median(values) for name, values in times.items()}
    peak_of = {name: statistics.median(values) / 1024 for name, values in memory.items()}
    print(f"\n{Path(model).name}, medians of {arguments.n}")
    for name in cases:
        ratio = median[name] / median["plain script"]
        print(f"  {name:30} {median[name]:7.0f} ms  {ratio:5.2f} × plain  {peak_of[name]:5.0f} MB")
    print(f"  warm / floor            {median['wasmlrun, warm'] / median['ctypes floor']:.2f}")
    print(
        f"  load / --model          "
        f"{median['wasmlrun, worker calls load'] / median['wasmlrun, warm']:.2f}"
    )
    print(f"  --help / python -c pass {median['wasmlrun --help'] / median['python -c pass']:.2f}")
    shutil.rmtree(scratch / "warm")


def mounted_worker(model: str, scratch: Path) -> Path:
    """The bundled worker with a manifest that mounts the model's folder."""
    from wasmlrun.support import bundled

    folder = scratch / "worker"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "models").mkdir(parents=True)
    shutil.copy(model, folder / "models")
    found = bundled.worker(bundled.DEFAULT_WORKER)
    assert found is not None
    shutil.copy(found, folder / "worker.wasm")
    (folder / "worker.toml").write_text(
        'version = "1"\n[features.wasi_nn]\nallowed_backends = ["openvino"]\n'
        '[[folders]]\nfrom = "models"\nto = "/models"\n'
        f'[classify]\nmodel = "/models/{Path(model).name}"\n'
    )
    return folder / "worker.wasm"


if __name__ == "__main__":
    main()
