import pytest
from hypothesis import given
from hypothesis import strategies as st

from manyseeds.workflow import threads_per_run


@pytest.mark.parametrize(
    ("runs", "cores", "threads"),
    [(3, 1, 1), (3, 2, 2), (2, 2, 1), (4, 2, 1), (3, 8, 2), (3, 32, 10), (1, 8, 8), (100, 64, 1)],
)
def test_cores_are_shared_so_that_all_runs_end_soonest(runs, cores, threads):
    assert threads_per_run(runs, cores) == threads


@given(runs=st.integers(1, 500), cores=st.integers(1, 256))
def test_a_run_never_gets_more_threads_than_there_are_cores(runs, cores):
    assert 1 <= threads_per_run(runs, cores) <= cores
