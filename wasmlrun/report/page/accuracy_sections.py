"""What a page says with a truth: tiles, calibration, confusion, classes."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from wasmlrun.figures.accuracy import ClassFigures, Share
from wasmlrun.figures.confusion import Matrix
from wasmlrun.figures.summary import Judged
from wasmlrun.report.page import charts
from wasmlrun.report.page.elements import el, name
from wasmlrun.report.page.layout import section, tile

_CLASSES = 200
"""Classes of a table; more are in no table that a person reads."""


def percent(share: Share) -> str:
    """A share in words of a table; a dash of nothing."""
    return "–" if share.value is None else f"{share.value:.1%}"


def tiles(judged: Judged) -> list[Element]:
    """Accuracy in a few numbers."""
    accuracy = judged.accuracy
    found = [tile(percent(accuracy.top1), "top-1", _interval(accuracy.top1))]
    if accuracy.top5 is not None:
        found.append(tile(percent(accuracy.top5), f"top-{accuracy.deepest}"))
    error = judged.calibration.error
    if error is not None:
        found.append(tile(f"{error:.3f}", "calibration error"))
    return found


def _interval(share: Share) -> str:
    found = share.interval
    return f"{found[0]:.1%} – {found[1]:.1%} at 95 %" if found is not None else ""


def calibration(judged: Judged) -> Element | None:
    """The reliability diagram; none where scores are no shares."""
    bins = judged.calibration.bins()
    if not bins:
        return None
    text = (
        "Bars show how many answers of a score were right, paler where there are few. On the "
        "dashed line a score is what it says; below it the model is too sure of itself."
    )
    return section(
        "calibration",
        "Calibration",
        el("figure", charts.reliability(bins), el("figcaption", text)),
    )


def confusion(judged: Judged) -> Element:
    """The matrix of the classes that are mistaken, and the commonest mistakes."""
    matrix, worst = judged.confusion.matrix(), judged.confusion.worst(12)
    if not worst:
        return section("confusion", "Confusion", el("p", "No picture was taken for another class."))
    text = "Rows are what pictures show, columns what they were taken for."
    if matrix.left_out:
        text += f" {matrix.left_out:,} pictures of other classes are not in it."
    rows = [
        el(
            "tr",
            el("td", name(truth), class_="words"),
            el("td", name(given), class_="words"),
            el("td", f"{count:,}"),
        )
        for truth, given, count in worst
    ]
    head = el(
        "tr",
        el("th", "shows", class_="words", scope="col"),
        el("th", "taken for", class_="words", scope="col"),
        el("th", "pictures", scope="col"),
    )
    return section(
        "confusion",
        "Confusion",
        el("p", text, class_="soft"),
        el("div", _matrix(matrix), class_="scroll", tabindex="0"),
        el("h3", "Commonest mistakes"),
        el("table", el("thead", head), el("tbody", *rows), class_="rows"),
    )


def _matrix(matrix: Matrix) -> Element:
    head = [el("th", name(column), scope="col") for column in matrix.names]
    body = []
    for number, (truth, counts) in enumerate(zip(matrix.names, matrix.counts, strict=True)):
        total = sum(counts) or 1
        cells = [
            el("td", f"{count:,}", class_=_heat(count / total, number == at))
            for at, count in enumerate(counts)
        ]
        body.append(el("tr", el("th", name(truth), scope="row"), *cells))
    return el(
        "table",
        el("thead", el("tr", el("td"), *head)),
        el("tbody", *body),
        class_="matrix",
    )


def _heat(share: float, right: bool) -> str:
    if not share:
        return "zero"
    step = 1 + sum(share > bound for bound in ((0.5, 0.75, 0.9) if right else (0.03, 0.1, 0.3)))
    return f"{'g' if right else 'b'}{step}"


def classes(judged: Judged) -> Element:
    """Precision and recall, the worst class first."""
    found = judged.accuracy.classes()
    ordered = sorted(found, key=lambda c: (c.f1 if c.f1 is not None else 0.0, c.name))
    text = f"{len(found):,} classes, the worst first."
    if len(ordered) > _CLASSES:
        text += f" The first {_CLASSES} are shown; --json has all."
    titles = ("class", "pictures", "precision", "recall", "F1")
    head = [
        el("th", title, scope="col", **({"class_": "words"} if not n else {}))
        for n, title in enumerate(titles)
    ]
    return section(
        "classes",
        "Class by class",
        el("p", text, class_="soft"),
        el(
            "div",
            el(
                "table",
                el("thead", el("tr", *head)),
                el("tbody", *map(_class_row, ordered[:_CLASSES])),
                class_="rows",
            ),
            class_="scroll",
            tabindex="0",
        ),
    )


def _class_row(figures: ClassFigures) -> Element:
    return el(
        "tr",
        el("th", name(figures.name), scope="row"),
        el("td", f"{figures.recall.of:,}"),
        el("td", percent(figures.precision)),
        el("td", percent(figures.recall)),
        el("td", "–" if figures.f1 is None else f"{figures.f1:.1%}"),
    )
