"""Checkpoints have RSL-RL's format, and reading one runs no code."""

import contextlib
import io
import os
import pickle

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rsl_rl.runners import OnPolicyRunner

from helpers.training_runs import train
from helpers.verbs import verb
from manyseeds.core.errors import UserError
from manyseeds.learning.checkpoint import checkpoints, load_checkpoint
from manyseeds.learning.policy import Policy
from manyseeds.runs.state import read_sealed
from manyseeds.simulators import make_env

evaluate = verb("evaluate")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints") / "run"
    assert train(folder, max_iterations=3) == 0
    return folder


def test_a_checkpoint_has_rsl_rls_layout_and_the_completed_iterations(run):
    assert list(checkpoints(run)) == [2, 3]
    content = torch.load(run / "model_3.pt", weights_only=True)
    assert set(content) == {"actor_state_dict", "critic_state_dict", "optimizer_state_dict", "iter", "infos"}
    assert content["iter"] == 3


def test_stock_rsl_rl_loads_a_checkpoint_and_acts_the_same(run):
    agent = yaml.safe_load((run / "params" / "agent.yaml").read_text())
    env = make_env("mujoco", "lift_object", num_envs=4, seed=0)
    with contextlib.redirect_stdout(io.StringIO()):
        stock = OnPolicyRunner(env, agent | {"save_interval": 2}, log_dir=None, device="cpu")
    stock.load(run / "model_3.pt")
    assert stock.current_learning_iteration == 3
    ours = Policy(agent, env.get_observations(), env.num_actions)
    assert ours.load(run / "model_3.pt") == 3
    obs = env.get_observations()
    assert torch.equal(stock.get_inference_policy()(obs), ours.model(obs))


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_a_malicious_checkpoint_is_refused_and_not_run(run, tmp_path, capsys, write):
    folder = tmp_path / "evil"
    folder.mkdir()
    (folder / "params").symlink_to(run / "params")
    content = torch.load(run / "model_3.pt", weights_only=True)
    write(content | {"infos": Evil(tmp_path / "marker")}, folder / "model_3.pt")
    with pytest.raises(UserError, match=r"model_3.pt is refused: it holds more than tensors"):
        load_checkpoint(folder / "model_3.pt")
    assert evaluate(["--run_dir", str(folder), "--output", str(tmp_path / "e.csv"), "--episodes", "2"]) == 2
    assert "is refused" in capsys.readouterr().err
    assert not (tmp_path / "marker").exists() and not (tmp_path / "e.csv").exists()


def test_damaged_files_and_other_checkpoints_are_named(run, tmp_path):
    path = tmp_path / "model_1.pt"
    for content in (b"", b"hello", (run / "model_3.pt").read_bytes()[:1000]):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"model_1\.pt is damaged or not a checkpoint"):
            load_checkpoint(path)
    torch.save({"weights": torch.zeros(3)}, path)
    with pytest.raises(UserError, match="is not a checkpoint of RSL-RL"):
        load_checkpoint(path)
    with pytest.raises(UserError, match="cannot be read"):
        load_checkpoint(tmp_path / "model_9.pt")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_flipped_bit_of_a_state_goes_unnoticed(run, tmp_path, position, bit):
    raw = bytearray((run / "state.pt").read_bytes())
    raw[int(position * len(raw))] ^= 1 << bit
    path = tmp_path / "state.pt"
    path.write_bytes(raw)
    with pytest.raises(UserError, match="is damaged"):
        read_sealed(path)
