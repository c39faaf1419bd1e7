"""Intervals and bands: agreement with SciPy, and coverage as stated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from manyseeds import statistics

FLOATS = st.floats(-1e6, 1e6)
SEEDS = hnp.arrays(np.float64, st.integers(2, 12), elements=FLOATS)


def covered(interval, truth):
    """Share of the intervals that contain the true value, in percent."""
    return 100 * np.mean((interval.low <= truth) & (truth <= interval.high))


@given(SEEDS, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_t_interval_is_scipys(values, confidence):
    mean, low, high = statistics.t_interval(values, confidence)
    np.testing.assert_allclose(mean, values.mean(), rtol=1e-9, atol=1e-6)
    if np.ptp(values) > 1e-3:
        expected = stats.t.interval(confidence, len(values) - 1, values.mean(), stats.sem(values))
        np.testing.assert_allclose([low, high], expected, rtol=1e-6, atol=1e-6)


def test_wilson_is_scipys_for_every_count():
    for trials in (1, 2, 10, 57):
        successes = np.arange(trials + 1)
        low, high = statistics.wilson(successes, trials, 0.9)
        for k in successes:
            expected = stats.binomtest(int(k), trials).proportion_ci(0.9, method="wilson")
            assert (low[k], high[k]) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_ends_at_0_and_1_exactly_and_never_passes_them():
    low, high = statistics.wilson([0, 1000, 999], 1000)
    assert low[0] == 0 and high[1] == 1
    assert 0 < high[0] < 0.01 and 0.99 < low[1] < 1 and high[2] < 1


def test_wilson_without_trials_is_nan_and_impossible_counts_are_refused():
    assert np.isnan(statistics.wilson(0, 0)).all()
    for successes in (-1, 6):
        with pytest.raises(ValueError, match="between 0 and the number of trials"):
            statistics.wilson(successes, 5)


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 13), st.integers(1, 3)), elements=FLOATS))
def test_iqm_is_scipys_trimmed_mean(values):
    np.testing.assert_allclose(statistics.iqm(values), stats.trim_mean(values, 0.25), rtol=1e-9, atol=1e-6)


def test_iqm_bootstrap_is_the_percentile_bootstrap_of_scipy():
    """Two bootstraps with different draws agree within their noise."""
    values = np.random.default_rng(3).gamma(2.0, size=9)
    ours = statistics.iqm_bootstrap(values, resamples=50_000)
    theirs = stats.bootstrap(
        (values,), lambda x, axis: stats.trim_mean(x, 0.25, axis=axis), n_resamples=50_000, method="percentile", rng=1
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.03 * np.ptp(values))


def test_the_fast_bootstrap_agrees_with_the_plain_one():
    """Weights on sorted seeds give the same distribution as resampling each point separately."""
    values = np.random.default_rng(4).normal(size=(6, 3))
    quick = statistics.iqm_bootstrap(values, resamples=20_000, seed=1)
    plain = statistics.bootstrap_interval(statistics.iqm, values, resamples=20_000, seed=2)
    for ours, theirs in zip(quick, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=0.05)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10, 21])
@pytest.mark.parametrize(("confidence", "resamples"), [(0.95, 2000), (0.5, 300), (0.999, 300)])
def test_a_long_curve_skips_only_resamples_that_decide_no_limit(seeds, confidence, resamples):
    """A few points use all resamples; the same points in a long curve have the same limits."""
    curves = np.random.default_rng(seeds).standard_t(3, size=(seeds, 500)).cumsum(axis=1)
    whole = statistics.iqm_bootstrap(curves, confidence, resamples)
    for points in (slice(0, 10), slice(490, 500)):
        part = statistics.iqm_bootstrap(curves[:, points], confidence, resamples)
        np.testing.assert_allclose([limit[points] for limit in whole], part, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("function", [statistics.t_interval, statistics.iqm_bootstrap])
class TestOverSeeds:
    @given(values=SEEDS, shift=FLOATS, scale=st.floats(0.1, 10))
    @settings(max_examples=30)
    def test_moves_and_stretches_with_the_values(self, function, values, shift, scale):
        moved = function(values * scale + shift)
        for ours, theirs in zip(moved, function(values), strict=True):
            np.testing.assert_allclose(ours, theirs * scale + shift, rtol=1e-6, atol=1e-3)

    @given(values=SEEDS, random=st.randoms(use_true_random=False))
    @settings(max_examples=30)
    def test_the_order_of_seeds_does_not_matter(self, function, values, random):
        shuffled = values.tolist()
        random.shuffle(shuffled)
        np.testing.assert_allclose(function(shuffled), function(values), rtol=1e-7, atol=1e-7)

    @given(values=SEEDS)
    @settings(max_examples=30)
    def test_the_estimate_lies_within_and_more_confidence_is_wider(self, function, values):
        narrow, wide = function(values, 0.8), function(values, 0.95)
        slack = 1e-6
        assert wide.low <= narrow.low + slack and narrow.high <= wide.high + slack
        assert wide.low - slack <= wide.estimate <= wide.high + slack

    def test_a_missing_value_is_as_if_its_seed_were_not_there(self, function):
        values = np.random.default_rng(0).normal(size=(7, 3))
        values[[1, 4], 0] = np.nan
        np.testing.assert_allclose(np.array(function(values))[:, 0], function(values[[0, 2, 3, 5, 6], 0]), rtol=1e-12)
        np.testing.assert_allclose(np.array(function(values))[:, 1], function(values[:, 1]), rtol=1e-12)

    def test_one_seed_has_no_interval_and_none_has_nothing(self, function):
        estimate, low, high = function([[3.0, np.nan]])
        np.testing.assert_equal(estimate, [3.0, np.nan])
        assert np.isnan([low, high]).all()

    def test_an_infinite_value_gives_no_limits(self, function):
        assert np.isnan(function([1.0, 2.0, np.inf])[1:]).all()

    def test_any_shape_behind_the_seeds(self, function):
        values = np.random.default_rng(0).normal(size=(5, 2, 3))
        result = function(values)
        assert [part.shape for part in result] == [(2, 3)] * 3
        np.testing.assert_allclose([part[1, 2] for part in result], function(values[:, 1, 2]))

    def test_the_same_input_gives_the_same_bits(self, function):
        values = np.random.default_rng(0).normal(size=(5, 100))
        np.testing.assert_array_equal(function(values), function(values))


RATES = hnp.arrays(np.float64, st.integers(2, 12), elements=st.floats(0, 1))


@given(hnp.arrays(np.float64, st.integers(2, 12), elements=st.floats(0.01, 0.99)))
def test_the_interval_of_rates_is_the_delta_method_on_the_logit(rates):
    if np.ptp(rates) < 1e-6:
        return
    mean, n = rates.mean(), len(rates)
    half = stats.t.ppf(0.975, n - 1) * stats.sem(rates) / (mean * (1 - mean))
    expected = 1 / (1 + np.exp(-(np.log(mean / (1 - mean)) + half * np.array([-1, 1]))))
    np.testing.assert_allclose(statistics.rate_interval(rates)[1:], expected, atol=1e-9)


@given(RATES, st.integers(1, 1000))
def test_the_interval_of_rates_stays_within_0_and_1_and_holds_the_mean(rates, episodes):
    mean, low, high = statistics.rate_interval(rates, episodes)
    assert 0 <= low <= mean <= high <= 1
    assert low < high


@given(RATES, st.integers(1, 1000))
def test_successes_and_failures_are_treated_alike(rates, episodes):
    _, low, high = statistics.rate_interval(rates, episodes)
    _, lower, upper = statistics.rate_interval(1 - rates, episodes)
    assert (low, high) == pytest.approx((1 - upper, 1 - lower), abs=1e-9)


def test_seeds_that_agree_have_the_interval_of_their_episodes_and_none_without_them():
    """Half an episode is added, and the variance is that of so many independent episodes, which is known."""
    for rate in (1.0, 0.6):
        inner = (3000 * rate + 0.5) / 3001
        half = stats.norm.ppf(0.975) / np.sqrt(3000 * inner * (1 - inner))
        low, high = 1 / (1 + np.exp(-(np.log(inner / (1 - inner)) + half * np.array([-1, 1]))))
        found = statistics.rate_interval([rate] * 3, 1000)
        assert (found.low, found.high) == pytest.approx((low, 1.0 if rate == 1 else high), abs=1e-12)
        assert np.isnan(statistics.rate_interval([rate] * 3).low)


def test_the_interval_of_rates_of_a_curve_is_that_of_each_point_with_its_seeds_and_episodes():
    rates = np.random.default_rng(0).random((5, 3))
    rates[1, 0] = np.nan
    episodes = np.random.default_rng(1).integers(1, 50, size=(5, 3))
    whole = np.array(statistics.rate_interval(rates, episodes))
    for point in range(3):
        seeds = ~np.isnan(rates[:, point])
        np.testing.assert_allclose(
            whole[:, point], statistics.rate_interval(rates[seeds, point], episodes[seeds, point]), rtol=1e-12
        )


def test_more_variance_widens_the_interval_of_rates():
    rates = [0.9, 0.95, 0.97]
    narrow, wide = statistics.rate_interval(rates), statistics.rate_interval(rates, extra_variance=0.01)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_the_published_rates_have_the_interval_that_was_computed_by_hand():
    """Seeds 92 to 101 at iteration 700, mean 0.9864: logit -+ 2.262 x 0.00316 / (0.9864 x 0.0136)."""
    rates = [0.988, 0.966, 0.985, 0.975, 0.995, 0.996, 0.983, 0.985, 0.993, 0.998]
    mean, error = np.mean(rates), stats.sem(rates)
    low, high = stats.logistic.cdf(stats.logistic.ppf(mean) + 2.2621572 * error / mean / (1 - mean) * np.array([-1, 1]))
    assert statistics.rate_interval(rates)[1:] == pytest.approx((low, high), abs=1e-6)


@given(st.integers(0, 40), st.integers(1, 40), st.sampled_from([0.8, 0.95]))
def test_clopper_and_pearsons_limits_are_scipys(successes, trials, confidence):
    successes = min(successes, trials)
    expected = stats.binomtest(successes, trials).proportion_ci(confidence, "exact")
    assert statistics.clopper_pearson(successes, trials, confidence) == pytest.approx(
        (expected.low, expected.high), abs=1e-9
    )


def test_none_of_ten_seeds_below_allows_a_quarter_of_all_seeds_to_be():
    found = statistics.share_below([0.96] * 10 + [np.nan], 0.95)
    assert (found.below, found.seeds) == (0, 10)
    assert found.high == pytest.approx(1 - 0.05 ** (1 / 10))
    assert statistics.share_below([0.9, 0.96, 0.95], 0.95).below == 1


def test_rates_outside_of_0_to_1_are_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        statistics.rate_interval([0.5, 1.1])


def test_the_interquartile_mean_is_left_out_where_seeds_are_too_few():
    values = np.random.default_rng(0).random((statistics.LEAST_IQM + 2, 2, 2))
    values[statistics.LEAST_IQM :, 0, 1] = np.nan
    values[statistics.LEAST_IQM - 1 :, 1, 0] = np.nan
    found = statistics.iqm_interval(values)
    for part in found:
        assert np.isfinite(part).tolist() == [[True, True], [False, True]]
    assert np.isnan(statistics.iqm_interval([0.1, 0.2, 0.3])).all()
    alone = statistics.iqm_interval(values[: statistics.LEAST_IQM, 0, 1])
    assert [part[0, 1] for part in found] == pytest.approx(list(alone))


def test_the_interval_of_the_interquartile_mean_takes_the_expanded_percentiles():
    values = np.random.default_rng(0).random(10)
    tail = stats.norm.cdf(-np.sqrt(10 / 9) * stats.t.ppf(0.975, 9))
    expected = statistics.iqm_bootstrap(values, 1 - 2 * tail)
    np.testing.assert_allclose(statistics.iqm_interval(values), expected, rtol=1e-12)


def test_t_interval_covers_the_mean_of_normal_seeds():
    seeds = np.random.default_rng(1).normal(size=(5, 20_000))
    assert covered(statistics.t_interval(seeds), 0) == pytest.approx(95, abs=0.6)


@pytest.mark.parametrize("spread", [0.0, 0.05])
def test_t_interval_over_seeds_covers_the_success_rate_where_pooled_wilson_does_not(spread):
    """10 seeds x 1,000 episodes, true mean 0.8."""
    random = np.random.default_rng(2)
    rates = np.clip(random.normal(0.8, spread, size=(10, 10_000)), 0, 1)
    successes = random.binomial(1000, rates)
    assert 93 <= covered(statistics.t_interval(successes / 1000), 0.8) <= 97
    pooled = statistics.Interval(0.8, *statistics.wilson(successes.sum(axis=0), 10_000))
    assert (covered(pooled, 0.8) > 93) == (spread == 0)


@pytest.mark.parametrize("rate", [0.5, 0.8, 0.95])
def test_wilson_covers_one_checkpoints_rate(rate):
    successes = np.random.default_rng(3).binomial(1000, rate, size=50_000)
    assert 93 <= covered(statistics.Interval(rate, *statistics.wilson(successes, 1000)), rate) <= 97


def test_iqm_bootstrap_covers_with_many_seeds():
    """40 normal seeds; with 5 the interval is too narrow, as the docstring says."""
    seeds = np.random.default_rng(4).normal(size=(40, 1500))
    assert 92 <= covered(statistics.iqm_bootstrap(seeds, resamples=500), 0) <= 97
    few = np.random.default_rng(4).normal(size=(5, 3000))
    assert 80 <= covered(statistics.iqm_bootstrap(few, resamples=500), 0) <= 90


def smooth_curves(random, seeds, points, width=1.5):
    grid = np.linspace(0, 39, points)
    bumps = np.exp(-0.5 * ((grid[:, None] - np.arange(40)) / width) ** 2)
    return random.normal(size=(seeds, 40)) @ bumps.T


@pytest.mark.parametrize("seeds", [5, 10, 20])
def test_simultaneous_band_covers_whole_smooth_curves_and_the_pointwise_band_does_not(seeds):
    random = np.random.default_rng(5)
    simultaneous, pointwise = [], []
    for _ in range(1500):
        curves = smooth_curves(random, seeds, 150)
        for function, hits in (
            (statistics.simultaneous_band, simultaneous),
            (statistics.pointwise_band, pointwise),
        ):
            band = function(curves)
            hits.append(np.all((band.low <= 0) & (band.high >= 0)))
    assert 93 <= 100 * np.mean(simultaneous) <= 97.5
    assert np.mean(pointwise) < 0.6


def test_simultaneous_band_covers_rough_curves_too():
    random = np.random.default_rng(6)
    bands = [statistics.simultaneous_band(random.normal(size=(6, 30))) for _ in range(2000)]
    assert 93 <= 100 * np.mean([np.all((b.low <= 0) & (b.high >= 0)) for b in bands]) <= 97.5


@settings(max_examples=40)
@given(hnp.arrays(np.float64, st.tuples(st.integers(2, 8), st.integers(1, 20)), elements=FLOATS))
def test_simultaneous_band_contains_the_pointwise_band(curves):
    wide, narrow = statistics.simultaneous_band(curves), statistics.pointwise_band(curves)
    slack = 1e-6 * (1 + np.abs(curves).max())
    assert (wide.low <= narrow.low + slack).all() and (narrow.high <= wide.high + slack).all()


def test_a_curve_of_one_point_or_of_a_constant_curve_has_the_pointwise_band():
    values = np.random.default_rng(7).normal(size=(6, 1))
    for curves in (values, np.repeat(values, 50, axis=1)):
        wide, narrow = statistics.simultaneous_band(curves), statistics.pointwise_band(curves)
        np.testing.assert_allclose(wide.high, narrow.high, rtol=1e-9)


def test_simultaneous_band_with_missing_values_one_seed_and_equal_seeds():
    curves = smooth_curves(np.random.default_rng(8), 5, 50)
    curves[0, 30:] = np.nan
    band = statistics.simultaneous_band(curves)
    assert np.isfinite(band.low[:30]).all() and np.isnan(band.low[30:]).all()
    assert np.isfinite(band.estimate).all()
    assert np.isnan(statistics.simultaneous_band(curves[:1]).high).all()
    same = statistics.simultaneous_band(np.ones((3, 4)))
    np.testing.assert_array_equal(same.low, np.ones(4))


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="confidence 1"):
        statistics.t_interval([1.0, 2.0], 1)
    with pytest.raises(ValueError, match="axis of seeds"):
        statistics.iqm(1.0)
    with pytest.raises(ValueError, match="must be"):
        statistics.simultaneous_band([1.0, 2.0])


def test_wilsons_limits_are_those_of_the_formula():
    """Numbers by hand, in any shape."""
    low, high = statistics.wilson([[0, 3], [966, 1]], [[1000, 10], [1000, 5]])
    expected = [[0.0, 0.10779126740630099], [0.9528648097546889, 0.036224108632430085]]
    np.testing.assert_allclose(low, expected, rtol=0, atol=1e-12)
    expected = [[0.0038267584855551234, 0.6032218525388546], [0.9755686513367737, 0.6244653702374747]]
    np.testing.assert_allclose(high, expected, rtol=0, atol=1e-12)
