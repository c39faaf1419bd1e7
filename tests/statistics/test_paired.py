"""The difference of the same seeds' rates under two conditions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from manyseeds import statistics
from manyseeds.statistics import LEAST_PAIRED, paired_rate_difference

rates = st.integers(LEAST_PAIRED, 8).flatmap(
    lambda seeds: arrays(float, (2, seeds), elements=st.integers(0, 100).map(lambda count: count / 100))
)


def test_a_case_by_hand():
    """Three seeds at 90 %, 80 % and 70 %; under the factor 40 %, 35 % and 30 %.

    The differences -50, -45 and -40 points have a standard deviation of 5; Student's limits lie
    4.302653 x 5 / sqrt(3) = 12.4207 points away. MOVER's are nearer here below, and farther above.
    """
    nominal, changed = np.array([0.9, 0.8, 0.7]), np.array([0.4, 0.35, 0.3])
    found = paired_rate_difference(changed, nominal, 10_000)
    assert found.estimate == pytest.approx(-0.45)
    (_, la, ua), (_, lb, ub) = (statistics.rate_interval(own, 10_000) for own in (changed, nominal))
    # The seeds keep their order exactly: r = 1, and MOVER's sides are the differences of the rates' own sides.
    down, up = abs((0.35 - la) - (ub - 0.8)), abs((ua - 0.35) - (0.8 - lb))
    assert found.low == pytest.approx(min(-0.45 - 0.124207, -0.45 - down), abs=1e-5)
    assert found.high == pytest.approx(max(-0.45 + 0.124207, -0.45 + up), abs=1e-5)


def test_with_fewer_seeds_than_it_holds_for_there_is_no_interval():
    found = paired_rate_difference([0.9, 0.8], [0.7, 0.7], 100)
    assert found.estimate == pytest.approx(0.15) and np.isnan(found.low) and np.isnan(found.high)


def test_seeds_that_all_agree_have_an_interval_only_where_the_episodes_are_known():
    same = np.ones(3)
    assert np.isnan(paired_rate_difference(same, same).low)
    found = paired_rate_difference(same, same, 100)
    assert found.estimate == 0 and -0.1 < found.low < 0 < found.high < 0.1


def test_far_from_the_limits_it_is_students_interval():
    random = np.random.default_rng(1)
    a = random.normal(0.5, 0.02, 40)
    b = a + random.normal(0.05, 0.02, 40)
    found, student = paired_rate_difference(a, b, 10**9), statistics.t_interval(a - b)
    np.testing.assert_allclose(found[1:], student[1:], atol=1e-4)


@settings(max_examples=60)
@given(rates)
def test_it_turns_with_the_order_and_lies_within_minus_one_and_one(values):
    found, turned = paired_rate_difference(*values, 100), paired_rate_difference(*values[::-1], 100)
    assert -1 <= found.low <= found.estimate + 1e-12 and found.estimate - 1e-12 <= found.high <= 1
    np.testing.assert_allclose([-turned.high, -turned.low], [found.low, found.high], atol=1e-12)


@settings(max_examples=60)
@given(rates)
def test_success_and_failure_tell_the_same(values):
    found, failures = paired_rate_difference(*values, 100), paired_rate_difference(*(1 - values), 100)
    np.testing.assert_allclose([-failures.high, -failures.low], [found.low, found.high], atol=1e-9)


@pytest.mark.parametrize("bad", [[0.5, np.nan, 0.5], [0.5, 0.5]])
def test_seeds_that_are_not_the_same_are_refused(bad):
    with pytest.raises(ValueError, match="of the same seeds, without NaN"):
        paired_rate_difference([0.5, 0.6, 0.7], bad, 100)
