"""Secrets do not reach records: after names that say so, and in addresses."""

import pytest

from manyseeds.core.secrets import MASK, masked


@pytest.mark.parametrize(
    "content",
    [
        {"API_KEY": "hunter2"},
        {"env": {"WANDB_API_KEY": "hunter2", "n": 1}},
        {"command": ["train", "--token", "hunter2", "--seed", "1"]},
        {"command": "train --api-key=hunter2 --seed 1"},
        {"command": "train --password hunter2"},
        {"notes": ["cannot clone https://me:hunter2@example.org/x.git"]},
        {"line": 'secret = "hunter2"'},
        ["SECRET_TOKEN=hunter2"],
    ],
)
def test_the_value_is_masked(content):
    assert "hunter2" not in str(masked(content)) and MASK in str(masked(content))


@pytest.mark.parametrize(
    "content",
    [
        {"task": "lift_object", "train": {"num_envs": 8}, "seed": 1},
        {"command": ["python", "-m", "manyseeds", "train", "--run", "results/x/run_config.json"]},
        {"agent": {"algorithm": {"gamma": 0.98}}, "notes": ["https://example.org/page"]},
        {"outputs": {"model_1.pt": "abc"}},
    ],
)
def test_everything_else_stays(content):
    assert masked(content) == content
