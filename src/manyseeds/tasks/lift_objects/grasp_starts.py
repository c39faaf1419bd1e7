"""Arm poses with the open hand around each kind of object, from which training episodes may start."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from manyseeds.tasks.lift_object import robot
from manyseeds.tasks.lift_object.grasp_starts import end_effector_chain, go_to_grasps, joint_limits, solve_poses
from manyseeds.tasks.lift_objects.objects import KINDS, SHAPES
from manyseeds.tasks.lift_objects.scene import SIZE, kind_of

COUNT = 256
"""Poses that are tried for each kind."""


@dataclass(frozen=True)
class GraspStarts:
    """`k` poses, those of a kind one after the other.

    Attributes:
        arm: (k, 7) rad.
        object_pos: (k, 3) m, where the object stands.
        size: (k,) of the object.
        first: (kinds,) the first pose of each kind.
        count: (kinds,) how many poses it has.
    """

    arm: Tensor
    object_pos: Tensor
    size: Tensor
    first: Tensor
    count: Tensor


@lru_cache(maxsize=16)
def grasp_starts(cfg: Any, device: torch.device | str = "cpu") -> GraspStarts:
    """Return the poses of a task, solved once; those without a solution are left out."""
    compiled = robot.model(cfg).compile()
    size = np.random.default_rng(1).uniform(cfg.object_size[0], cfg.object_size[1], COUNT)
    heights = np.concatenate([SHAPES[kind].grasp * size for kind in KINDS])
    poses = solve_poses(cfg, end_effector_chain(compiled), joint_limits(compiled), heights)
    centres = np.concatenate([SHAPES[kind].centre * size for kind in KINDS])
    place = np.concatenate((poses.point[:, :2], centres[:, None]), axis=1)
    counts = poses.good.reshape(len(KINDS), COUNT).sum(1)
    with torch.inference_mode(False):
        floats = (poses.angles[poses.good], place[poses.good], np.tile(size, len(KINDS))[poses.good])
        whole = (np.cumsum(counts) - counts, counts)
        return GraspStarts(
            *(torch.from_numpy(part).float().to(device) for part in floats),
            *(torch.from_numpy(part).to(device) for part in whole),
        )


def start_around_objects(
    cfg: Any, starts: GraspStarts, qpos: Tensor, command: Tensor, generator: torch.Generator
) -> None:
    """Move a share of the episodes that would start at home onto the way to a grasp of their kind of object.

    Args:
        cfg: the task; gives share and exponent.
        starts: poses around the objects, on the device of `qpos`.
        qpos: (n, 16) the MJCF's coordinates at home; changed in place, as lift_object does.
        command: (n, 5); the object gets the size that the pose was made for.
        generator: on the same device.
    """
    draws = torch.rand(3, len(qpos), generator=generator, device=generator.device)
    chosen = draws[0] < cfg.grasp_start_share
    kind = kind_of(command)
    poses = starts.first[kind] + (draws[1] * starts.count[kind]).long()
    go_to_grasps(cfg, chosen, draws[2], starts.arm[poses], starts.object_pos[poses], qpos)
    command[:, SIZE] = torch.where(chosen, starts.size[poses], command[:, SIZE])
