"""workflow/benchmark.smk: the workflow once for each task, and a table and a figure over all of them."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from helpers.workflows import REPOSITORY, planned, run_snakemake
from manyseeds.config.benchmark import load_benchmark
from manyseeds.core.layout import OVER_TASKS
from manyseeds.workflow import benchmark
from workflow.test_failed import FIELDS

SNAKEFILE = REPOSITORY / "workflow" / "benchmark.smk"
PAGE = (REPOSITORY / "docs" / "benchmark.md").read_text(encoding="utf-8")
TRY, DRY, *_ = (line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines())
PROFILE = ("--workflow-profile", str(REPOSITORY / "profiles" / "default"))


def run(folder: Path, line: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the page in a folder next to the checkout."""
    _, *words = shlex.split(line.replace("workflow/benchmark.smk", str(SNAKEFILE)).replace("--cores all", "--cores 2"))
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *words, *more, *PROFILE],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=1800,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The page's trial, with the quickest task in place of both; the folder, and what was printed."""
    folder = tmp_path_factory.mktemp("benchmark")
    example = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE, re.S)[0])
    again = dict.fromkeys(example["experiments"], "experiments/demo.yaml")
    (folder / "ppo.yaml").write_text(yaml.safe_dump(example | {"experiments": again, "variants": {}}, sort_keys=False))
    done = run(folder, TRY)
    assert done.returncode == 0, done.stdout
    return folder, done.stdout


def test_every_task_is_trained_and_the_table_and_the_figure_are_over_all(finished: tuple[Path, str]) -> None:
    folder, told = finished
    results = folder / "results" / "try"
    table = pd.read_csv(results / f"{OVER_TASKS}.csv")
    assert table["task"].tolist() == ["cart_pole", "reach", "all tasks"] and table["seeds"].tolist() == [1, 1, 2]
    for name in ("cart_pole", "reach"):
        assert json.loads((results / name / "config.json").read_text())["experiment"] == f"try/{name}"
        assert (results / name / "default" / "seed_1" / "model_1.pt").is_file()
    assert all((results / f"{OVER_TASKS}.{suffix}").is_file() for suffix in ("html", "tex", "png", "svg", "pdf"))
    assert "| default |" in told and f"results/try/{OVER_TASKS}.html" in told


def test_a_second_run_has_nothing_to_do_and_another_estimate_makes_only_tables_again(
    finished: tuple[Path, str],
) -> None:
    folder, _ = finished
    assert "Nothing to be done" in run(folder, TRY).stdout
    again = run(folder, TRY.replace("{episodes: 8}", "{episodes: 8, smallest_difference: 0.1}"), "--dry-run")
    assert set(re.findall(r"^(\w+) +\d+$", again.stdout, re.M)) - {"total"} == {"over_tasks"}, again.stdout


def test_a_mistake_is_one_sentence_before_any_job(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    done = run(folder, DRY, "--config", "task=reach")
    assert done.returncode != 0 and "Traceback" not in done.stdout
    assert "ppo.yaml: task is set; it must be in the files that experiments names" in done.stdout


def test_a_failed_run_leaves_the_tables_of_its_task_without_it(tmp_path: Path) -> None:
    """Its success is what the trainer logs: the return, which needs no evaluation."""
    whole = FIELDS | {"trainer": FIELDS["trainer"] | {"command": FIELDS["trainer"]["command"].split(" --fail")[0]}}
    for name, fields in (("whole", whole), ("failing", FIELDS)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(fields))
    given = {"benchmark": "two", "experiments": {"whole": "whole.yaml", "failing": "failing.yaml"}, "seeds": [1, 2]}
    (tmp_path / "bench.yaml").write_text(yaml.safe_dump(given))
    done = run_snakemake(tmp_path, SNAKEFILE, "--configfile", "bench.yaml", *PROFILE, "over_tasks")
    assert done.returncode != 0
    assert "results/two/failing: default/seed_2 failed; writing tables and figures of the other 1" in done.stdout
    assert pd.read_csv(tmp_path / "results/two/failing/success_rates.csv")["seed"].tolist() == [1]
    # These tasks have no success rate.
    assert "no outcome of its task is a success rate" in done.stdout
    assert "failing_train_run" in planned(tmp_path, "over_tasks", "--configfile", "bench.yaml", snakefile=SNAKEFILE)


def test_what_is_shown_depends_on_names_labels_and_the_smallest_difference(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    found = load_benchmark(["experiments/benchmark.yaml"], {"labels": {"default": "ours"}})
    names, labels, baseline, smallest = benchmark.settings(found)
    assert names == list(found.fields) and labels == {"default": "ours"} and (baseline, smallest) == (None, None)
