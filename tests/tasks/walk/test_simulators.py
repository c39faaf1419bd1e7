"""walk is the same task in MuJoCo and in MuJoCo Warp, here on Warp's CPU device."""

import torch

from manyseeds.learning.agent import load_agent
from manyseeds.learning.runner import Runner
from manyseeds.simulators import make_env
from manyseeds.simulators.base import TaskEnv
from manyseeds.tasks import base, registry
from manyseeds.tasks.walk.description import FEET
from manyseeds.tasks.walk.task import TASK


def environment(simulator: str, num_envs: int = 8) -> TaskEnv:
    return make_env(simulator, "walk", num_envs=num_envs, seed=1, threads=1, task_cfg={"episode_length_s": 2.0})


def test_episodes_start_and_go_on_nearly_the_same() -> None:
    """Contacts magnify what single precision rounds, so tolerances are those of a standing robot's small motions."""
    cpu, warp = environment("mujoco"), environment("mujoco_warp")
    torch.testing.assert_close(warp.get_observations()["policy"], cpu.get_observations()["policy"])
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        action = 0.3 * torch.randn(8, 12, generator=generator)
        cpu.step(action)
        _, others, dones, _ = warp.step(action)
        assert not dones.any() and torch.isfinite(others).all()
    torch.testing.assert_close(warp.state().qpos, cpu.state().qpos, atol=0.02, rtol=0)
    warp.check_physics()


def test_the_terms_of_the_same_state_are_the_same() -> None:
    cpu, warp = environment("mujoco"), environment("mujoco_warp")
    for _ in range(15):
        warp.step(torch.linspace(-2, 2, 12).repeat(8, 1))
    state = warp.state()
    cpu._qpos[:], cpu._qvel[:] = state.qpos.numpy(), state.qvel.numpy()  # type: ignore[attr-defined]
    there = cpu.state()
    for name in FEET:
        torch.testing.assert_close(there.sites[name], state.sites[name], atol=1e-5, rtol=0)
        torch.testing.assert_close(there.rotations[name], state.rotations[name], atol=1e-5, rtol=0)
    for part in ("command", "action", "previous_action", "memory", "episode_length"):
        setattr(there, part, getattr(state, part))
    cfg = cpu.task_cfg
    torch.testing.assert_close(TASK.remember(cfg, there), TASK.remember(cfg, state), atol=1e-4, rtol=1e-4)  # type: ignore[misc]
    for terms in (base.observe, base.rewards, base.metrics):
        torch.testing.assert_close(terms(TASK, cfg, there), terms(TASK, cfg, state), atol=1e-5, rtol=1e-4)


def test_it_trains_in_mujoco_warp() -> None:
    env = environment("mujoco_warp", 8)
    runner = Runner(env, load_agent(registry.agent_file("walk")), seed=1, device="cpu", threads=1)
    scalars = [runner.iterate().scalars for _ in range(2)][-1]
    assert "Train/mean_reward" in scalars or "Loss/value_function" in scalars
