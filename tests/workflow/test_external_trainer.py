"""Whole workflows with another trainer than ours, from its command to curves and tables."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from helpers.stranger import FIELDS, SMALL, with_trainer
from helpers.verbs import verb
from helpers.workflows import finish, planned, snakemake
from manyseeds import cli
from manyseeds.config.external import External
from manyseeds.core.layout import EVENT_FILE
from manyseeds.launch.status import Watcher

launch_verb = verb("launch")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the whole workflow has run with the stranger."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "agent.json").write_text(json.dumps(SMALL))
    return finish(folder, FIELDS | {"agent": "agent.json"})


def test_the_workflow_goes_from_another_trainer_to_curves_and_tables(finished: Path) -> None:
    results = finished / "results" / "tiny"
    for seed in (1, 2):
        run = results / "default" / f"seed_{seed}"
        scalars = pd.read_csv(run / "scalars.csv")
        assert list(scalars["iteration"]) == [1, 2, 3]
        record = json.loads((run / "run.json").read_text())
        assert set(record["outputs"]) >= {"model_2.pt", "model_3.pt", EVENT_FILE, "params/agent.yaml"}
        assert record["command"][-1] == "lift_object" and str(seed) in record["command"]
        assert record["config"]["trainer"]["name"] == "stranger" and record["container"] is None
    curves = pd.read_csv(results / "learning_curves.csv")
    reward = curves[curves["tag"] == "Loss/value"]
    assert list(reward["samples"]) == [16, 32, 48] and set(reward["n"]) == {2}
    text = (results / "success_rates.md").read_text()
    assert "Training, not an evaluation" in text and "stranger" in text
    assert "as stranger logs them" in (results / "figures" / "learning_curves.rst").read_text()
    assert "not evaluated here" in (results / "figures" / "final_success.rst").read_text()
    assert not list(results.rglob("episodes.csv")) and not list(results.rglob("policy.gif"))
    # One run, once, to TensorBoard.
    assert len(list(results.rglob("*tfevents*"))) == 2


def test_finished_runs_of_another_trainer_are_not_repeated(finished: Path) -> None:
    assert planned(finished) == set()
    assert "train_run" in planned(finished, "--config", "train={max_iterations: 4}")
    results = finished / "results" / "tiny"
    run = results / "default" / "seed_1"
    checkpoint = run / "model_3.pt"
    before, log = checkpoint.read_bytes(), (finished / "logs/tiny/default/seed_1/train.log").read_text()
    for name in ("model_3.pt", "run.json", EVENT_FILE):
        (run / name).unlink()
    arguments = ["--config", str(results / "config.json"), "--seed", "1", "--log", str(run / "again.log")]
    assert launch_verb(arguments) == 0
    assert checkpoint.read_bytes() == before and "Learning iteration" in log
    assert not (run / "again.log").exists()


def test_the_folder_that_another_trainer_filled_goes_when_its_run_is_exported(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "copy", symlinks=True)
    table = "results/tiny/default/seed_1/scalars.csv"
    result = snakemake(tmp_path / "copy", "--forcerun", "export", "--config", "keep_state=false", "--", table)
    assert result.returncode == 0, result.stdout
    one, two = (tmp_path / "copy" / "results/tiny/default" / f"seed_{seed}" for seed in (1, 2))
    assert not (one / "work").exists() and (one / "model_3.pt").is_file() and (two / "work").is_dir()


def test_watch_shows_runs_of_another_trainer(finished: Path) -> None:
    rows = Watcher(finished / "results" / "tiny").progress(time.time())
    assert [(row.run, row.state, row.iteration) for row in rows] == [
        ("default/seed_1", "finished", 3), ("default/seed_2", "finished", 3),
    ]  # fmt: skip


def test_a_program_that_is_not_there_is_one_sentence_before_any_job(tmp_path: Path) -> None:
    missing = with_trainer(command="no-such-trainer {seed} {num_envs} {max_iterations}", words={})
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(missing))
    result = snakemake(tmp_path)
    assert result.returncode != 0
    errors = [line for line in result.stdout.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "its program no-such-trainer is not found on PATH" in errors[0]
    assert "Traceback" not in result.stdout and not (tmp_path / "results/tiny/default").exists()


def test_without_a_success_scalar_tables_and_figures_come_with_the_return(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    subprocess.run(["cp", "-r", finished / "results" / "tiny", folder], check=True)
    content = json.loads((folder / "config.json").read_text())
    content["trainer"]["scalars"] = {"reward": "Loss/value", "reward_terms": "Episode_Reward/", "success": ""}
    content["description"] = External.model_validate(content["trainer"]).describe(None).to_dict()
    (folder / "config.json").write_text(json.dumps(content))
    for step in (["tables"], ["figures", "--only", "learning_curves", "final_success"], ["pages"]):
        assert cli.main([step[0], str(folder), *step[1:]]) == 0
    text = (folder / "success_rates.md").read_text()
    assert "| Variant | Seed | Iteration | Return in training |" in text
    assert "Success is left out: no scalar of stranger is named as one" in text
    assert "**mean, 2 seeds**" in text and "Return: Loss/value." in text
    rates = pd.read_csv(folder / "success_rates.csv")
    value = pd.read_csv(folder / "default/seed_1/scalars.csv")["Loss/value"].iloc[-1]
    assert rates["return_mean"].iloc[0] == pytest.approx(value) and "success" not in rates
    assert (folder / "figures" / "learning_curves.rst").read_text().startswith("Return per episode during training")


def test_a_success_scalar_that_is_no_share_is_refused_by_name(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folder = tmp_path / "tiny"
    subprocess.run(["cp", "-r", finished / "results" / "tiny", folder], check=True)
    content = json.loads((folder / "config.json").read_text())
    content["trainer"]["scalars"]["success"] = "Perf/total_fps"
    content["description"] = External.model_validate(content["trainer"]).describe(None).to_dict()
    (folder / "config.json").write_text(json.dumps(content))
    assert cli.main(["tables", str(folder)]) == 2
    assert "Perf/total_fps, which trainer.scalars.success names, is" in capsys.readouterr().err
