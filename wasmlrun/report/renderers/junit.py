"""JUnit XML, which CI servers show: one test case for each thing that was asked for.

Outcomes are kept in a nameless file, which the processes that share the work append to one after
the other; the XML is made at the end, by the process that began, and gets its name when it is
whole.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

from wasmlrun.report.answer import Answer, Asked, Renderer
from wasmlrun.report.whole_file import cannot_write, write_whole
from wasmlrun.support.errors import UsageFault
from wasmlrun.support.failure import Failure

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML 1.0 document may hold, not even escaped."""
UNTOLD = {"error": "no outcome: the command ended before", "kind": "not-run"}


class JUnit(Renderer):
    """Test cases, of which some have a `failure` (not as expected) or an `error`."""

    def __init__(self, path: Path, asked: Asked) -> None:
        self._path = path
        self._asked = asked
        self._kept: IO[bytes] | None = None

    def begin(self) -> None:
        """See whether the file can be written."""
        why = cannot_write(self._path)
        if why is not None:
            raise self._fault(why)
        # no name, so nothing is left of it; the position is shared with processes forked off
        self._kept = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - as long as the process

    def result(self, answer: Answer) -> None:
        """Keep the answer's verdicts for the end."""
        for verdict in answer.verdicts:
            outcome = {"subject": verdict.subject, "seconds": verdict.seconds}
            self._keep(outcome if verdict.fault is None else {**outcome, "fault": verdict.fault})

    def failure(self, failure: Failure) -> None:
        """Keep the failure for the end."""
        text = failure.message + (f"\nhint: {failure.hint}" if failure.hint else "")
        self._keep({"subject": failure.subject, "error": text, "kind": failure.code})

    def end(self, exit_code: int) -> None:
        """Write the file, whole or not at all."""
        if self._kept is None:
            return
        self._kept.seek(0)
        outcomes = [json.loads(line) for line in self._kept.read().splitlines()]
        self._kept.close()
        data = self._document(_sorted_by_subject(outcomes, self._asked))
        try:
            write_whole(self._path, data)
        except OSError as e:
            raise self._fault(e.strerror or str(e)) from e

    def _keep(self, outcome: dict[str, Any]) -> None:
        if self._kept is not None:
            self._kept.write(json.dumps(outcome).encode() + b"\n")

    def _document(self, outcomes: list[dict[str, Any]]) -> bytes:
        counts = {
            "tests": len(outcomes),
            "failures": sum("fault" in outcome for outcome in outcomes),
            "errors": sum("error" in outcome for outcome in outcomes),
            "skipped": 0,
            "time": _seconds(sum(outcome.get("seconds", 0.0) for outcome in outcomes)),
        }
        root = ElementTree.Element("testsuites", _attributes(name="wasmlrun", **counts))
        name = f"wasmlrun {self._asked.command}"
        suite = ElementTree.SubElement(root, "testsuite", _attributes(name=name, **counts))
        for outcome in outcomes:
            case = ElementTree.SubElement(
                suite,
                "testcase",
                _attributes(
                    classname=f"wasmlrun.{self._asked.command}",
                    name=outcome["subject"],
                    time=_seconds(outcome.get("seconds", 0.0)),
                ),
            )
            for key, tag in (("fault", "failure"), ("error", "error")):
                if key in outcome:
                    text = outcome[key]
                    kind = outcome.get("kind", "not-as-expected")
                    said = _attributes(message=text.partition("\n")[0], type=kind)
                    ElementTree.SubElement(case, tag, said).text = allowed(text)
        ElementTree.indent(root)
        data: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
        return data + b"\n"

    def _fault(self, what: str) -> UsageFault:
        return UsageFault(f"--junit {self._path}: {what}", "name a file to write to")


make = JUnit


def _sorted_by_subject(outcomes: list[dict[str, Any]], asked: Asked) -> list[dict[str, Any]]:
    """One outcome for each thing asked for, in that order; then what nobody asked for.

    What failed without a subject is the reason why the rest has no outcome.
    """
    of: dict[str | None, list[dict[str, Any]]] = {}
    for outcome in outcomes:
        of.setdefault(outcome["subject"], []).append(outcome)
    whole = of.pop(None, [])
    reason = whole[-1] if whole else UNTOLD
    found = [of[s].pop(0) if of.get(s) else {**reason, "subject": s} for s in asked.subjects]
    if asked.subjects:  # an answer that was being written when a process crashed has come twice
        return found
    others = [outcome for outcome in outcomes if outcome["subject"] is not None]
    return others + [{**outcome, "subject": asked.command} for outcome in whole]


def _attributes(**values: object) -> dict[str, str]:
    return {name: allowed(str(value)) for name, value in values.items()}


def allowed(text: str) -> str:
    """Text that may stand in XML: what may not is replaced."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


def _seconds(value: float) -> str:
    return f"{value:.4f}"
