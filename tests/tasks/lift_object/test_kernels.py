"""The compiled loops of a step compute what the task's functions say, on any number of environments."""

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from manyseeds.core.errors import UserError
from manyseeds.simulators import NonFiniteError
from manyseeds.simulators.base import Options
from manyseeds.simulators.mujoco import MujocoEnv
from manyseeds.tasks import base
from manyseeds.tasks.base import Term
from manyseeds.tasks.lift_object import kernels, robot, task
from manyseeds.tasks.lift_object.task import TASK

N = 257
TASKS = {
    "published": task.LiftObjectCfg(),
    "lifted near the hand": task.LiftObjectCfg(lifting_object_reach=0.3, reaching_object_std=0.2, action_scale=0.7),
    "success ends": task.LiftObjectCfg(success_ends_episode=True, success_distance=0.4),
}


def in_a_random_state(cfg: task.LiftObjectCfg, auto_reset: bool, monkeypatch: pytest.MonkeyPatch) -> MujocoEnv:
    """Environments whose physics stands still at states on both sides of every limit of the task."""
    env = MujocoEnv(TASK, cfg, Options(N, seed=0, threads=1, auto_reset=auto_reset))
    rng = np.random.default_rng(0)
    env._qpos[:, :9] = rng.uniform(-4, 4, (N, 9))
    env._qpos[:, 9:12] = env.state().sites["end_effector"].numpy() + rng.uniform(-0.3, 0.3, (N, 3))
    quaternions = rng.normal(size=(N, 4))
    env._qpos[:, 12:] = quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)
    env._qvel[:] = rng.normal(size=(N, 15))
    env._action[:] = torch.from_numpy(rng.normal(size=(N, 8)))
    env._command[:] = env.state().qpos[:, 9:12] + torch.from_numpy(rng.uniform(-0.4, 0.4, (N, 3)))
    env._reward_sums[:] = torch.from_numpy(rng.normal(size=(N, len(TASK.rewards))))
    env.episode_length_buf = torch.from_numpy(rng.integers(0, cfg.episode_length, N))
    monkeypatch.setattr(env._batch, "step", lambda nstep: None)
    return env


@pytest.mark.parametrize("name", TASKS)
def test_a_step_is_what_the_tasks_functions_say(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = TASKS[name]
    env = in_a_random_state(cfg, True, monkeypatch)
    actions = torch.randn(N, 8, generator=torch.Generator().manual_seed(0))
    # Copies: a step changes in place what the state shows.
    state = replace(
        env.state(),
        action=actions,
        previous_action=env._action.clone(),
        command=env._command.clone(),
        episode_length=env.episode_length_buf + 1,
    )
    sums = env._reward_sums + base.rewards(TASK, cfg, state)
    ended = base.terminations(TASK, cfg, state)
    done = ended.any(1)
    observed, rewards, dones, extras = env.step(actions)

    torch.testing.assert_close(rewards, base.rewards(TASK, cfg, state).sum(1), atol=2e-6, rtol=1e-5)
    assert torch.equal(dones, done.long()) and done.any() and not done.all()
    assert torch.equal(extras["time_outs"], ended[:, 0] & ~ended[:, 1:].any(1))
    torch.testing.assert_close(env._reward_sums[~done], sums[~done], atol=2e-6, rtol=1e-5)
    assert torch.equal(observed["policy"][~done], base.observe(TASK, cfg, state)[~done])
    assert torch.equal(observed["policy"], env.get_observations()["policy"])
    assert torch.equal(observed["policy"], base.observe(TASK, cfg, env.state()))
    columns = (
        sums / cfg.episode_length_s,
        ended.float(),
        base.metrics(TASK, cfg, state),
        TASK.success(cfg, state).float()[:, None],
    )
    expected = torch.cat(columns, dim=1)[done].mean(0)
    torch.testing.assert_close(torch.tensor(list(extras["log"].values())), expected, atol=1e-5, rtol=1e-5)
    assert tuple(extras["log"]) == TASK.episode_tags


def test_a_step_without_kernels_is_the_same_to_float_precision() -> None:
    cfg = task.LiftObjectCfg(lifting_object_reach=0.3, grasp_start_share=1.0)
    compiled, generic = (
        MujocoEnv(replace(TASK, kernels=name), cfg, Options(N, seed=0, threads=1)) for name in (TASK.kernels, None)
    )
    for env in (compiled, generic):
        env.reset_to(task.train_start(cfg, N, torch.Generator().manual_seed(1)))
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        actions = torch.randn(N, 8, generator=generator)
        obs, rewards, dones, _ = compiled.step(actions)
        other_obs, other_rewards, other_dones, _ = generic.step(actions)
        torch.testing.assert_close(obs, other_obs, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(rewards, other_rewards, atol=1e-5, rtol=1e-4)
        assert torch.equal(dones, other_dones)


CHANGES = {
    "a seventh reward": (
        {"rewards": {**TASK.rewards, "gravity": Term(robot.action_rate)}},
        "rewards than the task has: REWARDS lacks gravity;",
    ),
    "another order": (
        {"rewards": dict(reversed(TASK.rewards.items()))},
        "REWARDS must have the task's order, joint_vel, .*",
    ),
    "another width": (
        {"observations": {**TASK.observations, "actions": Term(robot.joint_pos, 9)}},
        r"OBSERVATIONS lacks actions \(9\) and has, too, actions \(8\)",
    ),
    "a termination less": ({"terminations": {}}, "TERMINATIONS has, too, object_dropped, success"),
    "another metric": ({"metrics": {}}, "METRICS has, too, object_pose/position_error"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_kernels_that_do_not_match_the_terms_are_refused(name: str) -> None:
    changes, words = CHANGES[name]
    with pytest.raises(UserError, match=words) as error:
        MujocoEnv(replace(TASK, **changes), task.LiftObjectCfg(), Options(1, seed=0))
    assert "task lift_object: its kernels manyseeds.tasks.lift_object.kernels" in str(error.value)


def test_what_ended_starts_again_at_rest_and_nothing_else_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    env = in_a_random_state(TASKS["published"], True, monkeypatch)
    before = env._qpos.copy()
    _, _, dones, _ = env.step(torch.ones(N, 8))
    again = dones.bool().numpy()
    assert np.array_equal(env._qpos[~again], before[~again])
    assert (env._qpos[again] != before[again]).any(1).all()
    assert not env._qvel[again].any() and not env._warmstart[again].any()
    assert np.array_equal(env._ctrl[again], env._qpos[again, :9])
    assert np.array_equal(env._mocap[again], env._command[dones.bool()].double().numpy())
    assert not env._action[dones.bool()].any() and not env._reward_sums[dones.bool()].any()
    assert (env.episode_length_buf[dones.bool()] == 0).all()
    assert torch.equal(env._previous_action[~dones.bool()].any(1), torch.ones(int((~dones.bool()).sum())).bool())


def test_a_reward_that_is_not_finite_is_named_even_where_the_episode_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    env = in_a_random_state(TASKS["published"], True, monkeypatch)
    env._qvel[5, 3] = 1e300
    env.episode_length_buf[5] = env.max_episode_length - 1
    with pytest.raises(NonFiniteError, match="Episode_Reward/joint_vel is not finite in environment 5"):
        env.step(torch.zeros(N, 8))


def test_a_reward_to_which_the_kernels_give_no_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    env = in_a_random_state(TASKS["published"], True, monkeypatch)

    def answer(*arguments: Any) -> tuple[int, bool]:
        env._reward_sums[3, 5] = torch.nan
        return 3, False

    monkeypatch.setattr(kernels, "answer", answer)
    with pytest.raises(
        UserError, match=r"`answer` of its kernels manyseeds\.\S+\.kernels gives no value to joint_vel\.$"
    ):
        env.step(torch.zeros(N, 8))


def test_joint_targets_are_the_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    for cfg in TASKS.values():
        env = in_a_random_state(cfg, False, monkeypatch)
        actions = torch.randn(N, 8, generator=torch.Generator().manual_seed(0))
        env.step(actions)
        np.testing.assert_allclose(env._ctrl, task.joint_targets(cfg, actions).numpy(), rtol=3e-7, atol=3e-7)


@given(st.floats(-1e6, 1e6))
def test_sine_and_cosine_are_numpys(angle: float) -> None:
    np.testing.assert_allclose(kernels._sin_cos(angle), (np.sin(angle), np.cos(angle)), rtol=0, atol=3e-9)


@given(st.floats(0, 1e30))
def test_nearness_is_one_minus_tanh(x: float) -> None:
    np.testing.assert_allclose(kernels._nearness(x), 1 - np.tanh(x), rtol=0, atol=1e-14)
    if x < 15:
        np.testing.assert_allclose(kernels._nearness(x), 2 / (np.exp(2 * x) + 1), rtol=1e-8)


def test_a_distance_that_is_no_number_stays_none() -> None:
    assert np.isnan(kernels._nearness(np.nan))


def test_what_a_step_returned_stays_as_it_is() -> None:
    env = MujocoEnv(TASK, task.LiftObjectCfg(), Options(4, seed=0, threads=1))
    with torch.inference_mode():
        env.step(torch.randn(4, 8))
    steps = [env.step(torch.randn(4, 8)) for _ in range(40)]
    assert not steps[0][0]["policy"].is_inference()
    copies = [(obs.clone(), rewards.clone()) for obs, rewards, *_ in steps]
    for _ in range(40):
        env.step(torch.randn(4, 8))
    for (obs, rewards, *_), (obs_then, rewards_then) in zip(steps, copies, strict=True):
        assert torch.equal(obs["policy"], obs_then["policy"]) and torch.equal(rewards, rewards_then)
    assert len({obs["policy"].data_ptr() for obs, *_ in steps}) == 40


def test_compiled_code_needs_no_home_to_be_kept_in() -> None:
    """A container may run as a user whose home does not exist."""
    code = (
        "import torch; from manyseeds.simulators import make_env;"
        "make_env('mujoco', 'lift_object', num_envs=1, seed=0, threads=1).step(torch.zeros(1, 8))"
    )
    environment = {**os.environ, "HOME": "/proc/none"}
    for name in ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR"):
        environment.pop(name, None)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
