"""Arrays in, intervals out: what a set of seeds says about an algorithm.

The first axis of every array is the seed. The seed is the unit: episodes are never pooled over seeds. NaN is a missing
value and is ignored, so that seeds of unequal length fit into one array. An interval that does not exist (fewer than
two seeds) is NaN. Nothing here knows files or figures, and every random function takes a seed.

SciPy computes what it has, such as Wilson's interval and all quantiles. Each module says what it computes itself, and
why. docs/coverage.md says how often each 95 % interval covers.
"""

from manyseeds.statistics.bands import pointwise_band, simultaneous_band
from manyseeds.statistics.bootstrap import (
    LEAST_IQM,
    bootstrap_interval,
    iqm,
    iqm_bootstrap,
    iqm_interval,
)
from manyseeds.statistics.comparison import (
    Comparison,
    compare,
    improvement_interval,
    newcombe_5,
    pairs_of,
    probability_of_improvement,
    rate_difference,
    seeds_for_difference,
    smallest_exact_p,
)
from manyseeds.statistics.crossed import Crossed, crossed
from manyseeds.statistics.factors import Effect, factorial_effects
from manyseeds.statistics.intervals import (
    Below,
    Interval,
    RateMoments,
    clopper_pearson,
    mean_and_error,
    rate_interval,
    rate_moments,
    share_below,
    spread_limit,
    t_interval,
    wilson,
)
from manyseeds.statistics.paired import LEAST_PAIRED, paired_rate_difference
from manyseeds.statistics.profiles import performance_profile
from manyseeds.statistics.racing import beaten_by_place, beaten_in_test, places
from manyseeds.statistics.sequential import Look, sequential_test
from manyseeds.statistics.survival import (
    LEAST_SEEDS,
    CrossingQuantile,
    Crossings,
    crossing_quantile,
    time_to_threshold,
    turnbull,
)
from manyseeds.statistics.tasks import difference_over_tasks, improvement_over_tasks, iqm_over_tasks, mean_over_tasks

__all__ = [
    "LEAST_IQM",
    "LEAST_PAIRED",
    "LEAST_SEEDS",
    "Below",
    "Comparison",
    "Crossed",
    "CrossingQuantile",
    "Crossings",
    "Effect",
    "Interval",
    "Look",
    "RateMoments",
    "beaten_by_place",
    "beaten_in_test",
    "bootstrap_interval",
    "clopper_pearson",
    "compare",
    "crossed",
    "crossing_quantile",
    "difference_over_tasks",
    "factorial_effects",
    "improvement_interval",
    "improvement_over_tasks",
    "iqm",
    "iqm_bootstrap",
    "iqm_interval",
    "iqm_over_tasks",
    "mean_and_error",
    "mean_over_tasks",
    "newcombe_5",
    "paired_rate_difference",
    "pairs_of",
    "performance_profile",
    "places",
    "pointwise_band",
    "probability_of_improvement",
    "rate_difference",
    "rate_interval",
    "rate_moments",
    "seeds_for_difference",
    "sequential_test",
    "share_below",
    "simultaneous_band",
    "smallest_exact_p",
    "spread_limit",
    "t_interval",
    "time_to_threshold",
    "turnbull",
    "wilson",
]
