"""Performance profiles and times to a threshold."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from manyseeds import statistics

INTERVALS = st.lists(st.tuples(st.integers(0, 8), st.integers(1, 4), st.booleans()), min_size=1, max_size=12)


def test_the_profile_is_the_share_of_scores_above_each_threshold():
    profile = statistics.performance_profile([0.2, 0.5, 0.5, 0.9], [0.0, 0.2, 0.5, 1.0])
    assert profile.estimate.tolist() == [1.0, 0.75, 0.25, 0.0]
    assert (profile.low <= profile.estimate).all() and (profile.estimate <= profile.high).all()


def test_the_profiles_pointwise_band_is_scipys_exact_interval_of_a_count():
    scores = np.linspace(0.05, 0.95, 10)
    profile = statistics.performance_profile(scores, [0.0, 0.3, 0.9, 1.0])
    for place, count in enumerate((10, 7, 1, 0)):
        expected = stats.binomtest(count, 10).proportion_ci(0.95, "exact")
        assert (profile.low[place], profile.high[place]) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("seeds", [3, 10])
def test_the_simultaneous_band_covers_the_whole_profile(seeds):
    random = np.random.default_rng(seeds)
    thresholds = np.linspace(0, 1, 201)
    hits = []
    for _ in range(2000):
        band = statistics.performance_profile(random.random(seeds), thresholds, simultaneous=True)
        hits.append(np.all((band.low <= 1 - thresholds + 1e-12) & (1 - thresholds <= band.high + 1e-12)))
    assert 94 <= 100 * np.mean(hits) <= 97


def test_the_simultaneous_band_contains_the_distance_of_dvoretzky_kiefer_wolfowitz_and_massart():
    band = statistics.performance_profile(np.full(12, 0.5), [0.4], simultaneous=True)
    assert 1 - band.low[0] < math.sqrt(math.log(2 / 0.05) / 24)
    assert 1 - band.low[0] == pytest.approx(math.sqrt(math.log(2 / 0.05) / 24), rel=0.06)


def test_a_profile_of_no_score_or_nan_is_refused():
    for scores in ([], [0.5, math.nan], [[0.5]]):
        with pytest.raises(ValueError, match="scores"):
            statistics.performance_profile(scores, [0.1])


def test_a_seed_crosses_where_it_stays_above_from_then_on():
    nan = math.nan
    curves = [
        [0.1, 0.5, 0.2, 0.9],  # touches it, falls back, and stays from the last point on
        [0.1, 0.1, 0.1, 0.1],  # never
        [nan, 0.6, nan, nan],  # at it from its first value
        [0.1, 0.2, nan, nan],  # ended early, before
        [nan, nan, nan, nan],  # logged nothing
        [0.1, nan, 0.7, 0.8],  # somewhere between the first and the third point
        [0.9, 0.9, 0.9, 0.4],  # lost it at the end
    ]
    left, right = statistics.time_to_threshold([10, 20, 30, 40], curves, 0.5)
    np.testing.assert_array_equal(left, [30, 40, 0, 20, nan, 10, 40])
    np.testing.assert_array_equal(right, [40, math.inf, 20, math.inf, nan, 30, math.inf])


def log_likelihood(left, right, starts, ends, share):
    inside = (starts >= np.asarray(left)[:, None]) & (ends <= np.asarray(right)[:, None])
    return np.log(inside @ share).sum()


@given(INTERVALS)
def test_no_other_distribution_on_its_intervals_is_likelier_than_turnbulls(rows):
    left = np.array([float(low) for low, _, _ in rows])
    right = np.array([math.inf if never else float(low + width) for low, width, never in rows])
    found = statistics.turnbull(left, right)
    assert (np.diff(found.crossed) >= -1e-9).all()
    if not found.crossed.size or np.isinf(right).any():
        return
    share = np.diff(found.crossed, prepend=0)
    assert share.sum() == pytest.approx(1)
    best = log_likelihood(left, right, found.left, found.right, share)
    for other in np.random.default_rng(0).dirichlet(np.ones(len(share)), size=30):
        assert log_likelihood(left, right, found.left, found.right, 0.9 * share + 0.1 * other) <= best + 1e-6


@given(st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=2, max_size=12))
def test_turnbulls_estimate_is_kaplan_and_meiers_where_times_are_known_to_a_step(rows):
    """Crossings between t - 1 and t, censored at whole times."""
    time, crossed = np.array([float(t) for t, _ in rows]), np.array([c for _, c in rows])
    if not crossed.any():
        return
    left, right = np.where(crossed, time - 1, time), np.where(crossed, time, math.inf)
    found = statistics.turnbull(left, right)
    theirs = stats.ecdf(stats.CensoredData(time[crossed], right=time[~crossed])).sf
    np.testing.assert_allclose(1 - found.crossed, theirs.evaluate(found.right), atol=1e-4)


def test_the_median_lies_between_the_checkpoints_of_the_middle_seed():
    found = statistics.crossing_quantile([4, 0, 3, 1, 2], [5, 1, 4, 2, 3])
    assert (found.left, found.right) == (2, 3)
    assert math.isnan(found.low) and math.isnan(found.high)  # five seeds have no 95 % interval of a median


def test_seeds_that_do_not_cross_push_the_median_up_instead_of_vanishing():
    left, right = [0, 1, 2, 10, 10, 10, 10], [1, 2, 3, *[math.inf] * 4]
    found = statistics.crossing_quantile(left, right)
    assert (found.left, found.right, found.low, found.high) == (10, math.inf, 0, math.inf)
    assert statistics.crossing_quantile(left, right, share=0.25).right == 2


def test_six_seeds_have_an_interval_from_the_first_to_the_last_and_no_seed_has_nothing():
    found = statistics.crossing_quantile([0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6])
    assert (found.low, found.high) == (0, 6)
    assert math.isnan(statistics.crossing_quantile([math.nan], [math.nan]).left)


def test_ten_seeds_have_the_order_statistics_that_every_table_gives():
    """The second to the ninth of ten, P = 97.9 %."""
    found = statistics.crossing_quantile(np.arange(10), np.arange(10) + 0.5)
    assert (found.low, found.high) == (1, 8.5)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="must be"):
        statistics.time_to_threshold([1, 2], [[1.0, 2.0, 3.0]], 0.5)
    with pytest.raises(ValueError, match="share 1"):
        statistics.crossing_quantile([1, 2], [2, 3], share=1)
