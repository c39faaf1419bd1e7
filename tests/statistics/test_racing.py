"""Who is stopped at a rung: never the best, never by the order of names, and with the promised error."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from manyseeds import statistics

SCORES = st.integers(1, 4).flatmap(
    lambda seeds: st.dictionaries(
        st.sampled_from("abcdefgh"),
        st.lists(st.integers(0, 20).map(lambda score: score / 20), min_size=seeds, max_size=seeds),
        min_size=2,
    )
)
SHARES = st.floats(0.01, 0.99)


@given(SCORES, SHARES)
def test_halving_keeps_its_share_and_whoever_ties_with_the_last_kept(scores, keep):
    stopped = statistics.beaten_by_place(scores, keep)
    kept = scores.keys() - stopped
    means = {variant: math.fsum(own) / len(own) for variant, own in scores.items()}
    assert len(kept) >= math.ceil(round(keep * len(scores), 9))
    assert all(means[out] < means[on] for out in stopped for on in kept)
    above = [variant for variant in kept if means[variant] > min(means[on] for on in kept)]
    assert len(above) < math.ceil(round(keep * len(scores), 9)), "only a tie keeps more than the share"


@given(SCORES, SHARES, st.randoms())
def test_neither_the_order_of_variants_nor_that_of_seeds_changes_who_is_stopped(scores, keep, random):
    names = list(scores)
    random.shuffle(names)
    shuffled = {name: random.sample(scores[name], len(scores[name])) for name in names}
    assert statistics.places(shuffled) == statistics.places(scores)
    assert statistics.beaten_by_place(shuffled, keep) == statistics.beaten_by_place(scores, keep)


@settings(max_examples=20, deadline=None)
@given(SCORES, SHARES, st.integers(1, 50))
def test_the_test_never_stops_the_best_and_more_comparisons_never_stop_more(scores, error, comparisons):
    stopped = statistics.beaten_in_test(scores, error, comparisons, rates=False)
    best = {variant for variant, place in statistics.places(scores).items() if place == 1}
    assert not stopped & best
    assert statistics.beaten_in_test(scores, error, comparisons + 1, rates=False) <= stopped


@settings(max_examples=20, deadline=None)
@given(SCORES, SHARES)
def test_a_variant_with_a_diverged_run_is_stopped_unless_all_have_one(scores, keep):
    first = next(iter(scores))
    diverged = scores | {first: [*scores[first][1:], math.nan]}
    assert statistics.places(diverged)[first] == len(scores)
    assert first in statistics.beaten_by_place(diverged, keep)
    assert first in statistics.beaten_in_test(diverged, 0.05, 1, rates=False)
    everywhere = {variant: [math.nan] for variant in scores}
    assert statistics.beaten_by_place(everywhere, keep) == set()
    assert statistics.beaten_in_test(everywhere, 0.05, 1, rates=True) == set()


def test_the_test_stops_what_is_clearly_worse_and_keeps_what_may_be_as_good():
    scores = {"good": [0.9, 0.92, 0.91, 0.93], "as good": [0.93, 0.89, 0.92, 0.9], "bad": [0.2, 0.25, 0.22, 0.18]}
    assert statistics.beaten_in_test(scores, 0.05, 6, rates=True, episodes=200) == {"bad"}


def test_among_variants_that_are_alike_the_test_stops_one_no_more_often_than_promised():
    """Three alike variants, two rungs whose scores hang together; the error of the whole race is 20 %."""
    random, false, races = np.random.default_rng(0), 0, 250
    for _ in range(races):
        level = random.normal(0, 1, (3, 5))
        rungs = [dict(zip("abc", level + random.normal(0, 0.3, (3, 5)), strict=True)) for _ in range(2)]
        false += any(statistics.beaten_in_test(rung, 0.2, 6, rates=False) for rung in rungs)
    # 20 % and three standard errors.
    assert 0 < false / races <= 0.2 + 3 * math.sqrt(0.2 * 0.8 / races)
