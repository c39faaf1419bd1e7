"""docs/contributing.md: each of its walks, in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.synthetic_results import make_results
from manyseeds.core.layout import REPOSITORY

PAGE = (REPOSITORY / "docs" / "contributing.md").read_text(encoding="utf-8")
WALKS = {
    match[1]: match[3] for match in re.finditer(r"^## (Add a \w+) in (\d) steps\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
}


class Copy:
    """A copy of what the walks change, and the commands of the package that is in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("src", "workflow"):
            shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "results").mkdir()
        shutil.copy(REPOSITORY / "results" / "README.md", folder / "results")

    def run(self, *command: str | Path, text: str | None = None) -> str:
        """What a command prints, with `manyseeds` of this copy."""
        environment = os.environ | {"PYTHONPATH": f"{self.folder / 'src'}:{self.folder / 'bin'}"}
        done = subprocess.run(
            [*command], cwd=self.folder, env=environment, input=text, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def python(self, code: str) -> str:
        return self.run(sys.executable, "-c", code)

    def walk(self, title: str) -> str:
        """Do the steps of a walk: files that Python blocks begin with, changes, commands; return what they print."""
        printed = ""
        for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", WALKS[title], re.M | re.S):
            if language == "python":
                path, text = re.match(r"# (\S+)\n(.*)", block, re.S).groups()
                assert not (self.folder / path).exists(), f"{title} overwrites {path}"
                (self.folder / path).write_text(text, encoding="utf-8")
            elif language == "diff":
                self.run("git", "apply", "--recount", "-", text=block)
            else:
                for line in block.splitlines():
                    printed += self.run("bash", "-c", re.sub(r"^manyseeds ", f"{sys.executable} -m manyseeds ", line))
        self.run(sys.executable, "-m", "ruff", "check", "--config", REPOSITORY / "pyproject.toml", "src")
        return printed


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_the_page_has_these_walks_and_says_how_many_steps_they_take() -> None:
    assert set(WALKS) == {"Add a task", "Add a figure", "Add a statistic", "Add a simulator"}
    for title, count, text in re.findall(r"^## (Add a \w+) in (\d) steps\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S):
        assert re.findall(r"^\*\*(\d)\. ", text, re.M) == [str(step + 1) for step in range(int(count))], title


def test_add_a_task(copy: Copy) -> None:
    printed = copy.walk("Add a task")
    assert re.search(r"^press\b", printed, re.M)
    assert len((copy.folder / "logs/press/episodes.csv").read_text().splitlines()) == 3
    seconds = copy.python("from manyseeds.tasks import registry; print(registry.load('press').cfg().episode_length_s)")
    assert seconds == "6.0\n"


def test_add_a_figure(copy: Copy) -> None:
    folder = make_results(
        copy.folder / "results/lift_object", seeds=(1, 2), iterations=20, save_interval=10, episodes=5
    )
    copy.walk("Add a figure")
    assert (folder / "figures/worst_seed.png").is_file()
    assert "at each checkpoint. default n = 2 (seeds 1, 2)." in (folder / "figures/worst_seed.rst").read_text()
    known = copy.python("from manyseeds.report.figures import NAMES; print(*NAMES)").split()
    readme = (copy.folder / "results/README.md").read_text()
    assert "worst_seed" in known and all(f"`{name}`" in readme for name in known)


def test_add_a_statistic(copy: Copy) -> None:
    folder = make_results(
        copy.folder / "results/lift_object", seeds=range(1, 8), iterations=20, save_interval=10, episodes=5
    )
    printed = copy.walk("Add a statistic")
    assert re.search(r"^\| default \| median, 7 seeds \|", printed, re.M)
    header, row = (folder / "success_rates_over_seeds.csv").read_text().splitlines()[:2]
    values = dict(zip(header.split(","), row.split(","), strict=True))
    low, median, high = (float(values[f"reached_{name}"]) for name in ("median_low", "median", "median_high"))
    assert low <= median <= high
    # Seven seeds: from the smallest to the largest, with 1 - 2 / 2 ** 7 = 98 % confidence.
    code = "from manyseeds.statistics.median import median_interval as m; print(*m([3, 1, 2, 7, 5, 6, 4]), *m([1, 2]))"
    assert copy.python(code).split() == ["4.0", "1.0", "7.0", "1.5", "nan", "nan"]
    assert "`reached_median_low`" in (copy.folder / "results/README.md").read_text()


PARITY = """
import torch
from manyseeds.simulators import make_env

plain, batched = (make_env(name, "reach", num_envs=3, seed=1, threads=1) for name in ("plain", "mujoco"))
actions = torch.rand(5, 3, 7, generator=torch.Generator().manual_seed(1)) * 2 - 1
for action in actions:
    ours, theirs = plain.step(action), batched.step(action)
    assert torch.allclose(ours[0]["policy"], theirs[0]["policy"], atol=1e-6) and torch.allclose(ours[1], theirs[1])
assert not torch.equal(plain.state().qpos, torch.zeros_like(plain.state().qpos))
print("the same")
"""


def test_add_a_simulator(copy: Copy) -> None:
    copy.walk("Add a simulator")
    assert (copy.folder / "logs/plain/model_1.pt").is_file()
    assert '"plain"' in (copy.folder / "workflow/schemas/config.schema.json").read_text()
    assert copy.python(PARITY) == "the same\n"
