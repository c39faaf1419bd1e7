"""Adding seeds until a difference shows, without more false alarms than a single test.

The boundaries depend on the seeds themselves (a permutation test), so they are computed here; statsmodels has no group
sequential test.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from manyseeds.statistics.intervals import check_confidence, seeds_first


@dataclass(frozen=True)
class Look:
    """One look at two variants during a comparison that was planned with several.

    Attributes:
        seeds: seeds of each variant at this look.
        statistic: distance of the two sums of scores, the statistic of the test.
        boundary: the difference shows if the statistic is greater.
        spent: probability of a false alarm that was allowed up to and with this look.
        rejected: whether the difference shows at this look, or did at an earlier one.
    """

    seeds: int
    statistic: float
    boundary: float
    spent: float
    rejected: bool


def sequential_test(
    a: ArrayLike,
    b: ArrayLike,
    looks: Sequence[int],
    *,
    confidence: float = 0.95,
    comparisons: int = 1,
    permutations: int = 10_000,
    seed: int = 0,
) -> list[Look]:
    """Compare two variants at each of the planned numbers of seeds, and stop as soon as a difference shows.

    The group sequential permutation test of AdaStop (T. Mathieu et al., "AdaStop: adaptive statistical testing for
    sound comparisons of deep RL agents", TMLR 2024) for two variants. Between two looks the variants get as many new
    seeds each; a permutation exchanges seeds of the two within such a block. At look k of K the allowed probability of
    a false alarm is k/K of 1 - confidence (K. K. G. Lan and D. L. DeMets, Biometrika 70, 1983), and the boundary is the
    smallest that keeps it among the permutations that crossed no earlier boundary.

    The test is exact if the scores of both variants have the same distribution where there is no difference. It
    promises nothing if the looks are chosen after seeing scores.

    Args:
        a: (seeds,) scores in the order of the seeds, without NaN.
        b: (seeds,) scores of the other variant.
        looks: numbers of seeds of each variant, ascending; looks beyond the seeds there are, are still to come.
        confidence: in (0, 1); 1 - confidence is the probability of a false alarm over all looks and comparisons.
        comparisons: how many pairs of variants are compared (Bonferroni).
        permutations: how many are drawn.
        seed: of the draws.

    Returns:
        The looks so far.

    Raises:
        ValueError: if looks do not ascend from at least 2.
    """
    planned = list(looks)
    if not planned or planned[0] < 2 or any(low >= high for low, high in pairwise(planned)):
        raise ValueError(f"looks {planned} must ascend, and start with at least 2 seeds")
    first, second = seeds_first(a), seeds_first(b)
    alpha = (1 - check_confidence(confidence)) / comparisons
    random = np.random.default_rng(seed)
    sums = np.zeros(permutations)
    alive = np.ones(permutations, bool)
    done: list[Look] = []
    crossed, start, rejected = 0, 0, False
    for place, seeds in enumerate(planned, start=1):
        if seeds > min(len(first), len(second)):
            break
        block = np.concatenate([first[start:seeds], second[start:seeds]])
        size = seeds - start
        order = random.permuted(np.tile(np.arange(2 * size), (permutations, 1)), axis=1)
        order[0] = np.arange(2 * size)  # the first permutation is what was seen
        drawn = block[order]
        sums += drawn[:, :size].sum(axis=1) - drawn[:, size:].sum(axis=1)
        spent = alpha * place / len(planned)
        statistic = np.round(np.abs(sums), 12)
        allowed = int(np.floor(spent * permutations + 1e-9)) - crossed
        ordered = np.sort(statistic[alive])[::-1]
        # The largest number of permutations that may cross, without splitting ties.
        boundary = float(ordered[allowed]) if allowed < len(ordered) else -1.0
        beyond = alive & (statistic > boundary)
        rejected = rejected or bool(beyond[0])
        done.append(Look(seeds, float(statistic[0]), boundary, spent, rejected))
        if rejected:
            break
        crossed += int(beyond.sum())
        alive &= ~beyond
        start = seeds
    return done
