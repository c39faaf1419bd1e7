"""Success by what episodes start with: the numbers, the table, and that both go with the names of the start column."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.synthetic_results import make_results
from manyseeds.analysis.data import Data
from manyseeds.analysis.results import find_results
from manyseeds.core.description import Description, Start
from manyseeds.core.errors import UserError
from manyseeds.report.tables.write import BY_START, write_tables
from manyseeds.tasks.lift_object.description import DESCRIPTION

NAMED = dataclasses.replace(
    DESCRIPTION, starts=(*DESCRIPTION.starts, Start("kind", "object", names=("cube", "flat_box", "ball")))
)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = make_results(tmp_path / "lift", ("base", "wide"), (1, 2, 3), iterations=20, episodes=40, description=NAMED)
    for path in folder.glob("*/seed_*/episodes.csv"):
        table = pd.read_csv(path)
        table.insert(2, "kind", (table["episode"] >= 30).astype(int))
        table.to_csv(path, index=False)
    return folder


def data_of(folder: Path) -> Data:
    [results] = find_results(folder)
    return Data(results)


def test_a_row_has_the_rates_of_the_last_checkpoint_over_the_episodes_of_its_name(made: Path) -> None:
    table = data_of(made).by_start
    assert table[["variant", "start", "name", "seeds", "episodes", "iteration"]].values.tolist() == [
        [variant, "kind", name, 3, episodes, 20]
        for variant in ("base", "wide")
        for name, episodes in (("cube", 30), ("flat_box", 10))
    ]
    rates = []
    for path in sorted(made.glob("wide/seed_*/episodes.csv")):
        own = pd.read_csv(path).query("iteration == 20 and kind == 1")
        rates.append([own["reached"].mean(), own["dropped"].mean(), own["final_distance"].mean()])
    reached, dropped, distance = np.array(rates).T
    row = table.iloc[3]
    assert row["reached_mean"] == pytest.approx(reached.mean())
    assert (row["reached_min"], row["reached_max"]) == (reached.min(), reached.max())
    assert row["reached_low"] < row["reached_mean"] < row["reached_high"]
    assert row["dropped"] == pytest.approx(dropped.mean())
    assert row["final_distance_mean"] == pytest.approx(distance.mean())


def test_the_table_is_written_and_goes_when_no_start_column_has_names(made: Path) -> None:
    said = write_tables(data_of(made).folder)
    assert "| Variant | Object | Seeds | Episodes | Reached, worst to best seed (%) | Reached (%) |" in said
    assert "| base | flat box | 3 | 10 |" in said
    assert len(pd.read_csv(made / f"{BY_START}.csv")) == 4
    config = json.loads((made / "config.json").read_text())
    for start in config["description"]["starts"]:
        start.pop("names")
    (made / "config.json").write_text(json.dumps(config))
    assert "flat box" not in write_tables(data_of(made).folder)
    assert not (made / f"{BY_START}.csv").exists()


def test_a_number_without_a_name_is_refused(made: Path) -> None:
    path = made / "base" / "seed_1" / "episodes.csv"
    table = pd.read_csv(path)
    table["kind"] = table["kind"].astype(float).replace(1.0, 0.5)
    table.to_csv(path, index=False)
    for other in made.glob("base/seed_[23]/episodes.csv"):
        pd.read_csv(other).assign(kind=table["kind"]).to_csv(other, index=False)
    with pytest.raises(
        UserError, match=r"seed_1/episodes.csv: column 'kind' must hold whole numbers from 0 to 2, which"
    ):
        _ = data_of(made).by_start


def test_a_description_with_names_is_read_as_it_was_written() -> None:
    assert Description.from_dict(json.loads(json.dumps(NAMED.to_dict()))) == NAMED
