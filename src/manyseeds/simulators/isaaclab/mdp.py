"""The managers' terms: each calls a function of `task` on the state that `frames` reads."""

from dataclasses import MISSING
from typing import Any

import torch
from isaaclab.managers import CommandTerm, CommandTermCfg, ManagerTermBase
from isaaclab.utils import configclass
from torch import Tensor

from manyseeds.simulators.base import end_effector_chain, load_model
from manyseeds.simulators.isaaclab import frames
from manyseeds.tasks.lift_object import task
from manyseeds.tasks.lift_object.grasp_starts import GraspStarts, solve_grasp_starts, start_around_cubes

COMMAND = "object_pose"


class TargetCommand(CommandTerm):
    """Where the cube shall be, (n, 7): position in the root frame and no rotation. `StartEpisodes` draws it."""

    def __init__(self, cfg: Any, env: Any) -> None:
        super().__init__(cfg, env)
        self.task_cfg = task.LiftObjectCfg.from_dict(cfg.task_cfg)
        self.offset = torch.tensor(cfg.end_effector, dtype=torch.float32, device=self.device)
        self.target = torch.zeros(self.num_envs, 3, device=self.device)
        self._no_rotation = torch.tensor([0.0, 0.0, 0.0, 1.0], device=self.device).expand(self.num_envs, 4)
        for name in ("position_error", "orientation_error", "success_rate"):
            self.metrics[name] = torch.zeros(self.num_envs, device=self.device)

    @property
    def command(self) -> Tensor:
        """Position in m and quaternion x y z w, (n, 7)."""
        return torch.cat((self.target, self._no_rotation), dim=1)

    def state(self) -> task.State:
        """Return the present state."""
        return frames.state(self._env, self.offset, self.target)

    def _update_metrics(self) -> None:
        position, quaternion = frames.cube(self._env)
        distance = torch.linalg.vector_norm(position - self.target, dim=1)
        self.metrics["position_error"][:] = distance
        self.metrics["orientation_error"][:] = 2 * torch.acos(quaternion[:, 0].abs().clamp(max=1.0))
        reached = (distance < self.task_cfg.success_distance) & (self._env.episode_length_buf > 0)
        self.metrics["success_rate"][:] = torch.maximum(self.metrics["success_rate"], reached.float())

    def _resample_command(self, env_ids: Any) -> None:
        pass

    def _update_command(self) -> None:
        pass


@configclass
class TargetCommandCfg(CommandTermCfg):
    """A command for each whole episode."""

    class_type: type = TargetCommand
    resampling_time_range: tuple[float, float] = (1e9, 1e9)
    task_cfg: dict = MISSING  # type: ignore[assignment]
    """Fields of LiftObjectCfg."""
    end_effector: tuple[float, float, float] = MISSING  # type: ignore[assignment]
    """The point between the finger pads in the hand's frame, m."""


def _command(env: Any) -> TargetCommand:
    return env.command_manager.get_term(COMMAND)


def observation(env: Any, first: int, last: int) -> Tensor:
    """Return entries `first` to `last` of the task's observation, (n, last - first)."""
    command = _command(env)
    return task.observations(command.task_cfg, command.state())[:, first:last]


def reward(env: Any, index: int) -> Tensor:
    """Return the reward term of that index, (n,), without its weight."""
    command = _command(env)
    return task.unweighted_rewards(command.task_cfg, command.state())[:, index]


def termination(env: Any, index: int) -> Tensor:
    """Return where the termination of that index holds, (n,)."""
    command = _command(env)
    return task.terminations(command.task_cfg, command.state(), env.episode_length_buf)[:, index]


class StartEpisodes(ManagerTermBase):
    """Draws where an episode starts and what it commands, from a generator of its own, as the other simulators do."""

    def __init__(self, cfg: Any, env: Any) -> None:
        super().__init__(cfg, env)
        self.generator = torch.Generator(env.device).manual_seed(env.cfg.seed or 0)
        task_cfg = task.LiftObjectCfg.from_dict(env.cfg.commands.object_pose.task_cfg)
        joints = task.default_joint_pos(task_cfg, env.device)
        cube = torch.tensor([0.0, 0.0, task_cfg.object_z, 1.0, 0.0, 0.0, 0.0], device=env.device)
        self._home = torch.cat((joints, cube))
        self._starts = None
        if task_cfg.grasp_start_share > 0:
            model = load_model(task_cfg)
            limits = model.jnt_range[[model.joint(name).id for name in frames.JOINTS[:7]]]
            starts = solve_grasp_starts(task_cfg, end_effector_chain(model), limits)
            self._starts = GraspStarts(starts.arm.to(env.device), starts.object_pos.to(env.device))

    def __call__(self, env: Any, env_ids: Any) -> None:
        """Start episodes of environments: some around the cube, the others at home."""
        ids = torch.arange(env.num_envs, device=env.device)[env_ids]
        cfg = _command(env).task_cfg
        object_xy, target = task.sample_resets(cfg, len(ids), self.generator)
        qpos = self.start_qpos(object_xy)
        if self._starts is not None:
            qpos = start_around_cubes(cfg, self._starts, qpos, self.generator)
        self.start(env, ids, qpos, target)

    def start_qpos(self, object_xy: Tensor) -> Tensor:
        """Return coordinates (k, 16) at home with the cube at (k, 2)."""
        qpos = self._home.repeat(len(object_xy), 1)
        qpos[:, 9:11] = object_xy
        return qpos

    def start(self, env: Any, ids: Tensor, qpos: Tensor, target: Tensor) -> None:
        """Start episodes of environments `ids` (k,) at coordinates (k, 16) with targets (k, 3), root frame."""
        command = _command(env)
        command._update_metrics()  # before the cube moves: these are of the episodes that end
        frames.place(env, ids, qpos)
        command.target[ids] = target
