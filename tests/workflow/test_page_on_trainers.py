"""docs/trainers.md from top to bottom: an RSL-RL script of one's own becomes tables, and an edit of it is seen."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from manyseeds.config.loading import load
from manyseeds.core.layout import REPOSITORY

PAGE = (REPOSITORY / "docs" / "trainers.md").read_text(encoding="utf-8")
EXAMPLE = REPOSITORY / "examples" / "reacher"
SECTION = PAGE.split("## Your script, step by step")[1].split("\n## ")[0]
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL) for line in block.splitlines()]
SMALL = {"--num_envs": "4", "--max_iterations": "2", "--episodes": "5"}
FEW = ["train={num_envs: 4, max_iterations: 1}", "seeds=[1]", "evaluate={episodes: 5}"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(EXAMPLE, tmp_path / "examples" / "reacher")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def run(words: list[str]) -> str:
    result = subprocess.run(
        words, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=900, check=False
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


def small(line: str) -> list[str]:
    """A command of the page with fewer environments, iterations and episodes."""
    words = shlex.split(line)
    for option in SMALL.keys() & set(words):
        words[words.index(option) + 1] = SMALL[option]
    if words[0] == "snakemake":
        words[1:1] = ["--snakefile", str(REPOSITORY / "Snakefile")]
        words = [*words, *([] if "--config" in words else ["--config"]), *FEW]
        words[words.index("all")] = "2"
    return words


def test_the_page_shows_the_files_of_the_example() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)
    files = [yaml.safe_load((EXAMPLE / name).read_text()) for name in ("trainer.yaml", "config.yaml")]
    assert list(map(yaml.safe_load, blocks)) == files


def test_every_command_of_the_page_works_and_an_edit_is_seen(folder: Path) -> None:
    install, train, evaluate, check, everything, redo = COMMANDS
    assert install == 'pip install "gymnasium[mujoco]"'
    run(small(train))
    assert {"model_0.pt", "model_1.pt"} <= {path.name for path in Path("logs").iterdir()}
    run(small(evaluate))
    assert len(pd.read_csv("episodes.csv")) == 5
    assert "reacher" in run(small(check))
    run(small(everything))
    results = folder / "results" / "reacher"
    rates = pd.read_csv(results / "success_rates.csv")
    assert len(rates) == 2 and rates["success"].between(0, 1).all() and (rates["episodes"] == 5).all()
    text = (results / "success_rates.md").read_text()
    assert "the fingertip is within 2 cm of the target" in text and "| slow | fast |" in text
    assert (results / "curves.html").is_file() and "evaluation episodes" in (
        results / "figures" / "success_per_checkpoint.rst"
    ).read_text()
    script = Path("examples/reacher/reacher.py")
    script.write_text(script.read_text().replace('"gamma": 0.95', '"gamma": 0.9'))
    stopped = subprocess.run(small(everything), text=True, capture_output=True, check=False)
    assert stopped.returncode != 0 and "trained by other code than the present (inputs/reacher.py)" in stopped.stderr
    assert "trained" in run([*small(redo), "--", "results/reacher/slow/seed_1/run.json"])
    assert (results / "slow/seed_1/work/superseded_1").is_dir()


def test_every_other_yaml_block_of_the_page_is_an_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.replace(SECTION, ""), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        Path("config.yaml").write_text(block)
        assert load(["config.yaml"]).trainer.name in ("isaaclab", "mjlab", "isaaclab_arena_hydra")
