"""cart_pole: a cart on a rail balances a pole that starts up to 45 degrees off.

Numbers and terms are those of Isaac Lab's `Isaac-Cartpole`, with one simplification: episodes start at rest. There,
they start with small random velocities. The coordinates are the cart's position (m) and the pole's angle from upright
(rad).
"""

from dataclasses import dataclass
from math import pi
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from manyseeds.tasks.base import Factor, Range, Starts, State, Task, TaskCfg, Term, positive, signs, uniform
from manyseeds.tasks.cart_pole.description import DESCRIPTION, judge, outside, pole_angle

if TYPE_CHECKING:
    import mujoco


@dataclass(frozen=True)
class CartPoleCfg(TaskCfg):
    """All numbers of the task. Lengths in m, angles in rad, forces in N, times in s."""

    physics_dt: float = 1 / 120
    episode_length_s: float = 5.0

    # Action: the force on the cart, times this.
    action_scale: float = 100.0

    # Start: at rest.
    cart_position: Range = (-1.0, 1.0)
    pole_angle: Range = (-pi / 4, pi / 4)

    # Training episodes end when the cart is farther from the middle of the rail.
    cart_range: float = 3.0

    # Rewards; every term is multiplied by its weight and by the step's duration.
    alive_weight: float = 1.0
    terminating_weight: float = -2.0
    pole_pos_weight: float = -1.0
    cart_vel_weight: float = -0.01
    pole_vel_weight: float = -0.005

    # The pole is upright within this angle.
    success_angle: float = 0.1

    # Ranges from which an episode draws what multiplies the pole's mass and the cart's damping.
    pole_mass_scale: Range = (1, 1)
    cart_damping_scale: Range = (1, 1)


def model(cfg: CartPoleCfg) -> "mujoco.MjSpec":
    """Return the cart and the pole, with marks at the ends of the cart's range."""
    import mujoco

    spec = mujoco.MjSpec.from_file(str(Path(__file__).with_name("cart_pole.xml")))
    for name, side in (("left_end", -1), ("right_end", 1)):
        spec.geom(name).pos[0] = side * cfg.cart_range
    return spec


def start(cfg: CartPoleCfg, n: int, generator: torch.Generator) -> Starts:
    """Draw where the cart is and how far the pole is off."""
    qpos = uniform((cfg.cart_position, cfg.pole_angle), n, generator)
    names = (column.name for column in DESCRIPTION.starts)
    return Starts(qpos, qpos[:, :0], dict(zip(names, qpos.unbind(1), strict=True)))


def success(cfg: CartPoleCfg, state: State) -> Tensor:
    """Return whether an episode ends with the pole upright and the cart in its range, (n,) bool."""
    upright = pole_angle(cfg, state).abs() < cfg.success_angle
    return (state.episode_length >= cfg.episode_length) & upright & ~outside(cfg, state)


TASK = Task(
    name="cart_pole",
    cfg=CartPoleCfg,
    description=DESCRIPTION,
    model=model,
    action_width=1,
    command_width=0,
    act=lambda cfg, action: cfg.action_scale * action,
    observations={
        "joint_pos": Term(lambda cfg, s: s.qpos, 2, "cart m, pole rad", 0.01, signs(-1, -1)),
        "joint_vel": Term(lambda cfg, s: s.qvel, 2, "cart m/s, pole rad/s", 0.1, signs(-1, -1)),
    },
    rewards={
        "alive": Term(lambda cfg, s: ~outside(cfg, s)),
        "terminating": Term(outside),
        "pole_pos": Term(lambda cfg, s: pole_angle(cfg, s).square()),
        "cart_vel": Term(lambda cfg, s: s.qvel[:, 0].abs()),
        "pole_vel": Term(lambda cfg, s: s.qvel[:, 1].abs()),
    },
    terminations={"cart_out_of_bounds": Term(outside)},
    success=success,
    start=start,
    judge=judge,
    factors={
        "pole_mass_scale": Factor({"body_mass": (), "body_inertia": ()}, ("pole",)),
        "cart_damping_scale": Factor({"dof_damping": ()}, ("slider_to_cart",)),
    },
    mirror=signs(-1),
    check_cfg=lambda cfg: positive(cfg, "action_scale", "cart_range", "success_angle"),
    controls="cart_force",
    action_unit="times action_scale N",
    control_unit="N",
)
