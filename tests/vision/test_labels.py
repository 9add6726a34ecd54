"""Label files, and scores that become ranked predictions."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.core_guests import f32s

from wasmlrun.support.errors import BadLabels, BadModel
from wasmlrun.support.tensor import DType, Tensor
from wasmlrun.vision import labels as labels_module
from wasmlrun.vision.labels import (
    Prediction,
    label_offset,
    probabilities,
    rank,
    read_labels,
    softmax,
)


def f32(*values: float) -> Tensor:
    return Tensor((1, len(values)), DType.F32, f32s(*values))


# --- label files ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        ("tench\ngoldfish\n", ["tench", "goldfish"]),
        ("tench\r\ngoldfish", ["tench", "goldfish"]),
        ("\ufefftench\ngoldfish\n\n\n", ["tench", "goldfish"]),
        ("0 tench\n1 goldfish\n", ["tench", "goldfish"]),
        ("0: tench, Tinca tinca\n1: goldfish\n", ["tench, Tinca tinca", "goldfish"]),
        ("0,tench\n1,goldfish\n", ["tench", "goldfish"]),
        # not numbered in order: the numbers belong to the names
        ("1 tench\n2 goldfish\n", ["1 tench", "2 goldfish"]),
        ("7 up\ncola\n", ["7 up", "cola"]),
        ("tench\n\ngoldfish\n", ["tench", "", "goldfish"]),
        ("Bär\nчайка\n", ["Bär", "чайка"]),
    ],
)
def test_one_label_a_line(tmp_path: Path, content: str, labels: list[str]) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(content.encode())
    assert read_labels(path) == labels


def test_bad_label_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusal(path: Path) -> tuple[str, str | None]:
        with pytest.raises(BadLabels) as caught:
            read_labels(path)
        return caught.value.message, caught.value.hint

    path = tmp_path / "labels.txt"
    assert refusal(path) == (f"labels {path} does not exist", None)
    assert refusal(tmp_path) == (f"labels {tmp_path} cannot be read: Is a directory", None)
    for empty in (b"", b"\n \n"):
        path.write_bytes(empty)
        assert refusal(path) == (f"labels {path} is empty", "one label a line is expected")
    path.write_bytes(b"cat\nb\xe4r\n")
    assert refusal(path) == (f"labels {path} is not UTF-8 (byte 5)", "convert it: iconv -t utf-8")
    monkeypatch.setattr(labels_module, "MAX_LABEL_BYTES", 4)
    assert refusal(path)[0] == f"labels {path} has more bytes than the 4 that a label file may have"


# --- how many scores for how many labels --------------------------------------------------------


def test_as_many_labels_as_scores_need_no_offset() -> None:
    assert label_offset(3, ["a", "b", "c"], None) == 0


def test_1001_scores_with_1000_labels_mean_a_background_class_in_front() -> None:
    labels = [f"label {n}" for n in range(1000)]
    scores = [0.0] * 1001
    scores[0], scores[1], scores[1000] = 0.5, 0.3, 0.2
    assert rank(scores, labels, None, 3) == [
        Prediction(0, "background", 0.5),
        Prediction(1, "label 0", 0.3),
        Prediction(1000, "label 999", 0.2),
    ]


@pytest.mark.parametrize(
    ("scores", "labels", "offset", "message", "hint"),
    [
        (
            5,
            4,
            None,
            "the model gives 5 scores and there are 4 labels",
            "if the labels are right, say label_offset = -1 under [classify] in a manifest",
        ),
        (
            1000,
            1001,
            None,
            "the model gives 1000 scores and there are 1001 labels",
            "if the labels are right, say label_offset = 1 under [classify] in a manifest",
        ),
        (
            10,
            1000,
            None,
            "the model gives 10 scores and there are 1000 labels",
            "use the label file of this model",
        ),
        (
            5,
            5,
            1,
            "5 scores and 5 labels do not fit with label_offset 1",
            "label_offset = 0 would make the counts agree",
        ),
    ],
)
def test_any_other_mismatch_names_both_counts(
    scores: int, labels: int, offset: int | None, message: str, hint: str
) -> None:
    with pytest.raises(BadLabels) as caught:
        rank([0.0] * scores, ["x"] * labels, offset, 5)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_an_offset_that_fits_the_counts_is_used() -> None:
    assert rank([0.1, 0.9], ["background", "cat", "dog"], 1, 1) == [Prediction(1, "dog", 0.9)]


def test_without_labels_classes_are_numbered() -> None:
    assert rank([0.1, 0.9], None, None, 1) == [Prediction(1, "class 1", 0.9)]


def test_equal_scores_stand_in_the_order_of_their_classes() -> None:
    assert [p.index for p in rank([0.2, 0.4, 0.4, 0.0], None, None, 9)] == [1, 2, 0, 3]


# --- scores become probabilities ----------------------------------------------------------------


def test_quantised_scores_are_256ths() -> None:
    assert probabilities(Tensor((1, 3), DType.U8, bytes([195, 61, 0]))) == [
        195 / 256,
        61 / 256,
        0.0,
    ]
    # signed scores count from -128
    assert probabilities(Tensor((1, 2), DType.I8, struct.pack("2b", -128, 127))) == [0, 255 / 256]


def test_a_softmax_output_stays_as_it_is() -> None:
    assert probabilities(f32(0.25, 0.75)) == [0.25, 0.75]


def test_logits_go_through_softmax() -> None:
    result = probabilities(f32(1.0, 3.0))
    assert result == pytest.approx([1 / (1 + math.e**2), math.e**2 / (1 + math.e**2)])
    # a sum of one is no distribution when a score is negative
    assert probabilities(f32(-1.0, 2.0)) == pytest.approx([1 / (1 + math.e**3), 0.9525741])


def test_what_the_manifest_says_of_scores_stands_above_what_they_look_like() -> None:
    assert probabilities(f32(0.25, 0.75), "logits") == pytest.approx(softmax([0.25, 0.75]))
    assert probabilities(f32(2.0, 3.0), "probabilities") == [2.0, 3.0]
    quantised = Tensor((1, 2), DType.U8, bytes([1, 2]))
    assert probabilities(quantised, "logits") == pytest.approx(softmax([1, 2]))


@pytest.mark.parametrize(
    ("dtype", "data"),
    [
        (DType.F16, struct.pack("<2e", 0.25, 0.75)),
        (DType.F64, struct.pack("<2d", 0.25, 0.75)),
        (DType.BF16, b"\x80\x3e\x40\x3f"),
    ],
)
def test_scores_of_every_float_type_are_read(dtype: DType, data: bytes) -> None:
    assert probabilities(Tensor((2,), dtype, data)) == [0.25, 0.75]


@pytest.mark.parametrize(("dtype", "code"), [(DType.I32, "i"), (DType.I64, "q")])
def test_whole_numbers_are_logits(dtype: DType, code: str) -> None:
    tensor = Tensor((2,), dtype, struct.pack(f"<2{code}", -1, 1))
    assert probabilities(tensor) == pytest.approx(softmax([-1, 1]))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_no_numbers_are_refused(bad: float) -> None:
    with pytest.raises(BadModel) as caught:
        probabilities(f32(0.5, bad))
    assert caught.value.message == "the model's scores are not all finite numbers"


@pytest.mark.parametrize("shape", [(1, 7, 7, 2), (2, 3)])
def test_an_output_that_is_no_list_of_scores_is_refused(shape: tuple[int, ...]) -> None:
    tensor = Tensor(shape, DType.F32, bytes(4 * math.prod(shape)))
    with pytest.raises(BadModel, match=r"^the output \[.*\] f32 is not a list of scores$"):
        probabilities(tensor)


def test_an_output_of_nothing_is_refused() -> None:
    with pytest.raises(BadModel, match=r"^the output \[1, 0\] f32 is not a list of scores$"):
        probabilities(Tensor((1, 0), DType.F32, b""))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_softmax_is_a_distribution_in_the_order_of_its_input(values: list[float]) -> None:
    result = softmax(values)
    assert math.fsum(result) == pytest.approx(1)
    assert all(0 <= p <= 1 for p in result)
    assert result[values.index(max(values))] == max(result)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(min_value=1, max_value=40))
def test_ranks_are_the_highest_scores_highest_first(scores: list[float], top: int) -> None:
    found = rank(scores, None, None, top)
    assert [p.score for p in found] == sorted(scores, reverse=True)[:top]
    assert all(scores[p.index] == p.score for p in found if p.index is not None)
