"""How success falls under factors: means and changes of the same seeds, and no seed that is silently left out."""

import json
from pathlib import Path

import pandas as pd
import pytest

from helpers.synthetic_results import add_factors, make_results
from manyseeds import statistics
from manyseeds.analysis.data import Data
from manyseeds.analysis.factors import together
from manyseeds.analysis.results import ResultsFolder, find_results, inputs_digest
from manyseeds.core.errors import UserError
from manyseeds.core.manifest import write_manifest
from manyseeds.report.tables.factors import factors_grid

FACTORS = {"object_z": [0.1, 0.2], "object_x": [[0.3, 0.7]]}
COUNTS = {1: (90, 40), 2: (80, 35), 3: (70, 30)}
"""Of 100 episodes, by seed: how many are reached in the nominal condition, and with object_z = 0.1."""


def found(folder: Path) -> ResultsFolder:
    [results] = find_results(folder)
    return results


def change(folder: Path, **fields: object) -> None:
    path = folder / "config.json"
    content = json.loads(path.read_text())
    content["evaluate"] = content.get("evaluate", {}) | fields
    path.write_text(json.dumps(content))


def rewrite(folder: Path, seed: int, **columns: object) -> Path:
    path = folder / "default" / f"seed_{seed}" / "factors.csv"
    pd.read_csv(path, keep_default_na=False).assign(**columns).to_csv(path, index=False)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = make_results(tmp_path / "lift", seeds=tuple(COUNTS), iterations=20, episodes=100)
    add_factors(folder, FACTORS)
    for seed, (nominal, changed) in COUNTS.items():
        rewrite(folder, seed, reached=[nominal, changed, 0, 100, 50])
    return folder


def test_each_condition_has_its_mean_and_its_change_of_the_same_seeds(folder: Path) -> None:
    table = Data(found(folder)).under_factors.set_index("condition")
    assert list(table.index) == ["nominal", "object_z = 0.1", "object_z = 0.2", "object_x = 0.3 to 0.7", "all"]
    row = table.loc["object_z = 0.1"]
    assert (row["seeds"], row["episodes"], row["iteration"]) == (3, 100, 20)
    assert table.loc["nominal", "reached_mean"] == pytest.approx(0.8)
    assert (row["reached_mean"], row["reached_min"], row["reached_max"]) == pytest.approx((0.35, 0.3, 0.4))
    limits = tuple(map(float, statistics.rate_interval([0.4, 0.35, 0.3], 100)[1:]))
    assert (row["reached_low"], row["reached_high"]) == pytest.approx(limits)
    # Of each seed -50, -45 and -40 points: Student's limits are 4.3027 x 5 / sqrt(3) = 12.42 points away.
    assert row["reached_difference"] == pytest.approx(-0.45)
    assert row["reached_difference_low"] <= -0.45 - 0.1242 and row["reached_difference_high"] >= -0.45 + 0.1242
    paired = tuple(map(float, statistics.paired_rate_difference([0.4, 0.35, 0.3], [0.9, 0.8, 0.7], 100)))
    assert (row["reached_difference_low"], row["reached_difference_high"]) == pytest.approx(paired[1:])
    assert table.loc["nominal", "reached_difference"] == 0 and pd.isna(table.loc["nominal", "reached_difference_low"])
    assert row["final_distance_mean"] == pytest.approx(table.loc["nominal", "final_distance_mean"])


def test_the_table_names_factors_and_values_and_the_levels_of_all_together(folder: Path) -> None:
    data = Data(found(folder))
    grid = factors_grid(data)
    assert [row[1:3] for row in grid.rows] == [
        ("nominal", ""),
        ("object_z", "0.1"),
        ("object_z", "0.2"),
        ("object_x", "0.3 to 0.7"),
        ("all together", ""),
    ]
    assert grid.rows[0][4].startswith("80 [") and grid.rows[0][5] == "" and grid.bold == (True, *[False] * 4)
    assert grid.rows[1][4].startswith("35 [") and grid.rows[1][5].startswith("-45 [-5")
    assert together(data.factor_rates) == "object_z = 0.2, object_x = 0.3 to 0.7"
    assert "All together: object_z = 0.2, object_x = 0.3 to 0.7." in grid.notes


def test_conditions_in_which_seeds_differ_too_much_for_an_interval_are_named(folder: Path) -> None:
    rewrite(folder, 1, reached=[99, 99, 99, 99, 99])
    rewrite(folder, 2, reached=[98, 98, 10, 98, 98])
    rewrite(folder, 3, reached=[97, 97, 97, 97, 97])
    [note] = [note for note in factors_grid(Data(found(folder))).notes if "cover less than 95 %" in note]
    assert "default, Reached: object_z = 0.2" in note


def test_two_seeds_have_no_interval_of_the_change(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"seeds": [1, 2]}))
    row = Data(found(folder)).under_factors.iloc[1]
    assert row["seeds"] == 2 and row["reached_difference"] == pytest.approx(-0.475)
    assert pd.isna(row["reached_difference_low"]) and pd.notna(row["reached_low"])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: (folder / "default/seed_2/factors.csv").unlink(), "it has no factors.csv"),
        (lambda folder: rewrite(folder, 2, iteration=10), "its factors.csv is of another checkpoint"),
        (lambda folder: rewrite(folder, 2, episodes=101), "its factors.csv has other conditions or episodes"),
        (
            lambda folder: rewrite(folder, 2, condition=["nominal", "a = 1", "b = 2", "c = 3", "all"]),
            "its factors.csv has other conditions or episodes",
        ),
    ],
)
def test_a_seed_without_these_numbers_is_left_out_and_named(folder: Path, spoil, reason: str) -> None:
    spoil(folder)
    data = Data(found(folder))
    assert list(data.under_factors["seeds"]) == [2] * 5
    assert f"default seed 2 is left out: {reason}." in factors_grid(data).notes


def test_a_run_that_failed_is_named_or_counts_as_zero_in_every_condition(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"seeds": [1, 2, 3, 9]}))
    assert "default seed 9 is left out: no results." in factors_grid(Data(found(folder))).notes
    change(folder, failed_runs="count_as_zero")
    data = Data(found(folder))
    table = data.under_factors
    assert list(table["seeds"]) == [4] * 5 and table["reached_mean"].iloc[0] == pytest.approx(0.6)
    assert not [note for note in factors_grid(data).notes if "left out" in note]


def test_files_that_the_config_does_not_ask_for_count_nowhere(folder: Path) -> None:
    asked = inputs_digest(found(folder))
    change(folder, factors={})
    assert not found(folder).played_under_factors and Data(found(folder)).under_factors.empty
    without = inputs_digest(found(folder))
    rewrite(folder, 1, reached=0)
    assert inputs_digest(found(folder)) == without != asked
    # Without a config.json, what is there is shown.
    (folder / "config.json").unlink()
    assert list(Data(found(folder)).under_factors["seeds"]) == [3] * 5


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"reached": 101}, "column 'reached' counts episodes; each number must be from 0 to those played"),
        ({"reached": "many"}, "column 'reached' holds something that is not a number"),
        ({"condition": "nominal"}, "the first row must be of the condition nominal, and each condition has one row"),
        ({"condition": list("abcde")}, "the first row must be of the condition nominal"),
    ],
)
def test_a_malformed_file_is_one_sentence(folder: Path, columns: dict, words: str) -> None:
    path = rewrite(folder, 1, **columns)
    with pytest.raises(UserError, match=words) as error:
        Data(found(folder)).read_all()
    assert str(error.value).startswith(str(path))


def test_a_file_that_was_edited_is_found(folder: Path) -> None:
    path = folder / "default" / "seed_1" / "factors.csv"
    write_manifest(path.parent, "evaluate-factors", [path], [], "factors")
    find_results(folder)
    rewrite(folder, 1, reached=0)
    with pytest.raises(UserError, match=r"factors\.csv is not the file that `manyseeds evaluate-factors` left"):
        find_results(folder)
