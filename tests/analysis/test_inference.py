"""Columns of episodes.csv without a description: told apart by their values."""

import numpy as np
import pandas as pd

from manyseeds.analysis.inference import infer_description
from manyseeds.analysis.results import same_episodes


def episodes(seed: int, checkpoints: int = 2, shift: float = 0.0) -> pd.DataFrame:
    """Episodes with two starts (one is empty in the first episode), a share and a measure."""
    random = np.random.default_rng(seed)
    tables = [
        pd.DataFrame(
            {
                "iteration": iteration,
                "episode": range(5),
                "place": np.arange(5) + 0.5 + shift,
                "gap": [np.nan, 2.0, 3.0, 4.0, 5.0],
                "done": random.integers(0, 2, 5),
                "seconds": random.uniform(1, 2, 5),
                "return": random.normal(size=5),
            }
        )
        for iteration in range(checkpoints)
    ]
    return pd.concat(tables, ignore_index=True)


def kinds(*tables: tuple[str, pd.DataFrame]) -> dict[str, str]:
    description = infer_description(tables)
    outcomes = {outcome.name: outcome.kind for outcome in description.outcomes}
    return {start.name: "start" for start in description.starts} | outcomes


def test_starts_repeat_shares_are_0_or_1_and_measures_are_the_rest() -> None:
    told = {"place": "start", "gap": "start", "done": "share", "seconds": "measure"}
    assert kinds(("a", episodes(1)), ("a", episodes(2))) == told
    assert kinds(("a", episodes(1, checkpoints=1)), ("a", episodes(2, checkpoints=1))) == told


def test_variants_may_start_elsewhere_but_seeds_may_not() -> None:
    assert kinds(("a", episodes(1)), ("b", episodes(2, shift=1)))["place"] == "start"
    assert kinds(("a", episodes(1)), ("a", episodes(2, shift=1)))["place"] == "measure"


def test_what_is_there_once_repeats_nothing() -> None:
    told = {"place": "measure", "gap": "measure", "done": "share", "seconds": "measure"}
    assert kinds(("a", episodes(1, checkpoints=1))) == told


def test_episodes_with_an_empty_start_are_the_same_episodes() -> None:
    starts = [episodes(seed, checkpoints=1)[["place", "gap"]] for seed in (1, 2)]
    assert same_episodes(starts)
    assert not same_episodes([starts[0], starts[1].fillna(1.0)])


def test_a_column_that_is_empty_throughout_is_a_measure() -> None:
    """A time that no episode has yet, such as that of the first success of policies that never succeed."""
    assert kinds(*(("a", episodes(seed).assign(first=np.nan)) for seed in (1, 2)))["first"] == "measure"


def test_without_episodes_nothing_is_known() -> None:
    assert kinds() == {}
    assert infer_description([("a", pd.DataFrame({"x": []}))]).starts == ()
