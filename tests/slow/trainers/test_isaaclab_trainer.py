"""The whole workflow with stock `isaaclab train` and a task of Isaac Lab's own: `make test-trainers`."""

import json
import os
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from helpers.workflows import finish, planned
from manyseeds.audit.verify import verify
from manyseeds.core.layout import REPOSITORY

pytestmark = pytest.mark.trainers
HELPERS = REPOSITORY / "tests" / "helpers"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the whole workflow has run; ISAACLAB is the folder that envs/isaaclab_cpu.sh makes."""
    isaaclab = Path(os.environ["ISAACLAB"])
    folder = tmp_path_factory.mktemp("isaaclab")
    assets = folder / "assets"
    subprocess.run([isaaclab / "bin" / "python", HELPERS / "isaaclab_cartpole.py", assets], check=True)
    fields = {
        "experiment": "cartpole",
        "task": "Isaac-Cartpole",
        "seeds": [1, 2],
        "trainer": {
            "file": "trainers/isaaclab.yaml",
            "path": str(isaaclab / "bin"),
            "environment": {"ISAACSIM_ASSET_ROOT": str(assets)},
            "steps_per_env": 16,
        },
        "agent": {"overrides": {"algorithm.gamma": 0.98}},
        "train": {"num_envs": 16, "max_iterations": 5, "save_interval": 2, "env_spacing": 4.0},
        "evaluate": {"episodes": 4},
    }
    return finish(folder, fields)


def test_stock_isaac_lab_on_a_python_that_it_does_not_support_goes_to_curves_and_a_table(finished: Path) -> None:
    results = finished / "results" / "cartpole"
    returns = {}
    for seed in (1, 2):
        run = results / "default" / f"seed_{seed}"
        record = json.loads((run / "run.json").read_text())
        # Stock RSL-RL counts from 0.
        assert {"model_0.pt", "model_2.pt", "model_4.pt", "params/env.yaml", "params/agent.yaml"} <= set(
            record["outputs"]
        )
        assert record["command"][:2] == ["isaaclab", "train"] and "agent.algorithm.gamma=0.98" in record["command"]
        assert record["packages"]["isaaclab"] == "3.0.0" and record["container"] is None
        assert "gamma: 0.98" in (run / "params" / "agent.yaml").read_text()
        assert f"seed: {seed}" in (run / "params" / "env.yaml").read_text()
        scalars = pd.read_csv(run / "scalars.csv")
        assert list(scalars["iteration"]) == [1, 2, 3, 4, 5]
        assert (run / "scalars.csv").read_text().count("Episode_Reward/pole_pos") == 1
        returns[seed] = scalars["Train/mean_reward"].iloc[-1]
    assert returns[1] != returns[2]
    rates = pd.read_csv(results / "success_rates.csv")
    # Three checkpoints of each seed, on the same four episodes.
    assert list(rates["samples"]) == [n * 16 * 16 for n in (1, 3, 5)] * 2 and (rates["episodes"] == 4).all()
    assert rates["success"].isin([n / 4 for n in range(5)]).all() and rates["return_mean"].notna().all()
    text = (results / "success_rates.md").read_text()
    assert "the task's Metrics/success_rate of the episode is 1" in text and "**mean, 2 seeds**" in text
    for name in ("learning_curves", "reward_terms", "throughput"):
        assert (results / "figures" / f"{name}.svg").stat().st_size > 0
    assert "as isaaclab logs them" in (results / "figures" / "learning_curves.rst").read_text()
    assert verify(results).problems == ()


def test_a_second_run_of_stock_isaac_lab_has_nothing_to_do(finished: Path) -> None:
    assert planned(finished) == set()
