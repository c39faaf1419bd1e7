"""Tasks as rsl_rl VecEnvs: what environments offer, and a step of a task that is the same for every simulator."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from manyseeds.core.errors import UserError
from manyseeds.simulators import NonFiniteError
from manyseeds.simulators.randomness import Scaling, StepRandomness, delayed
from manyseeds.simulators.rendering import Pictures
from manyseeds.simulators.vec_env import TensorDict, VecEnv
from manyseeds.tasks import base
from manyseeds.tasks.base import Starts, State, Task

if TYPE_CHECKING:
    import mujoco


@dataclass(frozen=True)
class Options:
    """What environments are made with besides the task.

    Attributes:
        num_envs: environments stepped at once.
        seed: of starts and commands.
        device: torch device of everything.
        threads: of the physics on a CPU; 0 means all. Results do not depend on it.
        env_spacing: metres between environments, for simulators that lay them side by side.
        auto_reset: whether episodes end and start again by themselves.
    """

    num_envs: int
    seed: int
    device: str = "cpu"
    threads: int = 0
    env_spacing: float = 5.0
    auto_reset: bool = True


class TaskEnv(VecEnv):
    """`num_envs` environments of a task, as training and evaluation use them. Tensors live on `device`.

    Args:
        task: the task.
        cfg: its numbers.
        options: how many environments, and where.

    Attributes:
        cfg: what a run's params/env.yaml holds: simulator, task, numbers.
    """

    simulator: ClassVar[str]
    """The simulator's name in `core.simulators`."""

    _pictures: Pictures | None = None

    def __init__(self, task: Task, cfg: Any, options: Options) -> None:
        self.task = task
        self.task_cfg = cfg
        self.num_envs = options.num_envs
        self.num_actions = task.action_width
        self.max_episode_length = cfg.episode_length
        self.step_dt = cfg.step_dt
        self.device = options.device
        self.cfg = {
            "simulator": self.simulator,
            "task": task.name,
            "num_envs": options.num_envs,
            "seed": options.seed,
            "env_spacing": options.env_spacing,
            "task_cfg": asdict(cfg),
        }

    @abstractmethod
    def get_observations(self) -> TensorDict:
        """Return {"policy": (num_envs, observation_width)} of the present state."""

    @abstractmethod
    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict]:
        """Advance every environment by one step of `step_dt` seconds with actions (num_envs, num_actions).

        Returns:
            Observations, rewards (num_envs,), dones (num_envs,) and extras: `time_outs` (num_envs,), the episodes that
            ended for their length alone; `log`, means over the episodes that ended, by event tag.

        Raises:
            NonFiniteError: when an action, the physics or a reward is not finite; a simulator on a GPU says so in
                `check_physics` instead.
        """

    def check_physics(self) -> None:
        """Raise what `step` found since the last call but did not wait for.

        Raises:
            NonFiniteError: naming the first environment concerned.
        """

    @abstractmethod
    def reset_to(self, starts: Starts, seed: int = 0) -> None:
        """Start episodes, one in each environment.

        Args:
            starts: where, on any device.
            seed: of what is random in the steps to come: noise and pushes.
        """

    @abstractmethod
    def state(self) -> State:
        """Return the present state; some of it may be views that the next step changes."""

    @abstractmethod
    def state_dict(self) -> dict[str, Tensor]:
        """Return everything that determines how the environments continue, as copies on the host."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on exactly where `state_dict` was taken; the number of environments must be the same."""

    def render(self, index: int, width: int = 640, height: int = 480) -> np.ndarray:
        """Return a picture of environment `index`, (height, width, 3) uint8, drawn off screen from the MJCF.

        Raises:
            UserError: when this machine cannot draw.
        """
        if self._pictures is None:
            self._pictures = Pictures(self.task, self.task_cfg)
        qpos, command = self._picture_of(index)
        self._pictures.adapt(command)
        mocap = self.task.show(self.task_cfg, command[None])[0].cpu().numpy() if self.task.show else None
        return self._pictures.draw(qpos, mocap, width, height)

    @abstractmethod
    def _picture_of(self, index: int) -> tuple[np.ndarray, Tensor]:
        """Return the MJCF's coordinates (nq,) on the host, and the command (c,), of one environment."""

    def close(self) -> None:
        """Free the renderer, if there is one."""
        if self._pictures is not None:
            self._pictures.close()
            self._pictures = None


class SteppedEnv(TaskEnv):
    """A task on its compiled MJCF; a subclass steps its physics and says where things are.

    Args:
        model: the compiled MJCF.
        task: the task.
        cfg: its numbers.
        options: how many environments, and where.

    Raises:
        UserError: when a term of the task does not give what it says.
    """

    _scaling: Scaling | None = None
    """What gives environments numbers of the model of their own; None where all have the same."""

    def __init__(self, model: "mujoco.MjModel", task: Task, cfg: Any, options: Options) -> None:
        super().__init__(task, cfg, options)
        n, device = options.num_envs, options.device
        self._auto_reset, self._seed = options.auto_reset, options.seed
        self._generator = torch.Generator(device).manual_seed(options.seed)
        self._model = model
        self.episode_length_buf = torch.zeros(n, dtype=torch.long, device=device)
        # All of an episode in one tensor, so that a start is one assignment; these are views of it.
        parts = (task.command_width, task.action_width, task.action_width, len(task.rewards), 1)
        kept = int(cfg.action_delay[1] + 1) * task.action_width if cfg.action_delay[1] else 0
        drawn = len(task.factors) + 1 if base.differs(task, cfg) else 0
        widths = (*parts, task.memory_width, kept, drawn)
        self._episode = torch.zeros(n, sum(widths), device=device)
        *self._episode_parts, self._memory, late, self._factors = self._episode.split(widths, dim=1)
        self._late = late.view(n, -1, task.action_width) if kept else None
        self._command, self._action, self._previous_action, self._reward_sums, self._reached = self._episode_parts
        self._random = StepRandomness(task, cfg, n, device, model) if base.randomized(task, cfg) else None

    def _begin(self) -> None:
        """Start the first episodes; the last thing that a subclass does when it is made."""
        starts = self._with_factors(self.task.start(self.task_cfg, self.num_envs, self._generator))
        _check_starts(self.task, starts, self._model.nq, self.num_envs)
        self.reset_to(starts, self._seed)
        base.check_memory(self.task, self.task_cfg, self.state())
        base.check_terms(self.task, self.task_cfg, self.state())
        base.check_act(self.task, self.task_cfg, self._action, self._model.nu)

    @abstractmethod
    def _advance(self, controls: Tensor) -> None:
        """Step the physics by one environment step with controls (num_envs, nu)."""

    @abstractmethod
    def _push(self, dof: int, change: Tensor) -> None:
        """Add to the velocities of two degrees of freedom from `dof` on, (num_envs, 2) m/s."""

    @abstractmethod
    def _scale_model(self, rows: Any) -> None:
        """Give the environments `rows` the model's numbers that follow from their commands and factors."""

    @abstractmethod
    def _restart_ended(self, dones: Tensor, state: State) -> Tensor:
        """Start those episodes anew that are `dones` (num_envs,) bool, where `_draw` says; return all observations.

        Args:
            dones: which episodes have ended.
            state: the state before.
        """

    @abstractmethod
    def _check_finite(self, rewards: Tensor) -> None:
        """Find what is not finite in the physics and the terms (num_envs, k); raise it, or keep it for `check_physics`.

        Raises:
            NonFiniteError: naming the first environment concerned.
        """

    @abstractmethod
    def _physics_state(self) -> Tensor:
        """Return the complete physics state, (num_envs, ...), a copy on the host."""

    @abstractmethod
    def _load_physics_state(self, state: Tensor) -> None:
        """Take over what `_physics_state` returned."""

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict]:  # noqa: D102
        task, cfg = self.task, self.task_cfg
        self._previous_action.copy_(self._action)
        self._action.copy_(actions.detach())
        applied = self._action if self._late is None else delayed(self._late, self._factors[:, -1], self._action)
        if self._random is not None:
            self._random.renew_noise()
            if (pushes := self._random.pushes()) is not None:
                self._push(self._random.pushed_dof, pushes)
        self._advance(task.act(cfg, applied))
        self.episode_length_buf += 1
        state = self._remember(self.state())
        terms = base.rewards(task, cfg, state)
        self._check_finite(terms)
        self._reward_sums += terms
        self._reached.masked_fill_(task.success(cfg, state)[:, None], 1.0)
        ended = base.terminations(task, cfg, state)
        if not self._auto_reset:
            ended = torch.zeros_like(ended)
        dones = ended.any(1)
        extras: dict[str, Any] = {"time_outs": ended[:, 0] & ~ended[:, 1:].any(1)}
        if not self._auto_reset:
            return self._observed(base.observe(task, cfg, state)), terms.sum(1), dones.long(), extras
        if log := self._episode_log(dones, ended, state):
            extras["log"] = log
        return self._observed(self._restart_ended(dones, state)), terms.sum(1), dones.long(), extras

    def get_observations(self) -> TensorDict:  # noqa: D102
        return self._observed(base.observe(self.task, self.task_cfg, self.state()))

    def state_dict(self) -> dict[str, Tensor]:  # noqa: D102
        return (self._random.state_dict() if self._random is not None else {}) | {
            "physics": self._physics_state(),
            "generator": self._generator.get_state(),
            "episode_length": self.episode_length_buf.to("cpu", copy=True),
            "episode": self._episode.to("cpu", copy=True),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:  # noqa: D102
        self._load_physics_state(state["physics"])
        self._generator.set_state(state["generator"])
        self.episode_length_buf = state["episode_length"].to(self.device, copy=True)
        self._episode.copy_(state["episode"])
        if self._random is not None:
            self._random.load_state_dict(state)
        if self._scaling is not None:
            self._scale_model(slice(None))

    def _remember(self, state: State) -> State:
        """Return the state after a step with the memory of it."""
        if self.task.remember is None:
            return state
        self._memory.copy_(self.task.remember(self.task_cfg, state))
        return replace(state, memory=self._memory)

    def _draw(self, n: int) -> Starts:
        """Return where the next `n` episodes of training start."""
        draw: Callable[..., Starts] = self.task.train_start or self.task.start
        return self._with_factors(draw(self.task_cfg, n, self._generator))

    def _with_factors(self, starts: Starts) -> Starts:
        """Return starts with what their episodes draw besides."""
        return replace(starts, factors=base.draw_factors(self.task, self.task_cfg, len(starts), self._generator))

    def _mocap_of(self, command: Tensor) -> Tensor | None:
        """Return where the mocap bodies of episodes with commands (n, c) are, (n, 3 k); None leaves them alone."""
        return self.task.show(self.task_cfg, command).flatten(1) if self.task.show else None

    def _observed(self, observations: Tensor) -> TensorDict:
        """Return observations (num_envs, width) as the policy gets them."""
        return self._as_dict(observations if self._random is None else self._random.blur(observations))

    def _as_dict(self, observations: Tensor) -> TensorDict:
        return TensorDict({"policy": observations}, batch_size=observations.shape[:-1], device=self.device)

    def _log_columns(self, ended: Tensor, state: State) -> Tensor:
        """Return what the log says of each environment, (num_envs, len(task.episode_tags))."""
        columns = (
            self._reward_sums / self.task_cfg.episode_length_s,
            ended.float(),
            base.metrics(self.task, self.task_cfg, state),
            self._reached,
        )
        return torch.cat(columns, dim=1)

    def _episode_log(self, dones: Tensor, ended: Tensor, state: State) -> dict[str, Any]:
        """Means over the episodes that end now, by event tag; NaN if there are none. Never waits for the device."""
        sums = torch.where(dones[:, None], self._log_columns(ended, state), 0.0).sum(0)
        return dict(zip(self.task.episode_tags, sums / dones.sum(), strict=True))

    def _raise_non_finite(self, index: int, term: int) -> None:
        """Raise for an environment and a term: 0 is the physics, then come the rewards."""
        names = ["physics state", *(f"Episode_Reward/{name}" for name in self.task.rewards)]
        raise NonFiniteError(names[term], index)


def _check_starts(task: Task, starts: Starts, nq: int, n: int) -> None:
    for name, value, width in (("qpos", starts.qpos, nq), ("command", starts.command, task.command_width)):
        if tuple(value.shape) != (n, width):
            raise UserError(
                f"task {task.name}: start gives {name} of the shape {tuple(value.shape)}; it must be {(n, width)}."
            )
