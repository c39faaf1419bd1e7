"""What the factors of a grid of variants do: main effects and interactions of two factors.

The contrasts are of the means of independent groups of seeds with unequal variances; SciPy and statsmodels have an
analysis of variance for equal ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import ArrayLike

from manyseeds.statistics.intervals import check_confidence, mean_and_error, satterthwaite, seeds_first


@dataclass(frozen=True)
class Effect:
    """A contrast of the cells of a grid; limits and p are NaN where a cell has one seed, or without any spread.

    Attributes:
        factors: one factor (a main effect) or two (their interaction).
        levels: of each factor, the level and the one it is compared with, its first.
        estimate: mean change of the score from the first level to the other, over all levels of the other factors; of
            an interaction, by how much the change by one factor depends on the other.
        low: lower limit; all limits of a grid hold together.
        high: upper limit.
        p: two-sided, times the number of effects (Bonferroni).
    """

    factors: tuple[str, ...]
    levels: tuple[tuple[Any, Any], ...]
    estimate: float
    low: float
    high: float
    p: float


def factorial_effects(
    factors: Mapping[str, Sequence[Any]], cells: Mapping[tuple[Any, ...], ArrayLike], confidence: float = 0.95
) -> list[Effect]:
    """Main effects and interactions of two factors, of a full grid.

    Every effect is a contrast sum(c_i mean_i) with standard error sqrt(sum(c_i^2 s_i^2 / n_i)), Satterthwaite's degrees
    of freedom, and Bonferroni's correction for the number of effects (D. C. Montgomery, "Design and analysis of
    experiments", chapters 3 and 5).

    Args:
        factors: name -> its levels, two or more; the first is what the others are compared with.
        cells: a level of each factor, in their order -> (seeds,) scores.
        confidence: of all effects together, in (0, 1).

    Raises:
        ValueError: if a cell of the grid is missing.
    """
    grid = list(product(*factors.values()))
    if missing := [cell for cell in grid if cell not in cells]:
        raise ValueError(f"the grid has no scores for {missing[0]}")
    moments = [mean_and_error(seeds_first(cells[cell])) for cell in grid]
    mean, error, count = (np.array([float(part[place]) for part in moments]) for place in range(3))
    contrasts: list[tuple[tuple[str, ...], tuple[tuple[Any, Any], ...], np.ndarray]] = []
    names = list(factors)
    for chosen in [(name,) for name in names] + list(combinations(names, 2)):
        for levels in product(*(factors[name][1:] for name in chosen)):
            weights = np.ones(len(grid))
            pairs = tuple((level, factors[name][0]) for name, level in zip(chosen, levels, strict=True))
            for name, (level, base) in zip(chosen, pairs, strict=True):
                place = names.index(name)
                weights *= [float(cell[place] == level) - float(cell[place] == base) for cell in grid]
            contrasts.append((chosen, pairs, weights / (weights > 0).sum() * (1 if len(chosen) == 1 else 2)))
    alpha = (1 - check_confidence(confidence)) / len(contrasts)
    return [
        Effect(chosen, pairs, *_contrast(weights, mean, error, count, len(contrasts), alpha))
        for chosen, pairs, weights in contrasts
    ]


def _contrast(
    weights: np.ndarray, mean: np.ndarray, error: np.ndarray, count: np.ndarray, effects: int, alpha: float
) -> tuple[float, float, float, float]:
    used = weights != 0
    weights, mean, error, count = weights[used], mean[used], error[used], count[used]
    estimate = float(weights @ mean)
    parts = (weights * error) ** 2
    if not parts.sum() > 0:  # also where one is NaN
        return estimate, np.nan, np.nan, np.nan
    freedom = satterthwaite(parts, count)
    whole = np.sqrt(parts.sum())
    half = scipy.special.stdtrit(freedom, 1 - alpha / 2) * whole
    p = min(1.0, effects * 2 * float(scipy.special.stdtr(freedom, -abs(estimate) / whole)))
    return estimate, float(estimate - half), float(estimate + half), p
