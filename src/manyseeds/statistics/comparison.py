"""Comparing variants over their seeds.

SciPy has the quantiles. The intervals are computed here: neither SciPy nor statsmodels has the limits of a difference
of two asymmetric intervals (MOVER), or Newcombe's interval of the probability of improvement.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import ArrayLike

from manyseeds.statistics.crossed import crossed
from manyseeds.statistics.intervals import (
    Floats,
    Interval,
    RateMoments,
    check_confidence,
    logit_limits,
    mean_and_error,
    rate_moments,
    seeds_first,
)


@dataclass(frozen=True)
class Comparison:
    """How much better variant `a` is than `b`; what cannot be computed is NaN.

    The interval, `p_corrected` and `detectable` are corrected for the number of comparisons made together, so that an
    interval excludes 0 where `p_corrected` is below 1 - confidence, and nowhere else.

    Attributes:
        difference: mean over seeds of `a` minus the mean over seeds of `b`.
        low: lower limit of the difference; all limits of a table hold together.
        high: upper limit.
        p: two-sided p value for no difference, of this comparison alone.
        p_corrected: `p` times the number of comparisons (Bonferroni), at most 1.
        improvement: probability that a seed of `a` beats a seed of `b`.
        improvement_low: lower limit of the probability, of this comparison alone.
        improvement_high: upper limit of the probability.
        detectable: the smallest true difference that these numbers of seeds would show with a power of 80 %.
        exact_p: the smallest p, not corrected, that a permutation test can give with these numbers of seeds; a smaller
            `p` rests on how the seeds are distributed.
        episode_error: standard error of the difference due to the choice of evaluation episodes; NaN if only scores
            were given.
        widening: standard error for new seeds and episodes over that for new seeds only; NaN if only scores were given.
        seeds_a: number of seeds.
        seeds_b: number of seeds.
    """

    a: str
    b: str
    difference: float
    low: float
    high: float
    p: float
    p_corrected: float
    improvement: float
    improvement_low: float
    improvement_high: float
    detectable: float
    exact_p: float
    episode_error: float
    widening: float
    seeds_a: int
    seeds_b: int


def compare(
    a: ArrayLike,
    b: ArrayLike,
    *,
    names: tuple[str, str] = ("a", "b"),
    confidence: float = 0.95,
    rates: bool = True,
    episodes: int | None = None,
    comparisons: int = 1,
) -> Comparison:
    """Compare two variants; the seeds are the sample, each is one number.

    The interval of a difference of rates is built by MOVER (see `rate_difference`), that of other numbers is Welch's
    (B. L. Welch, Biometrika 34, 1947); both use Satterthwaite's degrees of freedom. p is one minus the confidence at
    which the interval ends at 0. Given outcomes of episodes, interval and p are for new seeds and new episodes: the
    variance that the shared episodes add to the difference is added to its square. Given scores, they are for the
    episodes that were played.

    Args:
        a: (seeds,) scores or (seeds, episodes) outcomes, without NaN.
        b: the same of the other variant; the same episodes in the same order.
        names: names of the variants.
        confidence: in (0, 1).
        rates: whether the scores are from 0 to 1, and intervals end there.
        episodes: how many each rate is of, for scores; outcomes tell it themselves. None: not known.
        comparisons: how many comparisons are made together.

    Raises:
        ValueError: if a value is NaN, a rate is not from 0 to 1, or the numbers of episodes differ.
    """
    first, second = seeds_first(a), seeds_first(b)
    if np.isnan(first).any() or np.isnan(second).any() or not len(first) or not len(second):
        raise ValueError(f"{names[0]} and {names[1]} must have at least one seed each, and no NaN")
    if first.shape[1:] != second.shape[1:]:
        raise ValueError(
            f"{names[0]} and {names[1]} were not evaluated on the same episodes: "
            f"{first.shape[1:]} and {second.shape[1:]}"
        )
    episodes = first.shape[1] if first.ndim > 1 else episodes
    score_a, score_b = (values.reshape(len(values), -1).mean(axis=1) for values in (first, second))
    alpha = (1 - check_confidence(confidence)) / comparisons
    if rates:
        moments = rate_moments(score_a, episodes), rate_moments(score_b, episodes)
    else:
        moments = _moments(score_a), _moments(score_b)
    episode_error = _episode_error(first, second)
    extra = 0.0 if np.isnan(episode_error) else episode_error**2
    interval, freedom, error = _difference(*moments, 1 - alpha, rates, extra)
    p = _p(*moments, freedom, rates, extra)
    improvement = improvement_interval(score_a, score_b, confidence)
    widening = float(np.sqrt(1 + extra / error**2)) if error > 0 and not np.isnan(episode_error) else np.nan
    return Comparison(
        a=names[0],
        b=names[1],
        difference=float(interval.estimate),
        low=float(interval.low),
        high=float(interval.high),
        p=p,
        p_corrected=float(np.minimum(1.0, comparisons * p)),
        improvement=float(improvement.estimate),
        improvement_low=float(improvement.low),
        improvement_high=float(improvement.high),
        detectable=_detectable(float(np.sqrt(error**2 + extra)), float(freedom), alpha),
        exact_p=smallest_exact_p(len(first), len(second)),
        episode_error=episode_error,
        widening=widening,
        seeds_a=len(first),
        seeds_b=len(second),
    )


def pairs_of(variants: Iterable[str], baseline: str | None = None) -> list[tuple[str, str]]:
    """Return the pairs that are compared: every two, or each variant and the baseline as the second of the pair."""
    names = list(variants)
    if baseline is None:
        return list(combinations(names, 2))
    return [(variant, baseline) for variant in names if variant != baseline]


def rate_difference(
    a: ArrayLike,
    b: ArrayLike,
    episodes: int | None = None,
    confidence: float = 0.95,
    comparisons: int = 1,
) -> Interval:
    """Difference of two mean rates with the interval that MOVER makes of their two intervals.

    G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures: a general approach", Stat. Med.
    27 (2008): the limits of a - b are d - sqrt((a - l_a)^2 + (u_b - b)^2) and d + sqrt((u_a - a)^2 + (b - l_b)^2).
    The limits of each rate are those of `manyseeds.statistics.rate_interval`, with the degrees of freedom of the
    difference (F. E. Satterthwaite, Biometrics Bulletin 2, 1946), so that far from 0 and 1 the interval is Welch's. The
    degrees of freedom are at most those of two variants with the smaller number of seeds: with 3 against 10 seeds
    Welch's cover 90 to 93 % for nominal 95 %.

    Args:
        a: (seeds, ...), from 0 to 1, without NaN.
        b: (seeds, ...), the same shape behind the seeds.
        episodes: how many each rate is of; None: not known.
        confidence: of all comparisons together, in (0, 1).
        comparisons: how many comparisons are made together.

    Returns:
        Arrays of shape (...); limits are NaN where one variant has one seed, or without any spread.
    """
    alpha = (1 - check_confidence(confidence)) / comparisons
    return _difference(rate_moments(a, episodes), rate_moments(b, episodes), 1 - alpha, True)[0]


def probability_of_improvement(a: ArrayLike, b: ArrayLike) -> float:
    """Share of the pairs of seeds in which `a` scores higher than `b`; ties count half.

    This is Mann-Whitney's U divided by the number of pairs.

    Args:
        a: (seeds,) scores.
        b: (seeds,) scores.
    """
    first, second = seeds_first(a)[:, None], seeds_first(b)[None, :]
    return float(np.mean((first > second) + 0.5 * (first == second)))


def improvement_interval(a: ArrayLike, b: ArrayLike, confidence: float = 0.95) -> Interval:
    """Probability of improvement with Newcombe's interval.

    R. G. Newcombe, "Confidence intervals for an effect size measure based on the Mann-Whitney statistic. Part 2:
    asymptotic methods and evaluation", Stat. Med. 25 (2006), method 5: all probabilities P whose distance from the
    observed one is at most z sqrt(V(P)), with Hanley and McNeil's variance, in which (n_a + n_b) / 2 replaces both
    numbers of seeds. It has a width even where every seed of one variant beats every seed of the other. Three seeds
    against three have none: it would cover 90 % for nominal 95 %.

    Args:
        a: (seeds,) scores.
        b: (seeds,) scores.
        confidence: in (0, 1).

    Returns:
        Numbers; limits are NaN if a variant has fewer than three seeds, or both have three.
    """
    estimate = probability_of_improvement(a, b)
    n, m = len(seeds_first(a)), len(seeds_first(b))
    check_confidence(confidence)
    if min(n, m) < 3 or max(n, m) < 4:
        return Interval(estimate, np.nan, np.nan)
    return Interval(estimate, *(float(limit) for limit in newcombe_5(estimate, n, m, confidence)))


def newcombe_5(improvement: ArrayLike, n: int, m: int, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Newcombe's limits for observed probabilities of improvement, any shape, of n and m seeds."""
    observed = np.asarray(improvement, np.float64)
    z2 = float(scipy.special.ndtri(0.5 + confidence / 2)) ** 2
    more = (n + m) / 2 - 1

    def upper(share: Floats) -> Floats:
        inside, outside = share, np.ones_like(share)  # bisection: the limit lies between them
        for _ in range(60):
            p = (inside + outside) / 2
            variance = p * (1 - p) * (1 + more * ((1 - p) / (2 - p) + p / (1 + p))) / (n * m)
            covered = (p - share) ** 2 <= z2 * variance
            inside, outside = np.where(covered, p, inside), np.where(covered, outside, p)
        return (inside + outside) / 2

    return np.where(observed == 0, 0.0, 1 - upper(1 - observed)), np.where(observed == 1, 1.0, upper(observed))


def smallest_exact_p(seeds_a: int, seeds_b: int) -> float:
    """The smallest two-sided p of a permutation test: each way to divide the seeds is as likely as any other."""
    return min(1.0, 2 / math.comb(seeds_a + seeds_b, seeds_a))


def seeds_for_difference(
    a: ArrayLike,
    b: ArrayLike,
    difference: float,
    *,
    power: float = 0.8,
    confidence: float = 0.95,
    comparisons: int = 1,
    limit: int = 1000,
) -> int | None:
    """How many seeds of each variant would show a difference that was chosen beforehand.

    Args:
        a: (seeds,) scores, at least two.
        b: (seeds,) scores, at least two.
        difference: the smallest difference that matters, greater than 0; never the one that was seen.
        power: probability of finding it, in (0, 1).
        confidence: in (0, 1).
        comparisons: how many comparisons are made together.
        limit: return None for more than this.

    Raises:
        ValueError: if a variant has fewer than two seeds, or the difference is not greater than 0.
    """
    first, second = seeds_first(a), seeds_first(b)
    if min(len(first), len(second)) < 2:
        raise ValueError("each variant needs at least two seeds, to estimate how much seeds differ")
    if not difference > 0:
        raise ValueError(f"difference {difference} must be greater than 0")
    spread = np.sqrt((first.var(ddof=1) + second.var(ddof=1)) / 2)
    alpha = (1 - check_confidence(confidence)) / comparisons

    def enough(n: int) -> bool:
        error = spread * np.sqrt(2 / n)
        return bool(error == 0 or _power(difference / error, 2 * n - 2, alpha) >= power)

    low, high = 1, 2
    while not enough(high):
        low, high = high, high * 2
        if low > limit:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high if high <= limit else None


def _moments(values: ArrayLike) -> RateMoments:
    mean, error, count = mean_and_error(values)
    return RateMoments(mean, mean, error, np.zeros_like(error), count)


def _difference(
    a: RateMoments, b: RateMoments, confidence: float, rates: bool, extra: float = 0.0
) -> tuple[Interval, Floats, Floats]:
    """Difference with its limits, degrees of freedom and standard error over seeds; `extra` is a variance."""
    parts = a.error**2, b.error**2
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt(parts[0] + parts[1])
        # In shares of the whole, because squares of tiny variances are 0.
        share = parts[0] / (parts[0] + parts[1])
        freedom = 1 / (share**2 / (a.seeds - 1) + (1 - share) ** 2 / (b.seeds - 1))
        if rates:  # Where the variant with few seeds happens to spread little, Welch's are too many.
            freedom = np.minimum(freedom, 2 * (np.minimum(a.seeds, b.seeds) - 1.0))
        critical = scipy.special.stdtrit(freedom, 0.5 + confidence / 2)
    return Interval(a.mean - b.mean, *_limits(a, b, critical, freedom, rates, extra)), freedom, error


def _limits(
    a: RateMoments, b: RateMoments, critical: Floats | float, freedom: Floats, rates: bool, extra: float
) -> tuple[Floats, Floats]:
    """The limits that lie `critical` standard errors from the difference."""
    difference = a.mean - b.mean
    if rates:
        (low_a, high_a), (low_b, high_b) = (logit_limits(own, critical, freedom) for own in (a, b))
        # A variant without any spread adds nothing.
        down = np.hypot(np.nan_to_num(a.mean - low_a), np.nan_to_num(high_b - b.mean))
        up = np.hypot(np.nan_to_num(high_a - a.mean), np.nan_to_num(b.mean - low_b))
    else:
        down = up = critical * np.sqrt(a.error**2 + b.error**2)
    down, up = (np.hypot(side, critical * np.sqrt(extra)) for side in (down, up))
    none = ~np.isfinite(critical + difference) | ((a.error == 0) & (b.error == 0))
    low, high = np.where(none, np.nan, difference - down), np.where(none, np.nan, difference + up)
    # No two rates differ by more than 1; shared episodes may add more than that.
    return (np.maximum(low, -1), np.minimum(high, 1)) if rates else (low, high)


def _p(a: RateMoments, b: RateMoments, freedom: Floats, rates: bool, extra: float) -> float:
    """One minus the confidence at which the interval of the difference ends at 0."""
    if not np.isfinite(freedom):
        return float("nan")
    difference = float(a.mean - b.mean)
    if difference == 0:
        return 1.0
    side = 0 if difference > 0 else 1

    def distance(critical: float) -> float:
        return float(_limits(a, b, critical, freedom, rates, extra)[side]) * (1 if difference > 0 else -1)

    least, most = 1e-12, 1e6
    if distance(least) <= 0:
        return 1.0
    critical = most if distance(most) > 0 else float(scipy.optimize.brentq(distance, least, most, xtol=least))
    return float(2 * scipy.special.stdtr(freedom, -critical))


def _episode_error(a: Floats, b: Floats) -> float:
    """Standard error of the difference from the choice of episodes; NaN without episodes or with one seed."""
    if a.ndim < 2 or a.shape[1] < 2 or min(len(a), len(b)) < 2:
        return float("nan")
    # Both variants face the same episodes: what is difficult for both cancels.
    within = a.mean(axis=0) - b.mean(axis=0)
    noise = crossed(a).rest / len(a) + crossed(b).rest / len(b)
    return math.sqrt(max(float(within.var(ddof=1)) - noise, 0.0) / within.size)


def _power(shift: float, freedom: float, alpha: float) -> float:
    """Probability that t, with its mean shifted, is beyond the critical value on the side of the shift."""
    critical = scipy.special.stdtrit(freedom, 1 - alpha / 2)
    return float(1 - scipy.special.nctdtr(freedom, shift, critical))


def _detectable(error: float, freedom: float, alpha: float, power: float = 0.8) -> float:
    """The smallest true difference that as many seeds as there are would show with the given power.

    It depends on how much seeds spread, and not on the difference that was seen: unlike the power at the observed
    difference, it says no more than the p value does (J. M. Hoenig and D. M. Heisey, "The abuse of power", Am. Stat.
    55, 2001). It uses the noncentral t distribution (J. Cohen, "Statistical power analysis for the behavioral
    sciences", chapter 2), with Welch's standard error and degrees of freedom.
    """
    if not (error > 0 and np.isfinite(freedom)):
        return float("nan")
    most = float(scipy.special.stdtrit(freedom, 1 - alpha / 2))
    while _power(most, freedom, alpha) < power:
        most *= 1.5
    return error * float(scipy.optimize.brentq(lambda shift: _power(shift, freedom, alpha) - power, 0.0, most))
