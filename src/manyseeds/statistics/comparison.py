"""Comparing variants over their seeds.

Welch's test is SciPy's. Holm's correction and the number of seeds that a difference needs are computed here: SciPy has
neither, and statsmodels would be a dependency for thirty lines.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import ArrayLike

from manyseeds.statistics.bootstrap import bootstrap_interval
from manyseeds.statistics.intervals import Floats, Interval, check_confidence, seeds_first


@dataclass(frozen=True)
class Comparison:
    """How much better variant `a` is than `b`; limits and p are NaN where a variant has fewer than two seeds.

    Attributes:
        difference: mean over seeds of `a` minus that of `b`.
        low: lower limit of the difference.
        high: upper limit.
        p: p value of Welch's two-sided t test for no difference.
        p_corrected: `p` after Holm's correction for the number of comparisons made together.
        improvement: probability that a seed of `a` beats a seed of `b`.
        improvement_low: lower limit of the probability.
        improvement_high: upper limit of the probability.
        episode_error: standard error of the difference due to the choice of evaluation episodes; NaN if only
            scores were given.
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
    episode_error: float
    seeds_a: int
    seeds_b: int


def compare(
    a: ArrayLike,
    b: ArrayLike,
    *,
    names: tuple[str, str] = ("a", "b"),
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare two variants that were evaluated on the same episodes.

    The seeds are the sample; each seed is one number, its mean over the episodes. Both variants face the same
    episodes, so the difficulty of these episodes cancels in the difference. The interval is Welch's (B. L. Welch,
    Biometrika 34, 1947) with Satterthwaite's degrees of freedom, for these episodes; `episode_error` says how much
    other episodes would add.

    Args:
        a: (seeds,) scores or (seeds, episodes) outcomes, without NaN.
        b: the same of the other variant; episodes in the same order.
        names: names of the variants.
        confidence: in (0, 1).
        resamples: bootstrap draws for the probability of improvement.
        seed: seed of these draws.

    Raises:
        ValueError: if a value is NaN or the numbers of episodes differ.
    """
    first, second = seeds_first(a), seeds_first(b)
    if np.isnan(first).any() or np.isnan(second).any() or not len(first) or not len(second):
        raise ValueError(f"{names[0]} and {names[1]} must have at least one seed each, and no NaN")
    if first.shape[1:] != second.shape[1:]:
        raise ValueError(
            f"{names[0]} and {names[1]} were not evaluated on the same episodes: "
            f"{first.shape[1:]} and {second.shape[1:]}"
        )
    score_a, score_b = (values.reshape(len(values), -1).mean(axis=1) for values in (first, second))
    difference, low, high, p = _welch(score_a, score_b, confidence)
    improvement = improvement_bootstrap(score_a, score_b, confidence, resamples, seed)
    episode_error = np.nan
    if first.ndim > 1 and first.shape[1] > 1:
        # Episodes are paired: only the difference within an episode matters.
        within = first.mean(axis=0) - second.mean(axis=0)
        episode_error = float(within.std(ddof=1) / np.sqrt(within.size))
    return Comparison(
        a=names[0],
        b=names[1],
        difference=difference,
        low=low,
        high=high,
        p=p,
        p_corrected=p,
        improvement=float(improvement.estimate),
        improvement_low=float(improvement.low),
        improvement_high=float(improvement.high),
        episode_error=episode_error,
        seeds_a=len(first),
        seeds_b=len(second),
    )


def compare_all(
    variants: Mapping[str, ArrayLike], *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> list[Comparison]:
    """Compare all pairs of variants; Holm's method corrects the p values for the number of pairs.

    Args:
        variants: name -> (seeds,) or (seeds, episodes), as for `compare`.
        confidence: of each single interval, in (0, 1).
        resamples: bootstrap draws.
        seed: seed of these draws.
    """
    pairs = [
        compare(variants[a], variants[b], names=(a, b), confidence=confidence, resamples=resamples, seed=seed)
        for a, b in combinations(variants, 2)
    ]
    corrected = holm([pair.p for pair in pairs])
    return [replace(pair, p_corrected=float(p)) for pair, p in zip(pairs, corrected, strict=True)]


def holm(p_values: ArrayLike) -> Floats:
    """Holm's step-down correction: the k-th smallest of m p values times m - k + 1, made non-decreasing.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Stat. 6 (1979). NaN stays
    NaN and does not count.
    """
    p = np.asarray(p_values, np.float64)
    corrected = np.full(p.shape, np.nan)
    order = np.flatnonzero(~np.isnan(p))
    order = order[np.argsort(p[order], kind="stable")]
    raised = np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1))
    corrected[order] = np.minimum(raised, 1.0)
    return corrected


def probability_of_improvement(a: ArrayLike, b: ArrayLike) -> float:
    """Share of the pairs of seeds in which `a` scores higher than `b`; ties count half.

    This is Mann-Whitney's U divided by the number of pairs.

    Args:
        a: (seeds,) scores.
        b: (seeds,) scores.
    """
    first, second = seeds_first(a)[:, None], seeds_first(b)[None, :]
    return float(np.mean((first > second) + 0.5 * (first == second)))


def improvement_bootstrap(
    a: ArrayLike, b: ArrayLike, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Probability of improvement with a percentile bootstrap interval over the seeds of both, as in rliable."""
    first, second = seeds_first(a), seeds_first(b)
    wins = (first[:, None] > second[None, :]) + 0.5 * (first[:, None] == second[None, :])

    def of_rows_and_columns(rows: Floats, columns: Floats) -> Floats:
        return wins[np.ix_(rows.astype(int), columns.astype(int))].mean()

    return bootstrap_interval(
        of_rows_and_columns,
        np.arange(len(first)),
        np.arange(len(second)),
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )


def seeds_needed(
    a: ArrayLike, b: ArrayLike, *, power: float = 0.8, confidence: float = 0.95, limit: int = 100_000
) -> int | None:
    """How many more seeds of each variant would show the observed difference between two variants.

    With that number a two-sided t test at level 1 - confidence finds the observed difference with the given power,
    if the seeds spread as observed. It uses the noncentral t distribution (J. Cohen, "Statistical power analysis for
    the behavioral sciences", chapter 2) with the root mean square of both standard deviations as the spread. A
    difference seen with few seeds is uncertain, so take the result as an order of magnitude.

    Args:
        a: (seeds,) scores, at least two.
        b: (seeds,) scores, at least two.
        power: probability of finding the difference, in (0, 1).
        confidence: in (0, 1).
        limit: return None for more than this.

    Returns:
        Seeds per variant beyond the smaller of the two present numbers; 0 if there are enough; None if no number up to
        `limit` suffices (no difference seen).

    Raises:
        ValueError: if a variant has fewer than two seeds.
    """
    first, second = seeds_first(a), seeds_first(b)
    if min(len(first), len(second)) < 2:
        raise ValueError("each variant needs at least two seeds, to estimate how much seeds differ")
    difference = abs(first.mean() - second.mean())
    spread = np.sqrt((first.var(ddof=1) + second.var(ddof=1)) / 2)
    if difference == 0:
        return None
    if spread == 0:
        return 0
    alpha = 1 - check_confidence(confidence)

    def power_with(n: int) -> float:
        freedom = 2 * n - 2
        critical = scipy.special.stdtrit(freedom, 1 - alpha / 2)
        shift = difference / spread * np.sqrt(n / 2)
        return float(
            1 - scipy.special.nctdtr(freedom, shift, critical) + scipy.special.nctdtr(freedom, shift, -critical)
        )

    low, high = 1, 2
    while power_with(high) < power:
        low, high = high, high * 2
        if low > limit:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_with(middle) >= power else (middle, high)
    have = min(len(first), len(second))
    return None if high - have > limit else max(0, high - have)


def _welch(a: Floats, b: Floats, confidence: float) -> tuple[float, float, float, float]:
    """Difference of means, its limits and the two-sided p."""
    difference = float(a.mean() - b.mean())
    if min(len(a), len(b)) < 2:
        return difference, np.nan, np.nan, np.nan
    if np.ptp(a) == np.ptp(b) == 0:
        return difference, difference, difference, 0.0 if difference else 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of seeds that hardly differ
        test = scipy.stats.ttest_ind(a, b, equal_var=False)
        limits = test.confidence_interval(check_confidence(confidence))
    return difference, float(limits.low), float(limits.high), float(test.pvalue)
