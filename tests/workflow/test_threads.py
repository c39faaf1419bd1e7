"""Cores are shared out among the runs so that the last one is done soonest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manyseeds.workflow.plan import threads_of_runs
from manyseeds.workflow.resources import speedup


@pytest.mark.parametrize(
    ("runs", "cores", "threads"),
    [
        (3, 1, [1, 1, 1]),
        (3, 2, [1, 1, 2]),
        (2, 2, [1, 1]),
        (4, 2, [1, 1, 1, 1]),
        (10, 2, [1] * 10),
        (5, 4, [1, 1, 1, 1, 4]),
        (3, 8, [2, 2, 2]),
        (3, 32, [10, 10, 10]),
        (1, 8, [8]),
        (66, 64, [1] * 64 + [32, 32]),
        (100, 64, [1] * 64 + [2] * 32 + [16] * 4),
        (0, 4, []),
    ],
)
def test_cores_are_shared_so_that_all_runs_end_soonest(runs, cores, threads):
    assert threads_of_runs(runs, cores) == threads


@given(runs=st.integers(1, 500), cores=st.integers(1, 256))
def test_every_run_gets_threads_and_none_more_than_there_are_cores(runs, cores):
    threads = threads_of_runs(runs, cores)
    assert len(threads) == runs and all(1 <= number <= cores for number in threads)


@given(runs=st.integers(1, 40), cores=st.integers(1, 16), threads=st.integers(1, 16))
def test_no_number_of_threads_for_all_runs_is_done_sooner(runs, cores, threads):
    threads = min(threads, cores)
    alike = -(-runs // (cores // threads)) / speedup(threads)
    shared = threads_of_runs(runs, cores)
    # Rounds of equal runs, one after another.
    time, left = 0.0, shared
    while left:
        beside = min(cores // left[0], left.count(left[0]))
        time, left = time + 1 / speedup(left[0]), left[beside:]
    assert time <= alike + 1e-6
