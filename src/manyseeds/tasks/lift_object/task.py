"""lift_object: a Franka arm grasps a cube and lifts it to a commanded target.

The numbers and terms are those of Isaac Lab's `IsaacContrib-Lift-Cube-Franka` (joint position control), which Isaac Lab
Arena's `lift_object` follows. The coordinates are 7 arm joints (rad), 2 fingers (m), then the cube's position (m) and
quaternion (w x y z); the command is the target's position (m).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from manyseeds.tasks.base import (
    Factor,
    Range,
    Starts,
    State,
    Task,
    Term,
    at_least,
    constant,
    positive,
    shared,
    signs,
    uniform,
)
from manyseeds.tasks.lift_object.description import DESCRIPTION, judge
from manyseeds.tasks.lift_object.grasp_starts import grasp_starts, start_around_cubes
from manyseeds.tasks.lift_object.robot import (
    ARM,
    LAST_ACTION,
    OBSERVATIONS,
    PENALTIES,
    ArmCfg,
    default_joint_pos,
    joint_targets,
    mirror_action,
    model,
)

Function = Callable[[Any, State], Tensor]


@dataclass(frozen=True)
class LiftCfg(ArmCfg):
    """The numbers of a task that lifts something from the table. Lengths in m, angles in rad, times in s."""

    # Command: where the object should go, uniform in a box, without rotation.
    target_x: Range = (0.4, 0.6)
    target_y: Range = (-0.25, 0.25)
    target_z: Range = (0.25, 0.5)

    # Reset: default pose; the object a little above the table, uniform in a rectangle.
    object_x: Range = (0.4, 0.6)
    object_y: Range = (-0.25, 0.25)

    # Share of training episodes that start on the way to a grasp: the arm between home and the open hand around the
    # resting object. 0 is the published task, and what every evaluation uses. Without such starts a policy has to meet
    # the first grasp by chance. The arm has gone u ** exponent of the way, u uniform: below 1, more are near the end.
    grasp_start_share: float = 0.0
    grasp_start_exponent: float = 1.0
    grasp_start_tilt: Range = (0.0, 0.8)

    # Rewards; every term is multiplied by its weight and by the step's duration.
    reaching_object_weight: float = 1.0
    reaching_object_std: float = 0.1
    lifting_object_weight: float = 15.0
    # The object counts as lifted only this near to the end effector; 0, the published task, is anywhere. Without a
    # limit it pays to knock the object into the air.
    lifting_object_reach: float = 0.0
    object_goal_tracking_weight: float = 16.0
    object_goal_tracking_std: float = 0.3
    object_goal_tracking_fine_grained_weight: float = 5.0
    object_goal_tracking_fine_grained_std: float = 0.05
    action_rate_weight: float = -1e-4
    joint_vel_weight: float = -1e-4

    # Ranges from which an episode draws what multiplies the object's mass and inertia, and all sliding frictions.
    object_mass_scale: Range = (1, 1)
    friction_scale: Range = (1, 1)

    # Terminations. `success` ends an episode only where it is switched on: not in training.
    object_dropped_height: float = -0.05
    success_distance: float = 0.05
    success_ends_episode: bool = False


@dataclass(frozen=True)
class LiftObjectCfg(LiftCfg):
    """All numbers of the task: those of its cube, m."""

    # The centre's height at the start, and above which the cube counts as lifted.
    object_z: float = 0.055
    lifting_object_height: float = 0.04


def check_cfg(cfg: LiftCfg) -> list[str]:
    """Return what is wrong with the numbers, a sentence each."""
    problems = positive(cfg, "reaching_object_std", "object_goal_tracking_std", "object_goal_tracking_fine_grained_std",
                        "success_distance", "grasp_start_exponent")  # fmt: skip
    problems += at_least(cfg, 0, "lifting_object_reach")
    if not 0 <= cfg.grasp_start_share <= 1:
        problems.append(f"'grasp_start_share' is {cfg.grasp_start_share}; it must be between 0 and 1")
    return problems


# Starts.


def start(cfg: LiftObjectCfg, n: int, generator: torch.Generator) -> Starts:
    """Draw the cube's place and its target; the arm is at home."""
    draws = uniform((cfg.object_x, cfg.object_y, cfg.target_x, cfg.target_y, cfg.target_z), n, generator)
    names = [column.name for column in DESCRIPTION.starts]
    return Starts(home_qpos(cfg, draws[:, :2]), draws[:, 2:], dict(zip(names, draws.unbind(1), strict=True)))


def train_start(cfg: LiftObjectCfg, n: int, generator: torch.Generator) -> Starts:
    """Draw the same, and move a share of the episodes onto the way to a grasp."""
    starts = start(cfg, n, generator)
    if cfg.grasp_start_share > 0:
        start_around_cubes(cfg, grasp_starts(cfg, starts.qpos.device), starts.qpos, generator)
    return starts


def home_qpos(cfg: LiftObjectCfg, object_xy: Tensor) -> Tensor:
    """Return the coordinates (n, 16) float64 at home with the cube at (n, 2) m."""
    cube = constant((0.0, 0.0, cfg.object_z, 1.0, 0.0, 0.0, 0.0), object_xy.device, torch.float64)
    home = torch.cat((default_joint_pos(cfg, object_xy.device).double(), cube))
    qpos = home.repeat(len(object_xy), 1)
    qpos[:, 9:11] = object_xy
    return qpos


def show(cfg: LiftCfg, command: Tensor) -> Tensor:
    """Return the position of the body that marks the target, (n, 1, 3)."""
    return command[:, None, :3]


# Parts of the state, which several terms use.


def object_pos(state: State) -> Tensor:
    """Return the object's centre, (n, 3) m."""
    return state.qpos[:, 9:12]


@shared
def reach_distance(cfg: LiftObjectCfg, state: State) -> Tensor:
    """Return the distance between the cube and the point between the finger pads, (n,) m."""
    return torch.linalg.vector_norm(object_pos(state) - state.sites["end_effector"], dim=1)


@shared
def goal_distance(cfg: LiftCfg, state: State) -> Tensor:
    """Return the distance between the object's centre and its target, (n,) m."""
    return torch.linalg.vector_norm(object_pos(state) - state.command[:, :3], dim=1)


@shared
def lifted(cfg: LiftObjectCfg, state: State) -> Tensor:
    """Return whether the cube is above the lifting height and, where there is a limit, near the end effector, (n,)."""
    high = object_pos(state)[:, 2] > cfg.lifting_object_height
    return high & (reach_distance(cfg, state) < cfg.lifting_object_reach) if cfg.lifting_object_reach > 0 else high


# Observations.


def target_object_position(cfg: LiftCfg, state: State) -> Tensor:
    """Return the target's position, then the identity quaternion as Isaac Lab 3.0 writes it: x y z w; (n, 7)."""
    rotation = constant((0.0, 0.0, 0.0, 1.0), state.command.device).expand(len(state.command), 4)
    return torch.cat((state.command[:, :3], rotation), dim=1)


# Rewards.


def lift_rewards(reach_distance: Function, lifted: Function) -> dict[str, Term]:
    """Return the rewards of a task that lifts something.

    Args:
        reach_distance: (cfg, state) -> (n,) m, between the hand and what it should grasp.
        lifted: (cfg, state) -> (n,) bool, whether the object counts as lifted.
    """

    def reaching_object(cfg: LiftCfg, state: State) -> Tensor:
        """1 - tanh(distance to the hand / std)."""
        return 1 - torch.tanh(reach_distance(cfg, state) / cfg.reaching_object_std)

    def object_goal_tracking(cfg: LiftCfg, state: State) -> Tensor:
        """1 - tanh(distance to the target / std) of a lifted object."""
        return lifted(cfg, state) * (1 - torch.tanh(goal_distance(cfg, state) / cfg.object_goal_tracking_std))

    def object_goal_tracking_fine_grained(cfg: LiftCfg, state: State) -> Tensor:
        """The same with a smaller std."""
        near = 1 - torch.tanh(goal_distance(cfg, state) / cfg.object_goal_tracking_fine_grained_std)
        return lifted(cfg, state) * near

    return {
        "reaching_object": Term(reaching_object),
        "lifting_object": Term(lifted),
        "object_goal_tracking": Term(object_goal_tracking),
        "object_goal_tracking_fine_grained": Term(object_goal_tracking_fine_grained),
        **PENALTIES,
    }


# Terminations, success and metrics.


def object_dropped(cfg: LiftCfg, state: State) -> Tensor:
    """Whether the object fell from the table."""
    return object_pos(state)[:, 2] < cfg.object_dropped_height


def at_target(cfg: LiftCfg, state: State) -> Tensor:
    """Whether the object is at its target."""
    return goal_distance(cfg, state) < cfg.success_distance


def success_ends(cfg: LiftCfg, state: State) -> Tensor:
    """Whether success ends an episode, which the config must allow."""
    return at_target(cfg, state) & cfg.success_ends_episode


def orientation_error(cfg: LiftCfg, state: State) -> Tensor:
    """Return the angle between the object and the commanded orientation, which is the identity, (n,) rad."""
    return 2 * torch.acos(state.qpos[:, 12].abs().clamp(max=1.0))


TASK = Task(
    name="lift_object",
    cfg=LiftObjectCfg,
    description=DESCRIPTION,
    model=model,
    action_width=8,
    command_width=3,
    act=joint_targets,
    observations={
        **OBSERVATIONS,
        "object_position": Term(lambda cfg, state: object_pos(state), 3, "m, robot root frame", 0.01, signs(1, -1, 1)),
        "target_object_position": Term(
            target_object_position,
            7,
            "position in m, robot root frame; quaternion x y z w, always 0 0 0 1",
            mirror=signs(1, -1, 1, 1, 1, 1, 1),
        ),
        "actions": LAST_ACTION,
    },
    rewards=lift_rewards(reach_distance, lifted),
    terminations={"object_dropped": Term(object_dropped), "success": Term(success_ends)},
    success=at_target,
    metrics={
        "object_pose/position_error": Term(goal_distance, unit="m"),
        "object_pose/orientation_error": Term(orientation_error, unit="rad"),
    },
    start=start,
    train_start=train_start,
    judge=judge,
    check_cfg=check_cfg,
    factors={
        "object_mass_scale": Factor({"body_mass": (), "body_inertia": ()}, ("object",)),
        "friction_scale": Factor({"geom_friction": (0,), "pair_friction": (0, 1)}),
        "stiffness_scale": Factor({"actuator_gainprm": (0,), "actuator_biasprm": (1,)}, ARM),
        "damping_scale": Factor({"dof_damping": ()}, ARM),
    },
    pushed="object",
    mirror=mirror_action,
    sites=("end_effector",),
    show=show,
    controls="joint_position_targets",
    console_rewards=("action_rate", "joint_vel"),
    action_unit="1; the policy's raw output: 7 arm joints around the default pose, then the gripper",
    control_unit="7 arm joints in rad, 2 fingers in m",
    kernels="manyseeds.tasks.lift_object.kernels",
)
