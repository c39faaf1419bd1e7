"""A task in MuJoCo Warp: the same MJCF on a GPU, or slowly on Warp's CPU device."""

import copy
import os
import tempfile
from collections.abc import Callable
from typing import Any

import mujoco
import mujoco_warp
import numpy as np
import torch
import warp as wp
from torch import Tensor

from manyseeds.core.caches import user_cache
from manyseeds.simulators.base import Options, SteppedEnv
from manyseeds.simulators.model import load_model, max_constraints, max_contacts
from manyseeds.simulators.randomness import Scaling
from manyseeds.tasks.base import Starts, State, Task, observe

_WARNED = mujoco_warp.OverflowType.ITERATIONS | mujoco_warp.OverflowType.LS_ITERATIONS
"""MuJoCo Warp calls these overflows, but the solver only stopped at its iteration limit, as MuJoCo's does."""


_DERIVED = (
    "body_subtreemass",
    "body_invweight0",
    "dof_invweight0",
    "tendon_invweight0",
    "actuator_acc0",
    "geom_rbound",
    "geom_aabb",
)
"""Arrays of the model that `mujoco_warp.set_const` computes from masses, inertias and sizes, and which a step reads."""


class BufferOverflowError(RuntimeError):
    """Contacts or constraints did not fit their buffers, so some were left out."""


class MujocoWarpEnv(SteppedEnv):
    """`num_envs` environments of a task on one CUDA device or the CPU, as rsl_rl's VecEnv describes them.

    Nothing in `step` waits for the device, as long as the task's functions do not. On a CPU, results depend on the
    configuration, the seed and the actions alone. On CUDA, MuJoCo Warp orders contacts by atomic counters, so last bits
    differ from run to run.
    """

    simulator = "mujoco_warp"

    def __init__(self, task: Task, cfg: Any, options: Options) -> None:
        _configure_warp()
        model, num_envs, device = load_model(task, cfg), options.num_envs, options.device
        super().__init__(model, task, cfg, options)
        self._wp_device = wp.get_cuda_device() if device == "cuda" else wp.get_device(device)
        with wp.ScopedDevice(self._wp_device):
            self._wp_model = mujoco_warp.put_model(_for_warp(model))
            self._wp_model.opt.warn_overflow = 0
            self._scaling = Scaling.of(task, cfg, model, device, torch.float32)
            if self._scaling is not None:
                self._scaled = self._give_each_its_own(self._scaling)
            self._data = mujoco_warp.make_data(
                model, nworld=num_envs, nconmax=max(1, max_contacts(model)), njmax=max(1, max_constraints(model))
            )
        self._qpos, self._qvel = wp.to_torch(self._data.qpos), wp.to_torch(self._data.qvel)
        self._ctrl, self._warmstart = wp.to_torch(self._data.ctrl), wp.to_torch(self._data.qacc_warmstart)
        self._mocap = wp.to_torch(self._data.mocap_pos).view(num_envs, -1) if model.nmocap else self._qpos[:, :0]
        self._activation = wp.to_torch(self._data.act) if model.na else self._qpos[:, :0]
        self._sites = {name: self._site_views(model, name) for name in task.sites}
        self._overflow = wp.to_torch(self._data.overflow)
        self._broken = torch.zeros(num_envs, 1 + len(task.rewards), dtype=torch.bool, device=device)
        self._step_physics = self._recorded(self._launch_steps)
        self._update_positions = self._recorded(self._launch_kinematics)
        if self._scaling is not None and self._scaling.derived:
            self._derive_constants = self._recorded(self._launch_constants)
        self._overflow.zero_()
        self._begin()

    def check_physics(self) -> None:
        """Raise what `step` found since the last call but did not wait for.

        Raises:
            NonFiniteError: naming the first environment concerned.
            BufferOverflowError: when contacts were lost.
        """
        broken = self._broken.cpu()
        if broken.any():
            index = int(broken.any(1).nonzero()[0])
            self._raise_non_finite(index, int(broken[index].nonzero()[0]))
        lost = (self._overflow.cpu() & ~int(_WARNED)).nonzero().flatten()
        if len(lost):
            flags = mujoco_warp.OverflowType(int(self._overflow[lost[0]]) & ~int(_WARNED))
            raise BufferOverflowError(f"buffers of MuJoCo Warp overflowed in environment {int(lost[0])}: {flags!r}")

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on where `state_dict` was taken; on a CPU bit for bit. The number of environments must be the same."""
        self._broken.zero_()
        super().load_state_dict(state)

    def state(self) -> State:  # noqa: D102
        return State(
            qpos=self._qpos,
            qvel=self._qvel,
            sites={name: position for name, (position, _) in self._sites.items()},
            rotations=_Rotations({name: matrix for name, (_, matrix) in self._sites.items()}),
            command=self._command,
            action=self._action,
            previous_action=self._previous_action,
            episode_length=self.episode_length_buf,
            memory=self._memory,
        )

    def reset_to(self, starts: Starts, seed: int = 0) -> None:  # noqa: D102
        if self._random is not None:
            self._random.begin(seed)
        self._restart(torch.ones(self.num_envs, dtype=torch.bool, device=self.device), starts.to(self.device))
        self._update_positions()

    def _advance(self, controls: Tensor) -> None:
        self._ctrl.copy_(controls)
        self._step_physics()
        self._update_positions()

    def _push(self, dof: int, change: Tensor) -> None:
        self._qvel[:, dof : dof + 2] += change

    def _scale_model(self, rows: Any) -> None:
        """Do it in all environments, because the host does not know which ones have started anew."""
        if self._scaling is None:
            return
        for name, values in self._scaling.products(self._command, self._factors):
            self._scaled[name].copy_(values)
        if self._scaling.derived:
            self._derive_constants()

    def _give_each_its_own(self, scaling: Scaling) -> dict[str, Tensor]:
        """Let environments differ in the arrays that are multiplied and in what follows; return views of the former."""
        for name in (*scaling.arrays, *(_DERIVED if scaling.derived else ())):
            array = getattr(self._wp_model, name)
            own = wp.array(np.repeat(array.numpy()[:1], self.num_envs, axis=0), dtype=array.dtype)
            setattr(self._wp_model, name, own)
        return {name: wp.to_torch(getattr(self._wp_model, name)) for name in scaling.arrays}

    def _launch_constants(self) -> None:
        mujoco_warp.set_const(self._wp_model, self._data)

    def _launch_steps(self) -> None:
        for _ in range(self.task_cfg.decimation):
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

    def _check_finite(self, rewards: Tensor) -> None:
        self._broken[:, 0] |= ~(torch.isfinite(self._qpos).all(1) & torch.isfinite(self._qvel).all(1))
        self._broken[:, 1:] |= ~torch.isfinite(rewards)

    def _restart_ended(self, dones: Tensor, state: State) -> Tensor:
        self._restart(dones, self._draw(self.num_envs))
        if self._sites:
            self._update_positions()
        return observe(self.task, self.task_cfg, self.state())

    def _restart(self, chosen: Tensor, starts: Starts) -> None:
        """Start the `chosen` (num_envs,) anew, at rest, each at its row of `starts`.

        By a mask, not by their numbers: to count them the host would have to wait for the GPU.
        """

        def put(values: Tensor, new: Tensor | float) -> None:
            mask = chosen.view(-1, *[1] * (values.dim() - 1))
            values.copy_(torch.where(mask, new, values))

        put(self._qpos, starts.qpos.float())
        for part in (self._qvel, self._warmstart, self._ctrl, self._activation):
            put(part, 0.0)
        command = starts.command.float()
        if (mocap := self._mocap_of(command)) is not None:
            put(self._mocap, mocap)
        put(self._episode, 0.0)
        if starts.factors is not None:
            put(self._factors, starts.factors)
        put(self._command, command)
        self._scale_model(slice(None))
        put(self.episode_length_buf, 0)

    def _site_views(self, model: mujoco.MjModel, name: str) -> tuple[Tensor, Tensor]:
        """Return views of a site's positions (num_envs, 3) and rotation matrices (num_envs, 3, 3)."""
        site = model.site(name).id
        return wp.to_torch(self._data.site_xpos)[:, site], wp.to_torch(self._data.site_xmat)[:, site]

    def _picture_of(self, index: int) -> tuple[np.ndarray, Tensor]:
        return self._qpos[index].cpu().numpy(), self._command[index]

    def _physics_state(self) -> Tensor:
        return torch.cat(self._physics_parts(), dim=1).cpu()

    def _load_physics_state(self, state: Tensor) -> None:
        parts = self._physics_parts()
        for part, values in zip(parts, state.split([part.shape[1] for part in parts], dim=1), strict=True):
            part.copy_(values)
        self._update_positions()

    def _physics_parts(self) -> tuple[Tensor, ...]:
        return self._qpos, self._qvel, self._warmstart, self._ctrl, self._activation, self._mocap


class _Rotations(dict[str, Tensor]):
    """Orientations by site, computed from rotation matrices when they are asked for."""

    def __init__(self, matrices: dict[str, Tensor]) -> None:
        super().__init__()
        self._matrices = matrices

    def __missing__(self, name: str) -> Tensor:
        self[name] = _quaternions(self._matrices[name])
        return self[name]


def _quaternions(matrices: Tensor) -> Tensor:
    """Return rotation matrices (n, 3, 3) as quaternions (n, 4), w x y z, w not negative."""
    m = matrices
    d = m.diagonal(dim1=1, dim2=2)
    x, y, z = d[:, 0], d[:, 1], d[:, 2]
    # Four candidates, each exact where its leading number is large; the one with the largest is taken.
    leading = torch.stack((1 + x + y + z, 1 + x - y - z, 1 - x + y - z, 1 - x - y + z), dim=1)
    a, b, c = m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]
    p, q, r = m[:, 1, 0] + m[:, 0, 1], m[:, 0, 2] + m[:, 2, 0], m[:, 2, 1] + m[:, 1, 2]
    candidates = torch.stack(
        (
            torch.stack((leading[:, 0], a, b, c), dim=1),
            torch.stack((a, leading[:, 1], p, q), dim=1),
            torch.stack((b, p, leading[:, 2], r), dim=1),
            torch.stack((c, q, r, leading[:, 3]), dim=1),
        ),
        dim=1,
    )
    best = leading.argmax(1)
    chosen = candidates.gather(1, best[:, None, None].expand(-1, 1, 4))[:, 0]
    chosen = chosen / torch.linalg.vector_norm(chosen, dim=1, keepdim=True)
    return torch.where(chosen[:, :1] < 0, -chosen, chosen)


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
