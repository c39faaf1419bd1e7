"""Comparisons with several looks: the error that they spend, and what they find."""

import numpy as np
import pytest
from scipy import stats

from manyseeds import statistics


def test_all_looks_together_raise_no_more_false_alarms_than_one_test():
    random = np.random.default_rng(0)
    alarms = 0
    for trial in range(600):
        a, b = random.beta(20, 1, size=(2, 12))
        alarms += statistics.sequential_test(a, b, (4, 8, 12), permutations=1000, seed=trial)[-1].rejected
    assert 2.5 <= 100 * alarms / 600 <= 7


def test_a_test_at_every_look_without_boundaries_raises_more():
    random = np.random.default_rng(0)
    alarms = 0
    for _ in range(600):
        a, b = random.beta(20, 1, size=(2, 12))
        alarms += any(stats.ttest_ind(a[:n], b[:n], equal_var=False).pvalue < 0.05 for n in (4, 8, 12))
    assert 100 * alarms / 600 > 7


def test_a_clear_difference_ends_the_comparison_early():
    random = np.random.default_rng(1)
    a, b = random.normal(5, 1, size=10), random.normal(0, 1, size=10)
    looks = statistics.sequential_test(a, b, (5, 10))
    assert [(look.seeds, look.rejected) for look in looks] == [(5, True)]
    assert looks[0].spent == pytest.approx(0.025)


def test_looks_that_are_still_to_come_are_left_out_and_the_error_is_spent_in_equal_parts():
    random = np.random.default_rng(2)
    looks = statistics.sequential_test(random.random(9), random.random(8), (4, 8, 12), comparisons=2)
    assert [look.seeds for look in looks] == [4, 8]
    assert [look.spent for look in looks] == pytest.approx([0.05 / 6, 0.1 / 6])
    assert not statistics.sequential_test([0.1], [0.2], (4, 8))


def test_three_seeds_each_cannot_show_a_difference_however_large():
    """There are 20 ways to divide six seeds, so no boundary can be crossed at 2.5 %."""
    (look,) = statistics.sequential_test([10.0, 11.0, 12.0], [0.0, 1.0, 2.0], (3, 6))
    assert not look.rejected


def test_looks_must_ascend():
    for looks in ((), (1, 5), (5, 5), (8, 4)):
        with pytest.raises(ValueError, match="must ascend"):
            statistics.sequential_test([0.1], [0.2], looks)
