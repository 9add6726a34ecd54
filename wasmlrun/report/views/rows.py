"""Answers that are the same in every form: rows, and facts with their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wasmlrun.report.answer import Answer


def rows(found: Sequence[Mapping[str, Any]]) -> Answer:
    """One object or one line a row."""
    return Answer(found, [[str(field) for field in row.values()] for row in found])


def facts(found: Mapping[str, Any]) -> Answer:
    """One object, or a line of name and fact for each."""
    return Answer([found], [(name, str(fact)) for name, fact in found.items()])
