"""lift_objects: a Franka arm grasps one of five kinds of objects and lifts it to a commanded target.

As Isaac Lab Arena's `lift_object` with its option `--object`, with objects made of primitives. It has the arm, table,
terms and numbers of lift_object, with these differences. The distance to the hand is measured from the point where the
object should be grasped. The object counts as lifted when its lowest point is above the lifting height, which for the
cube is the same. Observations also have that point, and the object's axes, kind and size.

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
    Term,
    at_least,
    constant,
    signs,
    unchanged,
    uniform,
)
from manyseeds.tasks.lift_object import task as lift_object
from manyseeds.tasks.lift_object.robot import LAST_ACTION, OBSERVATIONS, default_joint_pos, mirror_action
from manyseeds.tasks.lift_object.task import LiftCfg
from manyseeds.tasks.lift_objects.description import DESCRIPTION, judge
from manyseeds.tasks.lift_objects.grasp_starts import grasp_starts, start_around_objects
from manyseeds.tasks.lift_objects.objects import KINDS, SHAPES
from manyseeds.tasks.lift_objects.scene import SIZE, adapt, kind_of, model, shares
from manyseeds.tasks.lift_objects.terms import (
    grasp_point,
    lifted,
    reach_distance,
    rotation_x,
    rotation_z,
)

SIZES = (0.5, 1.25)
"""The sizes that the hand can grasp: it opens 80 mm, and the palm is 39 mm above the grasp."""


@dataclass(frozen=True)
class LiftObjectsCfg(LiftCfg):
    """All numbers of the task: those of its objects, m."""

    # The share of the episodes that each kind of object has; they are divided by their sum. A kind whose share is 0 is
    # left out.
    cube_share: float = 1.0
    cylinder_share: float = 1.0
    ball_share: float = 1.0
    flat_box_share: float = 1.0
    bottle_share: float = 1.0
    # What the lengths of the object are multiplied by, uniform. Its mass does not depend on it.
    object_size: Range = (0.8, 1.2)

    # The lowest point's height at the start, and above which the object counts as lifted. `lifting_object_reach` is the
    # distance of the grasp point.
    object_clearance: float = 0.031
    lifting_object_clearance: float = 0.016


def check_cfg(cfg: LiftObjectsCfg) -> list[str]:
    """Return what is wrong with the numbers, a sentence each."""
    names = [f"{kind}_share" for kind in KINDS]
    problems = at_least(cfg, 0, *names) + lift_object.check_cfg(cfg)
    if not problems and not sum(getattr(cfg, name) for name in names) > 0:
        problems.append(f"'{names[0]}' and all other shares are 0; one of {', '.join(names)} must be greater than 0")
    if not (SIZES[0] <= cfg.object_size[0] and cfg.object_size[1] <= SIZES[1]):
        problems.append(
            f"'object_size' is {list(cfg.object_size)}; its numbers must be between {SIZES[0]} and {SIZES[1]}, which"
            " the hand can grasp"
        )
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


# Observations.


def object_axes(cfg: LiftObjectsCfg, state: State) -> Tensor:
    """Return the object's x and z axes, (n, 6)."""
    return torch.cat((rotation_x(state.qpos), rotation_z(state.qpos)), dim=1)


def object_kind(cfg: LiftObjectsCfg, state: State) -> Tensor:
    """Return 1 for the kind of the object and 0 for the others, (n, 5)."""
    return torch.nn.functional.one_hot(kind_of(state.command), len(KINDS)).float()


TASK = Task(
    name="lift_objects",
    cfg=LiftObjectsCfg,
    description=DESCRIPTION,
    model=model,
    action_width=8,
    command_width=5,
    act=lift_object.joint_targets,
    observations={
        **OBSERVATIONS,
        "object_position": lift_object.TASK.observations["object_position"],
        "grasp_point": Term(
            grasp_point, 3, "where the object should be grasped: m, robot root frame", 0.01, signs(1, -1, 1)
        ),
        # Every kind of object is the same on both sides of its own plane of x and z.
        "object_axes": Term(
            object_axes, 6, "the object's x and z axes, robot root frame", 0.01, signs(1, -1, 1, 1, -1, 1)
        ),
        "target_object_position": lift_object.TASK.observations["target_object_position"],
        "object_kind": Term(
            object_kind,
            len(KINDS),
            f"1 for the object's kind, 0 for the others: {', '.join(KINDS)}",
            mirror=unchanged,
        ),
        "object_size": Term(
            lambda cfg, state: state.command[:, SIZE:],
            1,
            "what the object's lengths are multiplied by",
            mirror=unchanged,
        ),
        "actions": LAST_ACTION,
    },
    rewards=lift_object.lift_rewards(reach_distance, lifted),
    terminations=lift_object.TASK.terminations,
    success=lift_object.at_target,
    metrics=lift_object.TASK.metrics,
    start=start,
    train_start=train_start,
    judge=judge,
    check_cfg=check_cfg,
    factors=lift_object.TASK.factors,
    adapt=adapt,
    pushed="object",
    mirror=mirror_action,
    sites=("end_effector",),
    show=lift_object.show,
    controls="joint_position_targets",
    console_rewards=("action_rate", "joint_vel"),
    action_unit="1; the policy's raw output: 7 arm joints around the default pose, then the gripper",
    control_unit="7 arm joints in rad, 2 fingers in m",
)
