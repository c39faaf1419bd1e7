"""lift_object in MuJoCo, stepped by `mujoco.batch` on a pool of threads."""

import math

import numpy as np
import torch
from torch import Tensor

from manyseeds.simulators import NonFiniteError
from manyseeds.simulators.lift_object import SteppedEnv, end_effector_chain, load_model
from manyseeds.simulators.rows import Numbered
from manyseeds.task import lift_object as task

# After lift_object, which chooses MuJoCo's OpenGL before MuJoCo is imported.
from mujoco.batch import Batch, SimulationError  # isort: skip

__all__ = ["MujocoEnv", "end_effector_chain", "load_model"]


class MujocoEnv(SteppedEnv[Numbered]):
    """`num_envs` environments of lift_object on the CPU, as rsl_rl's VecEnv describes them.

    Results depend on the configuration, the seed and the actions, not on the number of threads.
    """

    _dtype = torch.float64
    _rows = Numbered

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
        self._qpos, self._qvel = self._batch.bind("qpos"), self._batch.bind("qvel")
        self._ctrl, self._warmstart = self._batch.bind("ctrl"), self._batch.bind("qacc_warmstart")
        self._target = self._batch.bind("mocap_pos")[:, 0]
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

    def _advance(self, targets: Tensor) -> None:
        self._ctrl[:] = targets.numpy()
        try:
            self._batch.step(nstep=self.task_cfg.decimation)
        except SimulationError as error:
            raise NonFiniteError("physics state", int(error.ids[0])) from error

    def _read_state(self, moved: bool = True) -> None:
        coordinates = self._qpos.astype(np.float32)
        if moved:
            end_effector_pos = torch.from_numpy(self._chain.position(coordinates[:, :7]))
        else:
            end_effector_pos = self._state.end_effector_pos
        qpos = torch.from_numpy(coordinates)
        self._state = task.State(
            joint_pos=qpos[:, :9],
            joint_vel=torch.from_numpy(self._qvel[:, :9]).float(),
            object_pos=qpos[:, 9:12],
            end_effector_pos=end_effector_pos,
            target_pos=self._target_pos,
            action=self._action,
            previous_action=self._previous_action,
        )

    def _place(self, rows: Numbered, qpos: Tensor, target: Tensor) -> None:
        ids = rows.ids.numpy()
        self._qpos[ids] = qpos.numpy()
        self._qvel[ids] = 0.0
        self._warmstart[ids] = 0.0
        self._ctrl[ids] = qpos[:, :9].numpy()
        self._target[ids] = target.numpy()

    def _qpos_of(self, index: int) -> np.ndarray:
        return self._qpos[index]

    def _object_quat_w(self) -> Tensor:
        return torch.from_numpy(self._qpos[:, 12])

    def _physics_state(self) -> Tensor:
        return torch.from_numpy(self._batch.state.copy())

    def _load_physics_state(self, state: Tensor) -> None:
        self._batch.state[:] = state.numpy()

    def _check_finite(self, terms: Tensor, rewards: Tensor) -> None:
        if not math.isfinite(rewards.sum()):
            for i, name in enumerate(task.REWARD_TERMS):
                bad = (~torch.isfinite(terms[:, i])).nonzero().flatten()
                if len(bad):
                    raise NonFiniteError(f"Episode_Reward/{name}", int(bad[0]))
