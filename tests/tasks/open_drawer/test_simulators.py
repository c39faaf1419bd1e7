"""open_drawer is the same task in MuJoCo and in MuJoCo Warp, here on Warp's CPU device; Isaac Lab's simulator refuses it."""

import pytest
import torch

from manyseeds.core.errors import UserError
from manyseeds.simulators import make_env
from manyseeds.simulators.base import TaskEnv
from manyseeds.simulators.isaaclab.parts import parts
from manyseeds.simulators.model import load_model
from manyseeds.tasks import base
from manyseeds.tasks.open_drawer.description import DRAWER
from manyseeds.tasks.open_drawer.task import TASK, OpenDrawerCfg


def environment(simulator: str, num_envs: int = 8) -> TaskEnv:
    """Every episode starts with the hand at the handle, so that it touches the handle soon."""
    numbers = {"episode_length_s": 0.4, "handle_start_share": 1.0, "handle_start_distance": [0, 0]}
    return make_env(simulator, "open_drawer", num_envs=num_envs, seed=1, threads=1, task_cfg=numbers)


@pytest.fixture(scope="module")
def both() -> tuple[TaskEnv, TaskEnv]:
    """Both simulators after an episode and 15 steps in which a closed hand is pulled back."""
    cpu, warp = environment("mujoco"), environment("mujoco_warp")
    torch.testing.assert_close(warp.get_observations()["policy"], cpu.get_observations()["policy"])
    pull = torch.tensor([0.0, -0.5, 0, -0.5, 0, 0, 0, -1])
    for _ in range(35):
        _, _, dones, _ = cpu.step(pull.repeat(8, 1))
        _, _, others, _ = warp.step(pull.repeat(8, 1))
        assert torch.equal(dones, others)
    return cpu, warp


def test_episodes_go_on_nearly_the_same_with_the_hand_at_the_handle(both: tuple[TaskEnv, TaskEnv]) -> None:
    """Contacts magnify what single precision rounds."""
    cpu, warp = (env.state() for env in both)
    torch.testing.assert_close(warp.qpos, cpu.qpos, atol=0.01, rtol=0)
    torch.testing.assert_close(warp.command, cpu.command)
    assert cpu.qpos[:, DRAWER].std() > 0.01
    both[1].check_physics()


def test_the_terms_of_the_same_state_are_the_same(both: tuple[TaskEnv, TaskEnv]) -> None:
    cpu, warp = both
    state = warp.state()
    cpu._qpos[:], cpu._qvel[:] = state.qpos.numpy(), state.qvel.numpy()  # type: ignore[attr-defined]
    there = cpu.state()
    for name in TASK.sites:
        torch.testing.assert_close(there.sites[name], state.sites[name], atol=1e-5, rtol=0)
    for part in ("action", "previous_action", "episode_length"):
        setattr(there, part, getattr(state, part))
    for terms in (base.observe, base.rewards, base.metrics):
        torch.testing.assert_close(terms(TASK, cpu.task_cfg, there), terms(TASK, cpu.task_cfg, state), atol=1e-5, rtol=1e-4)


def test_the_cabinet_is_refused_where_mocap_bodies_only_show_something() -> None:
    with pytest.raises(UserError, match="mocap body 'cabinet_stand' with shapes that collide"):
        parts(load_model(TASK, OpenDrawerCfg()))
