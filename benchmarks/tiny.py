"""Packed models beside engines: the numbers and the plot of docs/tiny.md.

python benchmarks/tiny.py --models DIR --image FILE [--wakeword FILE] [-n 11] [--svg FILE]

DIR holds the MobileNet files and imagenet_labels.txt. Needs ai-edge-litert, onnx and ziglang.
Everything of a model is measured in turn, so that a busy machine is busy for all. Inferences are
measured in time of the processor, medians and the fastest.
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

ROOT = Path(__file__).parents[1]
FILES = (
    ("MobileNetV1 0.25/128", "mobilenet_v1_0.25_128_quant.tflite"),
    ("MobileNetV2 quant", "mobilenet_v2_1.0_224_quant.tflite"),
    ("MobileNetV2 tf2 ptq", "tf2_mobilenet_v2_1.0_224_ptq.tflite"),
)
DEFAULT = ROOT / "models" / "mobilenet-cifar10" / "mobilenet-cifar10.onnx"


class Packed:
    """A packed module as a library."""

    def __init__(self, module: Path) -> None:
        import wasmtime

        engine = wasmtime.Engine()
        self.store = wasmtime.Store(engine)
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        self.store.set_wasi(wasmtime.WasiConfig())
        code = wasmtime.Module.from_file(engine, str(module))
        self.exports = linker.instantiate(self.store, code).exports(self.store)
        self.memory = self.exports["memory"]
        self.infer = self.exports["infer"]

    def __call__(self, data: bytes) -> float:
        """Seconds of the processor that one inference takes, whoever else is at work."""
        self.memory.write(self.store, data, self.exports["input"](self.store))
        started = time.process_time()
        self.infer(self.store)
        return time.process_time() - started

    @property
    def input_size(self) -> int:
        return self.exports["input_size"](self.store)

    @property
    def bytes(self) -> int:
        return self.memory.data_len(self.store)


def litert(model: Path):
    """A function that times one inference on one thread, as `Packed` does."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(model), num_threads=1)
    interpreter.allocate_tensors()
    about = interpreter.get_input_details()[0]

    def run(data: bytes) -> float:
        array = np.frombuffer(data, about["dtype"]).reshape(about["shape"])
        interpreter.set_tensor(about["index"], array)
        started = time.process_time()
        interpreter.invoke()
        return time.process_time() - started

    return run


def openvino(model: Path):
    """A function that times one inference on one thread, as `Packed` does."""
    import numpy as np
    import openvino as ov

    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = ov.Core().compile_model(str(model), "CPU", settings)
    request, port = compiled.create_infer_request(), compiled.inputs[0]

    def run(data: bytes) -> float:
        array = np.frombuffer(data, port.element_type.to_dtype()).reshape(tuple(port.shape))
        request.set_input_tensor(ov.Tensor(array.copy()))
        started = time.process_time()
        request.infer()
        return time.process_time() - started

    return run


def inferences(runners: dict, data: bytes, n: int) -> dict:
    """Milliseconds (median, fastest) of each, in turn."""
    times = {name: [] for name in runners}
    for run in runners.values():
        run(data), run(data)
    for _ in range(n):
        for name, run in runners.items():
            times[name].append(run(data) * 1000)
    return {name: (statistics.median(t), min(t)) for name, t in times.items()}


def process(command: list[str], env: dict[str, str]) -> tuple[float, float, float]:
    """Milliseconds, of the processor too, and peak megabytes of a process and its children."""
    started = time.perf_counter()
    child = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"failed: {' '.join(command)}")
    elapsed = (time.perf_counter() - started) * 1000
    return elapsed, (usage.ru_utime + usage.ru_stime) * 1000, usage.ru_maxrss / 1024


def one_shots(commands: dict[str, list[str]], scratch: Path, n: int) -> dict:
    """Of each command: first run ever, warm run, the least of the processor, peak memory."""
    found = {name: {"cold": [], "warm": [], "processor": [], "peak": []} for name in commands}
    for turn in range(n):
        for name, command in commands.items():
            if turn < max(2, n // 4):
                env = {**os.environ, "WASMLRUN_CACHE_DIR": str(scratch / f"cold-{name}-{turn}")}
                found[name]["cold"].append(process(command, env)[0])
            env = {**os.environ, "WASMLRUN_CACHE_DIR": str(scratch / "warm")}
            if turn == 0:
                process(command, env)
            milliseconds, processor, peak = process(command, env)
            found[name]["warm"].append(milliseconds)
            found[name]["processor"].append(processor)
            found[name]["peak"].append(peak)
    return {
        name: {
            kind: min(values) if kind == "processor" else statistics.median(values)
            for kind, values in kinds.items()
        }
        for name, kinds in found.items()
    }


WASMLRUN = [sys.executable, "-m", "wasmlrun"]


def packed(model: Path, labels: Path | None, scratch: Path) -> dict[str, Path]:
    """The model as modules: with vectors, and with relaxed ones."""
    modules = {}
    for simd in ("simd", "relaxed"):
        modules[simd] = scratch / f"{model.stem}-{simd}.wasm"
        command = [*WASMLRUN, "pack", str(model), "--simd", simd, "-q", "-o", str(modules[simd])]
        if labels is not None:
            command += ["--labels", str(labels)]
        subprocess.run(command, check=True)
    return modules


def processes(model: Path, labels: Path, image: Path, module: Path, scratch: Path, n: int) -> dict:
    """Whole processes. This one must be small: a child's peak begins with its parent's size."""
    ahead = module.with_suffix(".cwasm")
    subprocess.run([*WASMLRUN, "compile", str(module), "-q", "-o", str(ahead)], check=True)
    classify = [*WASMLRUN, "classify", str(image)]
    with_model = [*classify, "--model", str(model), "--labels", str(labels)]
    commands = {
        "OpenVINO": [*with_model, "--backend", "openvino"],
        "packed": [*classify, "--worker", str(module)],
        "compiled ahead": [*classify, "--worker", str(ahead)],
    }
    if model.suffix == ".tflite":
        by_litert = [*with_model, "--backend", "litert"]
        if subprocess.run(by_litert, capture_output=True).returncode == 0:
            commands["LiteRT"] = by_litert
    return one_shots(commands, scratch, n)


def library(model: Path, modules: dict[str, Path], n: int, *, engine: bool) -> dict:
    """Inferences in one process, one thread each."""
    import numpy as np

    runners = {f"packed {simd}": Packed(module) for simd, module in modules.items()}
    first = runners["packed simd"]
    if model.suffix == ".tflite":
        runners["LiteRT"] = litert(model)
    if engine:
        runners["OpenVINO"] = openvino(model)
    data = np.random.default_rng(0).integers(0, 256, first.input_size).astype(np.uint8)
    return {"memory": first.bytes, "inference": inferences(runners, data.tobytes(), 3 * n)}


COLOURS = {
    "packed simd": "#2a6f97",
    "packed relaxed": "#61a5c2",
    "LiteRT": "#f4a259",
    "OpenVINO": "#8cb369",
}


def svg(results: dict[str, dict]) -> str:
    """Inferences on one thread, as bars."""
    rows = [
        (model, name, fastest)
        for model, result in results.items()
        for name, (_, fastest) in result["inference"].items()
    ]
    widest = max(fastest for *_, fastest in rows)
    height, lines, before, y = 18, [], None, 10
    for model, name, fastest in rows:
        if model != before:
            y += 22
            lines.append(f'<text x="10" y="{y}" font-weight="bold">{model}</text>')
            before, y = model, y + 6
        width = max(2, 420 * fastest / widest)
        colour = COLOURS[name]
        lines.append(f'<text x="120" y="{y + 13}" text-anchor="end">{name}</text>')
        lines.append(f'<rect x="130" y="{y}" width="{width:.1f}" height="14" fill="{colour}"/>')
        lines.append(f'<text x="{136 + width:.1f}" y="{y + 12}">{fastest:.3g} ms</text>')
        y += height
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="{y + 30}" '
    head += 'font-family="sans-serif" font-size="12">'
    title = "One inference, one thread, the fastest: milliseconds (less is better)"
    note = f'<text x="10" y="16">{title}</text>'
    return "\n".join(
        [head, '<rect width="100%" height="100%" fill="white"/>', note, *lines, "</svg>", ""]
    )


def tables(results: dict[str, dict]) -> str:
    """The tables of docs/tiny.md."""
    lines = ["| | model file | module | memory | " + " | ".join(COLOURS) + " |"]
    lines.append("|---|---|---|---|" + "---|" * len(COLOURS))
    for name, result in results.items():
        cells = [f"{result['model bytes']:,}", f"{result['packed bytes']['simd']:,}"]
        cells.append(f"{result['memory'] / 2**20:.1f} MiB")
        for runner in COLOURS:
            pair = result["inference"].get(runner)
            cells.append(f"{pair[0]:.3g} ({pair[1]:.3g})" if pair else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "| | | cold | warm | processor | peak MB |", "|---|---|---|---|---|---|"]
    for name, result in results.items():
        for runner, about in result.get("one-shot", {}).items():
            cells = (f"{about[kind]:.0f}" for kind in ("cold", "warm", "processor", "peak"))
            lines.append(f"| {name} | {runner} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--wakeword", type=Path)
    parser.add_argument("-n", type=int, default=11)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--svg", type=Path)
    given = parser.parse_args()
    labels = given.models / "imagenet_labels.txt"
    models = [(name, given.models / file, labels) for name, file in FILES]
    models.append(("default model", DEFAULT, DEFAULT.with_name("labels.txt")))
    if given.wakeword is not None:
        models.append(("wake word", given.wakeword, None))
    results = {}
    with tempfile.TemporaryDirectory() as made:
        scratch = Path(made)
        modules = {name: packed(model, known, scratch) for name, model, known in models}
        for name, model, known in models:
            sizes = {simd: module.stat().st_size for simd, module in modules[name].items()}
            results[name] = {"model bytes": model.stat().st_size, "packed bytes": sizes}
            if known is not None:
                module = modules[name]["simd"]
                results[name]["one-shot"] = processes(
                    model, known, given.image, module, scratch, given.n
                )
        for name, model, known in models:
            measured = library(model, modules[name], given.n, engine=known is not None)
            results[name].update(measured)
    print(tables(results))
    if given.json is not None:
        given.json.write_text(json.dumps(results, indent=1) + "\n")
    if given.svg is not None:
        given.svg.write_text(svg(results))


if __name__ == "__main__":
    main()
