"""Who is beaten at a rung of a race: by place (successive halving), or by a test."""

import math
from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manyseeds.statistics.comparison import compare


def places(scores: Mapping[str, ArrayLike]) -> dict[str, int]:
    """Return the place of each variant by the mean of its seeds: 1 for the highest; ties share the better place.

    Args:
        scores: variant -> (seeds,). A variant with a NaN is behind all that have none.
    """
    means = {variant: _mean(own) for variant, own in scores.items()}
    return {variant: 1 + sum(other > mean for other in means.values()) for variant, mean in means.items()}


def beaten_by_place(scores: Mapping[str, ArrayLike], keep: float) -> set[str]:
    """Return the variants that successive halving stops at a rung.

    K. Jamieson and A. Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", AISTATS
    2016. The best share goes on; who ties with the last of them goes on, too, so that no order of names decides. A
    variant with a NaN is stopped, unless all have one.

    Args:
        scores: variant -> (seeds,); higher is better.
        keep: share of the variants that goes on, rounded up, in (0, 1).
    """
    last = math.ceil(round(keep * len(scores), 9))
    return _without_number(scores) | {variant for variant, place in places(scores).items() if place > last}


def beaten_in_test(
    scores: Mapping[str, ArrayLike], error: float, comparisons: int, *, rates: bool, episodes: int | None = None
) -> set[str]:
    """Return the variants that are shown to be worse than another one.

    Each pair is compared as `manyseeds.statistics.compare` does, and its p is multiplied by the number of comparisons
    of the whole race (Bonferroni). So the probability that the race stops any variant that is no worse than the one it
    was compared with is at most `error`, however the rungs of a run hang together, as far as p holds. A variant with a
    NaN is stopped, unless all have one.

    Args:
        scores: variant -> (seeds,); higher is better.
        error: of the whole race, in (0, 1).
        comparisons: pairs of variants at its begin, times its rungs.
        rates: whether the scores are from 0 to 1.
        episodes: how many each rate is of; None: not known.
    """
    gone = _without_number(scores)
    left = {variant: np.asarray(own, float) for variant, own in scores.items() if not np.isnan(own).any()}
    for a, b in combinations(left, 2):
        found = compare(left[a], left[b], rates=rates, episodes=episodes)
        if found.p * comparisons < error:
            gone.add(a if found.difference < 0 else b)
    return gone


def _without_number(scores: Mapping[str, ArrayLike]) -> set[str]:
    without = {variant for variant, own in scores.items() if np.isnan(own).any()}
    return without if len(without) < len(scores) else set()


def _mean(scores: ArrayLike) -> float:
    values: NDArray[np.float64] = np.asarray(scores, float)
    return -math.inf if np.isnan(values).any() else math.fsum(values) / len(values)
