"""Arm poses with the open hand around the resting cube, from which training episodes may start."""

from dataclasses import dataclass

import torch
from torch import Tensor

from manyseeds.task.kinematics import PointOnChain
from manyseeds.task.lift_object import LiftObjectCfg

_LEVER = 0.1
_RESTING_HEIGHT = 0.024
_HAND_YAW = -torch.pi / 4


@dataclass(frozen=True)
class GraspStarts:
    """`k` poses: the hand points down, tilted forward by `grasp_start_tilt`, the fingers left and right of the cube."""

    arm: Tensor
    """(k, 7) rad."""
    object_pos: Tensor
    """(k, 3) m."""


def solve_grasp_starts(cfg: LiftObjectCfg, chain: PointOnChain, limits: Tensor, count: int = 512) -> GraspStarts:
    """Solve the inverse kinematics of `count` cubes from the reset rectangle; those without a solution are left out.

    Damped Gauss-Newton on three points fixed to the hand, which fix its position and orientation.

    Args:
        cfg: the task.
        chain: the arm's kinematics, its point between the finger pads.
        limits: (7, 2) joint limits, rad.
        count: poses to try.
    """
    draws = torch.rand(count, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ranges = torch.tensor([cfg.object_x, cfg.object_y, cfg.grasp_start_tilt], dtype=torch.float64)
    x, y, tilt = (draws * (ranges[:, 1] - ranges[:, 0]) + ranges[:, 0]).unbind(1)
    cube = torch.stack((x, y, torch.full_like(x, _RESTING_HEIGHT)), dim=1)
    sin, cos, zero = torch.sin(tilt), torch.cos(tilt), torch.zeros_like(tilt)
    left_right = torch.stack((zero, zero - 1, zero), dim=1)
    down = torch.stack((sin, zero, -cos), dim=1)
    goals = torch.stack((cube, cube + _LEVER * left_right, cube + _LEVER * down), dim=1)
    # The hand is mounted on the last link turned by -45 degrees: its y axis there is (-sin, cos, 0) of that angle.
    yaw = torch.tensor(_HAND_YAW, dtype=torch.float64)
    levers = torch.stack((torch.stack((-torch.sin(yaw), torch.cos(yaw), yaw * 0)), torch.tensor([0.0, 0.0, 1.0])))
    offsets = torch.cat((torch.zeros(1, 3), _LEVER * levers)).double()
    chain = chain.double()

    def residual(angles: Tensor, goal: Tensor) -> Tensor:
        points = torch.cat([chain.position(angles[None], offset) for offset in offsets])
        return (points - goal).flatten()

    jacobian = torch.func.vmap(torch.func.jacfwd(residual))
    angles = torch.tensor(cfg.default_arm, dtype=torch.float64).repeat(count, 1)
    damping = 1e-4 * torch.eye(7, dtype=torch.float64)
    for _ in range(40):
        error = torch.func.vmap(residual)(angles, goals)[:, :, None]
        j = jacobian(angles, goals)
        step = torch.linalg.solve(j.transpose(1, 2) @ j + damping, j.transpose(1, 2) @ error)
        angles = angles - step[:, :, 0].clamp(-0.3, 0.3)
    error = torch.func.vmap(residual)(angles, goals).abs().amax(1)
    good = (error < 1e-3) & ((angles > limits[:, 0]) & (angles < limits[:, 1])).all(1)
    return GraspStarts(angles[good].float(), cube[good].float())
