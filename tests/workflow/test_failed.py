"""One run that fails takes nothing from the others: their tables and figures are written, and name it."""

import shlex
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from helpers.workflows import REPOSITORY, planned, snakemake
from manyseeds.config import resolve
from manyseeds.workflow import failed
from manyseeds.workflow.failed import report_the_others
from manyseeds.workflow.trust import Findings

SCRIPT = REPOSITORY / "tests" / "helpers" / "small_trainer.py"
COMMAND = (
    f"{shlex.quote(sys.executable)} {shlex.quote(str(SCRIPT))} --seed {{seed}} --num_envs {{num_envs}}"
    " --max_iterations {max_iterations} --fail-with-seed 2"
)
FIELDS = {
    "experiment": "small",
    "seeds": [1, 2, 3],
    "task": "Any",
    "train": {"num_envs": 4, "max_iterations": 20},
    "trainer": {"name": "small", "command": COMMAND, "logs": "logs/*"},
}


def test_a_failed_run_leaves_the_tables_and_figures_of_the_others_and_stands_in_them(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(FIELDS))
    done = snakemake(tmp_path)
    assert done.returncode != 0
    assert "results/small: default/seed_2 failed; writing tables and figures of the other 2" in done.stdout
    results = tmp_path / "results" / "small"
    assert pd.read_csv(results / "success_rates.csv")["seed"].tolist() == [1, 3]
    assert "default seed 2 is left out: no results." in (results / "success_rates.md").read_text()
    caption = (results / "figures" / "learning_curves.rst").read_text()
    assert "Missing, because they left no results: default seed 2." in caption
    assert (results / "curves.html").is_file() and (results / "report.html").is_file()
    # The next start trains it again, and then makes everything of all three.
    assert {"train_run", "aggregate", "tables", "draw"} <= planned(tmp_path)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(failed, "call_verb", lambda arguments: found.append(arguments[0]) or 0)
    return found


def run(folder: Path, seed: int, *names: str) -> Path:
    path = folder / "default" / f"seed_{seed}"
    path.mkdir(parents=True)
    for name in names:
        (path / name).touch()
    return path


def test_files_of_an_earlier_run_are_none_of_the_failed_ones_results(tmp_path: Path, calls: list[str]) -> None:
    whole = run(tmp_path, 1, "run.json", "scalars.csv")
    begun = run(tmp_path, 2, "scalars.csv")
    other = run(tmp_path, 3, "run.json", "scalars.csv")
    findings = Findings(again={str(other / "scalars.csv"): "it was made from another event file"})
    missing = report_the_others(resolve(FIELDS), str(tmp_path), findings)
    assert missing == ["default/seed_2", "default/seed_3"]
    assert calls == ["curves", "tables", "figures", "pages", "report"]
    assert [(path / "scalars.csv").is_file() for path in (whole, begun, other)] == [True, False, False]


@pytest.mark.parametrize("seeds", [(), (1, 2, 3)])
def test_where_every_run_failed_or_none_nothing_is_written(tmp_path: Path, calls: list[str], seeds: tuple) -> None:
    for seed in seeds:
        run(tmp_path, seed, "run.json", "scalars.csv")
    assert report_the_others(resolve(FIELDS), str(tmp_path), Findings()) == [] and not calls
