"""Performance profiles and times to a threshold."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from manyseeds import statistics

TIMES = st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=1, max_size=15)


def test_the_profile_is_the_share_of_scores_above_each_threshold():
    profile = statistics.performance_profile([0.2, 0.5, 0.5, 0.9], [0.0, 0.2, 0.5, 1.0])
    assert profile.estimate.tolist() == [1.0, 0.75, 0.25, 0.0]
    assert (profile.low <= profile.estimate).all() and (profile.estimate <= profile.high).all()


def test_a_profile_over_tasks_counts_all_scores_and_resamples_whole_seeds():
    scores = np.array([[0.0, 1.0]] * 5)
    profile = statistics.performance_profile(scores, [0.5])
    assert [part.tolist() for part in profile] == [[0.5]] * 3


def test_the_profiles_band_covers_a_share():
    random = np.random.default_rng(0)
    hits = []
    for _ in range(300):
        band = statistics.performance_profile(random.random(30), [0.5], resamples=300)
        hits.append(band.low[0] <= 0.5 <= band.high[0])
    assert 91 <= 100 * np.mean(hits) <= 99


def test_a_profile_of_one_seed_has_no_band_and_of_nan_is_refused():
    assert np.isnan(statistics.performance_profile([0.5], [0.1]).low).all()
    for scores in ([], [0.5, math.nan]):
        with pytest.raises(ValueError, match="scores"):
            statistics.performance_profile(scores, [0.1])


def test_the_first_time_at_the_threshold_and_the_last_of_seeds_that_miss_it():
    nan = math.nan
    curves = [
        [0.1, 0.5, 0.2, 0.9],  # touches it
        [0.1, 0.1, 0.1, 0.1],  # never
        [nan, 0.6, nan, nan],  # ended early, after reaching it
        [0.1, 0.2, nan, nan],  # ended early, before
        [nan, nan, nan, nan],  # logged nothing
    ]
    time, reached = statistics.time_to_threshold([10, 20, 30, 40], curves, 0.5)
    np.testing.assert_array_equal(time, [20, 40, 20, 20, nan])
    assert reached.tolist() == [True, False, True, False, False]


def test_the_threshold_can_be_required_for_several_points():
    curves = [[1, 0, 1, 1, 0], [0, 0, 0, 0, 1]]
    time, reached = statistics.time_to_threshold(range(5), curves, 1, consecutive=2)
    assert (time.tolist(), reached.tolist()) == ([2, 4], [True, False])
    assert not statistics.time_to_threshold(range(5), curves, 1, consecutive=9)[1].any()


@pytest.mark.filterwarnings("ignore:The confidence interval is undefined")
@given(TIMES)
def test_the_survival_curve_is_scipys_kaplan_meier(rows):
    time, reached = np.array([t for t, _ in rows]), np.array([r for _, r in rows])
    ours = statistics.survival_curve(time, reached)
    if not reached.any():
        assert not len(ours.time)
        return
    sample = stats.CensoredData(time[reached], right=time[~reached])
    theirs = stats.ecdf(sample).sf
    np.testing.assert_allclose(ours.share, theirs.evaluate(ours.time), atol=1e-12)
    with np.errstate(all="ignore"):
        limits = theirs.confidence_interval(0.95, method="log-log")
    inner = (ours.share > 0) & (ours.share < 1)
    at = ours.time[inner]
    np.testing.assert_allclose(ours.low[inner], limits.low.evaluate(at), atol=1e-9)
    np.testing.assert_allclose(ours.high[inner], limits.high.evaluate(at), atol=1e-9)


def test_without_censoring_the_median_is_the_middle_seed():
    estimate, low, high = statistics.censored_quantile([5, 1, 4, 2, 3], [True] * 5)
    assert estimate == 3
    assert 1 <= low <= 3 <= high <= 5


def test_unreached_seeds_push_the_median_up_instead_of_vanishing():
    """Leaving them out would report only the fast half."""
    time, reached = [1, 2, 3, 10, 10, 10, 10], [True, True, True, False, False, False, False]
    estimate, low, high = statistics.censored_quantile(time, reached)
    assert (estimate, high) == (math.inf, math.inf)
    assert low in (1, 2, 3)
    assert statistics.censored_quantile(time, reached, share=0.25).estimate == 2


def test_no_seed_that_reached_it_a_single_seed_and_no_seed():
    assert statistics.censored_quantile([9, 9], [False, False]) == (math.inf, math.inf, math.inf)
    estimate, low, high = statistics.censored_quantile([9], [True])
    assert estimate == 9 and math.isnan(low) and math.isnan(high)
    assert np.isnan(statistics.censored_quantile([math.nan], [False])).all()


def test_the_medians_interval_covers_it_under_censoring():
    random = np.random.default_rng(1)
    hits = []
    for _ in range(2000):
        true = random.exponential(10, size=20)
        found = statistics.censored_quantile(np.minimum(true, 12), true < 12)
        hits.append(found.low <= 10 * math.log(2) <= found.high)
    assert 93 <= 100 * np.mean(hits) <= 98


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="must be"):
        statistics.time_to_threshold([1, 2], [[1.0, 2.0, 3.0]], 0.5)
    with pytest.raises(ValueError, match="consecutive 0"):
        statistics.time_to_threshold([1], [[1.0]], 0.5, consecutive=0)
    with pytest.raises(ValueError, match="share 1"):
        statistics.censored_quantile([1, 2], [True, True], share=1)


def test_the_survival_curve_is_that_of_the_formula():
    """Numbers by hand: Kaplan and Meier's estimate, Greenwood's variance on the log(-log) scale."""
    time, reached = [3, 5, 5, 8, 9, 12, 12, 12], [1, 1, 1, 0, 1, 1, 0, 0]
    curve = statistics.survival_curve(time, reached)
    assert curve.time.tolist() == [3, 5, 9, 12]
    assert curve.share == pytest.approx([0.875, 0.625, 0.46875, 0.3125], abs=1e-12)
    low = [0.38700001403202516, 0.22933332242913168, 0.1199286222409071, 0.04784947473944144]
    high = [0.981392965878966, 0.8606982769135387, 0.7628556678717601, 0.6407704205150707]
    assert curve.low == pytest.approx(low, abs=1e-12) and curve.high == pytest.approx(high, abs=1e-12)
    assert statistics.censored_quantile(time, reached) == (9.0, 3.0, math.inf)
