"""McNemar's test: whether two models that saw the same pictures differ by more than chance."""

from __future__ import annotations

import math
from dataclasses import dataclass

EXACT = 1000
"""Up to so many pictures that only one is right at, the binomial distribution is summed."""


@dataclass(frozen=True, slots=True)
class McNemar:
    """How likely so uneven a split is between models that are equally good."""

    only_first: int
    """Pictures that only the first model is right at."""
    only_second: int
    p: float
    """From 0 to 1, for both sides."""
    exact: bool
    """Whether it is the binomial's; else of chi-squared with one degree and Edwards' correction."""


def mcnemar(only_first: int, only_second: int) -> McNemar:
    """The test of two counts."""
    both, less = only_first + only_second, min(only_first, only_second)
    if both <= EXACT:
        tail = sum(math.comb(both, k) for k in range(less + 1))
        return McNemar(only_first, only_second, min(1.0, 2 * tail / 2**both), True)
    distance = max(0, abs(only_first - only_second) - 1)
    # with one degree, chi-squared's upper tail is the normal distribution's, twice
    p = math.erfc(math.sqrt(distance * distance / both / 2))
    return McNemar(only_first, only_second, p, False)
