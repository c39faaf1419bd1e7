"""Time to a threshold over seeds, known only to the distance between two checkpoints.

SciPy's survival functions take exact times and right-censored ones; a crossing is interval-censored, so Turnbull's
estimate is computed here.
"""

from dataclasses import dataclass

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import ArrayLike

from manyseeds.statistics.intervals import Floats, check_confidence, seeds_first

LEAST_SEEDS = 6
"""With fewer seeds no 95 % interval of a median exists: 2 (1/2)^5 is more than 5 %."""


@dataclass(frozen=True)
class Crossings:
    """Turnbull's estimate: the share of seeds that have crossed, known at the ends of intervals.

    `left` and `right` (k,): ascending intervals (left, right] without overlap, outside of which no seed crosses;
    `crossed` (k,): the share that has crossed by `right`. A seed that may never cross has no interval.
    """

    left: Floats
    right: Floats
    crossed: Floats


@dataclass(frozen=True)
class CrossingQuantile:
    """The time by which a share of the seeds has crossed: somewhere in (left, right].

    `low` and `high` are the limits of its confidence interval; infinity where too few seeds crossed, NaN where there
    are too few seeds for an interval.
    """

    left: float
    right: float
    low: float
    high: float


def time_to_threshold(times: ArrayLike, curves: ArrayLike, threshold: float) -> tuple[Floats, Floats]:
    """When each seed's curve crosses a threshold for good.

    A seed crosses between the last point below the threshold and the next one: from then on it stays at or above. A
    single lucky checkpoint is no crossing.

    Args:
        times: (points,), ascending and positive, in any unit (iterations, samples, s).
        curves: (seeds, points); NaN is a missing value and is passed over.
        threshold: reached by values at least as large.

    Returns:
        (seeds,) left and (seeds,) right end of the interval (left, right] in which it crosses. A seed that is at the
        threshold at its first value crosses in (0, first]; a seed whose last value is below it, after its last time:
        right is infinity. Both are NaN for a seed without any value.
    """
    when = np.asarray(times, np.float64)
    table = seeds_first(curves)
    if table.ndim != 2 or when.shape != table.shape[1:]:
        raise ValueError(f"curves {table.shape} must be (seeds, points) with {when.shape} times")
    left, right = np.full((2, len(table)), np.nan)
    for seed, curve in enumerate(table):
        known = np.flatnonzero(~np.isnan(curve))
        if not len(known):
            continue
        below = np.flatnonzero(curve[known] < threshold)
        after = below[-1] + 1 if len(below) else 0
        left[seed] = when[known[after - 1]] if after else 0.0
        right[seed] = when[known[after]] if after < len(known) else np.inf
    return left, right


def turnbull(left: ArrayLike, right: ArrayLike, tolerance: float = 1e-10) -> Crossings:
    """Nonparametric maximum likelihood estimate of the distribution of interval-censored times.

    B. W. Turnbull, "The empirical distribution function with arbitrarily grouped, censored and truncated data", J. R.
    Stat. Soc. B 38 (1976), by its self-consistent iteration.

    Args:
        left: (seeds,) from `time_to_threshold`; seeds with NaN are left out.
        right: (seeds,); infinity for a seed that had not crossed by `left`.
        tolerance: the iteration ends when no share changes by more.
    """
    lower, upper = _known(left, right)
    # Innermost intervals: from a left end to the next right end, with no other left end between.
    cells = sorted({(low, high) for low in lower for high in upper if low < high})
    cells = [
        (low, high)
        for low, high in cells
        if not ((lower > low) & (lower < high)).any() and not ((upper > low) & (upper < high)).any()
    ]
    if not cells:
        return Crossings(*np.empty((3, 0)))
    starts, ends = np.array(cells).T
    inside = (starts >= lower[:, None]) & (ends <= upper[:, None])
    share = np.full(len(cells), 1 / len(cells))
    for _ in range(10_000):
        weights = inside * share
        new = (weights / weights.sum(axis=1, keepdims=True)).mean(axis=0)
        change, share = np.abs(new - share).max(), new
        if change < tolerance:
            break
    finite = np.isfinite(ends)
    return Crossings(starts[finite], ends[finite], np.cumsum(share[finite]))


def crossing_quantile(
    left: ArrayLike, right: ArrayLike, share: float = 0.5, confidence: float = 0.95
) -> CrossingQuantile:
    """The time by which a share of the seeds has crossed, with its interval.

    The estimate is that of `turnbull`. The interval is that of order statistics (H. A. David and H. N. Nagaraja,
    "Order statistics", 3rd edition, section 7.1), from a seed's left end to another seed's right end, so it also
    covers where between two checkpoints a seed crosses. It covers at least with the given confidence, if seeds that
    do not cross were trained as long as the others.

    Args:
        left: (seeds,) from `time_to_threshold`; seeds with NaN are left out.
        right: (seeds,).
        share: in (0, 1); 0.5 is the median seed.
        confidence: in (0, 1).
    """
    if not 0 < share < 1:
        raise ValueError(f"share {share} must lie between 0 and 1")
    tail = (1 - check_confidence(confidence)) / 2
    lower, upper = _known(left, right)
    n = len(lower)
    if not n:
        return CrossingQuantile(np.nan, np.nan, np.nan, np.nan)
    curve = turnbull(lower, upper)
    enough = np.flatnonzero(curve.crossed >= share - 1e-6)
    ends = (curve.left[enough[0]], curve.right[enough[0]]) if len(enough) else (lower.max(), np.inf)
    # P(fewer than j of n seeds lie below the quantile) <= tail, and the same from above.
    counts = scipy.stats.binom.cdf(np.arange(n), n, share)
    first, last = int((counts <= tail).sum()) - 1, int((counts < 1 - tail).sum())
    low = high = np.nan
    if first >= 0 and last < n:
        low, high = float(np.sort(lower)[first]), float(np.sort(upper)[last])
    return CrossingQuantile(float(ends[0]), float(ends[1]), low, high)


def _known(left: ArrayLike, right: ArrayLike) -> tuple[Floats, Floats]:
    lower, upper = seeds_first(left), seeds_first(right)
    known = ~(np.isnan(lower) | np.isnan(upper))
    return lower[known], upper[known]
