"""The answer of `wasmlrun compare` for two results."""

from __future__ import annotations

from typing import Any

from wasmlrun.figures.difference import Difference
from wasmlrun.report.answer import Answer, Columns

_COMMON = 10


def answer(found: Difference) -> Answer:
    """One object; otherwise the numbers, which labels became which, and the surest changes."""
    lines = _lines(found)
    changes = [
        (f"{before} → {after}", str(count)) for (before, after), count in _common(found, _COMMON)
    ]
    surest = [
        (c.image, f"{c.before} {c.before_score:.1%} → {c.after} {c.after_score:.1%}")
        for c in found.examples
    ]
    blocks = (("", lines), ("changed labels", changes), ("the surest changes", surest))
    rows = [row for _, block in blocks for row in block]
    groups = [title for title, block in blocks for _ in block]
    return Answer([record(found)], [*lines, *changes, *surest], Columns(rows, groups))


def record(found: Difference) -> dict[str, Any]:
    """`agreement`, `scores`, `changes`, `examples`, and with a truth `accuracy`."""
    entry: dict[str, Any] = {
        "first": found.first,
        "second": found.second,
        "pictures": found.both,
        "only_first": found.only_first,
        "only_second": found.only_second,
        "same": found.same,
        "agreement": round(found.same / found.both, 6),
        "scores": {
            "compared": found.compared,
            "mean_difference": round(found.mean_score, 8),
            "max_difference": round(found.most_score, 8),
        },
        "changes": [
            {"before": before, "after": after, "pictures": count}
            for (before, after), count in _common(found, 100)
        ],
        "examples": [
            {
                "image": c.image,
                "before": {"label": c.before, "score": c.before_score},
                "after": {"label": c.after, "score": c.after_score},
            }
            for c in found.examples
        ],
    }
    test = found.test
    if test is not None:
        entry["accuracy"] = {
            "pictures": found.judged,
            "first": round(found.right_first / found.judged, 6) if found.judged else None,
            "second": round(found.right_second / found.judged, 6) if found.judged else None,
            "only_first_right": test.only_first,
            "only_second_right": test.only_second,
            "mcnemar_p": test.p,
            "mcnemar": "exact" if test.exact else "chi-squared",
        }
    return entry


def _common(found: Difference, most: int) -> list[tuple[tuple[str, str], int]]:
    return sorted(found.changes.items(), key=lambda change: (-change[1], change[0]))[:most]


def _lines(found: Difference) -> list[tuple[str, str]]:
    lines = [
        ("pictures", str(found.both)),
        ("same label", f"{found.same} ({found.same / found.both:.2%})"),
    ]
    for name, count in (("first", found.only_first), ("second", found.only_second)):
        if count:
            lines.append((f"only in the {name}", str(count)))
    if found.compared:
        lines.append(("mean difference of scores", f"{found.mean_score:.2g}"))
        lines.append(("greatest difference", f"{found.most_score:.2g}"))
    test = found.test
    if test is not None and found.judged:
        lines.append(("right, first", f"{found.right_first / found.judged:.2%}"))
        lines.append(("right, second", f"{found.right_second / found.judged:.2%}"))
        lines.append(("right in the first only", str(test.only_first)))
        lines.append(("right in the second only", str(test.only_second)))
        how = "exact" if test.exact else "chi-squared"
        lines.append(("McNemar's test", f"p = {test.p:.2g} ({how})"))
    return lines
