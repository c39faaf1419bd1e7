"""Tables, figures and pages follow the outcomes in config.json, whatever task or trainer they belong to."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from helpers.synthetic_results import DOCKING, make_docking, make_external, make_results, write_config
from helpers.verbs import verb
from manyseeds.analysis.results import find_results
from manyseeds.core.description import Outcome
from manyseeds.core.layout import REPOSITORY
from manyseeds.report.figures import NAMES
from manyseeds.report.figures.draw import draw
from manyseeds.report.tables.write import write_tables
from manyseeds.tasks.lift_object.description import DESCRIPTION

write_pages = verb("pages")
main = verb("tables")


def report(folder: Path, names: Sequence[str] = NAMES) -> Path:
    """Write tables, figures (of these names) and pages of an experiment."""
    (found,) = find_results(folder)
    write_tables(found)
    draw(found, names)
    assert write_pages([str(folder)]) == 0
    return folder


def captions(folder: Path) -> dict[str, str]:
    return {path.stem: path.read_text() for path in folder.glob("figures/*.rst")}


@pytest.fixture(scope="module")
def docking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(make_docking(tmp_path_factory.mktemp("results") / "docking"))


@pytest.fixture(scope="module")
def external(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(make_external(tmp_path_factory.mktemp("results") / "stranger"))


def test_a_task_with_other_outcomes_gets_its_own_columns(docking: Path) -> None:
    rates = pd.read_csv(docking / "success_rates.csv")
    assert list(rates.columns) == [
        *("variant", "seed", "iteration", "samples", "episodes"),
        *("docked", "docked_low", "docked_high", "docking_time_mean", "fuel_mean", "return_mean"),
    ]
    episodes = pd.read_csv(docking / "calm" / "seed_1" / "episodes.csv").groupby("iteration").mean()
    own = rates[(rates["variant"] == "calm") & (rates["seed"] == 1)].set_index("iteration")
    pd.testing.assert_series_equal(own["docking_time_mean"], episodes["docking_time"], check_names=False)
    assert set(pd.read_csv(docking / "success_rates_compared.csv")["outcome"]) == {"docked"}


def test_a_task_with_other_outcomes_gets_its_own_words(docking: Path) -> None:
    markdown = (docking / "success_rates.md").read_text()
    assert "| Docked (%) | Docking time (s) |" in markdown
    assert "Docked: the boat touched the pier softly" in markdown and "Docked, A - B (points)" in markdown
    said = captions(docking)
    for name in ("success_per_checkpoint", "final_success", "performance_profile", "time_to_threshold"):
        assert "Docked: the boat touched the pier softly." in said[name], name
    assert "names no map" in said["failure_map"]
    page = (docking / "curves.html").read_text()
    assert 'value="Evaluation/docked" checked' in page and 'value="Evaluation/fuel">' in page


def test_a_column_more_in_the_description_is_a_column_more_in_the_table(tmp_path: Path) -> None:
    folder = make_docking(tmp_path / "docking", seeds=(1, 2))
    scratched = Outcome("scratched", "Scratched", "share", "the boat lost paint", better="lower")
    for path in folder.rglob("episodes.csv"):
        table = pd.read_csv(path)
        table.assign(scratched=1 - table["docked"]).to_csv(path, index=False)
    write_config(folder, ("calm", "windy"), (1, 2), replace(DOCKING, outcomes=(*DOCKING.outcomes, scratched)))
    assert main([str(folder)]) == 0
    assert "scratched" in pd.read_csv(folder / "success_rates_over_seeds.csv")
    assert "Scratched (%)" in (folder / "success_rates.md").read_text()


def test_a_task_without_a_share_is_compared_by_its_measures(tmp_path: Path) -> None:
    folder = make_docking(tmp_path / "docking")
    write_config(folder, ("calm", "windy"), (1, 2, 3), replace(DOCKING, outcomes=DOCKING.outcomes[1:]))
    report(folder, ("final_success", "performance_profile", "time_to_threshold", "failure_map"))
    table = pd.read_csv(folder / "success_rates_compared.csv")
    assert list(table["outcome"]) == ["docking_time", "fuel", "return"]
    rates = pd.read_csv(folder / "success_rates.csv")
    final = rates[rates["iteration"] == 30].groupby("variant")["fuel_mean"]
    welch = stats.ttest_ind(final.get_group("calm"), final.get_group("windy"), equal_var=False)
    assert table.set_index("outcome").loc["fuel", "p"] == pytest.approx(welch.pvalue)
    assert "is a success rate" in captions(folder)["final_success"]


def test_without_a_description_the_columns_are_told_apart_by_their_values(docking: Path, tmp_path: Path) -> None:
    folder = make_docking(tmp_path / "docking")
    (folder / "config.json").unlink()
    assert main([str(folder)]) == 0
    for name in ("success_rates.csv", "success_rates_over_seeds.csv", "success_rates_compared.csv"):
        assert (folder / name).read_bytes() == (docking / name).read_bytes()


def test_another_trainer_is_an_experiment_with_other_outcomes(external: Path) -> None:
    rates = pd.read_csv(external / "success_rates.csv")
    columns = ["variant", "seed", "iteration", "samples", "averaged", "success", "return_mean"]
    assert list(rates.columns) == columns
    scalars = pd.read_csv(external / "wide" / "seed_2" / "scalars.csv").iloc[-5:]
    row = rates[(rates["variant"] == "wide") & (rates["seed"] == 2)].iloc[0]
    assert (row["iteration"], row["averaged"]) == (50, 5)
    assert row["success"] == pytest.approx(scalars["Metrics/success_rate"].mean())
    assert row["return_mean"] == pytest.approx(scalars["Train/mean_reward"].mean())
    over_seeds = pd.read_csv(external / "success_rates_over_seeds.csv").set_index("variant")
    low, high = stats.t.interval(0.95, 2, *_mean_and_error(rates, "base", "return_mean"))
    assert tuple(over_seeds.loc["base", ["return_low", "return_high"]]) == pytest.approx((low, high))
    assert set(pd.read_csv(external / "success_rates_compared.csv")["outcome"]) == {"success", "return"}


def _mean_and_error(rates: pd.DataFrame, variant: str, column: str) -> tuple[float, float]:
    numbers = rates.loc[rates["variant"] == variant, column]
    return numbers.mean(), stats.sem(numbers)


def test_tables_and_captions_say_that_training_is_no_evaluation(external: Path) -> None:
    markdown = (external / "success_rates.md").read_text()
    assert "Training, not an evaluation" in markdown and "Success in training (%)" in markdown
    said = captions(external)
    assert "Training, not an evaluation" in said["final_success"] and "Metrics/success_rate" in said["final_success"]
    assert "Each variant: n = 3" in said["final_success"] and "Wilson" not in said["final_success"]
    for name in ("success_per_checkpoint", "time_to_threshold", "failure_map"):
        assert said[name] == "Checkpoints of stranger are not evaluated here.\n"


def test_a_trainer_that_logs_no_success_has_tables_of_its_return(tmp_path: Path) -> None:
    folder = report(make_external(tmp_path / "stranger", success=""), ("final_success", "learning_curves"))
    markdown = (folder / "success_rates.md").read_text()
    assert "Success is left out" in markdown and "| Return in training |" in markdown
    assert list(pd.read_csv(folder / "success_rates_compared.csv")["outcome"]) == ["return"]
    assert "is a success rate" in captions(folder)["final_success"]


def test_a_scalar_that_some_or_all_runs_lack_is_said(tmp_path: Path) -> None:
    folder = make_external(tmp_path / "stranger")
    path = folder / "base" / "seed_1" / "scalars.csv"
    pd.read_csv(path).drop(columns="Metrics/success_rate").to_csv(path, index=False)
    report(folder, ("final_success",))
    text = (folder / "success_rates.md").read_text()
    assert "Metrics/success_rate was not logged at the end of base seed 1." in text
    assert set(pd.read_csv(folder / "success_rates_compared.csv")["outcome"]) == {"return"}
    for path in folder.rglob("scalars.csv"):
        pd.read_csv(path).drop(columns="Metrics/success_rate", errors="ignore").to_csv(path, index=False)
    report(folder, ("final_success", "performance_profile"))
    assert (
        "Success is left out: no run logged Metrics/success_rate at its end."
        in (folder / "success_rates.md").read_text()
    )


def test_a_success_rate_above_1_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_external(tmp_path / "stranger", success="Train/mean_reward")
    assert main([str(folder)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "trainer.scalars.success" in message and "from 0 to 1" in message


def test_everything_is_the_same_to_the_byte_when_repeated(tmp_path: Path) -> None:
    for make in (make_docking, make_external):
        folder = make(tmp_path / make.__name__, seeds=(1, 2))
        report(folder, ("final_success",))
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        report(folder, ("final_success",))
        assert {path: path.read_bytes() for path in before} == before
        said = re.search(rb"inputs sha256 [0-9a-f]{64}", before[folder / "curves.html"])
        assert said and said[0] in before[folder / "success_rates.tex"]


def test_nothing_outside_a_task_names_its_columns() -> None:
    names = [item.name for item in (*DESCRIPTION.starts, *DESCRIPTION.outcomes)]
    # In quotation marks, since a name may be a word that the code uses for something else.
    pattern = re.compile(rf"(?<=[\"'`])(?:{'|'.join(names)})(?=[\"'`])|\b(?:cube|gripper)\b")
    assert pattern.findall("""row["final_distance"] or 'held', the gripper""") == ["final_distance", "held", "gripper"]
    folders = ("src/manyseeds/analysis", "src/manyseeds/report", "workflow/rules", "workflow/report")
    for folder in folders:
        for path in (REPOSITORY / folder).rglob("*.*"):
            if path.suffix in (".py", ".js", ".j2", ".smk", ".rst"):
                assert pattern.findall(path.read_text(encoding="utf-8")) == [], path


def test_the_tables_of_this_packages_task_keep_their_columns(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lift", seeds=(1, 2))
    assert main([str(folder)]) == 0
    columns = list(pd.read_csv(folder / "success_rates.csv").columns)
    kept = [
        *("variant", "seed", "iteration", "samples", "episodes", "reached", "reached_low", "reached_high"),
        *("held", "held_low", "held_high", "dropped", "first_reached_s_mean", "final_distance_mean", "return_mean"),
    ]
    assert [column for column in columns if column in kept] == kept
