"""The table and the figure over tasks: what they say, and that they come from CSV files alone."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from helpers.several_tasks import make_task
from manyseeds.analysis.tasks import read_over_tasks
from manyseeds.core.layout import BENCHMARK, OVER_TASKS
from manyseeds.report import benchmark
from manyseeds.report.tables.over_tasks import over_tasks_grids
from manyseeds.report.tables.write import main as tables

SCORES = {
    "boat": {"old": (0.5, 0.6, 0.7), "new": (0.9, 0.95, 1.0)},
    "ship": {"old": (0.1, 0.2, 0.3), "new": (0.8, 0.9, 0.85)},
}


@pytest.fixture
def two(tmp_path: Path) -> Path:
    for name, scores in SCORES.items():
        make_task(tmp_path / name, scores, labels={"old": "as it was"}, evaluate={"smallest_difference": 0.02})
    return tmp_path


def test_the_table_has_a_column_for_each_task_and_says_whether_a_variant_helps(two: Path) -> None:
    scores, differences = over_tasks_grids(read_over_tasks(two))
    assert scores.header == ("Variant", "boat (%)", "ship (%)", "Over all tasks (%)")
    assert [row[0] for row in scores.rows] == ["as it was", "new"]
    assert scores.rows[0][1].startswith("60.0 [") and scores.rows[1][3].startswith("90.0 [")
    ((name, boat, ship, whole, better, says),) = differences.rows
    assert (name, better, says) == ("new", "100", "helps")
    assert boat.startswith("+35.0 [") and ship.startswith("+65.0 [") and whole.startswith("+50.0 [+")
    notes = " ".join((*scores.notes, *differences.notes))
    for said in (
        "boat: Docked (the boat touched the pier softly), last checkpoint, 20 episodes per seed.",
        "boat: 3 seeds of each variant; ship: 3 seeds of each variant.",
        "does not help where it is below 2 points (evaluate.smallest_difference)",
        "Differences to as it was",
    ):
        assert said in notes
    assert "IQM" not in notes


def test_missing_seeds_and_tasks_are_named(two: Path) -> None:
    make_task(two / "raft", {"old": (0.5, 0.6, 0.7), "new": (0.5, 0.6, 0.7)}, missing=(2,))
    (two / BENCHMARK).write_text(json.dumps({"experiments": ["boat", "ship", "raft", "kayak"]}))
    scores, differences = over_tasks_grids(read_over_tasks(two))
    notes = " ".join(scores.notes)
    assert "raft: old seed 2 is left out: no results." in notes
    assert "kayak: no results, so there is nothing over all tasks." in notes
    assert [row[-1] for row in scores.rows] == ["", ""] and differences.rows[0][-3:] == ("", "", "")


def test_one_variant_has_no_differences_and_one_seed_no_intervals(tmp_path: Path) -> None:
    for name in SCORES:
        make_task(tmp_path / name, {"default": (0.5,)})
    (grid,) = over_tasks_grids(read_over_tasks(tmp_path))
    assert grid.rows == (("default", "50.0", "50.0", "50.0"),)


def test_the_verb_writes_the_same_bytes_from_a_copy_of_the_csv_files(
    two: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmark.main([str(two)]) == 0
    assert "| new | " in capsys.readouterr().out
    names = {path.name for path in two.glob(f"{OVER_TASKS}.*")}
    assert names == {f"{OVER_TASKS}.{end}" for end in ("csv", "md", "html", "tex", "png", "svg", "pdf", "rst")}
    before = {name: (two / name).read_bytes() for name in names}
    for name in names:
        (two / name).unlink()
    for path in two.glob("**/*"):
        assert path.is_dir() or path.suffix in (".csv", ".json")
    assert benchmark.main([str(two)]) == 0
    assert {name: (two / name).read_bytes() for name in names} == before
    table = pd.read_csv(two / f"{OVER_TASKS}.csv")
    assert table["task"].tolist() == ["boat", "ship", "all tasks"] * 2
    caption = (two / f"{OVER_TASKS}.rst").read_text()
    assert re.search(r"Score of a run.*Dots.*Right.*Differences to as it was.*3 seeds of each variant", caption)


def test_tables_of_a_folder_of_experiments_have_it_too(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tables([str(two)]) == 0
    assert "| Variant | boat (%) | ship (%) | Over all tasks (%) |" in capsys.readouterr().out
    assert (two / f"{OVER_TASKS}.csv").is_file() and not (two / f"{OVER_TASKS}.svg").exists()
    # Of one experiment there is nothing over tasks.
    assert tables([str(two / "boat")]) == 0 and not list((two / "boat").glob(f"{OVER_TASKS}.*"))


def test_tables_of_experiments_without_a_common_variant_have_nothing_over_tasks(tmp_path: Path) -> None:
    make_task(tmp_path / "boat", {"a": (0.5, 0.6)})
    make_task(tmp_path / "ship", {"b": (0.5, 0.6)})
    assert tables([str(tmp_path)]) == 0 and not list(tmp_path.glob(f"{OVER_TASKS}.*"))
