"""lift_objects: a Franka arm grasps one of five kinds of objects and lifts it to a commanded target.

As Isaac Lab Arena's `lift_object` with its option `--object`, with objects made of primitives. Arm, table, terms and
numbers are those of lift_object, with these differences. The distance to the hand is that of the point where the object
should be grasped. The object counts as lifted when its lowest point is above the lifting height, which for the cube is
the same. Observations also have that point, and the object's axes, kind and size.

The coordinates are 7 arm joints (rad), 2 fingers (m), then the object's position (m) and quaternion (w x y z). The
command is the target's position (m), the number of the kind in `objects.KINDS`, and the size.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from manyseeds.tasks.base import (
    Range,
    Starts,
    State,
    Task,
    TaskCfg,
    Term,
    at_least,
    constant,
    positive,
    uniform,
)
from manyseeds.tasks.lift_object import task as lift_object
from manyseeds.tasks.lift_object.robot import default_joint_pos
from manyseeds.tasks.lift_objects.description import DESCRIPTION, judge
from manyseeds.tasks.lift_objects.grasp_starts import grasp_starts, start_around_objects
from manyseeds.tasks.lift_objects.objects import KINDS, SHAPES
from manyseeds.tasks.lift_objects.scene import SIZE, adapt, kind_of, model, shares
from manyseeds.tasks.lift_objects.terms import (
    goal_distance,
    grasp_point,
    lifted,
    reach_distance,
    rotation_x,
    rotation_z,
)

SIZES = (0.5, 1.25)
"""The sizes that the hand can grasp: it opens 80 mm, and the palm is 39 mm above the grasp."""


@dataclass(frozen=True)
class LiftObjectsCfg(TaskCfg):
    """All numbers of the task. Lengths in m, angles in rad, times in s."""

    # The share of the episodes that each kind of object has; they are divided by their sum. A kind whose share is 0 is
    # left out.
    cube_share: float = 1.0
    cylinder_share: float = 1.0
    ball_share: float = 1.0
    flat_box_share: float = 1.0
    bottle_share: float = 1.0
    # What the lengths of the object are multiplied by, uniform. Its mass does not depend on it.
    object_size: Range = (0.8, 1.2)

    # Actions: 7 joint positions around the default pose, then the gripper: a < 0 closes it, anything else opens it.
    action_scale: float = 0.5
    default_arm: tuple[float, ...] = (0.0, -0.569, 0.0, -2.810, 0.0, 3.037, 0.741)
    gripper_open: float = 0.04
    gripper_closed: float = 0.0

    # Command: where the object should go, uniform in a box, without rotation.
    target_x: Range = (0.4, 0.6)
    target_y: Range = (-0.25, 0.25)
    target_z: Range = (0.25, 0.5)

    # Reset: default pose; the object upright, a little above the table, uniform in a rectangle.
    object_x: Range = (0.4, 0.6)
    object_y: Range = (-0.25, 0.25)
    object_clearance: float = 0.031

    # Share of training episodes that start on the way to a grasp, as in lift_object.
    grasp_start_share: float = 0.0
    grasp_start_exponent: float = 1.0
    grasp_start_tilt: Range = (0.0, 0.8)

    # Rewards; every term is multiplied by its weight and by the step's duration.
    reaching_object_weight: float = 1.0
    reaching_object_std: float = 0.1
    lifting_object_weight: float = 15.0
    lifting_object_clearance: float = 0.016
    # The object counts as lifted only when its grasp point is this near to the end effector; 0: anywhere.
    lifting_object_reach: float = 0.0
    object_goal_tracking_weight: float = 16.0
    object_goal_tracking_std: float = 0.3
    object_goal_tracking_fine_grained_weight: float = 5.0
    object_goal_tracking_fine_grained_std: float = 0.05
    action_rate_weight: float = -1e-4
    joint_vel_weight: float = -1e-4

    # Ranges from which an episode draws what multiplies the object's mass and inertia, all sliding frictions, and the
    # arm's gains and dampings.
    object_mass_scale: Range = (1, 1)
    friction_scale: Range = (1, 1)
    stiffness_scale: Range = (1, 1)
    damping_scale: Range = (1, 1)

    # Terminations. `success` ends an episode only where it is switched on: not in training.
    object_dropped_height: float = -0.05
    success_distance: float = 0.05
    success_ends_episode: bool = False


def check_cfg(cfg: LiftObjectsCfg) -> list[str]:
    """Return what is wrong with the numbers, a sentence each."""
    names = [f"{kind}_share" for kind in KINDS]
    problems = at_least(cfg, 0, *names, "lifting_object_reach")
    stds = ("reaching_object_std", "object_goal_tracking_std", "object_goal_tracking_fine_grained_std")
    problems += positive(cfg, *stds, "success_distance", "grasp_start_exponent")
    if not problems and not sum(getattr(cfg, name) for name in names) > 0:
        problems.append(f"'{names[0]}' and all other shares are 0; one of {', '.join(names)} must be greater than 0")
    if not (SIZES[0] <= cfg.object_size[0] and cfg.object_size[1] <= SIZES[1]):
        problems.append(
            f"'object_size' is {list(cfg.object_size)}; its numbers must be between {SIZES[0]} and {SIZES[1]}, which"
            " the hand can grasp"
        )
    if not 0 <= cfg.grasp_start_share <= 1:
        problems.append(f"'grasp_start_share' is {cfg.grasp_start_share}; it must be between 0 and 1")
    return problems


# Starts.


def start(cfg: LiftObjectsCfg, n: int, generator: torch.Generator) -> Starts:
    """Draw the object, its place and its target; the arm is at home."""
    ranges = (cfg.object_x, cfg.object_y, cfg.target_x, cfg.target_y, cfg.target_z, (0.0, 1.0), cfg.object_size)
    draws = uniform(ranges, n, generator)
    device = draws.device
    ends = torch.cumsum(constant(shares(cfg), device, torch.float64), 0)
    last = max(i for i, share in enumerate(shares(cfg)) if share > 0)
    kind = torch.searchsorted(ends, draws[:, 5].double(), right=True).clamp(max=last)
    draws[:, 5] = kind
    below = constant(tuple(SHAPES[name].centre for name in KINDS), device)[kind] * draws[:, 6]
    home = torch.cat((default_joint_pos(cfg, device).double(), constant((1.0, 0.0, 0.0, 0.0), device, torch.float64)))
    place = torch.cat((draws[:, :2], (cfg.object_clearance + below)[:, None]), dim=1).double()
    qpos = torch.cat((home[:9].expand(n, 9), place, home[9:].expand(n, 4)), dim=1)
    names = [column.name for column in DESCRIPTION.starts]
    return Starts(qpos, draws[:, 2:].clone(), dict(zip(names, draws.unbind(1), strict=True)))


def train_start(cfg: LiftObjectsCfg, n: int, generator: torch.Generator) -> Starts:
    """Draw the same, and move a share of the episodes onto the way to a grasp."""
    starts = start(cfg, n, generator)
    if cfg.grasp_start_share > 0:
        start_around_objects(cfg, grasp_starts(cfg, starts.qpos.device), starts.qpos, starts.command, generator)
    return starts


def show(cfg: LiftObjectsCfg, command: Tensor) -> Tensor:
    """Return the position of the body that marks the target, (n, 1, 3)."""
    return command[:, None, :3]


# Observations.


def object_axes(cfg: LiftObjectsCfg, state: State) -> Tensor:
    """Return the object's x and z axes, (n, 6)."""
    return torch.cat((rotation_x(state.qpos), rotation_z(state.qpos)), dim=1)


def target_object_position(cfg: LiftObjectsCfg, state: State) -> Tensor:
    """Return the target's position, then the identity quaternion as Isaac Lab 3.0 writes it: x y z w; (n, 7)."""
    rotation = constant((0.0, 0.0, 0.0, 1.0), state.command.device).expand(len(state.command), 4)
    return torch.cat((state.command[:, :3], rotation), dim=1)


def object_kind(cfg: LiftObjectsCfg, state: State) -> Tensor:
    """Return 1 for the kind of the object and 0 for the others, (n, 5)."""
    return torch.nn.functional.one_hot(kind_of(state.command), len(KINDS)).float()


# Rewards.


def reaching_object(cfg: LiftObjectsCfg, state: State) -> Tensor:
    """1 - tanh(distance between grasp point and hand / std)."""
    return 1 - torch.tanh(reach_distance(cfg, state) / cfg.reaching_object_std)


def object_goal_tracking(cfg: LiftObjectsCfg, state: State) -> Tensor:
    """1 - tanh(distance between object and target / std) of a lifted object."""
    return lifted(cfg, state) * (1 - torch.tanh(goal_distance(cfg, state) / cfg.object_goal_tracking_std))


def object_goal_tracking_fine_grained(cfg: LiftObjectsCfg, state: State) -> Tensor:
    """The same with a smaller std."""
    near = 1 - torch.tanh(goal_distance(cfg, state) / cfg.object_goal_tracking_fine_grained_std)
    return lifted(cfg, state) * near


# Terminations and success.


def at_target(cfg: LiftObjectsCfg, state: State) -> Tensor:
    """Whether the object is at its target."""
    return goal_distance(cfg, state) < cfg.success_distance


def success_ends(cfg: LiftObjectsCfg, state: State) -> Tensor:
    """Whether success ends an episode, which the config must allow."""
    return at_target(cfg, state) & cfg.success_ends_episode


TASK = Task(
    name="lift_objects",
    cfg=LiftObjectsCfg,
    description=DESCRIPTION,
    model=model,
    action_width=8,
    command_width=5,
    act=lift_object.joint_targets,
    observations={
        **{name: lift_object.TASK.observations[name] for name in ("joint_pos", "joint_vel", "object_position")},
        "grasp_point": Term(grasp_point, 3, "where the object should be grasped: m, robot root frame", 0.01),
        "object_axes": Term(object_axes, 6, "the object's x and z axes, robot root frame", 0.01),
        "target_object_position": Term(
            target_object_position, 7, "position in m, robot root frame; quaternion x y z w, always 0 0 0 1"
        ),
        "object_kind": Term(object_kind, len(KINDS), f"1 for the object's kind, 0 for the others: {', '.join(KINDS)}"),
        "object_size": Term(
            lambda cfg, state: state.command[:, SIZE:], 1, "what the object's lengths are multiplied by"
        ),
        "actions": lift_object.TASK.observations["actions"],
    },
    rewards={
        "reaching_object": Term(reaching_object),
        "lifting_object": Term(lifted),
        "object_goal_tracking": Term(object_goal_tracking),
        "object_goal_tracking_fine_grained": Term(object_goal_tracking_fine_grained),
        "action_rate": lift_object.TASK.rewards["action_rate"],
        "joint_vel": lift_object.TASK.rewards["joint_vel"],
    },
    terminations={"object_dropped": Term(lift_object.object_dropped), "success": Term(success_ends)},
    success=at_target,
    metrics={
        "object_pose/position_error": Term(goal_distance, unit="m"),
        "object_pose/orientation_error": Term(lift_object.orientation_error, unit="rad"),
    },
    start=start,
    train_start=train_start,
    judge=judge,
    check_cfg=check_cfg,
    factors=lift_object.TASK.factors,
    adapt=adapt,
    pushed="object",
    sites=("end_effector",),
    show=show,
    controls="joint_position_targets",
    console_rewards=("action_rate", "joint_vel"),
    action_unit="1; the policy's raw output: 7 arm joints around the default pose, then the gripper",
    control_unit="7 arm joints in rad, 2 fingers in m",
)
