"""Where a one-shot's time goes: whole processes cold and warm, and a warm loop in one process."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wasmlrun.pipeline.per_image import STARTED, Classifier
from wasmlrun.support import tempfiles
from wasmlrun.support.errors import WorkerFailed
from wasmlrun.vision.source import ImageSource

STAGES = ("start", "image", "model", "input", "worker", "sandbox", "inference", "labels", "end")
"""Of a whole process, in order. `model` and `worker` are what is waited for after the rest is
done; `sandbox` is the guest's run without the inference in it."""


PERCENTILES = (50, 90, 99)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Milliseconds, medians unless said otherwise."""

    runs: int
    cold: Mapping[str, float]
    """Stages of a process that finds an empty cache; `total` is the whole process."""
    warm: Mapping[str, float]
    """Stages of a process that finds everything in the cache."""
    loops: Loops


@dataclass(frozen=True, slots=True)
class Loops:
    """What is measured in one process that has all ready."""

    latency: Mapping[str, float]
    """Percentiles of an image, from file to labels, in a process that has all ready."""
    images_per_second: float
    direct_ms: float | None
    """The same tensor given to the same engine without a sandbox; None where the host does not
    have the model: it is in the worker, or loaded by it."""
    sandboxed_ms: float
    """A whole run of the guest: instantiation, tensor in, inference, scores out."""


def whole_processes(arguments: Sequence[str], runs: int) -> tuple[dict[str, float], ...]:
    """Medians of the stages of `wasmlrun classify` processes: cold, then warm.

    Raises:
        WorkerFailed: a run failed; it has said why on stderr. OSError: no place for a cache.
    """
    found: tuple[list[dict[str, float]], list[dict[str, float]]] = ([], [])
    with tempfiles.handed_down(), tempfiles.private_folder() as folder:
        for run in range(runs):
            cache = folder / f"cache-{run}"
            cache.mkdir(mode=0o700)
            for kind in found:  # first with the empty cache, then with the full one
                kind.append(_process(arguments, cache))
            tempfiles.remove_tree(cache)
    return tuple(
        {stage: statistics.median(run[stage] for run in kind) for stage in (*STAGES, "total")}
        for kind in found
    )


def _process(arguments: Sequence[str], cache: Path) -> dict[str, float]:
    started = time.monotonic_ns()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "wasmlrun", "classify", "--json", *arguments],
        env={**os.environ, "WASMLRUN_CACHE_DIR": str(cache), STARTED: str(started)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        # a terminal's Ctrl-C is for the one that measures, which then ends this one
        start_new_session=os.name == "posix",
    )
    with process:
        try:
            out, _ = process.communicate()
        except BaseException:
            process.terminate()  # it clears away what it began
            raise
    total = (time.monotonic_ns() - started) / 1e6
    if process.returncode != 0:
        raise WorkerFailed(f"the benchmarked run ended with exit code {process.returncode}")
    return stages_from(out, total)


def stages_from(out: bytes, total: float) -> dict[str, float]:
    """The stages in an answer of `classify` that took `total` milliseconds.

    Raises:
        WorkerFailed: it has none; the child that gave it is no longer the program that was started.
    """
    try:
        timings = json.loads(out.splitlines()[0])["timings_ms"]
        stages = {stage: _number(timings.get(stage, 0.0)) for stage in STAGES}
        stages["sandbox"] = _number(timings["run"]) - _number(timings["inference"])
        stages["end"] = max(0.0, total - stages["start"] - _number(timings["total"]))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as e:
        raise WorkerFailed(f"the benchmarked run answered with no times: {e}") from e
    return {**stages, "total": total}


def loops_of(classifier: Classifier, image: ImageSource, runs: int) -> Loops:
    """Everything that is measured in one process. Raises as what it measures."""
    latencies, rate = warm_loop(classifier, image, runs)
    return Loops(percentiles(latencies), rate, *sandbox_overhead(classifier, image, runs))


def loops_from(told: Mapping[str, Any]) -> Loops:
    """The numbers in a record of `Loops` that a child told.

    Raises:
        WorkerFailed: it is none; the child is no longer the program that was started.
    """
    try:
        latency = {f"p{p}": _number(told["latency"][f"p{p}"]) for p in PERCENTILES}
        direct = None if told["direct_ms"] is None else _number(told["direct_ms"])
        rate, sandboxed = _number(told["images_per_second"]), _number(told["sandboxed_ms"])
        return Loops(latency, rate, direct, sandboxed)
    except (LookupError, TypeError, ValueError) as e:
        raise WorkerFailed(f"the measuring process answered with no times: {e}") from e


def _number(told: Any) -> float:
    """A finite number. Raises ValueError."""
    if isinstance(told, bool) or not isinstance(told, (int, float)) or not math.isfinite(told):
        raise ValueError(f"{str(told)[:40]!r} is no number")
    return float(told)


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


def sandbox_overhead(
    classifier: Classifier, image: ImageSource, runs: int
) -> tuple[float | None, float]:
    """Median milliseconds of an inference without the sandbox, None where the host does not have
    the model, and with it; interleaved.
    """
    functions = classifier.side_by_side(image)
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs + 1):
        for function, kept in zip(functions, times, strict=True):
            if function is not None:
                kept.append(_milliseconds(function))
    without, within = ([*kept[1:]] for kept in times)
    return statistics.median(without) if without else None, statistics.median(within)


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p90 and p99 by nearest rank."""
    ordered = sorted(values)
    return {
        f"p{p}": ordered[min(len(ordered) - 1, max(0, -(-p * len(ordered) // 100) - 1))]
        for p in PERCENTILES
    }


def _checked(classifier: Classifier, images: Sequence[ImageSource]) -> None:
    for _, outcome in classifier.outcomes(images):
        if isinstance(outcome, Exception):
            raise outcome


def _milliseconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return (time.perf_counter() - started) * 1000
