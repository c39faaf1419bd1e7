"""The whole workflow with mjlab's `train` and the evaluation that comes with its definition: `make test-trainers`."""

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from helpers.workflows import finish, planned
from manyseeds.audit.verify import verify

pytestmark = pytest.mark.trainers


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the whole workflow has run; MJLAB is the folder that envs/mjlab_cpu.sh makes."""
    folder = tmp_path_factory.mktemp("mjlab")
    fields = {
        "experiment": "yam",
        "task": {"name": "Mjlab-Lift-Cube-Yam", "overrides": {"episode-length-s": 0.4}},
        "seeds": [1, 2],
        "trainer": {"file": "trainers/mjlab.yaml", "path": str(Path(os.environ["MJLAB"]) / "bin")},
        "agent": {"overrides": {"actor.hidden-dims": [16, 16]}},
        "train": {"num_envs": 4, "max_iterations": 2, "save_interval": 2, "env_spacing": 2.0},
        "evaluate": {"episodes": 3},
    }
    return finish(folder, fields)


def test_mjlab_goes_from_its_own_command_to_rates_of_its_own_success(finished: Path) -> None:
    results = finished / "results" / "yam"
    for seed in (1, 2):
        run = results / "default" / f"seed_{seed}"
        record = json.loads((run / "run.json").read_text())
        assert {"model_0.pt", "model_1.pt", "params/env.yaml", "params/agent.yaml"} <= set(record["outputs"])
        assert any(name.startswith("collected/") and name.endswith(".onnx") for name in record["outputs"])
        words = record["command"]
        assert words[words.index("--gpu-ids") + 1] == "None"
        assert words[words.index("--agent.actor.hidden-dims") + 1] == "(16, 16)"
        assert record["packages"]["mjlab"] == "1.6.0"
        assert f"seed: {seed}" in (run / "params" / "agent.yaml").read_text()
        episodes = pd.read_csv(run / "episodes.csv")
        assert episodes.groupby("iteration").size().to_dict() == {1: 3, 2: 3}
        assert episodes["success"].isin((0, 1)).all() and episodes["return"].notna().all()
    text = (results / "success_rates.md").read_text()
    assert "the task's command counts the episode as a success" in text and "**mean, 2 seeds**" in text
    assert verify(results).problems == ()
    assert planned(finished) == set()
