"""Arm poses with the open hand around the resting cube, from which training episodes may start."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from manyseeds.tasks.kinematics import PointOnChain
from manyseeds.tasks.lift_object.robot import default_joint_pos, model

if TYPE_CHECKING:
    import mujoco

_ARM = [f"panda_link{i}" for i in range(1, 8)]
_JOINTS = [f"panda_joint{i}" for i in range(1, 8)]

_LEVER = 0.1
_RESTING_HEIGHT = 0.024
_HAND_YAW = -np.pi / 4
_DAMPING = 1e-4
_DIFFERENCE = 1e-5


@dataclass(frozen=True)
class GraspStarts:
    """`k` poses: the hand points down, tilted forward by `grasp_start_tilt`, the fingers left and right of the cube."""

    arm: Tensor
    """(k, 7) rad."""
    object_pos: Tensor
    """(k, 3) m."""


def end_effector_chain(compiled: "mujoco.MjModel") -> PointOnChain:
    """Return the kinematics of the point between the finger pads, in the robot's root frame, from the model."""
    import mujoco

    rotations = np.empty((len(_ARM), 3, 3))
    for rotation, name in zip(rotations, _ARM, strict=True):
        mujoco.mju_quat2Mat(rotation.reshape(9), compiled.body(name).quat)
    hand = compiled.body("panda_hand")
    point = np.empty(3)
    mujoco.mju_rotVecQuat(point, compiled.site("end_effector").pos, hand.quat)
    return PointOnChain(rotations, np.array([compiled.body(name).pos for name in _ARM]), point + hand.pos)


def joint_limits(compiled: "mujoco.MjModel") -> np.ndarray:
    """Return the limits of the arm's joints, (7, 2) rad, from the model."""
    return np.array([compiled.joint(name).range for name in _JOINTS])


@lru_cache(maxsize=16)
def grasp_starts(cfg: Any, device: torch.device | str = "cpu") -> GraspStarts:
    """Return the poses of a task, solved once."""
    compiled = model(cfg).compile()
    with torch.inference_mode(False):
        starts = solve_grasp_starts(cfg, end_effector_chain(compiled), joint_limits(compiled))
        return GraspStarts(starts.arm.to(device), starts.object_pos.to(device))


def solve_grasp_starts(cfg: Any, chain: PointOnChain, limits: np.ndarray, count: int = 512) -> GraspStarts:
    """Solve the inverse kinematics of `count` cubes from the reset rectangle; those without a solution are left out.

    Args:
        cfg: the task.
        chain: the arm's kinematics, its point between the finger pads.
        limits: (7, 2) joint limits, rad.
        count: poses to try.
    """
    poses = solve_poses(cfg, chain, limits, np.full(count, _RESTING_HEIGHT))
    arm, cube = poses.angles[poses.good], poses.point[poses.good]
    return GraspStarts(torch.from_numpy(arm).float(), torch.from_numpy(cube).float())


@dataclass(frozen=True)
class Poses:
    """`k` poses of the arm, good ones and others.

    Attributes:
        angles: (k, 7) rad.
        point: (k, 3) m, what is between the finger pads.
        good: (k,) whether the arm gets there within its limits.
    """

    angles: np.ndarray
    point: np.ndarray
    good: np.ndarray


def solve_poses(cfg: Any, chain: PointOnChain, limits: np.ndarray, heights: np.ndarray) -> Poses:
    """Solve the inverse kinematics of points above the reset rectangle.

    Damped Gauss-Newton on three points fixed to the hand, which fix its position and orientation.

    Args:
        cfg: the task; gives rectangle and tilt.
        chain: the arm's kinematics, its point between the finger pads.
        limits: (7, 2) joint limits, rad.
        heights: (k,) of the points above the table, m.
    """
    count = len(heights)
    ranges = np.array([cfg.object_x, cfg.object_y, cfg.grasp_start_tilt])
    x, y, tilt = np.random.default_rng(0).uniform(ranges[:, 0], ranges[:, 1], (count, 3)).T
    zero = np.zeros(count)
    cube = np.stack((x, y, zero + heights), axis=1)
    left_right = np.stack((zero, zero - 1, zero), axis=1)
    down = np.stack((np.sin(tilt), zero, -np.cos(tilt)), axis=1)
    goals = np.concatenate((cube, cube + _LEVER * left_right, cube + _LEVER * down), axis=1)
    # The hand is mounted on the last link turned by -45 degrees: its y axis there is (-sin, cos, 0) of that angle.
    offsets = _LEVER * np.array([[0, 0, 0], [-np.sin(_HAND_YAW), np.cos(_HAND_YAW), 0], [0, 0, 1]])

    def error_at(angles: np.ndarray) -> np.ndarray:
        return np.concatenate([chain.position(angles, offset) for offset in offsets], axis=1) - goals

    angles = np.tile(np.array(cfg.default_arm), (count, 1))
    for _ in range(40):
        error = error_at(angles)[:, :, None]
        steps = _DIFFERENCE * np.eye(7)
        j = np.stack([error_at(angles + step) - error_at(angles - step) for step in steps], axis=2) / (2 * _DIFFERENCE)
        jt = j.transpose(0, 2, 1)
        change = np.linalg.solve(jt @ j + _DAMPING * np.eye(7), jt @ error)
        angles = angles - change[:, :, 0].clip(-0.3, 0.3)
    good = (np.abs(error_at(angles)).max(axis=1) < 1e-3) & ((angles > limits[:, 0]) & (angles < limits[:, 1])).all(
        axis=1
    )
    return Poses(angles, cube, good)


def start_around_cubes(cfg: Any, starts: GraspStarts, qpos: Tensor, generator: torch.Generator) -> Tensor:
    """Move a share of the episodes that would start at home onto the way to a grasp.

    Args:
        cfg: the task; gives share and exponent.
        starts: poses around the cube, on the device of `qpos`.
        qpos: (n, 16) the MJCF's coordinates at home; changed in place.
        generator: on the same device.

    Returns:
        `qpos`: in `grasp_start_share` of the rows the arm is somewhere between home and a pose, the nearer to the pose
        the smaller `grasp_start_exponent`, and the cube where that pose has it.
    """
    draws = torch.rand(3, len(qpos), generator=generator, device=generator.device)
    poses = (draws[1] * len(starts.arm)).long()
    go_to_grasps(cfg, draws[0] < cfg.grasp_start_share, draws[2], starts.arm[poses], starts.object_pos[poses], qpos)
    return qpos


def go_to_grasps(cfg: Any, chosen: Tensor, way: Tensor, arm: Tensor, object_pos: Tensor, qpos: Tensor) -> None:
    """Move episodes that would start at home onto the way to a grasp.

    Args:
        cfg: the task; gives home and exponent.
        chosen: (n,) bool, which ones.
        way: (n,) how far on the way, uniform in 0 to 1 before the exponent.
        arm: (n, 7) rad, the pose of the grasp.
        object_pos: (n, 3) m, where the object is then.
        qpos: (n, 16) the MJCF's coordinates at home; changed in place.
    """
    gone = way[:, None] ** cfg.grasp_start_exponent
    there = torch.lerp(default_joint_pos(cfg, qpos.device)[:7], arm, gone)
    qpos[:, :7] = torch.where(chosen[:, None], there.to(qpos.dtype), qpos[:, :7])
    qpos[:, 9:12] = torch.where(chosen[:, None], object_pos.to(qpos.dtype), qpos[:, 9:12])
