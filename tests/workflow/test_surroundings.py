"""The workflow wherever its checkout lies, without activating its environment, and beside other people's settings."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from helpers.disks import FullDisk
from helpers.workflows import REPOSITORY
from manyseeds.audit.verify import verify

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


def snakemake(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile", "--cores", "1"]
    return subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def made(folder: Path) -> dict[str, bytes]:
    """Return what does not name the time of its making, by path."""
    kinds = ("*.csv", "*.png", "*.pt")
    return {str(path.relative_to(folder)): path.read_bytes() for kind in kinds for path in folder.rglob(kind)}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_full_results_are_one_sentence_and_the_next_start_ends_with_the_same_bytes(tmp_path):
    config = CONFIG | {"trainer": CONFIG["trainer"] | {"command": CONFIG["trainer"]["command"].split(" --needs")[0]}}
    for name in ("whole", "full"):
        (tmp_path / name / "results").mkdir(parents=True)
        (tmp_path / name / "config.yaml").write_text(yaml.safe_dump(config))
    results = tmp_path / "full" / "results"
    for kilobytes in (4, 40):  # before any job, and after training
        with FullDisk(results, kilobytes) as disk:
            stopped = snakemake(tmp_path / "full")
            assert stopped.returncode != 0 and "Traceback" not in stopped.stdout, stopped.stdout
            [said] = [line for line in stopped.stdout.splitlines() if line.startswith("error: ")]
            assert re.match(r"error: results/small/\S+ cannot be written: No space left on device; free some", said)
            hidden = {path.name for path in results.rglob(".*")}
            assert hidden <= {".lock", ".checksums.json", ".ledger.json"}, "half a file was left"
            if kilobytes == 40:
                disk.enlarge()
                done = snakemake(tmp_path / "full")
                assert done.returncode == 0, done.stdout
                assert verify(results).problems == ()
                found = made(results)
    undisturbed = snakemake(tmp_path / "whole")
    assert undisturbed.returncode == 0, undisturbed.stdout
    assert found == made(tmp_path / "whole" / "results") and len(found) > 10
