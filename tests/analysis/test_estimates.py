"""The reported numbers: what was fixed beforehand counts, and no failed or earlier run is silent."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.synthetic_results import make_external, make_results
from helpers.verbs import verb
from manyseeds import statistics
from manyseeds.analysis.data import Data
from manyseeds.analysis.estimates import grid_of
from manyseeds.analysis.results import find_results
from manyseeds.core import ledger
from manyseeds.core.errors import UserError
from manyseeds.report.tables.text import grids

main = verb("tables")


def change(folder: Path, **fields: object) -> dict[str, object]:
    path = folder / "config.json"
    content = json.loads(path.read_text()) | fields
    path.write_text(json.dumps(content))
    return content


def data_of(folder: Path) -> Data:
    return Data(find_results(folder)[0])


def notes(data: Data) -> str:
    return " ".join(note for grid in grids(data) for note in grid.notes)


def rows(data: Data) -> dict[str, tuple[str, ...]]:
    return {row[1]: row[3:] for row in grids(data)[0].rows}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_results(tmp_path / "lift", seeds=(1, 2, 3, 4))


def test_the_mean_of_the_last_checkpoints_counts_where_the_config_says_so(folder: Path) -> None:
    last = data_of(folder)
    change(folder, evaluate={"estimate": "mean_of_last_3"})
    data = data_of(folder)
    rates = data.rates[data.rates["iteration"] >= 40].groupby("seed")["reached"].mean()
    np.testing.assert_allclose(data.final["reached"], rates)
    row, other = data.final_over_seeds.iloc[0], last.final_over_seeds.iloc[0]
    assert row["reached_mean"] == pytest.approx(rates.mean())
    assert (row["reached_other"], other["reached_other"]) == pytest.approx((other["reached_mean"], row["reached_mean"]))
    assert (row["reached_low"], row["reached_high"]) == pytest.approx(
        (other["reached_other_low"], other["reached_other_high"])
    )
    assert "Rates of the mean of the last 3 checkpoints" in notes(data) and "last checkpoint" in rows(data)
    assert data.final["reached_low"].isna().all()  # Wilson's interval is of one checkpoint


def test_the_interval_of_the_reported_mean_is_for_new_seeds_and_new_episodes(folder: Path) -> None:
    data = data_of(folder)
    outcomes = np.stack([table["reached"].to_numpy() for table in data.final_episodes("default").values()])
    extra = statistics.crossed(outcomes).episode_variance
    expected = statistics.rate_interval(outcomes.mean(axis=1), 50, extra_variance=extra)
    row = data.final_over_seeds.iloc[0]
    assert (row["reached_low"], row["reached_high"]) == pytest.approx((expected.low, expected.high))
    over = data.rates_over_seeds.iloc[-1]
    assert row["reached_low"] <= over["reached_low"] and over["reached_high"] <= row["reached_high"]


def test_a_seed_that_left_nothing_stands_below_the_table_and_in_the_file(folder: Path) -> None:
    change(folder, seeds=[1, 2, 3, 4, 9])
    data = data_of(folder)
    assert "default seed 9 is left out: no results." in notes(data)
    row = data.final_over_seeds.iloc[0]
    assert (row["failed"], row["seeds"]) == ("9", 4)


def test_failed_runs_count_as_zero_where_the_config_says_so(folder: Path) -> None:
    without = data_of(folder).final_over_seeds.iloc[0]
    episodes = folder / "default" / "seed_4" / "episodes.csv"
    table = pd.read_csv(episodes)
    table[table["iteration"] < 60].to_csv(episodes, index=False)
    change(folder, seeds=[1, 2, 3, 4, 9], evaluate={"failed_runs": "count_as_zero"})
    data = data_of(folder)
    row = data.final_over_seeds.iloc[0]
    assert data.final["reached"].tolist()[3:] == [0, 0] and data.final["seed"].tolist() == [1, 2, 3, 4, 9]
    assert row["reached_mean"] == pytest.approx(data.final["reached"].mean())
    assert row["reached_mean"] < without["reached_mean"]
    assert (row["seeds"], row["reached_min"], row["failed"]) == (5, 0, "4 9")
    assert "default seed 9 counts as zero: no results." in notes(data)
    assert "9 (failed)" in rows(data) and "4 (failed)" in rows(data)


def test_failed_runs_count_in_comparisons_too(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lift", ("a", "b"), seeds=(1, 2, 3))
    before = data_of(folder).comparisons.iloc[0]
    (folder / "b" / "seed_3" / "episodes.csv").unlink()
    change(folder, evaluate={"failed_runs": "count_as_zero"})
    after = data_of(folder).comparisons.iloc[0]
    assert after["difference"] > before["difference"] + 0.2 and after["seeds_b"] == 3
    change(folder, evaluate={"failed_runs": "leave_out"})
    assert data_of(folder).comparisons.iloc[0]["seeds_b"] == 2


def test_seeds_below_the_requirement_have_a_row_with_the_limit_of_their_share(folder: Path) -> None:
    change(folder, evaluate={"requirement": 0.95})
    data = data_of(folder)
    below = int((data.final["reached"] < 0.95).sum())
    row = data.final_over_seeds.iloc[0]
    assert row["reached_below"] == below
    high = statistics.clopper_pearson(below, 4, 0.9)[1]
    assert row["reached_below_high"] == pytest.approx(high)
    assert rows(data)["seeds below 95 %"][0] == f"{below} of 4 (at most {100 * high:.0f} % of all)"
    change(folder, evaluate={})
    assert "seeds below 95 %" not in rows(data_of(folder))


def test_a_smallest_difference_gives_the_seeds_that_it_takes_and_looks_a_sequential_test(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lift", ("a", "b"), seeds=(1, 2, 3, 4))
    change(folder, evaluate={"smallest_difference": 0.05, "looks": [2, 4, 8]})
    data = data_of(folder)
    row = data.comparisons.iloc[0]
    scores = [own["reached"].to_numpy() for _, own in data.final.groupby("variant")]
    assert row["seeds_for_smallest"] == statistics.seeds_for_difference(*scores, 0.05)
    looks = statistics.sequential_test(*scores, (2, 4, 8))
    assert (row["look"], row["spent"], row["shown"]) == (looks[-1].seeds, looks[-1].spent, looks[-1].rejected)
    table = grids(data)[1]
    assert table.header[-2:] == ("Seeds for 5 points", "Sequential test")
    assert table.rows[0][-1].startswith(("not shown at 4 seeds", "different at"))


def test_seeds_that_differ_too_much_for_the_interval_are_named(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lift", seeds=(1, 2, 3, 4), finals=(0.97,))
    path = folder / "default" / "seed_2" / "episodes.csv"
    table = pd.read_csv(path)
    table[["reached", "held"]] = 0
    table.to_csv(path, index=False)
    assert "the interval of the mean covers less than 95 %" in notes(data_of(folder))


def test_a_grid_of_settings_has_main_effects_and_interactions(tmp_path: Path) -> None:
    names = ("small_0.9", "small_0.99", "wide_0.9", "wide_0.99")
    folder = make_results(tmp_path / "lift", names, seeds=(1, 2, 3))
    settings = {
        f"{size}_{gamma}": {"agent": {"actor": {"hidden": width}, "critic": {"hidden": width}, "gamma": gamma}}
        for size, width in (("small", [64]), ("wide", [256]))
        for gamma in (0.9, 0.99)
    }
    change(folder, variants=settings)
    data = data_of(folder)
    effects = data.effects[data.effects["outcome"] == "reached"].set_index("factors")
    assert list(effects.index) == ["hidden", "gamma", "hidden x gamma"]
    mean = data.final.groupby("variant")["reached"].mean()
    gamma = (mean["small_0.99"] + mean["wide_0.99"] - mean["small_0.9"] - mean["wide_0.9"]) / 2
    assert effects.loc["gamma", "estimate"] == pytest.approx(gamma)
    assert effects.loc["gamma", ["levels", "compared_with"]].tolist() == ["0.99", "0.9"]
    titles = [grid.header[0] for grid in grids(data)]
    assert titles == ["Variant", "A", "Outcome", "Variant"]


def test_variants_that_are_no_full_grid_have_no_effects() -> None:
    assert grid_of({"a": {"x": 1, "y": 1}, "b": {"x": 2, "y": 1}, "c": {"x": 1, "y": 2}}) == ({}, {})
    assert grid_of({"a": {}}) == ({}, {})
    factors, cells = grid_of({"a": {"x": 1}, "b": {"x": 2}, "c": {"x": 3}})
    assert factors == {"x": ["1", "2", "3"]} and cells["2",] == "b"


def test_logged_success_of_another_trainer_has_the_interval_of_rates_and_no_tail(tmp_path: Path) -> None:
    folder = make_external(tmp_path / "strange")
    data = data_of(folder)
    own = data.final[data.final["variant"] == "base"]
    expected = statistics.rate_interval(own["success"])
    row = data.final_over_seeds.iloc[0]
    assert (row["success_low"], row["success_high"]) == pytest.approx((expected.low, expected.high))
    assert "success_other" not in row and len(data.sources) == 0


@pytest.mark.parametrize(("key", "value"), [("requirement", 95), ("estimate", "best"), ("failed_runs", "forget")])
def test_a_config_json_with_a_wrong_evaluation_is_one_sentence(folder: Path, key: str, value: object) -> None:
    change(folder, evaluate={key: value})
    with pytest.raises(UserError, match=rf"config.json: evaluate.{key} is {value!r}"):
        find_results(folder)


def test_a_config_json_of_another_version_is_one_sentence_with_a_way_out(folder: Path) -> None:
    change(folder, evaluate={"points": 3})
    with pytest.raises(UserError, match=r"config.json: evaluate.points is a key that this .* writes the file anew"):
        find_results(folder)


def test_every_plan_and_every_run_that_is_not_reported_stands_below_the_table(folder: Path) -> None:
    assert "plan" not in notes(data_of(folder))
    config = change(folder, evaluate={"episodes": 50}, development={"seeds": []})
    ledger.enter(folder, config | {"seeds": [1, 2, 7, 8, 9]})
    first = ledger.read(folder)[0]["plan"]
    ledger.enter(folder, config | {"evaluate": {"episodes": 50, "estimate": "last"}})
    for seed, names in ((7, ["diverged_3.pt"]), (8, ["journal.json"])):
        (folder / "default" / f"seed_{seed}").mkdir()
        for name in names:
            (folder / "default" / f"seed_{seed}" / name).touch()
    (folder / "default" / "seed_1" / "run.json").write_text(json.dumps({"plan": first}))
    text = notes(data_of(folder))
    assert 'seeds 3, 4 added; seeds 7, 8, 9 removed; evaluate.estimate from null to "last"' in text
    assert "default seed 7 diverged; default seed 8 was stopped; default seed 9 left nothing" in text
    assert "Started before the present plan: default seed 1." in text
