"""One number for an algorithm over several tasks.

The tasks are strata: an interval is for new seeds on these tasks, and the differences between tasks are no uncertainty.
rliable resamples seeds within each task too, but its packages do not install next to ours, and with few seeds its
intervals are too narrow. The intervals of means and differences are computed here: SciPy has no limits of a sum of
asymmetric intervals (MOVER).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import ArrayLike

from manyseeds.statistics.bootstrap import LEAST_IQM, bootstrap_interval, iqm
from manyseeds.statistics.comparison import probability_of_improvement
from manyseeds.statistics.intervals import (
    Interval,
    RateMoments,
    check_confidence,
    logit_limits,
    seeds_first,
)


def mean_over_tasks(tasks: Sequence[RateMoments], confidence: float = 0.95) -> Interval:
    """Mean over tasks of the mean rate over seeds, with its interval for new seeds on these tasks.

    Args:
        tasks: of each task, what `manyseeds.statistics.rate_moments` gives of its seeds' rates.
        confidence: in (0, 1).

    Returns:
        Numbers within 0 and 1, or arrays of the moments' shape; limits are NaN where a task has one seed, or without
        any spread. For one task it is `manyseeds.statistics.rate_interval`.
    """
    return _sum([(1 / len(tasks), moments) for moments in tasks], 0.0, confidence)


def difference_over_tasks(
    a: Sequence[RateMoments],
    b: Sequence[RateMoments],
    episode_variance: float = 0.0,
    *,
    confidence: float = 0.95,
    comparisons: int = 1,
) -> Interval:
    """Mean over tasks of the difference of the mean rates of two variants, with its interval for new seeds.

    Args:
        a: of each task, what `manyseeds.statistics.rate_moments` gives of the seeds' rates of one variant.
        b: the same of the other variant, in the same order of tasks.
        episode_variance: what other episodes than those that were played add to the variance of the mean difference.
        confidence: of all comparisons together, in (0, 1).
        comparisons: how many comparisons are made together (Bonferroni).

    Returns:
        Numbers within -1 and 1, or arrays of the moments' shape; limits are NaN where a task has one seed, or without
        any spread. For one task it is `manyseeds.statistics.rate_difference`.
    """
    alpha = (1 - check_confidence(confidence)) / comparisons
    parts = [(1 / len(a), moments) for moments in a] + [(-1 / len(b), moments) for moments in b]
    return _sum(parts, episode_variance, 1 - alpha)


def _sum(parts: Sequence[tuple[float, RateMoments]], extra: float, confidence: float) -> Interval:
    """A weighted sum of independent means of rates, with limits by MOVER (variance estimates recovery).

    G. Y. Zou, W. Huang and X. Zhang, "A note on confidence interval estimation for a linear function of binomial
    proportions", Comput. Stat. Data Anal. 53 (2009): each limit of the sum is as far from it as the limits of the parts
    on that side are from their estimates, root of the sum of squares. The limits of each part are those of
    `rate_interval`, with Satterthwaite's degrees of freedom of the sum, at most those of as many parts with the
    smallest number of seeds; see `manyseeds.statistics.rate_difference`.
    """
    weight = [own for own, _ in parts]
    mean, error, seeds = (np.stack([getattr(own, name) for _, own in parts]) for name in ("mean", "error", "seeds"))
    estimate = np.tensordot(weight, mean, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        variances = np.square(np.multiply(weight, error.T).T)
        share = variances / variances.sum(axis=0)
        freedom = 1 / (share**2 / (seeds - 1.0)).sum(axis=0)
        freedom = np.minimum(freedom, len(parts) * (seeds.min(axis=0) - 1.0))
        critical = scipy.special.stdtrit(freedom, 0.5 + check_confidence(confidence) / 2)
    down, up = np.square(critical) * extra, np.square(critical) * extra
    for own, moments in parts:
        low, high = logit_limits(moments, critical, freedom)
        # A part without any spread adds nothing.
        sides = [np.square(own * np.nan_to_num(side)) for side in (moments.mean - low, high - moments.mean)]
        down, up = (total + side for total, side in zip((down, up), sides if own > 0 else sides[::-1], strict=True))
    # Where nothing varies, or a task has one seed, there are no degrees of freedom.
    none = np.where(np.isfinite(freedom), 0.0, np.nan)
    least = 0.0 if min(weight) > 0 else -1.0
    low = np.maximum(estimate - np.sqrt(down) + none, least)
    return Interval(estimate[()], low[()], np.minimum(estimate + np.sqrt(up) + none, 1.0)[()])


def improvement_over_tasks(tasks: Sequence[tuple[ArrayLike, ArrayLike]]) -> float:
    """Mean over tasks of the probability that a seed of one variant beats a seed of the other, as rliable defines it.

    It has no interval. rliable's, a stratified percentile bootstrap, is too narrow for few seeds, and Newcombe's limits
    of the tasks put together by MOVER cover 91 to 93 % with 4 to 10 seeds.

    Args:
        tasks: of each task the scores (seeds,) of the one variant and of the other; ties count half.
    """
    return float(np.mean([probability_of_improvement(a, b) for a, b in tasks]))


def iqm_over_tasks(
    tasks: Mapping[str, ArrayLike], confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Interquartile mean of all runs of all tasks, with a stratified bootstrap: seeds are resampled within each task.

    As rliable (R. Agarwal et al., "Deep RL at the edge of the statistical precipice", NeurIPS 2021).

    Args:
        tasks: name -> (seeds,) scores on the same scale, such as success rates.
        confidence: in (0, 1).
        resamples: number of bootstrap draws.
        seed: of the draws.

    Returns:
        Numbers; limits are NaN where a task has fewer than `LEAST_IQM` seeds.
    """
    samples = [seeds_first(scores) for scores in tasks.values()]
    interval = bootstrap_interval(
        lambda *drawn: iqm(np.concatenate(drawn)), *samples, confidence=confidence, resamples=resamples, seed=seed
    )
    if min(map(len, samples)) < LEAST_IQM:
        return Interval(interval.estimate, np.nan, np.nan)
    return interval
