"""Another workflow uses this one as a module, with a config of its own."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from helpers.workflows import TINY, planned, run_snakemake
from manyseeds.core.layout import REPOSITORY

SNAKEFILE = """
configfile: "mine.yaml"

module robots:
    snakefile: "{snakefile}"
    config: config["robots"]
    {more}

use rule * from robots as robots_*

rule summary:
    default_target: True
    input: rules.robots_tables.output[0]
    output: "summary.txt"
    shell: "wc -l {{input}} > {{output}}"

onstart:
    print("the handler of the other workflow")
"""
DEPLOYED = """
configfile: "config/config.yaml"

module manyseeds:
    snakefile: "{snakefile}"
    config: config

use rule * from manyseeds
"""
ONE_RUN = {"seeds": [1], "train": {"num_envs": 8, "max_iterations": 1, "save_interval": 1}}


def workflow(folder: Path, more: str = "", snakefile: str = "Snakefile", **fields: object) -> None:
    text = SNAKEFILE.format(snakefile=REPOSITORY / snakefile, more=more)
    (folder / "Snakefile").write_text(text, encoding="utf-8")
    config = {"unknown to manyseeds": 1, "robots": TINY | ONE_RUN | fields}
    (folder / "mine.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_snakemake(folder, folder / "Snakefile", *arguments)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which the other workflow has run, and what it printed."""
    folder = tmp_path_factory.mktemp("module")
    workflow(folder)
    done = run(folder)
    assert done.returncode == 0, done.stdout
    return folder, done.stdout


def test_the_rules_train_and_report_for_the_other_workflow(finished) -> None:
    folder, _ = finished
    assert (folder / "summary.txt").read_text().endswith("results/tiny/success_rates.html\n")
    assert (folder / "results/tiny/default/seed_1/model_1.pt").is_file()


def test_jobs_start_after_our_handler_and_that_of_the_other_workflow(finished) -> None:
    folder, told = finished
    assert (folder / "results/tiny/config.json").is_file()
    assert "the handler of the other workflow" in told


def test_a_change_of_its_config_repeats_what_depends_on_it(finished) -> None:
    folder, _ = finished
    again = ("--rerun-triggers", "mtime", "params", "input")
    assert planned(folder, *again, snakefile=folder / "Snakefile") == set()
    workflow(folder, evaluate={"episodes": 9})
    assert planned(folder, *again, snakefile=folder / "Snakefile") == {
        "robots_evaluate_run",
        "robots_tables",
        "summary",
    }


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"sedes": [1]}, "the module's config: sedes is not a known key (did you mean seeds?)"),
        ({"more": 'prefix: "robots"'}, "the module statement of manyseeds has a prefix"),
    ],
)
def test_a_mistake_is_one_sentence_before_any_job(tmp_path: Path, arguments, sentence: str) -> None:
    workflow(tmp_path, **arguments)
    done = run(tmp_path, "--dry-run")
    assert done.returncode != 0 and sentence in done.stdout and "Traceback" not in done.stdout


def test_what_snakedeploy_writes_makes_all_that_the_workflow_makes(tmp_path: Path) -> None:
    (tmp_path / "workflow").mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text(yaml.safe_dump(TINY), encoding="utf-8")
    deployed = tmp_path / "workflow" / "Snakefile"
    deployed.write_text(DEPLOYED.format(snakefile=REPOSITORY / "workflow" / "Snakefile"), encoding="utf-8")
    assert {"train_run", "evaluate_run", "tables", "draw", "animate", "everything"} <= planned(
        tmp_path, snakefile=deployed
    )
    template = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text(encoding="utf-8"))
    assert template["experiment"] == "lift_object"


def test_the_workflow_says_what_the_catalogue_asks_for() -> None:
    catalogue = yaml.safe_load((REPOSITORY / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))
    assert catalogue["usage"]["software-stack-deployment"]["conda"] is True
    main = (REPOSITORY / "Snakefile").read_text(encoding="utf-8")
    assert re.search(r"^report: ", main, re.M)
    assert (REPOSITORY / "config" / "README.md").is_file()
