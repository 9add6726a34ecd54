"""Accuracy of the default model on CIFAR-10's test pictures, measured through wasmlrun itself.

    python models/evaluate.py [--data cifar10.tar.gz] [--out models/mobilenet-cifar10]
                              [--outside FOLDER]

The archive holds `test/<class>/*.jpg`. Every picture goes through `wasmlrun classify --json`:
decoding, resizing, the sandboxed worker, WASI-NN, OpenVINO. Writes `accuracy.json` and the
confusion matrix `confusion.png`. False alarms are test pictures that the model is not sure of;
`--outside` names pictures of other things, and measures how many of them it is not sure of.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parent.parent
CHUNK = 1000
CELL, MARGIN = 52, 140


def main() -> None:
    """Evaluate and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/cifar10.tar.gz")
    parser.add_argument("--model", default=str(ROOT / "models/mobilenet-cifar10"))
    parser.add_argument("--outside", type=Path, help="pictures of none of the classes")
    parser.add_argument("--out", type=Path, default=ROOT / "models/mobilenet-cifar10")
    arguments = parser.parse_args()
    if not arguments.data.is_file():
        sys.exit(f"error: {arguments.data} does not exist\nhint: name CIFAR-10 with --data")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(arguments.data) as archive:
            members = [m for m in archive if "/test/" in f"/{m.name}" and m.isfile()]
            archive.extractall(folder, members, filter="data")
        pictures = sorted(Path(folder).rglob("test/*/*"))
        if not pictures:
            sys.exit(f"error: {arguments.data} holds no test/<class>/ pictures")
        labels = sorted({picture.parent.name for picture in pictures})
        answers = classify(pictures, arguments.model)
    counts = confusion(answers, labels)
    total = sum(map(sum, counts))
    right = sum(counts[i][i] for i in range(len(labels)))
    per_class = {name: counts[i][i] / sum(counts[i]) for i, name in enumerate(labels)}
    result = {
        "pictures": total,
        "top1": right / total,
        "false_alarms": unsure(answers),
        "per_class": per_class,
        "labels": labels,
        "confusion": counts,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "accuracy.json").write_text(json.dumps(result) + "\n")
    draw(counts, labels, f"{right / total:.2%} of {total} pictures").save(
        arguments.out / "confusion.png", optimize=True
    )
    for name, accuracy in per_class.items():
        print(f"{name}\t{accuracy:.1%}")
    print(f"top-1\t{right / total:.2%} ({right} of {total})")
    print(f"not sure\t{unsure(answers):.2%}")
    if arguments.outside:
        others = classify(sorted(p for p in arguments.outside.rglob("*.*")), arguments.model)
        print(f"not sure of other things\t{unsure(others):.2%} of {len(others)}")


def classify(pictures: Sequence[Path], model: str) -> list[dict[str, Any]]:
    """What `wasmlrun classify --json` says of each picture."""
    answers: list[dict[str, Any]] = []
    for start in range(0, len(pictures), CHUNK):
        chunk = [str(picture) for picture in pictures[start : start + CHUNK]]
        command = [sys.executable, "-m", "wasmlrun", "classify", "--json", "-k", "1", "-q"]
        command += ["--model", model, "--timeout", "900", *chunk]
        finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        answers += map(json.loads, finished.stdout.splitlines())
        print(f"\r{start + len(chunk)} of {len(pictures)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return answers


def confusion(answers: Sequence[dict[str, Any]], labels: Sequence[str]) -> list[list[int]]:
    """How often each class (row) was answered as each class (column)."""
    counts = [[0] * len(labels) for _ in labels]
    for answer in answers:
        truth = labels.index(Path(answer["image"]).parent.name)
        counts[truth][labels.index(answer["predictions"][0]["label"])] += 1
    return counts


def unsure(answers: Sequence[dict[str, Any]]) -> float:
    """The share of answers that the model is not sure of; 0 for a model that never says so."""
    return sum(not answer.get("sure", True) for answer in answers) / len(answers)


def draw(counts: Sequence[Sequence[int]], labels: Sequence[str], title: str) -> Image.Image:
    """The confusion matrix as a picture; rows are the truth, columns the answers."""
    side = MARGIN + CELL * len(labels) + 20
    canvas = Image.new("RGB", (side, side), "white")
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(13)
    pen.text((10, 10), title, "black", ImageFont.load_default(18))
    pen.text((10, 36), "row: truth, column: answer", "gray", font)
    for row, name in enumerate(labels):
        top = MARGIN + row * CELL
        pen.text((MARGIN - 8, top + CELL / 2), name, "black", font, anchor="rm")
        upright = Image.new("L", (math.ceil(pen.textlength(name, font)), 18))
        ImageDraw.Draw(upright).text((0, 9), name, 255, font, anchor="lm")
        upright = upright.rotate(90, expand=True)
        canvas.paste("black", (top + CELL // 2 - 9, MARGIN - 8 - upright.height), upright)
        total = sum(counts[row])
        for column, count in enumerate(counts[row]):
            left, share = MARGIN + column * CELL, count / total
            depth = share**0.5
            fill = tuple(round(255 - depth * (255 - c)) for c in (31, 96, 168))
            pen.rectangle((left, top, left + CELL - 2, top + CELL - 2), fill)
            ink = "white" if share > 0.3 else "black"
            pen.text((left + CELL / 2 - 1, top + CELL / 2 - 1), str(count), ink, font, anchor="mm")
    return canvas


if __name__ == "__main__":
    main()
