"""Time to a threshold over seeds, some of which never reach it.

SciPy computes the Kaplan-Meier curve. The interval of its quantiles is computed here, because SciPy has none.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import ArrayLike, NDArray

from manyseeds.statistics.intervals import Floats, Interval, check_confidence, seeds_first


@dataclass(frozen=True)
class Survival:
    """Share of seeds that have not yet reached the threshold, as a step function.

    `time` (k,) ascending, distinct times at which a seed reached it; `share` (k,) from that time on; `low` and
    `high` (k,) are its limits.
    """

    time: Floats
    share: Floats
    low: Floats
    high: Floats


def time_to_threshold(
    times: ArrayLike, curves: ArrayLike, threshold: float, consecutive: int = 1
) -> tuple[Floats, NDArray[np.bool_]]:
    """When each seed's curve first reaches a threshold.

    Args:
        times: (points,), ascending, in any unit (iterations, samples, s).
        curves: (seeds, points); NaN is a missing value and counts as below every threshold.
        threshold: reached by values at least as large.
        consecutive: how many points in a row must reach it; the first of them is the time.

    Returns:
        (seeds,) the time, or the time of the seed's last value if the threshold is not reached; and (seeds,) whether
        it is reached. A seed without any value has time NaN.
    """
    when = np.asarray(times, np.float64)
    table = seeds_first(curves)
    if table.ndim != 2 or when.shape != table.shape[1:]:
        raise ValueError(f"curves {table.shape} must be (seeds, points) with {when.shape} times")
    if consecutive < 1:
        raise ValueError(f"consecutive {consecutive} must be at least 1")
    above = table >= threshold
    width = len(when) - consecutive + 1
    start = np.ones((len(table), max(width, 0)), bool)
    for shift in range(consecutive if width > 0 else 0):
        start &= above[:, shift : shift + width]
    reached = np.asarray(start.any(axis=1))
    present = ~np.isnan(table)
    last = table.shape[1] - 1 - np.argmax(present[:, ::-1], axis=1)
    censored = np.where(present.any(axis=1), when[last], np.nan)
    first = when[np.argmax(start, axis=1)] if width > 0 else censored
    return np.where(reached, first, censored), reached


def survival_curve(time: ArrayLike, reached: ArrayLike, confidence: float = 0.95) -> Survival:
    """Kaplan-Meier estimate of the share of seeds that have not yet reached the threshold, at each time.

    Seeds that did not reach it count as not having reached it until their last time (right-censored). Limits
    by Greenwood's variance on the log(-log) scale (Kalbfleisch and Prentice, "The statistical analysis of
    failure time data", section 1.4), as `scipy.stats.ecdf(...).sf.confidence_interval(method="log-log")`.

    Args:
        time: (seeds,) from `time_to_threshold`; seeds with NaN are left out.
        reached: (seeds,) whether the threshold was reached at that time.
        confidence: in (0, 1).
    """
    when = seeds_first(time)
    known = ~np.isnan(when)
    when, event = when[known], np.asarray(reached, bool)[known]
    steps = np.unique(when[event])
    if not len(steps):
        return Survival(steps, steps, steps, steps)
    curve = scipy.stats.ecdf(scipy.stats.CensoredData(when[event], right=when[~event])).sf
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # there is no interval where no seed remains
        limits = curve.confidence_interval(check_confidence(confidence), method="log-log")
    share, low, high = (function.evaluate(steps) for function in (curve, limits.low, limits.high))
    return Survival(steps, share, low, high)


def censored_quantile(time: ArrayLike, reached: ArrayLike, share: float = 0.5, confidence: float = 0.95) -> Interval:
    """The time by which a share of the seeds has reached the threshold, with its interval.

    The interval contains the times at which the survival curve's interval contains `1 - share` (R. Brookmeyer and J.
    Crowley, "A confidence interval for the median survival time", Biometrics 38, 1982). Its upper limit is infinity if
    too few seeds reached the threshold; the estimate is infinity if less than the share did.

    Args:
        time: (seeds,) from `time_to_threshold`.
        reached: (seeds,) whether the threshold was reached at that time.
        share: in (0, 1); 0.5 is the median seed.
        confidence: in (0, 1).

    Returns:
        Numbers in the unit of `time`; limits are NaN with fewer than two seeds.
    """
    if not 0 < share < 1:
        raise ValueError(f"share {share} must lie between 0 and 1")
    curve = survival_curve(time, reached, confidence)
    remaining = 1 - share
    seeds = int((~np.isnan(seeds_first(time))).sum())

    def first(below: NDArray[np.bool_]) -> float:
        return float(curve.time[np.argmax(below)]) if below.any() else np.inf

    estimate = first(curve.share <= remaining + 1e-12) if seeds else np.nan
    if seeds < 2:
        return Interval(estimate, np.nan, np.nan)
    # Once every seed has reached it, the share is 0 and the limits are NaN.
    low, high = (np.where(curve.share == 0, 0.0, limit) for limit in (curve.low, curve.high))
    return Interval(estimate, first(low <= remaining), first(high < remaining))
