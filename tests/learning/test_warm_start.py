"""Networks of a checkpoint, of this package or of any release of RSL-RL, begin another training."""

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest
import torch
from rsl_rl.runners import OnPolicyRunner

from helpers.training_runs import AGENT, agent, train
from manyseeds.core.errors import UserError
from manyseeds.learning import warm_start
from manyseeds.learning.agent import resolve_agent
from manyseeds.learning.runner import Runner
from manyseeds.simulators import make_env


def runner(content: dict[str, Any] = AGENT, seed: int = 5) -> Runner:
    env = make_env("mujoco", "lift_object", num_envs=4, seed=seed, threads=1)
    return Runner(env, resolve_agent(content), seed=seed, device="cpu", threads=1)


def parameters(of: Runner) -> dict[str, torch.Tensor]:
    return {
        f"{role}.{name}": tensor.clone()
        for role, model in (("actor", of.alg.actor), ("critic", of.alg.critic))
        for name, tensor in model.state_dict().items()
    }


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run with an average of the actor."""
    folder = tmp_path_factory.mktemp("warm") / "run"
    assert train(folder, agent(ema_decay=0.5), max_iterations=2) == 0
    return folder / "model_2.pt"


def test_a_new_run_starts_with_the_networks_and_statistics_of_the_policy_that_is_evaluated(checkpoint: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    assert "learning_actor_state_dict" in content
    fresh = runner()
    optimizer = fresh.alg.optimizer.state_dict()
    fresh.start_from(checkpoint)
    found = parameters(fresh)
    for role in warm_start.ROLES:
        for name, tensor in content[f"{role}_state_dict"].items():
            assert torch.equal(found[f"{role}.{name}"], tensor), name
    assert fresh.iteration == 0 and fresh.alg.optimizer.state_dict() == optimizer
    before = parameters(fresh)
    fresh.iterate()
    assert any(not torch.equal(tensor, before[name]) for name, tensor in parameters(fresh).items()), "it learns on"


def test_a_checkpoint_of_stock_rsl_rl_starts_a_run(tmp_path: Path) -> None:
    env = make_env("mujoco", "lift_object", num_envs=4, seed=0)
    cfg = resolve_agent(agent(class_name="rsl_rl.algorithms:PPO")) | {"save_interval": 10}
    with contextlib.redirect_stdout(io.StringIO()):
        stock = OnPolicyRunner(env, cfg, log_dir=None, device="cpu")
        stock.learn(1)
        stock.save(str(tmp_path / "model_1.pt"))
    fresh = runner()
    fresh.start_from(tmp_path / "model_1.pt")
    for name, tensor in stock.alg.actor.state_dict().items():
        assert torch.equal(parameters(fresh)[f"actor.{name}"], tensor)


def old_release(checkpoint: Path, release: int) -> dict[str, Any]:
    """The same networks as a release of RSL-RL before 5 saved them."""
    content = torch.load(checkpoint, weights_only=True)
    networks, statistics = {}, {}
    for role in warm_start.ROLES:
        for name, tensor in content[f"{role}_state_dict"].items():
            part, _, rest = name.partition(".")
            if part == "mlp":
                networks[f"{role}.{rest}"] = tensor
            elif part == "obs_normalizer" and release >= 3:
                networks[f"{role}_obs_normalizer.{rest}"] = tensor
            elif part == "obs_normalizer":
                key = {"actor": "obs_norm_state_dict", "critic": "privileged_obs_norm_state_dict"}[role]
                statistics.setdefault(key, {})[rest] = tensor
            else:
                networks["std"] = tensor
    return {"model_state_dict": networks, "optimizer_state_dict": {}, "iter": 2, "infos": None} | statistics


@pytest.mark.parametrize("release", [2, 3])
def test_older_layouts_of_rsl_rl_hold_the_same_networks(checkpoint: Path, tmp_path: Path, release: int) -> None:
    path = tmp_path / "model_2.pt"
    torch.save(old_release(checkpoint, release), path)
    ours, theirs = warm_start.read_networks(checkpoint), warm_start.read_networks(path)
    for role in warm_start.ROLES:
        assert ours[role].keys() == theirs[role].keys()
        assert all(torch.equal(tensor, theirs[role][name]) for name, tensor in ours[role].items())


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (
            {"actor_hidden_dims": [16, 32]},
            "mlp.0.weight of its actor is 32 x 36; that of this agent and task is 16 x 36",
        ),
        ({"critic_hidden_dims": [32]}, "mlp.2.weight of its critic is 32 x 32; that of this agent and task is 1 x 32"),
        ({"noise_std_type": "log"}, "its actor has no distribution.log_std_param, which the agent's actor has"),
        (
            {"actor_obs_normalization": False},
            "its actor has obs_normalizer._mean, which the agent's actor does not have",
        ),
        (
            {"critic_hidden_dims": [32, 32, 32]},
            "mlp.4.weight of its critic is 1 x 32; that of this agent and task is 32 x 32",
        ),
    ],
)
def test_networks_that_do_not_fit_are_one_sentence(checkpoint: Path, policy: dict, words: str) -> None:
    other = resolve_agent(agent(class_name="rsl_rl.algorithms:PPO") | {"policy": AGENT["policy"] | policy})
    with pytest.raises(UserError) as error:
        warm_start.check(checkpoint, other, 36, 8)
    assert str(error.value) == f"{checkpoint} does not fit: {words}."


def test_what_holds_no_networks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save({"weights": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="is not a checkpoint of RSL-RL: it holds no networks of an actor and a critic"):
        warm_start.read_networks(path)
    with pytest.raises(UserError, match="cannot be read: No such file"):
        warm_start.read_networks(tmp_path / "nowhere.pt")
