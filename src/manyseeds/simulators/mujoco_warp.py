"""lift_object in MuJoCo Warp: the same MJCF on a GPU, or slowly on Warp's CPU device."""

import copy
import os
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict
from torch import Tensor

from manyseeds.core.caches import user_cache
from manyseeds.simulators import NonFiniteError
from manyseeds.simulators.base import EPISODE_TAGS, SteppedEnv, load_model
from manyseeds.tasks.lift_object import task

# After lift_object, which chooses MuJoCo's OpenGL before MuJoCo is imported.
import mujoco  # isort: skip
import mujoco_warp
import warp as wp

_MAX_CONTACTS = 2 * 2 + 4 * 2 * 8 + 8
"""Contacts of one environment: hand (a capsule, 2 each), 4 finger boxes (8 each) and the cube, with table and cube."""
_CONTACT_ROWS = 3
_WARNED = mujoco_warp.OverflowType.ITERATIONS | mujoco_warp.OverflowType.LS_ITERATIONS
"""What MuJoCo Warp calls an overflow but is none: the solver stopped at its iterations, as MuJoCo's own does."""


class BufferOverflowError(RuntimeError):
    """Contacts or constraints did not fit their buffers, so some were left out."""


class MujocoWarpEnv(SteppedEnv):
    """`num_envs` environments of lift_object on one CUDA device or the CPU, as rsl_rl's VecEnv describes them.

    Nothing in `step` waits for the device. On a CPU, results depend on the configuration, the seed and the actions
    alone. On CUDA, MuJoCo Warp orders contacts by atomic counters, so last bits differ from run to run.
    """

    _dtype = torch.float32

    def __init__(
        self,
        cfg: task.LiftObjectCfg,
        *,
        num_envs: int,
        seed: int,
        device: str = "cpu",
        env_spacing: float = 5.0,
        auto_reset: bool = True,
    ) -> None:
        _configure_warp()
        model = load_model(cfg)
        self._wp_device = wp.get_cuda_device() if device == "cuda" else wp.get_device(device)
        with wp.ScopedDevice(self._wp_device):
            self._wp_model = mujoco_warp.put_model(_for_warp(model))
            self._wp_model.opt.warn_overflow = 0
            self._data = mujoco_warp.make_data(
                model, nworld=num_envs, nconmax=_MAX_CONTACTS, njmax=_CONTACT_ROWS * _MAX_CONTACTS + model.njnt
            )
        self._qpos, self._qvel = wp.to_torch(self._data.qpos), wp.to_torch(self._data.qvel)
        self._ctrl, self._warmstart = wp.to_torch(self._data.ctrl), wp.to_torch(self._data.qacc_warmstart)
        self._target = wp.to_torch(self._data.mocap_pos)[:, 0]
        self._end_effector = wp.to_torch(self._data.site_xpos)[:, model.site("end_effector").id]
        self._overflow = wp.to_torch(self._data.overflow)
        self._broken = torch.zeros(num_envs, 1 + len(task.REWARD_TERMS), dtype=torch.bool, device=device)
        self._decimation = cfg.decimation
        self._step_physics = self._recorded(self._launch_steps)
        self._update_positions = self._recorded(self._launch_kinematics)
        self._overflow.zero_()
        super().__init__(
            model,
            cfg,
            simulator="mujoco_warp",
            num_envs=num_envs,
            seed=seed,
            device=device,
            env_spacing=env_spacing,
            auto_reset=auto_reset,
        )
        self.reset_to(*task.sample_resets(cfg, num_envs, self._generator))

    def check_physics(self) -> None:
        """Raise what `step` found since the last call but did not wait for.

        Raises:
            NonFiniteError: naming the first environment concerned.
            BufferOverflowError: when contacts were lost.
        """
        broken = self._broken.cpu()
        if broken.any():
            index = int(broken.any(1).nonzero()[0])
            terms = ["physics state", *(f"Episode_Reward/{name}" for name in task.REWARD_TERMS)]
            raise NonFiniteError(terms[int(broken[index].nonzero()[0])], index)
        lost = (self._overflow.cpu() & ~int(_WARNED)).nonzero().flatten()
        if len(lost):
            flags = mujoco_warp.OverflowType(int(self._overflow[lost[0]]) & ~int(_WARNED))
            raise BufferOverflowError(f"buffers of MuJoCo Warp overflowed in environment {int(lost[0])}: {flags!r}")

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on where `state_dict` was taken; on a CPU bit for bit. The number of environments must be the same."""
        self._broken.zero_()
        super().load_state_dict(state)

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict]:  # noqa: D102
        self._previous_action.copy_(self._action)
        self._action.copy_(actions)
        self._ctrl.copy_(task.joint_targets(self.task_cfg, self._action))
        self._step_physics()
        self._update_positions()
        self.episode_length_buf += 1
        state = self._state
        terms = task.rewards(self.task_cfg, state)
        self._broken[:, 0] |= ~(torch.isfinite(self._qpos).all(1) & torch.isfinite(self._qvel).all(1))
        self._broken[:, 1:] |= ~torch.isfinite(terms)
        self._reward_sums += terms
        self._reached.masked_fill_((state.goal_distance < self.task_cfg.success_distance)[:, None], 1.0)
        ended = task.terminations(self.task_cfg, state, self.episode_length_buf)
        if not self._auto_reset:
            ended = torch.zeros_like(ended)
        dones = ended.any(1)
        extras: dict[str, Any] = {"time_outs": ended[:, 0] & ~ended[:, 1:].any(1)}
        if self._auto_reset:
            extras["log"] = self._episode_log(dones, ended, state.goal_distance)
            self._restart(dones, *self._draw_starts())
        return self.get_observations(), terms.sum(1), dones.long(), extras

    def get_observations(self) -> TensorDict:  # noqa: D102
        return self._as_dict(task.observations(self.task_cfg, self._state))

    def object_position(self) -> Tensor:  # noqa: D102
        return self._qpos[:, 9:12].clone()

    def _launch_steps(self) -> None:
        for _ in range(self._decimation):
            mujoco_warp.step(self._wp_model, self._data)

    def _launch_kinematics(self) -> None:
        mujoco_warp.kinematics(self._wp_model, self._data)

    def _recorded(self, launch: Callable[[], None]) -> Callable[[], None]:
        """Return what does the launches of a function: as one graph where there is CUDA."""

        def on_device() -> None:
            with wp.ScopedDevice(self._wp_device):
                launch()

        if not self._wp_device.is_cuda:
            return on_device
        # Compiles and loads the kernels, which cannot be done while recording. The resets after it undo what it moves.
        on_device()
        with wp.ScopedCapture(self._wp_device) as capture:
            on_device()
        # Warp's stream waits for torch's, and torch's for it, because torch's is the legacy default stream.
        return lambda: wp.capture_launch(capture.graph)

    @property
    def _state(self) -> task.State:
        # Where episodes have just begun the end effector is still the old one; no observation depends on it.
        return task.State(
            joint_pos=self._qpos[:, :9],
            joint_vel=self._qvel[:, :9],
            object_pos=self._qpos[:, 9:12],
            end_effector_pos=self._end_effector,
            target_pos=self._target_pos,
            action=self._action,
            previous_action=self._previous_action,
        )

    def _episode_log(self, dones: Tensor, ended: Tensor, distance: Tensor) -> dict[str, Tensor]:
        """Means over the episodes that end now, by event tag; NaN if there are none."""
        # The angle between the cubes and the commanded orientation, which is none.
        angle = 2 * torch.acos(self._qpos[:, 12].abs().clamp(max=1.0))
        columns = (
            self._reward_sums / self.task_cfg.episode_length_s,
            ended.float(),
            distance[:, None],
            angle[:, None],
            self._reached,
        )
        sums = torch.where(dones[:, None], torch.cat(columns, dim=1), 0.0).sum(0)
        return dict(zip(EPISODE_TAGS, sums / dones.sum(), strict=True))

    def _restart_all(self, qpos: Tensor, target: Tensor) -> None:
        self._restart(torch.ones(self.num_envs, dtype=torch.bool, device=self.device), qpos, target)
        self._update_positions()

    def _restart(self, chosen: Tensor, qpos: Tensor, target: Tensor) -> None:
        """Start the `chosen` (num_envs,) anew, at rest at `qpos` (num_envs, 16), holding still, target (num_envs, 3).

        By a mask, not by their numbers: to count them the host would have to wait for the GPU.
        """

        def put(values: Tensor, new: Tensor | float) -> None:
            mask = chosen.view(-1, *[1] * (values.dim() - 1))
            values.copy_(torch.where(mask, new, values))

        put(self._qpos, qpos)
        put(self._qvel, 0.0)
        put(self._warmstart, 0.0)
        put(self._ctrl, qpos[:, :9])
        put(self._target, target)
        put(self._episode, 0.0)
        put(self._target_pos, target)
        put(self.episode_length_buf, 0)

    def _qpos_of(self, index: int) -> np.ndarray:
        return self._qpos[index].cpu().numpy()

    def _physics_state(self) -> Tensor:
        return torch.cat(self._physics_parts(), dim=1).cpu()

    def _load_physics_state(self, state: Tensor) -> None:
        parts = self._physics_parts()
        for part, values in zip(parts, state.split([part.shape[1] for part in parts], dim=1), strict=True):
            part.copy_(values)
        self._update_positions()

    def _physics_parts(self) -> tuple[Tensor, ...]:
        return self._qpos, self._qvel, self._warmstart, self._ctrl, self._target


def _for_warp(model: mujoco.MjModel) -> mujoco.MjModel:
    """Return the model with the flags that MuJoCo Warp needs to do as MuJoCo does; all else is the MJCF's.

    It never resets a diverged state, and does not know the flag that forbids it. Without native CCD boxes meet boxes
    by MuJoCo's own algorithm instead of a general one. Single precision raises the solver's tolerance to 1e-6.
    """
    model = copy.copy(model)
    model.opt.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_NATIVECCD)
    return model


def _configure_warp() -> None:
    """Let Warp say errors only, and keep its compiled kernels where this user can write."""
    wp.config.log_level = wp.LOG_ERROR
    if user_cache() is None and "WARP_CACHE_PATH" not in os.environ:
        wp.config.kernel_cache_dir = f"{tempfile.gettempdir()}/warp-{os.getuid()}"
    wp.init()
