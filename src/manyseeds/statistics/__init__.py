"""Arrays in, intervals out: what a set of seeds says about an algorithm.

The first axis of every array is the seed. The seed is the unit: episodes are never pooled over seeds. NaN is a missing
value and is ignored, so that seeds of unequal length fit into one array. An interval that does not exist (fewer than
two seeds) is NaN. Nothing here knows files or figures, and every random function takes a seed.

SciPy computes what it has: Welch's test, Wilson's interval, the Kaplan-Meier curve. Each module says what it computes
itself, and why.
"""

from manyseeds.statistics.bands import pointwise_band, simultaneous_band
from manyseeds.statistics.bootstrap import bootstrap_interval, iqm, iqm_bootstrap
from manyseeds.statistics.comparison import (
    Comparison,
    compare,
    compare_all,
    holm,
    improvement_bootstrap,
    probability_of_improvement,
    seeds_needed,
)
from manyseeds.statistics.intervals import Interval, t_interval, wilson
from manyseeds.statistics.profiles import performance_profile
from manyseeds.statistics.survival import Survival, censored_quantile, survival_curve, time_to_threshold

__all__ = [
    "Comparison",
    "Interval",
    "Survival",
    "bootstrap_interval",
    "censored_quantile",
    "compare",
    "compare_all",
    "holm",
    "improvement_bootstrap",
    "iqm",
    "iqm_bootstrap",
    "performance_profile",
    "pointwise_band",
    "probability_of_improvement",
    "seeds_needed",
    "simultaneous_band",
    "survival_curve",
    "t_interval",
    "time_to_threshold",
    "wilson",
]
