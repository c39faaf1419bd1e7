"""reach: a Franka arm brings its hand to a commanded pose and keeps it there.

Numbers and terms are those of Isaac Lab's `Isaac-Reach-Franka-v0`, with three simplifications: an episode is one
command of 4 s (there: three commands of 4 s), observations have no noise, and the penalties keep their weights (there
they grow after 4,500 steps). The robot is that of lift_object, without table and cube.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import mujoco
import torch
from torch import Tensor

from manyseeds.tasks.base import Starts, State, Task, Term, Trace
from manyseeds.tasks.reach.description import DESCRIPTION

Range = tuple[float, float]


@dataclass(frozen=True)
class ReachCfg:
    """All numbers of the task. Lengths in m, angles in rad, times in s."""

    physics_dt: float = 1 / 60
    decimation: int = 2
    episode_length_s: float = 4.0

    # Actions: 7 joint positions around the default pose. The fingers stay open.
    action_scale: float = 0.5
    default_joints: tuple[float, ...] = (0.0, -0.569, 0.0, -2.810, 0.0, 3.037, 0.741, 0.04, 0.04)

    # Command: where the hand should be, uniform in a box; it points down and is turned by yaw about the vertical.
    target_x: Range = (0.35, 0.65)
    target_y: Range = (-0.2, 0.2)
    target_z: Range = (0.15, 0.5)
    target_yaw: Range = (-3.14, 3.14)

    # Start: every joint of the default pose times a factor of its own, within the joint's limits.
    start_scale: Range = (0.5, 1.5)

    # Rewards; every term is multiplied by its weight and by the step's duration.
    end_effector_position_tracking_weight: float = -0.2
    end_effector_position_tracking_fine_grained_weight: float = 0.1
    end_effector_position_tracking_fine_grained_std: float = 0.1
    end_effector_orientation_tracking_weight: float = -0.1
    action_rate_weight: float = -1e-4
    joint_vel_weight: float = -1e-4

    # The hand is at its target within both.
    success_distance: float = 0.02
    success_angle: float = 0.2


def model(cfg: ReachCfg) -> mujoco.MjSpec:
    """Return the robot of lift_object without table and cube, with two marks where the fingertips should be."""
    spec = mujoco.MjSpec.from_file(str(Path(__file__).parents[1] / "lift_object" / "panda.xml"))
    spec.modelname = "reach"
    for part in (*spec.pairs, spec.body("table"), spec.body("object"), spec.body("target")):
        spec.delete(part)
    spec.body("panda_hand").add_site(name="hand", size=[0.004, 0, 0], rgba=[0, 0, 0, 0])
    for name in ("target_left", "target_right"):
        body = spec.worldbody.add_body(name=name, mocap=True)
        body.add_geom(size=[0.012, 0, 0], rgba=[0.1, 0.65, 0.3, 0.55], contype=0, conaffinity=0, group=2)
    return spec


def act(cfg: ReachCfg, action: Tensor) -> Tensor:
    """Return joint position targets (n, 9), rad and m, of actions (n, 7)."""
    default = _constant(cfg.default_joints, action.device)
    arm = torch.add(default[:7], action, alpha=cfg.action_scale)
    return torch.cat((arm, default[7:].expand(len(action), 2)), dim=1)


def distance(cfg: ReachCfg, state: State | Trace) -> Tensor:
    """Return the distance from hand to target, (..., n) in m."""
    return torch.linalg.vector_norm(state.sites["hand"] - state.command[:, :3], dim=-1)


def angle(cfg: ReachCfg, state: State | Trace) -> Tensor:
    """Return the angle of the rotation from hand to target, (..., n) in [0, pi] rad."""
    # The chord between unit quaternions is 2 sin(angle / 4); q and -q are the same rotation. Exact for small angles,
    # which the arc cosine of their product is not.
    hand, target = state.rotations["hand"], state.command[:, 3:]
    chords = (torch.linalg.vector_norm(hand + sign * target, dim=-1) for sign in (-1, 1))
    return 4 * torch.asin((torch.minimum(*chords) / 2).clamp(max=1))


def at_target(cfg: ReachCfg, state: State | Trace) -> Tensor:
    """Return whether the hand is at its target, (..., n) bool."""
    return (distance(cfg, state) < cfg.success_distance) & (angle(cfg, state) < cfg.success_angle)


def start(cfg: ReachCfg, n: int, generator: torch.Generator) -> Starts:
    """Draw `n` episodes on the generator's device."""
    device = generator.device
    draws = torch.rand(n, 13, generator=generator, device=device)
    factors = cfg.start_scale[0] + draws[:, :9] * (cfg.start_scale[1] - cfg.start_scale[0])
    low, high = _constant(_limits(), device).T
    ranges = _constant((cfg.target_x, cfg.target_y, cfg.target_z, cfg.target_yaw), device)
    target = ranges[:, 0] + draws[:, 9:] * (ranges[:, 1] - ranges[:, 0])
    # Euler angles (0, pi, yaw), as w x y z.
    half, zeros = target[:, 3] / 2, torch.zeros(n, device=device)
    command = torch.stack((*target[:, :3].T, zeros, -torch.sin(half), torch.cos(half), zeros), dim=1)
    columns = dict(zip(("target_x", "target_y", "target_z", "target_yaw"), target.T, strict=True))
    return Starts((_constant(cfg.default_joints, device) * factors).clamp(low, high), command, columns)


def judge(cfg: ReachCfg, trace: Trace) -> dict[str, Tensor]:
    """Return the outcomes of played episodes, (n,) each."""
    there = at_target(cfg, trace)
    first = (there.int().argmax(0) + 1) * trace.step_dt
    return {
        "reached": there[-1],
        "first_reached_s": torch.where(there.any(0), first, math.nan),
        "final_distance": distance(cfg, trace)[-1],
        "final_angle": angle(cfg, trace)[-1],
    }


def show(cfg: ReachCfg, command: Tensor) -> Tensor:
    """Return where the fingertips of a hand at its target are, (2, 3) in m."""
    _, x, y, _ = command[3:]
    across = torch.stack((2 * x * y, y * y - x * x, torch.zeros_like(x)))  # the y axis of a hand that points down
    down = torch.tensor([0.0, 0.0, -0.1034], device=command.device)
    return command[:3] + down + torch.stack((across, -across)) * cfg.default_joints[7]


def check_cfg(cfg: ReachCfg) -> list[str]:
    """Return sentences about numbers that make no task."""
    positive = ("end_effector_position_tracking_fine_grained_std", "success_distance", "success_angle")
    return [f"'{key}' is {getattr(cfg, key)}; it must be greater than 0." for key in positive if getattr(cfg, key) <= 0]


def _pose_command(cfg: ReachCfg, state: State) -> Tensor:
    return state.command[:, [0, 1, 2, 4, 5, 6, 3]]  # Isaac Lab 3.0 writes quaternions as x y z w


def _near(cfg: ReachCfg, state: State) -> Tensor:
    return 1 - torch.tanh(distance(cfg, state) / cfg.end_effector_position_tracking_fine_grained_std)


@lru_cache
def _limits() -> tuple[tuple[float, ...], ...]:
    """Return the range of every joint, rad and m."""
    return tuple(map(tuple, model(ReachCfg()).compile().jnt_range.tolist()))


@lru_cache
def _constant(values: tuple, device: torch.device) -> Tensor:
    """Return the numbers on a device, made once: copying them there would make every step wait for a GPU."""
    with torch.inference_mode(False):
        return torch.tensor(values, device=device)


TASK = Task(
    name="reach",
    cfg=ReachCfg,
    description=DESCRIPTION,
    model=model,
    action_width=7,
    command_width=7,
    act=act,
    observations={
        "joint_pos": Term(lambda cfg, s: s.qpos - _constant(cfg.default_joints, s.qpos.device), 9, "rad, m"),
        "joint_vel": Term(lambda cfg, s: s.qvel, 9, "rad/s, m/s"),
        "pose_command": Term(_pose_command, 7, "m, quaternion x y z w"),
        "actions": Term(lambda cfg, s: s.action, 7),
    },
    rewards={
        "end_effector_position_tracking": Term(distance),
        "end_effector_position_tracking_fine_grained": Term(_near),
        "end_effector_orientation_tracking": Term(angle),
        "action_rate": Term(lambda cfg, s: (s.action - s.previous_action).square().sum(1)),
        "joint_vel": Term(lambda cfg, s: s.qvel.square().sum(1)),
    },
    terminations={},
    success=at_target,
    metrics={
        "ee_pose/position_error": Term(distance, unit="m"),
        "ee_pose/orientation_error": Term(angle, unit="rad"),
    },
    start=start,
    judge=judge,
    sites=("hand",),
    show=show,
    check_cfg=check_cfg,
)
