"""Parts of lift_objects' state: which object it is, how it is turned, and where it can be grasped."""

from typing import Any

import torch
from torch import Tensor

from manyseeds.tasks.base import State, constant, shared
from manyseeds.tasks.lift_objects.objects import KINDS, SHAPES
from manyseeds.tasks.lift_objects.scene import SIZE, kind_of


def rotation_x(qpos: Tensor) -> Tensor:
    """Return the object's x axis in the root frame, (n, 3), of coordinates (n, 16)."""
    w, x, y, z = qpos[:, 12:16].unbind(1)
    return torch.stack((1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)), dim=1)


def rotation_z(qpos: Tensor) -> Tensor:
    """Return the object's z axis in the root frame, (n, 3), of coordinates (n, 16)."""
    w, x, y, z = qpos[:, 12:16].unbind(1)
    return torch.stack((2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)), dim=1)


def lowest_point(qpos: Tensor, command: Tensor) -> Tensor:
    """Return the height of the object's lowest point, (n,) m, of coordinates (n, 16) and commands (n, 5).

    Exact for boxes, cylinders and balls. A bottle counts as a cylinder with the width of its body.
    """
    reaches = constant(tuple(SHAPES[kind].reaches for kind in KINDS), qpos.device)[kind_of(command)]
    half_x, half_y, round_z, below, above, ball = reaches.unbind(1)
    w, x, y, z = qpos[:, 12:16].unbind(1)
    across_x, across_y, up = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)
    along = torch.where(up > 0, below, above) * up.abs()
    sides = half_x * across_x.abs() + half_y * across_y.abs() + round_z * (1 - up * up).clamp(min=0).sqrt()
    return qpos[:, 11] - command[:, SIZE] * (sides + along + ball)


def where_to_grasp(qpos: Tensor, command: Tensor) -> Tensor:
    """Return the point of the object that the hand should grasp, (n, 3) m, by qpos (n, 16) and command (n, 5)."""
    heights = constant(tuple(SHAPES[kind].grasp - SHAPES[kind].centre for kind in KINDS), qpos.device)
    above = heights[kind_of(command)] * command[:, SIZE]
    return qpos[:, 9:12] + above[:, None] * rotation_z(qpos)


@shared
def grasp_point(cfg: Any, state: State) -> Tensor:
    """Return the point of the object that the hand should grasp, (n, 3) m."""
    return where_to_grasp(state.qpos, state.command)


@shared
def reach_distance(cfg: Any, state: State) -> Tensor:
    """Return the distance between that point and the point between the finger pads, (n,) m."""
    return torch.linalg.vector_norm(grasp_point(cfg, state) - state.sites["end_effector"], dim=1)


@shared
def lifted(cfg: Any, state: State) -> Tensor:
    """Return whether all of the object is above the lifting height and, where there is a limit, near the hand, (n,)."""
    high = lowest_point(state.qpos, state.command) > cfg.lifting_object_clearance
    return high & (reach_distance(cfg, state) < cfg.lifting_object_reach) if cfg.lifting_object_reach > 0 else high
