"""Tokens per second of a language model: through a sandboxed guest, and the same library alone.

    python benchmarks/language.py MODEL.gguf TALK.wasm [-n RUNS]

TALK.wasm is samples/language/c/talk.c, compiled. Both generate 64 tokens of the same text; the
library alone is wasmlrun's engine without WebAssembly, sandbox and WASI-NN. The time to load the
model is taken off by a second measurement with 1 token.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

ALONE = """
import sys, time
from pathlib import Path
from wasmlrun.engines import registry
from wasmlrun.engines.protocol import Settings
from wasmlrun.support.model_source import read_model
context = registry.get("llama", Settings()).load(read_model(Path(sys.argv[1])), "CPU").converse(
    b'{"ctx-size": 1024, "temp": 0, "ignore-eos": true}')
context.prompt(b"Once upon a time")
context.begin()
started = time.perf_counter()
for _ in range(64):
    context.advance()
print(time.perf_counter() - started)
"""


def alone(model: str) -> float:
    done = subprocess.run([sys.executable, "-c", ALONE, model], capture_output=True, check=True)
    return 64 / float(done.stdout)


def guest(model: str, talk: str) -> float:
    """By the trace: from the first token's call to the last one's end."""
    import json
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".json") as trace:
        command = [sys.executable, "-m", "wasmlrun", "run", talk, "--model", f"m={model}"]
        command += ["--trace", trace.name, "--", "complete", "m", "Once upon a time"]
        subprocess.run(command, capture_output=True, check=True)
        events = json.load(open(trace.name))
    if isinstance(events, dict):
        events = events["traceEvents"]
    singles = [e for e in events if e.get("name") == "compute_single" and e.get("ph") == "X"][1:]
    elapsed = (singles[-1]["ts"] + singles[-1]["dur"] - singles[0]["ts"]) / 1e6
    return len(singles) / elapsed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("talk")
    parser.add_argument("-n", type=int, default=5)
    arguments = parser.parse_args()
    rows = []
    for _ in range(arguments.n):
        rows.append((alone(arguments.model), guest(arguments.model, arguments.talk)))
        time.sleep(0.2)
    one, other = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"library alone {one:.1f} tokens/s, guest {other:.1f}, ratio {other / one:.2f}")


if __name__ == "__main__":
    main()
