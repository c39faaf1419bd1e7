"""The scene of lift_object, and its arm, which other tasks have, too. `cfg` is an `ArmCfg`."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from manyseeds.tasks.base import Range, State, TaskCfg, Term, constant

if TYPE_CHECKING:
    import mujoco

MODEL_PATH = Path(__file__).parent / "panda.xml"
"""The robot, the table and the cube, as MJCF."""


ARM = tuple(f"panda_joint{i}" for i in range(1, 8))
"""The joints of the arm, and their servos."""


@dataclass(frozen=True)
class ArmCfg(TaskCfg):
    """The numbers of a task with this arm. Lengths in m, angles in rad."""

    # Actions: 7 joint positions around the default pose, then the gripper: a < 0 closes it, anything else opens it.
    action_scale: float = 0.5
    default_arm: tuple[float, ...] = (0.0, -0.569, 0.0, -2.810, 0.0, 3.037, 0.741)
    gripper_open: float = 0.04
    gripper_closed: float = 0.0

    # Ranges from which an episode draws what multiplies the arm's gains and dampings.
    stiffness_scale: Range = (1, 1)
    damping_scale: Range = (1, 1)


def model(cfg: Any) -> "mujoco.MjSpec":
    """Return the robot, the table and the cube."""
    import mujoco

    return mujoco.MjSpec.from_file(str(MODEL_PATH))


def default_joint_pos(cfg: Any, device: torch.device | str = "cpu") -> Tensor:
    """Return the default pose, (9,): seven arm joints in rad, two fingers in m. It is not to be changed."""
    return constant((*cfg.default_arm, cfg.gripper_open, cfg.gripper_open), torch.device(device))


def joint_targets(cfg: Any, action: Tensor) -> Tensor:
    """Return the joint position targets, (n, 9) in rad and m, of actions (n, 8)."""
    arm = torch.add(constant(cfg.default_arm, action.device), action[:, :7], alpha=cfg.action_scale)
    finger = torch.where(action[:, 7:] < 0, cfg.gripper_closed, cfg.gripper_open)
    return torch.cat((arm, finger, finger), dim=1)


def joint_pos(cfg: Any, state: State) -> Tensor:
    """Return the joint positions relative to the default pose, (n, 9)."""
    return state.qpos[:, :9] - default_joint_pos(cfg, state.qpos.device)


def action_rate(cfg: Any, state: State) -> Tensor:
    """Squared change of the action."""
    return (state.action - state.previous_action).square().sum(1)


def joint_vel(cfg: Any, state: State) -> Tensor:
    """Squared joint velocities."""
    return state.qvel[:, :9].square().sum(1)


# The mirror is the plane of x and z. It turns joints 1, 3, 5 and 7 around, and exchanges the fingers. The hand is
# mounted on the flange at 45 degrees, so joint 7 is in the middle there.

_SIGNS = (-1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0)
_MIDDLE = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, math.pi / 4)
_EXCHANGED = [0, 1, 2, 3, 4, 5, 6, 8, 7]


def _shift(cfg: Any) -> tuple[float, ...]:
    """Return what is added to joint positions relative to the default pose in a mirror, 7 rad."""
    arm = zip(_SIGNS, _MIDDLE, cfg.default_arm, strict=True)
    return tuple(2 * (middle - default) if sign < 0 else 0.0 for sign, middle, default in arm)


def _mirror_joint_pos(cfg: Any, x: Tensor) -> Tensor:
    return _mirror_joint_vel(cfg, x) + constant((*_shift(cfg), 0.0, 0.0), x.device)


def _mirror_joint_vel(cfg: Any, x: Tensor) -> Tensor:
    return x[..., _EXCHANGED] * constant((*_SIGNS, 1.0, 1.0), x.device)


def mirror_action(cfg: Any, action: Tensor) -> Tensor:
    """Return the actions (..., 8) that move the arm as in a mirror."""
    shift = tuple(x / cfg.action_scale for x in _shift(cfg))
    return action * constant((*_SIGNS, 1.0), action.device) + constant((*shift, 0.0), action.device)


OBSERVATIONS = {
    "joint_pos": Term(
        joint_pos, 9, "7 arm joints in rad, 2 fingers in m, relative to the default pose", 0.01, _mirror_joint_pos
    ),
    "joint_vel": Term(
        lambda cfg, state: state.qvel[:, :9], 9, "7 arm joints in rad/s, 2 fingers in m/s", 0.01, _mirror_joint_vel
    ),
}
LAST_ACTION = Term(
    lambda cfg, state: state.action,
    8,
    "the output `actions` of the step before; zeros at the start",
    mirror=mirror_action,
)
PENALTIES = {"action_rate": Term(action_rate), "joint_vel": Term(joint_vel)}
