"""Logs that other programs write here and now, by their own code."""

import copy
from pathlib import Path

import pytest

from helpers.training_runs import AGENT
from manyseeds import cli
from manyseeds.compare.formats import RSL_RL
from manyseeds.compare.runs import find_sources, group, read_parts
from manyseeds.learning.agent import resolve_agent

torch = pytest.importorskip("torch")
SUCCESS = "Metrics/success"


class Point:
    """A VecEnv of RSL-RL: a point on a line that a push of any size moves; an episode is five pushes."""

    num_envs, num_actions, max_episode_length, device = 4, 1, 5, "cpu"
    cfg: dict = {}  # noqa: RUF012

    def __init__(self) -> None:
        self.place = torch.ones(self.num_envs, 1)
        self.episode_length_buf = torch.zeros(self.num_envs, dtype=torch.long)

    def get_observations(self):
        from tensordict import TensorDict

        return TensorDict({"policy": self.place.clone()}, batch_size=[self.num_envs])

    def step(self, actions):
        self.place = self.place + actions.clamp(-1, 1)
        self.episode_length_buf += 1
        done = self.episode_length_buf >= self.max_episode_length
        near = (self.place[:, 0].abs() < 0.5).float()
        self.episode_length_buf[done] = 0
        self.place[done] = 1.0
        extras = {"time_outs": done.float(), "log": {SUCCESS: near.mean()}}
        return self.get_observations(), near, done.float(), extras


def trained(folder: Path, seed: int, iterations: int, resumed: int = 0) -> None:
    """Train with RSL-RL's runner and its own writer; `resumed` goes on after so many iterations, as a second start."""
    from rsl_rl.runners import OnPolicyRunner

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    agent = resolve_agent(copy.deepcopy(AGENT), "the test's agent")
    made = agent | {"logger": "tensorboard", "save_interval": 100, "seed": seed, "num_steps_per_env": 8}
    runner = OnPolicyRunner(Point(), made, str(folder), device="cpu")
    runner.current_learning_iteration = resumed
    runner.logger.git_status_repos = []
    runner.learn(iterations - resumed)
    runner.logger.writer.close()


def test_a_log_of_rsl_rls_runner_is_read_as_it_writes_it(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed in (1, 2):
        trained(Path(f"logs/point_seed{seed}"), seed, 6)
    trained(Path("logs/2026-01-31_10-00-00_point_seed2"), 2, 9, resumed=4)
    parts, _ = read_parts(find_sources(["logs"]).sources, "Train/mean_reward", False)
    runs, _ = group(parts, None, number_seeds=False)
    assert [(run.label, run.log.program, run.log.counts) for run in runs] == [
        ("point seed 1", RSL_RL, "iterations"), ("point seed 2", RSL_RL, "iterations")
    ]  # fmt: skip
    assert [run.table.index.tolist() for run in runs] == [list(range(6)), list(range(9))]
    for run in runs:
        assert run.table[SUCCESS].between(0, 1).all() and run.table["Train/mean_reward"].notna().any()
    capsys.readouterr()
    assert cli.main(["compare", "logs", "--dry-run"]) == 0
    assert f"Return: Train/mean_reward. Success: {SUCCESS}." in capsys.readouterr().out
