"""JUnit XML of a result: one test case a row, written one at a time."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

from wasmlrun.figures.rows import Row, read_rows
from wasmlrun.figures.summary import Judged, Summary
from wasmlrun.report.renderers.junit import allowed
from wasmlrun.report.whole_file import cannot_write, write_whole_from
from wasmlrun.support.errors import UsageFault


class RowsJUnit:
    """A picture that failed is an `error`, one with a wrong label a `failure`.

    The file gets its name when it is whole; a child that may open none writes into it before.
    """

    def __init__(self, path: Path, command: str) -> None:
        """See whether the file can be written. Raises UsageFault."""
        self._path = path
        self._command = command
        why = cannot_write(path)
        if why is not None:
            raise self._fault(why)
        # no name, so nothing is left of it; the position is shared with processes forked off
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - until it is kept

    def write(self, summary: Summary, result: Path, least: float | None, unmet: str | None) -> None:
        """All rows of the result that was summarised; `least` is the accuracy that is expected,
        a test case of its own, `unmet` why it is none. Raises BadFile, OSError.
        """
        judged = summary.judged
        expected = least is not None
        wrong = 0 if judged is None else judged.wrong
        counts = {
            "tests": str(summary.rows + expected),
            "failures": str(wrong + (unmet is not None)),
            "errors": str(summary.rows - summary.answered),
            "skipped": "0",
            "time": f"{summary.latency.mean * summary.latency.count / 1000:.4f}",
        }
        self._file.seek(0)
        self._file.truncate()
        text = io.TextIOWrapper(self._file, "utf-8", write_through=True)
        xml = XMLGenerator(text, "utf-8", short_empty_elements=True)
        xml.startDocument()
        xml.startElement("testsuites", _attributes(name="wasmlrun", **counts))
        xml.startElement("testsuite", _attributes(name=f"wasmlrun {self._command}", **counts))
        if least is not None:
            said = None if unmet is None else ("failure", "not-as-expected", unmet)
            self._case(xml, "accuracy", 0.0, said)
        for row in read_rows(result):
            self._row(xml, row, judged)
        xml.endElement("testsuite")
        xml.endElement("testsuites")
        xml.endDocument()
        text.flush()
        text.detach()
        self._file.flush()

    def keep(self) -> None:
        """Give the file its name. Raises UsageFault."""
        self._file.seek(0)
        try:
            write_whole_from(self._path, self._file)
        except OSError as e:
            raise self._fault(e.strerror or str(e)) from e
        finally:
            self._file.close()

    def _row(self, xml: XMLGenerator, row: Row, judged: Judged | None) -> None:
        verdict = judged.judge.verdict(row) if judged is not None else None
        said = None
        if row.error is not None:
            said = ("error", row.error, row.message)
        elif verdict is not None and not verdict.right:
            first = row.guesses[0] if row.guesses else None
            got = f"{first.label!r} with {first.score:.4f}" if first is not None else "no label"
            said = ("failure", "not-as-expected", f"expected {verdict.truth!r}, got {got}")
        self._case(xml, row.image, (row.milliseconds or 0.0) / 1000, said)

    def _case(
        self, xml: XMLGenerator, name: str, seconds: float, said: tuple[str, str, str] | None
    ) -> None:
        about = _attributes(classname=f"wasmlrun.{self._command}", name=name, time=f"{seconds:.4f}")
        xml.startElement("testcase", about)
        if said is not None:
            tag, kind, sentence = said
            text = allowed(sentence)
            xml.startElement(tag, _attributes(message=text.partition("\n")[0], type=kind))
            xml.characters(text)
            xml.endElement(tag)
        xml.endElement("testcase")

    def _fault(self, what: str) -> UsageFault:
        return UsageFault(f"--junit {self._path}: {what}", "name a file to write to")


def _attributes(**values: str) -> AttributesImpl[str]:
    return AttributesImpl({name: allowed(value) for name, value in values.items()})
