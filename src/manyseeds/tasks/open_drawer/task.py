"""open_drawer: a Franka arm grasps the handle of a drawer and opens it.

Numbers and terms are those of Isaac Lab's `Isaac-Open-Drawer-Franka` (joint position control), with these differences.
The cabinet is of our own shapes and stands somewhere else in each episode; there, it always stands in one place. Its
rails have friction and damping; there, a spring of 10 N/m. Physics has steps of 0.005 s, four per action; there, 1/60 s
and one. The fingers start open. Observations have no noise unless `observation_noise` is 1. The arm of
lift_object has less damping here.

The coordinates are 7 arm joints (rad), 2 fingers (m) and how far the drawer is open (m); the command is the position of
the handle of the closed drawer (m).
"""

from dataclasses import dataclass

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
    shared,
    uniform,
)
from manyseeds.tasks.lift_object.robot import ARM, LAST_ACTION, OBSERVATIONS, PENALTIES, ArmCfg, joint_targets
from manyseeds.tasks.open_drawer.description import DESCRIPTION, DRAWER, around_handle, judge, opening, to_handle
from manyseeds.tasks.open_drawer.handle_starts import handle_starts
from manyseeds.tasks.open_drawer.scene import model

TRAVEL = 0.4
"""How far the drawer opens, m; that of the MJCF."""


@dataclass(frozen=True)
class OpenDrawerCfg(ArmCfg):
    """All numbers of the task. Lengths in m, angles in rad, times in s."""

    physics_dt: float = 0.005
    decimation: int = 4
    episode_length_s: float = 8.0

    action_scale: float = 1.0

    # Start: the handle of the closed drawer, uniform in a box; a hand that points forward reaches all of it, and the
    # handles of open drawers. Each arm joint is off the default pose by up to this.
    handle_x: Range = (0.6, 0.7)
    handle_y: Range = (-0.15, 0.15)
    handle_z: Range = (0.62, 0.75)
    start_offset: float = 0.1

    # Share of training episodes that start with the open hand at most this far in front of the handle, the drawer of
    # every second one partly open. 0 is Isaac Lab's, and what every evaluation uses.
    handle_start_share: float = 0.0
    handle_start_distance: Range = (0.0, 0.1)

    # Rewards; every term is multiplied by its weight and by the step's duration.
    approach_ee_handle_weight: float = 2.0
    approach_ee_handle_threshold: float = 0.2
    align_ee_handle_weight: float = 0.5
    approach_gripper_handle_weight: float = 5.0
    approach_gripper_handle_offset: float = 0.04
    align_grasp_around_handle_weight: float = 0.125
    grasp_handle_weight: float = 0.5
    grasp_handle_threshold: float = 0.03
    open_drawer_bonus_weight: float = 7.5
    multi_stage_open_drawer_weight: float = 1.0
    action_rate_weight: float = -1e-2
    joint_vel_weight: float = -1e-4

    # Ranges from which an episode draws what multiplies friction and damping of the rails, the drawer's mass and
    # inertia, and the friction of hand and handle.
    rail_friction_scale: Range = (1, 1)
    rail_damping_scale: Range = (1, 1)
    drawer_mass_scale: Range = (1, 1)
    friction_scale: Range = (1, 1)

    # The drawer counts as open from here on.
    success_opening: float = 0.3


def check_cfg(cfg: OpenDrawerCfg) -> list[str]:
    """Return what is wrong with the numbers, a sentence each."""
    problems = at_least(cfg, 0, "start_offset")
    if not 0 < cfg.success_opening < TRAVEL:
        problems.append(f"'success_opening' is {cfg.success_opening}; it must be greater than 0 and less than {TRAVEL}")
    if not 0 <= cfg.handle_start_share <= 1:
        problems.append(f"'handle_start_share' is {cfg.handle_start_share}; it must be between 0 and 1")
    return problems


def start(cfg: OpenDrawerCfg, n: int, generator: torch.Generator) -> Starts:
    """Draw the handle's place and the arm's offsets; the drawer is closed."""
    offset = (-cfg.start_offset, cfg.start_offset)
    draws = uniform((cfg.handle_x, cfg.handle_y, cfg.handle_z, *(offset,) * 7), n, generator)
    handle, offsets = draws.split((3, 7), dim=1)
    rest = constant((cfg.gripper_open, cfg.gripper_open, 0.0), draws.device).expand(n, 3)
    qpos = torch.cat((constant(cfg.default_arm, draws.device) + offsets, rest), dim=1)
    names = [column.name for column in DESCRIPTION.starts]
    return Starts(qpos, handle, dict(zip(names, handle.unbind(1), strict=True)))


def train_start(cfg: OpenDrawerCfg, n: int, generator: torch.Generator) -> Starts:
    """Draw the same, and move the hand of a share of the episodes to the handle."""
    starts = start(cfg, n, generator)
    if cfg.handle_start_share == 0:
        return starts
    poses = handle_starts(cfg, generator.device)
    draws = torch.rand(2, n, generator=generator, device=generator.device)
    chosen = (draws[0] < cfg.handle_start_share)[:, None]
    rows = (draws[1] * len(poses.arm)).long()
    there = torch.cat((poses.arm[rows], starts.qpos[:, 7:9], poses.opening[rows, None]), dim=1)
    return Starts(torch.where(chosen, there, starts.qpos), torch.where(chosen, poses.handle[rows], starts.command))


def show(cfg: OpenDrawerCfg, command: Tensor) -> Tensor:
    """Return where the cabinet stands, (n, 1, 3) m: its origin is the handle of the closed drawer."""
    return command[:, None]


# Parts of the state, which several terms use.

rel_handle = shared(lambda cfg, s: to_handle(s))
around = shared(lambda cfg, s: around_handle(s))


@shared
def distance(cfg: OpenDrawerCfg, s: State) -> Tensor:
    """Return the distance between the handle and the point between the finger pads, (n,) m."""
    return torch.linalg.vector_norm(rel_handle(cfg, s), dim=1)


# Rewards.


def approach_ee_handle(cfg: OpenDrawerCfg, s: State) -> Tensor:
    """Inverse square law of the distance, doubled near the handle."""
    far = distance(cfg, s)
    reward = (1 + far.square()) ** -2
    return torch.where(far <= cfg.approach_ee_handle_threshold, 2 * reward, reward)


def align_ee_handle(cfg: OpenDrawerCfg, s: State) -> Tensor:
    """Whether the hand points forward, its fingers one above the other: mean signed square of two cosines."""
    w, x, y, z = s.rotations["end_effector"].unbind(1)
    forward, left = 2 * (x * z + w * y), 2 * (x * y + w * z)
    return 0.5 * (forward * forward.abs() + left * left.abs())


def approach_gripper_handle(cfg: OpenDrawerCfg, s: State) -> Tensor:
    """How near the height of both fingertips is to that of a handle between them."""
    apart = s.sites["left_tip"][:, 2] - s.sites["right_tip"][:, 2]
    return around(cfg, s) * (2 * cfg.approach_gripper_handle_offset - apart)


def grasp_handle(cfg: OpenDrawerCfg, s: State) -> Tensor:
    """How far the fingers have closed near the handle."""
    return (distance(cfg, s) <= cfg.grasp_handle_threshold) * (cfg.gripper_open - s.qpos[:, 7:9]).sum(1)


def open_drawer_bonus(cfg: OpenDrawerCfg, s: State) -> Tensor:
    """How far the drawer is open; twice as much with the handle between the fingertips."""
    return (around(cfg, s) + 1.0) * opening(s)


def multi_stage_open_drawer(cfg: OpenDrawerCfg, s: State) -> Tensor:
    """Bonuses for a drawer that is open by 0.01, 0.2 and 0.3 m; the last two with the handle between the fingertips."""
    wide = (opening(s) > 0.2).float() + (opening(s) > 0.3).float()
    return 0.5 * (opening(s) > 0.01) + around(cfg, s) * wide


TASK = Task(
    name="open_drawer",
    cfg=OpenDrawerCfg,
    description=DESCRIPTION,
    model=model,
    action_width=8,
    command_width=3,
    act=joint_targets,
    observations={
        **OBSERVATIONS,
        "cabinet_joint_pos": Term(lambda cfg, s: opening(s)[:, None], 1, "m, how far the drawer is open", 0.01),
        "cabinet_joint_vel": Term(lambda cfg, s: s.qvel[:, DRAWER:], 1, "m/s", 0.01),
        "rel_ee_drawer_distance": Term(rel_handle, 3, "m, from the end effector to the handle, robot root frame", 0.01),
        "actions": LAST_ACTION,
    },
    rewards={
        "approach_ee_handle": Term(approach_ee_handle),
        "align_ee_handle": Term(align_ee_handle),
        "approach_gripper_handle": Term(approach_gripper_handle),
        "align_grasp_around_handle": Term(around),
        "grasp_handle": Term(grasp_handle),
        "open_drawer_bonus": Term(open_drawer_bonus),
        "multi_stage_open_drawer": Term(multi_stage_open_drawer),
        **PENALTIES,
    },
    terminations={},
    success=lambda cfg, s: opening(s) >= cfg.success_opening,
    metrics={
        "drawer/opening": Term(lambda cfg, s: opening(s), unit="m"),
        "drawer/handle_distance": Term(distance, unit="m"),
    },
    start=start,
    train_start=train_start,
    judge=judge,
    check_cfg=check_cfg,
    factors={
        "rail_friction_scale": Factor({"dof_frictionloss": ()}, ("cabinet_drawer",)),
        "rail_damping_scale": Factor({"dof_damping": ()}, ("cabinet_drawer",)),
        "drawer_mass_scale": Factor({"body_mass": (), "body_inertia": ()}, ("cabinet_drawer",)),
        "friction_scale": Factor({"geom_friction": (0,)}),
        "stiffness_scale": Factor({"actuator_gainprm": (0,), "actuator_biasprm": (1,)}, ARM),
        "damping_scale": Factor({"dof_damping": (), "dof_dampingpoly": ()}, ARM),
    },
    sites=("end_effector", "left_tip", "right_tip"),
    show=show,
    controls="joint_position_targets",
    console_rewards=("action_rate", "joint_vel"),
    action_unit="1; the policy's raw output: 7 arm joints around the default pose, then the gripper",
    control_unit="7 arm joints in rad, 2 fingers in m",
)
