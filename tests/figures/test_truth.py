"""What pictures show, and which labels that means."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit.results import answered, failed, write_rows

from wasmlrun.figures.judge import Judge
from wasmlrun.figures.names import Vocabulary
from wasmlrun.figures.rows import read_rows
from wasmlrun.figures.truth import ByFolder, ByTable, Truth
from wasmlrun.support.errors import BadFile


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("tench", {"tench, Tinca tinca"}),
        ("TINCA TINCA", {"tench, Tinca tinca"}),
        ("tench, Tinca tinca", {"tench, Tinca tinca"}),
        ("hot_dog", {"hotdog, hot dog, red hot"}),
        ("black-and-tan", {"black and tan"}),
        ("1", {"hotdog, hot dog, red hot"}),
        # a label of this name comes before those that only have it as a synonym
        ("missile", {"missile"}),
        ("projectile", {"projectile, missile"}),
        # and a label that is a number before the class of this number
        ("7", {"7"}),
        ("n01440764", set()),
        ("99999999999999999999", set()),
    ],
)
def test_a_name_means_labels(name: str, labels: set[str]) -> None:
    vocabulary = Vocabulary()
    known = "tench, Tinca tinca", "hotdog, hot dog, red hot", "black and tan", "missile"
    for index, label in enumerate((*known, "projectile, missile", "7", "six", "seven")):
        vocabulary.add(index, label)
    assert vocabulary.meant(name) == labels


def test_the_folder_is_the_last_one() -> None:
    assert ByFolder().of("photos/cat/1.jpg") == "cat"
    assert ByFolder().of("photos\\cat\\1.jpg") == "cat"
    assert ByFolder().of("1.jpg") is None


@pytest.mark.parametrize(
    "text",
    [
        "image,label\ncat/1.jpg,cat\ndog/1.jpg,dog\n2.jpg,both\n",
        "cat/1.jpg,cat\n\n./dog//1.jpg,dog\n2.jpg,both\n",
        "label,id,filename\ncat,1,cat/1.jpg\ndog,2,dog/1.jpg\nboth,3,2.jpg\n",
        "\ufeffPath,Class\ncat/1.jpg, cat\ndog/1.jpg,dog\n2.jpg,both\n",
    ],
)
def test_a_table_names_pictures_by_the_ends_of_their_paths(tmp_path: Path, text: str) -> None:
    path = tmp_path / "truth.csv"
    path.write_text(text, encoding="utf-8")
    table = ByTable(path)
    assert table.of("/data/photos/cat/1.jpg") == "cat"
    assert table.of("dog/1.jpg") == "dog"
    assert table.of("anywhere/2.jpg") == "both"
    assert table.of("1.jpg") is None


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "truth {} is empty", "one line a picture: image,label"),
        ("image,label\na.jpg\n", "truth {}, line 2: there is no label", "one line a picture"),
        ('a,"' + "x" * 200_000, "truth {} is no CSV: field larger than field limit", ""),
        (None, "truth {} cannot be read: No such file or directory", "name a CSV file, or write"),
    ],
)
def test_a_wrong_table_is_told(tmp_path: Path, text: str | None, message: str, hint: str) -> None:
    path = tmp_path / "truth.csv"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(BadFile) as told:
        ByTable(path)
    assert told.value.message.startswith(message.format(path))
    assert (told.value.hint or "").startswith(hint)


def judge(path: Path, truth: Truth) -> Judge:
    return Judge([read_rows(path)], truth)


def test_names_that_mean_one_label_are_one_class(tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "r",
        answered("tench/1.jpg", ("dog", 0.6), ("tench, Tinca tinca", 0.4)),
        answered("Tinca_tinca/1.jpg", ("tench, Tinca tinca", 0.9)),
        answered("dog/1.jpg", ("tench, Tinca tinca", 0.8)),
        failed("dog/2.jpg", "bad-image", ""),
        answered("3.jpg", ("dog", 0.8)),
    )
    known = judge(path, ByFolder())
    found = [known.verdict(row) for row in read_rows(path)]
    assert found[:4] == [
        ("tench", "dog", 1),
        ("tench", "tench", 0),
        ("dog", "tench", None),
        ("dog", None, None),
    ]
    assert found[4] is None
    assert known.unknown == []


@pytest.mark.parametrize(
    ("image", "message", "hint"),
    [
        ("1.jpg", "the truth says nothing of any picture of the result", "does its table name"),
        (
            "n01440764/1.jpg",
            "no label of the result is called n01440764, as the truth has it",
            "are these the names of this model's labels?",
        ),
    ],
)
def test_a_truth_of_something_else_is_told(
    tmp_path: Path, image: str, message: str, hint: str
) -> None:
    path = write_rows(tmp_path / "r", answered(image, ("tench", 1.0)))
    with pytest.raises(BadFile) as told:
        judge(path, ByFolder())
    assert told.value.message == message
    assert (told.value.hint or "").startswith(hint)


def test_labels_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wasmlrun.figures.names.MOST", 2)
    path = write_rows(tmp_path / "r", *(answered(f"a/{n}", (f"l{n}", 1.0)) for n in range(3)))
    with pytest.raises(BadFile, match="the result has more than 2 different labels"):
        judge(path, ByFolder())
