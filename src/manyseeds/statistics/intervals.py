"""Intervals with a formula: Student's t over seeds, and Wilson's over the episodes of one checkpoint.

SciPy computes Wilson's. Student's is computed here: for all points of a curve at once, each with its number of seeds.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """An estimate and its confidence limits; numbers or arrays of equal shape, NaN where they do not exist."""

    estimate: Any
    low: Any
    high: Any


def t_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Mean over the first axis with Student's t interval: mean -+ t(n-1) s / sqrt(n).

    It is exact for normally distributed seeds. With 5 seeds or more it also holds for success rates not too close to
    0 or 1. With equal values the interval has zero width, which says nothing about further seeds.

    Args:
        values: (seeds, ...); NaN is a missing seed.
        confidence: in (0, 1).

    Returns:
        Arrays of shape (...). All are NaN without a seed; the limits are NaN with one seed.
    """
    mean, error, count = mean_and_error(values)
    quantile = scipy.special.stdtrit(np.maximum(count - 1, 1), 0.5 + check_confidence(confidence) / 2)
    with np.errstate(invalid="ignore"):
        return Interval(mean, mean - quantile * error, mean + quantile * error)


def wilson(successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Wilson's score interval of a proportion, for one checkpoint over all episodes that it could have met.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927). It
    says nothing about other seeds: never pass counts that are pooled over seeds.

    Args:
        successes: whole numbers, any shape.
        trials: whole numbers; broadcast against `successes`.
        confidence: in (0, 1).

    Returns:
        Lower and upper limit, NaN where there are no trials.

    Raises:
        ValueError: when successes are negative or more than the trials.
    """
    k, n = np.broadcast_arrays(np.asarray(successes, float), np.asarray(trials, float))
    if np.any((k < 0) | (k > n)):
        raise ValueError("successes must lie between 0 and the number of trials")
    limits = np.array([_wilson(*pair, check_confidence(confidence)) for pair in zip(k.flat, n.flat, strict=True)])
    low, high = limits.reshape(*k.shape, 2).transpose(-1, *range(k.ndim))
    return low, high


@lru_cache(maxsize=4096)  # many checkpoints have the same count
def _wilson(successes: float, trials: float, confidence: float) -> tuple[float, float]:
    if not trials:
        return np.nan, np.nan
    limits = scipy.stats.binomtest(int(successes), int(trials)).proportion_ci(confidence, "wilson")
    return float(limits.low), float(limits.high)


def mean_and_error(values: ArrayLike) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Mean over seeds, its standard error (NaN for n < 2), and n, each (...), of values (seeds, ...)."""
    values = seeds_first(values)
    present = ~np.isnan(values)
    count = present.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        mean = np.where(present, values, 0).sum(axis=0) / count
        squares = (np.where(present, values - mean, 0) ** 2).sum(axis=0)
        error = np.sqrt(np.where(count > 1, squares / (count - 1), np.nan) / count)
    return mean, error, count


def seeds_first(values: ArrayLike) -> Floats:
    """The values as float64, with at least one axis, that of the seeds."""
    array = np.asarray(values, np.float64)
    if array.ndim == 0:
        raise ValueError("values need an axis of seeds")
    return array


def check_confidence(confidence: float) -> float:
    """Return the confidence level, or raise ValueError if it is not in (0, 1)."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} must lie between 0 and 1")
    return confidence
