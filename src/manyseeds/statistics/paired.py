"""The same seeds under two conditions: by how much their mean rate differs.

SciPy has Student's t of paired values, which is too narrow where rates are near 0 or 1, and no interval of the
difference of two correlated rates over seeds.
"""

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import ArrayLike

from manyseeds.statistics.intervals import (
    Floats,
    Interval,
    check_confidence,
    logit_limits,
    rate_moments,
    seeds_first,
    t_interval,
)

LEAST_PAIRED = 3
"""With two seeds, their rates are always fully correlated, which says nothing."""


def paired_rate_difference(
    a: ArrayLike, b: ArrayLike, episodes: ArrayLike | None = None, confidence: float = 0.95
) -> Interval:
    """Mean difference a - b of the same seeds' rates, with the farther limit, on each side, of two intervals.

    The first is Student's t of the differences. The second is MOVER for correlated estimates (G. Y. Zou and A. Donner,
    Stat. Med. 27, 2008): d - sqrt(x^2 + y^2 - 2 r x y) with x = a - l_a and y = u_b - b, and likewise above, from the
    limits of each rate (`manyseeds.statistics.rate_interval`). r is the correlation of the seeds' rates, for the part
    of each standard error that the spread of the seeds explains. Where limits are symmetric, both are the same.
    Student's t alone covers less than 93 % where one of the rates is near 0 or 1; MOVER alone, with three seeds.

    Args:
        a: (seeds, ...), from 0 to 1, without NaN.
        b: the same seeds in the same order.
        episodes: how many each rate is of; None: not known.
        confidence: in (0, 1).

    Returns:
        Arrays of shape (...). The limits are NaN with fewer than `LEAST_PAIRED` seeds, and where no seed differs from
        another and `episodes` is None.

    Raises:
        ValueError: when a rate is outside of 0 to 1 or NaN, or the shapes differ.
    """
    first, second = seeds_first(a), seeds_first(b)
    if first.shape != second.shape or np.isnan(first).any() or np.isnan(second).any():
        raise ValueError("a and b must be of the same seeds, without NaN")
    moments = rate_moments(first, episodes), rate_moments(second, episodes)
    difference = moments[0].mean - moments[1].mean
    if len(first) < LEAST_PAIRED:
        return Interval(difference, *np.full((2, *difference.shape), np.nan))
    freedom = len(first) - 1
    critical = scipy.special.stdtrit(freedom, 0.5 + check_confidence(confidence) / 2)
    (low_a, high_a), (low_b, high_b) = (logit_limits(own, critical, freedom) for own in moments)
    with np.errstate(invalid="ignore", divide="ignore"):
        explained = np.nan_to_num(moments[0].spread / moments[0].error * moments[1].spread / moments[1].error)
    shared = _correlation(first, second) * explained
    down = _joined(moments[0].mean - low_a, high_b - moments[1].mean, shared)
    up = _joined(high_a - moments[0].mean, moments[1].mean - low_b, shared)
    student = t_interval(first - second, confidence)
    low, high = np.minimum(student.low, difference - down), np.maximum(student.high, difference + up)
    none = (moments[0].error == 0) & (moments[1].error == 0)
    # No two rates differ by more than 1.
    return Interval(
        difference, np.where(none, np.nan, np.maximum(low, -1)), np.where(none, np.nan, np.minimum(high, 1))
    )


def _correlation(a: Floats, b: Floats) -> Floats:
    """Pearson's correlation over the seeds, (...); 0 where one of the two does not vary."""
    apart_a, apart_b = a - a.mean(axis=0), b - b.mean(axis=0)
    size = np.sqrt((apart_a**2).sum(axis=0) * (apart_b**2).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(size > 0, (apart_a * apart_b).sum(axis=0) / size, 0.0)


def _joined(x: Floats, y: Floats, shared: Floats) -> Floats:
    x, y = np.nan_to_num(x), np.nan_to_num(y)  # a rate without any spread adds nothing
    return np.sqrt(np.maximum(x**2 + y**2 - 2 * shared * x * y, 0.0))
