"""Performance profiles: the share of runs that score above each threshold."""

import numpy as np
from numpy.typing import ArrayLike

from manyseeds.statistics.bootstrap import bootstrap_interval
from manyseeds.statistics.intervals import Interval, seeds_first


def performance_profile(
    scores: ArrayLike, thresholds: ArrayLike, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Share of scores above each threshold, with a pointwise percentile bootstrap band over seeds.

    The run-score distribution of rliable (Agarwal et al., 2021, section 4.3).

    Args:
        scores: (seeds,) or (seeds, tasks); a resample draws whole seeds.
        thresholds: (thresholds,), in the unit of the scores.
        confidence: in (0, 1).
        resamples: number of bootstrap draws.
        seed: of the draws.

    Returns:
        Arrays of shape (thresholds,); limits are NaN with one seed.

    Raises:
        ValueError: if there is no score or one is NaN.
    """
    table = seeds_first(scores)
    if not table.size or np.isnan(table).any():
        raise ValueError("scores must be numbers, at least one")
    limits = np.atleast_1d(np.asarray(thresholds, np.float64))
    above = (table.reshape(len(table), -1, 1) > limits).mean(axis=1)
    return bootstrap_interval(
        lambda share: share.mean(axis=0), above, confidence=confidence, resamples=resamples, seed=seed
    )
