"""What tables and captions say of variants that a race stopped early."""

import json

import numpy as np
import pandas as pd
import pytest

from helpers.synthetic_results import make_results
from helpers.verbs import verb
from manyseeds import statistics
from manyseeds.analysis.data import Data
from manyseeds.analysis.results import find_results
from manyseeds.core.errors import UserError
from manyseeds.core.layout import decision_name
from manyseeds.core.manifest import write_manifest
from manyseeds.core.race import Decision, Stop
from manyseeds.report.tables.text import grids

RACE = {"rungs": [20, 40], "stop": "halving", "keep": 0.5, "error": 0.05, "by": None, "episodes": 200, "seed": 1}
STOPPED = {"wide": Stop(20, 4, 4), "deep": Stop(20, 3, 4), "slow": Stop(40, 2, 2)}
ENDED = (
    "A race (successive halving at 20 and 40 iterations, by Reached, on 200 episodes other than those reported) ended "
    "variants early: wide stopped at rung 20, as 4th of 4; deep stopped at rung 20, as 3rd of 4; "
    "Slow one stopped at rung 40, as 2nd of 2."
)
SELECTED = "the numbers of the variants that went on are optimistic; fresh seeds give numbers without selection."


@pytest.fixture(scope="module")
def raced(tmp_path_factory):
    """Four variants of 60 iterations, of which two ended at the rung 20 and one at the rung 40."""
    folder = tmp_path_factory.mktemp("results") / "raced"
    names = ("best", "slow", "deep", "wide")
    make_results(folder, names, (1, 2, 3), race=RACE, labels={"slow": "Slow one"})
    for variant, stop in STOPPED.items():
        for path in folder.glob(f"{variant}/seed_*/*.csv"):
            table = pd.read_csv(path)
            table[table["iteration"] <= stop.iteration].to_csv(path, index=False)
    for rung in RACE["rungs"]:
        ends = {variant: stop for variant, stop in STOPPED.items() if stop.iteration <= rung}
        path = folder / decision_name(rung)
        path.write_text(json.dumps(Decision(rung, RACE, "reached", [], ends).to_dict()))
        write_manifest(folder, "race", [path], [], path.stem)
    return folder


@pytest.fixture
def data(raced):
    [folder] = find_results(raced)
    return Data(folder)


def test_a_stopped_variant_is_reported_at_its_end_and_named_with_its_rung_and_place(data):
    final, *_ = grids(data)
    ends = {row[0]: row[2] for row in final.rows}
    assert ends == {
        "best": "60",
        "Slow one (stopped at 40)": "40",
        "deep (stopped at 20)": "20",
        "wide (stopped at 20)": "20",
    }
    notes = " ".join(final.notes)
    assert ENDED in notes and SELECTED in notes
    assert "is left out" not in notes, "a variant that was stopped did not fail"


def test_a_pair_is_compared_at_the_last_checkpoint_that_both_have(data):
    compared = data.comparisons[data.comparisons["outcome"] == "reached"].set_index(["a", "b"])
    assert compared["iteration"].to_dict() == {
        ("best", "slow"): 40,
        ("best", "deep"): 20,
        ("best", "wide"): 20,
        ("slow", "deep"): 20,
        ("slow", "wide"): 20,
        ("deep", "wide"): 20,
    }
    rates = data.rates.set_index(["variant", "iteration", "seed"])["reached"].unstack()
    for (a, b), row in compared.iterrows():
        at = (rates.loc[(variant, row["iteration"])].to_numpy() for variant in (a, b))
        alone = statistics.compare(*at, comparisons=6)
        assert row["difference"] == pytest.approx(alone.difference)
        assert np.isfinite(row["p_corrected"]) and row["p_corrected"] == pytest.approx(min(1, 6 * row["p"]))
    table = grids(data)[1]
    assert table.header[:3] == ("A", "B", "Iteration") and table.rows[0][:3] == (
        "best",
        "Slow one (stopped at 40)",
        "40",
    )
    assert "their differences are too large on average, and p does not account for it" in " ".join(table.notes)


def test_captions_say_it_too(raced, tmp_path):
    assert verb("figures")([str(raced), "--only", "throughput", "--output", str(tmp_path)]) == 0
    [caption] = (path.read_text() for path in tmp_path.rglob("throughput.rst"))
    assert ENDED in caption and SELECTED in caption


def test_a_race_that_has_not_stopped_anything_says_nothing(raced, data, tmp_path):
    make_results(tmp_path / "raced", ("a", "b"), (1, 2), race=RACE)
    [folder] = find_results(tmp_path)
    assert folder.stopped == {} and folder.remarks == ()
    assert Data(folder).comparisons["iteration"].isna().all()


def test_a_decision_that_was_edited_is_refused(raced):
    path = raced / decision_name(20)
    content = path.read_text()
    path.write_text(content.replace("20", "30"))
    try:
        with pytest.raises(UserError, match=r"race_20\.json is not the file that `manyseeds race` left"):
            find_results(raced)
    finally:
        path.write_text(content)
