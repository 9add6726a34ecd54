"""Where a one-shot's time goes: whole processes cold and warm, and a warm loop in one process."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from wasmlrun.pipeline.per_image import STARTED, Classifier
from wasmlrun.support.errors import BadModel, WorkerFailed
from wasmlrun.vision.source import ImageSource

STAGES = ("start", "image", "model", "input", "worker", "sandbox", "inference", "labels", "end")
"""Of a whole process, in order. `model` and `worker` are what is waited for after the rest is
done; `sandbox` is the guest's run without the inference in it."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Milliseconds, medians unless said otherwise."""

    runs: int
    cold: Mapping[str, float]
    """Stages of a process that finds an empty cache; `total` is the whole process."""
    warm: Mapping[str, float]
    """Stages of a process that finds everything in the cache."""
    latency: Mapping[str, float]
    """Percentiles of an image, from file to labels, in a process that has all ready."""
    images_per_second: float
    direct_ms: float
    """The same tensor given to the same engine without a sandbox."""
    sandboxed_ms: float
    """A whole run of the guest: instantiation, tensor in, inference, scores out."""


def whole_processes(arguments: Sequence[str], runs: int) -> tuple[dict[str, float], ...]:
    """Medians of the stages of `wasmlrun classify` processes: cold, then warm.

    Raises:
        WorkerFailed: a run failed; it has said why on stderr.
    """
    found: tuple[list[dict[str, float]], list[dict[str, float]]] = ([], [])
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="wasmlrun-bench-") as cache:
            for kind in found:  # first with the empty cache, then with the full one
                kind.append(_process(arguments, cache))
    return tuple(
        {stage: statistics.median(run[stage] for run in kind) for stage in (*STAGES, "total")}
        for kind in found
    )


def _process(arguments: Sequence[str], cache: str) -> dict[str, float]:
    started = time.monotonic_ns()
    finished = subprocess.run(
        [sys.executable, "-m", "wasmlrun", "classify", "--json", *arguments],
        env={**os.environ, "WASMLRUN_CACHE_DIR": cache, STARTED: str(started)},
        stdout=subprocess.PIPE,
        check=False,
    )
    total = (time.monotonic_ns() - started) / 1e6
    if finished.returncode != 0:
        raise WorkerFailed(f"the benchmarked run ended with exit code {finished.returncode}")
    timings = json.loads(finished.stdout.splitlines()[0])["timings_ms"]
    stages = {stage: float(timings.get(stage, 0.0)) for stage in STAGES}
    stages["sandbox"] = timings["run"] - timings["inference"]
    stages["end"] = max(0.0, total - stages["start"] - timings["total"])
    stages["total"] = total
    return stages


def warm_loop(classifier: Classifier, image: ImageSource, runs: int) -> tuple[list[float], float]:
    """Milliseconds of each of `runs` images one after the other, and images a second of
    `runs` images in parallel.

    Raises the first image's error.
    """
    latencies = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        _checked(classifier, [image])
        latencies.append((time.perf_counter() - started) * 1000)
    started = time.perf_counter()
    _checked(classifier, [image] * runs)
    return latencies[1:], runs / (time.perf_counter() - started)


def sandbox_overhead(classifier: Classifier, image: ImageSource, runs: int) -> tuple[float, float]:
    """Median milliseconds of an inference without the sandbox and with it, interleaved.

    Raises:
        BadModel: the worker's model is not known to the host.
    """
    direct, sandboxed = classifier.side_by_side(image)
    if direct is None:
        raise BadModel("the host does not know this worker's model", "name it with --model")
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs + 1):
        for function, kept in zip((direct, sandboxed), times, strict=True):
            kept.append(_milliseconds(function))
    return statistics.median(times[0][1:]), statistics.median(times[1][1:])


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p90 and p99 by nearest rank."""
    ordered = sorted(values)
    return {
        f"p{p}": ordered[min(len(ordered) - 1, max(0, -(-p * len(ordered) // 100) - 1))]
        for p in (50, 90, 99)
    }


def _checked(classifier: Classifier, images: Sequence[ImageSource]) -> None:
    for _, outcome in classifier.outcomes(images):
        if isinstance(outcome, Exception):
            raise outcome


def _milliseconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return (time.perf_counter() - started) * 1000
