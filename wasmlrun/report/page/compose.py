"""A result's figures as a page."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from wasmlrun.figures.gallery import Pick
from wasmlrun.figures.summary import SCORE_BINS, Judged, Summary
from wasmlrun.report.page import accuracy_sections, charts
from wasmlrun.report.page.elements import Child, document, el, name, shortened
from wasmlrun.report.page.layout import frame, section, tile
from wasmlrun.report.page.thumbnails import Thumbnails

_LABELS = 20


def compose(summary: Summary, thumbnails: Thumbnails) -> bytes:
    """The page as the bytes of an HTML file."""
    title = f"Report: {shortened(summary.source)}"
    sections = [
        *_galleries(summary, thumbnails),
        *([] if summary.judged is None else _judged(summary.judged)),
        _scores(summary),
        _labels(summary),
        *_latency(summary),
        _faults(summary),
    ]
    return document(frame(title, _header(summary), sections))


def _judged(judged: Judged) -> list[Element]:
    calibration = accuracy_sections.calibration(judged)
    found = [accuracy_sections.confusion(judged), accuracy_sections.classes(judged)]
    return found if calibration is None else [calibration, *found]


def _header(summary: Summary) -> list[Child]:
    tiles = [tile(f"{summary.rows:,}", "pictures")]
    failed = summary.rows - summary.answered
    tiles.append(tile(f"{failed:,}", "failed"))
    if summary.judged is not None:
        tiles += accuracy_sections.tiles(summary.judged)
    if summary.latency.count:
        median = milliseconds(summary.latency.percentile(0.5))
        tiles.append(tile(median, "median time of a picture"))
    about: list[Child] = []
    for kind, counted in (("model", summary.models), ("worker", summary.workers)):
        names = [n for n, _ in counted.most_common(4) if n]
        for number, found in enumerate(names):
            about += [", " if number else (" · " if about else "") + f"{kind} ", name(found)]
    judged = summary.judged
    if judged is not None and judged.without:
        about.append(f" · the truth says nothing of {judged.without:,} pictures")
    return [
        el("h1", name(summary.source)),
        el("p", *about, class_="soft"),
        el("div", *tiles, class_="tiles"),
    ]


def _galleries(summary: Summary, thumbnails: Thumbnails) -> list[Element]:
    gallery = summary.gallery
    kinds: list[tuple[str, str, str, Sequence[Pick]]] = [
        ("wrong", "Wrong", "Wrong answers, those with the highest scores.", gallery.wrong),
        ("unsure", "Least sure", "The lowest first scores.", gallery.least_sure),
        ("surest", "Surest", "The highest first scores.", gallery.surest),
    ]
    return [
        section(
            anchor,
            title,
            el("p", text, class_="soft"),
            el("div", *(_card(pick, thumbnails) for pick in picks), class_="cards"),
        )
        for anchor, title, text, picks in kinds
        if picks
    ]


def _card(pick: Pick, thumbnails: Thumbnails) -> Element:
    row, verdict = pick.row, pick.verdict
    first = row.guesses[0]
    address, why = thumbnails.of(row.image)
    shown = (
        el("img", src=address, alt=shortened(row.image), loading="lazy")
        if address is not None
        else el("span", name(row.image), f" {why}", class_="none")
    )
    said: list[Child] = [el("b", name(first.label)), f" {first.score:.1%}"]
    if verdict is not None and not verdict.right:
        said.append(el("span", " shows ", name(verdict.truth), class_="bad"))
    rows = [
        el("tr", el("th", name(g.label), scope="row"), el("td", f"{g.score:.2%}"))
        for g in row.guesses[:5]
    ]
    return el(
        "details",
        el("summary", shown, el("span", *said, class_="said")),
        el("p", name(row.image), class_="said soft"),
        el("table", el("tbody", *rows)),
        class_="card",
    )


def _scores(summary: Summary) -> Element:
    judged = summary.judged
    bars = []
    for at, count in enumerate(summary.scores):
        low, high = at / SCORE_BINS, (at + 1) / SCORE_BINS
        title = f"first score {low:.2f} to {high:.2f}: {count:,} pictures"
        right = None
        if judged is not None and not judged.without:
            right = judged.right_scores[at]
            title += f", {right:,} right"
        bars.append(charts.Bar(title, count, right))
    ticks = [(n / 4, f"{n / 4:g}") for n in range(5)]
    caption: list[Child] = ["How many pictures got which first score."]
    if any(bar.right is not None for bar in bars):
        caption += [
            el("span", class_="key right"),
            "right",
            el("span", class_="key wrong"),
            "wrong",
        ]
    chart = charts.histogram(bars, ticks, "first score", "Pictures by their first score")
    return section("scores", "Scores", el("figure", chart, el("figcaption", *caption)))


def _labels(summary: Summary) -> Element:
    common = summary.labels.most_common(_LABELS)
    rows = [
        el(
            "tr",
            el("th", name(label), scope="row"),
            el("td", f"{count:,}"),
            el("td", f"{count / summary.answered:.1%}"),
        )
        for label, count in sorted(common, key=lambda found: (-found[1], found[0]))
    ]
    text = f"{len(summary.labels):,} labels were the first guess of some picture."
    if len(summary.labels) > _LABELS:
        text += f" The commonest {_LABELS}:"
    return section(
        "labels",
        "Answers",
        el("p", text, class_="soft"),
        el("table", el("tbody", *rows), class_="rows"),
    )


def _latency(summary: Summary) -> list[Element]:
    latency = summary.latency
    if not latency.count:
        return []
    bars = latency.histogram(24)
    drawn = [
        charts.Bar(f"{milliseconds(low)} to {milliseconds(high)}: {count:,} pictures", count)
        for low, high, count in bars
    ]
    # the bars are equally wide as logarithms; every sixth bound is enough
    ticks = [(n / len(bars), milliseconds(bars[n][0])) for n in range(0, len(bars), 6)]
    chart = charts.histogram(drawn, ticks, "time of a picture", "Pictures by how long they took")
    few = [("median", 0.5), ("90 %", 0.9), ("99 %", 0.99)]
    said = ", ".join(f"{what} {milliseconds(latency.percentile(share))}" for what, share in few)
    text = f"From the picture's bytes to its labels: {said}, mean {milliseconds(latency.mean)}."
    return [
        section("latency", "Time", el("figure", chart, el("figcaption", text))),
    ]


def _faults(summary: Summary) -> Element:
    kinds = summary.faults.kinds()
    if not kinds:
        return section("errors", "Errors", el("p", "Every picture has an answer."))
    rows = [
        el(
            "tr",
            el("th", name(fault.code), scope="row"),
            el("td", f"{fault.count:,}"),
            el("td", name(fault.example), class_="words"),
        )
        for fault in kinds
    ]
    head = el(
        "tr",
        el("th", "kind", class_="words", scope="col"),
        el("th", "pictures", scope="col"),
        el("th", "the first of them", class_="words", scope="col"),
    )
    return section(
        "errors",
        "Errors",
        el("table", el("thead", head), el("tbody", *rows), class_="rows"),
    )


def milliseconds(value: float) -> str:
    """A time as a person reads it."""
    if value >= 10_000:
        return f"{value / 1000:.0f} s"
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.2g} ms"
