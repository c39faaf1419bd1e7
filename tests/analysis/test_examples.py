"""Which episodes are shown: of the worst seed, where it fails most, beside successes from similar starts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.synthetic_results import write_config
from manyseeds.analysis.data import Data
from manyseeds.analysis.examples import Examples, examples
from manyseeds.analysis.results import find_results
from manyseeds.core.description import Description, Map, Outcome, Start

POINT = Description(
    starts=(Start("x", "x", "m"), Start("y", "y", "m")),
    outcomes=(Outcome("done", "Done", "share", "it was done"),),
    maps=(Map("from above", "x", "y"),),
)
GRID = np.array([(x, y) for x in np.linspace(0, 1, 20) for y in np.linspace(0, 1, 20)])


def choose(folder: Path, done: dict[int, np.ndarray], returns: np.ndarray | None = None, description=POINT) -> Examples:
    """Write episodes of each seed that start on a grid, and choose three of each kind."""
    for seed, values in done.items():
        run = folder / "default" / f"seed_{seed}"
        run.mkdir(parents=True)
        columns = {"iteration": 5, "episode": np.arange(400), "x": GRID[:, 0], "y": GRID[:, 1]}
        columns |= {"done": values.astype(int), "return": np.zeros(400) if returns is None else returns}
        pd.DataFrame(columns).to_csv(run / "episodes.csv", index=False)
    write_config(folder, ["default"], list(done), description)
    chosen = examples(Data(find_results(folder)[0]), "default", 3)
    assert chosen is not None
    return chosen


def near(x: float, y: float, radius: float) -> np.ndarray:
    return np.hypot(GRID[:, 0] - x, GRID[:, 1] - y) < radius


def test_the_worst_seed_fails_in_its_worst_region_and_succeeds_close_to_it(tmp_path):
    corner = near(1, 1, 0.2)
    odd = np.zeros(400, bool)
    odd[[3, 40, 90]] = True  # failures elsewhere
    chosen = choose(tmp_path / "a", {1: ~odd, 2: ~(corner | odd), 3: np.ones(400, bool)})
    assert chosen.worst_seed == chosen.succeeding_seed == 2 and list(chosen.rates) == [2, 1, 3]
    assert corner[list(chosen.failing)].all() and len(chosen.failing) == 3
    assert chosen.region.startswith("x 0.75 to 1.00 m and y 0.75 to 1.00 m: ") and "episodes fail" in chosen.region
    assert not (corner | odd)[list(chosen.succeeding)].any() and len(set(chosen.succeeding)) == 3
    for fails, succeeds in zip(chosen.failing, chosen.succeeding, strict=True):
        assert np.hypot(*(GRID[fails] - GRID[succeeds])) < 0.35
    assert (chosen.failed, chosen.episodes) == (int(corner.sum()) + 6, 1200)


def test_the_shared_episode_divides_the_seeds_most_evenly(tmp_path):
    done = {seed: np.ones(400, bool) for seed in (1, 2, 3, 4)}
    for seed in done:
        done[seed][7] = False  # all fail it
        done[seed][8] = seed > 2  # two fail it
        done[seed][9] = seed > 1
    assert choose(tmp_path / "a", done).shared == 8


def test_without_a_failure_the_episodes_of_the_lowest_return_are_shown(tmp_path):
    returns = np.arange(400.0)[::-1]
    chosen = choose(tmp_path / "a", {1: np.ones(400, bool), 2: np.ones(400, bool)}, returns)
    assert (chosen.failing, chosen.region, chosen.failed) == ((), "", 0)
    assert chosen.succeeding == (399, 398, 397) and chosen.shared == 399


def test_a_seed_that_fails_in_everything_is_shown_beside_the_best_one(tmp_path):
    chosen = choose(tmp_path / "a", {1: near(0, 0, 0.3), 2: np.zeros(400, bool), 3: near(0, 0, 0.1)})
    assert (chosen.worst_seed, chosen.succeeding_seed, chosen.region) == (2, 1, "")
    assert near(0, 0, 0.3)[list(chosen.succeeding)].all()


def test_where_no_seed_succeeds_there_is_nothing_beside(tmp_path):
    chosen = choose(tmp_path / "a", {1: np.zeros(400, bool)})
    assert len(chosen.failing) == 3 and chosen.succeeding == () and chosen.failed == 400


@pytest.mark.parametrize("kind", ["measure", "share"])
def test_a_task_without_success_is_judged_by_its_return(tmp_path, kind):
    """The share is one of which less is better."""
    bad = Outcome("done", "Fell", kind, "it fell", better="lower")
    description = Description(starts=POINT.starts, outcomes=(bad,), maps=POINT.maps)
    chosen = choose(tmp_path / "a", {1: np.ones(400, bool)}, np.arange(400.0), description)
    assert chosen.outcome.name == "return" and chosen.rates[1] == pytest.approx(199.5)
    assert chosen.failing == (0, 1, 2) and chosen.succeeding == (399, 398, 397)


@settings(max_examples=20, deadline=None)
@given(st.binary(min_size=50, max_size=50), st.booleans())
def test_what_is_shown_as_failing_fails_and_what_succeeds_succeeds(tmp_path_factory, done, maps):
    values = np.unpackbits(np.frombuffer(done, np.uint8)).astype(bool)
    description = POINT if maps else Description(outcomes=POINT.outcomes)
    chosen = choose(tmp_path_factory.mktemp("examples"), {1: values}, description=description)
    assert not values[list(chosen.failing)].any()
    assert values[list(chosen.succeeding)].all()
    assert len(chosen.failing) == min(3, int((~values).sum())) and len(set(chosen.failing)) == len(chosen.failing)
