"""lift_object: a Franka arm grasps a cube and lifts it to a commanded target.

The numbers and terms are those of Isaac Lab's `IsaacContrib-Lift-Cube-Franka` (joint position control), which Isaac Lab
Arena's `lift_object` follows. The coordinates are 7 arm joints (rad), 2 fingers (m), then the cube's position (m) and
quaternion (w x y z); the command is the target's position (m).
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
    TaskCfg,
    Term,
    at_least,
    constant,
    positive,
    shared,
    uniform,
)
from manyseeds.tasks.lift_object.description import DESCRIPTION, judge
from manyseeds.tasks.lift_object.grasp_starts import grasp_starts, start_around_cubes
from manyseeds.tasks.lift_object.robot import ARM, default_joint_pos, model


@dataclass(frozen=True)
class LiftObjectCfg(TaskCfg):
    """All numbers of the task. Lengths in m, angles in rad, times in s."""

    # Actions: 7 joint positions around the default pose, then the gripper: a < 0 closes it, anything else opens it.
    action_scale: float = 0.5
    default_arm: tuple[float, ...] = (0.0, -0.569, 0.0, -2.810, 0.0, 3.037, 0.741)
    gripper_open: float = 0.04
    gripper_closed: float = 0.0

    # Command: where the cube should go, uniform in a box, without rotation.
    target_x: Range = (0.4, 0.6)
    target_y: Range = (-0.25, 0.25)
    target_z: Range = (0.25, 0.5)

    # Reset: default pose; the cube a little above the table, uniform in a rectangle.
    object_x: Range = (0.4, 0.6)
    object_y: Range = (-0.25, 0.25)
    object_z: float = 0.055

    # Share of training episodes that start on the way to a grasp: the arm between home and the open hand around the
    # resting cube. 0 is the published task, and what every evaluation uses. Without such starts a policy has to meet
    # the first grasp by chance. The arm has gone u ** exponent of the way, u uniform: below 1, more are near the cube.
    grasp_start_share: float = 0.0
    grasp_start_exponent: float = 1.0
    grasp_start_tilt: Range = (0.0, 0.8)

    # Rewards; every term is multiplied by its weight and by the step's duration.
    reaching_object_weight: float = 1.0
    reaching_object_std: float = 0.1
    lifting_object_weight: float = 15.0
    lifting_object_height: float = 0.04
    # The cube counts as lifted only this near to the end effector; 0, the published task, is anywhere. Without a limit
    # it pays to knock the cube into the air.
    lifting_object_reach: float = 0.0
    object_goal_tracking_weight: float = 16.0
    object_goal_tracking_std: float = 0.3
    object_goal_tracking_fine_grained_weight: float = 5.0
    object_goal_tracking_fine_grained_std: float = 0.05
    action_rate_weight: float = -1e-4
    joint_vel_weight: float = -1e-4

    # Ranges from which an episode draws what multiplies the cube's mass and inertia, all sliding frictions, and the
    # arm's gains and dampings.
    object_mass_scale: Range = (1, 1)
    friction_scale: Range = (1, 1)
    stiffness_scale: Range = (1, 1)
    damping_scale: Range = (1, 1)

    # Terminations. `success` ends an episode only where it is switched on: not in training.
    object_dropped_height: float = -0.05
    success_distance: float = 0.05
    success_ends_episode: bool = False


def check_cfg(cfg: LiftObjectCfg) -> list[str]:
    """Return what is wrong with the numbers, a sentence each."""
    problems = positive(cfg, "reaching_object_std", "object_goal_tracking_std", "object_goal_tracking_fine_grained_std",
                        "success_distance", "grasp_start_exponent")  # fmt: skip
    problems += at_least(cfg, 0, "lifting_object_reach")
    if not 0 <= cfg.grasp_start_share <= 1:
        problems.append(f"'grasp_start_share' is {cfg.grasp_start_share}; it must be between 0 and 1")
    return problems


# Actions and starts.


def joint_targets(cfg: LiftObjectCfg, action: Tensor) -> Tensor:
    """Return the joint position targets, (n, 9) in rad and m, of actions (n, 8)."""
    arm = torch.add(constant(cfg.default_arm, action.device), action[:, :7], alpha=cfg.action_scale)
    finger = torch.where(action[:, 7:] < 0, cfg.gripper_closed, cfg.gripper_open)
    return torch.cat((arm, finger, finger), dim=1)


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


def show(cfg: LiftObjectCfg, command: Tensor) -> Tensor:
    """Return the position of the body that marks the target, (n, 1, 3)."""
    return command[:, None]


# Parts of the state, which several terms use.


def object_pos(state: State) -> Tensor:
    """Return the cube's centre, (n, 3) m."""
    return state.qpos[:, 9:12]


@shared
def reach_distance(cfg: LiftObjectCfg, state: State) -> Tensor:
    """Return the distance between the cube and the point between the finger pads, (n,) m."""
    return torch.linalg.vector_norm(object_pos(state) - state.sites["end_effector"], dim=1)


@shared
def goal_distance(cfg: LiftObjectCfg, state: State) -> Tensor:
    """Return the distance between the cube and its target, (n,) m."""
    return torch.linalg.vector_norm(object_pos(state) - state.command, dim=1)


@shared
def lifted(cfg: LiftObjectCfg, state: State) -> Tensor:
    """Return whether the cube is above the lifting height and, where there is a limit, near the end effector, (n,)."""
    high = object_pos(state)[:, 2] > cfg.lifting_object_height
    return high & (reach_distance(cfg, state) < cfg.lifting_object_reach) if cfg.lifting_object_reach > 0 else high


# Observations.


def joint_pos(cfg: LiftObjectCfg, state: State) -> Tensor:
    """Return the joint positions relative to the default pose, (n, 9)."""
    return state.qpos[:, :9] - default_joint_pos(cfg, state.qpos.device)


def target_object_position(cfg: LiftObjectCfg, state: State) -> Tensor:
    """Return the target's position, then the identity quaternion as Isaac Lab 3.0 writes it: x y z w; (n, 7)."""
    rotation = constant((0.0, 0.0, 0.0, 1.0), state.command.device).expand(len(state.command), 4)
    return torch.cat((state.command, rotation), dim=1)


# Rewards.


def reaching_object(cfg: LiftObjectCfg, state: State) -> Tensor:
    """1 - tanh(distance between cube and hand / std)."""
    return 1 - torch.tanh(reach_distance(cfg, state) / cfg.reaching_object_std)


def object_goal_tracking(cfg: LiftObjectCfg, state: State) -> Tensor:
    """1 - tanh(distance between cube and target / std) of a lifted cube."""
    return lifted(cfg, state) * (1 - torch.tanh(goal_distance(cfg, state) / cfg.object_goal_tracking_std))


def object_goal_tracking_fine_grained(cfg: LiftObjectCfg, state: State) -> Tensor:
    """The same with a smaller std."""
    near = 1 - torch.tanh(goal_distance(cfg, state) / cfg.object_goal_tracking_fine_grained_std)
    return lifted(cfg, state) * near


def action_rate(cfg: LiftObjectCfg, state: State) -> Tensor:
    """Squared change of the action."""
    return (state.action - state.previous_action).square().sum(1)


def joint_vel(cfg: LiftObjectCfg, state: State) -> Tensor:
    """Squared joint velocities."""
    return state.qvel[:, :9].square().sum(1)


# Terminations, success and metrics.


def object_dropped(cfg: LiftObjectCfg, state: State) -> Tensor:
    """Whether the cube fell from the table."""
    return object_pos(state)[:, 2] < cfg.object_dropped_height


def at_target(cfg: LiftObjectCfg, state: State) -> Tensor:
    """Whether the cube is at its target."""
    return goal_distance(cfg, state) < cfg.success_distance


def success_ends(cfg: LiftObjectCfg, state: State) -> Tensor:
    """Whether success ends an episode, which the config must allow."""
    return at_target(cfg, state) & cfg.success_ends_episode


def orientation_error(cfg: LiftObjectCfg, state: State) -> Tensor:
    """Return the angle between the cube and the commanded orientation, which is the identity, (n,) rad."""
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
        "joint_pos": Term(joint_pos, 9, "7 arm joints in rad, 2 fingers in m, relative to the default pose", 0.01),
        "joint_vel": Term(lambda cfg, state: state.qvel[:, :9], 9, "7 arm joints in rad/s, 2 fingers in m/s", 0.01),
        "object_position": Term(lambda cfg, state: object_pos(state), 3, "m, robot root frame", 0.01),
        "target_object_position": Term(
            target_object_position, 7, "position in m, robot root frame; quaternion x y z w, always 0 0 0 1"
        ),
        "actions": Term(
            lambda cfg, state: state.action, 8, "the output `actions` of the step before; zeros at the start"
        ),
    },
    rewards={
        "reaching_object": Term(reaching_object),
        "lifting_object": Term(lifted),
        "object_goal_tracking": Term(object_goal_tracking),
        "object_goal_tracking_fine_grained": Term(object_goal_tracking_fine_grained),
        "action_rate": Term(action_rate),
        "joint_vel": Term(joint_vel),
    },
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
    sites=("end_effector",),
    show=show,
    controls="joint_position_targets",
    console_rewards=("action_rate", "joint_vel"),
    action_unit="1; the policy's raw output: 7 arm joints around the default pose, then the gripper",
    control_unit="7 arm joints in rad, 2 fingers in m",
    kernels="manyseeds.tasks.lift_object.kernels",
)
