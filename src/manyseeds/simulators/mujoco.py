"""A task in MuJoCo, stepped by `mujoco.batch` on a pool of threads."""

from typing import Any

import numpy as np
import torch
from mujoco.batch import Batch, SimulationError
from torch import Tensor

from manyseeds.core.errors import UserError
from manyseeds.simulators import NonFiniteError
from manyseeds.simulators.base import Options, SteppedEnv
from manyseeds.simulators.kinematics import SitePoses
from manyseeds.simulators.model import load_model
from manyseeds.simulators.randomness import Scaling
from manyseeds.simulators.vec_env import TensorDict
from manyseeds.tasks import base
from manyseeds.tasks.base import Starts, State, Task
from manyseeds.tasks.compiled import Answer, Episodes, Kernels, Physics, keep_compiled, load_kernels

_ANSWERS = 16
"""Steps whose results are made at once."""


class MujocoEnv(SteppedEnv):
    """`num_envs` environments of a task on the CPU, as rsl_rl's VecEnv describes them.

    Results depend on the configuration, the seed and the actions, not on the number of threads. A task with kernels
    steps through them.
    """

    simulator = "mujoco"

    def __init__(self, task: Task, cfg: Any, options: Options) -> None:
        kernels = load_kernels(task)
        keep_compiled()
        model = load_model(task, cfg)
        super().__init__(model, task, cfg, options)
        self._batch = Batch(model, options.num_envs, nthread=options.threads)
        self._rest = self._batch.state[0].copy()
        names = ("qpos", "qvel", "ctrl", "qacc_warmstart", "mocap_pos")
        self._physics = Physics(*(self._batch.bind(name).reshape(options.num_envs, -1) for name in names))
        self._qpos, self._qvel, self._ctrl, self._warmstart, self._mocap = self._physics
        self._site_poses = SitePoses(model, task.sites)
        # Kernels know nothing of what is random in a step or differs between episodes.
        self._compiled = CompiledStep(self, kernels) if kernels and self._random is None else None
        self._scaling = Scaling.of(task, cfg, model, "cpu", torch.float64)
        self._scaled = {name: self._batch.expand(name) for name in self._scaling.arrays} if self._scaling else {}
        self._begin()

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict]:  # noqa: D102
        return self._compiled.step(actions) if self._compiled else super().step(actions)

    def get_observations(self) -> TensorDict:  # noqa: D102
        return self._compiled.observe() if self._compiled else super().get_observations()

    def state(self) -> State:  # noqa: D102
        return self._state_of(slice(None))

    def _state_of(self, rows: Any) -> State:
        """Return the state of some environments, by a slice or an index (k,)."""
        qpos = self._qpos[rows]
        positions, rotations = self._site_poses.at(qpos, self._mocap[rows])
        return State(
            qpos=torch.from_numpy(qpos).float(),
            qvel=torch.from_numpy(self._qvel[rows]).float(),
            sites={name: torch.from_numpy(positions[i]) for i, name in enumerate(self.task.sites)},
            rotations={name: torch.from_numpy(rotations[i]) for i, name in enumerate(self.task.sites)},
            command=self._command[rows],
            action=self._action[rows],
            previous_action=self._previous_action[rows],
            episode_length=self.episode_length_buf[rows],
            memory=self._memory[rows],
        )

    def reset_to(self, starts: Starts, seed: int = 0) -> None:  # noqa: D102
        if self._random is not None:
            self._random.begin(seed)
        if self._compiled:
            self._compiled.restart(starts)
        else:
            self._restart(torch.arange(self.num_envs), starts)

    def state_dict(self) -> dict[str, Tensor]:  # noqa: D102
        return super().state_dict() | (self._compiled.state_dict() if self._compiled else {})

    def load_state_dict(self, state: dict[str, Tensor]) -> None:  # noqa: D102
        super().load_state_dict(state)
        if self._compiled:
            self._compiled.load_state_dict(state)

    def _step_physics(self) -> None:
        try:
            self._batch.step(nstep=self.task_cfg.decimation)
        except SimulationError as error:
            raise NonFiniteError("physics state", int(error.ids[0])) from error

    def _advance(self, controls: Tensor) -> None:
        self._ctrl[:] = controls.numpy()
        self._step_physics()

    def _push(self, dof: int, change: Tensor) -> None:
        self._qvel[:, dof : dof + 2] += change.double().numpy()

    def _scale_model(self, rows: Any) -> None:
        if self._scaling is None:
            return
        for name, values in self._scaling.products(self._command[rows], self._factors[rows]):
            self._scaled[name][rows] = values.numpy()
        if self._scaling.derived:
            self._batch.set_const(np.arange(self.num_envs)[rows])

    def _restart_ended(self, dones: Tensor, state: State) -> Tensor:
        observations = base.observe(self.task, self.task_cfg, state)
        rows = dones.nonzero().flatten()
        if len(rows):
            self._restart(rows, self._draw(len(rows)))
            observations[rows] = base.observe(self.task, self.task_cfg, self._state_of(rows.numpy()))
        return observations

    def _restart(self, rows: Tensor, starts: Starts) -> None:
        """Start the episodes `rows` (k,) anew, at rest."""
        index, command = rows.numpy(), starts.command.float()
        self._batch.state[index] = self._rest
        self._qpos[index] = starts.qpos.double().numpy()
        if (mocap := self._mocap_of(command)) is not None:
            self._mocap[index] = mocap.double().numpy()
        self._episode[rows] = 0.0
        if starts.factors is not None:
            self._factors[rows] = starts.factors
        self._command[rows] = command
        self._scale_model(index)
        self.episode_length_buf[rows] = 0

    def _check_finite(self, rewards: Tensor) -> None:
        if not (np.isfinite(self._qpos).all() and np.isfinite(self._qvel).all()):
            broken = ~(np.isfinite(self._qpos).all(1) & np.isfinite(self._qvel).all(1))
            self._raise_non_finite(int(broken.argmax()), 0)
        if not (finite := torch.isfinite(rewards)).all():
            index = int((~finite.all(1)).nonzero()[0])
            self._raise_non_finite(index, 1 + int((~finite[index]).nonzero()[0]))

    def _episode_log(self, dones: Tensor, ended: Tensor, state: State) -> dict[str, Any]:
        """Means over the episodes that end now, by event tag; nothing if there are none."""
        if not dones.any():
            return {}
        means = self._log_columns(ended, state)[dones].mean(0)
        return dict(zip(self.task.episode_tags, means.tolist(), strict=True))

    def _picture_of(self, index: int) -> tuple[np.ndarray, Tensor]:
        return self._qpos[index], self._command[index]

    def _physics_state(self) -> Tensor:
        return torch.from_numpy(self._batch.state.copy())

    def _load_physics_state(self, state: Tensor) -> None:
        self._batch.state[:] = state.numpy()


class CompiledStep:
    """The same step by a task's kernels: ten times as fast besides the physics.

    Args:
        env: the environments.
        kernels: the task's module.
    """

    def __init__(self, env: MujocoEnv, kernels: Kernels) -> None:
        self._env, self._kernels = env, kernels
        self._episodes = Episodes(*(part.numpy() for part in env._episode_parts))
        self._record = kernels.make_record(env.task_cfg, env._model)
        self._log = np.empty(len(env.task.episode_tags))
        self._answers: list[tuple[TensorDict, Tensor, Tensor, Tensor, Answer]] = []
        # Where the next episodes start: coordinates (k, nq) and commands (k, c).
        command = np.empty((0, env.task.command_width), np.float32)
        self.starts: tuple[np.ndarray, np.ndarray] = np.empty((0, env._model.nq)), command

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict]:
        """Do what `SteppedEnv.step` does."""
        env = self._env
        self._draw_ahead()
        if not self._answers:
            self._answers = self._new_answers()
        observations, rewards, dones, time_outs, arrays = self._answers.pop()
        self._kernels.act(self._record, actions.float().numpy(force=True), env._physics, self._episodes)
        env._step_physics()
        number, finite = self._kernels.answer(
            self._record,
            env._auto_reset,
            env._physics,
            self._episodes,
            env.episode_length_buf.numpy(),
            *self.starts,
            arrays,
            self._log,
        )
        if not finite:
            terms = base.rewards(env.task, env.task_cfg, env.state())[number]
            broken = (~torch.isfinite(terms)).nonzero()
            if not len(broken):
                sums = env._reward_sums[number].isfinite().tolist()
                names = [name for name, finite in zip(env.task.rewards, sums, strict=True) if not finite]
                raise UserError(
                    f"task {env.task.name}: `answer` of its kernels {env.task.kernels} gives no value to "
                    f"{', '.join(names) or 'a reward'}."
                )
            env._raise_non_finite(number, 1 + int(broken[0]))
        extras: dict[str, Any] = {"time_outs": time_outs}
        if number:
            extras["log"] = dict(zip(env.task.episode_tags, self._log.tolist(), strict=True))
            self.starts = self.starts[0][number:], self.starts[1][number:]
        return observations, rewards, dones, extras

    def observe(self) -> TensorDict:
        """Return the observations of the present state."""
        env = self._env
        observations = torch.empty(env.num_envs, env.task.observation_width)
        self._kernels.observe(self._record, env._physics, self._episodes, observations.numpy())
        return env._as_dict(observations)

    def restart(self, starts: Starts) -> None:
        """Start all episodes anew."""
        qpos, command = starts.qpos.double().numpy(), starts.command.float().numpy()
        length = self._env.episode_length_buf.numpy()
        self._kernels.restart(qpos, command, self._env._physics, self._episodes, length)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the starts that are drawn already."""
        qpos, command = (torch.from_numpy(part.copy()) for part in self.starts)
        return {"start_qpos": qpos, "start_command": command}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over what `state_dict` returned."""
        self.starts = state["start_qpos"].numpy().copy(), state["start_command"].numpy().copy()

    def _draw_ahead(self) -> None:
        """Have as many starts ready as episodes can end in a step."""
        env = self._env
        if env._auto_reset and len(self.starts[0]) < env.num_envs:
            drawn = env._draw(env.num_envs)
            new = drawn.qpos.double().numpy(), drawn.command.float().numpy()
            self.starts = np.concatenate((self.starts[0], new[0])), np.concatenate((self.starts[1], new[1]))

    def _new_answers(self) -> list[tuple[TensorDict, Tensor, Tensor, Tensor, Answer]]:
        """Make what the next steps return, to be filled: torch is slow at this once physics has emptied the caches."""
        env = self._env
        n = (_ANSWERS, env.num_envs)
        with torch.inference_mode(False):  # whoever takes a step later may want gradients
            parts = (
                torch.empty(*n, env.task.observation_width),
                torch.empty(n),
                torch.empty(n, dtype=torch.long),
                torch.empty(n, dtype=torch.bool),
            )
            observations = env._as_dict(parts[0]).unbind(0)
            arrays = map(Answer, *(part.numpy() for part in parts))
            return list(zip(observations, *(part.unbind() for part in parts[1:]), arrays, strict=True))
