"""A bundle tells another team what a policy is, and runs with onnxruntime and NumPy alone."""

import ast
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import yaml

from helpers.documentation import commands
from helpers.training_runs import train
from helpers.verbs import verb
from manyseeds.core.layout import REPOSITORY

main = verb("export")
PUBLISHED = REPOSITORY / "results" / "published" / "lift_object"


@pytest.fixture(scope="module")
def published():
    """The first published run that comes with its policy."""
    return min(path.parent for path in PUBLISHED.glob("default/seed_*/model_*.pt"))


@pytest.fixture(scope="module")
def bundle(published, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "policy"
    assert main([str(published), "--bundle", str(folder), "--licence", "apache-2.0", "--film_seconds", "0.1"]) == 0
    return folder


def test_a_bundle_has_the_network_the_record_the_settings_and_a_film(bundle, published):
    files = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert files == {
        "README.md", "control.py", "params/agent.yaml", "params/env.yaml", "policy.gif", "policy.onnx", "run.json",
    }  # fmt: skip
    for name in ("run.json", "params/agent.yaml", "params/env.yaml"):
        assert (bundle / name).read_bytes() == (published / name).read_bytes()


def test_the_card_has_the_rates_of_the_policy_and_of_all_seeds_as_the_tables_have_them(bundle, published):
    card = (bundle / "README.md").read_text()
    seed = published.name.removeprefix("seed_")
    lines = (PUBLISHED / "success_rates.md").read_text().splitlines()
    own = next(line for line in lines if line.startswith(f"| default | {seed} |")).split(" | ")[3]
    everyone = next(line for line in lines if "mean, 10 seeds" in line).split("**")[7]
    (reached,) = (line for line in card.splitlines() if line.startswith("| Reached |"))
    assert f"| {own} | {everyone} |" in reached


def test_the_card_starts_with_what_hubs_read_and_ends_with_what_made_the_policy(bundle, published):
    header, card = (bundle / "README.md").read_text().removeprefix("---\n").split("\n---\n")
    assert yaml.safe_load(header)["license"] == "apache-2.0"
    record = json.loads((published / "run.json").read_text())
    (checkpoint,) = published.glob("model_*.pt")
    assert record["code"]["commit"] in card and record["outputs"][checkpoint.name] in card
    assert all(f"`{part}`" in card for part in ("joint_pos", "panda_joint1", "panda_finger_joint2"))


def test_the_control_loop_imports_numpy_and_onnxruntime_only(bundle):
    tree = ast.parse((bundle / "control.py").read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in imported if name not in sys.stdlib_module_names} == {"numpy", "onnxruntime"}


def test_the_control_loop_feeds_the_actions_back_and_prints_the_controls_of_each_step(bundle):
    run = subprocess.run(
        [sys.executable, "-I", str(bundle / "control.py"), "3"], capture_output=True, text=True, check=True, cwd="/"
    )
    session = onnxruntime.InferenceSession(bundle / "policy.onnx")
    actions = np.zeros(8, np.float32)
    for line in run.stdout.splitlines():
        obs = np.concatenate([np.zeros(28, np.float32), actions])[None]
        actions, controls = (output[0] for output in session.run(None, {"obs": obs}))
        np.testing.assert_allclose(json.loads(line), controls, atol=1e-3)
    assert len(run.stdout.splitlines()) == 3


def test_a_policy_that_was_not_evaluated_has_a_card_that_says_so(tmp_path):
    run = tmp_path / "run"
    assert train(run, max_iterations=2) == 0
    assert main([str(run), "--bundle", str(tmp_path / "policy"), "--film_seconds", "0"]) == 0
    card = (tmp_path / "policy" / "README.md").read_text()
    assert "This policy was not evaluated" in card and "No licence was chosen" in card and "policy.gif" not in card


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--licence", "MIT: yes"], "--licence is 'MIT: yes'; model hubs spell one as in apache-2.0"),
        (["--film_seconds", "-1"], "--film_seconds is -1.0; it must be at least 0"),
    ],
)
def test_a_wrong_flag_is_one_sentence_and_leaves_nothing(published, tmp_path, capsys, flags, sentence):
    assert main([str(published), "--bundle", str(tmp_path / "policy"), *flags]) == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_kept(published, tmp_path, capsys):
    assert main([str(published), "--bundle", str(tmp_path)]) == 2
    assert f"--bundle is {tmp_path}, which exists" in capsys.readouterr().err


def test_edited_episodes_are_refused(published, tmp_path, capsys):
    run = tmp_path / "results" / "default" / published.name
    shutil.copytree(published, run)
    shutil.copyfile(PUBLISHED / "not_shipped.txt", tmp_path / "results" / "not_shipped.txt")
    lines = (run / "episodes.csv").read_text().splitlines()
    (run / "episodes.csv").write_text("\n".join([*lines, lines[-1]]) + "\n")
    assert main([str(run), "--bundle", str(tmp_path / "policy"), "--film_seconds", "0"]) == 2
    assert "an episode of one checkpoint appears twice" in capsys.readouterr().err
    assert not (tmp_path / "policy").exists()


def test_the_pages_command_makes_a_bundle_whose_files_are_those_it_lists(published, tmp_path, monkeypatch):
    page = REPOSITORY / "docs" / "robot-team.md"
    (export,) = (line for line in commands(page) if line.startswith("manyseeds "))
    shutil.copytree(PUBLISHED, tmp_path / "results" / "lift_object")
    monkeypatch.chdir(tmp_path)
    words = shlex.split(export.replace("seed_1 ", f"{published.name} "))
    assert main([*words[2:], "--film_seconds", "0.1"]) == 0
    rows = [line for line in page.read_text().splitlines() if line.startswith("| `")]
    listed = {name for line in rows for name in re.findall(r"`([^`]+)`", line.split(" | ")[0])}
    assert {path.name + "/" * path.is_dir() for path in Path("lift_policy").iterdir()} == listed
    (loop,) = (line for line in commands(page) if line.startswith("python "))
    assert (
        len(subprocess.run([sys.executable, *shlex.split(loop)[1:-1], "2"], check=True, capture_output=True).stdout) > 0
    )
