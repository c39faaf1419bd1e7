"""Intervals with a formula: of means over seeds, of rates near 0 and 1, and of counts.

SciPy computes Wilson's interval and the quantiles. The others are computed here, for all points of a curve at once.
docs/coverage.md has the measured coverage of each.
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

    It is exact for normally distributed seeds. For rates use `rate_interval`. With equal values the interval has zero
    width, which says nothing about further seeds.

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


def satterthwaite(variances: Floats, seeds: NDArray[np.int64] | Floats) -> float:
    """Degrees of freedom of a sum of independent estimates (F. E. Satterthwaite, Biometrics Bulletin 2, 1946).

    Args:
        variances: (parts,) squared standard error of each part.
        seeds: (parts,) how many seeds each is of.
    """
    return float(1 / ((variances / variances.sum()) ** 2 / (seeds - 1)).sum())


def rate_interval(
    rates: ArrayLike,
    episodes: ArrayLike | None = None,
    confidence: float = 0.95,
    *,
    extra_variance: Floats | float = 0.0,
) -> Interval:
    """Mean of the seeds' rates with Student's t interval on the scale of its logit.

    The limits are expit(logit(m) -+ t(n-1) se / (m (1 - m))): the delta method (A. Agresti, "Categorical data
    analysis", 3rd edition, section 16.1) applied to the mean, so the interval is about the mean, and lies within 0
    and 1. Where the number of episodes is known, two things keep it honest where seeds agree, above all at 0 and 1:
    half an episode is added to successes and to failures on the logit scale (J. B. S. Haldane, Ann. Hum. Genet. 20,
    1956; F. J. Anscombe, Biometrika 43, 1956), and the variance of the mean is at least that of as many independent
    episodes.

    It holds where seeds spread no more than `spread_limit`. It knows only failures that it has seen: if one seed in
    twenty fails altogether, ten seeds often show none. `share_below` bounds that share.

    Args:
        rates: (seeds, ...), from 0 to 1; NaN is a missing seed.
        episodes: how many each rate is of; broadcast against `rates`. None: not known.
        confidence: in (0, 1).
        extra_variance: (...), added to the squared standard error; see `manyseeds.statistics.crossed`.

    Returns:
        Arrays of shape (...). The limits are NaN with one seed, and where all seeds are equal and `episodes` is None.

    Raises:
        ValueError: when a rate is outside of 0 to 1.
    """
    moments = rate_moments(rates, episodes, extra_variance)
    freedom = np.maximum(moments.seeds - 1, 1)
    critical = scipy.special.stdtrit(freedom, 0.5 + check_confidence(confidence) / 2)
    return Interval(moments.mean, *logit_limits(moments, critical, freedom))


def spread_limit(mean: float) -> float:
    """The standard deviation of seeds' rates up to which `rate_interval` covers as stated, by docs/coverage.md.

    It is that of a beta distribution which just does not pile up at 0 or 1: with a mean failure rate f it is
    f sqrt((1 - f) / (1 + f)), a little less than f. Beyond it the mean hangs on rare bad seeds.
    """
    near = min(mean, 1 - mean)
    return float(near * np.sqrt((1 - near) / (1 + near)))


class RateMoments(NamedTuple):
    """Of seeds' rates, all (...).

    Attributes:
        mean: over seeds.
        inner: the mean with half an episode added to successes and to failures.
        spread: standard error of the mean from the spread of the seeds.
        floor: standard error of the mean of as many independent episodes; 0 where their number is not known.
        seeds: how many.
    """

    mean: Floats
    inner: Floats
    spread: Floats
    floor: Floats
    seeds: NDArray[np.int64]

    @property
    def error(self) -> Floats:
        """Standard error of the mean: the larger of both."""
        return np.maximum(self.spread, self.floor)


def rate_moments(
    rates: ArrayLike, episodes: ArrayLike | None = None, extra_variance: Floats | float = 0.0
) -> RateMoments:
    """What `rate_interval` computes its limits from.

    Args:
        rates: (seeds, ...), from 0 to 1; NaN is a missing seed.
        episodes: how many each rate is of; None: not known.
        extra_variance: (...), added to the squared standard errors.

    Raises:
        ValueError: when a rate is outside of 0 to 1.
    """
    values = seeds_first(rates)
    if np.any((values < 0) | (values > 1)):
        raise ValueError("rates must lie between 0 and 1")
    mean, error, count = mean_and_error(values)
    inner, floor = mean, np.zeros_like(mean)
    with np.errstate(invalid="ignore", divide="ignore"):
        if episodes is not None:
            known = np.broadcast_to(np.asarray(episodes, float), values.shape)
            total = np.where(np.isnan(values), 0, known).sum(axis=0)
            inner = (mean * total + 0.5) / (total + 1)
            floor = np.where(np.isnan(error), np.nan, np.sqrt(inner * (1 - inner) / total + extra_variance))
        return RateMoments(mean, inner, np.sqrt(error**2 + extra_variance), floor, count)


def logit_limits(moments: RateMoments, critical: Floats | float, freedom: Floats | float) -> tuple[Floats, Floats]:
    """The limits that lie `critical` standard errors from a mean of rates on the logit scale.

    Args:
        moments: of the seeds.
        critical: a quantile of Student's t; the floor takes the normal quantile of the same probability.
        freedom: degrees of freedom of `critical`.
    """
    mean, inner, spread, floor, _ = moments
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        normal = -scipy.special.ndtri(scipy.special.stdtr(freedom, -np.asarray(critical)))
        # Far in the tail the normal quantile is infinite.
        half = np.maximum(critical * spread, np.where(floor == 0, 0, normal * floor)) / (inner * (1 - inner))
        half = np.where(moments.error > 0, half, np.nan)
        center = scipy.special.logit(inner)
        low, high = scipy.special.expit(center - half), scipy.special.expit(center + half)
        return np.minimum(low, mean), np.maximum(high, mean)


def clopper_pearson(successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Exact interval of a proportion; it covers at least with the given confidence, whatever the proportion.

    C. J. Clopper and E. S. Pearson, Biometrika 26 (1934).

    Args:
        successes: whole numbers, any shape.
        trials: whole numbers; broadcast against `successes`.
        confidence: in (0, 1), of the two-sided interval.

    Returns:
        Lower and upper limit, NaN where there are no trials.
    """
    k, n = np.broadcast_arrays(np.asarray(successes, float), np.asarray(trials, float))
    tail = (1 - check_confidence(confidence)) / 2
    with np.errstate(invalid="ignore"):
        low = np.where(k > 0, scipy.special.betaincinv(np.maximum(k, 0.5), n - k + 1, tail), 0.0)
        high = np.where(k < n, scipy.special.betaincinv(k + 1, np.maximum(n - k, 0.5), 1 - tail), 1.0)
    none = n == 0
    return np.where(none, np.nan, low)[()], np.where(none, np.nan, high)[()]


class Below(NamedTuple):
    """How many of the seeds are below a requirement, and the upper limit of the share of all seeds that are."""

    below: int
    seeds: int
    high: float


def share_below(scores: ArrayLike, requirement: float, confidence: float = 0.95) -> Below:
    """How many seeds miss a requirement, with the exact one-sided upper limit of the share that would.

    Clopper and Pearson's limit: with 0 of 10 seeds below, up to 26 % of all seeds may be.

    Args:
        scores: (seeds,), larger is better; NaN is left out.
        requirement: a seed below it misses it.
        confidence: of the one-sided limit, in (0, 1).
    """
    known = seeds_first(scores)
    known = known[~np.isnan(known)]
    count, seeds = int((known < requirement).sum()), len(known)
    _, high = clopper_pearson(count, seeds, 2 * check_confidence(confidence) - 1)
    return Below(count, seeds, float(high))


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
