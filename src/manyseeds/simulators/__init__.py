"""What steps physics. Each simulator gives the same task as an rsl_rl VecEnv."""

import importlib.util
import sys
from typing import TYPE_CHECKING, Any

from manyseeds.core.errors import UserError

if TYPE_CHECKING:
    from manyseeds.simulators.base import LiftObjectEnv

SIMULATORS = {"mujoco": ("cpu",), "mujoco_warp": ("cpu", "cuda"), "isaaclab": ("cpu", "cuda")}
"""The simulators that can be asked for, with the kinds of device that each runs on."""

PACKAGES = {
    "mujoco": ("mujoco", "numba"),
    "mujoco_warp": ("mujoco", "mujoco-warp", "warp-lang"),
    "isaaclab": ("isaaclab", "newton", "mujoco", "mujoco-warp", "mujoco-usd-converter", "warp-lang"),
}
"""The packages whose versions a simulator's results may depend on."""


class NonFiniteError(RuntimeError):
    """The simulator produced NaN or infinity.

    Attributes:
        term: what was not finite, such as `observation` or `Episode_Reward/joint_vel`.
        env_index: the first environment concerned.
    """

    def __init__(self, term: str, env_index: int) -> None:
        super().__init__(f"{term} is not finite in environment {env_index}")
        self.term = term
        self.env_index = env_index


def make_env(
    simulator: str,
    task: str,
    *,
    num_envs: int,
    seed: int,
    device: str = "cpu",
    threads: int = 0,
    env_spacing: float = 5.0,
    task_cfg: dict[str, Any] | None = None,
    auto_reset: bool = True,
) -> "LiftObjectEnv":
    """Make `num_envs` environments of a task in a simulator.

    Args:
        simulator: one of SIMULATORS.
        task: one of manyseeds.task.TASKS.
        num_envs: environments stepped at once.
        seed: of resets and commands.
        device: where observations, rewards and actions live.
        threads: of the physics on a CPU; 0 means all cores. Results do not depend on it.
        env_spacing: metres between environments, for simulators that lay them side by side.
        task_cfg: numbers of the task to change, by name.
        auto_reset: whether episodes end and start again by themselves. False is for evaluation: nothing ever ends.

    Raises:
        UserError: for an unknown name or a value out of range.
    """
    from manyseeds.tasks import TASKS

    if task not in TASKS:
        raise UserError(f"unknown task '{task}'; allowed are {', '.join(TASKS)}.")
    if simulator not in SIMULATORS:
        raise UserError(f"unknown simulator '{simulator}'; allowed are {', '.join(SIMULATORS)}.")
    if num_envs < 1:
        raise UserError(f"num_envs is {num_envs}; it must be at least 1.")
    if device.split(":")[0] not in SIMULATORS[simulator]:
        kinds = " and ".join(f"'{kind}'" for kind in SIMULATORS[simulator])
        raise UserError(f"device is '{device}'; the simulator '{simulator}' runs on {kinds}.")

    from manyseeds.tasks.lift_object.task import LiftObjectCfg

    cfg = LiftObjectCfg.from_dict(task_cfg or {})
    common: dict[str, Any] = {
        "num_envs": num_envs,
        "seed": seed,
        "env_spacing": env_spacing,
        "auto_reset": auto_reset,
    }
    if simulator == "mujoco":
        from manyseeds.simulators.mujoco import MujocoEnv

        return MujocoEnv(cfg, threads=threads, **common)
    if simulator == "isaaclab":
        if importlib.util.find_spec("isaaclab") is None:
            raise UserError(
                f"the simulator 'isaaclab' is not installed in {sys.executable}; docs/isaaclab.md says how."
            )
        from manyseeds.simulators.isaaclab.env import IsaacLabEnv

        return IsaacLabEnv(cfg, device=device, **common)
    if importlib.util.find_spec("mujoco_warp") is None:
        raise UserError("the simulator 'mujoco_warp' is not installed; envs/setup.sh full installs it.")
    from manyseeds.simulators.mujoco_warp import MujocoWarpEnv

    return MujocoWarpEnv(cfg, device=device, **common)


def sample_episodes(task_cfg: dict[str, Any] | None, n: int, seed: int) -> tuple[Any, Any]:
    """Draw `n` fixed evaluation episodes: the cube's x and y (n, 2) and its target (n, 3), robot root frame, m.

    The first k of n episodes are the same for every n >= k.
    """
    import torch

    from manyseeds.tasks.lift_object.task import LiftObjectCfg, sample_resets

    generator = torch.Generator().manual_seed(seed)
    return sample_resets(LiftObjectCfg.from_dict(task_cfg or {}), n, generator)
