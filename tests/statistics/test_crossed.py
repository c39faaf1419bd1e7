"""Variances of seeds and episodes, sequential comparisons, factors and tasks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from manyseeds import statistics

TABLES = hnp.arrays(np.float64, st.tuples(st.integers(2, 6), st.integers(2, 8)), elements=st.integers(0, 1))


def test_the_components_are_those_of_a_two_way_analysis_of_variance():
    """By hand: mean squares 0.75 of seeds, 0.25 of episodes, 0.25 of the rest."""
    found = statistics.crossed([[1, 1, 0], [0, 0, 0]])
    seeds, episodes, rest = 2 / 3, 1 / 6, 1 / 6
    assert found.rest == pytest.approx(rest)
    assert found.seed == pytest.approx((seeds - rest) / 3)
    assert found.episode == pytest.approx((episodes - rest) / 2)


@given(TABLES)
def test_shares_add_up_and_more_of_anything_never_widens(table):
    found = statistics.crossed(table)
    assert min(found.seed, found.episode, found.rest) >= 0
    if found.variance() > 0:
        assert sum(found.shares) == pytest.approx(1)
        assert found.widening >= 1
        assert min(found.gains) >= 0.7 and max(found.gains) <= 1 + 1e-12


def test_the_components_are_recovered():
    random = np.random.default_rng(0)
    seed, episode, rest = 0.3, 0.8, 1.5
    tables = (
        seed * random.normal(size=(400, 8, 1))
        + episode * random.normal(size=(400, 1, 40))
        + rest * random.normal(size=(400, 8, 40))
    )
    found = [statistics.crossed(table) for table in tables]
    assert np.mean([f.seed for f in found]) == pytest.approx(seed**2, rel=0.1)
    assert np.mean([f.episode for f in found]) == pytest.approx(episode**2, rel=0.1)
    assert np.mean([f.rest for f in found]) == pytest.approx(rest**2, rel=0.05)
    assert np.mean([f.variance() for f in found]) == pytest.approx(np.var(tables.mean(axis=(1, 2))), rel=0.15)


def test_tables_that_cannot_tell_are_refused():
    for table in (np.ones((1, 5)), np.ones((5, 1)), [[1, np.nan], [0, 1]]):
        with pytest.raises(ValueError, match="at least two"):
            statistics.crossed(table)
