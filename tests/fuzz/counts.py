"""The counts of a long fuzz as the table in docs/limits.md: `python tests/fuzz/counts.py FILE`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

_HEAD = ("target", "inputs", "minutes", "accepted", "refused", "crashes", "hangs", "much memory")


def table(counts: dict[str, dict[str, object]]) -> str:
    """Markdown, a row a target."""
    rows = [_HEAD, ("---",) * len(_HEAD)]
    for name, entry in counts.items():
        outcomes: dict[str, int] = entry["outcomes"]  # type: ignore[assignment]
        inputs = outcomes.get("calls", entry["inputs"])
        unit = " calls" if "calls" in outcomes else ""
        found = [
            outcomes.get("crash", 0) + outcomes.get("crash, not alone", 0),
            outcomes.get("hang", 0) + outcomes.get("hang, not alone", 0),
            outcomes.get("much memory", 0),
        ]
        rows.append(
            (
                f"`{name}`",
                f"{inputs:,}{unit}",
                f"{entry['seconds'] / 60:.1f}",  # type: ignore[operator]
                *(f"{outcomes.get(kind, 0):,}" for kind in ("accepted", "refused")),
                *map(str, found),
            )
        )
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


if __name__ == "__main__":
    print(table(json.loads(Path(sys.argv[1]).read_text())["targets"]))
