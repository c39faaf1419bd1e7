"""reach is the same task in MuJoCo and in MuJoCo Warp, here on Warp's CPU device."""

import torch

from manyseeds.learning.agent import load_agent
from manyseeds.learning.runner import Runner
from manyseeds.simulators import make_env
from manyseeds.simulators.base import TaskEnv
from manyseeds.tasks import base, registry
from manyseeds.tasks.reach.task import TASK


def environment(simulator: str, num_envs: int = 8) -> TaskEnv:
    return make_env(simulator, "reach", num_envs=num_envs, seed=1, threads=1, task_cfg={"episode_length_s": 1.0})


def test_episodes_start_and_go_on_the_same_to_single_precision() -> None:
    cpu, warp = environment("mujoco"), environment("mujoco_warp")
    torch.testing.assert_close(warp.get_observations()["policy"], cpu.get_observations()["policy"])
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        action = torch.randn(8, 7, generator=generator)
        observations, rewards, dones, _ = cpu.step(action)
        others = warp.step(action)
        torch.testing.assert_close(others[0]["policy"], observations["policy"], atol=5e-3, rtol=0)
        torch.testing.assert_close(others[1], rewards, atol=1e-4, rtol=0)
        assert torch.equal(others[2], dones)


def test_the_terms_of_the_same_state_are_the_same() -> None:
    cpu, warp = environment("mujoco"), environment("mujoco_warp")
    for _ in range(5):
        warp.step(torch.ones(8, 7))
    state = warp.state()
    cpu._qpos[:], cpu._qvel[:] = state.qpos.numpy(), state.qvel.numpy()  # type: ignore[attr-defined]
    there = cpu.state()
    torch.testing.assert_close(there.sites["hand"], state.sites["hand"], atol=1e-5, rtol=0)
    torch.testing.assert_close(there.rotations["hand"], state.rotations["hand"], atol=1e-5, rtol=0)
    there.command, there.action, there.previous_action = state.command, state.action, state.previous_action
    cfg = cpu.task_cfg
    torch.testing.assert_close(base.observe(TASK, cfg, there), base.observe(TASK, cfg, state), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(base.rewards(TASK, cfg, there), base.rewards(TASK, cfg, state), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(base.metrics(TASK, cfg, there), base.metrics(TASK, cfg, state), atol=1e-5, rtol=1e-5)


def test_it_trains_in_mujoco_warp() -> None:
    env = environment("mujoco_warp", 16)
    runner = Runner(env, load_agent(registry.agent_file("reach")), seed=1, device="cpu", threads=1)
    scalars = [runner.iterate().scalars for _ in range(3)][-1]
    assert set(TASK.episode_tags) <= set(scalars)
