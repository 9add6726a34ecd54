"""Tokens per second of a language model: the wheel's own Python API, the engine, a sandboxed guest.

    python benchmarks/language.py MODEL.gguf TALK.wasm [-n RUNS]

TALK.wasm is samples/language/c/talk.c, compiled. All generate 64 tokens after the first of the same
text, always the likeliest, with as many threads as there are processors. The wheel is asked through
its server without a network and tells its own time; the engine is wasmlrun's without WebAssembly,
sandbox and WASI-NN; the guest's tokens are timed as they come. Loading a model and reading its
prompt do not count.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

WHEEL = """
import json, os, sys
import xllamacpp
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx, params.n_parallel = 1024, 1
params.cpuparams.n_threads = len(os.sched_getaffinity(0))
asked = {"prompt": "Once upon a time", "n_predict": 65, "temperature": 0, "ignore_eos": True}
answer = xllamacpp.Server(params).handle_completions(asked)
timings = (json.loads(answer) if isinstance(answer, str) else answer)["timings"]
print(timings["predicted_n"] / timings["predicted_ms"] * 1000)
"""
ENGINE = """
import sys, time
from pathlib import Path
from wasmlrun.engines import registry
from wasmlrun.engines.protocol import Settings
from wasmlrun.support.model_source import read_model
context = registry.get("llama", Settings()).load(read_model(Path(sys.argv[1])), "CPU").converse(
    b'{"ctx-size": 1024, "temp": 0, "ignore-eos": true}')
context.prompt(b"Once upon a time")
context.begin()
context.advance()
started = time.perf_counter()
for _ in range(64):
    context.advance()
print(64 / (time.perf_counter() - started))
"""


# as wasmlrun has it: threads that wait for each other must not spin where others want the cores
ENVIRONMENT = {**os.environ, "GOMP_SPINCOUNT": "1000"}


def told(script: str, model: str) -> float:
    """What a script prints last: others of its lines are a library's."""
    command = [sys.executable, "-c", script, model]
    done = subprocess.run(command, capture_output=True, check=True, text=True, env=ENVIRONMENT)
    return float(done.stdout.split()[-1])


def guest(model: str, talk: str) -> float:
    """From the first piece of text on stdout to the last: 64 tokens, each as it comes."""
    command = [sys.executable, "-m", "wasmlrun", "run", talk, "--model", f"m={model}"]
    with subprocess.Popen(
        [*command, "--", "complete", "m", "Once upon a time"], stdout=subprocess.PIPE
    ) as run:
        assert run.stdout is not None
        came = []
        while os.read(run.stdout.fileno(), 4096):
            came.append(time.perf_counter())
    return 63 / (came[-1] - came[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("talk")
    parser.add_argument("-n", type=int, default=5)
    arguments = parser.parse_args()
    sides = {
        "wheel": lambda: told(WHEEL, arguments.model),
        "engine": lambda: told(ENGINE, arguments.model),
        "guest": lambda: guest(arguments.model, arguments.talk),
    }
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(arguments.n):
        for name, measure in sides.items():
            found[name].append(measure())
            time.sleep(0.2)
    wheel = statistics.median(found["wheel"])
    for name, rates in found.items():
        median = statistics.median(rates)
        print(f"{name:7}{median:6.1f} tokens/s, {median / wheel:.2f} × the wheel", end="")
        print(f", {min(rates):.1f} to {max(rates):.1f}")


if __name__ == "__main__":
    main()
