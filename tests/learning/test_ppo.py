"""Our PPO compared with RSL-RL's: the same update, faster; and its schedules."""

import copy
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from typing import Any

import pytest
import torch
from rsl_rl import algorithms

from manyseeds.core.errors import UserError
from manyseeds.learning import ppo
from manyseeds.learning.agent import resolve_agent
from manyseeds.learning.parallel import thread_map
from manyseeds.learning.ppo import PPO, _divergence
from manyseeds.simulators import make_env
from manyseeds.tasks.base import mirrored

STEPS, ENVS = 24, 32


def build(cls: type, **options: Any) -> tuple[Any, Any, Any]:
    """Return environment, first observations and the algorithm, all from the same seed."""
    torch.manual_seed(0)
    env = make_env("mujoco", "lift_object", num_envs=ENVS, seed=0, threads=1)
    env.episode_length_buf = torch.randint_like(env.episode_length_buf, high=250)
    model = {"class_name": "MLPModel", "hidden_dims": [64, 32], "activation": "elu", "obs_normalization": True}
    noise = {"class_name": "GaussianDistribution", "init_std": 1.0, "std_type": "scalar"}
    cfg = {
        "num_steps_per_env": STEPS,
        "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
        "multi_gpu": None,
        "actor": model | {"distribution_cfg": noise},
        "critic": dict(model),
        "algorithm": {"class_name": cls, "entropy_coef": 0.004, "gamma": 0.98, **options},
    }
    obs = env.get_observations()
    with redirect_stdout(StringIO()):
        algorithm = cls.construct_algorithm(obs, env, cfg, "cpu")
    algorithm.train_mode()
    return env, obs, algorithm


def parameters(algorithm: Any) -> torch.Tensor:
    groups = algorithm.optimizer.param_groups
    return torch.cat([p.detach().flatten() for group in groups for p in group["params"]])


def collect(env: Any, obs: Any, leader: Any, follower: Any | None = None) -> Any:
    """Roll out with `leader`'s actions; a follower records the same."""
    with torch.inference_mode():
        for _ in range(STEPS):
            actions = leader.act(obs)
            if follower is not None:
                follower.act(obs)
                follower.storage.actions[follower.storage.step] = actions
            obs, rewards, dones, extras = env.step(actions)
            leader.process_env_step(obs, rewards, dones, extras)
            if follower is not None:
                follower.process_env_step(obs, rewards, dones, extras)
        leader.compute_returns(obs)
        if follower is not None:
            follower.compute_returns(obs)
    return obs


@pytest.mark.parametrize(
    "options",
    [
        {"schedule": "fixed", "learning_rate": 1e-3},
        {"use_clipped_value_loss": False, "schedule": "fixed", "learning_rate": 3e-4},
        {"clip_param": 0.05, "learning_rate": 5e-4, "schedule": "fixed", "max_grad_norm": 0.1},
    ],
)
def test_an_update_equals_rsl_rls_to_float_precision(options: dict) -> None:
    env, obs, stock = build(algorithms.PPO, **options)
    _, _, ours = build(PPO, **options)
    for iteration in range(3):
        obs = collect(env, obs, stock, ours)
        torch.testing.assert_close(ours.storage.advantages, stock.storage.advantages, atol=1e-4, rtol=1e-4)
        losses = []
        for algorithm in (stock, ours):
            torch.manual_seed(iteration)
            losses.append(algorithm.update())
        assert losses[1] == pytest.approx(losses[0], rel=1e-3, abs=1e-5)
        torch.testing.assert_close(parameters(ours), parameters(stock), atol=2e-5, rtol=0)


def test_the_learning_rate_follows_the_divergence_from_the_old_policy() -> None:
    """RSL-RL's rule: the rate falls above twice the target, and rises below half of it unless the divergence is 0."""
    _, _, ours = build(PPO, desired_kl=0.01, learning_rate=1e-3)
    for kl, expected in ((0.03, 1e-3 / 1.5), (0.012, 1e-3 / 1.5), (0.004, 1e-3), (0.0, 1e-3)):
        ours._adapt_learning_rate(torch.tensor(kl))
        assert ours.learning_rate == pytest.approx(expected)
        assert ours.optimizer.param_groups[0]["lr"] == ours.learning_rate


def test_the_divergence_is_torchs() -> None:
    old_mean, mean = torch.randn(2, 5, 8)
    old_std, std = torch.rand(2, 8) + 0.1
    old, new = (torch.distributions.Normal(*of) for of in ((old_mean, old_std), (mean, std)))
    expected = torch.distributions.kl_divergence(old, new).sum(1).mean()
    torch.testing.assert_close(_divergence((old_mean - mean).square().mean(0), old_std, std), expected)


def test_bfloat16_stays_close_to_float32() -> None:
    """bfloat16 has 8 bits of mantissa; one update moves parameters by about 1e-3, and differs in direction slightly."""
    results = []
    for mixed in (False, True):
        env, obs, ours = build(PPO, use_mixed_precision=mixed, schedule="fixed")
        before = parameters(ours).clone()
        collect(env, obs, ours)
        ours.update()
        results.append(parameters(ours) - before)
    assert torch.cosine_similarity(results[0], results[1], dim=0) > 0.9


def test_the_number_of_threads_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manyseeds.learning.ppo.CHUNK", 50)  # of the 192 rows of a mini-batch
    results = []
    for threads in (1, 2, 3):
        env, obs, ours = build(PPO)
        ours.map = thread_map(threads)
        for _ in range(2):
            obs = collect(env, obs, ours)
            ours.update()
        results.append(parameters(ours))
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


def test_schedules_run_linearly_between_their_iterations() -> None:
    env, obs, ours = build(PPO, entropy_coef_final=0.0, max_std=1.0, max_std_final=0.2, anneal_start=10, anneal_end=20)
    seen = []
    for iteration in (0, 10, 15, 20, 99):
        ours.iteration = iteration
        obs = collect(env, obs, ours)
        ours.update()
        assert ours.actor.distribution.std_param.max() <= ours._max_std
        seen += [ours.entropy_coef, ours._max_std]
    assert seen == pytest.approx([0.004, 1.0, 0.004, 1.0, 0.002, 0.6, 0.0, 0.2, 0.0, 0.2])


def test_the_critic_can_have_its_own_learning_rate() -> None:
    env, obs, ours = build(PPO, critic_learning_rate=1e-3, desired_kl=1e-9)
    together = build(PPO)[2]
    assert [len(group["params"]) for group in ours.optimizer.param_groups] == [7, 6]
    assert torch.equal(parameters(ours), parameters(together))
    for _ in range(2):
        obs = collect(env, obs, ours)
        ours.update()
    assert [group["lr"] for group in ours.optimizer.param_groups] == [pytest.approx(1e-5), 1e-3]
    # Resuming restores both.
    resumed = build(PPO, critic_learning_rate=1e-3)[2]
    resumed.load(ours.save(), None, True)
    assert [group["lr"] for group in resumed.optimizer.param_groups] == [pytest.approx(1e-5), 1e-3]
    assert torch.equal(parameters(resumed), parameters(ours))


def test_an_action_can_start_with_less_noise() -> None:
    _, _, ours = build(PPO, init_std=[1.0] * 7 + [0.3])
    assert ours.actor.distribution.std_param.tolist() == pytest.approx([1.0] * 7 + [0.3])
    _, _, ours = build(PPO, init_std=0.5)
    assert ours.actor.distribution.std_param.tolist() == pytest.approx([0.5] * 8)


def test_noise_for_another_number_of_actions_is_refused() -> None:
    with pytest.raises(UserError, match="init_std is a list of 7 numbers; it must be one number, or a list of 8"):
        build(PPO, init_std=[1.0] * 7)


@pytest.mark.parametrize(("value", "words"), [([1.0, 0.0], "algorithm.init_std\\[1\\] is 0.0"), ("a", "init_std is")])
def test_noise_that_is_not_a_positive_number_is_refused(value: Any, words: str) -> None:
    algorithm = {"class_name": "manyseeds.learning.ppo:PPO", "init_std": value}
    with pytest.raises(UserError, match=words):
        resolve_agent({"actor": {}, "critic": {}, "algorithm": algorithm})


def test_checkpoints_hold_the_average_of_the_actor_that_learns() -> None:
    env, obs, ours = build(PPO, ema_decay=0.75)
    _, _, plain = build(PPO)
    average = None
    for iteration in range(3):
        obs = collect(env, obs, ours, plain)
        for algorithm in (ours, plain):
            torch.manual_seed(iteration)
            algorithm.update()
        assert torch.equal(parameters(ours), parameters(plain)), "the average changes nothing in training"
        now = plain.save()["actor_state_dict"]["mlp.0.weight"].clone()
        average = now if average is None else 0.75 * average + 0.25 * now
    saved = ours.save()
    torch.testing.assert_close(saved["actor_state_dict"]["mlp.0.weight"], average)
    assert torch.equal(saved["learning_actor_state_dict"]["mlp.0.weight"], now)
    assert saved["actor_state_dict"].keys() == saved["learning_actor_state_dict"].keys()


def test_a_loaded_average_continues_as_without_interruption() -> None:
    env, obs, ours = build(PPO, ema_decay=0.75)
    obs = collect(env, obs, ours)
    ours.update()
    resumed = build(PPO, ema_decay=0.75)[2]
    resumed.load(copy.deepcopy(ours.save()), None, True)
    resumed.learning_rate = ours.learning_rate
    collect(env, obs, ours, resumed)
    for algorithm in (ours, resumed):
        torch.manual_seed(1)
        algorithm.update()
    assert torch.equal(parameters(ours), parameters(resumed))
    saved, again = ours.save(), resumed.save()
    for part in ("actor_state_dict", "learning_actor_state_dict"):
        assert all(torch.equal(tensor, again[part][name]) for name, tensor in saved[part].items())
    without = build(PPO)[2]
    without.load(copy.deepcopy(saved), None, True)
    assert torch.equal(parameters(without), parameters(ours))
    assert "learning_actor_state_dict" not in without.save()


def test_checkpoints_have_rsl_rls_format() -> None:
    _, _, stock = build(algorithms.PPO)
    env, obs, ours = build(PPO)
    collect(env, obs, ours)
    ours.update()
    stock.load(ours.save(), None, True)
    assert torch.equal(parameters(stock), parameters(ours))
    env, obs, ours = build(PPO, ema_decay=0.5)
    collect(env, obs, ours)
    ours.update()
    stock.load(ours.save(), None, True)
    assert torch.equal(stock.actor.state_dict()["mlp.0.weight"], ours.save()["actor_state_dict"]["mlp.0.weight"])


def of_task(env: Any) -> tuple[Any, Any]:
    """Return the task's mirror, of observations and of actions."""
    return partial(mirrored, env.task, env.task_cfg), partial(env.task.mirror, env.task_cfg)


def test_two_epochs_with_mirror_images_have_the_gradient_of_rsl_rls_augmentation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RSL-RL has originals and images in one batch of twice the size; here an epoch has half of either."""
    options = {"schedule": "fixed", "num_learning_epochs": 1, "num_mini_batches": 1, "max_grad_norm": 1e9}

    def augment(env: Any, obs: Any, actions: Any) -> tuple[Any, Any]:
        of_observations, of_actions = of_task(env)
        images = None if obs is None else obs.clone()
        if images is not None:
            images["policy"] = of_observations(obs["policy"])
            images = torch.cat((obs, images))
        return images, None if actions is None else torch.cat((actions, of_actions(actions)))

    symmetry = {"use_data_augmentation": True, "data_augmentation_func": augment}
    env, obs, stock = build(algorithms.PPO, symmetry_cfg=symmetry, **options)
    _, _, even = build(PPO, mirror_augmentation=True, **options)
    even.mirror = of_task(env)
    collect(env, obs, stock, even)
    odd = copy.deepcopy(even)
    for algorithm in (stock, even):
        torch.manual_seed(0)
        algorithm.update()
    versions = ppo._half_mirrored
    monkeypatch.setattr(ppo, "_half_mirrored", lambda *samples: versions(*samples)[::-1])
    torch.manual_seed(0)
    odd.update()

    def gradients(algorithm: Any) -> torch.Tensor:
        parameters = [*algorithm.actor.parameters(), *algorithm.critic.parameters()]
        return torch.cat([parameter.grad.flatten() for parameter in parameters])

    assert not torch.allclose(gradients(even), gradients(odd), atol=1e-4)
    mean = (gradients(even) + gradients(odd)) / 2
    torch.testing.assert_close(mean, gradients(stock), atol=1e-4, rtol=1e-3)


def test_a_mirror_in_which_nothing_changes_changes_no_update() -> None:
    env, obs, plain = build(PPO, schedule="fixed")
    _, _, ours = build(PPO, schedule="fixed", mirror_augmentation=True)
    ours.mirror = (lambda x: x, lambda x: x)
    collect(env, obs, plain, ours)
    for algorithm in (plain, ours):
        torch.manual_seed(0)
        algorithm.update()
    assert torch.equal(parameters(ours), parameters(plain))


def test_images_do_not_count_in_the_divergence() -> None:
    """At the first step the policy is the old one; only images, on which it is not symmetric, differ."""
    env, obs, ours = build(PPO, mirror_augmentation=True, num_learning_epochs=1, num_mini_batches=1)
    ours.mirror = (lambda x: 10 - 10 * x, lambda x: 10 - x)
    collect(env, obs, ours)
    ours.update()
    assert ours.learning_rate == 1e-3


def test_a_policy_that_learns_from_images_is_more_symmetric() -> None:
    sides = []
    for mirror_augmentation in (False, True):
        env, obs, ours = build(PPO, mirror_augmentation=mirror_augmentation)
        ours.mirror = of_task(env)
        for _ in range(12):
            obs = collect(env, obs, ours)
            ours.update()
        image = obs.clone()
        image["policy"] = ours.mirror[0](obs["policy"])
        with torch.no_grad():
            sides.append((ours.mirror[1](ours.actor(image)) - ours.actor(obs)).square().mean().sqrt().item())
    assert sides[1] < 0.8 * sides[0]


def test_unsupported_options_are_refused() -> None:
    with pytest.raises(ValueError, match="normalization per mini-batch"):
        build(PPO, normalize_advantage_per_mini_batch=True)
    with pytest.raises(ValueError, match="adam"):
        build(PPO, optimizer="sgd")
