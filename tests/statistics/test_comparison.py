"""Comparing variants: agreement with SciPy, and coverage as stated."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from manyseeds import statistics

SCORES = hnp.arrays(np.float64, st.integers(2, 8), elements=st.floats(0, 1))
P_VALUES = hnp.arrays(np.float64, st.integers(1, 8), elements=st.floats(0, 1))


@settings(max_examples=50)
@given(SCORES, SCORES)
def test_difference_and_p_are_those_of_scipys_welch_test(a, b):
    found = statistics.compare(a, b, resamples=10)
    assert found.difference == pytest.approx(a.mean() - b.mean(), abs=1e-12)
    if min(a.std(), b.std()) > 1e-3:
        expected = stats.ttest_ind(a, b, equal_var=False)
        interval = expected.confidence_interval(0.95)
        assert found.p == pytest.approx(expected.pvalue, rel=1e-6)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-9)


@settings(max_examples=50)
@given(SCORES, SCORES)
@example(np.zeros(2), np.array([1.9e-160, 0.0]))  # the square of its variance is 0
def test_swapping_the_variants_changes_the_sign(a, b):
    one, other = statistics.compare(a, b, resamples=10), statistics.compare(b, a, resamples=10)
    assert one.difference == pytest.approx(-other.difference, abs=1e-12)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-9)
    assert one.p == pytest.approx(other.p, abs=1e-9)
    assert one.improvement == pytest.approx(1 - other.improvement)


@given(SCORES, SCORES)
def test_probability_of_improvement_is_mann_whitneys_u(a, b):
    expected = stats.mannwhitneyu(a, b, method="asymptotic").statistic / (len(a) * len(b))
    assert statistics.probability_of_improvement(a, b) == pytest.approx(expected)


def test_the_interval_of_improvement_equals_a_plain_bootstrap_over_the_seeds_of_both_variants():
    random = np.random.default_rng(0)
    a, b = random.normal(0.5, size=8), random.normal(size=6)
    ours = statistics.improvement_bootstrap(a, b, resamples=4000, seed=1)
    plain = statistics.bootstrap_interval(
        lambda x, y: np.asarray(statistics.probability_of_improvement(x, y)), a, b, resamples=4000, seed=2
    )
    assert ours.estimate == plain.estimate
    assert (ours.low, ours.high) == pytest.approx((plain.low, plain.high), abs=0.05)


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
        a, b = (outcomes(random, 6, 60, skill, difficulty) for skill in (1.0, 0.4))
        found = statistics.compare(a, b, resamples=2)
        hits.append(found.low <= truth <= found.high)
        same = statistics.compare(a, outcomes(random, 6, 60, 1.0, difficulty), resamples=2)
        false_alarms.append(same.p < 0.05)
    assert 93 <= 100 * np.mean(hits) <= 97
    assert 3 <= 100 * np.mean(false_alarms) <= 7


def test_the_episode_error_is_paired():
    """It is the spread of the difference over draws of episodes, without the difficulty that both variants share."""
    random = np.random.default_rng(2)
    differences, errors = [], []
    for _ in range(400):
        difficulty = 2 * random.normal(size=100)
        a, b = (outcomes(random, 1, 100, skill, difficulty, spread=0.0) for skill in (1.0, 0.4))
        found = statistics.compare(a, b, resamples=2)
        differences.append(found.difference)
        errors.append(found.episode_error)
    assert np.mean(errors) == pytest.approx(np.std(differences), rel=0.1)


def test_scores_without_episodes_and_single_seeds_give_nan_for_what_they_cannot_show():
    found = statistics.compare([0.9], [0.8, 0.7])
    assert found.difference == pytest.approx(0.15)
    assert np.isnan([found.low, found.high, found.p, found.improvement_low, found.episode_error]).all()
    assert (found.improvement, found.seeds_a, found.seeds_b) == (1.0, 1, 2)


def test_variants_without_any_spread():
    assert statistics.compare([0.9, 0.9], [0.9, 0.9]).p == 1.0
    assert statistics.compare([0.9, 0.9], [0.8, 0.8]).p == 0.0


def test_other_episodes_and_missing_values_are_refused():
    with pytest.raises(ValueError, match="not evaluated on the same episodes"):
        statistics.compare(np.ones((2, 5)), np.ones((2, 6)))
    with pytest.raises(ValueError, match="no NaN"):
        statistics.compare([1.0, np.nan], [1.0, 2.0])


def test_all_pairs_are_compared_and_corrected_together():
    random = np.random.default_rng(3)
    variants = {name: random.normal(shift, size=6) for name, shift in (("a", 0), ("b", 0.5), ("c", 3))}
    pairs = statistics.compare_all(variants)
    assert [(pair.a, pair.b) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [pair.p_corrected for pair in pairs] == statistics.holm([pair.p for pair in pairs]).tolist()


def test_holm_by_hand():
    np.testing.assert_allclose(statistics.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_array_equal(statistics.holm([0.6, np.nan, 0.7]), [1.0, np.nan, 1.0])


@given(P_VALUES)
def test_holm_never_falls_below_p_nor_above_bonferroni_and_keeps_the_order(p):
    corrected = statistics.holm(p)
    assert (p <= corrected).all() and (corrected <= np.minimum(1, len(p) * p)).all()
    assert (np.diff(corrected[np.argsort(p, kind="stable")]) >= 0).all()


def test_holm_keeps_the_share_of_families_with_a_false_alarm():
    p = np.random.default_rng(4).random((4000, 6))
    alarms = np.array([statistics.holm(family).min() < 0.05 for family in p])
    assert 100 * alarms.mean() == pytest.approx(5, abs=1.2)


def with_moments(mean, deviation, n):
    values = np.linspace(-1, 1, n)
    return mean + deviation * values / values.std(ddof=1)


@pytest.mark.parametrize(("effect", "n"), [(0.5, 64), (0.8, 26), (1.0, 17)])
def test_seeds_needed_are_those_of_the_power_tables(effect, n):
    """Cohen (1988), table 2.4.1: power .80, two-sided .05."""
    found = statistics.seeds_needed(with_moments(effect, 1, 3), with_moments(0, 1, 3))
    assert found == n - 3


def test_the_needed_number_of_seeds_finds_the_difference_with_the_given_power():
    n = statistics.seeds_needed(with_moments(1.2, 1, 4), with_moments(0, 1, 4), power=0.9) + 4
    random = np.random.default_rng(5)
    p = stats.ttest_ind(random.normal(1.2, size=(n, 8000)), random.normal(size=(n, 8000))).pvalue
    assert 100 * np.mean(p < 0.05) == pytest.approx(90, abs=2)


def test_seeds_needed_in_extreme_cases():
    assert statistics.seeds_needed([0.9, 0.9], [0.1, 0.1]) == 0
    assert statistics.seeds_needed(with_moments(9, 1, 10), with_moments(0, 1, 10)) == 0
    assert statistics.seeds_needed([0.5, 0.6], [0.6, 0.5]) is None
    assert statistics.seeds_needed(with_moments(1e-4, 1, 5), with_moments(0, 1, 5), limit=1000) is None
    with pytest.raises(ValueError, match="two seeds"):
        statistics.seeds_needed([1.0], [1.0, 2.0])


def test_welchs_limits_and_p_are_those_of_the_formula():
    """Numbers by hand: difference -+ t(0.975, v) s, with v by Satterthwaite."""
    found = statistics.compare([0.966, 0.988, 0.971, 0.994, 0.982], [0.95, 0.97, 0.91, 0.93])
    expected = (0.0401999999999999, 0.0014577534941720913, 0.0789422465058277, 0.04498654410289621)
    assert (found.difference, found.low, found.high, found.p) == pytest.approx(expected, abs=1e-12)
