"""What steps physics. Each simulator gives the same task as an rsl_rl VecEnv."""

import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

from manyseeds.core.errors import UserError
from manyseeds.core.simulators import SIMULATORS
from manyseeds.tasks import registry

if TYPE_CHECKING:
    from manyseeds.simulators.base import TaskEnv


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
) -> "TaskEnv":
    """Make `num_envs` environments of a task in a simulator.

    Args:
        simulator: one of `core.simulators.SIMULATORS`.
        task: name of an installed task, or path of a Python file that defines TASK.
        num_envs: environments stepped at once.
        seed: of starts and commands.
        device: where observations, rewards and actions live.
        threads: of the physics on a CPU; 0 means all cores. Results do not depend on it.
        env_spacing: metres between environments, for simulators that lay them side by side.
        task_cfg: numbers of the task to change, by name.
        auto_reset: whether episodes end and start again by themselves. False is for evaluation: nothing ever ends.

    Raises:
        UserError: for an unknown name, a value out of range, a simulator that is not installed or a task with mistakes.
    """
    if simulator not in SIMULATORS:
        raise UserError(f"unknown simulator '{simulator}'; allowed are {', '.join(SIMULATORS)}.")
    row = SIMULATORS[simulator]
    if num_envs < 1:
        raise UserError(f"num_envs is {num_envs}; it must be at least 1.")
    if device.split(":")[0] not in row.devices:
        kinds = " and ".join(f"'{kind}'" for kind in row.devices)
        raise UserError(f"device is '{device}'; the simulator '{simulator}' runs on {kinds}.")
    if importlib.util.find_spec(row.module) is None:
        raise UserError(f"the simulator '{simulator}' is not installed in {sys.executable}; {row.install}.")
    from manyseeds.simulators.rendering import choose_renderer

    choose_renderer()  # before anything imports MuJoCo
    from manyseeds.simulators.base import Options
    from manyseeds.tasks.base import configure

    loaded = registry.load(task)
    module, name = row.env.split(":")
    make = getattr(importlib.import_module(module), name)
    options = Options(num_envs, seed, device, threads, env_spacing, auto_reset)
    with registry.mistakes_named():
        env: TaskEnv = make(loaded, configure(loaded, task_cfg or {}), options)
    env.cfg["task"] = task
    return env
