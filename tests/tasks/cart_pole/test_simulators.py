"""cart_pole is the same task in MuJoCo and in MuJoCo Warp, here on Warp's CPU device."""

import torch

from manyseeds.learning.agent import load_agent
from manyseeds.learning.runner import Runner
from manyseeds.simulators import make_env
from manyseeds.simulators.base import TaskEnv
from manyseeds.tasks import registry
from manyseeds.tasks.cart_pole.task import TASK


def environment(simulator: str, num_envs: int = 8) -> TaskEnv:
    return make_env(simulator, "cart_pole", num_envs=num_envs, seed=1, threads=1, task_cfg={"episode_length_s": 0.5})


def test_episodes_go_on_the_same_to_single_precision() -> None:
    """Until they end; where the next ones start is drawn differently."""
    cpu, warp = environment("mujoco"), environment("mujoco_warp")
    torch.testing.assert_close(warp.get_observations()["policy"], cpu.get_observations()["policy"])
    generator = torch.Generator().manual_seed(0)
    for step in range(30):
        action = 0.3 * torch.randn(8, 1, generator=generator)
        observations, rewards, dones, _ = cpu.step(action)
        others = warp.step(action)
        torch.testing.assert_close(others[1], rewards, atol=1e-4, rtol=0)
        assert torch.equal(others[2], dones) and bool(dones.all()) == (step == 29)
        if step < 29:
            torch.testing.assert_close(others[0]["policy"], observations["policy"], atol=2e-3, rtol=0)


def test_it_trains_in_mujoco_warp() -> None:
    runner = Runner(
        environment("mujoco_warp", 16), load_agent(registry.agent_file("cart_pole")), seed=1, device="cpu", threads=1
    )
    scalars = [runner.iterate().scalars for _ in range(3)][-1]
    assert set(TASK.episode_tags) <= set(scalars)
