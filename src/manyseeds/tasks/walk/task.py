"""walk: a quadruped follows a commanded velocity on flat ground.

Numbers and terms are those of Isaac Lab's `Isaac-Velocity-Flat-Unitree-Go2`, with these simplifications. An episode has
one command of three numbers, velocity forward and to the left (m/s) and yaw rate (rad/s), in the trunk's frame; there,
the third follows from a commanded heading. Observations have no noise unless `observation_noise` is 1, and masses,
friction and gains are the same in all episodes unless the ranges of their factors say otherwise. Episodes start on the
floor; there, 7 cm above it. Contacts follow from heights, not from forces, and joint accelerations from the velocities
of successive steps of the environment, not of the physics.

The coordinates are the trunk's position (m) and quaternion (w x y z), then hip, thigh and calf (rad) of the legs front
left, front right, rear left and rear right. The trunk's linear velocity is in the world's frame, its angular velocity
in its own.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from manyseeds.tasks.base import (
    Factor,
    Range,
    Starts,
    State,
    Task,
    TaskCfg,
    Term,
    at_least,
    constant,
    positive,
    shared,
    signs,
    uniform,
)
from manyseeds.tasks.walk.description import DESCRIPTION, FEET, base_velocity, errors, feet_down, judge, trunk_down, up

if TYPE_CHECKING:
    import mujoco

TORQUE_LIMITS = (23.7, 23.7, 45.43) * 4
"""Of the joints in their order, N m; those of the MJCF."""


@dataclass(frozen=True)
class WalkCfg(TaskCfg):
    """All numbers of the task. Lengths in m, angles in rad, times in s."""

    physics_dt: float = 0.005
    decimation: int = 4
    episode_length_s: float = 20.0

    # The legs: gains of the joints' position control, N m/rad and N m s/rad.
    stiffness: float = 25.0
    damping: float = 0.5

    # Actions: 12 joint positions around the default pose.
    action_scale: float = 0.25
    default_joints: tuple[float, ...] = (0.1, 0.8, -1.5, -0.1, 0.8, -1.5, 0.1, 1.0, -1.5, -0.1, 1.0, -1.5)

    # Command: m/s, m/s and rad/s; zero in a share of the episodes.
    command_x: Range = (-1.0, 1.0)
    command_y: Range = (-1.0, 1.0)
    command_yaw: Range = (-1.0, 1.0)
    standing_share: float = 0.02

    # Start: the default pose at this height.
    start_height: float = 0.325

    # A foot or the trunk touches the floor when it is less than this above it.
    contact_height: float = 0.005

    # Rewards; every term is multiplied by its weight and by the step's duration.
    track_lin_vel_xy_exp_weight: float = 1.5
    track_ang_vel_z_exp_weight: float = 0.75
    tracking_std: float = 0.5
    lin_vel_z_l2_weight: float = -2.0
    ang_vel_xy_l2_weight: float = -0.05
    dof_torques_l2_weight: float = -2e-4
    dof_acc_l2_weight: float = -2.5e-7
    action_rate_l2_weight: float = -0.01
    feet_air_time_weight: float = 0.25
    feet_air_time_threshold: float = 0.5
    flat_orientation_l2_weight: float = -2.5

    # Ranges from which an episode draws what multiplies the trunk's mass, the friction of the contacts, and the gains.
    trunk_mass_scale: Range = (1, 1)
    friction_scale: Range = (1, 1)
    stiffness_scale: Range = (1, 1)
    damping_scale: Range = (1, 1)

    # The command is followed when the mean errors after this time are less than both, m/s and rad/s.
    success_after_s: float = 1.0
    success_velocity_error: float = 0.25
    success_yaw_rate_error: float = 0.25


def model(cfg: WalkCfg) -> "mujoco.MjSpec":
    """Return the robot on its floor, with the gains of `cfg`."""
    import mujoco

    spec = mujoco.MjSpec.from_file(str(Path(__file__).with_name("quadruped.xml")))
    for servo in spec.actuators:
        servo.gainprm[0], servo.biasprm[1], servo.biasprm[2] = cfg.stiffness, -cfg.stiffness, -cfg.damping
    return spec


def act(cfg: WalkCfg, action: Tensor) -> Tensor:
    """Return joint position targets, (n, 12) rad, of actions (n, 12)."""
    return constant(cfg.default_joints, action.device) + cfg.action_scale * action


def start(cfg: WalkCfg, n: int, generator: torch.Generator) -> Starts:
    """Draw what is commanded; every episode starts in the default pose."""
    ranges = (cfg.command_x, cfg.command_y, cfg.command_yaw, (0.0, 1.0))
    command, moving = uniform(ranges, n, generator).split((3, 1), dim=1)
    command = command * (moving >= cfg.standing_share)
    pose = constant((0.0, 0.0, cfg.start_height, 1.0, 0.0, 0.0, 0.0, *cfg.default_joints), generator.device)
    columns = dict(zip((x.name for x in DESCRIPTION.starts), command.unbind(1), strict=True))
    return Starts(pose.repeat(n, 1), command, columns)


# What follows from a state, (n, ...), and is needed more than once.

velocity = shared(lambda cfg, s: base_velocity(s.qpos, s.qvel))
vertical = shared(lambda cfg, s: up(s.qpos))
fallen = shared(trunk_down)


@shared
def torques(cfg: WalkCfg, s: State) -> Tensor:
    """Return the torques of servos with the gains of `cfg` at the end of a step, (n, 12) N m."""
    limits = constant(TORQUE_LIMITS, s.qpos.device)
    wanted = cfg.stiffness * (act(cfg, s.action) - s.qpos[:, 7:]) - cfg.damping * s.qvel[:, 6:]
    return wanted.clamp(-limits, limits)


# Widths of what is remembered: the joints' velocities; the sum of the squares of their accelerations; how long each
# foot has been in the air, s; the reward of the feet that touch down in this step; the sums of both errors, and of how
# many steps.
_MEMORY = (12, 1, 4, 1, 3)


def remember(cfg: WalkCfg, s: State) -> Tensor:
    """Return the memory after a step, (n, 21), from the one before."""
    before, _, air, _, sums = s.memory.split(_MEMORY, dim=1)
    joints, down = s.qvel[:, 6:], feet_down(cfg, s)
    acceleration = ((joints - before) / cfg.step_dt).square().sum(1, keepdim=True)
    longer = air + cfg.step_dt
    landed = (longer - cfg.feet_air_time_threshold) * (down & (air > 0))
    linear, yaw = errors(s.command, velocity(cfg, s), s.qvel)
    counts = (s.episode_length > round(cfg.success_after_s / cfg.step_dt))[:, None]
    new = torch.stack((linear, yaw, torch.ones_like(yaw)), dim=1) * counts
    parts = (joints, acceleration, longer * ~down, landed.sum(1, keepdim=True), sums + new)
    return torch.cat(parts, dim=1)


def mean_errors(cfg: WalkCfg, s: State) -> Tensor:
    """Return the mean errors of velocity and yaw rate after the first second so far, (n, 2)."""
    return s.memory[:, -3:-1] / s.memory[:, -1:].clamp(min=1)


def success(cfg: WalkCfg, s: State) -> Tensor:
    """Return whether a whole episode ends in which the command was followed, (n,) bool; never if no step counted."""
    limits = constant((cfg.success_velocity_error, cfg.success_yaw_rate_error), s.qpos.device)
    followed = (mean_errors(cfg, s) < limits).all(1) & (s.memory[:, -1] > 0)
    return (s.episode_length >= cfg.episode_length) & followed & ~fallen(cfg, s)


def _tracked(cfg: WalkCfg, squared_error: Tensor) -> Tensor:
    return torch.exp(-squared_error / cfg.tracking_std**2)


def _mirror_joints(cfg: WalkCfg, x: Tensor) -> Tensor:
    """Exchange the legs on the left and on the right, (..., 12), and the side to which a hip turns."""
    return x[..., [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]] * constant((-1.0, 1.0, 1.0) * 4, x.device)


def _mirror_pose(cfg: WalkCfg, x: Tensor, scale: float = 1.0) -> Tensor:
    default = constant(cfg.default_joints, x.device) / scale
    return _mirror_joints(cfg, x + default) - default


def _mirror_action(cfg: WalkCfg, x: Tensor) -> Tensor:
    return _mirror_pose(cfg, x, cfg.action_scale)


def _check(cfg: WalkCfg) -> list[str]:
    return positive(
        cfg, "stiffness", "start_height", "tracking_std", "success_velocity_error", "success_yaw_rate_error"
    ) + at_least(cfg, 0, "damping", "standing_share", "contact_height", "success_after_s")


TASK = Task(
    name="walk",
    cfg=WalkCfg,
    description=DESCRIPTION,
    model=model,
    action_width=12,
    command_width=3,
    act=act,
    observations={
        "base_lin_vel": Term(velocity, 3, "m/s, trunk's frame", 0.1, signs(1, -1, 1)),
        "base_ang_vel": Term(lambda cfg, s: s.qvel[:, 3:6], 3, "rad/s, trunk's frame", 0.2, signs(-1, 1, -1)),
        "projected_gravity": Term(
            lambda cfg, s: -vertical(cfg, s), 3, "direction of gravity, trunk's frame", 0.05, signs(1, -1, 1)
        ),
        "velocity_commands": Term(
            lambda cfg, s: s.command, 3, "m/s forward, m/s to the left, rad/s", mirror=signs(1, -1, -1)
        ),
        "joint_pos": Term(
            lambda cfg, s: s.qpos[:, 7:] - constant(cfg.default_joints, s.qpos.device),
            12,
            "rad from the default pose",
            0.01,
            _mirror_pose,
        ),
        "joint_vel": Term(lambda cfg, s: s.qvel[:, 6:], 12, "rad/s", 1.5, _mirror_joints),
        "actions": Term(lambda cfg, s: s.action, 12, "the action before", mirror=_mirror_action),
    },
    rewards={
        "track_lin_vel_xy_exp": Term(
            lambda cfg, s: _tracked(cfg, (velocity(cfg, s)[:, :2] - s.command[:, :2]).square().sum(1))
        ),
        "track_ang_vel_z_exp": Term(lambda cfg, s: _tracked(cfg, (s.qvel[:, 5] - s.command[:, 2]).square())),
        "lin_vel_z_l2": Term(lambda cfg, s: velocity(cfg, s)[:, 2].square()),
        "ang_vel_xy_l2": Term(lambda cfg, s: s.qvel[:, 3:5].square().sum(1)),
        "dof_torques_l2": Term(lambda cfg, s: torques(cfg, s).square().sum(1)),
        "dof_acc_l2": Term(lambda cfg, s: s.memory[:, 12]),
        "action_rate_l2": Term(lambda cfg, s: (s.action - s.previous_action).square().sum(1)),
        "feet_air_time": Term(lambda cfg, s: s.memory[:, 17] * (s.command[:, :2].norm(dim=1) > 0.1)),
        "flat_orientation_l2": Term(lambda cfg, s: vertical(cfg, s)[:, :2].square().sum(1)),
    },
    terminations={"base_contact": Term(fallen)},
    metrics={
        "base_velocity/error_vel_xy": Term(lambda cfg, s: mean_errors(cfg, s)[:, 0], unit="m/s"),
        "base_velocity/error_vel_yaw": Term(lambda cfg, s: mean_errors(cfg, s)[:, 1], unit="rad/s"),
    },
    success=success,
    start=start,
    judge=judge,
    factors={
        "trunk_mass_scale": Factor({"body_mass": (), "body_inertia": ()}, ("trunk",)),
        "friction_scale": Factor({"geom_friction": (0,)}),
        "stiffness_scale": Factor({"actuator_gainprm": (0,), "actuator_biasprm": (1,)}),
        "damping_scale": Factor({"actuator_biasprm": (2,)}),
    },
    pushed="trunk",
    mirror=_mirror_action,
    check_cfg=_check,
    sites=FEET,
    memory_width=sum(_MEMORY),
    remember=remember,
    controls="joint_position_targets",
    action_unit="offset from the default pose, times action_scale rad",
    control_unit="rad",
)
