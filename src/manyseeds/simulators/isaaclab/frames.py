"""The one place where Isaac Lab's coordinates become the task's and back.

Isaac Lab: positions and velocities in the world frame, in which every environment has its own origin and is not turned;
quaternions x y z w. A task: its MJCF's coordinates, with the environment's origin as the world; quaternions w x y z;
of a body that moves freely, the velocity of its origin (not of its centre of mass) in the world's frame, and the
angular velocity in the body's. Joints have the same names and signs.
"""

from collections.abc import Callable
from typing import Any

import mujoco
import torch
from isaaclab.utils.math import quat_apply, quat_apply_inverse, quat_mul
from torch import Tensor

from manyseeds.simulators.isaaclab.parts import Part, parts

_W_LAST = [1, 2, 3, 0]
_W_FIRST = [3, 0, 1, 2]


class Frames:
    """Reads and writes an environment's coordinates in the MJCF's order.

    Args:
        env: the manager-based environment, its scene already simulated.
        model: the compiled MJCF.
        sites: the sites that the task uses.
    """

    def __init__(self, env: Any, model: mujoco.MjModel, sites: tuple[str, ...]) -> None:
        self._scene, self._device = env.scene, env.device
        self._nv = model.nv
        everything = parts(model)
        # Joints and free bodies, in the order of their coordinates.
        self._moving = [part for part in everything if part.kind != "static"]
        self._sites = {name: self._site(model, everything, name) for name in sites}

    def qpos(self) -> Tensor:
        """Return the coordinates, (n, nq)."""
        return torch.cat([self._coordinates(part) for part in self._moving], dim=1)

    def qvel(self) -> Tensor:
        """Return the velocities, (n, nv)."""
        return torch.cat([self._velocities(part) for part in self._moving], dim=1)

    def sites(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the sites' positions (n, 3) in m and orientations (n, 4), w x y z."""
        poses = {name: read() for name, read in self._sites.items()}
        return {name: pose[0] for name, pose in poses.items()}, {name: pose[1] for name, pose in poses.items()}

    def place(self, ids: Tensor, qpos: Tensor, qvel: Tensor | None = None) -> None:
        """Put environments `ids` (k,) at coordinates (k, nq) with velocities (k, nv); without these, at rest."""
        qpos, rows = qpos.float(), ids.int()
        qvel = torch.zeros(len(ids), self._nv, device=self._device) if qvel is None else qvel.float()
        for part in self._moving:
            asset, position, velocity = self._scene[part.name], qpos[:, part.qpos], qvel[:, part.qvel]
            if part.floats:
                quaternion = position[:, 3:7][:, _W_LAST]
                pose = torch.cat((position[:, :3] + self._scene.env_origins[ids.long()], quaternion), dim=1)
                twist = torch.cat((velocity[:, :3], quat_apply(quaternion, velocity[:, 3:6])), dim=1)
                asset.write_root_link_pose_to_sim_index(root_pose=pose, env_ids=rows)
                asset.write_root_link_velocity_to_sim_index(root_velocity=twist, env_ids=rows)
                position, velocity = position[:, 7:], velocity[:, 6:]
            if part.joints:
                asset.write_joint_state_to_sim_index(
                    position=position.contiguous(), velocity=velocity.contiguous(), env_ids=rows
                )

    def _coordinates(self, part: Part) -> Tensor:
        data = self._scene[part.name].data
        if not part.floats:
            return data.joint_pos.torch
        pose = data.root_link_pose_w.torch
        base = (pose[:, :3] - self._scene.env_origins, pose[:, 3:][:, _W_FIRST])
        return torch.cat((*base, data.joint_pos.torch) if part.joints else base, dim=1)

    def _velocities(self, part: Part) -> Tensor:
        data = self._scene[part.name].data
        if not part.floats:
            return data.joint_vel.torch
        twist = data.root_link_vel_w.torch
        base = (twist[:, :3], quat_apply_inverse(data.root_link_pose_w.torch[:, 3:], twist[:, 3:]))
        return torch.cat((*base, data.joint_vel.torch) if part.joints else base, dim=1)

    def _site(self, model: mujoco.MjModel, everything: tuple[Part, ...], name: str) -> Callable[[], tuple[Tensor, ...]]:
        """Return what reads a site's position and orientation."""
        site = model.site(name)
        body = model.body(site.bodyid[0]).name
        part = next((part for part in self._moving if body in part.bodies), None)
        if part is None:
            return self._still_site(model, site.id)
        tensor = lambda values: torch.tensor(values, dtype=torch.float32, device=self._device)  # noqa: E731
        offset, turn = tensor(site.pos), tensor(site.quat)[_W_LAST]
        asset, origins = self._scene[part.name], self._scene.env_origins
        index = asset.body_names.index(body)

        def read() -> tuple[Tensor, ...]:
            pose = asset.data.body_link_pose_w.torch[:, index]
            position = pose[:, :3] - origins + quat_apply(pose[:, 3:], offset.expand(len(pose), 3))
            return position, quat_mul(pose[:, 3:], turn.expand(len(pose), 4))[:, _W_FIRST]

        return read

    def _still_site(self, model: mujoco.MjModel, site: int) -> Callable[[], tuple[Tensor, ...]]:
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        quaternion = torch.empty(4, dtype=torch.float64)
        mujoco.mju_mat2Quat(quaternion.numpy(), data.site_xmat[site])
        n = len(self._scene.env_origins)
        position = torch.from_numpy(data.site_xpos[site].copy()).float().to(self._device).expand(n, 3)
        orientation = quaternion.float().to(self._device).expand(n, 4)
        return lambda: (position, orientation)
