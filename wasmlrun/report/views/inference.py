"""The answer of `wasmlrun infer`: what the model's outputs became."""

from __future__ import annotations

from wasmlrun.pipeline.inference import Inference
from wasmlrun.report.answer import Answer, Columns


def answer(found: Inference) -> Answer:
    """One object; or the lines of the kind of output, in columns at a terminal."""
    record = {
        "schema": 1,
        "input": found.source,
        "worker": found.worker,
        "model": found.model,
        "kind": found.kind,
        **found.made.facts,
        "timings_ms": {stage: round(ms, 3) for stage, ms in found.timings_ms.items()},
    }
    lines = found.made.lines
    # a vector of hundreds of numbers is no table
    wide = any(len(line) > 16 for line in lines)
    return Answer([record], lines, None if wide else Columns(lines), file=found.made.file)
