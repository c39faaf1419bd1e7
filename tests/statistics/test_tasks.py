"""One number over several tasks: which it is, and how often its interval covers."""

import numpy as np
import pytest

from manyseeds import statistics
from manyseeds.statistics import rate_moments
from oracles import coverage

A, B = [0.9, 0.95, 0.97], [0.8, 0.9, 0.99]


def test_the_mean_over_tasks_is_what_a_hand_computes():
    """Both standard errors are 0.1, so there are two degrees of freedom and t is 4.3027.

    On the logit scale the halves are 4.3027 * 0.1 / 0.25 and 4.3027 * 0.1 / 0.16, which gives 0.15174 to 0.84826 and
    0.21368 to 0.98330; half of the root of the sum of squares of the distances is 0.34098 down and 0.19678 up.
    """
    found = statistics.mean_over_tasks([rate_moments([0.4, 0.6]), rate_moments([0.7, 0.9])])
    assert found == pytest.approx((0.65, 0.65 - 0.34098, 0.65 + 0.19678), abs=1e-5)


def test_over_one_task_it_is_what_the_tables_of_that_task_show():
    a, b = rate_moments(A, 100), rate_moments(B, 100)
    assert statistics.mean_over_tasks([a]) == pytest.approx(statistics.rate_interval(A, 100))
    assert statistics.difference_over_tasks([a], [b]) == pytest.approx(statistics.rate_difference(A, B, 100))
    one_of_three = statistics.difference_over_tasks([a], [b], comparisons=3)
    assert one_of_three == pytest.approx(statistics.rate_difference(A, B, 100, comparisons=3))


def test_new_episodes_widen_a_difference_on_both_sides():
    narrow, wide = (
        statistics.difference_over_tasks([rate_moments(A)], [rate_moments(B)], extra) for extra in (0.0, 1e-4)
    )
    assert wide.estimate == narrow.estimate and wide.low < narrow.low and wide.high > narrow.high


def test_tasks_with_one_seed_or_without_spread_have_no_limits():
    lone = statistics.mean_over_tasks([rate_moments([0.5]), rate_moments([0.7, 0.9])])
    assert lone.estimate == pytest.approx(0.65) and np.isnan([lone.low, lone.high]).all()
    same = rate_moments([1.0, 1.0])
    assert np.isnan(statistics.difference_over_tasks([same], [same]).low)
    # Of known numbers of episodes something is known.
    assert statistics.mean_over_tasks([rate_moments([1.0, 1.0], 500)] * 2).low > 0.99


def test_limits_stay_where_rates_and_their_differences_can_be():
    high, low = rate_moments([0.99, 1.0]), rate_moments([0.0, 0.02])
    found = statistics.mean_over_tasks([high, high])
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    found = statistics.difference_over_tasks([high] * 2, [low] * 2)
    assert -1 <= found.low <= found.estimate <= found.high <= 1


@pytest.mark.parametrize("tasks", coverage.TASKS)
@pytest.mark.parametrize("difference", [False, True])
def test_the_intervals_over_tasks_cover_from_three_seeds_on(tasks, difference):
    assert 93.5 <= coverage.over_tasks(tasks, 3, difference, replicates=4000) <= 97.5


def test_the_probability_of_improvement_is_the_mean_of_the_tasks():
    """In the first task 3 of 4 pairs are won and one is a tie, in the second none is won."""
    assert statistics.improvement_over_tasks([([2, 4], [1, 2]), ([0, 0], [1, 1])]) == pytest.approx(3.5 / 4 / 2)


def test_the_stratified_bootstrap_never_mixes_tasks():
    """Tasks without any spread between seeds leave nothing to resample."""
    found = statistics.iqm_over_tasks({"a": [0.0] * 10, "b": [1.0] * 10}, resamples=50)
    assert (found.estimate, found.low, found.high) == (0.5, 0.5, 0.5)
    assert np.isnan(statistics.iqm_over_tasks({"a": [0.1, 0.2]}, resamples=50).low)
