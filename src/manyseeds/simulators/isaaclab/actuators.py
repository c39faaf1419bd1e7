"""What the actuators of a task's MJCF are, and what they do with controls; needs no Isaac Lab."""

from collections.abc import Callable
from functools import partial

import mujoco
import numpy as np
import torch
from torch import Tensor

_ON_JOINT = int(mujoco.mjtTrn.mjTRN_JOINT)
_FIXED_GAIN = int(mujoco.mjtGain.mjGAIN_FIXED)
_AFFINE, _NO_BIAS = int(mujoco.mjtBias.mjBIAS_AFFINE), int(mujoco.mjtBias.mjBIAS_NONE)
_WITHOUT_DYNAMICS = int(mujoco.mjtDyn.mjDYN_NONE)


def is_servo(model: mujoco.MjModel, actuator: int) -> bool:
    """Return whether an actuator of the compiled MJCF is of the kind `position`, in the form that Newton has, too."""
    joint = model.actuator_trnid[actuator, 0]
    limited = bool(model.actuator_forcelimited[actuator]), bool(model.jnt_actfrclimited[joint])
    ranges = model.actuator_forcerange[actuator], model.jnt_actfrcrange[joint]
    return bool(
        _drives_a_joint(model, actuator)
        and model.actuator_biastype[actuator] == _AFFINE
        and model.actuator_biasprm[actuator, 0] == 0
        and model.actuator_biasprm[actuator, 1] == -model.actuator_gainprm[actuator, 0]
        and model.actuator_gear[actuator, 0] == 1
        and all(low == -high for (low, high), is_limited in zip(ranges, limited, strict=True) if is_limited)
    )


def is_motor(model: mujoco.MjModel, actuator: int) -> bool:
    """Return whether an actuator of the compiled MJCF is of the kind `motor`: its force is its control times a gain."""
    return bool(_drives_a_joint(model, actuator) and model.actuator_biastype[actuator] == _NO_BIAS)


def joint_commands(model: mujoco.MjModel, device: torch.device | str) -> Callable[[Tensor], Tensor]:
    """Return what turns controls (n, nu), limited already, into commands of their joints (n, nu).

    A servo's control is its target, rad or m, and stays as it is. A motor's becomes the force on its joint, N m or N:
    as in MuJoCo, the control times the gain is limited by the actuator's `forcerange`, then multiplied by `gear`, then
    limited by the joint's `actuatorfrcrange`.
    """
    motors = np.array([is_motor(model, actuator) for actuator in range(model.nu)], dtype=bool)
    joints = model.actuator_trnid[:, 0]
    tensor = partial(torch.tensor, dtype=torch.float32, device=device)
    gain, gear = (tensor(np.where(motors, x[:, 0], 1.0)) for x in (model.actuator_gainprm, model.actuator_gear))
    of_motor = _limits(motors & model.actuator_forcelimited.astype(bool), model.actuator_forcerange)
    of_joint = _limits(motors & model.jnt_actfrclimited[joints].astype(bool), model.jnt_actfrcrange[joints])
    (low, high), (least, most) = tensor(of_motor.T), tensor(of_joint.T)
    return lambda controls: (gear * (gain * controls).clamp(low, high)).clamp(least, most)


def _drives_a_joint(model: mujoco.MjModel, actuator: int) -> bool:
    """Return whether an actuator without dynamics is the only one of a joint."""
    return bool(
        model.actuator_trntype[actuator] == _ON_JOINT
        and model.actuator_gaintype[actuator] == _FIXED_GAIN
        and model.actuator_dyntype[actuator] == _WITHOUT_DYNAMICS
        and (model.actuator_trnid[:, 0] == model.actuator_trnid[actuator, 0]).sum() == 1
    )


def _limits(limited: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """Return the ranges (nu, 2), infinite where there is no limit."""
    return np.where(limited[:, None], ranges, [-np.inf, np.inf])
