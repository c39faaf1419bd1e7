"""What is random in an episode besides its start, on every simulator of this machine that steps a task itself."""

from dataclasses import dataclass, replace
from typing import Any

import mujoco
import numpy as np
import pytest
import torch

from helpers import file_task
from manyseeds.core.errors import UserError
from manyseeds.simulators import make_env
from manyseeds.simulators.base import Options
from manyseeds.simulators.model import load_model
from manyseeds.simulators.mujoco import MujocoEnv
from manyseeds.simulators.mujoco_warp import MujocoWarpEnv
from manyseeds.simulators.randomness import Scaling
from manyseeds.tasks import base, registry
from manyseeds.tasks.base import Factor, Range

SIMULATORS = {"mujoco": MujocoEnv, "mujoco_warp": MujocoWarpEnv}
each_simulator = pytest.mark.parametrize("simulator", SIMULATORS)
N = 6
EVERYTHING: dict[str, Any] = {
    "cart_mass": [0.5, 2],
    "rail_damping": [0.5, 2],
    "observation_noise": 1.0,
    "action_delay": [0, 3],
    "push_speed": 0.5,
    "push_interval_s": 0.1,
}


@dataclass(frozen=True)
class Cfg(file_task.PushCfg):
    cart_mass: Range = (1, 1)
    rail_damping: Range = (1, 1)


TERMS = file_task.TASK.observations
TASK = replace(
    file_task.TASK,
    cfg=Cfg,
    observations=TERMS | {"cart": replace(TERMS["cart"], noise=0.1)},
    factors={
        "cart_mass": Factor({"body_mass": (), "body_inertia": ()}, ("cart",)),
        "rail_damping": Factor({"dof_damping": ()}, ("rail",)),
    },
    pushed="puck",
)


def environment(simulator: str, task: base.Task = TASK, seed: int = 1, threads: int = 1, **numbers: Any) -> Any:
    cfg = base.configure(task, {"episode_length_s": 0.2} | numbers)
    return SIMULATORS[simulator](task, cfg, Options(N, seed, threads=threads))


def rollout(env: Any, steps: int, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    results = []
    for _ in range(steps):
        obs, rewards, dones, _ = env.step(torch.randn(N, 1, generator=generator))
        results += [obs["policy"].clone(), rewards.clone(), dones, env.state().qpos.clone()]
    return results


@each_simulator
def test_a_factor_is_another_model(simulator: str) -> None:
    """Cart and rail of an episode move as those of an MJCF that has the multiplied numbers."""

    def changed(cfg: Any) -> mujoco.MjSpec:
        spec = TASK.model(cfg)
        spec.geom("cart").mass *= 2
        spec.joint("rail").damping[0] *= 3
        return spec

    scaled = environment(simulator, cart_mass=[2, 2], rail_damping=[3, 3], episode_length_s=1.0)
    other = environment(simulator, replace(TASK, model=changed), episode_length_s=1.0)
    plain = environment(simulator, episode_length_s=1.0)
    for env in (scaled, other, plain):
        starts = TASK.start(env.task_cfg, N, torch.Generator().manual_seed(5))
        factors = base.draw_factors(TASK, env.task_cfg, N, torch.Generator().manual_seed(6))
        env.reset_to(replace(starts, factors=factors))
    one, two, three = (rollout(env, 30)[-1] for env in (scaled, other, plain))
    torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)
    assert (one - three)[:, 0].abs().min() > 1e-3


@each_simulator
def test_each_episode_draws_its_own_factors(simulator: str) -> None:
    env = environment(simulator, cart_mass=[0.5, 2], action_delay=[0, 3])
    env.episode_length_buf = torch.arange(N)
    before = env._factors.clone()
    assert len(before[:, 0].unique()) == N
    assert ((before[:, 0] >= 0.5) & (before[:, 0] <= 2)).all()
    assert (before[:, 1] == 1).all()
    assert set(before[:, 2].tolist()) <= {0, 1, 2, 3}
    for _ in range(12):
        _, _, dones, _ = env.step(torch.zeros(N, 1))
        assert torch.equal((env._factors[:, 0] != before[:, 0]), dones.bool())
        before = env._factors.clone()


@each_simulator
def test_a_restored_state_goes_on_bit_identically_with_everything_random(simulator: str) -> None:
    env = environment(simulator, **EVERYTHING)
    env.episode_length_buf = torch.arange(N)
    rollout(env, 15)
    saved, seen = env.state_dict(), env.get_observations()["policy"]
    expected = rollout(env, 25, seed=1)
    other = environment(simulator, seed=7, **EVERYTHING)
    rollout(other, 3)
    other.load_state_dict(saved)
    assert torch.equal(other.get_observations()["policy"], seen)
    for one, two in zip(expected, rollout(other, 25, seed=1), strict=True):
        assert torch.equal(one, two)


def test_the_number_of_threads_changes_no_bit() -> None:
    one, two = (rollout(environment("mujoco", threads=threads, **EVERYTHING), 25) for threads in (1, 3))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@each_simulator
def test_noise_is_added_to_what_the_policy_sees_and_to_nothing_else(simulator: str) -> None:
    env, plain = environment(simulator, observation_noise=2.0), environment(simulator)
    for _ in range(5):
        obs, rewards, *_ = env.step(torch.ones(N, 1))
        _, without, *_ = plain.step(torch.ones(N, 1))
        noise = obs["policy"] - base.observe(TASK, env.task_cfg, env.state())
        assert noise[:, :2].abs().max() <= 0.2 + 1e-6
        assert len(noise[:, :2].unique()) == 2 * N
        assert noise[:, 2:].abs().max() < 1e-6
        assert torch.equal(rewards, without)
        assert torch.equal(env.get_observations()["policy"], obs["policy"])


@each_simulator
def test_an_action_comes_late(simulator: str) -> None:
    late = environment(simulator, action_delay=[2, 2], episode_length_s=1.0)
    prompt = environment(simulator, episode_length_s=1.0)
    starts = TASK.start(prompt.task_cfg, N, torch.Generator().manual_seed(5))
    prompt.reset_to(starts)
    factors = base.draw_factors(TASK, late.task_cfg, N, torch.Generator().manual_seed(0))
    late.reset_to(replace(starts, factors=factors))
    actions = torch.randn(10, N, 1, generator=torch.Generator().manual_seed(3))
    for step in range(10):
        late.step(actions[step])
        prompt.step(actions[step - 2] if step > 1 else torch.zeros(N, 1))
        assert torch.equal(late.state().qpos, prompt.state().qpos)
        assert torch.equal(late.state().action, actions[step])


@each_simulator
def test_a_push_is_a_sudden_velocity_of_the_body_now_and_then(simulator: str) -> None:
    env = environment(simulator, push_speed=3.0, push_interval_s=0.2)
    starts = TASK.start(env.task_cfg, N, torch.Generator().manual_seed(5))
    pushed = 0
    for seed in range(100):
        env.reset_to(starts, seed)
        env.step(torch.zeros(N, 1))
        speed = env.state().qvel[:, 2:4].abs()
        assert speed.max() < 3.1
        pushed += int((speed.amax(1) > 0.1).sum())
    # 600 steps of 0.02 s, and a push every 0.2 s.
    assert 35 < pushed < 85


def test_the_same_evaluation_meets_the_same_noise_again() -> None:
    env = environment("mujoco", **EVERYTHING)
    starts = TASK.start(env.task_cfg, N, torch.Generator().manual_seed(5))
    factors = base.draw_factors(TASK, env.task_cfg, N, torch.Generator().manual_seed(6))
    results = []
    for seed in (3, 3, 4):
        env.reset_to(replace(starts, factors=factors), seed)
        results.append(torch.stack(rollout(env, 5)[::4]))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_a_factor_alone_is_drawn_as_with_the_others() -> None:
    together = base.configure(TASK, {"cart_mass": [0.5, 2], "rail_damping": [0.5, 2], "action_delay": [0, 2]})
    alone = base.configure(TASK, {"rail_damping": [0.5, 2]})
    drawn = [base.draw_factors(TASK, cfg, 50, torch.Generator().manual_seed(1)) for cfg in (together, alone)]
    assert drawn[0] is not None
    assert drawn[1] is not None
    assert torch.equal(drawn[0][:, 1], drawn[1][:, 1])
    assert (drawn[1][:, [0, 2]] == torch.tensor([1.0, 0.0])).all()
    assert np.bincount(drawn[0][:, 2].int()).min() > 5


def test_nothing_is_drawn_where_nothing_is_random() -> None:
    generator = torch.Generator().manual_seed(1)
    before = generator.get_state()
    assert base.draw_factors(TASK, TASK.cfg(), 5, generator) is None
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize(
    ("task", "numbers", "words"),
    [
        ("cart_pole", {"push_speed": 1.0}, "'push_speed' is 1.0; it must be 0, because nothing of cart_pole can be"),
        ("cart_pole", {"observation_noise": -1.0}, "'observation_noise' is -1.0; it must be 0 or greater"),
        ("cart_pole", {"action_delay": [0, 1.5]}, r"'action_delay' is \[0.0, 1.5\]; it must be two whole numbers"),
        ("cart_pole", {"pole_mass_scale": [0, 2]}, r"'pole_mass_scale' is \[0.0, 2.0\]; its numbers must be greater"),
        ("lift_object", {"push_interval_s": 0.0}, "'push_interval_s' is 0.0; it must be greater than 0"),
    ],
)
def test_bad_numbers_are_named(task: str, numbers: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        base.configure(registry.load(task), numbers)


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (Factor({"body_mas": ()}), "factor cart_mass has the array 'body_mas'; it must be one of MuJoCo's model"),
        (Factor({"opt_gravity": ()}), "factor cart_mass has the array 'opt_gravity'"),
        (Factor({"body_mass": ()}, ("car",)), "factor cart_mass has 'car'; it must be the name of a body of the MJCF"),
    ],
)
def test_a_factor_of_what_the_model_lacks_is_named(factor: Factor, words: str) -> None:
    task = replace(TASK, factors=TASK.factors | {"cart_mass": factor})
    with pytest.raises(UserError, match=words):
        environment("mujoco", task, cart_mass=[0.5, 2])


def test_a_factor_without_a_range_and_a_body_that_cannot_be_pushed_are_named() -> None:
    with pytest.raises(UserError, match=r"factor weight needs a field of the cfg, 'weight: Range = \(1, 1\)'"):
        base.configure(replace(TASK, factors={"weight": Factor({"body_mass": ()})}), {})
    with pytest.raises(UserError, match="pushed is 'cart'; of the MJCF, puck can move freely"):
        environment("mujoco", replace(TASK, pushed="cart"), push_speed=1.0)


@pytest.mark.parametrize("task", ["cart_pole", "reach", "lift_object", "walk", "open_drawer"])
@each_simulator
def test_built_in_tasks_run_with_all_of_their_factors(simulator: str, task: str) -> None:
    loaded = registry.load(task)
    numbers: dict[str, Any] = {name: [0.8, 1.25] for name in loaded.factors}
    numbers |= {"observation_noise": 1.0, "action_delay": [0, 1], "push_speed": 0.2 if loaded.pushed else 0.0}
    env = make_env(simulator, task, num_envs=3, seed=1, threads=1, task_cfg=numbers)
    for _ in range(3):
        obs, *_ = env.step(torch.zeros(3, loaded.action_width))
    env.check_physics()
    assert torch.isfinite(obs["policy"]).all()
    assert len(env._factors.unique(dim=0)) == 3  # type: ignore[attr-defined]


def test_numbers_that_follow_from_a_command_must_be_in_the_model() -> None:
    for key, words in (
        (("geom_size", "nothing"), "'nothing'; it must be a geom"),
        (("mass", "disc"), "'mass'; it must"),
    ):
        task = replace(TASK, adapt=lambda cfg, command, key=key: {key: command[:, :1]})
        with pytest.raises(UserError, match=words):
            Scaling.of(task, task.cfg(), load_model(task, task.cfg()), "cpu", torch.float64)
