"""One number for an algorithm over several tasks.

rliable resamples seeds within each task too, but its packages do not install next to ours.
"""

from collections.abc import Mapping

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import ArrayLike

from manyseeds.statistics.bootstrap import LEAST_IQM, bootstrap_interval, iqm
from manyseeds.statistics.intervals import Interval, check_confidence, mean_and_error, satterthwaite, seeds_first


def mean_over_tasks(tasks: Mapping[str, ArrayLike], confidence: float = 0.95) -> Interval:
    """Mean over tasks of the mean over seeds, with Student's t interval for new seeds on these tasks.

    The tasks are strata: their differences are no uncertainty. The standard error is sqrt(sum(s_k^2 / n_k)) over the
    number of tasks, with Satterthwaite's degrees of freedom.

    Args:
        tasks: name -> (seeds,) scores on the same scale, such as success rates, with any number of seeds.
        confidence: in (0, 1).

    Returns:
        Numbers; limits are NaN where a task has one seed, or without any spread.
    """
    moments = [mean_and_error(scores) for scores in tasks.values()]
    mean, error, count = (np.array([float(part[place]) for part in moments]) for place in range(3))
    estimate, parts = float(mean.mean()), (error / len(moments)) ** 2
    if not parts.sum() > 0:
        return Interval(estimate, np.nan, np.nan)
    freedom = satterthwaite(parts, count)
    half = float(scipy.special.stdtrit(freedom, 0.5 + check_confidence(confidence) / 2) * np.sqrt(parts.sum()))
    return Interval(estimate, estimate - half, estimate + half)


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
