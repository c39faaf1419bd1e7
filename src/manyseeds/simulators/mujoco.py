"""lift_object in MuJoCo, stepped by `mujoco.batch` on a pool of threads."""

from typing import Any

import numpy as np
import torch
from tensordict import TensorDict
from torch import Tensor

from manyseeds.simulators import NonFiniteError
from manyseeds.simulators.base import EPISODE_TAGS, SteppedEnv, end_effector_chain, load_model
from manyseeds.tasks.lift_object import kernels, task

# After lift_object, which chooses MuJoCo's OpenGL before MuJoCo is imported.
from mujoco.batch import Batch, SimulationError  # isort: skip

_ANSWERS = 16
"""Steps whose results are made at once."""

__all__ = ["MujocoEnv", "end_effector_chain", "load_model"]


class MujocoEnv(SteppedEnv):
    """`num_envs` environments of lift_object on the CPU, as rsl_rl's VecEnv describes them.

    Results depend on the configuration, the seed and the actions, not on the number of threads.
    """

    _dtype = torch.float64

    def __init__(
        self,
        cfg: task.LiftObjectCfg,
        *,
        num_envs: int,
        seed: int,
        threads: int = 0,
        env_spacing: float = 5.0,
        auto_reset: bool = True,
    ) -> None:
        model = load_model(cfg)
        self._batch = Batch(model, num_envs, nthread=threads)
        super().__init__(
            model,
            cfg,
            simulator="mujoco",
            num_envs=num_envs,
            seed=seed,
            device="cpu",
            env_spacing=env_spacing,
            auto_reset=auto_reset,
        )
        kernels.keep_compiled()
        names = ("qpos", "qvel", "ctrl", "qacc_warmstart", "mocap_pos")
        self._physics = kernels.Physics(*(self._batch.bind(name).reshape(num_envs, -1) for name in names))
        self._qpos, self._qvel, self._ctrl, self._warmstart, self._target = self._physics
        self._episodes = kernels.Episodes(*(part.numpy() for part in self._episode_parts))
        self._numbers = kernels.Numbers.of(cfg, self._chain).record()
        self._log = np.empty(len(EPISODE_TAGS))
        self._answers: list[tuple[TensorDict, Tensor, Tensor, Tensor, kernels.Answer]] = []
        # Where the next episodes start: coordinates (k, 16) and targets (k, 3).
        self._starts: tuple[np.ndarray, ...] = np.empty((0, model.nq)), np.empty((0, 3), np.float32)
        self.reset_to(*task.sample_resets(cfg, num_envs, self._generator))

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict]:  # noqa: D102
        self._draw_ahead()
        if not self._answers:
            self._answers = self._new_answers()
        observations, rewards, dones, time_outs, arrays = self._answers.pop()
        kernels.act(self._numbers, actions.float().numpy(force=True), self._physics, self._episodes)
        try:
            self._batch.step(nstep=self.task_cfg.decimation)
        except SimulationError as error:
            raise NonFiniteError("physics state", int(error.ids[0])) from error
        number, finite = kernels.answer(
            self._numbers,
            self._auto_reset,
            self._physics,
            self._episodes,
            self.episode_length_buf.numpy(),
            *self._starts,
            arrays,
            self._log,
        )
        if not finite:
            terms = task.rewards(self.task_cfg, self._state)[number]
            name = task.REWARD_TERMS[int((~torch.isfinite(terms)).nonzero()[0])]
            raise NonFiniteError(f"Episode_Reward/{name}", number)
        extras: dict[str, Any] = {"time_outs": time_outs}
        if number:
            extras["log"] = dict(zip(EPISODE_TAGS, self._log.tolist(), strict=True))
            self._starts = tuple(part[number:] for part in self._starts)
        return observations, rewards, dones, extras

    def _new_answers(self) -> list[tuple[TensorDict, Tensor, Tensor, Tensor, kernels.Answer]]:
        """Make what the next steps return, to be filled: torch is slow at this once physics has emptied the caches."""
        n = (_ANSWERS, self.num_envs)
        with torch.inference_mode(False):  # whoever takes a step later may want gradients
            parts = (
                torch.empty(*n, task.NUM_OBSERVATIONS),
                torch.empty(n),
                torch.empty(n, dtype=torch.long),
                torch.empty(n, dtype=torch.bool),
            )
            observations = self._as_dict(parts[0]).unbind(0)
            arrays = map(kernels.Answer, *(part.numpy() for part in parts))
            return list(zip(observations, *(part.unbind() for part in parts[1:]), arrays, strict=True))

    def get_observations(self) -> TensorDict:  # noqa: D102
        observations = torch.empty(self.num_envs, task.NUM_OBSERVATIONS)
        kernels.observe(self._numbers, self._physics, self._episodes, observations.numpy())
        return self._as_dict(observations)

    def object_position(self) -> Tensor:  # noqa: D102
        return torch.from_numpy(self._qpos[:, 9:12].astype(np.float32))

    def state_dict(self) -> dict[str, Tensor]:  # noqa: D102
        qpos, target = (torch.from_numpy(part.copy()) for part in self._starts)
        return super().state_dict() | {"start_qpos": qpos, "start_target": target}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:  # noqa: D102
        super().load_state_dict(state)
        self._starts = state["start_qpos"].numpy().copy(), state["start_target"].numpy().copy()

    @property
    def _state(self) -> task.State:
        coordinates = self._qpos.astype(np.float32)
        qpos = torch.from_numpy(coordinates)
        return task.State(
            joint_pos=qpos[:, :9],
            joint_vel=torch.from_numpy(self._qvel[:, :9]).float(),
            object_pos=qpos[:, 9:12],
            end_effector_pos=torch.from_numpy(self._chain.position(coordinates[:, :7])),
            target_pos=self._target_pos,
            action=self._action,
            previous_action=self._previous_action,
        )

    def _restart_all(self, qpos: Tensor, target: Tensor) -> None:
        length = self.episode_length_buf.numpy()
        kernels.restart(qpos.numpy(), target.numpy(), self._physics, self._episodes, length)

    def _draw_ahead(self) -> None:
        """Have as many starts ready as episodes can end in a step."""
        if self._auto_reset and len(self._starts[0]) < self.num_envs:
            pairs = zip(self._starts, self._draw_starts(), strict=True)
            self._starts = tuple(np.concatenate((left, new.numpy())) for left, new in pairs)

    def _qpos_of(self, index: int) -> np.ndarray:
        return self._qpos[index]

    def _physics_state(self) -> Tensor:
        return torch.from_numpy(self._batch.state.copy())

    def _load_physics_state(self, state: Tensor) -> None:
        self._batch.state[:] = state.numpy()
