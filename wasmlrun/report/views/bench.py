"""The answer of `wasmlrun bench`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from wasmlrun.diagnose.bench import STAGES, Benchmark
from wasmlrun.report.answer import Answer


def answer(result: Benchmark) -> Answer:
    """One JSON object, or columns of stages, cold and warm, and what a warm loop takes."""
    record = asdict(result)
    record |= record.pop("loops")
    return Answer([record], [(line,) for line in _lines(result)])


def _lines(result: Benchmark) -> Iterator[str]:
    yield f"{'one-shot, ms':22}{'cold':>9}{'warm':>9}"
    for stage in (*STAGES, "total"):
        yield f"{stage:22}{result.cold[stage]:9.1f}{result.warm[stage]:9.1f}"
    yield ""
    loops = result.loops
    yield f"{'warm loop':22}" + "  ".join(f"{p} {ms:.1f} ms" for p, ms in loops.latency.items())
    yield f"{'':22}{loops.images_per_second:.1f} images a second"
    yield ""
    if loops.direct_ms is None:
        told = "the host does not have the model, to run it without"
        yield f"{'sandbox':22}{loops.sandboxed_ms:.2f} ms with; {told}"
        return
    yield (
        f"{'sandbox':22}{loops.sandboxed_ms:.2f} ms with, {loops.direct_ms:.2f} ms without: "
        f"{loops.sandboxed_ms - loops.direct_ms:+.2f} ms"
    )
