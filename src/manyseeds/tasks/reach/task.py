"""reach: a Franka arm brings its hand to a commanded pose and keeps it there.

Numbers and terms are those of Isaac Lab's `Isaac-Reach-Franka`, with three simplifications: an episode is one command
of 4 s (there: three commands of 4 s), observations have no noise unless
`observation_noise` is 1, and the penalties keep their weights (there they grow
after 4,500 steps). The robot is that of lift_object with the gains of Isaac Lab; nothing collides. The coordinates are
7 arm joints (rad) and 2 fingers (m); the command is the hand's position (m) and orientation (quaternion w x y z).
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from manyseeds.tasks.base import Factor, Range, Starts, State, Task, TaskCfg, Term, constant, positive, shared, uniform
from manyseeds.tasks.lift_object.robot import ARM
from manyseeds.tasks.reach.description import DESCRIPTION, judge, orientation_error, position_error

if TYPE_CHECKING:
    import mujoco


@dataclass(frozen=True)
class ReachCfg(TaskCfg):
    """All numbers of the task. Lengths in m, angles in rad, times in s."""

    physics_dt: float = 1 / 60
    episode_length_s: float = 4.0

    # The arm: gains of the joints' position control, N m/rad and N m s/rad.
    stiffness: float = 80.0
    damping: float = 4.0

    # Actions: 7 joint positions around the default pose. The fingers stay where the default pose has them.
    action_scale: float = 0.5
    default_joints: tuple[float, ...] = (0.0, -0.569, 0.0, -2.810, 0.0, 3.037, 0.741, 0.04, 0.04)

    # Command: a hand that points down, turned by yaw about the vertical; uniform in a box.
    target_x: Range = (0.35, 0.65)
    target_y: Range = (-0.2, 0.2)
    target_z: Range = (0.15, 0.5)
    target_yaw: Range = (-3.14, 3.14)

    # Start: each joint of the default pose times its own factor, within the joint's limits.
    start_scale: Range = (0.5, 1.5)

    # Rewards; every term is multiplied by its weight and by the step's duration.
    end_effector_position_tracking_weight: float = -0.2
    end_effector_position_tracking_fine_grained_weight: float = 0.1
    end_effector_position_tracking_fine_grained_std: float = 0.1
    end_effector_orientation_tracking_weight: float = -0.1
    action_rate_weight: float = -1e-4
    joint_vel_weight: float = -1e-4

    # Ranges from which an episode draws what multiplies the arm's gains and dampings.
    stiffness_scale: Range = (1, 1)
    damping_scale: Range = (1, 1)

    # The hand is at its target within both.
    success_distance: float = 0.02
    success_angle: float = 0.2


def model(cfg: ReachCfg) -> "mujoco.MjSpec":
    """Return the robot of lift_object alone, with marks where the fingertips should be."""
    import mujoco

    spec = mujoco.MjSpec.from_file(str(Path(__file__).parents[1] / "lift_object" / "panda.xml"))
    for part in (*spec.pairs, *(spec.body(name) for name in ("table", "object", "target"))):
        spec.delete(part)
    for joint in ARM:
        spec.joint(joint).damping[0] = cfg.damping
        servo = spec.actuator(joint)
        servo.gainprm[0], servo.biasprm[1] = cfg.stiffness, -cfg.stiffness
    spec.body("panda_hand").add_site(name="hand", rgba=[0, 0, 0, 0])
    for name in ("left", "right"):
        mark = spec.worldbody.add_body(name=f"target_{name}", mocap=True)
        mark.add_geom(size=[0.012, 0, 0], rgba=[0.1, 0.65, 0.3, 0.6], contype=0, conaffinity=0, group=2, mass=0)
    return spec


def act(cfg: ReachCfg, action: Tensor) -> Tensor:
    """Return joint position targets, (n, 9) in rad and m, of actions (n, 7)."""
    default = constant(cfg.default_joints, action.device)
    return torch.cat((default[:7] + cfg.action_scale * action, default[7:].expand(len(action), 2)), dim=1)


def start(cfg: ReachCfg, n: int, generator: torch.Generator) -> Starts:
    """Draw where the joints are and what is commanded."""
    targets = (cfg.target_x, cfg.target_y, cfg.target_z, cfg.target_yaw)
    target, factors = uniform((*targets, *(cfg.start_scale,) * 9), n, generator).split((4, 9), dim=1)
    default, *limits = (constant(values, generator.device) for values in (cfg.default_joints, *_limits()))
    half, zero = target[:, 3] / 2, torch.zeros_like(target[:, 3])
    rotation = torch.stack((zero, -torch.sin(half), torch.cos(half), zero), dim=1)  # Euler angles (0, pi, yaw)
    qpos, command = (default * factors).clamp(*limits), torch.cat((target[:, :3], rotation), dim=1)
    return Starts(qpos, command, dict(zip((x.name for x in DESCRIPTION.starts), target.unbind(1), strict=True)))


distance, angle = shared(position_error), shared(orientation_error)


def success(cfg: ReachCfg, state: State) -> Tensor:
    """Return whether the hand is at its target, (n,) bool."""
    return (distance(cfg, state) < cfg.success_distance) & (angle(cfg, state) < cfg.success_angle)


def show(cfg: ReachCfg, command: Tensor) -> Tensor:
    """Return where the fingertips of a hand at its target are, (n, 2, 3) m."""
    x, y = command[:, 4], command[:, 5]
    across = torch.stack((2 * x * y, y * y - x * x, torch.zeros_like(x)), dim=1) * cfg.default_joints[7]
    tips = command[:, :3] - constant((0.0, 0.0, 0.1034), command.device)
    return torch.stack((tips + across, tips - across), dim=1)


@lru_cache
def _limits() -> tuple[tuple[float, ...], ...]:
    """Return the joints' lower and upper limits, (9,) each, rad or m."""
    return tuple(map(tuple, model(ReachCfg()).compile().jnt_range.T.tolist()))


TASK = Task(
    name="reach",
    cfg=ReachCfg,
    description=DESCRIPTION,
    model=model,
    action_width=7,
    command_width=7,
    act=act,
    observations={
        "joint_pos": Term(
            lambda cfg, s: s.qpos - constant(cfg.default_joints, s.qpos.device), 9, "rad; fingers m", 0.01
        ),
        "joint_vel": Term(lambda cfg, s: s.qvel, 9, "rad/s; fingers m/s", 0.01),
        "pose_command": Term(lambda cfg, s: s.command[:, [0, 1, 2, 4, 5, 6, 3]], 7, "m; quaternion x y z w"),
        "actions": Term(lambda cfg, s: s.action, 7, "the action before"),
    },
    rewards={
        "end_effector_position_tracking": Term(distance),
        "end_effector_position_tracking_fine_grained": Term(
            lambda cfg, s: 1 - torch.tanh(distance(cfg, s) / cfg.end_effector_position_tracking_fine_grained_std)
        ),
        "end_effector_orientation_tracking": Term(angle),
        "action_rate": Term(lambda cfg, s: (s.action - s.previous_action).square().sum(1)),
        "joint_vel": Term(lambda cfg, s: s.qvel.square().sum(1)),
    },
    terminations={},
    metrics={"ee_pose/position_error": Term(distance, unit="m"), "ee_pose/orientation_error": Term(angle, unit="rad")},
    success=success,
    start=start,
    judge=judge,
    check_cfg=lambda cfg: positive(
        cfg, "stiffness", "end_effector_position_tracking_fine_grained_std", "success_distance", "success_angle"
    ),
    factors={
        "stiffness_scale": Factor({"actuator_gainprm": (0,), "actuator_biasprm": (1,)}, ARM),
        "damping_scale": Factor({"dof_damping": ()}, ARM),
    },
    sites=("hand",),
    show=show,
    controls="joint_position_targets",
    action_unit="offset from the default pose, times action_scale rad",
    control_unit="rad; fingers m",
)
