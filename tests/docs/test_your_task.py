"""docs/your-task.md: the file that the page builds, and every command of the page."""

import csv
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from manyseeds.config.loading import load
from manyseeds.core.errors import UserError
from manyseeds.core.layout import REPOSITORY
from manyseeds.simulators import make_env
from manyseeds.tasks import registry

PAGE = (REPOSITORY / "docs" / "your-task.md").read_text(encoding="utf-8")
SMALL = {"--num_envs": "16", "--max_iterations": "2", "--save_interval": "2"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


CODE = "\n\n".join(blocks("python"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pusher.py").write_text(CODE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_file_has_100_lines() -> None:
    assert len(CODE.splitlines()) <= 100


def test_the_finger_pushes_the_disc(folder: Path) -> None:
    env = make_env("mujoco", "pusher.py", num_envs=4, seed=1, threads=1, auto_reset=False)
    before = env.state().qpos.clone()
    for _ in range(30):
        env.step(torch.tensor([[1.0, 0.0]]).repeat(4, 1))
    moved = env.state().qpos - before
    assert (moved[:, 2] > 0.1).all() and (moved[:, 3].abs() < 0.01).all()


def test_the_disc_gets_a_mass_of_its_own_in_each_episode(folder: Path) -> None:
    random = {"disc_mass_scale": [0.5, 2], "observation_noise": 1.0, "action_delay": [0, 2]}
    env = make_env("mujoco", "pusher.py", num_envs=4, seed=1, threads=1, auto_reset=False, task_cfg=random)
    before = env.state().qpos.clone()
    for _ in range(30):
        env.step(torch.tensor([[1.0, 0.0]]).repeat(4, 1))
    assert len((env.state().qpos - before)[:, 2].unique()) == 4


def test_every_command_works(folder: Path) -> None:
    """With fewer environments, iterations and episodes than the page has."""
    commands = [shlex.split(line) for block in blocks("sh") for line in block.splitlines()]
    assert [words[:2] for words in commands] == [["manyseeds", "train"], ["manyseeds", "evaluate"]]
    for _, verb, *words in commands:
        for option in SMALL.keys() & set(words):
            words[words.index(option) + 1] = SMALL[option]
        few = ["--episodes", "8"] if verb == "evaluate" else []
        command = [sys.executable, "-m", "manyseeds", verb, "--threads", "1", *few, *words]
        result = subprocess.run(command, text=True, capture_output=True, timeout=300, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
    with Path("logs/pusher/episodes.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8 and {"disc_x", "target_y", "pushed", "final_distance"} <= set(rows[0])


def test_the_config_is_one(folder: Path) -> None:
    (block,) = blocks("yaml")
    Path("pusher.yaml").write_text(block, encoding="utf-8")
    assert load(["pusher.yaml"]).experiment == "pusher"


def test_the_mistake_that_the_page_describes_gives_the_sentence_it_quotes(folder: Path) -> None:
    wrong = CODE.replace(
        '"pushing": Term(lambda cfg, s: 1 - torch.tanh(distance(cfg, s) / 0.2))',
        '"pushing": Term(lambda cfg, s: 1 - torch.tanh(distance(cfg, s) / 0.2)[:, None])',
    )
    assert wrong != CODE
    Path("wrong.py").write_text(wrong, encoding="utf-8")
    with pytest.raises(UserError) as error:
        make_env("mujoco", "wrong.py", num_envs=512, seed=1, threads=1)
    assert str(error.value) in " ".join(PAGE.split())


def test_the_entry_point_of_the_page_names_the_group() -> None:
    assert f'[project.entry-points."{registry.GROUP}"]' in PAGE
