"""The managers' terms of any task: each calls a function of the task on the state that `frames` reads."""

from dataclasses import MISSING, replace
from typing import Any

import torch
from isaaclab.managers import ActionTerm, ActionTermCfg, CommandTerm, CommandTermCfg, ManagerTermBase
from isaaclab.utils import configclass
from torch import Tensor

from manyseeds.simulators.isaaclab.actuators import is_motor, joint_commands
from manyseeds.simulators.isaaclab.frames import Frames
from manyseeds.simulators.isaaclab.parts import parts
from manyseeds.simulators.model import load_model
from manyseeds.tasks import registry
from manyseeds.tasks.base import Starts, State, Task, configure

COMMAND = "command"


class TaskCommand(CommandTerm):
    """What the episodes ask for, which `StartEpisodes` draws; here, too, is the task that the other terms call."""

    def __init__(self, cfg: Any, env: Any) -> None:
        super().__init__(cfg, env)
        self.task: Task = registry.load(cfg.task) if isinstance(cfg.task, str) else cfg.task()
        self.task_cfg = configure(self.task, cfg.task_cfg)
        self.model = load_model(self.task, self.task_cfg)
        self.frames = Frames(env, self.model, self.task.sites)
        self.value = torch.zeros(self.num_envs, self.task.command_width, device=self.device)
        self.memory = torch.zeros(self.num_envs, self.task.memory_width, device=self.device)
        self._remembered = 0  # the environment's steps so far of which the memory knows
        for name in (*self.task.metrics, "success_rate"):
            self.metrics[name] = torch.zeros(self.num_envs, device=self.device)

    @property
    def command(self) -> Tensor:
        """The command, (n, c)."""
        return self.value

    def state(self) -> State:
        """Return the present state; the first call after a step, before any term, renews the memory."""
        sites, rotations = self.frames.sites()
        state = State(
            qpos=self.frames.qpos(),
            qvel=self.frames.qvel(),
            sites=sites,
            rotations=rotations,
            command=self.value,
            action=self._env.action_manager.action,
            previous_action=self._env.action_manager.prev_action,
            episode_length=self._env.episode_length_buf,
            memory=self.memory,
        )
        if self._remembered == self._env.common_step_counter or self.task.remember is None:
            return state
        self._remembered = self._env.common_step_counter
        self.memory.copy_(self.task.remember(self.task_cfg, state))
        return replace(state, memory=self.memory)

    def _update_metrics(self) -> None:
        state = self.state()
        for name, term in self.task.metrics.items():
            self.metrics[name][:] = term.func(self.task_cfg, state)
        reached = self.task.success(self.task_cfg, state) & (state.episode_length > 0)
        self.metrics["success_rate"][:] = torch.maximum(self.metrics["success_rate"], reached.float())

    def _resample_command(self, env_ids: Any) -> None:
        pass

    def _update_command(self) -> None:
        pass


@configclass
class TaskCommandCfg(CommandTermCfg):
    """A command for each whole episode."""

    class_type: type = TaskCommand
    resampling_time_range: tuple[float, float] = (1e9, 1e9)
    task: Any = MISSING
    """The task's reference, or what returns the task: Isaac Lab would write into a Task."""
    task_cfg: dict = MISSING  # type: ignore[assignment]
    """Numbers of the task, by name."""


def _command(env: Any) -> TaskCommand:
    return env.command_manager.get_term(COMMAND)


class TaskAction(ActionTerm):
    """Turns actions into the task's controls: position targets of joints, and forces where the MJCF has motors."""

    def __init__(self, cfg: Any, env: Any) -> None:
        super().__init__(cfg, env)
        command = _command(env)
        self._task, self._task_cfg = command.task, command.task_cfg
        model = command.model
        tensor = lambda values: torch.tensor(values, device=self.device)  # noqa: E731
        limits = torch.from_numpy(model.actuator_ctrlrange).float()
        limits[model.actuator_ctrllimited == 0] = torch.tensor([-torch.inf, torch.inf])
        self._low, self._high = limits.to(self.device).unbind(1)
        self._commands = joint_commands(model, self.device)
        driven = [model.joint(int(joint)).name for joint in model.actuator_trnid[:, 0]]
        motors = [is_motor(model, actuator) for actuator in range(model.nu)]
        # For the servos and for the motors of every articulation: itself, the controls' columns, and the joints.
        self._targets = []
        for part in parts(model):
            for effort in (False, True):
                columns = [i for i, joint in enumerate(driven) if joint in part.joints and motors[i] == effort]
                if columns:
                    joints = [part.joints.index(driven[column]) for column in columns]
                    self._targets.append((env.scene[part.name], effort, tensor(columns), tensor(joints).int()))
        self._raw = torch.zeros(self.num_envs, self.action_dim, device=self.device)
        self._controls = torch.zeros(self.num_envs, model.nu, device=self.device)

    @property
    def action_dim(self) -> int:
        """Numbers of an action."""
        return self._task.action_width

    @property
    def raw_actions(self) -> Tensor:
        """The actions, (n, a)."""
        return self._raw

    @property
    def processed_actions(self) -> Tensor:
        """The controls, (n, nu)."""
        return self._controls

    def process_actions(self, actions: Tensor) -> None:
        """Compute the controls of actions (n, a), within their range as in MuJoCo."""
        self._raw[:] = actions
        self._controls = self._task.act(self._task_cfg, self._raw).clamp(self._low, self._high)

    def apply_actions(self) -> None:
        """Hand the controls on to the articulations."""
        commands = self._commands(self._controls)
        for asset, effort, columns, joints in self._targets:
            target = asset.actuators.target_command
            hand_on = target.set_effort_index if effort else target.set_position_index
            hand_on(value=commands[:, columns], joint_ids=joints)

    def reset(self, env_ids: Any = None) -> None:
        """Forget the last actions."""
        self._raw[slice(None) if env_ids is None else env_ids] = 0.0


@configclass
class TaskActionCfg(ActionTermCfg):
    """All actions of the task; `asset_name` is any articulation, which Isaac Lab wants to know."""

    class_type: type = TaskAction


def observation(env: Any, name: str) -> Tensor:
    """Return an observation of the task, (n, width)."""
    command = _command(env)
    return command.task.observations[name].func(command.task_cfg, command.state())


def reward(env: Any, name: str) -> Tensor:
    """Return a reward of the task, (n,), without its weight."""
    command = _command(env)
    return command.task.rewards[name].func(command.task_cfg, command.state()).float()


def termination(env: Any, name: str) -> Tensor:
    """Return where a termination of the task holds, (n,)."""
    command = _command(env)
    return command.task.terminations[name].func(command.task_cfg, command.state())


def time_out(env: Any) -> Tensor:
    """Return where the time is over, (n,)."""
    return env.episode_length_buf >= _command(env).task_cfg.episode_length


class StartEpisodes(ManagerTermBase):
    """Draws where an episode starts and what it commands, from a generator of its own, as the other simulators do."""

    def __init__(self, cfg: Any, env: Any) -> None:
        super().__init__(cfg, env)
        self.generator = torch.Generator(env.device).manual_seed(env.cfg.seed or 0)

    def __call__(self, env: Any, env_ids: Any) -> None:
        """Start episodes of environments."""
        ids = torch.arange(env.num_envs, device=env.device)[env_ids]
        command = _command(env)
        draw = command.task.train_start or command.task.start
        self.start(env, ids, draw(command.task_cfg, len(ids), self.generator))

    def start(self, env: Any, ids: Tensor, starts: Starts) -> None:
        """Start episodes of environments `ids` (k,), on the device of these."""
        command = _command(env)
        command._update_metrics()  # before anything moves: these are of the episodes that end
        command.frames.place(ids, starts.qpos)
        command.value[ids] = starts.command
        command.memory[ids] = 0.0
