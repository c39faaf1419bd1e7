"""Arm poses with the open hand in front of the handle or around it, from which training episodes may start."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from manyseeds.core.errors import UserError
from manyseeds.tasks.open_drawer.scene import model

# Where the search begins: a hand that points forward, its left finger above the right one.
_FORWARD = np.array([0.0, -0.9, 0.0, -2.6, 0.0, 3.3, -0.83])
_HAND = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
_DAMPING = 1e-4
_MARGIN = 0.02


@dataclass(frozen=True)
class HandleStarts:
    """`k` poses: the hand points forward at the handle, the left finger above the right one."""

    arm: Tensor
    """(k, 7) rad."""
    handle: Tensor
    """(k, 3) the handle of the closed drawer, m."""
    opening: Tensor
    """(k,) how far the drawer is open, m."""


@lru_cache(maxsize=16)
def handle_starts(cfg: Any, device: torch.device | str = "cpu", count: int = 256) -> HandleStarts:
    """Return poses for `count` handles of the task's box, half of them of drawers that are partly open.

    Damped Gauss-Newton on the position and orientation of the hand, near the pose where the search begins; handles
    without a solution are left out.

    Raises:
        UserError: when no handle has a solution.
    """
    import mujoco

    compiled = model(cfg).compile()
    data, site = mujoco.MjData(compiled), compiled.site("end_effector").id
    low, high = compiled.jnt_range[:7].T
    opening = (-cfg.success_opening, cfg.success_opening)
    ranges = np.array([cfg.handle_x, cfg.handle_y, cfg.handle_z, opening, cfg.handle_start_distance])
    draws = np.random.default_rng(0).uniform(ranges[:, 0], ranges[:, 1], (count, 5))
    handles, openings = draws[:, :3], draws[:, 3].clip(min=0)
    forward = openings + draws[:, 4]
    poses, jacobian = np.tile(_FORWARD, (count, 1)), np.empty((6, compiled.nv))
    good = np.zeros(count, dtype=bool)
    for i, goal in enumerate(handles - forward[:, None] * [1, 0, 0]):
        for step in range(40):
            data.qpos[:7] = poses[i]
            mujoco.mj_kinematics(compiled, data)
            mujoco.mj_comPos(compiled, data)
            mujoco.mj_jacSite(compiled, data, jacobian[:3], jacobian[3:], site)
            hand = data.site_xmat[site].reshape(3, 3)
            turn = 0.5 * np.cross(hand, _HAND, axis=0).sum(1)
            error = np.concatenate((goal - data.site_xpos[site], turn))
            if np.abs(error).max() < 1e-4:
                break
            j = jacobian[:, :7]
            inverse = j.T @ np.linalg.inv(j @ j.T + _DAMPING * np.eye(6))
            change = inverse @ error + 0.5 * 0.7**step * (np.eye(7) - inverse @ j) @ (_FORWARD - poses[i])
            poses[i] = (poses[i] + change.clip(-0.3, 0.3)).clip(low + _MARGIN, high - _MARGIN)
        good[i] = np.abs(error).max() < 1e-3 and np.trace(hand.T @ _HAND) > 2.9
    if not good.any():
        raise UserError(
            f"task open_drawer: 'handle_start_share' is {cfg.handle_start_share}; it must be 0 where a hand that points"
            f" forward reaches no handle, as with handle_x {list(cfg.handle_x)}, handle_y {list(cfg.handle_y)} and"
            f" handle_z {list(cfg.handle_z)}."
        )
    with torch.inference_mode(False):
        parts = (torch.from_numpy(part[good]).float().to(device) for part in (poses, handles, openings))
        return HandleStarts(*parts)
