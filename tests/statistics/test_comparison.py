"""Comparing variants: agreement with SciPy and published examples, and what must hold for all numbers."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from manyseeds import statistics

SCORES = hnp.arrays(np.float64, st.integers(2, 8), elements=st.floats(0, 1))


@settings(max_examples=50)
@given(SCORES, SCORES)
def test_difference_and_p_of_measures_are_those_of_scipys_welch_test(a, b):
    found = statistics.compare(a, b, rates=False)
    assert found.difference == pytest.approx(a.mean() - b.mean(), abs=1e-12)
    if min(a.std(), b.std()) > 1e-3:
        expected = stats.ttest_ind(a, b, equal_var=False)
        interval = expected.confidence_interval(0.95)
        assert found.p == pytest.approx(expected.pvalue, rel=1e-6)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-9)


def test_far_from_0_and_1_the_interval_of_rates_is_nearly_welchs():
    random = np.random.default_rng(0)
    a, b = 0.5 + 0.01 * random.normal(size=(2, 8))
    ours, welch = statistics.compare(a, b), statistics.compare(a, b, rates=False)
    assert (ours.low, ours.high, ours.p) == pytest.approx((welch.low, welch.high, welch.p), rel=0.02)


def test_the_limits_of_a_difference_are_movers():
    """Zou and Donner's formula, with limits of each rate at the critical value of Welch's degrees of freedom."""
    a, b = np.array([0.99, 0.97, 0.985, 0.998]), np.array([0.9, 0.95, 0.8])
    rates = [(x.mean(), stats.sem(x)) for x in (a, b)]
    va, vb = (error**2 for _, error in rates)
    freedom = (va + vb) ** 2 / (va**2 / 3 + vb**2 / 2)
    assert freedom < 4
    critical = stats.t.ppf(0.975, freedom)
    logit = [np.log(m / (1 - m)) + critical * e / (m * (1 - m)) * np.array([-1, 1]) for m, e in rates]
    (la, ua), (lb, ub) = 1 / (1 + np.exp(-np.array(logit)))
    difference = a.mean() - b.mean()
    expected = (
        difference - math.hypot(a.mean() - la, ub - b.mean()),
        difference + math.hypot(ua - a.mean(), b.mean() - lb),
    )
    found = statistics.rate_difference(a, b)
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-12)
    assert (statistics.compare(a, b).low, statistics.compare(a, b).high) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=80)
@given(SCORES, SCORES, st.booleans(), st.integers(1, 15))
@example(np.zeros(2), np.array([1.9e-160, 0.0]), False, 1)  # the square of its variance is 0
def test_an_interval_excludes_0_where_its_corrected_p_is_below_5_percent_and_nowhere_else(a, b, rates, comparisons):
    found = statistics.compare(a, b, rates=rates, episodes=100, comparisons=comparisons)
    if math.isnan(found.p) or abs(found.p_corrected - 0.05) < 1e-6:
        return
    assert (found.low > 0 or found.high < 0) == (found.p_corrected < 0.05)


@settings(max_examples=50)
@given(SCORES, SCORES)
@example(np.zeros(2), np.array([1.9e-160, 0.0]))
def test_swapping_the_variants_changes_the_sign(a, b):
    one, other = statistics.compare(a, b, episodes=50), statistics.compare(b, a, episodes=50)
    assert one.difference == pytest.approx(-other.difference, abs=1e-12)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-9, nan_ok=True)
    assert one.p == pytest.approx(other.p, abs=1e-9, nan_ok=True)
    assert one.improvement == pytest.approx(1 - other.improvement)
    assert one.improvement_low == pytest.approx(1 - other.improvement_high, nan_ok=True)


@given(SCORES, SCORES)
def test_probability_of_improvement_is_mann_whitneys_u(a, b):
    expected = stats.mannwhitneyu(a, b, method="asymptotic").statistic / (len(a) * len(b))
    assert statistics.probability_of_improvement(a, b) == pytest.approx(expected)


@given(st.integers(0, 100), st.integers(2, 30), st.integers(2, 30))
def test_newcombes_limits_solve_his_equation(percent, n, m):
    """Method 5: |P - observed| = z sqrt(V(P)) with Hanley and McNeil's variance, both numbers of seeds averaged."""
    observed = percent / 100
    z, more = stats.norm.ppf(0.975), (n + m) / 2 - 1
    for limit, end in zip(statistics.newcombe_5(observed, n, m), (0, 1), strict=True):
        if observed == end:
            assert limit == end
            continue
        variance = limit * (1 - limit) * (1 + more * ((1 - limit) / (2 - limit) + limit / (1 + limit))) / (n * m)
        assert abs(limit - observed) == pytest.approx(z * math.sqrt(variance), abs=1e-9)
        assert (limit - observed) * (end - observed) > 0


def test_the_probability_of_improvement_has_an_interval_where_every_seed_of_one_wins():
    found = statistics.improvement_interval([0.9, 0.8, 0.95, 0.99], [0.1, 0.2, 0.3])
    assert found.estimate == found.high == 1
    assert 0.3 < found.low < 0.7
    for few in ([0.9, 0.8, 0.95], [0.9]):
        assert np.isnan(statistics.improvement_interval(few, [0.1, 0.2, 0.3]).low)


def test_with_unequal_numbers_of_seeds_rates_have_the_degrees_of_freedom_of_the_smaller_one():
    """The three seeds hardly spread, so Welch's degrees of freedom are nearly the nine of the others."""
    few, many = np.array([0.5, 0.5001, 0.4999]), np.linspace(0.3, 0.7, 10)
    found = statistics.rate_difference(few, many)
    half = stats.t.ppf(0.975, 4) * stats.sem(many)
    assert found.high - found.estimate == pytest.approx(half, rel=0.05)


def outcomes(random, seeds, episodes, skill, difficulty, spread=0.3):
    """Successes (seeds, episodes): each seed has its own skill, each episode a difficulty shared by all seeds."""
    skills = skill + spread * random.normal(size=(seeds, 1))
    return random.random((seeds, episodes)) < 1 / (1 + np.exp(difficulty - skills))


def test_the_interval_covers_the_difference_over_seeds_whatever_the_shared_episodes():
    random = np.random.default_rng(1)
    hits, false_alarms = [], []
    for _ in range(1000):
        difficulty = 2 * random.normal(size=60)
        mean = [1 / (1 + np.exp(difficulty - skill - 0.3 * random.normal(size=(400, 1)))) for skill in (1.0, 0.4)]
        truth = mean[0].mean() - mean[1].mean()
        a, b = (outcomes(random, 6, 60, skill, difficulty).mean(axis=1) for skill in (1.0, 0.4))
        found = statistics.rate_difference(a, b)
        hits.append(found.low <= truth <= found.high)
        same = statistics.rate_difference(a, outcomes(random, 6, 60, 1.0, difficulty).mean(axis=1))
        false_alarms.append(not same.low <= 0 <= same.high)
    assert 93 <= 100 * np.mean(hits) <= 97
    assert 3 <= 100 * np.mean(false_alarms) <= 7


OUTCOMES = hnp.arrays(np.bool_, st.tuples(st.integers(2, 4), st.just(5)))


@settings(max_examples=80)
@given(OUTCOMES, OUTCOMES, st.integers(1, 15))
@example(np.array([[1, 1, 1, 1, 0], [0, 0, 1, 1, 0]], bool), np.array([[0, 1, 0, 0, 0], [1, 0, 0, 0, 0]], bool), 10)
def test_no_interval_of_a_difference_of_rates_leaves_100_points(a, b, comparisons):
    """Neither with two seeds nor with episodes that all seeds share."""
    for values in ((a, b), (a.mean(axis=1), b.mean(axis=1))):
        found = statistics.compare(*values, comparisons=comparisons)
        assert not found.low < -1 and not found.high > 1
        assert math.isnan(found.low) or found.low <= found.difference <= found.high


def test_the_episode_error_is_paired():
    """It is the spread of the difference over draws of episodes, without the difficulty that both variants share."""
    random = np.random.default_rng(2)
    episodes, draws = 100, []
    errors = []
    for _ in range(300):
        difficulty = 2 * random.normal(size=episodes)
        skills = [skill + np.linspace(-0.2, 0.2, 5)[:, None] for skill in (2.0, -1.0)]
        chances = [1 / (1 + np.exp(difficulty - skill)) for skill in skills]
        draws.append(chances[0].mean() - chances[1].mean())
        a, b = (random.random(chance.shape) < chance for chance in chances)
        errors.append(statistics.compare(a, b).episode_error)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(draws), rel=0.15)


def test_scores_without_episodes_and_single_seeds_give_nan_for_what_they_cannot_show():
    found = statistics.compare([0.9], [0.8, 0.7])
    assert found.difference == pytest.approx(0.15)
    numbers = [found.low, found.high, found.p, found.p_corrected, found.improvement_low, found.episode_error]
    assert np.isnan([*numbers, found.detectable, found.widening]).all()
    assert (found.improvement, found.seeds_a, found.seeds_b) == (1.0, 1, 2)


def test_variants_without_any_spread_have_an_interval_only_where_the_number_of_episodes_is_known():
    found = statistics.compare([0.9, 0.9], [0.8, 0.8])
    assert np.isnan([found.low, found.p, found.detectable]).all()
    found = statistics.compare([0.9, 0.9, 0.9], [0.8, 0.8, 0.8], episodes=1000)
    assert 0 < found.low < 0.1 < found.high and found.p < 0.05


def test_other_episodes_missing_values_and_numbers_that_are_no_rates_are_refused():
    with pytest.raises(ValueError, match="not evaluated on the same episodes"):
        statistics.compare(np.ones((2, 5)), np.ones((2, 6)))
    with pytest.raises(ValueError, match="no NaN"):
        statistics.compare([1.0, np.nan], [1.0, 2.0])
    with pytest.raises(ValueError, match="between 0 and 1"):
        statistics.compare([1.5, 0.9], [0.2, 0.3])


def test_all_pairs_are_compared_and_corrected_together():
    random = np.random.default_rng(3)
    variants = {name: random.normal(shift, size=6) for name, shift in (("a", 0), ("b", 0.5), ("c", 3))}
    pairs = statistics.pairs_of(variants)
    assert pairs == [("a", "b"), ("a", "c"), ("b", "c")]
    assert statistics.pairs_of(variants, "b") == [("a", "b"), ("c", "b")]
    for x, y in ((variants[a], variants[b]) for a, b in pairs):
        pair = statistics.compare(x, y, rates=False, comparisons=len(pairs))
        test = stats.ttest_ind(x, y, equal_var=False)
        limits = test.confidence_interval(1 - 0.05 / 3)
        assert (pair.low, pair.high) == pytest.approx((limits.low, limits.high))
        assert pair.p_corrected == pytest.approx(min(1, 3 * test.pvalue))


def with_moments(mean, deviation, n):
    values = np.linspace(-1, 1, n)
    return mean + deviation * values / values.std(ddof=1)


@pytest.mark.parametrize(("effect", "n"), [(0.5, 64), (0.8, 26), (1.0, 17)])
def test_seeds_and_detectable_difference_are_those_of_the_power_tables(effect, n):
    """Cohen (1988), table 2.4.1: power .80, two-sided .05."""
    assert statistics.seeds_for_difference(with_moments(5, 1, 3), with_moments(0, 1, 3), effect) == n
    a, b = with_moments(7, 1, n), with_moments(0, 1, n)
    assert statistics.compare(a, b, rates=False).detectable <= effect
    fewer = statistics.compare(with_moments(7, 1, n - 1), with_moments(0, 1, n - 1), rates=False)
    assert fewer.detectable > effect


def test_the_detectable_difference_is_found_with_a_power_of_80_percent():
    random = np.random.default_rng(5)
    a, b = with_moments(0, 1, 6), with_moments(0, 2, 9)
    difference = statistics.compare(a, b, rates=False).detectable
    draws = random.normal(difference, 1, size=(6, 8000)), random.normal(0, 2, size=(9, 8000))
    assert 100 * np.mean(stats.ttest_ind(*draws, equal_var=False).pvalue < 0.05) == pytest.approx(80, abs=2)


def test_seeds_for_a_difference_in_extreme_cases():
    assert statistics.seeds_for_difference([0.9, 0.9], [0.1, 0.1], 0.1) == 2
    assert statistics.seeds_for_difference(with_moments(0, 1, 5), with_moments(0, 1, 5), 1e-4) is None
    with pytest.raises(ValueError, match="two seeds"):
        statistics.seeds_for_difference([1.0], [1.0, 2.0], 1)
    with pytest.raises(ValueError, match="greater than 0"):
        statistics.seeds_for_difference([1.0, 2.0], [1.0, 2.0], 0)


def test_no_permutation_of_three_against_three_seeds_gives_p_below_a_tenth():
    assert statistics.smallest_exact_p(3, 3) == pytest.approx(0.1)
    a, b = np.array([4.0, 5.0, 6.0]), np.array([1.0, 2.0, 3.0])
    test = stats.permutation_test((a, b), lambda x, y: x.mean() - y.mean(), n_resamples=np.inf)
    assert test.pvalue == pytest.approx(statistics.smallest_exact_p(3, 3))


def test_welchs_limits_and_p_are_those_of_the_formula():
    """Numbers by hand: difference -+ t(0.975, v) s, with v by Satterthwaite."""
    found = statistics.compare([0.966, 0.988, 0.971, 0.994, 0.982], [0.95, 0.97, 0.91, 0.93], rates=False)
    expected = (0.0401999999999999, 0.0014577534941720913, 0.0789422465058277, 0.04498654410289621)
    assert (found.difference, found.low, found.high, found.p) == pytest.approx(expected, abs=1e-12)
