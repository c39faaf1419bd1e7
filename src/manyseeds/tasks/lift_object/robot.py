"""The scene of lift_object: its MJCF and the arm's default pose. `cfg` is a LiftObjectCfg."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from manyseeds.tasks.base import constant

if TYPE_CHECKING:
    import mujoco

MODEL_PATH = Path(__file__).parent / "panda.xml"
"""The robot, the table and the cube, as MJCF."""


ARM = tuple(f"panda_joint{i}" for i in range(1, 8))
"""The joints of the arm, and their servos."""


def model(cfg: Any) -> "mujoco.MjSpec":
    """Return the robot, the table and the cube."""
    import mujoco

    return mujoco.MjSpec.from_file(str(MODEL_PATH))


def default_joint_pos(cfg: Any, device: torch.device | str = "cpu") -> Tensor:
    """Return the default pose, (9,): seven arm joints in rad, two fingers in m. It is not to be changed."""
    return constant((*cfg.default_arm, cfg.gripper_open, cfg.gripper_open), torch.device(device))
