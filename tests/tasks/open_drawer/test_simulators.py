"""open_drawer is the same task in MuJoCo and in MuJoCo Warp, here on Warp's CPU device; Isaac Lab's refuses it."""

import pytest
import torch

from manyseeds.core.errors import UserError
from manyseeds.simulators import make_env
from manyseeds.simulators.base import TaskEnv
from manyseeds.simulators.isaaclab.parts import parts
from manyseeds.simulators.model import load_model
from manyseeds.tasks import base
from manyseeds.tasks.base import configure
from manyseeds.tasks.open_drawer import task
from manyseeds.tasks.open_drawer.description import DRAWER
from manyseeds.tasks.open_drawer.task import TASK, OpenDrawerCfg

CFG = configure(TASK, {"handle_start_share": 1.0, "handle_start_distance": [0, 0]})


@pytest.fixture(scope="module")
def both() -> tuple[TaskEnv, TaskEnv]:
    """Both simulators after 15 steps in which a hand at the handle closes and is pulled back."""
    starts = task.train_start(CFG, 8, torch.Generator().manual_seed(0))
    cpu, warp = (
        make_env(name, "open_drawer", num_envs=8, seed=1, threads=1, auto_reset=False)
        for name in ("mujoco", "mujoco_warp")
    )
    arm = (starts.qpos[:, :7] - torch.tensor(CFG.default_arm)) + torch.tensor([0, -0.3, 0, -0.3, 0, 0, 0])
    for env in (cpu, warp):
        env.reset_to(starts)
    torch.testing.assert_close(warp.get_observations()["policy"], cpu.get_observations()["policy"])
    for _ in range(15):
        for env in (cpu, warp):
            env.step(torch.cat((arm, -torch.ones(8, 1)), dim=1))
    return cpu, warp


def test_episodes_go_on_nearly_the_same_with_the_hand_at_the_handle(both: tuple[TaskEnv, TaskEnv]) -> None:
    """Contacts magnify what single precision rounds."""
    cpu, warp = (env.state() for env in both)
    torch.testing.assert_close(warp.qpos, cpu.qpos, atol=0.01, rtol=0)
    torch.testing.assert_close(warp.command, cpu.command)
    assert cpu.qpos[:, DRAWER].max() > 0.02
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
        torch.testing.assert_close(
            terms(TASK, cpu.task_cfg, there), terms(TASK, cpu.task_cfg, state), atol=1e-5, rtol=1e-4
        )


def test_the_cabinet_is_refused_where_mocap_bodies_only_show_something() -> None:
    with pytest.raises(UserError, match="mocap body 'cabinet_stand' with shapes that collide"):
        parts(load_model(TASK, OpenDrawerCfg()))
