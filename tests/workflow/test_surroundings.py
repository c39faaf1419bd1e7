"""The workflow wherever its checkout lies, without activating its environment, and beside other people's settings."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from helpers.workflows import REPOSITORY

CONFIG = {
    "experiment": "small",
    "seeds": [1],
    "task": "Any",
    "train": {"num_envs": 4, "max_iterations": 20},
    "trainer": {
        "name": "small",
        "command": f"{sys.executable} {REPOSITORY}/tests/helpers/small_trainer.py"
        " --seed {seed} --num_envs {num_envs} --max_iterations {max_iterations} --needs my_rsl_rl",
        "logs": "logs/*",
    },
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of the checkout whose path holds a space and braces."""
    folder = tmp_path_factory.mktemp("sp ace") / "br{ace} 'q" / "repo"
    for name in ("src", "workflow", "envs", "profiles"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "Snakefile", folder)
    return folder


def test_the_whole_workflow_runs_there_without_activating_and_beside_a_users_settings(checkout, tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    for name in ("random", "json", "logging"):  # Python's own modules must not come from here
        (tmp_path / f"{name}.py").write_text("raise SystemExit('mine')")
    (tmp_path / "matplotlibrc").write_text("backend: no_such_backend\nfont.size: 40\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "my_rsl_rl.py").write_text("")
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "PYTHONPATH": f"{checkout / 'src'}:{tmp_path / 'mine'}",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "RANK": "3",
    }
    command = [Path(sys.executable).with_name("snakemake"), "--snakefile", checkout / "Snakefile", "--cores", "1"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "results/small/figures/learning_curves.png").is_file()


def test_a_file_in_the_place_of_a_folder_is_one_sentence(tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    (tmp_path / "results").write_text("")  # a file where a folder must be
    command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile", "--cores", "1"]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, env=os.environ)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert "error: results is a file; it must be a folder" in done.stderr
