"""A fixed part of `make coverage`: the intervals cover as docs/coverage.md says, which is what this code gives."""

import pytest

from manyseeds import statistics
from manyseeds.core.layout import REPOSITORY
from oracles import coverage

REPLICATES = 4000
SEEDS = (3, 5, 10)
PUBLISHED = coverage.beta(0.98, 0.012)


@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize(("mean", "sd"), [(0.5, 0.15), (0.9, 0.05), (0.98, 0.012)])
def test_the_interval_of_a_mean_rate_holds_within_the_limit_of_spread(mean, sd, seeds):
    assert sd < statistics.spread_limit(mean)
    found = coverage.means(coverage.beta(mean, sd), coverage.logit_t, seeds, REPLICATES)
    assert 93 <= found <= 97.5


@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize("iteration", [400, 500])
def test_it_holds_for_rates_of_trained_seeds_where_students_interval_does_not(iteration, seeds):
    own = coverage.observed(iteration)
    assert 92.5 <= coverage.means(own, coverage.logit_t, seeds, REPLICATES) <= 98
    if seeds == 3:
        assert coverage.means(own, coverage.t_cut, seeds, REPLICATES) < 90


def test_beyond_the_limit_of_spread_it_does_not_hold():
    assert coverage.means(coverage.beta(0.98, 0.05), coverage.logit_t, 10, REPLICATES) < 88
    assert statistics.spread_limit(0.98) < 0.05


def test_no_interval_of_the_mean_covers_where_one_seed_in_twenty_fails_and_the_limit_of_the_tail_does():
    failing = coverage.mixture(0.05, 0.3, coverage.beta(0.985, 0.01))
    assert coverage.means(failing, coverage.logit_t, 10, REPLICATES) < 50
    assert coverage.tails(0.05, 10) >= 95


@pytest.mark.parametrize("seeds", [8, 10, 20])
def test_the_interval_of_the_interquartile_mean_holds_from_the_number_of_seeds_on_that_it_is_shown(seeds):
    random = coverage.np.random.default_rng(seeds)
    truth = float(statistics.iqm(coverage.rates_of(PUBLISHED, random, (200_000,))))
    rates = coverage.rates_of(PUBLISHED, random, (seeds, 2000))
    assert 94 <= coverage.covered(statistics.iqm_interval(rates), truth) <= 98.5
    if seeds == 8:
        assert coverage.covered(statistics.iqm_bootstrap(rates), truth) < 93


@pytest.mark.parametrize("seeds", [(3, 3), (5, 5), (10, 10), (3, 10), (10, 3)])
def test_the_interval_of_a_difference_holds_also_for_unequal_numbers_of_seeds(seeds):
    found = coverage.differences(coverage.beta(0.9, 0.05), PUBLISHED, seeds, coverage.mover, REPLICATES)
    assert 93 <= found <= 98.5
    assert 93 <= coverage.differences(PUBLISHED, PUBLISHED, seeds, coverage.mover, REPLICATES) <= 98.5


@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize("conditions", coverage.CONDITIONS)
def test_the_interval_of_a_paired_difference_holds_whether_or_not_seeds_keep_their_order(conditions, seeds):
    for alike in (0.0, 0.9):
        assert coverage.paired(*conditions, alike, seeds, True, REPLICATES) >= 93.5


def test_students_interval_of_a_paired_difference_does_not_hold_near_the_limit():
    assert coverage.paired(*coverage.CONDITIONS[-1], 0.0, 5, False, REPLICATES) < 93


@pytest.mark.parametrize("seeds", SEEDS)
def test_the_simultaneous_band_holds_for_returns_like_the_published_ones_and_the_pointwise_one_does_not(seeds):
    name = next(iter(coverage.RETURNS))
    assert coverage.return_bands(name, seeds, True, 500) >= 92
    assert coverage.return_bands(name, seeds, False, 500) < 40


@pytest.mark.parametrize("variants", [3, 6])
def test_all_intervals_of_a_comparison_table_hold_together(variants):
    own = coverage.beta(0.9, 0.05)
    assert 95 <= coverage.families(own, variants, 10, True, REPLICATES) <= 98
    assert coverage.families(own, variants, 10, False, REPLICATES) < 91


@pytest.mark.parametrize("truth", [0.5, 0.9, 0.98])
def test_newcombes_interval_holds(truth):
    for seeds in (4, 10):
        assert 93 <= coverage.improvements(truth, seeds, True, REPLICATES) <= 98


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95])
def test_the_band_of_a_profile_covers_at_least_as_stated(share):
    for seeds in SEEDS:
        assert coverage.profiles(share, seeds, True) >= 95
        assert coverage.profiles(share, seeds, False) < 99


def test_the_band_of_a_success_curve_holds_also_where_all_seeds_are_at_0():
    flat = next(iter(coverage.PHASES))
    now, before = coverage.curves(5, True, 500), coverage.curves(5, False, 500)
    assert min(now.values()) >= 93
    assert before[flat] < 60


def test_the_interval_of_a_median_time_holds_between_checkpoints():
    assert coverage.crossings(0.2, 10, True, 300) >= 95
    assert coverage.crossings(0.2, 10, False, 300) < 80


def test_the_interval_for_new_seeds_and_new_episodes_holds_where_that_for_these_episodes_does_not():
    assert 93 <= coverage.seeds_and_episodes(20, 50, True, 500) <= 98.5
    assert coverage.seeds_and_episodes(20, 50, False, 500) < 85


def test_docs_coverage_is_what_the_code_gives():
    text = (REPOSITORY / "docs" / "coverage.md").read_text()
    for mean, sd in ((0.98, 0.01), (0.9, 0.1)):
        row = coverage.look_up_row(mean, sd)
        assert "| " + " | ".join(row) + " |" in text, "run make coverage"
