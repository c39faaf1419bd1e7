"""The workflow as a user runs it: the real snakemake, the real simulator, very little of both."""

import fcntl
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.workflows import planned, snakemake, write_config
from manyseeds.audit.verify import verify
from manyseeds.core.layout import REPOSITORY


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A folder in which the whole workflow has run."""
    folder = tmp_path_factory.mktemp("workflow")
    write_config(folder)
    result = snakemake(folder)
    assert result.returncode == 0, result.stdout
    (folder / "said.txt").write_text(result.stdout)
    return folder


def test_at_its_end_it_says_where_the_time_went_and_where_everything_is(finished):
    said = (finished / "said.txt").read_text()
    assert "rule train_run:" in said and "Playing 8 episodes with the checkpoints of default, seed 1" in said
    for stage, jobs in (("training", 2), ("evaluation", 2), ("tables", 1), ("figures and pages", 1), ("films", 1)):
        assert re.search(rf"^  {stage} +{jobs} +\d+\.\d$", said, re.MULTILINE), stage
    places = re.search(r"Where things are:\n(.*?)What to do next:\n", said, re.DOTALL)
    assert places is not None
    for line in places[1].splitlines():
        assert (finished / line.split()[0]).exists(), line
    assert said.index("| default |") < places.start()


def test_one_command_leaves_policies_curves_tables_and_figures(finished):
    results = finished / "results" / "tiny"
    for seed in (1, 2):
        run = results / "default" / f"seed_{seed}"
        for name in ("model_1.pt", "model_2.pt", "run.json", "scalars.csv", "episodes.csv", "params/agent.yaml"):
            assert (run / name).stat().st_size > 0, name
    for name in (
        "config.json",
        "learning_curves.csv",
        "success_rates.md",
        "figures/learning_curves.svg",
        "default/policy.gif",
    ):
        assert (results / name).stat().st_size > 0, name
    assert verify(results).problems == ()


def test_a_second_run_and_what_changes_no_result_have_nothing_to_do(finished):
    assert planned(finished) == set()
    assert planned(finished, "--config", "train={state_interval: 2}") == set()
    (REPOSITORY / "src/manyseeds/learning/generic_policy.json").touch()
    assert planned(finished) == set()


DOWNSTREAM = {"evaluate_run", "export", "aggregate", "tables", "draw", "film_failures", "write_report", "all"}


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ("seeds=[1, 2, 3]", {"train_run", *DOWNSTREAM}),
        ("train={max_iterations: 3}", {"train_run", "animate", *DOWNSTREAM}),
        ("evaluate={episodes: 9}", {"evaluate_run", "tables", "draw", "film_failures", "write_report", "all"}),
        (
            "evaluate={factors: {success_distance: [0.02]}}",
            {"evaluate_factors", "tables", "draw", "write_report", "all"},
        ),
        ("curves={band: simultaneous}", {"draw", "write_report", "all"}),
        ("curves={allow_corrupt: true}", DOWNSTREAM - {"evaluate_run", "film_failures"}),
    ],
)
def test_a_change_repeats_what_depends_on_it(finished, change, rules):
    assert planned(finished, "--config", change) == rules


def test_other_hyperparameters_train_again_and_the_target_train_sees_more_iterations(finished):
    assert "train_run" in planned(finished, "--config", "agent={overrides: {algorithm.gamma: 0.9}}")
    assert "train_run" in planned(finished, "train", "--config", "train={max_iterations: 3}")


def test_an_event_file_corrupt_in_its_middle_trains_its_run_again_unless_the_config_allows_it(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "copy")
    run = folder / "results" / "tiny" / "default" / "seed_1"
    events = run / "events.out.tfevents.manyseeds"
    content = bytearray(events.read_bytes())
    content[len(content) // 2] ^= 1
    events.write_bytes(content)
    dry = snakemake(folder, "--dry-run")
    assert f"note: {events.relative_to(folder)} is not the file that the run left; it is made again" in dry.stdout
    assert re.search(r"^train_run +1$", dry.stdout, re.MULTILINE)
    allowed = snakemake(folder, "--config", "curves={allow_corrupt: true}")
    assert "train_run" not in allowed.stdout
    assert allowed.returncode == 0, allowed.stdout
    account = json.loads((run / "scalars.json").read_text())
    assert account["corrupt_bytes"] > 0 and account["files"][0]["damage"][0]["kind"] == "corrupt"


def test_figures_are_drawn_again_from_csv_files_alone(finished, tmp_path):
    results = finished / "results" / "tiny"
    copy = tmp_path / "copy" / "tiny"
    for path in results.rglob("*.csv"):
        target = copy / path.relative_to(results)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    write_config(tmp_path)
    result = snakemake(tmp_path, "figures", "--config", f"results={copy}")
    assert result.returncode == 0, result.stdout
    for name in ("figures/learning_curves.png", "figures/learning_curves.pdf", "figures/throughput.png"):
        assert (copy / name).read_bytes() == (results / name).read_bytes(), name
    # The titles of the outcomes are in config.json, and since when the plan holds in ledger.json.
    for name in ("config.json", "ledger.json"):
        shutil.copy(results / name, copy)
    result = snakemake(tmp_path, "figures", "--config", f"results={copy}")
    assert result.returncode == 0, result.stdout
    for name in ("success_rates.md", "success_rates.html", "figures/final_success.png", "curves.html"):
        assert (copy / name).read_bytes() == (results / name).read_bytes(), name
    assert not (tmp_path / "results").exists()


def test_a_run_that_diverges_names_the_reason_and_the_others_go_on(tmp_path):
    # A step that long sends the weights to infinity.
    bad = {"agent": {"overrides": {"algorithm.learning_rate": 1e30, "algorithm.schedule": "fixed"}}}
    write_config(tmp_path, seeds=[1], variants={"bad": bad, "good": {}}, keep_state=False)
    result = snakemake(tmp_path, "evaluate")
    assert result.returncode != 0
    assert "error: bad/seed_1: training ended with exit code 1" in result.stdout
    assert "is not finite" in result.stdout and "iteration" in result.stdout
    good, bad_run = (tmp_path / "results" / "tiny" / name / "seed_1" for name in ("good", "bad"))
    assert (good / "run.json").is_file() and not (bad_run / "run.json").exists()
    # Without keep_state, a state stays as long as its run is not done.
    assert (good / "model_2.pt").is_file() and not (good / "state.pt").exists()
    assert (bad_run / "state.pt").is_file()


@pytest.mark.parametrize(
    ("fields", "arguments", "sentence"),
    [
        ({"sedes": [1]}, (), "error: config.yaml: sedes is not a known key (did you mean seeds?)"),
        ({"agent": "nowhere.json"}, (), "error: config.yaml: agent file nowhere.json cannot be read: No such file"),
        (
            {"container": {"mujoco": "nowhere.sif", "analysis": "docker://example.org/analysis"}},
            ("--use-singularity",),
            "error: config.yaml: container.mujoco is nowhere.sif, which does not exist; with --use-singularity it",
        ),
        (
            {"agent": {"file": "generic_policy.json", "overrides": {"algorithm.gamma": 2}}},
            (),
            "error: config.yaml: variant default: agent generic_policy.json: algorithm.gamma is 2; it must be",
        ),
        ({}, ("--config", "train={threads: 3}"), "error: config.yaml: train.threads is 3, but Snakemake has 2 cores"),
    ],
)
def test_bad_input_is_one_sentence_without_traceback_before_any_job(tmp_path, fields, arguments, sentence):
    write_config(tmp_path, **fields)
    result = snakemake(tmp_path, *arguments)
    assert result.returncode != 0
    errors = [line for line in result.stdout.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and errors[0].startswith(sentence)
    assert "Traceback" not in result.stdout and "rule" not in result.stdout.replace("workflow specific", "")


def test_who_plans_checks_agents_without_holding_the_trainers_packages(tmp_path):
    write_config(tmp_path)
    code = """
import sys
from manyseeds.core.errors import UserError
from manyseeds.workflow.plan import make_plan
make_plan([], {}, 2)
try:
    make_plan([], {"agent": {"overrides": {"algorithm.gamma": 2}}}, 2)
except UserError as error:
    print(error)
print({"torch", "rsl_rl"} & sys.modules.keys())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "algorithm.gamma is 2; it must be" in done.stdout and done.stdout.endswith("set()\n")


def test_without_the_option_no_image_is_needed_and_other_images_repeat_nothing(finished):
    images = {"mujoco": "nowhere.sif", "analysis": "docker://example.org/analysis"}
    assert planned(finished, "--config", f"container={images}") == set()


def test_a_missing_config_is_one_sentence(tmp_path):
    result = snakemake(tmp_path)
    assert result.returncode != 0
    assert "error: config.yaml cannot be read: No such file or directory" in result.stdout
    assert "Traceback" not in result.stdout


def test_two_workflows_never_work_on_the_same_results_and_a_killed_one_leaves_no_lock(tmp_path):
    write_config(tmp_path)
    (tmp_path / "results" / "tiny").mkdir(parents=True)
    with (tmp_path / "results" / "tiny" / ".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        result = snakemake(tmp_path, "train")
    assert result.returncode != 0
    assert "error: results/tiny: another Snakemake works on this experiment" in result.stdout
    assert "Traceback" not in result.stdout
    assert not (tmp_path / ".snakemake" / "locks").exists() or not any((tmp_path / ".snakemake" / "locks").iterdir())
