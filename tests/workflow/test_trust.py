"""What Snakemake does not see by itself: edited code, damaged, edited and deleted files, with a task of one file."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from helpers import workflows
from helpers.workflows import write_config
from manyseeds.audit.verify import verify
from manyseeds.cli import main
from manyseeds.core.layout import REPOSITORY
from manyseeds.core.manifest import manifest_path

RESULTS = Path("results") / "tiny"
RUN = RESULTS / "default" / "seed_1"
TASK = Path(__file__).parents[1] / "helpers" / "file_task.py"
HEAVIER = ('size="0.05 0.05 0.05" mass="1"', 'size="0.05 0.05 0.05" mass="8"')


def snakemake(folder: Path, *arguments: str):
    """Run it up to the report: all but the film of a policy, which takes long and is planned in dry runs only."""
    target = [] if {"train", "--dry-run"} & set(arguments) else ["write_report"]
    return workflows.snakemake(folder, *target, *arguments)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished workflow of one run with a task of one file."""
    folder = tmp_path_factory.mktemp("trust")
    shutil.copy(TASK, folder / "push.py")
    evaluate = {"episodes": 4, "factors": {"close": [0.05]}}
    write_config(folder, task={"file": "push.py"}, seeds=[1], evaluate=evaluate)
    result = workflows.snakemake(folder, "draw")
    assert result.returncode == 0, result.stdout
    film = folder / RESULTS / "default" / "policy.gif"
    checkpoint, stand_in = folder / RUN / "model_2.pt", REPOSITORY / "workflow" / "report" / "no_animation.gif"
    assert main(["film", str(checkpoint), "--output", str(film), "--stand_in", str(stand_in)]) == 0
    assert main(["film-page", str(film), "--output", str(film.with_suffix(".html"))]) == 0
    assert main(["film-failures", str(film.parent), "--stand_in", str(stand_in)]) == 0
    assert main(["report", str(folder / RESULTS)]) == 0
    assert verify(folder / RESULTS).problems == ()
    return folder


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def rules(result) -> set[str]:
    assert result.returncode == 0, result.stdout
    return set(re.findall(r"^(\w+) +\d+$", result.stdout, re.MULTILINE)) - {"total", "all"}


def record(folder: Path) -> dict:
    return json.loads((folder / RUN / "run.json").read_text())


def checkpoints(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / RUN).glob("model_*.pt")}


def test_a_comment_and_a_docstring_change_nothing(copy):
    edit(copy / "push.py", '"""Lengths in m, times in s."""', '"""Other words."""  # and a comment')
    result = snakemake(copy, "--dry-run")
    assert rules(result) == set() and "other code" not in result.stdout


def test_another_simulator_in_the_config_is_a_setting_and_no_other_code(copy):
    edit(copy / "config.yaml", "experiment: tiny", "experiment: tiny\nsimulator: mujoco_warp")
    result = snakemake(copy, "--dry-run")
    assert "train_run" in rules(result) and "other code" not in result.stdout


def test_an_edit_of_the_model_stops_everything_until_the_user_decides_and_accepting_is_written_everywhere(copy):
    edit(copy / "push.py", *HEAVIER)
    before = {path: path.read_bytes() for path in (copy / RESULTS).rglob("*.*") if path.is_file()}
    dry = snakemake(copy, "--dry-run")
    named = "note: results/tiny: trained by other code than the present (task/push.py): default/seed_1"
    assert named in dry.stdout and "changed_code=redo" in dry.stdout and "changed_code=accept" in dry.stdout
    assert "train_run" in rules(dry), "a dry run shows what redo would do"
    stopped = snakemake(copy)
    assert stopped.returncode != 0 and "Traceback" not in stopped.stdout
    assert "error: results/tiny: nothing starts before you say what to do" in stopped.stdout
    after = {path: path.read_bytes() for path in before}
    assert {path.name for path in before if before[path] != after[path]} <= {".checksums.json"}

    weights = checkpoints(copy)
    accepted = snakemake(copy, "--config", "changed_code=accept")
    assert accepted.returncode == 0, accepted.stdout
    assert checkpoints(copy) == weights and not list((copy / RUN).glob("superseded_*"))
    [entry] = record(copy)["accepted"]
    assert entry["files"]["task/push.py"] != record(copy)["made_by"]["files"]["task/push.py"]
    for path in ("success_rates.md", "success_rates.tex", "figures/final_success.rst"):
        text = (copy / RESULTS / path).read_text()
        assert "by other code than the present and accepted" in text, path
        assert "default seed 1" in text
    assert "other code accepted" in (copy / RESULTS / "provenance.html").read_text()
    assert verify(copy / RESULTS).problems == ()
    again = snakemake(copy, "--dry-run")
    assert rules(again) == set() and "other code" not in again.stdout, "what was accepted is accepted"


def test_redo_trains_anew_and_keeps_the_older_files(copy):
    edit(copy / "push.py", *HEAVIER)
    weights, made = checkpoints(copy), record(copy)["made_by"]
    result = snakemake(copy, "train", "--config", "changed_code=redo")
    assert result.returncode == 0, result.stdout
    assert checkpoints(copy).keys() == weights.keys() and checkpoints(copy) != weights
    assert record(copy)["made_by"] != made and any("the code has changed" in note for note in record(copy)["notes"])
    assert (copy / RUN / "superseded_1" / "model_2.pt").read_bytes() == weights["model_2.pt"]


def test_forcerun_trains_anew_to_the_same_bytes(copy):
    weights = checkpoints(copy)
    result = snakemake(copy, "train", "--forcerun", "train_run")
    assert result.returncode == 0, result.stdout
    assert "Starting over: it was forced" in result.stdout
    assert checkpoints(copy) == weights
    assert (copy / RUN / "superseded_1" / "state.pt").is_file() and not (copy / RUN / ".anew").exists()


def test_an_edit_of_the_judge_concerns_the_evaluation_of_a_task_in_a_package_only(copy, monkeypatch):
    """Whether evaluation has changed is asked apart from training; here its digest is another one."""
    manifest = copy / RUN / "evaluate.manifest.json"
    edit(manifest, '"evaluation/evaluate.py": "', '"evaluation/evaluate.py": "0')
    dry = snakemake(copy, "--dry-run")
    assert "evaluated by other code than the present (evaluation/evaluate.py): default/seed_1" in dry.stdout
    assert "trained by other code" not in dry.stdout
    assert "evaluate_run" in rules(dry) and "train_run" not in rules(dry)


OF_FACTORS = {"evaluate_factors", "tables", "draw", "write_report"}


def test_other_factors_and_other_code_of_theirs_repeat_their_evaluation_only(copy):
    dry = snakemake(copy, "--dry-run", "--config", "evaluate={factors: {close: [0.05, 0.02]}}")
    assert rules(dry) == OF_FACTORS
    edit(copy / RUN / "factors.manifest.json", '"evaluation/factors.py": "', '"evaluation/factors.py": "0')
    dry = snakemake(copy, "--dry-run")
    assert "evaluated by other code than the present (evaluation/factors.py): default/seed_1" in dry.stdout
    assert rules(dry) == OF_FACTORS


def forget(episodes: Path) -> None:
    """Leave nothing of an evaluation."""
    episodes.unlink()
    manifest_path(episodes.parent, "evaluate").unlink()


@pytest.mark.parametrize(
    ("name", "damage", "made_again"),
    [
        ("default/seed_1/model_1.pt", flip, "train_run"),
        ("default/seed_1/model_1.pt", Path.unlink, "train_run"),
        ("default/seed_1/params/env.yaml", flip, "train_run"),
        ("default/seed_1/run.json", lambda path: path.write_text("{"), "train_run"),
        ("default/seed_1/run.json", lambda path: edit(path, '"seed": 1,', '"seed": 2,'), "train_run"),
        ("default/seed_1", shutil.rmtree, "train_run"),
        ("default/seed_1/episodes.csv", lambda path: edit(path, "1", "0"), "evaluate_run"),
        ("default/seed_1/episodes.csv", Path.unlink, "evaluate_run"),
        # As after an evaluation that failed, when the tables of the other runs were written.
        ("default/seed_1/episodes.csv", forget, "evaluate_run"),
        ("default/seed_1/factors.csv", lambda path: edit(path, "nominal", "Nominal"), "evaluate_factors"),
        ("default/seed_1/factors.csv", Path.unlink, "evaluate_factors"),
        ("success_under_factors.tex", Path.unlink, "tables"),
        ("default/seed_1/scalars.csv", lambda path: edit(path, "1", "2"), "export"),
        ("learning_curves.csv", flip, "aggregate"),
        ("success_rates.md", lambda path: path.write_text("100 %"), "tables"),
        ("figures/final_success.png", flip, "draw"),
        ("curves.html", flip, "draw"),
        ("default/policy.gif", flip, "animate"),
        ("default/policy.gif", Path.unlink, "animate"),
        ("default/policy.html", flip, "animate"),
        ("default/failures.gif", flip, "film_failures"),
        ("default/seeds.gif", Path.unlink, "film_failures"),
        ("report.html", flip, "write_report"),
    ],
)
def test_what_was_edited_damaged_or_deleted_is_made_again(copy, name, damage, made_again):
    path = copy / RESULTS / name
    times = path.stat()
    damage(path)
    if path.is_file():  # Snakemake itself goes by the modification time
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    result = snakemake(copy, "--dry-run")
    assert made_again in rules(result), result.stdout


def test_everything_is_repaired_to_the_same_bytes(copy):
    kept = ("*.csv", "*.md", "*.png", "model_*.pt")
    wanted = {path: path.read_bytes() for kind in kept for path in (copy / RESULTS).rglob(kind)}
    edit(copy / RUN / "episodes.csv", "1", "0")
    (copy / RUN / "scalars.csv").unlink()
    (copy / RUN / "factors.csv").unlink()
    (copy / RUN / "model_2.pt").unlink()
    flip(copy / RESULTS / "figures" / "final_success.png")
    (copy / RESULTS / "success_rates.md").write_text("100 %")
    assert len(verify(copy / RESULTS).problems) >= 5
    result = snakemake(copy)
    assert result.returncode == 0, result.stdout
    assert {path for path, content in wanted.items() if path.read_bytes() != content} == set()
    assert verify(copy / RESULTS).problems == ()


def test_files_that_a_wrong_clock_dated_in_the_future_are_no_obstacle(copy):
    scalars = copy / RUN / "scalars.csv"
    wanted = scalars.read_bytes()
    scalars.unlink()
    for path in (copy / RESULTS).rglob("*"):
        if path.is_file():
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime + 3600))
    result = snakemake(copy)
    assert result.returncode == 0, result.stdout
    assert f"note: {RUN}/run.json was dated in the future; it is dated to now" in result.stdout
    assert scalars.read_bytes() == wanted
    assert "Nothing to be done" in snakemake(copy).stdout
