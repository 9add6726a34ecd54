"""The figures themselves, against values worked out by other ways."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from pathlib import Path

import pytest
from kit.results import answered, failed, write_rows

from wasmlrun.figures.accuracy import Accuracy, Share
from wasmlrun.figures.calibration import Calibration, bin_of
from wasmlrun.figures.confusion import Confusion
from wasmlrun.figures.difference import difference
from wasmlrun.figures.faults import MOST, OTHERS, Faults
from wasmlrun.figures.latency import Latency
from wasmlrun.figures.mcnemar import EXACT, mcnemar
from wasmlrun.figures.summary import summarise
from wasmlrun.figures.truth import ByFolder
from wasmlrun.support.errors import BadFile


def test_wilsons_interval() -> None:
    # Newcombe (1998), table I: 81 of 263, and 0 of 20
    low, high = Share(81, 263).interval or (0.0, 0.0)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    low, high = Share(0, 20).interval or (1.0, 1.0)
    assert (round(low, 4), round(high, 4)) == (0.0, 0.1611)
    assert Share(0, 0).interval is None
    assert Share(0, 0).value is None


def test_accuracy_by_hand() -> None:
    accuracy = Accuracy()
    accuracy.add("cat", "cat", 0, 5)
    accuracy.add("cat", "dog", 1, 5)
    accuracy.add("cat", None, None, 0)  # failed: wrong, and nobody's guess
    accuracy.add("dog", "dog", 0, 5)
    accuracy.add("dog", "cow", None, 5)
    assert accuracy.top1 == Share(2, 5)
    assert accuracy.top5 == Share(3, 5)
    cat, dog = accuracy.classes()
    assert (cat.name, cat.precision, cat.recall) == ("cat", Share(1, 1), Share(1, 3))
    assert (dog.name, dog.precision, dog.recall) == ("dog", Share(1, 2), Share(1, 2))
    assert cat.f1 == pytest.approx(0.5)
    assert dog.f1 == pytest.approx(0.5)


def test_one_guess_is_no_top_5() -> None:
    accuracy = Accuracy()
    accuracy.add("cat", "dog", None, 1)
    assert accuracy.top5 is None
    accuracy.add("cat", "dog", 1, 3)
    assert accuracy.deepest == 3


def test_the_expected_calibration_error_by_hand() -> None:
    calibration = Calibration(bins=2)
    for score, right in ((0.2, True), (0.5, False), (0.9, True), (0.7, False)):
        calibration.add(score, right)
    # |0.35 - 0.5| and |0.8 - 0.5|, half of the pictures each
    assert calibration.error == pytest.approx((0.15 + 0.3) / 2)
    assert [(b.count, b.accuracy) for b in calibration.bins()] == [(2, 0.5), (2, 0.5)]
    assert Calibration().error is None


def test_scores_that_are_no_shares_have_no_calibration() -> None:
    calibration = Calibration()
    calibration.add(0.5, True)
    calibration.add(7.5, True)
    assert calibration.error is None
    assert calibration.bins() == []


@pytest.mark.parametrize("bins", [1, 3, 10, 15, 20])
def test_a_score_lies_in_its_bin(bins: int) -> None:
    for score in [0.0, 1.0, *(n / bins for n in range(1, bins)), *(n / 997 for n in range(998))]:
        at = bin_of(score, bins)
        assert 0 <= at < bins
        assert (
            at / bins < score <= (at + 1) / bins
            or (at == 0 and score == 0)
            or math.isclose(score, (at + 1) / bins)
        )


def test_the_matrix_has_the_classes_that_are_mistaken() -> None:
    confusion = Confusion()
    for truth, given, times in (("a", "a", 5), ("b", "c", 3), ("c", "b", 1), ("d", "a", 1)):
        for _ in range(times):
            confusion.add(truth, given)
    matrix = confusion.matrix(most=2)
    assert (matrix.names, matrix.counts, matrix.left_out) == (["b", "c"], [[0, 3], [1, 0]], 6)
    assert confusion.worst(2) == [("b", "c", 3), ("c", "b", 1)]


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (3, 9), (9, 3), (10, 10), (40, 22)])
def test_mcnemar_is_exact_for_small_counts(b: int, c: int) -> None:
    n = b + c

    # every split that is no likelier than this one, of two fair sides
    def chance(k: int) -> Fraction:
        return Fraction(math.comb(n, k), 2**n)

    expected = sum(chance(k) for k in range(n + 1) if chance(k) <= chance(b))
    found = mcnemar(b, c)
    assert found.exact
    assert found.p == pytest.approx(float(expected))


def test_mcnemar_of_many_is_close_to_the_exact_one() -> None:
    b, c = 560, 490
    assert b + c > EXACT
    found = mcnemar(b, c)
    exact = 2 * sum(math.comb(b + c, k) for k in range(c + 1)) / 2 ** (b + c)
    assert not found.exact
    assert found.p == pytest.approx(exact, rel=0.02)
    assert mcnemar(700, 700).p == 1.0


def test_percentiles_are_right_to_a_hundredth() -> None:
    chance = random.Random(1)
    times = [chance.lognormvariate(2, 1) for _ in range(5000)]
    latency = Latency()
    for value in times:
        latency.add(value)
    latency.add(-1.0)  # no time
    times.sort()
    assert latency.count == 5000
    for share in (0.5, 0.9, 0.99, 1.0):
        assert latency.percentile(share) == pytest.approx(times[int(share * 5000) - 1], rel=0.011)
    bars = latency.histogram(20)
    assert len(bars) <= 20
    assert sum(count for _, _, count in bars) == 5000
    assert Latency().percentile(0.5) == 0.0
    assert Latency().histogram(5) == []


def test_kinds_of_faults_are_bounded() -> None:
    faults = Faults()
    for number in range(MOST + 5):
        faults.add(f"kind-{number}", "sentence")
    assert len(faults.kinds()) == MOST + 1
    assert faults.kinds()[0].code == OTHERS
    assert faults.kinds()[0].count == 5


def test_a_summary_by_hand(tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "r.jsonl",
        answered("cat/1.jpg", ("cat", 0.9), ("dog", 0.1), total=10),
        answered("cat/2.jpg", ("dog", 0.8), ("cat", 0.2), total=20),
        answered("dog/1.jpg", ("dog", 0.4), ("cat", 0.3), total=30),
        answered("x.jpg", ("dog", 0.6)),
        failed("dog/2.jpg", "bad-image", "image dog/2.jpg is damaged"),
    )
    found = summarise(path, ByFolder())
    assert (found.rows, found.answered) == (5, 4)
    assert [(f.code, f.count, f.example) for f in found.faults.kinds()] == [
        ("bad-image", 1, "image dog/2.jpg is damaged")
    ]
    judged = found.judged
    assert judged is not None
    assert judged.without == 1
    assert judged.accuracy.top1 == Share(2, 4)
    assert judged.accuracy.top5 == Share(3, 4)
    assert [pick.row.image for pick in found.gallery.wrong] == ["cat/2.jpg"]
    assert [pick.row.image for pick in found.gallery.surest][:2] == ["cat/1.jpg", "cat/2.jpg"]
    assert found.labels == {"dog": 3, "cat": 1}
    assert sum(found.scores) == 4


def test_the_gallery_does_not_depend_on_the_order(tmp_path: Path) -> None:
    rows = [answered(f"{n}.jpg", ("a", (n % 50) / 50)) for n in range(200)]
    found = []
    for seed in (1, 2):
        random.Random(seed).shuffle(rows)
        gallery = summarise(write_rows(tmp_path / "r", *rows)).gallery
        found.append([[p.row.image for p in kind] for kind in (gallery.surest, gallery.least_sure)])
    assert found[0] == found[1]
    assert len(found[0][0]) == len(found[0][1]) == 12
    assert found[0][1][0] == "0.jpg"


def test_an_empty_result_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"^result .* is empty$"):
        summarise(write_rows(tmp_path / "r"))


def test_two_results_in_any_order(tmp_path: Path) -> None:
    first = write_rows(
        tmp_path / "1",
        answered("cat/1.jpg", ("cat", 0.9), ("dog", 0.1)),
        answered("cat/2.jpg", ("dog", 0.8), ("cat", 0.2)),
        answered("dog/1.jpg", ("dog", 0.6), ("cat", 0.4)),
        answered("dog/2.jpg", ("dog", 0.6), ("cat", 0.4)),
        answered("dog/2.jpg", ("dog", 0.6), ("cat", 0.4)),
        failed("dog/3.jpg", "bad-image", ""),
    )
    second = write_rows(
        tmp_path / "2",
        answered("dog/2.jpg", ("cow", 0.7)),
        answered("dog/1.jpg", ("dog", 0.5), ("cat", 0.5)),
        answered("cat/2.jpg", ("cat", 0.7), ("dog", 0.3)),
        answered("cat/1.jpg", ("cat", 0.9), ("dog", 0.1)),
        answered("dog/3.jpg", ("dog", 0.9)),
    )
    found = difference(first, second, ByFolder())
    assert (found.both, found.same, found.only_first, found.only_second) == (4, 2, 1, 1)
    assert found.changes == {("dog", "cat"): 1, ("dog", "cow"): 1}
    assert found.compared == 3
    assert found.mean_score == pytest.approx((0.5 + 0.1 + 0) / 3)
    assert found.most_score == pytest.approx(0.5)
    assert [change.image for change in found.examples] == ["cat/2.jpg", "dog/2.jpg"]
    assert (found.judged, found.right_first, found.right_second) == (4, 3, 3)
    assert found.test is not None
    assert (found.test.only_first, found.test.only_second, found.test.p) == (1, 1, 1.0)


def test_results_of_other_pictures_are_told(tmp_path: Path) -> None:
    first = write_rows(tmp_path / "1", answered("a.jpg", ("cat", 0.9)))
    second = write_rows(tmp_path / "2", answered("b.jpg", ("cat", 0.9)))
    with pytest.raises(BadFile, match="have no answered picture in common"):
        difference(first, second)
