"""Several experiments put together: scores, differences to the baseline, verdicts, and why there may be nothing."""

import json
from pathlib import Path

import pytest

from helpers.several_tasks import DRIFTING, make_task
from manyseeds import statistics
from manyseeds.analysis.data import Data
from manyseeds.analysis.results import find_results
from manyseeds.analysis.tasks import ALL, CANNOT_TELL, DOES_NOT_HELP, HELPS, HURTS, read_over_tasks, verdict
from manyseeds.core.errors import UserError
from manyseeds.core.layout import BENCHMARK
from manyseeds.statistics import Interval


@pytest.fixture
def two(tmp_path: Path) -> Path:
    make_task(tmp_path / "boat", {"old": (0.5, 0.6, 0.7), "new": (0.8, 0.9, 0.85)})
    make_task(tmp_path / "ship", {"old": (0.1, 0.2, 0.3), "new": (0.2, 0.3, 0.25)})
    return tmp_path


def row(over, variant: str, task: str):
    table = over.table
    return table[(table["variant"] == variant) & (table["task"] == task)].iloc[0]


def test_scores_and_differences_are_what_a_hand_computes(two: Path) -> None:
    over = read_over_tasks(two)
    assert over.baseline == "old"
    assert row(over, "old", "boat")["mean"] == pytest.approx(0.6) and row(over, "old", "ship")["mean"] == pytest.approx(
        0.2
    )
    whole = row(over, "new", ALL)
    assert whole["mean"] == pytest.approx((0.85 + 0.25) / 2) and whole["seeds"] == 6
    assert whole["difference"] == pytest.approx(((0.85 - 0.6) + (0.25 - 0.2)) / 2)
    # Boats: all nine pairs are won; ships: five of nine are won, and two are ties.
    assert whole["improvement"] == pytest.approx((1 + (5 + 2 / 2) / 9) / 2)


def test_the_intervals_are_those_of_the_tables_of_each_task(two: Path) -> None:
    over = read_over_tasks(two)
    for folder in find_results(two):
        data = Data(folder)
        own = data.final_over_seeds.set_index("variant").loc["new"]
        shown = row(over, "new", folder.name)
        assert shown[["mean", "low", "high"]].tolist() == pytest.approx(
            own[["docked_mean", "docked_low", "docked_high"]].tolist()
        )
        compared = data.comparisons.iloc[0]
        limits = shown[["difference", "difference_low", "difference_high"]].tolist()
        assert limits == pytest.approx([-compared["difference"], -compared["high"], -compared["low"]])


def test_a_missing_seed_leaves_the_others_and_a_task_without_runs_leaves_nothing_over_all(two: Path) -> None:
    make_task(two / "raft", {"old": (0.5, 0.6, 0.7), "new": (0.5, 0.6, 0.7)}, missing=(2,))
    over = read_over_tasks(two)
    assert row(over, "new", "raft")["seeds"] == 2 and row(over, "new", ALL)["seeds"] == 8
    (two / BENCHMARK).write_text(json.dumps({"experiments": ["ship", "boat", "raft", "kayak"]}))
    over = read_over_tasks(two)
    assert [task.name for task in over.tasks] == ["ship", "boat", "raft"] and over.absent == ("kayak",)
    assert row(over, "new", ALL)["seeds"] == 0 and row(over, "new", ALL).isna()["mean"]


def test_variants_are_those_that_every_experiment_names(two: Path) -> None:
    make_task(two / "raft", {"old": (0.5, 0.6), "other": (0.5, 0.6)})
    over = read_over_tasks(two)
    assert over.variants == ["old"] and over.baseline is None and over.table["difference"].isna().all()


def test_an_interquartile_mean_is_there_from_eight_seeds_of_each_task_on(tmp_path: Path) -> None:
    few, enough = (0.5, 0.6) * 2, (0.5, 0.6) * (statistics.LEAST_IQM // 2)
    make_task(tmp_path / "boat", {"a": enough})
    make_task(tmp_path / "ship", {"a": few})
    assert read_over_tasks(tmp_path).table["iqm"].notna().tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("low", "high", "smallest", "said"),
    [
        (0.01, 0.1, None, HELPS),
        (-0.1, -0.01, 0.05, HURTS),
        (-0.1, 0.1, None, CANNOT_TELL),
        (-0.1, 0.1, 0.05, CANNOT_TELL),
        (-0.01, 0.04, 0.05, DOES_NOT_HELP),
        (float("nan"), float("nan"), 0.05, None),
    ],
)
def test_the_verdict_follows_the_interval(low, high, smallest, said) -> None:
    assert verdict(Interval(0.0, low, high), smallest) == said


def test_without_a_success_rate_or_a_second_experiment_one_sentence_says_what_is_missing(tmp_path: Path) -> None:
    make_task(tmp_path / "boat", {"a": (0.5, 0.6)})
    with pytest.raises(UserError, match="only boat has results; a table over tasks needs two experiments"):
        read_over_tasks(tmp_path)
    make_task(tmp_path / "buoy", {"a": (0.5, 0.6)}, description=DRIFTING)
    with pytest.raises(UserError, match=r"buoy: no outcome of its task is a success rate .*leave the experiment out"):
        read_over_tasks(tmp_path)


def test_experiments_without_a_common_variant_are_refused(tmp_path: Path) -> None:
    make_task(tmp_path / "boat", {"a": (0.5, 0.6)})
    make_task(tmp_path / "ship", {"b": (0.5, 0.6)})
    with pytest.raises(UserError, match="the experiments have no variant in common"):
        read_over_tasks(tmp_path)


def test_a_damaged_list_of_tasks_is_one_sentence(two: Path) -> None:
    (two / BENCHMARK).write_text('{"experiments": 3}')
    with pytest.raises(UserError, match="experiments must be a list of names"):
        read_over_tasks(two)
