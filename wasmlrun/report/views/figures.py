"""The answer of figures over a result: JSON, lines of name and value, a table."""

from __future__ import annotations

from typing import Any

from wasmlrun.figures.accuracy import Share
from wasmlrun.figures.summary import Judged, Summary
from wasmlrun.report.answer import Answer, Columns
from wasmlrun.support.records import Record

_WORST = 5


class Reported(Record):
    """A result's figures and, where it is asked for, the page."""

    summary: Summary
    page: bytes | None = None


def answer(reported: Reported) -> Answer:
    """One object; at a terminal what a person asks first, with the worst classes."""
    summary, page = reported.summary, reported.page
    lines = _lines(summary)
    table = [[name, value] for name, value in lines]
    if summary.judged is not None:
        for truth, given, count in summary.judged.confusion.worst(_WORST):
            table.append([f"{truth} → {given}", str(count)])
    file = None if page is None else lambda: page
    return Answer([record(summary)], lines, Columns(table), file=file)


def record(summary: Summary) -> dict[str, Any]:
    """`result`, `pictures`, `answered`, `errors`, `models`, `latency_ms`, and `accuracy` where
    there is a truth.
    """
    found: dict[str, Any] = {
        "result": summary.source,
        "pictures": summary.rows,
        "answered": summary.answered,
        "errors": {fault.code: fault.count for fault in summary.faults.kinds()},
        "models": sorted(filter(None, summary.models)),
    }
    latency = summary.latency
    if latency.count:
        shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
        found["latency_ms"] = {
            "mean": round(latency.mean, 2),
            **{name: round(latency.percentile(share), 2) for name, share in shares.items()},
        }
    if summary.judged is not None:
        found["accuracy"] = _accuracy(summary.judged)
    return found


def _accuracy(judged: Judged) -> dict[str, Any]:
    accuracy, calibration = judged.accuracy, judged.calibration
    top5 = accuracy.top5
    found: dict[str, Any] = {
        "pictures": accuracy.pictures,
        "without_truth": judged.without,
        "top1": _value(accuracy.top1),
        "top1_interval": [round(bound, 6) for bound in accuracy.top1.interval or ()],
    }
    if top5 is not None:
        found["top5"] = _value(top5)
    found["calibration"] = {
        "error": None if calibration.error is None else round(calibration.error, 6),
        "bins": [
            {
                "low": round(b.low, 6),
                "high": round(b.high, 6),
                "pictures": b.count,
                "confidence": round(b.confidence, 6),
                "accuracy": round(b.accuracy, 6),
            }
            for b in calibration.bins()
        ],
    }
    found["classes"] = [
        {
            "class": c.name,
            "pictures": c.recall.of,
            "precision": _value(c.precision),
            "recall": _value(c.recall),
            "f1": None if c.f1 is None else round(c.f1, 6),
        }
        for c in accuracy.classes()
    ]
    found["confusion"] = [
        {"shows": truth, "taken_for": given, "pictures": count}
        for truth, given, count in judged.confusion.worst(100)
    ]
    return found


def _value(share: Share) -> float | None:
    return None if share.value is None else round(share.value, 6)


def _lines(summary: Summary) -> list[tuple[str, str]]:
    found = [("pictures", str(summary.rows)), ("answered", str(summary.answered))]
    found += [(f"failed: {fault.code}", str(fault.count)) for fault in summary.faults.kinds()]
    judged = summary.judged
    if judged is not None:
        accuracy, error = judged.accuracy, judged.calibration.error
        if judged.without:
            found.append(("without truth", str(judged.without)))
        found.append(("top-1", _percent(accuracy.top1)))
        if accuracy.top5 is not None:
            found.append((f"top-{accuracy.deepest}", _percent(accuracy.top5)))
        if error is not None:
            found.append(("calibration error", f"{error:.4f}"))
    if summary.latency.count:
        found.append(("median time", f"{summary.latency.percentile(0.5):.1f} ms"))
    return found


def _percent(share: Share) -> str:
    return "" if share.value is None else f"{share.value:.2%}"
