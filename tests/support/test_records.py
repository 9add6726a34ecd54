"""Frozen records, as `dataclasses` has them."""

from __future__ import annotations

from functools import cached_property

import pytest

from wasmlrun.support.records import Record, defaults, replace


class Point(Record):
    x: int
    y: int = 0
    name: str = ""

    @cached_property
    def total(self) -> int:
        return self.x + self.y


class Deep(Point):
    z: int = 5


def test_fields_are_given_by_place_or_by_name() -> None:
    point = Point(1, name="a")
    assert (point.x, point.y, point.name) == (1, 0, "a")
    assert Deep(1, 2, "b", 3).z == 3
    assert repr(point) == "Point(x=1, y=0, name='a')"


def test_equal_when_kind_and_fields_are() -> None:
    assert Point(1) == Point(1, 0)
    assert hash(Point(1)) == hash(Point(1, 0))
    assert Point(1) != Point(2)
    assert Point(1, name="") != Deep(1)


def test_a_record_cannot_be_changed() -> None:
    point = Point(1)
    with pytest.raises(AttributeError, match=r"Point\.x cannot be changed"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError, match=r"Point\.x cannot be deleted"):
        del point.x
    assert point == Point(1)


@pytest.mark.parametrize(
    ("positional", "named", "message"),
    [
        ((), {}, "Point needs x"),
        ((1, 2, "a", 4), {}, "Point takes once each: x, y, name"),
        ((1,), {"x": 2}, "Point takes once each"),
        ((1,), {"w": 2}, "Point takes once each"),
    ],
)
def test_what_does_not_fit_is_refused(
    positional: tuple[object, ...], named: dict[str, object], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        Point(*positional, **named)  # type: ignore[arg-type]


def test_replace_leaves_the_original_and_forgets_what_was_computed() -> None:
    point = Point(1, 2)
    assert point.total == 3
    other = replace(point, x=5)
    assert (point.x, other.x, other.y, other.total) == (1, 5, 2, 7)
    with pytest.raises(TypeError, match="takes once each"):
        replace(point, w=1)


def test_defaults_of_a_kind() -> None:
    assert defaults(Point) == {"y": 0, "name": ""}
    assert list(defaults(Deep)) == ["y", "name", "z"]
