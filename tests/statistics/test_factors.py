"""Effects of the factors of a grid."""

import numpy as np
import pytest
from scipy import stats

from manyseeds import statistics

FACTORS = {"gamma": [0.98, 0.99], "size": ["small", "wide"]}


def cells(random, seeds, *, gamma=0.0, size=0.0, both=0.0, spread=1.0):
    return {
        (g, s): gamma * (g == 0.99)
        + size * (s == "wide")
        + both * (g == 0.99) * (s == "wide")
        + spread * random.normal(size=seeds)
        for g in FACTORS["gamma"]
        for s in FACTORS["size"]
    }


def test_effects_of_a_grid_by_hand():
    grid = {(0.98, "small"): [1, 3], (0.99, "small"): [4, 6], (0.98, "wide"): [2, 4], (0.99, "wide"): [9, 11]}
    found = {effect.factors: effect for effect in statistics.factorial_effects(FACTORS, grid)}
    assert found["gamma",].estimate == pytest.approx((5 - 2 + 10 - 3) / 2)
    assert found["size",].estimate == pytest.approx((3 - 2 + 10 - 5) / 2)
    assert found["gamma", "size"].estimate == pytest.approx((10 - 3) - (5 - 2))
    assert found["gamma",].levels == ((0.99, 0.98),)
    # All cells have variance 2 of 2 seeds: the standard error is 1 with 4 degrees of freedom, 2 of the interaction.
    assert found["gamma",].high - found["gamma",].estimate == pytest.approx(stats.t.ppf(1 - 0.05 / 6, 4))
    assert found["gamma", "size"].p == pytest.approx(min(1, 3 * 2 * stats.t.sf(4 / 2, 4)))


def test_all_effects_of_a_grid_are_covered_together():
    random = np.random.default_rng(0)
    truth = {("gamma",): 1 + 0.7 / 2, ("size",): -0.5 + 0.7 / 2, ("gamma", "size"): 0.7}
    hits = []
    for _ in range(2000):
        grid = cells(random, 5, gamma=1, size=-0.5, both=0.7)
        hits.append(all(e.low <= truth[e.factors] <= e.high for e in statistics.factorial_effects(FACTORS, grid)))
    assert 94 <= 100 * np.mean(hits) <= 97.5


def test_a_level_is_compared_with_the_first_and_a_missing_cell_is_named():
    factors = {"gamma": [0.9, 0.95, 0.99]}
    found = statistics.factorial_effects(factors, {(0.9,): [1, 2], (0.95,): [2, 3], (0.99,): [5, 6]})
    assert [(effect.levels, effect.estimate) for effect in found] == [(((0.95, 0.9),), 1.0), (((0.99, 0.9),), 4.0)]
    with pytest.raises(ValueError, match=r"no scores for \(0.95,\)"):
        statistics.factorial_effects(factors, {(0.9,): [1, 2], (0.99,): [1, 2]})


def test_single_seeds_give_effects_without_limits():
    (effect,) = statistics.factorial_effects({"gamma": [1, 2]}, {(1,): [0.5], (2,): [0.7, 0.8]})
    assert effect.estimate == pytest.approx(0.25)
    assert np.isnan([effect.low, effect.p]).all()
